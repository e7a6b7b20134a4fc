//! Error codes, and how a connection fails. Source: RFC 9113 §5.4, §7.

use std::error::Error;
use std::fmt;

/// Why a stream or a connection ends early.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
#[repr(u32)]
pub enum ErrorCode {
    /// `NO_ERROR`: no error; what is still to come is not needed.
    NoError = 0x0,
    /// `PROTOCOL_ERROR`: a rule is broken for which there is no other code.
    Protocol = 0x1,
    /// `INTERNAL_ERROR`: a defect here.
    Internal = 0x2,
    /// `FLOW_CONTROL_ERROR`: more was sent than the window allows, or a window passes 2³¹−1.
    FlowControl = 0x3,
    /// `SETTINGS_TIMEOUT`: settings were not acknowledged in time.
    SettingsTimeout = 0x4,
    /// `STREAM_CLOSED`: a frame for a stream that had ended.
    StreamClosed = 0x5,
    /// `FRAME_SIZE_ERROR`: a frame has a length that it may not have.
    FrameSize = 0x6,
    /// `REFUSED_STREAM`: nothing was done for the stream; it may be tried again.
    RefusedStream = 0x7,
    /// `CANCEL`: the stream is no longer needed.
    Cancel = 0x8,
    /// `COMPRESSION_ERROR`: a header block could not be decoded.
    Compression = 0x9,
    /// `CONNECT_ERROR`: the connection behind a CONNECT ended.
    Connect = 0xa,
    /// `ENHANCE_YOUR_CALM`: the peer asks for too much.
    EnhanceYourCalm = 0xb,
    /// `INADEQUATE_SECURITY`: TLS is weaker than HTTP/2 asks for.
    InadequateSecurity = 0xc,
    /// `HTTP_1_1_REQUIRED`: the request needs HTTP/1.1.
    Http11Required = 0xd,
}

impl ErrorCode {
    /// The number in frames.
    #[inline]
    pub const fn value(self) -> u32 {
        self as u32
    }

    /// The name in RFC 9113.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoError => "NO_ERROR",
            Self::Protocol => "PROTOCOL_ERROR",
            Self::Internal => "INTERNAL_ERROR",
            Self::FlowControl => "FLOW_CONTROL_ERROR",
            Self::SettingsTimeout => "SETTINGS_TIMEOUT",
            Self::StreamClosed => "STREAM_CLOSED",
            Self::FrameSize => "FRAME_SIZE_ERROR",
            Self::RefusedStream => "REFUSED_STREAM",
            Self::Cancel => "CANCEL",
            Self::Compression => "COMPRESSION_ERROR",
            Self::Connect => "CONNECT_ERROR",
            Self::EnhanceYourCalm => "ENHANCE_YOUR_CALM",
            Self::InadequateSecurity => "INADEQUATE_SECURITY",
            Self::Http11Required => "HTTP_1_1_REQUIRED",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A connection error: nothing that the peer sends is taken any more. The peer's fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Failure {
    /// The code that GOAWAY has.
    pub code: ErrorCode,
    /// The rule that was broken, for a log.
    pub reason: &'static str,
    /// Whether the peer asked for too much: it passed one of [`Http2Limits`](tidegate_httpapi::Http2Limits).
    pub is_flood: bool,
    /// Whether to end the connection at once, with a reset: no GOAWAY was appended.
    pub abrupt: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code, self.reason)
    }
}

impl Error for Failure {}

/// A connection error on its way to become a [`Failure`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) code: ErrorCode,
    pub(super) reason: &'static str,
    pub(super) is_flood: bool,
}

impl Fault {
    #[cold]
    pub(super) const fn new(code: ErrorCode, reason: &'static str) -> Self {
        Self {
            code,
            reason,
            is_flood: false,
        }
    }

    #[cold]
    pub(super) const fn protocol(reason: &'static str) -> Self {
        Self::new(ErrorCode::Protocol, reason)
    }

    #[cold]
    pub(super) const fn flood(reason: &'static str) -> Self {
        Self {
            code: ErrorCode::EnhanceYourCalm,
            reason,
            is_flood: true,
        }
    }
}
