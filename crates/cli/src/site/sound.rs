//! `/tide.wav`: ten minutes of waves on a beach, of which any part may be asked for: long enough to be sought in,
//! and for a download to be broken off.
//!
//! Made as it is sent: a file of this length would be left behind by a program that is killed.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::LazyLock;

use tidegate::{Request, Response};

pub(super) fn tide(_: &Request<'_>, response: &mut Response) {
    response
        .content_type("audio/wav")
        .cache_control("no-cache")
        .etag("tide-1");
    if response.seekable(Sound { position: 0 }).is_err() {
        response.status(500).empty();
    }
}

/// The sound as a file would have it.
struct Sound {
    /// May lie beyond the end, as a file's may.
    position: u64,
}

impl Read for Sound {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = usize::try_from(self.position).unwrap_or(usize::MAX);
        let left = match at.checked_sub(HEAD.len()) {
            None => &HEAD[at..],
            Some(sample) if sample < SAMPLES => &WAVE[sample % WAVE.len()..],
            Some(_) => &[],
        };
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Sound {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let end = (HEAD.len() + SAMPLES) as u64;
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => end.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

static WAVE: LazyLock<Vec<u8>> = LazyLock::new(wave);

static HEAD: LazyLock<[u8; 44]> = LazyLock::new(|| head(SAMPLES as u32));

/// One wave that comes and goes: noise, duller and quieter towards its ends.
fn wave() -> Vec<u8> {
    let count = (SAMPLES_PER_SECOND * WAVE_SECONDS) as usize;
    let mut noise = 1_u32;
    let mut dull = 0_i32;
    let sample = |index: usize| {
        // Xorshift: noise that is the same each time.
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        // From 0 up to 256 in the middle, and back to 0.
        let swell = (256 - (512 * index / count).abs_diff(256)) as i32;
        // The closer to the middle, the less of the last sample is left.
        let white = (noise >> 24) as i32 - 128;
        dull += (white * 256 - dull) * (24 + swell / 2) / 256;
        (128 + dull / 256 * swell / 256).clamp(0, 255) as u8
    };
    (0..count).map(sample).collect()
}

/// What comes before the samples: one channel, a byte a sample. Source: Multimedia Programming Interface and
/// Data Specifications 1.0, "Waveform Audio File Format".
fn head(samples: u32) -> [u8; 44] {
    let mut head = [0; 44];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        head[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(b"RIFF");
    put(&(samples + 36).to_le_bytes());
    put(b"WAVEfmt ");
    put(&16_u32.to_le_bytes());
    // PCM, one channel.
    put(&1_u16.to_le_bytes());
    put(&1_u16.to_le_bytes());
    put(&SAMPLES_PER_SECOND.to_le_bytes());
    // Bytes a second, bytes a frame, bits a sample.
    put(&SAMPLES_PER_SECOND.to_le_bytes());
    put(&1_u16.to_le_bytes());
    put(&8_u16.to_le_bytes());
    put(b"data");
    put(&samples.to_le_bytes());
    head
}

const SAMPLES_PER_SECOND: u32 = 8000;
const WAVE_SECONDS: u32 = 12;
/// Ten minutes, 4.6 MiB.
const SAMPLES: usize = (SAMPLES_PER_SECOND * WAVE_SECONDS) as usize * 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_is_that_of_the_whole() {
        let mut sound = Sound { position: 0 };
        let mut whole = Vec::new();
        sound.read_to_end(&mut whole).unwrap();
        assert_eq!(whole.len(), 44 + 4_800_000);
        assert_eq!(whole[4..8], (whole.len() as u32 - 8).to_le_bytes());
        for at in [0, 1, 43, 44, 45, 96_043, 96_044, 3_000_000, 4_800_043] {
            let mut part = [0; 1];
            sound.seek(SeekFrom::Start(at as u64)).unwrap();
            sound.read_exact(&mut part).unwrap();
            assert_eq!(part[0], whole[at], "{at}");
        }
        assert_eq!(sound.seek(SeekFrom::End(5)).unwrap(), 4_800_049);
        assert_eq!(sound.read(&mut [0; 9]).unwrap(), 0);
        assert!(sound.seek(SeekFrom::Current(-4_800_050)).is_err());
    }

    #[test]
    fn a_wave_rises_and_falls() {
        let wave = wave();
        let loudness = |part: usize| {
            let samples = &wave[part * wave.len() / 8..][..1000];
            samples
                .iter()
                .map(|sample| sample.abs_diff(128) as u32)
                .sum::<u32>()
        };
        assert!(loudness(0) < loudness(2) && loudness(2) < loudness(4));
        assert!(loudness(4) > loudness(6) && loudness(6) > 0);
    }
}
