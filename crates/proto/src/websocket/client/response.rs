//! The head of a server's answer, read for its fields.
//!
//! As strict as the parser of requests: CR LF only, no continued lines, no blank before a colon.
//! Source: RFC 9112 §4, §5.

use std::borrow::Cow;

use memchr::memmem;

use super::error::UpgradeError;
use crate::http1::is_token;

/// The head of a response.
#[derive(Debug)]
pub(super) struct ResponseFields<'a> {
    pub(super) status: u16,
    pub(super) head_bytes: usize,
    /// The field lines, each with its end.
    lines: &'a [u8],
}

/// A field stands there more than once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Repeated;

impl<'a> ResponseFields<'a> {
    /// Reads the head at the start of `bytes`; `None` if it is not whole.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Option<Self>, UpgradeError> {
        let view = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
        // Whatever else answers on this port need not wait for the end of a head.
        let start = &view[..view.len().min(VERSION.len())];
        if start != &VERSION[..start.len()] {
            return Err(UpgradeError::Malformed);
        }
        let Some(end) = memmem::find(view, b"\r\n\r\n") else {
            return match view.len() < HEAD_BYTES_MAX {
                true => Ok(None),
                false => Err(UpgradeError::Malformed),
            };
        };
        let (head, _) = view.split_at(end + 2);
        let line_end = memmem::find(head, b"\r\n").unwrap_or(end);
        let (status_line, lines) = head.split_at(line_end + 2);
        let response = Self {
            status: parse_status(status_line).ok_or(UpgradeError::Malformed)?,
            head_bytes: end + 4,
            lines,
        };
        let mut lines = response.lines();
        match lines.all(|line| line.is_some()) {
            true => Ok(Some(response)),
            false => Err(UpgradeError::Malformed),
        }
    }

    /// Name and value of each line; `None` for one that is malformed.
    fn lines(&self) -> impl Iterator<Item = Option<(&'a [u8], &'a [u8])>> + use<'a> {
        // What ends in a line feed leaves nothing after it.
        let lines = self.lines.strip_suffix(b"\n").unwrap_or_default();
        let has_lines = !lines.is_empty();
        let lines = lines.split(|&byte| byte == b'\n');
        lines.take_while(move |_| has_lines).map(|line| {
            let line = line.strip_suffix(b"\r")?;
            let colon = memchr::memchr(b':', line)?;
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            let is_clean = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
            (is_token(name) && value.iter().all(is_clean)).then_some((name, value))
        })
    }

    /// The values of a field, line by line.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let name = name.as_bytes();
        let lines = self.lines().flatten();
        lines.filter_map(move |(its_name, value)| {
            its_name.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The value of a field that may stand there once.
    pub(super) fn only(&self, name: &str) -> Result<Option<&'a [u8]>, Repeated> {
        let mut values = self.values(name);
        let first = values.next();
        match values.next() {
            Some(_) => Err(Repeated),
            None => Ok(first),
        }
    }

    /// All lines of a field as one list.
    pub(super) fn joined(&self, name: &str) -> Cow<'a, [u8]> {
        let mut values = self.values(name);
        let mut joined = Cow::Borrowed(values.next().unwrap_or_default());
        for value in values {
            let joined = joined.to_mut();
            joined.extend_from_slice(b", ");
            joined.extend_from_slice(value);
        }
        joined
    }
}

/// `HTTP/1.1 SP status SP reason CR LF`; many leave out the second blank when there is no reason.
fn parse_status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(VERSION)?.strip_suffix(b"\r\n")?;
    let (digits, reason) = rest.split_first_chunk::<3>()?;
    let reason_is_clean = match reason {
        [] => true,
        [b' ', reason @ ..] => !reason.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)),
        _ => false,
    };
    if !reason_is_clean || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (100..600).contains(&status).then_some(status)
}

const VERSION: &[u8] = b"HTTP/1.1 ";

/// More than any server sends.
const HEAD_BYTES_MAX: usize = 64 * 1024;
