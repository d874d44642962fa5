use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::der::{BIT_STRING, OID, SEQUENCE, bits, element, group, integer};
use super::*;

/// A certificate that no command would issue.
pub(crate) struct Odd {
    /// A DER name.
    pub(crate) subject: Vec<u8>,
    /// A DER public key; a new one when empty.
    pub(crate) spki: Vec<u8>,
    /// Seconds since the epoch.
    pub(crate) validity: (i64, i64),
    /// The OIDs of the extended key usage; `None` for no such extension.
    pub(crate) purposes: Option<Vec<&'static [u8]>>,
}

impl Odd {
    /// A client's certificate that is valid for an hour, with this subject.
    pub(crate) fn new(subject: Vec<u8>) -> Self {
        let validity = validity(Duration::from_secs(3600));
        Self { subject, spki: Vec::new(), validity, purposes: Some(vec![CLIENT]) }
    }

    pub(crate) fn issue(&self, authority: &Authority) -> Vec<u8> {
        let spki = if self.spki.is_empty() { spki(&generate().unwrap()).unwrap() } else { self.spki.clone() };
        let mut extensions = x509::leaf(Usage::Client, None, &spki, None);
        extensions.retain(|extension| extension.oid != x509::EXTENDED_KEY_USAGE);
        if let Some(purposes) = &self.purposes {
            let oids: Vec<u8> = purposes.iter().flat_map(|oid| element(OID, oid)).collect();
            let value = element(SEQUENCE, &oids);
            extensions.push(x509::Extension { oid: x509::EXTENDED_KEY_USAGE, weight: x509::Weight::Plain, value });
        }
        authority.sign(&self.subject, &spki, self.validity, extensions).unwrap()
    }
}

/// A name of raw attributes: OID, tag, value.
pub(crate) fn raw_name(attributes: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
    let parts: Vec<u8> = attributes.iter().flat_map(|(oid, tag, value)| x509::attribute(oid, *tag, value)).collect();
    element(SEQUENCE, &parts)
}

/// An authority under another one, with this validity.
pub(crate) fn intermediate(authority: &Authority, name: &str, validity: (i64, i64)) -> Authority {
    let key = generate().unwrap();
    let spki = spki(&key).unwrap();
    let (name, key_id) = (x509::name(name, &[], None), x509::key_id(&spki));
    let der = authority.sign(&name, &spki, validity, x509::authority(&key_id)).unwrap();
    Authority { name, key_id: Some(key_id), der, key }
}

/// An authority with this validity.
pub(crate) fn root(name: &str, validity: (i64, i64)) -> Authority {
    let mut root = Authority::new(name, Duration::from_secs(3600)).unwrap();
    let spki = spki(&root.key).unwrap();
    root.der = root.sign(&root.name, &spki, validity, x509::authority(&x509::key_id(&spki))).unwrap();
    root
}

/// The public key info of an RSA key.
pub(crate) fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let algorithm = group(SEQUENCE, &[&element(OID, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]), &element(5, &[])]);
    let key = group(SEQUENCE, &[&integer(modulus), &integer(exponent)]);
    group(SEQUENCE, &[&algorithm, &bits(0, &key)])
}

/// The public key info of a point on a curve.
pub(crate) fn ec_spki(curve: &[u8], x: &[u8], y: &[u8]) -> Vec<u8> {
    let algorithm = group(SEQUENCE, &[&element(OID, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]), &element(OID, curve)]);
    group(SEQUENCE, &[&algorithm, &group(BIT_STRING, &[&[0, 4], x, y])])
}

pub(crate) const CLIENT: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
pub(crate) const SERVER: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
pub(crate) const ANY: &[u8] = &[0x55, 0x1d, 0x25, 0];
pub(crate) const CN: &[u8] = x509::COMMON_NAME;
pub(crate) const O: &[u8] = x509::ORGANIZATION;
pub(crate) const UID: &[u8] = x509::UID;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn an_authority_survives_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let first = Authority::open(dir.path(), "ca", "lab", DAY).unwrap();
    let second = Authority::open(dir.path(), "ca", "lab", DAY).unwrap();
    assert_eq!(first.der(), second.der());
    let mode = |name: &str| std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("ca.key"), mode("ca.crt")), (0o600, 0o644));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    let other = Authority::new("lab", DAY).unwrap();
    let mixed = Authority::parse(first.certificate_pem().as_bytes(), other.key_pem().unwrap().as_bytes());
    assert!(matches!(mixed, Err(PkiError::Mismatch)));
    std::fs::remove_file(dir.path().join("ca.key")).unwrap();
    assert!(matches!(Authority::open(dir.path(), "ca", "lab", DAY), Err(PkiError::File(..))));
}

#[test]
fn directories_are_for_their_owner() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("a/b");
    make_dir(&inner).unwrap();
    make_dir(&inner).unwrap();
    assert_eq!(std::fs::metadata(&inner).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn names_must_be_names() {
    let authority = Authority::new("lab", DAY).unwrap();
    #[rustfmt::skip]
    let rows = [
        ("localhost", true), ("10.0.0.1", true), ("::1", true), ("*.example.com", true), ("kubernetes.default.svc", true),
        ("", false), ("a b", false), ("a..b", false), ("https://x", false), ("1.2.3.4/8", false), ("*", false),
    ];
    for (name, good) in rows {
        assert_eq!(authority.issue(&Order::server("s", &[name], DAY)).is_ok(), good, "{name}");
    }
}

/// The work of `up`: three authorities, a signing key, eight certificates.
#[test]
fn a_whole_set_is_fast() {
    let begin = std::time::Instant::now();
    let authority = Authority::new("clients", DAY).unwrap();
    Authority::new("serving", DAY).unwrap();
    Authority::new("front proxy", DAY).unwrap();
    signing_key().unwrap();
    for user in 0..8 {
        authority.issue(&Order::client(format!("u{user}"), &["a"], DAY)).unwrap();
    }
    let taken = begin.elapsed();
    println!("12 keys and 11 certificates took {taken:?}");
    assert!(taken < Duration::from_millis(500), "{taken:?}");
}

#[test]
fn openssl_agrees() {
    let Ok(version) = Command::new("openssl").arg("version").output() else {
        println!("not checked: there is no openssl here");
        return;
    };
    println!("{}", String::from_utf8_lossy(&version.stdout));
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open(dir.path(), "ca", "lab", 100 * 365 * DAY).unwrap();
    let order = Order { uid: Some("7".to_owned()), ..Order::client("eve", &["a", "b", "c", "a"], DAY) };
    let leaf = authority.issue(&order).unwrap();
    write_public(&dir.path().join("leaf.crt"), leaf.certificate_pem().as_bytes()).unwrap();
    write_private(&dir.path().join("leaf.key"), leaf.key_pem().as_bytes()).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(dir.path()).output().unwrap();
        assert!(output.status.success(), "{arguments:?} {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "ca.crt", "leaf.crt"]);
    let subject = run(&["x509", "-in", "leaf.crt", "-noout", "-subject", "-nameopt", "RFC2253,sep_multiline"]);
    let organizations: Vec<_> = subject.lines().map(str::trim).filter(|line| line.starts_with("O=")).collect();
    assert_eq!(organizations, ["O=a", "O=c", "O=b", "O=a"], "{subject}");
    assert!(run(&["x509", "-in", "ca.crt", "-noout", "-enddate"]).contains("21"), "a time after 2049");
    let keys = [run(&["x509", "-in", "leaf.crt", "-noout", "-pubkey"]), run(&["pkey", "-in", "leaf.key", "-pubout"])];
    assert_eq!(keys[0], keys[1]);
}

#[test]
fn a_kubeconfig_quotes_what_it_is_given() {
    let kubeconfig = Kubeconfig {
        server: "https://127.0.0.1:6443",
        authority: "CA",
        cluster: "a: \"b\"",
        user: "x\ny",
        credential: Credential::Token("t"),
    };
    let text = kubeconfig.render();
    let expected = "apiVersion: v1\nkind: Config\nclusters:\n- name: \"a: \\\"b\\\"\"\n  cluster:\n    server: \"https://127.0.0.1:6443\"\n    \
                    certificate-authority-data: Q0E=\nusers:\n- name: \"x\\ny\"\n  user:\n    token: \"t\"\ncontexts:\n- name: \"a: \\\"b\\\"\"\n  \
                    context:\n    cluster: \"a: \\\"b\\\"\"\n    user: \"x\\ny\"\ncurrent-context: \"a: \\\"b\\\"\"\n";
    assert_eq!(text, expected);
    assert!(!format!("{kubeconfig:?}").contains("\"t\""));
    let certificate = Kubeconfig { credential: Credential::Certificate { certificate: "C", key: "K" }, ..kubeconfig }.render();
    assert!(certificate.contains("    client-certificate-data: Qw==\n    client-key-data: Sw==\n"));
}
