//! Every limit on what a peer may make grow: unit, default, range, source.
//!
//! Source of most: the HTTP Server API's registry settings (support article 820129).

use std::fmt;
use std::ops::RangeInclusive;

/// Limits on a request's head and content framing.
#[derive(Clone, Debug, Eq, PartialEq)]
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
    /// Most bytes of content, or of pipelined requests, held for a connection whose application is not
    /// reading. Default 65,536, range 16,384 to 16,777,216.
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
        if range.contains(&value) {
            return Ok(());
        }
        Err(Self {
            name,
            value: value.into(),
            range: u64::from(*range.start())..=u64::from(*range.end()),
        })
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
