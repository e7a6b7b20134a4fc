//! One connection as its lane has it: what arrives, what goes out, its timers, its end.
//!
//! Rules of frames and messages are `tidegate_proto`'s; here is what follows from them. Everything
//! that ends a connection comes together in [`End`]. Source: RFC 6455 §5.5, §7.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tidegate_httpapi::OpaqueConnection;
use tidegate_proto::websocket::{
    Budget, CloseFrame, DecodeContext, Decoder, DeflateSettings, DeflateWorkspace, Deflated,
    Deflater, FragmentedMessages, FrameHead, Opcode, Received, Role, Violation, close_code,
    may_be_sent,
};

use super::broadcast::{Broadcast, Content, encode_compressed, encode_message, opcode};
use super::connection::{Connection, Disconnect, EndedBy};
use super::delivery::Event;
use super::heartbeat::{Beat, Heartbeat};
use super::inline;
use super::message::{Message, Streaming};
use super::outbox::{Outbox, Outgoing, Put, SLOW_READER};
use super::settings::WebSocketSettings;
use crate::event::{BeforeHeartbeat, PeerFault, Sent};

/// What the connections of a lane share.
pub(super) struct Tools {
    pub(super) workspace: DeflateWorkspace,
    pub(super) deflate: DeflateSettings,
    pub(super) budget: Arc<dyn Budget>,
    /// For connections that are in the middle of nothing.
    pub(super) decoder: Decoder,
    /// Memory for compressed messages.
    pub(super) scratch: Vec<u8>,
    pub(super) watches_heartbeats: bool,
    /// Whether handlers are called by the lane.
    pub(super) calls_inline: bool,
}

/// One connection.
pub(super) struct Socket {
    pub(super) connection: Connection,
    options: Arc<WebSocketSettings>,
    /// What it is in the middle of receiving; without compression, nothing mostly.
    decoder: Option<Box<Decoder>>,
    deflater: Option<Box<Deflater>>,
    heartbeat: Heartbeat,
    /// When the driver will call; 0: not.
    armed: u32,
    /// Something that is waited for has changed since.
    rearms: bool,
    /// When the peer's taking of our bytes is looked at next; 0: not.
    write_check: u32,
    /// How much it had taken when last looked at.
    write_mark: u64,
    /// By when the peer must have answered our close frame; 0: it need not.
    close_deadline: u32,
    /// Nothing is received because of what this connection's own handlers have sent.
    pauses_for_output: bool,
    /// Nothing is received because handler threads have enough to do.
    pauses_for_handlers: bool,
    late: Option<Box<Late>>,
}

/// What most connections have only when they end, if ever.
#[derive(Default)]
struct Late {
    /// What ends the connection when its handlers have caught up.
    ending: Option<Ending>,
    /// Our close frame is out, with this code and reason.
    close_sent: Option<(u16, Box<str>)>,
    /// Messages whose end is to be told, and how much has been taken when they are.
    unfinished: VecDeque<(u64, Sent)>,
}

/// How a connection ends for the application.
pub(super) type End = Disconnect;

/// Whether a connection goes on.
pub(super) type Flow = Result<(), End>;

impl Socket {
    pub(super) fn new(connection: Connection, tools: &Tools, now: u64) -> Self {
        let options = connection.options();
        let (decoder, deflater) = match connection.0.accepted.deflate() {
            Some(agreement) => {
                let deflate = options.per_message_deflate.to_proto();
                let (inflater, deflater) = agreement.server(&deflate);
                (
                    Some(Box::new(Decoder::with_inflater(Role::Server, inflater))),
                    Some(Box::new(deflater)),
                )
            }
            None => (None, None),
        };
        let _ = tools;
        Self {
            heartbeat: Heartbeat::first(connection.0.id.0, now as u32, &options.heartbeat),
            connection,
            options,
            decoder,
            deflater,
            armed: 0,
            rearms: true,
            write_check: 0,
            write_mark: 0,
            close_deadline: 0,
            pauses_for_output: false,
            pauses_for_handlers: false,
            late: None,
        }
    }

    /// The handshake is done.
    pub(super) fn opened(&mut self, io: &mut dyn OpaqueConnection, tools: &mut Tools) {
        if tools.calls_inline {
            self.call_inline(io, Connection::tell_connect);
        } else {
            self.connection.deliver_later(Event::Connect);
        }
        self.pump(io, tools);
        self.arm(io);
    }

    /// Bytes have arrived.
    #[inline]
    pub(super) fn received(
        &mut self,
        io: &mut dyn OpaqueConnection,
        bytes: &mut [u8],
        tools: &mut Tools,
    ) -> Flow {
        let traffic = &self.connection.0.traffic;
        add(&traffic.received_bytes, bytes.len() as u64);
        let calls_inline = tools.calls_inline;
        let sent_before = io.output().len();
        if calls_inline {
            let room = self.direct_room(io);
            inline::begin(self.connection.0.id.0, io.output(), room);
        }
        let taken = self.take(io, bytes, tools);
        self.put_decoder_by(tools);
        if calls_inline {
            inline::end(io.output());
        }
        let now = self.connection.0.post.milliseconds(io.now());
        self.heartbeat.received();
        if taken.messages > 0 {
            add(
                &traffic_of(&self.connection).received_messages,
                taken.messages,
            );
            traffic_of(&self.connection)
                .last_message
                .store(now as u32, Ordering::Relaxed);
        }
        let sent = io.output().len().saturating_sub(sent_before);
        if sent > 0 {
            add(&traffic_of(&self.connection).sent_bytes, sent as u64);
            self.watch_writing(io, now);
        }
        if taken.is_full {
            self.pauses_for_handlers = true;
            io.pause_receive();
        }
        if let Some(ending) = taken.end {
            return self.meet(io, ending, tools);
        }
        if self.has_backlog() {
            self.pump(io, tools);
            if calls_inline && self.has_backlog() && io.unsent() >= WINDOW {
                // What its own messages have led to waits: the peer has to wait as well.
                self.pauses_for_output = true;
                io.pause_receive();
            }
        }
        self.arm(io);
        Ok(())
    }

    /// Keeps a decoder that is in the middle of something, and no other.
    #[inline]
    fn put_decoder_by(&mut self, tools: &mut Tools) {
        match &self.decoder {
            None if tools.decoder.is_idle() => {}
            None => {
                let unfinished = mem::replace(&mut tools.decoder, Decoder::new(Role::Server));
                self.decoder = Some(Box::new(unfinished));
            }
            Some(decoder) if decoder.is_idle() && self.deflater.is_none() => self.decoder = None,
            Some(_) => {}
        }
    }

    /// Takes all of `bytes`.
    #[inline]
    fn take(
        &mut self,
        io: &mut dyn OpaqueConnection,
        bytes: &mut [u8],
        tools: &mut Tools,
    ) -> TakenIn {
        let mut taken = TakenIn::default();
        let mut piece = bytes;
        let mut context = DecodeContext {
            max_message_size: self.options.max_message_size,
            validate_utf8: self.options.validate_utf8,
            fragments: self.options.fragmented_messages,
            budget: Some(&tools.budget),
            deflate: Some(&mut tools.workspace),
        };
        let connection = &self.connection;
        let decoder = match &mut self.decoder {
            Some(decoder) => &mut **decoder,
            None => &mut tools.decoder,
        };
        loop {
            match decoder.next(&mut piece, &mut context) {
                Ok(None) => return taken,
                Ok(Some(Received::Text(text))) => {
                    taken.messages += 1;
                    if connection.0.awaits_reply.load(Ordering::Relaxed)
                        && connection.take_reply(text)
                    {
                        continue;
                    }
                    if !connection.is_open() {
                        continue;
                    }
                    if tools.calls_inline {
                        connection.tell_text(text);
                    } else {
                        taken.is_full |= connection.deliver_later(Event::Text(text.to_owned()));
                    }
                }
                Ok(Some(Received::Binary(data))) => {
                    taken.messages += 1;
                    if !connection.is_open() {
                        continue;
                    }
                    if tools.calls_inline {
                        connection.tell_binary(data);
                    } else {
                        taken.is_full |= connection.deliver_later(Event::Binary(data.to_owned()));
                    }
                }
                Ok(Some(Received::Fragment {
                    opcode,
                    payload,
                    fin,
                })) => {
                    // In the other mode, the whole message comes next.
                    let is_all = self.options.fragmented_messages == FragmentedMessages::Fragments;
                    taken.messages += u64::from(fin && is_all);
                    if !connection.is_open() {
                        continue;
                    }
                    if tools.calls_inline {
                        connection.tell_fragment(opcode, payload, fin);
                    } else {
                        taken.is_full |= connection.deliver_later(Event::Fragment {
                            opcode,
                            payload: payload.to_owned(),
                            is_last: fin,
                        });
                    }
                }
                Ok(Some(Received::Ping(payload))) => {
                    pong(connection, io, payload, tools.calls_inline);
                }
                Ok(Some(Received::Pong(_))) => {
                    let now = connection.0.post.seconds(io.now());
                    traffic_of(connection)
                        .last_pong
                        .store(now, Ordering::Relaxed);
                }
                Ok(Some(Received::Close(frame))) => {
                    taken.end = Some(Ending::PeerCloses(frame.code, frame.reason.into()));
                    return taken;
                }
                Err(violation) => {
                    taken.end = Some(Ending::Violation(violation));
                    return taken;
                }
            }
        }
    }

    /// The peer ends the connection, or must be left. What handlers still have to say to what came
    /// before is said first.
    #[cold]
    fn meet(&mut self, io: &mut dyn OpaqueConnection, ending: Ending, tools: &mut Tools) -> Flow {
        if let Ending::Violation(violation) = &ending {
            self.tell_error(io, PeerFault::WebSocket(*violation));
        }
        let has_caught_up = tools.calls_inline || !self.connection.has_deliveries();
        if has_caught_up || self.has_sent_close() {
            return Err(self.finish(io, ending, tools));
        }
        self.late.get_or_insert_default().ending = Some(ending);
        self.connection.deliver_later(Event::CaughtUp);
        if self.close_deadline == 0 {
            let now = self.connection.0.post.milliseconds(io.now());
            self.close_deadline = after(now, self.options.close_timeout);
            self.rearms = true;
        }
        self.arm(io);
        Ok(())
    }

    fn take_ending(&mut self) -> Option<Ending> {
        self.late.as_mut()?.ending.take()
    }

    fn has_sent_close(&self) -> bool {
        let late = self.late.as_ref();
        late.is_some_and(|late| late.close_sent.is_some())
    }

    fn take_close_sent(&mut self) -> Option<(u16, Box<str>)> {
        self.late.as_mut()?.close_sent.take()
    }

    /// Handlers have had all that came before the end.
    pub(super) fn caught_up(&mut self, io: &mut dyn OpaqueConnection, tools: &mut Tools) -> Flow {
        match self.take_ending() {
            Some(ending) => Err(self.finish(io, ending, tools)),
            None => Ok(()),
        }
    }

    /// What the peer has done to end the connection, done on our side as well.
    fn finish(&mut self, io: &mut dyn OpaqueConnection, ending: Ending, tools: &mut Tools) -> End {
        self.flush(io, tools);
        if !self.has_sent_close() {
            match &ending {
                // RFC 6455 §5.5.1: with the code that came, mostly.
                Ending::PeerCloses(code, _) => self.send_close(io, *code, ""),
                Ending::Violation(violation) => {
                    self.send_close(io, Some(violation.close_code()), "");
                }
                Ending::PeerEnds => {}
            }
        }
        io.end();
        match (ending, self.take_close_sent()) {
            // It answers ours, whatever it says to it.
            (Ending::PeerCloses(..), Some((code, reason))) => End {
                code,
                reason,
                by: EndedBy::Server,
            },
            (ending, ours) => self.told(ending, ours),
        }
    }

    /// How the connection ends without the end of a close handshake.
    pub(super) fn cut_off(&mut self, by: EndedBy) -> End {
        let ours = self.take_close_sent();
        match self.take_ending() {
            Some(ending) => self.told(ending, ours),
            None => self.abnormal(by, ours),
        }
    }

    fn told(&self, ending: Ending, ours: Option<(u16, Box<str>)>) -> End {
        match ending {
            Ending::PeerCloses(code, reason) => End {
                code: code.unwrap_or(close_code::NO_STATUS),
                reason,
                by: EndedBy::Peer,
            },
            Ending::Violation(violation) => End {
                code: violation.close_code(),
                reason: violation.to_string().into(),
                by: EndedBy::Server,
            },
            Ending::PeerEnds => self.abnormal(EndedBy::Network, ours),
        }
    }

    /// Without a close frame of the peer. Where this side had begun to close, it says why.
    fn abnormal(&self, by: EndedBy, ours: Option<(u16, Box<str>)>) -> End {
        let mut end = End { by, ..lost() };
        if !self.connection.is_open() {
            let unsent = || Some(self.connection.outbox().as_mut()?.close.take()?.reason);
            let reason = ours.map(|(_, reason)| reason).or_else(unsent);
            end.reason = reason.unwrap_or_default();
            end.by = EndedBy::Server;
        }
        end
    }

    fn send_close(&mut self, io: &mut dyn OpaqueConnection, code: Option<u16>, reason: &str) {
        let output = io.output();
        let before = output.len();
        CloseFrame { code, reason }.encode(output, None);
        let sent = output.len() - before;
        self.count_sent(sent);
    }

    /// How much the connection's handlers may put into its output themselves.
    #[inline]
    fn direct_room(&self, io: &dyn OpaqueConnection) -> usize {
        let is_simple = self.deflater.is_none()
            && !self.has_backlog()
            && !self.options.asynchronous
            && io.unsent() < WINDOW
            && self.connection.is_open();
        if is_simple { WINDOW } else { 0 }
    }

    #[inline]
    fn has_backlog(&self) -> bool {
        self.connection.0.backlog.load(Ordering::Relaxed)
    }

    /// Moves all that waits into the output, for it is the last: there is no more than may wait.
    fn flush(&mut self, io: &mut dyn OpaqueConnection, tools: &mut Tools) {
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

    fn count_sent(&self, bytes: usize) {
        add(&traffic_of(&self.connection).sent_bytes, bytes as u64);
    }

    /// Moves what waits into the output, as far as there is room.
    pub(super) fn pump(&mut self, io: &mut dyn OpaqueConnection, tools: &mut Tools) {
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

    fn write(&mut self, io: &mut dyn OpaqueConnection, outgoing: Outgoing, tools: &mut Tools) {
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

    fn write_message(
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
            let deflated = deflater.deflate(&data, &mut tools.workspace, &mut tools.scratch);
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
    fn write_broadcast(
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
    pub(super) fn broadcast(
        &mut self,
        io: &mut dyn OpaqueConnection,
        broadcast: &Arc<Broadcast>,
        tools: &mut Tools,
    ) -> Flow {
        if let Content::Close(code, reason) = &broadcast.content {
            self.connection.close_with(*code, reason);
            self.pump(io, tools);
            self.arm(io);
            return Ok(());
        }
        if !self.connection.is_open() {
            return Ok(());
        }
        if !self.has_backlog() && io.unsent() < WINDOW {
            let written = self.write_broadcast(io, broadcast, tools);
            add(&traffic_of(&self.connection).sent_bytes, written as u64);
            if self.write_check == 0 {
                let now = self.connection.0.post.milliseconds(io.now());
                self.watch_writing(io, now);
                self.arm(io);
            }
            return Ok(());
        }
        self.queue_broadcast(io, broadcast, tools)
    }

    #[inline(never)]
    fn queue_broadcast(
        &mut self,
        io: &mut dyn OpaqueConnection,
        broadcast: &Arc<Broadcast>,
        tools: &mut Tools,
    ) -> Flow {
        let options = Arc::clone(&self.options);
        let put = {
            let mut slot = self.connection.outbox();
            let outbox = slot.get_or_insert_default();
            self.connection.0.set_backlog(true);
            let outgoing = Outgoing::Broadcast(Arc::clone(broadcast));
            outbox.put(outgoing, &options.queue.limits(), &options.queue)
        };
        match put {
            Ok(Put::Full(_) | Put::Overflowed) => return Err(self.too_slow(io)),
            Ok(Put::Taken | Put::Dropped) | Err(_) => {}
        }
        self.pump(io, tools);
        self.arm(io);
        Ok(())
    }

    /// The peer takes too little of what it is sent.
    #[cold]
    pub(super) fn too_slow(&mut self, io: &mut dyn OpaqueConnection) -> End {
        self.tell_error(io, PeerFault::SlowReader);
        io.reset();
        End {
            code: SLOW_READER,
            reason: "too much waits to be sent".into(),
            by: EndedBy::Server,
        }
    }

    fn tell_error(&mut self, io: &mut dyn OpaqueConnection, fault: PeerFault) {
        if tools_inline(&self.connection) {
            self.call_inline(io, |connection| connection.tell_error(fault));
        } else {
            self.connection.deliver_later(Event::Error(fault));
        }
    }

    /// All that was given has been taken.
    pub(super) fn sent(&mut self, io: &mut dyn OpaqueConnection, tools: &mut Tools) {
        self.tell_finished(io);
        self.pump(io, tools);
        self.arm(io);
    }

    /// Tells of asynchronous sends that are done.
    fn tell_finished(&mut self, io: &mut dyn OpaqueConnection) {
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
    fn tell_lost(&mut self, io: &mut dyn OpaqueConnection) {
        let lost = match self.connection.outbox().as_mut() {
            Some(outbox) if !outbox.lost.is_empty() => mem::take(&mut outbox.lost),
            _ => return,
        };
        if self.options.asynchronous {
            lost.into_iter().for_each(|sent| self.tell_sent(io, sent));
        }
    }

    fn tell_sent(&mut self, io: &mut dyn OpaqueConnection, sent: Sent) {
        if tools_inline(&self.connection) {
            self.call_inline(io, |connection| connection.tell_asynchronous(&sent));
        } else {
            self.connection.deliver_later(Event::Asynchronous(sent));
        }
    }

    /// Handler threads have caught up with what was received.
    pub(super) fn resume_for_handlers(&mut self, io: &mut dyn OpaqueConnection) {
        self.pauses_for_handlers = false;
        self.resume(io);
    }

    fn resume(&mut self, io: &mut dyn OpaqueConnection) {
        if !self.pauses() {
            // Nothing that came meanwhile has been read.
            self.heartbeat.stop_waiting();
            self.rearms = true;
            io.resume_receive();
        }
    }

    /// Whether nothing is received for now.
    fn pauses(&self) -> bool {
        self.pauses_for_output || self.pauses_for_handlers
    }

    pub(super) fn configured(&mut self, io: &mut dyn OpaqueConnection) {
        let options = self.connection.options();
        if options.heartbeat != self.options.heartbeat {
            let now = self.connection.0.post.milliseconds(io.now());
            self.heartbeat =
                Heartbeat::first(self.connection.0.id.0, now as u32, &options.heartbeat);
            self.rearms = true;
        }
        self.options = options;
        self.arm(io);
    }

    /// Drops the connection: no waiting for the peer.
    pub(super) fn disconnect(&mut self, io: &mut dyn OpaqueConnection, code: u16) -> End {
        let is_sendable = may_be_sent(code);
        if self.options.clean_disconnect && !self.has_sent_close() && io.unsent() < WINDOW {
            self.send_close(io, is_sendable.then_some(code), "");
            io.end();
        } else {
            io.reset();
        }
        End {
            code,
            reason: Box::default(),
            by: EndedBy::Server,
        }
    }

    /// The peer has ended its side.
    pub(super) fn peer_ended(&mut self, io: &mut dyn OpaqueConnection, tools: &mut Tools) -> Flow {
        let late = self.late.as_ref();
        match late.is_some_and(|late| late.ending.is_some()) {
            true => Ok(()),
            false => self.meet(io, Ending::PeerEnds, tools),
        }
    }

    /// A time set by [`arm`](Self::arm) has come.
    pub(super) fn due(&mut self, io: &mut dyn OpaqueConnection, tools: &mut Tools) -> Flow {
        self.armed = 0;
        self.rearms = true;
        let now = self.connection.0.post.milliseconds(io.now());
        if is_due(self.close_deadline, now) {
            if let Some(ending) = self.take_ending() {
                return Err(self.finish(io, ending, tools));
            }
            io.reset();
            return Err(self.cut_off(EndedBy::Server));
        }
        if is_due(self.write_check, now) {
            self.write_check = 0;
            if io.unsent() > 0 {
                let taken = io.bytes_sent();
                if taken == self.write_mark {
                    self.tell_error(io, PeerFault::SlowReader);
                    io.reset();
                    return Err(End {
                        code: close_code::ABNORMAL,
                        reason: "the peer takes nothing".into(),
                        by: EndedBy::Server,
                    });
                }
                self.watch_writing(io, now);
            }
        }
        match self.heartbeat.due(now as u32, &self.options.heartbeat) {
            Beat::Nothing => {}
            Beat::Ping => self.beat(io, tools),
            // What it may have sent is not being read.
            Beat::Dead if self.pauses() => self.heartbeat.stop_waiting(),
            Beat::Dead => {
                self.tell_error(io, PeerFault::NoPong);
                io.reset();
                return Err(End {
                    code: close_code::ABNORMAL,
                    reason: "no pong in time".into(),
                    by: EndedBy::Server,
                });
            }
        }
        self.arm(io);
        Ok(())
    }

    fn beat(&mut self, io: &mut dyn OpaqueConnection, tools: &mut Tools) {
        if !self.connection.is_open() {
            return;
        }
        if tools.watches_heartbeats {
            // Whether a ping is sent, is the handler's to say: it is waited for from then on.
            self.heartbeat.stop_waiting();
            if !tools.calls_inline {
                self.connection.deliver_later(Event::BeforeHeartbeat);
                return;
            }
            let mut answer = BeforeHeartbeat::Handled;
            self.call_inline(io, |connection| answer = connection.tell_before_heartbeat());
            if answer == BeforeHeartbeat::Handled {
                return self.pump(io, tools);
            }
        }
        // One whose queue is full is being written to all the time: it needs no ping to be found dead.
        let _ = self.connection.ping(b"");
        self.pump(io, tools);
    }

    fn note_ping(&mut self, io: &dyn OpaqueConnection) {
        if self.options.heartbeat.enabled {
            let now = self.connection.0.post.milliseconds(io.now());
            self.heartbeat.pinged(now as u32);
            self.rearms = true;
        }
        let now = self.connection.0.post.seconds(io.now());
        let traffic = traffic_of(&self.connection);
        traffic.last_ping.store(now, Ordering::Relaxed);
        if traffic.first_ping.load(Ordering::Relaxed) == 0 {
            traffic.first_ping.store(now, Ordering::Relaxed);
        }
    }

    /// Something is being sent: looks after a while whether the peer takes it.
    #[inline]
    fn watch_writing(&mut self, io: &dyn OpaqueConnection, now: u64) {
        if self.write_check == 0 && !self.options.write_timeout.is_zero() {
            self.write_check = after(now, self.options.write_timeout);
            self.rearms = true;
            self.write_mark = io.bytes_sent();
        }
    }

    /// Has the driver call at the earliest time that something is due.
    #[inline]
    fn arm(&mut self, io: &mut dyn OpaqueConnection) {
        if mem::take(&mut self.rearms) {
            self.arm_anew(io);
        }
    }

    #[inline(never)]
    fn arm_anew(&mut self, io: &mut dyn OpaqueConnection) {
        let now = self.connection.0.post.milliseconds(io.now());
        let heartbeat = self.heartbeat.next(&self.options.heartbeat).map(|next| {
            let wait = next.wrapping_sub(now as u32) as i32;
            coarse(now + u64::from(wait.max(0).unsigned_abs()))
        });
        let times = [
            self.write_check,
            self.close_deadline,
            heartbeat.unwrap_or(0),
        ];
        let Some(next) = times.into_iter().filter(|&time| time != 0).min() else {
            return;
        };
        // One that is armed for earlier looks for itself what is next.
        if self.armed == 0 || next < self.armed {
            self.armed = next;
            let wait = u64::from(next.saturating_sub(coarse(now))) << COARSE_BITS;
            io.set_due(Some(Duration::from_millis(wait)));
        }
    }

    /// Calls a handler on this thread, which may send on its connection.
    fn call_inline(&mut self, io: &mut dyn OpaqueConnection, call: impl FnOnce(&Connection)) {
        let room = self.direct_room(io);
        let before = io.output().len();
        inline::begin(self.connection.0.id.0, io.output(), room);
        call(&self.connection);
        inline::end(io.output());
        let sent = io.output().len().saturating_sub(before);
        if sent > 0 {
            self.count_sent(sent);
            let now = self.connection.0.post.milliseconds(io.now());
            self.watch_writing(io, now);
        }
    }

    /// Tells the application that the connection has ended, after all else.
    pub(super) fn tell_end(mut self: Box<Self>, end: End, outbox: Option<Box<Outbox>>) {
        let late = mem::take(&mut self.late).unwrap_or_default();
        let unfinished = late.unfinished.into_iter().map(|(_, sent)| sent);
        let unsent = match self.options.asynchronous {
            true => outbox.map_or_else(Vec::new, |outbox| outbox.into_lost()),
            false => Vec::new(),
        };
        let connection = &self.connection;
        let calls_inline = tools_inline(connection);
        for mut sent in unfinished.chain(unsent) {
            sent.is_sent = false;
            if calls_inline {
                on_lane(connection, || connection.tell_asynchronous(&sent));
            } else {
                connection.deliver_later(Event::Asynchronous(sent));
            }
        }
        if calls_inline {
            on_lane(connection, || connection.tell_disconnect(&end));
        } else {
            connection.deliver_later(Event::Disconnect(end));
        }
    }
}

/// What came of bytes received.
#[derive(Default)]
struct TakenIn {
    messages: u64,
    /// So much waits for handlers that nothing more should be received.
    is_full: bool,
    end: Option<Ending>,
}

enum Ending {
    /// By a close frame.
    PeerCloses(Option<u16>, Box<str>),
    /// The peer's side of the transport has ended without one.
    PeerEnds,
    Violation(Violation),
}

/// The transport has gone.
pub(super) fn lost() -> End {
    End {
        code: close_code::ABNORMAL,
        reason: Box::default(),
        by: EndedBy::Network,
    }
}

/// Answers a ping.
fn pong(
    connection: &Connection,
    io: &mut dyn OpaqueConnection,
    payload: &[u8],
    calls_inline: bool,
) {
    if calls_inline {
        if inline::send(connection.0.id.0, Opcode::Pong, payload) {
            return;
        }
    } else if io.unsent() < WINDOW {
        return FrameHead::new(Opcode::Pong).encode_frame(io.output(), payload);
    }
    let mut frame = Vec::with_capacity(payload.len() + 2);
    FrameHead::new(Opcode::Pong).encode_frame(&mut frame, payload);
    let mut slot = connection.outbox();
    slot.get_or_insert_default().pong = Some(frame.into());
    connection.0.set_backlog(true);
}

/// Whether handlers of this connection are called by its lane.
fn tools_inline(connection: &Connection) -> bool {
    connection.0.post.calls_inline
}

/// Calls a handler of a connection that has no output any more.
fn on_lane(connection: &Connection, call: impl FnOnce()) {
    let mut nothing = Vec::new();
    inline::begin(connection.0.id.0, &mut nothing, 0);
    call();
    inline::end(&mut nothing);
}

fn traffic_of(connection: &Connection) -> &super::connection::Traffic {
    &connection.0.traffic
}

/// Adds to a count that this thread alone writes.
#[inline]
fn add(count: &std::sync::atomic::AtomicU64, more: u64) {
    count.store(count.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

/// A time as the timers keep it, never 0: short, and good for eight years.
fn coarse(milliseconds: u64) -> u32 {
    u32::try_from(milliseconds >> COARSE_BITS).map_or(u32::MAX, |coarse| coarse.saturating_add(1))
}

const COARSE_BITS: u32 = 6;

fn after(now: u64, time: Duration) -> u32 {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    // One more: the present one has begun already.
    coarse(now.saturating_add(milliseconds)).saturating_add(1)
}

fn is_due(time: u32, now: u64) -> bool {
    time != 0 && time <= coarse(now)
}

/// Bytes on their way to the system above which more is not added but waits in the queue.
const WINDOW: usize = 256 * 1024;
/// Longer data is not copied into the output.
const COPIED_MAX: usize = 16 * 1024;
/// Larger memory for compressed messages is not kept.
const SCRATCH_MAX: usize = 1024 * 1024;

// There may be a hundred thousand of each.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Socket>() <= 80);
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<super::connection::Inner>() <= 168);
