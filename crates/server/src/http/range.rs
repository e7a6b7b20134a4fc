//! Parts of a representation: what a request asks for, and responses that answer with parts.
//!
//! Three ways lead to 206. [`Response::process_ranges`] has the component do all of it for content that
//! can be cut, as for files and [seekable](Response::seekable) readers; how is in `plan` and `cut`. By
//! hand, a handler reads [`Request::range`], and sets status, fields and content itself.
//! Source: the component's request and response objects; the HTTP Server API's flag to process ranges.

mod cut;
mod plan;

use tidegate_proto::range::{RangeSet, content_range, unsatisfied_range};

use super::request::Request;
use super::response::{Rare, Response, ResponseError};
use super::source::RequestSource;

pub(crate) use cut::cut_body;
pub(super) use cut::{SeekRead, cut_reader};
pub(crate) use plan::{Plan, plan};

impl<S: RequestSource> Request<'_, S> {
    /// The ranges of bytes that a `Range` field asks for. `None` when there is no such field, or one that
    /// is to be ignored: malformed, repeated, or of another unit (RFC 9110 §14.2).
    ///
    /// A range says what is asked for; what is there of it,
    /// [`resolve`](crate::RangeSpec::resolve) says.
    ///
    /// ```
    /// # fn handler(request: &tidegate::Request<'_>, response: &mut tidegate::Response) {
    /// let content = b"twenty-three letters...";
    /// let length = content.len() as u64;
    /// let asked = request.range().and_then(|ranges| ranges.iter().next());
    /// match asked.map(|range| range.resolve(length)) {
    ///     None => response.bytes(content),
    ///     Some(None) => response.status(416).unsatisfied_range(length).empty(),
    ///     Some(Some(part)) => response
    ///         .status(206)
    ///         .content_range(part.first..=part.last, Some(length))
    ///         .bytes(&content[part.first as usize..=part.last as usize]),
    /// }
    /// # }
    /// ```
    ///
    /// [`Response::process_ranges`] does this, and what belongs to it, by itself.
    pub fn range(&self) -> Option<RangeSet<'_>> {
        let mut lines = self
            .head()
            .fields
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case("Range"));
        match (lines.next(), lines.next()) {
            (Some(only), None) => RangeSet::parse(only.value),
            _ => None,
        }
    }
}

/// `Content-Range` as its parts are set.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HandMadeRange {
    first: Option<u64>,
    last: Option<u64>,
    instance_length: Option<u64>,
}

impl Response {
    /// Answers conditions and ranges of a GET or HEAD by itself, when the response has status 200 as it is
    /// sent: with 304 or 412 by its `ETag` and `Last-Modified` (RFC 9110 §13), with 206 or 416 for a GET
    /// with `Range` (§14), several ranges as `multipart/byteranges`. The response says `Accept-Ranges`.
    ///
    /// For content whose length is known and that can be cut: text, bytes, [files](Self::file) and
    /// [seekable](Self::seekable) readers, the latter two of which have it on without being asked. Other
    /// content has conditions only. `Accept-Ranges: none`, set by hand, leaves ranges out.
    ///
    /// ```
    /// # fn handler(response: &mut tidegate::Response) {
    /// response
    ///     .etag("report-7")
    ///     .content_type("text/csv")
    ///     .process_ranges()
    ///     .bytes("year,sum\n2025,7\n2026,8\n");
    /// # }
    /// ```
    ///
    /// Up to 200 ranges are answered, put together where they overlap or nearly meet, in the order asked
    /// for; a request for more gets the whole.
    pub fn process_ranges(&mut self) -> &mut Self {
        self.rare().processes_ranges = true;
        self
    }

    /// Sets the offset of the first byte of a part: the component's ContentRangeStart. Default 0. See
    /// [`content_range`](Self::content_range), which sets all three at once.
    pub fn content_range_start(&mut self, first: u64) -> &mut Self {
        self.hand_made_range().first = Some(first);
        self
    }

    /// Sets the offset of the last byte of a part: the component's ContentRangeEnd. Default: the
    /// representation's last.
    pub fn content_range_end(&mut self, last: u64) -> &mut Self {
        self.hand_made_range().last = Some(last);
        self
    }

    /// Sets the length of the whole representation that a part is of: the component's
    /// ContentRangeInstanceLength. Where it is not set, the response says that it is not known. With
    /// status 416, it alone is told.
    pub fn content_range_instance_length(&mut self, length: u64) -> &mut Self {
        self.hand_made_range().instance_length = Some(length);
        self
    }

    fn hand_made_range(&mut self) -> &mut HandMadeRange {
        self.rare().content_range.get_or_insert_default()
    }
}

impl Rare {
    /// The value of `Content-Range` that was set in parts.
    pub(super) fn hand_made_range(&self, status: u16) -> Result<Option<String>, ResponseError> {
        let Some(range) = self.content_range else {
            return Ok(None);
        };
        let HandMadeRange {
            first,
            last,
            instance_length,
        } = range;
        if let (416, Some(length)) = (status, instance_length) {
            return Ok(Some(unsatisfied_range(length)));
        }
        let first = first.unwrap_or(0);
        let last = last.or(instance_length.and_then(|length| length.checked_sub(1)));
        let is_right = last.is_some_and(|last| {
            first <= last && instance_length.is_none_or(|length| last < length)
        });
        match (last, instance_length) {
            (Some(last), Some(length)) if is_right => {
                let range = crate::ByteRange { first, last };
                Ok(Some(content_range(range, length).to_string()))
            }
            (Some(last), None) if is_right => Ok(Some(format!("bytes {first}-{last}/*"))),
            _ => Err(ResponseError::ContentRange {
                first,
                last,
                instance_length,
            }),
        }
    }
}
