//! Makes the backend that a server runs on when it is given no other: the embedded driver.
//!
//! The only place that names the driver.

use std::sync::Arc;

use tidegate_driver as driver;
use tidegate_httpapi::{ApiError, Backend};

use crate::settings::{Io, LogRollover, Settings};

/// Starts the embedded driver with these settings.
pub(crate) fn start(settings: &Settings) -> Result<Arc<dyn Backend>, ApiError> {
    let mut embedded = driver::EmbeddedSettings::default();
    embedded.io = match settings.io {
        Io::Auto => driver::Io::Auto,
        Io::Uring => driver::Io::Uring,
        Io::Poll => driver::Io::Poll,
    };
    embedded.io_threads = settings.io_threads;
    embedded.request_limits = settings.request_limits.clone();
    embedded.limits.connections_max =
        (settings.max_connections != 0).then_some(settings.max_connections);
    embedded.limits.read_buffer_bytes = settings.read_buffer_size;
    // The driver is this server's alone: without these, a peer that never ends its first head would
    // be held to the driver's default times.
    embedded.timeouts = settings.timeouts.inherited().resolve(&embedded.timeouts);
    embedded.server_header = settings.server_header;
    if let Some(software) = &settings.software {
        embedded.server_token.clone_from(software);
    }
    embedded.listen_backlog = settings.listen_backlog;
    let log = &settings.error_log;
    embedded.error_log.enabled = log.enabled;
    embedded.error_log.directory.clone_from(&log.directory);
    embedded.error_log.rollover = match log.rollover {
        LogRollover::Size => driver::LogRollover::Size,
        LogRollover::Hourly => driver::LogRollover::Hourly,
        LogRollover::Daily => driver::LogRollover::Daily,
        LogRollover::Weekly => driver::LogRollover::Weekly,
        LogRollover::Monthly => driver::LogRollover::Monthly,
    };
    embedded.error_log.rollover_bytes = log.rollover_bytes;
    embedded.error_log.local_time_rollover = log.local_time_rollover;
    let backend = driver::Embedded::start(embedded)?;
    Ok(backend)
}
