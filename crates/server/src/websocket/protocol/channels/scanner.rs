//! A thread that looks for unanswered messages and calls: while there are any.

use std::convert::Infallible;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::broker::Broker;
use super::hooks::tell_result;
use super::session::CallError;

/// Begins to look every `interval`, until what this gives is dropped: with the broker at the latest, so
/// the thread holds nothing of it. `None`: the system has no thread to spare; it is tried again with the
/// next message.
pub(super) fn start(broker: &Arc<Broker>, interval: Duration) -> Option<Sender<Infallible>> {
    let (stop, stopped) = channel::<Infallible>();
    let broker: Weak<Broker> = Arc::downgrade(broker);
    let interval = interval.max(INTERVAL_MIN);
    let scan = move || {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(interval) {
            let Some(broker) = broker.upgrade() else {
                return;
            };
            for on_result in broker.serve_overdue(Instant::now()) {
                tell_result(on_result, Err(CallError::TimedOut));
            }
        }
    };
    match thread::Builder::new()
        .name("tidegate-scanner".to_owned())
        .spawn(scan)
    {
        Ok(_) => Some(stop),
        Err(error) => {
            tracing::error!(%error, "no thread to send unacknowledged messages again");
            None
        }
    }
}

const INTERVAL_MIN: Duration = Duration::from_millis(1);
