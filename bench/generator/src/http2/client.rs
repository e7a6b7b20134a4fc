//! The client's end of one HTTP/2 connection: bytes in, bytes out, without I/O.
//!
//! Keeps a number of streams open and counts the answers. Of each it sees the status, the length of
//! the content and the end; nothing else of the header section is decoded. Source: RFC 9113.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use super::block::{self, Blocks};
use super::frame::{self, Head};
use crate::error::{AnswerFault, GeneratorError};
use crate::options::Options;
use crate::window::Tally;

/// What all connections of a load send and expect.
pub(super) struct Plan {
    blocks: Blocks,
    body_bytes: usize,
    /// Filler, the longest content of a DATA frame that is sent.
    filler: Vec<u8>,
    /// Length of each answer's content; `None` before the first is known.
    pub(super) content_bytes: Option<usize>,
}

pub(super) struct Client {
    plan: Rc<Plan>,
    /// Streams to keep open.
    depth: usize,
    open: usize,
    next_stream: u32,
    /// By stream number. Few are open, so a place is free again long before it comes round.
    streams: Box<[Option<Stream>]>,
    /// Streams with content to send, in the order in which their turn comes.
    uploading: VecDeque<u32>,
    /// What is to go out.
    outgoing: Vec<u8>,
    /// Bytes of `outgoing` that are out.
    sent: usize,
    /// The beginning of a frame whose end has not come.
    cut: Vec<u8>,
    /// What the server lets us send on the connection.
    window: i64,
    /// What it lets us send on a stream at first.
    stream_window: i64,
    frame_bytes_max: usize,
    /// Content received since the connection's window was last opened again.
    consumed: usize,
    /// The server has told its settings, and knows ours.
    settled: [bool; 2],
    /// Contents, when they are wanted.
    pub(super) kept: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Stream {
    number: u32,
    begun_at: Instant,
    answered: bool,
    received: usize,
    unsent: usize,
    window: i64,
}

impl Plan {
    pub(super) fn new(options: &Options) -> Self {
        let body_bytes = options.body_bytes.unwrap_or(0);
        Self {
            blocks: Blocks::new(options),
            body_bytes,
            filler: vec![b'a'; body_bytes.min(FRAME_BYTES_MAX)],
            content_bytes: None,
        }
    }

    pub(super) fn request_bytes(&self) -> usize {
        frame::HEAD_BYTES + self.blocks.repeated.len() + self.body_bytes
    }
}

impl Client {
    /// The client before its first request: with the preface and the settings to be sent.
    pub(super) fn new(plan: Rc<Plan>, depth: usize) -> Self {
        let mut outgoing = PREFACE.to_vec();
        let mut settings = Vec::new();
        for (identifier, value) in [
            (frame::ENABLE_PUSH, 0),
            (frame::INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES),
        ] {
            settings.extend(identifier.to_be_bytes());
            settings.extend(value.to_be_bytes());
        }
        frame::push(&mut outgoing, frame::SETTINGS, 0, 0, &settings);
        let more = CONNECTION_WINDOW_BYTES - FIRST_WINDOW_BYTES;
        frame::push(
            &mut outgoing,
            frame::WINDOW_UPDATE,
            0,
            0,
            &more.to_be_bytes(),
        );
        let places = (depth * 16).next_power_of_two();
        Self {
            plan,
            depth,
            open: 0,
            next_stream: 1,
            streams: (0..places).map(|_| None).collect(),
            uploading: VecDeque::new(),
            outgoing,
            sent: 0,
            cut: Vec::new(),
            window: FIRST_WINDOW_BYTES.into(),
            stream_window: FIRST_WINDOW_BYTES.into(),
            frame_bytes_max: FRAME_BYTES_MAX,
            consumed: 0,
            settled: [false; 2],
            kept: None,
        }
    }

    /// Whether both ends have acknowledged each other's settings.
    pub(super) fn is_settled(&self) -> bool {
        self.settled == [true; 2]
    }

    /// Opens streams until as many as wanted are open, and sends what the windows let out.
    pub(super) fn fill(&mut self, now: Instant) {
        while self.open < self.depth {
            let (number, place) = (self.next_stream, self.place(self.next_stream));
            if self.streams[place].is_some() {
                // An old stream stands in the way. It will not for long.
                break;
            }
            self.next_stream += 2;
            let plan = &self.plan;
            let block = if number == 1 {
                &plan.blocks.first
            } else {
                &plan.blocks.repeated
            };
            let end = if plan.body_bytes == 0 {
                frame::END_STREAM
            } else {
                0
            };
            let flags = frame::END_HEADERS | end;
            frame::push(&mut self.outgoing, frame::HEADERS, flags, number, block);
            self.streams[place] = Some(Stream {
                number,
                begun_at: now,
                answered: false,
                received: 0,
                unsent: plan.body_bytes,
                window: self.stream_window,
            });
            self.open += 1;
            if plan.body_bytes > 0 {
                self.uploading.push_back(number);
            }
        }
        self.upload();
    }

    /// No more streams are opened, and those that are may end.
    pub(super) fn rest(&mut self) {
        self.depth = 0;
    }

    /// What is to go out now.
    pub(super) fn outgoing(&self) -> &[u8] {
        &self.outgoing[self.sent..]
    }

    /// So many bytes of it went.
    pub(super) fn advance(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.outgoing.len() {
            self.outgoing.clear();
            self.sent = 0;
        }
    }

    /// Takes what came, and counts the answers that are whole.
    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        now: Instant,
        tally: &mut Tally,
    ) -> Result<(), GeneratorError> {
        if self.cut.is_empty() {
            let taken = self.take_frames(bytes, now, tally)?;
            self.cut.extend_from_slice(&bytes[taken..]);
        } else {
            let mut cut = std::mem::take(&mut self.cut);
            cut.extend_from_slice(bytes);
            let taken = self.take_frames(&cut, now, tally)?;
            cut.drain(..taken);
            self.cut = cut;
        }
        // Half of it: the server then never waits for us.
        if self.consumed > CONNECTION_WINDOW_BYTES as usize / 2 {
            let more = (self.consumed as u32).to_be_bytes();
            frame::push(&mut self.outgoing, frame::WINDOW_UPDATE, 0, 0, &more);
            self.consumed = 0;
        }
        Ok(())
    }

    /// Takes the whole frames, and gives how many bytes they were.
    fn take_frames(
        &mut self,
        bytes: &[u8],
        now: Instant,
        tally: &mut Tally,
    ) -> Result<usize, GeneratorError> {
        let mut taken = 0;
        while let Some(head) = Head::read(&bytes[taken..]) {
            let start = taken + frame::HEAD_BYTES;
            let Some(payload) = bytes.get(start..start + head.payload_bytes) else {
                break;
            };
            taken = start + head.payload_bytes;
            self.take_frame(head, payload, now, tally)?;
        }
        Ok(taken)
    }

    fn take_frame(
        &mut self,
        head: Head,
        payload: &[u8],
        now: Instant,
        tally: &mut Tally,
    ) -> Result<(), GeneratorError> {
        let refuse = |fault| Err(refused(fault, head, payload));
        match head.kind {
            frame::DATA => {
                self.consumed += payload.len();
                let Some(content) = frame::unpadded(head, payload) else {
                    return refuse(AnswerFault::Frame);
                };
                if let Some(kept) = &mut self.kept {
                    kept.extend_from_slice(content);
                }
                let Some(stream) = self.stream(head.stream) else {
                    return refuse(AnswerFault::Frame);
                };
                stream.received += content.len();
                if !stream.answered {
                    return refuse(AnswerFault::Frame);
                }
            }
            frame::HEADERS => {
                let is_ok = frame::unpadded(head, payload).is_some_and(block::is_ok);
                match self.stream(head.stream) {
                    Some(stream) if is_ok && !stream.answered => stream.answered = true,
                    // A trailer section.
                    Some(stream) if stream.answered && head.has(frame::END_STREAM) => {}
                    Some(_) => return refuse(AnswerFault::Status),
                    None => return refuse(AnswerFault::Frame),
                }
            }
            // The rest of a block, of which only the beginning is looked at.
            frame::CONTINUATION => {}
            frame::SETTINGS if head.has(frame::ACK) => self.settled[1] = true,
            frame::SETTINGS => return self.take_settings(head, payload),
            frame::PING if !head.has(frame::ACK) => {
                frame::push(&mut self.outgoing, frame::PING, frame::ACK, 0, payload);
            }
            frame::WINDOW_UPDATE => {
                let more = i64::from(frame::number(payload));
                if head.stream == 0 {
                    self.window += more;
                } else if let Some(stream) = self.stream(head.stream) {
                    stream.window += more;
                }
            }
            frame::RST_STREAM | frame::GOAWAY => return refuse(AnswerFault::Reset),
            // What is not known is ignored (§4.1).
            _ => {}
        }
        if head.kind <= frame::HEADERS && head.has(frame::END_STREAM) {
            return self.complete(head, now, tally);
        }
        Ok(())
    }

    fn take_settings(&mut self, head: Head, payload: &[u8]) -> Result<(), GeneratorError> {
        for (identifier, value) in frame::settings(payload) {
            match identifier {
                // §6.9.2: open streams get the difference.
                frame::INITIAL_WINDOW_SIZE => {
                    let more = i64::from(value) - self.stream_window;
                    self.stream_window += more;
                    for stream in self.streams.iter_mut().flatten() {
                        stream.window += more;
                    }
                }
                frame::MAX_FRAME_SIZE => {
                    self.frame_bytes_max = FRAME_BYTES_MAX.min(value as usize);
                }
                // The blocks rely on their fields being in the table.
                frame::HEADER_TABLE_SIZE if value < self.plan.blocks.table_bytes => {
                    return Err(refused(AnswerFault::Window, head, payload));
                }
                _ => {}
            }
        }
        frame::push(&mut self.outgoing, frame::SETTINGS, frame::ACK, 0, &[]);
        self.settled[0] = true;
        Ok(())
    }

    /// The end of an answer.
    fn complete(
        &mut self,
        head: Head,
        now: Instant,
        tally: &mut Tally,
    ) -> Result<(), GeneratorError> {
        let place = self.place(head.stream);
        let Some(stream) = self.streams[place].take() else {
            return Err(refused(AnswerFault::Frame, head, &[]));
        };
        let right = self
            .plan
            .content_bytes
            .is_none_or(|bytes| bytes == stream.received);
        if !right {
            return Err(refused(AnswerFault::Length, head, &[]));
        }
        if stream.unsent > 0 {
            // An upload that is answered before its end has not been read.
            return Err(refused(AnswerFault::Ended, head, &[]));
        }
        self.open -= 1;
        tally.completed += 1;
        tally.latency.add(now - stream.begun_at);
        Ok(())
    }

    /// Sends content, one frame of each stream in turn, as far as the windows go.
    fn upload(&mut self) {
        let mut shut = 0;
        while self.outgoing.len() - self.sent < OUTGOING_BYTES_MAX
            && self.window > 0
            && shut < self.uploading.len()
        {
            let Some(number) = self.uploading.pop_front() else {
                return;
            };
            let (place, window, plan) = (self.place(number), self.window, Rc::clone(&self.plan));
            let Some(stream) = &mut self.streams[place] else {
                continue;
            };
            let room = window.min(stream.window).max(0) as usize;
            let count = room.min(stream.unsent).min(self.frame_bytes_max);
            if count == 0 {
                shut += 1;
                self.uploading.push_back(number);
                continue;
            }
            shut = 0;
            stream.unsent -= count;
            stream.window -= count as i64;
            self.window -= count as i64;
            let flags = if stream.unsent == 0 {
                frame::END_STREAM
            } else {
                0
            };
            if stream.unsent > 0 {
                self.uploading.push_back(number);
            }
            let content = &plan.filler[..count];
            frame::push(&mut self.outgoing, frame::DATA, flags, number, content);
        }
    }

    fn stream(&mut self, number: u32) -> Option<&mut Stream> {
        let place = self.place(number);
        self.streams[place]
            .as_mut()
            .filter(|stream| stream.number == number)
    }

    fn place(&self, number: u32) -> usize {
        (number as usize / 2) & (self.streams.len() - 1)
    }
}

fn refused(fault: AnswerFault, head: Head, payload: &[u8]) -> GeneratorError {
    let payload = String::from_utf8_lossy(&payload[..payload.len().min(200)]);
    GeneratorError::Answer {
        fault,
        head: format!("{head:?} {payload:?}"),
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Both windows before anything was agreed on (§6.9.2).
const FIRST_WINDOW_BYTES: u32 = 65_535;
/// Longer than any content here, so that no stream's window is ever opened again.
const STREAM_WINDOW_BYTES: u32 = 16 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 30;
/// The length that every server takes (§4.2).
const FRAME_BYTES_MAX: usize = 16_384;
/// Encoded at once; more would only wait.
const OUTGOING_BYTES_MAX: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn client(options: &Options) -> Client {
        let mut client = Client::new(Rc::new(Plan::new(options)), options.depth);
        client.fill(Instant::now());
        client
    }

    /// Head and content of an answer on each stream.
    fn answers(streams: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for stream in streams {
            let flags = frame::END_HEADERS;
            frame::push(&mut bytes, frame::HEADERS, flags, *stream, &[0x88]);
            frame::push(&mut bytes, frame::DATA, 0, *stream, b"ab");
            frame::push(&mut bytes, frame::DATA, frame::END_STREAM, *stream, b"c");
        }
        bytes
    }

    /// Kind, stream and length of the frames that are to go out.
    fn frames(mut bytes: &[u8]) -> Vec<(u8, u32, usize)> {
        bytes = bytes.strip_prefix(PREFACE).unwrap_or(bytes);
        let mut frames = Vec::new();
        while let Some(head) = Head::read(bytes) {
            frames.push((head.kind, head.stream, head.payload_bytes));
            bytes = &bytes[frame::HEAD_BYTES + head.payload_bytes..];
        }
        frames
    }

    #[test]
    fn answers_are_counted_wherever_they_are_cut() {
        let options = Options {
            depth: 2,
            ..Options::default()
        };
        let mut bytes = Vec::new();
        frame::push(&mut bytes, frame::SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]);
        bytes.extend(answers(&[3, 1]));
        for cut in 0..=bytes.len() {
            let (mut client, mut tally) = (client(&options), Tally::default());
            let now = Instant::now();
            for part in [&bytes[..cut], &bytes[cut..]] {
                client.receive(part, now, &mut tally).unwrap();
            }
            assert_eq!(tally.completed, 2, "cut at {cut}");
            client.advance(client.outgoing().len());
            client.fill(now);
            let begun: Vec<u32> = frames(client.outgoing())
                .into_iter()
                .map(|(_, stream, _)| stream)
                .collect();
            assert_eq!(begun, [5, 7]);
        }
    }

    #[test]
    fn wrong_answers_are_refused() {
        let fault = |bytes: &[u8]| {
            let mut client = client(&Options::default());
            match client.receive(bytes, Instant::now(), &mut Tally::default()) {
                Err(GeneratorError::Answer { fault, .. }) => fault,
                other => panic!("{other:?}"),
            }
        };
        let mut reset = Vec::new();
        frame::push(&mut reset, frame::RST_STREAM, 0, 1, &[0; 4]);
        assert_eq!(fault(&reset), AnswerFault::Reset);
        let mut unavailable = Vec::new();
        frame::push(
            &mut unavailable,
            frame::HEADERS,
            frame::END_HEADERS,
            1,
            &[0x8d],
        );
        assert_eq!(fault(&unavailable), AnswerFault::Status);
        assert_eq!(fault(&answers(&[9])), AnswerFault::Frame);
    }

    #[test]
    fn other_lengths_than_the_first_are_refused() {
        let options = Options::default();
        let plan = Plan {
            content_bytes: Some(4),
            ..Plan::new(&options)
        };
        let mut client = Client::new(Rc::new(plan), 1);
        client.fill(Instant::now());
        let outcome = client.receive(&answers(&[1]), Instant::now(), &mut Tally::default());
        assert!(matches!(
            outcome,
            Err(GeneratorError::Answer {
                fault: AnswerFault::Length,
                ..
            })
        ));
    }

    #[test]
    fn uploads_keep_to_the_windows() {
        let options = Options {
            body_bytes: Some(100_000),
            ..Options::default()
        };
        let (mut client, now) = (client(&options), Instant::now());
        let sent = |client: &mut Client| {
            let data = frames(client.outgoing())
                .into_iter()
                .filter(|(kind, ..)| *kind == frame::DATA)
                .map(|(_, _, bytes)| bytes);
            let sum: usize = data.sum();
            client.advance(client.outgoing().len());
            sum
        };
        assert_eq!(sent(&mut client), 65_535);
        let mut more = Vec::new();
        for stream in [0, 1] {
            let bytes = 50_000_u32.to_be_bytes();
            frame::push(&mut more, frame::WINDOW_UPDATE, 0, stream, &bytes);
        }
        client.receive(&more, now, &mut Tally::default()).unwrap();
        client.fill(now);
        assert_eq!(sent(&mut client), 100_000 - 65_535);
    }
}
