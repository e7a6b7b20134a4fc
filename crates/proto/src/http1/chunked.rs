//! Chunked content of a request, decoded as it comes in, in any split.
//!
//! Content is not copied: each step says which of the bytes given are content. Only the trailer
//! section is kept, up to `head_bytes_max`. Source: RFC 9112 §7.1, RFC 9110 §6.5.

use std::ops::Range;

use memchr::{memchr2, memmem};
use tidegate_httpapi::{RequestLimits, Trailers};

use super::field_line::{self, FieldLine};
use super::framing::LENGTH_MAX;
use super::head::Stop;
use super::path::hex_digit;
use super::reject::Reject;

/// What [`ChunkedDecoder::decode`] found in the bytes given.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ChunkStep {
    /// No content; all bytes are used up.
    NeedMore {
        /// How many bytes are used up: all.
        consumed: usize,
    },
    /// Content. Call again with the bytes after `consumed`.
    Data {
        /// Which of the bytes are content; never empty.
        range: Range<usize>,
        /// How many bytes are used up: up to the range's end.
        consumed: usize,
    },
    /// The content has ended, and its trailer section too. The bytes after `consumed` are the next
    /// request's.
    End {
        /// How many bytes are used up.
        consumed: usize,
    },
}

/// Decodes the content of one request.
#[derive(Debug, Default)]
pub struct ChunkedDecoder {
    state: State,
    /// By how many bytes the extensions outweigh the content so far.
    extension_bytes: u64,
    /// The trailer section so far, as received.
    section: Vec<u8>,
    trailers: Trailers,
}

/// What the next byte is.
#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// The first digit of a size.
    #[default]
    Size,
    /// A further digit, or what ends the size so far.
    SizeOrEnd { size: u64, digits: u8 },
    /// A blank between size and extension.
    Blank { size: u64 },
    /// Part of an extension.
    Extension { size: u64 },
    /// The LF of a size's line.
    SizeLf { size: u64 },
    /// Content; this many bytes of the chunk are to come, at least one.
    Data { left: u64 },
    /// The CR after a chunk's content.
    DataCr,
    /// The LF after a chunk's content.
    DataLf,
    /// Part of the trailer section.
    Trailer,
    /// Nothing: the content has ended.
    Ended,
}

impl ChunkedDecoder {
    /// A decoder at the start of the content.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes from the start of `bytes`, up to the next piece of content.
    ///
    /// # Errors
    ///
    /// The framing is broken, or a limit is; the decoder is of no use then and the connection must
    /// close. The peer is at fault.
    pub fn decode(&mut self, bytes: &[u8], limits: &RequestLimits) -> Result<ChunkStep, Reject> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match self.state {
                State::Data { left } => {
                    let len = usize::try_from(left)
                        .map_or(bytes.len() - at, |left| left.min(bytes.len() - at));
                    return Ok(self.data(at..at + len, left));
                }
                State::Extension { size } => {
                    at += self.extension(&bytes[at..], size, limits)?;
                }
                State::Trailer => {
                    let Some(used) = self.trailer(&bytes[at..], limits)? else {
                        break;
                    };
                    let consumed = at + used;
                    return Ok(ChunkStep::End { consumed });
                }
                State::Ended => return Ok(ChunkStep::End { consumed: at }),
                state => {
                    self.state = step(state, byte)?;
                    at += 1;
                }
            }
        }
        Ok(ChunkStep::NeedMore {
            consumed: bytes.len(),
        })
    }

    /// Whether the content and its trailer section have ended.
    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// The trailer section, once the content has ended. Fields that may not stand there are left out.
    pub fn trailers(&self) -> &Trailers {
        &self.trailers
    }

    /// As [`trailers`](Self::trailers), and gives them away.
    pub fn take_trailers(&mut self) -> Trailers {
        std::mem::take(&mut self.trailers)
    }

    fn data(&mut self, range: Range<usize>, left: u64) -> ChunkStep {
        let len = range.len() as u64;
        self.extension_bytes = self.extension_bytes.saturating_sub(len);
        self.state = match left - len {
            0 => State::DataCr,
            left => State::Data { left },
        };
        let consumed = range.end;
        ChunkStep::Data { range, consumed }
    }

    /// Skips an extension's bytes. Says how many.
    fn extension(
        &mut self,
        bytes: &[u8],
        size: u64,
        limits: &RequestLimits,
    ) -> Result<usize, Reject> {
        let cr = memchr2(b'\r', b'\n', bytes);
        let extension = &bytes[..cr.unwrap_or(bytes.len())];
        // A few bytes for each chunk are fair use; much more than the content is an attack.
        let room = u64::from(limits.head_bytes_max).saturating_sub(self.extension_bytes);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
        if extension.iter().take(room).any(is_control) {
            return Err(Reject::ChunkEnd);
        }
        if extension.len() > room {
            return Err(Reject::ChunkExtension);
        }
        self.extension_bytes += extension.len() as u64;
        let Some(cr) = cr else {
            return Ok(bytes.len());
        };
        if bytes[cr] == b'\n' {
            return Err(Reject::ChunkEnd);
        }
        self.state = State::SizeLf { size };
        Ok(cr + 1)
    }

    /// Gathers the trailer section; once it is whole, says how many of the bytes it took.
    fn trailer(&mut self, bytes: &[u8], limits: &RequestLimits) -> Result<Option<usize>, Reject> {
        if self.section.is_empty() && bytes.starts_with(b"\r\n") {
            self.state = State::Ended;
            return Ok(Some(2));
        }
        let before = self.section.len();
        let room = limits.head_bytes_max as usize - before;
        let taken = &bytes[..bytes.len().min(room)];
        self.section.extend_from_slice(taken);
        // Read only once it ends, lest a peer that sends it line by line have it read anew for each.
        let new = &self.section[before.saturating_sub(3)..];
        let ends = self.section.starts_with(b"\r\n") || memmem::find(new, b"\n\r\n").is_some();
        if !ends && taken.len() < room {
            return Ok(None);
        }
        match parse_trailers(&self.section, limits) {
            Ok((trailers, len)) => {
                self.trailers = trailers;
                self.section = Vec::new();
                self.state = State::Ended;
                Ok(Some(len - before))
            }
            Err(Stop::Reject(reason)) => Err(reason),
            Err(Stop::Incomplete) if taken.len() == room => Err(Reject::HeadTooLong),
            Err(Stop::Incomplete) => Ok(None),
        }
    }
}

/// The state after one byte of a size's line or of a chunk's end.
#[inline]
fn step(state: State, byte: u8) -> Result<State, Reject> {
    Ok(match (state, byte) {
        (State::Size, _) => State::SizeOrEnd {
            size: hex_digit(byte).ok_or(Reject::ChunkSize)?.into(),
            digits: 1,
        },
        (State::SizeOrEnd { size, .. } | State::Blank { size }, b';') => State::Extension { size },
        // RFC 9112 §7.1.1: blanks before the `;` are bad, but to be read. Without a `;` they are not.
        (State::SizeOrEnd { size, .. } | State::Blank { size }, b' ' | b'\t') => {
            State::Blank { size }
        }
        (State::SizeOrEnd { size, .. }, b'\r') => State::SizeLf { size },
        (State::SizeOrEnd { size, digits }, _) => {
            let digit = hex_digit(byte).ok_or(Reject::ChunkSize)?;
            if size > LENGTH_MAX >> 4 || digits == SIZE_DIGITS_MAX {
                return Err(Reject::ChunkSize);
            }
            State::SizeOrEnd {
                size: size << 4 | u64::from(digit),
                digits: digits + 1,
            }
        }
        (State::SizeLf { size: 0 }, b'\n') => State::Trailer,
        (State::SizeLf { size }, b'\n') => State::Data { left: size },
        (State::DataCr, b'\r') => State::DataLf,
        (State::DataLf, b'\n') => State::Size,
        (State::Blank { .. }, _) => return Err(Reject::ChunkSize),
        _ => return Err(Reject::ChunkEnd),
    })
}

/// Parses a trailer section, and says how long it is.
fn parse_trailers(section: &[u8], limits: &RequestLimits) -> Result<(Trailers, usize), Stop> {
    let mut fields = Vec::new();
    let mut rest = section;
    loop {
        match field_line::parse(section, rest, limits)? {
            FieldLine::Field(field, after) => {
                let name_start = field.name_start as usize;
                let value_start = field.value_start as usize;
                let name = &section[name_start..name_start + usize::from(field.name_len)];
                let value = &section[value_start..value_start + field.value_len as usize];
                if !is_forbidden_in_trailers(name) {
                    let name = name.iter().copied().map(char::from).collect();
                    fields.push((name, value.to_vec()));
                }
                rest = after;
            }
            FieldLine::End(after) => {
                return Ok((Trailers::new(fields), section.len() - after.len()));
            }
        }
    }
}

/// Whether a field may not stand in a trailer section: it frames or routes the message, modifies the
/// request, authenticates, or says how to read the content. RFC 9110 §6.5.1.
pub(crate) fn is_forbidden_in_trailers(name: &[u8]) -> bool {
    FORBIDDEN_IN_TRAILERS
        .iter()
        .any(|forbidden| name.eq_ignore_ascii_case(forbidden))
}

/// Bounds leading zeros, too.
const SIZE_DIGITS_MAX: u8 = 16;

const FORBIDDEN_IN_TRAILERS: [&[u8]; 29] = [
    b"Transfer-Encoding",
    b"Content-Length",
    b"Host",
    b"Connection",
    b"Keep-Alive",
    b"Upgrade",
    b"Trailer",
    b"TE",
    b"Expect",
    b"Max-Forwards",
    b"Cache-Control",
    b"Pragma",
    b"Range",
    b"If-Match",
    b"If-None-Match",
    b"If-Modified-Since",
    b"If-Unmodified-Since",
    b"If-Range",
    b"Authorization",
    b"Proxy-Authorization",
    b"Cookie",
    b"Content-Encoding",
    b"Content-Type",
    b"Content-Range",
    b"Forwarded",
    b"X-Forwarded-For",
    b"X-Forwarded-Host",
    b"X-Forwarded-Proto",
    b"Date",
];
