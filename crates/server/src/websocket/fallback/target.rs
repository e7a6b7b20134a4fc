//! How a connection over server-sent events is asked for: by parameters in the query.
//!
//! One spelling of each, so that nobody reads them in two ways. What is the application's own stays as it was.

use std::borrow::Cow;

use http::HeaderName;

/// Whether a query asks for such a connection.
#[inline]
pub(super) fn is_asked_for(query: Option<&[u8]>) -> bool {
    // Most requests have no query.
    query.is_some_and(|query| parts(query).any(|part| part == TRANSPORT))
}

/// The sub-protocols offered, in the client's order. `None`: one is no token.
pub(super) fn protocols(query: &[u8]) -> Option<Vec<Box<str>>> {
    let offered = parts(query).filter_map(|part| part.strip_prefix(PROTOCOL));
    let names = offered.map(|value| {
        let name = form_urlencoded::parse(value).next();
        let (name, rest) = name.unwrap_or((Cow::Borrowed(""), Cow::Borrowed("")));
        // RFC 6455 §4.1: names are tokens, which is what names of fields are.
        let is_token = rest.is_empty() && HeaderName::from_bytes(name.as_bytes()).is_ok();
        is_token.then(|| name.into())
    });
    names.collect()
}

/// A target without these parameters, given with its query.
pub(super) fn without_parameters(target: &[u8], query: &[u8]) -> Vec<u8> {
    let path = target.len().saturating_sub(query.len() + 1);
    let mut stripped = target[..path].to_vec();
    let own = parts(query).filter(|part| *part != TRANSPORT && !part.starts_with(PROTOCOL));
    for (index, part) in own.enumerate() {
        stripped.push(if index == 0 { b'?' } else { b'&' });
        stripped.extend_from_slice(part);
    }
    stripped
}

fn parts(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    query.split(|&byte| byte == b'&')
}

const TRANSPORT: &[u8] = b"tidegate-transport=sse";
const PROTOCOL: &[u8] = b"tidegate-protocol=";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameter_has_one_spelling() {
        for query in ["tidegate-transport=sse", "a=1&tidegate-transport=sse&b"] {
            assert!(is_asked_for(Some(query.as_bytes())), "{query}");
        }
        for query in [
            "",
            "tidegate-transport",
            "tidegate-transport=",
            "tidegate-transport=SSE",
            "tidegate-transport=sse1",
            "tidegate-transport=%73se",
            "xtidegate-transport=sse",
            "a=1;tidegate-transport=sse",
        ] {
            assert!(!is_asked_for(Some(query.as_bytes())), "{query}");
        }
        assert!(!is_asked_for(None));
    }

    #[test]
    fn sub_protocols_are_tokens() {
        let of = |query: &str| protocols(query.as_bytes());
        let names = |names: &[&str]| Some(names.iter().map(|name| Box::from(*name)).collect());
        assert_eq!(of("tidegate-transport=sse&x=1"), names(&[]));
        assert_eq!(
            of("tidegate-protocol=a.b&y&tidegate-protocol=c%2Bd"),
            names(&["a.b", "c+d"])
        );
        for name in ["", "a%20b", "a+b", "a,b", "a=b", "%0D%0A", "%FF", "%C3%A4"] {
            assert_eq!(of(&format!("tidegate-protocol={name}")), None, "{name}");
        }
    }

    #[test]
    fn the_application_does_not_see_the_parameters() {
        for (query, wanted) in [
            ("tidegate-transport=sse", "/ws"),
            (
                "a=%20b&tidegate-transport=sse&tidegate-protocol=c&&d",
                "/ws?a=%20b&&d",
            ),
            ("tidegate-transport=sse&", "/ws?"),
        ] {
            let target = format!("/ws?{query}");
            let stripped = without_parameters(target.as_bytes(), query.as_bytes());
            assert_eq!(String::from_utf8(stripped).unwrap(), wanted);
        }
    }
}
