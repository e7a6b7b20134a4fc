//! What these tests ask of a client beyond whole requests.

use std::io::{Read, Write};
use std::time::Duration;

use crate::client::{Answer, Client};

impl Client {
    /// Sends these bytes as they are.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.write(bytes);
    }

    /// A request whose answer has a head only.
    pub(crate) fn head(&mut self, method: &str, path: &str) -> Answer {
        self.write(format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").as_bytes());
        let (status, fields) = self.receive_head();
        Answer {
            status,
            fields,
            content: Vec::new(),
            interim: Vec::new(),
        }
    }

    /// Sends content and receives the answer at the same time.
    pub(crate) fn exchange(&mut self, path: &str, content: &str) -> Answer {
        let mut sending = self.stream.get_ref().try_clone().unwrap();
        let length = content.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n");
        std::thread::scope(|scope| {
            scope.spawn(move || {
                sending.write_all(head.as_bytes()).unwrap();
                sending.write_all(content.as_bytes()).unwrap();
            });
            self.receive()
        })
    }

    /// As [`request_chunked`](Self::request_chunked), with a length, in two pieces.
    pub(crate) fn request_chunked_of(&mut self, path: &str, content: &str) -> Answer {
        let length = content.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n");
        self.write(head.as_bytes());
        self.write(content.as_bytes());
        self.receive()
    }

    /// Whether the connection ends within an answer.
    pub(crate) fn is_cut_off(&mut self) -> bool {
        let mut rest = Vec::new();
        let end = self.stream.read_to_end(&mut rest);
        let text = String::from_utf8_lossy(&rest);
        let (head, content) = text.split_once("\r\n\r\n").unwrap_or((&*text, ""));
        let is_whole = match head.contains("chunked") {
            true => content.ends_with("0\r\n\r\n"),
            false => end.is_ok() && content.len() >= 10,
        };
        !is_whole
    }

    /// The head of an answer that changes protocols.
    pub(crate) fn receive_upgrade(&mut self) -> Answer {
        let (status, fields) = self.receive_head();
        Answer {
            status,
            fields,
            content: Vec::new(),
            interim: Vec::new(),
        }
    }

    /// Exactly so many bytes.
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Sends no more.
    pub(crate) fn finish(&mut self) {
        let stream = self.stream.get_ref();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Sends until the server takes no more for a while, or `max` bytes are sent. Says how many were.
    pub(crate) fn send_until_stalled(&mut self, max: usize) -> usize {
        let stream = self.stream.get_mut();
        let patience = Some(Duration::from_millis(500));
        stream.set_write_timeout(patience).unwrap();
        let block = vec![b'y'; 64 * 1024];
        let mut sent = 0;
        while sent < max {
            match stream.write(&block[..block.len().min(max - sent)]) {
                Ok(count) => sent += count,
                Err(_) => break,
            }
        }
        stream.set_write_timeout(None).unwrap();
        sent
    }

    /// Leaves with a reset.
    pub(crate) fn abandon(self) {
        let socket = socket2::SockRef::from(self.stream.get_ref());
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
}
