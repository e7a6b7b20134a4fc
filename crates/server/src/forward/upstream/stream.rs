//! What carries a connection to an upstream: a socket of the async runtime, TLS over one, or a connection that
//! the backend looks after on the thread of the clients' connections.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tidegate_httpapi::{HomeThread, OutgoingConnection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A connection, whatever carries it.
pub(in crate::forward) trait Io: AsyncRead + AsyncWrite + Send + Unpin {
    /// The thread that looks after it; `None`: the async runtime does.
    fn home(&self) -> Option<&HomeThread> {
        None
    }
}

pub(in crate::forward) type BoxIo = Box<dyn Io>;

impl Io for TcpStream {}

impl Io for TlsStream<TcpStream> {}

/// A connection that a thread of the backend looks after.
pub(super) struct HomeStream {
    connection: Box<dyn OutgoingConnection>,
    home: HomeThread,
}

impl HomeStream {
    /// Moves a connection from the async runtime to a thread of the backend.
    pub(super) fn new(stream: TcpStream, home: HomeThread) -> io::Result<Self> {
        Ok(Self {
            connection: home.adopt(stream.into_std()?),
            home,
        })
    }
}

impl Io for HomeStream {
    fn home(&self) -> Option<&HomeThread> {
        Some(&self.home)
    }
}

impl AsyncRead for HomeStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut take = |bytes: &[u8]| {
            let count = bytes.len().min(buffer.remaining());
            buffer.put_slice(&bytes[..count]);
            count
        };
        let read = self.connection.poll_read(context, &mut take);
        read.map_ok(|_| ())
    }
}

impl AsyncWrite for HomeStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.connection.poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.end();
        Poll::Ready(Ok(()))
    }
}
