//! API keys: secrets that programs send with each request.
//!
//! A key is issued once and told once. What is kept is its hash: SHA-256 with a salt of the store's own. A slow
//! hash, as passwords need, would gain nothing here: what it slows down is guessing, and a key has so many random
//! bits that nobody guesses it; but it would cost each request what it costs an attacker.
//!
//! Keys are in an embedded database (redb); a change is on the disk before the call returns, whatever kills the
//! process. Checks read a copy in memory, without a lock. When and how often a key was used is written back at
//! leisure ([`ApiKeys::maintain`]), so a kill may lose the last of that, and nothing else. The file is opened for a
//! change only: `tidegate apikey` can work on it while a server runs, which sees the change by `maintain`.

mod audit;
mod changes;
mod database;
mod error;
mod format;
mod record;
mod store;
mod table;
mod transfer;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tidegate_httpapi::AddressRange;

pub use audit::{AuditAction, AuditEntry};
pub use error::{ApiKeyError, DatabaseFault};
pub use format::{Charset, KeyFormat, KeyFormatError};
pub use record::{ApiKey, ApiKeyId, ApiKeyState, NewApiKey, check_scope};
pub use store::{ApiKeySettings, ApiKeys, Issued};
pub use transfer::{Export, ImportReport};

/// What came of a key that a peer sent.
#[derive(Clone, Debug)]
pub enum KeyVerdict {
    /// It is good for what was asked.
    Accepted(ValidKey),
    /// It is not.
    Refused(KeyRefusal),
}

/// Why a key was refused. To a peer all but [`Scope`](Self::Scope) and [`Address`](Self::Address) are the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeyRefusal {
    /// No such key, or not even the form of one.
    Unknown,
    /// It was revoked.
    Revoked,
    /// Its time is over, or that of the old one after a rotation.
    Expired,
    /// It may not be used from this address.
    Address,
    /// It has not the scope that is needed.
    Scope,
}

/// A key that was accepted, and who it stands for.
#[derive(Clone)]
pub struct ValidKey {
    key: Arc<table::Entry>,
}

impl ValidKey {
    /// The name of the key, which is no secret.
    pub fn id(&self) -> ApiKeyId {
        self.key.record.id
    }

    /// Whose it is.
    pub fn owner(&self) -> &str {
        &self.key.record.owner
    }

    /// What it may be used for.
    pub fn scopes(&self) -> &[String] {
        &self.key.record.scopes
    }

    /// Whether it may be used for something: it has the scope, or `*`, which is all.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.key.record.has_scope(scope)
    }

    /// How many requests a limiter should allow it, if it says so; see [`NewApiKey::rate`].
    pub fn rate(&self) -> Option<u32> {
        self.key.record.rate
    }
}

impl fmt::Debug for ValidKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ValidKey")
            .field("id", &self.id())
            .field("owner", &self.owner())
            .finish_non_exhaustive()
    }
}

/// How many keys there are, and how often what came of checks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ApiKeyStatistics {
    /// Keys that are kept, in whatever state.
    pub total: usize,
    /// Those that can be used.
    pub active: usize,
    /// Those that were revoked.
    pub revoked: usize,
    /// Those whose time is over.
    pub expired: usize,
    /// Checks that accepted a key, since the start.
    pub validations: u64,
    /// Checks that refused one, since the start.
    pub failures: u64,
}

#[derive(Default)]
struct Counters {
    validations: AtomicU64,
    failures: AtomicU64,
}

/// What happens to keys, for who wants to know: [`ApiKeys::set_listener`]. Called by the thread that does it, after
/// it is on the disk.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ApiKeyEvent {
    /// A key was issued.
    Issued(ApiKeyId),
    /// A key was revoked, and why.
    Revoked(ApiKeyId, String),
    /// A key was given a successor, the second.
    Rotated(ApiKeyId, ApiKeyId),
    /// A key was found to have expired.
    Expired(ApiKeyId),
    /// Something else about a key changed: its scopes or its end.
    Changed(ApiKeyId),
    /// A key was removed.
    Purged(ApiKeyId),
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

fn milliseconds(time: SystemTime) -> u64 {
    u64::try_from(since_epoch(time).as_millis()).unwrap_or(u64::MAX)
}

fn at_milliseconds(milliseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)
}

impl ApiKeys {
    /// Whether a key may be used for something, from an address. Takes no lock and waits for nothing.
    ///
    /// A scope of `None` asks for none.
    pub fn validate(
        &self,
        key: &str,
        scope: Option<&str>,
        address: IpAddr,
        now: SystemTime,
    ) -> KeyVerdict {
        let verdict = self.look_up(key, scope, address, milliseconds(now));
        let counter = match verdict {
            KeyVerdict::Accepted(_) => &self.counters().validations,
            KeyVerdict::Refused(_) => &self.counters().failures,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        verdict
    }

    fn look_up(&self, key: &str, scope: Option<&str>, address: IpAddr, now: u64) -> KeyVerdict {
        use KeyVerdict::Refused;
        // Longer than any that is issued: not worth a hash.
        if key.len() > format::KEY_BYTES_MAX {
            return Refused(KeyRefusal::Unknown);
        }
        let Some(entry) = self.find(key) else {
            return Refused(KeyRefusal::Unknown);
        };
        let record = &entry.record;
        let refusal = match record.state_at(now) {
            ApiKeyState::Revoked => Some(KeyRefusal::Revoked),
            ApiKeyState::Expired => Some(KeyRefusal::Expired),
            ApiKeyState::Active if !allows(&record.addresses, address) => Some(KeyRefusal::Address),
            ApiKeyState::Active if !scope.is_none_or(|scope| record.has_scope(scope)) => {
                Some(KeyRefusal::Scope)
            }
            ApiKeyState::Active => None,
        };
        if let Some(refusal) = refusal {
            entry.usage.failed();
            return Refused(refusal);
        }
        entry.usage.used(now);
        KeyVerdict::Accepted(ValidKey { key: entry })
    }
}

fn allows(addresses: &[AddressRange], address: IpAddr) -> bool {
    addresses.is_empty() || addresses.iter().any(|range| range.contains(address))
}

#[cfg(test)]
mod tests;
