//! Both directions, together and against an implementation of somebody else.

mod appendix_c;
mod both_ways;
mod limits;
mod refused;

use super::*;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn fields_of(list: &HeaderList) -> Fields {
    list.iter()
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect()
}

fn fields<N: AsRef<[u8]>, V: AsRef<[u8]>>(of: &[(N, V)]) -> Fields {
    of.iter()
        .map(|(name, value)| (name.as_ref().to_vec(), value.as_ref().to_vec()))
        .collect()
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Fields, HpackError> {
    let mut list = HeaderList::default();
    decoder.decode(block, &mut list)?;
    assert!(!list.is_too_large());
    Ok(fields_of(&list))
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}
