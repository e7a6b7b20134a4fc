//! What a client sends on an HTTP/2 connection, any bytes in any split: no panic, the same events, the same
//! bytes sent; what is told keeps to the states of streams; memory and output are bounded.
//!
//! The first two bytes of the input say which limits there are and how to split the rest; unless they say
//! otherwise, preface and settings are put before it.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use tidegate_httpapi::{Http2Limits, RequestLimits, ResponseHead, ServerHeaderMode, Version};
use tidegate_proto::http1::ResponseContext;
use tidegate_proto::http2::{Connection, ErrorCode, Event, StreamKey};

fuzz_target!(|input: &[u8]| {
    let Some((&[how, split], bytes)) = input.split_first_chunk() else {
        return;
    };
    let mut all = Vec::new();
    if how & 1 == 0 {
        all.extend_from_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    }
    all.extend_from_slice(bytes);
    let whole = World::new(how).run([&all[..]]);
    let size = 1 + usize::from(split);
    assert_eq!(World::new(how).run(all.chunks(size)), whole);
    if all.len() < 2_000 {
        assert_eq!(World::new(how).run(all.chunks(1)), whole);
    }
    // What the application does depends on the split here.
    let mut wild = World::new(how);
    wild.is_wild = true;
    wild.run(all.chunks(size));
});

/// What was told, with pieces of content put together, and all that was sent.
type Outcome = (Vec<String>, Vec<u8>);

/// An application that answers.
struct World {
    connection: Connection,
    limits: Http2Limits,
    request_limits: RequestLimits,
    out: Vec<u8>,
    /// How much of `out` the connection said of its own.
    said: usize,
    told: Vec<String>,
    /// Content since the last other event, for each stream.
    content: HashMap<u32, Vec<u8>>,
    open: HashMap<StreamKey, Open>,
    is_wild: bool,
    failed: bool,
}

/// What is known of a stream that was told of.
struct Open {
    ended: bool,
    left: usize,
}

impl World {
    fn new(how: u8) -> Self {
        let mut limits = Http2Limits::default();
        let mut request_limits = RequestLimits::default();
        if how & 2 != 0 {
            limits.concurrent_streams_max = 3;
            limits.header_table_bytes_max = 64;
            limits.client_resets_per_minute_max = 5;
            limits.server_resets_per_minute_max = 5;
            limits.settings_per_minute_max = 20;
            limits.empty_frames_per_minute_max = 16;
            limits.extended_connect = false;
            request_limits.head_bytes_max = 256;
            request_limits.field_bytes_max = 64;
        }
        let window = if how & 4 != 0 { 100 } else { 65_535 };
        let mut out = Vec::new();
        Self {
            connection: Connection::new(&limits, &request_limits, window, &mut out),
            limits,
            request_limits,
            out,
            said: 0,
            told: Vec::new(),
            content: HashMap::new(),
            open: HashMap::new(),
            is_wild: false,
            failed: false,
        }
    }

    fn run<'a>(mut self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
        let mut rest = Vec::new();
        let mut taken = 0;
        for piece in pieces {
            rest.extend_from_slice(piece);
            let mut at = 0;
            loop {
                let before = self.out.len();
                let step = self.connection.receive(&mut rest[at..], 1, &mut self.out);
                self.said += self.out.len() - before;
                assert!(step.consumed <= rest.len() - at);
                let piece = &rest[at..at + step.consumed];
                at += step.consumed;
                taken += step.consumed;
                assert!(self.said <= 64 + 2 * taken, "{} bytes said", self.said);
                if step.event == Event::Incomplete {
                    break;
                }
                assert!(step.consumed != 0 || matches!(step.event, Event::Failed(_)));
                assert!(!self.failed, "an event after the failure");
                self.take(step.event, piece);
            }
            rest.drain(..at);
            assert!(rest.len() < 9 + 16_384);
            if self.is_wild {
                self.act_wildly(taken);
            }
        }
        self.told.extend(
            self.open
                .iter()
                .map(|(key, open)| (key.id, open.ended, self.connection.is_open(*key)))
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .map(|open| format!("{open:?}")),
        );
        let mut left: Vec<_> = self.content.into_iter().collect();
        left.sort_unstable();
        self.told.push(format!("{left:?}"));
        (self.told, self.out)
    }

    fn take(&mut self, event: Event, bytes: &[u8]) {
        let max = self.limits.concurrent_streams_max as usize;
        assert!(self.connection.streams() <= max);
        assert_eq!(
            self.connection.streams(),
            self.open.len() + usize::from(is_new(&event))
        );
        match event {
            Event::Data {
                stream,
                range,
                ended,
            } => {
                assert!(ended || !range.is_empty());
                let open = self.open.get_mut(&stream).expect("a stream that is known");
                assert!(!open.ended && self.connection.streams() != 0);
                open.ended = ended;
                let content = self.content.entry(stream.id).or_default();
                content.extend_from_slice(&bytes[range]);
                if ended {
                    let content = self.content.remove(&stream.id);
                    self.told.push(format!("{stream:?} {content:?}"));
                    self.finish(stream);
                }
                return;
            }
            Event::Request { stream, ended } => {
                let head = self.connection.head();
                assert!(head.bytes.len() <= 4 * self.request_limits.head_bytes_max as usize + 64);
                assert!(!head.head.line.method.of(&head.bytes).is_empty());
                for span in &head.spans {
                    let start = span.value_start as usize;
                    let _ = &head.bytes[start..start + span.value_len as usize];
                }
                self.told.push(format!("{head:?}"));
                self.begin(stream, ended);
            }
            Event::Refused { stream, ended, .. } => self.begin(stream, ended),
            Event::Trailers { stream } => {
                let open = self.open.get_mut(&stream).expect("a stream that is known");
                assert!(!open.ended);
                open.ended = true;
                let trailers = self.connection.take_trailers();
                self.told.push(format!("{trailers:?}"));
                self.finish(stream);
            }
            Event::Reset { stream, .. } | Event::Broken { stream, .. } => {
                assert!(!self.connection.is_open(stream));
                self.release(stream);
            }
            Event::Writable => self.write(),
            Event::Failed(_) => self.failed = true,
            _ => {}
        }
        if event != Event::Nothing {
            self.told.push(format!("{event:?}"));
        }
    }

    /// A request, which is answered at once, but for its content.
    fn begin(&mut self, stream: StreamKey, ended: bool) {
        let head = ResponseHead::new(200);
        let context = ResponseContext {
            version: Version::Http2,
            head_request: self.connection.head().head.head_request,
            keep_alive: true,
            date: b"Thu, 01 Jan 1970 00:00:00 GMT",
            server_token: "x",
            server_mode: ServerHeaderMode::Full,
            from_driver: false,
        };
        let left = (stream.id as usize).wrapping_mul(977) % 3_000;
        let length = (stream.id % 3 == 0).then_some(left as u64);
        let sent = self
            .connection
            .send_head(stream, &head, length, &context, &mut self.out);
        let before = self.open.insert(stream, Open { ended, left });
        assert!(before.is_none(), "a stream began twice");
        assert!(sent.ended || self.connection.is_open(stream));
        if !sent.ended {
            self.connection.want_send(stream);
            self.write();
        }
        self.finish(stream);
    }

    fn write(&mut self) {
        while let Some(stream) = self.connection.next_to_send() {
            let open = self.open.get_mut(&stream).expect("a stream that is known");
            let window = self.connection.send_window(stream);
            let out = &mut self.out;
            let len = self.connection.send_data(stream, open.left, true, out);
            let len = len.expect("a stream that may send");
            assert!(len <= window && len <= 16_384);
            self.out.resize(self.out.len() + len, 0);
            open.left -= len;
            if open.left != 0 {
                self.connection.want_send(stream);
            } else {
                assert!(!self.connection.is_open(stream));
                self.finish(stream);
            }
        }
    }

    /// Lets go of a stream whose both sides have ended.
    fn finish(&mut self, stream: StreamKey) {
        if self.open.get(&stream).is_some_and(|open| open.ended) && !self.connection.is_open(stream)
        {
            self.release(stream);
        }
    }

    fn release(&mut self, stream: StreamKey) {
        self.content.remove(&stream.id);
        assert!(self.open.remove(&stream).is_some());
        self.connection.release(stream, &mut self.out);
    }

    /// What an application may do at any time.
    fn act_wildly(&mut self, number: usize) {
        let index = number % self.open.len().max(1);
        let mut keys: Vec<StreamKey> = self.open.keys().copied().collect();
        keys.sort_unstable_by_key(|key| key.id);
        let Some(&stream) = keys.get(index) else {
            self.connection.idle();
            return;
        };
        match number % 9 {
            0 => self.connection.reset(stream, 8, &mut self.out),
            1 => self.release(stream),
            2 => self.connection.begin_go_away(&mut self.out),
            3 => self.connection.go_away(ErrorCode::NoError, &mut self.out),
            4 => self.connection.idle(),
            _ => self.connection.consumed(stream, number, &mut self.out),
        }
        self.write();
    }
}

fn is_new(event: &Event) -> bool {
    matches!(event, Event::Request { .. } | Event::Refused { .. })
}
