//! The API key of a request.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use http::HeaderName;
use tidegate_admission::api_keys::{
    self, ApiKeys, Charset, FileStorage, KeyFormat, KeyHash, KeyRefusal, KeyStorage, KeyVerdict,
    Passphrase, RefusedSettings, ValidKey, check_scope,
};
use tidegate_admission::authorization::basic_challenge;
use tidegate_admission::users::HashingCost;
use tidegate_httpapi::{Exchange, FieldBlock, PeerAddress, RequestHead, Scheme};

use super::error::AdmissionError;
use super::events::{ApiKeyRotation, ApiKeyValidation, ask};
use super::refusal::Refusal;
use super::rules::Rules;
use super::settings::{ApiKeyHash, ApiKeySettings, ApiKeyStorage};
use crate::component::Shared;
use crate::event::AuthDecision;

pub(super) struct KeyGate {
    store: Arc<ApiKeys>,
    header: String,
    query: Option<String>,
    require_https: bool,
    fail_closed: bool,
    rules: Rules<Rule>,
    challenge: [String; 1],
    rotation_grace: Duration,
    /// When keys that are due are next to be replaced, in milliseconds since the epoch.
    next_rotation: AtomicU64,
}

/// A valid key that a request has.
pub(crate) struct KnownKey {
    pub(crate) key: ValidKey,
    /// When it was found valid.
    at: SystemTime,
}

/// What becomes of a request with its key.
pub(super) enum KeyStep {
    /// It goes on; whether it needed one.
    Pass(Option<ValidKey>, bool),
    Refuse(Refusal),
    /// A slow hash has to be made, which is nothing for this thread.
    MayBlock,
}

struct Rule {
    is_required: bool,
    scope: Option<String>,
}

impl KeyGate {
    pub(super) fn open(
        settings: &ApiKeySettings,
        handler_threads: u32,
        shared: &Shared,
    ) -> Result<Self, AdmissionError> {
        let setting = |name, what| AdmissionError::Setting { name, what };
        if HeaderName::from_bytes(settings.header.as_bytes()).is_err() {
            return Err(setting("api_keys.header", "has to be the name of a field"));
        }
        let is_scope = |scope: &String| check_scope(scope).is_ok();
        if !settings
            .paths
            .iter()
            .filter_map(|path| path.scope.as_ref())
            .all(is_scope)
        {
            return Err(setting("api_keys.paths.scope", "has to be a scope"));
        }
        let rules = settings.paths.iter().map(|path| {
            let rule = Rule {
                is_required: path.required,
                scope: path.scope.clone(),
            };
            (&*path.path, rule)
        });
        let any = Rule {
            is_required: true,
            scope: None,
        };
        let store = settings.store(storage(settings, shared)?)?;
        let store = api_keys::ApiKeySettings {
            // The other handler threads stay free for requests that need no hash.
            hashing_max: (2, (handler_threads / 4) as usize),
            ..store
        };
        let store = ApiKeys::open(store, SystemTime::now()).map_err(AdmissionError::ApiKeys)?;
        Ok(Self {
            store: Arc::new(store),
            header: settings.header.clone(),
            query: settings.accept_in_query.then(|| settings.query.clone()),
            require_https: settings.require_https,
            fail_closed: settings.fail_closed,
            rules: Rules::new(rules, any),
            // RFC 9110 §15.5.2: a 401 has a challenge. There is no registered scheme for this one.
            challenge: [basic_challenge("API key").replacen("Basic", "ApiKey", 1)],
            rotation_grace: settings.rotation_grace,
            next_rotation: AtomicU64::new(0),
        })
    }

    /// Has the application told what happens to keys.
    pub(super) fn begin(&self, shared: &Arc<Shared>) {
        let shared = Arc::downgrade(shared);
        self.store.set_listener(move |event| {
            let Some(shared) = Weak::upgrade(&shared) else {
                return;
            };
            let events = shared.events();
            let told = catch_unwind(AssertUnwindSafe(|| events.on_api_key_event(event)));
            if let Err(payload) = told {
                events.panicked(None, &*payload);
            }
        });
    }

    pub(super) fn store(&self) -> &Arc<ApiKeys> {
        &self.store
    }

    pub(super) fn maintain(&self, shared: Option<&Shared>) {
        let now = SystemTime::now();
        if let Err(error) = self.store.maintain(now) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "API keys are not up to date"
            );
        }
        if let Some(shared) = shared.filter(|shared| shared.events().rotates_api_keys()) {
            self.rotate(shared, now);
        }
    }

    /// Replaces keys that are due, as far as the application takes the new ones.
    fn rotate(&self, shared: &Shared, now: SystemTime) {
        let milliseconds = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |time| {
                u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
            });
        if milliseconds < self.next_rotation.load(Ordering::Relaxed) {
            return;
        }
        let events = shared.events();
        let rotated = self.store.rotate_due(self.rotation_grace, now, |due, new| {
            let rotation = ApiKeyRotation { due, new };
            let taken = catch_unwind(AssertUnwindSafe(|| events.on_api_key_rotation(&rotation)));
            taken.unwrap_or_else(|payload| {
                events.panicked(None, &*payload);
                false
            })
        });
        let pause = match &rotated {
            Ok(report) if report.not_taken.is_empty() => ROTATE_EVERY,
            _ => ROTATE_AGAIN_AFTER,
        };
        self.next_rotation
            .store(milliseconds.saturating_add(pause), Ordering::Relaxed);
        match rotated {
            Ok(report) => {
                for id in report.not_taken {
                    tracing::warn!(key = %id, "nobody has taken the new API key; the old one goes on");
                }
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "API keys that are due are not replaced");
            }
        }
    }

    /// Whether a request's key lets it in.
    ///
    /// `known` is what [`peek`](Self::peek) has said of it just now.
    pub(super) fn judge(
        &self,
        shared: &Shared,
        exchange: &Exchange<'_>,
        known: Option<KnownKey>,
    ) -> KeyStep {
        self.decide(shared, exchange, known)
            .unwrap_or_else(KeyStep::Refuse)
    }

    /// The key that would let a request in. Nothing is counted or told.
    pub(super) fn peek(&self, exchange: &Exchange<'_>) -> Option<KnownKey> {
        let head = exchange.head();
        let key = self.given(head).ok()??;
        let may_look = (!self.require_https || head.registration.prefix.scheme == Scheme::Https)
            && (exchange.may_block() || !self.store.takes_long(&key));
        let scope = self.rules.find(head.cooked_path).scope.as_deref();
        let address = address(exchange).filter(|_| may_look)?;
        let at = SystemTime::now();
        let key = self.store.peek(&key, scope, address, at)?;
        Some(KnownKey { key, at })
    }

    fn decide(
        &self,
        shared: &Shared,
        exchange: &Exchange<'_>,
        known: Option<KnownKey>,
    ) -> Result<KeyStep, Refusal> {
        let head = exchange.head();
        let rule = self.rules.find(head.cooked_path);
        let scope = rule.scope.as_deref();
        if let Some(KnownKey { key, at }) = known {
            if self.fail_closed && !self.store.is_reliable(at) {
                return Err(Refusal::busy());
            }
            self.store.accept(&key, at);
            return self.conclude((shared, exchange), rule, (Some(key), None));
        }
        let unauthorized = || Refusal::unauthorized(&self.challenge, &FieldBlock::new());
        let Some(key) = self.given(head)? else {
            return match rule.is_required {
                true => Err(unauthorized()),
                false => Ok(KeyStep::Pass(None, false)),
            };
        };
        if self.require_https && head.registration.prefix.scheme != Scheme::Https {
            // Whether it is good is not told to who may have overheard it.
            return Err(Refusal::forbidden());
        }
        let now = SystemTime::now();
        if self.fail_closed && !self.store.is_reliable(now) {
            return Err(Refusal::busy());
        }
        let address = address(exchange).ok_or_else(unauthorized)?;
        if !exchange.may_block() && self.store.takes_long(&key) {
            return Ok(KeyStep::MayBlock);
        }
        let (verdict, known) = self.store.check(&key, scope, address, now);
        let found = match verdict {
            KeyVerdict::Accepted(key) => (Some(key), None),
            KeyVerdict::Refused(refusal) => (known, Some(refusal)),
        };
        self.conclude((shared, exchange), rule, found)
    }

    /// Has the application decide over what was found, if it wants to.
    fn conclude(
        &self,
        (shared, exchange): (&Shared, &Exchange<'_>),
        rule: &Rule,
        (key, refusal): (Option<ValidKey>, Option<KeyRefusal>),
    ) -> Result<KeyStep, Refusal> {
        let decision = match shared.events().watches_api_keys() {
            false => AuthDecision::ByList,
            true => {
                let validation = ApiKeyValidation {
                    key: key.as_ref(),
                    refusal,
                    scope: rule.scope.as_deref(),
                };
                ask(shared, exchange, |events, request| {
                    events.on_api_key_validation(request, &validation)
                })?
            }
        };
        let refusal = match (decision, refusal) {
            (AuthDecision::Accept, _) | (AuthDecision::ByList, None) => {
                return Ok(KeyStep::Pass(key, rule.is_required));
            }
            (AuthDecision::Refuse, None) => KeyRefusal::Unknown,
            (AuthDecision::Refuse | AuthDecision::ByList, Some(refusal)) => refusal,
        };
        Err(match refusal {
            KeyRefusal::Scope | KeyRefusal::Address => Refusal::forbidden(),
            KeyRefusal::Busy => Refusal::busy(),
            _ => Refusal::unauthorized(&self.challenge, &FieldBlock::new()).of_failed_proof(),
        })
    }

    /// The key that a request has. Two would be one for us and another for somebody else.
    fn given<'h>(&self, head: &RequestHead<'h>) -> Result<Option<Cow<'h, str>>, Refusal> {
        let mut found = None;
        let mut keep = |key: Cow<'h, str>| match found.replace(key) {
            None => Ok(()),
            Some(_) => Err(Refusal::malformed()),
        };
        for (name, value) in head.fields.lines() {
            // Mostly it is spelt as in the settings.
            let wanted = self.header.as_bytes();
            if name == wanted || name.eq_ignore_ascii_case(wanted) {
                let key = std::str::from_utf8(value).map_err(|_| Refusal::malformed())?;
                keep(Cow::Borrowed(key))?;
            }
        }
        if let (Some(wanted), Some(query)) = (&self.query, head.query()) {
            for (name, value) in form_urlencoded::parse(query) {
                if name == wanted.as_str() {
                    keep(value)?;
                }
            }
        }
        Ok(found)
    }
}

impl ApiKeySettings {
    /// What a store is made of by these settings, for who works on the same without a server.
    ///
    /// # Errors
    ///
    /// The format is none, or the passphrase cannot be had.
    pub fn store(
        &self,
        storage: Arc<dyn KeyStorage>,
    ) -> Result<api_keys::ApiKeySettings, AdmissionError> {
        let format = &self.format;
        let charset = Charset::ALL
            .into_iter()
            .find(|charset| charset.name() == format.charset);
        let charset = charset.ok_or(AdmissionError::Setting {
            name: "api_keys.format.charset",
            what: "is `alphanumeric`, `hex`, `unambiguous` or `base64url`",
        })?;
        let passphrase = self.passphrase_file.as_deref().map(Passphrase::of_file);
        let or_none = |time: Duration| (!time.is_zero()).then_some(time);
        Ok(api_keys::ApiKeySettings {
            passphrase: passphrase.transpose().map_err(AdmissionError::ApiKeys)?,
            format: KeyFormat {
                prefix: format.prefix.clone(),
                length: format.length as usize,
                charset,
                checksum: format.checksum,
            },
            hash: match self.hash {
                ApiKeyHash::Sha256 => KeyHash::Sha256,
                ApiKeyHash::Sha512 => KeyHash::Sha512,
                ApiKeyHash::Argon2id => KeyHash::Argon2id(HashingCost::default()),
            },
            life: or_none(self.life),
            purge_after: or_none(self.purge_after),
            sweep_every: self.sweep_interval,
            audit_entries_max: self.audit.entries.into(),
            audit_retention: Duration::from_secs(u64::from(self.audit.days) * 86_400),
            refused: RefusedSettings {
                kept: self.audit.kept as usize,
                folder: self.audit.folder.clone(),
                days: self.audit.days,
                ..RefusedSettings::default()
            },
            ..api_keys::ApiKeySettings::with_storage(storage)
        })
    }
}

fn storage(
    settings: &ApiKeySettings,
    shared: &Shared,
) -> Result<Arc<dyn KeyStorage>, AdmissionError> {
    if let Some(own) = shared.key_storage() {
        return Ok(own);
    }
    match (settings.storage, &settings.file) {
        (ApiKeyStorage::Memory, _) => Ok(shared.key_memory()),
        (ApiKeyStorage::File, Some(file)) => Ok(Arc::new(FileStorage::new(file))),
        (ApiKeyStorage::File, None) => Err(AdmissionError::Setting {
            name: "api_keys.file",
            what: "names the database, and is needed",
        }),
    }
}

fn address(exchange: &Exchange<'_>) -> Option<IpAddr> {
    match exchange.peer() {
        PeerAddress::Tcp(address) => Some(address.ip()),
        // This machine.
        PeerAddress::Unix(_) => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        PeerAddress::Unknown => None,
    }
}

/// How often it is looked which keys are due, and when again after one was not taken, in milliseconds.
const ROTATE_EVERY: u64 = 1_000;
const ROTATE_AGAIN_AFTER: u64 = 60_000;
