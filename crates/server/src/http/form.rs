//! Names and values of a query or of a form's content. Source: URL Standard,
//! `application/x-www-form-urlencoded`.

use std::borrow::Cow;

/// Names and values, decoded as they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct FormParams<'a> {
    encoded: &'a [u8],
    /// Those of a form with files, which are decoded already.
    decoded: &'a [(Box<str>, Box<str>)],
}

impl<'a> FormParams<'a> {
    pub(super) fn new(encoded: &'a [u8]) -> Self {
        Self {
            encoded,
            decoded: &[],
        }
    }

    pub(super) fn of_fields(decoded: &'a [(Box<str>, Box<str>)]) -> Self {
        Self {
            encoded: &[],
            decoded,
        }
    }

    /// The first value of this name.
    pub fn first(&self, name: &str) -> Option<Cow<'a, str>> {
        self.iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value)
    }

    /// All values of this name, in the order received.
    pub fn all(&self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        self.iter()
            .filter(move |(found, _)| found == name)
            .map(|(_, value)| value)
    }

    /// All names and values, in the order received. Bytes that are no UTF-8 become U+FFFD.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        let decoded = self.decoded.iter();
        let decoded = decoded.map(|(name, value)| ((&**name).into(), (&**value).into()));
        form_urlencoded::parse(self.encoded).chain(decoded)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_repeat_and_are_decoded() {
        let params = FormParams::new(b"a=1&b=x+y&a=%C3%A9&&c");
        assert_eq!(params.first("a").unwrap(), "1");
        assert_eq!(params.all("a").collect::<Vec<_>>(), ["1", "é"]);
        assert_eq!(params.first("b").unwrap(), "x y");
        assert_eq!(params.first("c").unwrap(), "");
        assert_eq!(params.first("d"), None);
        assert_eq!(params.iter().count(), 4);
        assert!(FormParams::new(b"").is_empty());
    }
}
