//! Parts that values of several fields are made of: tokens, quoted strings, parameters. Source: RFC 9110
//! §5.6, RFC 8187.

/// A part of a value that cannot be spelled there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Malformed(pub(super) Box<str>);

/// Whether a text is a token.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A value under construction, as long as it can be spelled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Value(Result<String, Malformed>);

impl Value {
    pub(super) fn new(text: String) -> Self {
        Self(Ok(text))
    }

    pub(super) fn malformed(part: &str) -> Self {
        Self(Err(Malformed(part.into())))
    }

    pub(super) fn into_result(self) -> Result<String, Malformed> {
        self.0
    }

    /// Adds text that is fit for it.
    pub(super) fn push(&mut self, text: &str) {
        if let Ok(value) = &mut self.0 {
            value.push_str(text);
        }
    }

    /// Adds `name="value"`. Only what cannot be spelled in a quoted string, a control character, is
    /// refused.
    pub(super) fn push_quoted(&mut self, name: &str, value: &str) {
        let fit = |char: char| char == '\t' || !char.is_control();
        if !is_token(name) || !value.chars().all(fit) {
            let part = if is_token(name) { value } else { name };
            return self.refuse(part);
        }
        let Ok(text) = &mut self.0 else {
            return;
        };
        text.push_str(name);
        text.push_str("=\"");
        for char in value.chars() {
            if matches!(char, '"' | '\\') {
                text.push('\\');
            }
            text.push(char);
        }
        text.push('"');
    }

    /// Adds a parameter as [`push_quoted`](Self::push_quoted) does, or, where it is not ASCII, in the form
    /// that RFC 8187 has for that: `name*=UTF-8''…`.
    pub(super) fn push_extended(&mut self, name: &str, value: &str) {
        if value.is_ascii() || !is_token(name) {
            return self.push_quoted(name, value);
        }
        if value.chars().any(char::is_control) {
            return self.refuse(value);
        }
        if let Ok(text) = &mut self.0 {
            text.push_str(name);
            text.push_str("*=UTF-8''");
            for byte in value.bytes() {
                match byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                    true => text.push(byte.into()),
                    false => text.push_str(&format!("%{byte:02X}")),
                }
            }
        }
    }

    /// Gives up, for this part; the first one counts.
    pub(super) fn refuse(&mut self, part: &str) {
        if self.0.is_ok() {
            *self = Self::malformed(part);
        }
    }
}
