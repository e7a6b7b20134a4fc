//! Services mounted under a path.

use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{any, get, post};
use futures_util::StreamExt;
use http_body_util::BodyExt;

use super::backend::{Content, TestBackend};
use super::requests::{exceptions, serve};
use crate::{RequestContext, Server};

fn router() -> Router {
    Router::new()
        .route("/", get(|| async { "root" }))
        .route("/echo", post(|body: Body| async { body }))
        .route(
            "/context",
            get(|Extension(context): Extension<RequestContext>| async move {
                format!("{} {}", context.document, context.peer)
            }),
        )
        .route(
            "/slow",
            get(|| async {
                let pieces = futures_util::stream::iter(["one ", "two"]).then(|piece| async move {
                    tokio::task::yield_now().await;
                    Ok::<_, std::io::Error>(piece)
                });
                Body::from_stream(pieces)
            }),
        )
        .route(
            "/teapot",
            get(|| async { (StatusCode::IM_A_TEAPOT, [("X-Pot", "1")], "short") }),
        )
        .route("/panic", get(|| async { panic!("as asked for") as &str }))
        .route(
            "/trailers",
            post(|body: Body| async {
                let body = body.collect().await.unwrap();
                let trailers: HeaderMap = body.trailers().cloned().unwrap();
                trailers["x-sum"].to_str().unwrap().to_owned()
            }),
        )
        .fallback(any(|uri: Uri| async move { format!("at {uri}") }))
}

#[test]
fn a_router_answers_under_its_path() {
    let backend = TestBackend::high_perf();
    let builder = Server::builder()
        .mount("/api", router())
        .mount(
            "/api/inner/",
            Router::new().fallback(any(|| async { "inner" })),
        )
        .on_http_request(|_, response| response.text("own"));
    let _server = serve(&backend, builder);
    let cases = [
        ("/api", "root"),
        ("/api/", "root"),
        ("/api/slow", "one two"),
        ("/api/x?y=1", "at /x?y=1"),
        ("/api/a%20b", "at /a%20b"),
        ("/%61pi/a%20b", "at /a%20b"),
        ("/x/../api/y", "at /y"),
        ("/api/x/../y", "at /y"),
        ("/api/./%E9%2f..%2Fb", "at /b"),
        ("/api/./%E9/%C3%A9", "at /%E9/%C3%A9"),
        ("/api//a%252fb", "at /a%252fb"),
        ("/api/./%u00e9", "at /%C3%A9"),
        ("/api/inner/z", "inner"),
        ("/apis", "own"),
        ("/api/../z", "own"),
        ("/", "own"),
    ];
    for (path, text) in cases {
        assert_eq!(backend.get(path).text(), text, "{path}");
    }
    let context = backend.get("/api/context");
    assert_eq!(context.text(), "/api/context 192.0.2.1:50000");
}

#[test]
fn status_fields_and_whole_content_are_passed_on() {
    let backend = TestBackend::classic();
    let _server = serve(&backend, Server::builder().mount("/", router()));
    let answer = backend.get("/teapot");
    assert_eq!((answer.status, answer.text()), (418, "short"));
    assert_eq!(answer.length, Some(5));
    assert_eq!(answer.field("x-pot"), Some("1"));
    assert_eq!(answer.field("Content-Length"), None);
    let head = backend.request("HEAD /teapot HTTP/1.1", Content::Arrived(""));
    assert_eq!(head.field("Content-Length"), Some("5"));
}

#[test]
fn content_is_streamed_both_ways_with_trailers() {
    let backend = TestBackend::high_perf();
    let _server = serve(&backend, Server::builder().mount("/", router()));
    let pieces = || Content::Pieces(vec![Ok("one "), Ok("two")]);
    let answer = backend.request("POST /echo HTTP/1.1", pieces());
    assert_eq!((answer.text(), answer.length), ("one two", None));
    assert_eq!(
        backend
            .request("POST /echo HTTP/1.1", Content::Arrived("x"))
            .text(),
        "x"
    );
    assert_eq!(
        backend.request("POST /trailers HTTP/1.1", pieces()).text(),
        "7"
    );
}

#[test]
fn a_service_that_panics_is_500_and_an_exception() {
    let backend = TestBackend::high_perf();
    let (builder, told) = exceptions(Server::builder().mount("/", router()));
    let _server = serve(&backend, builder);
    assert!(backend.get("/panic").is_abandoned);
    assert!(told.recv().unwrap().contains("as asked for"));
    assert_eq!(backend.get("/").text(), "root");
}

#[test]
fn a_service_whose_peer_has_left_is_dropped() {
    let backend = TestBackend::high_perf();
    let router = Router::new().fallback(any(std::future::pending::<&str>));
    let _server = serve(&backend, Server::builder().mount("/", router));
    let (answer, peer) = backend.send("GET / HTTP/1.1", Content::Arrived(""));
    peer.leave();
    assert!(answer.recv().unwrap().is_abandoned);
}
