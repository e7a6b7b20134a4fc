//! Against another's compressor and decompressor: what one writes the other reads, and what one refuses
//! the other refuses.

use miniz_oxide::deflate::CompressionLevel;
use miniz_oxide::deflate::core::{
    CompressionStrategy, CompressorOxide, create_comp_flags_from_zip_params,
};
use miniz_oxide::deflate::stream::deflate as deflate_stream;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use miniz_oxide::{MZFlush, MZStatus};
use tidegate_proto::websocket::InflateError;

use crate::support::{NO_LIMIT, Pair, Random, settings};

const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// A message's payload, by the other.
fn deflate(deflate: &mut CompressorOxide, message: &[u8]) -> Vec<u8> {
    let mut out = vec![0; message.len() + message.len() / 8 + 100];
    let result = deflate_stream(deflate, message, &mut out, MZFlush::Sync);
    assert_eq!(result.status, Ok(MZStatus::Ok));
    assert_eq!(result.bytes_consumed, message.len());
    out.truncate(result.bytes_written);
    let payload = out.strip_suffix(&TAIL).expect("flushed");
    payload.to_vec()
}

/// The other's decompressor, which has all that it made before at hand.
struct Other {
    state: DecompressorOxide,
    made: Vec<u8>,
    end: usize,
}

impl Other {
    fn new() -> Self {
        Self {
            state: DecompressorOxide::new(),
            made: Vec::new(),
            end: 0,
        }
    }

    /// Whether all was read, and how many bytes were made, at most `room`.
    fn read(&mut self, input: &[u8], room: usize) -> (TINFLStatus, bool, usize) {
        self.made.resize(self.end + room, 0);
        let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
            | inflate_flags::TINFL_FLAG_IGNORE_ADLER32
            | inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
        let (status, read, made) =
            decompress(&mut self.state, input, &mut self.made, self.end, flags);
        self.end += made;
        (status, read == input.len(), made)
    }

    /// What a message's payload says.
    fn inflate(&mut self, payload: &[u8], length: usize) -> Vec<u8> {
        let start = self.end;
        let (status, is_read, made) = self.read(&[payload, &TAIL].concat(), length + 1);
        assert_eq!((status, is_read), (TINFLStatus::NeedsMoreInput, true));
        self.made[start..start + made].to_vec()
    }
}

#[test]
fn ours_reads_what_the_other_writes() {
    let mut random = Random(21);
    let strategies = [
        CompressionStrategy::Default,
        CompressionStrategy::Filtered,
        CompressionStrategy::HuffmanOnly,
        CompressionStrategy::RLE,
        CompressionStrategy::Fixed,
    ];
    for level in [
        CompressionLevel::NoCompression,
        CompressionLevel::BestSpeed,
        CompressionLevel::DefaultLevel,
        CompressionLevel::BestCompression,
    ] {
        for strategy in strategies {
            let flags = create_comp_flags_from_zip_params(level as i32, -15, strategy as i32);
            let mut other = CompressorOxide::new(flags);
            let mut pair = Pair::of(&settings(15, true));
            for _ in 0..20 {
                let size = random.below(16);
                let length = 1 + random.below(1 << size);
                let message = random.message(length);
                let payload = deflate(&mut other, &message);
                let pieces = random.cut(&payload, 4);
                let found = pair.inflate_pieces(pieces, length).unwrap();
                assert!(found == message, "{level:?} {strategy:?} {length}");
            }
        }
    }
}

#[test]
fn the_other_reads_what_ours_writes() {
    let mut random = Random(22);
    for window_bits in 8..=15 {
        for takeover in [true, false] {
            let mut pair = Pair::of(&settings(window_bits, takeover));
            let mut other = Other::new();
            for _ in 0..40 {
                let size = random.below(16);
                let length = 1 + random.below(1 << size);
                let message = random.message(length);
                if let Some(payload) = pair.deflate(&message) {
                    if !takeover {
                        other = Other::new();
                    }
                    assert!(other.inflate(&payload, length) == message);
                }
            }
        }
    }
}

/// What the other makes of a message: `Some(None)` if it is refused, `None` if a block says that it is
/// the last, after which the other reads nothing.
fn judged(payload: &[u8]) -> Option<Option<Vec<u8>>> {
    let mut other = Other::new();
    match other.read(payload, 1 << 20).0 {
        TINFLStatus::Done => return None,
        TINFLStatus::NeedsMoreInput => {}
        _ => return Some(None),
    }
    // The tail makes nothing; and between blocks, only there, an empty last one can follow.
    match other.read(&TAIL, 1) {
        (TINFLStatus::Done, ..) => return None,
        (TINFLStatus::NeedsMoreInput, true, 0) => {}
        _ => return Some(None),
    }
    let end = other.read(&[1, 0, 0, 0xff, 0xff], 1);
    other.made.truncate(other.end);
    let is_whole = end == (TINFLStatus::Done, true, 0);
    Some(is_whole.then_some(other.made))
}

#[test]
fn both_judge_broken_messages_alike() {
    let mut random = Random(23);
    let mut pair = Pair::of(&settings(15, false));
    let (mut refused, mut taken) = (0, 0);
    for _ in 0..5000 {
        let length = 1 + random.below(400);
        let message = random.message(length);
        // Ours writes no codes of its own.
        let flags = create_comp_flags_from_zip_params(1 + random.below(9) as i32, -15, 0);
        let mut payload = match random.below(2) {
            0 => deflate(&mut CompressorOxide::new(flags), &message),
            _ => pair.deflate_pieces(&[&message]).concat(),
        };
        for _ in 0..1 + random.below(2) {
            let at = random.below(payload.len());
            payload[at] ^= 1 << random.below(8);
        }
        payload.truncate(1 + random.below(2 * payload.len()));
        let Some(judged) = judged(&payload) else {
            continue;
        };
        let pieces = random.cut(&payload, 3);
        match (pair.inflate_pieces(pieces, NO_LIMIT), judged) {
            (Ok(found), Some(other)) => {
                assert!(found == other);
                taken += 1;
            }
            (Err(InflateError::Malformed | InflateError::Truncated), None) => {
                pair = Pair::of(&settings(15, false));
                refused += 1;
            }
            (found, other) => panic!("{found:?}, but {other:?}: {payload:x?}"),
        }
    }
    assert!(refused > 500 && taken > 500, "{refused} {taken}");
}
