//! A client of `rustls` against a session, by bytes; and a store with files.

mod bindings;
mod client_certificates;
mod cost;
mod handshake;
mod peer;
mod reload;
mod session;
mod store;
