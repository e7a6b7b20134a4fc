//! The parameters behind a content type or a disposition: `; name=value`.
//!
//! Quoted or not, in the spelling that browsers and their like use: in quotes a backslash escapes a quote
//! and itself and is else a character like any other, since some send paths with it unescaped.

use std::borrow::Cow;

/// Reads parameters one after the other; `None` for one that is none, after which nothing follows.
pub(super) struct Parameters<'a> {
    rest: &'a [u8],
}

impl<'a> Parameters<'a> {
    /// The parameters in `text`, which is empty or begins with the `;` before the first.
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    fn parameter(&mut self) -> Option<(&'a [u8], Cow<'a, [u8]>)> {
        let text = self.rest.strip_prefix(b";")?;
        let equals = text.iter().position(|&byte| byte == b'=')?;
        let name = text[..equals].trim_ascii();
        if name.is_empty() || !name.iter().all(|&byte| is_token_character(byte)) {
            return None;
        }
        let text = text[equals + 1..].trim_ascii_start();
        let (value, after) = match text.strip_prefix(b"\"") {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = text.iter().position(|&byte| byte == b';');
                let (value, after) = text.split_at(end.unwrap_or(text.len()));
                if value.contains(&b'"') {
                    return None;
                }
                (Cow::Borrowed(value.trim_ascii_end()), after)
            }
        };
        self.rest = after.trim_ascii_start();
        Some((name, value))
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Option<(&'a [u8], Cow<'a, [u8]>)>;

    fn next(&mut self) -> Option<Self::Item> {
        // A `;` at the very end is sent by some, and says nothing.
        if self.rest.is_empty() || self.rest.trim_ascii() == b";" {
            return None;
        }
        let parameter = self.parameter();
        if parameter.is_none() {
            self.rest = &[];
        }
        Some(parameter)
    }
}

/// What stands before the quote that ends it, and the rest; `None` when there is no such quote.
fn unquoted(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let mut escapes = false;
    let mut at = 0;
    let end = loop {
        match (text.get(at)?, text.get(at + 1)) {
            (b'"', _) => break at,
            (b'\\', Some(b'"' | b'\\')) => {
                escapes = true;
                at += 2;
            }
            _ => at += 1,
        }
    };
    let (value, after) = (&text[..end], &text[end + 1..]);
    if !escapes {
        return Some((Cow::Borrowed(value), after));
    }
    let mut plain = Vec::with_capacity(value.len());
    let mut bytes = value.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let escaped = (byte == b'\\')
            .then(|| bytes.next_if(|next| matches!(next, b'"' | b'\\')))
            .flatten();
        plain.push(escaped.unwrap_or(byte));
    }
    Some((Cow::Owned(plain), after))
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<(String, String)>> {
        let string = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Parameters::new(text.as_bytes())
            .map(|parameter| parameter.map(|(name, value)| (string(name), string(&value))))
            .collect()
    }

    #[test]
    fn parameters_are_read_in_every_spelling() {
        let cases = [
            ("", vec![]),
            (";", vec![]),
            ("; a=b", vec![("a", "b")]),
            (
                ";a = b ;c=\"d;e\" ; f=\"\"",
                vec![("a", "b"), ("c", "d;e"), ("f", "")],
            ),
            ("; a=b c; d=é;", vec![("a", "b c"), ("d", "é")]),
            (r#"; a="b\"c\\d""#, vec![("a", r#"b"c\d"#)]),
            (r#"; a="C:\x\y.txt""#, vec![("a", r"C:\x\y.txt")]),
            (r#"; a="\\\"""#, vec![("a", r#"\""#)]),
        ];
        for (text, wanted) in cases {
            let wanted: Vec<_> = wanted
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            assert_eq!(read(text), Some(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_parameter_is_told() {
        for text in [
            "a=b",
            "; a",
            "; =b",
            "; a b=c",
            r#"; a="b"#,
            r#"; a="b\""#,
            r#"; a=b"c""#,
            r#"; a="b"c"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
