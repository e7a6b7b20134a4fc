//! Which fields of a message are passed on, and which are for this connection only.
//!
//! Source: RFC 9110 §7.6.1; RFC 9112 §6 for framing, which is made anew.

use tidegate_httpapi::{Field, Fields, KnownField};

/// Whether a field concerns the connection it came on, whoever nominates it.
pub(super) fn is_hop_by_hop(name: &str) -> bool {
    match KnownField::of(name.as_bytes()) {
        KnownField::Connection
        | KnownField::TransferEncoding
        | KnownField::ContentLength
        | KnownField::Upgrade
        | KnownField::Te => true,
        KnownField::Other => HOP_BY_HOP
            .iter()
            .any(|field| name.eq_ignore_ascii_case(field)),
        _ => false,
    }
}

/// Beside those that are known: all that have ever been for one connection only, and the credentials that are
/// for a proxy (RFC 9110 §11.7).
const HOP_BY_HOP: [&str; 5] = [
    "Keep-Alive",
    "Proxy-Connection",
    "Proxy-Authorization",
    "Proxy-Authenticate",
    "HTTP2-Settings",
];

/// Whether a field is not to be set or removed by settings or handlers.
pub(super) fn is_own(name: &str) -> bool {
    is_hop_by_hop(name)
        || matches!(
            KnownField::of(name.as_bytes()),
            KnownField::Host | KnownField::Expect | KnownField::Trailer
        )
}

/// The fields that `Connection` nominates as being for this connection only.
pub(super) struct Nominated<'a>(Vec<&'a [u8]>);

impl<'a> Nominated<'a> {
    pub(super) fn of(fields: Fields<'a>) -> Self {
        let mut names = Vec::new();
        // Mostly there is no such field, or it says what is no field's name.
        for field in fields.iter() {
            if KnownField::of(field.name.as_bytes()) != KnownField::Connection {
                continue;
            }
            let options = field.value.split(|&byte| byte == b',');
            names.extend(options.map(<[u8]>::trim_ascii).filter(|option| {
                let is_usual = option.eq_ignore_ascii_case(b"keep-alive")
                    || option.eq_ignore_ascii_case(b"close");
                !option.is_empty() && !is_usual
            }));
        }
        Self(names)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|option| option.eq_ignore_ascii_case(name.as_bytes()))
    }
}

/// The fields of a message that are passed on, before anybody changes any.
pub(super) fn passed_on(fields: Fields<'_>) -> impl Iterator<Item = Field<'_>> {
    let nominated = Nominated::of(fields);
    fields
        .iter()
        .filter(move |field| !is_hop_by_hop(field.name) && !nominated.has(field.name))
}
