//! The embedded backend: the driver in the application's own process.
//!
//! Workers, one for each processor, own listeners and connections; the control plane changes the
//! namespace and tells them by snapshots; request queues carry requests to handler threads (Classic)
//! or limit what is with the application at once (HighPerf). Rules are the engine's, bytes are
//! `proto`'s, system calls are `os`'s: here they meet.
#![forbid(unsafe_code)]

mod applications;
mod bandwidth;
mod cache;
mod clock;
mod connection;
mod content;
mod core;
mod counting;
mod embedded;
mod error_log;
mod file_reader;
mod http2;
mod inline;
mod lanes;
mod listeners;
mod listing;
mod log_file;
mod mailbox;
mod outgoing;
mod output;
mod pending;
mod pieces;
mod queue;
mod request_log;
mod settings;
mod task;
mod tls;
mod view;
mod worker;

pub use embedded::Embedded;
pub use settings::{EmbeddedSettings, ErrorLogSettings, Io};
pub use tidegate_httpapi::LogRollover;
pub use tls::{find_certificate, read_tls_binding, tls_provider};
