//! The static table. Source: RFC 7541 Appendix A.

use tidegate_httpapi::KnownField;

use super::field_name::FieldName;
use super::token::Token;

/// How many fields there are; the dynamic table's indices follow.
pub(super) const COUNT: usize = 61;

/// How many bytes name and value of each field take at most.
pub(super) const TEXT_BYTES: usize = 32;

/// A field of the static table.
#[derive(Clone, Copy)]
pub(super) struct StaticField {
    /// Its name and its value, end to end, then zeros: of one length, they are copied at once.
    pub(super) text: [u8; TEXT_BYTES],
    pub(super) name_len: u8,
    pub(super) value_len: u8,
    pub(super) token: Token,
}

impl StaticField {
    #[inline]
    pub(super) const fn name(&self) -> &[u8] {
        self.text.split_at(self.name_len as usize).0
    }

    #[inline]
    pub(super) fn value(&self) -> &[u8] {
        let start = usize::from(self.name_len);
        &self.text[start..start + usize::from(self.value_len)]
    }
}

/// The lowest index of the name; 0: it is not in the table.
#[inline]
pub(super) const fn find(name: &FieldName) -> u8 {
    let mut slot = slot_of(name);
    loop {
        let index = NAME_SLOTS[slot];
        if index == 0 || name.equals(&NAMES[index as usize]) {
            return index;
        }
        slot = (slot + 1) % NAME_SLOT_COUNT;
    }
}

/// The fields by index. Index 0 is none.
pub(super) static FIELDS: [StaticField; COUNT + 1] = TABLE;

const OTHER: Token = Token::Field(KnownField::Other);

const TABLE: [StaticField; COUNT + 1] = [
    field(b"", b"", OTHER),
    field(b":authority", b"", Token::Authority),
    field(b":method", b"GET", Token::Method),
    field(b":method", b"POST", Token::Method),
    field(b":path", b"/", Token::Path),
    field(b":path", b"/index.html", Token::Path),
    field(b":scheme", b"http", Token::Scheme),
    field(b":scheme", b"https", Token::Scheme),
    field(b":status", b"200", Token::Status),
    field(b":status", b"204", Token::Status),
    field(b":status", b"206", Token::Status),
    field(b":status", b"304", Token::Status),
    field(b":status", b"400", Token::Status),
    field(b":status", b"404", Token::Status),
    field(b":status", b"500", Token::Status),
    field(b"accept-charset", b"", OTHER),
    field(b"accept-encoding", b"gzip, deflate", OTHER),
    field(b"accept-language", b"", OTHER),
    field(b"accept-ranges", b"", OTHER),
    field(b"accept", b"", OTHER),
    field(b"access-control-allow-origin", b"", OTHER),
    field(b"age", b"", OTHER),
    field(b"allow", b"", OTHER),
    field(
        b"authorization",
        b"",
        Token::Field(KnownField::Authorization),
    ),
    field(b"cache-control", b"", OTHER),
    field(b"content-disposition", b"", OTHER),
    field(b"content-encoding", b"", OTHER),
    field(b"content-language", b"", OTHER),
    field(
        b"content-length",
        b"",
        Token::Field(KnownField::ContentLength),
    ),
    field(b"content-location", b"", OTHER),
    field(b"content-range", b"", OTHER),
    field(b"content-type", b"", Token::Field(KnownField::ContentType)),
    field(b"cookie", b"", Token::Field(KnownField::Cookie)),
    field(b"date", b"", Token::Field(KnownField::Date)),
    field(b"etag", b"", OTHER),
    field(b"expect", b"", Token::Field(KnownField::Expect)),
    field(b"expires", b"", OTHER),
    field(b"from", b"", OTHER),
    field(b"host", b"", Token::Field(KnownField::Host)),
    field(b"if-match", b"", OTHER),
    field(b"if-modified-since", b"", OTHER),
    field(b"if-none-match", b"", OTHER),
    field(b"if-range", b"", OTHER),
    field(b"if-unmodified-since", b"", OTHER),
    field(b"last-modified", b"", OTHER),
    field(b"link", b"", OTHER),
    field(b"location", b"", OTHER),
    field(b"max-forwards", b"", OTHER),
    field(b"proxy-authenticate", b"", OTHER),
    field(b"proxy-authorization", b"", OTHER),
    field(b"range", b"", Token::Field(KnownField::Range)),
    field(b"referer", b"", Token::Field(KnownField::Referer)),
    field(b"refresh", b"", OTHER),
    field(b"retry-after", b"", OTHER),
    field(b"server", b"", Token::Field(KnownField::Server)),
    field(b"set-cookie", b"", OTHER),
    field(b"strict-transport-security", b"", OTHER),
    field(
        b"transfer-encoding",
        b"",
        Token::Field(KnownField::TransferEncoding),
    ),
    field(b"user-agent", b"", Token::Field(KnownField::UserAgent)),
    field(b"vary", b"", OTHER),
    field(b"via", b"", OTHER),
    field(b"www-authenticate", b"", OTHER),
];

const fn field(name: &[u8], value: &[u8], token: Token) -> StaticField {
    let mut text = [0; TEXT_BYTES];
    text.split_at_mut(name.len()).0.copy_from_slice(name);
    let after = text.split_at_mut(name.len()).1;
    after.split_at_mut(value.len()).0.copy_from_slice(value);
    StaticField {
        text,
        name_len: name.len() as u8,
        value_len: value.len() as u8,
        token,
    }
}

const NAME_SLOT_COUNT: usize = 256;

#[inline]
const fn slot_of(name: &FieldName) -> usize {
    (name.hash() % NAME_SLOT_COUNT as u64) as usize
}

static NAMES: [FieldName; COUNT + 1] = FIELD_NAMES;

const FIELD_NAMES: [FieldName; COUNT + 1] = {
    let mut names = [FieldName::EMPTY; COUNT + 1];
    let mut index = 1;
    while index <= COUNT {
        if let Some(name) = FieldName::unindexed(TABLE[index].name()) {
            names[index] = name;
        }
        index += 1;
    }
    names
};

/// For the hash of each name, its lowest index, or at the next slot that was free.
static NAME_SLOTS: [u8; NAME_SLOT_COUNT] = {
    let mut slots = [0; NAME_SLOT_COUNT];
    let mut index = COUNT;
    while index > 0 {
        let mut slot = slot_of(&FIELD_NAMES[index]);
        while slots[slot] != 0 && !FIELD_NAMES[index].equals(&FIELD_NAMES[slots[slot] as usize]) {
            slot = (slot + 1) % NAME_SLOT_COUNT;
        }
        slots[slot] = index as u8;
        index -= 1;
    }
    slots
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_found_at_its_lowest_index() {
        for (index, field) in FIELDS.iter().enumerate().skip(1) {
            let lowest = FIELDS.iter().position(|other| other.name() == field.name());
            let name = FieldName::new(field.name()).unwrap();
            assert_eq!(Some(usize::from(find(&name))), lowest, "{index}");
            assert_eq!(field.token, Token::of(field.name()), "{index}");
        }
        for name in [
            &b"x"[..],
            b":protocol",
            b"content-typ",
            b"content-type-",
            b"",
        ] {
            assert_eq!(find(&FieldName::new(name).unwrap()), 0);
        }
    }
}
