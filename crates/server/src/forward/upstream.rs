//! One server that requests are forwarded to: connections to it, those kept for the next request, and how
//! it is doing.
//!
//! How a request and its response go over a connection is in `http1` and `http2`.

pub(super) mod http1;
pub(super) mod http2;
mod stream;
mod tls;

pub(crate) use tls::unverified_tls;

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidegate_httpapi::{FieldBlock, HomeThread, RequestLimits};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use self::http1::Http1Connection;
pub(super) use self::stream::BoxIo;
use self::stream::HomeStream;
use self::tls::Tls;
pub(crate) use self::tls::client_config;
use super::error::ForwardFailure;
use super::fault::ForwardFault;
use super::health::Health;
use super::settings::{ForwardSettings, UpstreamHttp2, UpstreamTls};
use super::url::UpstreamUrl;

/// The head of a response as it is passed on.
#[derive(Debug)]
pub(super) struct AnswerHead {
    pub(super) status: u16,
    /// Where it is not the standard one.
    pub(super) reason: Option<Box<str>>,
    /// All that are passed on.
    pub(super) fields: FieldBlock,
    /// The length of the content, if it is known.
    pub(super) length: Option<u64>,
    /// What `Content-Length` says, whether or not there is content.
    pub(super) told_length: Option<u64>,
    /// The protocol that is spoken from now on, with status 101.
    pub(super) upgrade: Option<Box<[u8]>>,
}

/// A server that requests are forwarded to.
pub(super) struct Upstream {
    pub(super) url: UpstreamUrl,
    /// The value of `Host`.
    pub(super) authority: String,
    pub(super) limits: RequestLimits,
    pub(super) health: Health,
    /// Requests in progress.
    active: AtomicUsize,
    http2: UpstreamHttp2,
    tls: Option<Tls>,
    connect_timeout: Duration,
    idle_max: usize,
    idle_timeout: Duration,
    /// Requests that it was given.
    pub(super) requests: AtomicU64,
    /// Those of them that failed by its fault.
    pub(super) failures: AtomicU64,
    /// Connections that nobody uses, the one used last at the end. Held to put in or take out.
    idle: Mutex<Vec<Idle>>,
    /// The connection that carries requests in HTTP/2.
    shared: Mutex<Option<h2::client::SendRequest<Bytes>>>,
    /// Has whoever looks after kept connections look.
    reaper: Mutex<bool>,
}

struct Idle {
    connection: Http1Connection,
    since: Instant,
}

/// An upstream as settings name it: how it is doing, and what it has been given.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UpstreamState {
    /// Its scheme, host and port.
    pub url: String,
    /// Whether it is given requests.
    pub is_up: bool,
    /// Requests that are with it now.
    pub active: u64,
    /// Connections to it that are kept for the next request.
    pub pooled: u64,
    /// Requests that it was given since these settings came into effect; one that was tried again counts as
    /// often.
    pub requests: u64,
    /// Those of them that failed by its fault.
    pub failures: u64,
}

/// What a request needs of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// The thread that the request is answered on; `None`: the async runtime.
    pub(super) home: Option<&'a HomeThread>,
    pub(super) only_http1: bool,
    /// It may have carried a request before.
    pub(super) may_reuse: bool,
}

/// A way to send one request.
pub(super) enum Opened {
    Http1 {
        connection: Http1Connection,
        /// It has carried a request before.
        is_reused: bool,
    },
    Http2(h2::client::SendRequest<Bytes>),
}

impl Upstream {
    pub(super) fn new(
        url: UpstreamUrl,
        settings: &ForwardSettings,
        tls_options: &UpstreamTls,
    ) -> Result<Self, ForwardFault> {
        let tls = match url.is_secure() {
            true => Some(Tls::new(&url, settings.http2, tls_options)?),
            false => None,
        };
        let mut limits = RequestLimits::default();
        limits.head_bytes_max = settings.response_head_bytes_max;
        limits.field_bytes_max = settings.response_head_bytes_max.min(65_534);
        Ok(Self {
            authority: url.authority(),
            limits,
            health: Health::new(&settings.health, settings.to.len() > 1),
            active: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            http2: settings.http2,
            tls,
            connect_timeout: settings.connect_timeout,
            idle_max: match settings.pool_idle_timeout.is_zero() {
                true => 0,
                false => settings.pool_size as usize,
            },
            idle_timeout: settings.pool_idle_timeout,
            idle: Mutex::default(),
            shared: Mutex::default(),
            reaper: Mutex::new(false),
            url,
        })
    }

    pub(super) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// Whether it is given requests.
    pub(super) fn is_up(&self) -> bool {
        !self.health.is_down()
    }

    /// How it is doing and what it has been given.
    pub(super) fn state(&self) -> UpstreamState {
        UpstreamState {
            url: self.url.origin(),
            is_up: self.is_up(),
            active: self.active() as u64,
            pooled: self.idle().len() as u64,
            requests: self.requests.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }

    /// A way to send a request: over a connection that is there, if one may be used, else over a new one.
    pub(super) async fn open(
        self: &Arc<Self>,
        Wanted {
            home,
            only_http1,
            may_reuse,
        }: Wanted<'_>,
    ) -> Result<Opened, ForwardFailure> {
        if may_reuse && let Some(connection) = self.take_idle(home) {
            return Ok(Opened::Http1 {
                connection,
                is_reused: true,
            });
        }
        let shared = self.shared().clone().filter(|_| may_reuse && !only_http1);
        // Apart, since it is large and most requests do without it.
        let opened = Box::pin(async {
            // It may have to wait until one of its streams ends.
            if let Some(shared) = shared
                && let Ok(ready) = shared.ready().await
            {
                return Ok(Opened::Http2(ready));
            }
            self.connect(home, only_http1).await
        });
        match timeout(self.connect_timeout, opened).await {
            Ok(opened) => opened,
            Err(_) => Err(ForwardFailure::ConnectTimedOut),
        }
    }

    async fn connect(
        self: &Arc<Self>,
        home: Option<&HomeThread>,
        only_http1: bool,
    ) -> Result<Opened, ForwardFailure> {
        let host = (self.url.address(), self.url.port());
        // Each of its addresses is tried, in the order that the system gives.
        let stream = TcpStream::connect(host)
            .await
            .map_err(ForwardFailure::Connect)?;
        // Without it, the last small piece of a request could wait for an acknowledgement.
        stream.set_nodelay(true).map_err(ForwardFailure::Connect)?;
        let (io, is_http2): (BoxIo, bool) = match &self.tls {
            None => {
                let is_http2 = self.http2 == UpstreamHttp2::Always && !only_http1;
                match home.filter(|_| !is_http2) {
                    Some(home) => {
                        let stream = HomeStream::new(stream, home.clone());
                        (Box::new(stream.map_err(ForwardFailure::Connect)?), false)
                    }
                    None => (Box::new(stream), is_http2),
                }
            }
            Some(tls) => {
                let (stream, is_http2) = tls
                    .connect(stream, only_http1)
                    .await
                    .map_err(ForwardFailure::Tls)?;
                (Box::new(stream), is_http2)
            }
        };
        if !is_http2 {
            return Ok(Opened::Http1 {
                connection: Http1Connection::new(io),
                is_reused: false,
            });
        }
        let requests = http2::connect(io, &self.limits).await?;
        *self.shared() = Some(requests.clone());
        let ready = requests.ready().await.map_err(ForwardFailure::Http2)?;
        Ok(Opened::Http2(ready))
    }

    /// A kept connection that is still open. One that the upstream has closed meanwhile, or on which it has
    /// said something unasked, is dropped. One that another thread looks after is left to those there.
    fn take_idle(&self, home: Option<&HomeThread>) -> Option<Http1Connection> {
        loop {
            let mut all = self.idle();
            let is_near = |idle: &Idle| {
                idle.connection
                    .io
                    .home()
                    .is_none_or(|own| Some(own) == home)
            };
            let last = all.iter().rposition(is_near)?;
            let mut idle = all.remove(last);
            drop(all);
            let mut context = Context::from_waker(Waker::noop());
            let mut byte = [0];
            let mut buffer = ReadBuf::new(&mut byte);
            let read =
                std::pin::Pin::new(&mut idle.connection.io).poll_read(&mut context, &mut buffer);
            if read.is_pending() && idle.since.elapsed() < self.idle_timeout {
                return Some(idle.connection);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub(super) fn keep(self: &Arc<Self>, connection: Http1Connection) {
        let mut idle = self.idle();
        if idle.len() >= self.idle_max {
            if idle.is_empty() {
                return;
            }
            // The one that has been there longest is the likeliest to be closed soon.
            idle.remove(0);
        }
        let since = Instant::now();
        idle.push(Idle { connection, since });
        drop(idle);
        self.look_after_idle();
    }

    /// Has kept connections closed in time, as long as there are any.
    fn look_after_idle(self: &Arc<Self>) {
        let mut is_running = self.reaper.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_running {
            return;
        }
        // Without a runtime at hand, whoever needs a connection next looks.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        *is_running = true;
        let (upstream, pause) = (Arc::downgrade(self), self.idle_timeout);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                let Some(upstream) = upstream.upgrade() else {
                    return;
                };
                let mut idle = upstream.idle();
                idle.retain(|idle| idle.since.elapsed() < pause);
                if idle.is_empty() {
                    drop(idle);
                    let mut is_running = upstream
                        .reaper
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner);
                    if upstream.idle().is_empty() {
                        *is_running = false;
                        return;
                    }
                }
            }
        });
    }

    /// The HTTP/2 connection is of no more use.
    pub(super) fn forget_shared(&self) {
        *self.shared() = None;
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared(&self) -> MutexGuard<'_, Option<h2::client::SendRequest<Bytes>>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in progress at an upstream.
pub(super) struct InFlight(Arc<Upstream>);

impl InFlight {
    pub(super) fn new(upstream: Arc<Upstream>) -> Self {
        upstream.active.fetch_add(1, Ordering::Relaxed);
        upstream.requests.fetch_add(1, Ordering::Relaxed);
        Self(upstream)
    }

    pub(super) fn upstream(&self) -> &Arc<Upstream> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reads more into `buffer`. 0 bytes: the other side sends no more.
fn poll_read(
    io: &mut BoxIo,
    context: &mut Context<'_>,
    buffer: &mut bytes::BytesMut,
) -> Poll<io::Result<usize>> {
    tokio_util::io::poll_read_buf(std::pin::Pin::new(io), context, buffer)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream as Socket;
    use std::pin::Pin;

    use tidegate_httpapi::{OutgoingConnection, WorkAtHome};
    use tokio::io::{AsyncRead, AsyncWrite};

    use super::stream::Io;
    use super::*;

    /// A thread that is only told from others.
    struct Thread(#[expect(dead_code, reason = "an address of its own")] u8);

    impl WorkAtHome for Thread {
        fn run(self: Arc<Self>, _: Pin<Box<dyn Future<Output = ()> + Send>>) {}

        fn adopt(self: Arc<Self>, _: Socket) -> Box<dyn OutgoingConnection> {
            panic!("no connection is made")
        }
    }

    /// A connection that is open, and on which nothing is said.
    struct Silent(Option<HomeThread>);

    impl Io for Silent {
        fn home(&self) -> Option<&HomeThread> {
            self.0.as_ref()
        }
    }

    impl AsyncRead for Silent {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Silent {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn a_kept_connection_stays_with_its_thread() {
        let settings = ForwardSettings::new("/", []);
        let url = "http://a".parse().unwrap();
        let upstream = Arc::new(Upstream::new(url, &settings, &settings.tls).unwrap());
        let [one, other] = [0, 1].map(|number| HomeThread::new(Arc::new(Thread(number))));
        let keep = |home: Option<&HomeThread>| {
            let io = Box::new(Silent(home.cloned()));
            upstream.keep(Http1Connection::new(io));
        };
        let take = |home: Option<&HomeThread>| {
            let taken = upstream.take_idle(home)?;
            Some(taken.io.home().cloned())
        };
        keep(Some(&one));
        assert_eq!(take(Some(&other)), None);
        assert_eq!(take(None), None, "the runtime has its own");
        assert_eq!(take(Some(&one)), Some(Some(one.clone())));
        assert_eq!(take(Some(&one)), None, "it is gone");
        // One of the runtime is as near to all.
        keep(None);
        keep(Some(&other));
        assert_eq!(take(Some(&one)), Some(None));
        assert_eq!(take(Some(&other)), Some(Some(other.clone())));
    }
}
