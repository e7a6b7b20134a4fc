//! A connection's timers: heartbeat, a peer that takes nothing, one that does not answer a close frame.

use std::mem;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tidegate_httpapi::OpaqueConnection;
use tidegate_proto::websocket::close_code;

use super::{End, Flow, Socket, Tools, traffic_of};
use crate::event::{BeforeHeartbeat, PeerFault};
use crate::websocket::connection::EndedBy;
use crate::websocket::delivery::Event;
use crate::websocket::heartbeat::Beat;

impl Socket {
    /// A time set by [`arm`](Self::arm) has come.
    pub(in crate::websocket) fn due(
        &mut self,
        io: &mut dyn OpaqueConnection,
        tools: &mut Tools,
    ) -> Flow {
        self.armed = 0;
        self.rearms = true;
        let now = self.connection.0.post.milliseconds(io.now());
        // It is the driver that holds back what would tell the peer.
        if is_due(self.close_deadline, now) && io.is_held_back() {
            self.close_deadline = after(now, self.options.close_timeout);
        }
        if is_due(self.close_deadline, now) {
            if let Some(ending) = self.take_ending() {
                return Err(self.finish(io, ending, tools));
            }
            io.reset();
            return Err(self.cut_off(EndedBy::Server));
        }
        if is_due(self.write_check, now) {
            self.write_check = 0;
            if io.unsent() > 0 {
                let taken = io.bytes_sent();
                if taken == self.write_mark && !io.is_held_back() {
                    self.tell_error(io, PeerFault::SlowReader);
                    io.reset();
                    return Err(End {
                        code: close_code::ABNORMAL,
                        reason: "the peer takes nothing".into(),
                        by: EndedBy::Server,
                    });
                }
                self.watch_writing(io, now);
            }
        }
        match self.heartbeat.due(now as u32, &self.options.heartbeat) {
            Beat::Nothing => {}
            Beat::Ping => self.beat(io, tools),
            // What it may have sent is not being read, or our ping has not gone out.
            Beat::Dead if self.pauses() || io.is_held_back() || io.is_receive_held_back() => {
                self.heartbeat.stop_waiting();
            }
            Beat::Dead => {
                self.tell_error(io, PeerFault::NoPong);
                io.reset();
                return Err(End {
                    code: close_code::ABNORMAL,
                    reason: "no pong in time".into(),
                    by: EndedBy::Server,
                });
            }
        }
        self.arm(io);
        Ok(())
    }

    pub(super) fn beat(&mut self, io: &mut dyn OpaqueConnection, tools: &mut Tools) {
        if !self.connection.is_open() {
            return;
        }
        if tools.watches_heartbeats {
            // Whether a ping is sent, is the handler's to say: it is waited for from then on.
            self.heartbeat.stop_waiting();
            if !tools.calls_inline {
                self.connection.deliver_later(Event::BeforeHeartbeat);
                return;
            }
            let mut answer = BeforeHeartbeat::Handled;
            self.call_inline(io, |connection| answer = connection.tell_before_heartbeat());
            if answer == BeforeHeartbeat::Handled {
                return self.pump(io, tools);
            }
        }
        // One whose queue is full is being written to all the time: it needs no ping to be found dead.
        let _ = self.connection.ping(b"");
        self.pump(io, tools);
    }

    pub(super) fn note_ping(&mut self, io: &dyn OpaqueConnection) {
        if self.options.heartbeat.enabled {
            let now = self.connection.0.post.milliseconds(io.now());
            self.heartbeat.pinged(now as u32);
            self.rearms = true;
        }
        let now = self.connection.0.post.seconds(io.now());
        let traffic = traffic_of(&self.connection);
        traffic.last_ping.store(now, Ordering::Relaxed);
        if traffic.first_ping.load(Ordering::Relaxed) == 0 {
            traffic.first_ping.store(now, Ordering::Relaxed);
        }
    }

    /// Something is being sent: looks after a while whether the peer takes it.
    #[inline]
    pub(super) fn watch_writing(&mut self, io: &dyn OpaqueConnection, now: u64) {
        if self.write_check == 0 && !self.options.write_timeout.is_zero() {
            self.write_check = after(now, self.options.write_timeout);
            self.rearms = true;
            self.write_mark = io.bytes_sent();
        }
    }

    /// Has the driver call at the earliest time that something is due.
    #[inline]
    pub(super) fn arm(&mut self, io: &mut dyn OpaqueConnection) {
        if mem::take(&mut self.rearms) {
            self.arm_anew(io);
        }
    }

    #[inline(never)]
    pub(super) fn arm_anew(&mut self, io: &mut dyn OpaqueConnection) {
        let now = self.connection.0.post.milliseconds(io.now());
        let heartbeat = self.heartbeat.next(&self.options.heartbeat).map(|next| {
            let wait = next.wrapping_sub(now as u32) as i32;
            coarse(now + u64::from(wait.max(0).unsigned_abs()))
        });
        let times = [
            self.write_check,
            self.close_deadline,
            heartbeat.unwrap_or(0),
        ];
        let Some(next) = times.into_iter().filter(|&time| time != 0).min() else {
            return;
        };
        // One that is armed for earlier looks for itself what is next.
        if self.armed == 0 || next < self.armed {
            self.armed = next;
            let wait = u64::from(next.saturating_sub(coarse(now))) << COARSE_BITS;
            io.set_due(Some(Duration::from_millis(wait)));
        }
    }
}

/// A time as the timers keep it, never 0: short, and good for eight years.
pub(super) fn coarse(milliseconds: u64) -> u32 {
    u32::try_from(milliseconds >> COARSE_BITS).map_or(u32::MAX, |coarse| coarse.saturating_add(1))
}

const COARSE_BITS: u32 = 6;

pub(super) fn after(now: u64, time: Duration) -> u32 {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    // One more: the present one has begun already.
    coarse(now.saturating_add(milliseconds)).saturating_add(1)
}

pub(super) fn is_due(time: u32, now: u64) -> bool {
    time != 0 && time <= coarse(now)
}
