//! A client that sends exactly the bytes it is given.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::PATIENCE;
use crate::response::Response;
use crate::tls::{Offer, Refusal, Secure};

/// One connection to a server.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    /// Received and not yet looked at.
    received: Vec<u8>,
    /// What secures it.
    secure: Option<Box<Secure>>,
}

/// How a connection ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct End {
    /// What came before the end.
    pub rest: Vec<u8>,
    /// Whether it was a reset.
    pub reset: bool,
}

impl Client {
    /// Connects to the loopback address.
    pub fn connect(port: u16) -> Self {
        Self::connect_to(local(port))
    }

    /// Connects to an address.
    pub fn connect_to(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).expect("connects"))
    }

    /// Connects with a receive buffer so small that the server soon has to wait.
    pub fn connect_narrow(port: u16) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&local(port).into()).expect("connects");
        Self::of(socket.into())
    }

    fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            received: Vec::new(),
            secure: None,
        }
    }

    /// Connects to the loopback address and shakes hands.
    ///
    /// # Errors
    ///
    /// The handshake fails.
    pub fn connect_secure(port: u16, offer: &Offer) -> Result<Self, Refusal> {
        Self::connect(port).secured(offer)
    }

    /// Shakes hands. From now on all is encrypted that is sent, and what is received is decrypted.
    ///
    /// # Errors
    ///
    /// The handshake fails.
    pub fn secured(mut self, offer: &Offer) -> Result<Self, Refusal> {
        let mut secure = Secure::new(offer);
        loop {
            self.send(secure.flight());
            if !secure.shakes_hands() {
                break;
            }
            let bytes = match self.read() {
                Ok(bytes) => bytes,
                Err(reset) => return Err(Refusal::Closed { reset }),
            };
            let plain = secure.decrypt(&bytes).map_err(Refusal::Failed)?;
            self.received.extend_from_slice(&plain);
        }
        self.secure = Some(Box::new(secure));
        Ok(self)
    }

    /// What secures the connection.
    pub fn secure(&mut self) -> &mut Secure {
        self.secure.as_mut().expect("a connection with TLS")
    }

    /// The client's own port, by which the error log tells connections apart.
    pub fn port(&self) -> u16 {
        self.stream.local_addr().unwrap().port()
    }

    /// Sends bytes. A server that has closed already is no failure: what it said is to be read.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = match &mut self.secure {
            None => self.stream.write_all(bytes.as_ref()),
            Some(secure) => self.stream.write_all(&secure.encrypt(bytes.as_ref())),
        };
    }

    /// Sends bytes as they are, whatever secures the connection.
    pub fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Sends each piece on its own.
    pub fn send_pieces<'a>(&mut self, pieces: impl IntoIterator<Item = &'a [u8]>) {
        for piece in pieces {
            self.send(piece);
            std::thread::yield_now();
        }
    }

    /// Sends until the server takes no more for a while, or `max` bytes are sent. Says how many were.
    pub fn send_until_stalled(&mut self, byte: u8, max: usize) -> usize {
        let block = vec![byte; 64 * 1024];
        let mut sent = 0;
        assert!(self.secure.is_none(), "what is encrypted cannot be cut");
        self.stream
            .set_write_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        while sent < max {
            match self.stream.write(&block[..block.len().min(max - sent)]) {
                Ok(count) => sent += count,
                Err(error) if is_timeout(&error) => break,
                Err(error) => panic!("cannot send: {error}"),
            }
        }
        self.stream.set_write_timeout(Some(PATIENCE)).unwrap();
        sent
    }

    /// Says that no more will be sent.
    pub fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Sends and receives no more, nor does who has the same connection.
    pub fn abandon(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Ends the connection with a reset.
    pub fn reset(self) {
        SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    /// The same connection once more, to be read by one and written by the other.
    pub fn try_clone(&self) -> Self {
        assert!(self.secure.is_none(), "keys cannot be shared");
        Self {
            stream: self.stream.try_clone().unwrap(),
            received: Vec::new(),
            secure: None,
        }
    }

    /// Whether nothing has been received that was not looked at.
    pub fn has_received_nothing(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let mut buffer = [0; 1];
        let peeked = self.stream.peek(&mut buffer);
        self.stream.set_nonblocking(false).unwrap();
        let would_block = |error: std::io::Error| error.kind() == ErrorKind::WouldBlock;
        self.received.is_empty() && peeked.is_err_and(would_block)
    }

    /// Reads a response with its content.
    pub fn response(&mut self) -> Response {
        let mut response = self.response_head();
        let has_content = response.status >= 200 && !matches!(response.status, 204 | 304);
        if !has_content {
            return response;
        }
        response.content = match (
            response.field("Transfer-Encoding"),
            response.field("Content-Length"),
        ) {
            (Some(coding), length) => {
                assert_eq!((coding, length), ("chunked", None));
                self.chunks()
            }
            (None, Some(length)) => {
                let length = length.parse().unwrap();
                self.take(length)
            }
            (None, None) => {
                assert!(response.closes(), "content without end: {}", response.head);
                let end = self.end();
                assert!(!end.reset);
                end.rest
            }
        };
        response
    }

    /// Reads a response that has no content, as one to `HEAD`.
    pub fn response_head(&mut self) -> Response {
        let end = loop {
            if let Some(at) = find(&self.received, b"\r\n\r\n") {
                break at + 4;
            }
            self.fill();
        };
        Response::parse(&self.take(end))
    }

    /// Sends a request and reads its response.
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Response {
        self.send(request);
        self.response()
    }

    /// Exactly so many bytes.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count {
            self.fill();
        }
        let rest = self.received.split_off(count);
        std::mem::replace(&mut self.received, rest)
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut content = Vec::new();
        loop {
            let line = self.line();
            let size = usize::from_str_radix(&line, 16).expect("a chunk's size");
            content.extend(self.take(size));
            assert_eq!(self.line(), "");
            if size == 0 {
                return content;
            }
        }
    }

    fn line(&mut self) -> String {
        let end = loop {
            if let Some(at) = find(&self.received, b"\r\n") {
                break at;
            }
            self.fill();
        };
        let mut line = self.take(end + 2);
        line.truncate(end);
        String::from_utf8(line).unwrap()
    }

    fn fill(&mut self) {
        let bytes = self.receive_more();
        let bytes = bytes.unwrap_or_else(|_| panic!("an end after {:?}", self.shown()));
        self.received.extend_from_slice(&bytes);
    }

    /// What is received next: never nothing.
    ///
    /// # Errors
    ///
    /// The connection has ended; whether by a reset.
    pub fn receive(&mut self) -> Result<Vec<u8>, bool> {
        if !self.received.is_empty() {
            return Ok(std::mem::take(&mut self.received));
        }
        self.receive_more()
    }

    fn receive_more(&mut self) -> Result<Vec<u8>, bool> {
        loop {
            let bytes = self.read();
            let Some(secure) = &mut self.secure else {
                return bytes;
            };
            match bytes {
                Ok(bytes) => match secure.decrypt(&bytes).expect("records are whole and true") {
                    plain if plain.is_empty() => {}
                    plain => return Ok(plain),
                },
                Err(false) => {
                    assert!(secure.has_ended(), "an end without close_notify");
                    return Err(false);
                }
                Err(true) => return Err(true),
            }
        }
    }

    /// What is received next as it comes over the wire.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub fn receive_raw(&mut self) -> Result<Vec<u8>, bool> {
        self.read()
    }

    fn read(&mut self) -> Result<Vec<u8>, bool> {
        let mut buffer = vec![0; 64 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(false),
            Ok(count) => {
                buffer.truncate(count);
                Ok(buffer)
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Err(true),
            Err(error) => panic!("{error} after {:?}", self.shown()),
        }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.received[..self.received.len().min(2000)]).into_owned()
    }

    /// Reads to the end of the connection.
    pub fn end(&mut self) -> End {
        let mut rest = Vec::new();
        loop {
            match self.receive() {
                Ok(bytes) => rest.extend_from_slice(&bytes),
                Err(reset) => return End { rest, reset },
            }
        }
    }

    /// The server sends this, and closes in order.
    pub fn expect(&mut self, last: &str) {
        let end = self.end();
        assert_eq!(
            (String::from_utf8_lossy(&end.rest).as_ref(), end.reset),
            (last, false)
        );
    }

    /// The server closes without a further byte.
    pub fn expect_close(&mut self) {
        let end = self.end();
        assert_eq!(String::from_utf8_lossy(&end.rest), "");
    }

    /// The server closes in order, without a further byte.
    pub fn expect_orderly_close(&mut self) {
        let end = self.end();
        assert_eq!(
            (String::from_utf8_lossy(&end.rest).as_ref(), end.reset),
            ("", false)
        );
    }

    /// The server resets without a byte.
    pub fn expect_reset(&mut self) {
        let end = self.end();
        assert_eq!(
            (String::from_utf8_lossy(&end.rest).as_ref(), end.reset),
            ("", true)
        );
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
