//! A certificate that is kept for an address, a name or a port, with its rules.

use std::path::PathBuf;
use std::{fmt, fs, io};

use tidegate_httpapi::{
    ApiError, CertificateAuthorities, CertificateInfo, CertificateSource, ClientCertificates,
    TlsBinding, TlsBindingKey,
};

use crate::embedded;

/// A certificate bound to an address, a name or a port, for all servers that read the store.
///
/// Source: `HTTP_SERVICE_CONFIG_SSL_SET`; http-server-api §10.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HttpCertificate {
    /// What it is bound to.
    pub key: TlsBindingKey,
    /// Where chain and key come from.
    pub source: HttpCertificateSource,
    /// The program that it belongs to, a GUID in braces; for people only. Default all zeros.
    pub app_id: String,
    /// Whom client certificates must be issued by, a PEM file. Default `None`: clients are not asked for one.
    /// Source: the flag `NEGOTIATE_CLIENT_CERT`.
    pub client_authorities: Option<PathBuf>,
    /// What these have revoked, a PEM file. Default `None`: revocation is not checked.
    pub client_revocation_lists: Option<PathBuf>,
    /// A DER-encoded OCSP response to staple. Default none.
    pub ocsp_response: Option<PathBuf>,
    /// Whether handshakes are refused. Default false.
    pub reject: bool,
    /// Whether HTTP/2 is spoken. Default true.
    pub http2: bool,
    /// Whether TLS 1.2 is spoken. Default true.
    pub tls12: bool,
    /// Whether TLS 1.3 is spoken. Default true.
    pub tls13: bool,
    /// Whether the OCSP response is stapled. Default true.
    pub ocsp_stapling: bool,
    /// Whether clients may resume sessions by tickets. Default true.
    pub session_tickets: bool,
    /// Whether clients may resume sessions that the server keeps. Default true.
    pub session_ids: bool,
}

/// Where the chain and the key of a kept certificate come from.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HttpCertificateSource {
    /// PEM files; may be one and the same.
    Pem {
        /// The file with the certificates.
        chain: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
    /// A PKCS#12 file.
    Pkcs12 {
        /// The file.
        path: PathBuf,
        /// A file with its password, whose last line end does not count; `None` when it has none.
        password_file: Option<PathBuf>,
    },
    /// The certificate of a folder that has this thumbprint: as `NAME.pem`, `NAME.crt` beside `NAME.key`, or a
    /// folder with `fullchain.pem` and `privkey.pem`.
    Thumbprint {
        /// SHA-1 over the certificate, in lower-case hexadecimal.
        thumbprint: String,
        /// The folder.
        folder: PathBuf,
    },
    /// All certificates of such a folder, each for the names in it; for a [`TlsBindingKey::Directory`].
    Folder(PathBuf),
}

impl HttpCertificate {
    /// A certificate with the defaults.
    pub fn new(key: TlsBindingKey, source: HttpCertificateSource) -> Self {
        Self {
            key,
            source,
            app_id: "{00000000-0000-0000-0000-000000000000}".to_owned(),
            client_authorities: None,
            client_revocation_lists: None,
            ocsp_response: None,
            reject: false,
            http2: true,
            tls12: true,
            tls13: true,
            ocsp_stapling: true,
            session_tickets: true,
            session_ids: true,
        }
    }

    /// What a driver binds. Looks for a certificate that is named by its thumbprint, and reads passwords.
    ///
    /// # Errors
    ///
    /// There is no such certificate, or a file cannot be read.
    pub fn binding(&self) -> Result<TlsBinding, ApiError> {
        let source = match &self.source {
            HttpCertificateSource::Pem { chain, key } => CertificateSource::Pem {
                chain: chain.clone(),
                key: key.clone(),
            },
            HttpCertificateSource::Pkcs12 {
                path,
                password_file,
            } => CertificateSource::Pkcs12 {
                path: path.clone(),
                password: match password_file {
                    Some(file) => self.password(file)?,
                    None => String::new(),
                },
            },
            HttpCertificateSource::Thumbprint { thumbprint, folder } => {
                let found = embedded::find_certificate(folder, thumbprint);
                let found =
                    found.map_err(|error| self.unusable(folder.clone(), Fault::Read(error)))?;
                let none = || Fault::NoThumbprint(thumbprint.clone());
                let (chain, key) = found.ok_or_else(|| self.unusable(folder.clone(), none()))?;
                CertificateSource::Pem { chain, key }
            }
            HttpCertificateSource::Folder(folder) => CertificateSource::Directory(folder.clone()),
        };
        let mut binding = TlsBinding::new(source);
        if self.ocsp_stapling {
            binding.ocsp_response.clone_from(&self.ocsp_response);
        }
        if let Some(file) = &self.client_authorities {
            binding.client_certificates = ClientCertificates::Request(CertificateAuthorities {
                file: file.clone(),
                revocation_lists: self.client_revocation_lists.clone(),
            });
        }
        binding.protocols.http2 = self.http2;
        binding.tls12 = self.tls12;
        binding.tls13 = self.tls13;
        binding.session_tickets = self.session_tickets;
        binding.session_ids = self.session_ids;
        binding.reject = self.reject;
        Ok(binding)
    }

    /// Reads all that belongs to it, and tells the certificates that it would serve with now.
    ///
    /// # Errors
    ///
    /// Something cannot be used; the cause says which file and why.
    pub fn certificates(&self) -> Result<Vec<CertificateInfo>, ApiError> {
        embedded::read_tls_binding(&self.key, &self.binding()?)
    }

    /// Whether all of it can be written: a store is text.
    pub(super) fn check_paths(&self) -> Result<(), ApiError> {
        let (one, two) = match &self.source {
            HttpCertificateSource::Pem { chain, key } => (Some(chain), Some(key)),
            HttpCertificateSource::Pkcs12 {
                path,
                password_file,
            } => (Some(path), password_file.as_ref()),
            HttpCertificateSource::Thumbprint { folder, .. }
            | HttpCertificateSource::Folder(folder) => (Some(folder), None),
        };
        let paths = [
            one,
            two,
            self.client_authorities.as_ref(),
            self.client_revocation_lists.as_ref(),
            self.ocsp_response.as_ref(),
        ];
        match paths
            .into_iter()
            .flatten()
            .all(|path| path.to_str().is_some())
        {
            true => Ok(()),
            false => Err(ApiError::NotSupported {
                what: "a path in the store that is not UTF-8",
            }),
        }
    }

    fn password(&self, file: &PathBuf) -> Result<String, ApiError> {
        let text = fs::read_to_string(file);
        let text = text.map_err(|error| self.unusable(file.clone(), Fault::Read(error)))?;
        // Editors end the last line; a password does not contain that.
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn unusable(&self, path: PathBuf, fault: Fault) -> ApiError {
        ApiError::Certificate {
            key: self.key.clone(),
            source: Box::new(Unusable { path, fault }),
        }
    }
}

/// A file or folder that a certificate should be in.
#[derive(Debug)]
struct Unusable {
    path: PathBuf,
    fault: Fault,
}

#[derive(Debug)]
enum Fault {
    Read(io::Error),
    NoThumbprint(String),
}

impl fmt::Display for Unusable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.fault {
            Fault::Read(_) => write!(formatter, "{path} cannot be read"),
            Fault::NoThumbprint(thumbprint) => write!(
                formatter,
                "no certificate in {path} has the thumbprint {thumbprint} and a key beside it"
            ),
        }
    }
}

impl std::error::Error for Unusable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            Fault::Read(error) => Some(error),
            Fault::NoThumbprint(_) => None,
        }
    }
}
