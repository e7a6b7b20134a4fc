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
    const ALL: [Self; 14] = [
        Self::BareUring,
        Self::BarePoll,
        Self::TidegateUring,
        Self::TidegatePoll,
        Self::TidegateClassic,
        Self::Program,
        Self::Hyper,
        Self::Axum,
        Self::Actix,
        Self::May,
        Self::Bun,
        Self::Nginx,
        Self::H2o,
        Self::Haproxy,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BareUring => "bare-uring",
            Self::BarePoll => "bare-poll",
            Self::TidegateUring => "tidegate-uring",
            Self::TidegatePoll => "tidegate-poll",
            Self::TidegateClassic => "tidegate-classic",
            Self::Program => "tidegate-serve",
            Self::Hyper => "hyper",
            Self::Axum => "axum",
            Self::Actix => "actix",
            Self::May => "may",
            Self::Bun => "bun",
            Self::Nginx => "nginx",
            Self::H2o => "h2o",
            Self::Haproxy => "haproxy",
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

    /// The program and its arguments.
    ///
    /// # Errors
    /// `Missing`, with what to do, where the program is not there.
    pub(crate) fn command(
        self,
        places: &Places,
        port: u16,
        exchange: Exchange,
    ) -> Result<Vec<String>, BenchError> {
        match self {
            Self::BareUring => self.bare_command(places, port, exchange, "uring"),
            Self::BarePoll => self.bare_command(places, port, exchange, "poll"),
            Self::TidegateUring => self.subject_command(places, port, "uring", "high-perf"),
            Self::TidegatePoll => self.subject_command(places, port, "poll", "high-perf"),
            Self::TidegateClassic => self.subject_command(places, port, "uring", "classic"),
            Self::Program => self.program_command(places, port),
            Self::Hyper => self.words(places.peer("peer-hyper"), &[&port.to_string()]),
            Self::Axum => self.words(places.peer("peer-axum"), &[&port.to_string()]),
            Self::Actix => self.words(places.peer("peer-actix"), &[&port.to_string()]),
            Self::May => self.words(places.peer("peer-may"), &[&port.to_string()]),
            Self::Bun => {
                let script = places.peers().join("bun").join("server.ts");
                self.words(
                    places.bun(),
                    &[&script.to_string_lossy(), &port.to_string()],
                )
            }
            Self::Nginx => self.configured(places, &configuration::nginx(places, port), &["-c"]),
            Self::H2o => self.configured(places, &configuration::h2o(places, port), &["-c"]),
            Self::Haproxy => self.configured(
                places,
                &configuration::haproxy(places, port),
                &["-db", "-f"],
            ),
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
        exchange: Exchange,
        io: &str,
    ) -> Result<Vec<String>, BenchError> {
        let [port, request, content] = [
            usize::from(port),
            exchange.request_bytes,
            exchange.content_bytes,
        ]
        .map(|number| number.to_string());
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
        io: &str,
        mode: &str,
    ) -> Result<Vec<String>, BenchError> {
        let (port, logs) = (port.to_string(), places.scratch.to_string_lossy());
        let arguments = [
            "--port",
            &port,
            "--log-directory",
            &logs,
            "--io",
            io,
            "--mode",
            mode,
        ];
        self.words(places.subject(), &arguments)
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
            Self::BareUring | Self::BarePoll => {
                "`cargo build --release -p tidegate-os --example bare`"
            }
            Self::TidegateUring | Self::TidegatePoll | Self::TidegateClassic => {
                "`cargo build --release -p bench-subject`"
            }
            Self::Program => "`cargo build --release -p tidegate-cli`",
            Self::Hyper | Self::Axum | Self::Actix | Self::May => {
                "`cargo xtask bench http1 --install` builds bench/peers"
            }
            Self::Bun => "`cargo xtask bench http1 --install` gets npm's @oven/bun-linux-x64",
            Self::Nginx => "install the package nginx-light, or give --install",
            Self::H2o => "install the package h2o, or give --install",
            Self::Haproxy => "install the package haproxy, or give --install",
        }
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
