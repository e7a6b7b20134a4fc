//! TLS bindings: which certificate answers where, and what is known of a connection that it secured.
//!
//! Words only. A backend reads the certificates, chooses between bindings and speaks TLS.
//! Source: HTTP Server API, `HTTP_SERVICE_CONFIG_SSL_SET` and `HTTP_SSL_PROTOCOL_INFO`;
//! http-server-api §10.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::SystemTime;

use bytes::Bytes;

use crate::url_prefix::canonical_host_name;

/// What a certificate is bound to. One certificate for each key.
///
/// Of several that fit a connection, the first of this order is taken: the exact local address, the
/// exact name, the name with a wildcard label, a directory, the wildcard address of the connection's
/// family, `[::]` for IPv4 as well where there is no `0.0.0.0`. Source: http-server-api §10.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum TlsBindingKey {
    /// `10.0.0.4:443`, `0.0.0.0:443`, `[::]:443`: the local address a connection arrived at.
    Address(SocketAddr),
    /// `name:443` or `*.name:443`: the name that the client asks for (SNI), in lower case.
    Name {
        /// The name; its first label may be `*`.
        name: Box<str>,
        /// The port.
        port: u16,
    },
    /// `ccs:443`: names found in the certificates of a directory.
    Directory {
        /// The port.
        port: u16,
    },
}

impl TlsBindingKey {
    /// The port it is about.
    pub fn port(&self) -> u16 {
        match self {
            Self::Address(address) => address.port(),
            Self::Name { port, .. } | Self::Directory { port } => *port,
        }
    }
}

impl FromStr for TlsBindingKey {
    type Err = TlsKeyError;

    /// Reads `address:port`, `name:port`, `*.name:port` or `ccs:port`.
    fn from_str(text: &str) -> Result<Self, TlsKeyError> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return match address.port() {
                0 => Err(TlsKeyError { text: text.into() }),
                _ => Ok(Self::Address(address)),
            };
        }
        let refuse = || TlsKeyError { text: text.into() };
        let (name, port) = text.rsplit_once(':').ok_or_else(refuse)?;
        let port = match port.parse::<u16>() {
            Ok(port) if port != 0 => port,
            _ => return Err(refuse()),
        };
        if name == "ccs" {
            return Ok(Self::Directory { port });
        }
        let (star, rest) = match name.strip_prefix("*.") {
            Some(rest) => ("*.", rest),
            None => ("", name),
        };
        let rest = canonical_host_name(rest).ok_or_else(refuse)?;
        Ok(Self::Name {
            name: format!("{star}{rest}").into(),
            port,
        })
    }
}

impl fmt::Display for TlsBindingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(formatter),
            Self::Name { name, port } => write!(formatter, "{name}:{port}"),
            Self::Directory { port } => write!(formatter, "ccs:{port}"),
        }
    }
}

/// A text that names no place for a certificate. The caller's fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsKeyError {
    /// The text refused.
    pub text: Box<str>,
}

impl fmt::Display for TlsKeyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "`{}` is no TLS binding: write an address and port, `name:port`, `*.name:port` or `ccs:port`",
            self.text
        )
    }
}

impl std::error::Error for TlsKeyError {}

/// A certificate and the rules of connections that it secures.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TlsBinding {
    /// Where chain and key come from. Files are read again when they change.
    pub certificate: CertificateSource,
    /// A DER-encoded OCSP response to staple, in a file that is read again when it changes. Default none.
    pub ocsp_response: Option<PathBuf>,
    /// Whether clients show a certificate. Default off. Source: the flag `NEGOTIATE_CLIENT_CERT`.
    pub client_certificates: ClientCertificates,
    /// The versions of HTTP offered. Default both. Source: the flag `DISABLE_HTTP2`.
    pub protocols: HttpProtocols,
    /// Whether TLS 1.2 is spoken. Default true. Source: the flag `DISABLE_TLS12`.
    pub tls12: bool,
    /// Whether TLS 1.3 is spoken. Default true. Source: the flag `DISABLE_TLS13`.
    pub tls13: bool,
    /// Whether clients may resume sessions by tickets. Default true. Source: the flag
    /// `ENABLE_SESSION_TICKET`, which there is off.
    pub session_tickets: bool,
    /// Whether clients may resume sessions that the server keeps. Default true. Source: the flag
    /// `DISABLE_SESSION_ID`.
    pub session_ids: bool,
    /// Whether handshakes are refused that come to this binding. Default false. Source: the flag `REJECT`.
    pub reject: bool,
}

impl TlsBinding {
    /// A binding with this certificate and the defaults.
    pub fn new(certificate: CertificateSource) -> Self {
        Self {
            certificate,
            ocsp_response: None,
            client_certificates: ClientCertificates::Off,
            protocols: HttpProtocols::default(),
            tls12: true,
            tls13: true,
            session_tickets: true,
            session_ids: true,
            reject: false,
        }
    }
}

/// Where a certificate chain and its private key come from.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum CertificateSource {
    /// PEM files; may be one and the same. Blocks may come in any order, the leaf is the one the key
    /// belongs to. Keys: PKCS#8, PKCS#1, SEC1, not encrypted.
    Pem {
        /// The file with the certificates.
        chain: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
    /// PEM text in memory.
    PemText {
        /// The certificates.
        chain: Bytes,
        /// The key.
        key: Bytes,
    },
    /// A PKCS#12 file.
    Pkcs12 {
        /// The file.
        path: PathBuf,
        /// Its password; empty when it has none.
        password: String,
    },
    /// A directory of certificates, for [`TlsBindingKey::Directory`]: each `NAME.pem` with chain and
    /// key, `NAME.crt` beside `NAME.key`, or folder with `fullchain.pem` and `privkey.pem`. Which names
    /// a certificate answers for is found in it.
    Directory(PathBuf),
}

// Neither keys nor passwords belong in a log.
impl fmt::Debug for CertificateSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem { chain, key } => formatter
                .debug_struct("Pem")
                .field("chain", chain)
                .field("key", key)
                .finish(),
            Self::PemText { .. } => formatter.debug_struct("PemText").finish_non_exhaustive(),
            Self::Pkcs12 { path, .. } => formatter
                .debug_struct("Pkcs12")
                .field("path", path)
                .finish_non_exhaustive(),
            Self::Directory(path) => formatter.debug_tuple("Directory").field(path).finish(),
        }
    }
}

/// Whether clients show a certificate.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClientCertificates {
    /// They are not asked for one.
    #[default]
    Off,
    /// They may show one; it must be issued by one of these.
    Request(CertificateAuthorities),
    /// They must show one, issued by one of these.
    Require(CertificateAuthorities),
}

/// Authorities whose client certificates are trusted, and what they have revoked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateAuthorities {
    /// A PEM file with their certificates.
    pub file: PathBuf,
    /// A PEM file with certificate revocation lists; `None`: revocation is not checked.
    pub revocation_lists: Option<PathBuf>,
}

/// Which versions of HTTP a binding offers: by ALPN over TLS, by prior knowledge without.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HttpProtocols {
    /// HTTP/1.1 (and 1.0).
    pub http1: bool,
    /// HTTP/2.
    pub http2: bool,
}

impl HttpProtocols {
    /// HTTP/1.1 alone.
    pub const HTTP1: Self = Self {
        http1: true,
        http2: false,
    };
    /// HTTP/2 alone.
    pub const HTTP2: Self = Self {
        http1: false,
        http2: true,
    };
    /// Both.
    pub const BOTH: Self = Self {
        http1: true,
        http2: true,
    };
}

impl Default for HttpProtocols {
    fn default() -> Self {
        Self::BOTH
    }
}

/// A binding as it is now, for whoever looks after it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TlsBindingInfo {
    /// What it is bound to.
    pub key: TlsBindingKey,
    /// The certificates in use: one, or those of a directory.
    pub certificates: Vec<CertificateInfo>,
}

impl TlsBindingInfo {
    /// What a backend knows of a binding.
    pub fn new(key: TlsBindingKey, certificates: Vec<CertificateInfo>) -> Self {
        Self { key, certificates }
    }
}

/// What is to be known of a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateInfo {
    /// Its subject, as RFC 4514 writes it.
    pub subject: String,
    /// The host names and addresses it is good for.
    pub names: Vec<String>,
    /// SHA-1 over it, in lower-case hexadecimal: the thumbprint.
    pub thumbprint: String,
    /// From when it is good.
    pub not_before: SystemTime,
    /// Until when it is good.
    pub not_after: SystemTime,
}

/// What secures a connection. Source: `HTTP_SSL_PROTOCOL_INFO`, `HttpRequestPropertySni`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite, by its IANA name: `TLS_AES_128_GCM_SHA256`.
    pub cipher_suite: &'static str,
    /// The group of the key exchange, by its IANA name: `x25519`; `None` when a session was resumed without one.
    pub key_exchange: Option<&'static str>,
    /// The name that the client asked for (SNI), at most 255 bytes; `None`: it named none.
    pub server_name: Option<Box<str>>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// The certificates that the client showed, verified, in DER, its own first; empty: none.
    pub client_certificates: Vec<Bytes>,
}

impl TlsInfo {
    /// What a backend knows of a connection's security.
    pub fn new(version: &'static str, cipher_suite: &'static str) -> Self {
        Self {
            version,
            cipher_suite,
            key_exchange: None,
            server_name: None,
            resumed: false,
            client_certificates: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_written() {
        for text in [
            "10.0.0.4:443",
            "0.0.0.0:443",
            "[::]:443",
            "h:443",
            "*.example.com:8443",
            "ccs:443",
        ] {
            assert_eq!(
                text.parse::<TlsBindingKey>().unwrap().to_string(),
                text,
                "{text}"
            );
        }
        let name: TlsBindingKey = "ExAmple.COM:443".parse().unwrap();
        assert_eq!(name.to_string(), "example.com:443");
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_text() {
        for text in [
            "",
            "443",
            "h",
            "h:",
            "h:0",
            "h:65536",
            "a b:443",
            "*.:443",
            "1.2.3.4:0",
        ] {
            let error = text.parse::<TlsBindingKey>().unwrap_err();
            assert!(error.to_string().contains(text), "{text}");
        }
    }
}
