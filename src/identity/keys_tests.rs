use aws_lc_rs::encoding::EcPrivateKeyRfc5915Der;
use aws_lc_rs::rsa::KeySize;

use super::*;
use crate::pki::tests::{ec_spki, rsa_spki};
use crate::pki::{Authority, Order, pem, signing_key};

fn curve_key(curve: &'static EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    EcdsaKeyPair::generate(curve).unwrap()
}

fn rsa_key() -> (Vec<u8>, Vec<u8>) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let pkcs8 = pkcs8.as_ref().to_vec();
    let pkcs1 = certificate::pkcs1_of_pkcs8(&pkcs8).unwrap();
    (pkcs8, pkcs1)
}

#[test]
fn one_key_has_one_name_in_every_form() {
    let p256 = curve_key(&ECDSA_P256_SHA256_FIXED_SIGNING);
    let p384 = curve_key(&ECDSA_P384_SHA384_FIXED_SIGNING);
    for (pair, algorithm) in [(p256, Algorithm::Es256), (p384, Algorithm::Es384)] {
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let sec1: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().unwrap();
        let forms = [
            pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref()),
            pem("EC PRIVATE KEY", sec1.as_ref()),
            format!("{}{}", pem("EC PARAMETERS", &[6, 0]), pem("EC PRIVATE KEY", sec1.as_ref())),
            pem("PUBLIC KEY", spki.as_ref()),
        ];
        same(&forms, algorithm);
    }
    let (pkcs8, pkcs1) = rsa_key();
    let pair = RsaKeyPair::from_der(&pkcs1).unwrap();
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    same(&[pem("PRIVATE KEY", &pkcs8), pem("RSA PRIVATE KEY", &pkcs1), pem("PUBLIC KEY", spki.as_ref())], Algorithm::Rs256);
}

fn same(forms: &[String], algorithm: Algorithm) {
    let mut keys: Vec<PublicKey> = forms.iter().map(|form| PublicKey::parse(form.as_bytes()).unwrap().remove(0)).collect();
    assert!(keys.iter().all(|key| key.algorithm() == algorithm));
    keys.dedup();
    assert_eq!(keys.len(), 1, "{keys:?}");
    let expected = URL_SAFE_NO_PAD.encode(certificate::sha256(keys[0].spki()));
    assert_eq!(keys[0].id(), expected);
    for form in forms.iter().filter(|form| form.contains("PRIVATE")) {
        let private = PrivateKey::parse(form.as_bytes()).unwrap();
        assert_eq!(*private.public(), keys[0]);
        assert!(!format!("{private:?}").contains(&format!("{:?}", private.der())));
    }
}

#[test]
fn a_file_may_have_many_keys() {
    let ((_, one), (_, two)) = (signing_key().unwrap(), signing_key().unwrap());
    let day = std::time::Duration::from_secs(86400);
    let certificate = Authority::new("a", day).unwrap().issue(&Order::client("x", &[], day)).unwrap().certificate_pem();
    assert_eq!(PublicKey::parse(format!("{one}{two}{certificate}").as_bytes()).unwrap().len(), 3);
}

#[test]
fn keys_that_sign_no_tokens() {
    let p521 = curve_key(&ECDSA_P521_SHA512_FIXED_SIGNING);
    let spki: PublicKeyX509Der<'_> = p521.public_key().as_der().unwrap();
    let unsupported = |kind: &str| KeyError::Unsupported(1, kind.to_owned());
    let curve: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    #[rustfmt::skip]
    let rows = [
        ("P-521", pem("PUBLIC KEY", spki.as_ref()), unsupported("EC P-521")),
        ("P-521, private", pem("PRIVATE KEY", p521.to_pkcs8v1().unwrap().as_ref()), unsupported("EC P-521")),
        ("RSA 1024", pem("PUBLIC KEY", &rsa_spki(&[0xc1; 128], &[1, 0, 1])), unsupported("RSA 1024")),
        ("RSA 16384", pem("PUBLIC KEY", &rsa_spki(&[0xc1; 2048], &[1, 0, 1])), unsupported("RSA 16384")),
        ("RSA with exponent 1", pem("PUBLIC KEY", &rsa_spki(&[0xc1; 256], &[1])), KeyError::Unreadable(1)),
        ("a point off the curve", pem("PUBLIC KEY", &ec_spki(curve, &[1; 32], &[2; 32])), KeyError::Unreadable(1)),
        ("garbage", pem("PUBLIC KEY", b"nothing"), KeyError::Unreadable(1)),
        ("a private key of garbage", pem("PRIVATE KEY", b"nothing"), KeyError::Unreadable(1)),
        ("another section", pem("X509 CRL", b"nothing"), KeyError::Empty),
        ("nothing", String::new(), KeyError::Empty),
        ("broken PEM", "-----BEGIN PUBLIC KEY-----\n%%%%\n-----END PUBLIC KEY-----\n".to_owned(), KeyError::NotPem),
    ];
    for (what, text, expected) in rows {
        assert_eq!(PublicKey::parse(text.as_bytes()).unwrap_err(), expected, "{what}");
    }
    let public = pem("PUBLIC KEY", PublicKey::parse(signing_key().unwrap().1.as_bytes()).unwrap()[0].spki());
    assert_eq!(PrivateKey::parse(public.as_bytes()).unwrap_err(), KeyError::Empty);
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        for label in ["PUBLIC KEY", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "CERTIFICATE"] {
            assert!(PublicKey::parse(pem(label, &bytes).as_bytes()).is_err());
        }
        let _ = PublicKey::parse(&bytes);
    }
}
