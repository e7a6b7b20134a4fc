//! Events on their way to the application: in order, one at a time, connect first, disconnect last.
//!
//! In HighPerf mode the lane calls handlers itself, with what lies in its buffers. In Classic mode it
//! copies, and handler threads take the events of one connection one after the other.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tidegate_proto::websocket::{Opcode, Violation, close_code};

use super::connection::{Connection, Disconnect};
use super::message::WriteError;
use super::post::Command;
use super::protocol::Taken;
use crate::component::Shared;
use crate::event::{
    BeforeHeartbeat, Events, ExceptionCause, Fragment, HandlerError, PeerError, PeerFault, Sent,
};

/// Something to be told to the application about a connection, with what it needs to live on its own.
pub(super) enum Event {
    Connect,
    Text(String),
    Binary(Vec<u8>),
    Fragment {
        opcode: Opcode,
        payload: Vec<u8>,
        is_last: bool,
    },
    BeforeHeartbeat,
    Asynchronous(Sent),
    Error(PeerFault),
    /// The lane is to be told when this is reached.
    CaughtUp,
    Disconnect(Disconnect),
}

/// A handler thread's work on a connection's events.
struct ServeEvents(Option<Connection>);

impl ServeEvents {
    fn run(&mut self) {
        if let Some(connection) = self.0.take()
            && connection.serve_events()
        {
            connection.have_served();
        }
    }
}

/// When the driver stops there are no handler threads any more, and still every connection that was
/// told of is told to have ended.
impl Drop for ServeEvents {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            while connection.serve_events() {}
        }
    }
}

impl Event {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(data) => data.len(),
            Self::Fragment { payload, .. } => payload.len(),
            _ => 0,
        }
    }
}

/// A connection's events that wait for a handler thread.
#[derive(Default)]
pub(super) struct Deliveries {
    events: VecDeque<Event>,
    bytes: usize,
    /// A handler thread is at them, or will come.
    served: bool,
    /// The lane receives no more before these have become fewer.
    paused: bool,
}

impl Deliveries {
    fn is_full(&self) -> bool {
        self.bytes > BYTES_MAX || self.events.len() > EVENTS_MAX
    }

    fn has_room_again(&self) -> bool {
        self.bytes <= BYTES_MAX / 2 && self.events.len() <= EVENTS_MAX / 2
    }
}

/// More bytes than this in waiting messages, and the peer has to wait.
const BYTES_MAX: usize = 1024 * 1024;
/// More events than this, likewise.
const EVENTS_MAX: usize = 256;
/// Events of one connection that a handler thread serves before others have their turn.
const EVENTS_AT_ONCE: usize = 32;

impl Connection {
    /// Has handler threads tell of `event` after all that was told before. Says whether so much waits
    /// that nothing should be received for a while; [`Command::Resume`] comes then.
    pub(super) fn deliver_later(&self, event: Event) -> bool {
        let bytes = event.len();
        // Bytes that wait here are as much the peer's doing as those in its unfinished messages.
        let must_charge = bytes > 0;
        if must_charge && !self.shared().websockets().charge(bytes) {
            let fault = PeerFault::WebSocket(Violation::BudgetSpent);
            self.close_with(close_code::TRY_AGAIN_LATER, "");
            return self.deliver_later(Event::Error(fault));
        }
        let (begins, is_full) = self.with_rare(|rare| {
            let deliveries = &mut rare.deliveries;
            deliveries.bytes += bytes;
            deliveries.events.push_back(event);
            deliveries.paused |= deliveries.is_full();
            (
                !std::mem::replace(&mut deliveries.served, true),
                deliveries.paused,
            )
        });
        if begins {
            self.have_served();
        }
        is_full
    }

    /// Whether events wait for handler threads or are with one.
    pub(super) fn has_deliveries(&self) -> bool {
        self.with_some_rare(|rare| rare.deliveries.served)
            .unwrap_or(false)
    }

    fn have_served(&self) {
        let mut job = ServeEvents(Some(self.clone()));
        self.0.post.threads.run(Box::new(move || job.run()));
    }

    /// On a handler thread. Says whether there is more to serve, when others have had their turn.
    fn serve_events(&self) -> bool {
        for _ in 0..EVENTS_AT_ONCE {
            let next = self.with_rare(|rare| {
                let deliveries = &mut rare.deliveries;
                let next = deliveries.events.pop_front();
                if next.is_none() {
                    deliveries.served = false;
                    deliveries.events = VecDeque::new();
                }
                next
            });
            let Some(event) = next else {
                return false;
            };
            let bytes = event.len();
            self.deliver(event);
            self.shared().websockets().discharge(bytes);
            let resumes = self.with_rare(|rare| {
                let deliveries = &mut rare.deliveries;
                deliveries.bytes -= bytes;
                let resumes = deliveries.paused && deliveries.has_room_again();
                deliveries.paused &= !resumes;
                resumes
            });
            if resumes {
                self.0.post.push(Command::Resume(self.0.key));
            }
        }
        true
    }

    fn deliver(&self, event: Event) {
        match event {
            // Received before this side began to close, and not heard any more.
            Event::Text(_) | Event::Binary(_) | Event::Fragment { .. } | Event::BeforeHeartbeat
                if self.is_muted() => {}
            Event::Connect => self.tell_connect(),
            Event::Text(text) => self.tell_text(&text),
            Event::Binary(data) => self.tell_binary(&data),
            Event::Fragment {
                opcode,
                payload,
                is_last,
            } => self.tell_fragment(opcode, &payload, is_last),
            Event::BeforeHeartbeat => {
                if self.tell_before_heartbeat() == BeforeHeartbeat::Ping {
                    // A connection that has just ended needs no ping.
                    let _ = self.ping(b"");
                }
            }
            Event::Asynchronous(sent) => self.tell_asynchronous(&sent),
            Event::Error(fault) => self.tell_error(fault),
            Event::CaughtUp => self.0.post.push(Command::CaughtUp(self.0.key)),
            Event::Disconnect(disconnect) => self.tell_disconnect(&disconnect),
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0.post.shared
    }

    fn events(&self) -> &dyn Events {
        self.shared().events()
    }

    pub(super) fn tell_connect(&self) {
        self.call(|events| {
            if let Some(protocol) = self.0.accepted.handler() {
                protocol.on_connect(self);
            }
            events.on_connect(self);
            Ok(())
        });
    }

    #[inline]
    pub(super) fn tell_text(&self, text: &str) {
        self.call(|events| {
            if let Some(protocol) = self.0.accepted.handler()
                && protocol.on_message(self, text)? == Taken::Handled
            {
                return Ok(());
            }
            events.on_message(self, text)
        });
    }

    #[inline]
    pub(super) fn tell_binary(&self, data: &[u8]) {
        self.call(|events| {
            if let Some(protocol) = self.0.accepted.handler()
                && protocol.on_binary(self, data)? == Taken::Handled
            {
                return Ok(());
            }
            events.on_binary(self, data)
        });
    }

    pub(super) fn tell_fragment(&self, opcode: Opcode, payload: &[u8], is_last: bool) {
        let fragment = Fragment {
            opcode,
            payload,
            is_last,
        };
        self.call(|events| events.on_fragmented(self, &fragment));
    }

    pub(super) fn tell_before_heartbeat(&self) -> BeforeHeartbeat {
        let mut answer = BeforeHeartbeat::Handled;
        self.call(|events| {
            answer = events.on_before_heartbeat(self);
            Ok(())
        });
        answer
    }

    pub(super) fn tell_asynchronous(&self, sent: &Sent) {
        self.call(|events| {
            events.on_asynchronous(self, sent);
            Ok(())
        });
    }

    pub(super) fn tell_error(&self, fault: PeerFault) {
        self.events().peer_error(PeerError {
            connection_id: self.0.id,
            request_id: None,
            cause: fault,
        });
    }

    pub(super) fn tell_disconnect(&self, disconnect: &Disconnect) {
        self.call(|_| {
            if let Some(protocol) = self.0.accepted.handler() {
                protocol.on_disconnect(self, disconnect);
            }
            Ok(())
        });
        // Whatever the sub-protocol did, the server hears of it.
        self.call(|events| {
            events.on_disconnect(self, disconnect);
            Ok(())
        });
    }

    /// Calls a handler. One that fails or panics ends this connection, not the others.
    #[inline]
    fn call(&self, handler: impl FnOnce(&dyn Events) -> Result<(), HandlerError>) {
        let events = self.events();
        match catch_unwind(AssertUnwindSafe(|| handler(events))) {
            Ok(Ok(())) => {}
            // The peer has gone meanwhile, which on_disconnect tells.
            Ok(Err(error)) if error.cause().downcast_ref() == Some(&WriteError::Closed) => {}
            Ok(Err(error)) => self.failed(ExceptionCause::Handler(error)),
            Err(payload) => {
                let message = crate::event::panic_message(&*payload);
                self.failed(ExceptionCause::Panic(message));
            }
        }
    }

    #[cold]
    fn failed(&self, cause: ExceptionCause) {
        self.events().connection_exception(self.0.id, cause);
        self.close_with(close_code::INTERNAL_ERROR, "");
    }
}
