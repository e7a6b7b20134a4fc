//! Streams of events on real ports: how they come, go on, and end.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[allow(dead_code, reason = "other tests use the rest")]
mod client;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tidegate::{
    Event, EventHub, EventHubOptions, EventSender, EventStreamOptions, EventStreamSettings,
    SendError, ServerBuilder,
};

use client::setting::{in_each_setting, start, stop};

/// A client that reads a stream of events as they come.
struct EventClient {
    stream: BufReader<TcpStream>,
    head: String,
}

impl EventClient {
    fn open(port: u16, version: &str, fields: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let request = format!("GET /events HTTP/{version}\r\nHost: 127.0.0.1\r\n{fields}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut client = Self {
            stream: BufReader::new(stream),
            head: String::new(),
        };
        while !client.head.ends_with("\r\n\r\n") {
            assert_ne!(client.stream.read_line(&mut client.head).unwrap(), 0);
        }
        client
    }

    fn connect(port: u16) -> Self {
        Self::open(port, "1.1", "")
    }

    /// The content of the next chunk; `None` when it is the last.
    fn chunk(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let length = usize::from_str_radix(line.trim_end(), 16).unwrap();
        let mut chunk = vec![0; length + 2];
        self.stream.read_exact(&mut chunk).unwrap();
        chunk.truncate(length);
        (length > 0).then(|| String::from_utf8(chunk).unwrap())
    }
}

/// Opens a stream for each request, whose senders come out of the channel.
fn sending(
    builder: ServerBuilder,
    options: EventStreamOptions,
) -> (ServerBuilder, Receiver<EventSender>) {
    let (senders, receiver) = channel();
    let senders = Mutex::new(senders);
    let builder = builder.on_http_request(move |_, response| {
        let sender = response.events_with(options.clone());
        senders.lock().unwrap().send(sender).unwrap();
    });
    (builder, receiver)
}

fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn events_come_as_they_are_sent() {
    in_each_setting(|builder, port| {
        let (builder, senders) = sending(builder, EventStreamOptions::default());
        let server = start(builder);
        // The head is there before there is an event.
        let mut client = EventClient::connect(port);
        let sender = senders.recv().unwrap();
        assert!(client.head.starts_with("HTTP/1.1 200 "), "{}", client.head);
        assert!(
            client
                .head
                .contains("\r\nContent-Type: text/event-stream\r\n")
        );
        assert!(client.head.contains("\r\nCache-Control: no-cache\r\n"));
        assert!(client.head.contains("\r\nTransfer-Encoding: chunked\r\n"));
        sender.try_send("one").unwrap();
        assert_eq!(client.chunk().unwrap(), "data: one\n\n");
        sender
            .blocking_send(Event::new("two").event("named").id("2"))
            .unwrap();
        let named = "event: named\nid: 2\ndata: two\n\n";
        assert_eq!(client.chunk().unwrap(), named);
        let bad = Event::new("").id("a\nb");
        assert!(matches!(sender.try_send(bad), Err(SendError::Event(_))));
        let clone = sender.clone();
        drop(sender);
        clone.try_send("three").unwrap();
        drop(clone);
        assert_eq!(client.chunk().unwrap(), "data: three\n\n");
        assert_eq!(client.chunk(), None);
        stop(server);
    });
}

#[test]
fn a_client_of_version_1_0_gets_them_until_the_connection_ends() {
    in_each_setting(|builder, port| {
        let (builder, senders) = sending(builder, EventStreamOptions::default());
        let server = start(builder);
        let mut client = EventClient::open(port, "1.0", "");
        let sender = senders.recv().unwrap();
        assert!(
            !client.head.contains("Transfer-Encoding"),
            "{}",
            client.head
        );
        sender.try_send("one").unwrap();
        let mut event = [0; 11];
        client.stream.read_exact(&mut event).unwrap();
        assert_eq!(&event, b"data: one\n\n");
        sender.try_send("two").unwrap();
        drop(sender);
        let mut rest = String::new();
        client.stream.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "data: two\n\n");
        stop(server);
    });
}

#[test]
fn a_head_alone_has_no_stream() {
    in_each_setting(|builder, port| {
        let (builder, senders) = sending(builder, EventStreamOptions::default());
        let server = start(builder);
        let mut client = client::Client::connect(port);
        client.send("HEAD", "/events", &[], "");
        let sender = senders.recv().unwrap();
        until(|| sender.is_closed());
        drop(client);
        stop(server);
    });
}

#[test]
fn a_client_that_leaves_is_noticed() {
    in_each_setting(|builder, port| {
        let (builder, senders) = sending(builder, EventStreamOptions::default());
        let server = start(builder);
        let client = EventClient::connect(port);
        let sender = senders.recv().unwrap();
        assert!(!sender.is_closed());
        // Nothing is sent: the end of its side alone tells.
        drop(client);
        until(|| sender.is_closed());
        assert_eq!(sender.try_send("late"), Err(SendError::Closed));
        stop(server);
    });
}

#[test]
fn a_full_buffer_is_told_and_waited_for() {
    in_each_setting(|builder, port| {
        let options = EventStreamOptions {
            buffer: 2,
            ..EventStreamOptions::default()
        };
        let (builder, senders) = sending(builder, options);
        let server = start(builder);
        let mut client = EventClient::connect(port);
        let sender = senders.recv().unwrap();
        let large = "x".repeat(100_000);
        let mut sent = 0;
        // Once sockets and windows are full, so is the buffer.
        let mut refused = 0;
        while refused < 100 {
            match sender.try_send(large.clone()) {
                Ok(()) => (sent, refused) = (sent + 1, 0),
                Err(SendError::Full) => {
                    refused += 1;
                    thread::sleep(Duration::from_millis(1));
                }
                Err(error) => panic!("{error}"),
            }
        }
        let waiting = thread::spawn(move || sender.blocking_send("last"));
        for _ in 0..sent {
            assert_eq!(client.chunk().unwrap().len(), large.len() + 8);
        }
        assert_eq!(client.chunk().unwrap(), "data: last\n\n");
        waiting.join().unwrap().unwrap();
        assert_eq!(client.chunk(), None);
        stop(server);
    });
}

#[test]
fn comments_keep_an_idle_stream_up() {
    in_each_setting(|builder, port| {
        let settings = EventStreamSettings {
            heartbeat: Duration::from_millis(10),
        };
        let options = EventStreamOptions {
            retry: Some(Duration::from_secs(2)),
            ..EventStreamOptions::default()
        };
        let (builder, senders) = sending(builder.event_streams(settings), options);
        let server = start(builder);
        let mut client = EventClient::connect(port);
        let sender = senders.recv().unwrap();
        assert_eq!(client.chunk().unwrap(), "retry: 2000\n\n");
        for _ in 0..3 {
            assert_eq!(client.chunk().unwrap(), ":\n\n");
        }
        sender.try_send("here").unwrap();
        while client.chunk().unwrap() == ":\n\n" {}
        assert_eq!(client.chunk().unwrap(), ":\n\n");
        drop(client);
        stop(server);
    });
}

#[test]
fn a_stop_does_not_wait_for_streams() {
    in_each_setting(|builder, port| {
        let hub = EventHub::new();
        let of_hub = hub.clone();
        let (senders, receiver) = channel();
        let senders = Mutex::new(senders);
        let builder = builder
            .shutdown_deadline(Duration::from_secs(3600))
            .on_http_request(move |request, response| match request.last_event_id() {
                Some(_) => of_hub.answer(request, response),
                None => senders.lock().unwrap().send(response.events()).unwrap(),
            });
        let server = start(builder);
        // A server that was stopped and has started again is none that stops.
        for _ in 0..2 {
            let mut first = EventClient::connect(port);
            let sender = receiver.recv().unwrap();
            let mut second = EventClient::open(port, "1.1", "Last-Event-ID: x\r\n");
            until(|| hub.clients() == 1);
            sender.try_send("last").unwrap();
            server.stop();
            assert_eq!(first.chunk().unwrap(), "data: last\n\n");
            assert_eq!((first.chunk(), second.chunk()), (None, None));
            drop((first, second));
            server.wait_stopped();
            assert!(sender.is_closed());
            assert_eq!(hub.clients(), 0);
            server.start().unwrap();
            server.wait_started().unwrap();
        }
        stop(server);
    });
}

#[test]
fn a_hub_has_the_same_for_all_and_what_was_missed_for_who_comes_back() {
    in_each_setting(|builder, port| {
        let hub = EventHub::with_options(EventHubOptions {
            retry: Some(Duration::from_millis(1)),
            ..EventHubOptions::default()
        });
        let answering = hub.clone();
        let server = start(builder.on_http_request(move |request, response| {
            answering.answer(request, response);
        }));
        let mut clients: Vec<_> = (0..20).map(|_| EventClient::connect(port)).collect();
        until(|| hub.clients() == clients.len());
        for number in 0..10 {
            hub.send(Event::new(number.to_string())).unwrap();
        }
        let mut last = String::new();
        for client in &mut clients {
            assert_eq!(client.chunk().unwrap(), "retry: 1\n\n");
            for number in 0..10 {
                let event = client.chunk().unwrap();
                let (id, data) = event.split_once('\n').unwrap();
                assert_eq!(data, format!("data: {number}\n\n"));
                last = id["id: ".len()..].to_owned();
            }
        }
        drop(clients);
        until(|| hub.clients() == 0);
        hub.send("missed").unwrap();
        let mut client = EventClient::open(port, "1.1", &format!("Last-Event-ID: {last}\r\n"));
        hub.send("then").unwrap();
        client.chunk().unwrap();
        assert!(client.chunk().unwrap().ends_with("\ndata: missed\n\n"));
        assert!(client.chunk().unwrap().ends_with("\ndata: then\n\n"));
        drop(client);
        stop(server);
    });
}

#[test]
fn a_client_of_a_hub_that_is_too_slow_holds_up_nobody() {
    in_each_setting(|builder, port| {
        let hub = EventHub::with_options(EventHubOptions {
            events_kept: 4,
            numbers_events: false,
            ..EventHubOptions::default()
        });
        let answering = hub.clone();
        let server = start(builder.on_http_request(move |request, response| {
            answering.answer(request, response);
        }));
        let mut slow = EventClient::connect(port);
        let mut fast = EventClient::connect(port);
        until(|| hub.clients() == 2);
        let large = "x".repeat(1 << 20);
        let sent = 50;
        for number in 0..sent {
            hub.send(Event::new(large.clone()).id(number.to_string()))
                .unwrap();
            assert!(
                fast.chunk()
                    .unwrap()
                    .starts_with(&format!("id: {number}\n"))
            );
        }
        let mut taken = 0;
        while let Some(event) = slow.chunk() {
            assert!(event.starts_with(&format!("id: {taken}\n")));
            taken += 1;
        }
        assert!(taken < sent, "{taken}");
        assert_eq!(hub.clients_dropped(), 1);
        drop((slow, fast));
        stop(server);
    });
}

#[test]
fn async_tasks_send_as_well() {
    in_each_setting(|builder, port| {
        let ended = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&ended);
        let builder = builder.on_http_request_async(move |_, mut response| {
            let noted = Arc::clone(&noted);
            async move {
                let sender = response.events();
                tokio::spawn(async move {
                    let mut number = 0;
                    while sender.send(number.to_string()).await.is_ok() {
                        number += 1;
                    }
                    sender.closed().await;
                    *noted.lock().unwrap() = Some(number);
                });
                response
            }
        });
        let server = start(builder);
        let mut client = EventClient::connect(port);
        for number in 0..1000 {
            assert_eq!(client.chunk().unwrap(), format!("data: {number}\n\n"));
        }
        drop(client);
        until(|| ended.lock().unwrap().is_some());
        stop(server);
    });
}
