//! The host of a prefix: wildcards, names, addresses, and their one canonical form.
//!
//! A name in another script than ASCII is kept as its A-labels (RFC 5890 §2.3.2.1): that is what
//! clients send, and it leaves one spelling to compare. Source: http-server-api §2.1, E1, E2.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::error::{AddressFault, PrefixError};

/// The host of a prefix; its kind decides the bucket.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Host {
    /// `+`: every host, before all others.
    StrongWildcard,
    /// A name, in lower case, as A-labels.
    Name {
        /// The name, without a leading `*.`.
        name: Box<str>,
        /// Whether it was written `*.name` and means any sub-domain.
        subdomains: bool,
        /// The local address it is tied to, if any.
        address: Option<IpAddr>,
    },
    /// An address literal: any host asked for on that local address.
    Address(IpAddr),
    /// `*`: every host not found elsewhere.
    WeakWildcard,
}

impl Host {
    pub(super) fn parse(host: &str) -> Result<Self, PrefixError> {
        match host {
            "+" => return Ok(Self::StrongWildcard),
            "*" => return Ok(Self::WeakWildcard),
            "" => return Err(PrefixError::HostEmpty),
            _ => {}
        }
        if host.starts_with('[') {
            return parse_v6(host).map(Self::Address);
        }
        let (subdomains, name) = match host.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, host),
        };
        let name =
            canonical_host_name(name).ok_or_else(|| PrefixError::HostName { host: host.into() })?;
        if looks_like_address(&name) {
            if subdomains {
                return Err(PrefixError::HostName { host: host.into() });
            }
            return parse_v4(&name).map(Self::Address);
        }
        Ok(Self::Name {
            name,
            subdomains,
            address: None,
        })
    }

    /// This host on one local address only (E2).
    pub(super) fn tied_to(self, address: &str) -> Result<Self, PrefixError> {
        let parsed = match address.starts_with('[') {
            true => parse_v6(address)?,
            false => parse_v4(address)?,
        };
        match self {
            Self::Name {
                name, subdomains, ..
            } => Ok(Self::Name {
                name,
                subdomains,
                address: Some(parsed),
            }),
            _ => Err(PrefixError::TiedHost {
                host: self.to_string().into(),
                address: address.into(),
            }),
        }
    }

    /// Whether only this machine can reach it: `localhost`, or a loopback address.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Name {
                name,
                subdomains: false,
                address,
            } => **name == *"localhost" && address.is_none_or(|address| address.is_loopback()),
            Self::Address(address) => address.is_loopback(),
            _ => false,
        }
    }

    /// The local address that a name is tied to.
    pub(super) fn tie(&self) -> Option<IpAddr> {
        match self {
            Self::Name { address, .. } => *address,
            _ => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StrongWildcard => formatter.write_str("+"),
            Self::WeakWildcard => formatter.write_str("*"),
            Self::Name {
                name, subdomains, ..
            } => {
                if *subdomains {
                    formatter.write_str("*.")?;
                }
                formatter.write_str(name)
            }
            Self::Address(IpAddr::V4(address)) => address.fmt(formatter),
            Self::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
        }
    }
}

/// A host name in lower case, as A-labels; `None` when it is no host name.
///
/// Letters, digits, `-` and `_` are allowed in labels of 1 to 63 bytes, 253 bytes in all. Underscores
/// are no part of RFC 952 names, yet names of containers and test hosts have them.
pub fn canonical_host_name(name: &str) -> Option<Box<str>> {
    let name: Box<str> = match name.is_ascii() {
        true => name.to_ascii_lowercase().into(),
        // UTS #46 without transitional mappings, as browsers do it.
        false => idna::domain_to_ascii_cow(name.as_bytes(), idna::AsciiDenyList::URL)
            .ok()?
            .into(),
    };
    // One final dot is let through here for the sake of `192.`, an old form of an address.
    let labels = match looks_like_address(&name) {
        true => name.strip_suffix('.').unwrap_or(&name),
        false => &name,
    };
    let label_is_right = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    (name.len() <= 253 && labels.split('.').all(label_is_right)).then_some(name)
}

/// Whether a name is a number or numbers, decimal or hexadecimal: an IPv4 address in some form.
fn looks_like_address(name: &str) -> bool {
    let numeric = |label: &str| match label.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit()),
    };
    name.strip_suffix('.')
        .unwrap_or(name)
        .split('.')
        .all(numeric)
}

fn parse_v4(host: &str) -> Result<IpAddr, PrefixError> {
    let fault = |fault| PrefixError::Address {
        address: host.into(),
        fault,
    };
    let Ok(address) = host.parse::<Ipv4Addr>() else {
        return Err(fault(match looks_like_address(host) {
            true => AddressFault::OldForm,
            false => AddressFault::Malformed,
        }));
    };
    let [network, rest @ ..] = address.octets();
    if address.is_unspecified() {
        return Err(fault(AddressFault::Unspecified));
    }
    if network == 0 || network >= 224 || rest == [255; 3] {
        return Err(fault(AddressFault::NotOfAHost));
    }
    Ok(address.into())
}

fn parse_v6(host: &str) -> Result<IpAddr, PrefixError> {
    let fault = |fault| PrefixError::Address {
        address: host.into(),
        fault,
    };
    let literal = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .ok_or_else(|| fault(AddressFault::Malformed))?;
    if literal.contains('%') {
        return Err(fault(AddressFault::Zone));
    }
    let Ok(address) = literal.parse::<Ipv6Addr>() else {
        return Err(fault(AddressFault::Malformed));
    };
    if address.is_unspecified() {
        return Err(fault(AddressFault::Unspecified));
    }
    if address.is_multicast() {
        return Err(fault(AddressFault::NotOfAHost));
    }
    if address.to_ipv4_mapped().is_some() {
        return Err(fault(AddressFault::Mapped));
    }
    Ok(address.into())
}
