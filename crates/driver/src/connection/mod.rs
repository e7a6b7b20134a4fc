//! One connection: what it has received, what it has to send, and where its request stands.
//!
//! State only. What is done with bytes is in `receive`, with a whole head in `request`, with content in
//! `content`; what goes out in `respond` and `stream`, what is logged of it in `log`; after a 101 all is up to `opaque`; when it
//! has waited too long is `deadline`'s matter.

pub(crate) mod content;
pub(crate) mod deadline;
pub(crate) mod log;
pub(crate) mod opaque;
pub(crate) mod proxy_header;
pub(crate) mod receive;
pub(crate) mod request;
pub(crate) mod respond;
pub(crate) mod secure;
pub(crate) mod stream;

use std::cell::OnceCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tidegate_engine::{ConnectionSlot, GroupView, PortKey};
use tidegate_httpapi::{BodyError, ConnectionId, HttpProtocols, Trailers, Version};
use tidegate_os::ConnectionKey;

use crate::bandwidth::{ConnectionFlow, Held};
use crate::connection::content::Content;
use crate::connection::deadline::Deadline;
use crate::connection::log::ConnectionLog;
use crate::connection::opaque::Opaque;
use crate::connection::proxy_header::Proxied;
use crate::connection::secure::Secured;
use crate::connection::stream::ResponseStream;
use crate::http2::Http2;
use crate::mailbox::RequestKey;
use crate::output::Output;
use crate::pending::{Closed, Ends};
use crate::queue::Queue;

/// One connection of a worker.
pub(crate) struct Connection {
    pub(crate) key: ConnectionKey,
    pub(crate) id: ConnectionId,
    pub(crate) port: PortKey,
    /// Index of the local address among those the worker knows; `None` until it is asked for.
    pub(crate) local: Option<u16>,
    /// Where the last request was routed.
    pub(crate) group: Option<Arc<GroupView<Queue>>>,
    /// Received and not yet parsed. Holds memory only while there is something in it.
    pub(crate) input: Vec<u8>,
    /// Not worth parsing before `input` has this many bytes.
    pub(crate) input_wanted: usize,
    /// How much of `input` has been taken already.
    pub(crate) input_start: usize,
    /// To be sent after what is being sent now.
    pub(crate) output: Output,
    /// The PROXY header that it begins with, where its port asks for one.
    pub(crate) proxied: Option<Box<Proxied>>,
    /// What secures it; `None`: nothing does.
    pub(crate) tls: Option<Box<Secured>>,
    /// The versions of HTTP that may be spoken.
    pub(crate) protocols: HttpProtocols,
    /// What is spoken is known.
    pub(crate) is_settled: bool,
    pub(crate) receive: Receive,
    pub(crate) respond: Respond,
    /// Who is at the other end of a TCP connection, once somebody has asked the system: it takes a third of a
    /// microsecond each time.
    pub(crate) peer: OnceCell<SocketAddr>,
    /// Both ends' addresses, once something needed them away from the worker.
    pub(crate) ends: Option<Arc<Ends>>,
    /// What is to be logged of its requests; `None` while nothing is.
    pub(crate) log: Option<Box<ConnectionLog>>,
    /// When the first byte of what is in `input` came, by the worker's clock in milliseconds.
    pub(crate) began: u32,
    /// When something was received last.
    pub(crate) received_at: u32,
    /// The present or last request; another number for each.
    pub(crate) request: u64,
    /// When the present request's head was whole, if it is measured how long it takes.
    pub(crate) measured_since: Option<Instant>,
    /// When it was accepted, in seconds since 1970.
    pub(crate) since: u64,
    /// Bytes received, as they came over the wire.
    pub(crate) bytes_received: u64,
    /// Bytes that the system has taken.
    pub(crate) bytes_sent: u64,
    /// Requests taken from it.
    pub(crate) requests: u64,
    pub(crate) deadline: Deadline,
    /// What the response must know of the request.
    pub(crate) asked: Asked,
    /// Keeps its response to a rate.
    pub(crate) flow: Option<Box<ConnectionFlow>>,
    /// Its place in its group's connection limit.
    pub(crate) group_slot: Option<ConnectionSlot>,
    /// Its place in the driver's connection limit.
    #[expect(dead_code, reason = "held for its drop")]
    slot: ConnectionSlot,
    /// The present request was put into the queue and may still wait there.
    pub(crate) queued: bool,
    /// A send has been given to the loop and not come back.
    pub(crate) sending: bool,
    /// A limit on bandwidth holds it up.
    pub(crate) held: Held,
    /// The peer will send no more.
    pub(crate) peer_closed: bool,
    /// Receiving has been stopped for want of room.
    pub(crate) receive_paused: bool,
    /// Nothing more is read as a request; the connection ends when all has been sent.
    pub(crate) closing: bool,
    /// Its lane wants to be told when all has been sent.
    pub(crate) tells_sent: bool,
    /// What is being sent is more than a socket takes at once.
    pub(crate) sends_large: bool,
    /// Our side has been ended; we wait for the peer's.
    pub(crate) ended: bool,
    /// Closed: to be removed.
    pub(crate) gone: bool,
}

/// What a response depends on in its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) version: Version,
    pub(crate) head_request: bool,
    /// The connection ends after this request.
    pub(crate) close: bool,
    /// The peer waits for `100 Continue` and has not got it.
    pub(crate) awaits_continue: bool,
}

/// What the bytes received next are.
pub(crate) enum Receive {
    /// The next request's head.
    Head,
    /// The present request's content.
    Content(Box<Content>),
    /// Of no interest: the connection ends.
    Discard,
    /// Its lane's, since a 101.
    Opaque(Opaque),
    /// Frames. Taken out while something is done with it.
    Http2(Option<Box<Http2>>),
}

/// Where the present request's response stands.
pub(crate) enum Respond {
    /// There is none to give: the next request may be taken.
    Ready,
    /// The request waits for the application or is with it.
    Application(Arc<Closed>),
    /// The response's content is being sent piece by piece.
    Stream(Box<ResponseStream>),
}

impl Connection {
    pub(crate) fn new(
        key: ConnectionKey,
        id: ConnectionId,
        port: PortKey,
        slot: ConnectionSlot,
    ) -> Self {
        Self {
            key,
            id,
            port,
            local: None,
            group: None,
            input: Vec::new(),
            input_wanted: 0,
            input_start: 0,
            output: Output::default(),
            proxied: None,
            tls: None,
            protocols: HttpProtocols::BOTH,
            is_settled: false,
            receive: Receive::Head,
            respond: Respond::Ready,
            peer: OnceCell::new(),
            ends: None,
            log: None,
            began: 0,
            received_at: 0,
            request: 0,
            measured_since: None,
            since: 0,
            bytes_received: 0,
            bytes_sent: 0,
            requests: 0,
            deadline: Deadline::default(),
            asked: Asked {
                version: Version::Http11,
                head_request: false,
                close: false,
                awaits_continue: false,
            },
            flow: None,
            group_slot: None,
            slot,
            queued: false,
            sending: false,
            held: Held::default(),
            peer_closed: false,
            receive_paused: false,
            closing: false,
            tells_sent: false,
            sends_large: false,
            ended: false,
            gone: false,
        }
    }

    /// Ends the present request's content early. Says whether nobody reads it.
    pub(crate) fn end_content(&mut self, end: Result<Trailers, BodyError>) -> bool {
        if self.lane().is_some() {
            return true;
        }
        match std::mem::replace(&mut self.receive, Receive::Discard) {
            Receive::Content(content) => match content.channel {
                Some(channel) => {
                    channel.end(end);
                    false
                }
                None => true,
            },
            other @ Receive::Http2(_) => {
                self.receive = other;
                true
            }
            Receive::Head | Receive::Discard | Receive::Opaque(_) => true,
        }
    }

    /// The most content accepted for the present request.
    pub(crate) fn content_limit(&self) -> Option<u64> {
        match &self.receive {
            Receive::Content(content) => content.limit,
            _ => None,
        }
    }

    /// Names the present request of an HTTP/1 connection.
    pub(crate) fn request_key(&self) -> RequestKey {
        RequestKey {
            connection: self.key,
            request: self.request,
            slot: RequestKey::NO_STREAM,
        }
    }

    /// Whether no request is in progress.
    pub(crate) fn is_between_requests(&self) -> bool {
        match &self.receive {
            Receive::Head => matches!(self.respond, Respond::Ready),
            Receive::Http2(http2) => http2.as_ref().is_some_and(|http2| http2.is_idle()),
            _ => false,
        }
    }
}
