//! The frames that a lane sends, as events.
//!
//! They are those of this side's own encoder, whole, neither masked nor compressed.

use std::str;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use tidegate_proto::websocket::{CloseFrame, FrameHead, Opcode, close_code};

use super::charge::Charge;
use crate::component::Shared;

/// Makes events of one connection's frames.
pub(super) struct EventWriter {
    shared: Arc<Shared>,
    /// A message that comes in parts, as far as it has.
    parts: Option<Parts>,
}

struct Parts {
    opcode: Opcode,
    data: Vec<u8>,
    charge: Charge,
}

/// There is no memory for a message that comes in parts.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct BudgetSpent;

/// A close frame was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Closes {
    pub(super) code: Option<u16>,
}

impl EventWriter {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            parts: None,
        }
    }

    /// Appends the events of these frames.
    pub(super) fn write(
        &mut self,
        mut frames: &[u8],
        events: &mut Vec<u8>,
    ) -> Result<Option<Closes>, BudgetSpent> {
        let mut closes = None;
        while let Ok(Some((head, head_len))) = FrameHead::parse(frames) {
            let payload_len = usize::try_from(head.payload_len).unwrap_or(usize::MAX);
            let rest = &frames[head_len..];
            let (payload, rest) = rest.split_at(payload_len.min(rest.len()));
            frames = rest;
            match head.opcode {
                Opcode::Text | Opcode::Binary if head.fin => {
                    write_message(events, head.opcode, payload);
                }
                Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                    self.take_part(&head, payload, events)?;
                }
                Opcode::Ping => write_base64(events, "ping", payload),
                // Nobody has asked for one.
                Opcode::Pong => {}
                Opcode::Close => {
                    // What was begun before is not ended any more.
                    self.parts = None;
                    let close = CloseFrame::parse(payload).unwrap_or(CloseFrame {
                        code: None,
                        reason: "",
                    });
                    write_close(events, &close);
                    closes = Some(Closes { code: close.code });
                }
            }
        }
        Ok(closes)
    }

    fn take_part(
        &mut self,
        head: &FrameHead,
        payload: &[u8],
        events: &mut Vec<u8>,
    ) -> Result<(), BudgetSpent> {
        let parts = self.parts.get_or_insert_with(|| Parts {
            opcode: head.opcode,
            data: Vec::new(),
            charge: Charge::none(&self.shared),
        });
        if !parts.charge.add(payload.len()) {
            self.parts = None;
            return Err(BudgetSpent);
        }
        parts.data.extend_from_slice(payload);
        if head.fin
            && let Some(parts) = self.parts.take()
        {
            write_message(events, parts.opcode, &parts.data);
        }
        Ok(())
    }
}

/// Appends what a stream begins with.
pub(super) fn write_open(
    events: &mut Vec<u8>,
    retry: Duration,
    session: &str,
    protocol: Option<&str>,
) {
    #[derive(Serialize)]
    struct Open<'a> {
        session: &'a str,
        protocol: Option<&'a str>,
    }
    events.extend_from_slice(format!("retry: {}\n", retry.as_millis()).as_bytes());
    write_json(events, "open", &Open { session, protocol });
}

fn write_message(events: &mut Vec<u8>, opcode: Opcode, data: &[u8]) {
    match (opcode, str::from_utf8(data)) {
        (Opcode::Text, Ok(text)) => write_json(events, "text", text),
        _ => write_base64(events, "binary", data),
    }
}

fn write_close(events: &mut Vec<u8>, close: &CloseFrame<'_>) {
    #[derive(Serialize)]
    struct Close<'a> {
        code: u16,
        reason: &'a str,
    }
    let code = close.code.unwrap_or(close_code::NO_STATUS);
    let reason = close.reason;
    write_json(events, "close", &Close { code, reason });
}

/// JSON has no line ends but those that are escaped, so that it is one line whatever is in it.
fn write_json(events: &mut Vec<u8>, name: &str, data: &(impl Serialize + ?Sized)) {
    begin(events, name);
    // Neither memory nor such plain values fail.
    let _ = serde_json::to_writer(&mut *events, data);
    events.extend_from_slice(b"\n\n");
}

fn write_base64(events: &mut Vec<u8>, name: &str, data: &[u8]) {
    begin(events, name);
    events.extend_from_slice(STANDARD.encode(data).as_bytes());
    events.extend_from_slice(b"\n\n");
}

fn begin(events: &mut Vec<u8>, name: &str) {
    events.extend_from_slice(b"event: ");
    events.extend_from_slice(name.as_bytes());
    events.extend_from_slice(b"\ndata: ");
}

/// A line that clients pass over.
pub(super) const COMMENT: &[u8] = b":\n\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        let head = FrameHead {
            fin,
            ..FrameHead::new(opcode)
        };
        head.encode_frame(&mut frame, payload);
        frame
    }

    fn writer() -> EventWriter {
        EventWriter::new(crate::websocket::fallback::charge::tests::shared(1000))
    }

    fn written(writer: &mut EventWriter, frames: &[Vec<u8>]) -> (String, Option<Closes>) {
        let mut events = Vec::new();
        let closes = writer.write(&frames.concat(), &mut events).unwrap();
        (String::from_utf8(events).unwrap(), closes)
    }

    // Defect of the component until 2026.6: what it told was a thousand times the setting.
    #[test]
    fn the_time_to_retry_is_told_in_milliseconds() {
        for (retry, told) in [
            (Duration::from_secs(3), "retry: 3000\n"),
            (Duration::from_millis(1500), "retry: 1500\n"),
            (Duration::ZERO, "retry: 0\n"),
        ] {
            let mut events = Vec::new();
            write_open(&mut events, retry, "aa", None);
            let wanted =
                format!("{told}event: open\ndata: {{\"session\":\"aa\",\"protocol\":null}}\n\n");
            assert_eq!(String::from_utf8(events).unwrap(), wanted);
        }
        assert_eq!(
            crate::ServerSentEventsFallback::default().retry,
            Duration::from_millis(3000)
        );
    }

    #[test]
    fn each_frame_is_an_event_of_one_line() {
        let frames = [
            frame(Opcode::Text, true, "a\r\nb\n\ndata: \"ä\"\0".as_bytes()),
            frame(Opcode::Binary, true, &[0, 10, 13]),
            frame(Opcode::Ping, true, b""),
            frame(Opcode::Pong, true, b"x"),
            frame(Opcode::Text, true, b""),
        ];
        let (events, closes) = written(&mut writer(), &frames);
        let wanted = "event: text\ndata: \"a\\r\\nb\\n\\ndata: \\\"ä\\\"\\u0000\"\n\n\
                      event: binary\ndata: AAoN\n\n\
                      event: ping\ndata: \n\n\
                      event: text\ndata: \"\"\n\n";
        assert_eq!((&*events, closes), (wanted, None));
    }

    #[test]
    fn a_close_says_its_code() {
        let with_code = frame(Opcode::Close, true, b"\x0F\xA0\"bye\"");
        let (events, closes) = written(&mut writer(), &[with_code]);
        assert_eq!(
            events,
            "event: close\ndata: {\"code\":4000,\"reason\":\"\\\"bye\\\"\"}\n\n"
        );
        assert_eq!(closes, Some(Closes { code: Some(4000) }));
        let (events, closes) = written(&mut writer(), &[frame(Opcode::Close, true, b"")]);
        assert_eq!(
            events,
            "event: close\ndata: {\"code\":1005,\"reason\":\"\"}\n\n"
        );
        assert_eq!(closes, Some(Closes { code: None }));
    }

    #[test]
    fn a_message_in_parts_comes_whole() {
        let mut writer = writer();
        // Cut within a character, with a ping between.
        let first = [
            frame(Opcode::Text, false, b"a\xC3"),
            frame(Opcode::Ping, true, b"p"),
        ];
        let (events, _) = written(&mut writer, &first);
        assert_eq!(events, "event: ping\ndata: cA==\n\n");
        let rest = [
            frame(Opcode::Continuation, false, b"\xA4"),
            frame(Opcode::Continuation, true, b"b"),
            frame(Opcode::Binary, true, b"x"),
        ];
        let (events, _) = written(&mut writer, &rest);
        assert_eq!(
            events,
            "event: text\ndata: \"aäb\"\n\nevent: binary\ndata: eA==\n\n"
        );
        // One that is given up is not told.
        let given_up = [
            frame(Opcode::Text, false, b"lost"),
            frame(Opcode::Close, true, b"\x03\xE8"),
        ];
        let (events, _) = written(&mut writer, &given_up);
        assert_eq!(
            events,
            "event: close\ndata: {\"code\":1000,\"reason\":\"\"}\n\n"
        );
    }

    #[test]
    fn parts_are_bounded_by_the_budget() {
        let mut writer = writer();
        let part = frame(Opcode::Binary, false, &[0; 600]);
        let more = frame(Opcode::Continuation, false, &[0; 600]);
        let mut events = Vec::new();
        assert_eq!(writer.write(&part, &mut events), Ok(None));
        assert_eq!(writer.write(&more, &mut events), Err(BudgetSpent));
        // What was taken is given back.
        assert_eq!(writer.write(&part, &mut events), Ok(None));
        assert!(events.is_empty());
    }
}
