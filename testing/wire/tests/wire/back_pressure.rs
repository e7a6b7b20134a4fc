//! Whoever is slow holds up the other, and no more than a window is in memory.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tidegate_driver::Io;
use tidegate_httpapi::{Body, BodySource, OperatingMode, ResponseHead};
use tidegate_wire::{Client, Server, answering, held, label, on_both_loops_in_both_modes, until};

on_both_loops_in_both_modes!(
    an_application_that_does_not_read_stalls_its_peer,
    a_peer_that_does_not_read_stalls_the_source,
    pipelined_requests_wait_outside,
);

/// What the systems of both ends hold between them at most, and the windows.
const BETWEEN_BYTES_MAX: usize = 24 << 20;

fn an_application_that_does_not_read_stalls_its_peer(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_with("localhost/", application, |queue| {
        queue.operating_mode = mode;
        queue.content_bytes_max = None;
    });
    server.serve("localhost/other/", label("other"));
    let length = 64 << 20;
    let mut client = server.client();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
    ));
    let mut request = requests.next();
    let sent = client.send_until_stalled(b'x', length);
    assert!(sent < BETWEEN_BYTES_MAX, "{sent} bytes were taken");
    // Others are served meanwhile.
    assert_eq!(server.route("localhost", "/other/"), "other");
    let mut sending = client.try_clone();
    thread::scope(|scope| {
        scope.spawn(move || sending.send(vec![b'x'; length - sent]));
        let mut read = 0;
        while let Some(chunk) = request.body.blocking_chunk().unwrap() {
            assert!(chunk.iter().all(|byte| *byte == b'x'));
            read += chunk.len();
        }
        assert_eq!(read, length);
    });
    request.responder.respond_bytes(200, "whole".into());
    assert_eq!(client.response().text(), "whole");
}

/// Content without end that counts what was taken.
struct Endless(Arc<AtomicUsize>);

impl BodySource for Endless {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        const PIECE: &[u8] = &[b'x'; 16 * 1024];
        self.0.fetch_add(PIECE.len(), Ordering::Relaxed);
        Poll::Ready(Some(Ok(Bytes::from_static(PIECE))))
    }
}

fn a_peer_that_does_not_read_stalls_the_source(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let endless = answering(move |exchange| {
        let body = Body::Stream {
            length: None,
            source: Box::new(Endless(Arc::clone(&counted))),
        };
        exchange.respond(ResponseHead::new(200), body);
    });
    server.serve_in(mode, "localhost/", endless);
    server.serve_in(mode, "localhost/other/", label("other"));
    let mut client = Client::connect_narrow(server.port);
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.response_head().status, 200);
    let taken = || taken.load(Ordering::Relaxed);
    let mut last = 0;
    until("the source stalls", || {
        thread::sleep(Duration::from_millis(100));
        let now = taken();
        std::mem::replace(&mut last, now) == now
    });
    let stalled = taken();
    assert!(stalled < BETWEEN_BYTES_MAX, "{stalled} bytes were taken");
    assert_eq!(server.route("localhost", "/other/"), "other");
    client.take(stalled + (1 << 20));
    assert!(taken() > stalled);
}

fn pipelined_requests_wait_outside(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/", application);
    let mut client = server.client();
    let get = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.send(get);
    let first = requests.next();
    // One request that never ends its head could be as long as a head may be; these are requests that
    // cannot be taken before the first is answered.
    let sent = client.send_until_stalled(b'\r', 64 << 20);
    assert!(sent < BETWEEN_BYTES_MAX, "{sent} bytes were taken");
    first.responder.respond_bytes(200, "first".into());
    assert_eq!(client.response().text(), "first");
}
