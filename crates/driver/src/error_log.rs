//! The HTTPERR log: one line for each request or connection that the driver itself ended.
//!
//! This file is the way in: workers hand over records and never wait, one thread writes them. How a
//! line looks is in `line`, what is written in `writer`, and how in `log_file`.
//! Source: "Error Logging in HTTP APIs" (support article 820729), "Format of the HTTP Server API
//! Error Logs".

mod line;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use tidegate_httpapi::PeerAddress;

use crate::settings::ErrorLogSettings;

use self::writer::Writer;

/// What is written about one request or connection.
#[derive(Clone, Debug)]
pub(crate) struct ErrorRecord {
    pub(crate) client: PeerAddress,
    pub(crate) server: PeerAddress,
    /// As received, `HTTP/1.1`; empty when it was not read.
    pub(crate) version: Vec<u8>,
    /// As received; empty when it was not read.
    pub(crate) method: Vec<u8>,
    /// The target with its query, as received; empty when it was not read.
    pub(crate) uri: Vec<u8>,
    /// The status that was sent; none when the connection was closed without an answer.
    pub(crate) status: Option<u16>,
    /// The URL group that the request was routed to.
    pub(crate) site_id: Option<u64>,
    /// One of the reasons of support article 820729.
    pub(crate) reason: &'static str,
    pub(crate) queue_name: Option<Arc<str>>,
}

impl ErrorRecord {
    /// A record about a connection of which no request was read.
    pub(crate) fn of_connection(
        client: PeerAddress,
        server: PeerAddress,
        reason: &'static str,
    ) -> Self {
        Self {
            client,
            server,
            version: Vec::new(),
            method: Vec::new(),
            uri: Vec::new(),
            status: None,
            site_id: None,
            reason,
            queue_name: None,
        }
    }
}

/// The log's way in. Shared by all workers.
pub(crate) struct ErrorLog {
    folder: Option<PathBuf>,
    /// `None` when nothing is to be written.
    queue: Option<SyncSender<Message>>,
    lost: Arc<AtomicU64>,
    /// Held only to take the thread out when the log stops.
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    /// When it happened, and what.
    Record(SystemTime, Box<ErrorRecord>),
    /// Give what is gathered to the system, look for the file, then drop the sender.
    Flush(mpsc::Sender<()>),
    Stop,
}

impl ErrorLog {
    /// Begins to log. Files are made with the first record; a folder that cannot be written is found
    /// out then, and told once as a warning.
    pub(crate) fn start(settings: &ErrorLogSettings) -> Self {
        let lost = Arc::new(AtomicU64::new(0));
        let mut log = Self {
            folder: None,
            queue: None,
            lost: Arc::clone(&lost),
            thread: Mutex::new(None),
        };
        // A record without fields says nothing.
        if !settings.enabled || settings.fields & line::ALL_FIELDS == 0 {
            return log;
        }
        let zone = if settings.local_time_rollover {
            TimeZone::system()
        } else {
            TimeZone::UTC
        };
        let place = settings.directory.clone().or_else(tidegate_os::log_folder);
        let folder = place.map(|place| place.join("HTTPERR"));
        let writer = Writer::new(settings, folder.as_deref(), zone, lost);
        let (sender, receiver) = mpsc::sync_channel(RECORDS_WAITING_MAX);
        let spawned = thread::Builder::new()
            .name("tidegate-httperr".to_owned())
            .spawn(move || write_all(&receiver, writer));
        match spawned {
            Ok(thread) => {
                log.folder = folder;
                log.queue = Some(sender);
                log.thread = Mutex::new(Some(thread));
            }
            Err(error) => tracing::warn!(
                %error,
                "the HTTPERR log is off: its thread could not be started; raise the limit on threads"
            ),
        }
        log
    }

    /// Takes a record to be written. Never waits: when the writer is behind, the record is lost and
    /// counted.
    pub(crate) fn record(&self, mut record: ErrorRecord) {
        let Some(queue) = &self.queue else {
            return;
        };
        // What waits is bounded in bytes as well: a peer chooses how long these are.
        cut(&mut record.method, line::METHOD_BYTES_MAX);
        cut(&mut record.uri, line::URI_BYTES_MAX);
        cut(&mut record.version, line::VERSION_BYTES_MAX);
        let message = Message::Record(SystemTime::now(), Box::new(record));
        if queue.try_send(message).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Where the files are; none when nothing is written.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// How many records could not be written.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Gives the system what was taken so far, and begins a new file if the present one was moved away.
    pub(crate) fn flush(&self) {
        let (sender, flushed) = mpsc::channel();
        if let Some(queue) = &self.queue
            && queue.send(Message::Flush(sender)).is_ok()
        {
            // Ends when the sender is dropped.
            let _ = flushed.recv();
        }
    }

    /// Writes what was taken so far and ends the thread. Later records are lost. Safe to call twice.
    pub(crate) fn stop(&self) {
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let (Some(queue), Some(thread)) = (&self.queue, thread) else {
            return;
        };
        // Both fail only when the thread has ended already.
        let _ = queue.send(Message::Stop);
        let _ = thread.join();
    }
}

impl Drop for ErrorLog {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The writer's thread: writes while there is something, gives it to the system when there is not.
fn write_all(queue: &Receiver<Message>, mut writer: Writer) {
    let mut stopping = false;
    loop {
        let message = match queue.try_recv() {
            Ok(message) => message,
            Err(TryRecvError::Empty) if !stopping => {
                writer.flush_at(SystemTime::now());
                match wait(queue, writer.has_failed()) {
                    Ok(message) => message,
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
        };
        match message {
            Message::Record(time, record) => writer.write(time, &record),
            Message::Flush(asker) => {
                writer.reopen(SystemTime::now());
                drop(asker);
            }
            Message::Stop => stopping = true,
        }
    }
    writer.finish(SystemTime::now());
}

/// Waits for the next message; for a while only, if there is something to be tried again.
fn wait(queue: &Receiver<Message>, tries_again: bool) -> Result<Message, RecvTimeoutError> {
    match tries_again {
        true => queue.recv_timeout(TRY_AGAIN_EVERY),
        false => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
    }
}

/// How often it is tried to write what could not be written.
const TRY_AGAIN_EVERY: Duration = Duration::from_secs(1);

fn cut(bytes: &mut Vec<u8>, max: usize) {
    bytes.truncate(max);
    if bytes.capacity() > 2 * max {
        bytes.shrink_to_fit();
    }
}

/// Records that wait for the writer at most; with all of the longest, 5 MiB.
const RECORDS_WAITING_MAX: usize = 1024;

#[cfg(test)]
mod tests;
