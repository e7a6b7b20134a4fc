//! What is tried again, what is not, and which upstream gets it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidegate::{Balance, ForwardSettings};

use crate::client::setting::{in_each_setting, start, stop};
use crate::client::{Client, free_port};
use crate::upstream::Upstream;
use crate::{to_port, with_upstream};

fn to_ports(ports: &[u16]) -> ForwardSettings {
    let mut settings = to_port(ports[0]);
    settings.to = ports
        .iter()
        .map(|port| format!("http://127.0.0.1:{port}").parse().unwrap())
        .collect();
    settings.balance = Balance::RoundRobin;
    settings
}

#[test]
fn a_request_that_was_not_sent_goes_to_the_next_upstream() {
    with_upstream(
        |connection| {
            while let Some(head) = connection.head() {
                if head.starts_with("POST") {
                    connection.take(5);
                }
                connection.answer("hello");
            }
        },
        |builder, port, upstream| {
            let server = start(builder.forward(to_ports(&[free_port(), upstream.port])));
            let mut client = Client::connect(port);
            for _ in 0..6 {
                assert_eq!(client.get("/").text(), "hello");
                // Content that has not been read yet can go to the next one as well.
                let answer = client.request_chunked_of("/", "hello");
                assert_eq!(answer.status, 200);
                let answer = client.request("POST", "/", &[], "hello");
                assert_eq!(answer.text(), "hello");
            }
            drop(client);
            stop(server);
        },
    );
}

/// Answers one request on each connection, then closes when the next one comes, without a word.
fn closes_at_the_second(connection: &mut crate::upstream::Connection) {
    connection.head();
    connection.answer("hello");
    connection.head();
}

#[test]
fn a_kept_connection_that_turns_out_closed_is_tried_again_where_that_is_safe() {
    with_upstream(closes_at_the_second, |builder, port, upstream| {
        let server = start(builder.forward(to_port(upstream.port)));
        let mut client = Client::connect(port);
        for count in 1..5 {
            assert_eq!(client.get("/").text(), "hello");
            assert_eq!(upstream.accepted(), count);
        }
        // The upstream may have acted on it.
        let answer = client.request("PATCH", "/", &[], "");
        assert_eq!(answer.status, 502);
        drop(client);
        stop(server);
    });
}

#[test]
fn a_new_connection_that_is_closed_is_not_tried_again() {
    with_upstream(
        |connection| {
            connection.head();
        },
        |builder, port, upstream| {
            let server = start(builder.forward(to_port(upstream.port)));
            assert_eq!(Client::connect(port).get("/").status, 502);
            assert_eq!(upstream.accepted(), 1);
            stop(server);
        },
    );
}

#[test]
fn kept_connections_are_closed_after_a_while() {
    let (sender, closed) = std::sync::mpsc::channel();
    let sender = Arc::new(std::sync::Mutex::new(sender));
    let closed = std::sync::Mutex::new(closed);
    with_upstream(
        move |connection| {
            connection.answer_all("hello");
            sender.lock().unwrap().send(()).unwrap();
        },
        |builder, port, upstream| {
            let mut settings = to_port(upstream.port);
            settings.pool_idle_timeout = Duration::from_millis(50);
            let server = start(builder.forward(settings));
            let mut client = Client::connect(port);
            assert_eq!(client.get("/").text(), "hello");
            let patience = crate::upstream::PATIENCE;
            closed.lock().unwrap().recv_timeout(patience).unwrap();
            assert_eq!(client.get("/").text(), "hello");
            drop(client);
            stop(server);
        },
    );
}

#[test]
fn upstreams_take_turns() {
    in_each_setting(|builder, port| {
        let upstreams =
            ["a", "b", "c"].map(|name| Upstream::start(|connection| connection.answer_all(name)));
        let ports = upstreams.each_ref().map(|upstream| upstream.port);
        let server = start(builder.forward(to_ports(&ports)));
        let mut client = Client::connect(port);
        let said: String = (0..6).map(|_| client.get("/").text().to_owned()).collect();
        assert_eq!(said, "abcabc");
        drop(client);
        stop(server);
    });
}

#[test]
fn when_no_upstream_is_well_it_is_503() {
    in_each_setting(|builder, port| {
        let mut settings = to_ports(&[free_port(), free_port()]);
        settings.health.fall = 1;
        settings.health.interval = Duration::from_secs(3600);
        let server = start(builder.forward(settings));
        let mut client = Client::connect(port);
        assert_eq!(client.get("/").status, 502, "both were tried");
        assert_eq!(client.get("/").status, 503);
        drop(client);
        stop(server);
    });
}

#[test]
fn an_upstream_that_is_asked_gets_requests_as_long_as_it_is_well() {
    let is_well = Arc::new(AtomicBool::new(true));
    let said = Arc::clone(&is_well);
    with_upstream(
        move |connection| {
            while let Some(head) = connection.head() {
                if !head.starts_with("GET /base/health ") || said.load(Ordering::SeqCst) {
                    connection.answer("hello");
                } else {
                    connection.say("HTTP/1.1 500 Sick\r\nContent-Length: 0\r\n\r\n");
                }
            }
        },
        |builder, port, upstream| {
            is_well.store(true, Ordering::SeqCst);
            let mut settings = to_port(1);
            let url = format!("http://127.0.0.1:{}/base", upstream.port);
            settings.to = vec![url.parse().unwrap()];
            settings.health.path = Some("/health".to_owned());
            settings.health.interval = Duration::from_millis(100);
            settings.health.fall = 2;
            settings.health.rise = 2;
            let server = start(builder.forward(settings));
            let mut client = Client::connect(port);
            assert_eq!(client.get("/").status, 200);
            is_well.store(false, Ordering::SeqCst);
            crate::until("it gets no more", || client.get("/").status == 503);
            is_well.store(true, Ordering::SeqCst);
            crate::until("it gets some again", || client.get("/").status == 200);
            drop(client);
            stop(server);
        },
    );
}
