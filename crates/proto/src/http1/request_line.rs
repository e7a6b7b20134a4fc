//! The request line: method, target, version.
//!
//! [`parse`] takes the usual line in few instructions; [`parse_whole`] takes every line that is
//! right, and names the rule that a wrong one breaks. It decides by whole lines only, so the answer
//! does not depend on how the bytes came in. [`parse_method`] and [`parse_path`] are the same rules for
//! HTTP/2, which has no line but fields for its parts. Source: RFC 9112 §3, RFC 9113 §8.3.1.

use memchr::{memchr, memchr2};
use tidegate_httpapi::{RequestLimits, Span, Version};

use super::block::{BLOCK, Block, first_not};
use super::field_line::is_token;
use super::head::{ParsedHead, Stop, field_bytes_max, span};
use super::reject::{PartialLine, Reject};

/// The methods that change how a head is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verb {
    Head,
    /// `POST` and `PUT`: must say how long their content is.
    WithContent,
    Options,
    Connect,
    Other,
}

/// Parses the request line that `rest`, the end of `view`, begins with. Fills in what it says, and
/// returns what is behind it.
#[inline(always)]
pub(super) fn parse<'a>(
    view: &'a [u8],
    rest: &'a [u8],
    limits: &RequestLimits,
    head: &mut ParsedHead,
) -> Result<(Verb, &'a [u8]), Stop> {
    match parse_usual(view, rest, limits, head) {
        Some(parsed) => Ok(parsed),
        None => parse_whole(view, rest, limits, head),
    }
}

/// Parses a usual line: a usual method, a path and perhaps a query, HTTP/1.1.
#[inline(always)]
fn parse_usual<'a>(
    view: &[u8],
    rest: &'a [u8],
    limits: &RequestLimits,
    head: &mut ParsedHead,
) -> Option<(Verb, &'a [u8])> {
    let (method_len, verb) = usual_method(rest)?;
    let after_method = rest.get(method_len + 1..)?;
    let (target_len, is_special) = target_len(after_method)?;
    let (target, after_target) = after_method.split_at_checked(target_len)?;
    let (version, after) = after_target.split_first_chunk()?;
    if version != b" HTTP/1.1\r\n"
        || target.first() != Some(&b'/')
        || target_len > field_bytes_max(limits)
    {
        return None;
    }
    let start = view.len() - rest.len();
    let target_start = start + method_len + 1;
    head.line.method = span(start, method_len);
    head.line.target = span(target_start, target_len);
    head.line.path = head.line.target;
    head.path_is_plain = is_short(target_len, limits);
    if is_special {
        divide_path(view, target_start, limits, head).ok()?;
    }
    Some((verb, after))
}

/// The usual method that `rest` begins with, and its length.
#[inline(always)]
fn usual_method(rest: &[u8]) -> Option<(usize, Verb)> {
    let word = u64::from_le_bytes(*rest.first_chunk()?);
    let begins = |method: &[u8; 8], len: usize| {
        let shift = 64 - 8 * len;
        word << shift == u64::from_le_bytes(*method) << shift
    };
    if begins(b"GET ....", 4) {
        Some((3, Verb::Other))
    } else if begins(b"POST ...", 5) {
        Some((4, Verb::WithContent))
    } else if begins(b"HEAD ...", 5) {
        Some((4, Verb::Head))
    } else if begins(b"PUT ....", 4) {
        Some((3, Verb::WithContent))
    } else if begins(b"DELETE .", 7) {
        Some((6, Verb::Other))
    } else {
        None
    }
}

/// The length of the target that `rest` begins with, and whether it has more than a plain path has.
#[inline(always)]
fn target_len(rest: &[u8]) -> Option<(usize, bool)> {
    let mut left = rest;
    let mut special = 0;
    while let Some(next) = left.first_chunk::<{ BLOCK + 1 }>() {
        let block = Block::new(next.first_chunk()?);
        let len = first_not(block.target_bytes());
        let marks = block.special(Block::new(next.last_chunk()?));
        special |= marks & ((1 << len) - 1);
        if len < BLOCK {
            return Some((rest.len() - left.len() + len, special != 0));
        }
        left = &left[BLOCK..];
    }
    None
}

/// Finds path and query of the target, which are there from `path_start` on.
#[inline(never)]
fn divide_path(
    view: &[u8],
    path_start: usize,
    limits: &RequestLimits,
    head: &mut ParsedHead,
) -> Result<(), Reject> {
    let target = head.line.target;
    let end = (target.start + target.len) as usize;
    let bytes = &view[path_start..end];
    // A fragment is not sent; who sends one may mean it as part of the path.
    if memchr(b'#', bytes).is_some() {
        return Err(Reject::TargetByte);
    }
    let question = memchr(b'?', bytes);
    let path = &bytes[..question.unwrap_or(bytes.len())];
    head.line.path = span(path_start, path.len());
    head.line.query =
        question.map(|question| span(path_start + question + 1, bytes.len() - question - 1));
    head.path_is_plain = is_plain(path) && is_short(path.len(), limits);
    Ok(())
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

/// Whether a path of this length, which is not 0, is too short to break a limit on segments.
#[inline(always)]
fn is_short(path_len: usize, limits: &RequestLimits) -> bool {
    // 0 is unlimited, so it is the largest.
    let within = |limit: u32| path_len - 1 <= limit.wrapping_sub(1) as usize;
    within(limits.segment_chars_max) && within(limits.segments_max)
}

/// Parses the line that `rest` begins with, whatever it is; the rules are all here.
///
/// Lengths come first, as they may be known before the line's end.
#[inline(never)]
fn parse_whole<'a>(
    view: &'a [u8],
    rest: &'a [u8],
    limits: &RequestLimits,
    head: &mut ParsedHead,
) -> Result<(Verb, &'a [u8]), Stop> {
    let end = memchr(b'\n', rest);
    let line = &rest[..end.unwrap_or(rest.len())];
    let text = line.strip_suffix(b"\r").unwrap_or(line);
    let words = Words::of(text);
    if words.method.len() > limits.method_bytes_max as usize {
        return Err(Reject::MethodTooLong.into());
    }
    if words.target.len() > field_bytes_max(limits) {
        return Err(Reject::TargetTooLong.into());
    }
    let Some(end) = end else {
        return Err(Stop::Incomplete);
    };
    if !line.ends_with(b"\r") || memchr(b'\r', text).is_some() {
        return Err(Reject::LineEnd.into());
    }
    if words.target.is_empty() {
        return Err(Reject::RequestLine.into());
    }
    let verb = verb(words.method)?;
    head.line.version = version(words.last)?;
    if verb == Verb::Connect {
        return Err(Reject::Connect.into());
    }
    if words.last.len() != words.version.len() || !words.target.iter().all(u8::is_ascii_graphic) {
        return Err(Reject::TargetByte.into());
    }
    let start = view.len() - rest.len();
    head.line.method = span(start, words.method.len());
    head.line.target = span(start + words.method.len() + 1, words.target.len());
    head.asterisk = words.target == b"*" && verb == Verb::Options;
    if head.asterisk {
        head.path_is_plain = true;
    } else {
        divide_target(view, limits, head)?;
    }
    Ok((verb, &rest[end + 1..]))
}

/// Reads a method that stands alone.
#[inline]
pub(crate) fn parse_method(method: &[u8], limits: &RequestLimits) -> Result<Verb, Reject> {
    match method {
        b"GET" => Ok(Verb::Other),
        b"POST" => Ok(Verb::WithContent),
        _ if method.len() > limits.method_bytes_max as usize => Err(Reject::MethodTooLong),
        _ => verb(method),
    }
}

/// Reads a target that stands alone, as `:path` does: a path and perhaps a query, or an asterisk. Fills
/// in what it says. The target is not empty.
#[inline]
pub(crate) fn parse_path(
    view: &[u8],
    target: Span,
    verb: Verb,
    limits: &RequestLimits,
    head: &mut ParsedHead,
) -> Result<(), Reject> {
    let target_len = target.len as usize;
    if target_len > field_bytes_max(limits) {
        return Err(Reject::TargetTooLong);
    }
    let is_special = is_special(view, target).ok_or(Reject::TargetByte)?;
    head.line.target = target;
    match target.of(view) {
        [b'/', ..] if is_special => divide_path(view, target.start as usize, limits, head),
        [b'/', ..] => {
            head.line.path = target;
            head.path_is_plain = is_short(target_len, limits);
            Ok(())
        }
        b"*" if verb == Verb::Options => {
            head.asterisk = true;
            head.path_is_plain = true;
            Ok(())
        }
        _ => Err(Reject::TargetForm),
    }
}

/// Whether a target may have more than a plain path has; `None` if it has a byte that no target has.
#[inline]
fn is_special(view: &[u8], target: Span) -> Option<bool> {
    let end = (target.start + target.len) as usize;
    let mut at = target.start as usize;
    let mut special = 0;
    while at < end {
        let Some(next) = view[at..].first_chunk::<{ BLOCK + 1 }>() else {
            // Too near to the end of all bytes for a block.
            let rest = &view[at..end];
            return rest.iter().all(u8::is_ascii_graphic).then_some(true);
        };
        let block = Block::new(next.first_chunk()?);
        // What is behind the target counts for nothing, but that its first byte may make a slash before
        // it look special.
        let own = (1 << (end - at).min(BLOCK)) - 1;
        if !block.target_bytes() & own != 0 {
            return None;
        }
        special |= block.special(Block::new(next.last_chunk()?)) & own;
        at += BLOCK;
    }
    Some(special != 0)
}

/// Finds authority, path and query of the target.
fn divide_target(view: &[u8], limits: &RequestLimits, head: &mut ParsedHead) -> Result<(), Reject> {
    let target = head.line.target.of(view);
    let mut path_start = head.line.target.start as usize;
    if target[0] != b'/' {
        let scheme_len = scheme_len(target).ok_or(Reject::TargetForm)?;
        let authority = &target[scheme_len..];
        let authority_len = memchr2(b'/', b'?', authority).unwrap_or(authority.len());
        if authority.get(authority_len) == Some(&b'?') {
            return Err(Reject::TargetWithoutPath);
        }
        path_start += scheme_len;
        head.line.authority = Some(span(path_start, authority_len));
        path_start += authority_len;
    }
    divide_path(view, path_start, limits, head)
}

/// The length of `http://` or `https://` at the beginning of an absolute target.
fn scheme_len(target: &[u8]) -> Option<usize> {
    let begins = |scheme: &&[u8]| {
        let begin = target.get(..scheme.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
    };
    let schemes = [&b"http://"[..], b"https://"];
    schemes.into_iter().find(begins).map(<[u8]>::len)
}

fn verb(method: &[u8]) -> Result<Verb, Reject> {
    if method.is_empty() {
        return Err(Reject::RequestLine);
    }
    if !is_token(method) {
        return Err(Reject::Method);
    }
    let known = KNOWN_METHODS
        .iter()
        .find(|known| known.eq_ignore_ascii_case(method));
    if known.is_some_and(|known| *known != method) {
        return Err(Reject::MethodCase);
    }
    Ok(match method {
        b"HEAD" => Verb::Head,
        b"POST" | b"PUT" => Verb::WithContent,
        b"OPTIONS" => Verb::Options,
        b"CONNECT" => Verb::Connect,
        _ => Verb::Other,
    })
}

fn version(word: &[u8]) -> Result<Version, Reject> {
    match word {
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            // RFC 9110 §2.5: a later minor version is read as the highest we know.
            if *major == b'1' {
                Ok(Version::Http11)
            } else {
                Err(Reject::VersionNotSupported)
            }
        }
        _ => Err(Reject::RequestLine),
    }
}

/// The words of a request line, right or wrong; empty where there is none.
struct Words<'a> {
    method: &'a [u8],
    target: &'a [u8],
    /// All behind the second blank.
    version: &'a [u8],
    /// All behind the last blank. More blanks than two are the target's if this is a version.
    last: &'a [u8],
}

impl<'a> Words<'a> {
    fn of(text: &'a [u8]) -> Self {
        let is_blank = |byte: &u8| *byte == b' ';
        let mut words = text.splitn(3, is_blank);
        let mut next = || words.next().unwrap_or_default();
        Self {
            method: next(),
            target: next(),
            version: next(),
            last: text.rsplit(is_blank).next().unwrap_or_default(),
        }
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
    let words = Words::of(line.strip_suffix(b"\r").unwrap_or(line));
    let target_start = start + words.method.len() + 1;
    let version_start = target_start + words.target.len() + 1;
    let part = |start, word: &[u8]| (!word.is_empty()).then(|| span(start, word.len()));
    let is_version = !matches!(version(words.version), Err(Reject::RequestLine));
    PartialLine {
        method: part(start, words.method),
        target: part(target_start, words.target),
        version: part(version_start, words.version).filter(|_| is_version),
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

#[cfg(test)]
mod tests {
    use super::*;

    // What the short way takes, the long way takes too, and finds the same.
    #[test]
    fn a_usual_line_is_read_as_any_line_is() {
        let lines: [&[u8]; 7] = [
            b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST /a/b.c/d?e=/./f%20?g HTTP/1.1\r\nHost: a\r\n\r\n",
            b"HEAD /0123456789abcde/.fghij HTTP/1.1\r\nHost: a\r\n\r\n",
            b"PUT / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"DELETE /0123456789abcdef0123456789abcdef HTTP/1.1\r\nHost: a\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET http://h:80/p HTTP/1.1\r\nHost: a\r\n\r\n",
        ];
        let mut limits = RequestLimits::default();
        limits.segment_chars_max = 10;
        let mut usual = 0;
        for line in lines {
            for index in 0..line.len() {
                for byte in 0..=u8::MAX {
                    let mut changed = line.to_vec();
                    changed[index] = byte;
                    let mut head = ParsedHead::EMPTY;
                    let found = parse_usual(&changed, &changed, &limits, &mut head);
                    if found.is_some() {
                        usual += 1;
                        let mut whole_head = ParsedHead::EMPTY;
                        let whole = parse_whole(&changed, &changed, &limits, &mut whole_head);
                        let text = String::from_utf8_lossy(&changed);
                        assert_eq!(found, whole.ok(), "{text:?}");
                        assert_eq!(format!("{head:?}"), format!("{whole_head:?}"), "{text:?}");
                    }
                }
            }
        }
        assert!(usual > 5_000, "{usual}");
    }

    #[test]
    fn a_path_is_plain_when_cooking_would_not_change_it() {
        for (path, plain) in [
            ("/", true),
            ("/a/b.c/d-e_f~g", true),
            ("/a.b./c", true),
            ("/a//b", false),
            ("/a/./b", false),
            ("/a/..", false),
            ("/.well-known", false),
            ("/a\\b", false),
            ("/a%20b", false),
        ] {
            assert_eq!(is_plain(path.as_bytes()), plain, "{path}");
        }
    }
}
