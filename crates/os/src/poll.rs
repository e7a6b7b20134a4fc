//! The event loop on readiness: epoll, kqueue or AFD, whatever `mio` finds.
//!
//! The system says which sockets are ready, and the loop does the operations itself, so that its
//! owner sees completions as with io_uring. A socket is registered once, edge triggered; what is
//! ready is remembered until the system says "would block", or a read leaves room in the buffer.

mod accept;
mod files;
mod operations;
mod turn;

pub use operations::PollOperations;
pub use turn::PollLoop;
