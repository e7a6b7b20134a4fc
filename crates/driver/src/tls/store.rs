//! All bindings of the process, and the thread that looks after their files.
//!
//! The control plane's part: changes are made here, and each outcome is published as a snapshot. A file
//! that has changed is read again; what cannot be used is refused with its reason, and what served before
//! goes on serving. There is no notification of the system in it: certificates live on network file
//! systems and in volumes of containers, where there is none, and looking costs a few system calls.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use tidegate_httpapi::{ApiError, TlsBinding, TlsBindingInfo, TlsBindingKey};

use super::bindings::{Bindings, BindingsBuilder};
use super::error::CertificateError;
use super::expiry::{self, Notice};
use super::files::Files;
use super::load::{Loaded, Reading};

/// All bindings. Ends its thread when it is dropped.
pub(crate) struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    /// Guards the bindings. Files are read under it, and snapshots published, so that they come in order;
    /// whoever publishes may take the lock of a mailbox, and never the control plane's.
    state: Mutex<State>,
    /// The store has ended.
    ended: Condvar,
    look_every: Duration,
    publish: Box<dyn Fn(Bindings) + Send + Sync>,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<TlsBindingKey, Entry>,
    thread: Option<JoinHandle<()>>,
    has_ended: bool,
}

struct Entry {
    binding: TlsBinding,
    loaded: Loaded,
    /// What `loaded` was read from.
    files: Files,
    /// What was read last and could not be used.
    refused: Option<Refused>,
    /// Whether what was read last may have been in the middle of being written.
    is_unsettled: bool,
    told: Told,
}

/// What could not be used.
struct Refused {
    files: Files,
    is_told: bool,
}

/// What the log has been told of a binding.
#[derive(Clone, Default)]
struct Told {
    /// Certificates that serve, by thumbprint.
    bound: BTreeSet<String>,
    /// What is wrong with what was left out of a directory.
    skipped: BTreeSet<String>,
    /// Of each certificate's end, by thumbprint.
    ends: BTreeMap<String, (Notice, SystemTime)>,
}

impl Store {
    /// A store without bindings. Files are looked at every `look_every`; `publish` gets each new snapshot,
    /// one after the other, and must not call the store.
    pub(crate) fn new(
        look_every: Duration,
        publish: impl Fn(Bindings) + Send + Sync + 'static,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                ended: Condvar::new(),
                look_every,
                publish: Box::new(publish),
            }),
        }
    }

    /// Binds a certificate.
    pub(crate) fn add(&self, key: &TlsBindingKey, binding: &TlsBinding) -> Result<(), ApiError> {
        let mut state = self.shared.lock();
        if state.entries.contains_key(key) {
            return Err(ApiError::AlreadyBound { key: key.clone() });
        }
        let entry = Entry::load(key, binding, None).map_err(|error| refusal(key, error))?;
        self.watch(&mut state)?;
        state.entries.insert(key.clone(), entry);
        self.shared.publish(&state);
        Ok(())
    }

    /// Replaces a binding.
    pub(crate) fn update(&self, key: &TlsBindingKey, binding: &TlsBinding) -> Result<(), ApiError> {
        let mut state = self.shared.lock();
        let Some(entry) = state.entries.get_mut(key) else {
            return Err(ApiError::NotBound { key: key.clone() });
        };
        *entry = Entry::load(key, binding, Some(entry)).map_err(|error| refusal(key, error))?;
        self.shared.publish(&state);
        Ok(())
    }

    /// Removes a binding.
    pub(crate) fn remove(&self, key: &TlsBindingKey) -> Result<(), ApiError> {
        let mut state = self.shared.lock();
        if state.entries.remove(key).is_none() {
            return Err(ApiError::NotBound { key: key.clone() });
        }
        self.shared.publish(&state);
        Ok(())
    }

    /// All bindings with the certificates in use, in the order of their keys.
    pub(crate) fn infos(&self) -> Vec<TlsBindingInfo> {
        let info = |(key, entry): (&TlsBindingKey, &Entry)| {
            let certificates = &entry.loaded.certificates;
            let infos = certificates.iter().map(|usable| usable.info().clone());
            TlsBindingInfo::new(key.clone(), infos.collect())
        };
        self.shared.lock().entries.iter().map(info).collect()
    }

    /// Reads all files again, now. What cannot be used stays as it was; of several errors the first.
    pub(crate) fn reload(&self) -> Result<(), ApiError> {
        let mut state = self.shared.lock();
        let mut first = None;
        for (key, entry) in &mut state.entries {
            match Entry::load(key, &entry.binding, Some(entry)) {
                Ok(new) => *entry = new,
                Err(error) => first = first.or_else(|| Some(refusal(key, error))),
            }
        }
        self.shared.publish(&state);
        first.map_or(Ok(()), Err)
    }

    /// Starts the thread with the first binding. Text in memory has no files, but it expires as well.
    fn watch(&self, state: &mut State) -> Result<(), ApiError> {
        if state.thread.is_some() {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new()
            .name("tidegate-certificates".into())
            .spawn(move || shared.run())
            .map_err(|error| ApiError::Start {
                what: "starting the thread that looks after certificates",
                source: error.into(),
            })?;
        state.thread = Some(thread);
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let thread = {
            let mut state = self.shared.lock();
            state.has_ended = true;
            state.thread.take()
        };
        self.shared.ended.notify_all();
        if let Some(thread) = thread {
            // It has caught nothing that it could tell.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, state: &State) {
        let mut bindings = BindingsBuilder::default();
        for (key, entry) in &state.entries {
            entry.loaded.publish(key, &mut bindings);
        }
        (self.publish)(bindings.build());
    }

    fn run(&self) {
        let mut state = self.lock();
        loop {
            let (guard, _) = self
                .ended
                .wait_timeout_while(state, self.look_every, |state| !state.has_ended)
                .unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if state.has_ended {
                return;
            }
            self.look(&mut state, SystemTime::now());
        }
    }

    /// Reads again what has changed, and says which certificates end.
    fn look(&self, state: &mut State, now: SystemTime) {
        let mut is_changed = false;
        // Half-written files are whole a moment later, as a rule.
        let settled_after = self.look_every.min(SETTLED_AFTER_MAX);
        for (key, entry) in &mut state.entries {
            is_changed |= entry.look(key, now, settled_after);
            entry.told.ends(key, &entry.loaded, now);
        }
        if is_changed {
            self.publish(state);
        }
    }
}

impl Entry {
    /// Reads a binding that somebody waits for: what of a directory cannot be used is told at once.
    fn load(
        key: &TlsBindingKey,
        binding: &TlsBinding,
        before: Option<&Self>,
    ) -> Result<Self, CertificateError> {
        let old = before.map(|before| (&before.binding, &before.files, &before.loaded));
        let reading = Reading::of(key, binding, old);
        let mut entry = Self {
            binding: binding.clone(),
            loaded: reading.result?,
            files: reading.files,
            refused: None,
            is_unsettled: true,
            told: before.map(|before| before.told.clone()).unwrap_or_default(),
        };
        entry.told.certificates(key, &entry.loaded);
        entry.told.skipped(key, &entry.loaded);
        entry.told.ends(key, &entry.loaded, SystemTime::now());
        Ok(entry)
    }

    /// Reads it again if its files have changed. Whether something else serves now.
    fn look(&mut self, key: &TlsBindingKey, now: SystemTime, settled_after: Duration) -> bool {
        let last = match &self.refused {
            Some(refused) => &refused.files,
            None => &self.files,
        };
        if last.is_empty() || !(self.is_unsettled || last.have_changed()) {
            return false;
        }
        let before = (&self.binding, &self.files, &self.loaded);
        let Reading { files, result } = Reading::of(key, &self.binding, Some(before));
        self.is_unsettled = files.are_fresh(now, settled_after);
        match result {
            Ok(loaded) => {
                let is_changed = !files.same_content(&self.files);
                self.files = files;
                self.refused = None;
                if is_changed {
                    self.loaded = loaded;
                    self.told.certificates(key, &self.loaded);
                }
                if !self.is_unsettled {
                    self.told.skipped(key, &self.loaded);
                }
                is_changed
            }
            Err(error) => {
                let last = self.refused.take();
                let was_told =
                    last.is_some_and(|last| last.is_told && last.files.same_content(&files));
                if !was_told && !self.is_unsettled {
                    let error: &dyn Error = &error;
                    tracing::error!(
                        %key,
                        error,
                        "a changed certificate cannot be used; what served before still does"
                    );
                }
                self.refused = Some(Refused {
                    files,
                    is_told: was_told || !self.is_unsettled,
                });
                false
            }
        }
    }
}

impl Told {
    /// Says what serves now that did not before.
    fn certificates(&mut self, key: &TlsBindingKey, loaded: &Loaded) {
        let mut bound = BTreeSet::new();
        for usable in &loaded.certificates {
            let info = usable.info();
            if !self.bound.contains(&info.thumbprint) {
                tracing::info!(
                    %key,
                    subject = info.subject,
                    names = info.names.join(" "),
                    expires = %date(info.not_after),
                    "a certificate is bound"
                );
            }
            bound.insert(info.thumbprint.clone());
        }
        self.ends.retain(|thumbprint, _| bound.contains(thumbprint));
        self.bound = bound;
    }

    /// Says what of a directory is left out, and was not before.
    fn skipped(&mut self, key: &TlsBindingKey, loaded: &Loaded) {
        let mut skipped = BTreeSet::new();
        for error in &loaded.skipped {
            let text = error.to_string();
            if !self.skipped.contains(&text) {
                let error: &dyn Error = error;
                tracing::error!(%key, error, "a certificate of the directory cannot be used");
            }
            skipped.insert(text);
        }
        self.skipped = skipped;
    }

    /// Says which certificates end soon, or have ended.
    fn ends(&mut self, key: &TlsBindingKey, loaded: &Loaded, now: SystemTime) {
        for usable in &loaded.certificates {
            let info = usable.info();
            let last = self.ends.get(&info.thumbprint).copied();
            let Some(notice) = expiry::notice(info.not_after, now, last) else {
                continue;
            };
            let (subject, expires) = (&info.subject, date(info.not_after));
            match notice {
                Notice::Soon => {
                    tracing::warn!(%key, subject, %expires, "a certificate in use expires soon");
                }
                Notice::Ended => {
                    tracing::error!(%key, subject, %expires, "a certificate in use has expired");
                }
            }
            self.ends.insert(info.thumbprint.clone(), (notice, now));
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Store").finish_non_exhaustive()
    }
}

pub(super) fn refusal(key: &TlsBindingKey, error: CertificateError) -> ApiError {
    ApiError::Certificate {
        key: key.clone(),
        source: Box::new(error),
    }
}

fn date(time: SystemTime) -> String {
    match jiff::Timestamp::try_from(time) {
        Ok(time) => time.strftime("%Y-%m-%d").to_string(),
        Err(_) => "never".into(),
    }
}

/// A file that was written longer ago is complete.
const SETTLED_AFTER_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
impl Store {
    /// A store without a thread: nothing is looked at but by this.
    pub(super) fn look(&self, now: SystemTime) {
        self.shared.look(&mut self.shared.lock(), now);
    }
}
