//! The field blocks of a load's request (HPACK, RFC 7541).
//!
//! As clients do, the first request of a connection puts its fields into the dynamic table, and those
//! that follow name them by their index. What is in the static table whole is named from there.
//! Strings are sent as they are, without Huffman's code: only the first request has any.

use crate::options::Options;
use crate::request;

/// The blocks of a request that a connection repeats.
pub(super) struct Blocks {
    /// Of the first request on a connection.
    pub(super) first: Vec<u8>,
    /// Of all others.
    pub(super) repeated: Vec<u8>,
    /// What the fields need in the dynamic table.
    pub(super) table_bytes: u32,
}

impl Blocks {
    pub(super) fn new(options: &Options) -> Self {
        let mut fields = vec![(":path".to_owned(), options.path.clone())];
        fields.push((":authority".to_owned(), request::authority(options)));
        if options.browser {
            fields.extend(
                request::BROWSER_FIELDS
                    .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())),
            );
        }
        if let Some(bytes) = options.body_bytes {
            fields.push((
                "content-type".to_owned(),
                "application/octet-stream".to_owned(),
            ));
            fields.push(("content-length".to_owned(), bytes.to_string()));
        }
        let method = if options.body_bytes.is_some() {
            METHOD_POST
        } else {
            METHOD_GET
        };
        let scheme = if options.tls {
            SCHEME_HTTPS
        } else {
            SCHEME_HTTP
        };
        let mut first = vec![INDEXED | method, INDEXED | scheme];
        let mut repeated = first.clone();
        let mut table_bytes = 0;
        for (place, (name, value)) in fields.iter().enumerate() {
            match STATIC_NAMES.iter().find(|(_, known)| known == name) {
                Some((index, _)) => push_number(&mut first, INSERTED, 6, *index),
                None => {
                    first.push(INSERTED);
                    push_string(&mut first, name);
                }
            }
            push_string(&mut first, value);
            // The last that was put in has the lowest index.
            let index = DYNAMIC_FIRST + fields.len() - 1 - place;
            push_number(&mut repeated, INDEXED, 7, index);
            table_bytes += name.len() + value.len() + ENTRY_OVERHEAD;
        }
        Self {
            first,
            repeated,
            table_bytes: table_bytes as u32,
        }
    }
}

/// Whether a response's block begins with `:status` 200, which every server has from the static table.
pub(super) fn is_ok(block: &[u8]) -> bool {
    let mut rest = block;
    // Changes of the dynamic table's size may come first (§6.3).
    while let Some((first, after)) = rest.split_first() {
        if first & 0xE0 != 0x20 {
            return *first == INDEXED | STATUS_200;
        }
        rest = after;
        if first & 0x1F == 0x1F {
            let more = rest.iter().take_while(|byte| *byte & 0x80 != 0).count();
            rest = rest.get(more + 1..).unwrap_or_default();
        }
    }
    false
}

/// §5.1.
fn push_number(out: &mut Vec<u8>, pattern: u8, prefix_bits: u32, number: usize) {
    let limit = (1 << prefix_bits) - 1;
    if number < limit {
        out.push(pattern | number as u8);
        return;
    }
    out.push(pattern | limit as u8);
    let mut rest = number - limit;
    while rest >= 0x80 {
        out.push(0x80 | (rest & 0x7F) as u8);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn push_string(out: &mut Vec<u8>, text: &str) {
    push_number(out, 0, 7, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// §6.1: a field of one of the tables.
const INDEXED: u8 = 0x80;
/// §6.2.1: a field that is put into the dynamic table.
const INSERTED: u8 = 0x40;
const METHOD_GET: u8 = 2;
const METHOD_POST: u8 = 3;
const SCHEME_HTTP: u8 = 6;
const SCHEME_HTTPS: u8 = 7;
const STATUS_200: u8 = 8;
const DYNAMIC_FIRST: usize = 62;
/// §4.1.
const ENTRY_OVERHEAD: usize = 32;

/// Names of the static table (appendix A) that requests here have.
const STATIC_NAMES: [(usize, &str); 10] = [
    (1, ":authority"),
    (4, ":path"),
    (16, "accept-encoding"),
    (17, "accept-language"),
    (19, "accept"),
    (24, "cache-control"),
    (28, "content-length"),
    (31, "content-type"),
    (32, "cookie"),
    (51, "referer"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_block_inserts_and_the_others_point() {
        let blocks = Blocks::new(&Options {
            port: 81,
            ..Options::default()
        });
        assert_eq!(blocks.first, b"\x82\x86\x44\x06/hello\x41\x0c127.0.0.1:81");
        assert_eq!(blocks.repeated, b"\x82\x86\xbf\xbe");
        assert_eq!(blocks.table_bytes, 5 + 6 + 32 + 10 + 12 + 32);
    }

    #[test]
    fn names_without_an_index_are_spelled_out() {
        let blocks = Blocks::new(&Options {
            browser: true,
            ..Options::default()
        });
        let text = String::from_utf8_lossy(&blocks.first).into_owned();
        assert!(
            text.contains("\u{e}sec-fetch-dest\u{8}document"),
            "{text:?}"
        );
        assert!(!text.contains("accept-encoding"));
        assert_eq!(blocks.repeated.len(), 2 + 11);
        assert!(blocks.table_bytes < 4096);
    }

    // RFC 7541, C.1: 10 and 1337 with a prefix of 5 bits.
    #[test]
    fn numbers_are_those_of_the_examples() {
        let mut out = Vec::new();
        push_number(&mut out, 0, 5, 10);
        push_number(&mut out, 0, 5, 1337);
        assert_eq!(out, [0x0a, 0x1f, 0x9a, 0x0a]);
    }

    #[test]
    fn status_is_found_behind_changes_of_size() {
        assert!(is_ok(&[0x88, 0x61]));
        assert!(is_ok(&[0x20, 0x3f, 0xe1, 0x1f, 0x88]));
        assert!(!is_ok(&[0x8d]));
        assert!(!is_ok(&[0x3f]));
        assert!(!is_ok(&[]));
    }
}
