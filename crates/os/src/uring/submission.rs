//! The entries we submit, and how a completion says what it is of.

use io_uring::squeue::{Entry, Flags};
use io_uring::{opcode, types};

use super::receive_buffers::GROUP;

/// What a completion is of. In the lowest byte of the user data; an index above it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Operation {
    Receive,
    Send,
    Accept,
    Wake,
    Timer,
    /// A socket is to take bytes again.
    Room,
    /// Nothing waits for it.
    Unwatched,
}

impl Operation {
    #[inline]
    pub(super) const fn user_data(self, index: u32) -> u64 {
        (index as u64) << 8 | self as u64
    }

    #[inline]
    pub(super) const fn of(user_data: u64) -> (Self, u32) {
        let operation = match user_data & 0xff {
            0 => Self::Receive,
            1 => Self::Send,
            2 => Self::Accept,
            3 => Self::Wake,
            4 => Self::Timer,
            5 => Self::Room,
            _ => Self::Unwatched,
        };
        (operation, (user_data >> 8) as u32)
    }
}

#[inline]
pub(super) fn receive(fd: i32, index: u32) -> Entry {
    opcode::RecvMulti::new(types::Fd(fd), GROUP)
        .build()
        .user_data(Operation::Receive.user_data(index))
}

/// # Safety
///
/// `start` and `length` describe memory that stays valid until the completion was taken.
#[inline]
pub(super) unsafe fn send(fd: i32, index: u32, start: *const u8, length: u32) -> Entry {
    opcode::Send::new(types::Fd(fd), start, length)
        .flags(libc::MSG_NOSIGNAL)
        .build()
        .user_data(Operation::Send.user_data(index))
}

/// # Safety
///
/// `message` and what it points to stay valid until the completion was taken.
pub(super) unsafe fn send_message(fd: i32, index: u32, message: *const libc::msghdr) -> Entry {
    opcode::SendMsg::new(types::Fd(fd), message)
        .flags(libc::MSG_NOSIGNAL as u32)
        .build()
        .user_data(Operation::Send.user_data(index))
}

pub(super) fn accept(fd: i32, index: u32) -> Entry {
    opcode::AcceptMulti::new(types::Fd(fd))
        .flags(libc::SOCK_CLOEXEC)
        .build()
        .user_data(Operation::Accept.user_data(index))
}

/// The operation's own completion says whether it worked; the cancellation needs none.
pub(super) fn cancel(operation: Operation, index: u32) -> Entry {
    opcode::AsyncCancel::new(operation.user_data(index))
        .build()
        .flags(Flags::SKIP_SUCCESS)
        .user_data(Operation::Unwatched.user_data(0))
}

pub(super) fn close(fd: i32) -> Entry {
    opcode::Close::new(types::Fd(fd))
        .build()
        .flags(Flags::SKIP_SUCCESS)
        .user_data(Operation::Unwatched.user_data(0))
}

/// Completes each time the file's counter is added to. The counter need not be read.
pub(super) fn watch(fd: i32) -> Entry {
    opcode::PollAdd::new(types::Fd(fd), libc::POLLIN as u32)
        .multi(true)
        .build()
        .user_data(Operation::Wake.user_data(0))
}

/// Completes when the socket takes bytes, or nothing can be sent any more.
pub(super) fn room(fd: i32, index: u32) -> Entry {
    opcode::PollAdd::new(types::Fd(fd), libc::POLLOUT as u32)
        .build()
        .user_data(Operation::Room.user_data(index))
}

/// # Safety
///
/// `duration` stays valid until the entry is submitted.
pub(super) unsafe fn timer(duration: *const types::Timespec) -> Entry {
    opcode::Timeout::new(duration)
        .build()
        .user_data(Operation::Timer.user_data(0))
}

/// # Safety
///
/// `duration` stays valid until the entry is submitted.
pub(super) unsafe fn timer_update(duration: *const types::Timespec) -> Entry {
    opcode::TimeoutUpdate::new(Operation::Timer.user_data(0), duration)
        .build()
        .flags(Flags::SKIP_SUCCESS)
        .user_data(Operation::Unwatched.user_data(0))
}
