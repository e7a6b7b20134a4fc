//! What secures a server's https bindings: the component's SSL and SSLOptions.
//!
//! Plain values. What they come to at the driver is in `plan`, putting that into effect in
//! `configuration`, how a settings file says it in `file`. TLS itself is the driver's.
//! Source: the component's SSL, SSLOptions, Bindings and BindingOptions; http-server-api §10.

mod configuration;
mod error;
pub(crate) mod file;
mod plan;

use std::path::PathBuf;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_httpapi::{CertificateSource, ClientCertificates, HttpProtocols, TlsBinding};

pub(crate) use self::configuration::Configuration;
pub use self::error::SslError;
pub(crate) use self::plan::Plan;

/// Whether host and port are https, and what secures all https bindings that have no options of their
/// own. Source: the component's SSL and SSLOptions.
///
/// In a settings file this is the table `[ssl]`: `enabled`, which is true where nothing is said of it,
/// and the options, with the certificate as `certificate` and `key`, as `pkcs12` and `password`, or as
/// `directory`. `ssl = true` alone has the default options.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SslSettings {
    /// Whether the one binding that host and port form is https. Default false.
    pub enabled: bool,
    /// Certificate and rules of https bindings that have none of their own.
    pub options: SslOptions,
}

/// A certificate, and the rules of connections that it secures. Source: the component's SSLOptions, whose
/// Hash and CertStoreName name a certificate in the store of Windows; here it is a file or a directory.
///
/// ```
/// use tidegate::{Binding, HttpProtocols, Server, SslOptions};
///
/// # fn main() -> Result<(), tidegate::BindingError> {
/// let shop = SslOptions::pem("shop.crt", "shop.key");
/// let builder = Server::builder()
///     .ssl_options(SslOptions::directory("/etc/tidegate/certificates"))
///     .bindings([
///         Binding::https("+", 443, "/")?,
///         Binding::https("shop.example.com", 443, "/")?.with_ssl(shop),
///         Binding::new("+", 80, "/")?.with_protocols(HttpProtocols::HTTP1),
///     ]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SslOptions {
    /// Where chain and key come from. Default `None`: a start with an https binding that needs it fails.
    ///
    /// Files are read again a few seconds after they have changed, and by
    /// [`Server::reload_certificates`](crate::Server::reload_certificates). A directory answers by the
    /// name that a client asks for; one that names none, as a client that was given an address does, gets
    /// no certificate from it.
    pub certificate: Option<CertificateSource>,
    /// A file with a DER-encoded OCSP response to staple, read again as it changes. Default none.
    pub ocsp_response: Option<PathBuf>,
    /// Whether clients show a certificate. Default off.
    pub client_certificates: ClientCertificates,
    /// Whether TLS 1.2 is spoken. Default true.
    pub tls12: bool,
    /// Whether TLS 1.3 is spoken. Default true.
    pub tls13: bool,
    /// Whether clients may resume sessions by tickets. Default true.
    pub session_tickets: bool,
}

impl Default for SslOptions {
    fn default() -> Self {
        Self {
            certificate: None,
            ocsp_response: None,
            client_certificates: ClientCertificates::Off,
            tls12: true,
            tls13: true,
            session_tickets: true,
        }
    }
}

impl SslOptions {
    /// A chain and its key in PEM files, which may be one and the same.
    pub fn pem(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self::of(CertificateSource::Pem {
            chain: chain.into(),
            key: key.into(),
        })
    }

    /// A chain and its key as PEM text.
    pub fn pem_text(chain: impl Into<Bytes>, key: impl Into<Bytes>) -> Self {
        Self::of(CertificateSource::PemText {
            chain: chain.into(),
            key: key.into(),
        })
    }

    /// A chain and its key in a PKCS#12 file; the password is empty when it has none.
    pub fn pkcs12(path: impl Into<PathBuf>, password: impl Into<String>) -> Self {
        Self::of(CertificateSource::Pkcs12 {
            path: path.into(),
            password: password.into(),
        })
    }

    /// A directory of certificates, each of which answers for the names in it: `NAME.pem` with chain and
    /// key, `NAME.crt` beside `NAME.key`, or a folder with `fullchain.pem` and `privkey.pem`.
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self::of(CertificateSource::Directory(path.into()))
    }

    fn of(certificate: CertificateSource) -> Self {
        Self {
            certificate: Some(certificate),
            ..Self::default()
        }
    }

    /// These options as the driver takes them; `None` without a certificate.
    fn binding(&self, protocols: HttpProtocols) -> Option<TlsBinding> {
        let mut binding = TlsBinding::new(self.certificate.clone()?);
        binding.ocsp_response.clone_from(&self.ocsp_response);
        binding.client_certificates = self.client_certificates.clone();
        binding.protocols = protocols;
        binding.tls12 = self.tls12;
        binding.tls13 = self.tls13;
        binding.session_tickets = self.session_tickets;
        Some(binding)
    }
}

/// What starting does for bindings besides listening. Source: the component's BindingOptions.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BindingOptions {
    /// Whether the server gives the driver the certificates of its https bindings. Default true.
    ///
    /// False: whoever set up the [driver](crate::ServerBuilder::backend) has done so.
    pub configure_ssl_certificate: bool,
}

impl Default for BindingOptions {
    fn default() -> Self {
        Self {
            configure_ssl_certificate: true,
        }
    }
}
