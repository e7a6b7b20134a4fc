//! Clients that are there before the server: on each event loop the system offers, in both operating modes.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[allow(dead_code, reason = "other tests use the rest of it")]
mod client;

use std::io::{BufReader, ErrorKind};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use client::setting::{in_each_setting, stop};
use client::{Answer, Client, free_port};
use tidegate::{Binding, Server, ServerBuilder};

/// Tries to connect until somebody listens, and asks for this.
fn first_answer(port: u16, host: &str, path: &str) -> Answer {
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => {
                stream
                    .set_read_timeout(Some(Duration::from_secs(60)))
                    .unwrap();
                let mut client = Client {
                    stream: BufReader::new(stream),
                };
                let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
                client.write(head.as_bytes());
                return client.receive();
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
        }
    }
}

/// Names that are all served at one port, one after the other. Not at that of the setting, whose address is for any
/// name.
fn names() -> impl Iterator<Item = String> {
    (0..100).map(|number| format!("name{number}.test"))
}

fn with_names(builder: ServerBuilder, port: u16) -> ServerBuilder {
    names().fold(builder, |builder, name| builder.binding(&name, port, "/"))
}

fn hello(builder: ServerBuilder) -> Server {
    builder
        .on_http_request(|_, response| response.text("hello"))
        .build()
        .unwrap()
}

/// Has clients wait for a port, for the name that is registered first and for the last one.
fn ask_first(port: u16, open: impl FnOnce()) {
    let asked = [names().next().unwrap(), names().last().unwrap()];
    let clients: Vec<_> = asked
        .into_iter()
        .map(|name| thread::spawn(move || first_answer(port, &name, "/").status))
        .collect();
    open();
    for client in clients {
        assert_eq!(client.join().unwrap(), 200);
    }
}

#[test]
fn whoever_comes_while_a_server_starts_finds_all_of_its_urls() {
    for _ in 0..5 {
        in_each_setting(|builder, _| {
            let port = free_port();
            let server = hello(with_names(builder, port));
            ask_first(port, || server.start().unwrap());
            stop(server);
        });
    }
}

#[test]
fn whoever_comes_while_bindings_are_added_finds_all_of_them() {
    in_each_setting(|builder, _| {
        let server = hello(builder);
        server.start().unwrap();
        server.wait_started().unwrap();
        for _ in 0..3 {
            let port = free_port();
            let mut settings = server.settings();
            let added = names().map(|name| Binding::new(&name, port, "/").unwrap());
            settings.bindings.extend(added);
            ask_first(port, || server.reload(settings).unwrap());
        }
        stop(server);
    });
}

#[test]
fn a_start_that_fails_leaves_nobody_waiting() {
    in_each_setting(|builder, _| {
        let port = free_port();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let other = taken.local_addr().unwrap().port();
        let server = hello(with_names(builder, port).binding("127.0.0.1", other, "/"));
        server.start().unwrap();
        assert!(server.wait_started().is_err());
        let refused = TcpStream::connect(("127.0.0.1", port)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        drop(taken);
        // The next one lets them in.
        ask_first(port, || server.start().unwrap());
        stop(server);
    });
}
