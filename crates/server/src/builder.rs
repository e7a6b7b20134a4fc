//! Sets a server up: properties, handlers, mounted services.

mod events;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body::Body as HttpBody;
use tidegate_admission::api_keys::KeyStorage;
use tidegate_httpapi::{
    Backend, Http2Limits, HttpProtocols, RequestLimits, ServerHeaderMode, Verbosity503,
};
use tidegate_os::KeptListeners;
use tokio::runtime::Handle;
use tower_service::Service;

use crate::administration::AdministrationSettings;
use crate::admission::{ApiKeySettings, AuthenticationSettings};
use crate::binding::{Binding, BindingError};
use crate::component::Shared;
use crate::cors::CorsSettings;
use crate::error::Error;
use crate::event::Events;
use crate::files::FilesSettings;
use crate::forward::ForwardSettings;
use crate::handler::Handlers;
use crate::health::HealthEndpointSettings;
use crate::http::{Body, EventStreamSettings};
use crate::metrics::MetricsSettings;
use crate::proxy_protocol::ProxyProtocol;
use crate::runtime::AsyncRuntime;
use crate::server::Server;
use crate::settings::{
    CacheSettings, ErrorLog, FineTune, FlowRateSettings, Io, Logging, Settings, Timeouts,
};
use crate::tls::{BindingOptions, SslOptions};
use crate::tower::{BoxError, Mount};
use crate::traffic::{FirewallSettings, RateLimitSettings};
use crate::upload::{HttpUploadFiles, UploadSettings};
use crate::watchdog::WatchDogSettings;
use crate::websocket::{Hub, SubProtocol, WebSocketSettings};

/// Sets a server up; see the fields of [`Settings`] for units, defaults and ranges.
///
/// A closure takes the place of the same event's method of the [`events`](Self::events) value.
#[must_use = "nothing happens before build()"]
#[derive(Default)]
pub struct ServerBuilder {
    settings: Settings,
    handlers: Handlers,
    mounts: Vec<Arc<Mount>>,
    protocols: Vec<Arc<dyn SubProtocol>>,
    runtime: Option<Handle>,
    backend: Option<Arc<dyn Backend>>,
    key_storage: Option<Arc<dyn KeyStorage>>,
    listeners: KeptListeners,
    /// The first binding that is none.
    fault: Option<BindingError>,
}

impl ServerBuilder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Replaces all settings, as read from a file; call it before the methods that change one.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets the host of the one binding that host and port form.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.settings.host = Some(host.into());
        self
    }

    /// Sets the port of the one binding that host and port form.
    pub fn port(mut self, port: u16) -> Self {
        self.settings.port = Some(port);
        self
    }

    /// Sets whether the one binding that host and port form is https.
    pub fn ssl(mut self, enabled: bool) -> Self {
        self.settings.ssl.enabled = enabled;
        self
    }

    /// Sets the certificate, and the rules, of https bindings that have none of their own.
    pub fn ssl_options(mut self, options: SslOptions) -> Self {
        self.settings.ssl.options = options;
        self
    }

    /// Sets what starting does for bindings besides listening.
    pub fn binding_options(mut self, options: BindingOptions) -> Self {
        self.settings.binding_options = options;
        self
    }

    /// Sets which versions of HTTP are offered by bindings that do not say so themselves.
    pub fn protocols(mut self, protocols: HttpProtocols) -> Self {
        self.settings.protocols = protocols;
        self
    }

    /// Sets whether connections begin with a PROXY header, for bindings that do not say so themselves.
    pub fn proxy_protocol(mut self, proxy_protocol: ProxyProtocol) -> Self {
        self.settings.proxy_protocol = proxy_protocol;
        self
    }

    /// Adds a binding: a whole prefix such as `http://+:8080/api/` or `https://+:8443/`, or a Unix socket,
    /// `unix:/run/app.sock`.
    pub fn bind(self, binding: &str) -> Self {
        self.add_binding(binding.parse())
    }

    /// Adds a binding: plain HTTP on `host` and `port`, for the URLs under `path`.
    pub fn binding(self, host: &str, port: u16, path: &str) -> Self {
        self.add_binding(Binding::new(host, port, path))
    }

    /// Adds bindings, for instance ones with a [context](Binding::with_context) or a
    /// [certificate](Binding::with_ssl) of their own.
    pub fn bindings(mut self, bindings: impl IntoIterator<Item = Binding>) -> Self {
        self.settings.bindings.extend(bindings);
        self
    }

    /// Sets the number of handler threads.
    pub fn thread_pool_size(mut self, threads: u32) -> Self {
        self.settings.thread_pool_size = threads;
        self
    }

    /// Sets the size of a receive buffer, in bytes.
    pub fn read_buffer_size(mut self, bytes: u32) -> Self {
        self.settings.read_buffer_size = bytes;
        self
    }

    /// Sets how requests reach the application.
    pub fn fine_tune(mut self, fine_tune: FineTune) -> Self {
        self.settings.fine_tune = fine_tune;
        self
    }

    /// Sets the most connections at once; 0 leaves it to the system.
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.settings.max_connections = connections;
        self
    }

    /// Sets what all connections may be sent together, in bytes per second; 0 is unlimited.
    ///
    /// See [`Settings::max_bandwidth`]. It can change while the server runs: [`Server::reload`].
    pub fn max_bandwidth(mut self, bytes_per_second: u32) -> Self {
        self.settings.max_bandwidth = bytes_per_second;
        self
    }

    /// Sets what may be received from all connections together, in bytes per second; 0 is unlimited.
    ///
    /// See [`Settings::max_bandwidth_in`]. It can change while the server runs: [`Server::reload`].
    pub fn max_bandwidth_in(mut self, bytes_per_second: u32) -> Self {
        self.settings.max_bandwidth_in = bytes_per_second;
        self
    }

    /// Sets how fast each response goes. It can change while the server runs: [`Server::reload`].
    pub fn flow_rate(mut self, flow_rate: FlowRateSettings) -> Self {
        self.settings.flow_rate = flow_rate;
        self
    }

    /// Sets how long a peer may take.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.settings.timeouts = timeouts;
        self
    }

    /// Sets the longest content of a request, in bytes; 0 is unlimited.
    pub fn max_request_body_size(mut self, bytes: u64) -> Self {
        self.settings.max_request_body_size = bytes;
        self
    }

    /// Sets what becomes of forms with files, and of files sent without a form.
    pub fn http_upload_files(mut self, settings: HttpUploadFiles) -> Self {
        self.settings.http_upload_files = settings;
        self
    }

    /// Adds a place that takes files in without code.
    pub fn upload(mut self, settings: UploadSettings) -> Self {
        self.settings.upload.push(settings);
        self
    }

    /// Sets what stands in the `Server` field in place of the driver's own token.
    pub fn software(mut self, software: impl Into<String>) -> Self {
        self.settings.software = Some(software.into());
        self
    }

    /// Sets which responses carry a `Server` field.
    pub fn server_header(mut self, mode: ServerHeaderMode) -> Self {
        self.settings.server_header = mode;
        self
    }

    /// Sets how the driver's 503 answers look.
    pub fn verbosity_503(mut self, verbosity: Verbosity503) -> Self {
        self.settings.verbosity_503 = verbosity;
        self
    }

    /// Sets which event loop the driver runs on.
    pub fn io(mut self, io: Io) -> Self {
        self.settings.io = io;
        self
    }

    /// Sets the number of the driver's worker threads.
    pub fn io_threads(mut self, threads: u32) -> Self {
        self.settings.io_threads = Some(threads);
        self
    }

    /// Sets limits on a request's head.
    pub fn request_limits(mut self, limits: RequestLimits) -> Self {
        self.settings.request_limits = limits;
        self
    }

    /// Sets limits on HTTP/2 connections.
    pub fn http2(mut self, limits: Http2Limits) -> Self {
        self.settings.http2 = limits;
        self
    }

    /// Who is kept out, by address and by what they do.
    pub fn firewall(mut self, settings: FirewallSettings) -> Self {
        self.settings.firewall = settings;
        self
    }

    /// How often requests may be made.
    pub fn rate_limit(mut self, settings: RateLimitSettings) -> Self {
        self.settings.rate_limit = settings;
        self
    }

    /// Adds which pages of other origins may use what is served under a path.
    pub fn cors(mut self, settings: CorsSettings) -> Self {
        self.settings.cors.push(settings);
        self
    }

    /// Sets who has to say who they are, and how.
    ///
    /// ```
    /// let mut authentication = tidegate::AuthenticationSettings::default();
    /// authentication.enabled = true;
    /// authentication.users.push("admin=1234".parse()?);
    /// let builder = tidegate::Server::builder().authentication(authentication);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn authentication(mut self, settings: AuthenticationSettings) -> Self {
        self.settings.authentication = settings;
        self
    }

    /// Sets which requests need an API key.
    pub fn api_keys(mut self, settings: ApiKeySettings) -> Self {
        self.settings.api_keys = settings;
        self
    }

    /// Keeps API keys in a storage of the application's own, whatever
    /// [`ApiKeySettings::storage`](crate::ApiKeySettings::storage) says.
    pub fn api_key_storage(mut self, storage: Arc<dyn KeyStorage>) -> Self {
        self.key_storage = Some(storage);
        self
    }

    /// Sets up a page for whoever looks after the server.
    ///
    /// ```
    /// let mut administration = tidegate::AdministrationSettings::default();
    /// administration.enabled = true;
    /// let builder = tidegate::Server::builder().administration(administration);
    /// ```
    pub fn administration(mut self, settings: AdministrationSettings) -> Self {
        self.settings.administration = settings;
        self
    }

    /// Sets up streams of events.
    pub fn event_streams(mut self, settings: EventStreamSettings) -> Self {
        self.settings.event_streams = settings;
        self
    }

    /// Sets what of responses is kept in the driver, to be served again without the application.
    pub fn cache(mut self, cache: CacheSettings) -> Self {
        self.settings.cache = cache;
        self
    }

    /// Sets up the log of requests.
    ///
    /// ```
    /// use tidegate::{LogFormat, Logging, Server};
    ///
    /// let builder = Server::builder().logging(Logging::new(LogFormat::Json, "/var/log/site"));
    /// ```
    pub fn logging(mut self, log: Logging) -> Self {
        self.settings.log = log;
        self
    }

    /// Heeds the settings of the whole service in this file. See [`Settings::store`].
    pub fn store(mut self, file: impl Into<PathBuf>) -> Self {
        self.settings.store = Some(file.into());
        self
    }

    /// Sets up the HTTPERR log.
    pub fn error_log(mut self, log: ErrorLog) -> Self {
        self.settings.error_log = log;
        self
    }

    /// Sets whether it can be asked over HTTP how the server is, and where.
    ///
    /// ```
    /// let mut health = tidegate::HealthEndpointSettings::default();
    /// health.enabled = true;
    /// // http://localhost:9181/livez and http://localhost:9181/readyz
    /// let builder = tidegate::Server::builder().health(health);
    /// ```
    pub fn health(mut self, health: HealthEndpointSettings) -> Self {
        self.settings.health = health;
        self
    }

    /// Sets how long a stop lets all go on, but for being ready, before it begins.
    pub fn shutdown_delay(mut self, delay: Duration) -> Self {
        self.settings.shutdown_delay = delay;
        self
    }

    /// Sets whether what the server counts can be read over HTTP, and where.
    ///
    /// ```
    /// let mut metrics = tidegate::MetricsSettings::default();
    /// metrics.enabled = true;
    /// // http://localhost:9464/metrics
    /// let builder = tidegate::Server::builder().metrics(metrics);
    /// ```
    pub fn metrics(mut self, metrics: MetricsSettings) -> Self {
        self.settings.metrics = metrics;
        self
    }

    /// Sets whether a server that has stopped by itself is started anew.
    ///
    /// ```
    /// let mut watchdog = tidegate::WatchDogSettings::default();
    /// watchdog.enabled = true;
    /// watchdog.monitor.enabled = true;
    /// let builder = tidegate::Server::builder()
    ///     .watchdog(watchdog)
    ///     .on_watchdog_restart(|_, restart| eprintln!("attempt {}", restart.attempt));
    /// ```
    pub fn watchdog(mut self, settings: WatchDogSettings) -> Self {
        self.settings.watchdog = settings;
        self
    }

    /// Listens on sockets that outlive the server, in place of ones that it would open, and stores what it opens
    /// where these come from; see [`service`](crate::service).
    pub fn listeners(mut self, listeners: KeptListeners) -> Self {
        self.listeners = listeners;
        self
    }

    /// Sets how many waiting connections the system holds for each listener.
    pub fn listen_backlog(mut self, connections: u32) -> Self {
        self.settings.listen_backlog = connections;
        self
    }

    /// Sets how long a stop waits for requests in progress.
    pub fn shutdown_deadline(mut self, deadline: Duration) -> Self {
        self.settings.shutdown_deadline = deadline;
        self
    }

    /// Runs on this driver instead of an embedded one of its own. Of the settings, those that concern
    /// the whole driver (`io`, `io_threads`, `max_connections`, `read_buffer_size`, `request_limits`,
    /// `http2`, `cache`, `software`, `server_header`, `error_log`, `listen_backlog`) are the driver's owner's
    /// then.
    pub fn backend(mut self, backend: Arc<dyn Backend>) -> Self {
        self.backend = Some(backend);
        self
    }

    /// Runs async handlers and mounted services on this tokio runtime instead of one of its own,
    /// which is started when first needed. Streams of events need its timer, forwarding its I/O as well.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Serves the paths at and under `path` with a `tower` service, such as an axum router, on the
    /// async runtime. The service sees the path without the mount's; the longest mount wins.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    ///
    /// let api = Router::new().route("/time", get(|| async { "late" }));
    /// let builder = tidegate::Server::builder().mount("/api", api);
    /// ```
    pub fn mount<S, B>(mut self, path: &str, service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<B>>,
        S: Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: HttpBody + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        self.mounts.push(Arc::new(Mount::new(path, service)));
        self
    }

    /// Forwards a part of the paths to other servers. The longest path wins, of mounted services too.
    pub fn forward(mut self, settings: ForwardSettings) -> Self {
        self.settings.forward.push(settings);
        self
    }

    /// Serves the files of a folder at and under `path`: a folder's path, or [`FilesSettings`] with
    /// `path` set to this one.
    ///
    /// Their paths end below that folder whatever is asked for. What a file is answered with, conditions and ranges
    /// among it, is as with [`Response::file`](crate::Response::file). WebSocket handshakes go to their events all
    /// the same.
    ///
    /// ```
    /// let builder = tidegate::Server::builder()
    ///     .files("/", "public")
    ///     .on_message(|connection, text| connection.send_text(text));
    /// ```
    pub fn files(mut self, path: &str, site: impl Into<FilesSettings>) -> Self {
        let mut site = site.into();
        site.path = path.to_owned();
        self.settings.files.push(site);
        self
    }

    /// Sets the value that hears of all events for which there is no closure.
    pub fn events(mut self, events: impl Events) -> Self {
        self.handlers.rest = Some(Box::new(events));
        self
    }

    /// Registers a sub-protocol: a client that asks for it by its name gets it.
    pub fn register_protocol(mut self, protocol: impl SubProtocol) -> Self {
        self.handlers.has_protocols = true;
        self.protocols.push(Arc::new(protocol));
        self
    }

    /// Sets up WebSocket connections.
    pub fn websocket(mut self, settings: WebSocketSettings) -> Self {
        self.settings.websocket = settings;
        self
    }

    /// Makes the server, which is not started yet.
    ///
    /// # Errors
    ///
    /// A binding is malformed, a number is out of its range, or rules for other origins cannot be. The
    /// caller's fault.
    pub fn build(self) -> Result<Server, Error> {
        if let Some(fault) = self.fault {
            return Err(fault.into());
        }
        self.settings.check_all()?;
        let shared = Shared::new(
            Box::new(self.handlers),
            self.mounts,
            AsyncRuntime::new(self.runtime),
            Hub::new(self.protocols),
        );
        let shared = shared.with_key_storage(self.key_storage);
        let shared = shared.with_listeners(self.listeners);
        Ok(Server::new(shared, self.backend, self.settings))
    }

    fn add_binding(mut self, binding: Result<Binding, BindingError>) -> Self {
        match binding {
            Ok(binding) => self.settings.bindings.push(binding),
            Err(fault) => {
                self.fault.get_or_insert(fault);
            }
        }
        self
    }
}
