//! Listeners of the io_uring loop: the standing accept, its pauses and its end.
//!
//! A standing accept takes whatever is in the accept queue before it begins to wait. So a listener
//! is emptied by submitting one and its cancellation together.

use std::os::fd::AsRawFd;
use std::time::Instant;

use socket2::Socket;

use super::operations::UringOperations;
use super::submission::{self, Operation};
use crate::error::SystemError;
use crate::event::ACCEPT_PAUSE;
use crate::key::ListenerKey;
use crate::platform::ACCEPT_TRANSIENT;
use crate::socket::{Listener, ListenerFile};

#[derive(Default)]
pub(super) struct Listeners {
    /// By key; `None` when closed.
    all: Vec<Option<Accepting>>,
    /// Listeners that accept again at this time, or when a descriptor is freed.
    paused_until: Option<Instant>,
    descriptor_was_freed: bool,
}

struct Accepting {
    socket: Socket,
    _file: ListenerFile,
    phase: Phase,
    /// The standing accept is with the kernel.
    is_armed: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Accepting,
    /// The standing accept was told to end.
    Stopping,
    /// A last accept takes what is in the queue.
    Emptying,
}

impl Listeners {
    pub(super) fn add(&mut self, listener: Listener) -> ListenerKey {
        let index = u32::try_from(self.all.len()).expect("listeners are few");
        let (socket, file) = listener.into_parts();
        // One that was handed over may not wait, and a standing accept would end at once. Should it not be let,
        // accepting fails and tells.
        let _ = socket.set_nonblocking(false);
        self.all.push(Some(Accepting {
            socket,
            _file: file,
            phase: Phase::Accepting,
            is_armed: false,
        }));
        ListenerKey::new(index)
    }

    pub(super) fn count(&self) -> usize {
        self.all.iter().flatten().count()
    }

    pub(super) fn keys(&self) -> Vec<ListenerKey> {
        (0_u32..)
            .zip(&self.all)
            .filter(|(_, listener)| listener.is_some())
            .map(|(index, _)| ListenerKey::new(index))
            .collect()
    }

    #[inline]
    pub(super) fn descriptor_freed(&mut self) {
        self.descriptor_was_freed = true;
    }

    /// When a paused listener must be tried again.
    #[inline]
    pub(super) fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }

    fn at(&mut self, index: u32) -> Option<&mut Accepting> {
        self.all.get_mut(index as usize)?.as_mut()
    }
}

impl UringOperations {
    /// Submits the standing accept, for a listener that is being emptied with its end.
    pub(super) fn accept(&mut self, key: ListenerKey) {
        let index = key.index();
        let Some(listener) = self.listeners.at(index) else {
            return;
        };
        listener.is_armed = true;
        let entry = submission::accept(listener.socket.as_raw_fd(), index);
        let is_last = listener.phase != Phase::Accepting;
        if is_last {
            listener.phase = Phase::Emptying;
        }
        // SAFETY: the entry points to no memory.
        unsafe { self.ring.push(&entry) };
        if is_last {
            self.cancel_accept(index);
        }
    }

    pub(super) fn stop_accepting(&mut self, key: ListenerKey) {
        let index = key.index();
        let Some(listener) = self.listeners.at(index) else {
            return;
        };
        if listener.phase != Phase::Accepting {
            return;
        }
        listener.phase = Phase::Stopping;
        if listener.is_armed {
            self.cancel_accept(index);
        } else {
            self.accept(key);
        }
    }

    /// Takes the last completion of a standing accept: goes on with the next, pauses, or closes.
    ///
    /// `Some`: accepting failed in a way the owner should know.
    pub(super) fn accept_ended(&mut self, index: u32, result: i32) -> Option<SystemError> {
        let listener = self.listeners.at(index)?;
        let key = ListenerKey::new(index);
        listener.is_armed = false;
        // EAGAIN: another process has the socket as well, and has it not wait.
        let is_empty = [-libc::ECANCELED, -libc::EAGAIN].contains(&result);
        if is_empty && listener.phase == Phase::Emptying {
            self.listeners.all[index as usize] = None;
            return None;
        }
        let code = -result;
        // What does not pass by itself, as having no descriptors left, would come again at once.
        let passes = [libc::ECANCELED, libc::EAGAIN].contains(&code);
        if result >= 0 || passes || ACCEPT_TRANSIENT.contains(&code) {
            self.accept(key);
            return None;
        }
        self.listeners.paused_until = Some(Instant::now() + ACCEPT_PAUSE);
        self.listeners.descriptor_was_freed = false;
        Some(SystemError {
            call: "accept4",
            code,
        })
    }

    /// Accepts again where that had failed, if there is hope.
    #[inline]
    pub(super) fn resume_accepts(&mut self) {
        if let Some(until) = self.listeners.paused_until
            && (self.listeners.descriptor_was_freed || Instant::now() >= until)
        {
            self.resume_paused();
        }
    }

    #[cold]
    fn resume_paused(&mut self) {
        self.listeners.paused_until = None;
        for key in self.listeners.keys() {
            if self
                .listeners
                .at(key.index())
                .is_some_and(|listener| !listener.is_armed)
            {
                self.accept(key);
            }
        }
    }

    fn cancel_accept(&mut self, index: u32) {
        let entry = submission::cancel(Operation::Accept, index);
        // SAFETY: the entry points to no memory.
        unsafe { self.ring.push(&entry) };
    }
}
