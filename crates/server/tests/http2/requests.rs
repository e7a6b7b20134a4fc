//! Requests and responses on streams: many at once, content of every kind, trailers.

use std::io::Read;

use axum::Router;
use axum::body::Body;
use axum::routing::{any, post};
use bytes::Bytes;
use futures_util::future::join_all;
use tidegate::{HandlerError, ServerBuilder, Version};

use crate::client::Client as Http1;
use crate::client::setting::{in_each_setting, start, stop};
use crate::http2_client::{Client, answer, run, send_all};

/// Answers with the content, and tells in fields how it came.
fn echo(builder: ServerBuilder) -> ServerBuilder {
    builder.on_http_request(|request, response| -> Result<(), HandlerError> {
        let coding = request.header("Transfer-Encoding").unwrap_or_default();
        let length = request.header("Content-Length").unwrap_or_default();
        response
            .header("X-Version", request.version().as_str())
            .header("X-Coding", coding.as_ref())
            .header("X-Length", length.as_ref());
        let mut body = request.body();
        let content = body.blocking_collect(u64::MAX)?;
        for field in body.trailers().iter() {
            response.trailer(field.name, field.value);
        }
        response.bytes(content);
        Ok(())
    })
}

#[test]
fn many_streams_on_one_connection_are_answered() {
    in_each_setting(|builder, port| {
        let server = start(echo(builder));
        run(async {
            let client = Client::connect(port).await;
            // The client knows then how many streams it may open at once, and waits with the rest.
            client.get("/").await.unwrap();
            let answers = (0..200).map(async |number: usize| {
                let content = number.to_string().repeat(number * 10);
                let answer = client
                    .post("/", content.as_bytes(), number.is_multiple_of(2))
                    .await;
                assert_eq!(answer.text(), content, "{number}");
            });
            join_all(answers).await;
            assert_eq!(server.connection_count(), 1);
            client.end().await.unwrap();
        });
        stop(server);
    });
}

// Case T07.
#[test]
fn content_of_unknown_length_is_seen_as_chunked() {
    in_each_setting(|builder, port| {
        let server = start(echo(builder));
        run(async {
            let client = Client::connect(port).await;
            let seen = |answer: &crate::http2_client::Answer| {
                let field = |name: &str| answer.fields[name].to_str().unwrap().to_owned();
                (field("x-coding"), field("x-length"))
            };
            let answer = client.get("/").await.unwrap();
            assert_eq!(answer.fields["x-version"], Version::Http2.as_str());
            assert_eq!(seen(&answer), (String::new(), String::new()));
            for content in ["small".to_owned(), "x".repeat(300_000)] {
                let answer = client.post("/", content.as_bytes(), false).await;
                assert_eq!(answer.text(), content);
                assert_eq!(seen(&answer), ("chunked".into(), String::new()));
                let answer = client.post("/", content.as_bytes(), true).await;
                assert_eq!(answer.text(), content);
                assert_eq!(seen(&answer), (String::new(), content.len().to_string()));
            }
        });
        stop(server);
    });
}

// Case T16.
#[test]
fn trailers_are_sent_over_http_2_and_not_over_http_1() {
    let long = "x".repeat(64 * 1024 - 1);
    in_each_setting(|builder, port| {
        let value = long.clone();
        let builder = builder.on_http_request(move |request, response| {
            response
                .trailer("X-Sum", "1")
                .trailer("X-Sum", "2")
                .trailer("X-Long", &value);
            match request.document() {
                "/fixed" => response.text("content"),
                "/empty" => response.empty(),
                "/reader" => response.reader(std::io::repeat(b'x').take(100_000)),
                _ => {
                    let sender = response.channel(1);
                    std::thread::spawn(move || {
                        sender.blocking_send("content").unwrap();
                        sender.trailer("Grpc-Status", "0").unwrap();
                    });
                }
            }
        });
        let server = start(builder);
        run(async {
            let client = Client::connect(port).await;
            for (path, length) in [
                ("/fixed", 7),
                ("/empty", 0),
                ("/reader", 100_000),
                ("/channel", 7),
            ] {
                let answer = client.get(path).await.unwrap();
                assert_eq!(answer.content.len(), length, "{path}");
                let trailers = answer.trailers.unwrap();
                let sums: Vec<_> = trailers.get_all("x-sum").iter().collect();
                assert_eq!(sums, ["1", "2"], "{path}");
                assert_eq!(trailers["x-long"], long, "{path}");
                let status = trailers.get("grpc-status");
                assert_eq!(status.is_some(), path == "/channel", "{path}");
                let plain = Http1::connect(port).get(path);
                assert_eq!(plain.content.len(), length, "{path}");
                assert_eq!(plain.field("X-Sum"), None, "{path}");
            }
        });
        stop(server);
    });
}

#[test]
fn a_request_s_trailers_are_read_after_its_content() {
    in_each_setting(|builder, port| {
        let server = start(echo(builder));
        run(async {
            let client = Client::connect(port).await;
            for length in [5, 200_000] {
                let request = client.request("POST", "/").body(()).unwrap();
                let (response, mut stream) = client.send(request, false).await;
                let sending = tokio::spawn(async move {
                    let content = vec![b'x'; length].into();
                    send_all(&mut stream, content, false).await.unwrap();
                    // So that the server does not have it all before it begins.
                    tokio::task::yield_now().await;
                    let mut trailers = http::HeaderMap::new();
                    trailers.append("x-sum", "1".parse().unwrap());
                    trailers.append("x-sum", "2".parse().unwrap());
                    stream.send_trailers(trailers).unwrap();
                });
                let answer = answer(response).await.unwrap();
                sending.await.unwrap();
                assert_eq!(answer.content.len(), length);
                let trailers = answer.trailers.unwrap();
                assert_eq!(trailers.get_all("x-sum").iter().count(), 2, "{length}");
            }
        });
        stop(server);
    });
}

#[test]
fn an_axum_router_streams_both_ways_over_http_2() {
    in_each_setting(|builder, port| {
        let router = Router::new()
            .route("/echo", post(|body: Body| async { body }))
            .fallback(any(|version: http::Version| async move {
                format!("{version:?}")
            }));
        let server = start(builder.mount("/api", router));
        run(async {
            let client = Client::connect(port).await;
            let version = client.get("/api/version").await.unwrap();
            assert_eq!(version.text(), "HTTP/2.0");
            let large = vec![b'x'; 300_000];
            let echoed = client.post("/api/echo", &large, false).await;
            assert_eq!(echoed.content, large);
            assert!(echoed.trailers.is_none());
            // Trailers go through it, too.
            let request = client.request("POST", "/api/echo").body(()).unwrap();
            let (response, mut stream) = client.send(request, false).await;
            stream.send_data(Bytes::from_static(b"x"), false).unwrap();
            let mut trailers = http::HeaderMap::new();
            trailers.append("grpc-status", "0".parse().unwrap());
            stream.send_trailers(trailers).unwrap();
            let answer = answer(response).await.unwrap();
            assert_eq!(answer.text(), "x");
            assert_eq!(answer.trailers.unwrap()["grpc-status"], "0");
        });
        stop(server);
    });
}

// Case T06.
#[test]
fn a_response_that_closes_lets_others_finish() {
    in_each_setting(|builder, port| {
        let builder = builder.on_http_request(|request, response| match request.document() {
            "/close" => response.header("Connection", "close").text("last"),
            _ => {
                let sender = response.channel(1);
                std::thread::spawn(move || {
                    for _ in 0..100 {
                        sender.blocking_send("piece ").unwrap();
                    }
                });
            }
        });
        let server = start(builder);
        run(async {
            let client = Client::connect(port).await;
            let request = client.request("GET", "/slow").body(()).unwrap();
            let slow = client.send(request, true).await.0;
            let answer_to_close = client.get("/close").await.unwrap();
            assert_eq!(answer_to_close.text(), "last");
            assert!(answer_to_close.fields.get("connection").is_none());
            assert_eq!(answer(slow).await.unwrap().content.len(), 600);
            // The client has been told: it ends by itself, without an error.
            client.end().await.unwrap();
        });
        stop(server);
    });
}
