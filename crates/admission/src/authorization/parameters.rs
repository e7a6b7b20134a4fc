//! Lists of parameters: `name=token, name="quoted string"`. Source: RFC 9110 §5.6, §11.2.

use super::AuthorizationError;

/// Parameters in order, names in lower case.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, AuthorizationError> {
    const REFUSED: AuthorizationError = AuthorizationError::Parameters;
    let mut parameters: Vec<(String, String)> = Vec::new();
    let mut rest = text;
    loop {
        // RFC 9110 §5.6.1: empty elements of a list are read past.
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            break;
        }
        let length = token_length(rest);
        let (name, after) = rest.split_at(length);
        let after = after.trim_start_matches([' ', '\t']);
        let after = after.strip_prefix('=').ok_or(REFUSED)?;
        let after = after.trim_start_matches([' ', '\t']);
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted).ok_or(REFUSED)?,
            None => match after.split_at(token_length(after)) {
                ("", _) => return Err(REFUSED),
                (value, after) => (value.to_owned(), after),
            },
        };
        let after = after.trim_start_matches([' ', '\t']);
        if name.is_empty() || !(after.is_empty() || after.starts_with(',')) {
            return Err(REFUSED);
        }
        let name = name.to_ascii_lowercase();
        // RFC 9110 §11.2: each name once. Two would be read by one and by the other.
        if parameters.len() == PARAMETERS_MAX || parameters.iter().any(|(known, _)| *known == name)
        {
            return Err(REFUSED);
        }
        parameters.push((name, value));
        rest = after;
    }
    if parameters.is_empty() {
        return Err(REFUSED);
    }
    Ok(parameters)
}

/// A text as a quoted string. What may not be in a field becomes a blank.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            _ if character.is_control() => quoted.push(' '),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn token_length(text: &str) -> usize {
    text.bytes().take_while(|byte| is_token_byte(*byte)).count()
}

/// What is within quotes, and what follows them.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[index + 1..])),
            '\\' => value.push(characters.next()?.1),
            '\t' => value.push('\t'),
            _ if character.is_control() => return None,
            _ => value.push(character),
        }
    }
    None
}

/// More than any scheme has.
const PARAMETERS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read() {
        let read = parse(r#"Username="M\"u\\f, a", nc=00000001 ,, qop = auth,e="""#).unwrap();
        let read: Vec<_> = read
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(
            read,
            [
                ("username", "M\"u\\f, a"),
                ("nc", "00000001"),
                ("qop", "auth"),
                ("e", "")
            ]
        );
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in [
            "",
            ",",
            "a",
            "a=",
            "=b",
            "a=b c=d",
            "a=b\"c\"",
            "a=\"b",
            "a=\"b\\",
            "a=b, A=c",
            "a=\"\u{1}\"",
            "a b=c",
            "a=é",
        ] {
            assert_eq!(parse(text), Err(AuthorizationError::Parameters), "{text}");
        }
    }
}
