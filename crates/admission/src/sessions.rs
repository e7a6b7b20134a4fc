//! Ids that stand for a user for a while: what a browser passes in a WebSocket's URL, where it cannot set fields.
//!
//! An id is random and kept as its hash, so that who reads the table cannot use it. It is in URLs, and so in logs
//! and histories: it lives for minutes, and what it stands for is a user, never a password.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::random;

/// How long sessions live, and how many.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// How long an id can be used after it was given. Default 5 minutes, range 1 second to a day.
    pub life: Duration,
    /// How many there are at a time; the oldest go first. Default 10,000.
    pub sessions_max: usize,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            life: Duration::from_secs(300),
            sessions_max: 10_000,
        }
    }
}

/// The sessions of a server.
pub struct Sessions {
    settings: SessionSettings,
    /// Nothing is called and no other lock taken while it is held.
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    sessions: HashMap<[u8; 32], Session>,
    /// In the order they were given, which is that of their ends.
    order: VecDeque<[u8; 32]>,
}

struct Session {
    user: Arc<str>,
    ends: Instant,
}

impl Sessions {
    /// None yet.
    pub fn new(settings: SessionSettings) -> Self {
        Self {
            settings,
            table: Mutex::default(),
        }
    }

    /// Gives an id for a user, who has proved to be that. 43 characters that a URL may have.
    pub fn begin(&self, user: Arc<str>, now: Instant) -> String {
        let id = BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<32>());
        let hash = hash(&id);
        let mut table = self.lock();
        while let Some(oldest) = table.order.front().copied() {
            let has_ended = table.sessions[&oldest].ends <= now;
            if !has_ended && table.order.len() < self.settings.sessions_max.max(1) {
                break;
            }
            table.order.pop_front();
            table.sessions.remove(&oldest);
        }
        let ends = now + self.settings.life;
        table.sessions.insert(hash, Session { user, ends });
        table.order.push_back(hash);
        id
    }

    /// Whose session an id is.
    pub fn user(&self, id: &str, now: Instant) -> Option<Arc<str>> {
        // The table is asked for a hash, so how long that takes tells nothing of an id.
        let table = self.lock();
        let session = table.sessions.get(&hash(id))?;
        (now < session.ends).then(|| Arc::clone(&session.user))
    }

    /// How many are kept, ended ones included.
    pub fn count(&self) -> usize {
        self.lock().order.len()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sessions")
            .field("settings", &self.settings)
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

fn hash(id: &str) -> [u8; 32] {
    Sha256::digest(id.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stands_for_its_user_for_a_while() {
        let sessions = Sessions::new(SessionSettings::default());
        let now = Instant::now();
        let life = sessions.settings.life;
        let (alice, bob) = (
            sessions.begin("alice".into(), now),
            sessions.begin("bob".into(), now),
        );
        assert_ne!(alice, bob);
        assert_eq!(alice.len(), 43);
        assert_eq!(sessions.user(&alice, now).as_deref(), Some("alice"));
        assert_eq!(sessions.user(&bob, now).as_deref(), Some("bob"));
        assert_eq!(sessions.user(&alice[1..], now), None);
        assert_eq!(sessions.user("", now), None);
        assert_eq!(sessions.user(&alice, now + life), None);
    }

    #[test]
    fn no_more_than_so_many_are_kept() {
        let sessions = Sessions::new(SessionSettings {
            sessions_max: 3,
            ..SessionSettings::default()
        });
        let now = Instant::now();
        let first = sessions.begin("first".into(), now);
        for _ in 0..3 {
            sessions.begin("next".into(), now);
        }
        assert_eq!((sessions.count(), sessions.user(&first, now)), (3, None));
        sessions.begin("later".into(), now + sessions.settings.life);
        assert_eq!(sessions.count(), 1);
    }
}
