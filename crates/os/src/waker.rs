//! Ends the wait of an event loop from another thread.
//!
//! The state tells whether the loop sleeps, so that waking a loop that is awake, or one that was
//! woken already, costs no system call.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Ends the wait of one event loop. Cheap to clone; usable from any thread, also after the loop is
/// gone (it does nothing then).
#[derive(Clone)]
pub struct Waker(Arc<Shared>);

impl Waker {
    /// Makes the loop hand over [`Event::Woken`](crate::Event::Woken) soon.
    ///
    /// Many calls before the loop looks make one event, and at most one system call.
    #[inline]
    pub fn wake(&self) {
        // AcqRel: what was written before is visible to the loop when it sees NOTIFIED, and the
        // loop's going to sleep is visible here.
        if self.0.state.swap(NOTIFIED, Ordering::AcqRel) == ASLEEP {
            self.0.signal.raise();
        }
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker").finish_non_exhaustive()
    }
}

/// The loop's half.
pub(crate) struct Sleep(Arc<Shared>);

impl Sleep {
    pub(crate) fn new(signal: Signal) -> Self {
        Self(Arc::new(Shared {
            state: AtomicU8::new(AWAKE),
            signal,
        }))
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.0))
    }

    /// Says that the loop is about to sleep. `false`: it was woken meanwhile and must not.
    #[inline]
    pub(crate) fn begin(&self) -> bool {
        self.0
            .state
            .compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Says that the loop is awake. `true`: it was woken since the last call.
    #[inline]
    pub(crate) fn end(&self) -> bool {
        // The load spares an exchange when the loop did not sleep. A wake that comes just after it
        // is seen by `begin`.
        self.0.state.load(Ordering::Relaxed) != AWAKE
            && self.0.state.swap(AWAKE, Ordering::AcqRel) == NOTIFIED
    }
}

struct Shared {
    state: AtomicU8,
    signal: Signal,
}

/// What ends a system call that waits.
pub(crate) enum Signal {
    #[cfg(target_os = "linux")]
    EventFile(std::fs::File),
    Mio(mio::Waker),
}

impl Signal {
    fn raise(&self) {
        // Nothing to be done about a failure: the counter of an eventfd does not overflow from
        // one write for each sleep, and the loop looks at the state at least at its next timeout.
        let _ = match self {
            #[cfg(target_os = "linux")]
            Self::EventFile(file) => {
                std::io::Write::write(&mut &*file, &1_u64.to_ne_bytes()).map(drop)
            }
            Self::Mio(waker) => waker.wake(),
        };
    }
}

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const NOTIFIED: u8 = 2;
