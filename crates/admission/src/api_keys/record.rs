//! One key: what is known of it, but not the key itself.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tidegate_httpapi::AddressRange;

use super::error::ApiKeyError;
use super::hash::Secret;
use super::{at_milliseconds, milliseconds};
use crate::{hex, random};

/// The name of a key, which is no secret: 16 digits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ApiKeyId(pub(super) u64);

impl ApiKeyId {
    pub(super) fn random() -> Self {
        Self(u64::from_be_bytes(random::bytes()))
    }
}

impl fmt::Display for ApiKeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl FromStr for ApiKeyId {
    type Err = ApiKeyError;

    fn from_str(text: &str) -> Result<Self, ApiKeyError> {
        let bytes = hex::decode(text).ok_or_else(|| ApiKeyError::Id(text.to_owned()))?;
        Ok(Self(u64::from_be_bytes(bytes)))
    }
}

/// A key that is to be issued.
#[derive(Clone, Debug, Default)]
pub struct NewApiKey {
    /// Whose it is: 1 to 255 bytes without control characters.
    pub owner: String,
    /// What it may be used for; see [`check_scope`]. `*` is all.
    pub scopes: Vec<String>,
    /// From where. Empty: from everywhere.
    pub addresses: Vec<AddressRange>,
    /// When it ends. `None`: by the settings' life, or never.
    pub expires: Option<SystemTime>,
    /// After how long it is to be replaced: then it is listed as due, and replaced by itself only where somebody
    /// takes the new key ([`ApiKeys::rotate_due`](super::ApiKeys::rotate_due)).
    pub rotate_after: Option<Duration>,
    /// How many requests a limiter should allow in its time, instead of what it allows others. Range 1 to
    /// 1,000,000,000.
    pub rate: Option<u32>,
    /// What people should know of it.
    pub note: String,
}

/// Whether a key can be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ApiKeyState {
    /// It can.
    Active,
    /// It was revoked.
    Revoked,
    /// Its time is over.
    Expired,
}

/// What is known of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ApiKey {
    /// Its name.
    pub id: ApiKeyId,
    /// Its first characters, by which people know it.
    pub hint: String,
    /// Whose it is.
    pub owner: String,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// From where; empty is everywhere.
    pub addresses: Vec<AddressRange>,
    /// When it was issued.
    pub issued: SystemTime,
    /// When it ends.
    pub expires: Option<SystemTime>,
    /// When it is to be replaced.
    pub rotation_due: Option<SystemTime>,
    /// When and why it was revoked.
    pub revoked: Option<(SystemTime, String)>,
    /// Which key came after it.
    pub successor: Option<ApiKeyId>,
    /// What a limiter should allow it.
    pub rate: Option<u32>,
    /// What people should know of it.
    pub note: String,
    /// Whether it can be used now.
    pub state: ApiKeyState,
    /// When it was last used, as far as that is known.
    pub last_used: Option<SystemTime>,
    /// How often it was accepted.
    pub uses: u64,
    /// How often it was refused, though known: its scope, its address, its end.
    pub failures: u64,
}

/// What is kept of a key. Times are milliseconds since the epoch.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Record {
    #[serde(with = "id_digits")]
    pub(super) id: ApiKeyId,
    #[serde(with = "hash_digits")]
    pub(super) hash: [u8; 32],
    pub(super) hint: String,
    pub(super) owner: String,
    pub(super) scopes: Vec<String>,
    #[serde(with = "ranges")]
    pub(super) addresses: Vec<AddressRange>,
    pub(super) issued: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rotate_after: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) revoked: Option<Revoked>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "successor_digits"
    )]
    pub(super) successor: Option<ApiKeyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rate: Option<u32>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) note: String,
    /// Of a key that is found by its name: `hash` is the name's then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<Secret>,
    /// It is to come after this one, but nobody has taken it yet.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "successor_digits"
    )]
    pub(super) offered_for: Option<ApiKeyId>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Revoked {
    pub(super) at: u64,
    pub(super) reason: String,
}

impl Record {
    pub(super) fn new(
        new: NewApiKey,
        key: &str,
        (id, hash, secret): (ApiKeyId, [u8; 32], Option<Secret>),
        now: SystemTime,
    ) -> Result<Self, ApiKeyError> {
        let mut scopes = new.scopes;
        scopes.sort_unstable();
        scopes.dedup();
        let record = Self {
            id,
            hash,
            // Eight characters of 43: what is left cannot be guessed any more than before.
            hint: key.chars().take(8).collect(),
            owner: new.owner,
            scopes,
            addresses: new.addresses,
            issued: milliseconds(now),
            expires: new.expires.map(milliseconds),
            rotate_after: new
                .rotate_after
                .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            revoked: None,
            successor: None,
            rate: new.rate,
            note: new.note,
            secret,
            offered_for: None,
        };
        record.check()?;
        Ok(record)
    }

    /// Whether it is a record that may be kept, wherever it comes from.
    pub(super) fn check(&self) -> Result<(), ApiKeyError> {
        check_text(&self.owner)?;
        if self.note.len() > NOTE_BYTES_MAX || self.hint.len() > NOTE_BYTES_MAX {
            return Err(ApiKeyError::Note);
        }
        if self.scopes.len() > SCOPES_MAX || self.addresses.len() > SCOPES_MAX {
            return Err(ApiKeyError::TooMany);
        }
        if self
            .rate
            .is_some_and(|rate| !(1..=RATE_MAX).contains(&rate))
        {
            return Err(ApiKeyError::Rate);
        }
        if self
            .secret
            .as_ref()
            .is_some_and(|secret| !secret.is_sound())
        {
            return Err(ApiKeyError::Secret(self.id));
        }
        self.scopes.iter().try_for_each(|scope| check_scope(scope))
    }

    /// When it was revoked or ended, if it was or has.
    pub(super) fn ended(&self, now: u64) -> Option<u64> {
        match (self.state_at(now), &self.revoked) {
            (ApiKeyState::Active, _) => None,
            (_, Some(revoked)) => Some(revoked.at),
            (_, None) => self.expires,
        }
    }

    pub(super) fn state_at(&self, now: u64) -> ApiKeyState {
        if self.revoked.is_some() {
            ApiKeyState::Revoked
        } else if self.expires.is_some_and(|expires| expires <= now) {
            ApiKeyState::Expired
        } else {
            ApiKeyState::Active
        }
    }

    pub(super) fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|own| own == scope || own == "*")
    }

    pub(super) fn rotation_due(&self) -> Option<u64> {
        // What has a successor was rotated.
        let after = self.rotate_after.filter(|_| self.successor.is_none())?;
        Some(self.issued.saturating_add(after))
    }

    pub(super) fn tell(&self, usage: &Usage, now: u64) -> ApiKey {
        let (last_used, uses, failures) = usage.read();
        ApiKey {
            id: self.id,
            hint: self.hint.clone(),
            owner: self.owner.clone(),
            scopes: self.scopes.clone(),
            addresses: self.addresses.clone(),
            issued: at_milliseconds(self.issued),
            expires: self.expires.map(at_milliseconds),
            rotation_due: self.rotation_due().map(at_milliseconds),
            revoked: self
                .revoked
                .as_ref()
                .map(|revoked| (at_milliseconds(revoked.at), revoked.reason.clone())),
            successor: self.successor,
            rate: self.rate,
            note: self.note.clone(),
            state: self.state_at(now),
            last_used: (last_used > 0).then(|| at_milliseconds(last_used)),
            uses,
            failures,
        }
    }
}

/// How a key was used; counted by whoever checks it.
#[derive(Debug, Default)]
pub(super) struct Usage {
    last_used: AtomicU64,
    /// What is on the disk.
    uses_written: AtomicU64,
    failures_written: AtomicU64,
    /// What came since.
    uses: AtomicU64,
    failures: AtomicU64,
}

impl Usage {
    /// As it was read from the disk.
    pub(super) fn from_parts((last_used, uses, failures): (u64, u64, u64)) -> Self {
        Self {
            last_used: last_used.into(),
            uses_written: uses.into(),
            failures_written: failures.into(),
            ..Self::default()
        }
    }

    pub(super) fn used(&self, now: u64) {
        self.uses.fetch_add(1, Ordering::Relaxed);
        // Written once a millisecond at most: workers share this line.
        if self.last_used.load(Ordering::Relaxed) < now {
            self.last_used.store(now, Ordering::Relaxed);
        }
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Last use, uses, failures.
    pub(super) fn read(&self) -> (u64, u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (
            read(&self.last_used),
            read(&self.uses_written).saturating_add(read(&self.uses)),
            read(&self.failures_written).saturating_add(read(&self.failures)),
        )
    }

    /// Takes what is not on the disk yet; `None` if there is nothing.
    pub(super) fn take_pending(&self) -> Option<(u64, u64, u64)> {
        let uses = self.uses.swap(0, Ordering::Relaxed);
        let failures = self.failures.swap(0, Ordering::Relaxed);
        let last_used = self.last_used.load(Ordering::Relaxed);
        (uses > 0 || failures > 0).then_some((last_used, uses, failures))
    }

    /// Gives back what could not be written.
    pub(super) fn put_back(&self, (_, uses, failures): (u64, u64, u64)) {
        self.uses.fetch_add(uses, Ordering::Relaxed);
        self.failures.fetch_add(failures, Ordering::Relaxed);
    }

    /// Takes over what is on the disk now.
    pub(super) fn set_base(&self, (last_used, uses, failures): (u64, u64, u64)) {
        self.last_used.fetch_max(last_used, Ordering::Relaxed);
        self.uses_written.store(uses, Ordering::Relaxed);
        self.failures_written.store(failures, Ordering::Relaxed);
    }
}

/// Whether a text can be a scope: 1 to 128 of RFC 6749's characters (§3.3: printable ASCII but blank, `"` and `\`).
///
/// # Errors
///
/// It cannot. The caller's fault.
pub fn check_scope(scope: &str) -> Result<(), ApiKeyError> {
    let is_scope = (1..=128).contains(&scope.len())
        && scope
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"\"\\,".contains(&byte));
    if is_scope {
        Ok(())
    } else {
        Err(ApiKeyError::Scope(scope.to_owned()))
    }
}

fn check_text(owner: &str) -> Result<(), ApiKeyError> {
    let is_owner = (1..=255).contains(&owner.len()) && !owner.chars().any(char::is_control);
    if is_owner {
        Ok(())
    } else {
        Err(ApiKeyError::Owner(owner.to_owned()))
    }
}

/// Most scopes, and most ranges of addresses, of a key.
pub(super) const SCOPES_MAX: usize = 64;

const NOTE_BYTES_MAX: usize = 1024;

/// As of a limit.
const RATE_MAX: u32 = 1_000_000_000;

mod id_digits {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use super::ApiKeyId;

    pub(super) fn serialize<S: Serializer>(
        id: &ApiKeyId,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<ApiKeyId, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

mod successor_digits {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use super::ApiKeyId;

    pub(super) fn serialize<S: Serializer>(
        id: &Option<ApiKeyId>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => serializer.collect_str(id),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<ApiKeyId>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(de::Error::custom))
            .transpose()
    }
}

mod hash_digits {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::hex;

    pub(super) fn serialize<S: Serializer>(
        hash: &[u8; 32],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(hash))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(&text).ok_or_else(|| de::Error::custom("a hash is 64 hexadecimal digits"))
    }
}

mod ranges {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use tidegate_httpapi::AddressRange;

    pub(super) fn serialize<S: Serializer>(
        ranges: &[AddressRange],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(ranges.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<AddressRange>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let ranges = texts
            .iter()
            .map(|text| text.parse().map_err(de::Error::custom));
        ranges.collect()
    }
}
