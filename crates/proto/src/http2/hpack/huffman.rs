//! Strings in the Huffman code, in and out.
//!
//! Decoding looks at twelve bits at once, which are up to two symbols of the usual ones; only rare
//! symbols have longer codes. Source: RFC 7541 §5.2.

use super::error::HpackError;
use super::huffman_code::{CODES, GROUPS, LENGTH_MAX, LENGTHS, SYMBOLS};

/// A string that was decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decoded {
    /// Where it ends.
    pub(super) end: usize,
    /// Whether it has symbols of long codes, among which are all control characters.
    pub(super) has_rare_symbols: bool,
}

/// How much room [`decode`] wants for a string of `coded` bytes.
#[inline]
pub(super) const fn decoded_room(coded: usize) -> usize {
    // No code is shorter than five bits. Eight bytes are written where there may be none.
    coded * 8 / 5 + 8
}

/// Decodes all of `coded` into `out` at `start`, where there is [`decoded_room`].
#[inline(never)]
pub(super) fn decode(coded: &[u8], out: &mut [u8], start: usize) -> Result<Decoded, HpackError> {
    let mut symbols = Symbols {
        out,
        end: start,
        has_rare: false,
    };
    let mut rest = coded;
    // How many of the string's bits are still to come. Behind them stand ones without end.
    let mut left = coded.len() * 8;
    // The next bits at the high end, and how many of them are counted. Those that follow are either
    // zero or what comes next.
    let (mut window, mut bits) = (0_u64, 0_u32);
    loop {
        let (next, len) = next_word(rest);
        window |= next >> bits;
        let taken = (63 - bits) / 8;
        rest = &rest[len.min(taken as usize)..];
        bits += taken * 8;
        // There are 56 bits now.
        if left >= 48 {
            let before = bits;
            let (mut text, mut text_bits) = (0, 0);
            let mut is_rare = false;
            for _ in 0..56 / STEP_BITS {
                // One of no symbols takes no bits: it stays the same for the rest of these steps.
                let step = STEPS[(window >> (64 - STEP_BITS)) as usize];
                text |= u64::from(step.symbols()) << text_bits;
                text_bits += step.symbol_bits();
                window <<= step.bits();
                bits -= step.bits();
                is_rare = step.symbol_bits() == 0;
            }
            symbols.push_all(text, text_bits / 8);
            left -= (before - bits) as usize;
            if is_rare && left.min(bits as usize) >= LENGTH_MAX {
                let len = symbols.push_rare(window)?;
                window <<= len;
                bits -= len;
                left -= len as usize;
            }
            continue;
        }
        for _ in 0..56 / STEP_BITS {
            let step = STEPS[(window >> (64 - STEP_BITS)) as usize];
            let mut len = step.bits();
            if len as usize > left || step.count() == 0 {
                // RFC 7541 §5.2: at the end is less than a byte of the most significant bits of EOS.
                if left < 8 && window >> 56 == 0xFF {
                    return Ok(Decoded {
                        end: symbols.end,
                        has_rare_symbols: symbols.has_rare,
                    });
                }
                if step.count() != 0 {
                    len = step.first_bits();
                    if len as usize > left {
                        return Err(HpackError::HuffmanPadding);
                    }
                    symbols.push(step, 1);
                } else {
                    // There may not be all of a long code.
                    if bits < LENGTH_MAX as u32 {
                        break;
                    }
                    if rare_len(window) as usize > left {
                        return Err(HpackError::HuffmanPadding);
                    }
                    len = symbols.push_rare(window)?;
                    window <<= len;
                    bits -= len;
                    left -= len as usize;
                    break;
                }
            } else {
                symbols.push(step, step.count());
            }
            window <<= len;
            bits -= len;
            left -= len as usize;
        }
    }
}

/// The first eight bytes, and how many there are; ones follow fewer.
#[inline(always)]
fn next_word(bytes: &[u8]) -> (u64, usize) {
    if let Some(word) = bytes.first_chunk() {
        return (u64::from_be_bytes(*word), 8);
    }
    let mut word = u64::MAX;
    // The last byte moves in first, behind it only ones.
    for &byte in bytes.iter().rev() {
        word = word >> 8 | u64::from(byte) << 56;
    }
    (word, bytes.len())
}

/// How many bytes [`encode`] writes for `text`.
#[inline]
pub(super) fn encoded_len(text: &[u8]) -> usize {
    let bits: usize = text
        .iter()
        .map(|&byte| usize::from(LENGTHS[usize::from(byte)]))
        .sum();
    bits.div_ceil(8)
}

/// Appends `text` in the Huffman code.
pub(super) fn encode(out: &mut Vec<u8>, text: &[u8]) {
    // The bits not yet written are the low ones, less than 32 of them.
    let (mut window, mut bits) = (0_u64, 0_u32);
    for &byte in text {
        let len = u32::from(LENGTHS[usize::from(byte)]);
        window = window << len | u64::from(CODES[usize::from(byte)]);
        bits += len;
        if bits >= 32 {
            bits -= 32;
            out.extend_from_slice(&((window >> bits) as u32).to_be_bytes());
        }
    }
    let padded = window << (32 - bits) | ((1 << (32 - bits)) - 1);
    let last = (padded as u32).to_be_bytes();
    out.extend_from_slice(&last[..bits.div_ceil(8) as usize]);
}

/// Where symbols go.
struct Symbols<'a> {
    out: &'a mut [u8],
    end: usize,
    has_rare: bool,
}

impl Symbols<'_> {
    #[inline(always)]
    fn push_all(&mut self, text: u64, count: u32) {
        self.out[self.end..self.end + 8].copy_from_slice(&text.to_le_bytes());
        self.end += count as usize;
    }

    #[inline(always)]
    fn push(&mut self, step: Step, count: u32) {
        self.out[self.end..self.end + 2].copy_from_slice(&step.symbols().to_le_bytes());
        self.end += count as usize;
    }

    /// Takes one symbol of a long code. Returns the code's length.
    #[inline(never)]
    fn push_rare(&mut self, window: u64) -> Result<u32, HpackError> {
        let len = rare_len(window);
        let group = GROUPS[len as usize];
        let index = group.offset + ((window >> (64 - len)) as u32 - group.first);
        // The code behind the last symbol's is EOS.
        let symbol = SYMBOLS.get(index as usize).ok_or(HpackError::HuffmanEos)?;
        self.out[self.end] = *symbol;
        self.end += 1;
        self.has_rare = true;
        Ok(len)
    }
}

/// The length of the code, longer than a step, that `window` begins with.
fn rare_len(window: u64) -> u32 {
    let mut len = STEP_BITS as usize + 1;
    while len < LENGTH_MAX && window >> 32 >= GROUPS[len].end {
        len += 1;
    }
    len as u32
}

/// What twelve bits begin with. From the low end: two symbols, eight times how many of them there are,
/// the length of their codes. All are zero if the first code is longer.
#[derive(Clone, Copy)]
struct Step(u32);

impl Step {
    const fn new(symbols: u32, count: u32, bits: u32) -> Self {
        Self(symbols | (count * 8) << 16 | bits << 24)
    }

    #[inline(always)]
    fn symbols(self) -> u16 {
        self.0 as u16
    }

    #[inline(always)]
    fn symbol_bits(self) -> u32 {
        self.0 >> 16 & 0xFF
    }

    #[inline(always)]
    fn count(self) -> u32 {
        self.symbol_bits() / 8
    }

    #[inline(always)]
    fn bits(self) -> u32 {
        self.0 >> 24
    }

    /// The length of the first symbol's code.
    #[inline(always)]
    fn first_bits(self) -> u32 {
        LENGTHS[(self.0 & 0xFF) as usize].into()
    }
}

const STEP_BITS: u32 = 12;

const STEP_COUNT: usize = 1 << STEP_BITS;

static STEPS: [Step; STEP_COUNT] = {
    // First for one symbol each, as 256 times the length and the symbol.
    let mut singles = [0_u32; STEP_COUNT];
    let mut group = 0;
    let mut index = 0;
    let mut filled = 0;
    while index < 256 {
        let symbol = SYMBOLS[index];
        let length = LENGTHS[symbol as usize] as u32;
        if length > STEP_BITS {
            break;
        }
        let end = filled + (1 << (STEP_BITS - length));
        while filled < end {
            singles[filled] = length << 8 | symbol as u32;
            filled += 1;
        }
        index += 1;
        group = length;
    }
    assert!(group == STEP_BITS);
    let mut steps = [Step(0); STEP_COUNT];
    let mut bits = 0;
    while bits < filled {
        let (length, symbol) = (singles[bits] >> 8, singles[bits] & 0xFF);
        let second = singles[bits << length & (STEP_COUNT - 1)];
        let (second_length, second_symbol) = (second >> 8, second & 0xFF);
        steps[bits] = if second_length != 0 && length + second_length <= STEP_BITS {
            Step::new(second_symbol << 8 | symbol, 2, length + second_length)
        } else {
            Step::new(symbol, 1, length)
        };
        bits += 1;
    }
    steps
};

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, HpackError> {
        let mut out = vec![0; decoded_room(coded.len())];
        let end = decode(coded, &mut out, 0)?.end;
        out.truncate(end);
        Ok(out)
    }

    fn check_both(text: &[u8]) {
        let mut coded = Vec::new();
        encode(&mut coded, text);
        assert_eq!(coded.len(), encoded_len(text));
        assert_eq!(decoded(&coded).as_deref(), Ok(text));
    }

    #[test]
    fn each_symbol_between_others() {
        for symbol in 0..=u8::MAX {
            for len in 0..20 {
                let mut text = vec![b'a'; len];
                check_both(&text);
                text.push(symbol);
                check_both(&text);
                text.extend_from_slice(b"-_?");
                check_both(&text);
                text.push(symbol);
                text.push(symbol);
                check_both(&text);
                text.extend_from_slice(b"0123456789");
                check_both(&text);
            }
        }
    }

    #[test]
    fn rare_symbols_are_told() {
        let has_rare = |text: &[u8]| {
            let mut coded = Vec::new();
            encode(&mut coded, text);
            let mut out = vec![0; decoded_room(coded.len())];
            decode(&coded, &mut out, 0).unwrap().has_rare_symbols
        };
        for control in (0..0x20).chain([0x7F]) {
            assert!(has_rare(&[control]), "{control}");
            assert!(has_rare(
                &[b"0123456789abcdef", &[control][..], b"x"].concat()
            ));
        }
        assert!(!has_rare(
            b"/a/b?c=d&e=f%20#g,h;i:j Mozilla/5.0 (X11) \"*\""
        ));
    }

    #[test]
    fn eos_is_refused() {
        assert_eq!(decoded(&[0xFF; 4]), Err(HpackError::HuffmanEos));
        assert_eq!(decoded(&[0xFF; 20]), Err(HpackError::HuffmanEos));
        // An 'a' before it.
        assert_eq!(
            decoded(&[0x1F, 0xFF, 0xFF, 0xFF, 0xFF]),
            Err(HpackError::HuffmanEos)
        );
    }

    #[test]
    fn padding_of_more_than_seven_bits_is_refused() {
        // '0' is 00000, '&' is 11111000.
        assert_eq!(decoded(&[0x07]).as_deref(), Ok(&b"0"[..]));
        assert_eq!(decoded(&[0x07, 0xFF]), Err(HpackError::HuffmanPadding));
        assert_eq!(decoded(&[0xF8]).as_deref(), Ok(&b"&"[..]));
        assert_eq!(decoded(&[0xF8, 0xFF]), Err(HpackError::HuffmanPadding));
        assert_eq!(decoded(&[0xFF]), Err(HpackError::HuffmanPadding));
        assert_eq!(
            decoded(&[0xFF, 0xFF, 0xFF]),
            Err(HpackError::HuffmanPadding)
        );
        let mut coded = vec![0x00; 5];
        coded.extend_from_slice(&[0xFF; 3]);
        assert_eq!(decoded(&coded), Err(HpackError::HuffmanPadding));
    }

    #[test]
    fn padding_of_other_than_ones_is_refused() {
        for padding in 0..7 {
            assert_eq!(decoded(&[padding]), Err(HpackError::HuffmanPadding));
        }
        // The beginning of a long code.
        assert_eq!(decoded(&[0xFF, 0xFE]), Err(HpackError::HuffmanPadding));
    }

    // Seven ones are padding; they may not be hidden behind 57 to 64 bits either.
    #[test]
    fn padding_at_each_offset() {
        for zeros in 0..40 {
            let mut text = vec![b'0'; zeros];
            check_both(&text);
            text.push(b'&');
            check_both(&text);
            let mut coded = Vec::new();
            encode(&mut coded, &text);
            coded.push(0xFF);
            assert_eq!(decoded(&coded), Err(HpackError::HuffmanPadding), "{zeros}");
        }
    }
}
