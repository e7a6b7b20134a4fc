//! TLS on the client's side: records are made and read here, and sent by whom the test likes.
//!
//! Certificates are not verified: a test looks at which one was shown.

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, ProtocolVersion, SignatureScheme,
    SupportedProtocolVersion,
};
use tidegate_httpapi::{CertificateSource, TlsBinding};

/// A certificate and its key.
pub struct Certificate(CertifiedKey<KeyPair>);

impl Certificate {
    /// A new one, signed by itself.
    pub fn new(name: &str) -> Self {
        Self(rcgen::generate_simple_self_signed([name.to_owned()]).unwrap())
    }

    /// The certificate as PEM.
    pub fn pem(&self) -> String {
        self.0.cert.pem()
    }

    /// A binding with it and the defaults.
    pub fn binding(&self) -> TlsBinding {
        TlsBinding::new(CertificateSource::PemText {
            chain: self.0.cert.pem().into(),
            key: self.0.signing_key.serialize_pem().into(),
        })
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Certificate")
            .finish_non_exhaustive()
    }
}

/// What a client offers in its hello.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// The name it asks for (SNI).
    pub name: Option<&'static str>,
    /// The protocols it offers (ALPN).
    pub protocols: &'static [&'static str],
    /// The one version it offers; `None`: TLS 1.2 and 1.3.
    pub version: Option<&'static SupportedProtocolVersion>,
    /// The certificate that it shows when it is asked for one.
    pub certificate: Option<Arc<Certificate>>,
}

impl Offer {
    /// Asks for `localhost` and offers these protocols.
    pub fn of(protocols: &'static [&'static str]) -> Self {
        Self {
            name: Some("localhost"),
            protocols,
            ..Self::default()
        }
    }
}

/// How a handshake failed.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// The server closed without saying why.
    Closed {
        /// Whether by a reset.
        reset: bool,
    },
    /// The server sent an alert, or something that is no TLS.
    Failed(Error),
}

/// The TLS of one connection.
#[derive(Debug)]
pub struct Secure {
    connection: ClientConnection,
    has_ended: bool,
}

impl Secure {
    /// A session that begins.
    pub fn new(offer: &Offer) -> Self {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = match offer.version {
            Some(version) => builder.with_protocol_versions(&[version]),
            None => builder.with_safe_default_protocol_versions(),
        };
        let builder = builder
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)));
        let mut config = match &offer.certificate {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let key = own.0.signing_key.serialize_der();
                let key = PrivateKeyDer::try_from(key).unwrap();
                let chain = vec![own.0.cert.der().clone()];
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.enable_sni = offer.name.is_some();
        let protocols = offer.protocols.iter();
        config.alpn_protocols = protocols.map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from(offer.name.unwrap_or("unnamed")).unwrap();
        let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
        connection.set_buffer_limit(None);
        Self {
            connection,
            has_ended: false,
        }
    }

    /// What is to be sent to go on with the handshake, which may be nothing.
    pub fn flight(&mut self) -> Vec<u8> {
        self.records()
    }

    /// Whether the server has yet to say something before the handshake is complete.
    pub fn shakes_hands(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Records with this in them.
    pub fn encrypt(&mut self, plain: &[u8]) -> Vec<u8> {
        self.connection.writer().write_all(plain).unwrap();
        self.records()
    }

    /// The record that says that nothing more is sent.
    pub fn close(&mut self) -> Vec<u8> {
        self.connection.send_close_notify();
        self.records()
    }

    /// What these bytes say, which may be nothing.
    ///
    /// # Errors
    ///
    /// They are no TLS, or say that the server has given up.
    pub fn decrypt(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let mut plain = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            self.connection.read_tls(&mut rest).unwrap();
            let state = self.connection.process_new_packets()?;
            let start = plain.len();
            plain.resize(start + state.plaintext_bytes_to_read(), 0);
            self.connection
                .reader()
                .read_exact(&mut plain[start..])
                .unwrap();
            self.has_ended |= state.peer_has_closed();
        }
        Ok(plain)
    }

    /// Whether the server has said that it sends nothing more.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether this is the certificate that the server has shown.
    pub fn was_shown(&self, certificate: &Certificate) -> bool {
        let shown = self.connection.peer_certificates().unwrap();
        shown[0] == *certificate.0.cert.der()
    }

    /// The protocol that was agreed upon.
    pub fn protocol(&self) -> Option<&str> {
        let protocol = self.connection.alpn_protocol();
        protocol.map(|name| std::str::from_utf8(name).unwrap())
    }

    /// The version that was agreed upon.
    pub fn version(&self) -> ProtocolVersion {
        self.connection.protocol_version().unwrap()
    }

    fn records(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut bytes).unwrap();
        }
        bytes
    }
}

/// Believes every certificate, but not every signature.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
