//! One place that touches the API, and random messages.

use tidegate_proto::websocket::{
    DeflateAgreement, DeflateSettings, DeflateWorkspace, Deflated, Deflater, InflateError, Inflater,
};

pub(crate) const NO_LIMIT: usize = usize::MAX;

/// "Hello" as RFC 7692 §7.2.3.1 and §7.2.3.2 have it: alone, and after itself.
pub(crate) const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
pub(crate) const HELLO_AGAIN: &[u8] = &[0xf2, 0x00, 0x11, 0x00, 0x00];

/// Settings that compress everything, on both sides alike.
pub(crate) fn settings(window_bits: u8, takeover: bool) -> DeflateSettings {
    DeflateSettings {
        enabled: true,
        server_max_window_bits: window_bits,
        client_max_window_bits: window_bits,
        server_no_context_takeover: !takeover,
        client_no_context_takeover: !takeover,
        message_bytes_min: 0,
        ..DeflateSettings::default()
    }
}

fn agreement(settings: &DeflateSettings) -> DeflateAgreement {
    DeflateAgreement {
        server_max_window_bits: settings.server_max_window_bits,
        client_max_window_bits: settings.client_max_window_bits,
        server_no_context_takeover: settings.server_no_context_takeover,
        client_no_context_takeover: settings.client_no_context_takeover,
    }
}

pub(crate) fn deflater(settings: &DeflateSettings) -> Deflater {
    agreement(settings).server(settings).1
}

pub(crate) fn inflater(settings: &DeflateSettings) -> Inflater {
    agreement(settings).client(settings).0
}

/// Both ends of a connection: the server's compressor and the client's decompressor.
pub(crate) struct Pair {
    pub(crate) deflater: Deflater,
    pub(crate) inflater: Inflater,
    pub(crate) workspace: DeflateWorkspace,
}

impl Pair {
    pub(crate) fn of(settings: &DeflateSettings) -> Self {
        Self {
            deflater: deflater(settings),
            inflater: inflater(settings),
            workspace: DeflateWorkspace::new(),
        }
    }

    /// The payload, if the message is to be sent compressed.
    pub(crate) fn deflate(&mut self, message: &[u8]) -> Option<Vec<u8>> {
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

    /// The payloads of a message sent in these pieces.
    pub(crate) fn deflate_pieces(&mut self, pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let (last, parts) = pieces.split_last().expect("a last piece");
        let mut payloads = Vec::new();
        for part in parts {
            let mut out = Vec::new();
            self.deflater
                .deflate_part(part, &mut self.workspace, &mut out);
            payloads.push(out);
        }
        let mut out = Vec::new();
        self.deflater
            .deflate_last(last, &mut self.workspace, &mut out);
        payloads.push(out);
        payloads
    }

    pub(crate) fn inflate(&mut self, payload: &[u8]) -> Result<Vec<u8>, InflateError> {
        self.inflate_pieces([payload], NO_LIMIT)
    }

    /// Takes a message in these pieces, the last of which is known to be the last.
    pub(crate) fn inflate_pieces<'a>(
        &mut self,
        pieces: impl IntoIterator<Item = &'a [u8]>,
        limit: usize,
    ) -> Result<Vec<u8>, InflateError> {
        let mut out = Vec::new();
        let mut last: Option<&[u8]> = None;
        for piece in pieces {
            if let Some(part) = last.replace(piece) {
                self.inflater
                    .inflate_part(part, limit, &mut self.workspace, &mut out)?;
                assert!(out.len() <= limit);
            }
        }
        let last = last.unwrap_or_default();
        self.inflater
            .inflate_last(last, limit, &mut self.workspace, &mut out)?;
        assert!(out.len() <= limit);
        Ok(out)
    }

    /// Sends a message through. How long its payload is.
    #[track_caller]
    pub(crate) fn check(&mut self, message: &[u8]) -> usize {
        let Some(payload) = self.deflate(message) else {
            return message.len();
        };
        let found = self.inflate(&payload).expect("what ours has written");
        assert!(found == message, "{} bytes differ", message.len());
        payload.len()
    }
}

/// Seeded random numbers (xorshift64*).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound
    }

    /// Words, few symbols, noise, runs, or a mix of them.
    pub(crate) fn message(&mut self, length: usize) -> Vec<u8> {
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

    /// Bytes in which nothing repeats.
    pub(crate) fn noise(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| (self.next() >> 56) as u8).collect()
    }

    /// Cuts bytes into up to `count` pieces, some of them empty.
    pub(crate) fn cut<'a>(&mut self, bytes: &'a [u8], count: usize) -> Vec<&'a [u8]> {
        let mut cuts: Vec<usize> = (1..count).map(|_| self.below(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect()
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
