//! Tidegate's component: an HTTP server with properties, methods and events.
//!
//! An application sets properties on [`Server::builder`], hears of requests and of the server's life
//! through closures or one value that implements [`Events`], and starts, stops and restarts the
//! server through [`Server`]. The component stands on a driver ([`Backend`]) that owns the ports,
//! routes URL prefixes to it and answers overload itself; it never learns which one.
//!
//! The guide is in [`guide`].
//!
//! ```no_run
//! use tidegate::{FineTune, OperatingMode, Server};
//!
//! fn main() -> Result<(), tidegate::Error> {
//!     Server::builder()
//!         .host("0.0.0.0")
//!         .port(8080)
//!         .fine_tune(FineTune {
//!             queue_length: 10_000,
//!             operating_mode: OperatingMode::HighPerf,
//!             accepts_per_worker: 8,
//!             skip_completion_on_success: true,
//!         })
//!         .on_http_request(|request, response| match (request.method(), request.document()) {
//!             ("GET", "/test.html") => response.content_type("text/html; charset=UTF-8").text("OK"),
//!             ("GET", _) => response.status(404).empty(),
//!             _ => response.status(500).empty(),
//!         })
//!         .build()?
//!         .run()
//! }
//! ```
#![forbid(unsafe_code)]

mod administration;
mod admission;
mod binding;
mod builder;
mod cache;
mod component;
mod cors;
mod embedded;
mod error;
mod event;
mod files;
mod forward;
mod handler;
mod health;
mod http;
mod lane;
mod lifecycle;
mod logging;
mod metrics;
mod operations;
mod path;
mod place;
mod proxy_protocol;
mod runtime;
mod server;
pub mod service;
mod settings;
mod store;
mod tls;
mod tower;
mod traffic;
mod upload;
mod watchdog;
mod websocket;

pub use administration::{
    AdministrationClient, AdministrationClientError, AdministrationError, AdministrationSettings,
    Cached, ConnectionList, LatencySummary, Live, Namespace, NamespaceCertificate, NamespaceTls,
    NamespaceUrl, RunningServer, ServerInfo, WebSocketConnection,
};
pub use admission::{
    AdmissionCounters, AdmissionError, ApiKeyAudit, ApiKeyFormat, ApiKeyHash, ApiKeyPath,
    ApiKeyRotation, ApiKeySettings, ApiKeyStorage, ApiKeyValidation, AuthScheme, AuthType,
    AuthUser, Authentication, AuthenticationPath, AuthenticationSettings, BeforeAuthentication,
    DigestOptions, JwtOptions, TokenValidation, Unauthorized,
};
pub use binding::{Binding, BindingError, BindingFault};
pub use builder::ServerBuilder;
pub use cache::FlushScope;
pub use cors::{CorsError, CorsFault, CorsList, CorsOriginError, CorsOrigins, CorsSettings};
pub use error::Error;
pub use event::{
    AuthDecision, BeforeHeartbeat, Events, Exception, ExceptionCause, Fragment, HandlerError,
    HandlerResult, MessageResult, PeerError, PeerFault, Sent,
};
pub use files::{ContentCoding, FilesError, FilesSettings};
pub use forward::{
    Balance, Forward, ForwardError, ForwardFailure, ForwardFault, ForwardHost, ForwardSettings,
    ForwardSettingsError, ForwardedFields, HealthSettings, UpstreamHttp2, UpstreamState,
    UpstreamTls, UpstreamUrl, UpstreamUrlError, UpstreamUrlFault,
};
pub use health::HealthEndpointSettings;
pub use http::{
    Body, BodySender, CacheControl, Challenge, Content, ContentError, Cookies, Credentials, Event,
    EventFault, EventHub, EventHubOptions, EventSender, EventStreamOptions, EventStreamSettings,
    FileError, FileFault, FormLimit, FormParams, Link, OwnedRequest, Replay, Request, Response,
    ResponseError, SameSite, SendError, SetCookie, Subscription,
};
pub use metrics::{
    Metrics, MetricsError, MetricsFault, MetricsSettings, ProcessUsage, UploadCounters,
};
pub use proxy_protocol::ProxyProtocol;
pub use server::Server;
pub use settings::{
    CacheSettings, ErrorLog, FineTune, FlowRateSettings, Io, Logging, Settings, Timeouts,
};
pub use store::{
    HttpCertificate, HttpCertificateSource, HttpConfiguration, HttpStore, StoreError, StoreFault,
};
pub use tls::{BindingOptions, SslError, SslOptions, SslSettings};
pub use tower::{BoxError, RequestContext};
pub use traffic::{
    BanList, BanSettings, BotDetected, BotFamilyKind, BotFamilySettings, BotSettings,
    BruteForceSettings, CountrySettings, FilterReason, FirewallFiltered, FirewallSettings,
    FirewallStatistics, FirewallViolation, FloodSettings, MessageSettings, PatternSettings,
    RateCaller, RateLimitSettings, RateLimited, RateLimits, RateRuleSettings, RateStrategy,
    RateWhom, RequestPart, ScoreChanged, ThreatScoreSettings, TrafficCounters, TrafficError,
    ViolationKind, WeightSettings,
};
pub use upload::{
    BeforeUpload, ExistingFiles, HttpUploadFiles, SaveFile, StreamType, UploadError, UploadLimits,
    UploadSettings, UploadSetupError, UploadedFile, Uploads,
};
pub use watchdog::{
    ProbeError, ProbeFault, WatchDogMonitor, WatchDogReason, WatchDogRestart, WatchDogSettings,
};
pub use websocket::{
    Acknowledgment, CallError, ChannelClient, ChannelProtocol, ChannelProtocolBuilder,
    ChannelSettings, Connection, ConnectionState, Connections, DeliveryLevel, Disconnect, EndedBy,
    FallbackOptions, FragmentedMessages, Groups, Guid, GuidError, Handshake, HandshakeError,
    HandshakeResponse, HeartbeatKind, HeartbeatSettings, Level, Message, MessageKind, NoSuchLevel,
    Opcode, OriginError, OriginList, Overflow, PerMessageDeflate, Publication, PublishError,
    QueueOptions, Recipients, RequestHeaders, Retention, RpcError, SecurityOptions,
    ServerSentEventsFallback, Streaming, SubProtocol, Taken, Transport, Violation,
    WebSocketCounters, WebSocketSettings, WriteError, close_code,
};

pub use tidegate_httpapi::{
    AccessControlList, Account, Caller, ErrorCode, Reservation, SddlError, UrlRights,
};

pub use tidegate_httpapi::{
    AddressRange, AddressRangeError, Admission, ApiError, Backend, BackendInfo, BodyError,
    BodyReader, BodySource, CacheCounters, CachePolicy, CachedResponse, ConnectionId,
    ConnectionInfo, Endpoint, Field, FieldBlock, FieldError, Fields, FlowRate, LimitError,
    OperatingMode, PeerAddress, PrefixError, RequestId, RequestLimits, ServerHeaderMode,
    StreamReset, TlsInfo, Trailers, UrlPrefix, Verbosity503, Version,
};

pub use tidegate_httpapi::{
    BackendCounters, ConnectionActivity, ConnectionPage, EnabledState, InheritedTimeouts, Latency,
    LatencyBucket, OpenConnection, RegisteredUrl, RequestQueueCounters, RequestQueueId,
    RequestQueueState, ServerSessionId, ServerSessionState, ServiceState, ServingProcess,
    UrlGroupCounters, UrlGroupId, UrlGroupState,
};

pub use tidegate_httpapi::{
    LogCounters, LogFields, LogFormat, LogRollover, LogSelection, LoggingFault,
};

pub use tidegate_admission::ban::offence::Offence;
pub use tidegate_admission::ban::{Ban, BanReason};
pub use tidegate_admission::bots::BotKind;
pub use tidegate_admission::country::{Country, CountryError};
pub use tidegate_admission::flood::FloodAction;
pub use tidegate_admission::patterns::Attack;
pub use tidegate_admission::rate::{
    Cause, Decision, EndpointPattern, Limit as RateLimit, Period, Strategy as LimitStrategy,
};
pub use tidegate_admission::{api_keys, jwt, users};

pub use tidegate_proto::form_data::FormDataError;

pub use tidegate_httpapi::{
    CertificateAuthorities, CertificateInfo, CertificateSource, ClientCertificates, FloodAnswer,
    Http2Limits, HttpProtocols, TlsBindingInfo, TlsBindingKey, TlsKeyError,
};

pub use tidegate_proto::range::{ByteRange, RangeSet, RangeSpec};

#[cfg(test)]
mod tests;

// Its programs are run by testing/guide, which knows what visits them.
#[cfg(all(doc, not(doctest)))]
pub mod guide;
