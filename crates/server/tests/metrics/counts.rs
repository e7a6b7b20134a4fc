//! Counts after traffic that is known.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use tidegate::{CachePolicy, FineTune, OperatingMode, Server, UrlGroupCounters};

use crate::client::Client;
use crate::client::setting::{all_settings, builder, in_each_setting, start, stop};
use crate::websocket::{Heard, WebSocket};
use crate::{client, http2_client, wait_until};

/// What the one group of a server has counted.
fn group(server: &Server) -> UrlGroupCounters {
    let state = server.service_state();
    state.sessions[0].groups[0].counters.clone()
}

#[test]
fn requests_and_responses_are_counted_each_once() {
    in_each_setting(|builder, port| {
        let server = start(
            builder.on_http_request(|request, response| match request.document() {
                "/missing" => response.status(404).empty(),
                "/drop" => response.defer(|_, response| drop(response)),
                _ => response.text("hello"),
            }),
        );
        let mut client = Client::connect(port);
        for _ in 0..3 {
            assert_eq!(client.get("/").text(), "hello");
        }
        client.send("HEAD", "/", &[], "");
        client.receive_head();
        assert_eq!(client.request("POST", "/", &[], "abc").status, 200);
        assert_eq!(client.get("/missing").status, 404);
        assert_eq!(client.get("/drop").status, 500);
        let mut malformed = Client::connect(port);
        malformed.write(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n");
        assert_eq!(malformed.receive().status, 400);
        drop((client, malformed));
        wait_until("the end of both connections", || {
            server.metrics().backend.connections_closed == 2
        });
        let counters = server.metrics().backend;
        assert_eq!(counters.connections_accepted, 2);
        assert_eq!(counters.connections, 0);
        assert_eq!(counters.requests, 7);
        assert_eq!((counters.requests_get, counters.requests_head), (5, 1));
        assert_eq!(counters.requests_http2, 0);
        assert_eq!(counters.responses, [0, 5, 0, 2, 1]);
        assert_eq!(counters.rejected[&400], 1);
        assert_eq!(counters.rejected.values().sum::<u64>(), 1);
        assert_eq!(counters.abandoned, 1);
        assert!(counters.unavailable.values().all(|&count| count == 0));
        let group = group(&server);
        assert_eq!((group.requests, group.requests_get), (7, 5));
        assert_eq!((group.requests_head, group.connection_attempts), (1, 1));
        assert_eq!((group.connections, group.connections_most), (0, 1));
        // The malformed request and its page were no group's.
        assert!(0 < group.bytes_received && group.bytes_received < counters.bytes_received);
        assert!(0 < group.bytes_sent && group.bytes_sent < counters.bytes_sent);
        let queue = &server.service_state().queues[0].counters;
        assert_eq!((queue.arrived, queue.rejected), (7, 0));
        assert_eq!((queue.active, queue.queued), (0, 0));
        stop(server);
    });
}

#[test]
fn bytes_are_counted_as_they_go_over_the_wire() {
    in_each_setting(|builder, port| {
        let server =
            start(builder.on_http_request(|_, response| response.text("x".repeat(100_000))));
        let request = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
        let mut client = Client::connect(port);
        client.write(request);
        let answer = client.receive();
        let head: usize = answer
            .fields
            .iter()
            .map(|(name, value)| name.len() + value.len() + 4)
            .sum();
        let sent = ("HTTP/1.1 200 OK\r\n".len() + head + 2 + 100_000) as u64;
        wait_until("the last byte", || {
            server.metrics().backend.bytes_sent == sent && group(&server).bytes_sent == sent
        });
        let received = server.metrics().backend.bytes_received;
        assert_eq!(received, request.len() as u64);
        assert_eq!(group(&server).bytes_received, request.len() as u64);
        stop(server);
    });
}

#[test]
fn requests_of_http2_are_counted_as_others_and_apart() {
    in_each_setting(|builder, port| {
        let server = start(builder.on_http_request(|_, response| response.text("hello")));
        http2_client::run(async {
            let client = http2_client::Client::connect(port).await;
            for _ in 0..3 {
                assert_eq!(client.get("/").await.unwrap().text(), "hello");
            }
            assert_eq!(client.post("/", b"abc", true).await.status, 200);
            client.end().await.unwrap();
        });
        let counters = server.metrics().backend;
        assert_eq!((counters.requests, counters.requests_http2), (4, 4));
        assert_eq!((counters.requests_get, counters.connections_http2), (3, 1));
        assert_eq!(counters.responses, [0, 4, 0, 0, 0]);
        assert_eq!(group(&server).requests, 4);
        assert_eq!(server.service_state().queues[0].counters.arrived, 4);
        stop(server);
    });
}

#[test]
fn what_the_cache_answers_is_counted_as_requests_and_not_as_arrived() {
    in_each_setting(|builder, port| {
        let server = start(builder.on_http_request(|_, response| {
            response.cache(CachePolicy::UserInvalidates);
            response.text("kept");
        }));
        let mut client = Client::connect(port);
        for _ in 0..4 {
            assert_eq!(client.get("/").text(), "kept");
        }
        http2_client::run(async {
            let client = http2_client::Client::connect(port).await;
            // It names the port, which makes it another URL.
            for _ in 0..2 {
                assert_eq!(client.get("/").await.unwrap().text(), "kept");
            }
        });
        // Hits are handed on when the turn ends.
        wait_until("the last hit", || {
            server.service_state().queues[0].counters.cache_hits == 4
        });
        let metrics = server.metrics();
        let counters = &metrics.backend;
        assert_eq!((counters.requests, counters.requests_get), (6, 6));
        assert_eq!(counters.responses, [0, 6, 0, 0, 0]);
        assert_eq!((metrics.cache.hits, metrics.cache.added), (4, 2));
        assert_eq!(metrics.service.queues[0].counters.arrived, 2);
        assert_eq!(group(&server).requests, 6);
        server.flush_whole_cache().unwrap();
        assert_eq!(server.metrics().cache.flushed, 2);
        stop(server);
    });
}

#[test]
fn what_finds_no_room_is_counted_by_its_cause() {
    for (io, mode) in all_settings() {
        // HighPerf: the workers' own calls take no room in the queue; what is deferred does.
        let port = client::free_port();
        let (sender, held) = channel();
        let sender = Mutex::new(sender);
        let builder = builder(io, mode, port)
            .thread_pool_size(1)
            .fine_tune(FineTune {
                operating_mode: mode,
                queue_length: 1,
                accepts_per_worker: 1,
                skip_completion_on_success: true,
            })
            .on_http_request(move |_, response| {
                let (end, ended) = channel::<()>();
                sender.lock().unwrap().send(end).unwrap();
                match mode {
                    OperatingMode::Classic => {
                        let _ = ended.recv();
                        response.text("late");
                    }
                    OperatingMode::HighPerf => response.defer(move |_, mut response| {
                        std::thread::spawn(move || {
                            let _ = ended.recv();
                            response.text("late");
                            response.send();
                        });
                    }),
                }
            });
        let server = start(builder);
        let queue = || server.service_state().queues[0].counters.clone();
        let mut first = Client::connect(port);
        first.send("GET", "/", &[], "");
        let end = held.recv().unwrap();
        wait_until("the first is taken", || queue().active == 1);
        let mut second = Client::connect(port);
        second.send("GET", "/", &[], "");
        wait_until("the second waits", || queue().queued == 1);
        wait_until("it has waited", || !queue().age_max.is_zero());
        let mut third = Client::connect(port);
        third.send("GET", "/", &[], "");
        assert!(third.is_closed_by_peer());
        let metrics = server.metrics();
        assert_eq!(metrics.backend.unavailable["QueueFull"], 1);
        assert_eq!(metrics.backend.unavailable.values().sum::<u64>(), 1);
        assert_eq!((queue().arrived, queue().rejected), (3, 1));
        assert_eq!((queue().active, queue().queued), (1, 1));
        drop(end);
        assert_eq!(first.receive().text(), "late");
        drop(held.recv().unwrap());
        assert_eq!(second.receive().text(), "late");
        wait_until("nothing is held", || queue().active == 0);
        assert_eq!(queue().age_max, std::time::Duration::ZERO);
        stop(server);
    }
}

#[test]
fn websocket_connections_and_their_messages_are_counted() {
    in_each_setting(|builder, port| {
        let server = start(builder.on_message(|connection, text| connection.send_text(text)));
        let mut one = WebSocket::connect(port);
        let mut two = WebSocket::connect(port);
        for text in ["a", "bb", "ccc"] {
            one.text(text);
            assert_eq!(one.hear_text(), text);
        }
        let everybody = tidegate::Recipients::default();
        server.broadcast("to all", &everybody).unwrap();
        assert_eq!(one.hear_text(), "to all");
        assert_eq!(two.hear_text(), "to all");
        two.close(Some(1000), "");
        assert_eq!(two.hear(), Heard::Close(Some(1000), String::new()));
        wait_until("the second has ended", || {
            server.metrics().websockets.closed_by_peer == 1
        });
        one.write(&[0xFF, 0x80]);
        one.pass_over();
        wait_until("the first has ended", || {
            server.metrics().websockets.connections == 0
        });
        let counters = server.metrics().websockets;
        assert_eq!((counters.opened, counters.closed_by_server), (2, 1));
        assert_eq!((counters.lost, counters.violations), (0, 1));
        assert_eq!((counters.messages_received, counters.messages_sent), (3, 5));
        assert_eq!((counters.broadcasts, counters.broadcast_deliveries), (1, 2));
        assert_eq!((counters.queued_messages, counters.backlogged), (0, 0));
        // Three masked frames with their heads of six bytes, a close frame, and two bytes that are none.
        assert_eq!(counters.bytes_received, (6 * 3 + 6) + 8 + 2);
        assert_eq!(server.metrics().backend.upgraded, 2);
        assert_eq!(server.metrics().backend.responses[0], 2);
        drop((one, two));
        stop(server);
    });
}

#[test]
fn how_long_requests_take_is_measured_when_asked_for() {
    in_each_setting(|builder, port| {
        let mut settings = tidegate::MetricsSettings::default();
        let latency = |server: &Server| server.service_state().queues[0].latency.clone();
        let answering = |builder: tidegate::ServerBuilder| {
            start(builder.on_http_request(|_, response| {
                response.cache(CachePolicy::UserInvalidates);
                response.text("hello");
            }))
        };
        settings.enabled = true;
        settings.url = format!("http://localhost:{}/metrics", client::free_port())
            .parse()
            .unwrap();
        let server = answering(builder.metrics(settings));
        let mut client = Client::connect(port);
        for _ in 0..10 {
            client.get("/");
        }
        http2_client::run(async {
            let client = http2_client::Client::connect(port).await;
            for path in ["/", "/other"] {
                client.get(path).await.unwrap();
            }
        });
        let measured = latency(&server).unwrap();
        assert_eq!(measured.count, 12);
        let counted: u64 = measured.buckets.iter().map(|bucket| bucket.count).sum();
        assert_eq!(counted, 12);
        assert!(measured.quantile(1.0) >= measured.quantile(0.5));
        assert!(!measured.sum.is_zero());
        stop(server);
    });
    let port = client::free_port();
    let (io, mode) = all_settings()[0];
    let server = start(builder(io, mode, port).on_http_request(|_, response| response.text("a")));
    Client::connect(port).get("/");
    assert_eq!(server.service_state().queues[0].latency, None);
    stop(server);
}

#[test]
fn a_server_that_is_not_started_has_counted_nothing() {
    let server = Server::builder().build().unwrap();
    let metrics = server.metrics();
    assert_eq!(metrics.backend, tidegate::BackendCounters::default());
    assert!(metrics.service.queues.is_empty());
    assert!(
        metrics
            .process
            .resident_bytes
            .is_some_and(|bytes| bytes > 0)
    );
}
