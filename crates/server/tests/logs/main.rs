//! The log of requests on real ports, on each event loop the system offers, in both operating modes.
//!
//! How lines look is tested in `proto`, which file they go to in `driver`; here is which requests have one, and
//! whether what it says is true.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "../client/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod client;
mod files;
mod http1;
mod http2;
#[path = "../http2/http2_client.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod http2_client;
#[path = "../client/websocket.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod websocket;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tidegate::{LogFields, LogFormat, Logging, Server, ServerBuilder};

use client::setting::{in_each_setting, start, stop};

/// A server that logs all fields as JSON.
struct Logged {
    server: Server,
    port: u16,
    folder: TempDir,
}

/// Runs a test in each setting, against a server that is set up by `handlers` and logs.
fn in_each_setting_logged(
    handlers: impl Fn(ServerBuilder) -> ServerBuilder,
    test: impl Fn(&mut Logged),
) {
    in_each_setting(|builder, port| {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Logging::new(LogFormat::Json, folder.path());
        log.fields = LogFields::ALL;
        let server = start(handlers(builder.logging(log)));
        let mut logged = Logged {
            server,
            port,
            folder,
        };
        test(&mut logged);
        stop(logged.server);
    });
}

impl Logged {
    /// The first lines of the log, once there are so many; no more may come.
    fn lines(&self, count: usize) -> Vec<Value> {
        let lines = lines_of(&self.server, self.folder.path(), count);
        let lines: Vec<Value> = lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), count, "{lines:#?}");
        lines
    }

    /// Sends bytes on a connection of its own and gives what comes back.
    fn send(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
    }
}

/// The lines of the one log file in a folder, without directives, once there are so many.
fn lines_of(server: &Server, folder: &Path, count: usize) -> Vec<String> {
    let begin = Instant::now();
    loop {
        server.flush_log_buffer();
        let lines = lines_in(folder);
        if lines.len() >= count {
            return lines;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "waited for {count} lines: {lines:#?}"
        );
        std::thread::yield_now();
    }
}

fn lines_in(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "log") && path.is_file() {
            let text = fs::read_to_string(path).unwrap();
            let records = text.lines().filter(|line| !line.starts_with('#'));
            lines.extend(records.map(str::to_owned));
        }
    }
    lines
}

/// Says that nothing more is sent.
fn end(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).unwrap();
}
