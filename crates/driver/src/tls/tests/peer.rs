//! The two ends: `rustls`' client, and a [`Session`] with what arrived there; and certificates for both.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use tidegate_httpapi::{CertificateSource, TlsBinding};

use crate::tls::bindings::Bindings;
use crate::tls::provider::provider;
use crate::tls::session::{Failure, FailureKind, Session, StepEvent};
use crate::tls::store::Store;

pub(super) const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A certificate with its key.
pub(super) struct Identity {
    pub(super) certificate: rcgen::Certificate,
    pub(super) key: KeyPair,
}

impl Identity {
    pub(super) fn self_signed(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, key }
    }

    pub(super) fn pem(&self) -> String {
        self.certificate.pem() + &self.key.serialize_pem()
    }

    pub(super) fn binding(&self) -> TlsBinding {
        TlsBinding::new(CertificateSource::PemText {
            chain: self.certificate.pem().into(),
            key: self.key.serialize_pem().into(),
        })
    }

    pub(super) fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    pub(super) fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }
}

/// An authority.
pub(super) struct Authority {
    pub(super) certificate: rcgen::Certificate,
    pub(super) issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = Self::params(name);
        let certificate = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        Self {
            certificate,
            issuer,
        }
    }

    /// One that this one has made.
    pub(super) fn intermediate(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = Self::params(name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let issuer = Issuer::new(params, key);
        Self {
            certificate,
            issuer,
        }
    }

    pub(super) fn issue(&self, name: &str, serial: u64) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.serial_number = Some(serial.into());
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { certificate, key }
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new([]).unwrap();
        let subject = &mut params.distinguished_name;
        subject.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }
}

/// A store whose snapshots are kept.
pub(super) struct Bound {
    pub(super) store: Store,
    published: Arc<Mutex<Bindings>>,
}

impl Bound {
    pub(super) fn new(bindings: &[(&str, TlsBinding)]) -> Self {
        // Looked at by hand.
        let bound = Self::looking_every(Duration::from_secs(100_000));
        for (key, binding) in bindings {
            bound.store.add(&key.parse().unwrap(), binding).unwrap();
        }
        bound
    }

    pub(super) fn looking_every(interval: Duration) -> Self {
        let published = Arc::new(Mutex::new(Bindings::default()));
        let place = Arc::clone(&published);
        Self {
            store: Store::new(interval, move |bindings| {
                *place.lock().unwrap() = bindings;
            }),
            published,
        }
    }

    pub(super) fn bindings(&self) -> Bindings {
        self.published.lock().unwrap().clone()
    }
}

/// One certificate for whatever comes.
pub(super) fn only(binding: TlsBinding) -> Bindings {
    Bound::new(&[("0.0.0.0:443", binding)]).bindings()
}

/// A client that trusts these.
pub(super) fn client(
    trusted: &[&rcgen::Certificate],
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add(certificate.der().clone()).unwrap();
    }
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// The same client for all versions, with a certificate of its own.
pub(super) fn client_showing(trusted: &rcgen::Certificate, own: &Identity) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der().clone()).unwrap();
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![own.der()], own.key_der())
        .unwrap()
}

pub(super) fn write(path: &Path, content: impl AsRef<[u8]>) {
    std::fs::write(path, content).unwrap();
}

/// A connection between the two, in memory.
pub(super) struct Wire {
    pub(super) client: ClientConnection,
    pub(super) session: Session,
    pub(super) bindings: Bindings,
    pub(super) local: SocketAddr,
    /// What the server has decrypted.
    pub(super) received: Vec<u8>,
    /// What has happened at the server, but for plaintext.
    pub(super) events: Vec<StepEvent>,
    /// Ciphertext of the server that is not with the client yet.
    pub(super) out: Vec<u8>,
}

impl Wire {
    pub(super) fn new(client: &Arc<ClientConfig>, name: &'static str, bindings: &Bindings) -> Self {
        let name = ServerName::try_from(name).unwrap();
        Self {
            client: ClientConnection::new(Arc::clone(client), name).unwrap(),
            session: Session::default(),
            bindings: bindings.clone(),
            local: "10.0.0.4:443".parse().unwrap(),
            received: Vec::new(),
            events: Vec::new(),
            out: Vec::new(),
        }
    }

    /// One that has shaken hands.
    pub(super) fn established(client: &Arc<ClientConfig>, bindings: &Bindings) -> Self {
        let mut wire = Self::new(client, "h", bindings);
        wire.settle().unwrap();
        assert!(wire.session.is_established(), "{:?}", wire.events);
        wire
    }

    /// What the client has to send.
    pub(super) fn take_from_client(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    /// Gives ciphertext to the server.
    pub(super) fn give_server(&mut self, bytes: &mut [u8]) {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let step = self
                .session
                .receive(bytes, &self.bindings, self.local, &mut self.out);
            match step.event {
                StepEvent::Incomplete => assert_eq!(step.consumed, bytes.len()),
                StepEvent::Nothing => assert!(step.consumed > 0),
                StepEvent::Plaintext(range) => {
                    assert!(range.end <= step.consumed);
                    self.received.extend_from_slice(&bytes[range]);
                }
                StepEvent::PlaintextKept => {
                    self.received.extend_from_slice(&self.session.take_kept());
                }
                StepEvent::Failed(failure) => {
                    self.events.push(StepEvent::Failed(failure));
                    return;
                }
                event => self.events.push(event),
            }
            bytes = &mut bytes[step.consumed..];
        }
    }

    /// Gives the server's ciphertext to the client.
    pub(super) fn give_client(&mut self) -> Result<(), rustls::Error> {
        let bytes = std::mem::take(&mut self.out);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            if self.client.read_tls(&mut rest).unwrap() == 0 {
                break;
            }
            self.client.process_new_packets()?;
        }
        Ok(())
    }

    /// Goes on until neither has anything to say.
    pub(super) fn settle(&mut self) -> Result<(), rustls::Error> {
        loop {
            let mut bytes = self.take_from_client();
            if bytes.is_empty() && self.out.is_empty() {
                return Ok(());
            }
            self.give_server(&mut bytes);
            self.give_client()?;
        }
    }

    pub(super) fn client_says(&mut self, bytes: &[u8]) {
        self.client.writer().write_all(bytes).unwrap();
    }

    /// What the client has decrypted.
    pub(super) fn client_hears(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = self.client.reader().read(&mut piece) {
            bytes.extend_from_slice(&piece[..count]);
        }
        bytes
    }

    pub(super) fn server_says(&mut self, pieces: &[&[u8]]) {
        self.session.encrypt(pieces, &mut self.out).unwrap();
    }

    /// How the session has failed.
    pub(super) fn failure(&self) -> &FailureKind {
        match self.events.last() {
            Some(StepEvent::Failed(Failure { kind })) => kind,
            _ => panic!("it has not failed: {:?}", self.events),
        }
    }

    /// The subject's names of the certificate that the server showed.
    pub(super) fn shown(&self) -> &CertificateDer<'static> {
        &self.client.peer_certificates().unwrap()[0]
    }
}

/// Numbers that look random and are the same each time.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn below(&mut self, end: usize) -> usize {
        // Steele and Vigna's constants of a linear congruential generator.
        self.0 = self.0.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
        (self.0 >> 33) as usize % end
    }
}
