//! Which cryptography TLS runs on: aws-lc-rs on Linux, ring elsewhere and by the feature `ring`.
//!
//! Measured by `tests/cost.rs` (one thread, in memory, P-256, AES-256-GCM, an AMD EPYC with VAES but without
//! AVX-512; the server's share, aws-lc-rs against ring): full handshake of TLS 1.3 140 against 156 µs, of
//! TLS 1.2 96 against 133; resumed 128 against 142 and 31 against 35. Receiving and sending 1 KiB 0.54 and
//! 0.62 against 0.37 and 0.45 µs, 16 KiB 4.4 and 5.1 against 2.5 and 3.2. So a connection is cheaper with
//! aws-lc-rs up to some 50 exchanges or 70 KiB each way. Handshakes are what peers can ask for before
//! anything limits them.

use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
#[cfg(all(target_os = "linux", not(feature = "ring")))]
use rustls::crypto::aws_lc_rs as library;
#[cfg(not(all(target_os = "linux", not(feature = "ring"))))]
use rustls::crypto::ring as library;
use rustls::server::ProducesTickets;

/// The cryptography of this build. Never installed as the process' default: an application may have its
/// own.
///
/// Clients that are part of the same program can run on it as well.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(library::default_provider())))
}

/// Keys for session tickets that are renewed by themselves: each issues tickets for six hours and is
/// accepted for six more.
///
/// # Errors
///
/// The system gives no random numbers.
pub(crate) fn ticketer() -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    library::Ticketer::new()
}
