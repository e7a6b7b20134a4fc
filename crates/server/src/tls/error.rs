//! Why bindings cannot be had with the protocols and the security they ask for.

use std::fmt;

/// Why what is asked of https bindings, or of a binding's protocols, cannot be. The caller's fault.
///
/// What is wrong with a certificate itself is the driver's to find; see
/// [`Error::Certificate`](crate::Error::Certificate).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SslError {
    /// An https binding has no certificate.
    CertificateMissing {
        /// The binding.
        binding: String,
    },
    /// An https binding speaks neither TLS 1.2 nor TLS 1.3.
    NoVersion {
        /// The binding.
        binding: String,
    },
    /// A binding offers neither HTTP/1.1 nor HTTP/2.
    NoProtocol {
        /// The binding.
        binding: String,
    },
    /// A Unix socket is to have TLS, or protocols of its own.
    UnixSocket {
        /// The binding.
        binding: String,
    },
    /// Two bindings share a place that can have one set of options only, and ask for different ones.
    Conflict {
        /// What they share: a TLS binding such as `0.0.0.0:443`, or a port.
        place: String,
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
}

impl SslError {
    /// What to do about it.
    pub(crate) fn way_out(&self) -> &'static str {
        match self {
            Self::CertificateMissing { .. } => {
                "set `certificate` in the SSL options of the server or of the binding, bind one with `tidegate http \
                 add sslcert`, or set `binding_options.configure_ssl_certificate` to false when the driver has one"
            }
            Self::NoVersion { .. } => "let `tls13` be true",
            Self::NoProtocol { .. } => "name `http1`, `http2` or both",
            Self::UnixSocket { .. } => "leave its SSL options and protocols out",
            Self::Conflict { .. } => {
                "give both the same SSL options, protocols and `proxy_protocol`, or another port or name to one"
            }
        }
    }
}

impl fmt::Display for SslError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CertificateMissing { binding } => {
                write!(formatter, "{binding} has no certificate")
            }
            Self::NoVersion { binding } => {
                write!(formatter, "{binding} speaks no version of TLS")
            }
            Self::NoProtocol { binding } => {
                write!(formatter, "{binding} speaks no version of HTTP")
            }
            Self::UnixSocket { binding } => write!(
                formatter,
                "{binding} has neither TLS nor a choice of protocols or PROXY headers"
            ),
            Self::Conflict {
                place,
                first,
                second,
            } => write!(
                formatter,
                "{first} and {second} share {place}, yet not their SSL options, protocols and PROXY headers"
            ),
        }
    }
}

impl std::error::Error for SslError {}
