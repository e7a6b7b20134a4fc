//! WebSocket: the opening handshake of both sides, frames, messages, close codes.
//!
//! [`Decoder`] makes messages of a peer's bytes, [`encode_frame`] and [`FrameHead`] make frames. Every
//! broken rule is a [`Violation`], which knows its close code. Not here: when to send what, timers, the
//! randomness of masking keys. Source: RFC 6455, RFC 8441.

mod budget;
mod client;
mod close;
mod decoder;
mod deflate;
mod extension;
mod frame;
mod handshake;
mod handshake_error;
mod mask;
mod message;
mod origin;
mod received;
mod utf8;
mod violation;

pub use budget::Budget;
pub use client::{Accepted, ClientHandshake, UpgradeError, UpgradeRequestError};
pub use close::{CloseFrame, close_code, may_be_sent};
pub use decoder::Decoder;
pub use deflate::{
    DeflateAgreement, DeflateParameterError, DeflateResponseError, DeflateSettingError,
    DeflateSettings, DeflateWorkspace, Deflated, Deflater, InflateError, Inflater,
};
pub use extension::{Extension, ExtensionList, MalformedExtensions};
pub use frame::{FrameHead, HEAD_BYTES_MAX, Opcode, Role, encode_frame};
pub use handshake::{Handshake, HandshakeRules, accept_key, is_extended_connect, is_upgrade};
pub use handshake_error::HandshakeError;
pub use mask::apply_mask;
pub use origin::{OriginError, OriginList};
pub use received::{DecodeContext, FragmentedMessages, Received};
pub use violation::Violation;
