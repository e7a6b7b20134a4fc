//! The PROXY protocol: what a proxy says at the beginning of a connection of whom it passes on.
//!
//! Both versions, read strictly: there is one way to read what is taken, and it never depends on how the
//! bytes came in. What kinds of addresses are none of TCP says nothing; the TLVs of version 2 are skipped.
//! Who may send such a header is not decided here. Source: HAProxy, "The PROXY protocol", versions 1 & 2.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// A whole header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProxyHeader {
    /// How many bytes it takes.
    pub bytes: usize,
    /// Both ends of the connection that is passed on; `None`: those of the connection itself hold, as the
    /// proxy speaks for itself or does not know.
    pub ends: Option<ProxiedEnds>,
}

/// Both ends of a connection that is passed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProxiedEnds {
    /// Who connected.
    pub source: SocketAddr,
    /// Where it connected to.
    pub destination: SocketAddr,
}

/// Why bytes are no header of the PROXY protocol. The peer is at fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProxyFault {
    /// They begin like neither version.
    Signature,
    /// The line of version 1 is longer than 107 bytes, or does not end in CR LF.
    LineEnd,
    /// A word of the line of version 1 is missing, unknown or malformed, or there is one too many.
    Line,
    /// The version or the command of version 2 is unknown.
    Command,
    /// The kind of addresses of version 2 is unknown, or the header is too short for them.
    Addresses,
    /// The TLVs of version 2 do not fit into the header.
    Tlvs,
    /// The header of version 2 is longer than 4,096 bytes.
    TooLong,
}

impl fmt::Display for ProxyFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Signature => "the connection does not begin with a PROXY header",
            Self::LineEnd => "the line of a PROXY header does not end as it must",
            Self::Line => "the line of a PROXY header is malformed",
            Self::Command => "the version or command of a PROXY header is unknown",
            Self::Addresses => "the addresses of a PROXY header are unknown or cut",
            Self::Tlvs => "the TLVs of a PROXY header are malformed",
            Self::TooLong => "a PROXY header is too long",
        })
    }
}

impl std::error::Error for ProxyFault {}

/// Reads the header at the start of `bytes`; `None` if it is not whole, and nothing is wrong so far.
///
/// # Errors
///
/// The bytes are no header; no further bytes would change that.
pub fn parse_proxy_header(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyFault> {
    let begins = |signature: &[u8]| {
        let count = bytes.len().min(signature.len());
        bytes[..count] == signature[..count]
    };
    if begins(SIGNATURE_1) {
        return parse_line(bytes);
    }
    if begins(SIGNATURE_2) {
        return parse_binary(bytes);
    }
    Err(ProxyFault::Signature)
}

/// Version 1: `PROXY TCP4 source destination port port CR LF`.
fn parse_line(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyFault> {
    let view = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = view.iter().position(|&byte| byte == b'\n') else {
        return match view.len() < LINE_BYTES_MAX {
            true => Ok(None),
            false => Err(ProxyFault::LineEnd),
        };
    };
    let line = view[..end].strip_suffix(b"\r").ok_or(ProxyFault::LineEnd)?;
    let words = line.get(SIGNATURE_1.len()..).ok_or(ProxyFault::Line)?;
    let words = std::str::from_utf8(words).map_err(|_| ProxyFault::Line)?;
    let header = |ends| {
        Ok(Some(ProxyHeader {
            bytes: end + 1,
            ends,
        }))
    };
    if words == "UNKNOWN" || words.starts_with("UNKNOWN ") {
        // What follows is to be ignored.
        return header(None);
    }
    let mut words = words.split(' ');
    let mut next = || words.next().ok_or(ProxyFault::Line);
    let (source, destination) = match next()? {
        "TCP4" => (address::<Ipv4Addr>(next()?)?, address::<Ipv4Addr>(next()?)?),
        "TCP6" => (address::<Ipv6Addr>(next()?)?, address::<Ipv6Addr>(next()?)?),
        _ => return Err(ProxyFault::Line),
    };
    let ends = ProxiedEnds {
        source: SocketAddr::new(source, port(next()?)?),
        destination: SocketAddr::new(destination, port(next()?)?),
    };
    match words.next() {
        None => header(Some(ends)),
        Some(_) => Err(ProxyFault::Line),
    }
}

fn address<A: FromStr + Into<IpAddr>>(word: &str) -> Result<IpAddr, ProxyFault> {
    let address: A = word.parse().map_err(|_| ProxyFault::Line)?;
    Ok(address.into())
}

fn port(word: &str) -> Result<u16, ProxyFault> {
    let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
    let has_zeros = word.len() > 1 && word.starts_with('0');
    match word.parse() {
        Ok(port) if is_number && !has_zeros => Ok(port),
        _ => Err(ProxyFault::Line),
    }
}

/// Version 2: signature, command, kind of addresses, length, addresses, TLVs.
fn parse_binary(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyFault> {
    let Some(&[command, kind, high, low]) = bytes.get(SIGNATURE_2.len()..FIXED_BYTES) else {
        return match bytes.get(SIGNATURE_2.len()) {
            Some(&command) if command != LOCAL && command != PROXY => Err(ProxyFault::Command),
            _ => Ok(None),
        };
    };
    if command != LOCAL && command != PROXY {
        return Err(ProxyFault::Command);
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    let end = FIXED_BYTES + length;
    if end > BINARY_BYTES_MAX {
        return Err(ProxyFault::TooLong);
    }
    let address_bytes = match kind {
        // The proxy need not say anything of itself.
        _ if command == LOCAL => 0,
        UNSPECIFIED => 0,
        TCP4 | UDP4 => 12,
        TCP6 | UDP6 => 36,
        UNIX_STREAM | UNIX_DATAGRAM => 216,
        _ => return Err(ProxyFault::Addresses),
    };
    if length < address_bytes {
        return Err(ProxyFault::Addresses);
    }
    let Some(rest) = bytes.get(FIXED_BYTES..end) else {
        return Ok(None);
    };
    let (addresses, tlvs) = rest.split_at(address_bytes);
    if command == PROXY && kind != UNSPECIFIED {
        check_tlvs(tlvs)?;
    }
    let ends = match kind {
        TCP4 if command == PROXY => {
            let octets = |at: usize| addresses.get(at..)?.first_chunk::<4>().copied();
            pair(octets(0), octets(4), &addresses[8..])
        }
        TCP6 if command == PROXY => {
            let octets = |at: usize| addresses.get(at..)?.first_chunk::<16>().copied();
            pair(octets(0), octets(16), &addresses[32..])
        }
        // Nothing that a connection of TCP could have.
        _ => None,
    };
    Ok(Some(ProxyHeader { bytes: end, ends }))
}

fn pair<A: Into<IpAddr>>(
    source: Option<A>,
    destination: Option<A>,
    ports: &[u8],
) -> Option<ProxiedEnds> {
    let &[a, b, c, d] = ports else {
        return None;
    };
    Some(ProxiedEnds {
        source: SocketAddr::new(source?.into(), u16::from_be_bytes([a, b])),
        destination: SocketAddr::new(destination?.into(), u16::from_be_bytes([c, d])),
    })
}

fn check_tlvs(mut tlvs: &[u8]) -> Result<(), ProxyFault> {
    while let Some((&[_, high, low], rest)) = tlvs.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        tlvs = rest.get(length..).ok_or(ProxyFault::Tlvs)?;
    }
    match tlvs.is_empty() {
        true => Ok(()),
        false => Err(ProxyFault::Tlvs),
    }
}

const SIGNATURE_1: &[u8] = b"PROXY ";

/// The longest line that version 1 can have.
const LINE_BYTES_MAX: usize = 107;

const SIGNATURE_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, command, kind and length.
const FIXED_BYTES: usize = 16;

/// Far more than any proxy sends: the longest addresses and TLVs, certificates' names among them.
const BINARY_BYTES_MAX: usize = 4096;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

const UNSPECIFIED: u8 = 0x00;
const TCP4: u8 = 0x11;
const UDP4: u8 = 0x12;
const TCP6: u8 = 0x21;
const UDP6: u8 = 0x22;
const UNIX_STREAM: u8 = 0x31;
const UNIX_DATAGRAM: u8 = 0x32;

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(bytes: &[u8]) -> Option<String> {
        let header = parse_proxy_header(bytes).unwrap().unwrap();
        assert_eq!(header.bytes, bytes.len());
        let ends = header.ends?;
        Some(format!("{} {}", ends.source, ends.destination))
    }

    fn binary(command: u8, kind: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE_2.to_vec();
        bytes.extend_from_slice(&[command, kind]);
        bytes.extend_from_slice(&(rest.len() as u16).to_be_bytes());
        bytes.extend_from_slice(rest);
        bytes
    }

    const IPV4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 2, 0xC3, 0x50, 0, 80];

    #[test]
    fn a_line_tells_both_ends() {
        assert_eq!(
            ends(b"PROXY TCP4 192.0.2.1 198.51.100.2 50000 80\r\n").as_deref(),
            Some("192.0.2.1:50000 198.51.100.2:80")
        );
        assert_eq!(
            ends(b"PROXY TCP6 2001:db8::1 ::1 0 65535\r\n").as_deref(),
            Some("[2001:db8::1]:0 [::1]:65535")
        );
        assert_eq!(ends(b"PROXY UNKNOWN\r\n"), None);
        assert_eq!(ends(b"PROXY UNKNOWN ffff:f...f 1 2 whatever\r\n"), None);
    }

    #[test]
    fn bytes_tell_both_ends() {
        assert_eq!(
            ends(&binary(PROXY, TCP4, IPV4)).as_deref(),
            Some("192.0.2.1:50000 198.51.100.2:80")
        );
        let mut with_tlvs = IPV4.to_vec();
        with_tlvs.extend_from_slice(&[0x04, 0, 2, 9, 9, 0x20, 0, 0]);
        assert!(ends(&binary(PROXY, TCP4, &with_tlvs)).is_some());
        let mut ipv6 = [0; 36];
        ipv6[15] = 1;
        ipv6[31] = 2;
        ipv6[35] = 80;
        assert_eq!(
            ends(&binary(PROXY, TCP6, &ipv6)).as_deref(),
            Some("[::1]:0 [::2]:80")
        );
        for (kind, length) in [
            (UNSPECIFIED, 0),
            (UNSPECIFIED, 5),
            (UDP4, 12),
            (UNIX_STREAM, 216),
        ] {
            assert_eq!(ends(&binary(PROXY, kind, &vec![0; length])), None);
        }
        // Whatever stands there, the proxy speaks for itself.
        assert_eq!(ends(&binary(LOCAL, TCP4, IPV4)), None);
        assert_eq!(ends(&binary(LOCAL, 0xFF, &[1, 2, 3])), None);
    }

    #[test]
    fn what_is_no_header_is_refused() {
        use ProxyFault::{Addresses, Command, Line, LineEnd, Signature, Tlvs, TooLong};
        let long = [b'x'; 107];
        let mut cut_tlv = IPV4.to_vec();
        cut_tlv.extend_from_slice(&[0x04, 0, 9, 1]);
        let cases: [(&[u8], ProxyFault); 24] = [
            (b"GET / HTTP/1.1\r\n", Signature),
            (b"PROXX", Signature),
            (b"\r\n\r\nX", Signature),
            (b"\x16\x03\x01", Signature),
            (&[b"PROXY TCP4 ", &long[..]].concat(), LineEnd),
            (b"PROXY UNKNOWN\n", LineEnd),
            (b"PROXY \r\n", Line),
            (b"PROXY TCP4\r\n", Line),
            (b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", Line),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", Line),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", Line),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4  1 2\r\n", Line),
            (b"PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n", Line),
            (b"PROXY TCP4 ::1 1.2.3.4 1 2\r\n", Line),
            (b"PROXY TCP6 1.2.3.4 ::1 1 2\r\n", Line),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", Line),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n", Line),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", Line),
            (&binary(0x22, TCP4, IPV4), Command),
            (&binary(0x11, TCP4, IPV4), Command),
            (&binary(PROXY, 0x13, IPV4), Addresses),
            (&binary(PROXY, TCP6, IPV4), Addresses),
            (&binary(PROXY, TCP4, &cut_tlv), Tlvs),
            (&binary(PROXY, TCP4, &[0; 5000]), TooLong),
        ];
        for (bytes, fault) in cases {
            let shown = bytes.escape_ascii();
            assert_eq!(parse_proxy_header(bytes), Err(fault), "{shown}");
        }
    }

    #[test]
    fn a_header_is_read_the_same_however_it_is_cut() {
        for header in [
            b"PROXY TCP4 192.0.2.1 198.51.100.2 50000 80\r\n".to_vec(),
            b"PROXY UNKNOWN a b c\r\n".to_vec(),
            binary(PROXY, TCP4, IPV4),
            binary(LOCAL, 0, &[]),
        ] {
            let whole = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            for end in 0..whole.len() {
                let parsed = parse_proxy_header(&whole[..end]).unwrap();
                let expected = (end >= header.len()).then_some(header.len());
                assert_eq!(parsed.map(|header| header.bytes), expected, "{end}");
            }
        }
    }
}
