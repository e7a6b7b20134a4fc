//! What all streams of events of a server have in common: how they are kept up, and that they end when it
//! stops.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::settings::EventStreamSettings;

/// All streams of events of a server, over its starts and stops.
#[derive(Debug)]
pub(crate) struct EventStreams {
    /// In milliseconds; 0 is none. A plain value: nothing else is read by it.
    heartbeat: AtomicU64,
    /// Counts starts and stops: odd while the server runs.
    phase: watch::Sender<u64>,
}

impl EventStreams {
    pub(crate) fn new() -> Self {
        Self {
            heartbeat: AtomicU64::new(0),
            phase: watch::Sender::new(0),
        }
    }

    /// The server starts.
    pub(crate) fn begin(&self, settings: &EventStreamSettings) {
        let heartbeat = u64::try_from(settings.heartbeat.as_millis()).unwrap_or(u64::MAX);
        self.heartbeat.store(heartbeat, Ordering::Relaxed);
        self.phase.send_modify(|phase| *phase = (*phase + 1) | 1);
    }

    /// The server begins to stop: all streams end, also those that are opened from now on.
    pub(crate) fn end(&self) {
        self.phase.send_modify(|phase| *phase += *phase & 1);
    }

    pub(crate) fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat.load(Ordering::Relaxed))
    }

    /// Done once the server, as it runs now, begins to stop.
    pub(super) fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut phase = self.phase.subscribe();
        let now = *phase.borrow_and_update();
        async move {
            if now & 1 == 1 {
                // A server that is no more has stopped as well.
                let _ = phase.wait_for(|phase| *phase != now).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn is_done(future: impl Future<Output = ()>) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        pin!(future).poll(&mut context).is_ready()
    }

    #[test]
    fn streams_end_with_the_run_that_they_were_opened_in() {
        let streams = EventStreams::new();
        assert!(is_done(streams.ended()), "it does not run");
        streams.begin(&EventStreamSettings::default());
        assert_eq!(streams.heartbeat(), Duration::from_secs(15));
        assert!(!is_done(streams.ended()));
        let mut ended = pin!(streams.ended());
        let mut context = Context::from_waker(Waker::noop());
        assert!(ended.as_mut().poll(&mut context).is_pending());
        streams.end();
        streams.end();
        assert!(is_done(streams.ended()), "it stops");
        // That it has started again is nothing to one of before.
        streams.begin(&EventStreamSettings::default());
        assert!(!is_done(streams.ended()));
        assert!(ended.as_mut().poll(&mut context).is_ready());
    }
}
