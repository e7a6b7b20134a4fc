//! One connection as its lane has it. State; what arrives is in `receive`, what goes out in `write`,
//! its timers in `timer`, how it ends in `end`.
//!
//! Rules of frames and messages are `tidegate_proto`'s; here is what follows from them. Everything
//! that ends a connection comes together in [`End`]. Source: RFC 6455 §5.5, §7.

mod end;
mod receive;
mod timer;
mod write;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tidegate_httpapi::{OpaqueConnection, OpaqueKey};
use tidegate_proto::websocket::{
    Budget, Decoder, DeflateSettings, DeflateWorkspace, Deflater, Role,
};

use super::connection::{Connection, Disconnect};
use super::delivery::Event;
use super::heartbeat::Heartbeat;
use super::inline;
use super::settings::WebSocketSettings;
use crate::event::{PeerFault, Sent};
use crate::traffic::Firewall;

use self::end::Ending;
pub(super) use self::end::lost;

/// What the connections of a lane share.
pub(super) struct Tools {
    pub(super) workspace: DeflateWorkspace,
    pub(super) deflate: DeflateSettings,
    pub(super) budget: Arc<dyn Budget>,
    /// Connections that hold a compressor, who has had it longest first; some may have ended.
    pub(super) compressors: VecDeque<OpaqueKey>,
    /// For connections that are in the middle of nothing.
    pub(super) decoder: Decoder,
    /// Memory for compressed messages.
    pub(super) scratch: Vec<u8>,
    pub(super) watches_heartbeats: bool,
    /// Whether handlers are called by the lane.
    pub(super) calls_inline: bool,
    /// What looks at messages, if anything does.
    pub(super) firewall: Option<Arc<Firewall>>,
}

/// One connection.
pub(super) struct Socket {
    pub(super) connection: Connection,
    options: Arc<WebSocketSettings>,
    /// What it is in the middle of receiving; without compression, nothing mostly.
    decoder: Option<Box<Decoder>>,
    deflater: Option<Box<Deflater>>,
    heartbeat: Heartbeat,
    /// When the driver will call; 0: not.
    armed: u32,
    /// Something that is waited for has changed since.
    rearms: bool,
    /// When the peer's taking of our bytes is looked at next; 0: not.
    write_check: u32,
    /// How much it had taken when last looked at.
    write_mark: u64,
    /// By when the peer must have answered our close frame; 0: it need not.
    close_deadline: u32,
    /// Nothing is received because of what this connection's own handlers have sent.
    pauses_for_output: bool,
    /// Nothing is received because handler threads have enough to do.
    pauses_for_handlers: bool,
    late: Option<Box<Late>>,
}

/// What most connections have only when they end, if ever.
#[derive(Default)]
struct Late {
    /// What ends the connection when its handlers have caught up.
    ending: Option<Ending>,
    /// Our close frame is out, with this code and reason.
    close_sent: Option<(u16, Box<str>)>,
    /// Messages whose end is to be told, and how much has been taken when they are.
    unfinished: VecDeque<(u64, Sent)>,
}

/// How a connection ends for the application.
pub(super) type End = Disconnect;

/// Whether a connection goes on.
pub(super) type Flow = Result<(), End>;

impl Socket {
    pub(super) fn new(connection: Connection, tools: &Tools, now: u64) -> Self {
        let options = connection.options();
        let (decoder, deflater) = match connection.0.accepted.deflate() {
            Some(agreement) => {
                let deflate = options.per_message_deflate.to_proto();
                let (inflater, deflater) = agreement.server(&deflate);
                (
                    Some(Box::new(Decoder::with_inflater(Role::Server, inflater))),
                    Some(Box::new(deflater)),
                )
            }
            None => (None, None),
        };
        let _ = tools;
        Self {
            heartbeat: Heartbeat::first(connection.0.id.0, now as u32, &options.heartbeat),
            connection,
            options,
            decoder,
            deflater,
            armed: 0,
            rearms: true,
            write_check: 0,
            write_mark: 0,
            close_deadline: 0,
            pauses_for_output: false,
            pauses_for_handlers: false,
            late: None,
        }
    }

    /// The handshake is done.
    pub(super) fn opened(&mut self, io: &mut dyn OpaqueConnection, tools: &mut Tools) {
        if tools.calls_inline {
            self.call_inline(io, Connection::tell_connect);
        } else {
            self.connection.deliver_later(Event::Connect);
        }
        self.pump(io, tools);
        self.arm(io);
    }

    /// How much the connection's handlers may put into its output themselves.
    #[inline]
    fn direct_room(&self, io: &dyn OpaqueConnection) -> usize {
        let is_simple = self.deflater.is_none()
            && !self.has_backlog()
            && !self.connection.0.post.has_broadcasts()
            && !self.options.asynchronous
            && io.unsent() < WINDOW
            && self.connection.is_open();
        if is_simple { WINDOW } else { 0 }
    }

    #[inline]
    fn has_backlog(&self) -> bool {
        self.connection.0.backlog.load(Ordering::Relaxed)
    }

    fn tell_error(&mut self, io: &mut dyn OpaqueConnection, fault: PeerFault) {
        if tools_inline(&self.connection) {
            self.call_inline(io, |connection| connection.tell_error(fault));
        } else {
            self.connection.deliver_later(Event::Error(fault));
        }
    }

    /// Handler threads have caught up with what was received.
    pub(super) fn resume_for_handlers(&mut self, io: &mut dyn OpaqueConnection) {
        self.pauses_for_handlers = false;
        self.resume(io);
    }

    fn resume(&mut self, io: &mut dyn OpaqueConnection) {
        if !self.pauses() {
            // Nothing that came meanwhile has been read.
            self.heartbeat.stop_waiting();
            self.rearms = true;
            io.resume_receive();
        }
    }

    /// Whether nothing is received for now.
    fn pauses(&self) -> bool {
        self.pauses_for_output || self.pauses_for_handlers
    }

    pub(super) fn configured(&mut self, io: &mut dyn OpaqueConnection) {
        let options = self.connection.options();
        if options.heartbeat != self.options.heartbeat {
            let now = self.connection.0.post.milliseconds(io.now());
            self.heartbeat =
                Heartbeat::first(self.connection.0.id.0, now as u32, &options.heartbeat);
            self.rearms = true;
        }
        self.options = options;
        self.arm(io);
    }

    /// Calls a handler on this thread, which may send on its connection.
    fn call_inline(&mut self, io: &mut dyn OpaqueConnection, call: impl FnOnce(&Connection)) {
        let room = self.direct_room(io);
        let before = io.output().len();
        inline::begin(self.connection.0.id.0, io.output(), room);
        call(&self.connection);
        let messages = inline::end(io.output());
        self.count_messages_sent(messages);
        let sent = io.output().len().saturating_sub(before);
        if sent > 0 {
            self.count_sent(sent);
            let now = self.connection.0.post.milliseconds(io.now());
            self.watch_writing(io, now);
        }
    }
}

/// Whether handlers of this connection are called by its lane.
fn tools_inline(connection: &Connection) -> bool {
    connection.0.post.calls_inline
}

/// Calls a handler of a connection that has no output any more.
fn on_lane(connection: &Connection, call: impl FnOnce()) {
    let mut nothing = Vec::new();
    inline::begin(connection.0.id.0, &mut nothing, 0);
    call();
    inline::end(&mut nothing);
}

fn traffic_of(connection: &Connection) -> &super::connection::Traffic {
    &connection.0.traffic
}

/// Adds to a count that this thread alone writes.
#[inline]
fn add(count: &std::sync::atomic::AtomicU64, more: u64) {
    count.store(count.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

/// Bytes on their way to the system above which more is not added but waits in the queue.
const WINDOW: usize = 256 * 1024;

// There may be a hundred thousand of each.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Socket>() <= 80);
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<super::connection::Inner>() <= 168);
