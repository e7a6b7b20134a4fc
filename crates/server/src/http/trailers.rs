//! The trailer section of a response: fields that come after its content.
//!
//! Which fields may stand there is decided here, for all sources of content. Sent in HTTP/2 only, where
//! peers can be expected to look at it (http-server-api, case T16). Source: RFC 9110 §6.5,
//! http-server-api §11.

use tidegate_httpapi::FieldBlock;

use super::response::{Response, ResponseError};

impl Response {
    /// Adds a field to the trailer section, after the ones that are there, of this name too. It goes out
    /// behind the content, whatever that comes from, and on HTTP/1.1 not at all.
    ///
    /// For content that comes through a [`channel`](Self::channel), the sender can still
    /// [add](super::BodySender::trailer) what is only known at its end. Faults are as with
    /// [`header`](Self::header).
    ///
    /// ```
    /// # fn handler(response: &mut tidegate::Response) {
    /// response.trailer("Server-Timing", "db;dur=53").text("Found.");
    /// # }
    /// ```
    pub fn trailer(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        if let Err(fault) = self.try_trailer(name, value) {
            self.keep_fault(fault);
        }
        self
    }

    /// As [`trailer`](Self::trailer), telling at once.
    ///
    /// # Errors
    ///
    /// The name is not a token or one that no trailer section may have, or the value has a control
    /// character; nothing is added then. The caller's fault.
    pub fn try_trailer(
        &mut self,
        name: &str,
        value: impl AsRef<[u8]>,
    ) -> Result<&mut Self, ResponseError> {
        append_trailer(self.head.trailers.get_or_insert_default(), name, value)?;
        Ok(self)
    }

    /// The trailer fields set so far.
    pub fn trailers(&self) -> &FieldBlock {
        static NONE: FieldBlock = FieldBlock::new();
        self.head.trailers.as_deref().unwrap_or(&NONE)
    }
}

/// Adds a field to a trailer section, if it may stand there.
pub(super) fn append_trailer(
    trailers: &mut FieldBlock,
    name: &str,
    value: impl AsRef<[u8]>,
) -> Result<(), ResponseError> {
    let is_forbidden = FORBIDDEN
        .iter()
        .any(|forbidden| name.eq_ignore_ascii_case(forbidden));
    if is_forbidden {
        return Err(ResponseError::Trailer { name: name.into() });
    }
    Ok(trailers.append(name, value)?)
}

/// RFC 9110 §6.5.1: what frames or routes a message, modifies a request, authenticates, controls the
/// response, or says how to read the content, comes too late behind it. RFC 9113 §8.2.2: what is about
/// the connection is not said in HTTP/2 at all.
const FORBIDDEN: [&str; 35] = [
    "Transfer-Encoding",
    "Content-Length",
    "Host",
    "Cache-Control",
    "Expect",
    "Max-Forwards",
    "Pragma",
    "Range",
    "TE",
    "If-Match",
    "If-None-Match",
    "If-Modified-Since",
    "If-Unmodified-Since",
    "If-Range",
    "WWW-Authenticate",
    "Authorization",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Cookie",
    "Set-Cookie",
    "Age",
    "Date",
    "Expires",
    "Location",
    "Retry-After",
    "Vary",
    "Warning",
    "Content-Encoding",
    "Content-Type",
    "Content-Range",
    "Trailer",
    "Connection",
    "Keep-Alive",
    "Proxy-Connection",
    "Upgrade",
];
