//! How an upstream is doing: whether it gets requests.
//!
//! Rules only; who asks an upstream how it is doing is in `probe`. Time is an argument.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::settings::HealthSettings;

/// How an upstream is doing.
pub(super) struct Health {
    is_asked: bool,
    /// There are others that could take its requests.
    has_others: bool,
    interval: Duration,
    rise: u32,
    fall: u32,
    /// Held to look or to note.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_down: bool,
    /// Requests in a row that failed.
    failed: u32,
    /// Answers to questions in a row that say otherwise than `is_down`.
    against: u32,
    /// When one that is not asked gets a request again, to see.
    tried_again: Option<Instant>,
}

impl Health {
    pub(super) fn new(settings: &HealthSettings, has_others: bool) -> Self {
        Self {
            is_asked: settings.path.is_some(),
            has_others,
            interval: settings.interval,
            rise: settings.rise,
            fall: settings.fall,
            state: Mutex::default(),
        }
    }

    /// Whether it may be given a request. Of one that is down and not asked, true once in an interval.
    pub(super) fn takes_requests(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.is_down {
            return true;
        }
        match state.tried_again {
            Some(time) if !self.is_asked && now >= time => {
                state.tried_again = Some(now + self.interval);
                true
            }
            _ => false,
        }
    }

    /// Whether it gets no requests, but one now and then to see.
    pub(super) fn is_down(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_down
    }

    /// A request went well.
    pub(super) fn succeeded(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failed = 0;
        if state.is_down && !self.is_asked {
            *state = State::default();
        }
    }

    /// A request failed by the upstream's fault. Says whether it gets no more because of that.
    pub(super) fn failed(&self, now: Instant) -> bool {
        // The only one there is gets requests, unless it has said itself that it is unwell.
        if !self.has_others && !self.is_asked {
            return false;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failed += 1;
        let falls = !state.is_down && state.failed >= self.fall;
        if state.is_down || falls {
            state.fall(now + self.interval);
        }
        falls
    }

    /// It was asked. Says whether that changes anything.
    pub(super) fn answered(&self, is_well: bool, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if is_well != state.is_down {
            state.against = 0;
            return false;
        }
        state.against += 1;
        let enough = if is_well { self.rise } else { self.fall };
        let changes = state.against >= enough;
        match (changes, is_well) {
            (true, true) => *state = State::default(),
            (true, false) => state.fall(now + self.interval),
            (false, _) => {}
        }
        changes
    }
}

impl State {
    fn fall(&mut self, tried_again: Instant) {
        *self = Self {
            is_down: true,
            tried_again: Some(tried_again),
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(path: Option<&str>, has_others: bool) -> Health {
        let settings = HealthSettings {
            path: path.map(str::to_owned),
            rise: 2,
            fall: 3,
            ..HealthSettings::default()
        };
        Health::new(&settings, has_others)
    }

    #[test]
    fn one_of_several_gets_nothing_for_an_interval_after_failing() {
        let (health, now) = (health(None, true), Instant::now());
        assert!(!health.failed(now) && !health.failed(now));
        assert!(health.takes_requests(now));
        health.succeeded();
        assert!(!health.failed(now) && !health.failed(now) && health.failed(now));
        assert!(!health.takes_requests(now));
        let later = now + health.interval;
        assert!(health.takes_requests(later), "one request, to see");
        assert!(!health.takes_requests(later), "and no more");
        health.failed(later);
        assert!(!health.takes_requests(later + health.interval / 2));
        health.succeeded();
        assert!(health.takes_requests(later));
    }

    #[test]
    fn the_only_one_gets_requests_whatever_happens() {
        let (health, now) = (health(None, false), Instant::now());
        for _ in 0..10 {
            assert!(!health.failed(now));
        }
        assert!(health.takes_requests(now));
    }

    #[test]
    fn one_that_is_asked_rises_by_its_answers_only() {
        let (health, now) = (health(Some("/"), false), Instant::now());
        assert!(!health.answered(false, now) && !health.answered(false, now));
        assert!(health.answered(false, now));
        assert!(!health.takes_requests(now + health.interval * 9));
        health.succeeded();
        assert!(!health.takes_requests(now));
        assert!(!health.answered(true, now));
        assert!(!health.answered(false, now), "it has to begin anew");
        assert!(!health.answered(true, now));
        assert!(health.answered(true, now));
        assert!(health.takes_requests(now));
    }
}
