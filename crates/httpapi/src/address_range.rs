//! Ranges of IP addresses, as those are named who are trusted.
//!
//! An IPv4 address that is written as an IPv6 one (`::ffff:192.0.2.1`) counts as the IPv4 address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A range of IP addresses: one, `192.0.2.7`, or those with a common beginning, `192.0.2.0/24`,
/// `2001:db8::/32`.
///
/// ```
/// let range: tidegate_httpapi::AddressRange = "192.0.2.0/24".parse()?;
/// assert!(range.contains("192.0.2.7".parse()?));
/// assert!(!range.contains("192.0.3.7".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct AddressRange {
    address: IpAddr,
    /// How many bits are common.
    bits: u8,
}

impl AddressRange {
    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differing = (own.to_bits() ^ other.to_bits()).leading_zeros();
                differing >= u32::from(self.bits)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differing = (own.to_bits() ^ other.to_bits()).leading_zeros();
                differing >= u32::from(self.bits)
            }
            _ => false,
        }
    }

    /// Its lowest address.
    pub fn first(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(own) => Ipv4Addr::from_bits(own.to_bits() & !self.host_v4()).into(),
            IpAddr::V6(own) => Ipv6Addr::from_bits(own.to_bits() & !self.host_v6()).into(),
        }
    }

    /// Its highest address.
    pub fn last(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(own) => Ipv4Addr::from_bits(own.to_bits() | self.host_v4()).into(),
            IpAddr::V6(own) => Ipv6Addr::from_bits(own.to_bits() | self.host_v6()).into(),
        }
    }

    /// The bits that differ within it.
    fn host_v4(&self) -> u32 {
        u32::MAX.checked_shr(self.bits.into()).unwrap_or(0)
    }

    fn host_v6(&self) -> u128 {
        u128::MAX.checked_shr(self.bits.into()).unwrap_or(0)
    }
}

impl FromStr for AddressRange {
    type Err = AddressRangeError;

    fn from_str(text: &str) -> Result<Self, AddressRangeError> {
        let refuse = || AddressRangeError { text: text.into() };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        if address != address.to_canonical() {
            // Its bits would count from another beginning.
            return Err(refuse());
        }
        let most = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        let bits = match bits {
            None => most,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| refuse())?
            }
            Some(_) => return Err(refuse()),
        };
        if bits > most {
            return Err(refuse());
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.bits)
    }
}

/// A text that is no range of addresses. The caller's fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddressRangeError {
    /// The text refused.
    pub text: Box<str>,
}

impl fmt::Display for AddressRangeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        write!(
            formatter,
            "`{text}` is no range of addresses such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"
        )
    }
}

impl std::error::Error for AddressRangeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_the_addresses_with_its_beginning() {
        let cases = [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "::ffff:192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.6", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "127.0.0.1", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
        ];
        for (range, address, is_in) in cases {
            let parsed: AddressRange = range.parse().unwrap();
            assert_eq!(
                parsed.contains(address.parse().unwrap()),
                is_in,
                "{range} {address}"
            );
        }
    }

    #[test]
    fn a_range_knows_its_ends() {
        let cases = [
            ("192.0.2.7/24", "192.0.2.0", "192.0.2.255"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.7"),
            ("1.2.3.4/0", "0.0.0.0", "255.255.255.255"),
            ("2001:db8::1/127", "2001:db8::", "2001:db8::1"),
            ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("::1", "::1", "::1"),
        ];
        for (range, first, last) in cases {
            let range: AddressRange = range.parse().unwrap();
            assert_eq!(
                (range.first().to_string(), range.last().to_string()),
                (first.into(), last.into())
            );
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for bad in [
            "",
            "a",
            "192.0.2.0/33",
            "192.0.2.0/",
            "192.0.2.0/+8",
            "::/129",
            "192.0.2",
            "::ffff:192.0.2.0/24",
        ] {
            assert!(bad.parse::<AddressRange>().is_err(), "{bad}");
        }
    }
}
