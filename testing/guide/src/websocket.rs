//! The client's side of a WebSocket, as far as the guide needs one: short messages in one frame each.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// A WebSocket connection.
#[derive(Debug)]
pub struct Socket {
    stream: BufReader<TcpStream>,
    /// The status that the handshake was answered with.
    pub status: u16,
}

impl Socket {
    pub(crate) fn open(mut stream: TcpStream, path: &str, fields: &[&str]) -> Self {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        while line != "\r\n" {
            line.clear();
            assert_ne!(
                stream.read_line(&mut line).unwrap(),
                0,
                "a head without an end"
            );
        }
        Self { stream, status }
    }

    /// Sends text.
    pub fn send(&mut self, text: &str) {
        self.frame(0x81, text.as_bytes());
    }

    /// Sends bytes.
    pub fn send_binary(&mut self, data: &[u8]) {
        self.frame(0x82, data);
    }

    fn frame(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![first];
        match u8::try_from(payload.len()) {
            Ok(length @ 0..126) => frame.push(0x80 | length),
            _ => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
            }
        }
        // A masking key of zeroes leaves the payload as it is.
        frame.extend([0; 4]);
        frame.extend(payload);
        self.stream.get_mut().write_all(&frame).unwrap();
    }

    /// Receives the next message; pings are passed over. Of a close, what is in its frame.
    pub fn receive(&mut self) -> String {
        loop {
            let mut head = [0; 2];
            self.stream.read_exact(&mut head).unwrap();
            let mut length = usize::from(head[1]);
            if length == 126 {
                let mut long = [0; 2];
                self.stream.read_exact(&mut long).unwrap();
                length = u16::from_be_bytes(long).into();
            }
            let mut payload = vec![0; length];
            self.stream.read_exact(&mut payload).unwrap();
            if head[0] != 0x89 {
                return String::from_utf8_lossy(&payload).into_owned();
            }
        }
    }
}
