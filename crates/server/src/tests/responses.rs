//! What a response becomes on its way to the driver.

use std::io::{self, Read};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use tidegate_httpapi::{BodyError, FieldBlock};

use super::backend::{Answer, Content, TestBackend};
use super::requests::{exceptions, serve};
use crate::{Response, ResponseError, Server};

/// The answer to a GET of which `fill` fills the response, and the exceptions told.
fn answer(fill: impl Fn(&mut Response) + Send + Sync + 'static) -> (Answer, Vec<String>) {
    answer_to("GET / HTTP/1.1", fill)
}

fn answer_to(
    head: &str,
    fill: impl Fn(&mut Response) + Send + Sync + 'static,
) -> (Answer, Vec<String>) {
    let backend = TestBackend::classic();
    let (builder, told) = exceptions(Server::builder());
    let server = serve(
        &backend,
        builder.on_http_request(move |_, response| fill(response)),
    );
    let answer = backend.request(head, Content::Arrived(""));
    drop(server);
    (answer, told.try_iter().collect())
}

#[test]
fn typed_setters_spell_their_fields() {
    let (answer, _) = answer(|response| {
        let time = UNIX_EPOCH + Duration::from_secs(784_111_777);
        response
            .status(206)
            .content_type("application/pdf")
            .accept_ranges("bytes")
            .content_range(0..=99, Some(1000))
            .expires(time)
            .last_modified(time)
            .cache_control("no-cache")
            .location("/elsewhere")
            .etag("v1")
            .server("Test/1")
            .append_header("Set-Cookie", "a=1")
            .append_header("Set-Cookie", "b=2")
            .header("X-One", "1")
            .header("x-one", "2")
            .bytes(b"%PDF");
    });
    assert_eq!(answer.status, 206);
    assert_eq!(
        answer.fields,
        "Content-Type: application/pdf\r\n\
         Accept-Ranges: bytes\r\n\
         Content-Range: bytes 0-99/1000\r\n\
         Expires: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         Cache-Control: no-cache\r\n\
         Location: /elsewhere\r\n\
         ETag: \"v1\"\r\n\
         Server: Test/1\r\n\
         Set-Cookie: a=1\r\n\
         Set-Cookie: b=2\r\n\
         x-one: 2\r\n"
    );
    assert_eq!(answer.content, b"%PDF");
}

#[test]
fn a_field_that_would_split_the_response_is_500_and_an_exception() {
    let (answer, told) = answer(|response| {
        response
            .header("X-Note", "a\r\nSet-Cookie: b")
            .text("never seen");
    });
    assert_eq!((answer.status, answer.length), (500, Some(0)));
    assert_eq!(answer.fields, "");
    assert!(told[0].contains("X-Note"), "{told:?}");
}

#[test]
fn try_header_tells_at_once_and_spoils_nothing() {
    let (answer, told) = answer(|response| {
        assert!(response.try_header("X", "a\nb").is_err());
        assert!(response.try_header("Transfer-Encoding", "chunked").is_err());
        assert!(response.try_header("Content-Length", "many").is_err());
        assert!(response.try_header("X", "a").is_ok());
        response.text("seen");
    });
    assert_eq!((answer.text(), answer.field("X")), ("seen", Some("a")));
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn faults_of_a_response_are_told_by_name() {
    type Fill = fn(&mut Response);
    let cases: [(Fill, &str); 6] = [
        (|response| response.status(99).empty(), "status is 99"),
        (|response| response.status(600).empty(), "status is 600"),
        (|response| response.reason("a\r\nb").empty(), "reason"),
        (
            |response| response.content_length(5).text("four"),
            "Content-Length is set to 5",
        ),
        (
            |response| {
                response
                    .content_type("text/plain; charset=utf-16")
                    .text("a")
            },
            "charset",
        ),
        (
            |response| response.header("Transfer-Encoding", "x").empty(),
            "Transfer-Encoding",
        ),
    ];
    for (fill, part) in cases {
        let (answer, told) = answer(fill);
        assert_eq!(answer.status, 500, "{part}");
        assert!(told[0].contains(part), "{told:?}");
    }
}

#[test]
fn text_is_written_in_the_charset_of_its_content_type() {
    let (plain, _) = answer(|response| response.text("é"));
    assert_eq!(
        plain.field("Content-Type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(plain.content, "é".as_bytes());
    let (latin1, _) = answer(|response| {
        response
            .content_type("text/plain; charset=iso-8859-1")
            .text("é€".to_owned());
    });
    assert_eq!(latin1.content, b"\xE9?");
}

#[test]
fn connection_and_length_may_be_set_as_headers() {
    let (answer, _) = answer(|response| {
        response
            .header("Connection", "close")
            .header("Content-Length", "4")
            .reason("Fine")
            .text("four");
    });
    assert!(answer.close);
    assert_eq!(answer.field("Connection"), None);
    assert_eq!(answer.field("Content-Length"), None);
    assert_eq!(answer.reason.as_deref(), Some("Fine"));
}

#[test]
fn an_answer_to_head_may_tell_a_length() {
    let (head, told) = answer_to("HEAD / HTTP/1.1", |response| {
        response.content_length(900).empty()
    });
    assert_eq!(head.field("Content-Length"), Some("900"));
    assert!(told.is_empty(), "{told:?}");
    let (get, told) = answer(|response| response.content_length(900).empty());
    assert_eq!((get.status, told.len()), (500, 1));
}

#[test]
fn of_several_contents_the_last_counts() {
    let (answer, _) = answer(|response| {
        response.reader(io::empty());
        response.text("first");
        response.text("last");
    });
    assert_eq!(answer.text(), "last");
}

#[test]
fn content_comes_from_a_stream() {
    let (answer, _) = answer(|response| {
        let pieces = ["one ", "two"].map(Ok::<_, io::Error>);
        response
            .content_length(7)
            .stream(futures_util::stream::iter(pieces));
    });
    assert_eq!((answer.text(), answer.length), ("one two", Some(7)));
}

#[test]
fn content_comes_from_a_reader_that_blocks() {
    let (answer, _) = answer(|response| response.reader(io::repeat(b'x').take(200_000)));
    assert_eq!((answer.content.len(), answer.length), (200_000, None));
}

#[test]
fn content_comes_through_a_channel() {
    let (answer, _) = answer(|response| {
        let sender = response.channel(1);
        std::thread::spawn(move || {
            for _ in 0..100 {
                sender.blocking_send(Bytes::from_static(b"piece")).unwrap();
            }
        });
    });
    assert_eq!(answer.content.len(), 500);
    assert!(!answer.is_cut);
}

#[test]
fn a_source_that_fails_cuts_the_content() {
    let (failed, told) = answer(|response| {
        let sender = response.channel(4);
        sender.try_send("part").unwrap();
        sender.fail(io::Error::other("the disk is gone"));
    });
    assert_eq!((failed.text(), failed.is_cut), ("part", true));
    assert!(told[0].contains("the disk is gone"), "{told:?}");
    let (left, told) = answer(|response| {
        response.channel(4).fail(BodyError::Disconnected.into());
    });
    // The peer's fault is no exception.
    assert_eq!((left.is_cut, told.len()), (true, 0));
    let (panicked, told) = answer(|response| {
        let pieces =
            futures_util::stream::poll_fn(|_| -> std::task::Poll<Option<io::Result<Bytes>>> {
                panic!("as asked for")
            });
        response.stream(pieces);
    });
    assert!(panicked.is_cut);
    assert!(told[0].contains("as asked for"), "{told:?}");
}

#[test]
fn a_sender_dropped_by_a_panic_cuts_the_content() {
    let (answer, _) = answer(|response| {
        let sender = response.channel(1);
        let panicking = std::thread::spawn(move || {
            sender.try_send("part").unwrap();
            panic!("as asked for");
        });
        assert!(panicking.join().is_err());
    });
    assert_eq!((answer.text(), answer.is_cut), ("part", true));
}

#[test]
fn interim_responses_come_before() {
    let (answer, _) = answer(|response| {
        let mut hints = FieldBlock::new();
        hints.append("Link", "</a.css>; rel=preload").unwrap();
        response.inform(103, hints).unwrap();
        let refused = response.inform(101, FieldBlock::new());
        assert_eq!(refused, Err(ResponseError::InterimStatus(101)));
        response.answer_async(|_, mut response| async move {
            response.inform(102, FieldBlock::new()).unwrap();
            response.text("done");
            response
        });
    });
    let link = "Link: </a.css>; rel=preload\r\n".to_owned();
    assert_eq!(answer.interim, [(103, link), (102, String::new())]);
    assert_eq!(answer.text(), "done");
}
