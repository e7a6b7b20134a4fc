//! WebSocket frames as a client of our own sends and reads them: right ones and wrong ones.
//!
//! No more of the protocol than the soak needs; what is right about it, other clients show.

use std::io;

use crate::peer::Peer;

/// One connection, before or after its handshake.
pub(crate) struct Frames {
    peer: Peer,
}

/// A frame that the server sent.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    /// Whether the first reserved bit is set: the payload is compressed.
    pub(crate) is_compressed: bool,
    pub(crate) payload: Vec<u8>,
}

impl Frames {
    pub(crate) fn connect(port: u16) -> io::Result<Self> {
        Peer::connect(port).map(|peer| Self { peer })
    }

    /// Connects and does one of the handshakes.
    pub(crate) fn open(port: u16, handshake: &str) -> io::Result<Self> {
        let mut frames = Self::connect(port)?;
        frames.peer.send(handshake.as_bytes())?;
        frames.opened()?;
        Ok(frames)
    }

    /// Reads the answer to a handshake that has been sent.
    pub(crate) fn opened(&mut self) -> io::Result<()> {
        let head = self.peer.head()?;
        let is_upgraded = head.starts_with("http/1.1 101 ")
            && head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n");
        if is_upgraded {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, head))
        }
    }

    /// Reads the next frame that is neither a heartbeat nor a pong.
    pub(crate) fn receive(&mut self) -> io::Result<Frame> {
        loop {
            let frame = self.receive_any()?;
            if frame.opcode != PONG {
                return Ok(frame);
            }
        }
    }

    /// Reads the next frame that is no heartbeat.
    pub(crate) fn receive_any(&mut self) -> io::Result<Frame> {
        loop {
            let frame = self.frame()?;
            if frame.opcode != PING {
                return Ok(frame);
            }
        }
    }

    fn frame(&mut self) -> io::Result<Frame> {
        let head = self.peer.take(2)?;
        let length = match head[1] {
            126 => self.peer.take(2)?,
            127 => self.peer.take(8)?,
            short => vec![short],
        };
        let length = length
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        Ok(Frame {
            opcode: head[0] & 0x0f,
            is_compressed: head[0] & 0x40 != 0,
            payload: self.peer.take(length)?,
        })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.peer.send(bytes)
    }

    pub(crate) fn into_peer(self) -> Peer {
        self.peer
    }

    pub(crate) fn peer(&mut self) -> &mut Peer {
        &mut self.peer
    }
}

/// A frame as a client must send it: whole and masked. `first` is its first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 14);
    bytes.push(first);
    let length = payload.len();
    if length < 126 {
        bytes.push(0x80 | length as u8);
    } else if let Ok(length) = u16::try_from(length) {
        bytes.push(0x80 | 126);
        bytes.extend(length.to_be_bytes());
    } else {
        bytes.push(0x80 | 127);
        bytes.extend((length as u64).to_be_bytes());
    }
    bytes.extend(MASK);
    let masked = payload.iter().zip(MASK.iter().cycle());
    bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A close frame.
pub(crate) fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend(reason.as_bytes());
    frame(FIN | CLOSE, &payload)
}

/// The handshake of RFC 6455 §1.3.
pub(crate) const PLAIN: &str = "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
    Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// The same with compression offered.
pub(crate) const DEFLATE: &str = "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
    Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

/// The same for the chat, which speaks the channel protocol.
pub(crate) const CHAT: &str = "GET /ws/chat HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
    Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: tidegate.channels\r\n\r\n";

pub(crate) const FIN: u8 = 0x80;
pub(crate) const COMPRESSED: u8 = 0x40;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// Any will do.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
