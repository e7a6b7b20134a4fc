//! Users and their passwords: who is who they say they are.
//!
//! A user comes from a [`UsersFile`], where passwords are kept as argon2id hashes, or from a list in the
//! settings. What an attacker can measure is the same for every refusal: whether the user is unknown or the
//! password wrong, one hash of the same cost is made. That hash takes tens of milliseconds and megabytes, on
//! purpose; so only so many are made at a time, and what was found right is remembered for a short while.

mod file;
mod lines;
mod password;
mod verified;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use subtle::ConstantTimeEq;

pub use file::{FileFault, UsersFile, UsersFileError};
pub use lines::{DigestSecrets, NameFault, User, UserFault, check_name};
pub use password::{HashingCost, PasswordHash};

use crate::authorization::DigestAlgorithm;
use crate::keyed_hash::KeyedHash;
use crate::slots::Slots;
use crate::stamp::Stamp;
use verified::Verified;

/// What [`Users`] is made of.
#[derive(Clone, Debug)]
pub struct UsersSettings {
    /// The protection space, which is part of what Digest keeps of a password.
    pub realm: String,
    /// A file of users, if there is one; see [`UsersFile`].
    pub file: Option<PathBuf>,
    /// Users with their passwords as they are, as settings name them. They come before the file's.
    pub listed: Vec<ListedUser>,
    /// How many passwords are hashed at a time. Each takes a processor and, by default, 19 MiB.
    ///
    /// Who comes when all are taken waits, up to [`waiting_max`](Self::waiting_max).
    /// Default 2, range 1 to 64.
    pub hashing_max: usize,
    /// How many may wait for a hash. Who comes then is told [`Verdict::Busy`]. Default 64.
    pub waiting_max: usize,
    /// How long a password that was right need not be hashed again.
    ///
    /// A change of the user's entry ends it at once. Default 60 s; zero hashes every time.
    pub remember: Duration,
    /// How many such passwords are remembered; the oldest go first. Default 4,096.
    pub remembered_max: usize,
}

impl Default for UsersSettings {
    fn default() -> Self {
        Self {
            realm: "tidegate".to_owned(),
            file: None,
            listed: Vec::new(),
            hashing_max: 2,
            waiting_max: 64,
            remember: Duration::from_secs(60),
            remembered_max: 4096,
        }
    }
}

/// A user in the settings, with the password as it is.
#[derive(Clone, Eq, PartialEq)]
pub struct ListedUser {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for ListedUser {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ListedUser")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What came of a name and a password.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// They belong together.
    Accepted(Arc<str>),
    /// They do not. Which of the two is wrong is not told.
    Refused,
    /// Too many wait for a hash already. Nothing was compared.
    Busy,
}

/// The users of a server.
pub struct Users {
    directory: ArcSwap<Directory>,
    settings: UsersSettings,
    listed_key: KeyedHash,
    slots: Slots,
    verified: Verified,
    counters: Counters,
    /// Held while the file is read again, so that an older state never replaces a newer one.
    reading: Mutex<()>,
}

impl Users {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a line of it is wrong; a listed user's name cannot be one.
    pub fn open(settings: UsersSettings) -> Result<Self, UsersFileError> {
        let listed_key = KeyedHash::random();
        let directory = Directory::read(&settings, &listed_key, None)?;
        Ok(Self {
            directory: ArcSwap::from_pointee(directory),
            slots: Slots::new(settings.hashing_max, settings.waiting_max),
            verified: Verified::new(settings.remembered_max, settings.remember),
            counters: Counters::default(),
            reading: Mutex::new(()),
            listed_key,
            settings,
        })
    }

    /// Reads the file again if it has changed. Returns whether it had.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); the users stay as they were.
    pub fn refresh(&self) -> Result<bool, UsersFileError> {
        let Some(path) = &self.settings.file else {
            return Ok(false);
        };
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.directory.load();
        if stamp_of(path)? == known.stamp {
            return Ok(false);
        }
        let fresh = Directory::read(&self.settings, &self.listed_key, Some(&known))?;
        self.directory.store(Arc::new(fresh));
        Ok(true)
    }

    /// Whether a name and a password were found right a short while ago. Never waits.
    pub fn recall(&self, name: &str, password: &str, now: Instant) -> Option<Arc<str>> {
        let directory = self.directory.load();
        let entry = directory.entries.get(name)?;
        if self.verified.knows(entry.edition, name, password, now) {
            self.counters.recalled.fetch_add(1, Ordering::Relaxed);
            return Some(Arc::clone(&entry.name));
        }
        None
    }

    /// Whether a name and a password belong together. Takes tens of milliseconds, and may wait for others:
    /// not for a thread that others wait for.
    pub fn verify(&self, name: &str, password: &str, now: Instant) -> Verdict {
        if let Some(name) = self.recall(name, password, now) {
            return Verdict::Accepted(name);
        }
        let directory = self.directory.load_full();
        let entry = directory.entries.get(name);
        // Whoever is asked for, one hash is made: what is measured then tells nothing about who exists.
        let hash = match entry.map(|entry| &entry.secret) {
            Some(Secret::Hashed(hash)) => hash,
            Some(Secret::Listed(_)) | None => &directory.nobody,
        };
        let Some(slot) = self.slots.take() else {
            self.counters.busy.fetch_add(1, Ordering::Relaxed);
            return Verdict::Busy;
        };
        self.counters.hashed.fetch_add(1, Ordering::Relaxed);
        let hash_fits = hash.verify(password);
        drop(slot);
        let listed = self.listed_key.of(&[password.as_bytes()]);
        let fits = match entry.map(|entry| &entry.secret) {
            Some(Secret::Hashed(_)) => hash_fits,
            Some(Secret::Listed(own)) => bool::from(own.ct_eq(&listed)),
            None => false,
        };
        match entry {
            Some(entry) if fits => {
                self.counters.accepted.fetch_add(1, Ordering::Relaxed);
                self.verified.remember(entry.edition, name, password, now);
                Verdict::Accepted(Arc::clone(&entry.name))
            }
            _ => {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
                Verdict::Refused
            }
        }
    }

    /// Whether there is a user of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.directory.load().entries.contains_key(name)
    }

    /// What Digest compares for a user, and the user's name. `None` for who is unknown or has none for this
    /// algorithm and realm.
    pub fn digest_secret(
        &self,
        name: &str,
        algorithm: DigestAlgorithm,
    ) -> Option<(Arc<str>, String)> {
        let directory = self.directory.load();
        let entry = directory.entries.get(name)?;
        let secret = entry.digests.of(algorithm, &self.settings.realm)?;
        Some((Arc::clone(&entry.name), secret.to_owned()))
    }

    /// The name behind a hashed one (RFC 7616 §3.4.4).
    pub fn name_of_userhash(&self, hash: &str, algorithm: DigestAlgorithm) -> Option<Arc<str>> {
        let directory = self.directory.load();
        directory
            .userhashes
            .get(&(algorithm, hash.to_ascii_lowercase()))
            .map(Arc::clone)
    }

    /// How many users there are.
    pub fn count(&self) -> usize {
        self.directory.load().entries.len()
    }

    /// The protection space.
    pub fn realm(&self) -> &str {
        &self.settings.realm
    }

    /// How often what happened, since the start.
    pub fn counters(&self) -> UserCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        UserCounters {
            accepted: read(&self.counters.accepted),
            recalled: read(&self.counters.recalled),
            refused: read(&self.counters.refused),
            busy: read(&self.counters.busy),
            hashed: read(&self.counters.hashed),
        }
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Users")
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

/// How often what came of names and passwords.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct UserCounters {
    /// Right, by a hash.
    pub accepted: u64,
    /// Right, from memory.
    pub recalled: u64,
    /// Wrong.
    pub refused: u64,
    /// Not looked at, since too many waited.
    pub busy: u64,
    /// Hashes made.
    pub hashed: u64,
}

#[derive(Default)]
struct Counters {
    accepted: AtomicU64,
    recalled: AtomicU64,
    refused: AtomicU64,
    busy: AtomicU64,
    hashed: AtomicU64,
}

/// All users at one time.
struct Directory {
    entries: HashMap<Arc<str>, Entry>,
    userhashes: HashMap<(DigestAlgorithm, String), Arc<str>>,
    /// What is hashed against for who is not there: nobody's password, at the cost that users' have.
    nobody: PasswordHash,
    stamp: Stamp,
    next_edition: u64,
}

struct Entry {
    name: Arc<str>,
    secret: Secret,
    digests: DigestSecrets,
    /// Changes when anything of the user does, so that what is remembered ends with it.
    edition: u64,
}

#[derive(PartialEq)]
enum Secret {
    Hashed(PasswordHash),
    /// Keyed with what only this process knows.
    Listed([u8; 32]),
}

impl Directory {
    fn read(
        settings: &UsersSettings,
        listed_key: &KeyedHash,
        known: Option<&Self>,
    ) -> Result<Self, UsersFileError> {
        let (users, stamp) = match &settings.file {
            None => (Vec::new(), Stamp::default()),
            Some(path) => {
                // Before it is read: a change while it is read is then seen the next time.
                let stamp = stamp_of(path)?;
                (UsersFile::read(path)?.into_users(), stamp)
            }
        };
        let cost = users.first().map(|user| user.password.cost());
        let mut directory = Self {
            nobody: match known {
                Some(known) if Some(known.nobody.cost()) == cost => known.nobody.clone(),
                _ => PasswordHash::of_nobody(cost.unwrap_or_default()),
            },
            entries: HashMap::with_capacity(users.len() + settings.listed.len()),
            userhashes: HashMap::new(),
            stamp,
            next_edition: known.map_or(0, |known| known.next_edition),
        };
        for listed in &settings.listed {
            check_name(&listed.name).map_err(|fault| UsersFileError::Listed {
                name: listed.name.clone(),
                fault,
            })?;
            let digests =
                DigestSecrets::compute(&listed.name, &settings.realm, &listed.password, true);
            let secret = Secret::Listed(listed_key.of(&[listed.password.as_bytes()]));
            directory.add(&listed.name, secret, digests, settings, known);
        }
        for user in users {
            let secret = Secret::Hashed(user.password);
            directory.add(&user.name, secret, user.digests, settings, known);
        }
        Ok(directory)
    }

    fn add(
        &mut self,
        name: &str,
        secret: Secret,
        digests: DigestSecrets,
        settings: &UsersSettings,
        known: Option<&Self>,
    ) {
        if self.entries.contains_key(name) {
            return;
        }
        let before = known.and_then(|known| known.entries.get(name));
        let edition = match before {
            Some(before) if before.secret == secret && before.digests == digests => before.edition,
            _ => {
                self.next_edition += 1;
                self.next_edition
            }
        };
        let name: Arc<str> = name.into();
        for algorithm in DigestAlgorithm::ALL {
            if digests.of(algorithm, &settings.realm).is_some() {
                let hash = algorithm.hash(&[name.as_bytes(), b":", settings.realm.as_bytes()]);
                self.userhashes.insert((algorithm, hash), Arc::clone(&name));
            }
        }
        let entry = Entry {
            name: Arc::clone(&name),
            secret,
            digests,
            edition,
        };
        self.entries.insert(name, entry);
    }
}

fn stamp_of(path: &Path) -> Result<Stamp, UsersFileError> {
    Stamp::of(path).map_err(|error| UsersFileError::File {
        path: path.to_owned(),
        fault: FileFault::Read(error),
    })
}

#[cfg(test)]
mod tests;
