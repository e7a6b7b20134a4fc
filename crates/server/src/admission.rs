//! Who may come in: API keys, then who somebody is, before anything else of the component sees a request.
//!
//! The rules are the crate `tidegate-admission`'s; here is which request needs what, what it is answered with if it
//! has not got it, and what the rest learns of who asks. Without settings for it nothing of this is made, and a
//! request passes by a `None`. What is found goes along with the exchange: see [`exchange`].
//! Source: the component's Authentication, APIKeyManager.

mod error;
mod events;
mod exchange;
mod identity;
mod keys;
mod refusal;
mod rules;
mod schemes;
mod settings;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tidegate_admission::api_keys::ApiKeys;
use tidegate_admission::ban::offence::Offence;
use tidegate_httpapi::{Admission, Body, Exchange, ResponseHead};

pub use error::AdmissionError;
pub use events::{
    ApiKeyRotation, ApiKeyValidation, BeforeAuthentication, TokenValidation, Unauthorized,
};
pub use identity::{AuthType, Authentication};
pub use settings::{
    ApiKeyAudit, ApiKeyFormat, ApiKeyHash, ApiKeyPath, ApiKeySettings, ApiKeyStorage, AuthScheme,
    AuthUser, AuthenticationPath, AuthenticationSettings, DigestOptions, JwtOptions,
};

use crate::component::Shared;
use crate::server::Server;
use crate::traffic::Firewall;
use events::ask;
use exchange::AdmittedExchange;
use identity::Identity;
pub(crate) use keys::KnownKey;
use keys::{KeyGate, KeyStep};
use refusal::Refusal;
use schemes::{SchemeGate, Step};

/// What stands between the requests and the rest of the component.
pub(crate) struct Guard {
    keys: Option<KeyGate>,
    schemes: Option<SchemeGate>,
    counters: Counters,
    /// Of the server that has it, once it has.
    shared: OnceLock<Weak<Shared>>,
}

impl Guard {
    /// What the settings ask for; `None` if they ask for nothing.
    pub(crate) fn open(
        authentication: &AuthenticationSettings,
        api_keys: &ApiKeySettings,
        handler_threads: u32,
        shared: &Shared,
    ) -> Result<Option<Arc<Self>>, AdmissionError> {
        let keys = match api_keys.enabled {
            true => Some(KeyGate::open(api_keys, handler_threads, shared)?),
            false => None,
        };
        let schemes = match authentication.enabled {
            true => Some(SchemeGate::open(authentication, handler_threads)?),
            false => None,
        };
        if keys.is_none() && schemes.is_none() {
            return Ok(None);
        }
        let guard = Arc::new(Self {
            keys,
            schemes,
            counters: Counters::default(),
            shared: OnceLock::new(),
        });
        let watched = Arc::downgrade(&guard);
        thread::Builder::new()
            .name("tidegate-admission".to_owned())
            .spawn(move || maintain(&watched))
            .map_err(AdmissionError::Thread)?;
        Ok(Some(guard))
    }

    /// Begins what goes on for as long as requests come: with the first server that has it, and once. `before` is
    /// what it comes in the place of.
    pub(crate) fn begin(&self, before: Option<&Self>, shared: &Arc<Shared>) {
        if self.shared.set(Arc::downgrade(shared)).is_err() {
            return;
        }
        if let Some(keys) = &self.keys {
            keys.begin(shared);
        }
        if let Some(schemes) = &self.schemes {
            schemes.begin(before.and_then(|before| before.schemes.as_ref()), shared);
        }
    }

    /// Lets a request pass on to `answer`, or gives `answered` what it is answered with. `known` is the valid API
    /// key that it has, if somebody has looked already.
    pub(crate) fn admit(
        &self,
        shared: &Arc<Shared>,
        firewall: Option<&Arc<Firewall>>,
        mut exchange: Exchange<'_>,
        known: Option<KnownKey>,
        answered: impl FnOnce(Exchange<'_>, (ResponseHead, Body)),
        answer: impl FnOnce(Exchange<'_>),
    ) {
        let mut identity = Identity::default();
        let mut is_private = false;
        if let Some(keys) = &self.keys {
            match keys.judge(shared, &exchange, known) {
                KeyStep::Pass(key, is_required) => {
                    identity.key = key;
                    is_private |= is_required;
                }
                KeyStep::Refuse(refusal) => {
                    self.counters.keys_refused.fetch_add(1, Ordering::Relaxed);
                    match self.insists(shared, &exchange, refusal) {
                        Some(refusal) => {
                            let answer = self.refuse(shared, firewall, &exchange, refusal);
                            return answered(exchange, answer);
                        }
                        None => is_private = true,
                    }
                }
                KeyStep::MayBlock => return exchange.move_to_handler_thread(),
            }
        }
        if let Some(schemes) = &self.schemes {
            match schemes.judge(shared, &exchange, &mut identity) {
                Step::Pass { is_required } => is_private |= is_required,
                Step::Refuse(refusal) => match self.insists(shared, &exchange, refusal) {
                    Some(refusal) => {
                        let answer = self.refuse(shared, firewall, &exchange, refusal);
                        return answered(exchange, answer);
                    }
                    None => is_private = true,
                },
                Step::Session(head, id) => return answered(exchange, (head, id)),
                Step::MayBlock => return exchange.move_to_handler_thread(),
            }
        }
        let is_anybody = identity.is_anybody();
        if !is_anybody && !is_private {
            return answer(exchange);
        }
        // One that was moved was counted before, unless that was to look at its password.
        if is_anybody && (!exchange.was_moved() || self.schemes.is_some()) {
            self.counters.count_admitted(&identity);
        }
        let identity = is_anybody.then_some(identity);
        let (at_hand, inner) = exchange.take_over();
        let mut around = AdmittedExchange::new(inner, identity);
        answer(Exchange::new(at_hand, &mut around));
    }

    /// The valid API key that a request has.
    pub(crate) fn key_of(&self, exchange: &Exchange<'_>) -> Option<KnownKey> {
        self.keys.as_ref()?.peek(exchange)
    }

    /// The refusal as the application wants it, or `None` if it lets the request in nevertheless.
    #[cold]
    fn insists(
        &self,
        shared: &Shared,
        exchange: &Exchange<'_>,
        mut refusal: Refusal,
    ) -> Option<Refusal> {
        let watches = shared.events().watches_unauthorized();
        let Some(mut answer) = refusal.unauthorized_answer().filter(|_| watches) else {
            return Some(refusal);
        };
        let asked = ask(shared, exchange, |events, request| {
            events.on_unauthorized(request, &mut answer)
        });
        match asked {
            Ok(Admission::Accept) => None,
            Ok(Admission::Refuse) => {
                refusal.change(answer);
                Some(refusal)
            }
            Err(failed) => Some(failed),
        }
    }

    /// Whether it finds out which users make requests.
    pub(crate) fn finds_users(&self) -> bool {
        self.schemes.is_some()
    }

    /// The store of API keys, for who manages them.
    pub(crate) fn api_keys(&self) -> Option<&Arc<ApiKeys>> {
        self.keys.as_ref().map(KeyGate::store)
    }

    pub(crate) fn counters(&self) -> AdmissionCounters {
        let keys_admitted = self.counters.keys_admitted.load(Ordering::Relaxed);
        AdmissionCounters {
            admitted: keys_admitted + self.counters.others_admitted.load(Ordering::Relaxed),
            refused: self.counters.refused.load(Ordering::Relaxed),
            failed_proofs: self.counters.failed_proofs.load(Ordering::Relaxed),
            keys_admitted,
            keys_refused: self.counters.keys_refused.load(Ordering::Relaxed),
            hashed: self.schemes.as_ref().map_or(0, SchemeGate::hashed),
        }
    }

    #[cold]
    fn refuse(
        &self,
        shared: &Shared,
        firewall: Option<&Arc<Firewall>>,
        exchange: &Exchange<'_>,
        refusal: Refusal,
    ) -> (ResponseHead, Body) {
        if let Some(firewall) = firewall
            && refusal.is_failed_proof()
        {
            let offence = Offence::AuthenticationFailure;
            firewall.offence_of(shared.events(), &exchange.peer(), offence);
        }
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
        if refusal.is_failed_proof() {
            self.counters.failed_proofs.fetch_add(1, Ordering::Relaxed);
        }
        refusal.into_answer()
    }

    fn maintain(&self) {
        if let Some(keys) = &self.keys {
            let shared = self.shared.get().and_then(Weak::upgrade);
            keys.maintain(shared.as_deref());
        }
        if let Some(schemes) = &self.schemes {
            schemes.maintain();
        }
    }
}

impl Server {
    /// The API keys, to be issued, revoked and so on; `None` without [`ApiKeySettings`], or while the server is not
    /// started. The store may be kept.
    pub fn api_keys(&self) -> Option<Arc<ApiKeys>> {
        self.guard()?.api_keys().cloned()
    }

    /// How many requests came in with proof of who they are, and how many did not come in; nothing while the server
    /// is not started.
    pub fn admission_counters(&self) -> AdmissionCounters {
        let guard = self.guard();
        guard.map_or_else(AdmissionCounters::default, |guard| guard.counters())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // What was counted since the last time.
        if let Some(keys) = &self.keys
            && let Err(error) = keys.store().flush(SystemTime::now())
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "API keys' use is not written"
            );
        }
    }
}

/// How many requests came in with proof of who they are, and how many did not come in.
///
/// In HighPerf mode one that has a password and is handled on a handler thread may be counted twice.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AdmissionCounters {
    /// Let in, with a key, a password or a token.
    pub admitted: u64,
    /// Answered with 400, 401, 403 or 503, since what they had was missing, wrong or not enough.
    pub refused: u64,
    /// Of these, the ones that had a password, a token or a key that was wrong.
    pub failed_proofs: u64,
    /// Of those let in, the ones that had an API key.
    pub keys_admitted: u64,
    /// Requests refused since their API key was missing, wrong or not enough.
    pub keys_refused: u64,
    /// Passwords that were hashed to compare them: one for each that was not found right within the last minute,
    /// whether there is such a user or not.
    pub hashed: u64,
}

impl Counters {
    fn count_admitted(&self, identity: &Identity) {
        let counter = match identity.key {
            Some(_) => &self.keys_admitted,
            None => &self.others_admitted,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Counters {
    refused: AtomicU64,
    failed_proofs: AtomicU64,
    keys_admitted: AtomicU64,
    /// Without a key.
    others_admitted: AtomicU64,
    keys_refused: AtomicU64,
}

/// Sees, for as long as there is a guard, what has changed in its files.
fn maintain(guard: &Weak<Guard>) {
    while let Some(guard) = guard.upgrade() {
        guard.maintain();
        drop(guard);
        thread::sleep(MAINTAIN_EVERY);
    }
}

/// How soon a change of the files counts, and how long a server that has stopped leaves a thread behind.
const MAINTAIN_EVERY: Duration = Duration::from_secs(1);
