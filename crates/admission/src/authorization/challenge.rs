//! What a client is asked for. Source: RFC 9110 §11.6.1.

use super::parameters::quoted;

/// A challenge of the Basic scheme. RFC 7617 §2.1: names and passwords are expected in UTF-8.
pub fn basic_challenge(realm: &str) -> String {
    format!("Basic realm={}, charset=\"UTF-8\"", quoted(realm))
}

/// A challenge of the Bearer scheme; `error` is a code of RFC 6750 §3.1, for a request that had a token.
pub fn bearer_challenge(realm: &str, error: Option<&str>) -> String {
    let realm = quoted(realm);
    match error {
        None => format!("Bearer realm={realm}"),
        Some(error) => format!("Bearer realm={realm}, error={}", quoted(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_realm_breaks_out_of_its_quotes() {
        assert_eq!(
            basic_challenge("a \"b\\ c"),
            r#"Basic realm="a \"b\\ c", charset="UTF-8""#
        );
        assert_eq!(
            bearer_challenge("x\r\ny\u{7f}", None),
            r#"Bearer realm="x  y ""#
        );
        assert_eq!(
            bearer_challenge("x", Some("invalid_token")),
            r#"Bearer realm="x", error="invalid_token""#
        );
    }
}
