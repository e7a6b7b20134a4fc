//! Upstreams that do not answer as they must, and clients that leave.

use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate::{ServerBuilder, UpstreamUrl};

use crate::client::setting::{in_each_setting, start, stop};
use crate::client::{Client, free_port};
use crate::upstream::{Connection, PATIENCE};
use crate::{to_port, with_upstream};

/// What the handler of answers is told of errors.
fn errors(builder: ServerBuilder) -> (ServerBuilder, Receiver<String>) {
    let (sender, told) = channel();
    let sender = Mutex::new(sender);
    let builder = builder.on_after_forward_http(move |_, response, error| {
        if let Some(error) = error {
            assert_eq!(response.status_code(), error.status());
            sender.lock().unwrap().send(error.to_string()).unwrap();
        }
    });
    (builder, told)
}

/// The upstream does this, and the client is answered with this status for this reason.
fn fails(
    serve: impl Fn(&mut Connection) + Clone + Send + Sync + 'static,
    status: u16,
    reason: &str,
) {
    fails_within(PATIENCE, serve, status, reason);
}

/// As [`fails`], with an upstream that is waited for so long.
fn fails_within(
    patience: Duration,
    serve: impl Fn(&mut Connection) + Clone + Send + Sync + 'static,
    status: u16,
    reason: &str,
) {
    with_upstream(serve, |builder, port, upstream| {
        let (builder, told) = errors(builder);
        let mut settings = to_port(upstream.port);
        settings.response_timeout = patience;
        let server = start(builder.forward(settings));
        let mut client = Client::connect(port);
        let answer = client.request("POST", "/", &[], "hello");
        assert_eq!(answer.status, status);
        let said = told.recv_timeout(PATIENCE).unwrap();
        assert!(said.contains(reason), "{said}");
        assert!(said.contains(&upstream.port.to_string()), "{said}");
        assert_eq!(upstream.accepted(), 1, "it is not tried again");
        drop(client);
        stop(server);
    });
}

#[test]
fn an_upstream_that_is_not_there_is_502() {
    in_each_setting(|builder, port| {
        let (builder, told) = errors(builder);
        let server = start(builder.forward(to_port(free_port())));
        let mut client = Client::connect(port);
        assert_eq!(client.get("/").status, 502);
        assert_eq!(client.request("POST", "/", &[], "hello").status, 502);
        assert!(told.recv().unwrap().contains("cannot connect"));
        drop(client);
        stop(server);
    });
}

#[test]
fn an_upstream_that_closes_or_resets_is_502() {
    fails(
        |connection| {
            connection.head();
            connection.take(5);
        },
        502,
        "closed before a response",
    );
    fails(
        |connection| {
            connection.head();
            connection.reset();
        },
        502,
        "before a response",
    );
    fails(
        |connection| {
            connection.head();
            connection.take(5);
            connection.say("HTTP/1.1 200 OK\r\nContent-Le");
        },
        502,
        "closed before a response",
    );
}

#[test]
fn what_is_no_response_is_502() {
    let cases: [(&str, &str); 6] = [
        ("SSH-2.0-OpenSSH\r\n", "no status line"),
        ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "field name"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "exclude each other",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
            "different values",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
            "changed to a protocol",
        ),
        (
            "HTTP/1.1 200 OK\nContent-Length: 0\n\n\r\n\r\n",
            "no status line",
        ),
    ];
    for (said, reason) in cases {
        fails(
            move |connection| {
                connection.head();
                connection.take(5);
                connection.say(said);
                connection.take_to_end();
            },
            502,
            reason,
        );
    }
    fails(
        |connection| {
            connection.head();
            connection.take(5);
            connection.say("HTTP/1.1 200 OK\r\n");
            for _ in 0..100 {
                connection.say(format!("X: {}\r\n", "y".repeat(1000)));
            }
            connection.take_to_end();
        },
        502,
        "too long",
    );
}

#[test]
fn interim_responses_without_end_are_502() {
    fails(
        |connection| {
            connection.head();
            connection.take(5);
            connection.say("HTTP/1.1 102 Processing\r\n\r\n".repeat(100));
            connection.take_to_end();
        },
        502,
        "interim responses",
    );
}

#[test]
fn an_upstream_that_does_not_answer_is_504() {
    fails_within(
        Duration::from_millis(300),
        |connection| {
            connection.head();
            connection.take(5);
            connection.take_to_end();
        },
        504,
        "took too long",
    );
}

#[test]
fn an_upstream_that_cannot_be_connected_to_in_time_is_504() {
    in_each_setting(|builder, port| {
        // A queue that is full: the system answers no more.
        let listener =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let listener = TcpListener::from(listener);
        let full = listener.local_addr().unwrap();
        let waiting: Vec<_> = (0..4)
            .map_while(|_| {
                let patience = Duration::from_millis(200);
                std::net::TcpStream::connect_timeout(&full, patience).ok()
            })
            .collect();
        let (builder, told) = errors(builder);
        let mut settings = to_port(full.port());
        settings.connect_timeout = Duration::from_millis(50);
        let server = start(builder.forward(settings));
        let answer = Client::connect(port).get("/");
        assert_eq!(answer.status, 504);
        assert!(told.recv().unwrap().contains("connecting took too long"));
        drop(waiting);
        stop(server);
    });
}

/// The upstream breaks off within the content, and the client is not told that it was whole.
fn is_cut(serve: impl Fn(&mut Connection) + Clone + Send + Sync + 'static) {
    with_upstream(serve, |builder, port, upstream| {
        let (sender, told) = channel();
        let sender = Mutex::new(sender);
        let builder = builder.on_exception(move |exception| {
            sender.lock().unwrap().send(exception.to_string()).unwrap();
        });
        let mut settings = to_port(upstream.port);
        settings.idle_timeout = Duration::from_millis(300);
        let server = start(builder.forward(settings));
        let mut client = Client::connect(port);
        client.send("GET", "/", &[], "");
        assert!(client.is_cut_off(), "never a part for the whole");
        assert!(
            told.recv_timeout(PATIENCE)
                .unwrap()
                .contains("content failed")
        );
        stop(server);
    });
}

#[test]
fn content_that_breaks_off_ends_the_clients_connection() {
    is_cut(|connection| {
        connection.head();
        connection.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    });
    is_cut(|connection| {
        connection.head();
        connection.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf");
    });
    is_cut(|connection| {
        connection.head();
        connection.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalfXX5\r\n");
        connection.take_to_end();
    });
    // It says no more, and closes nothing.
    is_cut(|connection| {
        connection.head();
        connection.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        connection.take_to_end();
    });
}

#[test]
fn more_than_the_content_does_not_become_the_next_answer() {
    with_upstream(
        |connection| {
            while connection.head().is_some() {
                connection.say(
                    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\
                     HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
                );
            }
        },
        |builder, port, upstream| {
            let server = start(builder.forward(to_port(upstream.port)));
            let mut client = Client::connect(port);
            for _ in 0..3 {
                assert_eq!(client.get("/").text(), "ok");
            }
            assert_eq!(upstream.accepted(), 3);
            drop(client);
            stop(server);
        },
    );
}

#[test]
fn a_client_that_leaves_ends_the_request_to_the_upstream() {
    let (sender, told) = channel();
    let sender = Arc::new(Mutex::new(sender));
    let told = Mutex::new(told);
    with_upstream(
        move |connection| {
            let head = connection.head().unwrap();
            if head.contains("/content") {
                connection.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
            }
            connection.take_to_end();
            sender.lock().unwrap().send(()).unwrap();
        },
        |builder, port, upstream| {
            let server = start(builder.forward(to_port(upstream.port)));
            for path in ["/head", "/content"] {
                let mut client = Client::connect(port);
                client.send("GET", path, &[], "");
                upstream.head();
                client.abandon();
                told.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            }
            stop(server);
        },
    );
}

#[test]
fn content_that_is_too_long_is_the_clients_fault() {
    with_upstream(
        |connection| {
            connection.head();
            connection.take_to_end();
        },
        |builder, port, upstream| {
            let builder = builder.max_request_body_size(10);
            let server = start(builder.forward(to_port(upstream.port)));
            let answer = Client::connect(port).request_chunked("/", &["01234", "56789", "a"]);
            assert_eq!(answer.status, 413);
            stop(server);
        },
    );
}

// The client takes nothing: the upstream is held up, and memory is not used up.
#[test]
fn a_slow_client_holds_the_upstream_up() {
    let (sender, stalled) = channel();
    let sender = Arc::new(Mutex::new(sender));
    let stalled = Mutex::new(stalled);
    with_upstream(
        move |connection| {
            connection.head();
            let total: usize = 64 << 20;
            connection.say(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n"
            ));
            let sent = connection.say_until_stalled(total);
            sender.lock().unwrap().send(sent).unwrap();
            connection.say(vec![b'x'; total - sent]);
        },
        |builder, port, upstream| {
            let server = start(builder.forward(to_port(upstream.port)));
            let mut client = Client::connect(port);
            client.send("GET", "/", &[], "");
            let sent = stalled.lock().unwrap().recv_timeout(PATIENCE * 2).unwrap();
            assert!(sent < 48 << 20, "{sent} bytes were taken");
            assert_eq!(client.receive().content.len(), 64 << 20);
            stop(server);
        },
    );
}

#[test]
fn an_upstream_by_name_is_looked_up() {
    with_upstream(
        |connection| connection.answer_all("hello"),
        |builder, port, upstream| {
            let url: UpstreamUrl = format!("http://localhost:{}", upstream.port)
                .parse()
                .unwrap();
            let mut settings = to_port(1);
            settings.to = vec![url];
            let server = start(builder.forward(settings));
            assert_eq!(Client::connect(port).get("/").text(), "hello");
            stop(server);
        },
    );
}
