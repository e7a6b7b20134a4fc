//! A level-triggered epoll set whose events carry the index of a connection.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use crate::error::GeneratorError;

/// The set, and the room for the events of one wait.
pub(crate) struct Epoll {
    descriptor: OwnedFd,
    events: Vec<libc::epoll_event>,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Interest {
    /// Bytes to read, or the end.
    Read,
    /// A connection that stands, or failed to.
    Write,
    /// Bytes to read, or room to write.
    Both,
}

impl Epoll {
    pub(crate) fn new() -> Result<Self, GeneratorError> {
        // SAFETY: takes no pointer; the result is checked before it is used.
        let descriptor = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        check("epoll_create1", descriptor)?;
        // SAFETY: the descriptor was just made and nothing else owns it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        let events = vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX];
        Ok(Self { descriptor, events })
    }

    /// Adds a socket. It leaves the set when it is closed.
    pub(crate) fn add(
        &self,
        socket: impl AsFd,
        index: usize,
        interest: Interest,
    ) -> Result<(), GeneratorError> {
        self.control(libc::EPOLL_CTL_ADD, socket, index, interest)
    }

    /// Changes what a socket of the set is waited for.
    pub(crate) fn change(
        &self,
        socket: impl AsFd,
        index: usize,
        interest: Interest,
    ) -> Result<(), GeneratorError> {
        self.control(libc::EPOLL_CTL_MOD, socket, index, interest)
    }

    /// Waits, and gives the number of events; read them with [`Epoll::index`].
    pub(crate) fn wait(&mut self, milliseconds: i32) -> Result<usize, GeneratorError> {
        // SAFETY: the pointer and the length are those of a vector that outlives the call.
        let count = unsafe {
            libc::epoll_wait(
                self.descriptor.as_raw_fd(),
                self.events.as_mut_ptr(),
                EVENTS_MAX as i32,
                milliseconds,
            )
        };
        match check("epoll_wait", count) {
            Ok(count) => Ok(count as usize),
            Err(GeneratorError::System { source, .. })
                if source.kind() == io::ErrorKind::Interrupted =>
            {
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }

    /// The index of the connection that event `event` of the last wait is about.
    pub(crate) fn index(&self, event: usize) -> usize {
        self.events[event].u64 as usize
    }

    fn control(
        &self,
        operation: i32,
        socket: impl AsFd,
        index: usize,
        interest: Interest,
    ) -> Result<(), GeneratorError> {
        let events = match interest {
            Interest::Read => libc::EPOLLIN,
            Interest::Write => libc::EPOLLOUT,
            Interest::Both => libc::EPOLLIN | libc::EPOLLOUT,
        };
        let mut event = libc::epoll_event {
            events: events as u32,
            u64: index as u64,
        };
        let socket = socket.as_fd().as_raw_fd();
        // SAFETY: both descriptors are open for the length of the call, and `event` lives through it.
        let code = unsafe {
            libc::epoll_ctl(
                self.descriptor.as_raw_fd(),
                operation,
                socket,
                &raw mut event,
            )
        };
        check("epoll_ctl", code).map(|_| ())
    }
}

fn check(call: &'static str, code: i32) -> Result<i32, GeneratorError> {
    if code < 0 {
        return Err(GeneratorError::System {
            call,
            source: io::Error::last_os_error(),
        });
    }
    Ok(code)
}

const EVENTS_MAX: usize = 1024;
