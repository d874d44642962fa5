//! A throw-away authority for tests, made with rcgen and not with the code under test.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

use super::client::Credentials;

/// One authority and the folder its files are in.
pub struct Pki {
    dir: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

/// How long a certificate is good.
#[derive(Clone, Copy, Debug)]
pub enum Life {
    /// An hour from a minute ago.
    Good,
    /// Until so many seconds from now.
    Seconds(u64),
    /// Until a minute ago.
    Over,
    /// From in an hour.
    Later,
}

impl Pki {
    /// A new authority in `dir`, as `NAME.crt`.
    pub fn new(dir: &Path, name: &str) -> Self {
        fs::create_dir_all(dir).expect("a folder");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        validity(&mut params, Life::Good);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        fs::write(dir.join(format!("{name}.crt")), authority.pem()).expect("a file");
        Self { dir: dir.to_owned(), authority }
    }

    /// The authority's certificate, PEM.
    pub fn authority(&self) -> Vec<u8> {
        self.authority.pem().into_bytes()
    }

    /// A client certificate as `NAME.crt` and `NAME.key`.
    pub fn client(&self, name: &str, user: &str, groups: &[&str]) -> Credentials {
        self.client_for(name, (user, groups), Life::Good)
    }

    /// The same with another life.
    pub fn client_for(&self, name: &str, (user, groups): (&str, &[&str]), life: Life) -> Credentials {
        let mut params = CertificateParams::default();
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, user);
        assert!(groups.len() <= 1, "rcgen's names are maps: one group at most");
        for group in groups {
            subject.push(DnType::OrganizationName, *group);
        }
        params.distinguished_name = subject;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        validity(&mut params, life);
        let (certificate, key) = self.issue(name, params);
        Credentials { authority: self.authority(), certificate: Some((certificate, key)), token: None }
    }

    /// A serving certificate for this host, which also serves as a client's.
    pub fn server(&self, name: &str) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![
            SanType::DnsName("localhost".try_into().expect("a name")),
            SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()),
        ];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        validity(&mut params, Life::Good);
        self.issue(name, params);
    }

    /// A certificate for this user that is good for a server only.
    pub fn serving(&self, name: &str, user: &str) -> Credentials {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, user);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        validity(&mut params, Life::Good);
        let (certificate, key) = self.issue(name, params);
        Credentials { authority: self.authority(), certificate: Some((certificate, key)), token: None }
    }

    fn issue(&self, name: &str, params: CertificateParams) -> (Vec<u8>, Vec<u8>) {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.authority).expect("a certificate").pem();
        let key = key.serialize_pem();
        fs::write(self.path(&format!("{name}.crt")), &certificate).expect("a file");
        secret(&self.path(&format!("{name}.key")), key.as_bytes());
        (certificate.into_bytes(), key.into_bytes())
    }

    /// A file of the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// Writes a file that only its owner may read.
pub fn secret(path: &Path, content: &[u8]) {
    use std::io::Write;
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).expect("a file");
    file.write_all(content).expect("a file");
}

fn validity(params: &mut CertificateParams, life: Life) {
    let now = SystemTime::now();
    let minute = Duration::from_secs(60);
    let (start, end) = match life {
        Life::Good => (now - minute, now + 60 * minute),
        Life::Seconds(seconds) => (now - minute, now + Duration::from_secs(seconds)),
        Life::Over => (now - 60 * minute, now - minute),
        Life::Later => (now + 60 * minute, now + 120 * minute),
    };
    params.not_before = start.into();
    params.not_after = end.into();
}
