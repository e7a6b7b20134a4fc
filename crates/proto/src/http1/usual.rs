//! The usual response head, encoded in few pieces.
//!
//! Most answers are 200 with a known length on a connection that stays open, and set none of the fields
//! that are ours. What such a head ends with is the same for all answers of one second: it is put
//! together once and copied. The outcome is that of [`encode_head`](super::encode_head), byte for byte.

use tidegate_httpapi::{FieldBlock, KnownField, ResponseHead, ServerHeaderMode};

use super::response::{ResponseContext, encode_head};

/// The end of all usual heads, as it is in one second: `Server`, `Date`, and the empty line.
#[derive(Clone, Debug)]
pub struct UsualEnd(Vec<u8>);

impl UsualEnd {
    /// Puts it together, for the date given. See [`ResponseContext`] for the arguments.
    pub fn new(server_token: &str, server_mode: ServerHeaderMode, date: &[u8; 29]) -> Self {
        let context = ResponseContext {
            version: tidegate_httpapi::Version::Http11,
            head_request: false,
            keep_alive: true,
            date,
            server_token,
            server_mode,
            from_driver: false,
        };
        let mut whole = Vec::new();
        encode_head(&mut whole, &ResponseHead::new(200), Some(0), &context);
        let length_line = STATUS_LINE.len() + LENGTH_NAME.len() + 1;
        Self(whole.split_off(length_line))
    }

    /// Changes the date, and nothing else.
    pub fn set_date(&mut self, date: &[u8; 29]) {
        // `Date` is the last field.
        let end = self.0.len() - b"\r\n\r\n".len();
        self.0[end - date.len()..end].copy_from_slice(date);
    }

    /// Appends a usual head. Says whether it was one; nothing is written if not.
    ///
    /// The caller knows that the request was not `HEAD` nor HTTP/1.0, and that the connection stays
    /// open.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>, head: &ResponseHead, length: u64) -> bool {
        if head.reason.is_some() || head.close || has_ours(&head.fields) {
            return false;
        }
        // Each by itself: bytes whose number is known are copied without a call.
        match head.status {
            200 => out.extend_from_slice(STATUS_LINE),
            206 => out.extend_from_slice(PARTIAL_STATUS_LINE),
            _ => return false,
        }
        out.extend_from_slice(head.fields.as_bytes());
        out.extend_from_slice(LENGTH_NAME);
        append_decimal(out, length);
        out.extend_from_slice(&self.0);
        true
    }
}

#[inline]
fn has_ours(fields: &FieldBlock) -> bool {
    fields.contains_any([
        KnownField::Date,
        KnownField::Server,
        KnownField::Connection,
        KnownField::TransferEncoding,
        KnownField::ContentLength,
    ])
}

#[inline]
fn append_decimal(out: &mut Vec<u8>, number: u64) {
    let digit = |divisor: u64| b'0' + (number / divisor % 10) as u8;
    match number {
        0..10 => out.push(digit(1)),
        10..100 => out.extend_from_slice(&[digit(10), digit(1)]),
        100..1000 => out.extend_from_slice(&[digit(100), digit(10), digit(1)]),
        1000..10_000 => {
            out.extend_from_slice(&[digit(1000), digit(100), digit(10), digit(1)]);
        }
        _ => append_long_decimal(out, number),
    }
}

#[inline(never)]
fn append_long_decimal(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = number;
    while rest > 0 {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits[start..]);
}

const STATUS_LINE: &[u8; 17] = b"HTTP/1.1 200 OK\r\n";
const PARTIAL_STATUS_LINE: &[u8; 30] = b"HTTP/1.1 206 Partial Content\r\n";
const LENGTH_NAME: &[u8; 16] = b"Content-Length: ";

#[cfg(test)]
mod tests {
    use tidegate_httpapi::Version;

    use super::*;

    const DATE: &[u8; 29] = b"Sun, 22 Nov 2026 20:31:56 GMT";

    fn encode_both(
        head: &ResponseHead,
        length: u64,
        mode: ServerHeaderMode,
    ) -> (bool, Vec<u8>, Vec<u8>) {
        let context = ResponseContext {
            version: Version::Http11,
            head_request: false,
            keep_alive: true,
            date: DATE,
            server_token: "Tidegate/1",
            server_mode: mode,
            from_driver: false,
        };
        let (mut usual, mut plain) = (Vec::new(), Vec::new());
        let mut end = UsualEnd::new("Tidegate/1", mode, &[b'x'; 29]);
        end.set_date(DATE);
        let is_usual = end.encode(&mut usual, head, length);
        encode_head(&mut plain, head, Some(length), &context);
        (is_usual, usual, plain)
    }

    #[test]
    fn a_usual_head_is_encoded_as_any_other() {
        for mode in [ServerHeaderMode::Full, ServerHeaderMode::Never] {
            for length in [
                0,
                9,
                10,
                99,
                100,
                999,
                1000,
                9999,
                10_000,
                123_456,
                u64::MAX >> 1,
            ] {
                for status in [200, 206] {
                    let mut head = ResponseHead::new(status);
                    head.fields.append("Content-Type", "text/plain").unwrap();
                    head.fields.append("X-Y", "z").unwrap();
                    let (is_usual, usual, plain) = encode_both(&head, length, mode);
                    assert!(is_usual);
                    assert_eq!(usual, plain, "{status}, {length}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_usual_is_left_alone() {
        let mut unusual = vec![ResponseHead::new(404), ResponseHead::new(204)];
        for name in [
            "Date",
            "server",
            "Connection",
            "Transfer-Encoding",
            "Content-Length",
        ] {
            let mut head = ResponseHead::new(200);
            head.fields.append(name, "1").unwrap();
            unusual.push(head);
        }
        let mut closing = ResponseHead::new(200);
        closing.close = true;
        unusual.push(closing);
        let mut named = ResponseHead::new(200);
        named.reason = Some("Fine".into());
        unusual.push(named);
        for head in unusual {
            let (is_usual, usual, _) = encode_both(&head, 1, ServerHeaderMode::Full);
            assert!(!is_usual && usual.is_empty(), "{head:?}");
        }
    }
}
