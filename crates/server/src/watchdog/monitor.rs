//! Finds out whether a server answers, as its clients would: over its own listeners.
//!
//! The monitor has a URL of its own at each host and port of the server, with a request queue of its own, so
//! that neither the application nor its rules have to do with it; and it is let in wherever it connects from,
//! by the address that it tells beforehand (`MonitorPeers`). What is done about a server that does not answer
//! is `watchdog`'s matter, or the service manager's.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tidegate_httpapi::{
    AddressRange, ApiError, Application, Backend, BackendFailure, Endpoint, Exchange, Host,
    HttpProtocols, OperatingMode, PeerAddress, QueueProperties, RequestQueueId, ResponseHead,
    Scheme, ServerSessionId, UrlGroupId, UrlPrefix,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Handle;

use crate::binding::{Binding, Place};
use crate::forward::unverified_tls;
use crate::settings::Settings;

/// Why a server is taken for one that does not answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ProbeError {
    /// It does not run.
    NotStarted,
    /// A thread that reads requests does nothing, or has ended.
    Worker(BackendFailure),
    /// Nobody could ask: the driver refuses the monitor's URL, or there is no runtime to ask on.
    NotAsked(Arc<dyn std::error::Error + Send + Sync>),
    /// A client has no answer.
    Client {
        /// Where it connected to.
        endpoint: Box<str>,
        /// What it met instead.
        fault: ProbeFault,
    },
}

/// What a client met instead of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProbeFault {
    /// It could not connect, or the connection broke.
    Connection(io::ErrorKind),
    /// The connection ended without an answer.
    Closed,
    /// What came is no answer.
    Malformed,
    /// Nothing came in time.
    TimedOut,
}

impl fmt::Display for ProbeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted => formatter.write_str("the server does not run"),
            Self::Worker(failure) => failure.fmt(formatter),
            Self::NotAsked(error) => write!(formatter, "the server could not be asked: {error}"),
            Self::Client { endpoint, fault } => {
                write!(formatter, "a client at {endpoint} has no answer: ")?;
                match fault {
                    ProbeFault::Connection(kind) => kind.fmt(formatter),
                    ProbeFault::Closed => formatter.write_str("the connection was closed"),
                    ProbeFault::Malformed => formatter.write_str("what came is none"),
                    ProbeFault::TimedOut => formatter.write_str("nothing came in time"),
                }
            }
        }
    }
}

impl std::error::Error for ProbeError {}

/// The local addresses that the monitor is about to connect from.
#[derive(Default)]
pub(crate) struct MonitorPeers {
    addresses: Mutex<Vec<SocketAddr>>,
    /// How many there are; mostly none, and nobody takes the lock.
    count: AtomicUsize,
    /// Connections to Unix sockets, which come from nowhere, that were refused.
    unix_refused: AtomicUsize,
}

impl MonitorPeers {
    /// Whether a connection is the monitor's.
    pub(crate) fn contain(&self, peer: &PeerAddress) -> bool {
        // Acquire: pairs with the Release of who put an address there before connecting.
        if self.count.load(Ordering::Acquire) == 0 {
            return false;
        }
        let PeerAddress::Tcp(peer) = peer else {
            return false;
        };
        let addresses = self.addresses.lock();
        addresses
            .unwrap_or_else(PoisonError::into_inner)
            .contains(peer)
    }

    /// A connection was refused by the application or its rules. It may have been the monitor's, which has its
    /// answer then: somebody looks after the socket.
    pub(crate) fn refused(&self, peer: &PeerAddress) {
        if matches!(peer, PeerAddress::Unix(_)) {
            self.unix_refused.fetch_add(1, Ordering::Release);
        }
    }

    fn add(self: &Arc<Self>, address: SocketAddr) -> Announced {
        let addresses = self.addresses.lock();
        let mut addresses = addresses.unwrap_or_else(PoisonError::into_inner);
        addresses.push(address);
        self.count.store(addresses.len(), Ordering::Release);
        Announced {
            peers: Arc::clone(self),
            address,
        }
    }
}

/// An address that was told; forgotten when dropped.
struct Announced {
    peers: Arc<MonitorPeers>,
    address: SocketAddr,
}

impl Drop for Announced {
    fn drop(&mut self) {
        let addresses = self.peers.addresses.lock();
        let mut addresses = addresses.unwrap_or_else(PoisonError::into_inner);
        addresses.retain(|address| *address != self.address);
        self.peers.count.store(addresses.len(), Ordering::Release);
    }
}

/// What the monitor has at a driver.
pub(crate) struct Monitor {
    backend: Arc<dyn Backend>,
    session: ServerSessionId,
    group: UrlGroupId,
    queue: RequestQueueId,
    /// Under which it is reached; nobody else knows.
    path: Box<str>,
    /// The server's, for which it has URLs.
    bindings: Vec<Binding>,
    doors: Vec<Door>,
}

/// A URL of the monitor's, or a Unix socket with one.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Door {
    Url {
        prefix: UrlPrefix,
        protocols: HttpProtocols,
        /// Who may pass on connections there, if they are passed on.
        proxies: Option<Vec<AddressRange>>,
    },
    Unix(PathBuf),
}

impl Door {
    fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Url { prefix: one, .. }, Self::Url { prefix: two, .. }) => one == two,
            (one, two) => one == two,
        }
    }
}

impl Monitor {
    /// Makes all that it takes to be asked.
    pub(crate) fn open(backend: &Arc<dyn Backend>) -> Result<Self, ApiError> {
        let mut properties = QueueProperties::default();
        // Nothing may stand between it and the worker that reads the request.
        properties.operating_mode = OperatingMode::HighPerf;
        properties.skip_completion_on_success = true;
        properties.thread_pool_size = 1;
        let session = backend.create_server_session()?;
        let made = || -> Result<_, ApiError> {
            let queue = backend.create_request_queue(properties, Arc::new(Bell))?;
            let group = backend.create_url_group(session)?;
            backend.bind_request_queue(group, Some(queue))?;
            Ok((group, queue))
        };
        let (group, queue) = match made() {
            Ok(made) => made,
            Err(error) => {
                let _ = backend.close_server_session(session);
                return Err(error);
            }
        };
        // No secret: it only must not be what somebody else might ask for.
        let number = || RandomState::new().build_hasher().finish();
        Ok(Self {
            backend: Arc::clone(backend),
            session,
            group,
            queue,
            path: format!(
                "/.well-known/tidegate-monitor/{:016x}{:016x}/",
                number(),
                number()
            )
            .into(),
            bindings: Vec::new(),
            doors: Vec::new(),
        })
    }

    pub(crate) fn is_of(&self, backend: &Arc<dyn Backend>) -> bool {
        Arc::ptr_eq(&self.backend, backend)
    }

    /// Has URLs at these bindings, and no others.
    pub(crate) fn follow(
        &mut self,
        bindings: &[Binding],
        settings: &Settings,
    ) -> Result<(), ApiError> {
        if self.bindings == bindings {
            return Ok(());
        }
        let wanted = self.doors_of(bindings, settings);
        let is_among =
            |among: &[Door], door: &Door| among.iter().any(|other| other.is_same_place(door));
        for door in &self.doors {
            if !is_among(&wanted, door) {
                // A port that the server has left may have gone with it.
                let _ = self.remove(door);
            }
        }
        let mut open: Vec<Door> = Vec::new();
        let mut added = Ok(());
        for door in wanted {
            if !is_among(&self.doors, &door) {
                added = self.add(&door);
                if added.is_err() {
                    break;
                }
            }
            open.push(door);
        }
        self.doors = open;
        if added.is_ok() {
            self.bindings = bindings.to_vec();
        }
        added
    }

    fn doors_of(&self, bindings: &[Binding], settings: &Settings) -> Vec<Door> {
        let mut doors: Vec<Door> = Vec::new();
        for binding in bindings {
            let door = match binding.place() {
                Place::Prefix(prefix) => {
                    let mut prefix = prefix.clone();
                    prefix.path = self.path.clone();
                    let proxies = binding.proxy_protocol().unwrap_or(&settings.proxy_protocol);
                    Door::Url {
                        prefix,
                        protocols: binding.protocols().unwrap_or(settings.protocols),
                        proxies: proxies.trusted(),
                    }
                }
                Place::Unix { socket, .. } => Door::Unix(socket.clone()),
            };
            if !doors.iter().any(|other| other.is_same_place(&door)) {
                doors.push(door);
            }
        }
        doors
    }

    fn add(&self, door: &Door) -> Result<(), ApiError> {
        match door {
            Door::Url { prefix, .. } => self.backend.add_url(self.group, prefix, 0),
            Door::Unix(socket) => self
                .backend
                .add_unix_endpoint(self.group, socket, &self.path, 0),
        }
    }

    fn remove(&self, door: &Door) -> Result<(), ApiError> {
        match door {
            Door::Url { prefix, .. } => self.backend.remove_url(self.group, prefix),
            Door::Unix(socket) => self
                .backend
                .remove_unix_endpoint(self.group, socket, &self.path),
        }
    }

    /// Gives back what it has at a driver that goes on.
    pub(crate) fn close(self) {
        // What fails here is gone already, or the driver has stopped.
        let _ = self.backend.close_server_session(self.session);
        let _ = self.backend.close_request_queue(self.queue);
    }

    /// What is to be asked: each address listened on, once.
    pub(crate) fn questions(&self) -> Vec<Question> {
        let endpoints = self.backend.endpoints();
        endpoints
            .iter()
            .filter_map(|endpoint| self.question(endpoint))
            .collect()
    }

    fn question(&self, endpoint: &Endpoint) -> Option<Question> {
        let at = match endpoint {
            Endpoint::Tcp(address) => *address,
            Endpoint::Unix(path) => {
                let is_ours = self.doors.contains(&Door::Unix(path.clone()));
                return is_ours.then(|| Question {
                    to: To::Unix(path.clone()),
                    host: "localhost".to_owned(),
                    path: self.path.clone(),
                    tls: false,
                    http2: false,
                    preface: &[],
                });
            }
        };
        let ip = match at.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        self.doors.iter().find_map(|door| {
            let Door::Url {
                prefix,
                protocols,
                proxies,
            } = door
            else {
                return None;
            };
            if prefix.port != at.port() {
                return None;
            }
            let preface: &[u8] = match proxies {
                None => &[],
                Some(trusted) if trusted.iter().any(|range| range.contains(ip)) => {
                    b"PROXY UNKNOWN\r\n"
                }
                Some(_) => return None,
            };
            Some(Question {
                to: To::Tcp(SocketAddr::new(ip, at.port())),
                host: host_for(&prefix.host, ip)?,
                path: self.path.clone(),
                tls: prefix.scheme == Scheme::Https,
                http2: *protocols == HttpProtocols::HTTP2,
                preface,
            })
        })
    }
}

/// What a client names to get to a host; `None`: at this address there is no getting there.
fn host_for(host: &Host, at: IpAddr) -> Option<String> {
    match host {
        Host::Name {
            address: Some(address),
            ..
        } if *address != at => None,
        Host::Name {
            name, subdomains, ..
        } => Some(match subdomains {
            true => format!("monitor.{name}"),
            false => name.to_string(),
        }),
        Host::Address(address) => (*address == at).then(|| match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        }),
        _ => Some("localhost".to_owned()),
    }
}

/// Answers the monitor.
struct Bell;

impl Application for Bell {
    fn request(&self, exchange: Exchange<'_>) {
        exchange.respond(ResponseHead::new(204), Default::default());
    }
}

/// One request of the monitor's.
#[derive(Debug)]
pub(crate) struct Question {
    to: To,
    host: String,
    path: Box<str>,
    tls: bool,
    http2: bool,
    /// Comes before all else.
    preface: &'static [u8],
}

#[derive(Clone, Debug)]
enum To {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for To {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// Asks all at once, and waits for their answers.
pub(crate) fn ask(
    questions: Vec<Question>,
    within: Duration,
    runtime: &Handle,
    peers: &Arc<MonitorPeers>,
) -> Result<(), ProbeError> {
    let (sender, answers) = mpsc::channel();
    for question in questions {
        let (sender, peers) = (sender.clone(), Arc::clone(peers));
        runtime.spawn(async move {
            let endpoint = question.to.to_string().into();
            let asked = tokio::time::timeout(within, question.ask(&peers)).await;
            let answer = asked.unwrap_or(Err(ProbeFault::TimedOut));
            // Whoever asked may have what he needs.
            let _ = sender.send(answer.map_err(|fault| ProbeError::Client { endpoint, fault }));
        });
    }
    drop(sender);
    answers.into_iter().collect()
}

impl Question {
    async fn ask(self, peers: &Arc<MonitorPeers>) -> Result<(), ProbeFault> {
        match self.to.clone() {
            To::Tcp(address) => {
                let socket = match address {
                    SocketAddr::V4(_) => TcpSocket::new_v4(),
                    SocketAddr::V6(_) => TcpSocket::new_v6(),
                };
                let socket = socket.map_err(connection)?;
                socket
                    .bind(SocketAddr::new(address.ip(), 0))
                    .map_err(connection)?;
                let _announced = peers.add(socket.local_addr().map_err(connection)?);
                let stream = socket.connect(address).await.map_err(connection)?;
                self.ask_over_tcp(stream).await
            }
            #[cfg(unix)]
            To::Unix(path) => {
                let refused = || peers.unix_refused.load(Ordering::Acquire);
                let before = refused();
                let stream = tokio::net::UnixStream::connect(path).await;
                match self.ask_over(stream.map_err(connection)?).await {
                    Err(ProbeFault::Closed | ProbeFault::Connection(_)) if refused() != before => {
                        Ok(())
                    }
                    answered => answered,
                }
            }
            #[cfg(not(unix))]
            To::Unix(_) => Ok(()),
        }
    }

    async fn ask_over_tcp(&self, mut stream: TcpStream) -> Result<(), ProbeFault> {
        stream.write_all(self.preface).await.map_err(connection)?;
        if !self.tls {
            return self.ask_over(stream).await;
        }
        let protocol: &[u8] = if self.http2 { b"h2" } else { b"http/1.1" };
        // Without cryptography the server has no TLS either.
        let connector = unverified_tls(&[protocol]).ok_or(ProbeFault::Malformed)?;
        let name = self.host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(name).map_err(|_| ProbeFault::Malformed)?;
        match connector.connect(name, stream).await {
            Ok(stream) => match self.ask_over(stream).await {
                // As below, when client certificates are looked at last.
                Err(ProbeFault::Connection(io::ErrorKind::InvalidData)) => Ok(()),
                answered => answered,
            },
            // Whoever says what he does not like answers: that the monitor has no certificate, say.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(()),
            Err(error) => Err(connection(error)),
        }
    }

    async fn ask_over(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<(), ProbeFault> {
        let Self { host, path, .. } = self;
        if self.http2 {
            return self.ask_over_http2(stream).await;
        }
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream
            .write_all(request.as_bytes())
            .await
            .map_err(connection)?;
        stream.flush().await.map_err(connection)?;
        let mut answer = [0; ANSWER.len()];
        match stream.read_exact(&mut answer).await {
            Ok(_) if answer == *ANSWER => Ok(()),
            Ok(_) => Err(ProbeFault::Malformed),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ProbeFault::Closed),
            Err(error) => Err(connection(error)),
        }
    }

    async fn ask_over_http2(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<(), ProbeFault> {
        let fault = |error: h2::Error| match error.get_io() {
            Some(error) => ProbeFault::Connection(error.kind()),
            None => ProbeFault::Closed,
        };
        let scheme = if self.tls { "https" } else { "http" };
        let request = http::Request::get(format!("{scheme}://{}{}", self.host, self.path));
        let request = request.body(()).map_err(|_| ProbeFault::Malformed)?;
        let (sender, running) = h2::client::handshake(stream).await.map_err(fault)?;
        // Ends with the last stream and its sender.
        tokio::spawn(async move { running.await.is_ok() });
        let mut sender = sender.ready().await.map_err(fault)?;
        let (answer, _) = sender.send_request(request, true).map_err(fault)?;
        answer.await.map(|_| ()).map_err(fault)
    }
}

fn connection(error: io::Error) -> ProbeFault {
    ProbeFault::Connection(error.kind())
}

/// What any answer begins with.
const ANSWER: &[u8; 7] = b"HTTP/1.";
