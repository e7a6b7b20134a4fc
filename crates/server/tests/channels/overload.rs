//! What happens when a thread of the driver writes nothing for a while: all get a message, or none.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;

use serde_json::{Value, json};
use tidegate::{ChannelProtocol, OperatingMode, WebSocketSettings};

use crate::client::free_port;
use crate::client::setting::{all_settings, builder, start, stop};
use crate::peer::Peer;

/// Names the thread that calls handlers.
fn this_thread() -> Value {
    format!("{:?}", thread::current().id()).into()
}

#[test]
fn a_message_is_taken_by_all_threads_or_refused() {
    for (io, mode) in all_settings() {
        if mode != OperatingMode::HighPerf {
            continue;
        }
        let (entered, enters) = channel();
        let (release, released) = channel::<()>();
        let (entered, released) = (Mutex::new(entered), Mutex::new(released));
        let protocol = ChannelProtocol::builder()
            .on_rpc("thread", |_, _| Ok(this_thread()))
            // What no handler should do in this mode.
            .on_rpc("block", move |_, _| {
                entered.lock().unwrap().send(()).unwrap();
                released.lock().unwrap().recv().unwrap();
                Ok(Value::Null)
            })
            .build();
        let port = free_port();
        let mut settings = WebSocketSettings::default();
        settings.queue.messages = 100_000;
        let server = start(
            builder(io, mode, port)
                .io_threads(2)
                .websocket(settings)
                .register_protocol(protocol.clone()),
        );
        let (mut publisher, mut blocker, mut peers) = on_both_threads(port);
        for peer in &mut peers {
            peer.subscribe("a");
        }
        let block = blocker.ask("block", json!([]));
        enters.recv().unwrap();
        let mut taken = Vec::new();
        let request = json!({"jsonrpc": "2.0", "id": 0, "method": "publish", "params": ["a", 1]});
        let requests = Value::Array(vec![request; 100]);
        let mut refused = Vec::new();
        while refused.is_empty() {
            publisher.say(&requests);
            for _ in 0..100 {
                let heard = publisher.hear();
                match heard["result"].as_u64() {
                    Some(number) => taken.push(number),
                    None => refused.push(heard["error"]["code"].clone()),
                }
            }
        }
        assert!(refused.iter().all(|code| *code == -32000), "{refused:?}");
        assert!(taken.len() > 1000, "{}", taken.len());
        thread::scope(|scope| {
            // Who may wait does, and keeps nobody else from anything.
            let waiting = scope.spawn(|| protocol.publish("a", &2).unwrap());
            assert_eq!(publisher.error("publish", json!(["a", 1])), -32000);
            assert_eq!(publisher.error("subscribe", json!(["b"])), -32000);
            publisher.hears_nothing_else();
            release.send(()).unwrap();
            taken.push(waiting.join().unwrap());
        });
        for peer in &mut peers {
            for number in &taken {
                assert_eq!(peer.message().number, *number, "{io:?}");
            }
        }
        assert_eq!(blocker.hear()["id"], block);
        publisher.subscribe("a");
        publisher.notify("publish", json!(["a", 3]));
        for peer in &mut peers {
            assert_eq!(peer.message().message, 3);
        }
        drop((publisher, blocker, peers));
        stop(server);
    }
}

/// Two connections of different threads, and others of both.
fn on_both_threads(port: u16) -> (Peer, Peer, Vec<Peer>) {
    let mut first = Vec::new();
    let mut second = Vec::new();
    let mut name = None;
    while first.len() < 3 || second.len() < 3 {
        let mut peer = Peer::connect(port);
        let thread = peer.result("thread", json!([]));
        if *name.get_or_insert_with(|| thread.clone()) == thread {
            first.push(peer);
        } else {
            second.push(peer);
        }
    }
    let (publisher, blocker) = (first.pop().unwrap(), second.pop().unwrap());
    first.extend(second);
    (publisher, blocker, first)
}
