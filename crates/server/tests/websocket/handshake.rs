//! Handshakes: which are taken, what they are answered with, and what is none.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, mpsc::Receiver};

use tidegate::{
    Connection, Disconnect, HandlerError, Handshake, HandshakeResponse, Opcode, ServerBuilder,
    SubProtocol, Taken, WebSocketSettings,
};

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::journal::{Happened, Journal};
use crate::websocket::{Heard, Opening, WebSocket, encoded, frame};

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const UPGRADE: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    KEY,
    "Sec-WebSocket-Version: 13",
];

/// The usual fields with some in place of one, or beside them.
fn fields<'a>(without: &str, with: &[&'a str]) -> Vec<&'a str> {
    let kept = UPGRADE
        .into_iter()
        .filter(|field| !field.starts_with(without));
    kept.chain(with.iter().copied()).collect()
}

fn plain(builder: ServerBuilder) -> ServerBuilder {
    builder.on_http_request(|_, response| response.text("plain"))
}

#[test]
fn a_wrong_handshake_is_told_what_is_wrong() {
    let cases = [
        (fields("Sec-WebSocket-Version", &[]), 426),
        (
            fields("Sec-WebSocket-Version", &["Sec-WebSocket-Version: 8"]),
            426,
        ),
        (fields("?", &["Sec-WebSocket-Version: 13"]), 400),
        (fields("Sec-WebSocket-Key", &[]), 400),
        (
            fields("Sec-WebSocket-Key", &["Sec-WebSocket-Key: c2hvcnQ="]),
            400,
        ),
        (
            fields(
                "Sec-WebSocket-Key",
                &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ???"],
            ),
            400,
        ),
        (fields("?", &[KEY]), 400),
        (fields("?", &["Sec-WebSocket-Protocol: a b"]), 400),
        (fields("?", &["Sec-WebSocket-Extensions: ;"]), 400),
        (fields("?", &["Origin: http://elsewhere.example"]), 403),
        (fields("?", &["Origin: https://example.com:8443"]), 403),
    ];
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let mut settings = WebSocketSettings::default();
        let allowed = "https://example.com, localhost:*";
        settings.security.origins_allowed = allowed.parse().unwrap();
        let server = start(plain(journal.attach_echo(builder)).websocket(settings));
        for (index, (fields, status)) in cases.iter().enumerate() {
            let mut client = Client::connect(port);
            let answer = client.request("GET", "/", fields, "");
            assert_eq!(answer.status, *status, "{fields:?}");
            if *status == 426 {
                assert_eq!(answer.field("Sec-WebSocket-Version"), Some("13"));
                assert_eq!(answer.field("Upgrade"), Some("websocket"));
            }
            let told = journal.wait("the error", |pages| {
                let error = pages.entries.get(index)?.1.clone();
                Some(matches!(error, Happened::Error(text) if text.starts_with("Handshake")))
            });
            assert!(told);
        }
        for origin in ["https://example.com", "http://localhost:3000"] {
            Opening::new(port).field("Origin", origin).open().leave();
        }
        // A program that is no browser has no origin.
        WebSocket::connect(port).leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn checks_may_be_switched_off() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let mut settings = WebSocketSettings::default();
        settings.security.enforce_websocket_version = false;
        settings.security.validate_websocket_key = false;
        let server = start(journal.attach_echo(builder).websocket(settings));
        let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Key: odd\r\n\r\n";
        let mut client = WebSocket::connect_raw(port, request.as_bytes());
        assert!(
            client.answer.starts_with("HTTP/1.1 101 "),
            "{}",
            client.answer
        );
        client.text("hello");
        assert_eq!(client.hear_text(), "hello");
        client.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn what_asks_for_no_websocket_is_an_ordinary_request() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(plain(journal.attach_echo(builder)));
        let all = UPGRADE.join("\r\n");
        for request in [
            format!("GET / HTTP/1.0\r\nHost: a\r\n{all}\r\n\r\n"),
            format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n{all}\r\n\r\nhi"),
            format!("HEAD / HTTP/1.1\r\nHost: a\r\n{all}\r\n\r\n"),
            all_but(&all, "Connection: Upgrade", "Connection: keep-alive"),
            all_but(&all, "Upgrade: websocket", "Upgrade: h2c"),
            all_but(&all, "Upgrade: websocket", "X-Upgrade: websocket"),
        ] {
            let answer = WebSocket::answer_to(port, request.as_bytes());
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer} to {request}");
        }
        stop(server);
        assert!(!journal.entries().contains(&Happened::Connect));
    });
    // Nor is it one where nobody listens.
    in_each_setting(|builder, port| {
        let server = start(plain(builder));
        let mut client = Client::connect(port);
        let answer = client.request("GET", "/", &UPGRADE, "");
        assert_eq!((answer.status, answer.text()), (200, "plain"));
        drop(client);
        stop(server);
    });
    in_each_setting(|builder, port| {
        let mut settings = WebSocketSettings::default();
        settings.rfc6455 = false;
        let journal = Arc::new(Journal::default());
        let server = start(plain(journal.attach_echo(builder)).websocket(settings));
        let mut client = Client::connect(port);
        assert_eq!(client.request("GET", "/", &UPGRADE, "").text(), "plain");
        drop(client);
        stop(server);
    });
}

fn all_but(all: &str, field: &str, other: &str) -> String {
    let fields = all.replace(field, other);
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")
}

#[test]
fn lists_and_letter_case_of_proxies_are_understood() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        for (connection, upgrade) in [
            ("Connection: keep-alive, Upgrade", "Upgrade: websocket"),
            ("Connection: upgrade", "Upgrade: WebSocket"),
            ("connection: UPGRADE", "UPGRADE: WEBSOCKET"),
            (
                "Connection: close, \tupgrade , x",
                "Upgrade: h2c, websocket",
            ),
            (
                "Connection: keep-alive\r\nConnection: Upgrade",
                "Upgrade: h2c\r\nUpgrade: websocket",
            ),
        ] {
            let request = format!(
                "GET /chat HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\n{upgrade}\r\n\
                 {connection}\r\nsec-websocket-version: 13\r\n{KEY}\r\n\r\n"
            );
            let mut client = WebSocket::connect_raw(port, request.as_bytes());
            let answer = client.answer.to_ascii_lowercase();
            assert!(answer.starts_with("http/1.1 101 "), "{answer} to {request}");
            for field in [ACCEPT, "upgrade: websocket", "connection: upgrade"] {
                let field = format!("\r\n{}\r\n", field.to_ascii_lowercase());
                assert_eq!(answer.matches(&field).count(), 1, "{field} in {answer}");
            }
            client.text("hello");
            assert_eq!(client.hear_text(), "hello");
            client.leave();
        }
        stop(server);
        journal.check();
    });
}

#[test]
fn frames_right_behind_the_handshake_are_taken() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let text = encoded(frame(Opcode::Text, true), b"at once");
        let large = encoded(frame(Opcode::Binary, true), &[7; 100_000]);
        for cut in [1, text.len() - 1, text.len()] {
            let mut client = Opening::new(port).behind(&text[..cut]).open();
            client.write(&text[cut..]);
            assert_eq!(client.hear_text(), "at once");
            client.leave();
        }
        let mut client = Opening::new(port).behind(&large).behind(&text).open();
        assert_eq!(client.hear(), Heard::Binary(vec![7; 100_000]));
        assert_eq!(client.hear_text(), "at once");
        client.leave();
        // Requests before it on the same connection are answered before it.
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n",
            UPGRADE.join("\r\n")
        );
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(&text);
        let mut client = WebSocket::connect_raw(port, &bytes);
        assert!(
            client.answer.starts_with("HTTP/1.1 404 "),
            "{}",
            client.answer
        );
        assert_eq!(client.hear_text(), "at once");
        client.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn the_application_may_say_something_to_a_handshake() {
    let judge = |handshake: &Handshake<'_>, response: &mut HandshakeResponse| {
        match handshake.request().document() {
            "/header" => {
                response
                    .header("Set-Cookie", "a=b")
                    .header("X-Also", "this");
            }
            "/no" => response.refuse(401),
            "/odd" => response.refuse(200),
            "/pass" => response.pass(),
            "/panic" => panic!("as asked for"),
            "/taken" => {
                response.header("Sec-WebSocket-Accept", "mine");
            }
            "/split" => {
                response.header("X-Split", "a\r\nb");
            }
            "/window" => {
                response.configure(|options| {
                    options.per_message_deflate.enabled = true;
                    options.per_message_deflate.server_max_window_bits = 20;
                });
            }
            "/invented" => {
                response.protocol("nobody has offered this");
            }
            _ => {
                let offered = handshake.protocols().last().map(str::to_owned);
                if let Some(protocol) = offered {
                    response.protocol(protocol);
                }
                assert_eq!(handshake.key().as_deref(), Some("dGhlIHNhbXBsZSBub25jZQ=="));
                assert_eq!(handshake.origin(), None);
            }
        };
    };
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = plain(journal.attach_echo(builder)).on_handshake(judge);
        let server = start(builder);
        let client = Opening::new(port).target("/header").open();
        for field in ["Set-Cookie: a=b\r\n", "X-Also: this\r\n"] {
            assert!(client.answer.contains(field), "{}", client.answer);
        }
        client.leave();
        for (target, status) in [
            ("/no", 401),
            ("/odd", 500),
            ("/pass", 200),
            ("/panic", 500),
            ("/taken", 500),
            ("/split", 500),
            ("/invented", 500),
            ("/window", 500),
        ] {
            let mut client = Client::connect(port);
            let answer = client.request("GET", target, &UPGRADE, "");
            assert_eq!(answer.status, status, "{target}");
            assert_eq!(answer.text() == "plain", target == "/pass");
            // The connection speaks HTTP still.
            assert_eq!(client.get("/").text(), "plain");
        }
        let client = Opening::new(port).protocols(&["one", "two"]).open();
        let chosen = "Sec-WebSocket-Protocol: two\r\n";
        assert!(client.answer.contains(chosen), "{}", client.answer);
        client.leave();
        stop(server);
        journal.check();
    });
}

/// A sub-protocol that takes what begins with its name, and fails or panics if asked to.
struct Named(&'static str, Mutex<Sender<String>>);

impl Named {
    fn new(name: &'static str) -> (Self, Receiver<String>) {
        let (sender, told) = channel();
        (Self(name, Mutex::new(sender)), told)
    }

    fn tell(&self, what: String) {
        // Who has been told enough listens no more.
        let _ = self.1.lock().unwrap().send(what);
    }
}

impl SubProtocol for Named {
    fn name(&self) -> &str {
        self.0
    }

    fn on_connect(&self, _: &Connection) {
        self.tell("connect".into());
    }

    fn on_message(&self, connection: &Connection, text: &str) -> Result<Taken, HandlerError> {
        if text == "fail" {
            return Err("failed".into());
        }
        if !text.starts_with(self.0) {
            return Ok(Taken::Passed);
        }
        connection.send_text("taken")?;
        Ok(Taken::Handled)
    }

    fn on_disconnect(&self, _: &Connection, disconnect: &Disconnect) {
        self.tell(format!("disconnect {}", disconnect.code));
        panic!("after the end");
    }
}

#[test]
fn a_registered_sub_protocol_has_its_connections() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let (chat, told) = Named::new("chat");
        let (news, _) = Named::new("news");
        let builder = journal.attach_echo(builder);
        let server = start(builder.register_protocol(chat).register_protocol(news));
        // Of those offered, the first that is registered.
        let offered = ["unknown", "chat", "news"];
        let mut client = Opening::new(port).protocols(&offered).open();
        let connection = journal.connection(0);
        assert_eq!(connection.protocol(), Some("chat"));
        assert_eq!(told.recv().unwrap(), "connect");
        client.text("chat about this");
        assert_eq!(client.hear_text(), "taken");
        client.text("this is not for it");
        assert_eq!(client.hear_text(), "this is not for it");
        client.binary(b"nor this");
        assert_eq!(client.hear(), Heard::Binary(b"nor this".into()));
        client.text("fail");
        client.answer_close(1011);
        assert_eq!(told.recv().unwrap(), "disconnect 1011");
        assert_eq!(journal.disconnect().code, 1011);
        let texts = journal.texts(1);
        assert_eq!(texts, ["this is not for it"]);
        // Without one of them, the server has the connection alone.
        let mut client = Opening::new(port).protocols(&["unknown"]).open();
        client.text("chat about this");
        assert_eq!(client.hear_text(), "chat about this");
        assert_eq!(journal.connection(1).protocol(), None);
        client.leave();
        assert!(server.unregister_protocol("chat") && !server.unregister_protocol("chat"));
        let client = Opening::new(port).protocols(&offered).open();
        assert_eq!(journal.connection(2).protocol(), Some("news"));
        client.leave();
        stop(server);
        journal.check();
    });
}
