//! The event loop on Linux' io_uring.
//!
//! What makes it cheap: one system call a turn submits everything and waits; one standing accept
//! for each listener and one standing receive for each connection; received bytes lie in a shared
//! pool, so that an idle connection holds no buffer; completions are worked on only when this
//! thread asks for them (`DEFER_TASKRUN`).
//!
//! Not used, because measured slower: a kernel thread that polls for submissions, zero-copy sends
//! of small answers. Source: io_uring(7), io_uring_enter(2), io_uring_prep_recv_multishot(3).

mod accept;
mod files;
mod operations;
mod receive_buffers;
mod ring;
mod submission;
mod timer;
mod turn;
mod vectored;

pub use operations::UringOperations;
pub use turn::UringLoop;
pub(crate) use turn::probe;
