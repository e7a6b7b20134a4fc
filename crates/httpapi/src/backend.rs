//! What a backend offers: the HTTP Server API's objects and calls.
//!
//! The component speaks to this trait only and never learns which backend it runs on.
//! Source: HTTP Server API 2.0 functions; http-server-api §1.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::access::{AccessControlList, Caller};
use crate::address_range::AddressRange;
use crate::application::{Application, ConnectionFilter};
use crate::counters::BackendCounters;
use crate::error::ApiError;
use crate::logging::LogCounters;
use crate::opaque::HandlerThreads;
use crate::open_connection::{ConnectionPage, OpenConnection};
use crate::property::{GroupProperties, QueueProperties, SessionProperties, Timeouts};
use crate::request::ConnectionId;
use crate::response_cache::{CacheCounters, CacheFlush, CachedResponse};
use crate::service_state::ServiceState;
use crate::tls::{HttpProtocols, TlsBinding, TlsBindingInfo, TlsBindingKey};
use crate::url_prefix::UrlPrefix;

/// Names a server session: properties that its URL groups inherit.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ServerSessionId(pub u64);

/// Names a URL group: prefixes with shared properties, bound to at most one request queue.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct UrlGroupId(pub u64);

/// Names a request queue: where requests wait for an application.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RequestQueueId(pub u64);

/// For whom a prefix is reserved that a program reserves: nobody else is asked who he is. Lists of accounts
/// are a [`Reservation`]'s.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReservationOwner(pub String);

/// A prefix that is kept for some accounts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reservation {
    /// The prefix.
    pub prefix: UrlPrefix,
    /// Who may use it.
    pub list: AccessControlList,
}

/// Where a backend listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Endpoint {
    /// An IP address and TCP port.
    Tcp(std::net::SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// What a backend runs on, for whoever looks after it. What it does not know it leaves out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct BackendInfo {
    /// The event loop, as the settings call it: `uring`, `poll`.
    pub event_loop: Option<&'static str>,
    /// Threads that read requests.
    pub io_threads: Option<usize>,
    /// The folder of the HTTPERR log; none as well when it is not written.
    pub error_log: Option<PathBuf>,
}

/// A part of a backend that serves no more, though nobody has stopped it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BackendFailure {
    /// A thread that reads requests has ended. Its connections have ended with it, and where each thread has
    /// listeners of its own, the others go on.
    Ended {
        /// Which thread, from 0 on.
        worker: usize,
        /// Why: what the system said, or the message of a panic.
        cause: Box<str>,
    },
    /// A thread that reads requests does nothing that is asked of it.
    Silent {
        /// Which thread, from 0 on.
        worker: usize,
    },
    /// The listeners of a thread cannot listen, or accept for a reason that does not pass by itself.
    Listener {
        /// Which thread, from 0 on.
        worker: usize,
        /// Why, as the system says.
        cause: Box<str>,
    },
}

impl fmt::Display for BackendFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended { worker, cause } => {
                write!(formatter, "worker thread {worker} has ended: {cause}")
            }
            Self::Silent { worker } => write!(formatter, "worker thread {worker} is held up"),
            Self::Listener { worker, cause } => {
                write!(formatter, "worker thread {worker} cannot listen: {cause}")
            }
        }
    }
}

/// Is told of failures of a backend.
pub trait FailureListener: Send + Sync {
    /// Something has failed. Called on the thread that it happened to: it must not wait for the backend.
    fn failed(&self, failure: BackendFailure);
}

/// A driver: in this process, machine-wide, or the system's own.
pub trait Backend: Send + Sync {
    /// Creates a server session.
    ///
    /// # Errors
    ///
    /// The backend has stopped.
    fn create_server_session(&self) -> Result<ServerSessionId, ApiError>;

    /// Closes a session and its groups; their ids become invalid (http-server-api C11).
    ///
    /// # Errors
    ///
    /// There is no such session.
    fn close_server_session(&self, session: ServerSessionId) -> Result<(), ApiError>;

    /// Sets a session's properties; they act at once.
    ///
    /// # Errors
    ///
    /// There is no such session, or a number is out of its range.
    fn set_session_properties(
        &self,
        session: ServerSessionId,
        properties: SessionProperties,
    ) -> Result<(), ApiError>;

    /// Creates a URL group, for ever of `session`.
    ///
    /// # Errors
    ///
    /// There is no such session.
    fn create_url_group(&self, session: ServerSessionId) -> Result<UrlGroupId, ApiError>;

    /// Closes a group; its prefixes are removed.
    ///
    /// # Errors
    ///
    /// There is no such group.
    fn close_url_group(&self, group: UrlGroupId) -> Result<(), ApiError>;

    /// Sets a group's properties; they act at once.
    ///
    /// # Errors
    ///
    /// There is no such group, or a number is out of its range.
    fn set_group_properties(
        &self,
        group: UrlGroupId,
        properties: GroupProperties,
    ) -> Result<(), ApiError>;

    /// Binds a group to a queue, or to none: then its requests get 503.
    ///
    /// # Errors
    ///
    /// There is no such group or queue.
    fn bind_request_queue(
        &self,
        group: UrlGroupId,
        queue: Option<RequestQueueId>,
    ) -> Result<(), ApiError>;

    /// Adds a prefix to a group and listens for it. `context` comes back with every request.
    ///
    /// # Errors
    ///
    /// The prefix is registered already, its port carries the other scheme, or its port cannot be
    /// listened on.
    fn add_url(&self, group: UrlGroupId, prefix: &UrlPrefix, context: u64) -> Result<(), ApiError>;

    /// Listens on a Unix socket; requests that arrive there are routed to `group` when their path is
    /// under `path`, whatever host they name.
    ///
    /// # Errors
    ///
    /// As [`add_url`](Self::add_url).
    fn add_unix_endpoint(
        &self,
        group: UrlGroupId,
        socket: &std::path::Path,
        path: &str,
        context: u64,
    ) -> Result<(), ApiError>;

    /// Removes a prefix from a group. A listener nobody needs any more closes.
    ///
    /// # Errors
    ///
    /// The prefix is not registered in this group.
    fn remove_url(&self, group: UrlGroupId, prefix: &UrlPrefix) -> Result<(), ApiError>;

    /// Stops listening on a Unix socket for requests under `path`.
    ///
    /// # Errors
    ///
    /// It was not added to this group.
    fn remove_unix_endpoint(
        &self,
        group: UrlGroupId,
        socket: &std::path::Path,
        path: &str,
    ) -> Result<(), ApiError>;

    /// Removes all prefixes and Unix endpoints from a group.
    ///
    /// # Errors
    ///
    /// There is no such group.
    fn remove_all_urls(&self, group: UrlGroupId) -> Result<(), ApiError>;

    /// Creates a request queue whose requests `application` answers.
    ///
    /// # Errors
    ///
    /// A number is out of its range, or threads could not be started.
    fn create_request_queue(
        &self,
        properties: QueueProperties,
        application: Arc<dyn Application>,
    ) -> Result<RequestQueueId, ApiError>;

    /// Sets a queue's properties; state, length, verbosity, the longest content and whether latency is measured
    /// act at once, the rest is
    /// for new queues.
    ///
    /// # Errors
    ///
    /// There is no such queue, or a number is out of its range.
    fn set_queue_properties(
        &self,
        queue: RequestQueueId,
        properties: QueueProperties,
    ) -> Result<(), ApiError>;

    /// Has `application` answer a queue's requests that come from now on. One that was given to the
    /// application before goes on with it; when the last of them has ended, the backend drops that. Lanes that
    /// are open stay.
    ///
    /// # Errors
    ///
    /// There is no such queue.
    fn set_application(
        &self,
        queue: RequestQueueId,
        application: Arc<dyn Application>,
    ) -> Result<(), ApiError>;

    /// Closes a queue: what waits in it gets 503 `AppShutdown`, groups bound to it become unbound.
    ///
    /// Its application's lanes are told to stop and dropped; their connections have a few seconds, after
    /// which they are reset. Returns when that is over, unless it is called by the application on one of
    /// the backend's own threads, which it cannot wait for.
    ///
    /// # Errors
    ///
    /// There is no such queue.
    fn close_request_queue(&self, queue: RequestQueueId) -> Result<(), ApiError>;

    /// A queue's handler threads, for connections that its application carries without a lane of the
    /// backend. Work that comes after the queue has closed is dropped.
    ///
    /// # Errors
    ///
    /// There is no such queue, or the backend lends its threads to lanes only.
    fn handler_threads(&self, queue: RequestQueueId) -> Result<HandlerThreads, ApiError> {
        let _ = queue;
        Err(ApiError::NotSupported {
            what: "handler threads without a lane",
        })
    }

    /// Reserves a prefix: it blocks lower-priority listeners even while nobody has registered it.
    ///
    /// # Errors
    ///
    /// The prefix is reserved already, or its port carries the other scheme.
    fn reserve_url(&self, prefix: &UrlPrefix, owner: ReservationOwner) -> Result<(), ApiError>;

    /// Deletes a reservation; it acts at once.
    ///
    /// # Errors
    ///
    /// The prefix is not reserved.
    fn delete_reservation(&self, prefix: &UrlPrefix) -> Result<(), ApiError>;

    /// Puts these reservations in the place of those that were set before, all at once: it acts at once, also on
    /// prefixes that are registered, which stay. `caller` is who registers from now on: to register takes the
    /// right to listen of the longest reservation that covers the prefix, or where there is none, that the caller
    /// is an administrator or the host is a loopback one (http-server-api §3 and C9). `None`: nobody is asked.
    ///
    /// # Errors
    ///
    /// A prefix is reserved twice, or its port carries the other scheme; all stays as it was. Or the backend
    /// keeps reservations of its own.
    fn set_reservations(
        &self,
        reservations: &[Reservation],
        caller: Option<Caller>,
    ) -> Result<(), ApiError> {
        let _ = (reservations, caller);
        Err(ApiError::NotSupported {
            what: "a set of reservations",
        })
    }

    /// The addresses that prefixes without an address of their own listen on, in place of all there are; none:
    /// all. Where the list changes while it is listened, the new addresses are opened before the old are closed.
    ///
    /// # Errors
    ///
    /// An address cannot be listened on, and all stays as it was; or the backend cannot choose.
    fn set_listen_addresses(&self, addresses: &[IpAddr]) -> Result<(), ApiError> {
        let _ = addresses;
        Err(ApiError::NotSupported {
            what: "a list of addresses to listen on",
        })
    }

    /// The timers of sessions that set none, and of connections before their first request was routed. They act
    /// at once.
    ///
    /// # Errors
    ///
    /// A timer is out of its range, or the backend's are set elsewhere.
    fn set_service_timeouts(&self, timeouts: &Timeouts) -> Result<(), ApiError> {
        let _ = timeouts;
        Err(ApiError::NotSupported {
            what: "timeouts of the whole service",
        })
    }

    /// Binds a certificate. New handshakes use it at once; open connections are not touched.
    ///
    /// # Errors
    ///
    /// The key is bound already, the certificate cannot be used, or the backend speaks no TLS.
    fn add_tls_binding(&self, key: &TlsBindingKey, binding: &TlsBinding) -> Result<(), ApiError> {
        let _ = (key, binding);
        Err(NO_TLS)
    }

    /// Replaces a binding, in place: there is no moment without one.
    ///
    /// # Errors
    ///
    /// The key is not bound, or the certificate cannot be used; what was bound stays then.
    fn update_tls_binding(
        &self,
        key: &TlsBindingKey,
        binding: &TlsBinding,
    ) -> Result<(), ApiError> {
        let _ = (key, binding);
        Err(NO_TLS)
    }

    /// Removes a binding.
    ///
    /// # Errors
    ///
    /// The key is not bound.
    fn remove_tls_binding(&self, key: &TlsBindingKey) -> Result<(), ApiError> {
        let _ = key;
        Err(NO_TLS)
    }

    /// All bindings, with the certificates in use.
    fn tls_bindings(&self) -> Vec<TlsBindingInfo> {
        Vec::new()
    }

    /// Reads the files of all bindings again, changed or not, now. A backend also does so by itself, a
    /// few seconds after one has changed.
    ///
    /// # Errors
    ///
    /// What was read cannot be used; what was in use before stays. Of several the first.
    fn reload_certificates(&self) -> Result<(), ApiError> {
        Ok(())
    }

    /// Which versions of HTTP are spoken on a port without TLS. Default both. Acts on new connections.
    ///
    /// # Errors
    ///
    /// The backend cannot choose.
    fn set_cleartext_protocols(&self, port: u16, protocols: HttpProtocols) -> Result<(), ApiError> {
        let _ = (port, protocols);
        Err(ApiError::NotSupported {
            what: "a choice of HTTP versions for each port",
        })
    }

    /// Flushes cached responses: those that `owner` owns, or anybody's. Says how many there were.
    ///
    /// It acts at once: nobody who asks after the call has returned gets one of them, nor an answer that an
    /// application was making meanwhile. What is being sent is sent to its end.
    ///
    /// # Errors
    ///
    /// What is to be flushed is no URL that a response could have.
    fn flush_cache(
        &self,
        owner: Option<RequestQueueId>,
        flush: &CacheFlush,
    ) -> Result<u64, ApiError> {
        let _ = (owner, flush);
        Ok(0)
    }

    /// The prefixes that are reserved, in no particular order.
    fn reserved_urls(&self) -> Vec<UrlPrefix> {
        Vec::new()
    }

    /// The responses in the cache now, by URL.
    fn cached_responses(&self) -> Vec<CachedResponse> {
        Vec::new()
    }

    /// What the response cache has counted.
    fn cache_counters(&self) -> CacheCounters {
        CacheCounters::default()
    }

    /// Has connections to a port begin with a header of the PROXY protocol, before TLS, that says whom they
    /// are passed on for; those that come from elsewhere than these ranges are closed. `None`: they begin as
    /// usual. Acts on new connections.
    ///
    /// # Errors
    ///
    /// The backend does not read such headers.
    fn set_proxy_protocol(
        &self,
        port: u16,
        trusted: Option<Vec<AddressRange>>,
    ) -> Result<(), ApiError> {
        let _ = (port, trusted);
        Err(ApiError::NotSupported {
            what: "the PROXY protocol",
        })
    }

    /// Has `filter` asked about each new connection; `None` accepts all.
    ///
    /// # Errors
    ///
    /// The backend cannot see connections, or has stopped.
    fn set_connection_filter(
        &self,
        filter: Option<Arc<dyn ConnectionFilter>>,
    ) -> Result<(), ApiError>;

    /// Several URLs are about to be added. Whoever connects where that opens a port waits until
    /// [`begin_accepting`](Self::begin_accepting), lest he be told that one of them is not there: it is to be called
    /// once for each call of this. A backend that cannot have them wait lets them in with the first URL.
    fn hold_accepting(&self) {}

    /// All URLs of a server have been added, or none will be: clients that wait for it may come in, also at sockets
    /// that were kept for it.
    fn begin_accepting(&self) {}

    /// Has `listener` told when a part of the backend fails; `None`: nobody. A backend without parts that could
    /// fail by themselves tells nothing.
    fn set_failure_listener(&self, listener: Option<Arc<dyn FailureListener>>) {
        let _ = listener;
    }

    /// Whether all threads that read requests do what is asked of them, within this time.
    ///
    /// # Errors
    ///
    /// One does not.
    fn probe(&self, within: Duration) -> Result<(), BackendFailure> {
        let _ = within;
        Ok(())
    }

    /// Where the backend listens now.
    fn endpoints(&self) -> Vec<Endpoint>;

    /// How many connections are open now.
    fn connection_count(&self) -> u64;

    /// What there is: sessions, URL groups, request queues, and what they have counted.
    fn service_state(&self) -> ServiceState {
        ServiceState::default()
    }

    /// What the whole backend has counted.
    fn counters(&self) -> BackendCounters {
        BackendCounters::default()
    }

    /// Open connections, in the order of their numbers. Those that begin or end meanwhile may be there or
    /// not.
    fn connections(&self, page: ConnectionPage) -> Vec<OpenConnection> {
        let _ = page;
        Vec::new()
    }

    /// Resets a connection, whatever it is doing. False when there is none of this number.
    fn disconnect(&self, connection: ConnectionId) -> bool {
        let _ = connection;
        false
    }

    /// What the backend runs on.
    fn info(&self) -> BackendInfo {
        BackendInfo::default()
    }

    /// Gives the system all records that logs have taken so far, and looks whether their files are still
    /// where they were: one that was moved away is begun anew. Returns when that is done.
    ///
    /// Source: the administration tool's `flush logbuffer`, http-server-api §13.
    fn flush_log_buffer(&self) {}

    /// What has become of the records of logs so far.
    fn log_counters(&self) -> LogCounters {
        LogCounters::default()
    }

    /// Stops: accepts no more, finishes what is in progress within `deadline`, then closes. Returns
    /// when all threads have ended, but for handler threads that the application holds longer than that and
    /// a second more: these end when it returns. Safe to call twice.
    fn stop(&self, deadline: Duration);
}

const NO_TLS: ApiError = ApiError::NotSupported {
    what: "TLS by this backend",
};
