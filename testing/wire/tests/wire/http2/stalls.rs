//! Clients that hold on to what they have: windows that stay shut, streams that stay open, answers that are
//! not read. Nothing grows, and others are served. http-server-api §15.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tidegate_driver::Io;
use tidegate_httpapi::{Backend, Body, BodySource, OperatingMode, ResponseHead};
use tidegate_wire::{
    Client, Http2, Server, answering, code, frame, held, label, on_both_loops,
    on_both_loops_in_both_modes, setting, until,
};

use super::lives;

on_both_loops_in_both_modes!(
    shut_windows_stall_their_sources,
    slow_streams_are_only_so_many,
);

on_both_loops!(
    answers_that_are_not_read_stop_the_requests,
    pings_that_are_not_read_stop_the_receiving,
    a_frame_in_pieces_holds_up_nobody,
    a_stall_leaves_with_its_connection,
);

/// What the systems of both ends hold between them at most, and the windows.
const BETWEEN_BYTES_MAX: usize = 24 << 20;

/// Content without end that counts what was taken.
struct Endless(Arc<AtomicUsize>);

impl BodySource for Endless {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        const PIECE: &[u8] = &[b'x'; 16 * 1024];
        self.0.fetch_add(PIECE.len(), Ordering::Relaxed);
        Poll::Ready(Some(Ok(Bytes::from_static(PIECE))))
    }
}

fn endless(io: Io, mode: OperatingMode) -> (Server, Arc<AtomicUsize>) {
    let server = Server::start(io);
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let application = answering(move |exchange| {
        let body = Body::Stream {
            length: None,
            source: Box::new(Endless(Arc::clone(&counted))),
        };
        exchange.respond(ResponseHead::new(200), body);
    });
    server.serve_in(mode, "localhost/endless/", application);
    server.serve_in(mode, "localhost/", label("1"));
    (server, taken)
}

/// Waits until a number does not change any more, and gives it.
fn rested(number: &AtomicUsize) -> usize {
    let mut last = usize::MAX;
    until("it comes to rest", || {
        thread::sleep(Duration::from_millis(100));
        let now = number.load(Ordering::Relaxed);
        std::mem::replace(&mut last, now) == now
    });
    last
}

fn serves_others(server: &Server) {
    lives(&mut Http2::connect(server));
    assert_eq!(server.route("localhost", "/"), "1");
}

fn shut_windows_stall_their_sources(io: Io, mode: OperatingMode) {
    let (server, taken) = endless(io, mode);
    let mut peer = Http2::connect_with(&server, &[(setting::INITIAL_WINDOW_SIZE, 1)]);
    let streams: Vec<u32> = (0..99)
        .map(|_| peer.request("GET", "/endless/", &[], true))
        .collect();
    for stream in &streams {
        peer.until(|peer| peer.content_bytes(*stream) == 1);
    }
    // A piece of each is held.
    let stalled = rested(&taken);
    assert!(
        stalled <= streams.len() * 2 * 16_384,
        "{stalled} bytes were taken"
    );
    assert_eq!(peer.get("/").text(), "1");
    serves_others(&server);
}

fn answers_that_are_not_read_stop_the_requests(io: Io) {
    let mode = OperatingMode::HighPerf;
    let server = Server::start(io);
    let answered = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&answered);
    let content = Bytes::from(vec![b'x'; 16_000]);
    let large = answering(move |exchange| {
        counted.fetch_add(1, Ordering::Relaxed);
        exchange.respond(ResponseHead::new(200), Body::Shared(content.clone()));
    });
    server.serve_in(mode, "localhost/large/", large);
    server.serve_in(mode, "localhost/", label("1"));
    let window = [(setting::INITIAL_WINDOW_SIZE, 0x7FFF_FFFF)];
    let mut peer = Http2::begin(Client::connect_narrow(server.port), &window).wide();
    let block = frame::literals(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", "/large/"),
    ]);
    let mut sending = peer.wire.try_clone();
    let sender = thread::spawn(move || {
        for stream in (1..40_000).step_by(2) {
            sending.send(frame::headers(stream, &block, true));
        }
    });
    let stalled = rested(&answered);
    let bytes = stalled * 16_000;
    assert!(
        bytes < BETWEEN_BYTES_MAX,
        "{stalled} requests were answered"
    );
    serves_others(&server);
    // Read at last, it goes on.
    peer.until(|peer| peer.seen(1).is_complete());
    until("it goes on", || {
        peer.step();
        answered.load(Ordering::Relaxed) > stalled
    });
    peer.wire.abandon();
    sender.join().unwrap();
}

fn slow_streams_are_only_so_many(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_with("localhost/held/", application, |queue| {
        queue.operating_mode = mode;
        queue.thread_pool_size = 32;
    });
    server.serve_in(mode, "localhost/", label("1"));
    let mut peer = Http2::connect(&server);
    let streams: Vec<u32> = (0..100)
        .map(|_| peer.request("POST", "/held/", &[], false))
        .collect();
    let work: Vec<_> = streams.iter().map(|_| requests.next()).collect();
    let refused = peer.request("POST", "/held/", &[], false);
    assert_eq!(peer.answer(refused).reset, Some(code::REFUSED_STREAM));
    serves_others(&server);
    for (at, stream) in streams.iter().enumerate() {
        peer.data(*stream, [at as u8], false);
    }
    serves_others(&server);
    for request in work {
        request.responder.respond_bytes(200, "enough".into());
    }
    for stream in streams {
        assert_eq!(peer.answer(stream).text(), "enough");
    }
    lives(&mut peer);
}

fn pings_that_are_not_read_stop_the_receiving(io: Io) {
    let server = Server::start_with(io, |settings| {
        settings.http2_limits.pings_per_minute_max = 1_000_000;
    });
    server.serve("localhost/", label("1"));
    let peer = Http2::begin(Client::connect_narrow(server.port), &[]);
    let mut sending = peer.wire.try_clone();
    let pings = frame::ping([7; 8]).repeat(900_000);
    let sender = thread::spawn(move || {
        sending.send(&pings);
    });
    serves_others(&server);
    // All of it is 15 MB; what is taken of it is bounded by what of the answers is.
    thread::sleep(Duration::from_millis(300));
    serves_others(&server);
    peer.wire.abandon();
    sender.join().unwrap();
}

fn a_frame_in_pieces_holds_up_nobody(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    let mut peer = Http2::connect(&server);
    let block = frame::literals(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", "/"),
    ]);
    let stream = peer.new_stream();
    for byte in frame::headers(stream, &block, true) {
        peer.send([byte]);
        serves_others(&server);
    }
    assert_eq!(peer.answer(stream).text(), "1");
}

fn a_stall_leaves_with_its_connection(io: Io) {
    let (server, taken) = endless(io, OperatingMode::HighPerf);
    for _ in 0..10 {
        let mut peer = Http2::connect_with(&server, &[]);
        for _ in 0..20 {
            peer.request("GET", "/endless/", &[], true);
        }
        peer.until(|peer| peer.left(0) == 0);
        peer.wire.reset();
    }
    until("no connection is left", || {
        server.backend.connection_count() == 0
    });
    rested(&taken);
    serves_others(&server);
}
