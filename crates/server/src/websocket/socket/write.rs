//! What goes out on a connection: its queue, broadcasts, and telling of what was sent.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use tidegate_httpapi::OpaqueConnection;
use tidegate_proto::websocket::{Deflated, FrameHead, Opcode};

use super::timer::after;
use super::{Flow, Socket, Tools, WINDOW, add, tools_inline, traffic_of};
use crate::event::Sent;
use crate::websocket::broadcast::{Broadcast, Content, encode_compressed, encode_message, opcode};
use crate::websocket::delivery::Event;
use crate::websocket::message::{Message, Streaming};
use crate::websocket::outbox::{CloseRequest, Outgoing, Put};
use crate::websocket::send_queue::{Overflow, QueueLimits};

impl Socket {
    /// Moves all that waits into the output, for it is the last: there is no more than may wait.
    pub(super) fn flush(&mut self, io: &mut dyn OpaqueConnection, tools: &mut Tools) {
        let connection = self.connection.clone();
        let before = io.unsent();
        if let Some(outbox) = connection.outbox().as_mut()
            && !self.has_sent_close()
        {
            while let Some((outgoing, _)) = outbox.queue.pop() {
                self.write(io, outgoing, tools);
            }
        }
        self.count_sent(io.unsent().saturating_sub(before));
    }

    pub(super) fn count_sent(&self, bytes: usize) {
        add(&traffic_of(&self.connection).sent_bytes, bytes as u64);
        self.connection.0.post.totals.bytes_sent.add(bytes as u64);
    }

    #[inline]
    pub(super) fn count_messages_sent(&self, messages: u64) {
        if messages > 0 {
            let totals = &self.connection.0.post.totals;
            totals.messages_sent.add(messages);
        }
    }

    /// Moves what waits into the output, as far as there is room.
    pub(in crate::websocket) fn pump(&mut self, io: &mut dyn OpaqueConnection, tools: &mut Tools) {
        if !self.has_backlog() {
            return;
        }
        let connection = self.connection.clone();
        self.tell_lost(io);
        let mut slot = connection.outbox();
        let Some(outbox) = slot.as_mut() else {
            return;
        };
        outbox.notified = false;
        let before = io.unsent();
        if before < WINDOW
            && let Some(pong) = outbox.pong.take()
            && !self.has_sent_close()
        {
            io.append(pong);
        }
        let (mut is_moved, mut is_exhausted) = (false, false);
        while io.unsent() < WINDOW && !is_exhausted {
            match outbox.queue.pop() {
                Some((outgoing, _)) => {
                    is_moved = true;
                    self.write(io, outgoing, tools);
                }
                // What may still wait, waits for the application.
                None => is_exhausted = true,
            }
        }
        is_exhausted |= outbox.queue.is_empty();
        let written = io.unsent().saturating_sub(before);
        self.count_sent(written);
        if is_exhausted
            && !self.has_sent_close()
            && let Some(close) = outbox.close.take()
        {
            // What waits behind a message that lacks its last part is not to be sent any more.
            outbox.give_up();
            self.send_close(io, Some(close.code), &close.reason);
            self.late.get_or_insert_default().close_sent = Some((close.code, close.reason));
        }
        if outbox.waiting > 0 && is_moved {
            outbox.room.notify_all();
        }
        let waits_for_peer = !is_exhausted || outbox.pong.is_some();
        if outbox.is_idle() {
            connection.0.set_backlog(false);
            *slot = None;
        } else if waits_for_peer {
            io.notify_sent();
        }
        drop(slot);
        let now = connection.0.post.milliseconds(io.now());
        if written > 0 {
            self.watch_writing(io, now);
        }
        if self.close_deadline == 0 && !connection.is_open() {
            self.close_deadline = after(now, self.options.close_timeout);
            self.rearms = true;
        }
        if self.pauses_for_output && !waits_for_peer {
            self.pauses_for_output = false;
            self.resume(io);
        }
    }

    pub(super) fn write(
        &mut self,
        io: &mut dyn OpaqueConnection,
        outgoing: Outgoing,
        tools: &mut Tools,
    ) {
        self.count_messages_sent(outgoing.begins_message().into());
        match outgoing {
            Outgoing::Message(message) => {
                let sent = Sent {
                    context: message.context,
                    bytes: message.data.len(),
                    is_sent: true,
                };
                self.write_message(io, message, tools);
                if self.options.asynchronous {
                    let due = io.bytes_sent() + io.unsent() as u64;
                    let late = self.late.get_or_insert_default();
                    late.unfinished.push_back((due, sent));
                    io.notify_sent();
                }
            }
            Outgoing::Part(kind, data, part) => {
                let mut head = FrameHead::new(match part {
                    Streaming::First => opcode(kind),
                    Streaming::Continue | Streaming::Last => Opcode::Continuation,
                });
                head.fin = part == Streaming::Last;
                head.payload_len = data.len() as u64;
                head.encode(io.output());
                io.append(data);
            }
            Outgoing::Broadcast(broadcast) => {
                self.write_broadcast(io, &broadcast, tools);
            }
            Outgoing::Ping(frame) => {
                self.note_ping(io);
                io.append(frame);
            }
        }
    }

    /// Gives its compressor's memory back. Its next message refers to none before.
    pub(in crate::websocket) fn release_compressor(&mut self, tools: &mut Tools) {
        if let Some(deflater) = &mut self.deflater {
            deflater.release(&mut tools.workspace);
        }
    }

    pub(super) fn write_message(
        &mut self,
        io: &mut dyn OpaqueConnection,
        message: Message,
        tools: &mut Tools,
    ) {
        let Message {
            kind,
            data,
            fragment_bytes,
            ..
        } = message;
        if let Some(deflater) = &mut self.deflater {
            tools.scratch.clear();
            let had_compressor = deflater.heap_bytes() > 0;
            let deflated = deflater.deflate(&data, &mut tools.workspace, &mut tools.scratch);
            if !had_compressor && deflater.heap_bytes() > 0 {
                tools.compressors.push_back(self.connection.0.key);
            }
            if deflated == Deflated::Compressed {
                encode_compressed(io.output(), kind, &tools.scratch, fragment_bytes);
                if tools.scratch.capacity() > SCRATCH_MAX {
                    tools.scratch = Vec::new();
                }
                return;
            }
        }
        if fragment_bytes != 0 || data.len() < COPIED_MAX {
            return encode_message(io.output(), kind, &data, fragment_bytes);
        }
        let mut head = FrameHead::new(opcode(kind));
        head.payload_len = data.len() as u64;
        head.encode(io.output());
        io.append(data);
    }

    /// Says how many bytes it is.
    pub(super) fn write_broadcast(
        &mut self,
        io: &mut dyn OpaqueConnection,
        broadcast: &Broadcast,
        tools: &mut Tools,
    ) -> usize {
        let frames: &Bytes = match (&mut self.deflater, self.connection.0.accepted.deflate()) {
            (Some(deflater), Some(agreement)) => {
                let bits = agreement.server_max_window_bits;
                match broadcast.compressed(bits, &tools.deflate, &mut tools.workspace) {
                    Some(frames) => {
                        // The peer's window has moved on by what our compressor has not seen.
                        deflater.forget();
                        frames
                    }
                    None => broadcast.frames(),
                }
            }
            _ => broadcast.frames(),
        };
        let frames_len = frames.len();
        if frames_len < COPIED_MAX {
            io.output().extend_from_slice(frames);
        } else {
            io.append(frames.clone());
        }
        if matches!(broadcast.content, Content::Ping) {
            self.note_ping(io);
        }
        frames_len
    }

    /// A broadcast is for this connection.
    #[inline]
    pub(in crate::websocket) fn broadcast(
        &mut self,
        io: &mut dyn OpaqueConnection,
        broadcast: &Arc<Broadcast>,
        tools: &mut Tools,
    ) -> Flow {
        if let Content::Close(code, reason) = &broadcast.content {
            if self.connection.begin_closing() {
                let request = CloseRequest {
                    code: *code,
                    reason: (&**reason).into(),
                };
                self.close_in_turn(io, Some(request), tools);
            }
            return Ok(());
        }
        if !self.connection.is_open() && self.has_to_close() {
            return Ok(());
        }
        if broadcast.kind().is_some() {
            let totals = &self.connection.0.post.totals;
            totals.broadcast_deliveries.add(1);
        }
        if !self.has_backlog() && io.unsent() < WINDOW {
            let written = self.write_broadcast(io, broadcast, tools);
            self.count_sent(written);
            self.count_messages_sent(broadcast.kind().is_some().into());
            if self.write_check == 0 {
                let now = self.connection.0.post.milliseconds(io.now());
                self.watch_writing(io, now);
                self.arm(io);
            }
            return Ok(());
        }
        self.queue_broadcast(io, broadcast, tools)
    }

    /// Whether its close frame comes before anything that is left to be sent now. One that is to be
    /// closed may still have broadcasts on their way that were made before.
    fn has_to_close(&self) -> bool {
        let is_asked_to = || {
            let outbox = self.connection.outbox();
            outbox.as_ref().is_some_and(|outbox| outbox.close.is_some())
        };
        self.has_sent_close() || is_asked_to()
    }

    #[inline(never)]
    pub(super) fn queue_broadcast(
        &mut self,
        io: &mut dyn OpaqueConnection,
        broadcast: &Arc<Broadcast>,
        tools: &mut Tools,
    ) -> Flow {
        let limits = self.options.queue.limits();
        let outgoing = Outgoing::Broadcast(Arc::clone(broadcast));
        self.put(io, outgoing, &limits, tools)
    }

    /// Puts something into the queue that came by the way of broadcasts.
    pub(in crate::websocket) fn send_in_turn(
        &mut self,
        io: &mut dyn OpaqueConnection,
        outgoing: Outgoing,
        tools: &mut Tools,
    ) -> Flow {
        if self.has_sent_close() {
            return Ok(());
        }
        let limits = match self.options.queue.overflow {
            // Its sender has waited already, as long as it was full.
            Overflow::Wait => QueueLimits {
                messages: usize::MAX,
                bytes: usize::MAX,
            },
            _ => self.options.queue.limits(),
        };
        self.put(io, outgoing, &limits, tools)
    }

    fn put(
        &mut self,
        io: &mut dyn OpaqueConnection,
        outgoing: Outgoing,
        limits: &QueueLimits,
        tools: &mut Tools,
    ) -> Flow {
        let put = {
            let mut slot = self.connection.outbox();
            let outbox = slot.get_or_insert_default();
            self.connection.0.set_backlog(true);
            let totals = self.connection.shared().websockets().totals();
            outbox.put_in_sequence(outgoing, limits, &self.options.queue, totals)
        };
        match put {
            Put::Full(_) | Put::Overflowed => return Err(self.too_slow(io)),
            Put::Taken | Put::Dropped => {}
        }
        self.pump(io, tools);
        self.arm(io);
        Ok(())
    }

    /// Closes as was asked for by the way of broadcasts.
    pub(in crate::websocket) fn close_in_turn(
        &mut self,
        io: &mut dyn OpaqueConnection,
        request: Option<CloseRequest>,
        tools: &mut Tools,
    ) {
        if let Some(request) = request {
            let mut slot = self.connection.outbox();
            slot.get_or_insert_default().close = Some(request);
            self.connection.0.set_backlog(true);
        }
        self.pump(io, tools);
        self.arm(io);
    }

    /// All that was given has been taken.
    pub(in crate::websocket) fn sent(&mut self, io: &mut dyn OpaqueConnection, tools: &mut Tools) {
        self.tell_finished(io);
        self.pump(io, tools);
        self.arm(io);
    }

    /// Tells of asynchronous sends that are done.
    pub(super) fn tell_finished(&mut self, io: &mut dyn OpaqueConnection) {
        let taken = io.bytes_sent();
        loop {
            let Some(late) = &mut self.late else {
                return;
            };
            match late.unfinished.front() {
                None => return,
                Some((due, _)) if *due > taken => return io.notify_sent(),
                Some(_) => {}
            }
            if let Some((_, sent)) = late.unfinished.pop_front() {
                self.tell_sent(io, sent);
            }
        }
    }

    /// Tells of asynchronous sends that were dropped.
    pub(super) fn tell_lost(&mut self, io: &mut dyn OpaqueConnection) {
        let lost = match self.connection.outbox().as_mut() {
            Some(outbox) if !outbox.lost.is_empty() => mem::take(&mut outbox.lost),
            _ => return,
        };
        if self.options.asynchronous {
            lost.into_iter().for_each(|sent| self.tell_sent(io, sent));
        }
    }

    pub(super) fn tell_sent(&mut self, io: &mut dyn OpaqueConnection, sent: Sent) {
        if tools_inline(&self.connection) {
            self.call_inline(io, |connection| connection.tell_asynchronous(&sent));
        } else {
            self.connection.deliver_later(Event::Asynchronous(sent));
        }
    }
}

/// Longer data is not copied into the output.
const COPIED_MAX: usize = 16 * 1024;
/// Larger memory for compressed messages is not kept.
const SCRATCH_MAX: usize = 1024 * 1024;
