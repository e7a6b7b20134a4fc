//! Whether connections begin with a header of the PROXY protocol, and who is believed what it says.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tidegate_httpapi::AddressRange;

/// Whether connections begin with a header of the PROXY protocol (version 1 or 2) that says whom a proxy
/// passes them on for: that address is then the peer's, everywhere.
///
/// The header comes first, before TLS. A connection that does not begin with one is closed, and so is one
/// whose header takes longer than the `header_wait` timer allows. In a settings file: true, false, or a list
/// of those who are believed.
///
/// ```
/// let proxies = tidegate::ProxyProtocol::From(vec!["192.0.2.0/24".parse()?]);
/// let binding = tidegate::Binding::new("+", 8080, "/")?.with_proxy_protocol(proxies);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProxyProtocol {
    /// They begin as usual. The default.
    #[default]
    Off,
    /// They begin with a header, whoever connects: for ports that only proxies can reach.
    FromAll,
    /// They begin with a header, and those that do not come from here are closed.
    From(Vec<AddressRange>),
}

impl ProxyProtocol {
    /// Who is believed; `None`: there are no headers.
    pub(crate) fn trusted(&self) -> Option<Vec<AddressRange>> {
        match self {
            Self::Off => None,
            Self::From(ranges) => Some(ranges.clone()),
            Self::FromAll => {
                let every = ["0.0.0.0/0", "::/0"].iter();
                Some(every.filter_map(|range| range.parse().ok()).collect())
            }
        }
    }
}

impl<'de> Deserialize<'de> for ProxyProtocol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ProxyProtocolVisitor)
    }
}

struct ProxyProtocolVisitor;

impl<'de> Visitor<'de> for ProxyProtocolVisitor {
    type Value = ProxyProtocol;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("true, false, or a list of ranges of addresses")
    }

    fn visit_bool<E: Error>(self, is_on: bool) -> Result<ProxyProtocol, E> {
        Ok(match is_on {
            true => ProxyProtocol::FromAll,
            false => ProxyProtocol::Off,
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ProxyProtocol, A::Error> {
        let mut ranges = Vec::new();
        while let Some(text) = list.next_element::<String>()? {
            ranges.push(text.parse().map_err(A::Error::custom)?);
        }
        Ok(ProxyProtocol::From(ranges))
    }
}
