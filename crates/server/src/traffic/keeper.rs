//! The thread that keeps bans and allowances on the disk, so that no worker waits for one.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::firewall::Firewall;
use super::rate_limit::RateLimiter;

/// The thread, once it has begun; it ends with this.
#[derive(Default)]
pub(super) struct Keeper(Mutex<Option<Work>>);

struct Work {
    /// Dropped to end it.
    end: Sender<()>,
    thread: JoinHandle<()>,
}

impl Keeper {
    pub(super) fn begin(
        &self,
        firewall: Option<Arc<Firewall>>,
        limiter: Option<Arc<RateLimiter>>,
    ) -> io::Result<()> {
        let limiter = limiter.filter(|limiter| limiter.saves());
        if firewall.is_none() && limiter.is_none() {
            return Ok(());
        }
        let (end, ended) = channel::<()>();
        let keep = move || {
            let (mut saved, mut refreshed) = (Instant::now(), Instant::now());
            loop {
                let is_end = ended.recv_timeout(PERIOD) != Err(RecvTimeoutError::Timeout);
                if let Some(firewall) = &firewall {
                    firewall.keep_bans();
                    if refreshed.elapsed() >= REFRESH {
                        refreshed = Instant::now();
                        firewall.refresh();
                    }
                }
                if let Some(limiter) = &limiter
                    && (is_end || saved.elapsed() >= limiter.save_interval)
                {
                    saved = Instant::now();
                    limiter.save();
                }
                if is_end {
                    return;
                }
            }
        };
        let thread = thread::Builder::new()
            .name("tidegate-keeper".to_owned())
            .spawn(keep)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Work { end, thread });
        Ok(())
    }

    /// Has it write what is to be kept, and waits until that is on the disk.
    pub(super) fn end(&self) {
        let work = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Work { end, thread }) = work {
            drop(end);
            if thread.join().is_err() {
                tracing::error!("the thread that keeps bans and allowances panicked");
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.end();
    }
}

/// How often bans are written, and read that others have made.
const PERIOD: Duration = Duration::from_secs(1);
/// How often it is looked for another database of countries.
const REFRESH: Duration = Duration::from_secs(10);
