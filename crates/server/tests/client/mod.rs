//! A plain HTTP/1.1 client over a socket.

#[path = "../../../../testing/free_port.rs"]
mod free_port;
pub(crate) mod setting;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub(crate) use free_port::free_port;

/// One connection.
pub(crate) struct Client {
    pub(crate) stream: BufReader<TcpStream>,
}

/// A response as received.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) content: Vec<u8>,
    /// Status codes of the interim responses before it.
    pub(crate) interim: Vec<u16>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.content).unwrap()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let field = self
            .fields
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        Some(&field.1)
    }
}

impl Client {
    pub(crate) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        // A test that hangs says nothing; one that fails says where.
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        Self {
            stream: BufReader::new(stream),
        }
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.request("GET", path, &[], "")
    }

    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        fields: &[&str],
        content: &str,
    ) -> Answer {
        self.send(method, path, fields, content);
        self.receive()
    }

    pub(crate) fn request_chunked(&mut self, path: &str, pieces: &[&str]) -> Answer {
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        for piece in pieces {
            request.push_str(&format!("{:x}\r\n{piece}\r\n", piece.len()));
        }
        request.push_str("0\r\n\r\n");
        self.write(request.as_bytes());
        self.receive()
    }

    /// Sends the content after the interim response that asks for it.
    pub(crate) fn request_expecting_continue(&mut self, path: &str, content: &str) -> Answer {
        let length = content.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        self.write(head.as_bytes());
        let (status, fields) = self.receive_head();
        assert_eq!((status, fields.len()), (100, 0));
        self.write(content.as_bytes());
        self.receive()
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, fields: &[&str], content: &str) {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
        for field in fields {
            request.push_str(&format!("{field}\r\n"));
        }
        // The driver asks for a length where a method usually has content.
        if method != "GET" {
            request.push_str(&format!("Content-Length: {}\r\n", content.len()));
        }
        request.push_str("\r\n");
        request.push_str(content);
        self.write(request.as_bytes());
    }

    pub(crate) fn receive(&mut self) -> Answer {
        let mut interim = Vec::new();
        let (status, fields) = loop {
            let (status, fields) = self.receive_head();
            if status >= 200 {
                break (status, fields);
            }
            interim.push(status);
        };
        let mut answer = Answer {
            status,
            fields,
            content: Vec::new(),
            interim,
        };
        if answer.field("Transfer-Encoding").is_some() {
            answer.content = self.receive_chunks();
        } else if let Some(length) = answer.field("Content-Length") {
            answer.content = vec![0; length.parse().unwrap()];
            self.stream.read_exact(&mut answer.content).unwrap();
        }
        answer
    }

    /// Whether the peer closes or resets the connection without having sent anything.
    pub(crate) fn is_closed_by_peer(&mut self) -> bool {
        let mut byte = [0];
        !matches!(self.stream.read(&mut byte), Ok(1..))
    }

    pub(crate) fn receive_head(&mut self) -> (u16, Vec<(String, String)>) {
        let line = self.receive_line();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut fields = Vec::new();
        loop {
            let line = self.receive_line();
            let Some((name, value)) = line.split_once(": ") else {
                return (status, fields);
            };
            fields.push((name.to_owned(), value.to_owned()));
        }
    }

    fn receive_chunks(&mut self) -> Vec<u8> {
        let mut content = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.receive_line(), 16).unwrap();
            let mut chunk = vec![0; length];
            self.stream.read_exact(&mut chunk).unwrap();
            content.extend(chunk);
            assert_eq!(self.receive_line(), "");
            if length == 0 {
                return content;
            }
        }
    }

    fn receive_line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let line = line.strip_suffix("\r\n").map(str::to_owned);
        line.expect("the connection ended within a line")
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }
}
