//! A client of our own that can do what well-behaved ones do not: stop anywhere, pipeline, half-close,
//! reset.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::Duration;

use socket2::SockRef;

/// One connection to the server.
pub(crate) struct Peer {
    stream: TcpStream,
    /// Received and not yet taken.
    buffer: Vec<u8>,
}

/// One answer, read whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content: Vec<u8>,
}

impl Peer {
    pub(crate) fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(WAIT_MAX))?;
        stream.set_write_timeout(Some(WAIT_MAX))?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends as much as goes without waiting for the server to take it.
    pub(crate) fn send_what_fits(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.stream.set_nonblocking(true)?;
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.stream.set_nonblocking(false)
    }

    /// Reads the head of an answer, in lower case.
    pub(crate) fn head(&mut self) -> io::Result<String> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.fill()?;
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        Ok(String::from_utf8_lossy(&head).to_ascii_lowercase())
    }

    /// Reads one answer.
    pub(crate) fn reply(&mut self) -> io::Result<Reply> {
        let head = self.head()?;
        let status: u16 = head
            .strip_prefix("http/1.1 ")
            .and_then(|rest| rest.get(..3))
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| broken("status line", &head))?;
        let field = |name: &str| {
            head.lines()
                .find_map(|line| line.strip_prefix(name))
                .map(str::trim)
        };
        let content = if status == 204 || status == 304 {
            Vec::new()
        } else if field("transfer-encoding:") == Some("chunked") {
            self.chunks()?
        } else if let Some(length) = field("content-length:") {
            let length = length
                .parse()
                .map_err(|_| broken("Content-Length", length))?;
            self.take(length)?
        } else {
            return Err(broken("framing", &head));
        };
        Ok(Reply { status, content })
    }

    /// Whether the server ends its side, with nothing more before.
    pub(crate) fn ends(&mut self) -> io::Result<bool> {
        let mut byte = [0];
        Ok(self.buffer.is_empty() && self.stream.read(&mut byte)? == 0)
    }

    /// Reads some bytes of whatever comes.
    pub(crate) fn read_some(&mut self, bytes: usize) -> io::Result<()> {
        while self.buffer.len() < bytes {
            self.fill()?;
        }
        Ok(())
    }

    /// Ends our side; the server may go on.
    pub(crate) fn end_sending(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) -> io::Result<()> {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
    }

    /// A way to write from another thread than the one that reads.
    pub(crate) fn writer(&self) -> io::Result<TcpStream> {
        self.stream.try_clone()
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        loop {
            let line = self.line()?;
            let length =
                usize::from_str_radix(&line, 16).map_err(|_| broken("chunk size", &line))?;
            if length == 0 {
                while !self.line()?.is_empty() {}
                return Ok(content);
            }
            content.extend(self.take(length)?);
            if !self.line()?.is_empty() {
                return Err(broken("end of a chunk", ""));
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            self.fill()?;
        }
    }

    /// Reads so many bytes.
    pub(crate) fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.fill()?;
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    fn fill(&mut self) -> io::Result<()> {
        let begin = self.buffer.len();
        self.buffer.resize(begin + 65_536, 0);
        let read = self.stream.read(&mut self.buffer[begin..]);
        self.buffer.truncate(begin + *read.as_ref().unwrap_or(&0));
        match read? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn broken(what: &str, text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what}: {text:?}"))
}

/// Far longer than any answer takes that is asked for here.
const WAIT_MAX: Duration = Duration::from_secs(20);
