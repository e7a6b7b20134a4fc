//! The administration of a server that runs: who gets in, what is told and done, how programs find it.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod api;
#[path = "../client/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod client;
mod door;
mod finding;
mod secure;
#[path = "../client/websocket.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod websocket;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use client::setting::{builder, start};
use client::{Answer, Client, free_port};
use tempfile::TempDir;
use tidegate::{
    AdministrationClient, AdministrationSettings, Io, OperatingMode, Server, ServerBuilder,
};
use websocket::WebSocket;

/// A server with an administration.
struct Administered {
    server: Server,
    port: u16,
    /// Of the administration.
    admin_port: u16,
    folder: TempDir,
}

impl Administered {
    /// In one of the settings.
    fn start(change: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let port = free_port();
        Self::start_with(
            builder(Io::Poll, OperatingMode::Classic, port),
            port,
            change,
        )
    }

    fn start_with(
        builder: ServerBuilder,
        port: u16,
        change: impl FnOnce(ServerBuilder) -> ServerBuilder,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let admin_port = free_port();
        let builder = builder.administration(settings(&folder, admin_port));
        Self {
            server: start(change(builder)),
            port,
            admin_port,
            folder,
        }
    }

    fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    fn token(&self) -> String {
        let text = fs::read_to_string(self.token_file()).unwrap();
        text.trim().to_owned()
    }

    /// Asks the administration for a path below it, with these fields.
    fn ask(&self, method: &str, path: &str, fields: &[&str], content: &str) -> Answer {
        let host = format!("Host: localhost:{}", self.admin_port);
        self.ask_host(method, path, &[&[&*host], fields].concat(), content)
    }

    /// As [`ask`](Self::ask), with the host among the fields.
    fn ask_host(&self, method: &str, path: &str, fields: &[&str], content: &str) -> Answer {
        let mut request = format!("{method} /admin/{path} HTTP/1.1\r\n");
        for field in fields {
            write!(request, "{field}\r\n").unwrap();
        }
        if method != "GET" {
            write!(request, "Content-Length: {}\r\n", content.len()).unwrap();
        }
        write!(request, "\r\n{content}").unwrap();
        let mut client = Client::connect(self.admin_port);
        client.write(request.as_bytes());
        client.receive()
    }

    /// The field by which a program shows the token.
    fn bearer(&self) -> String {
        format!("Authorization: Bearer {}", self.token())
    }

    fn origin(&self) -> String {
        format!("Origin: http://localhost:{}", self.admin_port)
    }

    /// Signs in as a browser does: the field with the cookie.
    fn cookie(&self) -> String {
        let answer = self.ask("POST", "sign-in", &[&self.bearer(), &self.origin()], "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        cookie_of(&answer)
    }

    /// The request that opens the WebSocket, with these fields.
    fn handshake(&self, fields: &[&str]) -> String {
        format!(
            "GET /admin/live HTTP/1.1\r\nHost: localhost:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{}\r\n\r\n",
            self.admin_port,
            fields.join("\r\n")
        )
    }

    /// The WebSocket, opened with these fields.
    fn live(&self, fields: &[&str]) -> WebSocket {
        WebSocket::connect_raw(self.admin_port, self.handshake(fields).as_bytes())
    }

    fn client(&self) -> AdministrationClient {
        AdministrationClient::find(Some(&self.token_file())).unwrap()
    }

    fn stop(self) {
        self.server.stop();
        self.server.wait_stopped();
    }
}

fn settings(folder: &TempDir, port: u16) -> AdministrationSettings {
    let mut settings = AdministrationSettings::default();
    settings.enabled = true;
    settings.url = format!("http://localhost:{port}/admin/");
    settings.token_file = Some(folder.path().join("token"));
    settings
}

/// The cookie that an answer sets, as it is sent back.
fn cookie_of(answer: &Answer) -> String {
    let set = answer.field("Set-Cookie").unwrap();
    format!("Cookie: {}", set.split(';').next().unwrap())
}

/// Waits until something is so.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        thread::yield_now();
    }
}
