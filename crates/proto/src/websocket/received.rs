//! What decoding depends on, and what comes of it.

use std::sync::Arc;

use super::budget::Budget;
use super::close::CloseFrame;
use super::deflate::DeflateWorkspace;
use super::frame::Opcode;

/// How the frames of a fragmented message are delivered. A message in one frame comes whole always.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum FragmentedMessages {
    /// The whole message, once it has ended.
    #[default]
    Whole,
    /// Each frame as it ends; the message is never in memory as a whole.
    Fragments,
    /// Each frame as it ends, then the whole message.
    Both,
}

/// What decoding depends on besides the bytes; may be made anew for each piece.
pub struct DecodeContext<'a> {
    /// Longest message in bytes, declared or received, as sent or inflated; 0: no limit.
    ///
    /// A longer one is refused with 1009 as soon as that is known. Default 64 MiB.
    pub max_message_size: u64,
    /// Whether text that is not UTF-8 is refused with 1007, as the standard demands. Otherwise U+FFFD
    /// stands for what is wrong, and fragments are delivered unchecked. Default true.
    pub validate_utf8: bool,
    /// How fragmented messages are delivered; taken when a message begins. Default whole.
    pub fragments: FragmentedMessages,
    /// What memory for messages is taken from; `None`: no bound.
    pub budget: Option<&'a Arc<dyn Budget>>,
    /// The thread's memory for decompressing. Without, a decoder refuses compressed messages.
    pub deflate: Option<&'a mut DeflateWorkspace>,
}

impl Default for DecodeContext<'_> {
    fn default() -> Self {
        Self {
            max_message_size: 64 << 20,
            validate_utf8: true,
            fragments: FragmentedMessages::Whole,
            budget: None,
            deflate: None,
        }
    }
}

/// What has been received.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Received<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// A frame of a fragmented message. See [`FragmentedMessages`].
    Fragment {
        /// The message's opcode for its first frame, then [`Opcode::Continuation`].
        opcode: Opcode,
        /// The frame's payload. Text may be cut within a character.
        payload: &'a [u8],
        /// Whether the message ends with it.
        fin: bool,
    },
    /// A ping, to be answered with a pong of the same payload.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// The peer closes; whatever it sends after this is ignored.
    Close(CloseFrame<'a>),
}
