//! Why a request is refused: one variant for each rule, its status, its reason in the error log.
//!
//! Source: RFC 9110 §15, the HTTP Server API's table of driver errors and its error log's reasons.

use std::fmt;

use tidegate_httpapi::{Span, reason_phrase};

/// The rule that a request broke. The peer is at fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reject {
    /// The request line is not `method SP target SP version`. RFC 9112 §3.
    RequestLine,
    /// The method is not a token. RFC 9110 §9.1.
    Method,
    /// The method is one the HTTP Server API knows, in another letter case.
    MethodCase,
    /// The method is longer than `method_bytes_max`.
    MethodTooLong,
    /// `CONNECT`: this server is no tunnel. RFC 9110 §9.3.6.
    Connect,
    /// The target is longer than `field_bytes_max`, or than the head may be.
    TargetTooLong,
    /// The target is in none of the forms its method allows. RFC 9112 §3.2.
    TargetForm,
    /// The target has a blank, a control character, a `#` or a byte beyond ASCII. RFC 3986 §2.
    TargetByte,
    /// An absolute target has a `?` right after its authority.
    TargetWithoutPath,
    /// A `%` in the path begins no escape. RFC 3986 §2.1.
    Escape,
    /// An escape in the path stands for a control character.
    EscapeRestricted,
    /// Escapes in the path are not UTF-8, and the limits do not allow that.
    EscapeNotUtf8,
    /// A `%uNNNN` in the path, and the limits do not allow that.
    EscapePercentU,
    /// A path segment is longer than `segment_chars_max`.
    SegmentTooLong,
    /// The path has more segments than `segments_max`.
    SegmentsTooMany,
    /// The major version is not 1. RFC 9110 §2.5.
    VersionNotSupported,
    /// HTTP/1.1 without `Host`. RFC 9112 §3.2.
    HostMissing,
    /// More than one `Host`. RFC 9112 §3.2.
    HostRepeated,
    /// The host or its port is malformed. RFC 9110 §7.2.
    HostMalformed,
    /// The host is an IPv4 address written as an IPv6 one.
    HostMappedAddress,
    /// The host is well formed, but nothing is registered for it on this port.
    HostUnknown,
    /// A line does not end in CR LF, has a CR elsewhere, or continues the line before it. RFC 9112 §2.2
    /// and §5.2.
    LineEnd,
    /// A field name is empty, not a token, or not followed by its colon at once. RFC 9112 §5.1.
    FieldName,
    /// A field value has a control character. RFC 9110 §5.5.
    FieldValue,
    /// A field line is longer than `field_bytes_max`.
    FieldTooLong,
    /// The head, or the trailer section, is longer than `head_bytes_max`.
    HeadTooLong,
    /// `Content-Length` is not a decimal number. RFC 9110 §8.6.
    LengthMalformed,
    /// Several `Content-Length` values that differ. RFC 9112 §6.3.
    LengthsDiffer,
    /// `Content-Length` is 2⁶³ or more.
    LengthTooLarge,
    /// The content is longer than the request queue accepts. RFC 9110 §15.5.14.
    ContentTooLarge,
    /// `POST` or `PUT` with neither `Content-Length` nor `Transfer-Encoding`.
    LengthRequired,
    /// Both `Content-Length` and `Transfer-Encoding`. RFC 9112 §6.1.
    LengthAndTransferEncoding,
    /// `Transfer-Encoding` in an HTTP/1.0 request. RFC 9112 §6.1.
    TransferEncodingVersion,
    /// `Transfer-Encoding` is anything but `chunked`, once. RFC 9112 §6.1.
    TransferEncodingUnknown,
    /// `Expect` asks for anything but `100-continue`. RFC 9110 §10.1.1.
    Expectation,
    /// A chunk's size is not a hexadecimal number below 2⁶³. RFC 9112 §7.1.
    ChunkSize,
    /// A chunk's line or data does not end in CR LF, or its extension has a control character.
    ChunkEnd,
    /// Chunk extensions outweigh the content by more than `head_bytes_max`. RFC 9112 §7.1.1.
    ChunkExtension,
}

impl Reject {
    /// The status to answer with. This `match` is the only place that decides it.
    pub fn status(self) -> u16 {
        match self {
            Self::TargetTooLong => 414,
            Self::LengthRequired => 411,
            Self::LengthTooLarge | Self::ContentTooLarge => 413,
            Self::Expectation => 417,
            Self::TransferEncodingUnknown => 501,
            Self::VersionNotSupported => 505,
            Self::RequestLine
            | Self::Method
            | Self::MethodCase
            | Self::MethodTooLong
            | Self::Connect
            | Self::TargetForm
            | Self::TargetByte
            | Self::TargetWithoutPath
            | Self::Escape
            | Self::EscapeRestricted
            | Self::EscapeNotUtf8
            | Self::EscapePercentU
            | Self::SegmentTooLong
            | Self::SegmentsTooMany
            | Self::HostMissing
            | Self::HostRepeated
            | Self::HostMalformed
            | Self::HostMappedAddress
            | Self::HostUnknown
            | Self::LineEnd
            | Self::FieldName
            | Self::FieldValue
            | Self::FieldTooLong
            | Self::HeadTooLong
            | Self::LengthMalformed
            | Self::LengthsDiffer
            | Self::LengthAndTransferEncoding
            | Self::TransferEncodingVersion
            | Self::ChunkSize
            | Self::ChunkEnd
            | Self::ChunkExtension => 400,
        }
    }

    /// The reason as the error log spells it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::RequestLine
            | Self::LengthAndTransferEncoding
            | Self::TransferEncodingVersion
            | Self::ChunkSize
            | Self::ChunkEnd
            | Self::ChunkExtension => "BadRequest",
            Self::Method | Self::MethodCase | Self::MethodTooLong | Self::Connect => "Verb",
            Self::TargetTooLong => "URL_Length",
            Self::TargetForm
            | Self::TargetByte
            | Self::TargetWithoutPath
            | Self::Escape
            | Self::EscapeRestricted
            | Self::EscapeNotUtf8
            | Self::EscapePercentU
            | Self::SegmentTooLong
            | Self::SegmentsTooMany => "URL",
            Self::VersionNotSupported => "Version_N/S",
            Self::HostMissing
            | Self::HostRepeated
            | Self::HostMalformed
            | Self::HostMappedAddress
            | Self::HostUnknown => "Hostname",
            Self::LineEnd => "Invalid_CR/LF",
            Self::FieldName | Self::FieldValue => "Header",
            Self::FieldTooLong => "FieldLength",
            Self::HeadTooLong => "RequestLength",
            Self::LengthMalformed | Self::LengthsDiffer => "Number",
            Self::LengthTooLarge | Self::ContentTooLarge => "EntityTooLarge",
            Self::LengthRequired => "LengthRequired",
            Self::TransferEncodingUnknown => "N/I",
            Self::Expectation => "Precondition",
        }
    }

    /// The rule in one sentence, for the page that the peer gets.
    pub fn detail(self) -> &'static str {
        match self {
            Self::RequestLine => "The request line is not method, target and version.",
            Self::Method => "The method is not a token.",
            Self::MethodCase => "The method is written in the wrong letter case.",
            Self::MethodTooLong => "The method is too long.",
            Self::Connect => "This server is not a tunnel.",
            Self::TargetTooLong => "The URL is too long.",
            Self::TargetForm => "The URL is in a form that the method does not allow.",
            Self::TargetByte => "The URL has a character that must be escaped.",
            Self::TargetWithoutPath => "The URL has no path before its query.",
            Self::Escape => "The URL has a malformed escape.",
            Self::EscapeRestricted => "The URL has an escaped control character.",
            Self::EscapeNotUtf8 => "The URL has escapes that are not UTF-8.",
            Self::EscapePercentU => "The URL has a %u escape.",
            Self::SegmentTooLong => "A segment of the URL is too long.",
            Self::SegmentsTooMany => "The URL has too many segments.",
            Self::VersionNotSupported => "The protocol version is not supported.",
            Self::HostMissing => "The Host field is missing.",
            Self::HostRepeated => "The Host field is repeated.",
            Self::HostMalformed => "The host is malformed.",
            Self::HostMappedAddress => "The host is an IPv4 address in IPv6 form.",
            Self::HostUnknown => "The host is not served here.",
            Self::LineEnd => "A line end is not CR LF.",
            Self::FieldName => "A field name is malformed.",
            Self::FieldValue => "A field value has a control character.",
            Self::FieldTooLong => "A field is too long.",
            Self::HeadTooLong => "The header section is too long.",
            Self::LengthMalformed => "Content-Length is not a number.",
            Self::LengthsDiffer => "Content-Length is given twice with different values.",
            Self::LengthTooLarge | Self::ContentTooLarge => "The content is too long.",
            Self::LengthRequired => "The request needs a Content-Length.",
            Self::LengthAndTransferEncoding => {
                "Content-Length and Transfer-Encoding exclude each other."
            }
            Self::TransferEncodingVersion => "HTTP/1.0 has no Transfer-Encoding.",
            Self::TransferEncodingUnknown => "The transfer coding is not implemented.",
            Self::Expectation => "The expectation cannot be met.",
            Self::ChunkSize => "A chunk size is malformed.",
            Self::ChunkEnd => "A chunk is malformed.",
            Self::ChunkExtension => "The chunk extensions are too long.",
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status();
        write!(
            formatter,
            "{status} {} ({})",
            reason_phrase(status),
            self.reason()
        )
    }
}

impl std::error::Error for Reject {}

/// What could be read of a refused request's line, for the error log. Unread parts are `None`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PartialLine {
    /// The method; may be malformed.
    pub method: Option<Span>,
    /// The target; may be malformed.
    pub target: Option<Span>,
    /// The version, as `HTTP/` and two digits.
    pub version: Option<Span>,
}
