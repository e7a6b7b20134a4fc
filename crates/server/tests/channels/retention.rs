//! What late subscribers get: all of it, once, in order, whoever publishes meanwhile.

use std::sync::Barrier;
use std::thread;

use serde_json::json;
use tidegate::{ChannelProtocol, ChannelSettings, Retention, ServerBuilder};

use crate::peer::{Peer, with_protocol, with_server};

fn retaining(retention: Retention) -> ChannelProtocol {
    let mut settings = ChannelSettings::default();
    settings.retention = retention;
    settings.retained_messages = 100_000;
    settings.use_matches_mask = true;
    ChannelProtocol::new(settings)
}

/// Connections of several threads of the driver, whose orders have to agree.
fn on_two_threads(
    builder: ServerBuilder,
    protocol: ChannelProtocol,
) -> (ServerBuilder, ChannelProtocol) {
    (builder.io_threads(2), protocol)
}

#[test]
fn each_retention_keeps_what_it_says() {
    for (retention, expected) in [
        (Retention::None, vec![]),
        (Retention::Last, vec![3]),
        (Retention::All, vec![1, 2, 3]),
    ] {
        with_protocol(
            || retaining(retention),
            |protocol, _, port| {
                let mut peer = Peer::connect(port);
                for message in 1..=3 {
                    peer.notify("publish", json!(["a", message]));
                }
                peer.subscribe("a");
                for message in &expected {
                    assert_eq!(peer.message().message, *message);
                }
                // Who is subscribed already has had it.
                assert_eq!(peer.result("subscribe", json!(["a"])), false);
                peer.hears_nothing_else();
                assert_eq!(protocol.clear_queue("a"), expected.len());
                peer.result("unsubscribe", json!(["a"]));
                peer.subscribe("a");
                peer.hears_nothing_else();
            },
        );
    }
}

#[test]
fn a_channel_may_have_a_retention_of_its_own() {
    let protocol = || {
        ChannelProtocol::builder()
            .retain("kept", Retention::Last)
            .build()
    };
    with_protocol(protocol, |protocol, _, port| {
        protocol.publish("kept", &1).unwrap();
        protocol.publish("other", &2).unwrap();
        let mut peer = Peer::connect(port);
        peer.subscribe("other");
        peer.subscribe("kept");
        assert_eq!(peer.message().message, 1);
        peer.hears_nothing_else();
    });
}

#[test]
fn a_mask_gets_what_is_kept_of_all_its_channels_in_order_and_once() {
    let protocol = || retaining(Retention::All);
    with_protocol(protocol, |protocol, _, port| {
        for (index, channel) in ["a.1", "b", "a.2", "a.1", "c"].into_iter().enumerate() {
            protocol.publish(channel, &index).unwrap();
        }
        let mut peer = Peer::connect(port);
        peer.subscribe("a.2");
        assert_eq!(peer.message().message, 2);
        peer.subscribe("a*");
        assert_eq!([peer.message().message, peer.message().message], [0, 3]);
        peer.subscribe("*");
        assert_eq!([peer.message().message, peer.message().message], [1, 4]);
        peer.subscribe("b");
        peer.hears_nothing_else();
    });
}

#[test]
fn what_is_kept_comes_in_batches_of_bearable_length() {
    let protocol = || retaining(Retention::All);
    with_protocol(protocol, |protocol, _, port| {
        let long = "x".repeat(10_000);
        for _ in 0..50 {
            protocol.publish("a", &long).unwrap();
        }
        let mut peer = Peer::connect(port);
        peer.ask("subscribe", json!(["a"]));
        assert_eq!(
            peer.socket.hear_text(),
            r#"{"jsonrpc":"2.0","id":1,"result":true}"#
        );
        let mut messages = 0;
        while messages < 50 {
            let text = peer.socket.hear_text();
            assert!(text.len() <= 64 * 1024, "{}", text.len());
            let batch: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
            messages += batch.len();
        }
        assert_eq!(messages, 50);
    });
}

/// Messages that each of the publishers of a test publishes.
const MESSAGES: u64 = 400;

#[test]
fn late_subscribers_miss_nothing_and_get_nothing_twice() {
    let protocol = || retaining(Retention::All);
    with_server(on_two_threads, protocol, |protocol, _, port| {
        let begin = Barrier::new(6);
        let before = protocol.publish("elsewhere", &0).unwrap();
        protocol.clear_queue("elsewhere");
        thread::scope(|scope| {
            // Two clients and an application publish, while three clients come and go.
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut peer = Peer::connect(port);
                    begin.wait();
                    for message in 0..MESSAGES {
                        peer.notify("publish", json!(["a", message]));
                    }
                    peer.hears_nothing_else();
                    peer.socket.leave();
                });
            }
            scope.spawn(|| {
                begin.wait();
                for message in 0..MESSAGES {
                    protocol.publish("a", &message).unwrap();
                }
            });
            for index in 0..3 {
                let begin = &begin;
                scope.spawn(move || {
                    let channel = ["a", "a*", "*"][index];
                    begin.wait();
                    let mut peer = Peer::connect(port);
                    for _ in 0..8 {
                        peer.subscribe(channel);
                        // From the first, each time.
                        peer.ask("unsubscribe", json!([channel]));
                        let mut number = before;
                        loop {
                            let heard = peer.hear();
                            if heard.get("result").is_some() {
                                break;
                            }
                            number += 1;
                            assert_eq!(heard["params"]["id"], number, "{channel}");
                        }
                    }
                    peer.subscribe(channel);
                    for number in before + 1..=before + 3 * MESSAGES {
                        assert_eq!(peer.message().number, number, "{channel}");
                    }
                    peer.hears_nothing_else();
                    peer.socket.leave();
                });
            }
        });
    });
}

#[test]
fn from_the_last_message_kept_there_is_no_gap() {
    let protocol = || retaining(Retention::Last);
    with_server(on_two_threads, protocol, |protocol, _, port| {
        protocol.publish("a", &0).unwrap();
        thread::scope(|scope| {
            // Not more than waits for four peers that do not read yet.
            let publisher = scope.spawn(|| {
                let publish = |_| protocol.publish("a", &0).unwrap();
                (0..2000).map(publish).fold(0, u64::max)
            });
            let mut peers: Vec<(Peer, u64)> = Vec::new();
            for _ in 0..4 {
                let mut peer = Peer::connect(port);
                peer.subscribe("a");
                let first = peer.message().number;
                peers.push((peer, first));
            }
            let last = publisher.join().unwrap();
            for (peer, first) in &mut peers {
                for number in *first + 1..=last {
                    assert_eq!(peer.message().number, number);
                }
                peer.hears_nothing_else();
            }
        });
    });
}
