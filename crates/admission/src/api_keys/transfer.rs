//! Keys from one store to another: as a backup, or to another machine.
//!
//! An export holds hashes and the salt that they were made with, no key. It is nobody's business all the same: it
//! tells who has keys, for what, and from where.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::ApiKeyEvent;
use super::audit::AuditAction;
use super::database::Fault;
use super::error::ApiKeyError;
use super::record::Record;
use super::store::{ApiKeys, Changed};
use crate::hex;

/// What is exported: JSON, by [`Export::to_json`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    version: u32,
    salt: String,
    keys: Vec<Record>,
}

impl Export {
    /// As JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("all of it can be JSON")
    }

    /// From JSON.
    ///
    /// # Errors
    ///
    /// It is no export.
    pub fn from_json(text: &str) -> Result<Self, ApiKeyError> {
        let export: Self = serde_json::from_str(text).map_err(ApiKeyError::Import)?;
        let is_known = export.version == VERSION && hex::decode::<32>(&export.salt).is_some();
        if !is_known {
            let cause = serde::de::Error::custom("the version or the salt is not known");
            return Err(ApiKeyError::Import(cause));
        }
        Ok(export)
    }
}

/// What came of an import.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ImportReport {
    /// Keys that are here now and were not before.
    pub added: usize,
    /// Keys that were here already; they stay as they are.
    pub known: usize,
}

impl ApiKeys {
    /// All keys, with their hashes.
    ///
    /// # Errors
    ///
    /// The database cannot be used.
    pub fn export(&self) -> Result<Export, ApiKeyError> {
        let content = self.read()?;
        let mut keys: Vec<_> = content
            .entries
            .into_iter()
            .map(|entry| entry.record)
            .collect();
        keys.sort_by_key(|record| (record.issued, record.id));
        Ok(Export {
            version: VERSION,
            salt: hex::encode(&content.salt),
            keys,
        })
    }

    /// Adds the keys of an export, all or none. Keys that are here already stay as they are: one that was revoked
    /// meanwhile does not come back.
    ///
    /// # Errors
    ///
    /// The export is of another store and there are keys here, it holds what no key may have, or the database cannot be used.
    pub fn import(&self, export: &Export, now: SystemTime) -> Result<ImportReport, ApiKeyError> {
        let salt = hex::decode::<32>(&export.salt).ok_or(ApiKeyError::OtherSalt)?;
        for record in &export.keys {
            record.check()?;
        }
        let report = self.change(|transaction, table| {
            let is_ours = transaction.salt()? == salt;
            if !is_ours && !table.all().is_empty() {
                return Err(Fault::caller(ApiKeyError::OtherSalt));
            }
            transaction.set_salt(&salt)?;
            let mut changed = Changed {
                result: ImportReport::default(),
                records: Vec::new(),
                removed: Vec::new(),
                events: Vec::new(),
            };
            for record in &export.keys {
                if transaction.has(record.id)? || table.find_hash(&record.hash).is_some() {
                    changed.result.known += 1;
                    continue;
                }
                self.keep(transaction, record, AuditAction::Imported, "", now)?;
                changed.result.added += 1;
                changed.events.push(ApiKeyEvent::Issued(record.id));
            }
            Ok(changed)
        })?;
        // The salt may be another now.
        self.reload()?;
        Ok(report)
    }
}

const VERSION: u32 = 1;
