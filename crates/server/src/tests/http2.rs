//! What HTTP/2 adds to requests and responses: TLS, trailers, resets with a code.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::http::{HeaderMap, Version as HttpVersion};
use axum::routing::{any, get};
use bytes::Bytes;
use http_body::Frame;
use tidegate_httpapi::{BodySource, FieldBlock, Scheme, StreamReset, TlsInfo, Version};

use super::backend::{Answer, Content, TestBackend};
use super::requests::{exceptions, serve};
use crate::{HandlerError, Response, ResponseError, Server};

const GET: &str = "GET / HTTP/2\nHost: test";

fn tls() -> TlsInfo {
    let mut tls = TlsInfo::new("TLSv1.3", "TLS13_AES_128_GCM_SHA256");
    tls.server_name = Some("test.example".into());
    tls.client_certificates = vec![Bytes::from_static(b"certificate")];
    tls
}

/// The answer to a GET over HTTP/2 of which `fill` fills the response, and the exceptions told.
fn answer(fill: impl Fn(&mut Response) + Send + Sync + 'static) -> (Answer, Vec<String>) {
    let backend = TestBackend::classic();
    let (builder, told) = exceptions(Server::builder());
    let builder = builder.on_http_request(move |_, response| fill(response));
    let server = serve(&backend, builder);
    let answer = backend.request(GET, Content::Arrived(""));
    drop(server);
    (answer, told.try_iter().collect())
}

#[test]
fn a_request_tells_its_version_and_what_secures_it() {
    let backend = TestBackend::high_perf();
    let builder = Server::builder().on_http_request(|request, response| {
        let version = request.version();
        if request.document() == "/plain" {
            assert!(!request.is_secure() && request.tls().is_none());
        } else {
            assert!(request.is_secure());
            assert_eq!(request.prefix().scheme, Scheme::Https);
            assert_eq!(*request.tls().unwrap(), tls());
        }
        if request.document() != "/deferred" {
            return response.text(version.as_str());
        }
        response.defer(move |request, mut response| {
            assert!(request.is_secure());
            assert_eq!(*request.tls().unwrap(), tls());
            assert_eq!(request.version(), version);
            response.text("deferred");
            response.send();
        });
    });
    let _server = serve(&backend, builder);
    let ask = |path: &str, version: &str| {
        let head = format!("GET {path} {version}\nHost: test");
        backend.request(&head, Content::Arrived(""))
    };
    assert_eq!(ask("/plain", "HTTP/2").text(), "HTTP/2");
    assert_eq!(ask("/plain", "HTTP/1.1").text(), "HTTP/1.1");
    backend.secure(tls());
    assert_eq!(ask("/", "HTTP/2").text(), "HTTP/2");
    assert_eq!(ask("/deferred", "HTTP/2").text(), "deferred");
}

#[test]
fn a_service_is_told_of_http_2_and_tls_as_its_types_have_it() {
    let backend = TestBackend::classic();
    let router = Router::new()
        .route(
            "/tls",
            get(|Extension(tls): Extension<Arc<TlsInfo>>| async move { tls.version }),
        )
        .fallback(any(
            |version: HttpVersion, headers: HeaderMap, body: Body| async move {
                let has_framing = headers.contains_key("transfer-encoding");
                assert_eq!(has_framing, version == HttpVersion::HTTP_11);
                let content = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                format!("{version:?} {}", content.len())
            },
        ));
    let _server = serve(&backend, Server::builder().mount("/", router));
    for (version, text) in [("HTTP/2", "HTTP/2.0 6"), ("HTTP/1.1", "HTTP/1.1 6")] {
        let head = format!("POST / {version}\nHost: test\nTransfer-Encoding: chunked");
        let pieces = Content::Pieces(vec![Ok("one"), Ok("two")]);
        assert_eq!(backend.request(&head, pieces).text(), text);
    }
    backend.secure(tls());
    let head = "GET /tls HTTP/2\nHost: test";
    let answer = backend.request(head, Content::Arrived(""));
    assert_eq!(answer.text(), "TLSv1.3");
}

#[test]
fn values_of_one_trailer_stay_apart_and_may_be_long() {
    let long = "x".repeat(64 * 1024 - 1);
    let value = long.clone();
    let (answer, told) = answer(move |response| {
        response
            .trailer("X-Sum", "1")
            .trailer("x-sum", "2")
            .trailer("X-Long", &value);
        assert_eq!(response.trailers().iter().count(), 3);
        response.text("content");
    });
    assert_eq!(answer.text(), "content");
    assert_eq!(answer.fields.lines().count(), 1);
    assert_eq!(
        answer.trailers,
        format!("X-Sum: 1\r\nx-sum: 2\r\nX-Long: {long}\r\n")
    );
    assert!(told.is_empty(), "{told:?}");
}

// RFC 9110 §6.5.1.
#[test]
fn a_trailer_that_may_not_stand_there_is_refused() {
    let forbidden = [
        "content-length",
        "Transfer-Encoding",
        "Host",
        "Set-Cookie",
        "Content-Type",
        "Cache-Control",
        "Trailer",
        "Connection",
    ];
    for name in forbidden {
        let (answer, told) = answer(move |response| {
            let refused = response.try_trailer(name, "x").err();
            assert_eq!(refused, Some(ResponseError::Trailer { name: name.into() }));
            assert!(response.trailers().is_empty());
            response.trailer(name, "x").text("never seen");
        });
        assert_eq!((answer.status, answer.trailers.len()), (500, 0));
        assert!(told[0].contains(name), "{told:?}");
    }
    let (answer, _) = answer(|response| response.trailer("X", "a\r\nb").empty());
    assert_eq!(answer.status, 500);
}

#[test]
fn trailers_follow_content_that_comes_in_pieces() {
    let (answer, told) = answer(|response| {
        let sender = response.trailer("X-Before", "1").channel(1);
        std::thread::spawn(move || {
            sender.blocking_send("one ").unwrap();
            let last = sender.clone();
            last.blocking_send("two").unwrap();
            last.trailer("Grpc-Status", "0").unwrap();
            let refused = last.trailer("Content-Length", "7");
            assert!(matches!(refused, Err(ResponseError::Trailer { .. })));
        });
    });
    assert_eq!(answer.text(), "one two");
    assert_eq!(answer.trailers, "X-Before: 1\r\nGrpc-Status: 0\r\n");
    assert!(told.is_empty(), "{told:?}");
}

/// Gives one piece, and trailers of which some may not be sent.
struct Sum(Option<&'static str>);

impl BodySource for Sum {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        Poll::Ready(self.0.take().map(|piece| Ok(piece.into())))
    }

    fn trailers(&mut self) -> Option<FieldBlock> {
        let mut trailers = FieldBlock::new();
        for (name, value) in [("X-Sum", "3"), ("Content-Type", "a/b"), ("X-Sum", "4")] {
            trailers.append(name, value).unwrap();
        }
        Some(trailers)
    }
}

#[test]
fn a_source_has_trailers_of_its_own() {
    let (answer, told) = answer(|response| response.source(Sum(Some("sum"))));
    assert_eq!(answer.text(), "sum");
    assert_eq!(answer.trailers, "X-Sum: 3\r\nX-Sum: 4\r\n");
    assert!(
        told.len() == 1 && told[0].contains("Content-Type"),
        "{told:?}"
    );
}

/// A service's content: these frames, each at once.
struct Frames(Vec<Frame<Bytes>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready((!self.0.is_empty()).then(|| Ok(self.0.remove(0))))
    }
}

#[test]
fn a_service_s_trailers_are_passed_on() {
    let backend = TestBackend::high_perf();
    let router = Router::new().fallback(any(|uri: http::Uri| async move {
        let mut trailers = HeaderMap::new();
        trailers.append("grpc-status", "0".parse().unwrap());
        trailers.append("x-sum", "1".parse().unwrap());
        trailers.append("x-sum", "2".parse().unwrap());
        let mut frames = vec![Frame::trailers(trailers)];
        if uri.path() != "/alone" {
            frames.insert(0, Frame::data("content".into()));
        }
        http::Response::new(Body::new(Frames(frames)))
    }));
    let _server = serve(&backend, Server::builder().mount("/", router));
    for (path, text) in [("/", "content"), ("/alone", "")] {
        let head = format!("GET {path} HTTP/2\nHost: test");
        let answer = backend.request(&head, Content::Arrived(""));
        assert_eq!(answer.text(), text);
        assert_eq!(
            answer.trailers,
            "grpc-status: 0\r\nx-sum: 1\r\nx-sum: 2\r\n"
        );
    }
}

// Case T05.
#[test]
fn a_handler_gives_a_request_up_with_a_code() {
    type Fill = fn(&mut Response);
    let cases: [(Fill, u32); 5] = [
        (|response| response.reset(1111), 1111),
        (|response| response.status(99).cancel(), 8),
        (
            |response| {
                response.text("never seen");
                response.reset(u32::MAX);
            },
            u32::MAX,
        ),
        (
            |response| {
                response.defer(|_, mut response| {
                    response.reset(1111);
                    response.send();
                });
            },
            1111,
        ),
        (
            |response| {
                response.answer_async(|_, mut response| async move {
                    response.cancel();
                    response
                });
            },
            8,
        ),
    ];
    for (fill, code) in cases {
        let (answer, told) = answer(fill);
        assert_eq!((answer.status, answer.reset), (0, Some(code)));
        assert!(told.is_empty(), "{told:?}");
    }
}

#[test]
fn a_handler_s_error_may_be_a_reset() {
    let backend = TestBackend::classic();
    let (builder, told) = exceptions(Server::builder());
    let builder = builder.on_http_request(|request, _| -> Result<(), HandlerError> {
        match request.document() {
            "/wrapped" => Err(io::Error::other(StreamReset { code: 1111 }))?,
            _ => Err(StreamReset { code: 1111 })?,
        }
    });
    let _server = serve(&backend, builder);
    for path in ["/", "/wrapped"] {
        assert_eq!(backend.get(path).reset, Some(1111));
    }
    assert!(told.try_recv().is_err());
}

#[test]
fn content_is_given_up_with_a_code_in_its_middle() {
    type Fill = fn(&mut Response);
    let cases: [Fill; 4] = [
        |response| {
            let sender = response.channel(4);
            sender.try_send("part").unwrap();
            sender.reset(1111);
        },
        |response| {
            let sender = response.channel(4);
            sender.try_send("part").unwrap();
            sender.fail(io::Error::other(StreamReset { code: 1111 }));
        },
        |response| {
            let reset = StreamReset { code: 1111 };
            response.stream(futures_util::stream::iter([Ok("part"), Err(reset)]));
        },
        |response| {
            let reset = io::Error::other(StreamReset { code: 1111 });
            response.stream(futures_util::stream::iter([Ok("part"), Err(reset)]));
        },
    ];
    for fill in cases {
        let (answer, told) = answer(fill);
        assert_eq!((answer.status, answer.text()), (200, "part"));
        assert_eq!((answer.is_cut, answer.reset), (true, Some(1111)));
        assert!(told.is_empty(), "{told:?}");
    }
}

/// Fails with a reset.
#[derive(Clone)]
struct GivesUp;

impl tower_service::Service<http::Request<crate::Body>> for GivesUp {
    type Response = http::Response<Body>;
    type Error = StreamReset;
    type Future = std::future::Ready<Result<Self::Response, StreamReset>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StreamReset>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<crate::Body>) -> Self::Future {
        let reset = StreamReset { code: 1111 };
        std::future::ready(match request.uri().path() {
            "/middle" => {
                let pieces = [Ok("part"), Err(reset)];
                let body = Body::from_stream(futures_util::stream::iter(pieces));
                Ok(http::Response::new(body))
            }
            _ => Err(reset),
        })
    }
}

#[test]
fn a_service_gives_a_request_up_with_a_code() {
    let backend = TestBackend::high_perf();
    let (builder, told) = exceptions(Server::builder().mount("/", GivesUp));
    let _server = serve(&backend, builder);
    assert_eq!(backend.get("/").reset, Some(1111));
    let answer = backend.get("/middle");
    assert_eq!((answer.text(), answer.reset), ("part", Some(1111)));
    assert!(told.try_recv().is_err());
}

// Case T06: the driver makes a GOAWAY of it.
#[test]
fn a_wish_to_close_reaches_the_driver_over_http_2() {
    let (fields, _) = answer(|response| response.header("Connection", "close").text("x"));
    let (asked, _) = answer(|response| response.close().text("x"));
    assert!(fields.close && asked.close);
    let backend = TestBackend::classic();
    let router = Router::new().fallback(any(|| async { ([("connection", "close")], "x") }));
    let _server = serve(&backend, Server::builder().mount("/", router));
    assert!(backend.request(GET, Content::Arrived("")).close);
}

// Case T07: the driver makes the field up.
#[test]
fn content_of_unknown_length_looks_chunked() {
    let backend = TestBackend::classic();
    let seen = Arc::new(Mutex::new(None));
    let told = Arc::clone(&seen);
    let builder =
        Server::builder().on_http_request(move |request, response| -> Result<(), HandlerError> {
            assert_eq!(request.version(), Version::Http2);
            assert_eq!(request.content_length(), None);
            *told.lock().unwrap() = request
                .header("Transfer-Encoding")
                .map(|it| it.into_owned());
            let mut body = request.body();
            let content = body.blocking_collect(u64::MAX)?;
            let sum = body.trailers().value("x-sum").unwrap_or_default().to_vec();
            response.trailer("X-Sum", sum).bytes(content);
            Ok(())
        });
    let _server = serve(&backend, builder);
    let head = "POST / HTTP/2\nHost: test\ntransfer-encoding: chunked";
    let pieces = Content::Pieces(vec![Ok("one "), Ok("two")]);
    let answer = backend.request(head, pieces);
    assert_eq!(answer.text(), "one two");
    assert_eq!(answer.trailers, "X-Sum: 7\r\n");
    assert_eq!(seen.lock().unwrap().as_deref(), Some("chunked"));
}
