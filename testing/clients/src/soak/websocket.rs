//! One WebSocket client of the soak: a connection at a time, each used and ended in another way.

use std::io;
use std::thread;

use super::Visit;
use crate::curl::content;
use crate::error::ClientError;
use crate::expect;
use crate::frames::{
    BINARY, CHAT, CLOSE, COMPRESSED, DEFLATE, FIN, Frames, PING, PLAIN, PONG, TEXT, close, frame,
};
use crate::peer::Peer;
use crate::random::Random;

/// A client with a will of its own.
pub(crate) struct Client {
    port: u16,
    random: Random,
    /// Payloads; any part of it may be sent.
    content: Vec<u8>,
}

impl Visit for Client {
    /// Opens a connection, does something with it and ends it in some way. It is one, always.
    fn visit(&mut self) -> Result<u64, ClientError> {
        let act = &ACTS[self.random.below(ACTS.len() as u64) as usize];
        self.perform(act)?;
        Ok(1)
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

    /// Does each thing once: the server takes what it needs for them.
    pub(crate) fn do_all(&mut self) -> Result<(), ClientError> {
        ACTS.iter().try_for_each(|act| self.perform(act))
    }

    fn perform(&mut self, act: &Act) -> Result<(), ClientError> {
        (act.run)(self).map_err(|source| ClientError::Case {
            name: act.name,
            source: Box::new(source),
        })
    }

    pub(crate) fn closed_by_us(&mut self) -> Result<(), ClientError> {
        let mut frames = self.open()?;
        for _ in 0..self.random.below(20) {
            self.ask(&mut frames)?;
        }
        let code = [1000, 1001, 3000, 4000][self.random.below(4) as usize];
        frames.send(&close(code, "a reason")).map_err(answered)?;
        self.is_closed(&mut frames, code, "a close frame")
    }

    fn closed_by_the_server(&mut self) -> Result<(), ClientError> {
        let wrong = &WRONG[self.random.below(WRONG.len() as u64) as usize];
        self.fail_with(wrong)
    }

    /// Does something wrong, for which the server closes the connection.
    fn fail_with(&mut self, wrong: &Wrong) -> Result<(), ClientError> {
        let mut frames = self.open_with(DEFLATE)?;
        for _ in 0..self.random.below(4) {
            self.ask(&mut frames)?;
        }
        frames.send(wrong.bytes).map_err(answered)?;
        if self.random.below(2) == 0 {
            // A client answers a close frame before it knows of it only by chance; both must do.
            let _ = frames.send(&close(wrong.code, ""));
        }
        self.is_closed(&mut frames, wrong.code, wrong.what)
    }

    fn broken_off_when_open(&mut self) -> Result<(), ClientError> {
        let mut frames = self.open()?;
        for _ in 0..self.random.below(4) {
            self.ask(&mut frames)?;
        }
        self.end(frames)
    }

    /// The end of our side without a close frame ends the connection, after the answers or without.
    fn half_closed(&mut self) -> Result<(), ClientError> {
        let mut frames = self.open()?;
        for _ in 0..self.random.below(4) {
            let message = self.message();
            frames.send(&message).map_err(answered)?;
        }
        frames.peer().end_sending().map_err(answered)?;
        // Whether it ends or resets the connection is left to it.
        match ends(&mut frames) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
            ended => ended.map_err(answered),
        }
    }

    fn broken_off_in_a_frame(&mut self) -> Result<(), ClientError> {
        let mut frames = self.open()?;
        let message = match self.random.below(3) {
            // A fragment, and a part of the next.
            0 => {
                let mut bytes = frame(BINARY, &self.content[..3_000]);
                bytes.extend(frame(0, &self.content[..3_000]));
                bytes
            }
            _ => self.message(),
        };
        let end = self.random.below(message.len() as u64) as usize;
        frames.send(&message[..end]).map_err(answered)?;
        self.end(frames)
    }

    fn broken_off_in_the_handshake(&mut self) -> Result<(), ClientError> {
        let mut frames = Frames::connect(self.port).map_err(answered)?;
        // At its end: the answer is not waited for.
        let end = self.random.below(PLAIN.len() as u64 + 1) as usize;
        let bytes = &PLAIN.as_bytes()[..end];
        frames.send(bytes).map_err(answered)?;
        self.end(frames)
    }

    fn broken_off_before_the_answers(&mut self) -> Result<(), ClientError> {
        let mut frames = self.open()?;
        for _ in 0..=self.random.below(8) {
            let message = self.message();
            frames.send(&message).map_err(answered)?;
        }
        self.end(frames)
    }

    fn broken_off_in_the_closing_handshake(&mut self) -> Result<(), ClientError> {
        let mut frames = self.open()?;
        let mut bytes = close(1000, "");
        if self.random.below(2) == 0 {
            // RFC 6455 §5.5.1: nothing may follow; whoever does it gets no answer.
            bytes.extend(self.message());
        }
        let end = 1 + self.random.below(bytes.len() as u64) as usize;
        frames.send(&bytes[..end]).map_err(answered)?;
        self.end(frames)
    }

    /// Each ping is answered, or only the last of those that came together (RFC 6455 §5.5.3).
    fn flooded_with_pings(&mut self) -> Result<(), ClientError> {
        let mut frames = self.open()?;
        let count = 100 + self.random.below(900) as usize;
        let mut bytes = frame(FIN | PING, &self.content[..125]).repeat(count);
        bytes.extend(frame(FIN | PING, b"the last"));
        let mut writer = frames.peer().writer().map_err(answered)?;
        // A thread: a flood does not wait for answers. What fails shows in them.
        let flood = thread::spawn(move || io::Write::write_all(&mut writer, &bytes));
        let answer = loop {
            let answer = frames.receive_any().map_err(answered)?;
            expect::equal("opcode", &answer.opcode, &PONG)?;
            if answer.payload.len() != 125 {
                break answer;
            }
        };
        expect::equal("payload", &answer.payload[..], b"the last")?;
        // It has ended: its last byte has been answered.
        let _ = flood.join();
        self.end(frames)
    }

    fn refused(&mut self) -> Result<(), ClientError> {
        let (from, to, status) = [
            ("Version: 13", "Version: 12", "http/1.1 426 "),
            ("dGhlIHNhbXBsZSBub25jZQ==", "short", "http/1.1 400 "),
        ][self.random.below(2) as usize];
        let mut frames = Frames::connect(self.port).map_err(answered)?;
        let request = PLAIN.replace(from, to);
        frames.send(request.as_bytes()).map_err(answered)?;
        let head = frames.peer().head().map_err(answered)?;
        expect::holds(to, head.starts_with(status), || head.clone())?;
        self.end(frames)
    }

    /// Frames that come with the handshake belong to the connection all the same.
    fn begun_before_the_answer(&mut self) -> Result<(), ClientError> {
        let mut frames = Frames::connect(self.port).map_err(answered)?;
        let mut bytes = PLAIN.as_bytes().to_vec();
        bytes.extend(frame(FIN | TEXT, b"early"));
        frames.send(&bytes).map_err(answered)?;
        frames.opened().map_err(answered)?;
        let answer = frames.receive().map_err(answered)?;
        expect::equal("the answer", &answer.payload[..], b"early")?;
        frames.send(&close(1000, "")).map_err(answered)?;
        self.is_closed(&mut frames, 1000, "a close frame")
    }

    /// RFC 7692 §7.2.3.1: "Hello". Its answer may be compressed or not; it is a text and not empty.
    fn compressed(&mut self) -> Result<(), ClientError> {
        let mut frames = self.open_with(DEFLATE)?;
        for _ in 0..10 {
            let hello = frame(FIN | COMPRESSED | TEXT, &HELLO);
            frames.send(&hello).map_err(answered)?;
            let answer = frames.receive().map_err(answered)?;
            expect::equal("opcode", &answer.opcode, &TEXT)?;
            expect::holds("content", answer.payload.len() >= 2, || {
                format!("{answer:?}")
            })?;
        }
        self.end(frames)
    }

    fn open(&mut self) -> Result<Frames, ClientError> {
        let handshake = [PLAIN, DEFLATE][self.random.below(2) as usize];
        self.open_with(handshake)
    }

    fn open_with(&self, handshake: &str) -> Result<Frames, ClientError> {
        Frames::open(self.port, handshake).map_err(|source| ClientError::Io {
            what: "opening a WebSocket",
            source,
        })
    }

    /// Sends a message, in fragments or with a ping or two, and gets it back.
    fn ask(&mut self, frames: &mut Frames) -> Result<(), ClientError> {
        let length = self.random.below(20_000) as usize;
        let payload = self.content[..length].to_vec();
        let bytes = match self.random.below(4) {
            0 => {
                let (first, second) = payload.split_at(length / 3);
                let mut bytes = frame(BINARY, first);
                bytes.extend(frame(FIN | PING, b"between"));
                bytes.extend(frame(FIN, second));
                bytes
            }
            _ => frame(FIN | BINARY, &payload),
        };
        frames.send(&bytes).map_err(answered)?;
        let answer = frames.receive().map_err(answered)?;
        expect::equal("opcode", &answer.opcode, &BINARY)?;
        if answer.is_compressed {
            // What is in it, other clients look at.
            return Ok(());
        }
        expect::equal("the answer", &answer.payload, &payload)
    }

    fn message(&mut self) -> Vec<u8> {
        let length = self.random.below(30_000) as usize;
        frame(FIN | BINARY, &self.content[..length])
    }

    /// The server answers with a close frame and then ends its side.
    fn is_closed(
        &mut self,
        frames: &mut Frames,
        code: u16,
        after: &str,
    ) -> Result<(), ClientError> {
        let answer = frames.receive().map_err(answered)?;
        expect::equal(after, &answer.opcode, &CLOSE)?;
        let found = answer.payload.get(..2).map(|code| [code[0], code[1]]);
        expect::equal(after, &found.map(u16::from_be_bytes), &Some(code))?;
        match self.random.below(4) {
            // Gone, without having seen the end.
            0 => Ok(()),
            _ => match ends(frames) {
                // What we sent it after its close frame may cost us the rest.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
                ended => ended.map_err(answered),
            },
        }
    }

    /// Ends a connection: closed, reset, or our side first.
    fn end(&mut self, frames: Frames) -> Result<(), ClientError> {
        let mut peer = frames.into_peer();
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

/// A client that asks for more than the sockets hold and never reads.
pub(crate) struct NeverReading {
    client: Client,
    messages: Vec<u8>,
}

impl NeverReading {
    pub(crate) fn new(port: u16, seed: u64) -> Self {
        let client = Client::new(port, seed);
        let messages = frame(FIN | BINARY, &client.content).repeat(UNREAD_MESSAGES);
        Self { client, messages }
    }
}

impl Visit for NeverReading {
    fn visit(&mut self) -> Result<u64, ClientError> {
        let mut frames = self.client.open()?;
        frames
            .peer()
            .send_what_fits(&self.messages)
            .map_err(answered)?;
        self.client.end(frames)?;
        Ok(1)
    }
}

/// How many WebSocket connections the server says it has, besides the one that asks.
pub(crate) fn counted_by_the_server(port: u16) -> Result<u64, ClientError> {
    let mut frames = Frames::open(port, CHAT).map_err(answered)?;
    let call = br#"{"jsonrpc":"2.0","id":1,"method":"connections"}"#;
    frames.send(&frame(FIN | TEXT, call)).map_err(answered)?;
    let answer = frames.receive().map_err(answered)?;
    let text = String::from_utf8_lossy(&answer.payload);
    let count = text
        .split_once("\"result\":")
        .map(|(_, rest)| rest.trim_end_matches('}'))
        .and_then(|digits| digits.parse::<u64>().ok());
    expect::holds("a count", count.is_some(), || text.to_string())?;
    Ok(count.unwrap_or(0).saturating_sub(1))
}

/// Opens connections and leaves them open until this program ends.
pub(crate) fn leave_open(port: u16) -> Result<(), ClientError> {
    for _ in 0..LEFT_OPEN {
        let frames = Frames::open(port, PLAIN).map_err(answered)?;
        std::mem::forget::<Peer>(frames.into_peer());
    }
    Ok(())
}

/// Reads until the server ends its side.
fn ends(frames: &mut Frames) -> io::Result<()> {
    loop {
        match frames.receive_any() {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn answered(source: io::Error) -> ClientError {
    ClientError::Io {
        what: "being answered",
        source,
    }
}

/// One thing to do with a connection.
struct Act {
    name: &'static str,
    run: fn(&mut Client) -> Result<(), ClientError>,
}

/// Each as likely as another.
const ACTS: [Act; 12] = [
    Act {
        name: "closed by us",
        run: Client::closed_by_us,
    },
    Act {
        name: "closed by the server",
        run: Client::closed_by_the_server,
    },
    Act {
        name: "broken off when open",
        run: Client::broken_off_when_open,
    },
    Act {
        name: "half-closed",
        run: Client::half_closed,
    },
    Act {
        name: "broken off in a frame",
        run: Client::broken_off_in_a_frame,
    },
    Act {
        name: "broken off in the handshake",
        run: Client::broken_off_in_the_handshake,
    },
    Act {
        name: "broken off before the answers",
        run: Client::broken_off_before_the_answers,
    },
    Act {
        name: "broken off in the closing handshake",
        run: Client::broken_off_in_the_closing_handshake,
    },
    Act {
        name: "flooded with pings",
        run: Client::flooded_with_pings,
    },
    Act {
        name: "refused",
        run: Client::refused,
    },
    Act {
        name: "begun before the answer",
        run: Client::begun_before_the_answer,
    },
    Act {
        name: "compressed",
        run: Client::compressed,
    },
];

/// Bytes that no server may accept, and the close code they get.
struct Wrong {
    what: &'static str,
    bytes: &'static [u8],
    code: u16,
}

const WRONG: [Wrong; 12] = {
    const fn wrong(what: &'static str, bytes: &'static [u8], code: u16) -> Wrong {
        Wrong { what, bytes, code }
    }
    [
        wrong("a reserved opcode", &[0x83, 0x80, 0, 0, 0, 0], 1002),
        wrong("a reserved bit", &[0xa1, 0x80, 0, 0, 0, 0], 1002),
        wrong("no mask", &[0x81, 0x01, b'x'], 1002),
        wrong("a fragmented ping", &[0x09, 0x80, 0, 0, 0, 0], 1002),
        wrong("a long ping", &[0x89, 0xfe, 0, 126, 0, 0, 0, 0], 1002),
        wrong("the rest of nothing", &[0x80, 0x80, 0, 0, 0, 0], 1002),
        wrong(
            "a close frame of one byte",
            &[0x88, 0x81, 0, 0, 0, 0, 3],
            1002,
        ),
        wrong(
            "a length of 64 bits",
            &[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            1002,
        ),
        wrong(
            "a close code that is none",
            &[0x88, 0x82, 0, 0, 0, 0, 3, 0xed],
            1002,
        ),
        wrong("no UTF-8", &[0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28], 1007),
        wrong(
            "more than a message may have",
            &[0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            1009,
        ),
        wrong(
            "what cannot be inflated",
            &[0xc2, 0x83, 0, 0, 0, 0, 0xff, 0xff, 0xff],
            1007,
        ),
    ]
};

/// "Hello", compressed.
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

/// 8 MB: more than the buffers of both sockets grow to.
const UNREAD_MESSAGES: usize = 40;

const LEFT_OPEN: usize = 50;
