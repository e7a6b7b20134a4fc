//! The live values: taken once in an interval, kept for a while, and sent to all who watch.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_httpapi::Latency;

use super::desk::Desk;
use super::sample::{self, LatencySummary, Live};
use super::settings::AdministrationSettings;
use crate::websocket::{Connections, Message, Recipients};

/// The last live values.
pub(super) struct Series {
    interval: Duration,
    kept_max: usize,
    /// Nothing is called while it is held.
    state: Mutex<State>,
    closed: Condvar,
}

#[derive(Default)]
struct State {
    /// As JSON, the oldest first.
    kept: VecDeque<Arc<str>>,
    last: Live,
    latency: Latency,
    is_closed: bool,
}

impl Series {
    pub(super) fn new(settings: &AdministrationSettings) -> Self {
        let kept = settings.history.as_secs_f64() / settings.interval.as_secs_f64();
        Self {
            interval: settings.interval,
            // The last values at least, for whoever comes.
            kept_max: (kept as usize).max(1),
            state: Mutex::default(),
            closed: Condvar::new(),
        }
    }

    /// The last values.
    pub(super) fn last(&self) -> Live {
        self.lock().last.clone()
    }

    /// All that are kept, as a list of JSON.
    pub(super) fn history(&self) -> String {
        let kept: Vec<_> = self.lock().kept.iter().cloned().collect();
        format!("[{}]", kept.join(","))
    }

    /// How long requests took, as it was last known.
    pub(super) fn latency(&self) -> Latency {
        self.lock().latency.clone()
    }

    fn add(&self, mut live: Live, latency: Latency) -> Arc<str> {
        let mut state = self.lock();
        live.latency = LatencySummary::between(&state.latency, &latency);
        let text: Arc<str> = serde_json::to_string(&live).unwrap_or_default().into();
        if state.kept.len() >= self.kept_max {
            state.kept.pop_front();
        }
        state.kept.push_back(Arc::clone(&text));
        state.last = live;
        state.latency = latency;
        text
    }

    /// Waits for the next time; false when there is none.
    fn wait(&self) -> bool {
        let waited = self
            .closed
            .wait_timeout_while(self.lock(), self.interval, |state| !state.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        !waited.0.is_closed
    }

    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.closed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the values once more and keeps them; `None` when the server that they are about is gone.
pub(super) fn take(desk: &Desk) -> Option<Arc<str>> {
    let server = desk.about.upgrade()?;
    let (mut live, latency) = sample::take(&*desk.backend, desk.queue);
    sample::add_websockets(&mut live, &server);
    Some(desk.series.add(live, latency))
}

/// Takes the values after each interval, until the series is closed or the server that they are about is gone.
pub(super) fn run(desk: &Desk, watchers: &Connections) {
    while desk.series.wait() {
        let Some(text) = take(desk) else {
            return;
        };
        if watchers.count() > 0 {
            let message = format!("{{\"type\":\"live\",\"live\":{text}}}");
            let _ = watchers.broadcast(Message::from(message), &Recipients::default());
        }
    }
}
