//! The servers that are measured, and how each is started.

use std::fs;
use std::path::PathBuf;

use super::error::BenchError;
use super::machine;
use super::places::{BUN_PACKAGE, Places, find_program};

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
        let port_word = port.to_string();
        let (program, arguments): (PathBuf, Vec<&str>) = match self {
            Self::BareUring | Self::BarePoll => {
                return bare_command(self, places, port, exchange);
            }
            Self::TidegateUring => (
                places.subject(),
                vec!["--port", &port_word, "--io", "uring", "--mode", "high-perf"],
            ),
            Self::TidegatePoll => (
                places.subject(),
                vec!["--port", &port_word, "--io", "poll", "--mode", "high-perf"],
            ),
            Self::TidegateClassic => (
                places.subject(),
                vec!["--port", &port_word, "--io", "uring", "--mode", "classic"],
            ),
            Self::Program => return program_command(places, port),
            Self::Hyper => (places.peer("peer-hyper"), vec![&port_word]),
            Self::Axum => (places.peer("peer-axum"), vec![&port_word]),
            Self::Actix => (places.peer("peer-actix"), vec![&port_word]),
            Self::May => (places.peer("peer-may"), vec![&port_word]),
            Self::Bun => {
                let script = places.peers().join("bun").join("server.ts");
                return present(places.bun(), self.remedy())
                    .map(|bun| vec![bun, script.to_string_lossy().into_owned(), port_word]);
            }
            Self::Nginx => {
                return self.configured(places, &nginx_configuration(places, port), &["-c"]);
            }
            Self::H2o => return self.configured(places, &h2o_configuration(places, port), &["-c"]),
            Self::Haproxy => {
                return self.configured(
                    places,
                    &haproxy_configuration(places, port),
                    &["-db", "-f"],
                );
            }
        };
        let mut words = vec![present(program, self.remedy())?];
        words.extend(arguments.into_iter().map(str::to_owned));
        Ok(words)
    }

    /// Writes the configuration, and gives the words that start the server with it.
    fn configured(
        self,
        places: &Places,
        configuration: &str,
        flags: &[&str],
    ) -> Result<Vec<String>, BenchError> {
        let program = find_program(self.name()).ok_or(BenchError::Missing {
            what: self.name(),
            remedy: self.remedy(),
        })?;
        let path = places.scratch.join(format!("{}.conf", self.name()));
        fs::write(&path, configuration).map_err(BenchError::file(&path))?;
        let mut words = vec![program.to_string_lossy().into_owned()];
        words.extend(flags.iter().map(|flag| (*flag).to_owned()));
        words.push(path.to_string_lossy().into_owned());
        Ok(words)
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

fn bare_command(
    server: Server,
    places: &Places,
    port: u16,
    exchange: Exchange,
) -> Result<Vec<String>, BenchError> {
    let io = if server == Server::BarePoll {
        "poll"
    } else {
        "uring"
    };
    let mut words = vec![present(places.bare_responder(), server.remedy())?];
    for (flag, value) in [
        ("--io", io.to_owned()),
        ("--port", port.to_string()),
        ("--request-bytes", exchange.request_bytes.to_string()),
        ("--body", exchange.content_bytes.to_string()),
    ] {
        words.extend([flag.to_owned(), value]);
    }
    Ok(words)
}

fn program_command(places: &Places, port: u16) -> Result<Vec<String>, BenchError> {
    let mut words = vec![present(places.program(), Server::Program.remedy())?];
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
    words.extend(arguments.map(str::to_owned));
    Ok(words)
}

fn present(program: PathBuf, remedy: &'static str) -> Result<String, BenchError> {
    if program.is_file() {
        Ok(program.to_string_lossy().into_owned())
    } else {
        let what = if program.ends_with("bun") {
            BUN_PACKAGE
        } else {
            "its program"
        };
        Err(BenchError::Missing { what, remedy })
    }
}

/// One process, no logs, answers from the configuration itself.
fn nginx_configuration(places: &Places, port: u16) -> String {
    let scratch = places.scratch.display();
    let user = if machine::is_root() { "user root;" } else { "" };
    let (hello, json) = (bench_answers::HELLO, bench_answers::json());
    format!(
        "worker_processes 1; daemon off; master_process off; worker_rlimit_nofile 20000; {user}\n\
         pid {scratch}/nginx.pid; error_log {scratch}/nginx.log;\n\
         events {{ worker_connections 15000; multi_accept on; }}\n\
         http {{\n\
         access_log off; tcp_nodelay on; default_type text/plain;\n\
         keepalive_requests 1000000000; keepalive_timeout 3600;\n\
         client_body_temp_path {scratch}/nginx-body; proxy_temp_path {scratch}/nginx-proxy;\n\
         fastcgi_temp_path {scratch}/nginx-fastcgi; uwsgi_temp_path {scratch}/nginx-uwsgi;\n\
         scgi_temp_path {scratch}/nginx-scgi;\n\
         server {{\n\
         listen 127.0.0.1:{port} backlog=4096;\n\
         location = /hello {{ return 200 \"{hello}\"; }}\n\
         location = /json {{ default_type application/json; return 200 '{json}'; }}\n\
         }} }}\n"
    )
}

/// One thread; the answers are files, which is what h2o serves by itself.
fn h2o_configuration(places: &Places, port: u16) -> String {
    let user = if machine::is_root() {
        "user: root\n"
    } else {
        ""
    };
    format!(
        "{user}num-threads: 1\nmax-connections: 15000\nhttp1-request-timeout: 3600\n\
         listen: {{ host: 127.0.0.1, port: {port} }}\n\
         hosts: {{ default: {{ paths: {{ /: {{ file.dir: {} }} }} }} }}\n",
        places.www().display()
    )
}

/// One thread; answers from memory. haproxy adds no `Date`.
fn haproxy_configuration(places: &Places, port: u16) -> String {
    let (hello, json) = (bench_answers::HELLO, places.www().join("json"));
    format!(
        "global\n nbthread 1\n maxconn 4000\n\
         defaults\n mode http\n timeout client 1h\n timeout server 10s\n timeout connect 1s\n\
         timeout http-keep-alive 1h\n\
         frontend bench\n bind 127.0.0.1:{port} backlog 4096\n\
         http-request return status 200 content-type text/plain string \"{hello}\" if {{ path /hello }}\n\
         http-request return status 200 content-type application/json file {} if {{ path /json }}\n\
         http-request return status 404\n",
        json.display()
    )
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
