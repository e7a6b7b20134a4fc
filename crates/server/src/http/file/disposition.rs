//! `Content-Disposition`. Source: RFC 6266, RFC 8187.

use std::fmt::Write as _;

/// Says to keep the content in a file of this name.
pub(super) fn attachment(name: &str) -> String {
    let name: String = name.chars().map(plain).collect();
    let ascii: String = name.chars().map(quotable).collect();
    let mut value = format!("attachment; filename=\"{ascii}\"");
    if ascii != name {
        value.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            if is_attribute_byte(byte) {
                value.push(char::from(byte));
            } else {
                // Writing to a string does not fail.
                let _ = write!(value, "%{byte:02X}");
            }
        }
    }
    value
}

/// RFC 6266 §4.3: what a receiver could take for a way to another folder is nothing to send.
fn plain(character: char) -> char {
    match character {
        '/' | '\\' => '_',
        control if control.is_control() => '_',
        other => other,
    }
}

/// What means itself within quotes, to every receiver: some read escapes there, too.
fn quotable(character: char) -> char {
    match character {
        '"' | '%' => '_',
        ' '..='~' => character,
        _ => '_',
    }
}

/// RFC 8187 §3.2.1, `attr-char`.
fn is_attribute_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_encoded() {
        for (name, expected) in [
            ("a.pdf", "attachment; filename=\"a.pdf\""),
            ("a b;c.pdf", "attachment; filename=\"a b;c.pdf\""),
            (
                "Übersicht €.pdf",
                "attachment; filename=\"_bersicht _.pdf\"; \
                 filename*=UTF-8''%C3%9Cbersicht%20%E2%82%AC.pdf",
            ),
            (
                "100% \"sure\".txt",
                "attachment; filename=\"100_ _sure_.txt\"; \
                 filename*=UTF-8''100%25%20%22sure%22.txt",
            ),
            (
                "../../etc/passwd",
                "attachment; filename=\".._.._etc_passwd\"",
            ),
            ("a\r\nX: y\\z", "attachment; filename=\"a__X: y_z\""),
            ("", "attachment; filename=\"\""),
        ] {
            assert_eq!(attachment(name), expected, "{name:?}");
        }
    }
}
