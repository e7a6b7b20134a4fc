//! When a connection is pinged, and when it is given up for dead.
//!
//! A plain value that is told what happened and asked what is due. Times are ticks of a millisecond that
//! may wrap around: what matters is how far apart they are.
//! Source: the component's HeartBeat; RFC 6455 §5.5.2.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_httpapi::LimitError;

/// Pings that the server sends by itself, to find peers that are gone and to keep the way open through
/// equipment that forgets idle connections. Source: the component's HeartBeat.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct HeartbeatSettings {
    /// Whether pings are sent. Default false. Source: the component's HeartBeat.Enabled.
    pub enabled: bool,
    /// Time between two pings to a connection. Default 300 s, range 1 s to 1,000,000 s (11.5 days).
    /// Source: the component's HeartBeat.Interval.
    ///
    /// The first comes somewhere within the interval, by chance: of many peers that connect at once,
    /// a few are pinged at a time.
    #[serde(deserialize_with = "crate::settings::format::seconds")]
    pub interval: Duration,
    /// How long the peer may be silent after a ping before it is dropped, with code 1006; 0 is for ever.
    /// Default 0, range as of `interval`. Source: the component's HeartBeat.Timeout.
    ///
    /// Anything it sends is a sign of life, also what it had sent before the ping reached it.
    #[serde(deserialize_with = "crate::settings::format::seconds")]
    pub timeout: Duration,
    /// Who is pinged. Default all. Source: the component's HeartBeat.HeartBeatType.
    pub kind: HeartbeatKind,
}

/// Which connections are pinged.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum HeartbeatKind {
    /// All. The default. Source: hbtAlways.
    #[default]
    Always,
    /// Those from which nothing has come since they were last pinged or passed over.
    /// Source: hbtOnlyIfNoMsgRcvInterval.
    ///
    /// A connection is looked at once in an interval, so that a peer that falls silent is pinged after
    /// one to two intervals.
    OnlyIfNoMessageReceivedInInterval,
}

impl Default for HeartbeatSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            interval: Duration::from_secs(300),
            timeout: Duration::ZERO,
            kind: HeartbeatKind::Always,
        }
    }
}

impl HeartbeatSettings {
    pub(crate) fn check(&self) -> Result<(), LimitError> {
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let range = 1..=SECONDS_MAX;
        LimitError::check(
            "websocket.heartbeat.interval",
            seconds(self.interval),
            range,
        )?;
        let range = 0..=SECONDS_MAX;
        LimitError::check("websocket.heartbeat.timeout", seconds(self.timeout), range)
    }
}

/// The heartbeat of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heartbeat {
    /// When to look next whether to ping. Always an interval after the last time, never later by what
    /// the look was late: else connections that were late together would stay together.
    look: u32,
    /// When a ping was sent to which nothing has come back, if `is_unanswered`.
    pinged: u32,
    is_unanswered: bool,
    /// Something has come since the last look.
    is_heard: bool,
}

/// What is due for a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Beat {
    Nothing,
    /// A ping is to be sent. From now on, the timeout runs.
    Ping,
    /// The timeout is over: the peer is gone.
    Dead,
}

impl Heartbeat {
    /// The heartbeat of a new connection, or of one whose settings have changed.
    pub(crate) fn first(id: u64, now: u32, settings: &HeartbeatSettings) -> Self {
        // Numbers come in order: their hash spreads them over the interval.
        let spread = (u128::from(ticks(settings.interval)) * u128::from(hash(id))) >> 64;
        Self {
            look: now.wrapping_add(1 + spread as u32),
            pinged: now,
            is_unanswered: false,
            is_heard: false,
        }
    }

    /// Bytes have come from the peer, be it a pong or anything else.
    #[inline]
    pub(crate) fn received(&mut self) {
        self.is_unanswered = false;
        self.is_heard = true;
    }

    /// A ping was sent that was not due: its timeout runs, unless that of another does.
    pub(crate) fn pinged(&mut self, now: u32) {
        if !self.is_unanswered {
            self.is_unanswered = true;
            self.pinged = now;
        }
    }

    /// No answer is waited for: the ping that was due was not sent, or what may have come from the peer
    /// is not being read.
    pub(crate) fn stop_waiting(&mut self) {
        self.is_unanswered = false;
    }

    /// What is due now. A ping is due once, a dead peer is for as long as one asks.
    pub(crate) fn due(&mut self, now: u32, settings: &HeartbeatSettings) -> Beat {
        if !settings.enabled {
            return Beat::Nothing;
        }
        if let Some(end) = self.end(settings)
            && is_reached(end, now)
        {
            return Beat::Dead;
        }
        if !is_reached(self.look, now) {
            return Beat::Nothing;
        }
        let interval = ticks(settings.interval);
        let late = now.wrapping_sub(self.look) % interval;
        self.look = now.wrapping_add(interval - late);
        let was_heard = std::mem::take(&mut self.is_heard);
        match settings.kind {
            HeartbeatKind::OnlyIfNoMessageReceivedInInterval if was_heard => Beat::Nothing,
            _ => {
                self.pinged(now);
                Beat::Ping
            }
        }
    }

    /// When to ask again what is due; `None`: never.
    pub(crate) fn next(&self, settings: &HeartbeatSettings) -> Option<u32> {
        let end = self.end(settings);
        let next = match end {
            Some(end) if is_reached(end, self.look) => end,
            _ => self.look,
        };
        settings.enabled.then_some(next)
    }

    /// When the peer is taken for dead.
    fn end(&self, settings: &HeartbeatSettings) -> Option<u32> {
        let waits = self.is_unanswered && !settings.timeout.is_zero();
        waits.then(|| self.pinged.wrapping_add(ticks(settings.timeout)))
    }
}

/// Whether a time is not after another.
fn is_reached(time: u32, now: u32) -> bool {
    now.wrapping_sub(time) < u32::MAX / 2
}

/// At least 1, and short enough that two times can be told apart after wrapping around.
fn ticks(time: Duration) -> u32 {
    let milliseconds = time.as_millis().min(u128::from(SECONDS_MAX) * 1000);
    (milliseconds as u32).max(1)
}

/// Source: S. Vigna, SplitMix64's output function, public domain.
fn hash(id: u64) -> u64 {
    let mut mixed = id.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

const SECONDS_MAX: u32 = 1_000_000;
const _: () = assert!(size_of::<Heartbeat>() == 12);
const _: () = assert!(SECONDS_MAX as u64 * 1000 < (u32::MAX / 4) as u64);

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(interval: u64, timeout: u64) -> HeartbeatSettings {
        HeartbeatSettings {
            enabled: true,
            interval: Duration::from_secs(interval),
            timeout: Duration::from_secs(timeout),
            kind: HeartbeatKind::Always,
        }
    }

    /// A heartbeat whose first ping has just become due, and when that was.
    fn at_first_ping(start: u32, settings: &HeartbeatSettings) -> (Heartbeat, u32) {
        let mut heartbeat = Heartbeat::first(1, start, settings);
        let due = heartbeat.next(settings).unwrap();
        assert_eq!(heartbeat.due(due, settings), Beat::Ping);
        (heartbeat, due)
    }

    /// Ticks around which a test is done: the middle and both ends of what they count to.
    const STARTS: [u32; 4] = [0, 1 << 31, u32::MAX - 1000, u32::MAX - 100_000];

    #[test]
    fn pings_come_once_in_an_interval() {
        let settings = settings(100, 0);
        for start in STARTS {
            let (mut heartbeat, first) = at_first_ping(start, &settings);
            assert!(first.wrapping_sub(start) <= 100_000);
            for count in 1..100 {
                let next = first.wrapping_add(count * 100_000);
                assert_eq!(heartbeat.next(&settings), Some(next));
                assert_eq!(
                    heartbeat.due(next.wrapping_sub(1), &settings),
                    Beat::Nothing
                );
                assert_eq!(heartbeat.due(next, &settings), Beat::Ping);
                assert_eq!(heartbeat.due(next, &settings), Beat::Nothing);
            }
        }
    }

    #[test]
    fn a_late_look_does_not_move_the_next() {
        let settings = settings(100, 0);
        for start in STARTS {
            let (mut heartbeat, first) = at_first_ping(start, &settings);
            let late = first.wrapping_add(100_000 + 99_999);
            assert_eq!(heartbeat.due(late, &settings), Beat::Ping);
            assert_eq!(heartbeat.next(&settings), Some(late.wrapping_add(1)));
            // After a sleep there is one ping, not one for each interval.
            let awake = first.wrapping_add(7_000_001);
            assert_eq!(heartbeat.due(awake, &settings), Beat::Ping);
            assert_eq!(heartbeat.due(awake, &settings), Beat::Nothing);
            assert_eq!(
                heartbeat.next(&settings),
                Some(first.wrapping_add(7_100_000))
            );
        }
    }

    // Connections made at once are not pinged at once.
    #[test]
    fn first_pings_are_spread_over_the_interval() {
        let settings = settings(300, 0);
        let mut tenths = [0; 3000];
        for id in 0..30_000 {
            let due = Heartbeat::first(id, 5, &settings).next(&settings).unwrap();
            tenths[(due as usize - 6) / 100] += 1;
        }
        // Ten each on average.
        assert!(tenths.iter().all(|&count| count < 40));
    }

    #[test]
    fn nothing_is_due_when_disabled() {
        let mut settings = settings(100, 10);
        let (mut heartbeat, first) = at_first_ping(0, &settings);
        settings.enabled = false;
        assert_eq!(heartbeat.next(&settings), None);
        assert_eq!(heartbeat.due(first + 1_000_000, &settings), Beat::Nothing);
    }

    #[test]
    fn a_peer_that_does_not_answer_in_time_is_dead() {
        let settings = settings(100, 10);
        for start in STARTS {
            let (mut heartbeat, first) = at_first_ping(start, &settings);
            let end = first.wrapping_add(10_000);
            assert_eq!(heartbeat.next(&settings), Some(end));
            assert_eq!(heartbeat.due(end.wrapping_sub(1), &settings), Beat::Nothing);
            let mut other = heartbeat;
            assert_eq!(heartbeat.due(end, &settings), Beat::Dead);
            other.received();
            assert_eq!(other.due(end, &settings), Beat::Nothing);
            assert_eq!(other.next(&settings), Some(first.wrapping_add(100_000)));
        }
    }

    #[test]
    fn a_timeout_may_be_longer_than_the_interval() {
        let settings = settings(10, 25);
        let (mut heartbeat, first) = at_first_ping(0, &settings);
        assert_eq!(heartbeat.due(first + 10_000, &settings), Beat::Ping);
        assert_eq!(heartbeat.due(first + 20_000, &settings), Beat::Ping);
        // It runs from the first ping without an answer.
        assert_eq!(heartbeat.next(&settings), Some(first + 25_000));
        assert_eq!(heartbeat.due(first + 25_000, &settings), Beat::Dead);
    }

    #[test]
    fn without_a_timeout_nobody_is_dead() {
        let settings = settings(10, 0);
        let (mut heartbeat, first) = at_first_ping(0, &settings);
        for count in 1..1000 {
            assert_eq!(heartbeat.due(first + count * 10_000, &settings), Beat::Ping);
        }
    }

    #[test]
    fn a_ping_of_the_application_is_waited_for_too() {
        let settings = settings(100, 10);
        let (mut heartbeat, first) = at_first_ping(0, &settings);
        heartbeat.received();
        heartbeat.pinged(first + 50_000);
        heartbeat.pinged(first + 55_000);
        assert_eq!(heartbeat.due(first + 60_000, &settings), Beat::Dead);
    }

    #[test]
    fn a_ping_that_was_not_sent_is_not_waited_for() {
        let settings = settings(100, 10);
        let (mut heartbeat, first) = at_first_ping(0, &settings);
        heartbeat.stop_waiting();
        assert_eq!(heartbeat.next(&settings), Some(first + 100_000));
        assert_eq!(heartbeat.due(first + 100_000, &settings), Beat::Ping);
    }

    #[test]
    fn only_silent_peers_may_be_pinged() {
        let mut settings = settings(100, 0);
        settings.kind = HeartbeatKind::OnlyIfNoMessageReceivedInInterval;
        let (mut heartbeat, first) = at_first_ping(0, &settings);
        heartbeat.received();
        assert_eq!(heartbeat.due(first + 100_000, &settings), Beat::Nothing);
        assert_eq!(heartbeat.next(&settings), Some(first + 200_000));
        assert_eq!(heartbeat.due(first + 200_000, &settings), Beat::Ping);
        assert_eq!(heartbeat.due(first + 300_000, &settings), Beat::Ping);
    }

    #[test]
    fn settings_are_read_and_checked() {
        let text = "enabled = true\ninterval = 0.5\n\
                    kind = 'only-if-no-message-received-in-interval'";
        let settings: HeartbeatSettings = toml::from_str(text).unwrap();
        assert_eq!(settings.interval, Duration::from_millis(500));
        assert_eq!(settings.timeout, Duration::ZERO);
        assert!(settings.check().is_err());
        assert!(HeartbeatSettings::default().check().is_ok());
        let settings = HeartbeatSettings {
            timeout: Duration::from_secs(1_000_001),
            ..settings
        };
        assert!(settings.check().is_err());
        assert!(toml::from_str::<HeartbeatSettings>("Interval = 5").is_err());
    }
}
