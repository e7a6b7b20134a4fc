//! One turn of the io_uring loop: submit and wait, take the completions, hand them over.

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use io_uring::cqueue;

use super::operations::UringOperations;
use super::receive_buffers::{self, ReceiveBuffers};
use super::ring::{self, Ring};
use super::submission::{self, Operation};
use super::timer::{SLACK, Timer};
use crate::error::SystemError;
use crate::event::{Event, EventLoop, Handler, LoopSettings, Operations, ReceiveOrder, WOKEN_MAX};
use crate::key::ListenerKey;
use crate::probe::UringUnavailable;
use crate::table::Table;
use crate::waker::{Signal, Sleep};

/// The event loop on io_uring.
pub struct UringLoop {
    operations: UringOperations,
    ring: Rc<Ring>,
    receive: Receive,
    order: ReceiveOrder,
    completions_max: u32,
    timer: Timer,
    /// The file that ends a wait. The waker holds it open.
    wake_fd: i32,
}

/// The receiving half of a turn.
struct Receive {
    // Freed by `Drop` of the loop once the kernel has given all buffers up.
    buffers: ManuallyDrop<ReceiveBuffers>,
    /// Completions to be handed over after the others.
    deferred: Vec<cqueue::Entry>,
    /// `Received` events handed over in this turn.
    position: u32,
    /// Connections of this turn for whose bytes there was no buffer.
    starved: usize,
    has_recycled: bool,
    has_grown: bool,
}

impl EventLoop for UringLoop {
    type Operations = UringOperations;

    fn new(settings: &LoopSettings) -> Result<Self, SystemError> {
        let entries = settings
            .submission_entries
            .clamp(8, 32_768)
            .next_power_of_two();
        let ring = Rc::new(Ring::new(entries)?);
        let buffers = ReceiveBuffers::new(&ring, settings)?;
        let wake_file = event_file()?;
        let wake_fd = wake_file.as_raw_fd();
        let sleep = Sleep::new(Signal::EventFile(wake_file));
        // SAFETY: the entry points to no memory. The file stays open as long as the loop.
        unsafe { ring.push(&submission::watch(wake_fd)) };
        Ok(Self {
            operations: UringOperations::new(Rc::clone(&ring), sleep),
            ring,
            receive: Receive {
                buffers: ManuallyDrop::new(buffers),
                deferred: Vec::new(),
                position: 0,
                starved: 0,
                has_recycled: false,
                has_grown: false,
            },
            order: settings.receive_order,
            completions_max: settings.completions_max.max(1),
            timer: Timer::new(),
            wake_fd,
        })
    }

    fn operations(&mut self) -> &mut UringOperations {
        &mut self.operations
    }

    fn set_receive_order(&mut self, order: ReceiveOrder) {
        self.order = order;
    }

    fn turn(
        &mut self,
        timeout: Option<Duration>,
        handler: &mut impl Handler<UringOperations>,
    ) -> Result<usize, SystemError> {
        self.operations.resume_accepts();
        self.submit_and_wait(timeout)?;
        let mut woken = self.operations.sleep.end();
        let mut count = self.take_completions(handler);
        if self.operations.files.any_queued() {
            count += self.operations.send_files(handler);
        }
        // A wake during the turn is handed over with it.
        woken |= self.operations.sleep.end();
        for left in (0..WOKEN_MAX).rev() {
            if !woken {
                break;
            }
            count += 1;
            handler.handle(&mut self.operations, Event::Woken);
            // Not asked after the last, so that the next turn does not sleep.
            woken = left > 0 && self.operations.sleep.end();
        }
        Ok(count)
    }
}

impl UringLoop {
    #[inline]
    fn submit_and_wait(&mut self, timeout: Option<Duration>) -> Result<(), SystemError> {
        if !self.ring.completions().is_empty() {
            if self.ring.is_submitted() {
                return Ok(());
            }
            return self.ring.enter(0);
        }
        if timeout == Some(Duration::ZERO) || self.operations.files.any_queued() {
            return self.ring.enter(0);
        }
        let timeout = match self.operations.listeners.paused_until() {
            None => timeout,
            Some(until) => {
                let pause = until.saturating_duration_since(Instant::now()).max(SLACK);
                Some(timeout.map_or(pause, |timeout| timeout.min(pause)))
            }
        };
        if let Some(timeout) = timeout {
            self.timer.arm(&self.ring, timeout);
        }
        let may_sleep = self.operations.sleep.begin();
        self.ring.enter(u32::from(may_sleep))
    }

    #[inline]
    fn take_completions(&mut self, handler: &mut impl Handler<UringOperations>) -> usize {
        let Self {
            operations,
            ring,
            receive,
            timer,
            ..
        } = self;
        let mut count = 0;
        receive.position = 0;
        receive.starved = 0;
        receive.has_recycled = false;
        receive.has_grown = false;
        for completion in ring.completions().take(self.completions_max as usize) {
            let (operation, index) = Operation::of(completion.user_data());
            match operation {
                Operation::Receive => {
                    if self.order == ReceiveOrder::AsTaken {
                        count += receive.take(&completion, operations, handler);
                    } else {
                        receive.deferred.push(completion);
                    }
                }
                Operation::Send => {
                    let sent = operations.send_completed(index, completion.result());
                    if let Some((connection, buffer, result)) = sent {
                        count += 1;
                        let event = Event::Sent {
                            connection,
                            buffer,
                            result,
                        };
                        handler.handle(operations, event);
                    }
                }
                Operation::Accept => {
                    count += accepted(&completion, index, operations, handler);
                }
                Operation::Wake => {
                    if !cqueue::more(completion.flags()) {
                        // SAFETY: the entry points to no memory.
                        unsafe { ring.push(&submission::watch(self.wake_fd)) };
                    }
                }
                Operation::Timer => timer.expired(),
                Operation::Room => operations.room_completed(index),
                Operation::Unwatched => {}
            }
        }
        if !receive.deferred.is_empty() {
            let mut deferred = std::mem::take(&mut receive.deferred);
            for completion in deferred.drain(..) {
                count += receive.take(&completion, operations, handler);
            }
            receive.deferred = deferred;
        }
        if receive.has_recycled {
            receive.buffers.publish();
        }
        count
    }
}

impl Receive {
    /// Hands over what a completion of a standing receive says. Returns the number of events.
    #[inline]
    fn take(
        &mut self,
        completion: &cqueue::Entry,
        operations: &mut UringOperations,
        handler: &mut impl Handler<UringOperations>,
    ) -> usize {
        let (_, index) = Operation::of(completion.user_data());
        let result = completion.result();
        let flags = completion.flags();
        let Some((connection, key)) = operations.connections.at(index) else {
            debug_assert!(false, "a place is kept while a receive is pending");
            return 0;
        };
        let goes_on = cqueue::more(flags);
        connection.receiving = goes_on;
        let mut count = 0;
        match (key, result) {
            (Some(key), 1..) => {
                let Some(id) = cqueue::buffer_select(flags) else {
                    return 0;
                };
                let position = self.position;
                self.position += 1;
                // SAFETY: the kernel named the buffer in this completion; it is recycled below.
                let bytes = unsafe { self.buffers.filled(id, result.unsigned_abs() as usize) };
                let event = Event::Received {
                    connection: key,
                    bytes,
                    position,
                };
                handler.handle(operations, event);
                count = 1;
            }
            (Some(key), END) => {
                connection.receive_ended = true;
                handler.handle(operations, Event::PeerClosed { connection: key });
                count = 1;
            }
            (Some(_), NO_BUFFER) => self.starve(),
            // Cancelled for a pause which may be over by now, or interrupted.
            (Some(_), CANCELLED | INTERRUPTED | AGAIN) => {}
            (Some(key), _) => {
                connection.receive_ended = true;
                let error = SystemError {
                    call: "recv",
                    code: -result,
                };
                let event = Event::Failed {
                    connection: key,
                    error,
                };
                handler.handle(operations, event);
                count = 1;
            }
            (None, _) => {}
        }
        if let Some(id) = cqueue::buffer_select(flags) {
            self.buffers.recycle(id);
            self.has_recycled = true;
        }
        if !goes_on {
            match key {
                Some(key) => operations.receive(key),
                None => operations.finish_close(index),
            }
        }
        count
    }

    /// A connection had bytes for which there was no buffer. It waits for the buffers of this turn, which are back
    /// before the next submission.
    ///
    /// The pool grows when many wait. A few that send faster than we take it, such as one long upload, would
    /// fill any pool, and each buffer that is used once stays in memory.
    #[cold]
    fn starve(&mut self) {
        self.starved += 1;
        if !self.has_grown && self.buffers.is_few_for(self.starved) {
            self.has_grown = true;
            self.buffers.grow();
        }
    }
}

fn accepted(
    completion: &cqueue::Entry,
    index: u32,
    operations: &mut UringOperations,
    handler: &mut impl Handler<UringOperations>,
) -> usize {
    let result = completion.result();
    let listener = ListenerKey::new(index);
    let mut count = 0;
    if result >= 0 {
        // SAFETY: the kernel made this descriptor for us, and nobody else knows it.
        let socket = unsafe { OwnedFd::from_raw_fd(result) };
        let connection = operations.accepted(socket);
        let event = Event::Accepted {
            listener,
            connection,
        };
        handler.handle(operations, event);
        count += 1;
        // After the event, so that an owner who pauses or closes at once costs nothing.
        operations.receive(connection);
    }
    if !cqueue::more(completion.flags())
        && let Some(error) = operations.accept_ended(index, result)
    {
        handler.handle(operations, Event::AcceptFailed { listener, error });
        count += 1;
    }
    count
}

impl Drop for UringLoop {
    fn drop(&mut self) {
        for key in self.operations.listeners.keys() {
            self.operations.stop_listening(key);
        }
        let mut close_all = |operations: &mut UringOperations, _: Event<'_>| {
            for key in operations.connections.keys() {
                operations.close(key);
            }
        };
        close_all(&mut self.operations, Event::Woken);
        while self.operations.closing > 0 || self.operations.listener_count() > 0 {
            if self.turn(Some(END_WAIT), &mut close_all).is_err() {
                break;
            }
        }
        // Descriptors given up in the last turn are closed by the ring.
        let closed = self.ring.enter(0).is_ok();
        if closed && self.operations.closing == 0 {
            // SAFETY: no receive is left with the kernel, so nothing writes into the buffers; the
            // pages of the buffer ring are the kernel's as well as ours. Not used after this.
            unsafe { ManuallyDrop::drop(&mut self.receive.buffers) };
        } else {
            // The ring does not answer. What it may still use must stay for ever.
            let connections = &mut self.operations.connections;
            std::mem::forget(std::mem::replace(connections, Table::new()));
        }
    }
}

/// Whether [`UringLoop`] can be made here.
pub(crate) fn probe() -> Result<(), UringUnavailable> {
    let small = LoopSettings {
        receive_buffers: 1,
        receive_buffers_max: 1,
        submission_entries: 8,
        ..LoopSettings::default()
    };
    let Err(error) = UringLoop::new(&small) else {
        return Ok(());
    };
    Err(match (error.call, error.code) {
        (_, libc::ENOSYS) => UringUnavailable::Missing,
        (_, libc::EPERM | libc::EACCES) => UringUnavailable::Forbidden,
        (ring::SETUP, libc::EINVAL) => UringUnavailable::TooOld {
            feature: "completions run by one thread on demand (Linux 6.1)",
        },
        (receive_buffers::REGISTER, libc::EINVAL) => UringUnavailable::TooOld {
            feature: "rings of provided buffers (Linux 5.19)",
        },
        _ => UringUnavailable::System(error),
    })
}

fn event_file() -> Result<File, SystemError> {
    // SAFETY: the call takes numbers only.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(SystemError::new("eventfd", &io::Error::last_os_error()));
    }
    // SAFETY: the call made this descriptor for us.
    Ok(unsafe { File::from_raw_fd(fd) })
}

const END: i32 = 0;
const NO_BUFFER: i32 = -libc::ENOBUFS;
const CANCELLED: i32 = -libc::ECANCELED;
const INTERRUPTED: i32 = -libc::EINTR;
const AGAIN: i32 = -libc::EAGAIN;

/// Between two looks while the loop ends.
const END_WAIT: Duration = Duration::from_millis(100);
