//! What is in PEM text: certificates, keys, revocation lists.

use std::path::Path;

use rustls::pki_types::pem::{Error, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::error::{CertificateError, CertificateErrorKind as Kind};

/// The blocks of a PEM text that are of use here, each kind in its order.
#[derive(Default)]
pub(super) struct Blocks {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) keys: Vec<PrivateKeyDer<'static>>,
    pub(super) revocation_lists: Vec<CertificateRevocationListDer<'static>>,
    pub(super) has_encrypted_key: bool,
}

/// Reads PEM text.
pub(super) fn read(path: Option<&Path>, text: &[u8]) -> Result<Blocks, CertificateError> {
    let has = |marker: &[u8]| text.windows(marker.len()).any(|window| window == marker);
    let mut blocks = Blocks {
        has_encrypted_key: has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
            || has(b"Proc-Type: 4,ENCRYPTED"),
        ..Blocks::default()
    };
    let refuse = |error| {
        // The old way of encrypting makes a block that looks broken.
        let kind = match blocks.has_encrypted_key {
            true => Kind::EncryptedKey,
            false => Kind::Pem(error),
        };
        CertificateError::new(path, kind)
    };
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(text)
        .collect::<Result<Vec<_>, Error>>()
        .map_err(refuse)?;
    for (kind, der) in sections {
        match kind {
            SectionKind::Certificate => blocks.certificates.push(der.into()),
            SectionKind::Crl => blocks.revocation_lists.push(der.into()),
            SectionKind::PrivateKey => blocks.keys.push(PrivateKeyDer::Pkcs8(der.into())),
            SectionKind::RsaPrivateKey => blocks.keys.push(PrivateKeyDer::Pkcs1(der.into())),
            SectionKind::EcPrivateKey => blocks.keys.push(PrivateKeyDer::Sec1(der.into())),
            _ => {}
        }
    }
    Ok(blocks)
}
