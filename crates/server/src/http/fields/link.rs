//! `Link`. Source: RFC 8288 §3.

use super::parameter::{Malformed, Value};

/// A link from what is answered to something else.
///
/// What cannot be said so, such as a target with a blank, makes the response a 500.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link(Value);

impl Link {
    /// A link to `target`, a URL or a reference relative to what was asked for, of this relation:
    /// `next`, `preload`, `canonical` and others, several with blanks between them.
    pub fn new(target: &str, relation: &str) -> Self {
        // RFC 3986 §2: what else is in a URL is escaped there.
        let is_of_url = |byte: u8| byte.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&byte);
        if !target.bytes().all(is_of_url) {
            return Self(Value::malformed(target));
        }
        Self(Value::new(format!("<{target}>"))).param("rel", relation)
    }

    /// Adds a parameter, such as `as`, `type`, `hreflang` or `title`.
    #[must_use]
    pub fn param(mut self, name: &str, value: &str) -> Self {
        self.0.push("; ");
        self.0.push_extended(name, value);
        self
    }

    /// Adds a parameter without a value, such as `crossorigin`.
    #[must_use]
    pub fn flag(mut self, name: &str) -> Self {
        match super::is_token(name) {
            true => {
                self.0.push("; ");
                self.0.push(name);
            }
            false => self.0.refuse(name),
        }
        self
    }

    pub(super) fn into_value(self) -> Result<String, Malformed> {
        self.0.into_result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_spelled() {
        let value = |link: Link| link.into_value().unwrap();
        assert_eq!(
            value(
                Link::new("/font.woff2?v=1", "preload")
                    .param("as", "font")
                    .flag("crossorigin")
            ),
            r#"</font.woff2?v=1>; rel="preload"; as="font"; crossorigin"#
        );
        assert_eq!(
            value(Link::new("", "self up").param("title", "Ebbe \"&\" Flut")),
            r#"<>; rel="self up"; title="Ebbe \"&\" Flut""#
        );
        assert_eq!(
            value(Link::new("x", "next").param("title", "nächste 100%")),
            r#"<x>; rel="next"; title*=UTF-8''n%C3%A4chste%20100%25"#
        );
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        for (link, part) in [
            (Link::new("/a b", "next"), "/a b"),
            (Link::new("/a>; rel=x", "next"), "/a>; rel=x"),
            (Link::new("/ä", "next"), "/ä"),
            (Link::new("/", "a\nb"), "a\nb"),
            (Link::new("/", "next").param("a b", "ä"), "a b"),
            (Link::new("/", "next").param("title", "ä\r\n"), "ä\r\n"),
            (Link::new("/", "next").flag("a;b"), "a;b"),
        ] {
            assert_eq!(link.into_value(), Err(Malformed(part.into())));
        }
    }
}
