//! What a client has said in one request, on its way to the lane.

use std::ops::Range;

use tidegate_httpapi::{FieldBlock, Responder};
use tidegate_proto::websocket::FrameHead;

use super::charge::Charge;
use super::session::Turn;

/// A request whose messages are to be taken.
pub(super) struct Post {
    pub(super) turn: Turn,
    pub(super) frames: Frames,
    pub(super) reply: Reply,
}

impl Post {
    /// All has been taken.
    pub(super) fn done(self) {
        // Who is answered may send the next at once.
        self.turn.done();
        self.reply.answer(204);
    }
}

/// Frames that are given to the lane a piece at a time.
pub(super) struct Frames {
    pub(super) bytes: Vec<u8>,
    at: usize,
    /// For as long as they are held.
    _charge: Charge,
}

impl Frames {
    pub(super) fn new(bytes: Vec<u8>, charge: Charge) -> Self {
        Self {
            bytes,
            at: 0,
            _charge: charge,
        }
    }

    /// Where the next piece lies; `None` when all have been given. Each is of whole frames, which a decoder reads
    /// where they lie.
    pub(super) fn next_piece(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        while let Ok(Some((head, head_len))) = FrameHead::parse(&self.bytes[self.at..]) {
            let end = self.at + head_len + head.payload_len as usize;
            if end - start > PIECE_BYTES && self.at > start {
                break;
            }
            self.at = end.min(self.bytes.len());
        }
        (self.at > start).then_some(start..self.at)
    }
}

/// The duty to answer a request. Dropped, it says that the connection has ended.
pub(super) struct Reply(Option<(Responder, FieldBlock)>);

impl Reply {
    pub(super) fn new(responder: Responder, fields: FieldBlock) -> Self {
        Self(Some((responder, fields)))
    }

    pub(super) fn answer(self, status: u16) {
        self.answer_with(status, String::new());
    }

    pub(super) fn answer_with(mut self, status: u16, text: String) {
        self.send(status, text);
    }

    /// Its content could not be read. `None`: the peer has gone, or what it sends is no content.
    pub(super) fn give_up(mut self, status: Option<u16>) {
        self.send(status.unwrap_or(400), String::new());
    }

    fn send(&mut self, status: u16, text: String) {
        if let Some((responder, fields)) = self.0.take() {
            let (head, content) = super::answer::told(status, text, fields);
            responder.respond(head, content);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.send(410, "The connection has ended.".to_owned());
    }
}

/// As much as a socket mostly gives: so much the lane takes before it looks whether there is room for more.
const PIECE_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::super::batch;
    use super::super::charge::tests::shared;
    use super::*;

    fn pieces(content: &str) -> Vec<usize> {
        let bytes = batch::frames(content.as_bytes()).unwrap();
        let whole = bytes.len();
        let mut frames = Frames::new(bytes, Charge::none(&shared(0)));
        let mut lengths = Vec::new();
        let mut next = 0;
        while let Some(piece) = frames.next_piece() {
            assert_eq!(piece.start, next);
            next = piece.end;
            lengths.push(piece.len());
        }
        assert_eq!(next, whole);
        lengths
    }

    #[test]
    fn pieces_are_of_whole_frames() {
        assert!(pieces("[]").is_empty());
        assert_eq!(pieces(r#"[{"text":"a"},{"close":{}}]"#), [13]);
        let long = "x".repeat(100_000);
        let list = format!(r#"[{{"text":"a"}},{{"text":"{long}"}},{{"text":"b"}}]"#);
        assert_eq!(pieces(&list), [7, 100_014, 7]);
        let short = vec![r#"{"text":"0123456789"}"#; 3000].join(",");
        assert_eq!(pieces(&format!("[{short}]")), [16_384, 16_384, 15_232]);
    }
}
