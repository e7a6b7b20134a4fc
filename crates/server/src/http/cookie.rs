//! Cookies of a request. Source: RFC 6265 §4.2 and §5.4.

use tidegate_httpapi::{Fields, KnownField};

/// The cookies of a request, read from its `Cookie` fields as they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Cookies<'a> {
    fields: Fields<'a>,
}

impl<'a> Cookies<'a> {
    pub(super) fn new(fields: Fields<'a>) -> Self {
        Self { fields }
    }

    /// The first cookie of this name; names differ by letter case.
    pub fn first(&self, name: &str) -> Option<&'a str> {
        self.iter()
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }

    /// All cookies, in the order received: names and values, without the quotes around a value.
    ///
    /// A cookie that is no UTF-8 or has no `=` is passed over.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let is_cookie = |name: &str| KnownField::of(name.as_bytes()) == KnownField::Cookie;
        self.fields
            .iter()
            .filter(move |field| is_cookie(field.name))
            .flat_map(|field| field.value.split(|&byte| byte == b';'))
            .filter_map(|pair| {
                let (name, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
                let value = value.trim();
                let quoted = value
                    .strip_prefix('"')
                    .and_then(|rest| rest.strip_suffix('"'));
                Some((name.trim(), quoted.unwrap_or(value)))
            })
    }
}
