//! API keys: secrets that programs send with each request.
//!
//! A key is issued once and told once. What is kept is its hash: SHA-256 with a salt of the store's own, unless
//! another is asked for ([`KeyHash`]). A slow hash, as passwords need, gains nothing here: what it slows down is
//! guessing, and a key has so many random bits that nobody guesses it.
//!
//! Keys are in an embedded database (redb), or wherever a [`KeyStorage`] has them; a change is on the disk before the
//! call returns, whatever kills the process. Checks read a copy in memory, without a lock. When and how often a key was used is written back at
//! leisure ([`ApiKeys::maintain`]), so a kill may lose the last of that, and nothing else. The file is opened for a
//! change only: `tidegate apikey` can work on it while a server runs, which sees the change by `maintain`.

mod audit;
mod changes;
mod database;
mod error;
mod format;
mod hash;
mod record;
mod refused;
mod storage;
mod store;
mod table;
mod transfer;
mod vault;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tidegate_httpapi::AddressRange;

pub use audit::{AuditAction, AuditEntry};
pub use changes::RotationReport;
pub use error::{ApiKeyError, DatabaseFault};
pub use format::{Charset, KeyFormat, KeyFormatError};
pub use hash::KeyHash;
pub use record::{ApiKey, ApiKeyId, ApiKeyState, NewApiKey, check_scope};
pub use refused::RefusedSettings;
pub use storage::{
    CustomFault, FileStorage, KeyStorage, KeyTable, MemoryStorage, ReadKeys, TransactionEnd,
    WriteKeys,
};
pub use store::{ApiKeySettings, ApiKeys, Issued};
pub use transfer::{Export, ImportReport};
pub use vault::Passphrase;

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
    /// Too many slow hashes are being made to say; it may be good.
    Busy,
}

impl fmt::Display for KeyRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unknown => "no such key",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Address => "not from there",
            Self::Scope => "without the scope",
            Self::Busy => "too many at once",
        })
    }
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

    /// Its name as text.
    pub fn name(&self) -> &str {
        &self.key.name
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
/// it is on the disk: what two threads do one after the other may be told the other way round.
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
    /// Something was written to the audit, or a key was refused. Refused ones are told by the thread that has checked
    /// them, which must not be held up.
    Audited(AuditEntry),
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
    /// Whether a key may be used for something, from an address. A key that is accepted takes no lock and waits for
    /// nothing, unless it [takes long](Self::takes_long).
    ///
    /// A scope of `None` asks for none.
    pub fn validate(
        &self,
        key: &str,
        scope: Option<&str>,
        address: IpAddr,
        now: SystemTime,
    ) -> KeyVerdict {
        let (verdict, _) = self.check(key, scope, address, now);
        verdict
    }

    /// As [`validate`](Self::validate), and which key it is that is refused.
    pub fn check(
        &self,
        key: &str,
        scope: Option<&str>,
        address: IpAddr,
        now: SystemTime,
    ) -> (KeyVerdict, Option<ValidKey>) {
        let found = match key.len() {
            // Longer than any that is issued: not worth a hash.
            0 | TOO_LONG.. => Ok(None),
            _ => self.find(key),
        };
        let refusal = match &found {
            Err(()) => Some(KeyRefusal::Busy),
            Ok(None) => Some(KeyRefusal::Unknown),
            Ok(Some(entry)) => refusal(entry, scope, address, milliseconds(now)),
        };
        let entry = found.ok().flatten();
        let Some(refusal) = refusal else {
            let key = ValidKey {
                key: entry.expect("what is not refused was found"),
            };
            self.accept(&key, now);
            return (KeyVerdict::Accepted(key), None);
        };
        self.counters().failures.fetch_add(1, Ordering::Relaxed);
        if let Some(entry) = &entry {
            entry.usage.failed();
        }
        let needed = scope.map_or_else(String::new, |scope| format!(" ({scope})"));
        self.refuse(AuditEntry {
            at: milliseconds(now),
            action: AuditAction::Refused,
            key: entry
                .as_ref()
                .map_or_else(String::new, |entry| entry.record.id.to_string()),
            owner: entry
                .as_ref()
                .map_or_else(String::new, |entry| entry.record.owner.clone()),
            detail: format!("{refusal}{needed}, from {address}"),
        });
        let key = entry.map(|key| ValidKey { key });
        (KeyVerdict::Refused(refusal), key)
    }

    /// Counts what [`peek`](Self::peek) has found as accepted.
    pub fn accept(&self, key: &ValidKey, now: SystemTime) {
        self.counters().validations.fetch_add(1, Ordering::Relaxed);
        key.key.usage.used(milliseconds(now));
    }

    /// The key that would be accepted, without counting it.
    pub fn peek(
        &self,
        key: &str,
        scope: Option<&str>,
        address: IpAddr,
        now: SystemTime,
    ) -> Option<ValidKey> {
        if key.len() > format::KEY_BYTES_MAX {
            return None;
        }
        let key = self.find(key).ok().flatten()?;
        let is_good = refusal(&key, scope, address, milliseconds(now)).is_none();
        is_good.then_some(ValidKey { key })
    }
}

fn refusal(
    entry: &table::Entry,
    scope: Option<&str>,
    address: IpAddr,
    now: u64,
) -> Option<KeyRefusal> {
    let record = &entry.record;
    match record.state_at(now) {
        ApiKeyState::Revoked => Some(KeyRefusal::Revoked),
        ApiKeyState::Expired => Some(KeyRefusal::Expired),
        ApiKeyState::Active if !allows(&record.addresses, address) => Some(KeyRefusal::Address),
        ApiKeyState::Active if !scope.is_none_or(|scope| record.has_scope(scope)) => {
            Some(KeyRefusal::Scope)
        }
        ApiKeyState::Active => None,
    }
}

fn allows(addresses: &[AddressRange], address: IpAddr) -> bool {
    addresses.is_empty() || addresses.iter().any(|range| range.contains(address))
}

const TOO_LONG: usize = format::KEY_BYTES_MAX + 1;

#[cfg(test)]
mod tests;
