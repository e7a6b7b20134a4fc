//! Integers: in what is left of an octet, or there and in octets of seven bits. Source: RFC 7541 §5.1.

use super::error::HpackError;

/// Reads an integer whose prefix is the low `PREFIX` bits of `first`; the rest of it stands at the start
/// of `rest`.
#[inline(always)]
pub(super) fn decode<const PREFIX: u32>(first: u8, rest: &mut &[u8]) -> Result<u32, HpackError> {
    let full = const { u8::MAX >> (8 - PREFIX) };
    match first & full {
        value if value < full => Ok(value.into()),
        _ => decode_long(full, rest),
    }
}

#[inline(never)]
fn decode_long(full: u8, rest: &mut &[u8]) -> Result<u32, HpackError> {
    let mut value = u64::from(full);
    for shift in [0, 7, 14, 21, 28] {
        let (&octet, after) = rest.split_first().ok_or(HpackError::Truncated)?;
        *rest = after;
        value += u64::from(octet & 0x7F) << shift;
        if octet < 0x80 {
            return u32::try_from(value).map_err(|_| HpackError::IntegerOverflow);
        }
    }
    Err(HpackError::IntegerOverflow)
}

/// Appends an integer with a prefix of `PREFIX` bits; `flags` are the bits above it.
#[inline(always)]
pub(super) fn encode<const PREFIX: u32>(out: &mut Vec<u8>, flags: u8, value: usize) {
    let full = const { (1 << PREFIX) - 1 };
    if value < full {
        out.push(flags | value as u8);
    } else {
        encode_long(out, flags | full as u8, value - full);
    }
}

#[inline(never)]
fn encode_long(out: &mut Vec<u8>, first: u8, mut rest: usize) {
    out.push(first);
    while rest >= 0x80 {
        out.push(0x80 | (rest & 0x7F) as u8);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_both<const PREFIX: u32>(value: u32, bytes: &[u8]) {
        let mut encoded = Vec::new();
        encode::<PREFIX>(&mut encoded, 0, value as usize);
        assert_eq!(encoded, bytes);
        let mut rest = &bytes[1..];
        assert_eq!(decode::<PREFIX>(bytes[0], &mut rest), Ok(value));
        assert!(rest.is_empty());
    }

    // RFC 7541 C.1.
    #[test]
    fn examples_of_the_standard() {
        check_both::<5>(10, &[0x0A]);
        check_both::<5>(1337, &[0x1F, 0x9A, 0x0A]);
        check_both::<8>(42, &[0x2A]);
    }

    #[test]
    fn around_each_limit() {
        check_both::<4>(14, &[0x0E]);
        check_both::<4>(15, &[0x0F, 0]);
        check_both::<4>(15 + 127, &[0x0F, 0x7F]);
        check_both::<4>(15 + 128, &[0x0F, 0x80, 1]);
        check_both::<4>(u32::MAX, &[0x0F, 0xF0, 0xFF, 0xFF, 0xFF, 0x0F]);
    }

    #[test]
    fn too_large_or_too_long_is_refused() {
        let decode = |mut rest: &[u8]| decode::<4>(0x0F, &mut rest);
        assert_eq!(
            decode(&[0xF1, 0xFF, 0xFF, 0xFF, 0x0F]),
            Err(HpackError::IntegerOverflow)
        );
        assert_eq!(decode(&[0x80, 0x80, 0x80, 0x80, 0]), Ok(15));
        assert_eq!(
            decode(&[0x80, 0x80, 0x80, 0x80, 0x80, 0]),
            Err(HpackError::IntegerOverflow)
        );
        assert_eq!(decode(&[0x80, 0x80]), Err(HpackError::Truncated));
        assert_eq!(decode(&[]), Err(HpackError::Truncated));
    }
}
