//! The embedded backend: the driver in the application's own process.
#![forbid(unsafe_code)]

mod settings;

pub use settings::{EmbeddedSettings, ErrorLogSettings, Io, LogRollover};
