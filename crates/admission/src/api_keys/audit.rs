//! Who did what to which key, when.

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::at_milliseconds;

/// What was done.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AuditAction {
    /// A key was issued.
    Issued,
    /// A key from elsewhere was taken in.
    Adopted,
    /// A key was revoked.
    Revoked,
    /// A key was given a successor.
    Rotated,
    /// A key's end was moved.
    Renewed,
    /// A key was given scopes.
    Granted,
    /// A key lost scopes.
    Withdrawn,
    /// A key was removed, some time after its end.
    Purged,
    /// A key came with an import.
    Imported,
    /// A key that came with a request was refused.
    Refused,
}

impl fmt::Display for AuditAction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Issued => "issued",
            Self::Adopted => "adopted",
            Self::Revoked => "revoked",
            Self::Rotated => "rotated",
            Self::Renewed => "renewed",
            Self::Granted => "granted",
            Self::Withdrawn => "withdrawn",
            Self::Purged => "purged",
            Self::Imported => "imported",
            Self::Refused => "refused",
        })
    }
}

/// One thing that was done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AuditEntry {
    /// When, in milliseconds since the epoch.
    pub(super) at: u64,
    /// What.
    pub action: AuditAction,
    /// To which key: its name. Empty if that is not known.
    pub key: String,
    /// Whose key. Empty if that is not known.
    pub owner: String,
    /// What else there is to say: the reason, the scopes, the successor, the address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl AuditEntry {
    /// When.
    pub fn time(&self) -> SystemTime {
        at_milliseconds(self.at)
    }
}
