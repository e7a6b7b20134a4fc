//! Whether a request's preconditions hold, and whether its `Range` is to be looked at.
//!
//! [`Preconditions`] are the fields of a request that ask for this, [`Validators`] what a representation
//! is told by. [`Preconditions::evaluate`] compares them in the order of RFC 9110 §13.2.2;
//! [`Preconditions::select`] goes on to the ranges. They are for responses that would be 200: others
//! ignore preconditions (§13.2.1) and ranges (§14.2). Source: RFC 9110 §13, §8.8, §14.2.

mod date;
mod entity_tag;

use std::borrow::Cow;

use tidegate_httpapi::Fields;

use crate::range::{self, Selection};

pub use date::parse_date;
pub use entity_tag::EntityTag;

/// The conditional fields of a request, and its `Range`.
#[derive(Clone, Debug, Default)]
pub struct Preconditions<'a> {
    if_match: Option<Cow<'a, [u8]>>,
    if_none_match: Option<Cow<'a, [u8]>>,
    if_modified_since: Once<'a>,
    if_unmodified_since: Once<'a>,
    if_range: Once<'a>,
    range: Once<'a>,
}

/// What tells one state of a representation from another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Validators<'a> {
    /// The value of `ETag`, as it goes out. One that is not an entity tag matches nothing.
    pub etag: Option<&'a [u8]>,
    /// The time of `Last-Modified`, in seconds since 1970-01-01 00:00:00 UTC.
    pub last_modified: Option<u64>,
    /// The time of the response, its `Date`, counted as `last_modified` is.
    ///
    /// What was modified in this very second may be modified in it once more, and nobody could tell: the
    /// date is a weak validator then, which ranges do not go by (RFC 9110 §8.8.2.2).
    pub now: u64,
}

/// What to do with a request. RFC 9110 §13.2.2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Go on, as if it had no preconditions.
    Proceed,
    /// Answer 304.
    NotModified,
    /// Answer 412.
    PreconditionFailed,
}

/// What to answer a request for a representation with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
    /// 200, 206 or 416: this much of the content.
    Content(Selection),
}

/// A field that is no list, so that several lines of it have no meaning.
#[derive(Clone, Copy, Debug, Default)]
enum Once<'a> {
    #[default]
    Absent,
    Value(&'a [u8]),
    Repeated,
}

impl<'a> Preconditions<'a> {
    /// Finds them among a request's fields.
    pub fn of(fields: &Fields<'a>) -> Self {
        let mut found = Self::default();
        for field in fields.iter() {
            // Most names are told apart by their first letter.
            let [b'I' | b'i' | b'R' | b'r', ..] = field.name.as_bytes() else {
                continue;
            };
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            match field.name.len() {
                5 if is("range") => found.range.add(field.value),
                8 if is("if-match") => add_line(&mut found.if_match, field.value),
                8 if is("if-range") => found.if_range.add(field.value),
                13 if is("if-none-match") => add_line(&mut found.if_none_match, field.value),
                17 if is("if-modified-since") => found.if_modified_since.add(field.value),
                19 if is("if-unmodified-since") => found.if_unmodified_since.add(field.value),
                _ => {}
            }
        }
        found
    }

    /// Whether there are neither conditions nor a range: the answer is the whole content.
    pub fn is_empty(&self) -> bool {
        self.if_match.is_none()
            && self.if_none_match.is_none()
            && self.if_modified_since.is_absent()
            && self.if_unmodified_since.is_absent()
            && self.range.is_absent()
    }

    /// Whether what they ask for depends on the representation's validators.
    pub fn need_validators(&self) -> bool {
        self.if_match.is_some()
            || self.if_none_match.is_some()
            || !self.if_modified_since.is_absent()
            || !self.if_unmodified_since.is_absent()
            || !self.if_range.is_absent()
    }

    /// Whether the request has a `Range` field, good or bad.
    pub fn has_range(&self) -> bool {
        !self.range.is_absent()
    }

    /// Compares them with a representation that exists. RFC 9110 §13.2.2, steps 1 to 4.
    ///
    /// A date that is malformed, or given twice, is as if it were not there (§13.1.3, §13.1.4); an entity
    /// tag that is malformed matches nothing.
    pub fn evaluate(&self, method: &str, validators: &Validators<'_>) -> Outcome {
        // §13.2.1: these methods select no representation.
        if matches!(method, "CONNECT" | "OPTIONS" | "TRACE") {
            return Outcome::Proceed;
        }
        let is_read = matches!(method, "GET" | "HEAD");
        let fails = match (&self.if_match, self.if_unmodified_since.date()) {
            (Some(list), _) => !matches_strongly(list, validators),
            (None, Some(date)) => validators.last_modified.is_some_and(|last| last > date),
            (None, None) => false,
        };
        if fails {
            return Outcome::PreconditionFailed;
        }
        let unchanged = match (&self.if_none_match, self.if_modified_since.date()) {
            (Some(list), _) => matches_weakly(list, validators),
            (None, Some(date)) if is_read => {
                validators.last_modified.is_some_and(|last| last <= date)
            }
            (None, _) => false,
        };
        match (unchanged, is_read) {
            (false, _) => Outcome::Proceed,
            (true, true) => Outcome::NotModified,
            (true, false) => Outcome::PreconditionFailed,
        }
    }

    /// The value of `Range`, if it is to be looked at. RFC 9110 §13.2.2, step 5, and §14.2.
    ///
    /// Only GET has ranges. With `If-Range`, the validator in it must be the representation's and a
    /// strong one (§13.1.5).
    pub fn range(&self, method: &str, validators: &Validators<'_>) -> Option<&'a [u8]> {
        let Once::Value(range) = self.range else {
            return None;
        };
        (method == "GET" && self.range_applies(validators)).then_some(range)
    }

    /// Steps 1 to 6: what to answer a request with for a representation of this length, in bytes.
    pub fn select(
        &self,
        method: &str,
        validators: &Validators<'_>,
        complete_length: u64,
    ) -> Answer {
        match self.evaluate(method, validators) {
            Outcome::NotModified => return Answer::NotModified,
            Outcome::PreconditionFailed => return Answer::PreconditionFailed,
            Outcome::Proceed => {}
        }
        Answer::Content(match self.range(method, validators) {
            Some(field) => range::select(field, complete_length),
            None => Selection::Whole,
        })
    }

    fn range_applies(&self, validators: &Validators<'_>) -> bool {
        let condition = match self.if_range {
            Once::Absent => return true,
            Once::Repeated => return false,
            Once::Value(condition) => condition,
        };
        if let Some(tag) = EntityTag::parse(condition) {
            return validators
                .entity_tag()
                .is_some_and(|current| tag.matches_strongly(current));
        }
        let is_strong = |last: &u64| *last < validators.now;
        match (parse_date(condition), validators.last_modified) {
            // Equal, not later: whatever the peer has is not what is there if the dates differ.
            (Some(date), Some(last)) => date == last && is_strong(&last),
            _ => false,
        }
    }
}

impl<'a> Validators<'a> {
    fn entity_tag(&self) -> Option<EntityTag<'a>> {
        EntityTag::parse(self.etag?)
    }
}

impl<'a> Once<'a> {
    fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Self::Absent => Self::Value(value),
            _ => Self::Repeated,
        };
    }

    fn is_absent(self) -> bool {
        matches!(self, Self::Absent)
    }

    fn date(self) -> Option<u64> {
        match self {
            Self::Value(value) => parse_date(value),
            Self::Absent | Self::Repeated => None,
        }
    }
}

/// Adds a line of a list field. RFC 9110 §5.3.
fn add_line<'a>(list: &mut Option<Cow<'a, [u8]>>, value: &'a [u8]) {
    match list {
        Some(list) => {
            let list = list.to_mut();
            list.extend_from_slice(b", ");
            list.extend_from_slice(value);
        }
        None => *list = Some(Cow::Borrowed(value)),
    }
}

fn matches_strongly(list: &[u8], validators: &Validators<'_>) -> bool {
    let current = validators.entity_tag();
    is_any(list)
        || current.is_some_and(|current| {
            EntityTag::list(list).any(|listed| listed.matches_strongly(current))
        })
}

fn matches_weakly(list: &[u8], validators: &Validators<'_>) -> bool {
    let current = validators.entity_tag();
    is_any(list)
        || current.is_some_and(|current| {
            EntityTag::list(list).any(|listed| listed.matches_weakly(current))
        })
}

/// Whether a list is `*`: whatever the representation, as long as there is one.
fn is_any(list: &[u8]) -> bool {
    list.trim_ascii() == b"*"
}

#[cfg(test)]
mod tests;
