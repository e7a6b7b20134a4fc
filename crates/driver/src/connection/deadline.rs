//! How long a connection may wait for what it waits for.
//!
//! One deadline at a time, in coarse ticks, kept lazily: a busy connection moves it by one store, and
//! its entry in the wheel stays where it is. Which timer runs when is the engine's `Phase`.

use std::time::Duration;

use tidegate_engine::{Phase, SendRate, Snapshot, Timer, TimerId};
use tidegate_httpapi::{BodyError, Timeouts};
use tidegate_os::Operations;

use crate::clock::ticks;
use crate::connection::respond::Seen;
use crate::connection::{Connection, Receive, Respond};
use crate::core::Core;
use crate::http2::Http2;
use crate::queue::Queue;

/// A connection's deadline.
#[derive(Default)]
pub(crate) struct Deadline {
    /// The tick; 0 is never.
    at: u32,
    /// The tick in which the wait began.
    since: u32,
    /// The low half of the number of the request it was set for.
    request: u32,
    waits: Waits,
    restart: bool,
    entry: Option<TimerId>,
    /// Judges a long send.
    rate: Option<Box<JudgedSend>>,
}

/// What the deadline is for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Waits {
    /// Nothing yet.
    #[default]
    New,
    For(Phase),
    /// For whatever its streams wait for, in HTTP/2.
    Streams,
    /// For whatever its lane says, in opaque mode.
    Lane,
    /// For the peer to end its side after we have ended ours.
    Linger,
}

pub(crate) struct JudgedSend {
    rate: SendRate,
    bytes: u64,
}

/// Ticks given to the peer to end its side: two seconds.
const LINGER: u32 = 20;

/// Ticks for which a connection that was just used may be used again while the driver stops: half a second.
const REUSED: u32 = 5;

/// Judges kept for the next long sends.
const SPARE_JUDGED_MAX: usize = 256;

impl Deadline {
    /// What it waits for has come in part: the time begins anew.
    pub(crate) fn restart(&mut self) {
        self.restart = true;
    }

    /// What it waits for may be waited for otherwise now.
    pub(crate) fn begin_anew(&mut self) {
        self.waits = Waits::New;
    }

    /// From now on it is the lane's.
    pub(crate) fn give_to_lane(&mut self) {
        self.at = 0;
        self.waits = Waits::Lane;
        self.rate = None;
    }
}

impl Connection {
    #[inline(always)]
    fn waits(&self) -> Waits {
        // Between two requests, as connections are most of the time that they are looked at.
        let is_plain = self.tls.is_none() && matches!(self.receive, Receive::Head);
        if is_plain
            && !self.ended
            && !self.sending
            && self.held.is_none()
            && self.proxied.is_none()
            && self.input.is_empty()
            && matches!(self.respond, Respond::Ready)
        {
            return Waits::For(Phase::Idle);
        }
        self.waits_otherwise()
    }

    #[inline(never)]
    fn waits_otherwise(&self) -> Waits {
        if self.ended {
            return Waits::Linger;
        }
        let sends_long = self.sending && (!self.output.is_empty() || self.sends_large);
        let phase = match (&self.respond, &self.receive) {
            (_, Receive::Opaque(_)) if !self.closing => return Waits::Lane,
            _ if self.shakes_hands() || self.awaits_proxy_header() => Phase::Head,
            // It is we who hold it up, not the peer.
            (_, Receive::Http2(Some(http2))) if self.held.sends_later() && !http2.is_idle() => {
                return Waits::Streams;
            }
            _ if self.held.sends_later() => Phase::Application,
            (_, Receive::Http2(_)) if sends_long => Phase::Send,
            // A frame has come in part.
            (_, Receive::Http2(_)) if !self.input.is_empty() && !self.receive_paused => Phase::Head,
            // Or a head, whose CONTINUATION frames are to come: nothing else can go on before it has.
            (_, Receive::Http2(Some(http2))) if http2.has_open_head() => Phase::Head,
            (_, Receive::Http2(Some(http2))) if !http2.is_idle() => return Waits::Streams,
            (Respond::Application(_), _) if self.queued => Phase::Queue,
            (Respond::Application(_), Receive::Content(content))
                if !content.paused && !self.asked.awaits_continue =>
            {
                Phase::Body
            }
            (Respond::Application(_), _) => Phase::Application,
            _ if sends_long => Phase::Send,
            // However short it is: it may be all that the source gives for a long time.
            (Respond::Stream(_), _) if self.sending => Phase::Send,
            // The source of a stream may take as long to think as an application.
            (Respond::Stream(_), _) => Phase::Application,
            (Respond::Ready, Receive::Content(_)) => Phase::Drain,
            (Respond::Ready, _) if self.input.is_empty() => Phase::Idle,
            (Respond::Ready, _) if self.input_wanted > 0 => Phase::Body,
            (Respond::Ready, _) => Phase::Head,
        };
        match phase {
            Phase::Body | Phase::Drain | Phase::Idle if self.held.receives_later() => {
                Waits::For(Phase::Application)
            }
            _ => Waits::For(phase),
        }
    }
}

impl Connection {
    /// Whether its end is something to be said and not only to be done.
    fn says_goodbye(&self) -> bool {
        matches!(self.receive, Receive::Http2(_)) || (self.tls.is_some() && !self.shakes_hands())
    }
}

impl Core {
    /// Sets the deadline for what the connection waits for now.
    #[inline]
    pub(crate) fn settle<O: Operations>(
        &mut self,
        snapshot: &Snapshot<Queue>,
        operations: &O,
        conn: &mut Connection,
    ) {
        let waits = conn.waits();
        let request = conn.request as u32;
        let deadline = &mut conn.deadline;
        if waits == deadline.waits {
            // The same wait goes on; or it begins anew within one tick, which makes no difference.
            let goes_on = request == deadline.request && !deadline.restart;
            if waits == Waits::Streams {
                return self.watch_streams(conn);
            }
            if goes_on || deadline.since == self.clock.tick() {
                return;
            }
        }
        self.settle_anew(snapshot, operations, conn, waits);
    }

    #[inline(never)]
    fn settle_anew<O: Operations>(
        &mut self,
        snapshot: &Snapshot<Queue>,
        operations: &O,
        conn: &mut Connection,
        waits: Waits,
    ) {
        let request = conn.request as u32;
        let speaks_http2 = conn.http2().map(Http2::wake).is_some();
        let deadline = &mut conn.deadline;
        deadline.since = self.clock.tick();
        deadline.waits = waits;
        deadline.request = request;
        deadline.restart = false;
        let timeouts = match &conn.group {
            Some(group) => &group.timeouts,
            None => snapshot.machine_timeouts(),
        };
        let limit = match waits {
            // What the lane has set stays.
            Waits::Lane => return,
            Waits::Streams => {
                deadline.rate = None;
                deadline.at = 0;
                return self.watch_streams(conn);
            }
            Waits::New => None,
            Waits::Linger => Some(LINGER),
            Waits::For(Phase::Send) => {
                let bytes = operations.bytes_taken(conn.key);
                let rate = SendRate::begin(self.clock.now());
                let due = self.clock.ticks_until(rate.deadline());
                let judged = JudgedSend { rate, bytes };
                deadline.rate = Some(
                    match deadline.rate.take().or_else(|| self.spare_judged.pop()) {
                        Some(mut spare) => {
                            *spare = judged;
                            spare
                        }
                        None => Box::new(judged),
                    },
                );
                timeouts.min_send_rate.map(|_| due - self.clock.tick())
            }
            // While the driver stops, who came last may still ask, but not sit there. And so may those who were
            // answered last: another request may be on its way.
            Waits::For(Phase::Idle) if self.is_draining() => {
                Some(match conn.group.is_some() && !speaks_http2 {
                    true => REUSED,
                    false => LINGER,
                })
            }
            // First it comes to rest, see `due`.
            Waits::For(Phase::Idle) if speaks_http2 => Some(REST_AFTER),
            Waits::For(phase) => limit(phase, timeouts),
        };
        if waits != Waits::For(Phase::Send)
            && let Some(judged) = deadline.rate.take()
            && self.spare_judged.len() < SPARE_JUDGED_MAX
        {
            self.spare_judged.push(judged);
        }
        // One more: the present tick has begun already.
        deadline.at = limit.map_or(0, |limit| self.clock.tick() + limit + 1);
        self.watch(conn);
    }

    /// Sets what a connection's lane waits for; `None`: nothing.
    #[inline]
    pub(crate) fn set_due(&mut self, conn: &mut Connection, after: Option<Duration>) {
        conn.deadline.at = after.map_or(0, |after| self.clock.tick() + ticks(after) + 1);
        self.watch(conn);
    }

    /// Has the deadline be that of the stream whose time comes first.
    fn watch_streams(&mut self, conn: &mut Connection) {
        let due = conn.http2().map_or(0, |http2| http2.due());
        if due != 0 && (conn.deadline.at == 0 || due < conn.deadline.at) {
            conn.deadline.at = due;
            self.watch(conn);
        }
    }

    /// Sees to it that the wheel comes back to the connection by its deadline.
    fn watch(&mut self, conn: &mut Connection) {
        let deadline = &mut conn.deadline;
        if deadline.at == 0 {
            return;
        }
        match deadline.entry {
            Some(entry) => self.wheel.hasten(entry, deadline.at),
            None => deadline.entry = Some(self.wheel.insert(conn.key, deadline.at)),
        }
    }

    /// The connection is no more.
    pub(crate) fn unwatch(&mut self, conn: &mut Connection) {
        if let Some(entry) = conn.deadline.entry.take() {
            self.wheel.remove(entry);
        }
    }

    /// The wheel has come to the connection.
    pub(crate) fn due<O: Operations>(
        &mut self,
        snapshot: &Snapshot<Queue>,
        operations: &mut O,
        conn: &mut Connection,
    ) {
        conn.deadline.entry = None;
        if conn.deadline.at == 0 || conn.deadline.at > self.clock.tick() {
            self.watch(conn);
            return;
        }
        conn.deadline.at = 0;
        let phase = match conn.deadline.waits {
            Waits::New => return,
            Waits::Lane => return self.tell_due(operations, conn),
            Waits::Streams => {
                self.streams_due(operations, conn);
                return self.drive(operations, conn);
            }
            Waits::Linger => return self.close(operations, conn),
            Waits::For(phase) => phase,
        };
        match phase {
            Phase::Queue if !self.withdraw(conn) => {
                // The application has it: there is no limit on its thinking time.
                self.settle(snapshot, operations, conn);
            }
            Phase::Send if !self.is_too_slow(operations, conn) => self.watch(conn),
            Phase::Idle if conn.http2().is_some_and(|http2| http2.rest()) => {
                let timeouts = match &conn.group {
                    Some(group) => &group.timeouts,
                    None => snapshot.machine_timeouts(),
                };
                let deadline = &mut conn.deadline;
                deadline.at = limit(phase, timeouts).map_or(0, |limit| deadline.since + limit + 1);
                self.watch(conn);
            }
            Phase::Idle if conn.sending => self.expire(operations, conn, Timer::MinSendRate),
            Phase::Idle if self.is_draining() && conn.http2().is_none() => {
                self.end_idle(operations, conn);
            }
            _ => {
                if let Some(timer) = phase.timer() {
                    self.expire(operations, conn, timer);
                }
            }
        }
    }

    /// Whether the client of a connection without a request may have sent one that is not here yet: it has just
    /// connected, or was just answered.
    pub(crate) fn may_be_asked(&self, conn: &Connection) -> bool {
        let deadline = &conn.deadline;
        conn.group.is_none()
            || deadline.waits != Waits::For(Phase::Idle)
            || self.clock.tick().saturating_sub(deadline.since) <= REUSED
    }

    /// Ends a connection between two requests, as the driver stops.
    pub(crate) fn end_idle<O: Operations>(&mut self, operations: &mut O, conn: &mut Connection) {
        if conn.sending || conn.held.sends_later() || conn.tls.is_some() {
            self.close_after_output(conn);
            self.drive(operations, conn);
        } else {
            self.close(operations, conn);
        }
    }

    fn is_too_slow<O: Operations>(&mut self, operations: &O, conn: &mut Connection) -> bool {
        let rate = conn
            .group
            .as_ref()
            .and_then(|group| group.timeouts.min_send_rate);
        let (Some(judged), Some(rate)) = (&mut conn.deadline.rate, rate) else {
            return false;
        };
        let bytes = operations.bytes_taken(conn.key);
        judged
            .rate
            .taken(bytes.saturating_sub(judged.bytes), self.clock.now(), rate);
        judged.bytes = judged.bytes.max(bytes);
        conn.deadline.at = self.clock.ticks_until(judged.rate.deadline()) + 1;
        judged.rate.is_too_slow(self.clock.now())
    }

    /// A timer has run out: the connection closes without a status. One HTTPERR line.
    fn expire<O: Operations>(&mut self, operations: &mut O, conn: &mut Connection, timer: Timer) {
        self.counters.count_timed_out(timer);
        self.log(operations, conn, timer.log_reason(), None, Seen::Nothing);
        if timer == Timer::EntityBody {
            conn.end_content(Err(BodyError::TimedOut));
        }
        if timer == Timer::MinSendRate {
            // What the system still holds for the peer would keep the socket for long.
            self.reset(operations, conn);
        } else if timer == Timer::IdleConnection && conn.says_goodbye() {
            self.begin_goodbye(conn);
            self.close_after_output(conn);
            self.drive(operations, conn);
        } else {
            self.close(operations, conn);
        }
    }
}

/// How long an HTTP/2 connection without requests keeps the memory that busy ones need: a second.
const REST_AFTER: u32 = 10;

fn limit(phase: Phase, timeouts: &Timeouts) -> Option<u32> {
    phase.timer()?.limit(timeouts).map(ticks)
}
