//! SETTINGS, PING, WINDOW_UPDATE, RST_STREAM and what is left of priorities. Source: RFC 9113 §6.3 to §6.7,
//! §6.9; RFC 9218 §7.1.

use super::{Connection, Phase};
use crate::http2::error::{ErrorCode, Fault};
use crate::http2::event::{Event, StreamKey};
use crate::http2::frame::{FrameHead, flag, kind, read_u31, read_u32, write};
use crate::http2::priority::Priority;
use crate::http2::settings::Changes;
use crate::http2::stream::{Remote, Reset};

impl Connection {
    pub(super) fn take_settings(
        &mut self,
        head: &FrameHead,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Event, Fault> {
        if head.stream != 0 {
            return Err(Fault::protocol("SETTINGS on a stream"));
        }
        if head.has(flag::ACK) {
            if !payload.is_empty() {
                let reason = "acknowledgement of SETTINGS with parameters";
                return Err(Fault::new(ErrorCode::FrameSize, reason));
            }
            self.counters.settings(0, &self.limits)?;
            self.settings_are_acknowledged();
            return Ok(Event::Nothing);
        }
        let changes = Changes::read(payload)?;
        self.counters.settings(changes.count, &self.limits)?;
        self.phase = Phase::Open;
        if let Some((smallest, last)) = changes.header_table {
            self.encoder.set_peer_table_bytes_max(smallest);
            self.encoder.set_peer_table_bytes_max(last);
        }
        let event = match changes.initial_window {
            Some(bytes) => self.move_initial_window(bytes)?,
            None => Event::Nothing,
        };
        write(out, kind::SETTINGS, flag::ACK, 0, &[]);
        Ok(event)
    }

    /// What we announced holds from now on.
    fn settings_are_acknowledged(&mut self) {
        if std::mem::replace(&mut self.settings_acknowledged, true) {
            return;
        }
        let table_bytes_max = self.limits.header_table_bytes_max;
        self.decoder.set_table_bytes_max(table_bytes_max);
        // Of heads that were remembered, none may have been decoded with another table.
        self.memo.forget();
        let smaller_by = self.receive_initial - self.stream_window;
        if smaller_by != 0 {
            self.receive_initial = self.stream_window;
            for (_, stream) in self.streams.iter_mut() {
                stream.receive.shrink(smaller_by);
            }
        }
    }

    /// RFC 9113 §6.9.2.
    fn move_initial_window(&mut self, bytes: u32) -> Result<Event, Fault> {
        let before = std::mem::replace(&mut self.send_initial, bytes);
        let mut opened = Vec::new();
        for (slot, stream) in self.streams.iter_mut() {
            let has_opened = stream.send.move_initial(before, bytes);
            if has_opened.map_err(|_| WINDOW_TOO_LARGE)? && stream.waits {
                opened.push(slot);
            }
        }
        for slot in &opened {
            self.wants_again(*slot);
        }
        Ok(if bytes > before {
            Event::Writable
        } else {
            Event::Nothing
        })
    }

    pub(super) fn take_ping(
        &mut self,
        head: &FrameHead,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Event, Fault> {
        if head.stream != 0 {
            return Err(Fault::protocol("PING on a stream"));
        }
        let Ok(opaque) = <&[u8; 8]>::try_from(payload) else {
            return Err(Fault::new(ErrorCode::FrameSize, "PING is not 8 bytes long"));
        };
        self.counters.ping(&self.limits)?;
        if !head.has(flag::ACK) {
            write(out, kind::PING, flag::ACK, 0, opaque);
        }
        Ok(Event::Nothing)
    }

    pub(super) fn take_window_update(
        &mut self,
        head: &FrameHead,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Event, Fault> {
        let increment = read_u31(payload).filter(|_| payload.len() == 4);
        let increment = increment.ok_or(Fault::new(
            ErrorCode::FrameSize,
            "WINDOW_UPDATE is not 4 bytes long",
        ))?;
        self.counters.window_update(&self.limits)?;
        if head.stream == 0 {
            if increment == 0 {
                return Err(Fault::protocol("WINDOW_UPDATE by nothing"));
            }
            let has_opened = self.send.widen(increment).map_err(|_| WINDOW_TOO_LARGE)?;
            return Ok(writable(has_opened));
        }
        let Some(slot) = self.streams.find(head.stream) else {
            if self.is_idle(head.stream) {
                return Err(Fault::protocol("WINDOW_UPDATE on an idle stream"));
            }
            return Ok(Event::Nothing);
        };
        let stream = self.streams.at(slot);
        // What the peer says of a stream that is closed is ignored, be it wrong.
        if matches!(stream.remote(), Remote::Unaware | Remote::Closed) {
            return Ok(Event::Nothing);
        }
        let ended = stream.remote_ended;
        if increment == 0 {
            return self.break_stream(slot, ErrorCode::Protocol, ended, out);
        }
        let Ok(has_opened) = stream.send.widen(increment) else {
            return self.break_stream(slot, ErrorCode::FlowControl, ended, out);
        };
        if has_opened && stream.waits {
            self.wants_again(slot);
        }
        Ok(writable(has_opened))
    }

    pub(super) fn take_reset(&mut self, head: &FrameHead, payload: &[u8]) -> Result<Event, Fault> {
        let code = read_u32(payload).filter(|_| payload.len() == 4);
        let code = code.ok_or(Fault::new(
            ErrorCode::FrameSize,
            "RST_STREAM is not 4 bytes long",
        ))?;
        if head.stream == 0 {
            return Err(Fault::protocol("RST_STREAM on the connection"));
        }
        let Some(slot) = self.streams.find(head.stream) else {
            if self.is_idle(head.stream) {
                return Err(Fault::protocol("RST_STREAM on an idle stream"));
            }
            // Nothing comes after it.
            self.closed.is_late(head.stream, true);
            return Ok(Event::Nothing);
        };
        let stream = self.streams.at(slot);
        let remote = stream.remote();
        stream.remote_ended = true;
        if matches!(remote, Remote::Unaware | Remote::Closed) {
            return Ok(Event::Nothing);
        }
        let was_answered = stream.local_ended;
        stream.reset = Reset::Peer;
        if !was_answered {
            self.counters.client_reset(&self.limits)?;
        }
        let stream = StreamKey {
            slot,
            id: head.stream,
        };
        Ok(Event::Reset { stream, code })
    }

    /// What RFC 7540 said of priorities is not used (RFC 9113 §5.3.2), but it still has a form.
    pub(super) fn take_priority(
        &mut self,
        head: &FrameHead,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Event, Fault> {
        if head.stream == 0 {
            return Err(Fault::protocol("PRIORITY on the connection"));
        }
        self.counters.priority(&self.limits)?;
        let code = if payload.len() != 5 {
            ErrorCode::FrameSize
        } else if read_u31(payload) == Some(head.stream) {
            // RFC 7540 §5.3.1: a stream cannot depend on itself.
            ErrorCode::Protocol
        } else {
            return Ok(Event::Nothing);
        };
        match self.streams.find(head.stream) {
            Some(slot) => match self.streams.at(slot).remote() {
                Remote::Open => self.break_stream(slot, code, false, out),
                Remote::Ended => self.break_stream(slot, code, true, out),
                Remote::Unaware | Remote::Closed => Ok(Event::Nothing),
            },
            // There is nothing that could be reset.
            None if self.is_idle(head.stream) => {
                Err(Fault::new(code, "malformed PRIORITY on an idle stream"))
            }
            None => Ok(Event::Nothing),
        }
    }

    /// RFC 9218 §7.1.
    pub(super) fn take_priority_update(
        &mut self,
        head: &FrameHead,
        payload: &[u8],
    ) -> Result<Event, Fault> {
        if head.stream != 0 {
            return Err(Fault::protocol("PRIORITY_UPDATE on a stream"));
        }
        let (id, value) = read_u31(payload).zip(payload.get(4..)).ok_or(Fault::new(
            ErrorCode::FrameSize,
            "PRIORITY_UPDATE too short",
        ))?;
        self.counters.priority(&self.limits)?;
        if id.is_multiple_of(2) {
            return Err(Fault::protocol("PRIORITY_UPDATE of no request"));
        }
        let priority = Priority::parse(value);
        if let Some(slot) = self.streams.find(id) {
            self.prioritize(slot, priority);
        } else if id > self.closed.last() && !self.leaving.is_ignored(id) {
            self.early_priorities.keep(id, priority);
        }
        Ok(Event::Nothing)
    }
}

fn writable(has_opened: bool) -> Event {
    match has_opened {
        true => Event::Writable,
        false => Event::Nothing,
    }
}

/// RFC 9113 §6.9.1, §6.9.2.
const WINDOW_TOO_LARGE: Fault = Fault::new(ErrorCode::FlowControl, "window above the largest");
