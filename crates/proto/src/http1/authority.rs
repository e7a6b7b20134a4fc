//! Host and port, as in a `Host` field or an absolute target.
//!
//! Says whether they are well-formed; which application a host belongs to is the namespace's matter.
//! Source: RFC 3986 §3.2.2, RFC 9110 §7.2, the HTTP Server API's `Hostname` errors.

use std::net::{Ipv4Addr, Ipv6Addr};

use tidegate_httpapi::Span;

use super::block::{BLOCK, Block, first_not};
use super::reject::Reject;

/// A host and its port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Authority<'a> {
    /// The host as written, an IPv6 address with its brackets.
    pub host: &'a str,
    /// What the host is.
    pub kind: HostKind,
    /// The port, if one is written. Never 0.
    pub port: Option<u16>,
}

/// What a host is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HostKind {
    /// A name.
    Name,
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// An IPv6 address, not one that stands for an IPv4 address.
    Ipv6(Ipv6Addr),
}

/// Parses `host[:port]`.
///
/// # Errors
///
/// [`Reject::HostMalformed`]: no host, a character no host has (`/`, `@` and blanks among them), a
/// bad bracket, an empty port, a port with a leading zero or above 65535.
/// [`Reject::HostMappedAddress`]: `[::ffff:…]`. The peer is at fault.
pub fn parse_authority(bytes: &[u8]) -> Result<Authority<'_>, Reject> {
    let text = std::str::from_utf8(bytes).map_err(|_| Reject::HostMalformed)?;
    if let Some(rest) = text.strip_prefix('[') {
        let (address, _) = rest.split_once(']').ok_or(Reject::HostMalformed)?;
        let (host, after) = text.split_at(address.len() + 2);
        let address: Ipv6Addr = address.parse().map_err(|_| Reject::HostMalformed)?;
        if address.to_ipv4_mapped().is_some() {
            return Err(Reject::HostMappedAddress);
        }
        let port = match after.strip_prefix(':') {
            Some(port) => Some(parse_port(port)?),
            None if after.is_empty() => None,
            None => return Err(Reject::HostMalformed),
        };
        return Ok(Authority {
            host,
            kind: HostKind::Ipv6(address),
            port,
        });
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(parse_port(port)?)),
        None => (text, None),
    };
    if !is_name(host.as_bytes()) {
        return Err(Reject::HostMalformed);
    }
    let kind = host.parse().map_or(HostKind::Name, HostKind::Ipv4);
    Ok(Authority { host, kind, port })
}

/// Checks as [`parse_authority`] does.
#[inline(always)]
pub(super) fn check(view: &[u8], span: Span) -> Result<(), Reject> {
    let host = span.of(view);
    // A name or IPv4 address, as most are. The blocks may reach beyond the host; in HTTP/2, what stands
    // there may look like more of it.
    let name_len = usual_name_len(view.get(span.start as usize..).unwrap_or_default());
    let name_len = name_len.min(host.len());
    match host.get(name_len..) {
        Some([]) if !host.is_empty() => Ok(()),
        Some([b':', port @ ..]) if name_len != 0 && is_port(port) => Ok(()),
        _ => check_unusual(host),
    }
}

/// How many of the first bytes are of the kinds that nearly all hosts are made of; fewer at the end.
#[inline(always)]
fn usual_name_len(bytes: &[u8]) -> usize {
    let mut left = bytes;
    let mut len = 0;
    while let Some((block, after)) = left.split_first_chunk() {
        let run = first_not(Block::new(block).host_bytes());
        len += run;
        if run < BLOCK {
            return len;
        }
        left = after;
    }
    0
}

#[cold]
#[inline(never)]
fn check_unusual(host: &[u8]) -> Result<(), Reject> {
    parse_authority(host).map(|_| ())
}

fn parse_port(digits: &str) -> Result<u16, Reject> {
    if is_port(digits.as_bytes()) {
        digits.parse().map_err(|_| Reject::HostMalformed)
    } else {
        Err(Reject::HostMalformed)
    }
}

/// Whether this is a number from 1 to 65535 without leading zeros.
#[inline(always)]
fn is_port(digits: &[u8]) -> bool {
    let in_range = match digits.len() {
        1..=4 => true,
        5 => digits <= &b"65535"[..],
        _ => false,
    };
    in_range && digits[0] != b'0' && digits.iter().all(u8::is_ascii_digit)
}

/// Whether this is a registered name of RFC 3986 §3.2.2, and not empty.
fn is_name(host: &[u8]) -> bool {
    let mut at = 0;
    while let Some(&byte) = host.get(at) {
        at += match byte {
            b'%' if matches!(host.get(at + 1..at + 3), Some(hex) if hex.iter().all(u8::is_ascii_hexdigit)) => {
                3
            }
            b'-' | b'.' | b'_' | b'~' => 1,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => 1,
            _ if byte.is_ascii_alphanumeric() => 1,
            _ => return false,
        };
    }
    !host.is_empty()
}
