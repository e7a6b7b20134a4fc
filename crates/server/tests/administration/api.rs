//! What is told and done.

use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate::{AdministrationClientError, CachePolicy, FineTune, Io, OperatingMode, Verbosity503};

use crate::client::setting::{builder, in_each_setting};
use crate::client::{Client, free_port};
use crate::websocket::{Heard, WebSocket};
use crate::{Administered, until};

#[test]
fn what_happens_is_told_while_it_happens() {
    in_each_setting(|builder, port| {
        let place = Administered::start_with(builder, port, |builder| {
            builder
                .on_http_request(|request, response| match request.document() {
                    "/fault" => response.status(500).empty(),
                    _ => response.text("well"),
                })
                .on_message(|connection, text| connection.send_text(text))
        });
        let admin = place.client();
        let mut client = Client::connect(place.port);
        for _ in 0..20 {
            client.get("/");
        }
        client.get("/fault");
        let mut socket = WebSocket::connect(place.port);
        socket.text("one");
        assert_eq!(socket.hear(), Heard::Text("one".to_owned()));
        let live = until("the requests are told of", || {
            let live = admin.live().unwrap();
            (live.requests == 22 && live.messages_received == 1).then_some(live)
        });
        assert_eq!((live.websockets, live.messages_sent), (1, 1));
        assert!(
            live.responses[1] >= 20 && live.responses[4] == 1,
            "{live:?}"
        );
        assert_eq!((live.queued, live.queue_length), (0, 1000));
        assert!(live.connections >= 2 && live.bytes_sent > 0, "{live:?}");
        let history = admin.history().unwrap();
        let measured: u64 = history.iter().map(|live| live.latency.count).sum();
        assert!(measured >= 21, "{measured}");
        let slowest = history
            .iter()
            .map(|live| live.latency.p99)
            .fold(0.0, f64::max);
        assert!(slowest > 0.0);
        let server = admin.server().unwrap();
        assert_eq!(server.process, std::process::id());
        let state = admin.service_state().unwrap();
        assert_eq!(state.queues.len(), 2);
        let metrics = admin.get("api/metrics").unwrap();
        assert!(
            metrics["metrics"]["backend"]["requests"].as_u64() >= Some(22),
            "{metrics}"
        );
        assert!(
            metrics["latency"]["count"].as_u64() >= Some(21),
            "{metrics}"
        );
        drop((client, socket));
        place.stop();
    });
}

#[test]
fn a_connection_is_disconnected() {
    in_each_setting(|builder, port| {
        let place = Administered::start_with(builder, port, |builder| {
            builder
                .on_http_request(|_, response| response.text("well"))
                .on_message(|connection, text| connection.send_text(text))
        });
        let admin = place.client();
        let mut client = Client::connect(place.port);
        client.get("/");
        let address = client.stream.get_ref().local_addr().unwrap();
        let ours = until("the connection is told of", || {
            let all = admin.connections(None).unwrap();
            all.into_iter()
                .find(|found| found.peer.to_string() == address.to_string())
        });
        assert_eq!(ours.requests, 1);
        assert!(admin.disconnect(&ours.id.0.to_string()).unwrap());
        assert!(client.is_closed_by_peer());
        until("it is told of no more", || {
            let all = admin.connections(None).unwrap();
            all.iter().all(|found| found.id != ours.id).then_some(())
        });
        assert!(!admin.disconnect(&ours.id.0.to_string()).unwrap());

        let mut socket = WebSocket::connect(place.port);
        socket.text("one");
        socket.hear();
        let list = admin.get("api/connections?address=127.").unwrap();
        let found = &list["websocket"][0];
        assert_eq!(
            (&found["url"], &found["messages_received"]),
            (&json!("/"), &json!(1))
        );
        assert_eq!(found["peer"], json!(socket.local().to_string()));
        assert!(admin.disconnect(found["id"].as_str().unwrap()).unwrap());
        assert!(matches!(socket.hear(), Heard::Close(Some(1000), _)));
        let none = admin.get("api/connections?address=198.51.100.").unwrap();
        assert_eq!(
            (&none["http"], &none["websocket"]),
            (&json!([]), &json!([]))
        );
        for nobody in [
            "0",
            "18446744073709551616",
            "x",
            "%2F",
            "",
            "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        ] {
            assert!(!admin.disconnect(nobody).unwrap(), "{nobody}");
        }
        place.stop();
    });
}

#[test]
fn the_cache_is_looked_into_and_flushed() {
    let place = Administered::start(|builder| {
        builder.on_http_request(|request, response| {
            let policy = CachePolicy::TimeToLive(Duration::from_secs(600));
            let text = request.document().to_owned();
            response.cache(policy).text(text);
        })
    });
    let admin = place.client();
    let mut client = Client::connect(place.port);
    let paths = ["/news/a", "/news/b", "/else"];
    let fill = |client: &mut Client| {
        for path in paths {
            client.get(path);
        }
    };
    let urls = |of| -> Vec<String> {
        let found = admin.cached(of).unwrap();
        found.into_iter().map(|found| found.url).collect()
    };
    fill(&mut client);
    until("all are cached", || (urls(None).len() == 3).then_some(()));
    let found = admin.cached(Some("/else")).unwrap();
    assert_eq!(
        (found.len(), found[0].status, found[0].content_bytes),
        (1, 200, 5)
    );
    assert!(found[0].time_left.is_some_and(|left| left > 500.0));
    assert_eq!(urls(Some("/news")).len(), 2);
    assert_eq!(admin.flush_cache(Some("/news/a"), false).unwrap(), 1);
    assert_eq!(admin.flush_cache(Some("/news/"), true).unwrap(), 1);
    assert_eq!(urls(None).len(), 1);
    assert_eq!(admin.flush_cache(None, false).unwrap(), 1);
    assert_eq!(urls(None).len(), 0);
    admin.flush_logs().unwrap();
    for (asked, status) in [
        (json!([]), 400),
        (json!({"url": 1}), 400),
        (json!({"url": "nothing"}), 400),
        (json!({"recursive": "yes"}), 400),
        (json!({"url": "x".repeat(100_000)}), 413),
    ] {
        let error = admin.post("api/cache/flush", &asked).unwrap_err();
        let AdministrationClientError::Refused { status: found, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(found, status);
    }
    place.stop();
}

#[test]
fn the_namespace_says_whose_urls_there_are() {
    let place = Administered::start(|builder| builder);
    let namespace = place.client().namespace().unwrap();
    let urls: Vec<_> = namespace
        .urls
        .iter()
        .map(|url| (&*url.url, &*url.owner, url.active))
        .collect();
    let own = format!("http://127.0.0.1:{}/", place.port);
    let admin = format!("http://localhost:{}/admin/", place.admin_port);
    assert!(urls.contains(&(&*own, "application", true)), "{urls:?}");
    assert!(
        urls.contains(&(&*admin, "administration", true)),
        "{urls:?}"
    );
    assert!(namespace.tls.is_empty() && namespace.reservations.is_empty());
    let listening = format!("127.0.0.1:{}", place.admin_port);
    assert!(namespace.endpoints.contains(&listening), "{namespace:?}");
    place.stop();
}

#[test]
fn what_cannot_be_is_refused_by_its_status() {
    let place = Administered::start(|builder| builder);
    let bearer = place.bearer();
    let status = |method: &str, path: &str| place.ask(method, path, &[&bearer], "").status;
    for path in [
        "server",
        "live",
        "history",
        "metrics",
        "state",
        "namespace",
        "connections",
        "cache",
    ] {
        let path = format!("api/{path}");
        assert_eq!(status("GET", &path), 200, "{path}");
        assert_eq!(status("POST", &path), 405, "{path}");
        assert_eq!(status("DELETE", &path), 405, "{path}");
    }
    for path in [
        "cache/flush",
        "logs/flush",
        "sign-in-link",
        "connections/1/disconnect",
    ] {
        assert_eq!(status("GET", &format!("api/{path}")), 405, "{path}");
    }
    for path in [
        "api/",
        "api/x",
        "api/server/",
        "x",
        "page.htm",
        "api/connections/1",
    ] {
        assert_eq!(status("GET", path), 404, "{path}");
    }
    for query in ["after=x", "limit=-1", "after=99999999999999999999"] {
        assert_eq!(
            status("GET", &format!("api/connections?{query}")),
            400,
            "{query}"
        );
    }
    assert_eq!(status("GET", "api/connections?limit=0"), 200);
    assert_eq!(status("GET", "live"), 426);
    assert_eq!(status("PUT", "sign-in"), 405);
    assert_eq!(status("GET", "sign-out"), 405);
    let host = format!("Host: localhost:{}", place.admin_port);
    let mut client = Client::connect(place.admin_port);
    client.write(format!("GET /admin HTTP/1.1\r\n{host}\r\n\r\n").as_bytes());
    let moved = client.receive();
    assert_eq!(
        (moved.status, moved.field("Location")),
        (308, Some("/admin/"))
    );
    place.stop();
}

// In the other mode a handler that holds its thread up holds up whoever that thread serves.
#[test]
fn an_application_that_is_held_up_does_not_silence_it() {
    for io in [Io::Auto, Io::Poll] {
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let may_go_on = Mutex::new(may_go_on);
        let port = free_port();
        let builder = builder(io, OperatingMode::Classic, port).verbosity_503(Verbosity503::Full);
        let place = Administered::start_with(builder, port, |builder| {
            let tune = FineTune {
                queue_length: 1,
                ..FineTune::default()
            };
            builder.fine_tune(tune).on_http_request(move |_, response| {
                // Whoever waits for the lock is held up as well.
                let _ = may_go_on.lock().unwrap().recv();
                response.text("well");
            })
        });
        let admin = place.client();
        let send = || {
            let mut client = Client::connect(place.port);
            client.send("GET", "/", &[], "");
            client
        };
        // One after the other: the queue has room for one that nobody has taken yet.
        let mut waiting = Vec::new();
        for counted in [(1, 0), (2, 0), (3, 0), (4, 0), (4, 1)] {
            waiting.push(send());
            until("the request has come", || {
                let state = admin.service_state().unwrap();
                let now = &state.queues[0].counters;
                ((now.active, now.queued) == counted).then_some(())
            });
        }
        assert_eq!(send().receive().status, 503);
        let live = until("the queue is full", || {
            let live = admin.live().unwrap();
            (live.refused == 1).then_some(live)
        });
        assert_eq!((live.active, live.queued, live.queue_length), (4, 1, 1));
        assert_eq!(live.unavailable["QueueFull"], live.refused);
        assert!(live.queue_age > 0.0);
        drop(go_on);
        drop(waiting);
        place.stop();
    }
}

#[test]
fn the_websocket_tells_live_values_and_answers() {
    let place =
        Administered::start(|builder| builder.on_http_request(|_, response| response.text("well")));
    let mut socket = place.live(&[&place.bearer()]);
    let mut hear = |kind: &str| -> Value {
        loop {
            let Heard::Text(text) = socket.hear() else {
                panic!("the connection ended")
            };
            let told: Value = serde_json::from_str(&text).unwrap();
            if told["type"] == kind {
                return told;
            }
        }
    };
    let hello = hear("hello");
    assert_eq!(hello["server"]["process"], json!(std::process::id()));
    assert!(!hello["history"].as_array().unwrap().is_empty());
    let mut client = Client::connect(place.port);
    client.get("/");
    while hear("live")["live"]["requests"] != json!(1) {}
    let mut socket = place.live(&[&place.bearer()]);
    for (asked, kind) in [
        (r#"{"ask":"connections"}"#, "connections"),
        (r#"{"ask":"namespace"}"#, "namespace"),
        (r#"{"ask":"cache","url":"/"}"#, "cache"),
        (r#"{"ask":"nothing"}"#, "error"),
        ("no JSON", "error"),
    ] {
        socket.text(asked);
        loop {
            let Heard::Text(text) = socket.hear() else {
                panic!("the connection ended")
            };
            let told: Value = serde_json::from_str(&text).unwrap();
            if told["type"] == kind {
                break;
            }
        }
    }
    drop(client);
    place.stop();
}
