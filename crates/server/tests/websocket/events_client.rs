//! A client of connections over server-sent events: reads the stream on one connection, says things on another.

use std::io::{BufRead, ErrorKind, Read};

use tidegate::ServerBuilder;

use crate::client::{Answer, Client};

/// A connection from the client's side.
pub(crate) struct Events {
    stream: Client,
    requests: Client,
    port: u16,
    path: String,
    /// Of the chunk in progress.
    left: usize,
    pub(crate) session: String,
    pub(crate) protocol: Option<String>,
    number: u64,
}

/// An event's name and data; `None`: the stream has ended.
pub(crate) type Heard = Option<(String, String)>;

/// What opens a connection.
pub(crate) const ASKS: &str = "tidegate-transport=sse";

pub(crate) fn heard(name: &str, data: &str) -> Heard {
    Some((name.to_owned(), data.to_owned()))
}

/// Has the server accept such connections.
pub(crate) fn with_fallback(
    builder: ServerBuilder,
    change: impl FnOnce(&mut tidegate::WebSocketSettings),
) -> ServerBuilder {
    let mut settings = tidegate::WebSocketSettings::default();
    settings.fallback.server_sent_events.enabled = true;
    change(&mut settings);
    builder.websocket(settings)
}

impl Events {
    pub(crate) fn connect(port: u16) -> Self {
        Self::open(port, "/", "")
    }

    /// Opens a connection at a path, with more in its query.
    pub(crate) fn open(port: u16, path: &str, query: &str) -> Self {
        let mut stream = Client::connect(port);
        stream.send("GET", &format!("{path}?{ASKS}{query}"), &[], "");
        Self::over(stream, port, path)
    }

    /// Reads the answer to a request that opens one.
    pub(crate) fn over(mut stream: Client, port: u16, path: &str) -> Self {
        let (status, fields) = stream.receive_head();
        assert_eq!(status, 200, "{fields:?}");
        for (name, value) in [
            ("Content-Type", "text/event-stream"),
            ("Cache-Control", "no-store"),
            ("X-Accel-Buffering", "no"),
            ("Transfer-Encoding", "chunked"),
        ] {
            let is_there = |(found, told): &&(String, String)| {
                found.eq_ignore_ascii_case(name) && told == value
            };
            assert_eq!(
                fields.iter().filter(is_there).count(),
                1,
                "{name}: {fields:?}"
            );
        }
        let mut events = Self {
            stream,
            requests: Client::connect(port),
            port,
            path: path.to_owned(),
            left: 0,
            session: String::new(),
            protocol: None,
            number: 0,
        };
        assert_eq!(events.line().as_deref(), Some("retry: 3000"));
        let (name, data) = events.hear().unwrap();
        assert_eq!(name, "open");
        let open: serde_json::Value = serde_json::from_str(&data).unwrap();
        events.session = open["session"].as_str().unwrap().to_owned();
        events.protocol = open["protocol"].as_str().map(str::to_owned);
        events
    }

    /// The next event, comments passed over.
    pub(crate) fn hear(&mut self) -> Heard {
        let (mut name, mut data) = (String::new(), None);
        loop {
            let Some(line) = self.line() else {
                assert!(name.is_empty(), "the stream ended within an event");
                return None;
            };
            if let Some(value) = line.strip_prefix("event: ") {
                value.clone_into(&mut name);
            } else if let Some(value) = line.strip_prefix("data: ") {
                assert!(data.replace(value.to_owned()).is_none(), "one line of data");
            } else if line.is_empty() && !name.is_empty() {
                return Some((name, data.unwrap()));
            } else {
                assert!(line.is_empty() || line.starts_with(':'), "{line}");
            }
        }
    }

    pub(crate) fn hear_text(&mut self) -> String {
        let (name, data) = self.hear().expect("the stream has ended");
        assert_eq!(name, "text", "{data}");
        serde_json::from_str(&data).unwrap()
    }

    /// Whether the stream was broken off before its end.
    pub(crate) fn breaks_off(mut self) -> bool {
        loop {
            let mut rest = [0; 4096];
            match self.stream.stream.read(&mut rest) {
                Ok(0) => return true,
                Ok(count) if rest[..count].ends_with(b"0\r\n\r\n") => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == ErrorKind::ConnectionReset,
            }
        }
    }

    /// Says the next thing, and waits until it was taken.
    pub(crate) fn say(&mut self, messages: &str) {
        self.begin(messages);
        let answer = self.requests.receive();
        assert_eq!(answer.status, 204, "{}", answer.text());
        assert_eq!(answer.field("Cache-Control"), Some("no-store"));
    }

    /// Says the next thing, and does not wait.
    pub(crate) fn begin(&mut self, messages: &str) {
        self.number += 1;
        let (number, session) = (self.number.to_string(), self.session.clone());
        let fields = fields(&session, &number);
        let fields: Vec<_> = fields.iter().map(|field| &**field).collect();
        self.requests
            .send("POST", &self.target(), &fields, messages);
    }

    pub(crate) fn answer(&mut self) -> Answer {
        self.requests.receive()
    }

    pub(crate) fn say_text(&mut self, text: &str) {
        let text = serde_json::to_string(text).unwrap();
        self.say(&format!("[{{\"text\":{text}}}]"));
    }

    /// Asks on a connection of its own, as anybody may.
    pub(crate) fn post(&self, session: &str, number: &str, messages: &str) -> Answer {
        let fields = fields(session, number);
        let fields: Vec<_> = fields.iter().map(|field| &**field).collect();
        Client::connect(self.port).request("POST", &self.target(), &fields, messages)
    }

    pub(crate) fn target(&self) -> String {
        format!("{}?{ASKS}", self.path)
    }

    /// The number that the next request has.
    pub(crate) fn next_number(&self) -> String {
        (self.number + 1).to_string()
    }

    /// Another request than its own has had the next number.
    pub(crate) fn count_one(&mut self) {
        self.number += 1;
    }

    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        loop {
            if self.left == 0 {
                let mut length = String::new();
                self.stream.stream.read_line(&mut length).unwrap();
                self.left = usize::from_str_radix(length.trim_end(), 16).unwrap();
                if self.left == 0 {
                    assert!(line.is_empty(), "the stream ended within a line");
                    return None;
                }
            }
            let there = self.stream.stream.fill_buf().unwrap();
            assert!(!there.is_empty(), "the stream broke");
            let there = &there[..there.len().min(self.left)];
            let end = there.iter().position(|&byte| byte == b'\n');
            let count = end.map_or(there.len(), |end| end + 1);
            line.extend_from_slice(&there[..count]);
            self.stream.stream.consume(count);
            self.left -= count;
            if self.left == 0 {
                let mut end = [0; 2];
                self.stream.stream.read_exact(&mut end).unwrap();
                assert_eq!(&end, b"\r\n");
            }
            if end.is_some() {
                line.pop();
                return Some(String::from_utf8(line).unwrap());
            }
        }
    }
}

fn fields(session: &str, number: &str) -> [String; 3] {
    [
        format!("Tidegate-Session: {session}"),
        format!("Tidegate-Number: {number}"),
        "Content-Type: application/json".to_owned(),
    ]
}
