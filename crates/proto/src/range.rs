//! Which parts of a representation a request asks for, and how several of them are one content.
//!
//! [`select`] is what to answer a `Range` field with, given how long the representation is.
//! [`Multipart`] is the frame around several parts. Whether the field is to be looked at at all is
//! [`conditional`](crate::conditional)'s matter. Numbers are read without a bound on their digits and
//! clamped before anything is added, so that no sum can wrap around (the defect of MS15-034).
//! Source: RFC 9110 §14, §15.3.7 and §15.5.17.

mod multipart;
mod select;
mod set;

pub use multipart::{BOUNDARY_LEN, Multipart, Part};
pub use select::{
    ByteRange, ContentRange, GAP_BYTES, RANGES_MAX, Selection, content_range, select,
    unsatisfied_range,
};
pub use set::{RangeSet, RangeSpec};
