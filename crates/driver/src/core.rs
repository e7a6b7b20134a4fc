//! What a worker has beside its connections: clocks, memory, the logs, the way to the others.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::Waker;
use std::time::Instant;

use tidegate_engine::{ConnectionCount, HostRoute, PortKey, Snapshot, TimerWheel, WorkerCounters};
use tidegate_httpapi::{
    AddressRange, BackendFailure, ConnectionFilter, FailureListener, HttpProtocols, PeerAddress,
    TlsInfo, Version,
};
use tidegate_os::{ConnectionKey, EndpointAddress, Operations};
use tidegate_proto::http1::{Reject, UsualEnd, parse_authority};

use crate::applications::Applications;
use crate::bandwidth::{Paced, WorkerShaper};
use crate::cache::{ResponseCache, WorkerCache};
use crate::clock::Clock;
use crate::connection::Connection;
use crate::connection::deadline::JudgedSend;
use crate::connection::request::ReceivedRequest;
use crate::connection::respond::Seen;
use crate::content::PieceMemory;
use crate::counting::OwnCounters;
use crate::error_log::{ErrorLog, ErrorRecord};
use crate::file_reader::FileReader;
use crate::http2::Tunnels;
use crate::lanes::Lanes;
use crate::mailbox::Mailbox;
use crate::output::Pool;
use crate::pending::Ends;
use crate::queue::Queue;
use crate::request_log::{RequestLog, WorkerLog};
use crate::settings::EmbeddedSettings;
use crate::tls::Bindings;
use crate::view::KnownRoute;

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) settings: EmbeddedSettings,
    /// When the driver began.
    pub(crate) began: Instant,
    pub(crate) error_log: ErrorLog,
    pub(crate) request_log: RequestLog,
    pub(crate) cache: ResponseCache,
    /// Reads the files that are not in memory.
    pub(crate) file_reader: FileReader,
    pub(crate) connections: Arc<ConnectionCount>,
    /// What workers have counted, each for itself.
    pub(crate) counters: Box<[Arc<WorkerCounters>]>,
    /// The version of the last snapshot that is in all mailboxes.
    pub(crate) published: AtomicU64,
    /// Which certificate a new connection gets. Written when one changes, read once for each handshake.
    pub(crate) tls_bindings: RwLock<Arc<Bindings>>,
    /// The versions of HTTP spoken on new connections without TLS, by port, where not both are.
    pub(crate) cleartext: RwLock<HashMap<u16, HttpProtocols>>,
    /// Whose PROXY headers are awaited, by port.
    pub(crate) proxies: RwLock<HashMap<u16, Arc<[AddressRange]>>>,
    /// There is something in `proxies`.
    pub(crate) has_proxies: AtomicBool,
    /// Who is told of failures of workers. Locked to set it, and when something has failed.
    pub(crate) failure_listener: Mutex<Option<Arc<dyn FailureListener>>>,
    /// There is something in `cleartext`: mostly there is not, and nobody takes its lock.
    pub(crate) has_cleartext: AtomicBool,
}

impl Shared {
    /// Tells that a worker has failed.
    #[cold]
    pub(crate) fn failed(&self, failure: BackendFailure) {
        tracing::error!("{failure}");
        let listener = self.failure_listener.lock();
        let listener = listener.unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(listener) = listener {
            listener.failed(failure);
        }
    }

    /// The certificates as they are now.
    pub(crate) fn tls_bindings(&self) -> Arc<Bindings> {
        let bindings = self.tls_bindings.read();
        Arc::clone(&bindings.unwrap_or_else(PoisonError::into_inner))
    }

    /// The versions of HTTP spoken on a port without TLS.
    pub(crate) fn cleartext_protocols(&self, port: PortKey) -> HttpProtocols {
        // Acquire: what was put there before is visible.
        let PortKey::Tcp(port) = port else {
            return HttpProtocols::BOTH;
        };
        if !self.has_cleartext.load(Ordering::Acquire) {
            return HttpProtocols::BOTH;
        }
        let chosen = self
            .cleartext
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        chosen.get(&port).copied().unwrap_or_default()
    }
}

/// A worker's own things. Its connections are apart, so that one of them and this can be held at once.
pub(crate) struct Core {
    /// Which worker this is, from 0 on.
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) clock: Clock,
    pub(crate) wheel: TimerWheel<ConnectionKey>,
    pub(crate) pool: Pool,
    /// Memory for content on its way to readers.
    pub(crate) pieces: Arc<PieceMemory>,
    /// Who waits for a limit on bandwidth; `None` while there is no limit.
    pub(crate) shaper: Option<Box<WorkerShaper>>,
    /// Whether responses have limits of their own.
    pub(crate) paced: Paced,
    /// What judged long sends that are over.
    #[expect(
        clippy::vec_box,
        reason = "they move in and out of connections, never themselves"
    )]
    pub(crate) spare_judged: Vec<Box<JudgedSend>>,
    pub(crate) cache: WorkerCache,
    pub(crate) counters: OwnCounters,
    pub(crate) request_log: WorkerLog,
    pub(crate) filter: Option<Arc<dyn ConnectionFilter>>,
    /// By when all must have ended, once the driver stops.
    pub(crate) draining: Option<Instant>,
    /// Who speaks for upgraded connections.
    pub(crate) lanes: Lanes,
    /// Upgraded connections for which something is to be done at the end of the turn.
    pub(crate) listed: VecDeque<ConnectionKey>,
    /// Where the streams are that carry WebSocket.
    pub(crate) tunnels: Tunnels,
    /// Which certificate a connection gets, as it was for the last handshake.
    pub(crate) tls_bindings: Arc<Bindings>,
    /// What answers requests.
    pub(crate) applications: Applications,
    /// Readers of content that are to be woken when the turn ends.
    pub(crate) wakers: Vec<Waker>,
    /// What usual heads end with.
    pub(crate) usual_end: UsualEnd,
    locals: Vec<IpAddr>,
    memo: HostMemo,
    next_id: u64,
}

impl Core {
    pub(crate) fn new(shared: Arc<Shared>, mailbox: Arc<Mailbox>, index: usize) -> Self {
        let clock = Clock::new();
        let settings = &shared.settings;
        let usual_end = UsualEnd::new(&settings.server_token, settings.server_header, clock.date());
        Self {
            index,
            usual_end,
            wheel: TimerWheel::new(clock.tick()),
            clock,
            counters: OwnCounters::new(&shared.counters, index),
            request_log: shared.request_log.worker(),
            shared,
            mailbox,
            pool: Pool::default(),
            pieces: Arc::default(),
            shaper: None,
            paced: Paced::default(),
            spare_judged: Vec::new(),
            cache: WorkerCache::default(),
            filter: None,
            draining: None,
            lanes: Lanes::default(),
            listed: VecDeque::new(),
            tunnels: Tunnels::default(),
            applications: Applications::default(),
            wakers: Vec::new(),
            tls_bindings: Arc::default(),
            locals: Vec::new(),
            memo: HostMemo::default(),
            next_id: 0,
        }
    }

    /// Reads the clock, and makes anew what holds for a second.
    pub(crate) fn begin_turn(&mut self) {
        if self.clock.update() {
            self.usual_end.set_date(self.clock.date());
        }
    }

    /// Wakes whoever reads content that came in this turn.
    pub(crate) fn wake_readers(&mut self) {
        for waker in self.wakers.drain(..) {
            if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
                tracing::error!("a reader of content panicked when it was woken");
            }
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// A number no other connection or request of this process has.
    #[inline]
    pub(crate) fn next_request(&mut self) -> u64 {
        // Taken from the common counter a block at a time, so that workers do not meet there.
        if self.next_id.is_multiple_of(IDS_AT_ONCE) {
            self.next_id = NEXT_IDS.fetch_add(IDS_AT_ONCE, Ordering::Relaxed);
        }
        self.next_id += 1;
        self.next_id
    }

    /// Where to search for a host's registrations. RFC 9112 §3.2, http-server-api §2.3.
    #[inline(always)]
    pub(crate) fn hosts<O: Operations>(
        &mut self,
        snapshot: &Snapshot<Queue>,
        operations: &O,
        conn: &mut Connection,
        request: &ReceivedRequest<'_>,
    ) -> Result<HostRoute, Reject> {
        let version = snapshot.version();
        if let Some(known) = request.route.and_then(Cell::get)
            && known.version == version
            && known.port == conn.port
            && known.local == conn.local
        {
            return Ok(known.route);
        }
        let host = request.head.host.map(|span| span.of(request.bytes));
        let route = match self.memo.find(version, conn, host) {
            Some(known) => known,
            None => self.find_hosts(snapshot, operations, conn, host)?,
        };
        // Without a host the local address decides, which may differ between connections.
        if let (Some(kept), Some(_)) = (request.route, host) {
            kept.set(Some(KnownRoute {
                version,
                port: conn.port,
                local: conn.local,
                route,
            }));
        }
        Ok(route)
    }

    #[cold]
    fn find_hosts<O: Operations>(
        &mut self,
        snapshot: &Snapshot<Queue>,
        operations: &O,
        conn: &mut Connection,
        host: Option<&[u8]>,
    ) -> Result<HostRoute, Reject> {
        if snapshot.depends_on_local_address(conn.port) && conn.local.is_none() {
            conn.local = self.find_local(operations, conn.key);
            if let Some(known) = self.memo.find(snapshot.version(), conn, host) {
                return Ok(known);
            }
        }
        let local = conn.local.map(|index| self.locals[usize::from(index)]);
        let found = match host {
            Some(host) => {
                let authority = parse_authority(host)?;
                snapshot.hosts(conn.port, authority.host, local)
            }
            // HTTP/1.0 without Host: the address it arrived at stands for the host.
            None => {
                let local = local.or_else(|| local_ip(operations, conn.key));
                let host = match local {
                    Some(IpAddr::V6(address)) => format!("[{address}]"),
                    Some(IpAddr::V4(address)) => address.to_string(),
                    None => String::new(),
                };
                snapshot.hosts(conn.port, &host, local)
            }
        };
        if let Some(host) = host {
            self.memo.keep(snapshot.version(), conn, host, found);
        }
        Ok(found)
    }

    /// Gives a connection of a listener bound to one address that address without asking the system.
    pub(crate) fn intern_local(&mut self, address: IpAddr) -> Option<u16> {
        let known = self.locals.iter().position(|&local| local == address);
        let index = known.unwrap_or_else(|| {
            self.locals.push(address);
            self.locals.len() - 1
        });
        u16::try_from(index).ok()
    }

    fn find_local<O: Operations>(&mut self, operations: &O, key: ConnectionKey) -> Option<u16> {
        self.intern_local(local_ip(operations, key)?)
    }

    pub(crate) fn peer<O: Operations>(&self, operations: &O, conn: &Connection) -> PeerAddress {
        match &conn.ends {
            Some(ends) => ends.peer.clone(),
            None => match conn.told_ends() {
                Some(told) => PeerAddress::Tcp(told.source),
                None => peer_of_socket(operations, conn),
            },
        }
    }

    pub(crate) fn local<O: Operations>(&self, operations: &O, conn: &Connection) -> PeerAddress {
        match &conn.ends {
            Some(ends) => ends.local.clone(),
            None => match conn.told_ends() {
                Some(told) => PeerAddress::Tcp(told.destination),
                None => address(operations.local_address(conn.key)),
            },
        }
    }

    /// What secures a connection.
    pub(crate) fn tls_info(&self, conn: &Connection) -> Option<Arc<TlsInfo>> {
        conn.tls.as_ref()?.session().info().cloned()
    }

    /// Both ends' addresses, to be kept away from the worker.
    pub(crate) fn ends<O: Operations>(&self, operations: &O, conn: &mut Connection) -> Arc<Ends> {
        if let Some(ends) = &conn.ends {
            return Arc::clone(ends);
        }
        let ends = Arc::new(Ends {
            peer: self.peer(operations, conn),
            local: self.local(operations, conn),
            tls: self.tls_info(conn),
        });
        conn.ends = Some(Arc::clone(&ends));
        ends
    }

    /// Writes a line into the HTTPERR log.
    #[cold]
    pub(crate) fn log<O: Operations>(
        &mut self,
        operations: &O,
        conn: &Connection,
        reason: &'static str,
        status: Option<u16>,
        seen: Seen<'_>,
    ) {
        if !self.shared.settings.error_log.enabled {
            return;
        }
        let mut record = ErrorRecord::of_connection(
            self.peer(operations, conn),
            self.local(operations, conn),
            reason,
        );
        record.status = status;
        record.site_id = conn.group.as_ref().map(|group| group.id.0);
        match seen {
            Seen::Nothing => {}
            Seen::Line(line, bytes) => {
                let part = |span: Option<tidegate_httpapi::Span>| {
                    span.map_or_else(Vec::new, |span| span.of(bytes).to_vec())
                };
                record.method = part(line.method);
                record.uri = part(line.target);
                record.version = part(line.version);
            }
            Seen::Head(line, bytes) => {
                record.method = line.method.of(bytes).to_vec();
                record.uri = line.target.of(bytes).to_vec();
                record.version = match line.version {
                    Version::Http10 => b"HTTP/1.0".to_vec(),
                    Version::Http2 => b"HTTP/2.0".to_vec(),
                    _ => b"HTTP/1.1".to_vec(),
                };
            }
        }
        self.shared.error_log.record(record);
    }
}

fn local_ip<O: Operations>(operations: &O, key: ConnectionKey) -> Option<IpAddr> {
    match operations.local_address(key)? {
        EndpointAddress::Tcp(address) => Some(address.ip()),
        EndpointAddress::Unix => None,
    }
}

fn peer_of_socket<O: Operations>(operations: &O, conn: &Connection) -> PeerAddress {
    if let Some(&known) = conn.peer.get() {
        return PeerAddress::Tcp(known);
    }
    let peer = address(operations.peer_address(conn.key));
    if let PeerAddress::Tcp(address) = peer {
        conn.peer.get_or_init(|| address);
    }
    peer
}

pub(crate) fn address(endpoint: Option<EndpointAddress>) -> PeerAddress {
    match endpoint {
        Some(EndpointAddress::Tcp(address)) => PeerAddress::Tcp(address),
        Some(EndpointAddress::Unix) => PeerAddress::Unix(None),
        None => PeerAddress::Unknown,
    }
}

/// The last hosts asked for and where they were found.
///
/// Nearly all requests name one of very few hosts, so the text is compared instead of being checked and
/// looked up anew. An entry is good for one snapshot, port and local address.
#[derive(Default)]
struct HostMemo {
    version: u64,
    entries: Vec<MemoEntry>,
    /// The entry to be replaced next.
    oldest: usize,
}

struct MemoEntry {
    port: PortKey,
    local: Option<u16>,
    host: Box<[u8]>,
    route: HostRoute,
}

impl HostMemo {
    #[inline]
    fn find(&self, version: u64, conn: &Connection, host: Option<&[u8]>) -> Option<HostRoute> {
        let host = host?;
        if version != self.version {
            return None;
        }
        self.entries
            .iter()
            .find(|entry| {
                *entry.host == *host && entry.port == conn.port && entry.local == conn.local
            })
            .map(|entry| entry.route)
    }

    fn keep(&mut self, version: u64, conn: &Connection, host: &[u8], route: HostRoute) {
        if version != self.version {
            self.version = version;
            self.entries.clear();
        }
        let entry = MemoEntry {
            port: conn.port,
            local: conn.local,
            host: host.into(),
            route,
        };
        if self.entries.len() < MEMO_ENTRIES {
            self.entries.push(entry);
        } else {
            self.oldest = (self.oldest + 1) % MEMO_ENTRIES;
            self.entries[self.oldest] = entry;
        }
    }
}

/// Hosts remembered. A peer that names many only makes the search as slow as without a memo.
const MEMO_ENTRIES: usize = 8;

/// Connections and requests are numbered from here, across all drivers of the process.
static NEXT_IDS: AtomicU64 = AtomicU64::new(0);

/// Numbers a worker takes at once.
const IDS_AT_ONCE: u64 = 1 << 16;
