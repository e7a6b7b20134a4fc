//! The bare WebSocket loop: what this machine can do with these event loops and no checks at all.
//!
//! `/echo` sends each frame back, unmasked. On `/broadcast` a frame goes to all others there: its
//! bytes are made once, and what a connection is owed leaves in one send, at the end of the turn
//! that produced it or when the send before is done. The handshake's answer is the one to the key
//! of RFC 6455's example. A server's benchmark compares itself with this.
//!
//! ```text
//! bare_websocket --io uring|poll --port N
//! ```

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use tidegate_os::{
    ConnectionKey, Event, EventLoop, Handler, ListenAddress, ListenOptions, Listener, LoopSettings,
    Operations, PollLoop, SendBuffer,
};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bare_websocket: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut io = String::from("uring");
    let mut port = 0;
    let mut words = std::env::args().skip(1);
    while let Some(name) = words.next() {
        let value = words
            .next()
            .ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--io" => io = value,
            "--port" => port = value.parse()?,
            _ => return Err(format!("unknown option {name}").into()),
        }
    }
    let address = ListenAddress::Tcp(([127, 0, 0, 1], port).into());
    let listener = Listener::bind(&address, &ListenOptions::default())?;
    println!("{}", listener.local_address());
    match io.as_str() {
        #[cfg(target_os = "linux")]
        "uring" => serve::<tidegate_os::UringLoop>(listener),
        "poll" => serve::<PollLoop>(listener),
        _ => Err(format!("unknown loop {io}").into()),
    }
}

fn serve<L: EventLoop>(listener: Listener) -> Result<(), Box<dyn Error>> {
    let mut event_loop = L::new(&LoopSettings::default())?;
    event_loop.operations().listen(listener)?;
    let mut responder = Responder::default();
    loop {
        // A server has timeouts to look after, so this one waits like it.
        event_loop.turn(Some(Duration::from_secs(1)), &mut responder)?;
        responder.send_due(event_loop.operations());
    }
}

#[derive(Default)]
struct Responder {
    /// By index of the connection.
    peers: Vec<Peer>,
    /// Connections that became owed something in this turn.
    due: Vec<ConnectionKey>,
    /// Those on `/broadcast`.
    audience: Vec<ConnectionKey>,
    spare: Vec<SendBuffer>,
}

#[derive(Default)]
struct Peer {
    key: Option<ConnectionKey>,
    stage: Stage,
    is_sending: bool,
    /// The beginning of a frame, or of a request's head.
    partial: Vec<u8>,
    /// What is to be sent next; has memory only while it has bytes.
    owed: Option<SendBuffer>,
}

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum Stage {
    #[default]
    Handshake,
    Echo,
    Broadcast,
}

impl<O: Operations> Handler<O> for Responder {
    #[inline]
    fn handle(&mut self, operations: &mut O, event: Event<'_>) {
        match event {
            Event::Received {
                connection, bytes, ..
            } => match self.peers[connection.index() as usize].stage {
                Stage::Echo => {
                    let (partial, owed) = self.owe(connection);
                    take_frames(partial, bytes, &mut owed.head);
                }
                Stage::Broadcast => self.broadcast(connection, bytes),
                Stage::Handshake => self.shake_hands(connection, bytes),
            },
            Event::Sent {
                connection, buffer, ..
            } => {
                self.recycle(buffer);
                let peer = &mut self.peers[connection.index() as usize];
                peer.is_sending = false;
                if peer.owed.is_some() {
                    self.due.push(connection);
                }
            }
            Event::Accepted { connection, .. } => {
                let place = connection.index() as usize;
                if self.peers.len() <= place {
                    self.peers.resize_with(place + 1, Peer::default);
                }
                self.peers[place] = Peer {
                    key: Some(connection),
                    ..Peer::default()
                };
            }
            Event::PeerClosed { connection } | Event::Failed { connection, .. } => {
                if self.peers[connection.index() as usize].stage == Stage::Broadcast {
                    self.audience.retain(|key| *key != connection);
                }
                operations.close(connection);
            }
            Event::AcceptFailed { error, .. } => eprintln!("bare_websocket: {error}"),
            Event::Woken => {}
        }
    }
}

impl Responder {
    /// Sends what the turn has left to be sent, one send for each connection.
    #[inline]
    fn send_due(&mut self, operations: &mut impl Operations) {
        let mut due = std::mem::take(&mut self.due);
        for connection in due.drain(..) {
            let peer = &mut self.peers[connection.index() as usize];
            // Another connection may have the place of one that was closed in this turn.
            if peer.key != Some(connection) {
                continue;
            }
            let Some(buffer) = peer.owed.take() else {
                continue;
            };
            match operations.send(connection, buffer) {
                Some(buffer) => self.recycle(buffer),
                None => peer.is_sending = true,
            }
        }
        self.due = due;
    }

    /// Has the connection looked at when the turn ends, and gives the places to write to.
    #[inline]
    fn owe(&mut self, connection: ConnectionKey) -> (&mut Vec<u8>, &mut SendBuffer) {
        let peer = &mut self.peers[connection.index() as usize];
        if peer.owed.is_none() && !peer.is_sending {
            self.due.push(connection);
        }
        let owed = peer
            .owed
            .get_or_insert_with(|| self.spare.pop().unwrap_or_default());
        (&mut peer.partial, owed)
    }

    #[inline]
    fn recycle(&mut self, mut buffer: SendBuffer) {
        buffer.clear();
        self.spare.push(buffer);
    }

    fn broadcast(&mut self, from: ConnectionKey, bytes: &mut [u8]) {
        let mut frames = self.spare.pop().unwrap_or_default();
        let peer = &mut self.peers[from.index() as usize];
        take_frames(&mut peer.partial, bytes, &mut frames.head);
        if !frames.head.is_empty() {
            for place in 0..self.audience.len() {
                let to = self.audience[place];
                if to != from {
                    let (_, owed) = self.owe(to);
                    owed.head.extend_from_slice(&frames.head);
                }
            }
        }
        self.recycle(frames);
    }

    fn shake_hands(&mut self, connection: ConnectionKey, bytes: &[u8]) {
        let peer = &mut self.peers[connection.index() as usize];
        peer.partial.extend_from_slice(bytes);
        if !peer.partial.ends_with(b"\r\n\r\n") {
            return;
        }
        let head = std::mem::take(&mut peer.partial);
        peer.stage = if head.starts_with(b"GET /broadcast") {
            self.audience.push(connection);
            Stage::Broadcast
        } else {
            Stage::Echo
        };
        let (_, owed) = self.owe(connection);
        owed.head.extend_from_slice(SWITCHING);
    }
}

/// Appends every whole frame to `out`, unmasked, and keeps the beginning of the next in `partial`.
#[inline]
fn take_frames(partial: &mut Vec<u8>, mut bytes: &mut [u8], out: &mut Vec<u8>) {
    while !partial.is_empty() {
        let missing = match Frame::read(partial) {
            Some(frame) if frame.bytes == partial.len() => {
                frame.echo(partial, out);
                partial.clear();
                break;
            }
            Some(frame) => frame.bytes - partial.len(),
            None => 1,
        };
        let (taken, rest) = bytes.split_at_mut(missing.min(bytes.len()));
        if taken.is_empty() {
            return;
        }
        partial.extend_from_slice(taken);
        bytes = rest;
    }
    while let Some(frame) = Frame::read(bytes).filter(|frame| frame.bytes <= bytes.len()) {
        let (taken, rest) = bytes.split_at_mut(frame.bytes);
        frame.echo(taken, out);
        bytes = rest;
    }
    partial.extend_from_slice(bytes);
}

/// Where a client's frame has its parts.
#[derive(Clone, Copy)]
struct Frame {
    /// Bytes of the header before the masking key: all of a server's header.
    header_bytes: usize,
    /// Bytes of the whole frame.
    bytes: usize,
}

impl Frame {
    /// Reads a header; `None` when it is not all there.
    #[inline]
    fn read(bytes: &[u8]) -> Option<Self> {
        let (header_bytes, payload_bytes) = match *bytes.get(1)? & 0x7F {
            126 => {
                let length = bytes.get(2..4)?.try_into().ok()?;
                (4, usize::from(u16::from_be_bytes(length)))
            }
            127 => {
                let length = bytes.get(2..10)?.try_into().ok()?;
                (10, usize::try_from(u64::from_be_bytes(length)).ok()?)
            }
            length => (2, usize::from(length)),
        };
        Some(Self {
            header_bytes,
            bytes: header_bytes + KEY_BYTES + payload_bytes,
        })
    }

    /// Appends the frame as a server sends it.
    #[inline]
    fn echo(self, frame: &mut [u8], out: &mut Vec<u8>) {
        let (header, rest) = frame.split_at_mut(self.header_bytes);
        let (key, payload) = rest.split_at_mut(KEY_BYTES);
        unmask(payload, [key[0], key[1], key[2], key[3]]);
        let start = out.len();
        out.extend_from_slice(header);
        out[start + 1] &= 0x7F;
        out.extend_from_slice(payload);
    }
}

#[inline]
fn unmask(payload: &mut [u8], key: [u8; KEY_BYTES]) {
    let wide: [u8; 32] = std::array::from_fn(|index| key[index % KEY_BYTES]);
    let mut blocks = payload.chunks_exact_mut(wide.len());
    for block in &mut blocks {
        for (byte, mask) in block.iter_mut().zip(wide) {
            *byte ^= mask;
        }
    }
    for (byte, mask) in blocks.into_remainder().iter_mut().zip(wide) {
        *byte ^= mask;
    }
}

const KEY_BYTES: usize = 4;

/// The answer to `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==`. RFC 6455 §1.3.
const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
