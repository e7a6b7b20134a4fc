//! The servers that are measured, and how each is started.

use std::fs;
use std::path::PathBuf;

use super::configuration;
use super::error::BenchError;
use super::places::{Places, find_program};

/// A server, or one setting of ours.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Server {
    /// The bare responder: our loop on io_uring, which parses nothing.
    BareUring,
    /// The bare responder on the readiness loop.
    BarePoll,
    /// Our server in high-performance mode on io_uring.
    TidegateUring,
    /// Our server in high-performance mode on the readiness loop.
    TidegatePoll,
    /// Our server in classic mode on io_uring: handlers on threads of their own.
    TidegateClassic,
    /// Our server without what a workload is about: a handler gives each answer, whoever asks.
    TidegateHandler,
    /// The program that users run, with its demonstration routes.
    Program,
    Hyper,
    Axum,
    Actix,
    May,
    Bun,
    Nginx,
    H2o,
    Haproxy,
    /// Files and forwarding only.
    Caddy,
    /// HTTP/2 only.
    Nghttpd,
    /// Handshakes and nothing else, on our library for TLS.
    Rustls,
    /// tokio-tungstenite; WebSocket only, as the two after it.
    Tungstenite,
    FastWebSockets,
    /// `ws` on Node.
    Node,
}

/// What a server is started for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Duty {
    /// Answering requests; the lengths are for the bare responder.
    Requests(Exchange),
    /// Answering requests; who it is, is known to be no bare responder.
    Answers,
    /// Answering with the files of the peers' folder, below `/files/`.
    Files,
    /// Taking files in by `PUT`, below `/uploads/`, and keeping them on the disk.
    Uploads,
    /// Answering from a cache, which is filled by the server on this port.
    Cache(u16),
    /// Forwarding each request to the server on this port.
    Forward(u16),
    /// Answering requests that have an API key, and counting them against what it allows. Ours only.
    Admission,
    /// Answering requests over TLS, of HTTP/2 and HTTP/1.1 as ALPN agrees.
    Tls,
    /// Answering requests of HTTP/2 over cleartext, by prior knowledge.
    Http2,
    /// WebSocket: echo and broadcast.
    Frames(Frames),
}

/// How a server of WebSocket is set up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Frames {
    Plain,
    /// Compress every message.
    Deflate,
    /// Send pings to peers that say nothing, from time to time. Ours only: the others do so by
    /// themselves, or cannot.
    Heartbeat,
}

/// What the bare responder must be told, as it parses nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    /// Length of one whole request, head and body.
    pub(crate) request_bytes: usize,
    /// Length of an answer's content.
    pub(crate) content_bytes: usize,
}

impl Server {
    const ALL: [Self; 21] = [
        Self::BareUring,
        Self::BarePoll,
        Self::TidegateUring,
        Self::TidegatePoll,
        Self::TidegateClassic,
        Self::TidegateHandler,
        Self::Program,
        Self::Hyper,
        Self::Axum,
        Self::Actix,
        Self::May,
        Self::Bun,
        Self::Nginx,
        Self::H2o,
        Self::Haproxy,
        Self::Caddy,
        Self::Nghttpd,
        Self::Rustls,
        Self::Tungstenite,
        Self::FastWebSockets,
        Self::Node,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BareUring => "bare-uring",
            Self::BarePoll => "bare-poll",
            Self::TidegateUring => "tidegate-uring",
            Self::TidegatePoll => "tidegate-poll",
            Self::TidegateClassic => "tidegate-classic",
            Self::TidegateHandler => "tidegate-handler",
            Self::Program => "tidegate-serve",
            Self::Hyper => "hyper",
            Self::Axum => "axum",
            Self::Actix => "actix",
            Self::May => "may",
            Self::Bun => "bun",
            Self::Nginx => "nginx",
            Self::H2o => "h2o",
            Self::Haproxy => "haproxy",
            Self::Caddy => "caddy",
            Self::Nghttpd => "nghttpd",
            Self::Rustls => "rustls",
            Self::Tungstenite => "tungstenite",
            Self::FastWebSockets => "fastwebsockets",
            Self::Node => "node-ws",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|server| server.name() == name)
    }

    /// All names, with commas between them.
    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// The bare responder that a server's cost is compared with: the one on the same loop, and for
    /// the peers the cheapest one.
    pub(crate) fn bare(self) -> Self {
        match self {
            Self::BarePoll | Self::TidegatePoll => Self::BarePoll,
            _ => Self::BareUring,
        }
    }

    /// Whether its content is not that of the benchmarks' routes: the bare responder's is filler, the
    /// program's routes are its own.
    pub(crate) fn has_content_of_its_own(self) -> bool {
        matches!(self, Self::BareUring | Self::BarePoll | Self::Program)
    }

    /// The program and its arguments.
    ///
    /// # Errors
    /// `Missing`, with what to do, where the program is not there.
    pub(crate) fn command(
        self,
        places: &Places,
        port: u16,
        duty: Duty,
    ) -> Result<Vec<String>, BenchError> {
        let peer = |name| self.words(places.peer(name), &[&port.to_string()]);
        match self {
            Self::BareUring => self.bare_command(places, port, duty, "uring"),
            Self::BarePoll => self.bare_command(places, port, duty, "poll"),
            Self::TidegateUring => self.subject_command(places, port, duty, ["uring", "high-perf"]),
            Self::TidegatePoll => self.subject_command(places, port, duty, ["poll", "high-perf"]),
            Self::TidegateClassic => self.subject_command(places, port, duty, ["uring", "classic"]),
            Self::TidegateHandler => {
                self.subject_command(places, port, Duty::Answers, ["uring", "high-perf"])
            }
            Self::Program => self.program_command(places, port),
            Self::Hyper => match duty {
                Duty::Tls => self.tls_peer(places, port, "peer-hyper-tls"),
                Duty::Http2 => peer("peer-hyper-tls"),
                _ => peer("peer-hyper"),
            },
            Self::Rustls => self.tls_peer(places, port, "peer-rustls"),
            Self::Nghttpd => self.nghttpd_command(places, port, duty),
            Self::Axum => peer("peer-axum"),
            Self::Actix => peer("peer-actix"),
            Self::May => peer("peer-may"),
            Self::Tungstenite => peer("peer-tungstenite"),
            Self::FastWebSockets => peer("peer-fastwebsockets"),
            Self::Bun | Self::Node => self.script_command(places, port, duty),
            Self::Nginx => {
                let text = configuration::nginx(places, port, duty);
                self.configured(places, &text, &["-c"])
            }
            Self::H2o => {
                let text = configuration::h2o(places, port, duty);
                self.configured(places, &text, &["-c"])
            }
            Self::Haproxy => {
                let text = configuration::haproxy(places, port, duty);
                self.configured(places, &text, &["-db", "-f"])
            }
            Self::Caddy => {
                let text = configuration::caddy(places, port, duty);
                self.configured(
                    places,
                    &text,
                    &["run", "--adapter", "caddyfile", "--config"],
                )
            }
        }
    }

    /// The program's path and its arguments, if the program is there.
    fn words(self, program: PathBuf, arguments: &[&str]) -> Result<Vec<String>, BenchError> {
        if !program.is_file() {
            return Err(BenchError::Missing {
                what: "its program",
                remedy: self.remedy(),
            });
        }
        let mut words = vec![program.to_string_lossy().into_owned()];
        words.extend(arguments.iter().map(|word| (*word).to_owned()));
        Ok(words)
    }

    fn bare_command(
        self,
        places: &Places,
        port: u16,
        duty: Duty,
        io: &str,
    ) -> Result<Vec<String>, BenchError> {
        let port = port.to_string();
        let Duty::Requests(exchange) = duty else {
            // It has no TLS and no HTTP/2: no workload of these has it among its servers.
            let arguments = ["--io", io, "--port", &port];
            return self.words(places.bare_websocket(), &arguments);
        };
        let [request, content] =
            [exchange.request_bytes, exchange.content_bytes].map(|number| number.to_string());
        let arguments = [
            "--io",
            io,
            "--port",
            &port,
            "--request-bytes",
            &request,
            "--body",
            &content,
        ];
        self.words(places.bare_responder(), &arguments)
    }

    fn subject_command(
        self,
        places: &Places,
        port: u16,
        duty: Duty,
        [io, mode]: [&str; 2],
    ) -> Result<Vec<String>, BenchError> {
        let (port, logs) = (port.to_string(), places.scratch.to_string_lossy());
        let mut arguments = vec![
            "--port",
            &port,
            "--log-directory",
            &logs,
            "--io",
            io,
            "--mode",
            mode,
        ];
        let [certificate, key] = [places.certificate(), places.key()];
        let [certificate, key] = [certificate.to_string_lossy(), key.to_string_lossy()];
        let (folder, upstream) = (places.www(), upstream_url(duty));
        let (folder, uploads) = (folder.to_string_lossy(), places.uploads());
        let uploads = uploads.to_string_lossy();
        match duty {
            // HTTP/2 by prior knowledge needs no setting.
            Duty::Requests(_) | Duty::Answers | Duty::Http2 => {}
            Duty::Files => arguments.extend(["--files", &folder]),
            Duty::Uploads => arguments.extend(["--uploads", &uploads]),
            Duty::Cache(_) => arguments.extend(["--cache", "on"]),
            Duty::Forward(_) => arguments.extend(["--forward", &upstream]),
            Duty::Admission => arguments.extend(["--admission", "on"]),
            Duty::Tls => arguments.extend(["--tls-cert", &certificate, "--tls-key", &key]),
            Duty::Frames(Frames::Plain) => arguments.extend(["--websocket", "plain"]),
            Duty::Frames(Frames::Deflate) => arguments.extend(["--websocket", "deflate"]),
            Duty::Frames(Frames::Heartbeat) => arguments.extend(["--websocket", "heartbeat"]),
        }
        self.words(places.subject(), &arguments)
    }

    /// Bun and Node run a script, which is told whether to compress.
    fn script_command(
        self,
        places: &Places,
        port: u16,
        duty: Duty,
    ) -> Result<Vec<String>, BenchError> {
        let (program, script) = match (self, duty) {
            (Self::Node, _) => (
                find_program("node").unwrap_or_default(),
                "node/websocket.js",
            ),
            (_, Duty::Frames(_)) => (places.bun(), "bun/websocket.ts"),
            (_, _) => (places.bun(), "bun/server.ts"),
        };
        if self == Self::Node && !places.ws().is_dir() {
            return Err(BenchError::Missing {
                what: "npm's ws",
                remedy: self.remedy(),
            });
        }
        let (script, port) = (places.peers().join(script), port.to_string());
        let (script, tools) = (script.to_string_lossy(), places.tools());
        let tools = tools.to_string_lossy();
        let mut arguments = vec![&*script, &port];
        if self == Self::Node {
            arguments.push(&tools);
        }
        if let Duty::Frames(Frames::Deflate) = duty {
            arguments.push("deflate");
        }
        self.words(program, &arguments)
    }

    fn tls_peer(self, places: &Places, port: u16, name: &str) -> Result<Vec<String>, BenchError> {
        let [port, certificate, key] =
            [port.to_string().into(), places.certificate(), places.key()]
                .map(|path: PathBuf| path.to_string_lossy().into_owned());
        self.words(places.peer(name), &[&port, &certificate, &key])
    }

    fn nghttpd_command(
        self,
        places: &Places,
        port: u16,
        duty: Duty,
    ) -> Result<Vec<String>, BenchError> {
        let program = find_program(self.name()).unwrap_or_default();
        let [port, folder, certificate, key] = [
            port.to_string().into(),
            places.www(),
            places.certificate(),
            places.key(),
        ]
        .map(|path: PathBuf| path.to_string_lossy().into_owned());
        let start = ["--address=127.0.0.1", "--workers=1", "--htdocs", &folder];
        let rest = match duty {
            Duty::Tls => vec![&*port, &*key, &*certificate],
            _ => vec!["--no-tls", &*port],
        };
        self.words(program, &[&start[..], &rest].concat())
    }

    fn program_command(self, places: &Places, port: u16) -> Result<Vec<String>, BenchError> {
        let listen = format!("http://127.0.0.1:{port}/");
        let arguments = [
            "serve",
            "--listen",
            &listen,
            "--mode",
            "high-perf",
            "--io",
            "uring",
            "--io-threads",
            "1",
        ];
        self.words(places.program(), &arguments)
    }

    /// Writes the configuration, and gives the words that start the server with it.
    fn configured(
        self,
        places: &Places,
        configuration: &str,
        flags: &[&str],
    ) -> Result<Vec<String>, BenchError> {
        let program = find_program(self.name()).ok_or(BenchError::Missing {
            what: "its program",
            remedy: self.remedy(),
        })?;
        let path = places.scratch.join(format!("{}.conf", self.name()));
        fs::write(&path, configuration).map_err(BenchError::file(&path))?;
        self.words(program, &[flags, &[&*path.to_string_lossy()]].concat())
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::BareUring | Self::BarePoll => "`cargo build --release -p tidegate-os --examples`",
            Self::TidegateUring
            | Self::TidegatePoll
            | Self::TidegateClassic
            | Self::TidegateHandler => "`cargo build --release -p bench-subject`",
            Self::Program => "`cargo build --release -p tidegate-cli`",
            Self::Hyper
            | Self::Axum
            | Self::Actix
            | Self::May
            | Self::Rustls
            | Self::Tungstenite
            | Self::FastWebSockets => "`cargo xtask bench http1 --install` builds bench/peers",
            Self::Bun => "`cargo xtask bench http1 --install` gets npm's @oven/bun-linux-x64",
            Self::Node => "with Node there, `cargo xtask bench websocket --install` gets npm's ws",
            Self::Nginx => "install the package nginx-light, or give --install",
            Self::H2o => "install the package h2o, or give --install",
            Self::Haproxy => "install the package haproxy, or give --install",
            Self::Caddy => "install the package caddy, or give --install",
            Self::Nghttpd => "install the package nghttp2-server, or give --install",
        }
    }
}

/// The server that another one has its answers from; nothing for a duty that needs none.
pub(super) fn upstream_url(duty: Duty) -> String {
    match duty {
        Duty::Cache(port) | Duty::Forward(port) => format!("http://127.0.0.1:{port}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_is_found_by_its_name() {
        for server in Server::ALL {
            assert_eq!(Server::from_name(server.name()), Some(server));
        }
        assert_eq!(Server::from_name("iis"), None);
    }

    #[test]
    fn servers_are_compared_on_the_same_loop() {
        assert_eq!(Server::TidegatePoll.bare(), Server::BarePoll);
        assert_eq!(Server::TidegateUring.bare(), Server::BareUring);
        assert_eq!(Server::Hyper.bare(), Server::BareUring);
    }
}
