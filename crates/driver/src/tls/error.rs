//! What is wrong with a certificate and what belongs to it. The fault of whoever manages the files.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustls::server::VerifierBuilderError;

/// Why a certificate, its key, or what belongs to them cannot be used.
#[derive(Debug)]
pub(crate) struct CertificateError {
    /// The file it is about; `None`: text in memory, or no file at all.
    pub(crate) file: Option<PathBuf>,
    /// What is wrong with it.
    pub(crate) kind: CertificateErrorKind,
}

/// What is wrong.
#[derive(Debug)]
pub(crate) enum CertificateErrorKind {
    /// It cannot be read.
    Read(io::Error),
    /// It is longer than any file of certificates.
    TooLong {
        /// The longest that is read.
        bytes_max: u64,
    },
    /// Its PEM is broken, or ends in the middle.
    Pem(rustls::pki_types::pem::Error),
    /// There is no certificate in it.
    NoCertificate,
    /// There is no key in it.
    NoKey,
    /// The key in it is encrypted.
    EncryptedKey,
    /// The key cannot be used.
    Key(rustls::Error),
    /// A certificate cannot be read.
    Certificate(x509_parser::error::X509Error),
    /// None of its certificates belongs to the key.
    KeyMismatch,
    /// The PKCS#12 file is broken, or encrypted in a way that is not known.
    Pkcs12(p12_keystore::error::Error),
    /// The password does not open it.
    Pkcs12Password,
    /// A certificate of a directory is for no name.
    NoNames,
    /// A directory of certificates cannot be used for an address or a name, nor one certificate for a
    /// directory's binding.
    WrongSource,
    /// There is no revocation list in it.
    NoRevocationList,
    /// It is no OCSP response in DER.
    NoOcspResponse,
    /// The authorities or revocation lists cannot be used.
    Verifier(VerifierBuilderError),
    /// Neither TLS 1.2 nor 1.3 is spoken.
    NoVersion,
    /// Neither HTTP/1.1 nor HTTP/2 is spoken.
    NoProtocol,
    /// `rustls` refuses it.
    Tls(rustls::Error),
}

impl CertificateError {
    pub(super) fn new(file: Option<&Path>, kind: CertificateErrorKind) -> Self {
        Self {
            file: file.map(Path::to_path_buf),
            kind,
        }
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        use CertificateErrorKind as Kind;
        if let Some(file) = &self.file {
            write!(formatter, "{}: ", file.display())?;
        }
        let what = match &self.kind {
            Kind::Read(error) if error.kind() == io::ErrorKind::NotFound => {
                "there is no such file; check the path"
            }
            Kind::Read(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                "it may not be read; give this process' user the right to"
            }
            Kind::Read(_) => "it cannot be read",
            Kind::TooLong { bytes_max } => {
                return write!(formatter, "it is longer than {bytes_max} bytes");
            }
            Kind::Pem(_) => "its PEM is broken; is it complete?",
            Kind::NoCertificate => {
                "there is no certificate in it (`-----BEGIN CERTIFICATE-----`); DER must be turned into PEM"
            }
            Kind::NoKey => {
                "there is no private key in it (`-----BEGIN PRIVATE KEY-----`, `RSA` or `EC` before `PRIVATE`)"
            }
            Kind::EncryptedKey => {
                "its private key is encrypted; decrypt it (`openssl pkey -in FILE -out KEY`) or use PKCS#12 \
                 with a password"
            }
            Kind::Key(_) => {
                "its private key cannot be used; RSA of 2,048 to 8,192 bits, ECDSA on P-256 or P-384, and \
                 Ed25519 can"
            }
            Kind::Certificate(_) => "a certificate in it cannot be read",
            Kind::KeyMismatch => {
                "none of its certificates belongs to the private key; take the pair that was issued together"
            }
            Kind::Pkcs12(_) => "it is no PKCS#12 file that can be read",
            Kind::Pkcs12Password => "the password does not open it",
            Kind::NoNames => "its certificate names no host (`subjectAltName`)",
            Kind::WrongSource => {
                "a directory of certificates goes with `ccs:port`, and only with that"
            }
            Kind::NoRevocationList => {
                "there is no revocation list in it (`-----BEGIN X509 CRL-----`)"
            }
            Kind::NoOcspResponse => "it is no OCSP response in DER",
            Kind::Verifier(_) => "client certificates cannot be verified by it",
            Kind::NoVersion => "neither TLS 1.2 nor TLS 1.3 is on",
            Kind::NoProtocol => "neither HTTP/1.1 nor HTTP/2 is on",
            Kind::Tls(_) => "it cannot be used for TLS",
        };
        formatter.write_str(what)
    }
}

impl Error for CertificateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        use CertificateErrorKind as Kind;
        match &self.kind {
            Kind::Read(error) => Some(error),
            Kind::Pem(error) => Some(error),
            Kind::Key(error) | Kind::Tls(error) => Some(error),
            Kind::Certificate(error) => Some(error),
            Kind::Pkcs12(error) => Some(error),
            Kind::Verifier(error) => Some(error),
            _ => None,
        }
    }
}
