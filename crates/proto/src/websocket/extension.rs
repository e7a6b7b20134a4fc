//! The grammar of `Sec-WebSocket-Extensions`: names with parameters, in the order of preference.
//!
//! Says what was written; what an extension's parameters mean, and which offer is taken, is its own
//! matter. Source: RFC 6455 §9.1, RFC 9110 §5.6.

use std::borrow::Cow;
use std::fmt;

use crate::http1::is_token;

/// A list of extensions, offered or agreed to.
///
/// # Examples
///
/// ```
/// use tidegate_proto::websocket::ExtensionList;
///
/// let list = ExtensionList::parse(b"permessage-deflate; client_max_window_bits; b=\"10\"")?;
/// let extension = list.iter().next().unwrap();
/// assert_eq!(extension.name, "permessage-deflate");
/// let params: Vec<_> = extension.params().collect();
/// assert_eq!(params[0], ("client_max_window_bits", None));
/// assert_eq!(params[1], ("b", Some("10".into())));
/// # Ok::<(), tidegate_proto::websocket::MalformedExtensions>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ExtensionList<'a>(&'a str);

/// One extension of a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extension<'a> {
    /// The extension's name as written. Names compare with their letter case.
    pub name: &'a str,
    params: &'a str,
}

/// A list of extensions breaks the grammar. The peer is at fault; the handshake fails (RFC 6455 §9.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MalformedExtensions;

impl<'a> ExtensionList<'a> {
    /// Reads a field's value; several field lines are joined with commas beforehand.
    ///
    /// # Errors
    ///
    /// A name or value is not a token, or a quote is not closed. The peer is at fault.
    pub fn parse(value: &'a [u8]) -> Result<Self, MalformedExtensions> {
        let list = Self(std::str::from_utf8(value).map_err(|_| MalformedExtensions)?);
        for extension in list.iter() {
            let is_well_formed = is_token(extension.name.as_bytes())
                && pieces(extension.params).all(|param| {
                    let (name, value) = split_param(param);
                    is_token(name.as_bytes()) && value.is_none_or(|value| unquote(value).is_some())
                });
            if !is_well_formed {
                return Err(MalformedExtensions);
            }
        }
        Ok(list)
    }

    /// A list that [`parse`](Self::parse) has accepted before.
    pub(super) fn of_checked(list: &'a str) -> Self {
        Self(list)
    }

    /// The extensions, in the order written.
    pub fn iter(&self) -> impl Iterator<Item = Extension<'a>> + use<'a> {
        // A comma or semicolon in quotes needs no care: unquoted, it would not be a token.
        let extensions = self.0.split(',').map(trim);
        // RFC 9110 §5.6.1: empty elements are skipped.
        extensions.filter(|text| !text.is_empty()).map(|text| {
            let (name, params) = text.split_at(text.find(';').unwrap_or(text.len()));
            Extension {
                name: trim(name),
                params,
            }
        })
    }
}

impl<'a> Extension<'a> {
    /// The parameters, in the order written; those without `=` have no value.
    pub fn params(&self) -> impl Iterator<Item = (&'a str, Option<Cow<'a, str>>)> + use<'a> {
        pieces(self.params).map(|param| {
            let (name, value) = split_param(param);
            (name, value.and_then(unquote))
        })
    }
}

impl fmt::Display for MalformedExtensions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("malformed Sec-WebSocket-Extensions (RFC 6455 §9.1)")
    }
}

impl std::error::Error for MalformedExtensions {}

/// What each semicolon begins.
fn pieces(params: &str) -> impl Iterator<Item = &str> {
    params.split(';').skip(1)
}

fn split_param(param: &str) -> (&str, Option<&str>) {
    match param.split_once('=') {
        Some((name, value)) => (trim(name), Some(trim(value))),
        None => (trim(param), None),
    }
}

/// A value as it is meant; `None` if it is neither a token nor one in quotes.
fn unquote(value: &str) -> Option<Cow<'_, str>> {
    let Some(quoted) = value.strip_prefix('"') else {
        return is_token(value.as_bytes()).then_some(Cow::Borrowed(value));
    };
    let quoted = quoted.strip_suffix('"')?;
    // RFC 6455 §9.1: what remains without escapes must be a token, which has no backslash.
    let plain = match quoted.contains('\\') {
        false => Cow::Borrowed(quoted),
        true => Cow::Owned(unescape(quoted)?),
    };
    is_token(plain.as_bytes()).then_some(plain)
}

fn unescape(quoted: &str) -> Option<String> {
    let mut plain = String::with_capacity(quoted.len());
    let mut rest = quoted.chars();
    while let Some(character) = rest.next() {
        plain.push(match character {
            '\\' => rest.next()?,
            other => other,
        });
    }
    Some(plain)
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = Vec<(String, Vec<(String, Option<String>)>)>;

    fn read(value: &str) -> Result<Read, MalformedExtensions> {
        let list = ExtensionList::parse(value.as_bytes())?;
        let owned = list.iter().map(|extension| {
            let params = extension
                .params()
                .map(|(name, value)| (name.to_owned(), value.map(Cow::into_owned)));
            (extension.name.to_owned(), params.collect())
        });
        Ok(owned.collect())
    }

    #[test]
    fn extensions_come_in_order_with_their_parameters() {
        let read = read("foo, bar; baz=2 ;q , x;\ty = \"1\\2\"").unwrap();
        let some = |value: &str| Some(value.to_owned());
        let expected: Read = vec![
            ("foo".into(), vec![]),
            (
                "bar".into(),
                vec![("baz".into(), some("2")), ("q".into(), None)],
            ),
            ("x".into(), vec![("y".into(), some("12"))]),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn empty_elements_are_skipped() {
        assert_eq!(read(""), Ok(vec![]));
        assert_eq!(read(" , ,a,,").unwrap().len(), 1);
    }

    #[test]
    fn what_breaks_the_grammar_is_refused() {
        for bad in [
            ";a",
            "a;",
            "a;;b",
            "a b",
            "a;b c",
            "a;b=",
            "a;=c",
            "a;b=\"",
            "a;b=\"\"",
            "a;b=\"c",
            "a;b=c\"",
            "a;b=\"c d\"",
            "a;b=\"c,d\"",
            "a;b=\"c;d\"",
            "a;b=\"\\\"",
            "a;b=\"\\\"\"",
            "a;b=\"c=d\"",
            "a;b=c=d",
            "é",
            "a;b=é",
            "a/b",
            "\"a\"",
        ] {
            assert_eq!(read(bad), Err(MalformedExtensions), "{bad}");
        }
        assert_eq!(ExtensionList::parse(b"a\xFF"), Err(MalformedExtensions));
    }
}
