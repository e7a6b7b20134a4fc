//! A certificate chain with its key, and what is to be known of it.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::SigningKey;
use tidegate_httpapi::{CertificateInfo, CertificateSource};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::distinguished_name;
use super::error::{CertificateError, CertificateErrorKind as Kind};
use super::files::Files;
use super::pem::{self, Blocks};
use super::provider::provider;

/// A certificate chain with its key.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    /// The server's own first, then each one's issuer.
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: Arc<dyn SigningKey>,
    pub(super) info: CertificateInfo,
}

impl Certificate {
    /// Reads the one certificate of a source that is no directory.
    pub(super) fn load(
        source: &CertificateSource,
        files: &mut Files,
    ) -> Result<Self, CertificateError> {
        match source {
            CertificateSource::Pem { chain, key } => Self::of_pem_files(chain, key, files),
            CertificateSource::PemText { chain, key } => {
                let certificates = pem::read(None, chain)?;
                Self::of_blocks(None, certificates, None, pem::read(None, key)?)
            }
            CertificateSource::Pkcs12 { path, password } => {
                Self::of_pkcs12(path, &files.read(path)?, password)
            }
            _ => Err(CertificateError::new(None, Kind::WrongSource)),
        }
    }

    /// Reads PEM files; both may be the same.
    pub(super) fn of_pem_files(
        chain: &Path,
        key: &Path,
        files: &mut Files,
    ) -> Result<Self, CertificateError> {
        let certificates = pem::read(Some(chain), &files.read(chain)?)?;
        let keys = pem::read(Some(key), &files.read(key)?)?;
        Self::of_blocks(Some(chain), certificates, Some(key), keys)
    }

    fn of_blocks(
        chain_path: Option<&Path>,
        chain: Blocks,
        key_path: Option<&Path>,
        keys: Blocks,
    ) -> Result<Self, CertificateError> {
        if keys.keys.is_empty() {
            let kind = match keys.has_encrypted_key {
                true => Kind::EncryptedKey,
                false => Kind::NoKey,
            };
            return Err(CertificateError::new(key_path, kind));
        }
        Self::assemble(chain_path, chain.certificates, key_path, keys.keys)
    }

    fn of_pkcs12(path: &Path, content: &[u8], password: &str) -> Result<Self, CertificateError> {
        use p12_keystore::error::Error;
        let archive =
            p12_keystore::Pkcs12Archive::from_pkcs12(content, password).map_err(|error| {
                let kind = match error {
                    // A wrong password shows first where the whole is authenticated.
                    Error::MacError(_) => Kind::Pkcs12Password,
                    error => Kind::Pkcs12(error),
                };
                CertificateError::new(Some(path), kind)
            })?;
        let certificates = archive
            .certs
            .iter()
            .map(|bag| CertificateDer::from(bag.cert.as_der().to_vec()))
            .collect();
        let keys: Vec<_> = archive
            .keys
            .iter()
            .map(|bag| PrivatePkcs8KeyDer::from(bag.key.as_der().to_vec()).into())
            .collect();
        if keys.is_empty() {
            return Err(CertificateError::new(Some(path), Kind::NoKey));
        }
        Self::assemble(Some(path), certificates, Some(path), keys)
    }

    /// Finds the certificate that belongs to a key, and those that lead from it to its authority.
    fn assemble(
        chain_path: Option<&Path>,
        certificates: Vec<CertificateDer<'static>>,
        key_path: Option<&Path>,
        keys: Vec<PrivateKeyDer<'static>>,
    ) -> Result<Self, CertificateError> {
        let refuse = |kind| Err(CertificateError::new(chain_path, kind));
        if certificates.is_empty() {
            return refuse(Kind::NoCertificate);
        }
        let mut parsed = Vec::with_capacity(certificates.len());
        for certificate in &certificates {
            match X509Certificate::from_der(certificate) {
                Ok((_, certificate)) => parsed.push(certificate),
                Err(error) => {
                    let error = match error {
                        x509_parser::nom::Err::Error(error)
                        | x509_parser::nom::Err::Failure(error) => error,
                        x509_parser::nom::Err::Incomplete(_) => {
                            x509_parser::error::X509Error::InvalidCertificate
                        }
                    };
                    return refuse(Kind::Certificate(error));
                }
            }
        }
        for key in keys {
            let key = provider()
                .key_provider
                .load_private_key(key)
                .map_err(|error| CertificateError::new(key_path, Kind::Key(error)))?;
            let public = key.public_key();
            let leaf = (0..parsed.len())
                .filter(|index| Some(parsed[*index].public_key().raw) == public.as_deref())
                // Renewed with the same key, the older one may still be there.
                .max_by_key(|index| parsed[*index].validity().not_after.timestamp());
            if let Some(leaf) = leaf {
                let order = order(&parsed, leaf);
                return Ok(Self {
                    chain: order
                        .into_iter()
                        .map(|index| certificates[index].clone())
                        .collect(),
                    key,
                    info: info(&parsed[leaf], &certificates[leaf]),
                });
            }
        }
        refuse(Kind::KeyMismatch)
    }
}

/// The leaf, its issuer, and so on; what belongs to none of them is left out.
fn order(certificates: &[X509Certificate<'_>], leaf: usize) -> Vec<usize> {
    let mut order = vec![leaf];
    let mut last = leaf;
    loop {
        let issuer = certificates[last].issuer().as_raw();
        let next = (0..certificates.len()).find(|index| {
            !order.contains(index) && certificates[*index].subject().as_raw() == issuer
        });
        match next {
            Some(next) if certificates[last].subject().as_raw() != issuer => {
                order.push(next);
                last = next;
            }
            _ => return order,
        }
    }
}

fn info(certificate: &X509Certificate<'_>, der: &[u8]) -> CertificateInfo {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names
        .iter()
        .flat_map(|extension| &extension.value.general_names);
    CertificateInfo {
        subject: distinguished_name::text(certificate.subject()),
        names: names.filter_map(name).collect(),
        thumbprint: sha1_smol::Sha1::from(der).digest().to_string(),
        not_before: time(certificate.validity().not_before.timestamp()),
        not_after: time(certificate.validity().not_after.timestamp()),
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(octets) => {
            let v4 = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
            let v6 = <[u8; 16]>::try_from(*octets).map(IpAddr::from);
            v4.or(v6).ok().map(|ip| ip.to_string())
        }
        _ => None,
    }
}

fn time(seconds: i64) -> SystemTime {
    let since = Duration::from_secs(seconds.unsigned_abs());
    let time = match seconds {
        0.. => UNIX_EPOCH.checked_add(since),
        _ => UNIX_EPOCH.checked_sub(since),
    };
    time.unwrap_or(UNIX_EPOCH)
}
