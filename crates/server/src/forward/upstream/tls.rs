//! TLS with an upstream: what it must prove, and what it is shown.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::embedded::tls_provider;
use crate::forward::fault::ForwardFault;
use crate::forward::settings::{UpstreamHttp2, UpstreamTls};
use crate::forward::url::UpstreamUrl;

/// How TLS connections to one upstream are made.
pub(super) struct Tls {
    name: ServerName<'static>,
    any: TlsConnector,
    /// Offers HTTP/1.1 alone.
    http1: TlsConnector,
}

impl Tls {
    pub(super) fn new(
        url: &UpstreamUrl,
        http2: UpstreamHttp2,
        options: &UpstreamTls,
    ) -> Result<Self, ForwardFault> {
        let name = options.server_name.as_deref().unwrap_or(url.address());
        let name = ServerName::try_from(name.to_owned()).map_err(|error| ForwardFault::Tls {
            key: "server_name",
            reason: format!("{name}: {error}"),
        })?;
        let config = client_config(options)?;
        let with = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            // Sessions are not shared between what offers different protocols.
            config.resumption = Resumption::in_memory_sessions(64);
            TlsConnector::from(Arc::new(config))
        };
        let any = match http2 {
            UpstreamHttp2::Auto => with(&[b"h2", b"http/1.1"]),
            UpstreamHttp2::Never => with(&[b"http/1.1"]),
            UpstreamHttp2::Always => with(&[b"h2"]),
        };
        Ok(Self {
            name,
            any,
            http1: with(&[b"http/1.1"]),
        })
    }

    /// Shakes hands. Says whether HTTP/2 was agreed upon.
    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        only_http1: bool,
    ) -> std::io::Result<(TlsStream<TcpStream>, bool)> {
        let connector = match only_http1 {
            true => &self.http1,
            false => &self.any,
        };
        let stream = connector.connect(self.name.clone(), stream).await?;
        let (_, connection) = stream.get_ref();
        let is_http2 = connection.alpn_protocol() == Some(b"h2");
        Ok((stream, is_http2))
    }
}

/// How TLS with a server is begun.
pub(crate) fn client_config(options: &UpstreamTls) -> Result<ClientConfig, ForwardFault> {
    let provider = tls_provider();
    let fault = |key: &'static str, reason: String| ForwardFault::Tls { key, reason };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| fault("ca", error.to_string()))?;
    let builder = match (&options.ca, options.danger_accept_invalid_certificates) {
        (_, true) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unverified(provider))),
        (Some(ca), false) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("ca", ca)? {
                roots
                    .add(certificate)
                    .map_err(|error| fault("ca", format!("{}: {error}", ca.display())))?;
            }
            builder.with_webpki_verifier(verifier(roots, &provider)?)
        }
        (None, false) => builder.with_webpki_verifier(verifier(system_roots()?, &provider)?),
    };
    let (Some(certificate), Some(key)) = (&options.certificate, &options.key) else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates("certificate", certificate)?;
    let key_file = key.display();
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| fault("key", format!("{key_file}: {error}")))?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| fault("certificate", format!("{}: {error}", certificate.display())))
}

fn verifier(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, ForwardFault> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| ForwardFault::Tls {
            key: "ca",
            reason: error.to_string(),
        })
}

fn certificates(
    key: &'static str,
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, ForwardFault> {
    let fault = |reason: String| ForwardFault::Tls {
        key,
        reason: format!("{}: {reason}", file.display()),
    };
    let read = CertificateDer::pem_file_iter(file).map_err(|error| fault(error.to_string()))?;
    let chain: Vec<_> = read
        .collect::<Result<_, _>>()
        .map_err(|error| fault(error.to_string()))?;
    match chain.is_empty() {
        true => Err(fault("there is no certificate in it".to_owned())),
        false => Ok(chain),
    }
}

/// Whom the system trusts; read once.
fn system_roots() -> Result<RootCertStore, ForwardFault> {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "an authority that the system trusts cannot be read");
        }
        roots.add_parsable_certificates(found.certs);
        roots
    });
    match roots.is_empty() {
        true => Err(ForwardFault::Tls {
            key: "ca",
            reason: "the system trusts no authority: name a file".to_owned(),
        }),
        false => Ok(roots.clone()),
    }
}

/// Makes TLS connections by these protocols to a server that need not prove who it is.
pub(crate) fn unverified_tls(protocols: &[&[u8]]) -> Option<TlsConnector> {
    let options = UpstreamTls {
        danger_accept_invalid_certificates: true,
        ..UpstreamTls::default()
    };
    let mut config = client_config(&options).ok()?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Some(TlsConnector::from(Arc::new(config)))
}

/// Accepts any certificate, as is asked for by a setting whose name warns of it. That whoever shows it has
/// its key is verified nevertheless.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
