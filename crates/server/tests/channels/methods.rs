//! Every method and every error, hooks, limits.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::{Value, json};
use tidegate::{CallError, ChannelProtocol, ChannelSettings, RpcError, Taken};

use crate::peer::{Peer, with_protocol, with_server};

/// A channel whose sender hooks may share.
fn shared<T>() -> (Mutex<Sender<T>>, Receiver<T>) {
    let (sender, receiver) = channel();
    (Mutex::new(sender), receiver)
}

fn arithmetic() -> ChannelProtocol {
    ChannelProtocol::builder()
        .on_rpc("add", |_, params| {
            match (params[0].as_i64(), params[1].as_i64()) {
                (Some(a), Some(b)) => Ok((a + b).into()),
                _ => Err(RpcError::invalid_params("two numbers").with_data(params)),
            }
        })
        .on_rpc("whoami", |connection, _| {
            Ok(connection.guid().to_string().into())
        })
        .on_rpc("fail", |_, _| Err(RpcError::new(7, "as asked for")))
        .on_rpc("panic", |_, _| panic!("as asked for"))
        .build()
}

#[test]
fn requests_are_answered_word_by_word() {
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"add","params":{}{}}}"#,
        "[".repeat(5000),
        "]".repeat(5000)
    );
    let cases = [
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":3}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":"a b","method":"add","params":[1,2]}"#,
            r#"{"jsonrpc":"2.0","id":"a b","result":3}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"method":"add","params":[1,2]}"#,
            r#"{"jsonrpc":"2.0","id":null,"result":3}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1.50,"method":"add","params":[1,2]}"#,
            r#"{"jsonrpc":"2.0","id":1.50,"result":3}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1]}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"two numbers","data":[1]}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"add"}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"two numbers","data":null}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"fail"}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":7,"message":"as asked for"}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"panic"}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"internal error"}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"sub"}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"method not found"}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"`method` is no text"}}"#,
        ),
        (
            "[]",
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"a batch holds a request at least"}}"#,
        ),
        (
            r#"[{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]},1,{"jsonrpc":"2.0","method":"add"},{"jsonrpc":"2.0","id":2,"method":"subscribe","params":["a"]},{"jsonrpc":"2.0","id":3,"method":"unsubscribe","params":["b"]}]"#,
            r#"[{"jsonrpc":"2.0","id":1,"result":3},{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"not a request object"}},{"jsonrpc":"2.0","id":2,"result":true},{"jsonrpc":"2.0","id":3,"result":false}]"#,
        ),
        (
            &*deep,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"nested too deeply"}}"#,
        ),
    ];
    with_protocol(arithmetic, |_, server, port| {
        let mut peer = Peer::connect(port);
        for (text, expected) in &cases {
            peer.socket.text(text);
            assert_eq!(peer.socket.hear_text(), *expected, "{text}");
        }
        // What is no JSON is answered with where it stops being that.
        for text in [
            "",
            "{",
            "nonsense",
            "{\"jsonrpc\":\"2.0\",}",
            "[1,",
            &"[".repeat(100_000),
        ] {
            peer.socket.text(text);
            let heard = peer.hear();
            assert_eq!(
                (&heard["id"], &heard["error"]["code"]),
                (&Value::Null, &json!(-32700))
            );
        }
        // Notifications have no answer, whatever becomes of them.
        for method in ["add", "fail", "panic", "sub", "subscribe", "publish"] {
            peer.notify(method, json!([]));
        }
        peer.socket
            .text(r#"[{"jsonrpc":"2.0","method":"add"},{"jsonrpc":"2.0","method":"sub"}]"#);
        peer.hears_nothing_else();
        assert_eq!(
            server.connections().count(),
            1,
            "and through all of that it goes on"
        );
    });
}

#[test]
fn subscribers_get_what_is_published_until_they_unsubscribe() {
    with_protocol(arithmetic, |protocol, _, port| {
        let (mut one, mut two) = (Peer::connect(port), Peer::connect(port));
        one.subscribe("news");
        one.subscribe("weather");
        two.subscribe("news");
        assert_eq!(two.result("subscribe", json!(["news"])), false);
        assert_eq!(protocol.subscriber_count("news"), 2);
        let mut channels = protocol.channels();
        channels.sort();
        assert_eq!(
            channels.iter().map(|name| &**name).collect::<Vec<_>>(),
            ["news", "weather"]
        );
        // Just as it was written, by name and in order, to all and to oneself.
        let text = r#"{"jsonrpc":"2.0","method":"publish","params":["news",{"b":1.10,"a":[12345678901234567890123]}]}"#;
        two.socket.text(text);
        let heard = one.socket.hear_text();
        let (message, number) = heard.split_once(r#","id":"#).unwrap();
        let expected = r#"{"jsonrpc":"2.0","method":"message","params":{"channel":"news","message":{"b":1.10,"a":[12345678901234567890123]}"#;
        assert_eq!(message, expected);
        assert_eq!(two.socket.hear_text(), heard);
        let number: u64 = number.strip_suffix("}}").unwrap().parse().unwrap();
        assert_eq!(protocol.publish("weather", "fair").unwrap(), number + 1);
        let message = one.message();
        assert_eq!(
            (message.number, message.message),
            (number + 1, json!("fair"))
        );
        assert_eq!(two.result("unsubscribe", json!({"channel": "news"})), true);
        assert_eq!(two.result("unsubscribe", json!({"channel": "news"})), false);
        let nobodys = json!({"channel": "nobody's", "message": null});
        assert_eq!(one.result("publish", nobodys), number + 2);
        one.notify("publish", json!({"channel": "news", "message": "last"}));
        assert_eq!(one.message().message, "last");
        two.hears_nothing_else();
        one.socket.leave();
        two.socket.leave();
    });
}

#[test]
fn parameters_are_checked() {
    let protocol = || {
        let mut settings = ChannelSettings::default();
        settings.name_bytes = 8;
        settings.channels_per_connection = 3;
        settings.batch_requests = 2;
        settings.use_matches_mask = true;
        ChannelProtocol::new(settings)
    };
    with_protocol(protocol, |_, _, port| {
        let mut peer = Peer::connect(port);
        for (method, params) in [
            ("subscribe", json!({})),
            ("subscribe", json!([])),
            ("subscribe", json!([1])),
            ("subscribe", json!({"channel": "a", "more": 1})),
            ("subscribe", json!([""])),
            ("subscribe", json!(["123456789"])),
            ("subscribe", json!(["a\nb"])),
            ("unsubscribe", json!([])),
            ("publish", json!({"channel": "a"})),
            ("publish", json!({"message": 1})),
            ("publish", json!({"channel": "a*", "message": 1})),
            ("publish", json!({"channel": "a", "message": 1, "level": 3})),
            (
                "publish",
                json!({"channel": "a", "message": 1, "level": -1}),
            ),
            ("publish", json!({"channel": "a", "message": 1, "level": 2})),
            (
                "publish",
                json!({"channel": "a", "message": 1, "level": 1, "id": "x"}),
            ),
            (
                "publish",
                json!({"channel": "a", "message": 1, "level": 2, "id": "123456789"}),
            ),
            ("release", json!({"id": 1})),
        ] {
            assert_eq!(
                peer.error(method, params.clone()),
                -32602,
                "{method} {params}"
            );
        }
        for name in ["12345678", "é", "*"] {
            peer.subscribe(name);
        }
        assert_eq!(peer.error("subscribe", json!(["one"])), -32002);
        assert_eq!(peer.result("unsubscribe", json!(["é"])), true);
        peer.subscribe("one");
        peer.say(&json!([1, 2, 3]));
        assert_eq!(peer.hear()["error"]["code"], -32600);
    });
}

#[test]
fn masks_match_and_nothing_comes_twice() {
    let protocol = || ChannelProtocol::builder().use_matches_mask().build();
    with_protocol(protocol, |protocol, _, port| {
        let (mut all, mut one) = (Peer::connect(port), Peer::connect(port));
        for channel in ["news.*", "news.sport", "*", "news.?"] {
            all.subscribe(channel);
        }
        one.subscribe("news.sport");
        assert_eq!(protocol.subscriber_count("news.sport"), 2);
        assert_eq!(protocol.subscriber_count("weather"), 1);
        for channel in ["news.sport", "weather", "news.x"] {
            protocol.publish(channel, channel).unwrap();
        }
        assert_eq!(one.message().channel, "news.sport");
        one.hears_nothing_else();
        for channel in ["news.sport", "weather", "news.x"] {
            assert_eq!(all.message().channel, channel);
        }
        assert_eq!(all.result("unsubscribe", json!(["*"])), true);
        protocol.publish("weather", &1).unwrap();
        protocol.publish("news.x", &2).unwrap();
        assert_eq!(all.message().message, 2);
        all.socket.leave();
        one.result("unsubscribe", json!(["news.sport"]));
        assert_eq!(protocol.subscriber_count("news.sport"), 0);
    });
    // Without masks these are names like others.
    with_protocol(arithmetic, |protocol, _, port| {
        let mut peer = Peer::connect(port);
        peer.subscribe("a*");
        protocol.publish("ab", &1).unwrap();
        protocol.publish("a*", &2).unwrap();
        assert_eq!(peer.message().message, 2);
    });
}

#[test]
fn hooks_accept_change_and_are_told() {
    let (told, hears) = shared::<String>();
    let told = std::sync::Arc::new(told);
    let tell = |what: &'static str| {
        let told = std::sync::Arc::clone(&told);
        move |_: &tidegate::ChannelClient<'_>, channel: &str| {
            told.lock()
                .unwrap()
                .send(format!("{what} {channel}"))
                .unwrap();
        }
    };
    let protocol = || {
        ChannelProtocol::builder()
            .before_subscription(|_, channel| !channel.starts_with("private"))
            .on_subscription(tell("in"))
            .on_unsubscription(tell("out"))
            .before_publish(|_, publication| match publication.parse::<&str>() {
                Ok("forbidden") => false,
                Ok(text) => {
                    let text = text.to_uppercase();
                    publication.replace(&text).is_ok()
                }
                Err(_) => publication.json() == "7" && publication.channel() == "news",
            })
            .on_raw_message(|connection, text| match text {
                "ping" => {
                    connection.send_text("pong").unwrap();
                    Taken::Handled
                }
                _ => Taken::Passed,
            })
            .build()
    };
    with_protocol(protocol, |_, _, port| {
        let mut peer = Peer::connect(port);
        peer.socket.text("ping");
        assert_eq!(peer.socket.hear_text(), "pong");
        assert_eq!(peer.error("subscribe", json!(["private/1"])), -32001);
        peer.subscribe("news");
        peer.subscribe("weather");
        peer.result("unsubscribe", json!(["news"]));
        peer.subscribe("news");
        for channel in ["in news", "in weather", "out news", "in news"] {
            assert_eq!(hears.recv().unwrap(), channel);
        }
        assert_eq!(peer.error("publish", json!(["news", "forbidden"])), -32001);
        assert_eq!(peer.error("publish", json!(["weather", 7])), -32001);
        peer.notify("publish", json!(["news", "hello"]));
        peer.notify("publish", json!(["news", 7]));
        assert_eq!(peer.message().message, "HELLO");
        assert_eq!(peer.message().message, 7);
        peer.socket.reset();
        let mut left = [hears.recv().unwrap(), hears.recv().unwrap()];
        left.sort();
        assert_eq!(left, ["out news", "out weather"]);
        assert!(hears.try_recv().is_err());
    });
}

#[test]
fn the_server_calls_and_notifies_clients() {
    let protocol = || {
        let mut settings = ChannelSettings::default();
        settings.unanswered_messages = 2;
        ChannelProtocol::new(settings)
    };
    with_protocol(protocol, |protocol, server, port| {
        let mut peer = Peer::connect(port);
        peer.hears_nothing_else();
        let connection = server.connections().snapshot().remove(0);
        let (outcomes, outcome) = channel();
        let call = |method: &'static str| {
            let outcomes = outcomes.clone();
            protocol.call(&connection, method, &json!({"a": 1}), move |result| {
                outcomes.send(result).unwrap();
            })
        };
        call("one").unwrap();
        let heard = peer.hear();
        assert_eq!(
            (&heard["method"], &heard["params"]),
            (&json!("one"), &json!({"a": 1}))
        );
        peer.say(&json!({"jsonrpc": "2.0", "id": heard["id"], "result": ["fine"]}));
        assert_eq!(outcome.recv().unwrap().unwrap(), json!(["fine"]));
        // Who answers twice, or what nobody asked, is not listened to.
        peer.answer(&heard["id"]);
        peer.answer(&json!(999));
        call("two").unwrap();
        let error = json!({"code": 5, "message": "no"});
        let id = peer.hear()["id"].clone();
        peer.say(&json!([{"jsonrpc": "2.0", "id": id, "error": error}]));
        let failed = outcome.recv().unwrap().unwrap_err();
        assert!(
            matches!(&failed, CallError::Failed(error) if error.code == 5),
            "{failed}"
        );
        protocol.broadcast("hello", &json!(["all"])).unwrap();
        let heard = peer.hear();
        assert_eq!((heard.get("id"), &heard["params"]), (None, &json!(["all"])));
        call("three").unwrap();
        peer.hear();
        peer.socket.reset();
        assert!(matches!(outcome.recv().unwrap(), Err(CallError::Closed)));
        let other = Peer::connect(port);
        drop(other);
    });
}

#[test]
fn a_call_that_is_not_answered_has_failed_and_others_go_on() {
    let protocol = || {
        let mut settings = ChannelSettings::default();
        settings.unanswered_messages = 1;
        settings.scan_interval = std::time::Duration::from_millis(5);
        settings.answer_timeout = std::time::Duration::from_millis(40);
        ChannelProtocol::new(settings)
    };
    with_protocol(protocol, |protocol, server, port| {
        let mut peer = Peer::connect(port);
        peer.hears_nothing_else();
        let connection = server.connections().snapshot().remove(0);
        // Each has the place of the one before.
        for method in ["one", "two"] {
            let (outcomes, outcome) = channel();
            let call = protocol.call(&connection, method, &json!([]), move |result| {
                outcomes.send(result).unwrap();
            });
            call.unwrap();
            let id = peer.hear()["id"].clone();
            assert!(matches!(outcome.recv().unwrap(), Err(CallError::TimedOut)));
            // Too late.
            peer.answer(&id);
        }
        protocol.broadcast("hello", &json!(["all"])).unwrap();
        let heard = peer.hear();
        assert_eq!((heard.get("id"), &heard["params"]), (None, &json!(["all"])));
    });
}

#[test]
fn calls_to_who_does_not_listen_fail_at_once() {
    let protocol = || {
        let mut settings = ChannelSettings::default();
        settings.unanswered_messages = 2;
        ChannelProtocol::new(settings)
    };
    with_server(
        |builder, protocol| (builder.on_connect(|_| ()), protocol),
        protocol,
        |protocol, server, port| {
            let mut plain = crate::websocket::WebSocket::connect(port);
            plain.ping(b"there?");
            plain.hear();
            let connection = server.connections().snapshot().remove(0);
            let call = |connection| protocol.call(connection, "m", &json!([]), |_| ());
            assert!(matches!(call(&connection), Err(CallError::Closed)));
            plain.leave();
            let mut peer = Peer::connect(port);
            peer.hears_nothing_else();
            let connection = server.connections().snapshot().remove(0);
            call(&connection).unwrap();
            call(&connection).unwrap();
            assert!(matches!(call(&connection), Err(CallError::LimitReached)));
        },
    );
}

#[test]
#[should_panic(expected = "a method of the protocol itself")]
fn own_methods_cannot_be_replaced() {
    let _ = ChannelProtocol::builder().on_rpc("publish", |_, _| Ok(Value::Null));
}
