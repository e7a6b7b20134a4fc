//! The component on the embedded driver, on real ports, on each event loop the system offers, in both
//! operating modes.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod cache;
mod client;

use std::io::Read;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use tidegate::{Admission, ContentError, Error, FieldBlock, PeerFault};

use client::setting::{in_each_setting, start, stop};
use client::{Client, free_port};

#[test]
fn the_example_of_the_documentation_answers() {
    in_each_setting(|builder, port| {
        let builder = builder.on_http_request(|request, response| {
            match (request.method(), request.document()) {
                ("GET", "/test.html") => {
                    response.content_type("text/html; charset=UTF-8").text("OK");
                }
                ("GET", _) => response.status(404).empty(),
                _ => response.status(500).empty(),
            }
        });
        let server = start(builder);
        let mut client = Client::connect(port);
        let answer = client.get("/test.html");
        assert_eq!((answer.status, answer.text()), (200, "OK"));
        assert_eq!(
            answer.field("Content-Type"),
            Some("text/html; charset=UTF-8")
        );
        assert!(answer.field("Date").is_some());
        assert_eq!(client.get("/other").status, 404);
        assert_eq!(client.request("PUT", "/", &[], "").status, 500);
        drop(client);
        stop(server);
    });
}

#[test]
fn no_handler_panic_and_dropped_response() {
    in_each_setting(|builder, port| {
        let server = start(builder);
        assert_eq!(Client::connect(port).get("/").status, 404);
        stop(server);
    });
    in_each_setting(|builder, port| {
        let (sender, told) = channel();
        let sender = Mutex::new(sender);
        let builder = builder
            .on_exception(move |exception| {
                sender.lock().unwrap().send(exception.to_string()).unwrap();
            })
            .on_http_request(|request, response| match request.document() {
                "/panic" => panic!("as asked for"),
                "/drop" => response.defer(|_, response| drop(response)),
                "/split" => response.header("X-Split", "a\r\nb").text("never"),
                _ => (),
            });
        let server = start(builder);
        assert_eq!(Client::connect(port).get("/panic").status, 500);
        assert!(told.recv().unwrap().contains("as asked for"));
        assert_eq!(Client::connect(port).get("/split").status, 500);
        assert!(told.recv().unwrap().contains("X-Split"));
        assert_eq!(Client::connect(port).get("/drop").status, 500);
        let answer = Client::connect(port).get("/untouched");
        assert_eq!((answer.status, answer.text()), (200, ""));
        stop(server);
    });
}

#[test]
fn content_is_received_whole_and_in_pieces() {
    in_each_setting(|builder, port| {
        let builder = builder.on_http_request(|request, response| {
            response.bytes(request.content()?.to_vec());
            Ok(())
        });
        let server = start(builder);
        let mut client = Client::connect(port);
        let large = "x".repeat(300_000);
        for content in ["", "small", &large] {
            let answer = client.request("POST", "/", &[], content);
            assert_eq!((answer.status, answer.text()), (200, content));
        }
        let answer = client.request_chunked("/", &["one ", "two"]);
        assert_eq!(answer.text(), "one two");
        let answer = client.request_expecting_continue("/", &large);
        assert_eq!(answer.text(), large);
        drop(client);
        stop(server);
    });
}

#[test]
fn content_longer_than_allowed_is_413() {
    in_each_setting(|builder, port| {
        let (sender, told) = channel();
        let sender = Mutex::new(sender);
        let builder = builder
            .max_request_body_size(10)
            .on_error(move |error| sender.lock().unwrap().send(error.cause.clone()).unwrap())
            .on_http_request(|request, response| {
                response.bytes(request.content()?.to_vec());
                Ok(())
            });
        let server = start(builder);
        let answer = Client::connect(port).request("POST", "/", &[], "0123456789");
        assert_eq!(answer.status, 200);
        let answer = Client::connect(port).request("POST", "/", &[], "0123456789a");
        assert_eq!(answer.status, 413);
        let answer = Client::connect(port).request_chunked("/", &["01234", "56789", "a"]);
        assert_eq!(answer.status, 413);
        let told: Vec<_> = told.try_iter().collect();
        assert!(
            told.iter()
                .all(|cause| matches!(cause, PeerFault::Content(ContentError::Body(_)))),
            "{told:?}"
        );
        stop(server);
    });
}

#[test]
fn async_deferred_and_blocking_answers() {
    in_each_setting(|builder, port| {
        let builder = builder.on_http_request(|request, response| match request.document() {
            "/async" => response.answer_async(|request, mut response| async move {
                let mut hints = FieldBlock::new();
                hints.append("Link", "</a.css>").unwrap();
                response.inform(103, hints).unwrap();
                let text = request.text_async().await.unwrap().into_owned();
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                response.text(text);
                response
            }),
            "/blocking" => response.answer_blocking(|request, mut response| {
                let text = request.text().unwrap().into_owned();
                response.text(text);
                response
            }),
            _ => response.defer(|request, mut response| {
                std::thread::spawn(move || {
                    let text = request.text().unwrap().into_owned();
                    response.text(text);
                    response.send();
                });
            }),
        });
        let server = start(builder);
        let mut client = Client::connect(port);
        for path in ["/async", "/blocking", "/deferred"] {
            let answer = client.request("POST", path, &[], "content");
            assert_eq!(answer.text(), "content", "{path}");
            let interim = if path == "/async" { 1 } else { 0 };
            assert_eq!(answer.interim.len(), interim, "{path}");
        }
        drop(client);
        stop(server);
    });
}

#[test]
fn content_is_sent_from_every_source() {
    in_each_setting(|builder, port| {
        let builder = builder.on_http_request(|request, response| match request.document() {
            "/reader" => response.reader(std::io::repeat(b'x').take(300_000)),
            "/length" => response
                .content_length(300_000)
                .reader(std::io::repeat(b'x').take(300_000)),
            "/stream" => {
                let piece = "x".repeat(1000);
                let pieces = (0..300).map(move |_| Ok::<_, std::io::Error>(piece.clone()));
                response.stream(futures_util::stream::iter(pieces));
            }
            _ => {
                let sender = response.channel(2);
                std::thread::spawn(move || {
                    for _ in 0..300 {
                        sender.blocking_send("x".repeat(1000)).unwrap();
                    }
                });
            }
        });
        let server = start(builder);
        let mut client = Client::connect(port);
        for path in ["/reader", "/length", "/stream", "/channel"] {
            let answer = client.get(path);
            assert_eq!(answer.content.len(), 300_000, "{path}");
            let is_chunked = answer.field("Transfer-Encoding").is_some();
            assert_eq!(is_chunked, path != "/length", "{path}");
        }
        drop(client);
        stop(server);
    });
}

#[test]
fn an_axum_router_streams_both_ways() {
    in_each_setting(|builder, port| {
        let router = Router::new().route("/echo", post(|body: Body| async { body }));
        let server = start(builder.mount("/api", router));
        let mut client = Client::connect(port);
        let large = "x".repeat(300_000);
        let answer = client.request("POST", "/api/echo", &[], &large);
        assert_eq!(answer.text(), large);
        assert_eq!(
            client.request_chunked("/api/echo", &["one ", "two"]).text(),
            "one two"
        );
        assert_eq!(client.get("/api/echo").status, 405);
        assert_eq!(client.get("/").status, 404);
        drop(client);
        stop(server);
    });
}

#[test]
fn a_refused_connection_is_closed() {
    in_each_setting(|builder, port| {
        let builder = builder
            .on_tcp_connect(|_| Admission::Refuse)
            .on_http_request(|_, response| response.text("never"));
        let server = start(builder);
        assert!(Client::connect(port).is_closed_by_peer());
        stop(server);
    });
}

#[test]
fn a_restart_keeps_the_connections_of_bindings_that_stay() {
    in_each_setting(|builder, port| {
        let builder = builder.on_http_request(|_, response| response.text("here"));
        let server = start(builder);
        let mut client = Client::connect(port);
        assert_eq!(client.get("/").text(), "here");
        assert_eq!(server.connection_count(), 1);
        let other = free_port();
        let binding = tidegate::Binding::new("127.0.0.1", other, "/").unwrap();
        server
            .configure(|settings| settings.bindings.push(binding))
            .unwrap();
        server.restart().unwrap();
        server.wait_started().unwrap();
        assert_eq!(server.endpoints().len(), 2);
        assert_eq!(client.get("/").text(), "here");
        assert_eq!(Client::connect(other).get("/").text(), "here");
        drop(client);
        stop(server);
    });
}

#[test]
fn a_server_starts_again_after_it_was_stopped() {
    in_each_setting(|builder, port| {
        let builder = builder.on_http_request(|_, response| response.text("here"));
        let server = start(builder);
        assert_eq!(Client::connect(port).get("/").text(), "here");
        server.stop();
        server.wait_stopped();
        assert!(!server.is_active());
        server.start().unwrap();
        server.wait_started().unwrap();
        assert_eq!(Client::connect(port).get("/").text(), "here");
        stop(server);
    });
}

#[test]
fn an_address_in_use_is_told() {
    in_each_setting(|builder, port| {
        let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        let server = builder.build().unwrap();
        let error = server.run().unwrap_err();
        assert!(matches!(error, Error::AddressInUse(_)), "{error:?}");
        assert!(
            format!("{error:?}").contains(&port.to_string()),
            "{error:?}"
        );
    });
}

#[test]
fn a_stop_lets_requests_in_progress_finish() {
    in_each_setting(|builder, port| {
        let (arrived, arrival) = channel();
        let (release, released) = channel::<()>();
        let (arrived, released) = (Mutex::new(arrived), Arc::new(Mutex::new(released)));
        let builder = builder.on_http_request(move |_, response| {
            let released = Arc::clone(&released);
            response.answer_blocking(move |_, mut response| {
                released.lock().unwrap().recv().unwrap();
                response.text("finished");
                response
            });
            arrived.lock().unwrap().send(()).unwrap();
        });
        let server = start(builder);
        let mut client = Client::connect(port);
        client.send("GET", "/", &[], "");
        arrival.recv().unwrap();
        server.stop();
        release.send(()).unwrap();
        assert_eq!(client.receive().text(), "finished");
        drop(client);
        server.wait_stopped();
    });
}
