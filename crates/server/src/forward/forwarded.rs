//! What an upstream is told of the client: who it is, which host it asked for, by which scheme.
//!
//! Whoever sends a request can claim anything in these fields, so what came is dropped, unless whoever it
//! came from is trusted. Source: RFC 7239; `X-Forwarded-…` by convention.

use std::borrow::Cow;
use std::net::IpAddr;

use tidegate_httpapi::{FieldBlock, FieldError, PeerAddress, RequestHead, Scheme};

use super::settings::ForwardSettings;

/// Who a request came from.
pub(super) struct Client<'a> {
    peer: Option<IpAddr>,
    scheme: &'static str,
    host: Option<&'a [u8]>,
    is_trusted: bool,
}

impl<'a> Client<'a> {
    pub(super) fn of(
        head: &RequestHead<'a>,
        peer: &PeerAddress,
        settings: &ForwardSettings,
    ) -> Self {
        let peer = match peer {
            PeerAddress::Tcp(address) => Some(address.ip().to_canonical()),
            PeerAddress::Unix(_) | PeerAddress::Unknown => None,
        };
        let mut trusted = settings.trusted_proxies.iter();
        Self {
            is_trusted: peer.is_some_and(|peer| trusted.any(|range| range.contains(peer))),
            peer,
            scheme: match head.registration.prefix.scheme {
                Scheme::Https => "https",
                Scheme::Http => "http",
            },
            host: head.host(),
        }
    }

    /// Whether a field that came is dropped: it is written anew, or not believed.
    pub(super) fn drops(&self, name: &str, settings: &ForwardSettings) -> bool {
        let Some(kind) = Kind::of(name) else {
            return false;
        };
        !self.is_trusted
            || match kind {
                Kind::Standard => settings.forwarded.has_standard(),
                Kind::Rewritten => settings.forwarded.has_others(),
                Kind::Other => false,
            }
    }

    /// Writes the fields.
    pub(super) fn write(
        &self,
        head: &RequestHead<'_>,
        settings: &ForwardSettings,
        out: &mut FieldBlock,
    ) -> Result<(), FieldError> {
        let came = |name| match self.is_trusted {
            true => head.field(name),
            false => None,
        };
        if settings.forwarded.has_standard() {
            let mut value = came("Forwarded").map_or_else(Vec::new, Cow::into_owned);
            if !value.is_empty() {
                value.extend_from_slice(b", ");
            }
            self.write_element(&mut value);
            out.append("Forwarded", value)?;
        }
        if settings.forwarded.has_others() {
            let mut addresses = came("X-Forwarded-For").map_or_else(Vec::new, Cow::into_owned);
            if let Some(peer) = self.peer {
                if !addresses.is_empty() {
                    addresses.extend_from_slice(b", ");
                }
                addresses.extend_from_slice(peer.to_string().as_bytes());
            }
            if !addresses.is_empty() {
                out.append("X-Forwarded-For", addresses)?;
            }
            match (came("X-Forwarded-Host"), self.host) {
                (Some(host), _) => out.append("X-Forwarded-Host", host)?,
                (None, Some(host)) => out.append("X-Forwarded-Host", host)?,
                (None, None) => {}
            }
            match came("X-Forwarded-Proto") {
                Some(scheme) => out.append("X-Forwarded-Proto", scheme)?,
                None => out.append("X-Forwarded-Proto", self.scheme)?,
            }
        }
        Ok(())
    }

    /// One hop, as RFC 7239 §4 writes it.
    fn write_element(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"for=");
        match self.peer {
            // RFC 7239 §6: an IPv6 address has brackets, which no token has.
            Some(IpAddr::V6(address)) => {
                out.extend_from_slice(format!("\"[{address}]\"").as_bytes());
            }
            Some(IpAddr::V4(address)) => out.extend_from_slice(address.to_string().as_bytes()),
            None => out.extend_from_slice(b"unknown"),
        }
        if let Some(host) = self.host.filter(|host| !host.is_empty()) {
            out.extend_from_slice(b";host=");
            write_value(host, out);
        }
        out.extend_from_slice(b";proto=");
        out.extend_from_slice(self.scheme.as_bytes());
    }
}

/// A value as a token, or quoted where it is none. RFC 9110 §5.6.4.
fn write_value(value: &[u8], out: &mut Vec<u8>) {
    let is_token = value
        .iter()
        .all(|&byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if is_token {
        return out.extend_from_slice(value);
    }
    out.push(b'"');
    for &byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Fields that tell of the client.
enum Kind {
    Standard,
    /// One that is written anew.
    Rewritten,
    Other,
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        // Many applications see no difference between `-` and `_` in a field's name (RFC 3875 §4.1.18).
        let same = |name: &str, other: &str| {
            name.len() == other.len()
                && name
                    .bytes()
                    .map(|byte| if byte == b'_' { b'-' } else { byte })
                    .zip(other.bytes())
                    .all(|(one, two)| one.eq_ignore_ascii_case(&two))
        };
        if !matches!(name.as_bytes().first(), Some(b'F' | b'f' | b'X' | b'x')) {
            return None;
        }
        if same(name, "Forwarded") {
            return Some(Self::Standard);
        }
        let prefix = "X-Forwarded-";
        let begins = name
            .get(..prefix.len())
            .is_some_and(|begin| same(begin, prefix));
        if !begins {
            return None;
        }
        let rewritten = ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"];
        let is_rewritten = rewritten.iter().any(|field| same(name, field));
        Some(if is_rewritten {
            Self::Rewritten
        } else {
            Self::Other
        })
    }
}
