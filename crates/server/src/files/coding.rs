//! Content codings, and which of them a client wants. Source: RFC 9110 §8.4 and §12.5.3.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A coding that files may be sent in.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ContentCoding {
    /// Brotli, RFC 7932.
    Br,
    /// Zstandard, RFC 8878.
    Zstd,
    /// gzip, RFC 1952.
    Gzip,
}

impl ContentCoding {
    /// Those that content is compressed in, the one that shortens most first.
    pub(crate) const MADE: [Self; 3] = [Self::Br, Self::Zstd, Self::Gzip];

    /// As `Content-Encoding` spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Br => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// What the name of a file that is coded so ends with.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Br => ".br",
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
        }
    }

    fn of(name: &[u8]) -> Option<Self> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        if is(b"br") {
            Some(Self::Br)
        } else if is(b"zstd") {
            Some(Self::Zstd)
        } else if is(b"gzip") || is(b"x-gzip") {
            Some(Self::Gzip)
        } else {
            None
        }
    }
}

/// How much a client likes each coding, in thousandths; 0 is not at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Accepted {
    coded: [u16; 3],
    identity: u16,
}

impl Accepted {
    /// Content as it is, and nothing else: what a request without the field gets, since clients that
    /// understand codings say so.
    pub(crate) const IDENTITY: Self = Self {
        coded: [0; 3],
        identity: 1000,
    };

    /// Reads an `Accept-Encoding`. What is malformed in it is as if it were not there.
    pub(crate) fn parse(field: &[u8]) -> Self {
        let mut coded = [None; 3];
        let (mut identity, mut any) = (None, None);
        for element in field.split(|&byte| byte == b',') {
            let mut parts = element.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
            let name = parts.next().unwrap_or_default();
            let Some(quality) = quality(parts) else {
                continue;
            };
            if name == b"*" {
                any.get_or_insert(quality);
            } else if name.eq_ignore_ascii_case(b"identity") {
                identity.get_or_insert(quality);
            } else if let Some(coding) = ContentCoding::of(name) {
                coded[coding as usize].get_or_insert(quality);
            }
        }
        Self {
            coded: coded.map(|quality| quality.or(any).unwrap_or(0)),
            // Acceptable unless it is said not to be, but then not liked more than what is asked for.
            identity: identity.unwrap_or(match any {
                Some(0) => 0,
                _ => 1,
            }),
        }
    }

    /// The best of these codings; `None` for content as it is, which is also what is left when nothing is
    /// acceptable (RFC 9110 §12.5.3). Of those that are liked as much, the first.
    pub(crate) fn best(
        &self,
        offered: impl IntoIterator<Item = ContentCoding>,
    ) -> Option<ContentCoding> {
        let mut best = None;
        for coding in offered {
            let quality = self.coded[coding as usize];
            let better = best.map_or(quality > 0 && quality >= self.identity, |(most, _)| {
                quality > most
            });
            if better {
                best = Some((quality, coding));
            }
        }
        best.map(|(_, coding)| coding)
    }

    /// Whether this coding may be sent at all.
    pub(crate) fn allows(&self, coding: ContentCoding) -> bool {
        self.coded[coding as usize] > 0
    }

    /// Whether content may be sent as it is.
    pub(crate) fn allows_identity(&self) -> bool {
        self.identity > 0
    }
}

/// The weight among parameters, in thousandths: 1000 when there is none, `None` for one that is none.
fn quality<'a>(parameters: impl Iterator<Item = &'a [u8]>) -> Option<u16> {
    let mut quality = 1000;
    for parameter in parameters {
        let Some(value) = parameter
            .strip_prefix(b"q=")
            .or_else(|| parameter.strip_prefix(b"Q="))
        else {
            continue;
        };
        // RFC 9110 §12.4.2: 0 or 1, and up to three digits.
        let (whole, fraction) = match value {
            [whole] | [whole, b'.'] => (whole, &[][..]),
            [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
            _ => return None,
        };
        if !matches!(whole, b'0' | b'1') || !fraction.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let digit = |index: usize| u16::from(fraction.get(index).map_or(0, |digit| digit - b'0'));
        quality = u16::from(whole - b'0') * 1000 + digit(0) * 100 + digit(1) * 10 + digit(2);
        if quality > 1000 {
            return None;
        }
    }
    Some(quality)
}

#[cfg(test)]
mod tests {
    use super::ContentCoding::{Br, Gzip, Zstd};
    use super::*;

    const ALL: [ContentCoding; 3] = [Br, Zstd, Gzip];

    #[test]
    fn the_best_of_what_is_offered_is_taken() {
        for (field, expected) in [
            ("", None),
            ("gzip", Some(Gzip)),
            ("GZip", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            ("gzip, deflate, br, zstd", Some(Br)),
            ("gzip;q=1.0, br;q=0.8, zstd;q=0.9", Some(Gzip)),
            ("zstd;q=0.001", Some(Zstd)),
            ("br;q=0, gzip;q=0.5", Some(Gzip)),
            ("br;q=0", None),
            ("*", Some(Br)),
            ("*;q=0.5, br;q=0.4", Some(Zstd)),
            ("*;q=0", None),
            ("identity;q=0, gzip;q=0.1", Some(Gzip)),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.5, gzip;q=0.5", Some(Gzip)),
            ("identity;q=1, *;q=0", None),
            ("gzip ; q=0.3 , br ;q=0.2", Some(Gzip)),
            ("gzip;q=2", None),
            ("gzip;q=1.001", None),
            ("gzip;q=0.0001", None),
            ("gzip;q=x, br", Some(Br)),
            ("gzip;q=", None),
            ("gzip;level=1", Some(Gzip)),
            ("deflate, compress", None),
            (",, ;q=1,gzip,,", Some(Gzip)),
            ("gzip;q=0.1, gzip;q=0.9, br;q=0.5", Some(Br)),
        ] {
            let accepted = Accepted::parse(field.as_bytes());
            assert_eq!(accepted.best(ALL), expected, "{field}");
        }
        assert_eq!(Accepted::IDENTITY.best(ALL), None);
        let all = Accepted::parse(b"gzip, br, zstd");
        assert_eq!(all.best([Gzip, Br]), Some(Gzip));
        assert_eq!(all.best([]), None);
    }

    #[test]
    fn what_is_not_acceptable_is_known() {
        let accepted = Accepted::parse(b"identity;q=0, br");
        assert!(!accepted.allows_identity());
        assert!(accepted.allows(Br) && !accepted.allows(Gzip));
        assert!(!Accepted::parse(b"*;q=0").allows_identity());
        assert!(Accepted::parse(b"*;q=0, identity;q=0.1").allows_identity());
        assert!(Accepted::parse(b"gzip").allows_identity());
    }
}
