//! WebSocket connections that are passed on: bytes from the client to an upstream and back.
//!
//! The client's connection belongs to a lane, which asks the upstream's for bytes when the client has taken
//! those before, and stops receiving from the client while the upstream takes none. Messages are not looked
//! at. When the client sends no more, the upstream is told so and may go on; when the upstream sends no
//! more, both connections end. Source: http-server-api §11.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use tidegate_httpapi::{LaneHost, LaneWaker, OpaqueConnection, OpaqueConnections, OpaqueKey};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::upstream::{BoxIo, InFlight};

/// What a lane gets with a client's connection.
pub(super) struct Opening {
    pub(super) io: BoxIo,
    /// What came behind the upstream's consent.
    pub(super) first: Bytes,
    pub(super) in_flight: InFlight,
    pub(super) idle_timeout: Duration,
}

/// All connections of a lane that are passed on.
pub(crate) struct Tunnels {
    ready: Arc<Ready>,
    /// By the index in their keys.
    all: Vec<Option<Box<Tunnel>>>,
    count: usize,
    /// Memory for the keys of those that are ready, and for what is read.
    keys: Vec<OpaqueKey>,
    buffer: Box<[u8]>,
    is_stopping: bool,
}

/// Connections whose upstream has something new.
struct Ready {
    keys: Mutex<Vec<OpaqueKey>>,
    lane: LaneWaker,
}

/// Woken when an upstream's connection can be read or written again.
struct TunnelWaker {
    key: OpaqueKey,
    ready: Arc<Ready>,
    is_listed: AtomicBool,
}

impl Wake for TunnelWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // AcqRel: pairs with who takes it off the list and then looks at the connection.
        if self.is_listed.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut keys = self
            .ready
            .keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        keys.push(self.key);
        drop(keys);
        self.ready.lane.wake();
    }
}

/// One connection that is passed on.
struct Tunnel {
    key: OpaqueKey,
    /// `None` once it has ended.
    io: Option<BoxIo>,
    signal: Arc<TunnelWaker>,
    waker: Waker,
    /// From the client, not taken by the upstream yet.
    upward: BytesMut,
    /// What the upstream has taken has to be flushed.
    is_dirty: bool,
    /// The client sends no more.
    client_ended: bool,
    /// The upstream has been told so.
    end_told: bool,
    /// The upstream takes no more.
    is_refused: bool,
    is_paused: bool,
    last_active: Instant,
    idle_timeout: Duration,
    #[expect(dead_code, reason = "held for its drop")]
    in_flight: InFlight,
}

impl Tunnels {
    pub(crate) fn open(host: &LaneHost) -> Self {
        Self {
            ready: Arc::new(Ready {
                keys: Mutex::default(),
                lane: host.waker.clone(),
            }),
            all: Vec::new(),
            count: 0,
            keys: Vec::new(),
            buffer: Box::default(),
            is_stopping: false,
        }
    }

    /// Whether a connection is one of these.
    #[inline]
    pub(crate) fn has(&self, key: OpaqueKey) -> bool {
        self.count != 0 && self.holds(key)
    }

    fn holds(&self, key: OpaqueKey) -> bool {
        let tunnel = self.all.get(key.index as usize).and_then(Option::as_ref);
        tunnel.is_some_and(|tunnel| tunnel.key == key)
    }

    /// Takes a connection, if it is one to be passed on.
    pub(crate) fn take(
        &mut self,
        connection: &mut dyn OpaqueConnection,
        opening: tidegate_httpapi::Opening,
    ) -> Result<(), tidegate_httpapi::Opening> {
        let Opening {
            io,
            first,
            in_flight,
            idle_timeout,
        } = *opening.downcast::<Opening>()?;
        if self.is_stopping {
            connection.end();
            return Ok(());
        }
        if self.buffer.is_empty() {
            self.buffer = vec![0; READ_BYTES].into();
        }
        let key = connection.key();
        let signal = Arc::new(TunnelWaker {
            key,
            ready: Arc::clone(&self.ready),
            is_listed: AtomicBool::new(false),
        });
        let index = key.index as usize;
        if index >= self.all.len() {
            self.all.resize_with(index + 1, || None);
        }
        self.count += 1;
        let tunnel = self.all[index].insert(Box::new(Tunnel {
            key,
            io: Some(io),
            waker: Waker::from(Arc::clone(&signal)),
            signal,
            upward: BytesMut::new(),
            is_dirty: false,
            client_ended: false,
            end_told: false,
            is_refused: false,
            is_paused: false,
            last_active: connection.now(),
            idle_timeout,
            in_flight,
        }));
        connection.set_due(Some(idle_timeout));
        if !first.is_empty() {
            connection.append(first);
        }
        tunnel.drive(connection, &mut self.buffer);
        Ok(())
    }

    /// Bytes came from a client.
    pub(crate) fn received(&mut self, connection: &mut dyn OpaqueConnection, bytes: &[u8]) {
        self.with(connection, |tunnel, connection, buffer| {
            tunnel.last_active = connection.now();
            tunnel.pass_upward(bytes);
            tunnel.drive(connection, buffer);
        });
    }

    /// A client sends no more.
    pub(crate) fn peer_ended(&mut self, connection: &mut dyn OpaqueConnection) {
        self.with(connection, |tunnel, connection, buffer| {
            tunnel.client_ended = true;
            tunnel.drive(connection, buffer);
        });
    }

    /// A client has taken all that there was.
    pub(crate) fn sent(&mut self, connection: &mut dyn OpaqueConnection) {
        self.with(connection, Tunnel::drive);
    }

    /// A connection may have been silent for too long.
    pub(crate) fn due(&mut self, connection: &mut dyn OpaqueConnection) {
        self.with(connection, |tunnel, connection, _| {
            let silent = connection
                .now()
                .saturating_duration_since(tunnel.last_active);
            if connection.is_held_back() || connection.is_receive_held_back() {
                // It is the driver that keeps it silent.
                return connection.set_due(Some(tunnel.idle_timeout));
            }
            match tunnel.idle_timeout.checked_sub(silent) {
                Some(left) if !left.is_zero() => connection.set_due(Some(left)),
                _ => tunnel.end(connection),
            }
        });
    }

    /// A client's connection is no more.
    pub(crate) fn closed(&mut self, key: OpaqueKey) {
        if self.holds(key) {
            self.all[key.index as usize] = None;
            self.count -= 1;
        }
    }

    /// Looks at the connections whose upstreams have something new.
    pub(crate) fn woken(&mut self, connections: &mut dyn OpaqueConnections) {
        let mut keys = std::mem::take(&mut self.keys);
        let mut ready = self
            .ready
            .keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut keys, &mut *ready);
        drop(ready);
        for key in keys.drain(..) {
            let Some(Some(tunnel)) = self.all.get_mut(key.index as usize) else {
                continue;
            };
            if tunnel.key != key {
                continue;
            }
            // Acquire: what was written before it was listed is visible.
            tunnel.signal.is_listed.swap(false, Ordering::AcqRel);
            let buffer = &mut self.buffer;
            connections.with(key, &mut |connection| tunnel.drive(connection, buffer));
        }
        self.keys = keys;
    }

    /// The server stops: all connections end.
    pub(crate) fn stop(&mut self, connections: &mut dyn OpaqueConnections) {
        self.is_stopping = true;
        for tunnel in self.all.iter_mut().flatten() {
            connections.with(tunnel.key, &mut |connection| tunnel.end(connection));
        }
    }

    fn with(
        &mut self,
        connection: &mut dyn OpaqueConnection,
        act: impl FnOnce(&mut Tunnel, &mut dyn OpaqueConnection, &mut Box<[u8]>),
    ) {
        let key = connection.key();
        if let Some(Some(tunnel)) = self.all.get_mut(key.index as usize)
            && tunnel.key == key
        {
            act(tunnel, connection, &mut self.buffer);
        }
    }
}

impl Tunnel {
    /// Passes on what can be passed on now.
    fn drive(&mut self, connection: &mut dyn OpaqueConnection, buffer: &mut Box<[u8]>) {
        self.drive_upward(connection);
        self.drive_downward(connection, buffer);
    }

    /// Gives bytes to the upstream, and keeps what it does not take.
    fn pass_upward(&mut self, mut bytes: &[u8]) {
        let waker = self.waker.clone();
        let mut context = Context::from_waker(&waker);
        if self.is_refused {
            return;
        }
        while self.upward.is_empty() && !bytes.is_empty() {
            let Some(io) = &mut self.io else {
                return;
            };
            match Pin::new(io).poll_write(&mut context, bytes) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.is_dirty = true;
                    bytes = &bytes[count..];
                }
                Poll::Ready(_) => {
                    self.is_refused = true;
                    return;
                }
                Poll::Pending => break,
            }
        }
        self.upward.extend_from_slice(bytes);
    }

    fn drive_upward(&mut self, connection: &mut dyn OpaqueConnection) {
        let waker = self.waker.clone();
        let mut context = Context::from_waker(&waker);
        match self.poll_upward(&mut context) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => {
                // What it has said before is still to be read.
                self.is_refused = true;
                self.upward = BytesMut::new();
            }
            Poll::Pending => {}
        }
        let is_full = self.upward.len() >= WINDOW;
        if is_full && !self.is_paused {
            self.is_paused = true;
            connection.pause_receive();
        } else if self.is_paused && self.upward.is_empty() {
            self.is_paused = false;
            connection.resume_receive();
        }
        if self.upward.is_empty() && self.upward.capacity() > 0 {
            self.upward = BytesMut::new();
        }
    }

    fn poll_upward(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(io) = &mut self.io else {
            return Poll::Ready(Ok(()));
        };
        if self.is_refused {
            return Poll::Ready(Ok(()));
        }
        let mut io = Pin::new(io);
        while !self.upward.is_empty() {
            let count = std::task::ready!(io.as_mut().poll_write(context, &self.upward))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.is_dirty = true;
            self.upward.advance(count);
        }
        if self.is_dirty {
            std::task::ready!(io.as_mut().poll_flush(context))?;
            self.is_dirty = false;
        }
        if self.client_ended && !self.end_told {
            std::task::ready!(io.as_mut().poll_shutdown(context))?;
            self.end_told = true;
        }
        Poll::Ready(Ok(()))
    }

    fn drive_downward(&mut self, connection: &mut dyn OpaqueConnection, buffer: &mut Box<[u8]>) {
        let waker = self.waker.clone();
        let mut context = Context::from_waker(&waker);
        for _ in 0..READS_MAX {
            if connection.unsent() >= WINDOW {
                connection.notify_sent();
                return;
            }
            let Some(io) = &mut self.io else {
                return;
            };
            let mut read = ReadBuf::new(buffer);
            match Pin::new(io).poll_read(&mut context, &mut read) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) if read.filled().is_empty() => return self.end(connection),
                Poll::Ready(Ok(())) => {
                    self.last_active = connection.now();
                    connection.output().extend_from_slice(read.filled());
                }
                Poll::Ready(Err(_)) => {
                    self.io = None;
                    return connection.reset();
                }
            }
        }
        // Others get their turn first.
        self.signal.wake_by_ref();
    }

    /// Ends both connections: the client's when it has taken what there is.
    fn end(&mut self, connection: &mut dyn OpaqueConnection) {
        if let Some(mut io) = self.io.take() {
            // As far as it can be said without waiting, the upstream is told.
            let mut context = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut io).poll_shutdown(&mut context);
        }
        connection.end();
    }
}

/// Most bytes held for one that does not take them, in each direction.
const WINDOW: usize = 64 * 1024;

const READ_BYTES: usize = 16 * 1024;

/// Reads from one upstream before others get their turn.
const READS_MAX: usize = 8;
