//! Limits on bandwidth on real ports, on each event loop the system offers, in both operating modes.
//!
//! How much goes in which time is tested with the rules, where the clock is an argument. Here a limit is so low
//! that what is limited would take many minutes: it must not have come when other things have, and must
//! come whole when the limit is lifted.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "../client/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod client;
mod flow;
#[path = "../http2/http2_client.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod http2_client;
mod received;
mod secure;
mod upgraded;
#[path = "../client/websocket.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod websocket;

use std::io::{Cursor, ErrorKind, Read};
use std::path::PathBuf;
use std::time::Duration;

use client::Client;
use client::setting::{in_each_setting, start, stop};
use tidegate::{CachePolicy, Server, ServerBuilder};

/// At this rate what is long takes minutes, and what is short no time.
pub(crate) const LOW: u32 = 16 * 1024;

/// What is sent of each kind: more than systems hold for a client.
pub(crate) const LONG: usize = 8 << 20;

pub(crate) fn long() -> Vec<u8> {
    let block: Vec<u8> = (0..65_537_u32).map(|number| (number / 7) as u8).collect();
    let mut long = block.repeat(LONG / block.len() + 1);
    long.truncate(LONG);
    long
}

/// A folder with the file that `/file` answers with.
pub(crate) fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("long.bin");
    std::fs::write(&file, long()).unwrap();
    (folder, file)
}

/// A server with long answers of each kind, and a short one.
pub(crate) fn site(builder: ServerBuilder, file: PathBuf) -> ServerBuilder {
    builder.on_http_request(move |request, response| match request.document() {
        "/bytes" => response.bytes(long()),
        "/source" => response.reader(Cursor::new(long())),
        "/file" => response.file(&file).unwrap(),
        "/cached" => {
            response
                .content_type("text/plain")
                .cache(CachePolicy::UserInvalidates)
                .bytes(&[7; 200_000][..]);
        }
        _ => response.text("short"),
    })
}

pub(crate) fn limit(server: &Server, send: u32, receive: u32) {
    let mut settings = server.settings();
    settings.max_bandwidth = send;
    settings.max_bandwidth_in = receive;
    server.reload(settings).unwrap();
}

/// Asks for the short answer on connections of their own.
pub(crate) fn ask_others(port: u16, count: usize) {
    for _ in 0..count {
        assert_eq!(Client::connect(port).get("/short").text(), "short");
    }
}

/// Whether a client has received less than this, and goes on waiting.
pub(crate) fn has_less_than(client: &mut Client, content: &mut Vec<u8>, most: usize) -> bool {
    let stream = &mut client.stream;
    stream.get_mut().set_nonblocking(true).unwrap();
    let mut piece = [0; 65_536];
    let waits = loop {
        match stream.read(&mut piece) {
            Ok(0) => break false,
            Ok(count) => content.extend_from_slice(&piece[..count]),
            Err(error) => break error.kind() == ErrorKind::WouldBlock,
        }
    };
    stream.get_mut().set_nonblocking(false).unwrap();
    waits && content.len() < most
}

#[test]
fn a_long_answer_waits_for_its_rate_and_comes_whole_when_there_is_none() {
    let (_folder, file) = folder();
    for path in ["/bytes", "/source", "/file"] {
        in_each_setting(|builder, port| {
            let server = start(site(builder.max_bandwidth(LOW), file.clone()));
            let mut slow = Client::connect(port);
            slow.send("GET", path, &[], "");
            assert_eq!(slow.receive_head().0, 200);
            // They take turns with it.
            ask_others(port, 3);
            let mut content = Vec::new();
            assert!(has_less_than(&mut slow, &mut content, LONG), "{path}");
            limit(&server, 0, 0);
            if path == "/source" {
                // In chunks.
                while !content.ends_with(b"\r\n0\r\n\r\n") {
                    let mut piece = [0; 65_536];
                    let count = slow.stream.read(&mut piece).unwrap();
                    assert_ne!(count, 0);
                    content.extend_from_slice(&piece[..count]);
                }
                assert!(content.len() > LONG);
            } else {
                let mut rest = vec![0; LONG - content.len()];
                slow.stream.read_exact(&mut rest).unwrap();
                content.extend(rest);
                assert!(content == long(), "{path}");
            }
            // The connection is as any other.
            assert_eq!(slow.get("/short").text(), "short");
            stop(server);
        });
    }
}

#[test]
fn a_limit_set_later_holds_what_is_being_sent() {
    const ALL: usize = 64 << 20;
    in_each_setting(|builder, port| {
        let server = start(
            builder.on_http_request(|request, response| match request.document() {
                "/all" => response.bytes(vec![5; ALL]),
                _ => response.text("short"),
            }),
        );
        let mut slow = Client::connect(port);
        slow.send("GET", "/all", &[], "");
        assert_eq!(slow.receive_head().0, 200);
        let mut first = vec![0; 1 << 20];
        slow.stream.read_exact(&mut first).unwrap();
        limit(&server, LOW, 0);
        ask_others(port, 2);
        let mut content = first;
        // What the system held already has come.
        assert!(has_less_than(&mut slow, &mut content, ALL));
        limit(&server, 1 << 30, 0);
        let mut rest = vec![0; ALL - content.len()];
        slow.stream.read_exact(&mut rest).unwrap();
        content.extend(rest);
        assert!(content == vec![5; ALL]);
        stop(server);
    });
}

#[test]
fn answers_from_the_cache_count_too() {
    let (_folder, file) = folder();
    in_each_setting(|builder, port| {
        let server = start(site(builder, file.clone()));
        let stored = Client::connect(port).get("/cached");
        assert_eq!(stored.content.len(), 200_000);
        limit(&server, 0, 0);
        // A reload empties the cache.
        Client::connect(port).get("/cached");
        let hits = server.cache_counters().hits;
        assert_eq!(Client::connect(port).get("/cached").content, stored.content);
        // Workers tell of them a little later.
        while server.cache_counters().hits == hits {
            std::thread::yield_now();
        }
        limit(&server, 1024, 0);
        let mut first = Client::connect(port);
        // Stored anew, while it is being sent.
        first.send("GET", "/cached", &[], "");
        assert_eq!(first.receive_head().0, 200);
        let mut second = Client::connect(port);
        second.send("GET", "/cached", &[], "");
        assert_eq!(second.receive_head().0, 200);
        ask_others(port, 1);
        for client in [&mut first, &mut second] {
            assert!(has_less_than(client, &mut Vec::new(), 200_000));
        }
        drop((first, second));
        limit(&server, 0, 0);
        assert_eq!(Client::connect(port).get("/cached").content, stored.content);
        stop(server);
    });
}

#[test]
fn pipelined_answers_come_in_order_under_a_limit() {
    in_each_setting(|builder, port| {
        let server = start(
            builder
                .max_bandwidth(200_000)
                .on_http_request(|request, response| {
                    let number: usize = request.document()[1..].parse().unwrap();
                    response.bytes(vec![number as u8; 1_000 * number]);
                }),
        );
        let mut client = Client::connect(port);
        for number in 1..=20 {
            client.send("GET", &format!("/{number}"), &[], "");
        }
        for number in 1..=20_usize {
            let content = client.receive().content;
            assert_eq!(content.len(), 1_000 * number);
            assert!(content.iter().all(|&byte| byte == number as u8));
        }
        stop(server);
    });
}

#[test]
fn a_held_connection_that_vanishes_is_forgotten_and_a_stop_does_not_wait_for_it() {
    let (_folder, file) = folder();
    in_each_setting(|builder, port| {
        let builder = builder.shutdown_deadline(Duration::from_millis(100));
        let server = start(site(builder.max_bandwidth(LOW), file.clone()));
        for _ in 0..5 {
            let mut slow = Client::connect(port);
            slow.send("GET", "/bytes", &[], "");
            drop(slow);
        }
        ask_others(port, 2);
        let mut held = Client::connect(port);
        held.send("GET", "/file", &[], "");
        assert_eq!(held.receive_head().0, 200);
        stop(server);
        assert!(!has_less_than(&mut held, &mut Vec::new(), LONG) || held.is_closed_by_peer());
    });
}

#[test]
fn many_connections_on_several_workers_get_theirs() {
    let (_folder, file) = folder();
    in_each_setting(|builder, port| {
        let builder = builder.max_bandwidth(200 << 20);
        let server = site(builder, file.clone()).build().unwrap();
        server
            .configure(|settings| settings.io_threads = Some(3))
            .unwrap();
        server.start().unwrap();
        server.wait_started().unwrap();
        let clients: Vec<_> = (0..12)
            .map(|index| {
                std::thread::spawn(move || {
                    let path = ["/bytes", "/file"][index % 2];
                    assert!(Client::connect(port).get(path).content == long());
                })
            })
            .collect();
        clients
            .into_iter()
            .for_each(|client| client.join().unwrap());
        stop(server);
    });
}

#[test]
fn a_limit_below_what_is_allowed_is_refused() {
    // Case T11.
    let error = Server::builder().max_bandwidth(1023).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "max_bandwidth is 1023, allowed are 1024 to 4294967295"
    );
    assert!(Server::builder().max_bandwidth_in(1023).build().is_err());
    for allowed in [0, 1024, u32::MAX] {
        Server::builder().max_bandwidth(allowed).build().unwrap();
    }
}
