//! Signed tokens, and the keys they are signed with: from files, and from their issuer.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use tidegate_admission::jwt::{Jwt, JwtAlgorithm, JwtError, JwtKeyError, JwtKeys, JwtSettings};
use tidegate_httpapi::Exchange;
use tokio::runtime::Handle;

use super::Found;
use super::issuer::Issuer;
use crate::admission::error::AdmissionError;
use crate::admission::events::{TokenValidation, ask};
use crate::admission::settings::JwtOptions;
use crate::component::Shared;
use crate::event::AuthDecision;

pub(super) struct Tokens {
    jwt: Jwt,
    options: JwtOptions,
    issuer: Option<Issuer>,
    /// When the files were last changed. Held while keys are put together, so that the newest come last; the
    /// issuer's lock may be taken meanwhile.
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
        let issuer = Issuer::new(options)?;
        if files(options).next().is_none() && issuer.is_none() {
            let what = "needs `jwk_set_url`, `jwk_set_file`, `public_key_file` or `secret_file`";
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
            issuer,
            changed: Mutex::new(changed),
        })
    }

    /// Begins to ask the issuer for keys, if there is one, with what a predecessor knows to begin with.
    pub(super) fn begin(self: &Arc<Self>, before: Option<&Self>, runtime: &Handle) {
        let Some(issuer) = &self.issuer else { return };
        if let Some(before) = before.and_then(|before| before.issuer.as_ref()) {
            issuer.inherit(before);
            if let Some(set) = issuer.set()
                && let Err(error) = self.take_set(&set)
            {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "the issuer's keys cannot be kept");
            }
        }
        issuer.begin(self, runtime);
    }

    pub(super) fn issuer(&self) -> Option<&Issuer> {
        self.issuer.as_ref()
    }

    /// Takes the keys of the issuer's set from now on, besides those of the files.
    pub(super) fn take_set(&self, set: &[u8]) -> Result<(), AdmissionError> {
        let _held = self.changed();
        self.jwt.set_keys(self.read(Some(set))?);
        Ok(())
    }

    /// Reads the files again when one has changed.
    pub(super) fn refresh(&self) {
        let mut known = self.changed();
        let found = changed(&self.options);
        if *known == found {
            return;
        }
        let set = self.issuer.as_ref().and_then(Issuer::set);
        match self.read(set.as_deref()) {
            Ok(keys) => self.jwt.set_keys(keys),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "keys for tokens stay as they were");
            }
        }
        *known = found;
    }

    fn read(&self, set: Option<&[u8]>) -> Result<JwtKeys, AdmissionError> {
        let mut keys = read(&self.options)?;
        if let (Some(set), Some(url)) = (set, &self.options.jwk_set_url) {
            let added = keys.add_jwk_set(set, false);
            added.map_err(|error| AdmissionError::Keys {
                path: url.into(),
                error,
            })?;
        }
        Ok(keys)
    }

    fn changed(&self) -> MutexGuard<'_, Vec<Option<SystemTime>>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn check(&self, shared: &Shared, exchange: &Exchange<'_>, token: &str) -> Found {
        let result = self.jwt.check(token, SystemTime::now());
        let decision = match shared.events().watches_tokens() {
            false => AuthDecision::ByList,
            true => {
                let validation = TokenValidation {
                    token,
                    result: result.as_ref().map_err(|error| *error),
                };
                let asked = ask(shared, exchange, |events, request| {
                    events.on_token_validation(request, &validation)
                });
                match asked {
                    Ok(decision) => decision,
                    Err(refusal) => return Found::Refused(refusal),
                }
            }
        };
        match (decision, result) {
            (AuthDecision::Refuse, _) => WRONG_TOKEN,
            // A name goes into logs and fields.
            (_, Ok(claims))
                if claims
                    .subject()
                    .is_some_and(|name| name.chars().any(char::is_control)) =>
            {
                WRONG_TOKEN
            }
            (_, Ok(claims)) => Found::Token(Box::new(claims)),
            (AuthDecision::Accept, Err(_)) => Found::TokenHolder,
            (AuthDecision::ByList, Err(JwtError::UnknownKey)) if self.misses_key() => Found::Busy,
            (AuthDecision::ByList, Err(error)) => {
                tracing::debug!(%error, "a token is refused");
                WRONG_TOKEN
            }
        }
    }

    fn misses_key(&self) -> bool {
        let issuer = self.issuer.as_ref();
        issuer.is_some_and(|issuer| issuer.misses_key(Instant::now()))
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

const WRONG_TOKEN: Found = Found::Wrong {
    is_stale: false,
    is_token: true,
};

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
