//! A decoded header list: one piece of text, and where names and values lie in it.

use super::FIELD_OVERHEAD_BYTES;
use super::static_table::{StaticField, TEXT_BYTES};
use super::token::Token;

/// How large a header list may become.
#[derive(Clone, Copy, Debug)]
pub struct HeaderListLimits {
    /// Longest header list, in bytes: names, values, and 32 for each field (RFC 9113 §6.5.2).
    ///
    /// Of a longer one the rest is not kept; the list says that it is too large. Default 64 KiB.
    pub decoded_bytes_max: u32,
    /// Most fields, pseudo-headers among them.
    ///
    /// What happens with more is the same. Default 200.
    pub fields_max: u32,
}

impl Default for HeaderListLimits {
    fn default() -> Self {
        Self {
            decoded_bytes_max: 64 * 1024,
            fields_max: 200,
        }
    }
}

/// Where one field stands in the bytes of a [`HeaderList`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HeaderField {
    /// Offset of the name's first byte.
    pub name_start: u32,
    /// Offset of the value's first byte.
    pub value_start: u32,
    /// Length of the value.
    pub value_len: u32,
    /// Length of the name.
    pub name_len: u16,
    /// What the name stands for.
    pub token: Token,
}

impl HeaderField {
    /// The name's bytes, in those of the list.
    #[inline]
    pub fn name<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.name_start as usize..][..usize::from(self.name_len)]
    }

    /// The value's bytes, in those of the list.
    #[inline]
    pub fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.value_start as usize..][..self.value_len as usize]
    }
}

/// The fields of one header block, in the order received. Its memory serves one block after the other.
#[derive(Clone, Debug, Default)]
pub struct HeaderList {
    /// The text, and room behind it.
    pub(super) text: Vec<u8>,
    /// How much of `text` belongs to fields that are kept.
    pub(super) used: usize,
    fields: Vec<HeaderField>,
    limits: HeaderListLimits,
    /// How much of `decoded_bytes_max` is left; nothing, if a limit was broken.
    decoded_bytes_left: u32,
    /// What was not kept.
    decoded_bytes_lost: u64,
    /// Not zero: there is a malformed name or value.
    pub(super) flaws: u8,
}

impl HeaderList {
    /// An empty list, which has no memory yet.
    pub fn new(limits: HeaderListLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Names and values, end to end.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.text[..self.used]
    }

    /// The fields, pseudo-headers among them, in the order received.
    #[inline]
    pub fn fields(&self) -> &[HeaderField] {
        &self.fields
    }

    /// All names and values, in the order received.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let bytes = self.bytes();
        self.fields
            .iter()
            .map(move |field| (field.name(bytes), field.value(bytes)))
    }

    /// Whether a limit was broken. Some fields are missing then; the connection can go on.
    #[inline]
    pub fn is_too_large(&self) -> bool {
        self.decoded_bytes_lost > 0
    }

    /// Whether a name or a value is none that a field may have; the request is malformed then.
    ///
    /// A name has to be a token without upper-case letters or a pseudo-header that [`Token`] lists; a
    /// value is without control characters but tabs, and without blanks around it (RFC 9113 §8.2.1).
    /// Which pseudo-headers and fields there may be, and in what order, is not looked at.
    #[inline]
    pub fn is_malformed(&self) -> bool {
        self.flaws != 0
    }

    /// The size of the whole list as RFC 9113 §6.5.2 counts it, with what was not kept.
    pub fn decoded_bytes(&self) -> u64 {
        let overhead = self.fields.len() * FIELD_OVERHEAD_BYTES;
        (self.used + overhead) as u64 + self.decoded_bytes_lost
    }

    pub(super) fn clear(&mut self) {
        self.used = 0;
        self.fields.clear();
        self.decoded_bytes_left = self.limits.decoded_bytes_max;
        self.decoded_bytes_lost = 0;
        self.flaws = 0;
    }

    /// Makes sure that `text` has `len` bytes from `start` on.
    #[inline(always)]
    pub(super) fn reserve(&mut self, start: usize, len: usize) {
        if self.text.len() - start < len {
            self.grow(start + len);
        }
    }

    /// Adds a field of the static table.
    #[inline]
    pub(super) fn push_static(&mut self, field: &StaticField) {
        self.write_static(field);
        self.push(field.name_len.into(), field.value_len.into(), field.token);
    }

    /// Writes a field's text behind what is used. More is written than the text has; it does no harm.
    #[inline(always)]
    pub(super) fn write_static(&mut self, field: &StaticField) {
        self.reserve(self.used, TEXT_BYTES);
        self.text[self.used..self.used + TEXT_BYTES].copy_from_slice(&field.text);
    }

    /// Adds the field whose name, of 16 bits' length, and value have been written behind what is used.
    #[inline]
    pub(super) fn push(&mut self, name_len: usize, value_len: usize, token: Token) {
        let len = name_len + value_len;
        let size = len + FIELD_OVERHEAD_BYTES;
        if size > self.decoded_bytes_left as usize
            || self.fields.len() >= self.limits.fields_max as usize
        {
            return self.lose(size);
        }
        self.decoded_bytes_left -= size as u32;
        let name_start = self.used as u32;
        self.fields.push(HeaderField {
            name_start,
            value_start: name_start + name_len as u32,
            value_len: value_len as u32,
            name_len: name_len as u16,
            token,
        });
        self.used += len;
    }

    /// Counts a field that is not kept. None is after it.
    #[cold]
    #[inline(never)]
    pub(super) fn lose(&mut self, size: usize) {
        self.decoded_bytes_left = 0;
        self.decoded_bytes_lost += size as u64;
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, len: usize) {
        let doubled = (self.text.len() * 2).max(TEXT_MIN);
        self.text.resize(doubled.max(len), 0);
    }
}

/// The first piece of memory: what a usual request needs.
const TEXT_MIN: usize = 1024;
