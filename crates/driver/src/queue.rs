//! The driver's request queue: the rule's queue behind a lock, and the handler threads that serve it.
//!
//! Classic: workers put requests in, handler threads take them out. HighPerf: workers call the
//! application themselves; only requests for which there is no room with it wait here, and only those
//! that it moves to where it may block are served by handler threads. In both, these also run the jobs
//! that lanes have for them, in turn with requests.

mod threads;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tidegate_engine::{RequestQueue, Unavailable};
use tidegate_httpapi::{
    ApiError, Application, AtHand, Exchange, OperatingMode, QueueProperties, RequestQueueCounters,
};

use crate::applications::Numbered;
use crate::mailbox::RequestKey;
use crate::pending::OwnedExchange;
use threads::Job;
pub(crate) use threads::Jobs;

/// A request queue and its application.
pub(crate) struct Queue {
    application: Mutex<Numbered>,
    /// The number of it, as it was put there last.
    application_number: AtomicU64,
    mode: OperatingMode,
    threads_max: u32,
    /// Guards all below. Never held while the application is called.
    state: Mutex<State>,
    /// Told when there is work for a handler thread.
    work: Condvar,
    /// A handler thread has ended.
    ended: Condvar,
    /// HighPerf: there is so much room with the application that a request answered at once need not
    /// take any. Written under the lock; read without, since being late by a request does no harm.
    has_plenty: AtomicBool,
    /// The queue was full when last looked at. As above; `push` decides.
    is_full: AtomicBool,
    /// It takes no requests any more.
    is_closed: AtomicBool,
}

struct State {
    rules: RequestQueue<Box<OwnedExchange>>,
    queue_length: usize,
    with_application_max: u32,
    /// HighPerf: requests that the application wants to be called with where it may block. Each holds
    /// room with the application, so there are no more than that.
    moved: VecDeque<Box<OwnedExchange>>,
    /// What lanes want done where it may block.
    jobs: VecDeque<Job>,
    threads: Vec<JoinHandle<()>>,
    /// Those of them that have not ended.
    threads_alive: usize,
    /// Threads that wait for work.
    idle: u32,
    /// A thread has been told of work and has not come for it yet.
    told: bool,
    stopping: bool,
}

/// What a worker does with a HighPerf request.
pub(crate) enum Admission {
    /// Calls the application; the request may have taken room already.
    Call(Option<Slot>),
    /// Puts it into the queue.
    Wait,
}

impl Queue {
    pub(crate) fn start(
        properties: &QueueProperties,
        application: Arc<dyn Application>,
    ) -> Result<Arc<Self>, ApiError> {
        properties.check()?;
        let application = Numbered::new(application);
        let queue = Arc::new(Self {
            application_number: AtomicU64::new(application.number),
            application: Mutex::new(application),
            mode: properties.operating_mode,
            threads_max: properties.thread_pool_size,
            state: Mutex::new(State {
                rules: RequestQueue::new(properties),
                queue_length: properties.queue_length as usize,
                with_application_max: properties.with_application_max(),
                moved: VecDeque::new(),
                jobs: VecDeque::new(),
                threads: Vec::new(),
                threads_alive: 0,
                idle: 0,
                told: false,
                stopping: false,
            }),
            work: Condvar::new(),
            ended: Condvar::new(),
            has_plenty: AtomicBool::new(false),
            is_full: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
        });
        let mut state = queue.lock();
        if queue.mode == OperatingMode::Classic {
            // The others are started as they are needed; the first now, so that a system that gives
            // no threads is found out at once.
            Self::add_thread(&queue, &mut state).map_err(|source| ApiError::Start {
                what: "starting a handler thread",
                source: source.into(),
            })?;
        }
        queue.note(&state);
        drop(state);
        Ok(queue)
    }

    /// What answers its requests.
    pub(crate) fn application(&self) -> Numbered {
        let application = self.application.lock();
        application.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The number of [`application`](Self::application), without a lock.
    #[inline]
    pub(crate) fn application_number(&self) -> u64 {
        self.application_number.load(Ordering::Acquire)
    }

    /// Has another answer the requests that come from now on.
    pub(crate) fn set_application(&self, application: Arc<dyn Application>) {
        let application = Numbered::new(application);
        let number = application.number;
        let own = self.application.lock();
        let mut own = own.unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *own, application);
        self.application_number.store(number, Ordering::Release);
        // Not dropped under the lock.
        drop(own);
        drop(before);
    }

    pub(crate) fn mode(&self) -> OperatingMode {
        self.mode
    }

    /// What is in it now.
    pub(crate) fn look(&self, told: &mut RequestQueueCounters) {
        let state = self.lock();
        told.active = state.rules.with_application().into();
        told.queued = state.rules.len() as u64;
        let oldest = state.rules.oldest();
        told.age_max = oldest.map_or(Duration::ZERO, |since| since.elapsed());
    }

    /// Whether it takes no requests any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Takes over what of the properties may change.
    pub(crate) fn set_properties(&self, properties: &QueueProperties) {
        let mut state = self.lock();
        state.rules.set_properties(properties);
        state.queue_length = properties.queue_length as usize;
        self.note(&state);
    }

    /// Whether a HighPerf request may be given to the application now.
    #[inline]
    pub(crate) fn admit(self: &Arc<Self>) -> Admission {
        if self.has_plenty.load(Ordering::Relaxed) {
            return Admission::Call(None);
        }
        match self.acquire() {
            Some(slot) => Admission::Call(Some(slot)),
            None => Admission::Wait,
        }
    }

    /// Room for a request that was called without and turned out to be answered later.
    pub(crate) fn hold(self: &Arc<Self>) -> Slot {
        self.acquire().unwrap_or(Slot(None))
    }

    fn acquire(self: &Arc<Self>) -> Option<Slot> {
        let mut state = self.lock();
        let acquired = state.rules.acquire();
        self.note(&state);
        acquired.then(|| Slot(Some(Arc::clone(self))))
    }

    /// Whether a request has a chance to get in. Cheap, and exact but for requests just taken.
    pub(crate) fn has_room(&self) -> Result<(), Unavailable> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(Unavailable::QueueFull);
        }
        Ok(())
    }

    /// Puts a request into the queue.
    pub(crate) fn push(
        self: &Arc<Self>,
        exchange: Box<OwnedExchange>,
        now: Instant,
    ) -> Result<(), Unavailable> {
        let mut state = self.lock();
        // The connection's own deadline ends a wait that takes too long, so the queue needs no timer.
        let pushed = state.rules.enqueue(exchange, now, None);
        self.note(&state);
        match pushed {
            Ok(()) => {
                match self.mode {
                    OperatingMode::Classic => self.tell(&mut state),
                    // Room may have come free since the worker looked.
                    OperatingMode::HighPerf => {
                        if let Some(next) = state.rules.take() {
                            self.note(&state);
                            drop(state);
                            next.dispatch(Slot(Some(Arc::clone(self))));
                        }
                    }
                }
                Ok(())
            }
            Err((mut exchange, cause)) => {
                drop(state);
                exchange.discard();
                Err(cause)
            }
        }
    }

    /// Takes a request out that still waits. Says whether it did.
    pub(crate) fn withdraw(&self, request: RequestKey) -> bool {
        let mut state = self.lock();
        let withdrawn = state
            .rules
            .withdraw(|exchange| exchange.request() == Some(request));
        self.note(&state);
        drop(state);
        match withdrawn {
            Some(mut exchange) => {
                exchange.discard();
                true
            }
            None => false,
        }
    }

    /// HighPerf: has a handler thread call the application with this request.
    pub(crate) fn move_to_handler_thread(self: &Arc<Self>, mut exchange: Box<OwnedExchange>) {
        exchange.set_moved();
        let mut state = self.lock();
        state.moved.push_back(exchange);
        self.tell(&mut state);
    }

    /// Refuses who waits and whoever comes. Jobs are still run.
    pub(crate) fn refuse(&self) {
        let mut state = self.lock();
        let waiting = state.rules.close();
        self.is_closed.store(true, Ordering::Relaxed);
        self.note(&state);
        drop(state);
        for mut exchange in waiting {
            exchange.refuse(Unavailable::AppShutdown);
        }
    }

    /// As [`refuse`](Self::refuse), and takes no more jobs; the handler threads end when they have
    /// finished.
    pub(crate) fn close(&self) {
        self.refuse();
        let mut state = self.lock();
        state.stopping = true;
        self.note(&state);
        drop(state);
        self.work.notify_all();
    }

    /// Calls the application away from the worker that read the request.
    pub(crate) fn call(&self, exchange: &mut OwnedExchange) {
        let (head, content) = exchange.at_hand();
        let at_hand = AtHand {
            head: &head.as_head(),
            content: content.as_deref(),
        };
        let application = self.application();
        let called = catch_unwind(AssertUnwindSafe(|| {
            application.request(Exchange::new(at_hand, exchange));
        }));
        if called.is_err() {
            // The exchange was dropped while unwinding: the peer gets its 500.
            tracing::error!("an application panicked while it was given a request");
        }
    }

    /// Puts down for those who do not take the lock how things stand.
    fn note(&self, state: &State) {
        let plenty = self.mode == OperatingMode::HighPerf
            && !state.stopping
            && state.rules.is_empty()
            && state.rules.with_application() < state.with_application_max / 2;
        self.has_plenty.store(plenty, Ordering::Relaxed);
        let full = state.rules.len() >= state.queue_length;
        self.is_full.store(full, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room with the application. Given back when dropped; who waits longest gets it.
pub(crate) struct Slot(Option<Arc<Queue>>);

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(queue) = self.0.take() else {
            return;
        };
        let mut state = queue.lock();
        let next = state.rules.finish();
        queue.note(&state);
        drop(state);
        if let Some(next) = next {
            next.dispatch(Slot(Some(queue)));
        }
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Queue")
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
