//! A client that speaks the channel protocol, and a server that does.

use std::collections::VecDeque;

use serde_json::{Value, json};
use tidegate::{ChannelProtocol, Server, ServerBuilder};

use crate::client::setting::{in_each_setting, start, stop};
use crate::websocket::{Heard, Opening, WebSocket};

/// One connection.
pub(crate) struct Peer {
    pub(crate) socket: WebSocket,
    heard: VecDeque<Value>,
    last_id: u64,
}

/// Runs a test against a server with a protocol of its own in each setting.
pub(crate) fn with_protocol(
    protocol: impl Fn() -> ChannelProtocol,
    test: impl Fn(&ChannelProtocol, &Server, u16),
) {
    with_server(|builder, protocol| (builder, protocol), protocol, test);
}

/// As [`with_protocol`], with more to set up.
pub(crate) fn with_server(
    set_up: impl Fn(ServerBuilder, ChannelProtocol) -> (ServerBuilder, ChannelProtocol),
    protocol: impl Fn() -> ChannelProtocol,
    test: impl Fn(&ChannelProtocol, &Server, u16),
) {
    in_each_setting(|builder, port| {
        let (builder, protocol) = set_up(builder, protocol());
        let server = start(builder.register_protocol(protocol.clone()));
        test(&protocol, &server, port);
        stop(server);
    });
}

impl Peer {
    pub(crate) fn connect(port: u16) -> Self {
        let opening = Opening::new(port).protocols(&["other", "tidegate.channels"]);
        let socket = opening.open();
        assert!(
            socket
                .answer
                .contains("Sec-WebSocket-Protocol: tidegate.channels\r\n")
        );
        Self {
            socket,
            heard: VecDeque::new(),
            last_id: 0,
        }
    }

    /// Asks, and gives the id it asked with.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    pub(crate) fn notify(&mut self, method: &str, params: Value) {
        self.say(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    pub(crate) fn say(&mut self, message: &Value) {
        self.socket.text(&message.to_string());
    }

    /// Answers a request of the server's.
    pub(crate) fn answer(&mut self, id: &Value) {
        self.say(&json!({"jsonrpc": "2.0", "id": id, "result": true}));
    }

    /// The next object heard; those of a batch one after the other.
    pub(crate) fn hear(&mut self) -> Value {
        while self.heard.is_empty() {
            let text = match self.socket.hear() {
                Heard::Text(text) => text,
                other => panic!("{other:?} instead of text"),
            };
            match serde_json::from_str(&text).unwrap() {
                Value::Array(items) => self.heard.extend(items),
                item => self.heard.push_back(item),
            }
        }
        let heard = self.heard.pop_front().unwrap();
        assert_eq!(heard["jsonrpc"], "2.0", "{heard}");
        heard
    }

    /// Asks, and gives the result, which is what comes next.
    pub(crate) fn result(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        let heard = self.hear();
        assert_eq!(heard["id"], id, "{heard}");
        assert!(heard.get("error").is_none(), "{heard}");
        heard["result"].clone()
    }

    /// Asks, and gives the code of the error, which is what comes next.
    pub(crate) fn error(&mut self, method: &str, params: Value) -> i64 {
        let id = self.ask(method, params);
        let heard = self.hear();
        assert_eq!(heard["id"], id, "{heard}");
        heard["error"]["code"].as_i64().unwrap()
    }

    pub(crate) fn subscribe(&mut self, channel: &str) {
        let is_new = self.result("subscribe", json!({"channel": channel}));
        assert_eq!(is_new, true);
    }

    /// A channel's message, which comes next.
    pub(crate) fn message(&mut self) -> Delivered {
        let heard = self.hear();
        assert_eq!(heard["method"], "message", "{heard}");
        let params = &heard["params"];
        Delivered {
            channel: params["channel"].as_str().unwrap().to_owned(),
            message: params["message"].clone(),
            level: params
                .get("level")
                .map_or(0, |level| level.as_u64().unwrap()),
            number: params["id"].as_u64().unwrap(),
            id: heard.get("id").cloned(),
        }
    }

    /// Nothing but what has been heard already came before this.
    pub(crate) fn hears_nothing_else(&mut self) {
        assert_eq!(self.error("nothing", json!([])), -32601);
    }
}

/// A message as it came.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) channel: String,
    pub(crate) message: Value,
    pub(crate) level: u64,
    pub(crate) number: u64,
    pub(crate) id: Option<Value>,
}
