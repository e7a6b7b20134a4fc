//! Giving a request up instead of answering it: in HTTP/2 with a code, on HTTP/1 by the connection's end.
//!
//! How the stream ends is the driver's matter; here is how an application asks for it, by a response, a
//! failed handler or a failed source of content. Source: http-server-api §11, case T05; RFC 9113 §7.

use std::error::Error;
use std::io;

use tidegate_httpapi::StreamReset;

use super::response::Response;
use super::stream::BodySender;

impl Response {
    /// Gives the request up: its HTTP/2 stream ends with this code, whatever has been set. On HTTP/1,
    /// which has no codes, the connection is reset.
    ///
    /// A handler that was called with a borrowed request does it as it returns, a deferred one with
    /// [`send`](Self::send). Returning [`StreamReset`] as the handler's error does the same. In the
    /// middle of content, see [`BodySender::reset`].
    pub fn reset(&mut self, code: u32) {
        self.rare().reset = Some(StreamReset { code });
    }

    /// Gives the request up with the code `CANCEL`. See [`reset`](Self::reset).
    pub fn cancel(&mut self) {
        self.rare().reset = Some(StreamReset::CANCEL);
    }

    /// What is to be done instead of answering.
    pub(crate) fn wants_reset(&self) -> Option<StreamReset> {
        self.rare.as_ref()?.reset
    }
}

impl BodySender {
    /// Ends the content as given up: the HTTP/2 stream ends with this code once the pieces before have
    /// been sent, an HTTP/1 connection with a reset.
    pub fn reset(self, code: u32) {
        self.fail(io::Error::other(StreamReset { code }));
    }
}

/// The reset that an error is, or that is its cause.
pub(crate) fn reset_of(error: &(dyn Error + 'static)) -> Option<StreamReset> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(reset) = error.downcast_ref::<StreamReset>() {
            return Some(*reset);
        }
        let io_error = error.downcast_ref::<io::Error>();
        cause = match io_error.and_then(io::Error::get_ref) {
            // Its `source` passes over the error that it is made of.
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_is_found_however_it_is_wrapped() {
        let reset = StreamReset { code: 1111 };
        let once = io::Error::other(reset);
        let twice = io::Error::other(io::Error::other(reset));
        assert_eq!(reset_of(&reset), Some(reset));
        assert_eq!(reset_of(&once), Some(reset));
        assert_eq!(reset_of(&twice), Some(reset));
        assert_eq!(reset_of(&io::Error::other("another")), None);
        assert_eq!(reset_of(&io::Error::from(io::ErrorKind::NotFound)), None);
    }
}
