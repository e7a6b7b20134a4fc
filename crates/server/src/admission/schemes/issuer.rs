//! Keys for tokens from their issuer: a JWK set at a URL, asked for now and then.
//!
//! Nobody waits for it: a token whose key is not known yet is answered with 503 while the set is asked for. A key id
//! that nobody knows has it asked for early, but only so often, whoever sends how many of them. Source: RFC 7517,
//! and for `jwks_uri` RFC 8414 §2.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::tokens::Tokens;
use crate::admission::error::AdmissionError;
use crate::admission::settings::JwtOptions;
use crate::forward::{Fetched, Fetcher};

/// Who has the keys, and what he last said.
pub(super) struct Issuer {
    fetcher: Fetcher,
    url: String,
    every: Duration,
    early_every: Duration,
    /// Nothing is called while it is held.
    state: Mutex<State>,
    /// Has the task look, which has it, too.
    wake: Arc<Notify>,
}

#[derive(Default)]
struct State {
    set: Option<Arc<[u8]>>,
    entity_tag: Option<Vec<u8>>,
    has_begun: bool,
    /// It is being asked for, or about to be.
    is_asked_for: bool,
    asked_early: Option<Instant>,
    failures: u32,
}

impl Issuer {
    /// `None` if the options name no URL.
    pub(super) fn new(options: &JwtOptions) -> Result<Option<Self>, AdmissionError> {
        let Some(url) = &options.jwk_set_url else {
            return Ok(None);
        };
        let fetcher = Fetcher::new(
            url,
            options.jwk_set_ca.clone(),
            options.jwk_set_timeout,
            SET_BYTES_MAX,
        );
        Ok(Some(Self {
            fetcher: fetcher.map_err(|fault| AdmissionError::JwkSetUrl {
                url: url.clone(),
                why: fault.to_string(),
            })?,
            url: url.clone(),
            every: options.jwk_set_refresh,
            early_every: options.jwk_set_early_refresh,
            state: Mutex::default(),
            wake: Arc::default(),
        }))
    }

    /// The set that was last had.
    pub(super) fn set(&self) -> Option<Arc<[u8]>> {
        self.state().set.clone()
    }

    /// Begins with what another had from the same place.
    pub(super) fn inherit(&self, other: &Self) {
        if self.url == other.url {
            let set = other.set();
            let mut state = self.state();
            state.set = state.set.take().or(set);
        }
    }

    /// A token names a key that is not there. Says whether the set is being asked for, so that it may be there soon.
    pub(super) fn misses_key(&self, now: Instant) -> bool {
        let mut state = self.state();
        if state.is_asked_for || state.set.is_none() {
            return true;
        }
        let may_ask = state
            .asked_early
            .is_none_or(|last| now.saturating_duration_since(last) >= self.early_every);
        if may_ask {
            state.asked_early = Some(now);
            state.is_asked_for = true;
            drop(state);
            self.wake.notify_one();
        }
        may_ask
    }

    /// Asks for the set for as long as somebody has the tokens. Once; later calls do nothing.
    pub(super) fn begin(&self, tokens: &Arc<Tokens>, runtime: &Handle) {
        if !std::mem::replace(&mut self.state().has_begun, true) {
            runtime.spawn(watch(Arc::downgrade(tokens), Arc::clone(&self.wake)));
        }
    }

    /// Asks once, and says after how long to ask again.
    async fn ask(&self, tokens: &Tokens) -> Duration {
        let entity_tag = {
            let mut state = self.state();
            state.is_asked_for = true;
            state.entity_tag.clone()
        };
        let outcome = match self.fetcher.get(entity_tag.as_deref()).await {
            Ok(fetched) => self.take(tokens, &fetched).map(|()| fetched),
            Err(error) => Err(error.to_string()),
        };
        let mut state = self.state();
        state.is_asked_for = false;
        match outcome {
            Ok(fetched) => {
                if state.failures > 0 {
                    tracing::info!(url = self.url, "the keys for tokens can be had again");
                }
                state.failures = 0;
                state.entity_tag = fetched.entity_tag.or(state.entity_tag.take());
                let age = fetched.cache_control.as_deref().and_then(max_age);
                age.map_or(self.every, |age| age.max(self.early_every).min(self.every))
            }
            Err(error) => {
                let has_keys = state.set.is_some();
                if state.failures == 0 {
                    match has_keys {
                        true => tracing::error!(
                            url = self.url,
                            error,
                            "keys for tokens stay as they were"
                        ),
                        false => tracing::error!(
                            url = self.url,
                            error,
                            "there are no keys for tokens yet"
                        ),
                    }
                }
                let pause = RETRY_FIRST.saturating_mul(1 << state.failures.min(16));
                state.failures = state.failures.saturating_add(1);
                pause.min(self.every)
            }
        }
    }

    fn take(&self, tokens: &Tokens, fetched: &Fetched) -> Result<(), String> {
        let Some(content) = &fetched.content else {
            return Ok(());
        };
        tokens
            .take_set(content)
            .map_err(|error| error.to_string())?;
        self.state().set = Some(content.as_slice().into());
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        // The task ends.
        self.wake.notify_one();
    }
}

async fn watch(tokens: Weak<Tokens>, wake: Arc<Notify>) {
    loop {
        let pause = {
            let Some(tokens) = tokens.upgrade() else {
                return;
            };
            let Some(issuer) = tokens.issuer() else {
                return;
            };
            issuer.ask(&tokens).await
        };
        let _ = timeout(pause, wake.notified()).await;
    }
}

/// `max-age` of a `Cache-Control` field. Source: RFC 9111 §5.2.2.1.
fn max_age(field: &[u8]) -> Option<Duration> {
    let field = std::str::from_utf8(field).ok()?;
    let directives = field
        .split(',')
        .filter_map(|item| item.trim().split_once('='));
    let mut ages = directives.filter(|(name, _)| name.eq_ignore_ascii_case("max-age"));
    let (_, seconds) = ages.next()?;
    let seconds = seconds.trim_matches('"').parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The longest set that is read: issuers have a few keys, of a few hundred bytes each.
const SET_BYTES_MAX: usize = 256 * 1024;

const RETRY_FIRST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_how_long_it_is_fresh() {
        for (field, seconds) in [
            ("max-age=300", Some(300)),
            ("public, Max-Age=\"5\" , must-revalidate", Some(5)),
            ("no-store", None),
            ("max-age=-1", None),
            ("max-age=99999999999999999999", None),
            ("s-maxage=5", None),
        ] {
            let age = max_age(field.as_bytes()).map(|age| age.as_secs());
            assert_eq!(age, seconds, "{field}");
        }
    }
}
