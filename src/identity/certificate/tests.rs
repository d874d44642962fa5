use std::time::Duration;

use bytes::Bytes;

use super::super::resolver::now;
use super::authority::CHAIN_BYTES;
use super::*;
use crate::pki::tests::{ANY, CLIENT, CN, O, Odd, SERVER, UID as UID_OID, intermediate, raw_name, root, rsa_spki};
use crate::pki::{Authority, Order};

const HOUR: Duration = Duration::from_secs(3600);
const UTF8: u8 = 12;
const PRINTABLE: u8 = 19;

fn authorities(authority: &Authority) -> Authorities {
    Authorities::parse(authority.certificate_pem().as_bytes()).unwrap()
}

fn verify(authority: &Authority, chain: &[&[u8]]) -> Result<Verified, CertificateError> {
    let chain: Vec<Bytes> = chain.iter().map(|der| Bytes::copy_from_slice(der)).collect();
    authorities(authority).verify(&chain, now())
}

fn hour(from: i64) -> (i64, i64) {
    let begin = now() as i64 + from;
    (begin, begin + 3600)
}

#[test]
fn a_subject_is_a_user_with_groups_in_order() {
    let authority = Authority::new("lab", HOUR).unwrap();
    let groups = ["z", "system:masters", "a", "z"];
    let order = Order { uid: Some("u-1".to_owned()), ..Order::client("system:node:n", &groups, HOUR) };
    let leaf = authority.issue(&order).unwrap();
    let verified = verify(&authority, &[&leaf.der]).unwrap();
    assert_eq!(verified.subject.user, "system:node:n");
    assert_eq!(verified.subject.groups, groups);
    assert_eq!(verified.subject.uid, "u-1");
    assert_eq!(verified.fingerprint, sha256(&leaf.der));
}

#[test]
fn subjects() {
    let authority = Authority::new("lab", HOUR).unwrap();
    type Attributes<'a> = &'a [(&'a [u8], u8, &'a [u8])];
    #[rustfmt::skip]
    let rows: [(Attributes<'_>, &str); 19] = [
        (&[(CN, UTF8, b"a")], "a []"),
        (&[(CN, PRINTABLE, b"system:kube-scheduler")], "system:kube-scheduler []"),
        (&[(CN, 20, b"gr\xfcn"), (O, 30, b"\0g")], "gr\u{fc}n [g]"),
        (&[(O, UTF8, b"g1"), (CN, UTF8, b"a"), (O, 22, b"g2")], "a [g1,g2]"),
        (&[(O, UTF8, b""), (CN, UTF8, b"a")], "a []"),
        (&[(CN, UTF8, b"a"), (UID_OID, UTF8, b"7")], "a [] 7"),
        (&[(CN, UTF8, b"a"), (CN, UTF8, b"b")], "there are several common names"),
        (&[(CN, UTF8, b"a"), (CN, UTF8, b"a")], "there are several common names"),
        (&[(O, UTF8, b"g")], "there is no common name"),
        (&[], "there is no common name"),
        (&[(CN, UTF8, b"")], "the common name is empty"),
        (&[(CN, UTF8, b"a\0b")], "an attribute cannot be decoded"),
        (&[(CN, UTF8, b"a"), (O, UTF8, b"system:masters\n")], "an attribute cannot be decoded"),
        (&[(CN, PRINTABLE, b"a@b")], "an attribute cannot be decoded"),
        (&[(CN, UTF8, b"\xff")], "an attribute cannot be decoded"),
        (&[(CN, 28, b"\0\0\0a")], "an attribute cannot be decoded"),
        (&[(CN, UTF8, b"a"), (&[0x55, 4, 11], 28, b"\0\0\0a")], "an attribute cannot be decoded"),
        (&[(CN, UTF8, b"a"), (UID_OID, UTF8, b"")], "the uid is empty"),
        (&[(CN, UTF8, b"a"), (UID_OID, UTF8, b"1"), (UID_OID, UTF8, b"2")], "there are several uids"),
    ];
    for (attributes, expected) in rows {
        let der = Odd::new(raw_name(attributes)).issue(&authority);
        let found = match verify(&authority, &[&der]) {
            Ok(Verified { subject: s, .. }) => format!("{} [{}] {}", s.user, s.groups.join(","), s.uid).trim().to_owned(),
            Err(CertificateError::Subject(fault)) => fault.to_owned(),
            Err(other) => panic!("{attributes:?}: {other}"),
        };
        assert_eq!(found, expected, "{attributes:?}");
    }
}

#[test]
fn what_a_certificate_must_be() {
    let authority = Authority::new("lab", HOUR).unwrap();
    let other = Authority::new("lab", HOUR).unwrap();
    let name = || raw_name(&[(CN, UTF8, b"a")]);
    let odd = |change: &dyn Fn(&mut Odd)| {
        let mut odd = Odd::new(name());
        change(&mut odd);
        odd.issue(&authority)
    };
    let weak = rsa_spki(&[0xc1; 128], &[1, 0, 1]);
    let strong = rsa_spki(&[0xc1; 256], &[1, 0, 1]);
    let vast = rsa_spki(&[0xc1; 2048], &[1, 0, 1]);
    let mut trailing = odd(&|_| {});
    trailing.push(0);
    #[rustfmt::skip]
    let rows: Vec<(&str, Vec<u8>, bool)> = vec![
        ("plain", odd(&|_| {}), true),
        ("no extended key usage, as Go", odd(&|odd| odd.purposes = None), true),
        ("any extended key usage, as Go", odd(&|odd| odd.purposes = Some(vec![ANY])), true),
        ("client among others", odd(&|odd| odd.purposes = Some(vec![SERVER, CLIENT])), true),
        ("server only", odd(&|odd| odd.purposes = Some(vec![SERVER])), false),
        ("an empty extended key usage", odd(&|odd| odd.purposes = Some(vec![])), false),
        ("expired", odd(&|odd| odd.validity = hour(-7200)), false),
        ("not valid yet", odd(&|odd| odd.validity = hour(600)), false),
        ("over before it began", odd(&|odd| odd.validity = (odd.validity.1, odd.validity.0)), false),
        ("RSA 1024", odd(&|odd| odd.spki.clone_from(&weak)), false),
        ("RSA 2048", odd(&|odd| odd.spki.clone_from(&strong)), true),
        ("RSA 16384", odd(&|odd| odd.spki.clone_from(&vast)), false),
        ("another authority of the same name", Odd::new(name()).issue(&other), false),
        ("the authority itself", authority.der().to_vec(), false),
        ("trailing bytes", trailing, false),
        ("nothing", Vec::new(), false),
    ];
    for (what, der, good) in rows {
        let verified = verify(&authority, &[&der]);
        assert_eq!(verified.is_ok(), good, "{what}: {verified:?}");
    }
    assert_eq!(Authorities::none().verify(&[Bytes::from(odd(&|_| {}))], now()), Err(CertificateError::Unwanted));
    assert_eq!(authorities(&authority).verify(&[], now()), Err(CertificateError::Malformed));
}

#[test]
fn chains() {
    let authority = Authority::new("lab", HOUR).unwrap();
    let soon = hour(-3000);
    let middle = intermediate(&authority, "middle", soon);
    let leaf = middle.issue(&Order::client("a", &[], HOUR)).unwrap().der;
    assert!(matches!(verify(&authority, &[&leaf]), Err(CertificateError::Untrusted(_))));
    let verified = verify(&authority, &[&leaf, middle.der()]).unwrap();
    assert_eq!(verified.span.until, soon.1 as u64, "the chain ends with its shortest certificate");
    let gone = intermediate(&authority, "gone", hour(-7200));
    let leaf_of_gone = gone.issue(&Order::client("a", &[], HOUR)).unwrap().der;
    assert!(verify(&authority, &[&leaf_of_gone, gone.der()]).is_err());
    let eight = [&[leaf.as_slice()][..], &[middle.der(); 7]].concat();
    assert!(verify(&authority, &eight).is_ok());
    let nine = [&[leaf.as_slice()][..], &[middle.der(); 8]].concat();
    assert_eq!(verify(&authority, &nine), Err(CertificateError::TooLong));
    let fat = vec![0x30; CHAIN_BYTES];
    assert_eq!(verify(&authority, &[&leaf, &fat]), Err(CertificateError::TooLong));
}

#[test]
fn an_authority_that_is_not_valid_now_is_no_authority() {
    for (from, good) in [(-7200, false), (600, false), (-600, true)] {
        let authority = root("lab", hour(from));
        let leaf = authority.issue(&Order::client("a", &[], HOUR)).unwrap().der;
        let verified = verify(&authority, &[&leaf]);
        assert_eq!(verified.is_ok(), good, "{from} {verified:?}");
        if let Ok(verified) = verified {
            assert_eq!(verified.span.until, hour(from).1 as u64);
        }
    }
}

#[test]
fn files_of_authorities() {
    let authority = Authority::new("lab", HOUR).unwrap();
    let second = Authority::new("lab 2", HOUR).unwrap();
    let leaf = authority.issue(&Order::client("a", &[], HOUR)).unwrap();
    let both = format!("# comment\n{}{}{}", authority.certificate_pem(), authority.key_pem().unwrap(), second.certificate_pem());
    assert_eq!(Authorities::parse(both.as_bytes()).unwrap().names().count(), 2);
    let no_authority = AuthorityError::NoAuthority(2, "its basic constraints do not say so");
    let mixed = format!("{}{}", authority.certificate_pem(), leaf.certificate_pem());
    assert_eq!(Authorities::parse(mixed.as_bytes()).unwrap_err(), no_authority);
    for bad in ["", "hello", "-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n%%\n-----END CERTIFICATE-----\n"] {
        assert_eq!(Authorities::parse(bad.as_bytes()).unwrap_err(), AuthorityError::Empty, "{bad}");
    }
    let garbage = crate::pki::pem("CERTIFICATE", b"nothing");
    assert!(matches!(Authorities::parse(garbage.as_bytes()), Err(AuthorityError::Unreadable(1, _))));
}

#[test]
fn summaries() {
    let authority = Authority::new("lab", HOUR).unwrap();
    let client = summarise(&authority.issue(&Order::client("eve", &["g", "h"], HOUR)).unwrap().der).unwrap();
    assert_eq!(client.identity, Ok(("eve".to_owned(), vec!["g".to_owned(), "h".to_owned()])));
    assert_eq!((client.subject.as_str(), client.issuer.as_str()), ("O=g, O=h, CN=eve", "CN=lab"));
    assert_eq!((client.is_authority, client.key.as_str()), (false, "EC P-256"));
    assert!(client.usages.contains(&"clientAuth".to_owned()), "{:?}", client.usages);
    let server = summarise(&authority.issue(&Order::server("s", &["localhost", "127.0.0.1", "::1"], HOUR)).unwrap().der).unwrap();
    assert_eq!(server.names, ["DNS:localhost", "IP:127.0.0.1", "IP:::1"]);
    assert!(summarise(authority.der()).unwrap().is_authority);
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = summarise(&bytes);
        let _ = raw_key(&bytes);
        let _ = pkcs1_of_pkcs8(&bytes);
        let _ = Authorities::parse(&bytes);
    }

    #[test]
    fn broken_certificates_never_panic_and_never_pass(place in 0usize..1000, value in proptest::num::u8::ANY, cut in 0usize..1000) {
        thread_local! {
            static LAB: (Authority, Vec<u8>) = {
                let authority = Authority::new("lab", HOUR).unwrap();
                let leaf = authority.issue(&Order::client("eve", &["g"], HOUR)).unwrap().der;
                (authority, leaf)
            };
        }
        LAB.with(|(authority, leaf)| {
            let mut broken = leaf.clone();
            let place = place % broken.len();
            broken[place] ^= value;
            let _ = summarise(&broken);
            let verified = verify(authority, &[&broken]);
            assert!(value == 0 || verified.is_err(), "byte {place} changed and the certificate still passes");
            broken.truncate(cut % leaf.len());
            assert!(summarise(&broken).is_err());
        });
    }
}

/// A list of the authority, valid in these years, that revokes these serial numbers.
fn list(authority: &Authority, years: (i32, i32), serials: &[&str]) -> String {
    let key = rcgen::KeyPair::from_pem(&authority.key_pem().unwrap()).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&authority.certificate_pem(), key).unwrap();
    let bytes = |serial: &str| {
        let even = format!("{serial:0>40}");
        (0..20).map(|index| u8::from_str_radix(&even[2 * index..2 * index + 2], 16).unwrap()).collect::<Vec<_>>()
    };
    let revoked = |serial: &&str| rcgen::RevokedCertParams {
        serial_number: bytes(serial).into(),
        revocation_time: rcgen::date_time_ymd(years.0, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let params = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(years.0, 1, 1),
        next_update: rcgen::date_time_ymd(years.1, 1, 1),
        crl_number: 1_u64.into(),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    params.signed_by(&issuer).unwrap().pem().unwrap()
}

#[test]
fn what_its_authority_has_revoked_is_not_believed() {
    let (authority, other) = (Authority::new("lab", HOUR).unwrap(), Authority::new("other", HOUR).unwrap());
    let namesake = Authority::new("lab", HOUR).unwrap();
    let leaf = authority.issue(&Order::client("a", &[], HOUR)).unwrap().der;
    let serial = verify(&authority, &[&leaf]).unwrap().serial;
    let (now_on, past, newer) = ((2020, 2090), (2020, 2021), (2021, 2090));
    let mine = |years, serials: &[&str]| list(&authority, years, serials);
    #[rustfmt::skip]
    let rows = [
        ("no list", vec![], Expired::Refuse, true),
        ("revoked", vec![mine(now_on, &["1", &serial])], Expired::Refuse, false),
        ("another is revoked", vec![mine(now_on, &["1"])], Expired::Refuse, true),
        ("nobody is revoked", vec![mine(now_on, &[])], Expired::Refuse, true),
        ("by another authority", vec![list(&other, now_on, &[&serial])], Expired::Refuse, true),
        ("by a forger of the list", vec![list(&namesake, now_on, &[])], Expired::Refuse, false),
        ("ended, refused", vec![mine(past, &[])], Expired::Refuse, false),
        ("ended, accepted", vec![mine(past, &[])], Expired::Accept, true),
        ("ended, accepted, revoked", vec![mine(past, &[&serial])], Expired::Accept, false),
        ("the newer list counts", vec![mine(now_on, &[]), mine(newer, &[&serial])], Expired::Refuse, false),
        ("in any order", vec![mine(newer, &[&serial]), mine(now_on, &[])], Expired::Refuse, false),
    ];
    for (what, lists, expired, good) in rows {
        let mut revocation = Revocation::new(expired);
        for list in &lists {
            revocation.add(list.as_bytes()).unwrap();
        }
        let verified = authorities(&authority).revoking(&revocation.into()).verify(&[Bytes::from(leaf.clone())], now());
        assert_eq!(verified.is_ok(), good, "{what}: {verified:?}");
        if let (Ok(verified), true) = (verified, expired == Expired::Refuse && !lists.is_empty()) {
            assert!(verified.again < u64::MAX, "{what}");
        }
    }
    for wrong in ["", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "-----BEGIN X509 CRL-----\n*"] {
        assert!(Revocation::new(Expired::Refuse).add(wrong.as_bytes()).is_err(), "{wrong:?}");
    }
}

#[test]
fn an_authority_names_only_whom_it_may() {
    let authority = Authority::new("lab", HOUR).unwrap();
    let limit = |users: &[&str], groups: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Limit { users: owned(users), groups: owned(groups) }
    };
    let nodes = limit(&["system:node:*"], &["system:nodes"]);
    #[rustfmt::skip]
    let rows = [
        (&nodes, "system:node:n1", &["system:nodes"][..], true),
        (&nodes, "system:node:n1", &[], true),
        (&nodes, "system:node:n1", &["system:nodes", "system:masters"], false),
        (&nodes, "system:node:n1", &["system:nodesx"], false),
        (&nodes, "kubernetes-admin", &["system:nodes"], false),
        (&nodes, "system:node", &[], false),
        (&limit(&[], &[]), "a", &[], true),
        (&limit(&[], &[]), "a", &["g"], false),
        (&limit(&["a"], &["*"]), "a", &["g"], true),
        (&limit(&["a"], &["*"]), "ab", &["g"], false),
    ];
    for (limit, user, groups, good) in rows {
        let chain = [Bytes::from(authority.issue(&Order::client(user, groups, HOUR)).unwrap().der)];
        let limited = authorities(&authority).limited(limit);
        assert_eq!(limited.verify(&chain, now()).is_ok(), good, "{limit:?} {user} {groups:?}");
        // The same authority from another file, without a limit, is no way around it.
        for both in [limited.clone().and(authorities(&authority)), authorities(&authority).and(limited.clone())] {
            assert_eq!(both.verify(&chain, now()).is_ok(), good, "{limit:?} {user} {groups:?}, twice");
        }
    }
}
