//! Request content on its way to the application. http-server-api cases P19, P20.

use std::io::Read;
use std::task::{Context, Poll};
use std::thread;
use std::time::Instant;

use tidegate_driver::Io;
use tidegate_httpapi::OperatingMode::{self, HighPerf};
use tidegate_httpapi::{Body, BodyError, BodyReader, BodySource, ResponseHead};
use tidegate_wire::{
    PATIENCE, Server, answering, echo, held, on_both_loops, on_both_loops_in_both_modes,
};

on_both_loops!(
    p19_reads_return_what_is_asked,
    trailers_come_after_the_content,
    many_trailers_are_refused,
    content_left_unread_is_drained,
);

on_both_loops_in_both_modes!(
    p20_a_peer_that_leaves_ends_the_content,
    a_mebibyte_comes_back_whole,
    a_mebibyte_is_streamed_both_ways,
);

fn post(length: usize) -> String {
    format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n")
}

fn p19_reads_return_what_is_asked(io: Io) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve("localhost/", application);
    let mut client = server.client();
    client.send(post(5) + "ping\0");
    let mut request = requests.next();
    let mut buffer = [0; 4];
    assert_eq!(request.body.read(&mut buffer[..2]).unwrap(), 2);
    assert_eq!(&buffer[..2], b"pi");
    assert_eq!(request.body.read(&mut buffer[..1]).unwrap(), 1);
    assert_eq!(request.body.read(&mut buffer).unwrap(), 2);
    assert_eq!(&buffer[..2], b"g\0");
    assert_eq!(request.body.read(&mut buffer).unwrap(), 0);
    assert_eq!(request.body.read(&mut buffer).unwrap(), 0);
    request
        .responder
        .respond(ResponseHead::new(200), Body::Empty);
    assert_eq!(client.response().status, 200);
}

fn p20_a_peer_that_leaves_ends_the_content(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    // Nothing is gathered: the application is called before the content is whole.
    server.serve_with("localhost/", application, |queue| {
        queue.operating_mode = mode;
        queue.content_gathered_max = 0;
    });
    for resets in [false, true] {
        let mut client = server.client();
        client.send(post(10) + "12345");
        let mut request = requests.next();
        assert_eq!(request.body.blocking_chunk().unwrap().unwrap(), "12345");
        if resets {
            client.reset();
        } else {
            drop(client);
        }
        assert_eq!(request.body.blocking_chunk(), Err(BodyError::Disconnected));
        let responder = &mut request.responder;
        block_on(|context| responder.poll_closed(context));
        // An answer for nobody.
        request
            .responder
            .respond(ResponseHead::new(200), Body::Empty);
    }
}

fn block_on<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(thread::current())).into();
    let begin = Instant::now();
    loop {
        if let Poll::Ready(value) = poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        assert!(begin.elapsed() < PATIENCE, "never ready");
        thread::park_timeout(PATIENCE);
    }
}

fn trailers_come_after_the_content(io: Io) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve("localhost/", application);
    let mut client = server.client();
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!(
        "{head}4\r\nping\r\n0\r\nOne: 1\r\nTwo:  2 \r\n\r\n"
    ));
    let mut request = requests.next();
    assert_eq!(request.body.trailers().iter().count(), 0);
    assert_eq!(request.body.blocking_collect(100).unwrap(), "ping");
    assert_eq!(request.body.trailers().value("one"), Some(&b"1"[..]));
    assert_eq!(request.body.trailers().value("Two"), Some(&b"2"[..]));
    request
        .responder
        .respond(ResponseHead::new(200), Body::Empty);
    assert_eq!(client.response().status, 200);
}

// http-server-api §15, CVE-2022-21907: trailers are bounded as a head is.
fn many_trailers_are_refused(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", echo());
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    let mut client = server.client();
    client.send(head.to_owned() + &"Trailer: 0123456789\r\n".repeat(1000) + "\r\n");
    let response = client.response();
    assert_eq!(response.status, 400);
    assert!(response.closes());
}

fn content_left_unread_is_drained(io: Io) {
    let server = Server::start(io);
    let early = answering(|exchange| tidegate_wire::answer(exchange, 200, "early"));
    server.serve_with("localhost/", early, |queue| queue.content_gathered_max = 0);
    let mut client = server.client();
    client.send(post(200_000));
    assert_eq!(client.response().text(), "early");
    client.send(vec![b'x'; 200_000]);
    assert_eq!(client.ask(post(3) + "abc").text(), "early");
}

fn mebibyte() -> Vec<u8> {
    (0..1 << 20).map(|index| (index % 251) as u8).collect()
}

fn in_chunks(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, chunk) in content.chunks(10_007).enumerate() {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
        assert!(index < 1000);
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

fn a_mebibyte_comes_back_whole(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    server.serve_in(mode, "localhost/", echo());
    let content = mebibyte();
    let mut client = server.client();
    for _ in 0..2 {
        client.send(post(content.len()));
        client.send(&content);
        assert!(client.response().content == content);
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send(in_chunks(&content));
        assert!(client.response().content == content);
    }
}

/// A request's content as a response's.
struct Back(BodyReader);

impl BodySource for Back {
    fn poll_chunk(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<bytes::Bytes>>> {
        self.0
            .poll_chunk(context)
            .map(|chunk| chunk.map_err(std::io::Error::from).transpose())
    }
}

fn a_mebibyte_is_streamed_both_ways(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let stream = answering(|mut exchange| {
        let source = Box::new(Back(exchange.take_body()));
        let body = Body::Stream {
            length: None,
            source,
        };
        exchange.respond(ResponseHead::new(200), body);
    });
    server.serve_in(mode, "localhost/", stream);
    let content = mebibyte();
    let mut client = server.client();
    for _ in 0..2 {
        let mut sending = client.try_clone();
        let response = thread::scope(|scope| {
            scope.spawn(|| {
                sending.send(post(content.len()));
                sending.send(&content);
            });
            client.response()
        });
        assert_eq!(response.field("Transfer-Encoding"), Some("chunked"));
        assert!(response.content == content);
    }
    // What the peer sends in chunks goes back as it comes, before the end is known.
    if mode == HighPerf {
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send("4\r\nping\r\n");
        assert_eq!(client.response_head().status, 200);
        assert_eq!(client.take(9), b"4\r\nping\r\n");
        client.send("0\r\n\r\n");
        assert_eq!(client.take(5), b"0\r\n\r\n");
    }
}
