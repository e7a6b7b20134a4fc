//! The program's WebSocket paths: the echo, the chat, the pages and scripts that speak to them.
//!
//! Frames are written by hand; what other programs make of the site is the client suites' matter.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[allow(dead_code, reason = "other tests use the rest of it")]
mod program;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use program::{Program, everywhere};

/// One connection.
struct Socket(UnixStream);

impl Socket {
    fn connect(program: &Program, path: &str, fields: &str) -> Self {
        let (socket, head) = Self::ask(program, path, fields);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        socket
    }

    /// Asks for an upgrade. Gives the head of the answer.
    fn ask(program: &Program, path: &str, fields: &str) -> (Self, String) {
        let mut stream = program.connect();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        (Self(stream), String::from_utf8(head).unwrap())
    }

    /// Sends a whole message, of at most 125 bytes, masked with zeros.
    fn send(&mut self, opcode: u8, payload: &[u8]) {
        let length = 0x80 | u8::try_from(payload.len()).unwrap();
        let mut frame = vec![0x80 | opcode, length, 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        self.0.write_all(&frame).unwrap();
    }

    /// The first byte and the payload of the next frame, of less than 64 KiB.
    fn receive(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).unwrap();
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                self.0.read_exact(&mut length).unwrap();
                usize::from(u16::from_be_bytes(length))
            }
            length => usize::from(length),
        };
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).unwrap();
        (head[0], payload)
    }

    fn say(&mut self, method: &str, params: Value) {
        let text = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.send(1, text.to_string().as_bytes());
    }

    fn hear(&mut self) -> Value {
        let (first, payload) = self.receive();
        assert_eq!(first, 0x81);
        serde_json::from_slice(&payload).unwrap()
    }
}

#[test]
fn every_message_comes_back() {
    everywhere(|program| {
        let mut socket = Socket::connect(
            program,
            "/ws?x=1",
            "Sec-WebSocket-Protocol: tidegate.channels\r\n",
        );
        for (opcode, payload) in [(1, &b"hello"[..]), (2, b"\xFF\0"), (1, b""), (2, &[7; 125])] {
            socket.send(opcode, payload);
            assert_eq!(socket.receive(), (0x80 | opcode, payload.to_owned()));
        }
        socket.send(9, b"ping");
        assert_eq!(socket.receive(), (0x8A, b"ping".to_vec()));
        socket.send(8, &1000_u16.to_be_bytes());
        assert_eq!(socket.receive(), (0x88, 1000_u16.to_be_bytes().to_vec()));
        assert_eq!(socket.0.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn compression_is_agreed_to_and_no_protocol_is() {
    everywhere(|program| {
        let fields = "Sec-WebSocket-Protocol: tidegate.channels\r\n\
                      Sec-WebSocket-Extensions: permessage-deflate\r\n";
        let (mut socket, head) = Socket::ask(program, "/ws", fields);
        assert!(
            head.contains("Sec-WebSocket-Extensions: permessage-deflate"),
            "{head}"
        );
        assert!(!head.contains("Sec-WebSocket-Protocol"), "{head}");
        let text = [b'x'; 100];
        socket.send(1, &text);
        let (first, payload) = socket.receive();
        assert_eq!(first, 0xC1);
        assert!(payload.len() < text.len());
    });
}

#[test]
fn elsewhere_an_upgrade_is_an_ordinary_request() {
    everywhere(|program| {
        let status = |path, fields| {
            let (_, head) = Socket::ask(program, path, fields);
            head[9..12].to_owned()
        };
        assert_eq!(status("/hello", ""), "200");
        assert_eq!(status("/ws/", ""), "404");
        assert_eq!(status("/ws/chat", ""), "400");
        assert_eq!(
            status("/ws/chat", "Sec-WebSocket-Protocol: other\r\n"),
            "400"
        );
        let wanted = program.get("/ws");
        assert_eq!(
            (wanted.status, wanted.field("upgrade")),
            (426, Some("websocket"))
        );
        assert_eq!(program.get("/ws/chat").status, 426);
    });
}

#[test]
fn the_chat_tells_who_is_there_and_what_was_said() {
    everywhere(|program| {
        let offer = "Sec-WebSocket-Protocol: tidegate.channels\r\n";
        let mut ada = Socket::connect(program, "/ws/chat", offer);
        ada.say("subscribe", json!(["chat"]));
        assert_eq!(ada.hear()["result"], true);
        ada.say(
            "publish",
            json!(["chat", {"name": " Ada ", "text": "\u{e9}\""}]),
        );
        let said = loop {
            let heard = ada.hear();
            if heard["method"] == "message" {
                break heard["params"]["message"].clone();
            }
        };
        assert_eq!(
            (&said["name"], &said["text"]),
            (&json!("Ada"), &json!("\u{e9}\""))
        );
        assert!(said["at"].as_u64().unwrap() > 1_700_000_000_000);
        let mut bob = Socket::connect(program, "/ws/chat", offer);
        bob.say("subscribe", json!(["chat"]));
        assert_eq!(bob.hear()["result"], true);
        assert_eq!(
            bob.hear()[0]["params"]["message"],
            said,
            "who comes late gets it too"
        );
        bob.say("subscribe", json!(["people"]));
        // How many were there a moment ago, and perhaps how many are now, come with the answer.
        let people = loop {
            let heard = bob.hear();
            let last = match &heard {
                Value::Array(batch) => batch.last().cloned(),
                _ => heard.get("params").map(|_| heard.clone()),
            };
            if let Some(last) = last {
                break last["params"]["message"].clone();
            }
        };
        assert!(people == 1 || people == 2, "{people}");
        bob.say("connections", json!([]));
        while bob.hear().get("result") != Some(&json!(2)) {}
    });
}

#[test]
fn the_chat_refuses_what_is_not_said_in_it() {
    everywhere(|program| {
        let offer = "Sec-WebSocket-Protocol: tidegate.channels\r\n";
        let mut socket = Socket::connect(program, "/ws/chat", offer);
        for (method, params) in [
            ("subscribe", json!(["other"])),
            ("publish", json!(["people", 1000])),
            ("publish", json!(["chat", "no object"])),
            ("publish", json!(["chat", {"name": "Ada", "text": " "}])),
            (
                "publish",
                json!(["chat", {"name": "A", "text": "x", "at": 1}]),
            ),
        ] {
            socket.say(method, params.clone());
            assert_eq!(socket.hear()["error"]["code"], -32001, "{method} {params}");
        }
        socket.send(1, b"nonsense");
        assert_eq!(socket.hear()["error"]["code"], -32700);
        socket.send(2, b"binary is nobody's");
        socket.say("connections", json!([]));
        assert_eq!(socket.hear()["result"], 1);
    });
}

#[test]
fn pages_and_scripts_are_served() {
    everywhere(|program| {
        for path in ["/", "/chat"] {
            let page = program.get(path);
            assert_eq!(page.field("content-type"), Some("text/html; charset=utf-8"));
            let policy = page.field("content-security-policy").unwrap();
            assert!(policy.contains("default-src 'none'"), "{policy}");
            assert!(
                policy.contains("script-src 'unsafe-inline' 'self';"),
                "{policy}"
            );
            assert!(page.text().contains("tidegate/tidegate.channels.js"));
        }
        for path in ["/tidegate/websocket.js", "/tidegate/tidegate.channels.js"] {
            let script = program.get(path);
            assert_eq!(
                script.field("content-type"),
                Some("text/javascript; charset=utf-8")
            );
        }
        assert_eq!(program.get("/tidegate/other.js").status, 404);
    });
}
