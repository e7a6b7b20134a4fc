//! A client that speaks to a connection: it writes frames, and reads what comes back.

use tidegate_httpapi::{
    FieldBlock, Fields, Http2Limits, RequestLimits, ResponseHead, ServerHeaderMode, Version,
};
use tidegate_proto::http1::{Reject, ResponseContext};
use tidegate_proto::http2::hpack::{Decoder, Encoder, HeaderList, Indexing};
use tidegate_proto::http2::{Connection, ErrorCode, Event, Failure, SentHead, StreamKey};

pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const PRIORITY: u8 = 0x2;
pub(crate) const RST_STREAM: u8 = 0x3;
pub(crate) const SETTINGS: u8 = 0x4;
pub(crate) const PUSH_PROMISE: u8 = 0x5;
pub(crate) const PING: u8 = 0x6;
pub(crate) const GOAWAY: u8 = 0x7;
pub(crate) const WINDOW_UPDATE: u8 = 0x8;
pub(crate) const CONTINUATION: u8 = 0x9;
pub(crate) const PRIORITY_UPDATE: u8 = 0x10;

pub(crate) const ACK: u8 = 0x1;
pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;
pub(crate) const PADDED: u8 = 0x8;
pub(crate) const HAS_PRIORITY: u8 = 0x20;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The initial window of streams, if a test does not say otherwise.
pub(crate) const WINDOW: u32 = 65_535;

/// What a connection told, in values of their own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Told {
    Request(StreamKey, bool),
    Refused(StreamKey, bool, Reject),
    Data(StreamKey, Vec<u8>, bool),
    Trailers(StreamKey, Vec<(String, Vec<u8>)>),
    Reset(StreamKey, u32),
    Broken(StreamKey, ErrorCode),
    Writable,
    GoAway(u32),
    Failed(Failure),
}

/// A frame that was sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes"))
    }
}

/// A client, and the connection it speaks to.
pub(crate) struct Client {
    pub(crate) connection: Connection,
    pub(crate) minute: u32,
    /// What the connection sends.
    pub(crate) out: Vec<u8>,
    /// What it has not taken.
    rest: Vec<u8>,
    encoder: Encoder,
    decoder: Decoder,
}

impl Client {
    /// A client that has begun.
    pub(crate) fn new() -> Self {
        Self::with(&Http2Limits::default())
    }

    pub(crate) fn with(limits: &Http2Limits) -> Self {
        Self::with_all(limits, &RequestLimits::default(), WINDOW)
    }

    pub(crate) fn with_all(
        limits: &Http2Limits,
        request_limits: &RequestLimits,
        window: u32,
    ) -> Self {
        let mut client = Self::silent(limits, request_limits, window);
        let mut opening = PREFACE.to_vec();
        opening.extend(frame(SETTINGS, 0, 0, &[]));
        opening.extend(frame(SETTINGS, ACK, 0, &[]));
        assert_eq!(client.send(&opening), []);
        client.out.clear();
        client
    }

    /// A client that has sent nothing.
    pub(crate) fn silent(
        limits: &Http2Limits,
        request_limits: &RequestLimits,
        window: u32,
    ) -> Self {
        let mut out = Vec::new();
        Self {
            connection: Connection::new(limits, request_limits, window, &mut out),
            minute: 7,
            out,
            rest: Vec::new(),
            encoder: Encoder::new(4096),
            decoder: Decoder::new(4096),
        }
    }

    /// Sends bytes, all at once.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Vec<Told> {
        let mut told = Vec::new();
        self.rest.extend_from_slice(bytes);
        let mut all = std::mem::take(&mut self.rest);
        let mut at = 0;
        loop {
            let piece = &mut all[at..];
            let step = self.connection.receive(piece, self.minute, &mut self.out);
            assert!(step.consumed <= piece.len());
            let event = match step.event {
                Event::Incomplete => {
                    at += step.consumed;
                    assert!(all.len() - at < 16_384 + 9, "the rest is too long");
                    self.rest = all.split_off(at);
                    return told;
                }
                Event::Nothing => None,
                Event::Request { stream, ended } => Some(Told::Request(stream, ended)),
                Event::Refused {
                    stream,
                    ended,
                    reason,
                } => Some(Told::Refused(stream, ended, reason)),
                Event::Data {
                    stream,
                    range,
                    ended,
                } => {
                    assert!(range.end <= step.consumed && (ended || !range.is_empty()));
                    Some(Told::Data(stream, piece[range].to_vec(), ended))
                }
                Event::Trailers { stream } => {
                    let trailers = self.connection.take_trailers();
                    let fields = trailers.iter();
                    let fields = fields.map(|field| (field.name.to_owned(), field.value.to_vec()));
                    Some(Told::Trailers(stream, fields.collect()))
                }
                Event::Reset { stream, code } => Some(Told::Reset(stream, code)),
                Event::Broken { stream, code } => Some(Told::Broken(stream, code)),
                Event::Writable => Some(Told::Writable),
                Event::GoAway { code } => Some(Told::GoAway(code)),
                Event::Failed(failure) => Some(Told::Failed(failure)),
                other => panic!("unknown event {other:?}"),
            };
            assert!(step.consumed != 0 || matches!(event, Some(Told::Failed(_))));
            told.extend(event);
            at += step.consumed;
        }
    }

    pub(crate) fn send_frame(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> Vec<Told> {
        self.send(&frame(kind, flags, stream, payload))
    }

    /// A header block.
    pub(crate) fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(&mut self, fields: &[(N, V)]) -> Vec<u8> {
        let mut block = Vec::new();
        self.encoder.begin_block(&mut block);
        for (name, value) in fields {
            let (name, value) = (name.as_ref(), value.as_ref());
            if name.iter().any(u8::is_ascii_uppercase) {
                // The encoder would write it in lower case.
                block.extend([0, name.len() as u8]);
                block.extend(name);
                block.push(value.len() as u8);
                block.extend(value);
                continue;
            }
            self.encoder
                .encode_field(&mut block, name, value, Indexing::ByName);
        }
        block
    }

    pub(crate) fn send_fields<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        stream: u32,
        flags: u8,
        fields: &[(N, V)],
    ) -> Vec<Told> {
        let block = self.block(fields);
        self.send_frame(HEADERS, flags | END_HEADERS, stream, &block)
    }

    /// A GET without content.
    pub(crate) fn get(&mut self, stream: u32) -> StreamKey {
        self.request(stream, END_STREAM, &GET)
    }

    /// A POST whose content is to come.
    pub(crate) fn post(&mut self, stream: u32) -> StreamKey {
        self.request(stream, 0, &POST)
    }

    pub(crate) fn request(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) -> StreamKey {
        let told = self.send_fields(stream, flags, fields);
        let [Told::Request(key, ended)] = told[..] else {
            panic!("no request: {told:?}");
        };
        assert_eq!((key.id, ended), (stream, flags & END_STREAM != 0));
        key
    }

    /// Sends SETTINGS.
    pub(crate) fn settings(&mut self, settings: &[(u16, u32)]) -> Vec<Told> {
        let told = self.send(&settings_frame(settings));
        if !told.iter().any(|told| matches!(told, Told::Failed(_))) {
            assert_eq!(self.sent(), [ack()]);
        }
        told
    }

    pub(crate) fn window_update(&mut self, stream: u32, increment: u32) -> Vec<Told> {
        self.send_frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
    }

    pub(crate) fn reset(&mut self, stream: u32) -> Vec<Told> {
        self.send_frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
    }

    /// The frames sent since the last time.
    pub(crate) fn sent(&mut self) -> Vec<Frame> {
        frames(&std::mem::take(&mut self.out))
    }

    /// The fields of a header block that the connection sent.
    pub(crate) fn decode(&mut self, block: &[u8]) -> Vec<(String, String)> {
        let mut list = HeaderList::default();
        self.decoder
            .decode(block, &mut list)
            .expect("a block that can be decoded");
        list.iter()
            .map(|(name, value)| {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
                (text(name), text(value))
            })
            .collect()
    }

    /// The value of a field of the request told of last.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let head = self.connection.head();
        let value = Fields::new(&head.bytes, &head.spans).value(name)?;
        Some(String::from_utf8(value.to_vec()).expect("text"))
    }

    /// Answers with so many bytes of content, or without knowing how many.
    pub(crate) fn answer(&mut self, stream: StreamKey, length: Option<u64>) -> SentHead {
        let head = ResponseHead::new(200);
        self.connection
            .send_head(stream, &head, length, &context(), &mut self.out)
    }

    /// Writes one DATA frame for this stream, as a driver does. Says how much.
    pub(crate) fn write(
        &mut self,
        stream: StreamKey,
        available: usize,
        last: bool,
    ) -> Option<usize> {
        let out = &mut self.out;
        let len = self.connection.send_data(stream, available, last, out)?;
        self.out.resize(self.out.len() + len, b'x');
        Some(len)
    }

    pub(crate) fn release(&mut self, stream: StreamKey) {
        self.connection.release(stream, &mut self.out);
    }

    /// The connection has just failed with this code: GOAWAY was sent, and nothing is taken any more.
    #[track_caller]
    pub(crate) fn check_failed(&mut self, told: &[Told], code: ErrorCode) -> Failure {
        let [.., Told::Failed(failure)] = told else {
            panic!("did not fail with {code}: {told:?}");
        };
        assert_eq!(failure.code, code, "{failure:?}");
        let sent = self.sent();
        let last = sent.last().expect("GOAWAY");
        assert_eq!((last.kind, last.stream), (GOAWAY, 0));
        assert_eq!(last.number(4), code.value());
        assert_eq!(self.send(&frame(PING, 0, 0, &[0; 8])), []);
        assert_eq!(self.send(b"anything"), []);
        assert_eq!(self.sent(), []);
        *failure
    }

    /// The stream has just been reset with this code, and the connection goes on.
    #[track_caller]
    pub(crate) fn check_broken(&mut self, told: &[Told], stream: u32, code: ErrorCode) {
        let broken: Vec<_> = told
            .iter()
            .map(|told| match told {
                Told::Broken(key, code) => (key.id, *code),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(broken, [(stream, code)]);
        self.check_reset_sent(stream, code);
    }

    /// The same, of a stream nobody was told of.
    #[track_caller]
    pub(crate) fn check_refused(&mut self, told: &[Told], stream: u32, code: ErrorCode) {
        assert_eq!(told, []);
        self.check_reset_sent(stream, code);
    }

    #[track_caller]
    fn check_reset_sent(&mut self, stream: u32, code: ErrorCode) {
        let reset = Frame {
            kind: RST_STREAM,
            flags: 0,
            stream,
            payload: code.value().to_be_bytes().to_vec(),
        };
        assert_eq!(self.sent(), [reset]);
        self.check_alive();
    }

    /// The connection goes on.
    #[track_caller]
    pub(crate) fn check_alive(&mut self) {
        let before = std::mem::take(&mut self.out);
        assert_eq!(self.send_frame(PING, 0, 0, b"is alive"), []);
        let sent = self.sent();
        assert_eq!(sent.len(), 1);
        assert_eq!((sent[0].kind, sent[0].flags), (PING, ACK));
        assert_eq!(sent[0].payload, b"is alive");
        self.out = before;
    }

    /// What was sent is ignored, and the connection goes on.
    #[track_caller]
    pub(crate) fn check_ignored(&mut self, told: &[Told]) {
        assert_eq!(told, []);
        assert_eq!(self.sent(), []);
        self.check_alive();
    }
}

/// A frame's bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

pub(crate) fn settings_frame(settings: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (parameter, value) in settings {
        payload.extend(parameter.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, &payload)
}

/// The acknowledgement of SETTINGS.
pub(crate) fn ack() -> Frame {
    Frame {
        kind: SETTINGS,
        flags: ACK,
        stream: 0,
        payload: Vec::new(),
    }
}

/// The frames that bytes consist of.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let len = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        let (frame, rest) = bytes.split_at(9 + len);
        frames.push(Frame {
            kind: frame[3],
            flags: frame[4],
            stream: u32::from_be_bytes(frame[5..9].try_into().expect("four bytes")),
            payload: frame[9..].to_vec(),
        });
        bytes = rest;
    }
    frames
}

pub(crate) fn context() -> ResponseContext<'static> {
    ResponseContext {
        version: Version::Http2,
        head_request: false,
        keep_alive: true,
        date: b"Thu, 01 Jan 1970 00:00:00 GMT",
        server_token: "",
        server_mode: ServerHeaderMode::Never,
        from_driver: false,
    }
}

pub(crate) fn field_block(fields: &[(&str, &str)]) -> FieldBlock {
    let mut block = FieldBlock::new();
    for (name, value) in fields {
        block.append(name, value).expect("a field");
    }
    block
}

pub(crate) const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "a"),
];

pub(crate) const POST: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/upload"),
    (":authority", "a"),
];

pub(crate) fn with<'a>(
    fields: &[(&'a str, &'a str)],
    more: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    [fields, more].concat()
}

/// Numbers that look random and are the same in each run (xorshift64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}
