//! From fields to header blocks.

use super::dynamic_table::DynamicTable;
use super::field_name::{FieldName, hash_with_value};
use super::indexing::{Indexing, Policy, SeenFields};
use super::lookup::{Key, Lookup, Mark};
use super::{DEFAULT_TABLE_BYTES_MAX, FIELD_OVERHEAD_BYTES, huffman, integer, static_table};

/// Encodes the header blocks of one connection, in the order sent.
///
/// What is appended for one block has to go out as that block, before the next one's.
#[derive(Clone, Debug)]
pub struct Encoder {
    table: DynamicTable<Mark>,
    lookup: Lookup,
    seen: SeenFields,
    /// The most we use, whatever the peer allows.
    table_bytes_max: u32,
    /// The smallest size since the last block, if the peer has to hear of a change.
    smallest_untold: Option<u32>,
}

impl Encoder {
    /// An encoder that uses a table of `table_bytes_max` bytes at most, and no more than
    /// [`DEFAULT_TABLE_BYTES_MAX`] until the peer allows more.
    pub fn new(table_bytes_max: u32) -> Self {
        let table_bytes = table_bytes_max.min(DEFAULT_TABLE_BYTES_MAX);
        Self {
            table: DynamicTable::new(table_bytes),
            lookup: Lookup::new(),
            seen: SeenFields::new(),
            table_bytes_max,
            smallest_untold: (table_bytes < DEFAULT_TABLE_BYTES_MAX).then_some(table_bytes),
        }
    }

    /// Takes the peer's `SETTINGS_HEADER_TABLE_SIZE`.
    ///
    /// The next block begins with the size updates this asks for.
    pub fn set_peer_table_bytes_max(&mut self, bytes_max: u32) {
        let bytes = bytes_max.min(self.table_bytes_max);
        if bytes != self.table.bytes_max() {
            self.table.set_bytes_max(bytes);
            self.smallest_untold = Some(self.smallest_untold.unwrap_or(bytes).min(bytes));
        }
    }

    /// A number that changes whenever the outcome of encoding could.
    ///
    /// Encoding that does not change it appends the same bytes for the same fields as long as it stays.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.table.generation()
    }

    /// Begins a block. [`encode_status`](Self::encode_status) does it too: only a block without a status,
    /// a trailer section, needs it.
    #[inline]
    pub fn begin_block(&mut self, out: &mut Vec<u8>) {
        if self.smallest_untold.is_some() {
            self.encode_size_updates(out);
        }
    }

    /// Begins a response's block with its `:status`, a number of three digits.
    #[inline]
    pub fn encode_status(&mut self, out: &mut Vec<u8>, status: u16) {
        self.begin_block(out);
        let index = match status {
            200 => 8,
            204 => 9,
            206 => 10,
            304 => 11,
            400 => 12,
            404 => 13,
            500 => 14,
            _ => {
                let digits =
                    [status / 100, status / 10, status].map(|rest| b'0' + (rest % 10) as u8);
                return self.encode_named(out, &STATUS, &digits, Indexing::ByName);
            }
        };
        integer::encode::<7>(out, INDEXED, index);
    }

    /// Appends a field. Letters of `name` are written in lower case.
    ///
    /// Nothing is checked: the name has to be a token or a pseudo-header's, the value one that a field
    /// may have.
    pub fn encode_field(
        &mut self,
        out: &mut Vec<u8>,
        name: &[u8],
        value: &[u8],
        indexing: Indexing,
    ) {
        match FieldName::new(name) {
            Some(name) => self.encode_named(out, &name, value, indexing),
            None => encode_long_name(out, name, value, indexing),
        }
    }

    /// Appends a field whose name has been prepared; else as [`encode_field`](Self::encode_field).
    #[inline]
    pub fn encode_named(
        &mut self,
        out: &mut Vec<u8>,
        name: &FieldName,
        value: &[u8],
        indexing: Indexing,
    ) {
        let policy = Policy::of(name, indexing);
        let mut hash = 0;
        if let Policy::Incremental | Policy::WhenRepeated = policy {
            hash = hash_with_value(name.hash(), value) as u32;
            if let Some(position) = self.find(name, value, hash) {
                let index = static_table::COUNT + 1 + position;
                return integer::encode::<7>(out, INDEXED, index);
            }
        }
        self.encode_missing(out, name, value, hash, (policy, indexing));
    }

    /// Appends a field that is not in the dynamic table.
    #[inline(never)]
    fn encode_missing(
        &mut self,
        out: &mut Vec<u8>,
        name: &FieldName,
        value: &[u8],
        hash: u32,
        (policy, indexing): (Policy, Indexing),
    ) {
        if policy == Policy::Never {
            return encode_literal::<4>(out, NEVER_INDEXED, self.name_index(name), name, value);
        }
        if let Some(index) = static_match(name, value) {
            return integer::encode::<7>(out, INDEXED, index);
        }
        if policy == Policy::Without || !self.is_worth_it(name, value, hash, policy, indexing) {
            return encode_literal::<4>(out, WITHOUT_INDEXING, self.name_index(name), name, value);
        }
        encode_literal::<6>(out, INCREMENTAL, self.name_index(name), name, value);
        let mark = Mark::new(hash, name.hash() as u32, name.static_index());
        if self.table.insert(name.as_bytes(), value, mark) {
            self.lookup.insert(&mut self.table);
        }
    }

    /// The position of the field in the dynamic table.
    #[inline]
    fn find(&self, name: &FieldName, value: &[u8], hash: u32) -> Option<usize> {
        self.lookup.find(&self.table, Key::Field, hash, |entry| {
            if entry.mark.static_name != name.static_index()
                || entry.name_len() != name.as_bytes().len()
            {
                return false;
            }
            let (entry_name, entry_value) = self.table.text(entry).split_at(entry.name_len());
            entry_value == value && (name.static_index() != 0 || entry_name == name.as_bytes())
        })
    }

    /// The index of a field with this name, or 0.
    #[inline]
    fn name_index(&self, name: &FieldName) -> usize {
        match name.static_index() {
            0 => self.dynamic_name_index(name),
            index => index.into(),
        }
    }

    fn dynamic_name_index(&self, name: &FieldName) -> usize {
        let hash = name.hash() as u32;
        let found = self.lookup.find(&self.table, Key::Name, hash, |entry| {
            entry.mark.static_name == 0
                && self.table.text(entry).split_at(entry.name_len()).0 == name.as_bytes()
        });
        found.map_or(0, |position| static_table::COUNT + 1 + position)
    }

    /// Whether a field that is not in the table goes into it.
    fn is_worth_it(
        &mut self,
        name: &FieldName,
        value: &[u8],
        hash: u32,
        policy: Policy,
        indexing: Indexing,
    ) -> bool {
        let size = name.as_bytes().len() + value.len() + FIELD_OVERHEAD_BYTES;
        if indexing == Indexing::ByName && size > self.table.bytes_max() as usize / 2 {
            return false;
        }
        if policy == Policy::Incremental || self.seen.insert(hash) {
            return true;
        }
        // The same field will be encoded otherwise the next time.
        self.table.touch();
        false
    }

    /// RFC 7541 §4.2: the smallest size since the last block, then the final one.
    #[cold]
    #[inline(never)]
    fn encode_size_updates(&mut self, out: &mut Vec<u8>) {
        // The next block will begin without them.
        self.table.touch();
        let bytes_max = self.table.bytes_max();
        if let Some(smallest) = self.smallest_untold.take()
            && smallest < bytes_max
        {
            integer::encode::<5>(out, SIZE_UPDATE, smallest as usize);
        }
        integer::encode::<5>(out, SIZE_UPDATE, bytes_max as usize);
    }
}

/// Appends a field with no encoder's help: nothing goes into the dynamic table or comes from it.
///
/// For fields that are seldom sent, such as a trailer section's.
pub fn encode_field_plain(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let Some(name) = FieldName::new(name) else {
        return encode_long_name(out, name, value, Indexing::ByName);
    };
    let flags = match Policy::of(&name, Indexing::ByName) {
        Policy::Never => NEVER_INDEXED,
        _ => WITHOUT_INDEXING,
    };
    encode_literal::<4>(out, flags, name.static_index().into(), &name, value);
}

/// Appends `content-length` without indexing.
#[inline]
pub fn encode_content_length(out: &mut Vec<u8>, length: u64) {
    // In the Huffman code it would be a byte or two less, which is not worth the work.
    integer::encode::<4>(out, WITHOUT_INDEXING, CONTENT_LENGTH_INDEX);
    if length >= 10_000 {
        return encode_long_decimal(out, length);
    }
    let number = length as u32;
    let digits = [1000, 100, 10, 1].map(|divisor| b'0' + (number / divisor % 10) as u8);
    let count = 1 + u8::from(number >= 10) + u8::from(number >= 100) + u8::from(number >= 1000);
    // All four are moved, so that the compiler knows how many.
    let digits = u32::from_be_bytes(digits) << (8 * (4 - count));
    out.push(count);
    out.extend_from_slice(&digits.to_be_bytes());
    out.truncate(out.len() - usize::from(4 - count));
}

#[cold]
fn encode_long_decimal(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = number;
    while rest > 0 {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let digits = &digits[start..];
    integer::encode::<7>(out, PLAIN, digits.len());
    out.extend_from_slice(digits);
}

/// The index of a field of the static table.
#[inline(always)]
fn static_match(name: &FieldName, value: &[u8]) -> Option<usize> {
    let first = usize::from(name.static_index());
    // The usual names have no values there.
    if first > LAST_INDEX_WITH_VALUE && !value.is_empty() || first == 0 {
        return None;
    }
    static_table::FIELDS[first..]
        .iter()
        .take_while(|field| field.name() == name.as_bytes())
        .position(|field| field.value() == value)
        .map(|position| first + position)
}

fn encode_literal<const PREFIX: u32>(
    out: &mut Vec<u8>,
    flags: u8,
    name_index: usize,
    name: &FieldName,
    value: &[u8],
) {
    integer::encode::<PREFIX>(out, flags, name_index);
    if name_index == 0 {
        encode_string(out, name.as_bytes());
    }
    encode_string(out, value);
}

/// RFC 7541 §5.2: in the Huffman code if that is shorter.
fn encode_string(out: &mut Vec<u8>, text: &[u8]) {
    let coded_len = huffman::encoded_len(text);
    if coded_len < text.len() {
        integer::encode::<7>(out, HUFFMAN, coded_len);
        huffman::encode(out, text);
    } else {
        integer::encode::<7>(out, PLAIN, text.len());
        out.extend_from_slice(text);
    }
}

/// Appends a field whose name is too long for a [`FieldName`].
#[cold]
fn encode_long_name(out: &mut Vec<u8>, name: &[u8], value: &[u8], indexing: Indexing) {
    let flags = match indexing {
        Indexing::Never => NEVER_INDEXED,
        _ => WITHOUT_INDEXING,
    };
    integer::encode::<4>(out, flags, 0);
    encode_string(out, &name.to_ascii_lowercase());
    encode_string(out, value);
}

const STATUS: FieldName = match FieldName::new(b":status") {
    Some(name) => name,
    None => FieldName::EMPTY,
};

const CONTENT_LENGTH_INDEX: usize = 28;

/// `accept-encoding`
const LAST_INDEX_WITH_VALUE: usize = 16;

// What an octet begins with, RFC 7541 §6 and §5.2.
const INDEXED: u8 = 0x80;
const INCREMENTAL: u8 = 0x40;
const SIZE_UPDATE: u8 = 0x20;
const NEVER_INDEXED: u8 = 0x10;
const WITHOUT_INDEXING: u8 = 0;
const HUFFMAN: u8 = 0x80;
const PLAIN: u8 = 0;
