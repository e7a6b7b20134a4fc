//! Delivery of requests: what a handler sees, what becomes of its faults.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use tidegate_httpapi::{BodyError, PeerAddress};

use super::backend::{Content, TestBackend};
use crate::{
    Binding, ContentError, Events, Exception, HandlerError, PeerFault, RangeSpec, Request,
    Response, Server, ServerBuilder,
};

/// A started server. Dropping it stops it.
pub(super) fn serve(backend: &Arc<TestBackend>, builder: ServerBuilder) -> Server {
    let server = builder.backend(Arc::clone(backend) as _).build().unwrap();
    // One that was dropped is stopped elsewhere, and would take this one's queue away.
    backend.wait_until_free();
    server.start().unwrap();
    server.wait_started().unwrap();
    server
}

/// The texts of exceptions told.
pub(super) fn exceptions(builder: ServerBuilder) -> (ServerBuilder, Receiver<String>) {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let tell = move |exception: &Exception| {
        sender.lock().unwrap().send(exception.to_string()).unwrap();
    };
    (builder.on_exception(tell), receiver)
}

#[test]
fn without_a_handler_the_answer_is_404() {
    let backend = TestBackend::classic();
    let _server = serve(&backend, Server::builder());
    assert_eq!(backend.get("/").status, 404);
}

#[test]
fn an_untouched_response_is_200_without_content() {
    let backend = TestBackend::high_perf();
    let _server = serve(&backend, Server::builder().on_http_request(|_, _| ()));
    let answer = backend.get("/");
    assert_eq!((answer.status, answer.length), (200, Some(0)));
    assert_eq!(answer.fields, "");
}

#[test]
fn the_example_of_the_documentation_answers() {
    let backend = TestBackend::high_perf();
    let server = Server::builder().on_http_request(|request, response| {
        match (request.method(), request.document()) {
            ("GET", "/test.html") => response.content_type("text/html; charset=UTF-8").text("OK"),
            ("GET", _) => response.status(404).empty(),
            _ => response.status(500).empty(),
        }
    });
    let _server = serve(&backend, server);
    let answer = backend.get("/test.html?a=b");
    assert_eq!((answer.status, answer.text()), (200, "OK"));
    assert_eq!(answer.fields, "Content-Type: text/html; charset=UTF-8\r\n");
    assert_eq!(backend.get("/other").status, 404);
    assert_eq!(
        backend
            .request("PUT / HTTP/1.1", Content::Arrived(""))
            .status,
        500
    );
}

#[test]
fn a_panic_is_500_and_an_exception_and_the_server_goes_on() {
    let backend = TestBackend::classic();
    let (builder, told) = exceptions(Server::builder());
    let builder = builder.on_http_request(|request, response| {
        assert_ne!(request.document(), "/panic", "as asked for");
        response.text("alive");
    });
    let _server = serve(&backend, builder);
    assert!(backend.get("/panic").is_abandoned);
    assert!(told.recv().unwrap().contains("as asked for"));
    assert_eq!(backend.get("/").text(), "alive");
}

#[test]
fn a_response_dropped_is_500() {
    let backend = TestBackend::classic();
    let builder = Server::builder().on_http_request(|_, response| {
        response.defer(|_, response| drop(response));
    });
    let _server = serve(&backend, builder);
    assert!(backend.get("/").is_abandoned);
}

#[test]
fn a_panic_in_an_async_handler_is_500_and_an_exception() {
    let backend = TestBackend::high_perf();
    let (builder, told) = exceptions(Server::builder());
    let builder = builder.on_http_request_async(|request, mut response| async move {
        assert_ne!(request.document(), "/panic", "as asked for");
        response.text("alive");
        response
    });
    let _server = serve(&backend, builder);
    assert!(backend.get("/panic").is_abandoned);
    assert!(told.recv().unwrap().contains("as asked for"));
    assert_eq!(backend.get("/").text(), "alive");
}

#[test]
fn a_request_tells_all_it_knows() {
    let backend = TestBackend::high_perf();
    let builder = Server::builder()
        .bindings([Binding::new("localhost", 8080, "/api")
            .unwrap()
            .with_context(42)])
        .on_http_request(|request, response| {
            assert_eq!(request.method(), "POST");
            assert_eq!(request.document(), "/API/a b");
            assert_eq!(request.raw_path(), b"/API/a%20b");
            assert_eq!(request.target(), b"/API/a%20b?x=1&y=%20&x=2");
            assert_eq!(request.query(), Some(&b"x=1&y=%20&x=2"[..]));
            assert_eq!(request.query_params().first("y").unwrap(), " ");
            assert_eq!(request.query_params().all("x").count(), 2);
            assert_eq!(request.base_and_rest(), ("/API", "/a b"));
            assert_eq!(request.url_context(), 42);
            assert_eq!(request.prefix().port, 8080);
            assert_eq!(request.header("x-thing").unwrap(), "one, two");
            assert_eq!(request.host().unwrap(), "test:8080");
            let cookies: Vec<_> = request.cookies().iter().collect();
            assert_eq!(cookies, [("a", "1"), ("b", "2=3")]);
            assert_eq!(request.cookies().first("b"), Some("2=3"));
            assert_eq!(request.content_type(), Some("text/plain; charset=latin1"));
            assert_eq!(request.content_length(), Some(2));
            let ranges: Vec<_> = request.range().unwrap().iter().collect();
            assert_eq!(ranges, [RangeSpec::FromTo { first: 0, last: 1 }]);
            assert!(request.auth_exists());
            assert_eq!(request.auth_username().unwrap(), "Aladdin");
            assert_eq!(request.auth_password().unwrap(), "open");
            assert_eq!(request.connection_id().0, 1);
            assert!(matches!(request.peer(), PeerAddress::Tcp(peer) if peer.port() == 50_000));
            assert!(matches!(request.local(), PeerAddress::Tcp(local) if local.port() == 80));
            assert_eq!(request.content_arrived(), Some("é".as_bytes()));
            assert_eq!(request.content().unwrap(), "é".as_bytes());
            assert_eq!(request.text().unwrap(), "Ã©");
            response.text("told");
        });
    let _server = serve(&backend, builder);
    let head = "POST /API/a%20b?x=1&y=%20&x=2 HTTP/1.1\n\
                Host: test:8080\nX-Thing: one\nX-THING: two\nCookie: a=1; b=\"2=3\"\n\
                Content-Type: text/plain; charset=latin1\nRange: bytes=0-1\n\
                Authorization: Basic QWxhZGRpbjpvcGVu";
    assert_eq!(backend.request(head, Content::Arrived("é")).text(), "told");
}

#[test]
fn content_in_pieces_is_read_whole_or_piece_by_piece() {
    let backend = TestBackend::classic();
    let builder =
        Server::builder().on_http_request(|request, response| -> Result<(), HandlerError> {
            match request.document() {
                "/whole" => response.bytes(request.content()?.to_vec()),
                "/again" => {
                    assert_eq!(request.content_arrived(), None);
                    assert_eq!(request.content()?, b"one two");
                    assert_eq!(request.content_arrived(), Some(&b"one two"[..]));
                    response.bytes(request.body().blocking_collect(100)?);
                }
                _ => {
                    let mut body = request.body();
                    assert_eq!(body.blocking_chunk()?.unwrap(), "one ");
                    assert_eq!(body.blocking_chunk()?.unwrap(), "two");
                    assert_eq!(body.blocking_chunk()?, None);
                    assert_eq!(body.trailers().value("x-sum"), Some(&b"7"[..]));
                    assert_eq!(request.content(), Err(ContentError::Taken));
                }
            }
            Ok(())
        });
    let _server = serve(&backend, builder);
    for path in ["/whole", "/again"] {
        let pieces = Content::Pieces(vec![Ok("one "), Ok("two")]);
        let answer = backend.request(&format!("POST {path} HTTP/1.1"), pieces);
        assert_eq!(answer.text(), "one two", "{path}");
    }
    let pieces = Content::Pieces(vec![Ok("one "), Ok("two")]);
    assert_eq!(backend.request("POST /pieces HTTP/1.1", pieces).status, 200);
}

#[test]
fn content_that_ends_early_is_the_peers_fault() {
    let backend = TestBackend::classic();
    let (sender, told) = channel();
    let sender = Mutex::new(sender);
    let builder = Server::builder()
        .on_error(move |error| sender.lock().unwrap().send(error.cause.clone()).unwrap())
        .on_exception(|exception| panic!("{exception}"))
        .on_http_request(|request, response| {
            response.bytes(request.content()?.to_vec());
            Ok(())
        });
    let _server = serve(&backend, builder);
    let cases = [
        (BodyError::TooLarge { limit: 3 }, 413),
        (BodyError::TimedOut, 408),
        (BodyError::Malformed, 400),
    ];
    for (error, status) in cases {
        let pieces = Content::Pieces(vec![Ok("one"), Err(error)]);
        assert_eq!(backend.request("POST / HTTP/1.1", pieces).status, status);
        assert!(
            matches!(told.recv().unwrap(), PeerFault::Content(ContentError::Body(told)) if told == error)
        );
    }
}

#[test]
fn content_longer_than_the_limit_is_413() {
    let backend = TestBackend::classic();
    let builder =
        Server::builder()
            .max_request_body_size(4)
            .on_http_request(|request, response| {
                response.bytes(request.content()?.to_vec());
                Ok(())
            });
    let _server = serve(&backend, builder);
    let pieces = |last| Content::Pieces(vec![Ok("one"), Ok(last)]);
    assert_eq!(
        backend.request("POST / HTTP/1.1", pieces("4")).text(),
        "one4"
    );
    assert_eq!(backend.request("POST / HTTP/1.1", pieces("45")).status, 413);
}

#[test]
fn a_failing_handler_is_500_and_an_exception() {
    let backend = TestBackend::classic();
    let (builder, told) = exceptions(Server::builder());
    let builder = builder.on_http_request(|request, response| {
        let number: u32 = request.document()[1..].parse()?;
        response.text(number.to_string());
        Ok(())
    });
    let _server = serve(&backend, builder);
    assert_eq!(backend.get("/7").text(), "7");
    assert_eq!(backend.get("/seven").status, 500);
    assert!(told.recv().unwrap().contains("invalid digit"));
}

#[test]
fn a_blocking_handler_moves_when_content_has_yet_to_arrive() {
    let backend = TestBackend::high_perf();
    let builder = Server::builder().on_http_request(|request, response| {
        response.bytes(request.content()?.to_vec());
        Ok(())
    });
    let _server = serve(&backend, builder);
    let answer = backend.request("POST / HTTP/1.1", Content::Pieces(vec![Ok("later")]));
    assert_eq!((answer.text(), answer.was_moved), ("later", true));
    let answer = backend.request("POST / HTTP/1.1", Content::Arrived("here"));
    assert_eq!((answer.text(), answer.was_moved), ("here", false));
}

#[test]
fn an_async_handler_reads_content_without_moving() {
    let backend = TestBackend::high_perf();
    let builder = Server::builder().on_http_request_async(|request, mut response| async move {
        match request.text_async().await {
            Ok(text) => response.text(text.into_owned()),
            Err(error) => response.status(error.status()).empty(),
        }
        response
    });
    let _server = serve(&backend, builder);
    let answer = backend.request(
        "POST / HTTP/1.1",
        Content::Pieces(vec![Ok("la"), Ok("ter")]),
    );
    assert_eq!((answer.text(), answer.was_moved), ("later", false));
    let answer = backend.request("POST / HTTP/1.1", Content::Arrived("here"));
    assert_eq!(answer.text(), "here");
}

/// Says that it does not wait, and waits.
struct Impatient;

impl Events for Impatient {
    fn waits_for_content(&self) -> bool {
        false
    }

    fn on_http_request(
        &self,
        request: &Request<'_>,
        response: &mut Response,
    ) -> Result<(), HandlerError> {
        assert_eq!(request.content(), Err(ContentError::WouldBlock));
        response.answer_async(|request, mut response| async move {
            let whole = request.content_async().await.unwrap().to_vec();
            response.bytes(whole);
            response
        });
        Ok(())
    }
}

#[test]
fn a_handler_that_must_not_wait_is_told_so_and_may_defer() {
    let backend = TestBackend::high_perf();
    let _server = serve(&backend, Server::builder().events(Impatient));
    let answer = backend.request("POST / HTTP/1.1", Content::Pieces(vec![Ok("later")]));
    assert_eq!((answer.text(), answer.was_moved), ("later", false));
}

#[test]
fn a_deferred_request_is_answered_from_another_thread() {
    let backend = TestBackend::high_perf();
    let builder = Server::builder().on_http_request(|_, response| {
        response
            .header("X-Set", "before")
            .defer(|request, mut response| {
                std::thread::spawn(move || {
                    response.text(format!("for {}", request.document()));
                    response.send();
                });
            });
    });
    let _server = serve(&backend, builder);
    let answer = backend.get("/a");
    assert_eq!(answer.text(), "for /a");
    assert_eq!(answer.field("X-Set"), Some("before"));
}

#[test]
fn work_for_nobody_can_be_given_up() {
    let backend = TestBackend::high_perf();
    let builder = Server::builder().on_http_request_async(|_, mut response| async move {
        response.closed().await;
        response
    });
    let _server = serve(&backend, builder);
    let (answer, peer) = backend.send("GET / HTTP/1.1", Content::Arrived(""));
    peer.leave();
    assert_eq!(answer.recv().unwrap().status, 200);
}

#[test]
fn a_blocking_answer_is_given_in_either_mode() {
    for backend in [TestBackend::classic(), TestBackend::high_perf()] {
        let (builder, told) = exceptions(Server::builder());
        let builder = builder.on_http_request(|_, response| {
            response.answer_blocking(|request, mut response| {
                assert_ne!(request.document(), "/panic", "as asked for");
                response.text(format!("for {}", request.document()));
                response
            });
        });
        let _server = serve(&backend, builder);
        assert_eq!(backend.get("/a").text(), "for /a");
        assert!(backend.get("/panic").is_abandoned);
        assert!(told.recv().unwrap().contains("as asked for"));
    }
}
