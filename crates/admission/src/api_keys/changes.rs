//! What can be done with keys. Each is on the disk, all of it, when it returns.

use std::time::{Duration, SystemTime};

use super::audit::{AuditAction, AuditEntry};
use super::database::{Fault, Transaction};
use super::error::ApiKeyError;
use super::format::KEY_BYTES_MAX;
use super::hash::KeyHash;
use super::record::{ApiKey, ApiKeyId, NewApiKey, Record, Revoked, SCOPES_MAX, check_scope};
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
        let made = self.make();
        self.add(new, made, AuditAction::Issued, now)
    }

    /// Takes in a key that was issued elsewhere, from a store that is given up.
    ///
    /// # Errors
    ///
    /// As [`issue`](Self::issue), or the key is known already, shorter than 22 or longer than 183 bytes, or not
    /// printable ASCII.
    pub fn adopt(&self, key: &str, new: NewApiKey, now: SystemTime) -> Result<Issued, ApiKeyError> {
        let is_key = (22..=KEY_BYTES_MAX).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_key {
            return Err(ApiKeyError::Adopted);
        }
        // It has no name in it, so it is found by its hash alone.
        let made = Made {
            id: ApiKeyId::random(),
            key: key.to_owned(),
            hash: KeyHash::Sha256,
        };
        self.add(new, made, AuditAction::Adopted, now)
    }

    fn add(
        &self,
        mut new: NewApiKey,
        made: Made,
        action: AuditAction,
        now: SystemTime,
    ) -> Result<Issued, ApiKeyError> {
        new.expires = new.expires.or(self.settings().life.map(|life| now + life));
        self.change(|transaction, table| {
            if table.find(&made.key).is_some() {
                return Err(Fault::caller(ApiKeyError::Adopted));
            }
            let record = record(transaction, table, new, &made, now)?;
            self.keep(transaction, &record, action, "", now)?;
            let id = record.id;
            Ok(Changed {
                result: Issued { id, key: made.key },
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
        let made = self.make();
        self.change(|transaction, table| {
            let mut old = live_record(transaction, id)?;
            let mut changed = self.offer(transaction, table, (&old, made), now)?;
            let new = &mut changed.records[0];
            changed.events = self.succeed(transaction, &mut old, new, grace, now)?;
            changed.records.push(old);
            Ok(changed)
        })
    }

    /// Issues a key in the place of each that is to be replaced by now, and has `take` take it: put it where the
    /// program that uses it finds it. Only when it has, the old key's `grace` begins. One that is not taken is
    /// removed again, and the old key stays as it was; so it does if the process ends meanwhile.
    ///
    /// # Errors
    ///
    /// The database cannot be used. Of keys that were not taken, the report tells.
    pub fn rotate_due(
        &self,
        grace: Duration,
        now: SystemTime,
        mut take: impl FnMut(&ApiKey, &Issued) -> bool,
    ) -> Result<RotationReport, ApiKeyError> {
        let mut report = RotationReport::default();
        for due in self.due(now) {
            let made = self.make();
            let offered = self.change(|transaction, table| {
                let old = live_record(transaction, due.id)?;
                self.offer(transaction, table, (&old, made), now)
            });
            let offered = match offered {
                Ok(offered) => offered,
                // Somebody else was first.
                Err(
                    ApiKeyError::HasSuccessor(..)
                    | ApiKeyError::NoSuchKey(_)
                    | ApiKeyError::Revoked(_),
                ) => continue,
                Err(error) => return Err(error),
            };
            if !take(&due, &offered) {
                report.not_taken.push(due.id);
                self.withdraw_offer(offered.id, now)?;
                continue;
            }
            self.change(|transaction, _| {
                let mut old = transaction.record(due.id)?;
                let mut new = live_record(transaction, offered.id)?;
                let events = self.succeed(transaction, &mut old, &mut new, grace, now)?;
                Ok(Changed {
                    result: (),
                    records: vec![old, new],
                    removed: Vec::new(),
                    events,
                })
            })?;
            report.rotated.push((due.id, offered.id));
        }
        Ok(report)
    }

    /// A key that is to come after another, with all that it may; it is good at once. What was offered before and
    /// not taken goes.
    fn offer(
        &self,
        transaction: &mut Transaction<'_>,
        table: &Table,
        (old, made): (&Record, Made),
        now: SystemTime,
    ) -> Result<Changed<Issued>, Fault> {
        if let Some(successor) = old.successor {
            return Err(Fault::caller(ApiKeyError::HasSuccessor(old.id, successor)));
        }
        let mut removed = Vec::new();
        for entry in table.all() {
            if entry.record.offered_for == Some(old.id) {
                transaction.remove(entry.record.id)?;
                removed.push(entry.record.hash);
            }
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
        let mut record = record(transaction, table, new, &made, now)?;
        record.offered_for = Some(old.id);
        transaction.set(&record)?;
        Ok(Changed {
            result: Issued {
                id: record.id,
                key: made.key,
            },
            records: vec![record],
            removed,
            events: Vec::new(),
        })
    }

    /// Puts a key that was offered in the place of another.
    fn succeed(
        &self,
        transaction: &mut Transaction<'_>,
        old: &mut Record,
        new: &mut Record,
        grace: Duration,
        now: SystemTime,
    ) -> Result<Vec<ApiKeyEvent>, Fault> {
        let end = milliseconds(now + grace);
        old.expires = Some(old.expires.map_or(end, |own| own.min(end)));
        old.successor = Some(new.id);
        new.offered_for = None;
        let detail = format!("successor {}", new.id);
        self.keep(transaction, old, AuditAction::Rotated, &detail, now)?;
        let detail = format!("successor of {}", old.id);
        self.keep(transaction, new, AuditAction::Issued, &detail, now)?;
        Ok(vec![ApiKeyEvent::Rotated(old.id, new.id)])
    }

    fn withdraw_offer(&self, id: ApiKeyId, now: SystemTime) -> Result<(), ApiKeyError> {
        self.change(|transaction, _| {
            let record = transaction.record(id)?;
            transaction.remove(id)?;
            self.write_audit(transaction, &record, AuditAction::Purged, "not taken", now)?;
            Ok(Changed {
                result: (),
                records: Vec::new(),
                removed: vec![record.hash],
                events: Vec::new(),
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

    fn make(&self) -> Made {
        let settings = self.settings();
        let id = ApiKeyId::random();
        let name = settings.hash.names_keys().then_some(id);
        Made {
            id,
            key: settings.format.generate(name),
            hash: settings.hash,
        }
    }

    pub(super) fn keep(
        &self,
        transaction: &mut Transaction<'_>,
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
        transaction: &mut Transaction<'_>,
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
        transaction.note(entry.clone());
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

/// A new key.
struct Made {
    id: ApiKeyId,
    key: String,
    hash: KeyHash,
}

fn record(
    transaction: &Transaction<'_>,
    table: &Table,
    new: NewApiKey,
    made: &Made,
    now: SystemTime,
) -> Result<Record, Fault> {
    let secret = made.hash.make(table.salt(), &made.key);
    // A name that is in a key cannot be another; that there is the same is as likely as the same key.
    let id = match secret {
        Some(_) if transaction.has(made.id)? => return Err(Fault::caller(ApiKeyError::Adopted)),
        Some(_) => made.id,
        None => {
            let mut id = made.id;
            while transaction.has(id)? {
                id = ApiKeyId::random();
            }
            id
        }
    };
    let hash = match secret {
        Some(_) => table.name_hash(id),
        None => table.hash(&made.key),
    };
    Record::new(new, &made.key, (id, hash, secret), now).map_err(Fault::caller)
}

/// What came of [`ApiKeys::rotate_due`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RotationReport {
    /// Keys, and those that have come after them.
    pub rotated: Vec<(ApiKeyId, ApiKeyId)>,
    /// Keys whose new ones nobody has taken. They are due still.
    pub not_taken: Vec<ApiKeyId>,
}

/// A key that was not revoked.
fn live_record(transaction: &Transaction<'_>, id: ApiKeyId) -> Result<Record, Fault> {
    let record = transaction.record(id)?;
    if record.revoked.is_some() {
        return Err(Fault::caller(ApiKeyError::Revoked(id)));
    }
    Ok(record)
}

/// Most characters of what an audit entry says besides.
const DETAIL_MAX: usize = 1024;
