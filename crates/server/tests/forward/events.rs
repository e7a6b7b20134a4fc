//! What handlers decide about forwarding.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tidegate::{ForwardSettings, RateLimitSettings, RateRuleSettings, Server, ServerBuilder};

use crate::client::setting::{in_each_setting, start, stop};
use crate::client::{Client, free_port};
use crate::{to_port, with_upstream};

#[test]
fn a_handler_forwards_what_it_wants() {
    with_upstream(
        |connection| {
            while let Some(head) = connection.head() {
                let line = head.lines().next().unwrap().to_owned();
                connection.answer(&line);
            }
        },
        |builder, port, upstream| {
            let url = format!("http://127.0.0.1:{}/base", upstream.port);
            let server = start(
                builder
                    .on_before_forward_http(move |request, forward| {
                        assert!(!forward.enabled);
                        match request.document() {
                            "/plain" => {
                                forward.to(&*url);
                            }
                            "/other" => {
                                forward.to(&*url);
                                forward.document = Some("/a b/é".to_owned());
                                forward.query_params = Some("x=y z".to_owned());
                                let url = forward.forward_url(request).unwrap();
                                assert!(url.ends_with("/base/a%20b/%C3%A9?x=y%20z"), "{url}");
                            }
                            "/fields" => {
                                forward.to(&*url);
                                forward.host = Some("other.example".to_owned());
                                forward.no_cache = true;
                                forward.custom_headers.append("X-Own", "1").unwrap();
                                forward
                                    .custom_headers
                                    .append("Content-Length", "9")
                                    .unwrap();
                            }
                            "/bad" => {
                                forward.to("ftp://x");
                            }
                            "/host" => {
                                forward.to(&*url);
                                forward.host = Some("a\r\nX-Evil: 1".to_owned());
                            }
                            "/cleared" => {
                                forward.to(&*url);
                                forward.clear();
                            }
                            "/panic" => panic!("as asked for"),
                            _ => {}
                        }
                    })
                    .on_http_request(|_, response| response.text("here")),
            );
            let get = |path| Client::connect(port).get(path);
            assert_eq!(get("/plain?q").text(), "GET /base/plain?q HTTP/1.1");
            assert_eq!(
                get("/other").text(),
                "GET /base/a%20b/%C3%A9?x=y%20z HTTP/1.1"
            );
            assert_eq!(get("/x").text(), "here");
            assert_eq!(get("/cleared").text(), "here");
            assert_eq!(get("/bad").status, 500);
            assert_eq!(get("/host").status, 500);
            assert_eq!(get("/panic").status, 500);
            upstream.head();
            upstream.head();
            let mut client = Client::connect(port);
            let fields = [
                "If-None-Match: \"a\"",
                "Cache-Control: max-age=0",
                "X-OWN: 2",
            ];
            client.request("GET", "/fields", &fields, "");
            let head = upstream.head();
            assert!(head.contains("\r\nHost: other.example\r\n"), "{head}");
            assert!(
                head.contains("\r\nCache-Control: no-cache\r\nPragma: no-cache\r\n"),
                "{head}"
            );
            assert!(
                head.contains("\r\nX-Own: 1\r\n") && !head.contains("X-OWN"),
                "{head}"
            );
            assert!(
                !head.contains("If-None-Match") && !head.contains("Content-Length"),
                "{head}"
            );
            drop(client);
            stop(server);
        },
    );
}

#[test]
fn a_handler_changes_what_the_settings_say() {
    with_upstream(
        |connection| {
            while let Some(head) = connection.head() {
                let line = head.lines().next().unwrap().to_owned();
                connection.answer(&line);
            }
        },
        |builder, port, upstream| {
            let mut api = to_port(upstream.port);
            api.path = "/api".to_owned();
            api.strip_path = true;
            let server = start(
                builder
                    .forward(api)
                    .on_before_forward_http(|request, forward| {
                        if request.document() == "/api/local" {
                            assert!(forward.enabled);
                            let url = forward.forward_url(request).unwrap();
                            assert!(url.ends_with("/local"), "{url}");
                            forward.clear();
                        }
                        if request.document() == "/api/doc" {
                            forward.document = Some("/other".to_owned());
                        }
                        if request.document() == "/api/dead" {
                            let mut settings = ForwardSettings::new("/", []);
                            settings.to = vec!["http://127.0.0.1:1".parse().unwrap()];
                            forward.settings = Some(Arc::new(settings));
                        }
                        assert!(request.content().is_err() || request.method() == "GET");
                    })
                    .on_http_request(|_, response| response.text("here")),
            );
            let get = |path| Client::connect(port).get(path);
            assert_eq!(get("/api/x").text(), "GET /x HTTP/1.1");
            assert_eq!(get("/api/local").text(), "here");
            assert_eq!(get("/api/doc").text(), "GET /other HTTP/1.1");
            assert_eq!(get("/api/dead").status, 502);
            stop(server);
        },
    );
}

#[test]
fn a_handler_changes_the_answer() {
    with_upstream(
        |connection| {
            while connection.head().is_some() {
                connection.say(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\
                     X-A: 1\r\nContent-Length: 5\r\n\r\nhello",
                );
            }
        },
        |builder, port, upstream| {
            let mut dead = to_port(free_port());
            dead.path = "/dead".to_owned();
            let builder = builder.forward(to_port(upstream.port)).forward(dead);
            let server = start(builder.on_after_forward_http(|request, response, error| {
                match request.document() {
                    "/fields" => {
                        response.status(201).remove_header("X-A").header("X-B", "2");
                    }
                    "/content" => response.clear().text("mine"),
                    "/replaced" => response.text("a longer text than before"),
                    "/later" => response.answer_blocking(|_, mut response| {
                        response.header("X-Later", "1");
                        response
                    }),
                    "/panic" => panic!("as asked for"),
                    "/dead" => {
                        assert_eq!(error.unwrap().status(), 502);
                        response.text("Back in a minute.");
                    }
                    _ => assert!(error.is_none()),
                }
            }));
            let get = |path| Client::connect(port).get(path);
            let answer = get("/fields");
            assert_eq!((answer.status, answer.text()), (201, "hello"));
            assert_eq!(
                (answer.field("X-A"), answer.field("X-B")),
                (None, Some("2"))
            );
            let answer = get("/content");
            assert_eq!((answer.status, answer.text()), (200, "mine"));
            assert_eq!(answer.field("Content-Encoding"), None);
            assert_eq!(get("/replaced").text(), "a longer text than before");
            let answer = get("/later");
            assert_eq!(
                (answer.text(), answer.field("X-Later")),
                ("hello", Some("1"))
            );
            assert_eq!(get("/panic").status, 500);
            let answer = get("/dead");
            assert_eq!((answer.status, answer.text()), (502, "Back in a minute."));
            assert_eq!(get("/plain").text(), "hello");
            stop(server);
        },
    );
}

#[test]
fn a_handler_replaces_content_that_is_still_on_its_way() {
    with_upstream(
        |connection| {
            connection.head();
            connection.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx");
            connection.take_to_end();
        },
        |builder, port, upstream| {
            let builder = builder.forward(to_port(upstream.port));
            let server = start(builder.on_after_forward_http(|_, response, _| {
                response.text("enough");
            }));
            let mut client = Client::connect(port);
            assert_eq!(client.get("/").text(), "enough");
            assert_eq!(client.get("/").text(), "enough");
            drop(client);
            stop(server);
        },
    );
}

#[test]
fn a_mounted_service_is_not_asked_about() {
    let service = axum::Router::new().fallback(|| async { "service" });
    let port = free_port();
    let server = start(
        Server::builder()
            .host("127.0.0.1")
            .port(port)
            .mount("/service", service)
            .on_before_forward_http(|_, forward| forward.enabled = true),
    );
    let mut client = Client::connect(port);
    assert_eq!(client.get("/service").text(), "service");
    // There is no upstream to forward it to.
    assert_eq!(client.get("/").status, 503);
    drop(client);
    stop(server);
}

// In HighPerf mode a handler that waits for content is called on another thread than the one that read the
// head.
#[test]
fn a_request_that_is_not_forwarded_is_asked_about_once() {
    in_each_setting(is_asked_about_once);
    // Through the rate limiter as well.
    in_each_setting(|builder, port| {
        let mut limits = RateLimitSettings::default();
        limits.enabled = true;
        limits.rule = vec![RateRuleSettings {
            name: "all".to_owned(),
            limit: 100,
            window: Duration::from_secs(60),
            ..RateRuleSettings::default()
        }];
        is_asked_about_once(builder.rate_limit(limits), port);
    });
}

fn is_asked_about_once(builder: ServerBuilder, port: u16) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = start(
        builder
            .on_before_forward_http(move |_, _| {
                count.fetch_add(1, Ordering::SeqCst);
            })
            .on_http_request(|request, response| {
                response.bytes(request.content()?.to_vec());
                Ok(())
            }),
    );
    let mut client = Client::connect(port);
    let answer = client.request_expecting_continue("/", "hello");
    assert_eq!(answer.text(), "hello");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    drop(client);
    stop(server);
}
