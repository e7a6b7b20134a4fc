//! Which fields go into the dynamic table.

use super::field_name::FieldName;

/// Whether a field that is encoded goes into the dynamic table, to take one byte the next time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Indexing {
    /// As its name suggests.
    ///
    /// What is the same in most responses goes in at once (`content-type`, `server`, `cache-control`),
    /// what differs in each one does not (`content-length`, `etag`, `location`), what is secret is
    /// never indexed (`set-cookie`, `authorization`). Everything else, `date` among it, goes in when it
    /// is seen for the second time, unless it would take a quarter of the table.
    #[default]
    ByName,
    /// With incremental indexing. RFC 7541 §6.2.1.
    Incremental,
    /// Without indexing. RFC 7541 §6.2.2.
    Without,
    /// Never indexed, by nobody on the way. RFC 7541 §6.2.3, §7.1.3.
    Never,
}

/// What [`Indexing::ByName`] means for a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Policy {
    Incremental,
    WhenRepeated,
    Without,
    Never,
}

impl Policy {
    #[inline(always)]
    pub(super) fn of(name: &FieldName, indexing: Indexing) -> Self {
        match indexing {
            Indexing::ByName => BY_NAME[usize::from(name.static_index())],
            Indexing::Incremental => Self::Incremental,
            Indexing::Without => Self::Without,
            Indexing::Never => Self::Never,
        }
    }
}

/// By index in the static table; the first one is for names that are not in it.
static BY_NAME: [Policy; super::static_table::COUNT + 1] = {
    let mut policies = [Policy::WhenRepeated; super::static_table::COUNT + 1];
    set(
        &mut policies,
        Policy::Incremental,
        &[
            b":authority",
            b":method",
            b":scheme",
            b":status",
            b"accept",
            b"accept-encoding",
            b"accept-language",
            b"accept-ranges",
            b"access-control-allow-origin",
            b"allow",
            b"cache-control",
            b"content-encoding",
            b"content-language",
            b"content-type",
            b"server",
            b"strict-transport-security",
            b"user-agent",
            b"vary",
            b"via",
            b"www-authenticate",
        ],
    );
    set(
        &mut policies,
        Policy::Without,
        &[
            b":path",
            b"age",
            b"content-disposition",
            b"content-length",
            b"content-location",
            b"content-range",
            b"etag",
            b"expires",
            b"if-match",
            b"if-modified-since",
            b"if-none-match",
            b"if-range",
            b"if-unmodified-since",
            b"last-modified",
            b"location",
            b"range",
            b"retry-after",
        ],
    );
    set(
        &mut policies,
        Policy::Never,
        &[
            b"authorization",
            b"cookie",
            b"proxy-authorization",
            b"set-cookie",
        ],
    );
    policies
};

const fn set(policies: &mut [Policy], policy: Policy, names: &[&[u8]]) {
    let mut index = 0;
    while index < names.len() {
        match FieldName::new(names[index]) {
            Some(name) if name.static_index() != 0 => {
                policies[name.static_index() as usize] = policy;
            }
            _ => panic!("not in the static table"),
        }
        index += 1;
    }
}

/// Remembers, by their hashes, fields that were seen lately and are not in the table.
#[derive(Clone, Debug)]
pub(super) struct SeenFields([u16; 32]);

impl SeenFields {
    pub(super) const fn new() -> Self {
        Self([0; 32])
    }

    /// Whether the field was seen; it is from now on. A wrong yes is rare and does no harm.
    #[inline]
    pub(super) fn insert(&mut self, hash: u32) -> bool {
        let place = &mut self.0[(hash % 32) as usize];
        let mark = (hash >> 16) as u16 | 1;
        std::mem::replace(place, mark) == mark
    }
}
