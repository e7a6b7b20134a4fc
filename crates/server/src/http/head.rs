//! The field lines of a response, as its setters make them.
//!
//! What may stand in a field is the field block's matter; here is which field a setter sets, and
//! which fields are not the application's.

use std::ops::RangeInclusive;
use std::time::SystemTime;

use tidegate_httpapi::{FieldBlock, KnownField};

use super::charset::Charset;
use super::date;
use super::response::{Response, ResponseError};

impl Response {
    /// Sets the field `name` to `value`, in place of all lines it had.
    ///
    /// What may not be sent, such as a value with a line end, makes the response a 500, and
    /// [`on_exception`](crate::Events::on_exception) hears of it;
    /// [`try_header`](Self::try_header) tells at once.
    #[inline]
    pub fn header(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        if let Err(fault) = self.try_header(name, value) {
            self.keep_fault(fault);
        }
        self
    }

    /// Adds the field `name` with `value` after the lines that are there, of this name too. Faults are
    /// as with [`header`](Self::header).
    #[inline]
    pub fn append_header(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        if let Err(fault) = self.try_append_header(name, value) {
            self.keep_fault(fault);
        }
        self
    }

    /// Takes out all lines of the field `name`.
    pub fn remove_header(&mut self, name: &str) -> &mut Self {
        match KnownField::of(name.as_bytes()) {
            KnownField::ContentLength => {
                if let Some(rare) = &mut self.rare {
                    rare.content_length = None;
                }
            }
            KnownField::Connection => self.head.close = false,
            KnownField::ContentType => self.charset = Charset::Utf8,
            _ => {}
        }
        self.head.fields.remove(name);
        self
    }

    /// As [`header`](Self::header), telling at once.
    ///
    /// # Errors
    ///
    /// The name is not a token, the value has a control character, or the field is the driver's to
    /// write; the old lines stay then. The caller's fault.
    #[inline]
    pub fn try_header(
        &mut self,
        name: &str,
        value: impl AsRef<[u8]>,
    ) -> Result<&mut Self, ResponseError> {
        let value = value.as_ref();
        if !self.is_own_affair(name, value)? {
            // Most fields are set once, and then nothing has to be replaced.
            if self.head.fields.value(name).is_none() {
                self.head.fields.append(name, value)?;
            } else {
                self.head.fields.set(name, value)?;
            }
        }
        Ok(self)
    }

    /// As [`append_header`](Self::append_header), telling at once.
    ///
    /// # Errors
    ///
    /// As [`try_header`](Self::try_header).
    #[inline]
    pub fn try_append_header(
        &mut self,
        name: &str,
        value: impl AsRef<[u8]>,
    ) -> Result<&mut Self, ResponseError> {
        let value = value.as_ref();
        if !self.is_own_affair(name, value)? {
            self.head.fields.append(name, value)?;
        }
        Ok(self)
    }

    /// The field lines set so far.
    pub fn headers(&self) -> &FieldBlock {
        &self.head.fields
    }

    /// Sets `Content-Type`. The character set that it names is the one that
    /// [`text`](Self::text) writes in.
    #[inline]
    pub fn content_type(&mut self, value: &str) -> &mut Self {
        // The usual types are text in UTF-8 or no text at all.
        if self.head.fields.set_usual_content_type(value) {
            self.charset = Charset::Utf8;
            return self;
        }
        self.charset = Charset::of_content_type(value.as_bytes());
        self.put("Content-Type", value)
    }

    /// Sets the length of content that comes piece by piece, or that a response to HEAD would have.
    pub fn content_length(&mut self, length: u64) -> &mut Self {
        self.rare().content_length = Some(length);
        self
    }

    /// Sets `Expires`.
    pub fn expires(&mut self, time: SystemTime) -> &mut Self {
        self.header("Expires", date::to_field_value(time))
    }

    /// Sets `Last-Modified`.
    pub fn last_modified(&mut self, time: SystemTime) -> &mut Self {
        self.header("Last-Modified", date::to_field_value(time))
    }

    /// Sets `ETag`. Quotes are added where it has none; `W/"…"` is a weak one.
    pub fn etag(&mut self, tag: &str) -> &mut Self {
        // RFC 9110 §8.8.3: an entity tag is quoted, and has no quotes or blanks within.
        let (weak, opaque) = match tag.strip_prefix("W/\"") {
            Some(_) => tag.split_at(2),
            None => ("", tag),
        };
        let opaque = opaque
            .strip_prefix('"')
            .map_or(Some(opaque), |rest| rest.strip_suffix('"'));
        let is_of_tag = |char: char| char > ' ' && !matches!(char, '"' | '\u{7F}');
        match opaque.filter(|opaque| opaque.chars().all(is_of_tag)) {
            Some(opaque) => self.header("ETag", format!("{weak}\"{opaque}\"")),
            None => {
                self.keep_fault(ResponseError::Malformed {
                    field: "ETag",
                    part: tag.into(),
                });
                self
            }
        }
    }

    /// Sets `Location`.
    pub fn location(&mut self, value: &str) -> &mut Self {
        self.header("Location", value)
    }

    /// Sets what stands in `Server` before the driver's own token.
    pub fn server(&mut self, value: &str) -> &mut Self {
        self.put("Server", value)
    }

    /// Sets `Accept-Ranges`: `bytes` or `none`.
    pub fn accept_ranges(&mut self, value: &str) -> &mut Self {
        self.header("Accept-Ranges", value)
    }

    /// Sets `Content-Range` to these bytes, first and last, of `instance_length` where that is known.
    ///
    /// A response with a part of its content has status 206.
    ///
    /// ```
    /// # fn handler(response: &mut tidegate::Response) {
    /// response.status(206).content_range(0..=99, Some(1000));
    /// assert_eq!(response.headers().value("Content-Range"), Some(&b"bytes 0-99/1000"[..]));
    /// # }
    /// ```
    pub fn content_range(
        &mut self,
        bytes: RangeInclusive<u64>,
        instance_length: Option<u64>,
    ) -> &mut Self {
        let (first, last) = bytes.into_inner();
        let value = match instance_length {
            Some(length) => format!("bytes {first}-{last}/{length}"),
            None => format!("bytes {first}-{last}/*"),
        };
        self.header("Content-Range", value)
    }

    /// Sets `Content-Range` as it stands in a response with status 416: only the length is told.
    pub fn unsatisfied_range(&mut self, instance_length: u64) -> &mut Self {
        self.header("Content-Range", format!("bytes */{instance_length}"))
    }

    /// Sets a field that is known, which is a bit to test and mostly nothing to replace.
    #[inline]
    fn put(&mut self, name: &'static str, value: &str) -> &mut Self {
        if let Err(error) = self.head.fields.set_static(name, value) {
            self.keep_fault(error.into());
        }
        self
    }

    /// Takes over a field that is not just a line. RFC 9110 §7.6.1 and RFC 9112 §6 make framing and
    /// the connection's matters the driver's.
    fn is_own_affair(&mut self, name: &str, value: &[u8]) -> Result<bool, ResponseError> {
        match KnownField::of(name.as_bytes()) {
            KnownField::ContentType => self.charset = Charset::of_content_type(value),
            KnownField::ContentLength => {
                let text = String::from_utf8_lossy(value);
                let Ok(length) = text.trim().parse() else {
                    return Err(ResponseError::ContentLength(text.into()));
                };
                self.content_length(length);
                return Ok(true);
            }
            KnownField::Connection if value.eq_ignore_ascii_case(b"close") => {
                self.close();
                return Ok(true);
            }
            KnownField::Connection if value.eq_ignore_ascii_case(b"keep-alive") => return Ok(true),
            KnownField::Connection | KnownField::TransferEncoding => {
                return Err(ResponseError::Reserved { name: name.into() });
            }
            _ => {}
        }
        Ok(false)
    }
}
