//! Listeners of the readiness loop: accepting, its pauses and its end.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use super::operations::PollOperations;
use crate::error::SystemError;
use crate::event::{ACCEPT_PAUSE, Event, Handler};
use crate::key::ListenerKey;
use crate::platform::ACCEPT_TRANSIENT;
use crate::socket::{ListenAddress, Listener, ListenerFile};

#[derive(Default)]
pub(super) struct Listeners {
    /// By key; `None` when closed.
    all: Vec<Option<Accepting>>,
    /// A listener may have connections in its queue.
    any_ready: bool,
    paused_until: Option<Instant>,
    descriptor_was_freed: bool,
}

struct Accepting {
    /// Any stream socket that listens.
    socket: TcpListener,
    _file: ListenerFile,
    is_tcp: bool,
    sets_no_delay: bool,
    is_ready: bool,
    is_stopping: bool,
}

impl Listeners {
    pub(super) fn add(
        &mut self,
        listener: Listener,
        registry: &Registry,
    ) -> Result<ListenerKey, SystemError> {
        let index = self.all.len();
        let key = ListenerKey::new(u32::try_from(index).expect("listeners are few"));
        let is_tcp = matches!(listener.local_address(), ListenAddress::Tcp(_));
        let sets_no_delay = listener.sets_no_delay();
        let (socket, file) = listener.into_parts();
        socket
            .set_nonblocking(true)
            .map_err(|error| SystemError::new("fcntl", &error))?;
        // That is a property of the socket, which another process may have too and take connections from: one
        // whose loop waits in the kernel takes the property away again.
        socket
            .set_read_timeout(Some(SHARED_WAIT_MAX))
            .map_err(|error| SystemError::new("setsockopt SO_RCVTIMEO", &error))?;
        let mut socket = TcpListener::from_std(socket.into());
        registry
            .register(&mut socket, token(index), Interest::READABLE)
            .map_err(|error| SystemError::new("register", &error))?;
        self.all.push(Some(Accepting {
            socket,
            _file: file,
            is_tcp,
            sets_no_delay,
            is_ready: false,
            is_stopping: false,
        }));
        Ok(key)
    }

    pub(super) fn count(&self) -> usize {
        self.all.iter().flatten().count()
    }

    /// Marks the listener that a token is of. `false`: the token is not a listener's.
    #[inline]
    pub(super) fn mark_ready(&mut self, of: Token) -> bool {
        let Some(index) = listener_index(of) else {
            return false;
        };
        if let Some(Some(listener)) = self.all.get_mut(index) {
            listener.is_ready = true;
            self.any_ready = true;
        }
        true
    }

    pub(super) fn stop(&mut self, key: ListenerKey) {
        if let Some(Some(listener)) = self.all.get_mut(key.index() as usize) {
            listener.is_stopping = true;
            listener.is_ready = true;
            self.any_ready = true;
        }
    }

    #[inline]
    pub(super) fn descriptor_freed(&mut self) {
        self.descriptor_was_freed = true;
    }

    /// Whether some listener is to be looked at now.
    #[inline]
    pub(super) fn any_ready(&self) -> bool {
        self.any_ready
    }

    /// When listeners that could not accept try again.
    #[inline]
    pub(super) fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }

    /// Ends a pause if there is hope.
    #[inline]
    pub(super) fn resume(&mut self) {
        if let Some(until) = self.paused_until
            && (self.descriptor_was_freed || Instant::now() >= until)
        {
            self.paused_until = None;
            self.any_ready = true;
        }
    }
}

impl PollOperations {
    /// Accepts from every listener that is ready. Returns the number of events.
    pub(super) fn accept_ready(&mut self, handler: &mut impl Handler<Self>) -> usize {
        self.listeners.any_ready = false;
        let mut count = 0;
        for index in 0..self.listeners.all.len() {
            count += self.accept(index, handler);
        }
        count
    }

    fn accept(&mut self, index: usize, handler: &mut impl Handler<Self>) -> usize {
        let key = ListenerKey::new(u32::try_from(index).expect("listeners are few"));
        let mut count = 0;
        for _ in 0..ACCEPTS_MAX {
            let Some(listener) = &mut self.listeners.all[index] else {
                return count;
            };
            if !listener.is_ready {
                return count;
            }
            match listener.accept() {
                Ok(stream) => {
                    count += 1;
                    let event = match self.accepted(stream) {
                        Ok(connection) => Event::Accepted {
                            listener: key,
                            connection,
                        },
                        Err(error) => Event::AcceptFailed {
                            listener: key,
                            error,
                        },
                    };
                    handler.handle(self, event);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    listener.is_ready = false;
                    if listener.is_stopping {
                        self.close_listener(index);
                    }
                    return count;
                }
                Err(error) if is_transient(&error) => {}
                Err(error) => {
                    // It stays ready: its queue is not empty, and no event will say so again.
                    self.listeners.paused_until = Some(Instant::now() + ACCEPT_PAUSE);
                    self.listeners.descriptor_was_freed = false;
                    let error = SystemError::new("accept", &error);
                    let event = Event::AcceptFailed {
                        listener: key,
                        error,
                    };
                    handler.handle(self, event);
                    return count + 1;
                }
            }
        }
        self.listeners.any_ready = true;
        count
    }

    fn close_listener(&mut self, index: usize) {
        if let Some(mut listener) = self.listeners.all[index].take() {
            // Closing does not end the watch if the socket is shared.
            let _ = self.registry.deregister(&mut listener.socket);
        }
    }
}

impl Accepting {
    fn accept(&self) -> io::Result<TcpStream> {
        let stream = if self.is_tcp {
            self.socket.accept()?.0
        } else {
            // mio would want to read a TCP address.
            let (socket, _) = SockRef::from(&self.socket).accept()?;
            socket.set_nonblocking(true)?;
            TcpStream::from_std(socket.into())
        };
        if self.sets_no_delay {
            // It fails on a connection that is broken already, which the owner will hear of.
            let _ = stream.set_nodelay(true);
        }
        Ok(stream)
    }
}

fn is_transient(error: &io::Error) -> bool {
    error
        .raw_os_error()
        .is_some_and(|code| ACCEPT_TRANSIENT.contains(&code))
}

/// Tokens are connections' indexes from below, listeners' from above, and the waker's on top.
fn token(index: usize) -> Token {
    Token(WAKE.0 - 1 - index)
}

#[inline]
fn listener_index(token: Token) -> Option<usize> {
    (token.0 >= LISTENERS_FIRST).then(|| (WAKE.0 - 1).wrapping_sub(token.0))
}

pub(super) const WAKE: Token = Token(usize::MAX);

/// Below it are connections. There are never as many descriptors.
const LISTENERS_FIRST: usize = usize::MAX - (1 << 20);

/// Longest wait for a connection that another process has taken.
const SHARED_WAIT_MAX: Duration = Duration::from_millis(1);

/// Connections accepted from one listener before others get their turn.
const ACCEPTS_MAX: usize = 64;
