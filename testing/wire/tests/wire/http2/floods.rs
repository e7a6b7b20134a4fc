//! Clients that ask for too much: each kind of flood ends its connection at its limit, while others are
//! served. http-server-api §15; `Http2Limits`.

use std::cell::RefCell;

use tidegate_driver::Io;
use tidegate_httpapi::OperatingMode::HighPerf;
use tidegate_httpapi::{FloodAnswer, Http2Limits, OperatingMode};
use tidegate_wire::{
    Arrival, Held, Http2, Server, code, flag, frame, held, kind, label, on_both_loops,
    on_both_loops_in_both_modes,
};

use super::lives;

on_both_loops_in_both_modes!(rapid_resets_end_the_connection);

on_both_loops!(
    resets_of_answered_streams_are_no_attack,
    provoked_resets_end_the_connection,
    continuations_end_the_connection,
    a_block_without_end_ends_the_connection,
    settings_end_the_connection,
    a_frame_of_many_settings_ends_the_connection,
    acknowledgements_end_the_connection,
    pings_end_the_connection,
    pongs_end_the_connection,
    empty_data_ends_the_connection,
    empty_heads_end_the_connection,
    priorities_end_the_connection,
    priority_updates_end_the_connection,
    dribbled_windows_end_the_connection,
    windows_that_answer_content_are_no_attack,
    a_small_block_cannot_become_a_large_head,
    a_flood_may_be_answered_by_a_reset,
);

/// A server whose limits are small, so that a flood soon is one.
struct Site {
    server: Server,
    requests: Held,
    /// Whoever is served meanwhile.
    other: RefCell<Http2>,
}

impl Site {
    fn new(io: Io, set: impl Fn(&mut Http2Limits)) -> Self {
        Self::in_mode(io, HighPerf, set)
    }

    fn in_mode(io: Io, mode: OperatingMode, set: impl Fn(&mut Http2Limits)) -> Self {
        let server = Server::start_with(io, |settings| set(&mut settings.http2_limits));
        let (application, requests) = held();
        server.serve_in(mode, "localhost/held/", application);
        server.serve_in(mode, "localhost/", label("1"));
        let other = RefCell::new(Http2::connect(&server));
        Self {
            server,
            requests,
            other,
        }
    }

    fn peer(&self) -> Http2 {
        Http2::connect(&self.server)
    }

    /// Others are served, on connections of before and of now.
    fn serves_others(&self) {
        lives(&mut self.other.borrow_mut());
        lives(&mut self.peer());
        assert_eq!(self.server.route("localhost", "/"), "1");
    }

    /// So many of these are borne, and one more ends the connection.
    fn bears(&self, count: usize, mut frame: impl FnMut(&mut Http2) -> Vec<u8>) {
        let mut peer = self.peer();
        let frames: Vec<u8> = (0..count).flat_map(|_| frame(&mut peer)).collect();
        peer.send(&frames);
        peer.settle();
        assert_eq!(peer.goaways, [], "{count} are too many");
        self.serves_others();
        let one = frame(&mut peer);
        peer.send(one);
        peer.ends_with(code::ENHANCE_YOUR_CALM);
        self.is_over(&peer);
    }

    /// The flood is over, and has left nothing behind.
    fn is_over(&self, peer: &Http2) {
        let line = self.server.errors.of_client(peer.wire.port());
        assert_eq!(
            (line.status.as_str(), line.reason.as_str()),
            ("-", "BadRequest")
        );
        self.serves_others();
        // Whatever the application has been given of it is dropped, and its places are free.
        while !self.requests.is_empty() {}
        let mut peer = self.peer();
        for _ in 0..20 {
            let stream = peer.request("GET", "/held/", &[], true);
            self.requests
                .next()
                .responder
                .respond_bytes(200, "free".into());
            assert_eq!(peer.answer(stream).text(), "free");
        }
    }
}

fn get(path: &str) -> Vec<u8> {
    frame::literals(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", path),
    ])
}

fn post(path: &str) -> Vec<u8> {
    frame::literals(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", path),
    ])
}

// CVE-2023-44487.
fn rapid_resets_end_the_connection(io: Io, mode: OperatingMode) {
    let site = Site::in_mode(io, mode, |limits| {
        limits.client_resets_per_minute_max = 30;
        // None of the streams is refused, which would count elsewhere.
        limits.concurrent_streams_max = 1000;
    });
    site.bears(30, |peer| {
        let stream = peer.new_stream();
        let mut frames = frame::headers(stream, get("/held/"), true);
        frames.extend(frame::reset(stream, code::CANCEL));
        frames
    });
}

fn resets_of_answered_streams_are_no_attack(io: Io) {
    let site = Site::new(io, |limits| {
        limits.client_resets_per_minute_max = 10;
        limits.server_resets_per_minute_max = 10;
    });
    let mut peer = site.peer();
    for _ in 0..100 {
        let stream = peer.request("GET", "/", &[], true);
        assert_eq!(peer.answer(stream).text(), "1");
        peer.send(frame::reset(stream, code::CANCEL));
    }
    lives(&mut peer);
}

// CVE-2025-8671: whatever makes the server reset a stream.
fn provoked_resets_end_the_connection(io: Io) {
    type Provoke = fn(u32) -> Vec<u8>;
    let ways: [(&str, bool, Provoke); 8] = [
        ("WINDOW_UPDATE by nothing", true, |stream| {
            frame::window_update(stream, 0)
        }),
        ("a window too large", true, |stream| {
            frame::window_update(stream, 0x7FFF_FFFF)
        }),
        ("DATA behind the end", true, |stream| {
            frame::data(stream, "x", false)
        }),
        ("HEADERS behind the end", true, |stream| {
            frame::headers(stream, get("/held/"), true)
        }),
        ("a stream that depends on itself", true, |stream| {
            frame::priority(stream, stream)
        }),
        ("PRIORITY of a wrong length", true, |stream| {
            frame::frame(kind::PRIORITY, 0, stream, [0; 4])
        }),
        ("trailers that do not end", false, |stream| {
            frame::headers(stream, frame::literals(&[("x-sum", "1")]), false)
        }),
        ("trailers that are malformed", false, |stream| {
            frame::headers(stream, frame::literals(&[("X-SUM", "1")]), true)
        }),
    ];
    for (name, ended, provoke) in ways {
        let site = Site::new(io, |limits| {
            limits.server_resets_per_minute_max = 20;
            limits.concurrent_streams_max = 1000;
        });
        println!("{name}");
        site.bears(20, |peer| {
            let stream = peer.new_stream();
            let block = if ended { get("/held/") } else { post("/held/") };
            let mut frames = frame::headers(stream, block, ended);
            frames.extend(provoke(stream));
            frames
        });
    }
    // And requests that are malformed from the beginning.
    let site = Site::new(io, |limits| limits.server_resets_per_minute_max = 20);
    site.bears(20, |peer| {
        let malformed = frame::literals(&[(":method", "GET")]);
        frame::headers(peer.new_stream(), malformed, true)
    });
}

fn open_block(peer: &mut Http2, block: &[u8]) -> u32 {
    let stream = peer.new_stream();
    peer.send(frame::frame(kind::HEADERS, flag::END_STREAM, stream, block));
    stream
}

// CERT VU#421644.
fn continuations_end_the_connection(io: Io) {
    let site = Site::new(io, |_| {});
    let block = get("/");
    // As many as may be.
    let mut peer = site.peer();
    let stream = open_block(&mut peer, &block[..1]);
    for at in 1..=15 {
        peer.send(frame::frame(kind::CONTINUATION, 0, stream, &block[at..=at]));
    }
    let last = &block[16..];
    peer.send(frame::frame(
        kind::CONTINUATION,
        flag::END_HEADERS,
        stream,
        last,
    ));
    assert_eq!(peer.answer(stream).text(), "1");
    // One more.
    for piece in [&b"\0"[..], b""] {
        let mut peer = site.peer();
        let stream = open_block(&mut peer, b"");
        for _ in 0..17 {
            peer.send(frame::frame(kind::CONTINUATION, 0, stream, piece));
        }
        peer.ends_with(code::ENHANCE_YOUR_CALM);
        site.is_over(&peer);
    }
}

fn a_block_without_end_ends_the_connection(io: Io) {
    let site = Site::new(io, |limits| limits.continuations_max = 1024);
    let mut peer = site.peer();
    let field = frame::literals(&[("x-long", "l".repeat(8_000))]);
    let stream = open_block(&mut peer, &field);
    for _ in 0..100 {
        peer.send(frame::frame(kind::CONTINUATION, 0, stream, &field));
    }
    peer.ends_with(code::ENHANCE_YOUR_CALM);
    site.is_over(&peer);
}

// CVE-2019-9515, ADV190005.
fn settings_end_the_connection(io: Io) {
    // The first SETTINGS and its acknowledgement count as well: one each.
    let site = Site::new(io, |limits| limits.settings_per_minute_max = 52);
    site.bears(50, |peer| {
        peer.send_settings(&[]);
        Vec::new()
    });
    let site = Site::new(io, |limits| limits.settings_per_minute_max = 52);
    site.bears(10, |peer| {
        peer.send_settings(&[(0x99, 1); 5]);
        Vec::new()
    });
}

fn a_frame_of_many_settings_ends_the_connection(io: Io) {
    let site = Site::new(io, |_| {});
    let mut peer = site.peer();
    peer.send_settings(&[(0x99, 1); 64]);
    peer.until(|peer| peer.acknowledged == 2);
    lives(&mut peer);
    peer.send(frame::settings(&[(0x99, 1); 65]));
    peer.ends_with(code::ENHANCE_YOUR_CALM);
    site.is_over(&peer);
}

fn acknowledgements_end_the_connection(io: Io) {
    let site = Site::new(io, |limits| limits.settings_per_minute_max = 52);
    site.bears(50, |_| frame::frame(kind::SETTINGS, flag::ACK, 0, []));
}

// CVE-2019-9512.
fn pings_end_the_connection(io: Io) {
    // `bears` sends two itself.
    let site = Site::new(io, |limits| limits.pings_per_minute_max = 102);
    site.bears(100, |_| frame::ping([7; 8]));
}

fn pongs_end_the_connection(io: Io) {
    let site = Site::new(io, |limits| limits.pings_per_minute_max = 102);
    site.bears(100, |_| frame::frame(kind::PING, flag::ACK, 0, [7; 8]));
}

// CVE-2019-9518.
fn empty_data_ends_the_connection(io: Io) {
    for padding in [None, Some([9, 0, 0, 0, 0, 0, 0, 0, 0, 0])] {
        let site = Site::new(io, |limits| limits.empty_frames_per_minute_max = 50);
        let mut stream = 0;
        site.bears(50, |peer| {
            let mut frames = Vec::new();
            if stream == 0 {
                stream = peer.new_stream();
                frames = frame::headers(stream, post("/held/"), false);
            }
            frames.extend(match padding {
                None => frame::data(stream, "", false),
                Some(padding) => frame::frame(kind::DATA, flag::PADDED, stream, padding),
            });
            frames
        });
    }
}

fn empty_heads_end_the_connection(io: Io) {
    let site = Site::new(io, |limits| limits.empty_frames_per_minute_max = 50);
    site.bears(50, |peer| {
        let stream = peer.new_stream();
        let mut frames = frame::frame(kind::HEADERS, flag::END_STREAM, stream, []);
        let last = flag::END_HEADERS;
        frames.extend(frame::frame(kind::CONTINUATION, last, stream, get("/")));
        frames
    });
}

// CVE-2019-9513.
fn priorities_end_the_connection(io: Io) {
    let site = Site::new(io, |limits| limits.priorities_per_minute_max = 100);
    site.bears(100, |_| frame::priority(1001, 0));
}

fn priority_updates_end_the_connection(io: Io) {
    let site = Site::new(io, |limits| limits.priorities_per_minute_max = 100);
    let mut stream = 1001;
    site.bears(100, |_| {
        stream += 2;
        let mut payload = u32::to_be_bytes(stream).to_vec();
        payload.extend(b"u=1");
        frame::frame(kind::PRIORITY_UPDATE, 0, 0, payload)
    });
}

// CVE-2019-9511.
fn dribbled_windows_end_the_connection(io: Io) {
    let site = Site::new(io, |limits| limits.window_updates_per_minute_max = 101);
    let mut peer = Http2::connect_with(&site.server, &[]);
    peer.send(frame::window_update(0, 1).repeat(101));
    peer.settle();
    assert_eq!(peer.goaways, []);
    peer.send(frame::window_update(0, 1));
    peer.ends_with(code::ENHANCE_YOUR_CALM);
    site.is_over(&peer);
}

fn windows_that_answer_content_are_no_attack(io: Io) {
    let site = Site::new(io, |limits| limits.window_updates_per_minute_max = 100);
    let large = tidegate_wire::answering(|exchange| {
        tidegate_wire::answer(exchange, 200, vec![b'x'; 1 << 20]);
    });
    site.server.serve("localhost/large/", large);
    let mut peer = Http2::connect_with(&site.server, &[]);
    let stream = peer.request("GET", "/large/", &[], true);
    let mut updates = 0;
    while !peer.seen(stream).is_complete() {
        let before = peer.content_bytes(stream);
        peer.step();
        let count = (peer.content_bytes(stream) - before) as u32;
        if count > 0 {
            peer.widen(0, count);
            peer.widen(stream, count);
            updates += 2;
        }
    }
    assert!(updates > 100);
    lives(&mut peer);
}

// The HPACK bomb: one byte stands for thousands.
fn a_small_block_cannot_become_a_large_head(io: Io) {
    let site = Site::new(io, |_| {});
    let mut peer = site.peer();
    let mut block = get("/");
    // The entry, with indexing.
    block.push(0x40);
    frame::integer(&mut block, 0, 7, 6);
    block.extend(b"x-bomb");
    frame::integer(&mut block, 0, 7, 4_000);
    block.extend([b'b'; 4_000]);
    // Each is the whole of it: 62 is the newest entry.
    block.extend([0x80 | 62; 12_000]);
    for _ in 0..5 {
        let stream = peer.new_stream();
        let (first, rest) = block.split_at(16_000);
        assert!(rest.len() <= 16_384);
        peer.send(frame::frame(kind::HEADERS, flag::END_STREAM, stream, first));
        peer.send(frame::frame(
            kind::CONTINUATION,
            flag::END_HEADERS,
            stream,
            rest,
        ));
        let answer = peer.answer(stream);
        assert_eq!((answer.status(), answer.reset), (400, None));
        site.serves_others();
    }
    lives(&mut peer);
    let line = site.server.errors.of_client(peer.wire.port());
    assert_eq!(line.reason, "RequestLength");
}

fn a_flood_may_be_answered_by_a_reset(io: Io) {
    let site = Site::new(io, |limits| {
        limits.pings_per_minute_max = 60;
        limits.on_flood = FloodAnswer::Close;
    });
    let mut peer = site.peer();
    peer.send(frame::ping([7; 8]).repeat(1000));
    assert_eq!(peer.end(), Arrival::Reset);
    assert_eq!(peer.goaways, []);
    site.is_over(&peer);
}
