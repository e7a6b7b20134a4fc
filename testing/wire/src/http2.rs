//! A client of HTTP/2 whose every frame is the test's own.
//!
//! Heads go through a codec that is not ours. It keeps the server to the windows that it was given, and
//! gives none by itself.

mod answer;
pub mod frame;

use std::collections::{BTreeMap, VecDeque};

use httlib_hpack::{Decoder, Encoder};

pub use answer::{Answer, Fields};
pub use frame::{Frame, PREFACE, code, flag, kind, setting};

use crate::client::Client;
use crate::server::Server;
use frame::{data, headers, ping, settings, window_update};

/// One connection.
pub struct Http2 {
    /// What carries it.
    pub wire: Client,
    /// The server's settings.
    pub settings: BTreeMap<u16, u32>,
    /// The GOAWAY frames that have come.
    pub goaways: Vec<GoAway>,
    /// How many of our SETTINGS were acknowledged.
    pub acknowledged: usize,
    /// Received, not a whole frame.
    bytes: Vec<u8>,
    encoder: Encoder<'static>,
    decoder: Decoder<'static>,
    next_stream: u32,
    answers: BTreeMap<u32, Answer>,
    pongs: VecDeque<[u8; 8]>,
    pings: u64,
    /// A header block that is not whole: its stream, whether it ends that, its fragments.
    block: Option<(u32, bool, Vec<u8>)>,
    received: Windows,
    sent: Windows,
    /// Our SETTINGS that were not acknowledged.
    unacknowledged: VecDeque<Vec<(u16, u32)>>,
}

/// A GOAWAY frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GoAway {
    /// The last stream that is served.
    pub last_stream: u32,
    /// Why.
    pub code: u32,
}

/// What comes next on a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Arrival {
    /// A frame, which has been looked at already.
    Frame(Frame),
    /// The end, in order.
    Closed,
    /// The end, by a reset.
    Reset,
}

/// The windows of one direction.
struct Windows {
    connection: i64,
    initial: i64,
    /// By how much a stream's differs from the initial one.
    streams: BTreeMap<u32, i64>,
}

impl Windows {
    fn new() -> Self {
        Self {
            connection: DEFAULT_WINDOW,
            initial: DEFAULT_WINDOW,
            streams: BTreeMap::new(),
        }
    }

    fn of(&self, stream: u32) -> i64 {
        self.initial + self.streams.get(&stream).copied().unwrap_or_default()
    }

    fn widen(&mut self, stream: u32, by: i64) {
        match stream {
            0 => self.connection += by,
            _ => *self.streams.entry(stream).or_default() += by,
        }
    }

    fn take(&mut self, stream: u32, bytes: i64) {
        self.widen(0, -bytes);
        self.widen(stream, -bytes);
    }
}

const DEFAULT_WINDOW: i64 = 65_535;

impl Http2 {
    /// Connects by prior knowledge, with windows so large that nothing waits for them.
    pub fn connect(server: &Server) -> Self {
        Self::begin(server.client(), &[(setting::INITIAL_WINDOW_SIZE, MAX)]).wide()
    }

    /// Connects by prior knowledge with these settings and the usual window of the connection.
    pub fn connect_with(server: &Server, parameters: &[(u16, u32)]) -> Self {
        Self::begin(server.client(), parameters)
    }

    /// Begins to speak HTTP/2 on a connection, and waits until the server has acknowledged these settings.
    pub fn begin(wire: Client, parameters: &[(u16, u32)]) -> Self {
        let mut peer = Self::silent(wire);
        peer.send(PREFACE);
        peer.send_settings(parameters);
        peer.until(|peer| peer.acknowledged == 1 && !peer.settings.is_empty());
        peer.send(frame::frame(kind::SETTINGS, flag::ACK, 0, []));
        peer
    }

    /// A connection on which nothing has been said.
    pub fn silent(wire: Client) -> Self {
        Self {
            wire,
            settings: BTreeMap::new(),
            goaways: Vec::new(),
            acknowledged: 0,
            bytes: Vec::new(),
            encoder: Encoder::default(),
            decoder: Decoder::default(),
            next_stream: 1,
            answers: BTreeMap::new(),
            pongs: VecDeque::new(),
            pings: 0,
            block: None,
            received: Windows::new(),
            sent: Windows::new(),
            unacknowledged: VecDeque::new(),
        }
    }

    /// Makes the connection's window as large as may be.
    pub fn wide(mut self) -> Self {
        self.widen(0, MAX - DEFAULT_WINDOW as u32);
        self
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire.send(bytes);
    }

    /// Sends SETTINGS.
    pub fn send_settings(&mut self, parameters: &[(u16, u32)]) {
        self.unacknowledged.push_back(parameters.to_vec());
        self.send(settings(parameters));
    }

    /// Gives a window, of a stream or of the connection.
    pub fn widen(&mut self, stream: u32, by: u32) {
        self.received.widen(stream, by.into());
        self.send(window_update(stream, by));
    }

    /// The window that the server has left, of a stream or of the connection.
    pub fn left(&self, stream: u32) -> i64 {
        match stream {
            0 => self.received.connection,
            _ => self.received.of(stream),
        }
    }

    /// Encodes a header block, with the dynamic table and Huffman coding.
    pub fn block(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in fields {
            let flags = Encoder::BEST_FORMAT | Encoder::WITH_INDEXING;
            let field = (name.as_bytes().to_vec(), value.as_bytes().to_vec(), flags);
            self.encoder.encode(field, &mut block).unwrap();
        }
        block
    }

    /// The identifier of the next stream, which is used by that.
    pub fn new_stream(&mut self) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        stream
    }

    /// Sends a request's head; `end`: it has no content.
    pub fn request(&mut self, method: &str, path: &str, fields: &[(&str, &str)], end: bool) -> u32 {
        let mut all = vec![
            (":method", method),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", path),
        ];
        all.extend_from_slice(fields);
        self.request_of(&all, end)
    }

    /// Sends a request's head of these fields alone.
    pub fn request_of(&mut self, fields: &[(&str, &str)], end: bool) -> u32 {
        let block = self.block(fields);
        let stream = self.new_stream();
        self.send(headers(stream, block, end));
        stream
    }

    /// Sends a GET, and reads its answer.
    pub fn get(&mut self, path: &str) -> Answer {
        let stream = self.request("GET", path, &[], true);
        self.answer(stream)
    }

    /// Sends content in one DATA frame, whatever the windows say.
    pub fn data(&mut self, stream: u32, content: impl AsRef<[u8]>, end: bool) {
        let content = content.as_ref();
        self.sent.take(stream, content.len() as i64);
        self.send(data(stream, content, end));
    }

    /// How much the server takes now on a stream.
    pub fn window(&self, stream: u32) -> usize {
        let window = self.sent.connection.min(self.sent.of(stream));
        usize::try_from(window).unwrap_or_default()
    }

    /// Sends content as far as windows allow, and waits for them.
    pub fn upload(&mut self, stream: u32, content: &[u8], end: bool) {
        let mut rest = content;
        while !rest.is_empty() {
            let count = rest.len().min(self.window(stream)).min(16_384);
            if count == 0 {
                self.step();
                continue;
            }
            let (now, later) = rest.split_at(count);
            self.data(stream, now, end && later.is_empty());
            rest = later;
        }
    }

    /// Reads until a stream's answer is complete.
    pub fn answer(&mut self, stream: u32) -> Answer {
        self.until(|peer| peer.seen(stream).is_complete());
        self.answers.remove(&stream).unwrap()
    }

    /// Reads until a stream's head has come, and gives what has come so far.
    pub fn head(&mut self, stream: u32) -> Answer {
        self.until(|peer| peer.seen(stream).status() != 0);
        self.seen(stream)
    }

    /// What has come on a stream.
    pub fn seen(&self, stream: u32) -> Answer {
        self.answers.get(&stream).cloned().unwrap_or_default()
    }

    /// How many bytes of content have come on a stream.
    pub fn content_bytes(&self, stream: u32) -> usize {
        let answer = self.answers.get(&stream);
        answer.map_or(0, |answer| answer.content.len())
    }

    /// Takes the content that has come on a stream away from its answer.
    pub fn take_content(&mut self, stream: u32) -> Vec<u8> {
        let answer = self.answers.get_mut(&stream);
        answer.map_or_else(Vec::new, |answer| std::mem::take(&mut answer.content))
    }

    /// Reads until a condition holds.
    pub fn until(&mut self, mut condition: impl FnMut(&Self) -> bool) {
        while !condition(self) {
            self.step();
        }
    }

    /// Waits until the server has taken all that was sent before, and has said what it has to.
    pub fn settle(&mut self) {
        // A pong is said at once. What else the same bytes led to is said by the time of the next.
        for _ in 0..2 {
            self.pings += 1;
            let opaque = self.pings.to_be_bytes();
            self.send(ping(opaque));
            self.until(|peer| peer.pongs.contains(&opaque));
            self.pongs.clear();
        }
    }

    /// Reads the next frame; that there is none is a failure.
    pub fn step(&mut self) -> Frame {
        match self.arrival() {
            Arrival::Frame(frame) => frame,
            end => panic!("{end:?} after {:?}", self.goaways),
        }
    }

    /// The connection ends in order, with this GOAWAY as its last.
    pub fn ends_with(&mut self, code: u32) {
        let end = self.end();
        let last = self.goaways.last().map(|goaway| goaway.code);
        assert_eq!((last, end), (Some(code), Arrival::Closed));
    }

    /// Reads to the end of the connection.
    pub fn end(&mut self) -> Arrival {
        loop {
            match self.arrival() {
                Arrival::Frame(_) => {}
                end => return end,
            }
        }
    }

    /// What comes next.
    pub fn arrival(&mut self) -> Arrival {
        loop {
            if let Some(frame) = Frame::take(&mut self.bytes) {
                self.take(&frame);
                return Arrival::Frame(frame);
            }
            match self.wire.receive() {
                Ok(bytes) => self.bytes.extend_from_slice(&bytes),
                Err(reset) => {
                    assert!(reset || self.bytes.is_empty(), "the last frame is cut");
                    return if reset {
                        Arrival::Reset
                    } else {
                        Arrival::Closed
                    };
                }
            }
        }
    }

    fn take(&mut self, frame: &Frame) {
        assert!(frame.payload.len() <= 16_384, "a frame too long");
        let is_in_order = self.block.is_none() || frame.kind == kind::CONTINUATION;
        assert!(is_in_order, "a header block is interrupted");
        let number = |at| frame.number(at);
        match frame.kind {
            kind::DATA => self.take_data(frame),
            kind::HEADERS => {
                assert!(!frame.has(flag::PADDED | flag::PRIORITY));
                let ended = frame.has(flag::END_STREAM);
                self.block = Some((frame.stream, ended, frame.payload.clone()));
                self.take_block(frame);
            }
            kind::CONTINUATION => {
                let (stream, _, block) = self.block.as_mut().expect("HEADERS came before");
                assert_eq!(*stream, frame.stream);
                block.extend_from_slice(&frame.payload);
                self.take_block(frame);
            }
            kind::RST_STREAM => {
                let answer = self.answers.entry(frame.stream).or_default();
                assert_eq!(answer.reset, None, "a stream is reset twice");
                answer.reset = Some(number(0));
            }
            kind::SETTINGS if frame.has(flag::ACK) => self.take_acknowledgement(),
            kind::SETTINGS => self.take_settings(frame),
            kind::PING if frame.has(flag::ACK) => {
                let opaque = frame.payload.as_slice().try_into().unwrap();
                self.pongs.push_back(opaque);
            }
            kind::GOAWAY => self.goaways.push(GoAway {
                last_stream: number(0),
                code: number(4),
            }),
            kind::WINDOW_UPDATE => {
                assert_ne!(number(0), 0);
                self.sent.widen(frame.stream, number(0).into());
                let window = self.sent.of(frame.stream).max(self.sent.connection);
                assert!(window <= MAX.into(), "a window too large");
            }
            other => panic!("a frame of kind {other} from a server"),
        }
    }

    fn take_data(&mut self, frame: &Frame) {
        assert!(!frame.has(flag::PADDED));
        let count = frame.payload.len() as i64;
        self.received.take(frame.stream, count);
        let left = self.left(0).min(self.left(frame.stream));
        assert!(count == 0 || left >= 0, "{left} is left of a window");
        let answer = self.answers.entry(frame.stream).or_default();
        assert!(!answer.is_complete(), "content behind the end");
        assert_ne!(answer.status(), 0, "content before a head");
        answer.content.extend_from_slice(&frame.payload);
        answer.data_frames += 1;
        answer.ended = frame.has(flag::END_STREAM);
    }

    fn take_block(&mut self, frame: &Frame) {
        if !frame.has(flag::END_HEADERS) {
            return;
        }
        let (stream, ended, mut block) = self.block.take().unwrap();
        let mut fields = Vec::new();
        self.decoder
            .decode(&mut block, &mut fields)
            .expect("a header block");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let fields = fields.into_iter();
        let fields = fields.map(|(name, value, _)| (text(name), text(value)));
        let answer = self.answers.entry(stream).or_default();
        assert!(!answer.is_complete(), "a head behind the end");
        answer.take_block(fields.collect(), ended);
    }

    fn take_settings(&mut self, frame: &Frame) {
        for parameter in frame.payload.chunks(6) {
            let number = u16::from_be_bytes([parameter[0], parameter[1]]);
            let value = u32::from_be_bytes(parameter[2..].try_into().unwrap());
            self.settings.insert(number, value);
            if number == setting::INITIAL_WINDOW_SIZE {
                self.sent.initial = value.into();
            }
        }
    }

    fn take_acknowledgement(&mut self) {
        self.acknowledged += 1;
        let parameters = self.unacknowledged.pop_front().unwrap_or_default();
        for (parameter, value) in parameters {
            if parameter == setting::INITIAL_WINDOW_SIZE {
                self.received.initial = value.into();
            }
        }
    }
}

const MAX: u32 = 0x7FFF_FFFF;
