//! The three levels, both ways, with peers that withhold their answers.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::json;
use tidegate::{
    Acknowledgment, ChannelProtocol, ChannelProtocolBuilder, ChannelSettings, DeliveryLevel,
    Retention,
};

use crate::peer::{Peer, with_protocol};

/// One that looks often for what has not been answered.
fn impatient() -> ChannelProtocolBuilder {
    let mut settings = ChannelSettings::default();
    settings.answer_timeout = Duration::from_millis(10);
    settings.scan_interval = Duration::from_millis(5);
    ChannelProtocol::builder().settings(settings)
}

/// One that looks never.
fn patient() -> ChannelProtocolBuilder {
    let mut settings = ChannelSettings::default();
    settings.scan_interval = Duration::from_secs(3600);
    settings.unanswered_messages = 3;
    settings.unanswered_bytes = 1000;
    ChannelProtocol::builder().settings(settings)
}

#[test]
fn at_least_once_is_sent_again_until_it_is_answered() {
    let (told, hears) = channel::<Acknowledgment>();
    let told = std::sync::Arc::new(Mutex::new(told));
    let protocol = || {
        let told = std::sync::Arc::clone(&told);
        let hook = move |_: &tidegate::ChannelClient<'_>, acknowledgment: &Acknowledgment| {
            told.lock().unwrap().send(acknowledgment.clone()).unwrap();
        };
        impatient().on_acknowledgment(hook).build()
    };
    with_protocol(protocol, |protocol, _, port| {
        let (mut mute, mut prompt) = (Peer::connect(port), Peer::connect(port));
        mute.subscribe("a");
        prompt.subscribe("a");
        let level = DeliveryLevel::AtLeastOnce;
        let number = protocol.publish_at(level, "a", "once?").unwrap();
        let first = prompt.message();
        assert_eq!(
            (first.number, first.level, &first.message),
            (number, 1, &json!("once?"))
        );
        prompt.answer(&first.id.unwrap());
        let told = hears.recv().unwrap();
        assert_eq!(
            (told.number, &*told.channel, told.level),
            (number, "a", level)
        );
        // As often as it takes.
        for _ in 0..5 {
            let again = mute.message();
            assert_eq!((again.number, again.level), (number, 1));
            assert_eq!(again.id, Some(number.into()));
        }
        mute.answer(&number.into());
        assert_eq!(hears.recv().unwrap().number, number);
        // Those on their way when the answer came; then no more.
        let id = mute.ask("nothing", json!([]));
        while mute.hear()["id"] != id {}
        mute.hears_nothing_else();
        assert!(hears.try_recv().is_err());
    });
}

#[test]
fn exactly_once_takes_two_steps_each_of_which_is_repeated() {
    let (told, hears) = channel::<u64>();
    let told = std::sync::Arc::new(Mutex::new(told));
    let protocol = || {
        let told = std::sync::Arc::clone(&told);
        let hook = move |_: &tidegate::ChannelClient<'_>, acknowledgment: &Acknowledgment| {
            told.lock().unwrap().send(acknowledgment.number).unwrap();
        };
        impatient().on_acknowledgment(hook).build()
    };
    with_protocol(protocol, |protocol, _, port| {
        let mut peer = Peer::connect(port);
        peer.subscribe("a");
        let level = DeliveryLevel::ExactlyOnce;
        let number = protocol.publish_at(level, "a", &1).unwrap();
        for _ in 0..3 {
            let message = peer.message();
            assert_eq!((message.number, message.level), (number, 2));
        }
        peer.answer(&number.into());
        let mut releases = Vec::new();
        while releases.len() < 3 {
            let heard = peer.hear();
            match heard["method"].as_str() {
                // One that was on its way.
                Some("message") => assert!(releases.is_empty()),
                Some("release") => {
                    assert_eq!(heard["params"], json!({"id": number}));
                    releases.push(heard["id"].as_u64().unwrap());
                }
                _ => panic!("{heard}"),
            }
        }
        releases.dedup();
        assert_eq!(releases.len(), 1, "it is the same request");
        assert!(hears.try_recv().is_err());
        peer.answer(&releases[0].into());
        assert_eq!(hears.recv().unwrap(), number);
        let id = peer.ask("nothing", json!([]));
        while peer.hear()["id"] != id {}
        peer.hears_nothing_else();
    });
}

#[test]
fn a_named_publish_that_comes_again_is_published_once() {
    let protocol = || patient().retain("a", Retention::All).build();
    with_protocol(protocol, |protocol, server, port| {
        let publish = |name: &str| json!({"channel": "a", "message": name, "level": 2, "id": name});
        let mut peer = Peer::connect(port);
        let number = peer.result("publish", publish("x"));
        assert_eq!(peer.result("publish", publish("x")), number);
        // The client has lost its connection before it had the answer.
        peer.socket.reset();
        while server.connections().count() > 0 {
            std::thread::yield_now();
        }
        let mut peer = Peer::connect(port);
        assert_eq!(peer.result("publish", publish("x")), number);
        assert_eq!(protocol.clear_queue("a"), 1);
        assert_eq!(peer.result("release", json!({"id": "x"})), true);
        assert_eq!(peer.result("release", json!({"id": "x"})), true);
        assert_ne!(
            peer.result("publish", publish("x")),
            number,
            "a new one of that name"
        );
        // What is not released is bounded.
        for name in ["y", "z"] {
            peer.result("publish", publish(name));
        }
        assert_eq!(peer.error("publish", publish("one too many")), -32002);
        peer.result("release", json!({"id": "y"}));
        peer.result("publish", publish("now"));
        assert_eq!(protocol.clear_queue("a"), 4);
    });
}

#[test]
fn who_acknowledges_nothing_is_closed_and_others_go_on() {
    for long in [false, true] {
        with_protocol(
            || patient().build(),
            |protocol, _, port| {
                let (mut mute, mut prompt) = (Peer::connect(port), Peer::connect(port));
                mute.subscribe("a");
                prompt.subscribe("a");
                let (count, message) = match long {
                    false => (4, "x".to_owned()),
                    true => (2, "x".repeat(600)),
                };
                for _ in 0..count {
                    protocol
                        .publish_at(DeliveryLevel::AtLeastOnce, "a", &message)
                        .unwrap();
                    let id = prompt.message().id.unwrap();
                    prompt.answer(&id);
                    prompt.hears_nothing_else();
                }
                mute.socket.answer_close(1008);
                prompt.hears_nothing_else();
                prompt.socket.leave();
            },
        );
    }
}

#[test]
fn kept_messages_are_acknowledged_as_well() {
    let protocol = || patient().retain("a", Retention::All).build();
    with_protocol(protocol, |protocol, _, port| {
        let level = DeliveryLevel::AtLeastOnce;
        for message in 1..=3 {
            protocol.publish_at(level, "a", &message).unwrap();
        }
        let mut peer = Peer::connect(port);
        peer.subscribe("a");
        let ids: Vec<_> = (0..3).map(|_| peer.message().id.unwrap()).collect();
        // As many as may be unanswered.
        let answers: Vec<_> = ids
            .iter()
            .map(|id| json!({"jsonrpc": "2.0", "id": id, "result": null}))
            .collect();
        peer.say(&answers.into());
        peer.hears_nothing_else();
        protocol.publish_at(level, "a", &4).unwrap();
        assert_eq!(peer.message().message, 4);
        // One more is kept than a connection may leave unanswered.
        let mut late = Peer::connect(port);
        assert_eq!(late.error("subscribe", json!(["a"])), -32002);
        late.hears_nothing_else();
    });
}

#[test]
fn who_has_unsubscribed_is_not_asked_again() {
    let protocol = || {
        let mut settings = ChannelSettings::default();
        settings.answer_timeout = Duration::from_millis(10);
        settings.scan_interval = Duration::from_millis(5);
        settings.use_matches_mask = true;
        ChannelProtocol::new(settings)
    };
    with_protocol(protocol, |protocol, _, port| {
        let level = DeliveryLevel::AtLeastOnce;
        let mut peer = Peer::connect(port);
        for channel in ["a", "b", "b*"] {
            peer.subscribe(channel);
        }
        protocol.publish_at(level, "a", "gone").unwrap();
        protocol.publish_at(level, "b", "still here").unwrap();
        let mut left = [
            peer.ask("unsubscribe", json!(["a"])),
            peer.ask("unsubscribe", json!(["b"])),
        ]
        .to_vec();
        while let Some(id) = left.first() {
            let heard = peer.hear();
            if heard["id"] == *id {
                left.remove(0);
            }
        }
        for _ in 0..10 {
            assert_eq!(peer.message().message, "still here", "the mask matches it");
        }
    });
}
