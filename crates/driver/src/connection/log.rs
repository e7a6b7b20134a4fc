//! What is logged of a connection's requests, from their heads to the last bytes of their answers.
//!
//! An answer has been given when the system has taken its last byte. Where that is in what the connection
//! sends is known when the answer is complete: answers that are may wait for it in a row. Requests that the
//! driver refuses leave nothing here; they are in the HTTPERR log. How a line comes of it is `request_log`'s
//! matter.

use std::net::SocketAddr;

use tidegate_engine::{GroupView, LogView, is_logged};
use tidegate_httpapi::{PeerAddress, ResponseHead};
use tidegate_os::Operations;
use tidegate_proto::http2::StreamKey;

use crate::connection::Connection;
use crate::connection::request::ReceivedRequest;
use crate::core::Core;
use crate::queue::Queue;
use crate::request_log::{Entry, EntryId, Record, Texts, WorkerLog};

/// What a connection has for the logs, once one of its requests is to be logged.
pub(crate) struct ConnectionLog {
    client: Option<SocketAddr>,
    server: Option<SocketAddr>,
    /// How many bytes of its output were taken to be sent, since this began.
    taken: u64,
    /// The present request, in HTTP/1.
    present: Option<EntryId>,
    /// Of those whose answers are complete and have not been given, the first and the last.
    waiting: Option<(EntryId, EntryId)>,
    /// The requests of HTTP/2's streams, by slot.
    streams: Vec<Option<EntryId>>,
}

/// When a request began to come, and how much of it has.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    /// By the worker's clock in milliseconds.
    pub(crate) began: u32,
    /// In bytes.
    pub(crate) received: u64,
}

impl Connection {
    /// So many bytes of its output were taken to be sent.
    #[inline]
    pub(crate) fn log_taken(&mut self, bytes: u64) {
        if let Some(log) = &mut self.log {
            log.taken += bytes;
        }
    }

    /// Where in what it sends the next byte will be.
    fn position(&self) -> u64 {
        let taken = self.log.as_ref().map_or(0, |log| log.taken);
        taken + self.output.len() as u64
    }
}

/// Requests of HTTP/1.
impl Core {
    /// A request goes to its application, or is answered from the cache. `received` bytes of it are there.
    #[inline]
    pub(crate) fn begin_log<O: Operations>(
        &mut self,
        operations: &O,
        conn: &mut Connection,
        group: &GroupView<Queue>,
        request: &ReceivedRequest<'_>,
        received: usize,
    ) {
        if let Some(log) = &group.log {
            let arrival = Arrival {
                began: conn.began,
                received: received as u64,
            };
            let id = self.begin_entry(operations, conn, log, request, arrival);
            if let Some(log) = &mut conn.log {
                log.present = Some(id);
            }
        }
        // The next one came with what was received last, or will yet come.
        conn.began = conn.received_at;
    }

    /// So many bytes of the present request's content were received.
    #[inline]
    pub(crate) fn log_received(&mut self, conn: &Connection, bytes: usize) {
        if let Some(log) = &conn.log
            && let Some(entry) = log.present.and_then(|id| self.request_log.entry(id))
        {
            entry.record.bytes_received += bytes as u64;
        }
    }

    /// The present request is answered with this head.
    #[inline]
    pub(crate) fn log_answer(&mut self, conn: &Connection, head: &ResponseHead) {
        log_answer(&mut self.request_log, conn, head);
    }

    /// The present request's answer is all in the output.
    #[inline]
    pub(crate) fn log_answered(&mut self, conn: &mut Connection) {
        if let Some(log) = &mut conn.log
            && let Some(id) = log.present.take()
        {
            let end = conn.position();
            if let Some(entry) = self.request_log.entry(id) {
                entry.record.bytes_sent = end - entry.start;
            }
            self.await_end(conn, id, end);
        }
    }

    /// The present request is refused after all.
    pub(crate) fn drop_log(&mut self, conn: &mut Connection) {
        if let Some(log) = &mut conn.log
            && let Some(id) = log.present.take()
        {
            self.forget_entry(id);
        }
    }
}

/// Requests of HTTP/2.
impl Core {
    /// As [`begin_log`](Self::begin_log), for a stream's request.
    #[inline]
    pub(crate) fn begin_stream_log<O: Operations>(
        &mut self,
        operations: &O,
        conn: &mut Connection,
        group: &GroupView<Queue>,
        request: &ReceivedRequest<'_>,
        (stream, arrival): (StreamKey, Arrival),
    ) {
        let Some(log) = &group.log else {
            return;
        };
        let id = self.begin_entry(operations, conn, log, request, arrival);
        if let Some(entry) = self.request_log.entry(id) {
            entry.record.stream_id = Some(stream.id);
        }
        if let Some(log) = &mut conn.log {
            let slot = stream.slot as usize;
            if slot >= log.streams.len() {
                log.streams.resize(slot + 1, None);
            }
            log.streams[slot] = Some(id);
        }
    }

    /// So many bytes of a stream's content were received. Says whether its request is being logged.
    #[inline]
    pub(crate) fn log_stream_received(
        &mut self,
        conn: &Connection,
        stream: StreamKey,
        bytes: usize,
    ) -> bool {
        let entry = self.stream_entry(conn, stream);
        if let Some(entry) = entry {
            entry.record.bytes_received += bytes as u64;
            return true;
        }
        false
    }

    /// A stream's request is answered with this head; so many bytes of the answer are in the output.
    #[inline]
    pub(crate) fn log_stream_answer(
        &mut self,
        conn: &Connection,
        stream: StreamKey,
        head: &ResponseHead,
        bytes: usize,
    ) {
        log_stream_answer(&mut self.request_log, conn, stream, head, bytes);
    }

    /// So many more bytes of its answer are in the output.
    #[inline]
    pub(crate) fn log_stream_sent(&mut self, conn: &Connection, stream: StreamKey, bytes: usize) {
        if let Some(entry) = self.stream_entry(conn, stream) {
            entry.record.bytes_sent += bytes as u64;
        }
    }

    /// A stream's answer is all in the output.
    #[inline]
    pub(crate) fn log_stream_answered(&mut self, conn: &mut Connection, stream: StreamKey) {
        if let Some(id) = take_stream(conn, stream) {
            let end = conn.position();
            self.await_end(conn, id, end);
        }
    }

    /// A stream is no more. If its request was not answered to the end, that is because one of the two sides
    /// reset it.
    #[inline]
    pub(crate) fn log_stream_ended(&mut self, conn: &mut Connection, stream: StreamKey) {
        if let Some(id) = take_stream(conn, stream) {
            self.break_entry(id, ERROR_OPERATION_ABORTED, self.clock.read());
        }
    }

    /// A stream's request is refused after all.
    pub(crate) fn drop_stream_log(&mut self, conn: &mut Connection, stream: StreamKey) {
        if let Some(id) = take_stream(conn, stream) {
            self.forget_entry(id);
        }
    }

    /// No stream is any more.
    pub(crate) fn break_streams_log(&mut self, conn: &mut Connection) {
        let Some(log) = &mut conn.log else {
            return;
        };
        let streams = std::mem::take(&mut log.streams);
        let now = self.clock.read();
        for id in streams.into_iter().flatten() {
            self.break_entry(id, ERROR_OPERATION_ABORTED, now);
        }
    }

    #[inline]
    fn stream_entry(&mut self, conn: &Connection, stream: StreamKey) -> Option<&mut Entry> {
        stream_entry(&mut self.request_log, conn, stream)
    }
}

/// As [`Core::log_answer`], beside the rest of the worker's things.
#[inline]
pub(crate) fn log_answer(worker: &mut WorkerLog, conn: &Connection, head: &ResponseHead) {
    if let Some(log) = &conn.log
        && let Some(entry) = log.present.and_then(|id| worker.entry(id))
    {
        entry.answer(head);
    }
}

/// As [`Core::log_stream_answer`], beside the rest of the worker's things.
#[inline]
pub(crate) fn log_stream_answer(
    worker: &mut WorkerLog,
    conn: &Connection,
    stream: StreamKey,
    head: &ResponseHead,
    bytes: usize,
) {
    if let Some(entry) = stream_entry(worker, conn, stream) {
        entry.answer(head);
        entry.record.bytes_sent += bytes as u64;
    }
}

#[inline]
fn stream_entry<'w>(
    worker: &'w mut WorkerLog,
    conn: &Connection,
    stream: StreamKey,
) -> Option<&'w mut Entry> {
    let log = conn.log.as_ref()?;
    let id = *log.streams.get(stream.slot as usize)?;
    worker.entry(id?)
}

impl Entry {
    #[inline]
    fn answer(&mut self, head: &ResponseHead) {
        self.record.status = head.status;
        if let Some(extras) = &head.extras {
            let data = &extras.log;
            self.record.keep_data(&mut self.texts, self.fields, data);
        }
    }
}

impl Core {
    /// The system has what was given it.
    #[inline]
    pub(crate) fn log_given(&mut self, conn: &mut Connection) {
        if let Some(log) = &conn.log
            && log.waiting.is_some()
        {
            self.end_given(conn);
        }
    }

    fn end_given(&mut self, conn: &mut Connection) {
        let Some(log) = &mut conn.log else {
            return;
        };
        let now = self.clock.read();
        while let Some((first, last)) = log.waiting {
            let entry = self.request_log.entry(first);
            let Some(entry) = entry.filter(|entry| entry.end <= log.taken) else {
                break;
            };
            log.waiting = entry.next.map(|next| (next, last));
            self.write_entry(first, 0, now);
        }
        // What follows on an upgraded connection is no request.
        if log.waiting.is_none() && conn.lane().is_some() {
            conn.log = None;
        }
    }

    /// A connection ends, whatever it still had to send.
    pub(crate) fn break_log(&mut self, conn: &mut Connection, cause: u32) {
        let Some(log) = conn.log.take() else {
            return;
        };
        let now = self.clock.read();
        let mut next = log.waiting.map(|(first, _)| first);
        while let Some(id) = next {
            next = None;
            if let Some(entry) = self.request_log.entry(id) {
                next = entry.next;
                let unsent = entry.end.saturating_sub(log.taken);
                let record = &mut entry.record;
                record.bytes_sent = record.bytes_sent.saturating_sub(unsent);
            }
            self.break_entry(id, cause, now);
        }
        if let Some(id) = log.present {
            if let Some(entry) = self.request_log.entry(id) {
                entry.record.bytes_sent = log.taken.saturating_sub(entry.start);
            }
            self.break_entry(id, cause, now);
        }
        for id in log.streams.into_iter().flatten() {
            self.break_entry(id, cause, now);
        }
    }

    #[inline(never)]
    fn begin_entry<O: Operations>(
        &mut self,
        operations: &O,
        conn: &mut Connection,
        log: &LogView,
        request: &ReceivedRequest<'_>,
        arrival: Arrival,
    ) -> EntryId {
        if conn.log.is_none() {
            conn.log = Some(Box::new(ConnectionLog {
                client: socket(self.peer(operations, conn)),
                server: socket(self.local(operations, conn)),
                taken: 0,
                present: None,
                waiting: None,
                streams: Vec::new(),
            }));
        }
        let line = &request.head.line;
        let mut record = Record::new(log, line.version);
        record.bytes_received = arrival.received;
        if let Some(log) = &conn.log {
            (record.client, record.server) = (log.client, log.server);
        }
        let mut texts = self.request_log.take_memory();
        let kept = Texts::of(log.fields, request.bytes, line, request.fields);
        record.keep(&mut texts, &kept);
        self.request_log.insert(Entry {
            record,
            fields: log.fields,
            selection: log.properties.selection,
            texts,
            began: arrival.began,
            start: conn.position(),
            end: 0,
            next: None,
        })
    }

    /// An answer is complete: it has been given when so much has been.
    fn await_end(&mut self, conn: &mut Connection, id: EntryId, end: u64) {
        let Some(entry) = self.request_log.entry(id) else {
            return;
        };
        if !is_logged(entry.selection, entry.record.status) {
            self.forget_entry(id);
            return;
        }
        entry.end = end;
        let Some(log) = &mut conn.log else {
            return;
        };
        log.waiting = match log.waiting {
            None => Some((id, id)),
            Some((first, last)) => {
                if let Some(last) = self.request_log.entry(last) {
                    last.next = Some(id);
                }
                Some((first, id))
            }
        };
    }

    /// An answer will not be given to its end. One that has not begun is none.
    fn break_entry(&mut self, id: EntryId, cause: u32, now: (u32, u64)) {
        let entry = self.request_log.entry(id);
        let is_logged = entry.is_some_and(|entry| {
            entry.record.status != 0 && is_logged(entry.selection, entry.record.status)
        });
        match is_logged {
            true => self.write_entry(id, cause, now),
            false => self.forget_entry(id),
        }
    }

    fn write_entry(&mut self, id: EntryId, win32_status: u32, (now, unix_ms): (u32, u64)) {
        let Some(mut entry) = self.request_log.remove(id) else {
            return;
        };
        if win32_status != 0 {
            entry.record.win32_status = win32_status;
        }
        entry.record.unix_ms = unix_ms;
        // The clock begins anew every 49 days.
        entry.record.time_taken = now.wrapping_sub(entry.began);
        self.request_log.push(entry.record, &entry.texts);
        self.request_log.put_memory(entry.texts);
    }

    fn forget_entry(&mut self, id: EntryId) {
        if let Some(entry) = self.request_log.remove(id) {
            self.request_log.put_memory(entry.texts);
        }
    }
}

fn take_stream(conn: &mut Connection, stream: StreamKey) -> Option<EntryId> {
    let log = conn.log.as_mut()?;
    log.streams.get_mut(stream.slot as usize)?.take()
}

fn socket(address: PeerAddress) -> Option<SocketAddr> {
    match address {
        PeerAddress::Tcp(address) => Some(address),
        _ => None,
    }
}

/// The connection was lost. Source: Win32 error codes, as IIS logs them.
pub(crate) const ERROR_NETNAME_DELETED: u32 = 64;
/// The request was given up.
const ERROR_OPERATION_ABORTED: u32 = 995;
/// The connection was ended by this side.
pub(crate) const ERROR_CONNECTION_ABORTED: u32 = 1236;
