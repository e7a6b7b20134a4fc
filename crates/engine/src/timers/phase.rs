//! Which timer runs in which phase of a connection.

use std::time::Duration;

use tidegate_httpapi::Timeouts;

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Phase {
    /// The first byte of the next request.
    Idle,
    /// The rest of a head.
    Head,
    /// Content that is being received.
    Body,
    /// The application to take the request out of the queue.
    Queue,
    /// The application to answer.
    Application,
    /// The peer to take response data.
    Send,
    /// The rest of content that nobody reads, the response being finished.
    Drain,
}

/// One of the six timers.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Timer {
    /// Between requests.
    IdleConnection,
    /// While a head arrives.
    HeaderWait,
    /// While content arrives.
    EntityBody,
    /// While content is drained.
    DrainEntityBody,
    /// While the request waits in the queue.
    RequestQueue,
    /// While response data waits for the peer.
    MinSendRate,
}

impl Phase {
    /// The timer that runs in this phase.
    ///
    /// | Phase | Timer | Runs from | Starts again |
    /// | --- | --- | --- | --- |
    /// | idle | IdleConnection | no request in progress | never |
    /// | head | HeaderWait | its first byte | never |
    /// | body | EntityBody | the end of the head | at each received part |
    /// | queue | RequestQueue | put into the queue | never |
    /// | application | none | | |
    /// | send | MinSendRate | response data begins to wait | when none waits any more |
    /// | drain | DrainEntityBody | the end of the response | never |
    pub fn timer(self) -> Option<Timer> {
        match self {
            Self::Idle => Some(Timer::IdleConnection),
            Self::Head => Some(Timer::HeaderWait),
            Self::Body => Some(Timer::EntityBody),
            Self::Queue => Some(Timer::RequestQueue),
            // §6: there is no limit on the application's thinking time.
            Self::Application => None,
            Self::Send => Some(Timer::MinSendRate),
            Self::Drain => Some(Timer::DrainEntityBody),
        }
    }
}

impl Timer {
    /// Every timer.
    pub const ALL: [Self; 6] = [
        Self::IdleConnection,
        Self::HeaderWait,
        Self::EntityBody,
        Self::DrainEntityBody,
        Self::RequestQueue,
        Self::MinSendRate,
    ];

    /// Its place in [`ALL`](Self::ALL).
    pub fn index(self) -> usize {
        self as usize
    }

    /// How long it runs; `None` is off. MinSendRate has a rate instead: see
    /// [`SendRate`](super::SendRate).
    pub fn limit(self, timeouts: &Timeouts) -> Option<Duration> {
        match self {
            Self::IdleConnection => timeouts.idle_connection,
            Self::HeaderWait => timeouts.header_wait,
            Self::EntityBody => timeouts.entity_body,
            Self::DrainEntityBody => timeouts.drain_entity_body,
            Self::RequestQueue => timeouts.request_queue,
            Self::MinSendRate => None,
        }
    }

    /// Its name where it is counted: each has one of its own.
    pub fn name(self) -> &'static str {
        match self {
            Self::DrainEntityBody => "Timer_DrainEntityBody",
            logged => logged.log_reason(),
        }
    }

    /// The reason in the HTTPERR log.
    pub fn log_reason(self) -> &'static str {
        match self {
            Self::IdleConnection => "Timer_ConnectionIdle",
            Self::HeaderWait => "Timer_HeaderWait",
            // The log has no name of its own for draining.
            Self::EntityBody | Self::DrainEntityBody => "Timer_EntityBody",
            Self::RequestQueue => "Timer_ReqQueue",
            Self::MinSendRate => "Timer_MinBytesPerSecond",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_places() {
        for (index, timer) in Timer::ALL.into_iter().enumerate() {
            assert_eq!(timer.index(), index);
        }
    }

    // http-server-api §6.
    #[test]
    fn each_phase_has_its_timer_and_its_log_reason() {
        let reason = |phase: Phase| phase.timer().map(Timer::log_reason);
        assert_eq!(reason(Phase::Idle), Some("Timer_ConnectionIdle"));
        assert_eq!(reason(Phase::Head), Some("Timer_HeaderWait"));
        assert_eq!(reason(Phase::Body), Some("Timer_EntityBody"));
        assert_eq!(reason(Phase::Queue), Some("Timer_ReqQueue"));
        assert_eq!(reason(Phase::Application), None);
        assert_eq!(reason(Phase::Send), Some("Timer_MinBytesPerSecond"));
    }

    #[test]
    fn each_timer_has_its_own_limit() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let timeouts = Timeouts {
            idle_connection: seconds(1),
            header_wait: seconds(2),
            entity_body: seconds(3),
            drain_entity_body: seconds(4),
            request_queue: seconds(5),
            min_send_rate: Some(6),
        };
        let limits = Timer::ALL.map(|timer| timer.limit(&timeouts));
        assert_eq!(
            limits,
            [
                seconds(1),
                seconds(2),
                seconds(3),
                seconds(4),
                seconds(5),
                None
            ]
        );
    }
}
