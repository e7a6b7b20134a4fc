//! Lists of addresses: whom to let in whatever else is, and whom never.
//!
//! Ranges are put together and sorted once; a look-up is a search in what has the same first 16 bits, for IPv4 16
//! steps at most, for IPv6 as many as the list has binary digits. Which list does what is the caller's matter.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use tidegate_httpapi::{AddressRange, AddressRangeError};

/// A list of addresses and ranges of addresses.
///
/// ```
/// use tidegate_admission::address_list::AddressList;
///
/// let list: AddressList = ["192.0.2.0/24".parse()?, "2001:db8::/32".parse()?].into_iter().collect();
/// assert!(list.contains("192.0.2.7".parse()?));
/// assert!(!list.contains("2001:db9::1".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct AddressList {
    v4: Intervals<u32>,
    /// For each of the first 16 bits, where the intervals begin that end there or later; one more at the end.
    v4_index: Box<[u32]>,
    v6: Intervals<u128>,
}

/// Intervals that do not touch, in order: the first of each, and the last of each.
#[derive(Clone, Default)]
struct Intervals<Bits> {
    firsts: Box<[Bits]>,
    lasts: Box<[Bits]>,
}

/// Why a list could not be read.
#[derive(Debug)]
pub struct ListError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub fault: ListFault,
}

/// Why a list could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum ListFault {
    /// The system refused.
    Io(io::Error),
    /// A line has no range of addresses. Lines are counted from 1.
    Line(u64, AddressRangeError),
    /// A line is longer than any range of addresses with a comment need be. Lines are counted from 1.
    LineTooLong(u64),
}

impl AddressList {
    /// Whether an address is in it. An IPv4 address that is written as an IPv6 one counts as the IPv4 address.
    #[inline]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let bits = address.to_bits();
                let block = (bits >> 16) as usize;
                match self.v4_index.get(block..block + 2) {
                    // The interval that holds the address ends in its block or later, and the first interval
                    // that does so may be followed by others.
                    Some(&[start, end]) => self.v4.contains(bits, start as usize..end as usize + 1),
                    _ => false,
                }
            }
            IpAddr::V6(address) => self.v6.contains(address.to_bits(), 0..usize::MAX),
        }
    }

    /// Whether it has no address.
    pub fn is_empty(&self) -> bool {
        self.v4.firsts.is_empty() && self.v6.firsts.is_empty()
    }

    /// How many ranges are left after those that overlap or follow each other were put together.
    pub fn len(&self) -> usize {
        self.v4.firsts.len() + self.v6.firsts.len()
    }
}

impl FromIterator<AddressRange> for AddressList {
    fn from_iter<Ranges: IntoIterator<Item = AddressRange>>(ranges: Ranges) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for range in ranges {
            match (range.first(), range.last()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => v4.push((first.to_bits(), last.to_bits())),
                (IpAddr::V6(first), IpAddr::V6(last)) => v6.push((first.to_bits(), last.to_bits())),
                // A range is of one family.
                _ => {}
            }
        }
        let v4 = Intervals::new(v4, |last| last.checked_add(1));
        let v6 = Intervals::new(v6, |last| last.checked_add(1));
        let v4_index = match v4.firsts.is_empty() {
            true => Box::default(),
            false => index(&v4),
        };
        Self { v4, v4_index, v6 }
    }
}

/// Reads ranges from files: one a line, blank lines and what follows `#` or `;` left out.
///
/// # Errors
///
/// The first line of any file that is no range of addresses, or what the system refused.
pub fn read_ranges(path: &Path, ranges: &mut Vec<AddressRange>) -> Result<(), ListError> {
    let fail = |fault| ListError {
        path: path.into(),
        fault,
    };
    let file = File::open(path).map_err(|error| fail(ListFault::Io(error)))?;
    let mut file = BufReader::with_capacity(64 * 1024, file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = (&mut file)
            .take(LINE_BYTES_MAX + 1)
            .read_until(b'\n', &mut line);
        if read.map_err(|error| fail(ListFault::Io(error)))? == 0 {
            break;
        }
        if line.len() as u64 > LINE_BYTES_MAX {
            return Err(fail(ListFault::LineTooLong(number)));
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let text = text.split(['#', ';']).next().unwrap_or_default().trim();
        if !text.is_empty() {
            ranges.push(
                text.parse()
                    .map_err(|error| fail(ListFault::Line(number, error)))?,
            );
        }
    }
    Ok(())
}

/// Longest line of a file.
const LINE_BYTES_MAX: u64 = 4_096;

impl<Bits: Copy + Ord> Intervals<Bits> {
    fn new(mut given: Vec<(Bits, Bits)>, next: impl Fn(Bits) -> Option<Bits>) -> Self {
        given.sort_unstable();
        let mut merged: Vec<(Bits, Bits)> = Vec::new();
        for (first, last) in given {
            match merged.last_mut() {
                // Without a next, the one before reaches to the end.
                Some(before) if next(before.1).is_none_or(|next| first <= next) => {
                    before.1 = before.1.max(last);
                }
                _ => merged.push((first, last)),
            }
        }
        let (firsts, lasts): (Vec<_>, Vec<_>) = merged.into_iter().unzip();
        Self {
            firsts: firsts.into(),
            lasts: lasts.into(),
        }
    }

    /// Whether one of the intervals numbered so has these bits.
    #[inline]
    fn contains(&self, bits: Bits, numbers: std::ops::Range<usize>) -> bool {
        let end = numbers.end.min(self.lasts.len());
        let start = numbers.start.min(end);
        let index = start + self.lasts[start..end].partition_point(|last| *last < bits);
        index < end && self.firsts[index] <= bits
    }
}

/// For each block of 16 bits, the first interval that does not end before it.
fn index(intervals: &Intervals<u32>) -> Box<[u32]> {
    let mut interval = 0;
    (0..=1_u64 << 16)
        .map(|block| {
            let lasts = &intervals.lasts;
            while lasts
                .get(interval)
                .is_some_and(|last| u64::from(*last) < block << 16)
            {
                interval += 1;
            }
            interval as u32
        })
        .collect()
}

impl fmt::Debug for AddressList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "AddressList({} ranges)", self.len())
    }
}

impl fmt::Display for ListError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.fault {
            ListFault::Io(_) => write!(formatter, "cannot read the list of addresses {path}"),
            ListFault::Line(line, error) => write!(formatter, "{path}, line {line}: {error}"),
            ListFault::LineTooLong(line) => {
                write!(
                    formatter,
                    "{path}, line {line}: longer than {LINE_BYTES_MAX} bytes"
                )
            }
        }
    }
}

impl std::error::Error for ListError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            ListFault::Io(source) => Some(source),
            ListFault::Line(..) | ListFault::LineTooLong(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn list(ranges: &[&str]) -> AddressList {
        ranges.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn has(list: &AddressList, address: &str) -> bool {
        list.contains(address.parse().unwrap())
    }

    #[test]
    fn an_address_is_found_by_its_own_family_alone() {
        let v4 = list(&["0.0.0.0/0"]);
        assert!(has(&v4, "255.255.255.255") && has(&v4, "0.0.0.0") && has(&v4, "::ffff:1.2.3.4"));
        assert!(!has(&v4, "::1") && !has(&v4, "::1.2.3.4"));
        let v6 = list(&["::/0"]);
        assert!(has(&v6, "::") && has(&v6, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
        assert!(!has(&v6, "1.2.3.4") && !has(&v6, "::ffff:1.2.3.4"));
        assert!(!has(&AddressList::default(), "1.2.3.4") && !has(&AddressList::default(), "::1"));
    }

    #[test]
    fn the_ends_of_a_range_are_in_it_and_what_is_next_is_not() {
        let some = list(&[
            "192.0.2.128/25",
            "198.51.0.0/15",
            "203.0.113.7",
            "2001:db8::/33",
        ]);
        for inside in [
            "192.0.2.128",
            "192.0.2.255",
            "198.50.0.0",
            "198.51.255.255",
            "203.0.113.7",
            "2001:db8::",
            "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff",
        ] {
            assert!(has(&some, inside), "{inside}");
        }
        for outside in [
            "192.0.2.127",
            "192.0.3.0",
            "198.49.255.255",
            "198.52.0.0",
            "203.0.113.6",
            "203.0.113.8",
            "2001:db7:ffff::",
            "2001:db8:8000::",
        ] {
            assert!(!has(&some, outside), "{outside}");
        }
    }

    #[test]
    fn ranges_that_overlap_or_follow_each_other_become_one() {
        assert_eq!(
            list(&["10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16", "10.0.0.1"]).len(),
            1
        );
        assert_eq!(
            list(&["255.255.255.255", "255.255.255.254", "255.0.0.0/8"]).len(),
            1
        );
        assert_eq!(list(&["10.0.0.1", "10.0.0.3"]).len(), 2);
    }

    // Against the plain way: asking each range.
    #[test]
    fn a_list_says_what_its_ranges_say() {
        let mut state = 7_u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state >> 16
        };
        let mut ranges: Vec<AddressRange> = Vec::new();
        for _ in 0..400 {
            let v4 = Ipv4Addr::from_bits(random() as u32 & 0x0303_ffff);
            ranges.push(format!("{v4}/{}", 8 + random() % 25).parse().unwrap());
            let v6 = Ipv6Addr::from_bits(
                u128::from(random() & 0xff) << 120 | u128::from(random() & 0xffff),
            );
            ranges.push(format!("{v6}/{}", 6 + random() % 123).parse().unwrap());
        }
        // Wide ranges would hide the others.
        ranges.retain(|range| !range.contains("3.3.0.1".parse().unwrap()));
        let list: AddressList = ranges.iter().copied().collect();
        let mut inside = 0;
        for _ in 0..20_000 {
            for address in [
                IpAddr::from(Ipv4Addr::from_bits(random() as u32 & 0x0303_ffff)),
                Ipv6Addr::from_bits(
                    u128::from(random() & 0xff) << 120 | u128::from(random() & 0x1_ffff),
                )
                .into(),
            ] {
                let expected = ranges.iter().any(|range| range.contains(address));
                assert_eq!(list.contains(address), expected, "{address}");
                inside += usize::from(expected);
            }
        }
        assert!((1_000..39_000).contains(&inside), "{inside}");
    }

    #[test]
    fn a_million_entries_are_read_and_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        let mut text = String::from("\u{feff}# every second address\r\n\r\n");
        for number in 0..500_000_u32 {
            text += &format!("{} ; a comment\n", Ipv4Addr::from_bits(number * 2));
            text += &format!("{:x}::/48\n", 0x2000 + number % 0x1000);
        }
        std::fs::write(&path, text).unwrap();
        let mut ranges = Vec::new();
        read_ranges(&path, &mut ranges).unwrap();
        assert_eq!(ranges.len(), 1_000_000);
        let list: AddressList = ranges.into_iter().collect();
        assert_eq!(list.len(), 500_000 + 0x1000);
        for number in (0..500_000).step_by(977) {
            assert!(list.contains(Ipv4Addr::from_bits(number * 2).into()));
            assert!(!list.contains(Ipv4Addr::from_bits(number * 2 + 1).into()));
        }
    }

    #[test]
    fn an_error_names_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        let fault = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_ranges(&path, &mut Vec::new()).unwrap_err().to_string()
        };
        let name = path.display();
        assert_eq!(
            fault("10.0.0.1\n\n10.0.0.300 # no\n"),
            format!(
                "{name}, line 3: `10.0.0.300` is no range of addresses such as 192.0.2.7, 192.0.2.0/24 or \
                 2001:db8::/32"
            )
        );
        assert!(fault(&"x".repeat(10_000)).ends_with("line 1: longer than 4096 bytes"));
        assert!(read_ranges(&folder.path().join("none"), &mut Vec::new()).is_err());
    }
}
