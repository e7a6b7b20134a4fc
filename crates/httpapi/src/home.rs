//! Work on the thread of the backend that a request's connection belongs to.
//!
//! Whoever answers a request by asking somebody else does best where the client's connection is: what comes
//! from the other side goes to the client without another thread in between. A backend may therefore run an
//! application's future there, and look after a connection for it.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::TcpStream;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What a backend does for a [`HomeThread`].
pub trait WorkAtHome: Send + Sync {
    /// See [`HomeThread::run`].
    fn run(self: Arc<Self>, work: Pin<Box<dyn Future<Output = ()> + Send>>);
    /// See [`HomeThread::adopt`].
    fn adopt(self: Arc<Self>, stream: TcpStream) -> Box<dyn OutgoingConnection>;
}

/// The thread that a request's connection belongs to.
#[derive(Clone)]
pub struct HomeThread(Arc<dyn WorkAtHome>);

impl HomeThread {
    /// A thread that a backend holds.
    pub fn new(backend: Arc<dyn WorkAtHome>) -> Self {
        Self(backend)
    }

    /// Runs a future on the thread, beside all that the thread has to do: it must not block. It is polled
    /// when it is woken, from whichever thread. One that panics is dropped; so are all when the backend has
    /// stopped and the connections of the thread have ended.
    pub fn run(&self, work: Pin<Box<dyn Future<Output = ()> + Send>>) {
        Arc::clone(&self.0).run(work);
    }

    /// Gives a connection to another server into the thread's care. It may be used on any thread, and costs
    /// least on this one.
    pub fn adopt(&self, stream: TcpStream) -> Box<dyn OutgoingConnection> {
        Arc::clone(&self.0).adopt(stream)
    }
}

impl PartialEq for HomeThread {
    fn eq(&self, other: &Self) -> bool {
        ptr::addr_eq(Arc::as_ptr(&self.0), Arc::as_ptr(&other.0))
    }
}

impl Eq for HomeThread {}

impl fmt::Debug for HomeThread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HomeThread").finish_non_exhaustive()
    }
}

/// A connection to another server, as its user sees it. Dropping it closes it; what was written before
/// still goes out as far as the system takes it.
///
/// Each side holds about 64 KiB: who writes more waits, and from a server that sends more nothing is
/// received until it has been read.
pub trait OutgoingConnection: Send {
    /// Hands bytes that arrived to `take`, once, which says how many it has taken. 0: the other side sends
    /// no more.
    ///
    /// # Errors
    ///
    /// Receiving failed; all that came before has been read.
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        take: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Poll<io::Result<usize>>;

    /// Takes bytes to be sent, as many as there is room for. They go out without being asked to.
    ///
    /// # Errors
    ///
    /// The connection is broken, or was ended.
    fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Ends our side behind what was written.
    fn end(&mut self);
}
