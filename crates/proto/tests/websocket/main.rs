//! What a peer sends on a WebSocket, rule by rule and in every split.

mod decoding;
mod handshakes;
mod splits;
mod support;
