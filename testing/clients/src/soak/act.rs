//! One client of the soak: a connection at a time, and something different done on each.

use std::io;
use std::thread;
use std::time::Duration;

use super::Visit;
use crate::curl::content;
use crate::error::ClientError;
use crate::expect;
use crate::peer::{Peer, Reply};
use crate::random::Random;

/// A client with a will of its own.
pub(crate) struct Client {
    port: u16,
    random: Random,
    /// Content for uploads; any part of it may be sent.
    content: Vec<u8>,
}

/// What is asked for and must come back.
struct Question {
    bytes: Vec<u8>,
    status: u16,
    content: Content,
}

/// The content that must come back.
enum Content {
    Exactly(Vec<u8>),
    Length(usize),
    Any,
}

impl Visit for Client {
    /// Opens a connection, does something with it and ends it in some way. Counts the requests.
    fn visit(&mut self) -> Result<u64, ClientError> {
        match self.random.below(12) {
            0..=2 => self.keep_alive(),
            3..=4 => self.pipelined(),
            5 => self.half_closed(),
            6 => self.broken_off_in_the_request(),
            7 => self.broken_off_in_the_upload(),
            8 => self.broken_off_in_the_download(),
            9 => self.broken_off_before_the_answers(),
            10 => self.broken_off_while_it_is_served(),
            _ => self.refused(),
        }
    }
}

impl Client {
    pub(crate) fn new(port: u16, seed: u64) -> Self {
        Self {
            port,
            random: Random::new(seed),
            content: content(200_000),
        }
    }

    /// One request that must be answered.
    pub(crate) fn ask_and_check(&mut self) -> Result<(), ClientError> {
        let mut peer = self.connect()?;
        self.ask(&mut peer)
    }

    fn keep_alive(&mut self) -> Result<u64, ClientError> {
        let mut peer = self.connect()?;
        let count = 1 + self.random.below(40);
        for _ in 0..count {
            self.ask(&mut peer)?;
        }
        self.end(peer)?;
        Ok(count)
    }

    fn pipelined(&mut self) -> Result<u64, ClientError> {
        let mut peer = self.connect()?;
        let questions = self.questions(32);
        self.send_all(&peer, &questions)?;
        for question in &questions {
            question.check(peer.reply())?;
        }
        self.end(peer)?;
        Ok(questions.len() as u64)
    }

    /// The end of our side is no abort: all that was asked is answered.
    fn half_closed(&mut self) -> Result<u64, ClientError> {
        let mut peer = self.connect()?;
        let questions = self.questions(4);
        self.send_all(&peer, &questions)?;
        peer.end_sending().map_err(answered)?;
        for question in &questions {
            question.check(peer.reply())?;
        }
        let ends = peer.ends().map_err(answered)?;
        expect::holds("the server ends its side", ends, || "more bytes".to_owned())?;
        Ok(questions.len() as u64)
    }

    fn broken_off_in_the_request(&mut self) -> Result<u64, ClientError> {
        let mut peer = self.connect()?;
        let question = self.question();
        let end = self.random.below(question.bytes.len() as u64) as usize;
        peer.send(&question.bytes[..end]).map_err(answered)?;
        self.end(peer)?;
        Ok(1)
    }

    fn broken_off_in_the_upload(&mut self) -> Result<u64, ClientError> {
        let mut peer = self.connect()?;
        let part = self.random.below(self.content.len() as u64) as usize;
        let head = if self.random.below(2) == 0 {
            format!(
                "POST /echo HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\n\r\n",
                self.content.len()
            )
        } else {
            let length = self.content.len();
            format!(
                "POST /echo HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n"
            )
        };
        peer.send(head.as_bytes()).map_err(answered)?;
        // What comes back is not read: a server that waits for that must still see the end.
        let _ = peer.send(&self.content[..part.min(60_000)]);
        self.end(peer)?;
        Ok(1)
    }

    fn broken_off_in_the_download(&mut self) -> Result<u64, ClientError> {
        let mut peer = self.connect()?;
        let length = 1 + self.random.below(8_000_000);
        let path = match self.random.below(3) {
            0 => "/file".to_owned(),
            1 => "/stream".to_owned(),
            _ => format!("/bytes/{length}"),
        };
        peer.send(&get(&path)).map_err(answered)?;
        peer.read_some(self.random.below(200) as usize)
            .map_err(answered)?;
        self.end(peer)?;
        Ok(1)
    }

    fn broken_off_before_the_answers(&mut self) -> Result<u64, ClientError> {
        let peer = self.connect()?;
        let questions = self.questions(32);
        self.send_all(&peer, &questions)?;
        self.end(peer)?;
        Ok(questions.len() as u64)
    }

    fn broken_off_while_it_is_served(&mut self) -> Result<u64, ClientError> {
        let mut peer = self.connect()?;
        let milliseconds = self.random.below(30);
        let path = match self.random.below(2) {
            0 => format!("/delay/{milliseconds}"),
            _ => format!("/block/{}", milliseconds / 10),
        };
        peer.send(&get(&path)).map_err(answered)?;
        thread::sleep(Duration::from_millis(self.random.below(4)));
        self.end(peer)?;
        Ok(1)
    }

    fn refused(&mut self) -> Result<u64, ClientError> {
        let mut peer = self.connect()?;
        let wrong = WRONG[self.random.below(WRONG.len() as u64) as usize];
        peer.send(wrong.as_bytes()).map_err(answered)?;
        let reply = peer.reply().map_err(answered)?;
        expect::holds("refused", (400..600).contains(&reply.status), || {
            format!("{wrong:?} got {}", reply.status)
        })?;
        let ends = peer.ends().map_err(answered)?;
        expect::holds("the connection ends", ends, || "more bytes".to_owned())?;
        Ok(1)
    }

    fn connect(&self) -> Result<Peer, ClientError> {
        Peer::connect(self.port).map_err(|source| ClientError::Io {
            what: "connecting",
            source,
        })
    }

    fn ask(&mut self, peer: &mut Peer) -> Result<(), ClientError> {
        let question = self.question();
        let writer = peer.writer().map_err(answered)?;
        send_while_reading(writer, question.bytes.clone());
        question.check(peer.reply())
    }

    /// Sends without waiting for answers: whoever pipelines must read at the same time.
    fn send_all(&self, peer: &Peer, questions: &[Question]) -> Result<(), ClientError> {
        let bytes = questions
            .iter()
            .flat_map(|question| &question.bytes)
            .copied()
            .collect();
        send_while_reading(peer.writer().map_err(answered)?, bytes);
        Ok(())
    }

    fn questions(&mut self, most: u64) -> Vec<Question> {
        let count = 1 + self.random.below(most);
        (0..count).map(|_| self.question()).collect()
    }

    fn question(&mut self) -> Question {
        match self.random.below(20) {
            0..=11 => Question {
                bytes: get("/hello"),
                status: 200,
                content: Content::Exactly(b"Hello, World!".to_vec()),
            },
            12..=13 => {
                let length = self.random.below(30_000) as usize;
                Question {
                    bytes: get(&format!("/bytes/{length}")),
                    status: 200,
                    content: Content::Length(length),
                }
            }
            14 => Question {
                bytes: get("/stream"),
                status: 200,
                content: Content::Length(900),
            },
            15 => Question {
                bytes: get("/inspect?a=b"),
                status: 200,
                content: Content::Any,
            },
            16 => Question {
                bytes: get("/status/404"),
                status: 404,
                content: Content::Any,
            },
            17..=18 => self.upload(),
            _ => self.chunked_upload(),
        }
    }

    fn upload(&mut self) -> Question {
        let length = self.random.below(20_000) as usize;
        let content = self.content[..length].to_vec();
        let head =
            format!("POST /echo HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend(&content);
        Question {
            bytes,
            status: 200,
            content: Content::Exactly(content),
        }
    }

    fn chunked_upload(&mut self) -> Question {
        let content = self.content[..self.random.below(20_000) as usize].to_vec();
        let head =
            format!("POST /echo HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut bytes = head.into_bytes();
        let mut rest = &content[..];
        while !rest.is_empty() {
            let length = 1 + self.random.below(rest.len() as u64) as usize;
            let (chunk, after) = rest.split_at(length);
            bytes.extend(format!("{length:x}\r\n").as_bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
            rest = after;
        }
        bytes.extend(b"0\r\n\r\n");
        Question {
            bytes,
            status: 200,
            content: Content::Exactly(content),
        }
    }

    /// Ends a connection: closed, reset, or our side first.
    fn end(&mut self, mut peer: Peer) -> Result<(), ClientError> {
        match self.random.below(3) {
            0 => Ok(()),
            1 => peer.reset().map_err(answered),
            _ => {
                // The server may have ended it before.
                let _ = peer.end_sending();
                Ok(())
            }
        }
    }
}

impl Question {
    fn check(&self, reply: io::Result<Reply>) -> Result<(), ClientError> {
        let head = &self.bytes[..self.bytes.len().min(40)];
        let what = String::from_utf8_lossy(head);
        let reply = reply.map_err(|source| ClientError::Unanswered {
            request: what.to_string(),
            source,
        })?;
        expect::equal(&what, &reply.status, &self.status)?;
        match &self.content {
            Content::Exactly(content) => expect::equal(&what, &reply.content, content),
            Content::Length(length) => expect::equal(&what, &reply.content.len(), length),
            Content::Any => Ok(()),
        }
    }
}

/// Has each handler thread the server may have serve something, so that all have been started.
pub(crate) fn occupy_all_threads(port: u16) -> Result<(), ClientError> {
    let blocked: io::Result<Vec<Peer>> = (0..96)
        .map(|_| {
            let mut peer = Peer::connect(port)?;
            peer.send(&get("/block/100"))?;
            Ok(peer)
        })
        .collect();
    for mut peer in blocked.map_err(answered)? {
        let reply = peer.reply().map_err(answered)?;
        expect::equal("/block", &reply.status, &200)?;
    }
    Ok(())
}

/// Has the server do each thing once: its log and its runtime for async answers start when needed.
pub(crate) fn use_all_parts(port: u16) -> Result<(), ClientError> {
    let mut client = Client::new(port, 0);
    client.refused()?;
    let mut peer = client.connect()?;
    peer.send(&get("/delay/1")).map_err(answered)?;
    peer.reply().map_err(answered)?;
    let upload = client.chunked_upload();
    peer.send(&upload.bytes).map_err(answered)?;
    upload.check(peer.reply())
}

fn send_while_reading(mut writer: std::net::TcpStream, bytes: Vec<u8>) {
    use std::io::Write;
    if bytes.len() <= WRITTEN_AT_ONCE {
        // Fits into the sockets' buffers. A failure shows in the answers.
        let _ = writer.write_all(&bytes);
        return;
    }
    thread::spawn(move || writer.write_all(&bytes));
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n").into_bytes()
}

fn answered(source: io::Error) -> ClientError {
    ClientError::Io {
        what: "being answered",
        source,
    }
}

/// Any would do: the server's prefix is bound to an address.
const HOST: &str = "127.0.0.1";

const WRITTEN_AT_ONCE: usize = 60_000;

/// Requests that no server may accept.
const WRONG: [&str; 6] = [
    "\u{1}\u{2}\u{3}\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
];
