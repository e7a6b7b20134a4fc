//! What a peer sends on a WebSocket, rule by rule and in every split.

mod clients;
mod decoding;
mod handshakes;
mod inflating;
mod splits;
mod support;
