//! The handler threads of a queue: started as they are needed, they serve requests and run the jobs of
//! lanes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tidegate_httpapi::{OperatingMode, RunOnHandlerThread};

use super::{Queue, State};
use crate::pending::OwnedExchange;

/// What a lane wants done where it may block.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// What a handler thread does next.
enum Work {
    Request(Box<OwnedExchange>),
    Job(Job),
}

impl Queue {
    /// Has a handler thread run a job.
    fn run(self: &Arc<Self>, job: Job) {
        let mut state = self.lock();
        if state.stopping {
            drop(state);
            drop(job);
            return;
        }
        state.jobs.push_back(job);
        self.tell(&mut state);
    }

    /// Waits until the handler threads have ended, without `until` however long that takes; called after
    /// [`close`](Self::close). A thread that the application still holds then is left to end by itself:
    /// whatever it answers, nobody is there any more.
    pub(crate) fn join(&self, until: Option<Instant>) {
        let mut state = self.lock();
        let threads = std::mem::take(&mut state.threads);
        // A handler that stops the server from within is not waited for by itself.
        let own = thread::current().id();
        let others = threads.iter().filter(|thread| thread.thread().id() != own);
        let own_count = threads.len() - others.count();
        while state.threads_alive > own_count {
            let wait = match until {
                None => Duration::MAX,
                Some(until) => until.saturating_duration_since(Instant::now()),
            };
            if wait.is_zero() {
                let count = state.threads_alive - own_count;
                tracing::warn!(
                    count,
                    "handler threads are left in calls that the application has not ended"
                );
                return;
            }
            let waited = self.ended.wait_timeout(state, wait);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        for thread in threads {
            if thread.thread().id() != own {
                let _ = thread.join();
            }
        }
    }

    /// Sees to it that a handler thread comes for what was just put in.
    ///
    /// Wakes one thread at most: the one that comes wakes the next if there is more. So a batch of
    /// short requests is served by one or two threads without a switch for each, and a batch of
    /// requests that block still spreads over all threads.
    pub(super) fn tell(self: &Arc<Self>, state: &mut MutexGuard<'_, State>) {
        if state.told {
            return;
        }
        if state.idle > 0 {
            state.told = true;
            self.work.notify_one();
        } else if (state.threads.len() as u32) < self.threads_max {
            match Self::add_thread(self, state) {
                Ok(()) => state.told = true,
                Err(error) => tracing::warn!(%error, "cannot start another handler thread"),
            }
        }
    }

    pub(super) fn add_thread(queue: &Arc<Self>, state: &mut State) -> std::io::Result<()> {
        let name = format!("tidegate-handler-{}", state.threads.len());
        let served = Arc::clone(queue);
        let thread = thread::Builder::new().name(name).spawn(move || {
            let alive = Alive(Arc::clone(&served));
            served.serve();
            drop(alive);
        })?;
        state.threads_alive += 1;
        state.threads.push(thread);
        Ok(())
    }

    /// A handler thread's life.
    fn serve(self: Arc<Self>) {
        let mut state = self.lock();
        state.told = false;
        let mut turn = Turn::default();
        loop {
            let next = state.next(self.mode, &mut turn);
            self.note(&state);
            let Some(work) = next else {
                if state.stopping {
                    return;
                }
                state.idle += 1;
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
                state.told = false;
                continue;
            };
            if state.has_work(self.mode) {
                self.tell(&mut state);
            }
            drop(state);
            match work {
                Work::Request(mut exchange) => {
                    exchange.allow_blocking();
                    self.call(&mut exchange);
                }
                Work::Job(job) => {
                    if catch_unwind(AssertUnwindSafe(job)).is_err() {
                        tracing::error!("an application panicked on a handler thread");
                    }
                }
            }
            state = self.lock();
        }
    }
}

/// A handler thread that has not ended.
struct Alive(Arc<Queue>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.lock().threads_alive -= 1;
        self.0.ended.notify_all();
    }
}

impl State {
    /// What a handler thread does next: requests and jobs by turns.
    fn next(&mut self, mode: OperatingMode, turn: &mut Turn) -> Option<Work> {
        let job = |state: &mut Self| state.jobs.pop_front().map(Work::Job);
        let request = |state: &mut Self, turn: &mut Turn| {
            let next = match mode {
                OperatingMode::Classic if turn.holds_place => state.rules.finish(),
                OperatingMode::Classic => state.rules.take(),
                OperatingMode::HighPerf => state.moved.pop_front(),
            };
            turn.holds_place = next.is_some();
            next.map(Work::Request)
        };
        let work = match turn.prefers_job {
            true => job(self).or_else(|| request(self, turn)),
            false => request(self, turn).or_else(|| job(self)),
        };
        turn.prefers_job = matches!(work, Some(Work::Request(_)));
        work
    }

    fn has_work(&self, mode: OperatingMode) -> bool {
        let has_requests = match mode {
            OperatingMode::Classic => !self.rules.is_empty(),
            OperatingMode::HighPerf => !self.moved.is_empty(),
        };
        has_requests || !self.jobs.is_empty()
    }
}

/// Where a handler thread stands between requests and jobs.
#[derive(Default)]
struct Turn {
    /// Classic: it has served a request and not given the place back, with which it may get the next.
    holds_place: bool,
    prefers_job: bool,
}

/// The queue's handler threads as lanes see them. Lanes may be held by what the queue holds.
pub(crate) struct Jobs(Weak<Queue>);

impl Jobs {
    pub(crate) fn of(queue: &Arc<Queue>) -> Self {
        Self(Arc::downgrade(queue))
    }
}

impl RunOnHandlerThread for Jobs {
    fn run(&self, job: Job) {
        if let Some(queue) = self.0.upgrade() {
            queue.run(job);
        }
    }
}
