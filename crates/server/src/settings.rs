//! A server's properties: plain values that never act.
//!
//! The builder's methods and a settings file fill this one struct; the file uses the same names, with
//! times as numbers of seconds. What the file's values look like is in `format`.
//! Source: the component's properties; http-server-api §5 and §6.

mod cache;
mod change;
mod flow_rate;
pub(crate) mod format;
mod logging;
pub(crate) mod schema;

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_httpapi::{
    GroupProperties, Http2Limits, HttpProtocols, InheritedTimeouts, LimitError, LogRollover,
    OperatingMode, QueueProperties, RequestLimits, Scheme, ServerHeaderMode, SessionProperties,
    Verbosity503,
};

pub use cache::CacheSettings;
pub use flow_rate::FlowRateSettings;
pub use logging::Logging;

use crate::administration::AdministrationSettings;
use crate::admission::{ApiKeySettings, AuthenticationSettings};
use crate::binding::{Binding, BindingError, BindingParts};
use crate::cors::{self, CorsSettings};
use crate::error::Error;
use crate::files::{self, FilesSettings};
use crate::forward::{ForwardSettings, ForwardSettingsError};
use crate::health::HealthEndpointSettings;
use crate::http::EventStreamSettings;
use crate::metrics::MetricsSettings;
use crate::operations;
use crate::proxy_protocol::ProxyProtocol;
use crate::tls::{BindingOptions, SslSettings, file};
use crate::traffic::{FirewallSettings, RateLimitSettings};
use crate::upload::{HttpUploadFiles, StreamType, UploadSettings};
use crate::watchdog::WatchDogSettings;
use crate::websocket::WebSocketSettings;

/// All properties of a server.
///
/// In a settings file a time is a number of seconds, whole or with a fraction.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Settings {
    /// Host of the one binding that host and port form: a name, an address, `+` or `*`.
    ///
    /// Default `localhost` when there is any need of one: when neither `bindings` nor this is set, or
    /// when `port` is. `0.0.0.0` and `::` mean `+`.
    pub host: Option<String>,
    /// Port of the binding that host and port form. Default 8080, or 8443 when it is https, since ports
    /// 80 and 443 need privileges on most platforms; range 1 to 65,535.
    pub port: Option<u16>,
    /// Further bindings.
    #[schemars(with = "Vec<schema::TextOr<BindingParts>>")]
    pub bindings: Vec<Binding>,
    /// Whether host and port are https, and what secures https bindings without options of their own.
    #[schemars(with = "schema::SwitchOr<file::SslTable>")]
    pub ssl: SslSettings,
    /// What starting does for bindings besides listening.
    pub binding_options: BindingOptions,
    /// The versions of HTTP that bindings offer which do not say so themselves. Default both. A Unix
    /// socket always offers both.
    ///
    /// In a settings file a list: `["http1"]`, `["http2"]` or both.
    #[serde(deserialize_with = "file::protocols")]
    #[schemars(with = "Vec<file::ProtocolWord>")]
    pub protocols: HttpProtocols,
    /// Whether connections begin with a PROXY header, for bindings that do not say so themselves. Default
    /// off. On a Unix socket they never do.
    #[schemars(with = "schema::SwitchOr<Vec<String>>")]
    pub proxy_protocol: ProxyProtocol,
    /// Handler threads. Default 32, range 1 to 1024. Source: the component's ThreadPoolSize.
    pub thread_pool_size: u32,
    /// Receive buffer, in bytes. Default 16,384, range 4,096 to 1,048,576. Source: the component's
    /// ReadBufferSize.
    pub read_buffer_size: u32,
    /// How requests reach the application.
    pub fine_tune: FineTune,
    /// Most connections at once; 0 leaves it to the system. Default 0.
    ///
    /// One more is closed at once; those there are stay.
    pub max_connections: u32,
    /// What all connections may be sent together, in bytes per second; 0 is unlimited. Default 0, else at least
    /// 1,024. Source: the component's MaxBandwidth.
    ///
    /// Counted are whole responses, WebSocket and what else goes out, but for what TLS adds. Where it is less
    /// than would be sent, connections take turns; no timer runs out for that.
    pub max_bandwidth: u32,
    /// What may be received from all connections together after their first request's head, in bytes per second;
    /// 0 is unlimited. Default 0, else at least 1,024.
    ///
    /// Where it would be more, connections are not read from for a while, and their clients wait.
    pub max_bandwidth_in: u32,
    /// How fast each response goes. Default as fast as its client takes it.
    pub flow_rate: FlowRateSettings,
    /// How long a peer may take.
    pub timeouts: Timeouts,
    /// Longest content of a request, in bytes; 0 is unlimited. Default 64 MiB.
    ///
    /// A longer one is answered with 413.
    pub max_request_body_size: u64,
    /// What becomes of forms with files, and of files that are sent without a form.
    pub http_upload_files: HttpUploadFiles,
    /// Places that take files in without code. In a settings file: `[[upload]]`.
    pub upload: Vec<UploadSettings>,
    /// What stands in the `Server` field in place of the driver's own token. Source: the component's
    /// Options.Software.
    pub software: Option<String>,
    /// Which responses carry a `Server` field. Default all.
    #[serde(with = "format::ServerHeaderNames")]
    pub server_header: ServerHeaderMode,
    /// How the driver's 503 answers look. Default basic: the connection is reset.
    #[serde(with = "format::Verbosity503Names")]
    pub verbosity_503: Verbosity503,
    /// Which event loop the driver runs on. Default auto.
    pub io: Io,
    /// Worker threads of the driver. Default `None`: one for each processor the process may use.
    pub io_threads: Option<u32>,
    /// Limits on a request's head.
    #[serde(deserialize_with = "format::request_limits")]
    pub request_limits: RequestLimits,
    /// Limits on HTTP/2 connections. WebSocket over these needs [`rfc8441`](WebSocketSettings::rfc8441) as
    /// well.
    #[serde(deserialize_with = "format::http2_limits")]
    pub http2: Http2Limits,
    /// Which pages of other origins may use what is served, by path. Default none.
    #[serde(deserialize_with = "cors::checked")]
    pub cors: Vec<CorsSettings>,
    /// Who is kept out.
    pub firewall: FirewallSettings,
    /// How often requests may be made.
    pub rate_limit: RateLimitSettings,
    /// Parts of the paths that are forwarded to other servers.
    pub forward: Vec<ForwardSettings>,
    /// Who has to say who they are.
    pub authentication: AuthenticationSettings,
    /// Which requests need an API key.
    pub api_keys: ApiKeySettings,
    /// A page for whoever looks after the server.
    pub administration: AdministrationSettings,
    /// The response cache.
    pub cache: CacheSettings,
    /// WebSocket connections.
    pub websocket: WebSocketSettings,
    /// Streams of events.
    pub event_streams: EventStreamSettings,
    /// Static sites, `[[files]]` in a settings file. Default none.
    pub files: Vec<FilesSettings>,
    /// The log of requests, `[log]` in a settings file. Default off.
    pub log: Logging,
    /// The HTTPERR log.
    pub error_log: ErrorLog,
    /// Whether it can be asked over HTTP how the server is. Default off.
    pub health: HealthEndpointSettings,
    /// Metrics for Prometheus. Default off.
    pub metrics: MetricsSettings,
    /// Whether a server that has stopped by itself is started anew.
    pub watchdog: WatchDogSettings,
    /// Waiting connections that the system holds for each listener. Default 4096, range 1 to 65,535.
    pub listen_backlog: u32,
    /// The file with the settings of the whole service, which this server heeds: reservations, certificates of
    /// https bindings without one of their own, addresses to listen on, timeouts, the cache's limit. See
    /// [`HttpStore`](crate::HttpStore). Default `None`: it heeds none.
    ///
    /// A file that is not there is empty. Where the server's own settings speak, they win. A server whose driver is
    /// [given](crate::ServerBuilder::backend) heeds of it what that driver can be told: no timeouts, no limit.
    pub store: Option<PathBuf>,
    /// How long a stop lets all go on as before, but for [`readiness`](HealthEndpointSettings::readiness), so that load
    /// balancers notice before connections are refused. Default 0.
    #[serde(deserialize_with = "format::seconds")]
    pub shutdown_delay: Duration,
    /// How long a stop waits for requests in progress, after that. Default 30 s.
    #[serde(deserialize_with = "format::seconds")]
    pub shutdown_deadline: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            host: None,
            port: None,
            bindings: Vec::new(),
            ssl: SslSettings::default(),
            binding_options: BindingOptions::default(),
            protocols: HttpProtocols::default(),
            proxy_protocol: ProxyProtocol::Off,
            thread_pool_size: 32,
            read_buffer_size: 16_384,
            fine_tune: FineTune::default(),
            max_connections: 0,
            max_bandwidth: 0,
            max_bandwidth_in: 0,
            flow_rate: FlowRateSettings::default(),
            timeouts: Timeouts::default(),
            max_request_body_size: 64 * 1024 * 1024,
            http_upload_files: HttpUploadFiles::default(),
            upload: Vec::new(),
            software: None,
            server_header: ServerHeaderMode::Full,
            verbosity_503: Verbosity503::Basic,
            io: Io::Auto,
            io_threads: None,
            request_limits: RequestLimits::default(),
            http2: Http2Limits::default(),
            cors: Vec::new(),
            firewall: FirewallSettings::default(),
            rate_limit: RateLimitSettings::default(),
            forward: Vec::new(),
            authentication: AuthenticationSettings::default(),
            api_keys: ApiKeySettings::default(),
            administration: AdministrationSettings::default(),
            cache: CacheSettings::default(),
            websocket: WebSocketSettings::default(),
            event_streams: EventStreamSettings::default(),
            files: Vec::new(),
            log: Logging::default(),
            error_log: ErrorLog::default(),
            health: HealthEndpointSettings::default(),
            metrics: MetricsSettings::default(),
            watchdog: WatchDogSettings::default(),
            listen_backlog: 4096,
            store: None,
            shutdown_delay: Duration::ZERO,
            shutdown_deadline: Duration::from_secs(30),
        }
    }
}

impl Settings {
    /// Whether all numbers are in their ranges.
    ///
    /// # Errors
    ///
    /// The first number that is not, with its range.
    pub fn check(&self) -> Result<(), LimitError> {
        if let Some(port) = self.port {
            LimitError::check("port", port.into(), 1..=65_535)?;
        }
        LimitError::check("thread_pool_size", self.thread_pool_size, 1..=1024)?;
        LimitError::check("read_buffer_size", self.read_buffer_size, 4_096..=1_048_576)?;
        self.fine_tune.check()?;
        if let Some(threads) = self.io_threads {
            LimitError::check("io_threads", threads, 1..=256)?;
        }
        self.session_properties().check_bandwidth()?;
        self.flow_rate.rate().map_or(Ok(()), |rate| rate.check())?;
        self.request_limits.check()?;
        self.http2.check()?;
        self.authentication.check()?;
        self.api_keys.check()?;
        self.administration.check()?;
        self.cache.check()?;
        self.firewall.check()?;
        self.rate_limit.check()?;
        self.websocket.check()?;
        self.event_streams.check()?;
        self.forward.iter().try_for_each(ForwardSettings::check)?;
        self.files.iter().try_for_each(FilesSettings::check)?;
        self.http_upload_files.check()?;
        for upload in &self.upload {
            upload.check()?;
        }
        LimitError::check(
            "error_log.rollover_bytes",
            self.error_log.rollover_bytes,
            1_048_576..=u32::MAX,
        )?;
        self.log.check()?;
        self.watchdog.check()?;
        LimitError::check("listen_backlog", self.listen_backlog, 1..=65_535)?;
        self.queue_properties().check()
    }

    /// Whether these settings can be, as far as they tell by themselves.
    pub(crate) fn check_all(&self) -> Result<(), Error> {
        self.check()?;
        cors::check(&self.cors)?;
        files::check(&self.files)?;
        self.collect_bindings()?;
        self.administration.prefix()?;
        Ok(self.check_forwards()?)
    }

    /// Whether what the settings say about forwarding can be.
    pub(crate) fn check_forwards(&self) -> Result<(), ForwardSettingsError> {
        self.forward.iter().try_for_each(|forward| {
            forward.check_texts().map_err(|fault| ForwardSettingsError {
                path: forward.path.clone(),
                fault,
            })
        })
    }

    /// The binding of host and port, if they form one, and the further bindings.
    pub(crate) fn collect_bindings(&self) -> Result<Vec<Binding>, BindingError> {
        let mut bindings = Vec::with_capacity(self.bindings.len() + 1);
        if self.host.is_some() || self.port.is_some() || self.bindings.is_empty() {
            let (scheme, port) = match self.ssl.enabled {
                true => (Scheme::Https, 8443),
                false => (Scheme::Http, 8080),
            };
            let host = self.host.as_deref().unwrap_or("localhost");
            let port = self.port.unwrap_or(port);
            bindings.push(Binding::with_scheme(scheme, host, port, "/")?);
        }
        bindings.extend_from_slice(&self.bindings);
        Ok(bindings)
    }

    /// Where those are answered who look after the server.
    pub(crate) fn operation_bindings(&self) -> Vec<Binding> {
        let metrics = self.metrics.enabled.then_some(&self.metrics.url);
        let mut bindings: Vec<_> = metrics.cloned().into_iter().collect();
        bindings.extend(self.health.bindings());
        bindings
            .iter()
            .map(|url| operations::settled(url, self))
            .collect()
    }

    /// The properties of the driver's session.
    pub(crate) fn session_properties(&self) -> SessionProperties {
        let limit = |bandwidth: u32| (bandwidth != 0).then_some(bandwidth);
        let mut properties = SessionProperties::default();
        properties.timeouts = self.timeouts.inherited();
        properties.max_bandwidth = limit(self.max_bandwidth);
        properties.max_bandwidth_in = limit(self.max_bandwidth_in);
        properties
    }

    /// The properties of the driver's URL group.
    pub(crate) fn group_properties(&self) -> GroupProperties {
        let mut properties = GroupProperties::default();
        properties.logging = self.log.properties(self.software.as_deref());
        properties.flow_rate = self.flow_rate.rate();
        properties
    }

    /// The longest content of a request.
    pub(crate) fn content_bytes_max(&self) -> Option<u64> {
        (self.max_request_body_size != 0).then_some(self.max_request_body_size)
    }

    /// The longest content of any request, of uploads too.
    pub(crate) fn longest_content(&self) -> Option<u64> {
        let files = &self.http_upload_files;
        let to_disk = (files.stream_type == StreamType::File).then_some(files);
        let uploads = self.upload.iter().map(|place| place.max_request_body_size);
        let all = to_disk
            .map(|files| files.max_request_body_size)
            .into_iter()
            .chain(uploads)
            .flatten()
            .chain([self.max_request_body_size]);
        // Of these, 0 is unlimited.
        all.map(|bytes| (bytes != 0).then_some(bytes))
            .reduce(|longest, bytes| Some(longest?.max(bytes?)))
            .flatten()
    }

    pub(crate) fn queue_properties(&self) -> QueueProperties {
        let mut properties = QueueProperties::default();
        properties.queue_length = self.fine_tune.queue_length;
        properties.verbosity_503 = self.verbosity_503;
        properties.operating_mode = self.fine_tune.operating_mode;
        properties.thread_pool_size = self.thread_pool_size;
        properties.accepts_per_worker = self.fine_tune.accepts_per_worker;
        properties.skip_completion_on_success = self.fine_tune.skip_completion_on_success;
        properties.content_bytes_max = self.longest_content();
        properties.measures_latency =
            self.metrics.measures_latency() || self.administration.enabled;
        properties
    }
}

/// How requests reach the application. Source: the component's FineTune.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct FineTune {
    /// Most requests parsed, routed and not yet taken by the application. Default 1000, range 1 to
    /// 65,535.
    ///
    /// The next one gets the driver's 503, and the application never sees it.
    pub queue_length: u32,
    /// Classic (the default): handler threads take requests from the queue and may block. HighPerf:
    /// the handler runs on the worker that read the request.
    #[serde(with = "format::OperatingModeNames")]
    pub operating_mode: OperatingMode,
    /// HighPerf: `thread_pool_size × accepts_per_worker` requests may be with the application at once;
    /// further ones wait in the queue. Default 4, range 1 to 1024.
    pub accepts_per_worker: u32,
    /// HighPerf: whether the handler is called as each request is read, instead of after the batch of
    /// completions has been taken. Default false.
    pub skip_completion_on_success: bool,
}

impl Default for FineTune {
    fn default() -> Self {
        Self {
            queue_length: 1000,
            operating_mode: OperatingMode::Classic,
            accepts_per_worker: 4,
            skip_completion_on_success: false,
        }
    }
}

impl FineTune {
    fn check(&self) -> Result<(), LimitError> {
        LimitError::check("fine_tune.queue_length", self.queue_length, 1..=65_535)?;
        LimitError::check(
            "fine_tune.accepts_per_worker",
            self.accepts_per_worker,
            1..=1024,
        )
    }
}

/// How long a peer may take. Source: the component's Timeouts.
///
/// The driver has timeouts of its own, which are these defaults; `enabled` puts these in their place.
/// A time or rate of 0 leaves the driver's.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// Whether the other fields are used. Default false.
    pub enabled: bool,
    /// Longest pause while content arrives. Default 120 s.
    #[serde(deserialize_with = "format::seconds")]
    pub entity_body: Duration,
    /// Longest time to drain content nobody reads, after the answer. Default 120 s.
    #[serde(deserialize_with = "format::seconds")]
    pub drain_entity_body: Duration,
    /// Longest wait in the request queue. Default 120 s.
    #[serde(deserialize_with = "format::seconds")]
    pub request_queue: Duration,
    /// Longest idle time between two requests. Default 120 s.
    #[serde(deserialize_with = "format::seconds")]
    pub idle_connection: Duration,
    /// Longest time for a request's head to arrive. Default 120 s.
    #[serde(deserialize_with = "format::seconds")]
    pub header_wait: Duration,
    /// Slowest average at which a peer may take a response, in bytes per second. Default 150.
    pub min_send_rate: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        let default = Duration::from_secs(120);
        Self {
            enabled: false,
            entity_body: default,
            drain_entity_body: default,
            request_queue: default,
            idle_connection: default,
            header_wait: default,
            min_send_rate: 150,
        }
    }
}

impl Timeouts {
    /// These timers as a server session has them.
    pub(crate) fn inherited(&self) -> InheritedTimeouts {
        if !self.enabled {
            return InheritedTimeouts::default();
        }
        let unless_zero = |time: Duration| (!time.is_zero()).then_some(Some(time));
        InheritedTimeouts {
            idle_connection: unless_zero(self.idle_connection),
            header_wait: unless_zero(self.header_wait),
            entity_body: unless_zero(self.entity_body),
            drain_entity_body: unless_zero(self.drain_entity_body),
            request_queue: unless_zero(self.request_queue),
            min_send_rate: (self.min_send_rate != 0).then_some(Some(self.min_send_rate)),
        }
    }
}

/// Which event loop the driver's workers run on.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Io {
    /// `Uring` where the system offers it, else `Poll`. The default.
    #[default]
    Auto,
    /// io_uring, Linux only. Starting fails where the system does not offer it.
    Uring,
    /// Readiness: epoll, kqueue or what the platform has.
    Poll,
}

/// The HTTPERR log: one line for each request or connection that the driver itself ended.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ErrorLog {
    /// Whether it is written. Default true.
    pub enabled: bool,
    /// The folder in which a folder `HTTPERR` is made. Default `None`: the driver chooses.
    pub directory: Option<PathBuf>,
    /// When the next file is begun. Default by size.
    #[serde(with = "format::LogRolloverNames")]
    pub rollover: LogRollover,
    /// Largest file when rolling over by size, in bytes. Default and least 1 MiB.
    pub rollover_bytes: u32,
    /// Whether files are named and rolled over by local time. Default false, UTC.
    pub local_time_rollover: bool,
}

impl Default for ErrorLog {
    fn default() -> Self {
        Self {
            enabled: true,
            directory: None,
            rollover: LogRollover::Size,
            rollover_bytes: 1_048_576,
            local_time_rollover: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_httpapi::FloodAnswer;

    use super::*;
    use crate::tls::SslOptions;

    #[test]
    fn host_and_port_stand_beside_bindings_only_when_set() {
        let mut settings = Settings::default();
        let texts = |settings: &Settings| settings.collect_bindings().unwrap().len();
        assert_eq!(texts(&settings), 1);
        settings
            .bindings
            .push("http://localhost:8081/".parse().unwrap());
        assert_eq!(texts(&settings), 1);
        settings.port = Some(8080);
        assert_eq!(texts(&settings), 2);
    }

    #[test]
    fn a_number_out_of_range_is_refused_by_its_name() {
        let mut settings = Settings::default();
        assert!(settings.check().is_ok());
        settings.fine_tune.queue_length = 65_536;
        assert_eq!(settings.check().unwrap_err().name, "fine_tune.queue_length");
        settings.fine_tune.queue_length = 65_535;
        settings.port = Some(0);
        assert_eq!(settings.check().unwrap_err().name, "port");
    }

    #[test]
    fn timeouts_count_only_when_enabled_and_not_zero() {
        let mut timeouts = Timeouts::default();
        assert_eq!(timeouts.inherited(), InheritedTimeouts::default());
        timeouts.enabled = true;
        timeouts.header_wait = Duration::ZERO;
        timeouts.min_send_rate = 0;
        let inherited = timeouts.inherited();
        assert_eq!(inherited.header_wait, None);
        assert_eq!(inherited.min_send_rate, None);
        assert_eq!(inherited.entity_body, Some(Some(Duration::from_secs(120))));
    }

    #[test]
    fn a_settings_file_fills_the_same_struct() {
        let settings: Settings = toml::from_str(
            r#"
            host = "localhost"
            bindings = ["unix:/run/a.sock", { host = "+", port = 8081, path = "/a", context = 7 }]
            shutdown_deadline = 1.5
            verbosity_503 = "full"
            server_header = "not-on-errors"
            io = "poll"
            [fine_tune]
            operating_mode = "high-perf"
            [timeouts]
            enabled = true
            header_wait = 5
            [request_limits]
            segments_max = 9
            [http2]
            concurrent_streams_max = 7
            on_flood = "close"
            [error_log]
            enabled = false
            "#,
        )
        .unwrap();
        assert_eq!(settings.bindings.len(), 2);
        assert_eq!(settings.bindings[1].context(), 7);
        assert_eq!(settings.shutdown_deadline, Duration::from_millis(1500));
        assert_eq!(settings.verbosity_503, Verbosity503::Full);
        assert_eq!(settings.server_header, ServerHeaderMode::NotOnErrors);
        assert_eq!(settings.io, Io::Poll);
        assert_eq!(settings.fine_tune.operating_mode, OperatingMode::HighPerf);
        assert_eq!(settings.fine_tune.queue_length, 1000);
        assert_eq!(settings.timeouts.header_wait, Duration::from_secs(5));
        assert_eq!(settings.request_limits.segments_max, 9);
        assert_eq!(settings.request_limits.segment_chars_max, 260);
        assert_eq!(settings.http2.concurrent_streams_max, 7);
        assert_eq!(settings.http2.on_flood, FloodAnswer::Close);
        assert_eq!(settings.http2.continuations_max, 16);
        assert!(!settings.error_log.enabled);
    }

    #[test]
    fn a_settings_file_secures_bindings() {
        let settings: Settings = toml::from_str(
            r#"
            port = 443
            protocols = ["http1"]
            [ssl]
            certificate = "a.crt"
            key = "a.key"
            [binding_options]
            configure_ssl_certificate = false
            [[bindings]]
            host = "b.example"
            port = 443
            ssl = { pkcs12 = "b.p12", password = "x" }
            protocols = ["http2", "http1"]
            [[bindings]]
            host = "+"
            port = 8443
            ssl = true
            [[bindings]]
            host = "+"
            port = 80
            ssl = false
            "#,
        )
        .unwrap();
        assert!(settings.ssl.enabled);
        assert_eq!(settings.ssl.options, SslOptions::pem("a.crt", "a.key"));
        assert!(!settings.binding_options.configure_ssl_certificate);
        assert_eq!(settings.protocols, HttpProtocols::HTTP1);
        let bindings = settings.collect_bindings().unwrap();
        let texts: Vec<_> = bindings.iter().map(Binding::to_string).collect();
        let wanted = [
            "https://localhost:443/",
            "https://b.example:443/",
            "https://+:8443/",
            "http://+:80/",
        ];
        assert_eq!(texts, wanted);
        assert_eq!(bindings[1].ssl(), Some(&SslOptions::pkcs12("b.p12", "x")));
        assert_eq!(bindings[1].protocols(), Some(HttpProtocols::BOTH));
        assert_eq!((bindings[2].ssl(), bindings[2].protocols()), (None, None));
    }

    #[test]
    fn host_and_port_are_https_when_asked_for() {
        let mut settings = Settings::default();
        settings.ssl.enabled = true;
        let text = |settings: &Settings| settings.collect_bindings().unwrap()[0].to_string();
        assert_eq!(text(&settings), "https://localhost:8443/");
        settings.port = Some(443);
        settings.host = Some("0.0.0.0".to_owned());
        assert_eq!(text(&settings), "https://+:443/");
    }

    #[test]
    fn an_unknown_key_is_refused_by_its_name() {
        for text in [
            "prot = 1",
            "[timeouts]\nheader = 1",
            "[request_limits]\nx = 1",
            "[http2]\nx = 1",
            "[ssl]\nx = 1",
            "[binding_options]\nx = 1",
            "bindings = [{ unix = \"/a\", x = 1 }]",
        ] {
            let error = toml::from_str::<Settings>(text).unwrap_err().to_string();
            assert!(error.contains("unknown field"), "{error}");
        }
        for text in [
            "shutdown_deadline = -1",
            "bindings = [{ host = \"+\" }]",
            "io = \"iocp\"",
            "protocols = []",
            "protocols = [\"spdy\"]",
            "bindings = [{ unix = \"/a\", ssl = true }]",
        ] {
            assert!(toml::from_str::<Settings>(text).is_err(), "{text}");
        }
    }
}
