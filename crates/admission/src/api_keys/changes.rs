//! What can be done with keys. Each is on the disk, all of it, when it returns.

use std::time::{Duration, SystemTime};

use super::audit::{AuditAction, AuditEntry};
use super::database::{Fault, Transaction};
use super::error::ApiKeyError;
use super::format::KEY_BYTES_MAX;
use super::record::{ApiKeyId, NewApiKey, Record, Revoked, SCOPES_MAX, check_scope};
use super::store::{ApiKeys, Changed, Issued};
use super::table::Table;
use super::{ApiKeyEvent, milliseconds};

impl ApiKeys {
    /// Issues a key.
    ///
    /// # Errors
    ///
    /// What is asked for is not right, or the database cannot be used.
    pub fn issue(&self, new: NewApiKey, now: SystemTime) -> Result<Issued, ApiKeyError> {
        let key = self.settings().format.generate();
        self.add(new, key, AuditAction::Issued, now)
    }

    /// Takes in a key that was issued elsewhere, from a store that is given up.
    ///
    /// # Errors
    ///
    /// As [`issue`](Self::issue), or the key is known already, shorter than 22 or longer than 166 bytes, or not
    /// printable ASCII.
    pub fn adopt(&self, key: &str, new: NewApiKey, now: SystemTime) -> Result<Issued, ApiKeyError> {
        let is_key = (22..=KEY_BYTES_MAX).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_key {
            return Err(ApiKeyError::Adopted);
        }
        self.add(new, key.to_owned(), AuditAction::Adopted, now)
    }

    fn add(
        &self,
        mut new: NewApiKey,
        key: String,
        action: AuditAction,
        now: SystemTime,
    ) -> Result<Issued, ApiKeyError> {
        new.expires = new.expires.or(self.settings().life.map(|life| now + life));
        self.change(|transaction, table| {
            if table.find(&key).is_some() {
                return Err(Fault::caller(ApiKeyError::Adopted));
            }
            let record = self.record(transaction, table, new, &key, now)?;
            self.keep(transaction, &record, action, "", now)?;
            let id = record.id;
            Ok(Changed {
                result: Issued { id, key },
                records: vec![record],
                removed: Vec::new(),
                events: vec![ApiKeyEvent::Issued(id)],
            })
        })
    }

    /// Revokes a key, for good: from now on it is refused. Returns false if it was revoked before.
    ///
    /// # Errors
    ///
    /// There is no such key, or the database cannot be used.
    pub fn revoke(&self, id: ApiKeyId, reason: &str, now: SystemTime) -> Result<bool, ApiKeyError> {
        self.change(|transaction, _| {
            let mut record = transaction.record(id)?;
            if record.revoked.is_some() {
                return Ok(Changed::nothing(false));
            }
            record.revoked = Some(Revoked {
                at: milliseconds(now),
                reason: reason.to_owned(),
            });
            self.keep(transaction, &record, AuditAction::Revoked, reason, now)?;
            let event = ApiKeyEvent::Revoked(id, reason.to_owned());
            Ok(Changed::one(true, record, event))
        })
    }

    /// Issues a key in the place of another, with all that it may. The old one still works for `grace`.
    ///
    /// # Errors
    ///
    /// There is no such key, it was revoked or has a successor already, or the database cannot be used.
    pub fn rotate(
        &self,
        id: ApiKeyId,
        grace: Duration,
        now: SystemTime,
    ) -> Result<Issued, ApiKeyError> {
        let key = self.settings().format.generate();
        self.change(|transaction, table| {
            let mut old = live_record(transaction, id)?;
            if let Some(successor) = old.successor {
                return Err(Fault::caller(ApiKeyError::HasSuccessor(id, successor)));
            }
            // As long as the old one was to live.
            let life = old.expires.map(|end| end.saturating_sub(old.issued));
            let new = NewApiKey {
                owner: old.owner.clone(),
                scopes: old.scopes.clone(),
                addresses: old.addresses.clone(),
                expires: life.map(|life| now + Duration::from_millis(life)),
                rotate_after: old.rotate_after.map(Duration::from_millis),
                rate: old.rate,
                note: old.note.clone(),
            };
            let successor = self.record(transaction, table, new, &key, now)?;
            let end = milliseconds(now + grace);
            old.expires = Some(old.expires.map_or(end, |own| own.min(end)));
            old.successor = Some(successor.id);
            let detail = format!("successor {}", successor.id);
            self.keep(transaction, &old, AuditAction::Rotated, &detail, now)?;
            let detail = format!("in the place of {id}");
            self.keep(transaction, &successor, AuditAction::Issued, &detail, now)?;
            Ok(Changed {
                result: Issued {
                    id: successor.id,
                    key,
                },
                events: vec![ApiKeyEvent::Rotated(id, successor.id)],
                records: vec![old, successor],
                removed: Vec::new(),
            })
        })
    }

    /// Moves a key's end, also of one that has expired; `None` takes it away.
    ///
    /// # Errors
    ///
    /// There is no such key, it was revoked, or the database cannot be used.
    pub fn renew(
        &self,
        id: ApiKeyId,
        expires: Option<SystemTime>,
        now: SystemTime,
    ) -> Result<(), ApiKeyError> {
        self.change(|transaction, _| {
            let mut record = live_record(transaction, id)?;
            record.expires = expires.map(milliseconds);
            self.keep(transaction, &record, AuditAction::Renewed, "", now)?;
            Ok(Changed::one((), record, ApiKeyEvent::Changed(id)))
        })
    }

    /// Gives a key scopes.
    ///
    /// # Errors
    ///
    /// One is no scope, there is no such key, it was revoked, it would have more than 64, or the database cannot be
    /// used.
    pub fn grant_scopes(
        &self,
        id: ApiKeyId,
        scopes: &[String],
        now: SystemTime,
    ) -> Result<(), ApiKeyError> {
        for scope in scopes {
            check_scope(scope)?;
        }
        self.change(|transaction, _| {
            let mut record = live_record(transaction, id)?;
            record.scopes.extend_from_slice(scopes);
            record.scopes.sort_unstable();
            record.scopes.dedup();
            if record.scopes.len() > SCOPES_MAX {
                return Err(Fault::caller(ApiKeyError::TooMany));
            }
            self.keep(
                transaction,
                &record,
                AuditAction::Granted,
                &scopes.join(" "),
                now,
            )?;
            Ok(Changed::one((), record, ApiKeyEvent::Changed(id)))
        })
    }

    /// Takes scopes from a key; those it has not are passed over.
    ///
    /// # Errors
    ///
    /// There is no such key, it was revoked, or the database cannot be used.
    pub fn withdraw_scopes(
        &self,
        id: ApiKeyId,
        scopes: &[String],
        now: SystemTime,
    ) -> Result<(), ApiKeyError> {
        self.change(|transaction, _| {
            let mut record = live_record(transaction, id)?;
            record.scopes.retain(|scope| !scopes.contains(scope));
            self.keep(
                transaction,
                &record,
                AuditAction::Withdrawn,
                &scopes.join(" "),
                now,
            )?;
            Ok(Changed::one((), record, ApiKeyEvent::Changed(id)))
        })
    }

    /// Removes the keys that ended or were revoked so long ago. Returns how many.
    ///
    /// # Errors
    ///
    /// The database cannot be used.
    pub fn purge_expired(&self, after: Duration, now: SystemTime) -> Result<usize, ApiKeyError> {
        let before = milliseconds(now.checked_sub(after).unwrap_or(SystemTime::UNIX_EPOCH));
        let is_over = |ended: Option<u64>| ended.is_some_and(|ended| ended <= before);
        self.change(|transaction, table| {
            let (mut removed, mut events) = (Vec::new(), Vec::new());
            for entry in table.all() {
                let record = &entry.record;
                if is_over(record.ended(milliseconds(now))) {
                    transaction.remove(record.id)?;
                    self.write_audit(transaction, record, AuditAction::Purged, "", now)?;
                    removed.push(record.hash);
                    events.push(ApiKeyEvent::Purged(record.id));
                }
            }
            Ok(Changed {
                result: removed.len(),
                records: Vec::new(),
                removed,
                events,
            })
        })
    }

    fn record(
        &self,
        transaction: &Transaction,
        table: &Table,
        new: NewApiKey,
        key: &str,
        now: SystemTime,
    ) -> Result<Record, Fault> {
        let mut record = Record::new(new, key, table.hash(key), now).map_err(Fault::caller)?;
        while transaction.has(record.id)? {
            record.id = ApiKeyId::random();
        }
        Ok(record)
    }

    pub(super) fn keep(
        &self,
        transaction: &mut Transaction,
        record: &Record,
        action: AuditAction,
        detail: &str,
        now: SystemTime,
    ) -> Result<(), Fault> {
        transaction.set(record)?;
        self.write_audit(transaction, record, action, detail, now)
    }

    fn write_audit(
        &self,
        transaction: &mut Transaction,
        record: &Record,
        action: AuditAction,
        detail: &str,
        now: SystemTime,
    ) -> Result<(), Fault> {
        let settings = self.settings();
        let entry = AuditEntry {
            at: milliseconds(now),
            action,
            key: record.id.to_string(),
            owner: record.owner.clone(),
            detail: detail.chars().take(DETAIL_MAX).collect(),
        };
        let retention = settings.audit_retention;
        let oldest = milliseconds(now.checked_sub(retention).unwrap_or(SystemTime::UNIX_EPOCH));
        transaction.audit(&entry, settings.audit_entries_max.max(1), oldest)
    }
}

impl<R> Changed<R> {
    fn nothing(result: R) -> Self {
        Self {
            result,
            records: Vec::new(),
            removed: Vec::new(),
            events: Vec::new(),
        }
    }

    fn one(result: R, record: Record, event: ApiKeyEvent) -> Self {
        Self {
            result,
            records: vec![record],
            removed: Vec::new(),
            events: vec![event],
        }
    }
}

/// A key that was not revoked.
fn live_record(transaction: &Transaction, id: ApiKeyId) -> Result<Record, Fault> {
    let record = transaction.record(id)?;
    if record.revoked.is_some() {
        return Err(Fault::caller(ApiKeyError::Revoked(id)));
    }
    Ok(record)
}

/// Most characters of what an audit entry says besides.
const DETAIL_MAX: usize = 1024;
