//! What this side wants of permessage-deflate: windows, context takeover, memory, smallest message.
//!
//! Source: RFC 7692 §7.1 for the parameters; the memory level is zlib's notion.

use std::fmt;

/// How permessage-deflate is offered, accepted and used.
///
/// Names are the protocol's: `server_` and `client_` say whose compressor is meant, whichever side
/// these settings are for.
///
/// With the defaults a connection of a server holds, from its first message in each direction on, a
/// compressor of 260 KiB and a window of at most 32 KiB; without context takeover, nothing of either.
/// Each thread then keeps a few compressors and decompressors for all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeflateSettings {
    /// Whether the extension is offered or accepted at all. Default false.
    pub enabled: bool,
    /// Largest window of the server's compressor, as a power of two. Default 15, range 8 to 15.
    ///
    /// A smaller one compresses less and takes less memory, on both sides: 260 KiB at 15, 148 KiB at
    /// 12, 134 KiB at 9 for the server. At 8, which zlib's compressor does not have, it takes as much
    /// as at 9 and finds nothing but runs of one byte.
    pub server_max_window_bits: u8,
    /// Largest window of the client's compressor, as a power of two. Default 15, range 8 to 15.
    ///
    /// A server with less than 15 declines clients that do not let it choose, because it would have
    /// to keep 32 KiB for each.
    pub client_max_window_bits: u8,
    /// Whether the server's compressor forgets each message. Default false.
    ///
    /// Saves the server's memory for each connection, see [`Deflater`](super::Deflater); small
    /// messages that resemble each other then hardly compress.
    pub server_no_context_takeover: bool,
    /// Whether the client's compressor forgets each message. Default false.
    ///
    /// Saves the server the window of each connection, see [`Inflater`](super::Inflater).
    pub client_no_context_takeover: bool,
    /// Memory for writing blocks. Default 1, range 1 to 9.
    ///
    /// zlib's notion: how much of a message it looks at before it decides how to write it. Level 1 takes
    /// under 1 KiB for each compressor, level 8 takes 112 KiB, level 9 twice that. At the speed that is
    /// used here, higher levels gain nothing worth naming.
    pub mem_level: u8,
    /// Shortest message that is compressed, in bytes; shorter ones are sent as they are. Default 16:
    /// shorter ones hardly ever get smaller.
    ///
    /// Does not apply to messages that are sent piece by piece.
    pub message_bytes_min: usize,
}

impl Default for DeflateSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            mem_level: 1,
            message_bytes_min: 16,
        }
    }
}

impl DeflateSettings {
    /// Whether all numbers are in their ranges.
    ///
    /// # Errors
    ///
    /// The first number that is not, with its range. The caller's fault.
    pub fn check(&self) -> Result<(), DeflateSettingError> {
        let check = |name, value, least: u8, most: u8| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(DeflateSettingError {
                name,
                value,
                least,
                most,
            })
        };
        check("server_max_window_bits", self.server_max_window_bits, 8, 15)?;
        check("client_max_window_bits", self.client_max_window_bits, 8, 15)?;
        check("mem_level", self.mem_level, 1, 9)
    }
}

/// A number of [`DeflateSettings`] that is not in its range.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeflateSettingError {
    name: &'static str,
    value: u8,
    least: u8,
    most: u8,
}

impl DeflateSettingError {
    /// Name of the setting.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Display for DeflateSettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is {}, not in {} to {}",
            self.name, self.value, self.least, self.most
        )
    }
}

impl std::error::Error for DeflateSettingError {}
