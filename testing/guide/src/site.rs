//! A client that asks a server of the guide.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::websocket::Socket;

/// A server, by its port.
#[derive(Debug)]
pub struct Site {
    port: u16,
}

/// What it answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub fields: Vec<(String, String)>,
    /// The content.
    pub content: Vec<u8>,
}

/// A response that goes on.
#[derive(Debug)]
pub struct Stream(BufReader<TcpStream>);

impl Site {
    /// The server at this port.
    pub fn new(port: u16) -> Self {
        Self { port }
    }

    /// The same server at the port that takes the place of `named`.
    pub fn at(&self, named: u16) -> Self {
        Self::new(crate::port(named))
    }

    /// Asks for a path.
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    /// Asks with these fields and this content.
    pub fn ask(&self, method: &str, path: &str, fields: &[&str], content: &str) -> Answer {
        let connection = connect(self.port);
        exchange(connection, &head(method, path, fields, content), content)
    }

    /// Asks over TLS, and trusts the certificate of a file.
    pub fn get_securely(&self, host: &str, path: &str, certificate: &str) -> Answer {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(certificate).unwrap();
        roots.add(certificate).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let client = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = StreamOwned::new(client, connect(self.port));
        let head = head("GET", path, &[], "").replace("localhost", host);
        exchange(stream, &head, "")
    }

    /// Asks for a path whose answer goes on.
    pub fn open(&self, path: &str) -> Stream {
        let mut connection = connect(self.port);
        let head = head("GET", path, &["Accept: text/event-stream"], "");
        connection.write_all(head.as_bytes()).unwrap();
        Stream(BufReader::new(connection))
    }

    /// Begins a request and goes no further: whether the server ends the connection.
    pub fn ends_without_a_head(&self) -> bool {
        let mut connection = connect(self.port);
        connection.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        // Which way it ends is the system's to say.
        let ended = connection.read_to_end(&mut Vec::new());
        !ended.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Opens a WebSocket.
    pub fn socket(&self, path: &str) -> Socket {
        Socket::open(connect(self.port), path, &[])
    }

    /// Opens a WebSocket that offers a sub-protocol.
    pub fn socket_with(&self, path: &str, fields: &[&str]) -> Socket {
        Socket::open(connect(self.port), path, fields)
    }
}

impl Answer {
    /// The content as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.content).unwrap()
    }

    /// The value of a header field.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let field = fields.find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        Some(&field.1)
    }
}

impl Stream {
    /// Reads until a line has this in it.
    pub fn wait_for(&mut self, part: &str) {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            let read = self.0.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "the stream ended before {part:?}");
        }
    }
}

/// Connects; what then takes a minute fails.
fn connect(port: u16) -> TcpStream {
    let connection = TcpStream::connect(("localhost", port)).unwrap();
    let minute = Some(Duration::from_secs(60));
    connection.set_read_timeout(minute).unwrap();
    connection
}

fn head(method: &str, path: &str, fields: &[&str], content: &str) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    for field in fields {
        head += &format!("{field}\r\n");
    }
    if method != "GET" {
        head += &format!("Content-Length: {}\r\n", content.len());
    }
    head + "Connection: close\r\n\r\n"
}

fn exchange(mut connection: impl Read + Write, head: &str, content: &str) -> Answer {
    connection.write_all(head.as_bytes()).unwrap();
    connection.write_all(content.as_bytes()).unwrap();
    connection.flush().unwrap();
    let mut received = Vec::new();
    // A peer of TLS that closes without a word is no matter here: the length tells.
    let _ = connection.read_to_end(&mut received);
    let end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {}", received.escape_ascii()));
    let head = String::from_utf8(received[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let fields = lines.map(|line| line.split_once(": ").unwrap());
    let answer = Answer {
        status: status.parse().unwrap(),
        fields: fields
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        content: received[end + 4..].to_vec(),
    };
    match answer.field("Transfer-Encoding") {
        Some(_) => Answer {
            content: dechunked(&answer.content),
            ..answer
        },
        None => answer,
    }
}

fn dechunked(mut rest: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let end = rest.windows(2).position(|bytes| bytes == b"\r\n").unwrap();
        let length = std::str::from_utf8(&rest[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return content;
        }
        content.extend_from_slice(&rest[end + 2..end + 2 + length]);
        rest = &rest[end + 4 + length..];
    }
}
