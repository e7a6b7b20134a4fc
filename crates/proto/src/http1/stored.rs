//! Heads of responses that are sent again and again: encoded once, but for the date.
//!
//! The outcome is that of [`encode_head`](super::encode_head), byte for byte.

use tidegate_httpapi::ResponseHead;

use super::response::{ResponseContext, encode_head};

/// A response's head in wire form, up to its `Date`.
#[derive(Clone, Debug)]
pub struct StoredHead {
    bytes: Box<[u8]>,
    closes: bool,
}

impl StoredHead {
    /// Encodes the head of a response whose content has this length. The context is that of a GET on a
    /// connection that stays open.
    pub fn new(head: &ResponseHead, length: u64, context: &ResponseContext<'_>) -> Self {
        let mut bytes = Vec::new();
        let closes = encode_head(&mut bytes, head, Some(length), context).close;
        let end_bytes = match closes {
            true => DATE_END.len() + CLOSE_LINE.len(),
            false => DATE_END.len(),
        };
        bytes.truncate(bytes.len() - end_bytes);
        Self {
            bytes: bytes.into(),
            closes,
        }
    }

    /// Appends it, with the date. It says that the connection closes if this, or the response, does.
    #[inline]
    pub fn append(&self, out: &mut Vec<u8>, date: &[u8; 29], closes: bool) {
        out.reserve(self.bytes.len() + DATE_END.len() + CLOSE_LINE.len());
        out.extend_from_slice(&self.bytes);
        let mut end = *DATE_END;
        end[DATE_NAME..DATE_NAME + date.len()].copy_from_slice(date);
        out.extend_from_slice(&end);
        if closes || self.closes {
            out.truncate(out.len() - 2);
            out.extend_from_slice(CLOSE_LINE);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Whether the connection closes after the response, whatever the peer wants.
    #[inline]
    pub fn closes(&self) -> bool {
        self.closes
    }

    /// How many bytes it has with the date, on a connection that stays open.
    pub fn wire_bytes(&self) -> usize {
        self.bytes.len() + DATE_END.len()
    }
}

const DATE_NAME: usize = "Date: ".len();
const DATE_END: &[u8; 39] = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";
const CLOSE_LINE: &[u8; 19] = b"Connection: close\r\n";

#[cfg(test)]
mod tests {
    use tidegate_httpapi::{ServerHeaderMode, Version};

    use super::*;

    const DATE: &[u8; 29] = b"Sun, 22 Nov 2026 20:31:56 GMT";

    #[test]
    fn a_stored_head_is_sent_as_any_other() {
        let fields = [
            &[][..],
            &[("Content-Type", "text/plain"), ("Age", "12345")],
            &[("Server", "own"), ("Date", "yesteryear")],
            &[("Connection", "close, X-Hop"), ("Content-Length", "7")],
            &[("Transfer-Encoding", "chunked"), ("Content-Length", "x")],
        ];
        let context = ResponseContext {
            version: Version::Http11,
            head_request: false,
            keep_alive: true,
            date: DATE,
            server_token: "Tidegate/1",
            server_mode: ServerHeaderMode::Full,
            from_driver: false,
        };
        for (status, close) in [
            (200, false),
            (200, true),
            (204, false),
            (304, true),
            (599, false),
        ] {
            for fields in fields {
                let mut head = ResponseHead::new(status);
                head.close = close;
                for (name, value) in fields {
                    head.fields.append(name, value).unwrap();
                }
                let stored = StoredHead::new(
                    &head,
                    7,
                    &ResponseContext {
                        date: &[b'x'; 29],
                        ..context
                    },
                );
                for keep_alive in [true, false] {
                    let (mut plain, mut out) = (Vec::new(), b"before".to_vec());
                    let context = ResponseContext {
                        keep_alive,
                        ..context
                    };
                    let encoded = encode_head(&mut plain, &head, Some(7), &context);
                    stored.append(&mut out, DATE, !keep_alive);
                    assert_eq!(out.strip_prefix(b"before").unwrap(), plain, "{head:?}");
                    assert_eq!(encoded.close, stored.closes() || !keep_alive);
                    if !encoded.close {
                        assert_eq!(stored.wire_bytes(), plain.len());
                    }
                }
            }
        }
    }
}
