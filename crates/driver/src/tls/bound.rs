//! A certificate and its rules, ready for handshakes.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoClientAuth, NoServerSessionStorage, ProducesTickets, ResolvesServerCert,
    ServerSessionMemoryCache, StoresServerSessions, WebPkiClientVerifier,
};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tidegate_httpapi::{CertificateAuthorities, ClientCertificates, HttpProtocols, TlsBinding};

use super::certificate::Certificate;
use super::error::{CertificateError, CertificateErrorKind as Kind};
use super::files::Files;
use super::pem;
use super::provider::{provider, ticketer};

/// What a handshake is done with: one certificate and the rules of its binding.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(super) config: Arc<ServerConfig>,
    pub(super) protocols: HttpProtocols,
    /// Whether it refuses.
    pub(super) rejects: bool,
}

/// The sessions of a binding that clients may resume.
///
/// Each binding has its own: a session that one binding has made is none for another, which may ask for
/// client certificates where that one did not. They stay when a certificate is renewed.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    ticketer: Arc<dyn ProducesTickets>,
    cache: Arc<dyn StoresServerSessions>,
}

impl Sessions {
    pub(super) fn new() -> Result<Self, CertificateError> {
        Ok(Self {
            ticketer: ticketer().map_err(|error| CertificateError::new(None, Kind::Tls(error)))?,
            cache: ServerSessionMemoryCache::new(CACHED_SESSIONS_MAX),
        })
    }
}

/// The rules of a binding, but for the certificate.
pub(super) struct Rules<'a> {
    binding: &'a TlsBinding,
    versions: Vec<&'static SupportedProtocolVersion>,
    verifier: Arc<dyn ClientCertVerifier>,
    ocsp_response: Option<Vec<u8>>,
}

impl<'a> Rules<'a> {
    /// Reads what a binding names besides its certificate.
    pub(super) fn load(
        binding: &'a TlsBinding,
        files: &mut Files,
    ) -> Result<Self, CertificateError> {
        let versions = [
            (binding.tls13, &rustls::version::TLS13),
            (binding.tls12, &rustls::version::TLS12),
        ];
        let versions: Vec<_> = versions
            .into_iter()
            .filter_map(|(is_spoken, version)| is_spoken.then_some(version))
            .collect();
        if versions.is_empty() {
            return Err(CertificateError::new(None, Kind::NoVersion));
        }
        if !binding.protocols.http1 && !binding.protocols.http2 {
            return Err(CertificateError::new(None, Kind::NoProtocol));
        }
        let verifier = match &binding.client_certificates {
            ClientCertificates::Request(authorities) => verifier(authorities, false, files)?,
            ClientCertificates::Require(authorities) => verifier(authorities, true, files)?,
            _ => Arc::new(NoClientAuth),
        };
        let ocsp_response = match &binding.ocsp_response {
            Some(path) => Some(ocsp_response(path, files)?),
            None => None,
        };
        Ok(Self {
            binding,
            versions,
            verifier,
            ocsp_response,
        })
    }

    /// A certificate under these rules.
    pub(super) fn bind(
        &self,
        certificate: &Certificate,
        sessions: &Sessions,
    ) -> Result<Bound, CertificateError> {
        let mut identity =
            CertifiedKey::new(certificate.chain.clone(), Arc::clone(&certificate.key));
        identity.ocsp.clone_from(&self.ocsp_response);
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&self.versions)
            .map_err(|error| CertificateError::new(None, Kind::Tls(error)))?
            .with_client_cert_verifier(Arc::clone(&self.verifier))
            .with_cert_resolver(Arc::new(NotesName(identity.into())));
        let protocols = self.binding.protocols;
        // In the order of preference.
        config.alpn_protocols = [(protocols.http2, HTTP2), (protocols.http1, HTTP1)]
            .into_iter()
            .filter(|(is_spoken, _)| *is_spoken)
            .map(|(_, name)| name.to_vec())
            .collect();
        config.session_storage = match self.binding.session_ids {
            true => Arc::clone(&sessions.cache),
            false => Arc::new(NoServerSessionStorage {}),
        };
        if self.binding.session_tickets {
            config.ticketer = Arc::clone(&sessions.ticketer);
            config.send_tls13_tickets = TICKETS;
        } else {
            config.send_tls13_tickets = 0;
        }
        // 0-RTT is off: what comes with it can be played again by whoever recorded it (RFC 8446 §8).
        config.max_early_data_size = 0;
        config.send_half_rtt_data = false;
        // `records` takes the keys over.
        config.enable_secret_extraction = true;
        Ok(Bound {
            config: Arc::new(config),
            protocols,
            rejects: self.binding.reject,
        })
    }
}

/// One certificate for whomever the client asks for; and a note of that.
///
/// The connection that is given bytes does not tell it, and looking into the hello beforehand costs as much
/// as one handshake in twenty.
#[derive(Debug)]
struct NotesName(SingleCertAndKey);

thread_local! {
    /// The name in the hello that this thread has seen last.
    static ASKED: Cell<Option<Box<str>>> = const { Cell::new(None) };
}

impl ResolvesServerCert for NotesName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        ASKED.set(hello.server_name().map(Into::into));
        self.0.resolve(hello)
    }
}

/// The name in the hello that this thread's handshake has just seen. Once.
pub(super) fn take_asked() -> Option<Box<str>> {
    ASKED.take()
}

fn verifier(
    authorities: &CertificateAuthorities,
    is_required: bool,
    files: &mut Files,
) -> Result<Arc<dyn ClientCertVerifier>, CertificateError> {
    let path = authorities.file.as_path();
    let mut roots = RootCertStore::empty();
    for certificate in pem::read(Some(path), &files.read(path)?)?.certificates {
        roots
            .add(certificate)
            .map_err(|error| CertificateError::new(Some(path), Kind::Tls(error)))?;
    }
    if roots.is_empty() {
        return Err(CertificateError::new(Some(path), Kind::NoCertificate));
    }
    let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let mut blamed = path;
    if let Some(path) = &authorities.revocation_lists {
        let lists = pem::read(Some(path), &files.read(path)?)?.revocation_lists;
        if lists.is_empty() {
            return Err(CertificateError::new(Some(path), Kind::NoRevocationList));
        }
        verifier = verifier.with_crls(lists);
        blamed = path;
    }
    if !is_required {
        verifier = verifier.allow_unauthenticated();
    }
    match verifier.build() {
        Ok(verifier) => Ok(verifier),
        Err(error) => Err(CertificateError::new(Some(blamed), Kind::Verifier(error))),
    }
}

fn ocsp_response(path: &Path, files: &mut Files) -> Result<Vec<u8>, CertificateError> {
    let response = files.read(path)?;
    // RFC 6960 §4.2.1: a sequence, and nothing behind it. Whether it is a good answer, clients judge.
    match x509_parser::der_parser::parse_der(&response) {
        Ok(([], value)) if value.as_sequence().is_ok() => Ok(response),
        _ => Err(CertificateError::new(Some(path), Kind::NoOcspResponse)),
    }
}

/// HTTP/2's name in ALPN (RFC 9113 §3.1).
pub(super) const HTTP2: &[u8] = b"h2";
/// HTTP/1.1's (RFC 7301 §6).
const HTTP1: &[u8] = b"http/1.1";
/// Tickets given in a TLS 1.3 handshake: a client may use each once, and opens two connections at a time.
const TICKETS: usize = 2;
/// Sessions kept for clients of TLS 1.2 that know no tickets.
const CACHED_SESSIONS_MAX: usize = 4096;
