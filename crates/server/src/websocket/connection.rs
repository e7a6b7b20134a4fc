//! A WebSocket connection as an application holds it.
//!
//! A handle: cheap to clone, good on every thread, and safe to keep after the connection has ended,
//! when sends say so. What the connection's own thread knows of it is in `socket`.
//! Source: the component's connection object.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tidegate_httpapi::{ConnectionId, FieldBlock, OpaqueKey, PeerAddress};
use tidegate_proto::websocket::{FrameHead, Opcode, close_code, may_be_sent};

use super::connections::Connections;
use super::delivery::Deliveries;
use super::handshake::{Accepted, Opened};
use super::headers::RequestHeaders;
use super::inline;
use super::mask::matches;
use super::message::{Message, MessageKind, Streaming, WriteError};
use super::outbox::{CloseRequest, Outbox, Outgoing};
use super::post::{Command, Post};
use super::registry::Guid;
use super::settings::WebSocketSettings;
use super::transport::Transport;
use crate::admission::Authentication;

/// A WebSocket connection.
///
/// Clones name the same connection. It may be held for as long as anyone likes: after the connection
/// has ended, what is asked of it is answered from memory, and sends fail with
/// [`WriteError::Closed`].
#[derive(Clone)]
pub struct Connection(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) id: ConnectionId,
    pub(super) key: OpaqueKey,
    pub(super) post: Arc<Post>,
    transport: Transport,
    pub(super) accepted: Accepted,
    peer: ShortAddress,
    local: Arc<PeerAddress>,
    state: AtomicU8,
    /// There is something in the outbox. Written under its lock; read without by the lane, which then
    /// keeps the order of what one thread sends.
    pub(super) backlog: AtomicBool,
    /// Whether a reply is being waited for: text that arrives is that.
    pub(super) awaits_reply: AtomicBool,
    /// What waits to be sent; none mostly.
    pub(super) outbox: Mutex<Option<Box<Outbox>>>,
    pub(super) traffic: Traffic,
    rare: Mutex<Option<Box<Rare>>>,
}

/// What has gone over a connection. Written by its lane alone.
#[derive(Default)]
pub(super) struct Traffic {
    pub(super) received_bytes: AtomicU64,
    pub(super) sent_bytes: AtomicU64,
    pub(super) received_messages: AtomicU64,
    /// In milliseconds since the lane began, the low half.
    pub(super) last_message: AtomicU32,
    /// In seconds since the lane began, plus one; 0: never. As the next two.
    pub(super) first_ping: AtomicU32,
    pub(super) last_ping: AtomicU32,
    pub(super) last_pong: AtomicU32,
}

/// An address, in half the room where it is of the shortest kind.
enum ShortAddress {
    V4(SocketAddrV4),
    Other(Box<PeerAddress>),
}

impl ShortAddress {
    fn new(address: PeerAddress) -> Self {
        match address {
            PeerAddress::Tcp(SocketAddr::V4(address)) => Self::V4(address),
            other => Self::Other(Box::new(other)),
        }
    }
}

/// What few connections have.
#[derive(Default)]
pub(super) struct Rare {
    data: Option<Arc<dyn Any + Send + Sync>>,
    subscriptions: Vec<Arc<str>>,
    /// Set after the handshake.
    options: Option<Arc<WebSocketSettings>>,
    /// Who waits for replies, in the order they asked.
    replies: VecDeque<(Weak<()>, mpsc::Sender<Box<str>>)>,
    pub(super) deliveries: Deliveries,
    end: Option<Disconnect>,
}

/// How a connection ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Disconnect {
    /// The close code: the peer's, or ours where we began; 1005 when a close frame had none, 1006 when
    /// the connection ended without one. RFC 6455 §7.4.
    pub code: u16,
    /// The reason that came with it.
    pub reason: Box<str>,
    /// Who began to end it.
    pub by: EndedBy,
}

/// Who began to end a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EndedBy {
    /// The peer, by a close frame.
    Peer,
    /// This side.
    Server,
    /// Nobody: the transport was lost.
    Network,
}

/// Whether a connection can be sent on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConnectionState {
    /// It can.
    Open,
    /// It is being closed; the handshake for that is not done.
    Closing,
    /// It has ended.
    Closed,
}

const OPEN: u8 = 0;
const CLOSING: u8 = 1;
const CLOSED: u8 = 2;
/// Ended after this side had begun to close it.
const SHUT: u8 = 3;

impl Connection {
    pub(super) fn new(
        key: OpaqueKey,
        post: Arc<Post>,
        opened: Opened,
        (peer, local): (PeerAddress, Arc<PeerAddress>),
    ) -> Self {
        Self(Arc::new(Inner {
            id: opened.id,
            key,
            post,
            transport: opened.transport,
            accepted: opened.accepted,
            peer: ShortAddress::new(peer),
            local,
            state: AtomicU8::new(OPEN),
            backlog: AtomicBool::new(false),
            awaits_reply: AtomicBool::new(false),
            outbox: Mutex::new(None),
            traffic: Traffic::default(),
            rare: Mutex::new(None),
        }))
    }

    /// Names the connection among all of the process, for as long as that runs.
    pub fn guid(&self) -> Guid {
        Guid::of(self.0.id.0)
    }

    /// Its number among all connections of the server: on HTTP/1.1 the
    /// [`connection_id`](crate::Request::connection_id) of its handshake's request; on HTTP/2 and over
    /// server-sent events, where a connection of HTTP may carry several, the number of its
    /// [`request_id`](crate::Request::request_id).
    ///
    /// Errors and exceptions that concern it name it by this.
    pub fn id(&self) -> ConnectionId {
        self.0.id
    }

    /// What carries it. Source: the component's Transport and Specification.
    pub fn transport(&self) -> Transport {
        self.0.transport
    }

    /// The peer's address.
    pub fn peer(&self) -> PeerAddress {
        match &self.0.peer {
            ShortAddress::V4(address) => PeerAddress::Tcp(SocketAddr::V4(*address)),
            ShortAddress::Other(address) => PeerAddress::clone(address),
        }
    }

    /// The local address.
    pub fn local(&self) -> &PeerAddress {
        &self.0.local
    }

    /// The target that the handshake asked for, path and query, as the bytes received.
    #[inline]
    pub fn target(&self) -> &[u8] {
        self.0.accepted.target()
    }

    /// The target that the handshake asked for, path and query as received.
    pub fn url(&self) -> &str {
        // The parser has found it to be ASCII.
        std::str::from_utf8(self.target()).unwrap_or_default()
    }

    /// Who the peer was found to be when it asked for the connection; see
    /// [`Request::authentication`](crate::Request::authentication). It stays so while the connection lives.
    pub fn authentication(&self) -> Option<&Authentication> {
        self.0.accepted.agreed()?.authentication.as_ref()
    }

    /// The name of the user, who has proved to be that.
    pub fn user(&self) -> Option<&str> {
        self.authentication()?.user()
    }

    /// The sub-protocol agreed upon.
    pub fn protocol(&self) -> Option<&str> {
        self.0.accepted.protocol()
    }

    /// The header fields of the handshake's request.
    pub fn headers_request(&self) -> RequestHeaders {
        RequestHeaders::parse(&self.0.accepted.head, self.0.transport)
    }

    /// The header fields of the handshake's response that came from this side's application.
    pub fn headers_response(&self) -> &FieldBlock {
        static NONE: FieldBlock = FieldBlock::new();
        let agreed = self.0.accepted.agreed();
        agreed.map_or(&NONE, |agreed| &agreed.response)
    }

    /// Whether messages may be compressed.
    pub fn is_compressed(&self) -> bool {
        self.0.accepted.deflate().is_some()
    }

    /// When the handshake was done.
    pub fn created_at(&self) -> SystemTime {
        self.0.accepted.created()
    }

    /// Whether it can be sent on.
    pub fn state(&self) -> ConnectionState {
        // Acquire: who sees the end sees the code as well.
        match self.0.state.load(Ordering::Acquire) {
            OPEN => ConnectionState::Open,
            CLOSING => ConnectionState::Closing,
            _ => ConnectionState::Closed,
        }
    }

    /// Whether it can be sent on.
    pub fn is_open(&self) -> bool {
        self.state() == ConnectionState::Open
    }

    /// Whether this side has begun to close it: its handlers get no more messages then.
    pub(super) fn is_muted(&self) -> bool {
        matches!(self.0.state.load(Ordering::Acquire), CLOSING | SHUT)
    }

    /// How it ended; `None` while it lives.
    pub fn ended(&self) -> Option<Disconnect> {
        self.with_some_rare(|rare| rare.end.clone())?
    }

    /// Bytes received, frame heads included.
    pub fn received_bytes(&self) -> u64 {
        self.0.traffic.received_bytes.load(Ordering::Relaxed)
    }

    /// Bytes sent or put on their way, frame heads included.
    pub fn sent_bytes(&self) -> u64 {
        self.0.traffic.sent_bytes.load(Ordering::Relaxed)
    }

    /// Messages received.
    pub fn received_messages(&self) -> u64 {
        self.0.traffic.received_messages.load(Ordering::Relaxed)
    }

    /// When the last message was received, to about a tenth of a second.
    pub fn last_message_at(&self) -> Option<SystemTime> {
        let milliseconds = self.0.traffic.last_message.load(Ordering::Relaxed);
        (self.received_messages() > 0).then(|| self.0.post.time_of(milliseconds))
    }

    /// When a ping was first sent.
    pub fn first_ping_at(&self) -> Option<SystemTime> {
        self.0
            .post
            .time_of_seconds(self.0.traffic.first_ping.load(Ordering::Relaxed))
    }

    /// When a ping was last sent.
    pub fn last_ping_at(&self) -> Option<SystemTime> {
        self.0
            .post
            .time_of_seconds(self.0.traffic.last_ping.load(Ordering::Relaxed))
    }

    /// When a pong was last received.
    pub fn last_pong_at(&self) -> Option<SystemTime> {
        self.0
            .post
            .time_of_seconds(self.0.traffic.last_pong.load(Ordering::Relaxed))
    }

    /// Messages that wait to be sent.
    pub fn queued_messages(&self) -> usize {
        self.outbox()
            .as_ref()
            .map_or(0, |outbox| outbox.queue.len())
    }

    /// Bytes that wait to be sent.
    pub fn queued_bytes(&self) -> usize {
        self.outbox()
            .as_ref()
            .map_or(0, |outbox| outbox.queue.bytes())
    }

    /// Drops the messages that wait and have not begun to be sent. Says how many. Source: the
    /// component's QueueClear.
    pub fn clear_queue(&self) -> usize {
        let mut slot = self.outbox();
        let Some(outbox) = slot.as_mut() else {
            return 0;
        };
        let dropped = outbox.clear();
        // Who waits for room need not wait for the peer now.
        outbox.room.notify_all();
        if !outbox.lost.is_empty() {
            self.notify(outbox);
        }
        dropped
    }

    /// What the application keeps with the connection. Source: the component's Data.
    pub fn data<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.with_some_rare(|rare| rare.data.clone())??
            .downcast()
            .ok()
    }

    /// Keeps something with the connection, in place of what was kept before.
    pub fn set_data<T: Send + Sync + 'static>(&self, data: T) {
        let before = self.with_rare(|rare| rare.data.replace(Arc::new(data)));
        // Not under the lock: it is the application's, and may ask its connection something.
        drop(before);
    }

    /// The options of this connection.
    pub fn options(&self) -> Arc<WebSocketSettings> {
        let own = self.with_some_rare(|rare| rare.options.clone()).flatten();
        let agreed = || self.0.accepted.agreed()?.options.clone();
        own.or_else(agreed)
            .unwrap_or_else(|| Arc::clone(&self.0.post.settings))
    }

    /// Changes options of this connection alone: how messages are delivered, limits, queue, heartbeat,
    /// timeouts. What was agreed in the handshake stays.
    pub fn configure(&self, change: impl FnOnce(&mut WebSocketSettings)) {
        let mut options = WebSocketSettings::clone(&self.options());
        change(&mut options);
        self.with_rare(|rare| rare.options = Some(Arc::new(options)));
        self.0.post.push(Command::Configured(self.0.key));
    }

    /// All connections of its server.
    pub fn connections(&self) -> Connections {
        Connections::new(Arc::clone(&self.0.post.shared))
    }

    /// Sends text.
    ///
    /// A handler in HighPerf mode sends at once. Elsewhere the message waits in the connection's queue
    /// until its thread sends it; where that is full, [`overflow`](super::QueueOptions::overflow) says
    /// what becomes of it.
    ///
    /// # Errors
    ///
    /// The connection has ended, or there is no room.
    #[inline]
    pub fn send_text(&self, text: &str) -> Result<(), WriteError> {
        if inline::send(self.0.id.0, Opcode::Text, text.as_bytes()) {
            return Ok(());
        }
        self.send_copy(MessageKind::Text, text.as_bytes())
    }

    /// Sends bytes. As [`send_text`](Self::send_text).
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text).
    #[inline]
    pub fn send_binary(&self, data: &[u8]) -> Result<(), WriteError> {
        if inline::send(self.0.id.0, Opcode::Binary, data) {
            return Ok(());
        }
        self.send_copy(MessageKind::Binary, data)
    }

    #[inline(never)]
    fn send_copy(&self, kind: MessageKind, data: &[u8]) -> Result<(), WriteError> {
        // Before memory is spent.
        if !self.is_open() {
            return Err(WriteError::Closed);
        }
        let Some(data) = self.0.post.shared.websockets().copy(data) else {
            // The budget of all connections is spent: who would exceed it goes.
            self.close_with(close_code::TRY_AGAIN_LATER, "");
            return Err(WriteError::Full);
        };
        self.send(Message::new(kind, data))
    }

    /// Sends a message with all that can be said of it: key, fragments, context.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text).
    pub fn send(&self, message: impl Into<Message>) -> Result<(), WriteError> {
        self.enqueue(Outgoing::Message(message.into()))
    }

    /// Sends a part of a text message. Between its parts no other message is sent on the connection.
    ///
    /// A part need not end with a whole character in the peer's eyes, but here it does: it is a `str`.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text); or the parts are out of sequence.
    pub fn send_text_part(&self, text: &str, part: Streaming) -> Result<(), WriteError> {
        self.send_part(MessageKind::Text, text.as_bytes(), part)
    }

    /// Sends a part of a binary message. As [`send_text_part`](Self::send_text_part).
    ///
    /// # Errors
    ///
    /// As [`send_text_part`](Self::send_text_part).
    pub fn send_binary_part(&self, data: &[u8], part: Streaming) -> Result<(), WriteError> {
        self.send_part(MessageKind::Binary, data, part)
    }

    fn send_part(&self, kind: MessageKind, data: &[u8], part: Streaming) -> Result<(), WriteError> {
        self.enqueue(Outgoing::Part(kind, Bytes::copy_from_slice(data), part))
    }

    /// Sends text and waits for the next text that the peer sends, which is taken for the reply and
    /// goes to no handler. Source: the component's WriteAndWaitData, which waits 10 s.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text); no reply within `timeout`; or the caller is a handler on the
    /// driver's thread (HighPerf), which must not wait.
    pub fn write_and_wait(&self, text: &str, timeout: Duration) -> Result<String, WriteError> {
        if inline::is_on_lane() {
            return Err(WriteError::WouldBlock);
        }
        let (sender, reply) = mpsc::channel();
        let waits = Arc::new(());
        self.with_rare(|rare| rare.replies.push_back((Arc::downgrade(&waits), sender)));
        // Release: the lane that sees it finds who waits.
        self.0.awaits_reply.store(true, Ordering::Release);
        let received = self.send_text(text).and_then(|()| {
            reply.recv_timeout(timeout).map_err(|error| match error {
                mpsc::RecvTimeoutError::Timeout => WriteError::TimedOut,
                mpsc::RecvTimeoutError::Disconnected => WriteError::Closed,
            })
        });
        drop(waits);
        let received = received.or_else(|error| {
            self.with_rare(|rare| {
                rare.replies.retain(|(waits, _)| waits.strong_count() > 0);
                let awaits_reply = !rare.replies.is_empty();
                self.0.awaits_reply.store(awaits_reply, Ordering::Release);
            });
            // It may have come at the last moment, and then it went to nobody else.
            reply.try_recv().map_err(|_| error)
        });
        received.map(String::from)
    }

    /// Sends a ping, with a payload of at most 125 bytes.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text); or the payload is too long.
    pub fn ping(&self, payload: &[u8]) -> Result<(), WriteError> {
        if payload.len() > CONTROL_PAYLOAD_MAX {
            return Err(WriteError::TooLong);
        }
        let mut frame = Vec::with_capacity(payload.len() + 2);
        FrameHead::new(Opcode::Ping).encode_frame(&mut frame, payload);
        self.enqueue(Outgoing::Ping(frame.into()))
    }

    /// Closes with a close frame, after all that waits to be sent, and waits for the peer's in the
    /// background for at most [`close_timeout`](WebSocketSettings::close_timeout).
    ///
    /// # Errors
    ///
    /// The code is none for a close frame, or the reason is longer than 123 bytes; the connection goes
    /// on. It has ended, or is being closed already.
    pub fn close(&self, code: u16, reason: &str) -> Result<(), WriteError> {
        if !may_be_sent(code) {
            return Err(WriteError::BadCloseCode(code));
        }
        if reason.len() > CONTROL_PAYLOAD_MAX - 2 {
            return Err(WriteError::TooLong);
        }
        if self.close_with(code, reason) {
            Ok(())
        } else {
            Err(WriteError::Closed)
        }
    }

    /// Says whether it was open before. The code and reason are fit to be sent.
    pub(super) fn close_with(&self, code: u16, reason: &str) -> bool {
        let mut slot = self.outbox();
        if !self.begin_closing() {
            return false;
        }
        let request = CloseRequest {
            code,
            reason: reason.into(),
        };
        if self.0.post.has_broadcasts() {
            drop(slot);
            self.0.post.close_connection(self.0.key, request);
            return true;
        }
        let outbox = slot.get_or_insert_default();
        outbox.close = Some(request);
        self.notify(outbox);
        true
    }

    /// Drops the connection without waiting for the peer or for what waits to be sent; with a close
    /// frame if [`clean_disconnect`](WebSocketSettings::clean_disconnect) says so and there is room.
    pub fn disconnect(&self, code: u16) {
        self.begin_closing();
        self.0.post.push(Command::Disconnect(self.0.key, code));
    }

    /// Its handlers get no more messages from here on, also before the lane hears of it, and nothing more
    /// is taken to be sent. Says whether it was open before.
    pub(super) fn begin_closing(&self) -> bool {
        if inline::is_in_handler_of(self.0.id.0) {
            inline::close_direct_way();
        }
        // Release: who sees that it closes finds the request in the outbox, if there is to be one.
        let begun =
            self.0
                .state
                .compare_exchange(OPEN, CLOSING, Ordering::AcqRel, Ordering::Acquire);
        begun.is_ok()
    }

    /// Has it get what is broadcast to `channel`. Says whether it did not yet.
    pub fn subscribe(&self, channel: impl Into<Arc<str>>) -> bool {
        let channel = channel.into();
        let mut rare = self.lock_rare();
        let rare = rare.get_or_insert_default();
        if !self.is_open() || rare.subscriptions.contains(&channel) {
            return false;
        }
        rare.subscriptions.push(Arc::clone(&channel));
        // Under the lock, so that the lane hears of two threads' calls in the order they had here.
        self.0.post.push(Command::Subscribe(self.0.key, channel));
        true
    }

    /// Has it get no more of what is broadcast to `channel`. Says whether it did.
    pub fn unsubscribe(&self, channel: &str) -> bool {
        let mut rare = self.lock_rare();
        let Some(rare) = rare.as_deref_mut() else {
            return false;
        };
        let Some(index) = rare
            .subscriptions
            .iter()
            .position(|name| **name == *channel)
        else {
            return false;
        };
        let channel = rare.subscriptions.swap_remove(index);
        self.0.post.push(Command::Unsubscribe(self.0.key, channel));
        true
    }

    /// Whether it has subscribed to `channel`.
    pub fn is_subscribed(&self, channel: &str) -> bool {
        self.lock_rare()
            .as_deref()
            .is_some_and(|rare| rare.subscriptions.iter().any(|name| **name == *channel))
    }

    /// The channels it has subscribed to.
    pub fn subscriptions(&self) -> Vec<Arc<str>> {
        self.with_some_rare(|rare| rare.subscriptions.clone())
            .unwrap_or_default()
    }

    /// Whether it has subscribed to a channel whose name matches.
    pub(super) fn matches(&self, mask: &str) -> bool {
        self.with_some_rare(|rare| rare.subscriptions.iter().any(|name| matches(mask, name)))
            .unwrap_or(false)
    }

    /// The groups it is in.
    pub fn groups(&self) -> Vec<Arc<str>> {
        self.shared().websockets().groups.names_of(self.0.id.0)
    }
}

impl Connection {
    pub(super) fn outbox(&self) -> MutexGuard<'_, Option<Box<Outbox>>> {
        self.0.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_rare(&self) -> MutexGuard<'_, Option<Box<Rare>>> {
        self.0.rare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn with_rare<T>(&self, act: impl FnOnce(&mut Rare) -> T) -> T {
        act(self.lock_rare().get_or_insert_default())
    }

    /// As [`with_rare`](Self::with_rare), if there is anything.
    pub(super) fn with_some_rare<T>(&self, act: impl FnOnce(&mut Rare) -> T) -> Option<T> {
        self.lock_rare().as_deref_mut().map(act)
    }

    /// Takes text that arrived for a reply, if one is waited for. Says whether it was.
    pub(super) fn take_reply(&self, text: &str) -> bool {
        self.with_some_rare(|rare| {
            while let Some((_, waiting)) = rare.replies.pop_front() {
                if rare.replies.is_empty() {
                    self.0.awaits_reply.store(false, Ordering::Release);
                }
                // Who has given up waiting is passed over.
                if waiting.send(text.into()).is_ok() {
                    return true;
                }
            }
            self.0.awaits_reply.store(false, Ordering::Release);
            false
        })
        .unwrap_or(false)
    }

    /// The connection has ended: nothing is taken any more, and nobody waits for it any longer.
    /// Gives back what waited to be sent.
    pub(super) fn end(&self, end: &Disconnect) -> Option<Box<Outbox>> {
        let outbox = {
            let mut slot = self.outbox();
            let mut rare = self.lock_rare();
            let rare = rare.get_or_insert_default();
            rare.end = Some(end.clone());
            rare.replies.clear();
            rare.subscriptions = Vec::new();
            let ended = |state| match state {
                CLOSING => Some(SHUT),
                _ => Some(CLOSED),
            };
            // Release: who sees it closed sees how it ended.
            let _ = self
                .0
                .state
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, ended);
            slot.take()
        };
        if let Some(outbox) = &outbox {
            outbox.room.notify_all();
        }
        outbox
    }
}

impl PartialEq for Connection {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for Connection {}

impl std::hash::Hash for Connection {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("id", &self.0.id)
            .field("peer", &self.peer())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// RFC 6455 §5.5.
const CONTROL_PAYLOAD_MAX: usize = 125;
