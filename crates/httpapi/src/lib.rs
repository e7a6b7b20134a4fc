//! The words of Tidegate: the HTTP Server API's nouns, and the seam between a backend and an
//! application.
//!
//! Nothing here acts. Types say what a URL prefix, a request, a response, a property or a limit is;
//! [`Backend`] and [`Application`] say how the two sides of the seam speak. No I/O, no clock, no
//! threads but the waiting of a blocking body read.
#![forbid(unsafe_code)]

mod access;
mod address_range;
mod application;
mod backend;
mod body;
mod cache_policy;
mod counters;
mod error;
mod field;
mod field_block;
mod field_template;
mod home;
mod limits;
mod logging;
mod opaque;
mod open_connection;
mod piece;
mod property;
mod request;
mod response;
mod response_cache;
#[cfg(feature = "serde")]
mod serial;
mod service_state;
mod tls;
mod url_prefix;

pub use access::{AccessControlList, Account, Caller, SddlError, UrlRights};
pub use address_range::{AddressRange, AddressRangeError};
pub use application::{
    Admission, Application, AtHand, AuthInfo, ConnectionFilter, ConnectionInfo, Deferred, Exchange,
    ExchangeBackend, PeerAddress, RespondLater, Responder,
};
pub use backend::{
    Backend, BackendFailure, BackendInfo, Endpoint, FailureListener, RequestQueueId, Reservation,
    ReservationOwner, ServerSessionId, UrlGroupId,
};
pub use body::{BodyError, BodyReader, BodySource, ReceiveBody};
pub use cache_policy::{CachePolicy, HeadCachePolicy};
pub use counters::{BackendCounters, Latency, LatencyBucket};
pub use error::{ApiError, ErrorCode};
pub use field::{Field, FieldSpan, Fields, KnownField, Trailers};
pub use field_block::{FieldBlock, FieldError};
pub use field_template::FieldTemplate;
pub use home::{HomeThread, OutgoingConnection, WorkAtHome};
pub use limits::{CacheLimits, FloodAnswer, Http2Limits, LimitError, RequestLimits, ServiceLimits};
pub use logging::{
    LOG_DIRECTORY_BYTES_MAX, LOG_ROLLOVER_BYTES_MIN, LOG_SOFTWARE_BYTES_MAX, LogCounters, LogData,
    LogFields, LogFormat, LogRollover, LogSelection, LogTime, LoggingFault, LoggingProperties,
};
pub use opaque::{
    HandlerThreads, LaneHost, LaneWaker, OpaqueConnection, OpaqueConnections, OpaqueEnd, OpaqueKey,
    OpaqueLane, Opening, RunOnHandlerThread, WakeLane,
};
pub use open_connection::{ConnectionActivity, ConnectionPage, OpenConnection};
pub use piece::{FilePart, Piece};
pub use property::{
    BANDWIDTH_INFINITE, BANDWIDTH_MIN, EnabledState, FlowRate, GroupProperties, InheritedTimeouts,
    OperatingMode, QueueProperties, ServerHeaderMode, SessionProperties, Timeouts, Verbosity503,
};
pub use request::{
    ConnectionId, ContentFraming, OwnedRequestHead, Registration, RequestHead, RequestId,
    RequestLine, Span, Version,
};
pub use response::{
    Body, HeadExtras, ReasonPhrase, ResponseHead, StreamReset, Transfer, reason_phrase,
};
pub use response_cache::{CacheCounters, CacheFlush, CacheSite, CacheUrl, CachedResponse};
pub use service_state::{
    RegisteredUrl, RequestQueueCounters, RequestQueueState, ServerSessionState, ServiceState,
    ServingProcess, UrlGroupCounters, UrlGroupState,
};
pub use tls::{
    CertificateAuthorities, CertificateInfo, CertificateSource, ClientCertificates, HttpProtocols,
    TlsBinding, TlsBindingInfo, TlsBindingKey, TlsInfo, TlsKeyError,
};
pub use url_prefix::{
    AddressFault, Host, PrefixError, Scheme, SegmentFault, UrlPrefix, canonical_host_name,
    fold_case, fold_path,
};
