//! How long a stream may wait for what it waits for.
//!
//! Each stream has its own deadline; the connection's deadline, while it has streams, is the first of
//! them. Which timer runs when is the engine's `Phase`, as on HTTP/1.
//!
//! How fast a peer takes a response is judged stream by stream, but not while one waits for its turn: we
//! send one after the other (RFC 9218 §10), and the last may have to wait for long. Then it counts whether
//! the peer takes enough of the connection as a whole.

use std::time::{Duration, Instant};

use tidegate_engine::{Phase, SendRate, Timer};
use tidegate_httpapi::{BodyError, StreamReset, Timeouts};
use tidegate_os::Operations;
use tidegate_proto::http2::{ErrorCode, StreamKey};

use crate::clock::ticks;
use crate::connection::Connection;
use crate::connection::respond::Seen;
use crate::core::Core;
use crate::http2::{Http2, Stream, StreamReceive, StreamRespond};

/// A stream's deadline.
#[derive(Default)]
pub(super) struct StreamDeadline {
    /// The tick; 0 is never.
    at: u32,
    phase: Option<Phase>,
}

impl StreamDeadline {
    /// What it was for is over.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Judges what the peer takes of a connection while streams wait for their turn.
pub(super) struct Progress {
    rate: SendRate,
    /// What had been sent when it was asked for last.
    bytes: u64,
    asked: Instant,
}

impl Progress {
    /// Whether it is enough, when `bytes` have been sent on the connection. `rate` is the slowest allowed.
    fn is_enough(&mut self, bytes: u64, now: Instant, rate: u32) -> bool {
        if now >= self.asked + ASKED_WITHIN {
            // No stream has waited for its turn meanwhile.
            *self = Self::begin(bytes, now);
        }
        self.rate.taken(bytes.saturating_sub(self.bytes), now, rate);
        self.bytes = self.bytes.max(bytes);
        self.asked = now;
        !self.rate.is_too_slow(now)
    }

    fn begin(bytes: u64, now: Instant) -> Self {
        Self {
            rate: SendRate::begin(now),
            bytes,
            asked: now,
        }
    }
}

impl Stream {
    fn phase(&self) -> Option<Phase> {
        match (&self.respond, &self.receive) {
            (StreamRespond::Tunnel(_), _) => None,
            (StreamRespond::Application(_), _) if self.queued => Some(Phase::Queue),
            (StreamRespond::Application(_), StreamReceive::Content(content))
                if content.is_awaited() && !self.asked.awaits_continue && !self.reset =>
            {
                Some(Phase::Body)
            }
            (StreamRespond::Application(_), _) => Some(Phase::Application),
            (StreamRespond::NotAsked, _) => Some(Phase::Body),
            (StreamRespond::Content(outgoing), _) if outgoing.thinks => Some(Phase::Application),
            (StreamRespond::Content(_), _) => Some(Phase::Send),
            (StreamRespond::Done, _) => Some(Phase::Drain),
        }
    }
}

impl Core {
    fn stream_timeouts<'a>(&'a self, stream: &'a Stream) -> &'a Timeouts {
        match &stream.group {
            Some(group) => &group.timeouts,
            None => &self.shared.settings.timeouts,
        }
    }

    /// Sets the deadline for what a stream waits for now, if it waits.
    pub(super) fn settle_stream(&mut self, http2: &mut Http2, key: StreamKey) {
        let Some(stream) = http2.stream(key) else {
            return;
        };
        let Some(phase) = stream.phase() else {
            return;
        };
        // Content that comes in part begins its wait anew; no other wait does.
        if stream.deadline.phase == Some(phase) && phase != Phase::Body {
            return;
        }
        let timeouts = self.stream_timeouts(stream);
        let at = match (phase, &stream.respond) {
            (Phase::Send, StreamRespond::Content(outgoing)) => match timeouts.min_send_rate {
                Some(_) => self.clock.ticks_until(outgoing.rate.deadline()) + 1,
                None => 0,
            },
            _ => match phase.timer().and_then(|timer| timer.limit(timeouts)) {
                Some(limit) => self.clock.tick() + ticks(limit) + 1,
                None => 0,
            },
        };
        stream.deadline.phase = Some(phase);
        stream.deadline.at = at;
        http2.hasten(at);
    }

    /// Has a tunnel's lane called after this time; `None`: not at all.
    pub(super) fn set_stream_due(
        &self,
        http2: &mut Http2,
        key: StreamKey,
        after: Option<Duration>,
    ) {
        let at = after.map_or(0, |after| self.clock.tick() + ticks(after) + 1);
        if let Some(stream) = http2.stream(key) {
            stream.deadline.at = at;
            http2.hasten(at);
        }
    }

    /// The time of some stream may have come.
    pub(crate) fn streams_due<O: Operations>(&mut self, operations: &mut O, conn: &mut Connection) {
        self.with_http2(conn, |core, conn, http2| {
            let now = core.clock.tick();
            let is_due = |stream: &Stream| (1..=now).contains(&stream.deadline.at);
            let due: Vec<StreamKey> = http2
                .streams
                .iter()
                .flatten()
                .filter(|stream| is_due(stream))
                .map(|stream| stream.key)
                .collect();
            http2.due = 0;
            for key in due {
                core.stream_due(operations, conn, http2, key);
            }
            let first = http2
                .streams
                .iter()
                .flatten()
                .map(|stream| stream.deadline.at)
                .filter(|&at| at != 0)
                .min();
            http2.due = first.unwrap_or_default();
        });
    }

    fn stream_due<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
    ) {
        let Some(stream) = http2.stream(key) else {
            return;
        };
        stream.deadline.at = 0;
        if let StreamRespond::Tunnel(_) = stream.respond {
            return self.tunnel_due(operations, conn, http2, key);
        }
        let phase = stream.deadline.phase.take();
        if phase != stream.phase() {
            // It waits for something else by now.
            return self.settle_stream(http2, key);
        }
        let Some(phase) = phase else {
            return;
        };
        if phase == Phase::Body && conn.held.receives_later() {
            return self.settle_stream(http2, key);
        }
        if phase == Phase::Send {
            match self.is_stream_too_slow(operations, conn, http2, key) {
                true => self.expire_stream(operations, conn, http2, key, Timer::MinSendRate),
                false => self.settle_stream(http2, key),
            }
            return;
        }
        if phase == Phase::Queue && !self.withdraw_stream(conn, stream) {
            // The application has it: there is no limit on its thinking time.
            return self.settle_stream(http2, key);
        }
        if let Some(timer) = phase.timer() {
            self.expire_stream(operations, conn, http2, key, timer);
        }
    }

    /// Whether the peer takes a response too slowly.
    fn is_stream_too_slow<O: Operations>(
        &self,
        operations: &O,
        conn: &Connection,
        http2: &mut Http2,
        key: StreamKey,
    ) -> bool {
        let now = self.clock.now();
        let Http2 {
            codec,
            streams,
            progress,
            ..
        } = http2;
        let Some(Some(stream)) = streams.get_mut(key.slot as usize) else {
            return false;
        };
        let rate = self.stream_timeouts(stream).min_send_rate;
        let (StreamRespond::Content(outgoing), Some(rate)) = (&mut stream.respond, rate) else {
            return false;
        };
        if !outgoing.rate.is_too_slow(now) {
            return false;
        }
        if conn.held.sends_later() {
            outgoing.excuse(now);
            return false;
        }
        if !codec.waits_for_turn(key) {
            return true;
        }
        let bytes = operations.bytes_taken(conn.key);
        let progress = progress.get_or_insert_with(|| Box::new(Progress::begin(bytes, now)));
        let is_excused = progress.is_enough(bytes, now, rate);
        if is_excused {
            outgoing.excuse(now);
        }
        !is_excused
    }

    /// A stream's timer has run out: it is reset. One HTTPERR line.
    fn expire_stream<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
        timer: Timer,
    ) {
        self.counters.count_timed_out(timer);
        self.log(operations, conn, timer.log_reason(), None, Seen::Nothing);
        let Some(stream) = http2.stream(key) else {
            return;
        };
        if timer == Timer::EntityBody {
            stream.end_content(BodyError::TimedOut);
        }
        let code = match timer {
            // It was not begun: the client may send it again.
            Timer::RequestQueue => ErrorCode::RefusedStream.value(),
            _ => StreamReset::CANCEL.code,
        };
        let is_with_application = match &stream.respond {
            StreamRespond::Application(closed) => {
                closed.set();
                timer != Timer::RequestQueue
            }
            _ => false,
        };
        if is_with_application {
            // Counts until the application has ended its work.
            stream.reset = true;
            let out = conn.output.open_end(&mut self.pool);
            http2.codec.reset(key, code, out);
        } else {
            self.reset_stream(conn, http2, key, code);
        }
    }
}

impl Http2 {
    /// Has the connection's deadline be at this tick at the latest; 0: whenever.
    fn hasten(&mut self, at: u32) {
        if at != 0 && (self.due == 0 || at < self.due) {
            self.due = at;
        }
    }

    /// The tick by which a stream is to be looked after; 0: none is.
    pub(crate) fn due(&self) -> u32 {
        self.due
    }
}

/// A stream that is excused is looked at again after half of this.
const ASKED_WITHIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 100;

    /// Whether each of these is enough, taken in five seconds each.
    fn judged(taken: &[u64]) -> Vec<bool> {
        let mut now = Instant::now();
        let mut progress = Progress::begin(1_000, now);
        let mut bytes = 1_000;
        let judge = |taken| {
            now += Duration::from_secs(5);
            bytes += taken;
            progress.is_enough(bytes, now, RATE)
        };
        taken.iter().copied().map(judge).collect()
    }

    #[test]
    fn what_is_taken_at_the_rate_is_enough() {
        assert_eq!(judged(&[500; 10]), [true; 10]);
    }

    #[test]
    fn nothing_is_not_enough() {
        assert_eq!(judged(&[0, 0]), [false, false]);
        assert_eq!(judged(&[500, 0]), [true, false]);
    }

    #[test]
    fn much_pays_for_a_pause() {
        assert_eq!(judged(&[1_500, 0, 0, 0]), [true, true, true, false]);
    }

    #[test]
    fn who_was_not_asked_for_long_begins_anew() {
        let begun = Instant::now();
        let mut progress = Progress::begin(0, begun);
        let later = begun + ASKED_WITHIN;
        assert!(progress.is_enough(0, later, RATE));
        assert!(!progress.is_enough(0, later + Duration::from_secs(5), RATE));
    }
}
