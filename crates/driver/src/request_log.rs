//! Logs of requests: one line for each request that was answered.
//!
//! Workers gather what is to be said of a request while they serve it and hand it over in rows, into memory
//! of a fixed size; one thread makes lines of it and writes them. A worker never waits for the disk: where it
//! would have to, what it has is lost and counted. What of a request is kept is in `record`, until when it
//! waits with the worker in `gather`, what becomes of it then in `writer`.
//! Source: http-server-api §9.

mod gather;
mod record;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle, Thread};

use tidegate_engine::{LogId, LogView};

pub(crate) use self::gather::{Entry, EntryId, WorkerLog};
pub(crate) use self::record::{Record, Texts};
use self::writer::Writers;

/// The way to all logs of requests. Shared by all workers.
pub(crate) struct RequestLog {
    inner: Arc<Inner>,
    /// Held only to start the thread or to take it out when the logs stop.
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the workers and the thread that writes share.
struct Inner {
    /// All workers' rings.
    rings: Mutex<Vec<Arc<Ring>>>,
    /// All logs there are, by their ids.
    logs: Mutex<Vec<Arc<LogView>>>,
    /// Who waits until all has been written.
    asked: Mutex<Vec<Sender<()>>>,
    /// There is something in a ring.
    is_pending: AtomicBool,
    /// A ring is half full, or somebody waits: it is to be looked at now.
    is_urgent: AtomicBool,
    stops: AtomicBool,
    /// Who writes.
    writer: OnceLock<Thread>,
    written: AtomicU64,
    lost: AtomicU64,
}

/// What one worker has handed over and nobody has written yet.
#[derive(Default)]
pub(crate) struct Ring {
    /// Held only to put a row in or to take all out.
    rows: Mutex<Rows>,
}

/// Records in order, and the texts of all of them one behind the other.
#[derive(Default)]
struct Rows {
    records: Vec<Record>,
    texts: Vec<u8>,
    /// How many were lost, by log: there was no room for them.
    lost: Vec<(LogId, u64)>,
}

impl RequestLog {
    /// No logs yet, and no thread.
    pub(crate) fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                rings: Mutex::default(),
                logs: Mutex::default(),
                asked: Mutex::default(),
                is_pending: AtomicBool::new(false),
                is_urgent: AtomicBool::new(false),
                stops: AtomicBool::new(false),
                writer: OnceLock::new(),
                written: AtomicU64::new(0),
                lost: AtomicU64::new(0),
            }),
            thread: Mutex::new(None),
        }
    }

    /// What a worker needs to say something.
    pub(crate) fn worker(&self) -> WorkerLog {
        let ring = Arc::new(Ring::default());
        lock(&self.inner.rings).push(Arc::clone(&ring));
        WorkerLog::new(Arc::clone(&self.inner), ring)
    }

    /// Says which logs there are, before any worker hears of them. With the first one begins the thread.
    pub(crate) fn set_logs(&self, logs: &[Arc<LogView>]) {
        let mut known = lock(&self.inner.logs);
        if known.len() == logs.len() {
            return;
        }
        let new = &logs[known.len()..];
        known.extend_from_slice(new);
        drop(known);
        let mut thread = lock(&self.thread);
        if thread.is_some() || self.inner.stops.load(Ordering::Relaxed) {
            return;
        }
        let inner = Arc::clone(&self.inner);
        let spawned = thread::Builder::new()
            .name("tidegate-log".to_owned())
            .spawn(move || Writers::new(inner).run());
        match spawned {
            Ok(spawned) => {
                let _ = self.inner.writer.set(spawned.thread().clone());
                *thread = Some(spawned);
            }
            Err(error) => tracing::warn!(
                %error,
                "requests are not logged: the thread for that could not be started; raise the limit on threads"
            ),
        }
    }

    /// Gives the system what was handed over so far, and begins a new file in place of one that was moved
    /// away.
    pub(crate) fn flush(&self) {
        let (sender, flushed) = mpsc::channel();
        if lock(&self.thread).is_none() {
            return;
        }
        {
            let mut asked = lock(&self.inner.asked);
            if self.inner.stops.load(Ordering::Relaxed) {
                return;
            }
            asked.push(sender);
        }
        self.inner.hurry();
        // Ends when the sender is dropped.
        let _ = flushed.recv();
    }

    /// How many records were written.
    pub(crate) fn written(&self) -> u64 {
        self.inner.written.load(Ordering::Relaxed)
    }

    /// How many records could not be written.
    pub(crate) fn lost(&self) -> u64 {
        self.inner.lost.load(Ordering::Relaxed)
    }

    /// Writes what was handed over so far and ends the thread. Safe to call twice.
    pub(crate) fn stop(&self) {
        let Some(thread) = lock(&self.thread).take() else {
            return;
        };
        // Release: pairs with the Acquire of the writer, which looks into the rings once more then.
        self.inner.stops.store(true, Ordering::Release);
        self.inner.wake();
        let _ = thread.join();
        // Whoever has asked meanwhile.
        lock(&self.inner.asked).clear();
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Inner {
    /// There is something in a ring.
    fn tell_pending(&self) {
        // Mostly it is known already, and nobody's cache line is taken away.
        // Release: what is in the ring is visible to who takes the flag.
        if !self.is_pending.load(Ordering::Relaxed)
            && !self.is_pending.swap(true, Ordering::Release)
        {
            self.wake();
        }
    }

    /// What there is is to be looked at now.
    fn hurry(&self) {
        if !self.is_urgent.swap(true, Ordering::Release) {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    fn lose(&self, records: u64) {
        self.lost.fetch_add(records, Ordering::Relaxed);
    }
}

impl Ring {
    /// Takes a row in, unless it has no room for it: then its records are counted as lost.
    fn put(&self, inner: &Inner, row: &Rows) {
        let mut rows = lock(&self.rows);
        let has_room = rows.records.len() + row.records.len() <= RECORDS_MAX
            && rows.texts.len() + row.texts.len() <= TEXTS_BYTES_MAX;
        if has_room {
            rows.records.extend_from_slice(&row.records);
            rows.texts.extend_from_slice(&row.texts);
        } else {
            inner.lose(row.records.len() as u64);
            rows.lose(&row.records);
        }
        let is_half_full =
            rows.records.len() > RECORDS_MAX / 2 || rows.texts.len() > TEXTS_BYTES_MAX / 2;
        drop(rows);
        inner.tell_pending();
        if is_half_full {
            inner.hurry();
        }
    }

    /// Takes all out, in exchange for memory.
    fn take(&self, taken: &mut Rows) {
        std::mem::swap(&mut *lock(&self.rows), taken);
    }
}

impl Rows {
    /// Has memory for as much as there may be. The system gives it when it is used.
    fn reserve(&mut self) {
        self.records.reserve(RECORDS_MAX - self.records.len());
        self.texts.reserve(TEXTS_BYTES_MAX - self.texts.len());
    }

    fn clear(&mut self) {
        self.records.clear();
        self.texts.clear();
        self.lost.clear();
    }

    #[cold]
    fn lose(&mut self, records: &[Record]) {
        for record in records {
            match self.lost.iter_mut().find(|(log, _)| *log == record.log) {
                Some((_, count)) => *count += 1,
                None => self.lost.push((record.log, 1)),
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records of one worker that wait for the writer at most.
const RECORDS_MAX: usize = 16 * 1024;
/// Bytes of their texts at most.
const TEXTS_BYTES_MAX: usize = 4 * 1024 * 1024;
