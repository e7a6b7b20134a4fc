//! Resets of streams, by the application and by the client, and what becomes of the places that they held.
//! http-server-api §11, case T05; RFC 9113 §6.4, §8.1.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use tidegate_driver::Io;
use tidegate_httpapi::OperatingMode::{Classic, HighPerf};
use tidegate_httpapi::{BodyError, Deferred, OperatingMode, ResponseHead, StreamReset};
use tidegate_wire::{
    Http2, PATIENCE, Pieces, Server, answering, blocked, code, frame, held, label, on_both_loops,
    on_both_loops_in_both_modes, until,
};

use super::lives;

on_both_loops_in_both_modes!(
    t05_a_reset_before_the_head,
    t05_a_reset_behind_the_head,
    a_reset_in_the_middle_of_an_upload,
    a_complete_response_ends_an_unfinished_upload_without_error,
    a_complete_response_to_a_complete_request_is_not_reset,
    a_dropped_request_gets_500,
    the_application_hears_of_a_reset,
);

on_both_loops!(
    a_reset_in_http_1_ends_the_connection,
    window_updates_on_dead_streams_are_ignored,
    a_reset_request_leaves_the_queue,
    a_reset_request_keeps_its_slot_until_its_work_has_ended,
    a_stream_that_was_reset_counts_until_its_work_has_ended,
);

const CODE: u32 = 1111;

fn t05_a_reset_before_the_head(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let now = answering(|exchange| exchange.reset(StreamReset { code: CODE }));
    server.serve_in(mode, "localhost/now/", now);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/later/", application);
    server.serve_in(mode, "localhost/", label("1"));
    let mut peer = Http2::connect(&server);
    for code in [CODE, 0, 0xFFFF_FFFF] {
        let stream = peer.request("GET", "/later/", &[], true);
        requests.next().responder.reset(StreamReset { code });
        let answer = peer.answer(stream);
        assert_eq!((answer.status(), answer.reset), (0, Some(code)));
    }
    let answer = peer.get("/now/");
    assert_eq!((answer.status(), answer.reset), (0, Some(CODE)));
    let stream = peer.request("GET", "/later/", &[], true);
    requests.next().responder.reset(StreamReset::CANCEL);
    assert_eq!(peer.answer(stream).reset, Some(code::CANCEL));
    lives(&mut peer);
}

fn t05_a_reset_behind_the_head(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/held/", application);
    server.serve_in(mode, "localhost/", label("1"));
    let mut peer = Http2::connect(&server);
    for content in ["", "content"] {
        let pieces = Pieces::default();
        let stream = peer.request("GET", "/held/", &[], true);
        let responder = requests.next().responder;
        responder.respond(ResponseHead::new(200), pieces.body(None));
        assert_eq!(peer.head(stream).status(), 200);
        if !content.is_empty() {
            pieces.give(content);
            peer.until(|peer| peer.content_bytes(stream) == content.len());
        }
        pieces.reset(CODE);
        let answer = peer.answer(stream);
        assert_eq!((answer.text(), answer.reset), (content, Some(CODE)));
    }
    // A source that fails without a code.
    let pieces = Pieces::default();
    let stream = peer.request("GET", "/held/", &[], true);
    let responder = requests.next().responder;
    responder.respond(ResponseHead::new(200), pieces.body(Some(100)));
    pieces.fail();
    assert_eq!(peer.answer(stream).reset, Some(code::INTERNAL_ERROR));
    lives(&mut peer);
}

fn upload(peer: &mut Http2, requests: &tidegate_wire::Held) -> (u32, Deferred) {
    let stream = peer.request("POST", "/held/", &[], false);
    peer.data(stream, "first", false);
    let mut request = requests.next();
    assert_eq!(request.body.blocking_chunk().unwrap().unwrap(), "first");
    (stream, request)
}

fn a_reset_in_the_middle_of_an_upload(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/held/", application);
    server.serve_in(mode, "localhost/", label("1"));
    let mut peer = Http2::connect(&server);
    let (stream, mut request) = upload(&mut peer, &requests);
    request.responder.reset(StreamReset { code: CODE });
    assert_eq!(peer.answer(stream).reset, Some(CODE));
    // Reading fails, now and later; what still comes is dropped.
    peer.data(stream, "second", false);
    assert_eq!(request.body.blocking_chunk(), Err(BodyError::Disconnected));
    peer.data(stream, "third", true);
    lives(&mut peer);
}

// RFC 9113 §8.1: the way of gRPC.
fn a_complete_response_ends_an_unfinished_upload_without_error(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/held/", application);
    server.serve_in(mode, "localhost/", label("1"));
    let mut peer = Http2::connect(&server);
    for reads_first in [false, true] {
        let (stream, request) = upload(&mut peer, &requests);
        let Deferred {
            body, responder, ..
        } = request;
        if reads_first {
            // Whoever reads goes on to do so when the answer has been given.
            responder.respond_bytes(200, "enough".into());
            peer.until(|peer| peer.seen(stream).ended);
            peer.settle();
            assert_eq!(peer.seen(stream).reset, None);
            drop(body);
        } else {
            drop(body);
            responder.respond_bytes(200, "enough".into());
        }
        peer.until(|peer| peer.seen(stream).reset.is_some());
        let answer = peer.answer(stream);
        assert_eq!((answer.text(), answer.ended), ("enough", true));
        assert_eq!(answer.reset, Some(code::NO_ERROR));
        peer.data(stream, "too late", true);
        lives(&mut peer);
    }
}

fn a_complete_response_to_a_complete_request_is_not_reset(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/held/", application);
    server.serve_in(mode, "localhost/", label("1"));
    let mut peer = Http2::connect(&server);
    let (stream, request) = upload(&mut peer, &requests);
    peer.data(stream, "", true);
    peer.settle();
    request.responder.respond_bytes(200, "whole".into());
    assert_eq!(peer.answer(stream).text(), "whole");
    drop(request.body);
    lives(&mut peer);
    assert_eq!(peer.seen(stream).reset, None);
}

fn a_dropped_request_gets_500(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    server.serve_in(mode, "localhost/", answering(|exchange| drop(exchange)));
    let (application, requests) = held();
    server.serve_in(mode, "localhost/held/", application);
    server.serve_in(
        mode,
        "localhost/panic/",
        answering(|_| panic!("expected in this test")),
    );
    let mut peer = Http2::connect(&server);
    let stream = peer.request("GET", "/held/", &[], true);
    drop(requests.next());
    assert_eq!(peer.answer(stream).status(), 500);
    assert_eq!(peer.get("/panic/").status(), 500);
    let answer = peer.get("/");
    assert_eq!((answer.status(), answer.ended), (500, true));
    lives(&mut peer);
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

fn the_application_hears_of_a_reset(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/held/", application);
    server.serve_in(mode, "localhost/", label("1"));
    let mut peer = Http2::connect(&server);
    let (stream, mut request) = upload(&mut peer, &requests);
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    {
        let mut closed = pin!(poll_fn(|context| request.responder.poll_closed(context)));
        assert_eq!(closed.as_mut().poll(&mut context), Poll::Pending);
        peer.send(frame::reset(stream, code::CANCEL));
        until("it hears", || woken.0.load(Ordering::Acquire));
        assert_eq!(closed.as_mut().poll(&mut context), Poll::Ready(()));
    }
    assert_eq!(request.body.blocking_chunk(), Err(BodyError::Disconnected));
    request.responder.respond_bytes(200, "for nobody".into());
    lives(&mut peer);
    assert_eq!(peer.seen(stream).status(), 0);
}

fn a_reset_in_http_1_ends_the_connection(io: Io) {
    let server = Server::start(io);
    server.serve(
        "localhost/",
        answering(|exchange| exchange.reset(StreamReset { code: CODE })),
    );
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.expect_reset();
}

fn window_updates_on_dead_streams_are_ignored(io: Io) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve("localhost/held/", application);
    server.serve("localhost/", label("1"));
    let mut peer = Http2::connect(&server);
    let answered = peer.request("GET", "/", &[], true);
    assert_eq!(peer.answer(answered).text(), "1");
    let by_client = peer.request("GET", "/held/", &[], true);
    let kept = requests.next();
    peer.send(frame::reset(by_client, code::CANCEL));
    let by_server = peer.request("POST", "/held/", &[], false);
    requests.next().responder.reset(StreamReset { code: CODE });
    assert_eq!(peer.answer(by_server).reset, Some(CODE));
    for stream in [answered, by_client, by_server] {
        // Also such as would be an error on a living one.
        for increment in [1, 0x7FFF_FFFF, 0x7FFF_FFFF, 0] {
            peer.send(frame::window_update(stream, increment));
        }
    }
    lives(&mut peer);
    drop(kept);
    lives(&mut peer);
}

fn a_reset_request_leaves_the_queue(io: Io) {
    let server = Server::start(io);
    let (application, gate, taken) = blocked();
    server.serve_with("localhost/", application, |queue| {
        queue.operating_mode = Classic;
        queue.thread_pool_size = 1;
        queue.queue_length = 1;
    });
    let mut peer = Http2::connect(&server);
    let first = peer.request("GET", "/first", &[], true);
    taken.recv_timeout(PATIENCE).unwrap();
    let second = peer.request("GET", "/second", &[], true);
    let third = peer.request("GET", "/third", &[], true);
    assert_eq!(peer.answer(third).reset, Some(code::REFUSED_STREAM));
    peer.send(frame::reset(second, code::CANCEL));
    let fourth = peer.request("GET", "/fourth", &[], true);
    peer.settle();
    assert_eq!(peer.seen(fourth).reset, None);
    gate.open();
    assert_eq!(peer.answer(first).text(), "/first");
    assert_eq!(peer.answer(fourth).text(), "/fourth");
    assert_eq!(taken.recv_timeout(PATIENCE).unwrap().target, "/fourth");
    assert!(taken.try_recv().is_err());
}

fn a_reset_request_keeps_its_slot_until_its_work_has_ended(io: Io) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_with("localhost/", application, |queue| {
        queue.operating_mode = HighPerf;
        queue.thread_pool_size = 1;
        queue.accepts_per_worker = 1;
    });
    let mut peer = Http2::connect(&server);
    for _ in 0..3 {
        let first = peer.request("GET", "/first", &[], true);
        let kept = requests.next();
        peer.send(frame::reset(first, code::CANCEL));
        let second = peer.request("GET", "/second", &[], true);
        peer.settle();
        assert!(
            requests.is_empty(),
            "a reset makes no room with the application"
        );
        drop(kept);
        requests
            .next()
            .responder
            .respond_bytes(200, "second".into());
        assert_eq!(peer.answer(second).text(), "second");
    }
}

// CVE-2023-44487.
fn a_stream_that_was_reset_counts_until_its_work_has_ended(io: Io) {
    let server = Server::start_with(io, |settings| {
        settings.http2_limits.concurrent_streams_max = 2;
    });
    let (application, requests) = held();
    server.serve_in(HighPerf, "localhost/", application);
    let mut peer = Http2::connect(&server);
    let streams = [(); 2].map(|()| peer.request("GET", "/", &[], true));
    let work = [requests.next(), requests.next()];
    for stream in streams {
        peer.send(frame::reset(stream, code::CANCEL));
    }
    let refused = peer.request("GET", "/", &[], true);
    assert_eq!(peer.answer(refused).reset, Some(code::REFUSED_STREAM));
    for request in work {
        request.responder.respond_bytes(200, "for nobody".into());
    }
    until("there is room", || {
        let stream = peer.request("GET", "/", &[], true);
        peer.settle();
        match peer.seen(stream).reset {
            Some(code) => {
                assert_eq!(code, code::REFUSED_STREAM);
                false
            }
            None => {
                requests.next().responder.respond_bytes(200, "room".into());
                peer.answer(stream).text() == "room"
            }
        }
    });
    assert_eq!(peer.goaways, []);
}
