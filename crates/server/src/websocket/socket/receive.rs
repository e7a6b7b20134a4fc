//! What arrives on a connection: messages to handlers, pings answered.

use std::mem;
use std::sync::atomic::Ordering;

use tidegate_httpapi::OpaqueConnection;
use tidegate_proto::websocket::{
    DecodeContext, Decoder, FragmentedMessages, FrameHead, Opcode, Received, Role,
};

use super::end::Ending;
use super::{Flow, Socket, Tools, WINDOW, add, traffic_of};
use crate::traffic::{Firewall, MessageRefusal};
use crate::websocket::connection::Connection;
use crate::websocket::delivery::Event;
use crate::websocket::inline;

impl Socket {
    /// Bytes have arrived.
    #[inline]
    pub(in crate::websocket) fn received(
        &mut self,
        io: &mut dyn OpaqueConnection,
        bytes: &mut [u8],
        tools: &mut Tools,
    ) -> Flow {
        let traffic = &self.connection.0.traffic;
        add(&traffic.received_bytes, bytes.len() as u64);
        let totals = &self.connection.0.post.totals;
        totals.bytes_received.add(bytes.len() as u64);
        let calls_inline = tools.calls_inline;
        let sent_before = io.output().len();
        if calls_inline {
            let room = self.direct_room(io);
            inline::begin(self.connection.0.id.0, io.output(), room);
        }
        let taken = self.take(io, bytes, tools);
        self.put_decoder_by(tools);
        if calls_inline {
            let messages = inline::end(io.output());
            self.count_messages_sent(messages);
        }
        let now = self.connection.0.post.milliseconds(io.now());
        self.heartbeat.received();
        if taken.messages > 0 {
            add(
                &traffic_of(&self.connection).received_messages,
                taken.messages,
            );
            let totals = &self.connection.0.post.totals;
            totals.messages_received.add(taken.messages);
            traffic_of(&self.connection)
                .last_message
                .store(now as u32, Ordering::Relaxed);
        }
        let sent = io.output().len().saturating_sub(sent_before);
        if sent > 0 {
            self.count_sent(sent);
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
    pub(super) fn put_decoder_by(&mut self, tools: &mut Tools) {
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
    pub(super) fn take(
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
                    if let Some(firewall) = &tools.firewall
                        && let Err(refusal) = pass(firewall, connection, Some(text), text.len())
                    {
                        taken.end = Some(Ending::Refused(refusal));
                        return taken;
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
                    if let Some(firewall) = &tools.firewall
                        && let Err(refusal) = pass(firewall, connection, None, data.len())
                    {
                        taken.end = Some(Ending::Refused(refusal));
                        return taken;
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
                    // Each counts as a message, and is looked at alone.
                    if let Some(firewall) = &tools.firewall
                        && is_all
                        && let text = (opcode == Opcode::Text).then_some(payload)
                        && let text = text.and_then(|text| std::str::from_utf8(text).ok())
                        && let Err(refusal) = pass(firewall, connection, text, payload.len())
                    {
                        taken.end = Some(Ending::Refused(refusal));
                        return taken;
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
}

/// Whether a connection may send this message.
fn pass(
    firewall: &Firewall,
    connection: &Connection,
    text: Option<&str>,
    bytes: usize,
) -> Result<(), MessageRefusal> {
    let from = (&connection.peer(), connection.0.id);
    firewall.message(connection.shared().events(), from, text, bytes)
}

/// What came of bytes received.
#[derive(Default)]
pub(super) struct TakenIn {
    messages: u64,
    /// So much waits for handlers that nothing more should be received.
    is_full: bool,
    end: Option<Ending>,
}

/// Answers a ping.
pub(super) fn pong(
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
