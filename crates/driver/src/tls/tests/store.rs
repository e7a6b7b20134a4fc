//! What is read, and what is wrong with what cannot be.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::version::TLS13;
use tempfile::TempDir;
use tidegate_httpapi::{
    ApiError, CertificateAuthorities, CertificateSource, ClientCertificates, ErrorCode,
    HttpProtocols, TlsBinding, TlsBindingKey,
};

use super::peer::{Authority, Bound, Identity, Wire, client, write};
use crate::tls::error::{CertificateError, CertificateErrorKind};

const RSA: &[u8] = include_bytes!("data/rsa.crt");
const RSA_PKCS1: &[u8] = include_bytes!("data/rsa-pkcs1.key");
const EC: &[u8] = include_bytes!("data/ec.crt");
const EC_SEC1: &[u8] = include_bytes!("data/ec-sec1.key");
const EC_ENCRYPTED: &[u8] = include_bytes!("data/ec-encrypted.key");
const EC_ENCRYPTED_OLD: &[u8] = include_bytes!("data/ec-encrypted-old.key");
const EC_PKCS12: &[u8] = include_bytes!("data/ec.p12");
const EC_PKCS12_NO_PASSWORD: &[u8] = include_bytes!("data/ec-no-password.p12");

fn key() -> TlsBindingKey {
    "0.0.0.0:443".parse().unwrap()
}

fn text(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> TlsBinding {
    TlsBinding::new(CertificateSource::PemText {
        chain: chain.as_ref().to_vec().into(),
        key: key.as_ref().to_vec().into(),
    })
}

fn files(chain: &Path, key: &Path) -> TlsBinding {
    TlsBinding::new(CertificateSource::Pem {
        chain: chain.into(),
        key: key.into(),
    })
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        write(&path, content);
        path
    }
}

/// Why a binding is refused. The message names the file, and what is said last is the cause.
fn refused(binding: &TlsBinding) -> CertificateError {
    let error = Bound::new(&[]).store.add(&key(), binding).unwrap_err();
    assert_eq!(error.code(), ErrorCode::NoSuchLogonSession);
    let ApiError::Certificate { source, .. } = error else {
        panic!("{error:?}");
    };
    *source.downcast::<CertificateError>().unwrap()
}

#[test]
fn one_certificate_for_each_key() {
    let bound = Bound::new(&[]);
    let binding = Identity::self_signed("h").binding();
    let not_bound = |error| matches!(error, ApiError::NotBound { .. });
    assert!(not_bound(bound.store.update(&key(), &binding).unwrap_err()));
    assert!(not_bound(bound.store.remove(&key()).unwrap_err()));
    bound.store.add(&key(), &binding).unwrap();
    let error = bound.store.add(&key(), &binding).unwrap_err();
    assert!(matches!(error, ApiError::AlreadyBound { .. }), "{error:?}");
    bound.store.update(&key(), &binding).unwrap();
    bound.store.remove(&key()).unwrap();
    assert!(bound.store.infos().is_empty());
}

#[test]
fn what_serves_is_told() {
    let bound = Bound::new(&[("ec.example:443", text(EC, EC_SEC1))]);
    let infos = bound.store.infos();
    let [info] = &infos[..] else { panic!() };
    assert_eq!(info.key.to_string(), "ec.example:443");
    let [certificate] = &info.certificates[..] else {
        panic!()
    };
    assert_eq!(certificate.subject, "CN=ec.example");
    assert_eq!(
        certificate.names,
        ["ec.example", "*.ec.example", "10.0.0.9"]
    );
    assert_eq!(certificate.thumbprint.len(), 40);
    let days = certificate.not_after.duration_since(certificate.not_before);
    assert_eq!(days.unwrap().as_secs() / (24 * 60 * 60), 36500);

    let bound = Bound::new(&[("rsa.example:443", text(RSA, RSA_PKCS1))]);
    let subject = &bound.store.infos()[0].certificates[0].subject;
    assert_eq!(subject, "CN=rsa.example,O=Example\\, Inc.");
}

#[test]
fn every_form_of_key_and_file_serves() {
    let folder = Folder::new();
    let both = [EC, EC_SEC1].concat();
    let pkcs12 = |name: &str, content, password: &str| {
        TlsBinding::new(CertificateSource::Pkcs12 {
            path: folder.with(name, content),
            password: password.into(),
        })
    };
    let (chain, one) = (folder.with("ec.crt", EC), folder.with("one.pem", &both));
    let sec1 = folder.with("ec.key", EC_SEC1);
    for (binding, name, certificate) in [
        (text(RSA, RSA_PKCS1), "rsa.example", RSA),
        (text(EC, EC_SEC1), "ec.example", EC),
        (text([EC_SEC1, EC].concat(), EC_SEC1), "ec.example", EC),
        (files(&chain, &sec1), "ec.example", EC),
        (files(&one, &one), "ec.example", EC),
        (pkcs12("a.p12", EC_PKCS12, "secret"), "ec.example", EC),
        (pkcs12("b.p12", EC_PKCS12_NO_PASSWORD, ""), "ec.example", EC),
    ] {
        let bound = Bound::new(&[("0.0.0.0:443", binding)]);
        let certificate = crate::tls::pem::read(None, certificate)
            .unwrap()
            .certificates;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate[0].clone()).unwrap();
        let client = rustls::ClientConfig::builder_with_provider(crate::tls::provider::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut wire = Wire::new(&Arc::new(client), name, &bound.bindings());
        wire.settle().unwrap();
        assert_eq!(wire.shown(), &certificate[0]);
    }
}

#[test]
fn a_chain_is_brought_into_order() {
    let root = Authority::new("root");
    let middle = root.intermediate("middle");
    let low = middle.intermediate("low");
    let leaf = low.issue("h", 1);
    let stranger = Authority::new("stranger");
    let client = Arc::new(client(&[&root.certificate], &[&TLS13]));
    let chain = [&leaf.certificate, &low.certificate, &middle.certificate];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 0, 2]] {
        let mut pem = stranger.certificate.pem();
        for index in order {
            pem.push_str(&chain[index].pem());
        }
        let binding = text(pem, leaf.key.serialize_pem());
        let bound = Bound::new(&[("0.0.0.0:443", binding)]);
        let wire = Wire::established(&client, &bound.bindings());
        let shown = wire.client.peer_certificates().unwrap();
        assert_eq!(shown, chain.map(|certificate| certificate.der().clone()));
    }
}

#[test]
fn the_file_and_what_is_wrong_with_it_are_named() {
    use CertificateErrorKind as Kind;
    let folder = Folder::new();
    let identity = Identity::self_signed("h");
    let pem = |name: &str, chain: &[u8], key: &[u8]| {
        files(
            &folder.with(&format!("{name}.crt"), chain),
            &folder.with(&format!("{name}.key"), key),
        )
    };
    let pkcs12 = |name: &str, content: &[u8], password: &str| {
        TlsBinding::new(CertificateSource::Pkcs12 {
            path: folder.with(name, content),
            password: password.into(),
        })
    };
    let with = |change: &dyn Fn(&mut TlsBinding)| {
        let mut binding = identity.binding();
        change(&mut binding);
        binding
    };
    let cut = &EC[..EC.len() / 2];
    let certificate = identity.certificate.pem();
    let certificate = certificate.as_bytes();
    let authorities = |file: &Path, revocation_lists: Option<PathBuf>| {
        ClientCertificates::Require(CertificateAuthorities {
            file: file.into(),
            revocation_lists,
        })
    };
    let missing = folder.0.path().join("missing.pem");
    let good = folder.with("authority.pem", certificate);
    let empty = folder.with("empty.pem", "");
    type Check = fn(&Kind) -> bool;
    let cases: Vec<(TlsBinding, Option<&str>, Check)> = vec![
        (files(&missing, &good), Some("missing.pem"), |it| {
            matches!(it, Kind::Read(_))
        }),
        (files(&good, &missing), Some("missing.pem"), |it| {
            matches!(it, Kind::Read(_))
        }),
        (files(folder.0.path(), &good), None, |it| {
            matches!(it, Kind::Read(_))
        }),
        (pem("a", b"", EC_SEC1), Some("a.crt"), |it| {
            matches!(it, Kind::NoCertificate)
        }),
        (pem("b", b"\x30\x82", EC_SEC1), Some("b.crt"), |it| {
            matches!(it, Kind::NoCertificate)
        }),
        (pem("c", cut, EC_SEC1), Some("c.crt"), |it| {
            matches!(it, Kind::Pem(_))
        }),
        (pem("d", EC, EC), Some("d.key"), |it| {
            matches!(it, Kind::NoKey)
        }),
        (pem("e", EC, EC_ENCRYPTED), Some("e.key"), |it| {
            matches!(it, Kind::EncryptedKey)
        }),
        (pem("f", EC, EC_ENCRYPTED_OLD), Some("f.key"), |it| {
            matches!(it, Kind::EncryptedKey)
        }),
        (pem("g", EC, RSA_PKCS1), Some("g.crt"), |it| {
            matches!(it, Kind::KeyMismatch)
        }),
        (
            pem(
                "h",
                EC,
                b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            ),
            Some("h.key"),
            |it| matches!(it, Kind::Key(_)),
        ),
        (
            pem(
                "i",
                b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                EC_SEC1,
            ),
            Some("i.crt"),
            |it| matches!(it, Kind::Certificate(_)),
        ),
        (pkcs12("j.p12", EC_PKCS12, "wrong"), Some("j.p12"), |it| {
            matches!(it, Kind::Pkcs12Password)
        }),
        (pkcs12("k.p12", b"nothing", ""), Some("k.p12"), |it| {
            matches!(it, Kind::Pkcs12(_))
        }),
        (text(certificate, EC_SEC1), None, |it| {
            matches!(it, Kind::KeyMismatch)
        }),
        (
            TlsBinding::new(CertificateSource::Directory(folder.0.path().into())),
            None,
            |it| matches!(it, Kind::WrongSource),
        ),
        (
            with(&|it| (it.tls12, it.tls13) = (false, false)),
            None,
            |it| matches!(it, Kind::NoVersion),
        ),
        (
            with(&|it| {
                it.protocols = HttpProtocols {
                    http1: false,
                    http2: false,
                }
            }),
            None,
            |it| matches!(it, Kind::NoProtocol),
        ),
        (
            with(&|it| it.ocsp_response = Some(missing.clone())),
            Some("missing.pem"),
            |it| matches!(it, Kind::Read(_)),
        ),
        (
            with(&|it| it.ocsp_response = Some(good.clone())),
            Some("authority.pem"),
            |it| matches!(it, Kind::NoOcspResponse),
        ),
        (
            with(&|it| it.client_certificates = authorities(&missing, None)),
            Some("missing.pem"),
            |it| matches!(it, Kind::Read(_)),
        ),
        (
            with(&|it| it.client_certificates = authorities(&empty, None)),
            Some("empty.pem"),
            |it| matches!(it, Kind::NoCertificate),
        ),
        (
            with(&|it| it.client_certificates = authorities(&good, Some(empty.clone()))),
            Some("empty.pem"),
            |it| matches!(it, Kind::NoRevocationList),
        ),
    ];
    for (binding, file, check) in cases {
        let error = refused(&binding);
        assert!(check(&error.kind), "{error:?}");
        let text = error.to_string();
        if let Some(file) = file {
            assert!(text.contains(file), "{text}");
        }
        // The cause's words are the cause's.
        if let Some(source) = error.source() {
            assert!(!text.contains(&source.to_string()), "{text}");
        }
    }
}

#[test]
fn a_directory_serves_what_is_good_in_it() {
    let folder = Folder::new();
    let [a, b, c] = ["a", "b", "c"].map(Identity::self_signed);
    folder.with("a.pem", a.pem());
    folder.with("b.crt", b.certificate.pem());
    folder.with("b.key", b.key.serialize_pem());
    std::fs::create_dir(folder.0.path().join("c")).unwrap();
    folder.with("c/fullchain.pem", c.certificate.pem());
    folder.with("c/privkey.pem", c.key.serialize_pem());
    std::fs::create_dir(folder.0.path().join("empty")).unwrap();
    folder.with("broken.pem", "nothing");
    folder.with("without-key.crt", a.certificate.pem());
    folder.with("README", "nothing");
    let directory = CertificateSource::Directory(folder.0.path().into());
    let binding = TlsBinding::new(directory);
    let bound = Bound::new(&[("ccs:443", binding)]);
    assert_eq!(bound.store.infos()[0].certificates.len(), 3);
    for (name, identity) in [("a", &a), ("b", &b), ("c", &c)] {
        let client = Arc::new(client(&[&identity.certificate], &[&TLS13]));
        let mut wire = Wire::new(&client, name, &bound.bindings());
        wire.settle().unwrap();
        assert_eq!(wire.shown(), &identity.der());
    }
}

#[test]
fn a_certificate_is_found_by_its_thumbprint() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (one, two) = (Identity::self_signed("one"), Identity::self_signed("two"));
    std::fs::write(path("one.pem"), one.pem()).unwrap();
    std::fs::create_dir(path("two")).unwrap();
    std::fs::write(path("two/fullchain.pem"), two.pem()).unwrap();
    std::fs::write(path("two/privkey.pem"), two.pem()).unwrap();
    std::fs::write(path("broken.pem"), "nothing").unwrap();
    let thumbprint = |identity: &Identity| {
        let digest = sha1_smol::Sha1::from(identity.der().as_ref()).digest();
        digest.to_string().to_uppercase()
    };
    let find = |thumbprint: &str| crate::tls::find_certificate(folder.path(), thumbprint).unwrap();
    let whole = path("one.pem");
    assert_eq!(find(&thumbprint(&one)), Some((whole.clone(), whole)));
    let parts = (path("two/fullchain.pem"), path("two/privkey.pem"));
    assert_eq!(find(&thumbprint(&two)), Some(parts));
    assert_eq!(find(&"0".repeat(40)), None);
    assert!(crate::tls::find_certificate(&path("missing"), &thumbprint(&one)).is_err());
}
