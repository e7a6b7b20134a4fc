//! What is agreed upon, and what is refused.

use std::sync::{Arc, Mutex};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tidegate_httpapi::HttpProtocols;

use super::peer::{Bound, Identity, VERSIONS, Wire, client, only, write};
use crate::tls::bindings::Bindings;
use crate::tls::provider::provider;
use crate::tls::session::FailureKind;

#[test]
fn protocols_are_agreed_upon() {
    let identity = Identity::self_signed("h");
    let refused = AlertDescription::NoApplicationProtocol;
    for (bound, offered, agreed) in [
        (HttpProtocols::BOTH, &["h2", "http/1.1"][..], Ok(Some("h2"))),
        (HttpProtocols::BOTH, &["http/1.1", "h2"], Ok(Some("h2"))),
        (HttpProtocols::BOTH, &["http/1.1"], Ok(Some("http/1.1"))),
        (HttpProtocols::BOTH, &[], Ok(None)),
        (HttpProtocols::BOTH, &["h3"], Err(refused)),
        (
            HttpProtocols::HTTP1,
            &["h2", "http/1.1"],
            Ok(Some("http/1.1")),
        ),
        (HttpProtocols::HTTP1, &["h2"], Err(refused)),
        (HttpProtocols::HTTP1, &[], Ok(None)),
        (HttpProtocols::HTTP2, &["h2"], Ok(Some("h2"))),
        (HttpProtocols::HTTP2, &["http/1.1"], Err(refused)),
        (HttpProtocols::HTTP2, &[], Err(refused)),
    ] {
        let mut binding = identity.binding();
        binding.protocols = bound;
        let mut client = client(&[&identity.certificate], &VERSIONS);
        client.alpn_protocols = offered
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let mut wire = Wire::new(&Arc::new(client), "h", &only(binding));
        let result = wire.settle();
        match agreed {
            Ok(agreed) => {
                result.unwrap();
                let heard = wire.client.alpn_protocol();
                assert_eq!(heard, agreed.map(str::as_bytes), "{bound:?} {offered:?}");
                assert_eq!(wire.session.is_http2(), agreed == Some("h2"));
            }
            Err(alert) => {
                assert_eq!(result, Err(Error::AlertReceived(alert)), "{offered:?}");
                assert!(!wire.session.is_established());
            }
        }
    }
}

#[test]
fn what_was_agreed_upon_is_told() {
    let identity = Identity::self_signed("h");
    let bindings = only(identity.binding());
    for (version, name, suite) in [
        (&TLS13, "TLSv1.3", "TLS_"),
        (&TLS12, "TLSv1.2", "TLS_ECDHE_"),
    ] {
        let client = Arc::new(client(&[&identity.certificate], &[version]));
        let wire = Wire::established(&client, &bindings);
        let info = wire.session.info().unwrap();
        assert_eq!(info.version, name);
        assert!(
            info.cipher_suite.starts_with(suite),
            "{}",
            info.cipher_suite
        );
        assert_eq!(info.key_exchange, Some("x25519"));
        assert!(info.client_certificates.is_empty());
    }
}

#[test]
fn versions_are_the_bindings() {
    let identity = Identity::self_signed("h");
    for (tls12, tls13) in [(true, false), (false, true)] {
        let mut binding = identity.binding();
        (binding.tls12, binding.tls13) = (tls12, tls13);
        let bindings = only(binding);
        for (version, is_spoken) in [(&TLS12, tls12), (&TLS13, tls13)] {
            let client = Arc::new(client(&[&identity.certificate], &[version]));
            let mut wire = Wire::new(&client, "h", &bindings);
            assert_eq!(wire.settle().is_ok(), is_spoken);
        }
    }
}

#[test]
fn without_a_binding_the_handshake_fails() {
    let identity = Identity::self_signed("h");
    let client = Arc::new(client(&[&identity.certificate], &VERSIONS));
    let mut wire = Wire::new(&client, "h", &Bindings::default());
    let failed = Error::AlertReceived(AlertDescription::HandshakeFailure);
    assert_eq!(wire.settle(), Err(failed));
    assert!(matches!(wire.failure(), FailureKind::NoBinding));
}

#[test]
fn a_binding_that_rejects_refuses_every_hello() {
    let identity = Identity::self_signed("h");
    for http1 in [true, false] {
        let mut binding = identity.binding();
        binding.reject = true;
        binding.protocols.http1 = http1;
        let client = Arc::new(client(&[&identity.certificate], &VERSIONS));
        let mut wire = Wire::new(&client, "h", &only(binding));
        let refused = Error::AlertReceived(AlertDescription::AccessDenied);
        assert_eq!(wire.settle(), Err(refused));
        assert!(matches!(wire.failure(), FailureKind::Rejected));
    }
}

// Of TLS 1.2, which knows sessions that the server keeps.
#[test]
fn sessions_are_kept_or_not() {
    let identity = Identity::self_signed("h");
    let client = Arc::new(client(&[&identity.certificate], &[&TLS12]));
    for keeps_sessions in [true, false] {
        let mut binding = identity.binding();
        binding.session_tickets = false;
        binding.session_ids = keeps_sessions;
        let bindings = only(binding);
        Wire::established(&client, &bindings);
        let wire = Wire::established(&client, &bindings);
        assert_eq!(wire.session.info().unwrap().resumed, keeps_sessions);
    }
}

#[test]
fn what_is_no_tls_is_not_answered() {
    let identity = Identity::self_signed("h");
    let bindings = only(identity.binding());
    let client = Arc::new(client(&[&identity.certificate], &VERSIONS));
    for first in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x80\x2e\x01\x00\x02",
        b"\0",
        b"S",
    ] {
        let mut wire = Wire::new(&client, "h", &bindings);
        wire.give_server(&mut first.to_vec());
        assert!(matches!(wire.failure(), FailureKind::NotTls), "{first:?}");
        assert!(wire.out.is_empty());
    }
}

#[test]
fn weak_hellos_are_refused() {
    const VERSION: u8 = 70;
    const FAILURE: u8 = 40;
    let identity = Identity::self_signed("h");
    let bindings = only(identity.binding());
    let client = Arc::new(client(&[&identity.certificate], &VERSIONS));
    let strong = [0xc0, 0x2b, 0xc0, 0x2f];
    for (what, version, suites, alert) in [
        ("SSL 3.0", 0, &strong[..], VERSION),
        ("TLS 1.0", 1, &strong, VERSION),
        ("TLS 1.1", 2, &strong, VERSION),
        ("RC4", 3, &[0x00, 0x05, 0xc0, 0x11, 0xc0, 0x07], FAILURE),
        ("3DES", 3, &[0x00, 0x0a, 0xc0, 0x12], FAILURE),
        (
            "CBC",
            3,
            &[0xc0, 0x13, 0xc0, 0x14, 0xc0, 0x09, 0xc0, 0x27],
            FAILURE,
        ),
        ("no forward secrecy", 3, &[0x00, 0x9c, 0x00, 0x2f], FAILURE),
        ("anonymous", 3, &[0xc0, 0x18, 0x00, 0x34], FAILURE),
        ("no encryption", 3, &[0xc0, 0x06, 0x00, 0x02], FAILURE),
        ("export", 3, &[0x00, 0x03, 0x00, 0x08], FAILURE),
    ] {
        let mut wire = Wire::new(&client, "h", &bindings);
        wire.give_server(&mut hello(version, suites));
        assert!(matches!(wire.failure(), FailureKind::Tls(_)), "{what}");
        assert_eq!(wire.out[..], [21, 3, 3, 0, 2, 2, alert], "{what}");
    }
    // The same with a suite that is good is let in: it is the suites that were refused.
    let mut wire = Wire::new(&client, "h", &bindings);
    wire.give_server(&mut hello(3, &strong));
    assert_eq!(wire.out[0], 22);
}

#[test]
fn the_name_is_of_the_connections_own_hello() {
    let identity = Identity::self_signed("h");
    let bindings = only(identity.binding());
    let mut refused = client(&[&identity.certificate], &VERSIONS);
    refused.alpn_protocols = vec![b"h3".to_vec()];
    let refused = Arc::new(refused);
    let mut nameless = client(&[&identity.certificate], &VERSIONS);
    nameless.enable_sni = false;
    let nameless = Arc::new(nameless);
    let named = Arc::new(client(&[&identity.certificate], &VERSIONS));
    for _ in 0..2 {
        let mut wire = Wire::new(&refused, "h", &bindings);
        assert!(wire.settle().is_err());
        let mut wire = Wire::new(&nameless, "h", &bindings);
        // In records of its own each byte, so that a part of the hello comes first.
        let hello = wire.take_from_client();
        for byte in &hello[5..] {
            wire.give_server(&mut [22, 3, 1, 0, 1, *byte]);
        }
        wire.settle().unwrap();
        assert_eq!(wire.session.info().unwrap().server_name, None);
        let wire = Wire::established(&named, &bindings);
        assert_eq!(
            wire.session.info().unwrap().server_name.as_deref(),
            Some("h")
        );
    }
}

#[test]
fn a_hello_that_never_ends_is_refused() {
    let identity = Identity::self_signed("h");
    let client = Arc::new(client(&[&identity.certificate], &VERSIONS));
    let mut wire = Wire::new(&client, "h", &only(identity.binding()));
    let mut record = vec![22, 3, 1, 0x40, 0];
    record.resize(5 + 0x4000, 0);
    // A hello of 64 KiB, as far as its length says.
    record[5..9].copy_from_slice(&[1, 0, 0xff, 0xff]);
    for _ in 0..6 {
        if wire.events.is_empty() {
            wire.give_server(&mut record.clone());
        }
    }
    wire.failure();
}

#[test]
fn a_hello_may_come_in_many_records() {
    let identity = Identity::self_signed("h");
    let client = Arc::new(client(&[&identity.certificate], &VERSIONS));
    let mut wire = Wire::new(&client, "h", &only(identity.binding()));
    let hello = wire.take_from_client();
    let [_, _, _, _, _, message @ ..] = &hello[..] else {
        panic!()
    };
    for byte in message {
        wire.give_server(&mut [22, 3, 1, 0, 1, *byte]);
    }
    wire.settle().unwrap();
    assert!(wire.session.is_established());
}

#[test]
fn any_byte_of_a_hello_may_be_wrong() {
    let identity = Identity::self_signed("h");
    let bindings = only(identity.binding());
    let client = Arc::new(client(&[&identity.certificate], &VERSIONS));
    let hello = Wire::new(&client, "h", &bindings).take_from_client();
    for index in 0..hello.len() {
        for change in [1, 0x80, 0xff] {
            let mut wire = Wire::new(&client, "h", &bindings);
            let mut hello = hello.clone();
            hello[index] ^= change;
            wire.give_server(&mut hello);
            // Whatever it says to that, it says it in little.
            assert!(wire.out.len() < 4096 && !wire.session.is_established());
        }
    }
}

#[test]
fn any_byte_of_what_follows_may_be_wrong() {
    let identity = Identity::self_signed("h");
    let bindings = only(identity.binding());
    for version in VERSIONS {
        let mut client = client(&[&identity.certificate], &[version]);
        client.resumption = rustls::client::Resumption::disabled();
        let client = Arc::new(client);
        let begin = || {
            let mut wire = Wire::new(&client, "h", &bindings);
            let mut hello = wire.take_from_client();
            wire.give_server(&mut hello);
            wire.give_client().unwrap();
            let flight = wire.take_from_client();
            (wire, flight)
        };
        let length = begin().1.len();
        for index in 0..length {
            let (mut wire, mut flight) = begin();
            flight[index] ^= 1 << (index % 8);
            wire.give_server(&mut flight);
            // The version in a record's header means nothing (RFC 8446 §5.1).
            assert!(wire.out.len() < 4096);
        }
    }
}

#[test]
fn two_tickets_are_given_or_none() {
    let identity = Identity::self_signed("h");
    let client = Arc::new(client(&[&identity.certificate], &[&TLS13]));
    for (has_tickets, count) in [(true, 2), (false, 0)] {
        let mut binding = identity.binding();
        binding.session_tickets = has_tickets;
        let bindings = only(binding);
        let wire = Wire::established(&client, &bindings);
        assert_eq!(wire.client.tls13_tickets_received(), count);
        let wire = Wire::established(&client, &bindings);
        assert_eq!(wire.session.info().unwrap().resumed, has_tickets);
    }
}

#[test]
fn tickets_allow_no_early_data() {
    let identity = Identity::self_signed("h");
    let bindings = only(identity.binding());
    let mut client = client(&[&identity.certificate], &[&TLS13]);
    client.enable_early_data = true;
    let client = Arc::new(client);
    Wire::established(&client, &bindings);
    let mut wire = Wire::new(&client, "h", &bindings);
    assert!(wire.client.early_data().is_none());
    wire.settle().unwrap();
    assert!(wire.session.info().unwrap().resumed);
}

#[test]
fn an_ocsp_response_is_stapled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.ocsp");
    let response = [0x30, 0x03, 0x0a, 0x01, 0x00];
    write(&path, response);
    let identity = Identity::self_signed("h");
    let mut binding = identity.binding();
    binding.ocsp_response = Some(path);
    let bound = Bound::new(&[("h:443", binding)]);
    for version in VERSIONS {
        let verifier = Arc::new(KeepsOcsp::new(&identity));
        let client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as _)
            .with_no_client_auth();
        Wire::established(&Arc::new(client), &bound.bindings());
        assert_eq!(*verifier.seen.lock().unwrap(), response);
    }
}

/// Trusts as usual, and keeps the OCSP response.
#[derive(Debug)]
struct KeepsOcsp {
    inner: Arc<WebPkiServerVerifier>,
    seen: Mutex<Vec<u8>>,
}

impl KeepsOcsp {
    fn new(identity: &Identity) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(identity.der()).unwrap();
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        Self {
            inner: inner.build().unwrap(),
            seen: Mutex::default(),
        }
    }
}

impl ServerCertVerifier for KeepsOcsp {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.seen.lock().unwrap() = ocsp_response.to_vec();
        self.inner
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// A hello by bytes: this minor version, these suites; P-256 and ECDSA with SHA-256.
fn hello(minor: u8, suites: &[u8]) -> Vec<u8> {
    let extensions = [
        0, 10, 0, 4, 0, 2, 0, 0x17, // supported_groups
        0, 11, 0, 2, 1, 0, // ec_point_formats
        0, 13, 0, 4, 0, 2, 4, 3, // signature_algorithms
    ];
    let mut body = vec![3, minor];
    body.extend_from_slice(&[7; 32]);
    body.push(0);
    body.extend_from_slice(&(suites.len() as u16).to_be_bytes());
    body.extend_from_slice(suites);
    body.extend_from_slice(&[1, 0]);
    body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
    body.extend_from_slice(&extensions);
    let mut record = vec![22, 3, minor.min(1)];
    record.extend_from_slice(&(body.len() as u16 + 4).to_be_bytes());
    record.extend_from_slice(&[1, 0]);
    record.extend_from_slice(&(body.len() as u16).to_be_bytes());
    record.extend_from_slice(&body);
    record
}
