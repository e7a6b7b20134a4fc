//! Signed tokens, and the files of the keys they are signed with.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use tidegate_admission::jwt::{Jwt, JwtAlgorithm, JwtKeyError, JwtKeys, JwtSettings};

use super::Found;
use crate::admission::error::AdmissionError;
use crate::admission::settings::JwtOptions;

pub(super) struct Tokens {
    jwt: Jwt,
    options: JwtOptions,
    /// When the files were last changed. Nothing is called while it is held but the system.
    changed: Mutex<Vec<Option<SystemTime>>>,
}

impl Tokens {
    pub(super) fn open(options: &JwtOptions) -> Result<Self, AdmissionError> {
        let setting = |name, what| AdmissionError::Setting { name, what };
        let algorithms: Option<Vec<_>> = options
            .algorithms
            .iter()
            .map(|name| JwtAlgorithm::named(name))
            .collect();
        let algorithms = algorithms.filter(|list| !list.is_empty()).ok_or_else(|| {
            let what = "lists those your issuer signs with: HS256, RS256, PS256, ES256 and their \
                        like, EdDSA";
            setting("authentication.jwt.algorithms", what)
        })?;
        if files(options).next().is_none() {
            let what = "needs `jwk_set_file`, `public_key_file` or `secret_file`";
            return Err(setting("authentication.jwt", what));
        }
        let settings = JwtSettings {
            algorithms,
            issuers: options.issuers.clone(),
            audiences: options.audiences.clone(),
            leeway: options.leeway,
            ..JwtSettings::default()
        };
        let changed = changed(options);
        Ok(Self {
            jwt: Jwt::new(settings, read(options)?),
            options: options.clone(),
            changed: Mutex::new(changed),
        })
    }

    /// Reads the files again when one has changed.
    pub(super) fn refresh(&self) {
        let mut known = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        let found = changed(&self.options);
        if *known == found {
            return;
        }
        match read(&self.options) {
            Ok(keys) => self.jwt.set_keys(keys),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "keys for tokens stay as they were");
            }
        }
        *known = found;
    }

    pub(super) fn check(&self, token: &str) -> Found {
        match self.jwt.check(token, SystemTime::now()) {
            // A name goes into logs and fields.
            Ok(claims)
                if claims
                    .subject()
                    .is_some_and(|name| name.chars().any(char::is_control)) =>
            {
                super::WRONG
            }
            Ok(claims) => Found::Token(Box::new(claims)),
            Err(error) => {
                tracing::debug!(%error, "a token is refused");
                Found::Wrong {
                    is_stale: false,
                    is_token: true,
                }
            }
        }
    }
}

fn files(options: &JwtOptions) -> impl Iterator<Item = &PathBuf> {
    [
        &options.jwk_set_file,
        &options.public_key_file,
        &options.secret_file,
    ]
    .into_iter()
    .flatten()
}

fn changed(options: &JwtOptions) -> Vec<Option<SystemTime>> {
    let modified = |path: &PathBuf| fs::metadata(path).and_then(|file| file.modified()).ok();
    files(options).map(modified).collect()
}

type Take = dyn Fn(&mut JwtKeys, &[u8]) -> Result<(), JwtKeyError>;

fn read(options: &JwtOptions) -> Result<JwtKeys, AdmissionError> {
    let mut keys = JwtKeys::new();
    let mut add = |path: &Option<PathBuf>, take: &Take| {
        let Some(path) = path else { return Ok(()) };
        let content = content(path)?;
        take(&mut keys, &content).map_err(|error| AdmissionError::Keys {
            path: path.clone(),
            error,
        })
    };
    add(&options.jwk_set_file, &|keys, text| {
        keys.add_jwk_set(text, true).map(drop)
    })?;
    add(&options.public_key_file, &|keys, pem| {
        keys.add_pem(None, pem)
    })?;
    add(&options.secret_file, &|keys, secret| {
        keys.add_secret(None, secret)
    })?;
    Ok(keys)
}

fn content(path: &Path) -> Result<Vec<u8>, AdmissionError> {
    fs::read(path).map_err(|error| AdmissionError::KeyFile {
        path: path.to_owned(),
        error,
    })
}
