//! A WebSocket client over a socket: says frames, right or wrong, and tells what it hears.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::mem;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use tidegate_proto::websocket::{
    ClientHandshake, CloseFrame, DecodeContext, Decoder, DeflateAgreement, DeflateSettings,
    DeflateWorkspace, Deflated, Deflater, FragmentedMessages, FrameHead, Opcode, Received, Role,
};

/// A test that hangs says nothing; one that fails says where.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a client hears.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Heard {
    Text(String),
    Binary(Vec<u8>),
    /// A frame of a message in several, where the client asks for them.
    Fragment(Opcode, Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    /// The connection has ended; nothing comes any more.
    End,
}

/// A client's wishes before it connects.
pub(crate) struct Opening {
    port: u16,
    handshake: ClientHandshake,
    deflate: Option<DeflateSettings>,
    /// Bytes that go out together with the handshake.
    behind: Vec<u8>,
    fragments: FragmentedMessages,
    is_narrow: bool,
}

/// A WebSocket connection from the client's side.
pub(crate) struct WebSocket {
    stream: TcpStream,
    decoder: Decoder,
    deflater: Option<Deflater>,
    workspace: DeflateWorkspace,
    fragments: FragmentedMessages,
    heard: VecDeque<Heard>,
    /// Received and not looked at.
    unread: Vec<u8>,
    /// The head of the server's answer.
    pub(crate) answer: String,
    pub(crate) agreement: Option<DeflateAgreement>,
}

/// The frame head of a message or of its part.
pub(crate) fn frame(opcode: Opcode, fin: bool) -> FrameHead {
    FrameHead {
        fin,
        mask: Some(MASK),
        ..FrameHead::new(opcode)
    }
}

/// The bytes of a masked frame.
pub(crate) fn encoded(head: FrameHead, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    head.encode_frame(&mut bytes, payload);
    bytes
}

const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

impl Opening {
    pub(crate) fn new(port: u16) -> Self {
        Self {
            port,
            handshake: ClientHandshake::new("127.0.0.1", "/", *b"the sample nonce"),
            deflate: None,
            behind: Vec::new(),
            fragments: FragmentedMessages::Whole,
            is_narrow: false,
        }
    }

    pub(crate) fn target(mut self, target: &str) -> Self {
        self.handshake.target = target.to_owned();
        self
    }

    pub(crate) fn protocols(mut self, protocols: &[&str]) -> Self {
        self.handshake.protocols = protocols.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.handshake.fields.append(name, value).unwrap();
        self
    }

    pub(crate) fn deflate(mut self, change: impl FnOnce(&mut DeflateSettings)) -> Self {
        let mut settings = DeflateSettings {
            enabled: true,
            ..DeflateSettings::default()
        };
        change(&mut settings);
        self.handshake.extensions = Some(DeflateAgreement::offer(&settings));
        self.deflate = Some(settings);
        self
    }

    pub(crate) fn behind(mut self, bytes: &[u8]) -> Self {
        self.behind.extend_from_slice(bytes);
        self
    }

    /// Tells of the frames of messages in several instead of the messages.
    pub(crate) fn in_fragments(mut self) -> Self {
        self.fragments = FragmentedMessages::Fragments;
        self
    }

    /// Holds little of what it has not read, so that the server soon has to wait.
    pub(crate) fn narrow(mut self) -> Self {
        self.is_narrow = true;
        self
    }

    pub(crate) fn open(self) -> WebSocket {
        let mut request = Vec::new();
        self.handshake.encode(&mut request).unwrap();
        let head_bytes = request.len();
        request.extend_from_slice(&self.behind);
        let stream = match self.is_narrow {
            true => connect_narrow(self.port),
            false => TcpStream::connect(("127.0.0.1", self.port)).unwrap(),
        };
        let mut socket = WebSocket::over(stream);
        socket.fragments = self.fragments;
        socket.write(&request);
        let (head, rest) = socket.receive_head();
        let accepted = self.handshake.check(head.as_bytes());
        let accepted = accepted
            .unwrap_or_else(|error| panic!("{error}: {head} to {head_bytes} bytes"))
            .unwrap();
        if let Some(settings) = &self.deflate {
            let agreement = DeflateAgreement::from_response(accepted.extensions(), settings);
            socket.agreement = agreement.unwrap();
            if let Some(agreement) = &socket.agreement {
                let (inflater, deflater) = agreement.client(settings);
                socket.decoder = Decoder::with_inflater(Role::Client, inflater);
                socket.deflater = Some(deflater);
            }
        }
        socket.answer = head;
        socket.take(rest);
        socket
    }
}

impl WebSocket {
    pub(crate) fn connect(port: u16) -> Self {
        Opening::new(port).open()
    }

    /// Says exactly this, in which a handshake comes last; the answers have no content.
    pub(crate) fn connect_raw(port: u16, requests: &[u8]) -> Self {
        let mut socket = Self::over(TcpStream::connect(("127.0.0.1", port)).unwrap());
        socket.write(requests);
        while !socket.answer.contains("HTTP/1.1 101 ") {
            let (head, rest) = socket.receive_head();
            socket.answer.push_str(&head);
            socket.unread = rest;
        }
        let rest = mem::take(&mut socket.unread);
        socket.take(rest);
        socket
    }

    /// The head of the answer to exactly this.
    pub(crate) fn answer_to(port: u16, request: &[u8]) -> String {
        let mut socket = Self::over(TcpStream::connect(("127.0.0.1", port)).unwrap());
        socket.write(request);
        socket.receive_head().0
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            decoder: Decoder::new(Role::Client),
            deflater: None,
            workspace: DeflateWorkspace::new(),
            fragments: FragmentedMessages::Whole,
            heard: VecDeque::new(),
            unread: Vec::new(),
            answer: String::new(),
            agreement: None,
        }
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.frame(frame(Opcode::Text, true), text.as_bytes());
    }

    pub(crate) fn binary(&mut self, data: &[u8]) {
        self.frame(frame(Opcode::Binary, true), data);
    }

    pub(crate) fn ping(&mut self, payload: &[u8]) {
        self.frame(frame(Opcode::Ping, true), payload);
    }

    pub(crate) fn close(&mut self, code: Option<u16>, reason: &str) {
        let mut bytes = Vec::new();
        CloseFrame { code, reason }.encode(&mut bytes, Some(MASK));
        self.write(&bytes);
    }

    /// Sends a message compressed.
    pub(crate) fn compressed(&mut self, text: &str) {
        let payload = self.deflated(text);
        let head = FrameHead {
            rsv1: true,
            ..frame(Opcode::Text, true)
        };
        self.frame(head, &payload);
    }

    /// The payload of a compressed message.
    pub(crate) fn deflated(&mut self, text: &str) -> Vec<u8> {
        let mut payload = Vec::new();
        let deflater = self.deflater.as_mut().unwrap();
        let deflated = deflater.deflate(text.as_bytes(), &mut self.workspace, &mut payload);
        assert_eq!(deflated, Deflated::Compressed);
        payload
    }

    /// Sends a frame to a server that may have closed.
    pub(crate) fn frame_if_open(&mut self, head: FrameHead, payload: &[u8]) {
        self.write_if_open(&encoded(head, payload));
    }

    pub(crate) fn write_if_open(&mut self, bytes: &[u8]) {
        if let Err(error) = self.stream.write_all(bytes) {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "nobody takes it");
        }
    }

    /// Passes over what is there to be heard.
    pub(crate) fn pass_over(&mut self) {
        let mut piece = vec![0; 64 * 1024];
        self.stream.set_nonblocking(true).unwrap();
        while let Ok(count @ 1..) = self.stream.read(&mut piece) {
            self.take(piece[..count].to_vec());
        }
        self.stream.set_nonblocking(false).unwrap();
        self.heard.clear();
    }

    pub(crate) fn frame(&mut self, head: FrameHead, payload: &[u8]) {
        self.write(&encoded(head, payload));
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Writes as much as the other side takes for now. False: it takes no more.
    pub(crate) fn try_write(&mut self, bytes: &mut &[u8]) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let written = self.stream.write(bytes);
        self.stream.set_nonblocking(false).unwrap();
        *bytes = &bytes[*written.as_ref().unwrap_or(&0)..];
        written.is_ok()
    }

    /// Writes while others read, once there is room.
    pub(crate) fn write_later(&mut self, bytes: &[u8]) {
        let mut stream = self.stream.try_clone().unwrap();
        let bytes = bytes.to_owned();
        std::thread::spawn(move || stream.write_all(&bytes).unwrap());
    }

    /// The next thing heard.
    pub(crate) fn hear(&mut self) -> Heard {
        let mut piece = vec![0; 64 * 1024];
        while self.heard.is_empty() {
            match self.stream.read(&mut piece) {
                Ok(0) => {
                    // The server need not wait for our end, unless it is gone already.
                    let _ = self.stream.shutdown(Shutdown::Both);
                    return Heard::End;
                }
                Ok(count) => self.take(piece[..count].to_vec()),
                Err(error) => match error.kind() {
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => return Heard::End,
                    _ => panic!("nothing comes: {error}"),
                },
            }
        }
        self.heard.pop_front().unwrap()
    }

    /// The head of the next frame, whose payload is passed over; not to be mixed with other hearing.
    pub(crate) fn hear_frame_head(&mut self) -> FrameHead {
        let mut piece = [0; 4096];
        loop {
            if let Some((head, len)) = FrameHead::parse(&self.unread).unwrap() {
                let end = len + usize::try_from(head.payload_len).unwrap();
                if self.unread.len() >= end {
                    self.unread.drain(..end);
                    return head;
                }
            }
            let count = self.stream.read(&mut piece).unwrap();
            assert_ne!(count, 0, "closed within a frame");
            self.unread.extend_from_slice(&piece[..count]);
        }
    }

    pub(crate) fn hear_text(&mut self) -> String {
        match self.hear() {
            Heard::Text(text) => text,
            other => panic!("{other:?} instead of text"),
        }
    }

    /// The close frame that comes next, after messages that are passed over; then the end.
    pub(crate) fn hear_close(&mut self) -> (Option<u16>, String) {
        loop {
            match self.hear() {
                Heard::Close(code, reason) => return (code, reason),
                Heard::End => panic!("the end without a close frame"),
                _ => {}
            }
        }
    }

    /// Hears the end, after whatever.
    pub(crate) fn hear_end(&mut self) {
        while self.hear() != Heard::End {}
    }

    /// Answers the server's close frame, which is to have this code, as a good client does.
    pub(crate) fn answer_close(&mut self, expected: u16) -> String {
        let (code, reason) = self.hear_close();
        assert_eq!(code, Some(expected), "{reason}");
        self.close(code, "");
        self.hear_end();
        reason
    }

    /// Closes as a good client does.
    pub(crate) fn leave(mut self) {
        self.close(Some(1000), "");
        assert_eq!(self.hear_close().0, Some(1000));
        self.hear_end();
    }

    /// Ends its own side without a close frame.
    pub(crate) fn end(&mut self) {
        // The server may have been first.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Breaks the connection off with a reset.
    pub(crate) fn reset(self) {
        SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    fn receive_head(&mut self) -> (String, Vec<u8>) {
        let mut bytes = mem::take(&mut self.unread);
        let mut piece = [0; 4096];
        loop {
            if let Some(end) = find(&bytes, b"\r\n\r\n") {
                let rest = bytes.split_off(end + 4);
                return (String::from_utf8(bytes).unwrap(), rest);
            }
            let count = self.stream.read(&mut piece).unwrap();
            assert_ne!(count, 0, "closed within the head");
            bytes.extend_from_slice(&piece[..count]);
        }
    }

    fn take(&mut self, mut bytes: Vec<u8>) {
        let mut context = DecodeContext {
            max_message_size: 0,
            fragments: self.fragments,
            deflate: Some(&mut self.workspace),
            ..DecodeContext::default()
        };
        let mut piece = &mut bytes[..];
        while let Some(received) = self.decoder.next(&mut piece, &mut context).unwrap() {
            self.heard.push_back(match received {
                Received::Text(text) => Heard::Text(text.to_owned()),
                Received::Binary(data) => Heard::Binary(data.to_owned()),
                Received::Fragment {
                    opcode,
                    payload,
                    fin,
                } => Heard::Fragment(opcode, payload.to_owned(), fin),
                Received::Ping(payload) => Heard::Ping(payload.to_owned()),
                Received::Pong(payload) => Heard::Pong(payload.to_owned()),
                Received::Close(frame) => Heard::Close(frame.code, frame.reason.to_owned()),
            });
        }
    }
}

fn connect_narrow(port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    socket.connect(&address.into()).unwrap();
    socket.into()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
