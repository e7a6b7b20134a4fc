//! Requests that upstreams answer.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use tidegate::{FieldBlock, Server};

use crate::client::setting::{in_each_setting, start, stop};
use crate::client::{Client, free_port};
use crate::{to_port, with_upstream};

#[test]
fn a_connection_to_the_upstream_is_used_again() {
    with_upstream(
        |connection| connection.answer_all("hello"),
        |builder, port, upstream| {
            let server = start(builder.forward(to_port(upstream.port)));
            let mut client = Client::connect(port);
            for _ in 0..5 {
                let answer = client.get("/");
                assert_eq!((answer.status, answer.text()), (200, "hello"));
            }
            assert_eq!(upstream.accepted(), 1);
            drop(client);
            stop(server);
        },
    );
}

#[test]
fn content_goes_both_ways_piece_by_piece() {
    in_each_setting(|builder, port| {
        let inner_port = free_port();
        let inner = start(
            Server::builder()
                .host("127.0.0.1")
                .port(inner_port)
                .max_request_body_size(0)
                .on_http_request_async(|request, mut response| async move {
                    let mut reader = request.body();
                    let mut sender = Some(response.channel(4));
                    tokio::spawn(async move {
                        while let Some(piece) = reader.chunk().await.unwrap() {
                            let sender = sender.as_mut().unwrap();
                            if sender.send(piece).await.is_err() {
                                break;
                            }
                        }
                        drop(sender.take());
                    });
                    response
                }),
        );
        let server = start(builder.forward(to_port(inner_port)));
        let mut client = Client::connect(port);
        let large = "0123456789abcdef".repeat(60_000);
        for content in ["", "small", &large] {
            // The upstream answers before it has all content.
            let answer = client.exchange("/", content);
            assert_eq!((answer.status, answer.text().len()), (200, content.len()));
            assert_eq!(answer.text(), content);
        }
        let answer = client.request_chunked("/", &["one ", "two"]);
        assert_eq!(answer.text(), "one two");
        drop(client);
        stop(server);
        stop(inner);
    });
}

#[test]
fn content_is_asked_for_when_the_upstream_asks_for_it() {
    in_each_setting(|builder, port| {
        let inner_port = free_port();
        let inner = start(
            Server::builder()
                .host("127.0.0.1")
                .port(inner_port)
                .on_http_request(|request, response| {
                    response.bytes(request.content()?.to_vec());
                    Ok(())
                }),
        );
        let server = start(builder.forward(to_port(inner_port)));
        let mut client = Client::connect(port);
        let answer = client.request_expecting_continue("/", "hello");
        assert_eq!(answer.text(), "hello");
        assert_eq!(client.request("POST", "/", &[], "again").text(), "again");
        drop(client);
        stop(server);
        stop(inner);
    });
}

// RFC 9110 §10.1.1: whoever expects 100 need not wait for it for ever.
#[test]
fn content_is_sent_to_an_upstream_that_does_not_ask_for_it() {
    with_upstream(
        |connection| {
            connection.head();
            let content = connection.take(5);
            connection.answer(&content);
        },
        |builder, port, upstream| {
            let server = start(builder.forward(to_port(upstream.port)));
            let mut client = Client::connect(port);
            let answer = client.request_expecting_continue("/", "hello");
            assert_eq!(answer.text(), "hello");
            drop(client);
            stop(server);
        },
    );
}

#[test]
fn answers_come_as_the_upstream_gives_them() {
    with_upstream(
        |connection| {
            while let Some(head) = connection.head() {
                let path = head.split(' ').nth(1).unwrap().to_owned();
                connection.say(match &*path {
                    "/chunked" => {
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n\
                         3;x\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n"
                    }
                    "/empty" => "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
                    "/same" => {
                        "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\nETag: \"a\"\r\n\r\n"
                    }
                    "/odd" => "HTTP/1.1 299 Very Odd\r\nContent-Length: 0\r\n\r\n",
                    "/hop" => {
                        "HTTP/1.1 200 OK\r\nConnection: X-B\r\nX-B: 1\r\nKeep-Alive: x\r\n\
                         X-C: 1\r\nContent-Length: 1\r\n\r\ny"
                    }
                    "/early" => {
                        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n\
                         HTTP/1.1 102 Processing\r\n\r\n\
                         HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ny"
                    }
                    _ => "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone",
                });
            }
        },
        |builder, port, upstream| {
            let server = start(builder.forward(to_port(upstream.port)));
            let mut client = Client::connect(port);
            let answer = client.get("/chunked");
            assert_eq!((answer.status, answer.text()), (200, "abcde"));
            assert_eq!(answer.field("X-A"), Some("1"));
            let answer = client.get("/empty");
            assert_eq!((answer.status, answer.field("Content-Length")), (204, None));
            let answer = client.head("GET", "/same");
            assert_eq!(
                (answer.status, answer.field("Content-Length")),
                (304, Some("10"))
            );
            assert_eq!(client.get("/odd").status, 299);
            let answer = client.get("/hop");
            assert_eq!(
                (answer.field("X-B"), answer.field("X-C")),
                (None, Some("1"))
            );
            assert_eq!(answer.field("Keep-Alive"), None);
            let answer = client.get("/early");
            assert_eq!((answer.interim, answer.status), (vec![103, 102], 200));
            let answer = client.get("/missing");
            assert_eq!((answer.status, answer.text()), (404, "none"));
            assert_eq!(upstream.accepted(), 1);
            drop(client);
            stop(server);
        },
    );
}

#[test]
fn the_answer_to_head_has_no_content_and_its_length() {
    with_upstream(
        |connection| {
            while let Some(head) = connection.head() {
                assert!(head.starts_with("HEAD "));
                connection.say(match head.contains("/chunked") {
                    true => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                    false => "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n",
                });
            }
        },
        |builder, port, upstream| {
            let server = start(builder.forward(to_port(upstream.port)));
            let mut client = Client::connect(port);
            let answer = client.head("HEAD", "/");
            assert_eq!(answer.field("Content-Length"), Some("12345"));
            let answer = client.head("HEAD", "/chunked");
            assert_eq!(answer.field("Content-Length"), None);
            assert_eq!(client.head("HEAD", "/").status, 200);
            assert_eq!(upstream.accepted(), 1);
            drop(client);
            stop(server);
        },
    );
}

#[test]
fn content_until_close_is_passed_on_to_its_end() {
    with_upstream(
        |connection| {
            connection.head();
            connection.say("HTTP/1.0 200 OK\r\n\r\nall there is");
            connection.finish();
        },
        |builder, port, upstream| {
            let server = start(builder.forward(to_port(upstream.port)));
            let mut client = Client::connect(port);
            assert_eq!(client.get("/").text(), "all there is");
            assert_eq!(client.get("/").text(), "all there is");
            assert_eq!(upstream.accepted(), 2);
            drop(client);
            stop(server);
        },
    );
}

#[test]
fn settings_change_fields_of_the_response() {
    with_upstream(
        |connection| {
            connection.head();
            connection
                .say("HTTP/1.1 200 OK\r\nX-A: 1\r\nX-B: 2\r\nX-B: 3\r\nContent-Length: 0\r\n\r\n");
        },
        |builder, port, upstream| {
            let mut settings = to_port(upstream.port);
            settings.remove_response_fields.push("x-a".to_owned());
            settings
                .set_response_fields
                .insert("X-B".to_owned(), "new".to_owned());
            let server = start(builder.forward(settings));
            let answer = Client::connect(port).get("/");
            assert_eq!(
                (answer.field("X-A"), answer.field("X-B")),
                (None, Some("new"))
            );
            stop(server);
        },
    );
}

// RFC 9110 §10.1.1: the content is asked for only when the upstream asks for it.
#[test]
fn an_upstream_that_refuses_by_the_head_gets_no_content() {
    with_upstream(
        |connection| {
            let head = connection.head().unwrap();
            assert!(head.contains("\r\nExpect: 100-continue\r\n"), "{head}");
            connection.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
            let rest = connection.take_to_end();
            assert!(rest.is_none_or(|rest| rest.is_empty()));
        },
        |builder, port, upstream| {
            let server = start(builder.forward(to_port(upstream.port)));
            let mut client = Client::connect(port);
            client.send_bytes(
                b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
            );
            let answer = client.receive();
            assert_eq!((answer.status, answer.text()), (403, "no"));
            assert!(answer.interim.is_empty());
            stop(server);
        },
    );
}

#[test]
fn the_longest_path_wins_and_the_rest_is_served_here() {
    with_upstream(
        |connection| connection.answer_all("upstream"),
        |builder, port, upstream| {
            let (mut api, mut inner) = (to_port(upstream.port), to_port(1));
            api.path = "/api".to_owned();
            inner.path = "/api/inner".to_owned();
            let server = start(
                builder
                    .forward(inner)
                    .forward(api)
                    .on_http_request(|_, response| response.text("here")),
            );
            let mut client = Client::connect(port);
            assert_eq!(client.get("/api/x").text(), "upstream");
            assert_eq!(client.get("/apix").text(), "here");
            assert_eq!(client.get("/api/innermost").text(), "upstream");
            assert_eq!(client.get("/api/inner/x").status, 502);
            drop(client);
            stop(server);
        },
    );
}

#[test]
fn settings_that_cannot_be_are_refused_by_their_key() {
    let builder = Server::builder().forward(tidegate::ForwardSettings::new("/x", []));
    let error = builder.build().err().unwrap();
    assert!(error.to_string().contains("`to`"), "{error}");
    let mut settings = to_port(1);
    settings.to = vec!["https://127.0.0.1:1".parse().unwrap()];
    settings.tls.ca = Some("/nowhere/ca.pem".into());
    let server = Server::builder()
        .port(free_port())
        .forward(settings)
        .build()
        .unwrap();
    server.start().unwrap();
    let error = server.wait_started().unwrap_err();
    assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
}

#[test]
fn hints_are_passed_on_from_our_own_server_too() {
    in_each_setting(|builder, port| {
        let inner_port = free_port();
        let inner = start(
            Server::builder()
                .host("127.0.0.1")
                .port(inner_port)
                .on_http_request(|_, response| {
                    let mut fields = FieldBlock::new();
                    fields.append("Link", "</a.css>").unwrap();
                    response.inform(103, fields).unwrap();
                    response.text("later");
                }),
        );
        let (sender, told) = channel();
        let sender = Arc::new(Mutex::new(sender));
        let builder = builder.on_exception(move |exception| {
            sender.lock().unwrap().send(exception.to_string()).unwrap();
        });
        let server = start(builder.forward(to_port(inner_port)));
        let answer = Client::connect(port).get("/");
        assert_eq!((answer.interim, answer.status), (vec![103], 200));
        assert!(told.try_recv().is_err());
        stop(server);
        stop(inner);
    });
}
