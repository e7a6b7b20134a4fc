//! The request line: method, target, version.
//!
//! [`parse`] takes a line that is right, nearly always, in few instructions. Whatever it does not
//! take, [`refuse`] reads again, slowly, to name the rule broken; it decides only by whole lines, so
//! that the answer does not depend on how the bytes came in. Source: RFC 9112 §3.

use memchr::{memchr, memchr2};
use tidegate_httpapi::{RequestLimits, RequestLine, Version};

use super::block::{BLOCK, Block, first};
use super::field_line::is_token;
use super::head::{Stop, field_bytes_max, span};
use super::reject::{PartialLine, Reject};

/// A request line that obeys all rules.
pub(super) struct Line {
    pub(super) line: RequestLine,
    pub(super) verb: Verb,
    /// Whether the path needs no cooking.
    pub(super) path_is_plain: bool,
    /// Whether the target is `*`.
    pub(super) asterisk: bool,
    /// Where the next line begins.
    pub(super) next: usize,
}

/// The methods that change how a head is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verb {
    Head,
    /// `POST` and `PUT`: must say how long their content is.
    WithContent,
    Options,
    Other,
}

/// Parses the request line at `start`.
#[inline(always)]
pub(super) fn parse(view: &[u8], start: usize, limits: &RequestLimits) -> Result<Line, Stop> {
    let Some((method_len, verb)) = method(view, start, limits) else {
        return Err(refuse(view, start, limits));
    };
    let target_start = start + method_len + 1;
    let Some(target) = target(view, target_start) else {
        return Err(refuse(view, start, limits));
    };
    let target_len = target.end - target_start;
    if target_len > field_bytes_max(limits) {
        return Err(refuse(view, start, limits));
    }
    let Some((version, version_len)) = version(view, target.end) else {
        return Err(refuse(view, start, limits));
    };
    let mut line = Line {
        line: RequestLine {
            method: span(start, start + method_len),
            target: span(target_start, target.end),
            authority: None,
            path: span(target_start, target.end),
            query: None,
            version,
        },
        verb,
        path_is_plain: target_len <= plain_max(limits),
        asterisk: false,
        next: target.end + version_len,
    };
    if !target.plain {
        split_target(view, &mut line)?;
    }
    Ok(line)
}

/// The length of the method at `start` and what it is; `None` for one that is refused or not whole.
#[inline(always)]
fn method(view: &[u8], start: usize, limits: &RequestLimits) -> Option<(usize, Verb)> {
    let word = u64::from_le_bytes(*view.get(start..)?.first_chunk()?);
    if word as u32 == u32::from_le_bytes(*b"GET ") {
        return Some((3, Verb::Other));
    }
    const FIVE: u64 = 0xFF_FFFF_FFFF;
    if word & FIVE == u64::from_le_bytes(*b"POST \0\0\0") {
        return Some((4, Verb::WithContent));
    }
    if word & FIVE == u64::from_le_bytes(*b"HEAD \0\0\0") {
        return Some((4, Verb::Head));
    }
    other_method(&view[start..], limits)
}

#[inline(never)]
fn other_method(rest: &[u8], limits: &RequestLimits) -> Option<(usize, Verb)> {
    let window = &rest[..rest.len().min(limits.method_bytes_max as usize + 1)];
    let method = &window[..memchr(b' ', window)?];
    if !is_token(method) || is_known_in_other_case(method) {
        return None;
    }
    match method {
        b"PUT" => Some((3, Verb::WithContent)),
        b"OPTIONS" => Some((7, Verb::Options)),
        b"CONNECT" => None,
        _ => Some((method.len(), Verb::Other)),
    }
}

fn is_known_in_other_case(method: &[u8]) -> bool {
    KNOWN_METHODS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(method) && *known != method)
}

/// Where a target ends, and whether it is a path that needs neither splitting nor cooking.
struct Target {
    end: usize,
    plain: bool,
}

/// Scans the target at `start` up to the blank behind it.
#[inline(always)]
fn target(view: &[u8], start: usize) -> Option<Target> {
    let mut at = start;
    let mut special = 0;
    let mut after_slash = 0;
    let end = loop {
        let block = Block::at(view, at);
        let stops = block.not_in_target();
        let slashes = block.slashes();
        // A slash or a dot right after a slash: an empty segment, or perhaps a dot segment.
        let marks = block.marks() | (slashes << 1 | after_slash) & (slashes | block.dots());
        if stops != 0 {
            let len = first(stops);
            special |= marks & ((1 << len) - 1);
            break at + len;
        }
        special |= marks;
        after_slash = slashes >> (BLOCK - 1);
        at += BLOCK;
    };
    if *view.get(end)? != b' ' || end == start {
        return None;
    }
    let plain = special == 0 && view[start] == b'/';
    Some(Target { end, plain })
}

/// The version behind the blank at `start`, and how many bytes blank, version and line end are.
#[inline(always)]
fn version(view: &[u8], start: usize) -> Option<(Version, usize)> {
    let bytes: &[u8; 11] = view.get(start..)?.first_chunk()?;
    if bytes == b" HTTP/1.1\r\n" {
        return Some((Version::Http11, 11));
    }
    match bytes {
        b" HTTP/1.0\r\n" => Some((Version::Http10, 11)),
        [
            b' ',
            b'H',
            b'T',
            b'T',
            b'P',
            b'/',
            b'1',
            b'.',
            minor,
            b'\r',
            b'\n',
        ] if minor.is_ascii_digit() => Some((Version::Http11, 11)),
        _ => None,
    }
}

/// A path no longer than this breaks no limit on segments.
#[inline(always)]
fn plain_max(limits: &RequestLimits) -> usize {
    let unless_unlimited = |limit: u32| if limit == 0 { u32::MAX } else { limit };
    unless_unlimited(limits.segment_chars_max).min(unless_unlimited(limits.segments_max)) as usize
}

/// Finds the parts of a target that is not just a plain path.
#[inline(never)]
fn split_target(view: &[u8], line: &mut Line) -> Result<(), Reject> {
    let target = line.line.target;
    let start = target.start as usize;
    let end = start + target.len as usize;
    let bytes = &view[start..end];
    // A fragment is not sent; who sends one may mean it as part of the path.
    if memchr(b'#', bytes).is_some() {
        return Err(Reject::TargetByte);
    }
    let path_start = if bytes[0] == b'/' {
        start
    } else if bytes == b"*" && line.verb == Verb::Options {
        line.asterisk = true;
        line.path_is_plain = true;
        line.line.path = span(start, start);
        return Ok(());
    } else {
        let scheme_len = absolute_scheme(bytes).ok_or(Reject::TargetForm)?;
        let authority = &bytes[scheme_len..];
        let authority_len = memchr2(b'/', b'?', authority).unwrap_or(authority.len());
        if authority.get(authority_len) == Some(&b'?') {
            return Err(Reject::TargetWithoutPath);
        }
        let path_start = start + scheme_len + authority_len;
        line.line.authority = Some(span(start + scheme_len, path_start));
        path_start
    };
    let question = memchr(b'?', &view[path_start..end]);
    let path_end = question.map_or(end, |question| path_start + question);
    line.line.path = span(path_start, path_end);
    line.line.query = question.map(|_| span(path_end + 1, end));
    line.path_is_plain &= is_plain(&view[path_start..path_end]);
    Ok(())
}

/// The length of `http://` or `https://` at the beginning of an absolute target.
fn absolute_scheme(target: &[u8]) -> Option<usize> {
    [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| {
            target
                .get(..scheme.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
        })
        .map(<[u8]>::len)
}

/// Whether cooking would leave this path, made of target bytes, as it is.
fn is_plain(path: &[u8]) -> bool {
    let mut previous = 0;
    let dull = path.iter().all(|&byte| {
        let cooked =
            matches!(byte, b'%' | b'\\') || (previous == b'/' && matches!(byte, b'/' | b'.'));
        previous = byte;
        !cooked
    });
    dull && path.first() == Some(&b'/')
}

/// Names the rule that the line at `start` breaks, if that can be told yet.
///
/// Lengths come first, as they are known before the line's end.
#[cold]
#[inline(never)]
fn refuse(view: &[u8], start: usize, limits: &RequestLimits) -> Stop {
    let rest = &view[start..];
    let end = memchr(b'\n', rest);
    let line = &rest[..end.unwrap_or(rest.len())];
    let text = line.strip_suffix(b"\r").unwrap_or(line);
    let parts = split(text);
    if parts.method.len() > limits.method_bytes_max as usize {
        return Reject::MethodTooLong.into();
    }
    if parts.target.len() > field_bytes_max(limits) {
        return Reject::TargetTooLong.into();
    }
    if end.is_none() {
        return Stop::Incomplete;
    }
    if !line.ends_with(b"\r") || memchr(b'\r', text).is_some() {
        return Reject::LineEnd.into();
    }
    if parts.method.is_empty() || parts.target.is_empty() {
        return Reject::RequestLine.into();
    }
    if !is_token(parts.method) {
        return Reject::Method.into();
    }
    if is_known_in_other_case(parts.method) {
        return Reject::MethodCase.into();
    }
    // More blanks than two: they are the target's when the line does end in a version.
    let last = text.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    let [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] = last else {
        return Reject::RequestLine.into();
    };
    if !major.is_ascii_digit() || !minor.is_ascii_digit() {
        return Reject::RequestLine.into();
    }
    if *major != b'1' {
        return Reject::VersionNotSupported.into();
    }
    if parts.method == b"CONNECT" {
        return Reject::Connect.into();
    }
    Reject::TargetByte.into()
}

struct Parts<'a> {
    method: &'a [u8],
    target: &'a [u8],
    version: &'a [u8],
}

/// The words of a request line, right or wrong.
fn split(text: &[u8]) -> Parts<'_> {
    let mut words = text.splitn(3, |&byte| byte == b' ');
    let mut next = || words.next().unwrap_or_default();
    Parts {
        method: next(),
        target: next(),
        version: next(),
    }
}

/// Whether the bytes end within a request target, so that it is the target that is too long.
#[cold]
pub(super) fn ends_in_target(view: &[u8], start: usize) -> bool {
    let rest = &view[start..];
    memchr(b'\n', rest).is_none() && rest.iter().filter(|&&byte| byte == b' ').count() == 1
}

/// What can be read of the line at `start`, for the log.
#[cold]
pub(super) fn partial(view: &[u8], start: usize) -> PartialLine {
    let rest = &view[start..];
    let line = &rest[..memchr(b'\n', rest).unwrap_or(rest.len())];
    let parts = split(line.strip_suffix(b"\r").unwrap_or(line));
    let target_start = start + parts.method.len() + 1;
    let version_start = target_start + parts.target.len() + 1;
    let known =
        |start: usize, part: &[u8]| (!part.is_empty()).then(|| span(start, start + part.len()));
    let version = parts.version.starts_with(b"HTTP/") && parts.version.len() == 8;
    PartialLine {
        method: known(start, parts.method),
        target: known(target_start, parts.target),
        version: known(version_start, parts.version).filter(|_| version),
    }
}

/// The methods that the HTTP Server API knows by name.
const KNOWN_METHODS: [&[u8]; 17] = [
    b"OPTIONS",
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"DELETE",
    b"TRACE",
    b"CONNECT",
    b"TRACK",
    b"MOVE",
    b"COPY",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"LOCK",
    b"UNLOCK",
    b"SEARCH",
];
