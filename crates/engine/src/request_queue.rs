//! The request queue: requests that wait to be taken by the application.
//!
//! First in, first out, bounded, full means refuse. In HighPerf it also counts the requests that are
//! with the application: at most `thread_pool_size × accepts_per_worker` at once, further ones wait.
//! A place with the application belongs to the request from the call to the answer. A worker that
//! answers inline may take one place for a batch of requests and give it back at the end of the batch:
//! one place, one request at a time, the limit is never overshot.
//! Who waits is the driver's matter, and so is the lock around a queue that several threads use.
//! Source: http-server-api §4; design, operating modes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tidegate_httpapi::{EnabledState, OperatingMode, QueueProperties};

use crate::unavailable::Unavailable;

/// Requests not yet taken by the application.
#[derive(Debug)]
pub struct RequestQueue<T> {
    waiting: VecDeque<Waiting<T>>,
    queue_length: usize,
    state: EnabledState,
    is_closed: bool,
    with_application: u32,
    with_application_max: u32,
    /// No waiting request expires before this.
    expiry: Option<Instant>,
}

#[derive(Debug)]
struct Waiting<T> {
    request: T,
    since: Instant,
    expires: Option<Instant>,
}

/// What became of a request that was not refused.
#[derive(Debug, Eq, PartialEq)]
#[must_use]
pub enum Admitted<T> {
    /// It has a place with the application: call it now, and [`finish`](RequestQueue::finish) when it
    /// has answered.
    Dispatch(T),
    /// It waits.
    Queued,
}

impl<T> RequestQueue<T> {
    /// An empty queue.
    pub fn new(properties: &QueueProperties) -> Self {
        Self {
            waiting: VecDeque::new(),
            queue_length: properties.queue_length as usize,
            state: properties.state,
            is_closed: false,
            with_application: 0,
            with_application_max: match properties.operating_mode {
                // The handler threads are the limit.
                OperatingMode::Classic => u32::MAX,
                OperatingMode::HighPerf => properties.with_application_max(),
            },
            expiry: None,
        }
    }

    /// Takes over a new state and length; who waits already, stays.
    pub fn set_properties(&mut self, properties: &QueueProperties) {
        self.state = properties.state;
        self.queue_length = properties.queue_length as usize;
    }

    /// Lets a request in: to the application when there is a place and nobody waits, else to the end
    /// of the queue, where it may wait for `timeout`.
    ///
    /// # Errors
    ///
    /// As [`enqueue`](Self::enqueue).
    pub fn admit(
        &mut self,
        request: T,
        now: Instant,
        timeout: Option<Duration>,
    ) -> Result<Admitted<T>, (T, Unavailable)> {
        if let Err(cause) = self.check_open() {
            return Err((request, cause));
        }
        if self.waiting.is_empty() && self.occupy() {
            return Ok(Admitted::Dispatch(request));
        }
        self.enqueue(request, now, timeout)
            .map(|()| Admitted::Queued)
    }

    /// Puts a request at the end of the queue, where it may wait for `timeout`.
    ///
    /// # Errors
    ///
    /// The request, and why it is refused: the queue is closed, disabled or full.
    pub fn enqueue(
        &mut self,
        request: T,
        now: Instant,
        timeout: Option<Duration>,
    ) -> Result<(), (T, Unavailable)> {
        if let Err(cause) = self.check_open() {
            return Err((request, cause));
        }
        if self.waiting.len() >= self.queue_length {
            return Err((request, Unavailable::QueueFull));
        }
        // A time too far to be told never comes.
        let expires = timeout.and_then(|timeout| now.checked_add(timeout));
        self.expiry = earlier(self.expiry, expires);
        self.waiting.push_back(Waiting {
            request,
            since: now,
            expires,
        });
        Ok(())
    }

    /// Takes the request that waits longest to the application, if there is a place.
    pub fn take(&mut self) -> Option<T> {
        if self.waiting.is_empty() || !self.occupy() {
            return None;
        }
        let next = self.waiting.pop_front()?;
        if self.waiting.is_empty() {
            self.expiry = None;
        }
        Some(next.request)
    }

    /// Takes a place with the application for requests that do not pass through the queue.
    ///
    /// False when there is none, when others wait for one, or when the queue takes no requests. Give
    /// it back with [`finish`](Self::finish).
    pub fn acquire(&mut self) -> bool {
        self.waiting.is_empty() && self.check_open().is_ok() && self.occupy()
    }

    /// Gives a place with the application back; the request that waits longest takes it.
    pub fn finish(&mut self) -> Option<T> {
        debug_assert!(self.with_application > 0, "more answers than requests");
        self.with_application = self.with_application.saturating_sub(1);
        self.take()
    }

    /// Removes a request that waits, for instance because its peer has gone.
    pub fn withdraw(&mut self, mut is_it: impl FnMut(&T) -> bool) -> Option<T> {
        let index = self
            .waiting
            .iter()
            .position(|waiting| is_it(&waiting.request))?;
        self.waiting.remove(index).map(|waiting| waiting.request)
    }

    /// Removes the requests that have waited too long, in order. RequestQueue timer, §6.
    ///
    /// Costs nothing before [`next_expiry`](Self::next_expiry).
    pub fn expire(&mut self, now: Instant) -> Vec<T> {
        let mut expired = Vec::new();
        if self.expiry.is_none_or(|expiry| now < expiry) {
            return expired;
        }
        // Groups with different timers share a queue: the order of expiry is not that of arrival.
        for _ in 0..self.waiting.len() {
            let Some(waiting) = self.waiting.pop_front() else {
                break;
            };
            match waiting.expires {
                Some(expires) if expires <= now => expired.push(waiting.request),
                _ => self.waiting.push_back(waiting),
            }
        }
        self.expiry = self
            .waiting
            .iter()
            .fold(None, |expiry, waiting| earlier(expiry, waiting.expires));
        expired
    }

    /// When to call [`expire`](Self::expire) next; it may then find nothing.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.expiry
    }

    /// Closes the queue for good and gives back who waits, to be refused with
    /// [`AppShutdown`](Unavailable::AppShutdown).
    pub fn close(&mut self) -> Vec<T> {
        self.is_closed = true;
        self.expiry = None;
        self.waiting
            .drain(..)
            .map(|waiting| waiting.request)
            .collect()
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Since when the request has waited that waits longest.
    pub fn oldest(&self) -> Option<Instant> {
        // Requests that come by several threads are in the order in which they came.
        self.waiting.front().map(|waiting| waiting.since)
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many requests are with the application.
    pub fn with_application(&self) -> u32 {
        self.with_application
    }

    fn check_open(&self) -> Result<(), Unavailable> {
        if self.is_closed {
            return Err(Unavailable::AppShutdown);
        }
        match self.state {
            EnabledState::Enabled => Ok(()),
            EnabledState::Disabled => Err(Unavailable::Disabled),
        }
    }

    fn occupy(&mut self) -> bool {
        let has_place = self.with_application < self.with_application_max;
        self.with_application += u32::from(has_place);
        has_place
    }
}

fn earlier(left: Option<Instant>, right: Option<Instant>) -> Option<Instant> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (left, right) => left.or(right),
    }
}
