//! permessage-deflate: messages come back as they were, within limits, in any split. RFC 7692 §7.2.

use tidegate_proto::websocket::{
    DeflateAgreement, DeflateSettings, DeflateWorkspace, Deflated, Deflater, InflateError, Inflater,
};

const NO_LIMIT: usize = usize::MAX;

/// Both ends of a connection, the server's compressor and the client's decompressor.
struct Pair {
    deflater: Deflater,
    inflater: Inflater,
    workspace: DeflateWorkspace,
}

impl Pair {
    fn of(settings: &DeflateSettings) -> Self {
        let agreement = DeflateAgreement {
            server_max_window_bits: settings.server_max_window_bits,
            client_max_window_bits: settings.client_max_window_bits,
            server_no_context_takeover: settings.server_no_context_takeover,
            client_no_context_takeover: settings.client_no_context_takeover,
        };
        Self {
            deflater: agreement.server(settings).1,
            inflater: agreement.client(settings).0,
            workspace: DeflateWorkspace::new(),
        }
    }

    fn deflate(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let mut out = b"before".to_vec();
        let deflated = self
            .deflater
            .deflate(message, &mut self.workspace, &mut out);
        let payload = out.split_off(6);
        assert_eq!(out, b"before");
        match deflated {
            Deflated::Compressed => Some(payload),
            Deflated::Uncompressed => {
                assert!(payload.is_empty());
                None
            }
        }
    }

    fn inflate(&mut self, payload: &[u8]) -> Result<Vec<u8>, InflateError> {
        inflate(&mut self.inflater, &mut self.workspace, [payload], NO_LIMIT)
    }

    /// Sends a message through; the size of its payload if it was compressed.
    fn check(&mut self, message: &[u8]) -> Option<usize> {
        let payload = self.deflate(message)?;
        assert!(self.inflate(&payload).as_deref() == Ok(message));
        Some(payload.len())
    }
}

fn inflate<'a>(
    inflater: &mut Inflater,
    workspace: &mut DeflateWorkspace,
    parts: impl IntoIterator<Item = &'a [u8]>,
    limit: usize,
) -> Result<Vec<u8>, InflateError> {
    let mut out = Vec::new();
    for part in parts {
        inflater.inflate_part(part, limit, workspace, &mut out)?;
    }
    inflater.inflate_last(&[], limit, workspace, &mut out)?;
    Ok(out)
}

fn inflater(takeover: bool) -> Inflater {
    let settings = DeflateSettings {
        client_no_context_takeover: !takeover,
        ..all()
    };
    let agreement = DeflateAgreement {
        server_max_window_bits: 15,
        client_max_window_bits: 15,
        server_no_context_takeover: false,
        client_no_context_takeover: !takeover,
    };
    agreement.server(&settings).0
}

/// Settings that compress everything.
fn all() -> DeflateSettings {
    DeflateSettings {
        message_bytes_min: 0,
        ..DeflateSettings::default()
    }
}

/// Small, seeded random numbers (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound
    }

    /// Text, few symbols, noise, runs, or a mix of them.
    fn message(&mut self, length: usize) -> Vec<u8> {
        let kind = self.below(5);
        let mut message = Vec::new();
        while message.len() < length {
            match if kind == 4 { self.below(4) } else { kind } {
                0 => message.extend_from_slice(WORDS[self.below(WORDS.len())].as_bytes()),
                1 => message.push(b"abc"[self.below(3)]),
                2 => message.extend_from_slice(&self.next().to_le_bytes()),
                _ => {
                    let byte = self.next() as u8;
                    message.extend(std::iter::repeat_n(byte, self.below(600)));
                }
            }
        }
        message.truncate(length);
        message
    }
}

const WORDS: [&str; 8] = [
    "{\"symbol\":\"",
    "price\":",
    "tide",
    "gate",
    "1024,",
    "\"},",
    " volume ",
    "é\u{1f30a}",
];

// RFC 7692 §7.2.3.1.
#[test]
fn hello_is_as_in_the_standard() {
    let mut pair = Pair::of(&all());
    let payload = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(pair.deflate(b"Hello").as_deref(), Some(&payload[..]));
    assert_eq!(pair.inflate(&payload).unwrap(), b"Hello");
}

// RFC 7692 §7.2.3.2 to §7.2.3.5.
#[test]
fn examples_of_the_standard_are_read() {
    let hello: [&[u8]; 5] = [
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        // Refers to the message before it.
        &[0xf2, 0x00, 0x11, 0x00, 0x00],
        // A block without compression.
        &[
            0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
        ],
        // A block that says it is the last one.
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        // Two blocks.
        &[
            0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
        ],
    ];
    let mut pair = Pair::of(&all());
    for payload in hello {
        assert_eq!(pair.inflate(payload).unwrap(), b"Hello", "{payload:x?}");
    }
    // §7.2.3.6: an empty message.
    assert_eq!(pair.inflate(&[0x00]).unwrap(), b"");
    // What came before a last block can still be referred to.
    assert_eq!(
        pair.inflate(&[0xf2, 0x00, 0x11, 0x00, 0x00]).unwrap(),
        b"Hello"
    );
}

#[test]
fn without_context_takeover_nothing_before_can_be_referred_to() {
    let mut workspace = DeflateWorkspace::new();
    let mut inflater = inflater(false);
    let first: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let second: &[u8] = &[0xf2, 0x00, 0x11, 0x00, 0x00];
    assert!(super_inflate(&mut inflater, &mut workspace, first).is_ok());
    assert_eq!(
        super_inflate(&mut inflater, &mut workspace, second),
        Err(InflateError::Malformed)
    );
}

fn super_inflate(
    inflater: &mut Inflater,
    workspace: &mut DeflateWorkspace,
    payload: &[u8],
) -> Result<Vec<u8>, InflateError> {
    inflate(inflater, workspace, [payload], NO_LIMIT)
}

#[test]
fn messages_come_back_with_all_settings() {
    let mut random = Random(1);
    for window_bits in 8..=15 {
        for mem_level in 1..=9 {
            for takeover in [true, false] {
                let mut pair = Pair::of(&DeflateSettings {
                    server_max_window_bits: window_bits,
                    server_no_context_takeover: !takeover,
                    mem_level,
                    ..all()
                });
                for _ in 0..12 {
                    let length = 1 << random.below(15);
                    let length = length + random.below(length);
                    pair.check(&random.message(length));
                }
            }
        }
    }
}

#[test]
fn large_messages_come_back() {
    let mut random = Random(2);
    for window_bits in [8, 12, 15] {
        let mut pair = Pair::of(&DeflateSettings {
            server_max_window_bits: window_bits,
            ..all()
        });
        for length in [32_767, 65_535, 65_536, 300_000, 1_000_000] {
            pair.check(&random.message(length));
        }
    }
}
