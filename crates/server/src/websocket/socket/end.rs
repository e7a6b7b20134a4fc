//! How a connection ends: by a close frame of either side, a violation, or the transport.
//!
//! Source: RFC 6455 §5.5.1, §7.

use std::sync::Arc;

use tidegate_admission::ban::offence::Offence;
use tidegate_httpapi::OpaqueConnection;
use tidegate_proto::websocket::{CloseFrame, Violation, close_code, may_be_sent};

use super::timer::after;
use super::{End, Flow, Socket, Tools, WINDOW, on_lane, tools_inline};
use crate::event::PeerFault;
use crate::traffic::MessageRefusal;
use crate::websocket::connection::EndedBy;
use crate::websocket::delivery::Event;
use crate::websocket::outbox::{Outbox, SLOW_READER};
use crate::websocket::post::Command;

impl Socket {
    /// The peer ends the connection, or must be left. What handlers still have to say to what came
    /// before is said first.
    #[cold]
    pub(super) fn meet(
        &mut self,
        io: &mut dyn OpaqueConnection,
        ending: Ending,
        tools: &mut Tools,
    ) -> Flow {
        if let Ending::Violation(violation) = &ending {
            self.connection.0.post.totals.violations.add(1);
            if let Some(firewall) = &tools.firewall {
                let events = self.connection.shared().events();
                firewall.offence_of(events, &self.connection.peer(), Offence::Protocol);
            }
            self.tell_error(io, PeerFault::WebSocket(*violation));
        }
        let post = Arc::clone(&self.connection.0.post);
        let has_caught_up = tools.calls_inline || !self.connection.has_deliveries();
        if (has_caught_up && !post.has_broadcasts()) || self.has_sent_close() {
            return Err(self.finish(io, ending, tools));
        }
        self.late.get_or_insert_default().ending = Some(ending);
        match tools.calls_inline {
            // What they have said waits behind broadcasts.
            true => post.push(Command::CaughtUp(self.connection.0.key)),
            false => drop(self.connection.deliver_later(Event::CaughtUp)),
        }
        if self.close_deadline == 0 {
            let now = self.connection.0.post.milliseconds(io.now());
            self.close_deadline = after(now, self.options.close_timeout);
            self.rearms = true;
        }
        self.arm(io);
        Ok(())
    }

    pub(super) fn take_ending(&mut self) -> Option<Ending> {
        self.late.as_mut()?.ending.take()
    }

    pub(super) fn has_sent_close(&self) -> bool {
        let late = self.late.as_ref();
        late.is_some_and(|late| late.close_sent.is_some())
    }

    pub(super) fn take_close_sent(&mut self) -> Option<(u16, Box<str>)> {
        self.late.as_mut()?.close_sent.take()
    }

    /// Handlers have had all that came before the end.
    pub(in crate::websocket) fn caught_up(
        &mut self,
        io: &mut dyn OpaqueConnection,
        tools: &mut Tools,
    ) -> Flow {
        match self.take_ending() {
            Some(ending) => Err(self.finish(io, ending, tools)),
            None => Ok(()),
        }
    }

    /// What the peer has done to end the connection, done on our side as well.
    pub(super) fn finish(
        &mut self,
        io: &mut dyn OpaqueConnection,
        ending: Ending,
        tools: &mut Tools,
    ) -> End {
        self.flush(io, tools);
        if !self.has_sent_close() {
            match &ending {
                // RFC 6455 §5.5.1: with the code that came, mostly.
                Ending::PeerCloses(code, _) => self.send_close(io, *code, ""),
                Ending::Violation(violation) => {
                    self.send_close(io, Some(violation.close_code()), "");
                }
                Ending::Refused(refusal) => {
                    self.send_close(io, Some(refusal.close_code()), refusal.reason());
                }
                Ending::PeerEnds => {}
            }
        }
        io.end();
        match (ending, self.take_close_sent()) {
            // It answers ours, whatever it says to it.
            (Ending::PeerCloses(..), Some((code, reason))) => End {
                code,
                reason,
                by: EndedBy::Server,
            },
            (ending, ours) => self.told(ending, ours),
        }
    }

    /// How the connection ends without the end of a close handshake.
    pub(in crate::websocket) fn cut_off(&mut self, by: EndedBy) -> End {
        let ours = self.take_close_sent();
        match self.take_ending() {
            Some(ending) => self.told(ending, ours),
            None => self.abnormal(by, ours),
        }
    }

    pub(super) fn told(&self, ending: Ending, ours: Option<(u16, Box<str>)>) -> End {
        match ending {
            Ending::PeerCloses(code, reason) => End {
                code: code.unwrap_or(close_code::NO_STATUS),
                reason,
                by: EndedBy::Peer,
            },
            Ending::Violation(violation) => End {
                code: violation.close_code(),
                reason: violation.to_string().into(),
                by: EndedBy::Server,
            },
            Ending::Refused(refusal) => End {
                code: refusal.close_code(),
                reason: refusal.reason().into(),
                by: EndedBy::Server,
            },
            Ending::PeerEnds => self.abnormal(EndedBy::Network, ours),
        }
    }

    /// Without a close frame of the peer. Where this side had begun to close, it says why.
    pub(super) fn abnormal(&self, by: EndedBy, ours: Option<(u16, Box<str>)>) -> End {
        let mut end = End { by, ..lost() };
        if !self.connection.is_open() {
            let unsent = || Some(self.connection.outbox().as_mut()?.close.take()?.reason);
            let reason = ours.map(|(_, reason)| reason).or_else(unsent);
            end.reason = reason.unwrap_or_default();
            end.by = EndedBy::Server;
        }
        end
    }

    pub(super) fn send_close(
        &mut self,
        io: &mut dyn OpaqueConnection,
        code: Option<u16>,
        reason: &str,
    ) {
        let output = io.output();
        let before = output.len();
        CloseFrame { code, reason }.encode(output, None);
        let sent = output.len() - before;
        self.count_sent(sent);
    }

    /// The peer takes too little of what it is sent.
    #[cold]
    pub(in crate::websocket) fn too_slow(&mut self, io: &mut dyn OpaqueConnection) -> End {
        self.connection.0.post.totals.slow_readers.add(1);
        self.tell_error(io, PeerFault::SlowReader);
        io.reset();
        End {
            code: SLOW_READER,
            reason: "too much waits to be sent".into(),
            by: EndedBy::Server,
        }
    }

    /// Drops the connection: no waiting for the peer.
    pub(in crate::websocket) fn disconnect(
        &mut self,
        io: &mut dyn OpaqueConnection,
        code: u16,
    ) -> End {
        let is_sendable = may_be_sent(code);
        if self.options.clean_disconnect && !self.has_sent_close() && io.unsent() < WINDOW {
            self.send_close(io, is_sendable.then_some(code), "");
            io.end();
        } else {
            io.reset();
        }
        End {
            code,
            reason: Box::default(),
            by: EndedBy::Server,
        }
    }

    /// The peer has ended its side.
    pub(in crate::websocket) fn peer_ended(
        &mut self,
        io: &mut dyn OpaqueConnection,
        tools: &mut Tools,
    ) -> Flow {
        let late = self.late.as_ref();
        match late.is_some_and(|late| late.ending.is_some()) {
            true => Ok(()),
            false => self.meet(io, Ending::PeerEnds, tools),
        }
    }

    /// Tells the application that the connection has ended, after all else.
    pub(in crate::websocket) fn tell_end(self, end: End, outbox: Option<Box<Outbox>>) {
        let late = self.late.unwrap_or_default();
        let unfinished = late.unfinished.into_iter().map(|(_, sent)| sent);
        let unsent = match self.options.asynchronous {
            true => outbox.map_or_else(Vec::new, |outbox| outbox.into_lost()),
            false => Vec::new(),
        };
        let connection = &self.connection;
        let calls_inline = tools_inline(connection);
        for mut sent in unfinished.chain(unsent) {
            sent.is_sent = false;
            if calls_inline {
                on_lane(connection, || connection.tell_asynchronous(&sent));
            } else {
                connection.deliver_later(Event::Asynchronous(sent));
            }
        }
        if calls_inline {
            on_lane(connection, || connection.tell_disconnect(&end));
        } else {
            connection.deliver_later(Event::Disconnect(end));
        }
    }
}

/// What ends a connection from the peer's side.
pub(super) enum Ending {
    /// By a close frame.
    PeerCloses(Option<u16>, Box<str>),
    /// The peer's side of the transport has ended without one.
    PeerEnds,
    Violation(Violation),
    /// The firewall refuses what it sends.
    Refused(MessageRefusal),
}

/// The transport has gone.
pub(in crate::websocket) fn lost() -> End {
    End {
        code: close_code::ABNORMAL,
        reason: Box::default(),
        by: EndedBy::Network,
    }
}
