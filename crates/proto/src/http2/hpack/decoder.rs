//! From header blocks to header lists.

use super::dynamic_table::DynamicTable;
use super::error::HpackError;
use super::header_list::HeaderList;
use super::token::{Token, has_no_blanks_around, is_name, is_value};
use super::{DEFAULT_TABLE_BYTES_MAX, FIELD_OVERHEAD_BYTES, huffman, integer, static_table};

/// Decodes the header blocks of one connection, in the order received.
#[derive(Clone, Debug)]
pub struct Decoder {
    table: DynamicTable<Mark>,
    /// What was announced.
    table_bytes_max: u32,
    /// The smallest that was announced since the last block, if the table was larger: the next block
    /// begins with a size update that is not above it.
    update_due: Option<u32>,
}

impl Decoder {
    /// A decoder for a peer who knows that the table has `table_bytes_max` bytes at most.
    ///
    /// That is [`DEFAULT_TABLE_BYTES_MAX`], or more if our first settings announce more. Announce less
    /// with [`set_table_bytes_max`](Self::set_table_bytes_max) when the peer has acknowledged it.
    pub fn new(table_bytes_max: u32) -> Self {
        Self {
            // RFC 7541 §4.2: more is used when the peer says so.
            table: DynamicTable::new(table_bytes_max.min(DEFAULT_TABLE_BYTES_MAX)),
            table_bytes_max,
            update_due: None,
        }
    }

    /// Changes the largest size of the table: the peer has acknowledged another
    /// `SETTINGS_HEADER_TABLE_SIZE`.
    pub fn set_table_bytes_max(&mut self, table_bytes_max: u32) {
        self.table_bytes_max = table_bytes_max;
        if self.update_due.unwrap_or(self.table.bytes_max()) > table_bytes_max {
            self.update_due = Some(table_bytes_max);
            self.table.touch();
        }
    }

    /// A number that changes whenever the dynamic table does.
    ///
    /// Decoding that does not change it has the same outcome as long as it stays: the list of the same
    /// block need not be decoded again.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.table.generation()
    }

    /// Decodes one whole header block in place of what is in `list`.
    ///
    /// A list that breaks its limits is decoded to its end, but says that it is too large.
    ///
    /// # Errors
    ///
    /// The block breaks a rule of RFC 7541; no further block can be decoded. The peer's fault.
    pub fn decode(&mut self, block: &[u8], list: &mut HeaderList) -> Result<(), HpackError> {
        list.clear();
        let mut rest = block;
        if self.update_due.is_some() || block.first().is_some_and(|&first| is_update(first)) {
            self.update_size(&mut rest)?;
        }
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            if first & 0x80 != 0 {
                let index = integer::decode::<7>(first, &mut rest)?;
                self.indexed(index, list)?;
                continue;
            }
            let is_incremental = first & 0x40 != 0;
            let name_index = if is_incremental {
                integer::decode::<6>(first, &mut rest)?
            } else if is_update(first) {
                return Err(HpackError::SizeUpdateMisplaced);
            } else {
                // Without indexing or never indexed: a difference only to who encodes it again.
                integer::decode::<4>(first, &mut rest)?
            };
            let literal = self.literal(name_index, &mut rest, list)?;
            if is_incremental {
                let text = &list.text[list.used..literal.end];
                let (name, value) = text.split_at(literal.name_len);
                self.table.insert(name, value, literal.mark);
            }
            literal.push(list);
        }
        Ok(())
    }

    /// RFC 7541 §6.1.
    #[inline(always)]
    fn indexed(&self, index: u32, list: &mut HeaderList) -> Result<(), HpackError> {
        let Some(position) = (index as usize).checked_sub(static_table::COUNT + 1) else {
            if index == 0 {
                return Err(HpackError::IndexUnknown { index });
            }
            list.push_static(&static_table::FIELDS[index as usize]);
            return Ok(());
        };
        let entry = self.table.entry(position);
        let entry = entry.ok_or(HpackError::IndexUnknown { index })?;
        let text = self.table.text(entry);
        list.flaws |= entry.mark.flaws;
        if entry.name_len() > u16::MAX.into() {
            list.lose(text.len() + FIELD_OVERHEAD_BYTES);
            return Ok(());
        }
        list.reserve(list.used, text.len());
        list.text[list.used..list.used + text.len()].copy_from_slice(text);
        list.push(entry.name_len(), entry.value_len(), entry.mark.token);
        Ok(())
    }

    /// Reads a literal's name and value, and writes them behind what `list` uses. RFC 7541 §6.2.
    #[inline(always)]
    fn literal(
        &self,
        name_index: u32,
        rest: &mut &[u8],
        list: &mut HeaderList,
    ) -> Result<Literal, HpackError> {
        let start = list.used;
        let (name_len, mut mark) = match name_index as usize {
            0 => {
                let end = read_name(rest, list)?;
                (end - start, Mark::of_name(&list.text[start..end]))
            }
            index @ 1..=static_table::COUNT => {
                let field = &static_table::FIELDS[index];
                list.write_static(field);
                (field.name_len.into(), Mark::new(field.token))
            }
            index => {
                let entry = self.table.entry(index - static_table::COUNT - 1);
                let entry = entry.ok_or(HpackError::IndexUnknown { index: name_index })?;
                let name = &self.table.text(entry)[..entry.name_len()];
                list.reserve(start, name.len());
                list.text[start..start + name.len()].copy_from_slice(name);
                (name.len(), entry.mark)
            }
        };
        let value_start = start + name_len;
        let value = Text::read(rest, list, value_start)?;
        let text = &list.text[value_start..value.end];
        let is_value = if value.may_have_controls {
            is_value(text)
        } else {
            has_no_blanks_around(text)
        };
        mark.flaws = mark.flaws & NAME_FLAW | if is_value { 0 } else { VALUE_FLAW };
        Ok(Literal {
            name_len,
            end: value.end,
            mark,
        })
    }

    /// Takes the size updates that a block may begin with. RFC 7541 §4.2, §6.3.
    #[cold]
    #[inline(never)]
    fn update_size(&mut self, rest: &mut &[u8]) -> Result<(), HpackError> {
        let mut updates = 0;
        while let Some((&first, after)) = rest.split_first()
            && is_update(first)
        {
            // The smallest size in between, and the final one.
            if updates == 2 {
                return Err(HpackError::SizeUpdateMisplaced);
            }
            *rest = after;
            let bytes = integer::decode::<5>(first, rest)?;
            let bytes_max = self.update_due.unwrap_or(self.table_bytes_max);
            if bytes > bytes_max {
                return Err(HpackError::SizeUpdateTooLarge { bytes, bytes_max });
            }
            self.update_due = None;
            self.table.set_bytes_max(bytes);
            updates += 1;
        }
        match self.update_due {
            Some(_) => Err(HpackError::SizeUpdateMissing),
            None => Ok(()),
        }
    }
}

/// What was found out about a field before it went into the table.
#[derive(Clone, Copy, Debug)]
struct Mark {
    token: Token,
    /// [`NAME_FLAW`], [`VALUE_FLAW`], both, or zero.
    flaws: u8,
}

impl Mark {
    #[inline]
    fn new(token: Token) -> Self {
        Self { token, flaws: 0 }
    }

    fn of_name(name: &[u8]) -> Self {
        let token = Token::of(name);
        let flaws = if is_name(name, token) { 0 } else { NAME_FLAW };
        Self { token, flaws }
    }
}

/// A field whose text has been written.
struct Literal {
    name_len: usize,
    end: usize,
    mark: Mark,
}

impl Literal {
    #[inline(always)]
    fn push(&self, list: &mut HeaderList) {
        let value_len = self.end - list.used - self.name_len;
        list.flaws |= self.mark.flaws;
        if self.name_len > u16::MAX.into() {
            return list.lose(self.name_len + value_len + FIELD_OVERHEAD_BYTES);
        }
        list.push(self.name_len, value_len, self.mark.token);
    }
}

/// A string whose text has been written. RFC 7541 §5.2.
struct Text {
    end: usize,
    may_have_controls: bool,
}

impl Text {
    #[inline(always)]
    fn read(rest: &mut &[u8], list: &mut HeaderList, start: usize) -> Result<Self, HpackError> {
        let (&first, after) = rest.split_first().ok_or(HpackError::Truncated)?;
        *rest = after;
        let len = integer::decode::<7>(first, rest)? as usize;
        let (coded, after) = rest.split_at_checked(len).ok_or(HpackError::Truncated)?;
        *rest = after;
        if first & 0x80 != 0 {
            list.reserve(start, huffman::decoded_room(len));
            let decoded = huffman::decode(coded, &mut list.text, start)?;
            return Ok(Self {
                end: decoded.end,
                may_have_controls: decoded.has_rare_symbols,
            });
        }
        list.reserve(start, len);
        list.text[start..start + len].copy_from_slice(coded);
        Ok(Self {
            end: start + len,
            may_have_controls: true,
        })
    }
}

/// Reads a name that is in no table. Returns where it ends.
#[inline(never)]
fn read_name(rest: &mut &[u8], list: &mut HeaderList) -> Result<usize, HpackError> {
    Ok(Text::read(rest, list, list.used)?.end)
}

#[inline(always)]
fn is_update(first: u8) -> bool {
    first & 0xE0 == 0x20
}

/// The name is none that a field may have.
const NAME_FLAW: u8 = 1;

/// The value is none that a field may have.
const VALUE_FLAW: u8 = 2;
