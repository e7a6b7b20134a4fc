//! Reads all that a binding names, and makes it ready for handshakes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_httpapi::{
    ApiError, CertificateInfo, CertificateSource, ClientCertificates, TlsBinding, TlsBindingKey,
};

use super::bindings::BindingsBuilder;
use super::bound::{Bound, Rules, Sessions};
use super::certificate::Certificate;
use super::error::{CertificateError, CertificateErrorKind as Kind};
use super::files::Files;
use super::store::refusal;

/// A binding as it serves.
pub(super) struct Loaded {
    sessions: Sessions,
    pub(super) certificates: Vec<Usable>,
    /// What of a directory could not be used.
    pub(super) skipped: Vec<CertificateError>,
}

/// A certificate that serves.
pub(super) struct Usable {
    pub(super) bound: Arc<Bound>,
    certificate: Certificate,
    /// Which file of a directory it is from.
    file: Option<PathBuf>,
}

impl Usable {
    pub(super) fn info(&self) -> &CertificateInfo {
        &self.certificate.info
    }
}

/// A reading of a binding: of what files, and what came of it.
pub(super) struct Reading {
    pub(super) files: Files,
    pub(super) result: Result<Loaded, CertificateError>,
}

impl Reading {
    /// Reads a binding. `before` is the same binding, or what it was before, with the files it came from:
    /// sessions that clients have of it stay good where the rules for clients are the same.
    pub(super) fn of(
        key: &TlsBindingKey,
        binding: &TlsBinding,
        before: Option<(&TlsBinding, &Files, &Loaded)>,
    ) -> Self {
        let mut files = Files::default();
        let result = load(key, binding, before, &mut files);
        Self { files, result }
    }
}

impl Loaded {
    /// Puts it into a snapshot.
    pub(super) fn publish(&self, key: &TlsBindingKey, bindings: &mut BindingsBuilder) {
        for usable in &self.certificates {
            match key {
                TlsBindingKey::Directory { port } => {
                    let names = usable.info().names.iter().map(String::as_str);
                    bindings.add_of_directory(*port, names, &usable.bound);
                }
                _ => bindings.add(key, &usable.bound),
            }
        }
    }
}

fn load(
    key: &TlsBindingKey,
    binding: &TlsBinding,
    before: Option<(&TlsBinding, &Files, &Loaded)>,
    files: &mut Files,
) -> Result<Loaded, CertificateError> {
    let is_directory = matches!(key, TlsBindingKey::Directory { .. });
    let rules = Rules::load(binding, files)?;
    let mut found = match &binding.certificate {
        CertificateSource::Directory(path) if is_directory => directory(path, files)?,
        source if !is_directory => Found {
            certificates: vec![(None, Certificate::load(source, files)?)],
            skipped: Vec::new(),
        },
        _ => return Err(CertificateError::new(None, Kind::WrongSource)),
    };
    if let Some((old, _, loaded)) = before
        && old.certificate == binding.certificate
    {
        found.keep(loaded);
    }
    let sessions = match before {
        Some((old, old_files, loaded)) if same_clients(old, old_files, binding, files) => {
            loaded.sessions.clone()
        }
        _ => Sessions::new()?,
    };
    let mut certificates = Vec::with_capacity(found.certificates.len());
    for (file, certificate) in found.certificates {
        certificates.push(Usable {
            bound: Arc::new(rules.bind(&certificate, &sessions)?),
            certificate,
            file,
        });
    }
    Ok(Loaded {
        sessions,
        certificates,
        skipped: found.skipped,
    })
}

/// What a source holds: certificates with the file of a directory each is from, and what cannot be used.
struct Found {
    certificates: Vec<(Option<PathBuf>, Certificate)>,
    skipped: Vec<CertificateError>,
}

impl Found {
    /// Keeps what served before from a file that is still there but cannot be used now.
    fn keep(&mut self, before: &Loaded) {
        for usable in &before.certificates {
            let Some(file) = &usable.file else {
                continue;
            };
            let is_found = |(found, _): &(Option<PathBuf>, _)| found.as_ref() == Some(file);
            if !self.certificates.iter().any(is_found) && file.exists() {
                let kept = (Some(file.clone()), usable.certificate.clone());
                self.certificates.push(kept);
            }
        }
    }
}

/// Reads the certificates that a binding would serve with now, and all that belongs to them, for who wants to know
/// whether it could: nothing is bound.
///
/// # Errors
///
/// It could not.
pub fn read_tls_binding(
    key: &TlsBindingKey,
    binding: &TlsBinding,
) -> Result<Vec<CertificateInfo>, ApiError> {
    let loaded = Reading::of(key, binding, None).result;
    let loaded = loaded.map_err(|error| refusal(key, error))?;
    let infos = loaded
        .certificates
        .iter()
        .map(|usable| usable.info().clone());
    Ok(infos.collect())
}

/// The certificate of a directory that has this thumbprint, as files of chain and key. What of the directory cannot
/// be used is passed over.
///
/// # Errors
///
/// The directory cannot be read.
pub fn find_certificate(
    folder: &Path,
    thumbprint: &str,
) -> std::io::Result<Option<(PathBuf, PathBuf)>> {
    std::fs::read_dir(folder)?;
    let mut files = Files::default();
    let Ok(entries) = files.entries(folder) else {
        return Ok(None);
    };
    let found = pairs(entries, &mut files).into_iter().find(|(chain, key)| {
        Certificate::of_pem_files(chain, key, &mut files)
            .is_ok_and(|certificate| certificate.info.thumbprint.eq_ignore_ascii_case(thumbprint))
    });
    Ok(found)
}

/// Whether a client that was let in before would be let in now: resuming a session asks no more.
fn same_clients(old: &TlsBinding, old_files: &Files, new: &TlsBinding, new_files: &Files) -> bool {
    let authorities = match &new.client_certificates {
        ClientCertificates::Request(authorities) | ClientCertificates::Require(authorities) => {
            authorities
        }
        _ => return matches!(old.client_certificates, ClientCertificates::Off),
    };
    let is_same = |path: &Path| old_files.digest(path) == new_files.digest(path);
    old.client_certificates == new.client_certificates
        && is_same(&authorities.file)
        && authorities.revocation_lists.as_deref().is_none_or(is_same)
}

/// The certificates of a directory, and what is wrong with others in it.
fn directory(path: &Path, files: &mut Files) -> Result<Found, CertificateError> {
    let mut found = Found {
        certificates: Vec::new(),
        skipped: Vec::new(),
    };
    for (chain, key) in pairs(files.entries(path)?, files) {
        match Certificate::of_pem_files(&chain, &key, files) {
            Ok(certificate) if certificate.info.names.is_empty() => {
                let error = CertificateError::new(Some(&chain), Kind::NoNames);
                found.skipped.push(error);
            }
            Ok(certificate) => found.certificates.push((Some(chain), certificate)),
            Err(error) => found.skipped.push(error),
        }
    }
    Ok(found)
}

/// `NAME.pem`; `NAME.crt` with `NAME.key`; a folder with `fullchain.pem` and `privkey.pem`.
fn pairs(entries: Vec<PathBuf>, files: &mut Files) -> Vec<(PathBuf, PathBuf)> {
    let mut pairs = Vec::new();
    for entry in entries {
        match entry.extension().and_then(|extension| extension.to_str()) {
            _ if entry.is_dir() => {
                // Seen as well, so that a file that comes to be in it is noticed.
                let _ = files.entries(&entry);
                let (chain, key) = (entry.join("fullchain.pem"), entry.join("privkey.pem"));
                if chain.exists() || key.exists() {
                    pairs.push((chain, key));
                }
            }
            Some("pem") => pairs.push((entry.clone(), entry)),
            Some("crt") => {
                let key = entry.with_extension("key");
                pairs.push((entry, key));
            }
            _ => {}
        }
    }
    pairs
}
