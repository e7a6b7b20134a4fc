//! TLS: which certificate answers a connection, and the bytes of its handshake and records.
//!
//! `rustls` does all of TLS; it is given bytes and gives bytes back. Here is what it leaves to a server:
//! where certificates come from and when they are read again (`store`), which of them a connection gets
//! (`bindings`), and how its bytes meet a connection's receive buffer and output (`session`). No sockets,
//! and nothing process-wide: the cryptography (`provider`) is named wherever it is used.
//! Source: http-server-api §10; RFC 8446, RFC 5246.

mod bindings;
mod bound;
mod certificate;
mod distinguished_name;
mod error;
mod expiry;
mod files;
mod handshake;
mod load;
mod pem;
mod provider;
mod records;
mod session;
mod store;

pub(crate) use bindings::Bindings;
pub use load::{find_certificate, read_tls_binding};
pub use provider::provider as tls_provider;
pub(crate) use session::{Session, Step, StepEvent};
pub(crate) use store::Store;

#[cfg(test)]
mod tests;
