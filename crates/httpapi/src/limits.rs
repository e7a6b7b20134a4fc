//! Every limit on what a peer may make grow: unit, default, range, source.
//!
//! Source of most: the HTTP Server API's registry settings (support article 820129).

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use schemars::JsonSchema;

/// Limits on a request's head and content framing.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq)]
#[schemars(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RequestLimits {
    /// Longest single field line, and longest request target, in bytes.
    ///
    /// A longer field is answered with 400 `FieldLength`, a longer target with 414 `URL_Length`.
    /// Default 16,384, range 64 to 65,534. Source: `MaxFieldLength`.
    pub field_bytes_max: u32,
    /// Longest request line and header section together, in bytes.
    ///
    /// A longer one is answered with 400 `RequestLength`. Bounds the trailer section as well.
    /// Default 16,384, range 256 to 16,777,216. Source: `MaxRequestBytes`.
    pub head_bytes_max: u32,
    /// Longest path segment, in characters; 0 is unlimited.
    ///
    /// A longer one is answered with 400 `URL`. Default 260, range 0 to 32,766. Source:
    /// `UrlSegmentMaxLength`.
    pub segment_chars_max: u32,
    /// Most path segments; 0 is unlimited.
    ///
    /// One more is answered with 400 `URL`. Default 255, range 0 to 16,383. Source:
    /// `UrlSegmentMaxCount`.
    pub segments_max: u32,
    /// Longest method, in bytes. A longer one is answered with 400 `Verb`. Default 255.
    pub method_bytes_max: u32,
    /// Whether escapes that decode to control characters are accepted. Default false. Source:
    /// `AllowRestrictedChars`.
    pub allow_restricted_chars: bool,
    /// Whether `%uNNNN` escapes are accepted. Default true. Source: `PercentUAllowed`.
    pub percent_u_allowed: bool,
    /// Whether escapes that are not UTF-8 are accepted; they stay escaped. Default true. Source:
    /// `EnableNonUTF8`.
    pub allow_non_utf8: bool,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            field_bytes_max: 16_384,
            head_bytes_max: 16_384,
            segment_chars_max: 260,
            segments_max: 255,
            method_bytes_max: 255,
            allow_restricted_chars: false,
            percent_u_allowed: true,
            allow_non_utf8: true,
        }
    }
}

impl RequestLimits {
    /// Whether all numbers are in their ranges.
    ///
    /// # Errors
    ///
    /// The first number that is not, with its range.
    pub fn check(&self) -> Result<(), LimitError> {
        LimitError::check("field_bytes_max", self.field_bytes_max, 64..=65_534)?;
        LimitError::check("head_bytes_max", self.head_bytes_max, 256..=16_777_216)?;
        LimitError::check("segment_chars_max", self.segment_chars_max, 0..=32_766)?;
        LimitError::check("segments_max", self.segments_max, 0..=16_383)?;
        LimitError::check("method_bytes_max", self.method_bytes_max, 16..=255)
    }

    /// These limits with `field_bytes_max` lowered to `head_bytes_max` where it is above it.
    pub fn harmonized(&self) -> Self {
        Self {
            field_bytes_max: self.field_bytes_max.min(self.head_bytes_max),
            ..self.clone()
        }
    }
}

/// Limits of the whole backend.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServiceLimits {
    /// Most connections at once; `None` leaves it to the system. Default `None`.
    ///
    /// One more is refused: closed at once, HTTPERR `Connections_Refused`. Source: `MaxConnections`.
    pub connections_max: Option<u32>,
    /// Receive buffer, in bytes. Default 16,384, range 4,096 to 1,048,576. Source: the component's
    /// ReadBufferSize.
    pub read_buffer_bytes: u32,
    /// Most bytes of content, or of pipelined requests, held for a connection (on HTTP/2 for a stream) whose
    /// application is not reading. Up to four times as much for content that was read as fast as it came.
    /// Default 65,536, range 16,384 to 16,777,216.
    pub receive_window_bytes: u32,
    /// Most bytes of a streamed response taken from its source before the peer has taken them. Default
    /// 65,536, range 4,096 to 16,777,216. Source: `MaxBytesPerSend`.
    pub send_window_bytes: u32,
}

impl Default for ServiceLimits {
    fn default() -> Self {
        Self {
            connections_max: None,
            read_buffer_bytes: 16_384,
            receive_window_bytes: 65_536,
            send_window_bytes: 65_536,
        }
    }
}

impl ServiceLimits {
    /// Whether all numbers are in their ranges.
    ///
    /// # Errors
    ///
    /// The first number that is not, with its range.
    pub fn check(&self) -> Result<(), LimitError> {
        LimitError::check(
            "read_buffer_bytes",
            self.read_buffer_bytes,
            4_096..=1_048_576,
        )?;
        LimitError::check(
            "receive_window_bytes",
            self.receive_window_bytes,
            16_384..=16_777_216,
        )?;
        LimitError::check(
            "send_window_bytes",
            self.send_window_bytes,
            4_096..=16_777_216,
        )
    }
}

/// Limits of the response cache. http-server-api §5 and §8.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CacheLimits {
    /// Whether responses are cached at all. Default true: those for which an application asks for it.
    /// Source: `UriEnableCache`.
    pub enabled: bool,
    /// Longest content of a cached response, in bytes.
    ///
    /// A longer one is sent and not stored. Default 262,144, range 4,096 to 16,777,216. Source:
    /// `UriMaxUriBytes`.
    pub content_bytes_max: u32,
    /// Longest head of a cached response, in bytes, as HTTP/1 sends it.
    ///
    /// A response with a longer one is sent and not stored. Default 1,024, range 256 to 65,536. Source:
    /// support article 817445.
    pub head_bytes_max: u32,
    /// Most memory that all cached responses take, with what belongs to them, in bytes.
    ///
    /// Where there is no room for another, those go that were not asked for lately. Default 64 MiB, range
    /// 1 MiB to 1 TiB.
    pub total_bytes_max: u64,
    /// How often responses are looked for that are too old, or that have a time to live and were not asked
    /// for in so long. Default 120 s, range 10 s to 1 day. Source: `UriScavengerPeriod`.
    pub scavenger_period: Duration,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            enabled: true,
            content_bytes_max: 262_144,
            head_bytes_max: 1_024,
            total_bytes_max: 64 * 1024 * 1024,
            scavenger_period: Duration::from_secs(120),
        }
    }
}

impl CacheLimits {
    /// Whether all numbers are in their ranges.
    ///
    /// # Errors
    ///
    /// The first number that is not, with its range.
    pub fn check(&self) -> Result<(), LimitError> {
        let content = self.content_bytes_max;
        LimitError::check("cache.content_bytes_max", content, 4_096..=16_777_216)?;
        LimitError::check("cache.head_bytes_max", self.head_bytes_max, 256..=65_536)?;
        let total = self.total_bytes_max;
        LimitError::check_long("cache.total_bytes_max", total, 1 << 20..=1 << 40)?;
        let seconds = self.scavenger_period.as_secs();
        LimitError::check_long("cache.scavenger_period", seconds, 10..=86_400)
    }
}

/// Limits on HTTP/2 connections. RFC 9113 §10.5; http-server-api §5, §15.
///
/// Each counter is one connection's own; those `_per_minute` begin anew each minute. Whoever passes one
/// is answered as [`on_flood`](Self::on_flood) says: GOAWAY with `ENHANCE_YOUR_CALM`, or an abrupt close.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq)]
#[schemars(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Http2Limits {
    /// Most streams at once, announced as SETTINGS_MAX_CONCURRENT_STREAMS. Default 100, range 1 to 65,535.
    ///
    /// A stream that was reset counts until its application has ended its work. One more is refused with
    /// `REFUSED_STREAM`, unprocessed.
    pub concurrent_streams_max: u32,
    /// Largest HPACK table a peer may build here, announced as SETTINGS_HEADER_TABLE_SIZE. Bytes, default
    /// 4,096, range 0 to 65,536.
    pub header_table_bytes_max: u32,
    /// Most streams a client may reset before they are answered, per minute (CVE-2023-44487). Default 400,
    /// range 0 to 65,535. Source: http-server-api §5.
    pub client_resets_per_minute_max: u32,
    /// Most streams a client may provoke the backend to reset, per minute (CVE-2025-8671). Default 400,
    /// range 0 to 65,535.
    pub server_resets_per_minute_max: u32,
    /// Most parameters in one SETTINGS frame. Default 64, range 7 to 2,796,202. Source:
    /// `Http2MaxSettingsPerFrame`, which has no default limit.
    pub settings_per_frame_max: u32,
    /// Most parameters in SETTINGS frames, per minute; an empty frame counts as one (CVE-2019-9515).
    /// Default 1,000, range 7 to 1,000,000. Source: `Http2MaxSettingsPerMinute`, which has no default limit.
    pub settings_per_minute_max: u32,
    /// Most PING frames, per minute (CVE-2019-9512). Default 10,000, range 60 to 1,000,000.
    pub pings_per_minute_max: u32,
    /// Most frames that carry nothing, per minute: DATA without content that does not end its stream,
    /// HEADERS or CONTINUATION without a fragment (CVE-2019-9518). Default 1,000, range 16 to 1,000,000.
    pub empty_frames_per_minute_max: u32,
    /// Most PRIORITY and PRIORITY_UPDATE frames, per minute (CVE-2019-9513). Default 10,000, range 100 to
    /// 1,000,000.
    pub priorities_per_minute_max: u32,
    /// Most WINDOW_UPDATE frames, per minute, beyond what was sent meanwhile: one for each 1,024 bytes of
    /// content, and two for each DATA frame that no window has cut short (CVE-2019-9511). Default 10,000,
    /// range 100 to 1,000,000.
    pub window_updates_per_minute_max: u32,
    /// Most CONTINUATION frames of one header block; the block as a whole is bounded by
    /// [`head_bytes_max`](RequestLimits::head_bytes_max). Default 16, range 1 to 1,024 (CERT VU#421644).
    pub continuations_max: u32,
    /// What becomes of a connection that passes a limit. Default GOAWAY.
    pub on_flood: FloodAnswer,
    /// Whether streams may carry WebSocket, announced as SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441).
    /// Default true.
    // In a settings file `websocket.rfc8441` says so.
    #[schemars(skip)]
    pub extended_connect: bool,
}

/// How a connection ends that asks for too much.
#[derive(Clone, Copy, Debug, Default, Eq, JsonSchema, PartialEq)]
#[schemars(rename_all = "kebab-case")]
pub enum FloodAnswer {
    /// GOAWAY with `ENHANCE_YOUR_CALM`, then the end.
    #[default]
    GoAway,
    /// An abrupt close.
    Close,
}

impl Default for Http2Limits {
    fn default() -> Self {
        Self {
            concurrent_streams_max: 100,
            header_table_bytes_max: 4_096,
            client_resets_per_minute_max: 400,
            server_resets_per_minute_max: 400,
            settings_per_frame_max: 64,
            settings_per_minute_max: 1_000,
            pings_per_minute_max: 10_000,
            empty_frames_per_minute_max: 1_000,
            priorities_per_minute_max: 10_000,
            window_updates_per_minute_max: 10_000,
            continuations_max: 16,
            on_flood: FloodAnswer::GoAway,
            extended_connect: true,
        }
    }
}

impl Http2Limits {
    /// Whether all numbers are in their ranges.
    ///
    /// # Errors
    ///
    /// The first number that is not, with its range.
    pub fn check(&self) -> Result<(), LimitError> {
        let million = 1_000_000;
        let ranges = [
            (
                "concurrent_streams_max",
                self.concurrent_streams_max,
                1..=65_535,
            ),
            (
                "header_table_bytes_max",
                self.header_table_bytes_max,
                0..=65_536,
            ),
            (
                "client_resets_per_minute_max",
                self.client_resets_per_minute_max,
                0..=65_535,
            ),
            (
                "server_resets_per_minute_max",
                self.server_resets_per_minute_max,
                0..=65_535,
            ),
            (
                "settings_per_frame_max",
                self.settings_per_frame_max,
                7..=2_796_202,
            ),
            (
                "settings_per_minute_max",
                self.settings_per_minute_max,
                7..=million,
            ),
            (
                "pings_per_minute_max",
                self.pings_per_minute_max,
                60..=million,
            ),
            (
                "empty_frames_per_minute_max",
                self.empty_frames_per_minute_max,
                16..=million,
            ),
            (
                "priorities_per_minute_max",
                self.priorities_per_minute_max,
                100..=million,
            ),
            (
                "window_updates_per_minute_max",
                self.window_updates_per_minute_max,
                100..=million,
            ),
            ("continuations_max", self.continuations_max, 1..=1_024),
        ];
        ranges
            .into_iter()
            .try_for_each(|(name, value, range)| LimitError::check(name, value, range))
    }
}

/// A number set outside its range. The caller's fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LimitError {
    /// The setting.
    pub name: &'static str,
    /// The number refused.
    pub value: u64,
    /// The range allowed.
    pub range: RangeInclusive<u64>,
}

impl LimitError {
    /// Whether `value` is in `range`.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn check(
        name: &'static str,
        value: u32,
        range: RangeInclusive<u32>,
    ) -> Result<(), LimitError> {
        let range = u64::from(*range.start())..=u64::from(*range.end());
        Self::check_long(name, value.into(), range)
    }

    /// As [`check`](Self::check), for numbers that may be large.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn check_long(
        name: &'static str,
        value: u64,
        range: RangeInclusive<u64>,
    ) -> Result<(), LimitError> {
        match range.contains(&value) {
            true => Ok(()),
            false => Err(Self { name, value, range }),
        }
    }
}

impl fmt::Display for LimitError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} is {}, allowed are {} to {}",
            self.name,
            self.value,
            self.range.start(),
            self.range.end()
        )
    }
}

impl std::error::Error for LimitError {}
