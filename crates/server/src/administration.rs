//! The administration: a page with live charts, and the same for programs, under a prefix of its own.
//!
//! It is an application of the component like any other, on the driver of the server that it is about, with a
//! session, a URL group, a request queue and handler threads of its own: an application that is overloaded,
//! disabled or held up does not silence it. Who may come in is `door`'s matter, what is told `sample`'s, what
//! goes over the wire is in `wire.md`.

mod announcement;
mod api;
mod client;
mod desk;
mod door;
mod live;
mod sample;
mod settings;

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use tidegate_admission::administrator::AdministratorToken;
use tidegate_httpapi::{Backend, OperatingMode, RequestQueueId, UrlPrefix, Verbosity503};

pub use self::announcement::RunningServer;
pub use self::client::{AdministrationClient, AdministrationClientError};
pub use self::sample::{
    Cached, ConnectionList, LatencySummary, Live, Namespace, NamespaceCertificate, NamespaceTls,
    NamespaceUrl, ServerInfo, WebSocketConnection,
};
pub use self::settings::{AdministrationError, AdministrationSettings};

use self::announcement::Announcement;
use self::desk::Desk;
use self::door::Door;
use self::live::Series;
use crate::error::Error;
use crate::server::{Server, WeakServer};
use crate::settings::Settings;
use crate::websocket::{Overflow, WebSocketSettings};

/// What of the administration may fail before anything is started.
pub(crate) struct Prepared {
    prefix: UrlPrefix,
    token: AdministratorToken,
    announced: RunningServer,
}

/// An administration that runs. Dropping it stops it, without waiting.
pub(crate) struct Administration {
    server: Server,
    desk: Arc<Desk>,
    /// Takes the live values; ends when the desk is closed.
    thread: Option<JoinHandle<()>>,
    announcement: Option<Announcement>,
}

impl Prepared {
    /// Reads the token, or makes it; `None` when there is to be no administration.
    pub(crate) fn open(settings: &Settings) -> Result<Option<Self>, AdministrationError> {
        let administration = &settings.administration;
        let Some(prefix) = administration.prefix()? else {
            return Ok(None);
        };
        let path = administration
            .token_path()
            .ok_or(AdministrationError::NoStateFolder)?;
        if let Some(folder) = path.parent() {
            tidegate_os::create_private_folder(folder)
                .map_err(AdministrationError::announcing(folder))?;
        }
        let token = AdministratorToken::read_or_make(&path).map_err(AdministrationError::Token)?;
        let announced = RunningServer::this(&prefix, &path);
        // The system lets several processes listen on one port, and each would get some of the requests.
        if let Some(other) = announced.predecessor()
            && other.process != announced.process
            && runs(&other)
        {
            return Err(AdministrationError::Taken {
                url: announced.url,
                process: other.process,
            });
        }
        Ok(Some(Self {
            prefix,
            token,
            announced,
        }))
    }
}

/// Whether it is that server that answers.
fn runs(server: &RunningServer) -> bool {
    let info = AdministrationClient::of(server).and_then(|client| client.server());
    info.is_ok_and(|info| info.process == server.process)
}

impl Administration {
    /// Starts the administration of a server that has started on this driver, with this queue.
    pub(crate) fn start(
        prepared: Prepared,
        settings: &Settings,
        (backend, queue): (&Arc<dyn Backend>, RequestQueueId),
        about: WeakServer,
    ) -> Result<Self, Error> {
        let Prepared {
            prefix,
            token,
            announced,
        } = prepared;
        let administration = &settings.administration;
        let info = info(&announced, settings, &**backend);
        let own = own_settings(settings)?;
        let desk = Arc::new(Desk {
            door: Door::new(token, prefix, administration),
            backend: Arc::clone(backend),
            queue,
            about,
            info,
            metrics_urls: settings.other_operation_urls(),
            own_urls: own.bindings.iter().map(ToString::to_string).collect(),
            connections_max: administration.connections_max as usize,
            series: Series::new(administration),
        });
        let server = Server::builder()
            .settings(own)
            .backend(Arc::clone(backend))
            .events(desk::Page(Arc::clone(&desk)))
            .build()?;
        // Whoever comes first is told of something.
        live::take(&desk);
        server.start()?;
        server.wait_started()?;
        let announcement = announced.announce()?;
        let mut started = Self {
            server,
            desk,
            thread: None,
            announcement: Some(announcement),
        };
        let (desk, connections) = (Arc::clone(&started.desk), started.server.connections());
        let thread = thread::Builder::new().name("tidegate-live".to_owned());
        let spawned = thread.spawn(move || live::run(&desk, &connections));
        started.thread = Some(spawned.map_err(|error| Error::Thread(Arc::new(error)))?);
        Ok(started)
    }

    /// Gives links that sign a browser in, each once and within an hour.
    pub(crate) fn sign_in_link(&self) -> Arc<dyn Fn() -> String + Send + Sync> {
        let desk = Arc::clone(&self.desk);
        Arc::new(move || desk.sign_in_link())
    }

    /// Tells programs no longer of it.
    pub(crate) fn withdraw(&mut self) {
        self.announcement = None;
    }

    /// Stops it, and waits.
    pub(crate) fn stop(mut self) {
        self.begin_stop();
        if let Some(thread) = self.thread.take() {
            // It panics as little as it waits.
            let _ = thread.join();
        }
        self.server.wait_stopped();
    }

    fn begin_stop(&mut self) {
        self.announcement = None;
        self.desk.series.close();
        self.server.stop();
    }
}

impl Drop for Administration {
    fn drop(&mut self) {
        self.begin_stop();
    }
}

/// What the administration's own server is set to.
fn own_settings(settings: &Settings) -> Result<Settings, Error> {
    let mut own = Settings {
        bindings: settings.administration_bindings()?,
        ..Settings::default()
    };
    // Certificates and protocols of all bindings are set with the application's.
    own.binding_options.configure_ssl_certificate = false;
    own.thread_pool_size = HANDLER_THREADS;
    own.fine_tune.operating_mode = OperatingMode::Classic;
    own.fine_tune.queue_length = QUEUE_LENGTH;
    own.verbosity_503 = Verbosity503::Full;
    own.max_request_body_size = CONTENT_BYTES_MAX;
    own.shutdown_deadline = Duration::from_secs(1);
    let timeouts = &mut own.timeouts;
    timeouts.enabled = true;
    timeouts.entity_body = Duration::from_secs(10);
    timeouts.drain_entity_body = Duration::from_secs(10);
    own.websocket = own_websocket_settings(settings.administration.interval);
    Ok(own)
}

fn own_websocket_settings(interval: Duration) -> WebSocketSettings {
    let mut websocket = WebSocketSettings {
        javascript_files: false,
        ..WebSocketSettings::default()
    };
    websocket.max_message_size = CONTENT_BYTES_MAX;
    // A browser that is slow gets fewer values, and the last ones.
    websocket.queue.overflow = Overflow::DropOldest;
    websocket.queue.messages = 64;
    websocket.per_message_deflate.enabled = true;
    websocket.heartbeat.enabled = true;
    websocket.heartbeat.interval = interval.max(Duration::from_secs(30));
    websocket.heartbeat.timeout = Duration::from_secs(60);
    websocket
}

fn info(announced: &RunningServer, settings: &Settings, backend: &dyn Backend) -> ServerInfo {
    let driver = backend.info();
    ServerInfo {
        version: announced.version.clone(),
        process: announced.process,
        started: sample::unix_seconds(SystemTime::now()),
        url: announced.url.clone(),
        mode: match settings.fine_tune.operating_mode {
            OperatingMode::HighPerf => "high-perf",
            _ => "classic",
        }
        .to_owned(),
        event_loop: driver.event_loop.map(str::to_owned),
        io_threads: driver.io_threads,
        handler_threads: settings.thread_pool_size,
        endpoints: Vec::new(),
        interval: settings.administration.interval.as_secs_f64(),
        connections_max: settings.administration.connections_max,
    }
}

/// Of a page that is polled by a few people.
const HANDLER_THREADS: u32 = 4;
const QUEUE_LENGTH: u32 = 100;
/// What is asked for is short.
const CONTENT_BYTES_MAX: u64 = 64 * 1024;
