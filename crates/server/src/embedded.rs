//! Makes the backend that a server runs on when it is given no other: the embedded driver.
//!
//! The only place that names the driver.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use tidegate_driver as driver;
use tidegate_httpapi::{ApiError, Backend, CertificateInfo, TlsBinding, TlsBindingKey};
use tidegate_os::KeptListeners;

use crate::settings::{Io, Settings};
use crate::store::Stored;

/// The cryptography that the driver runs TLS on, for connections to others as well.
pub(crate) fn tls_provider() -> Arc<CryptoProvider> {
    driver::tls_provider()
}

/// Starts the embedded driver with these settings. A server without handlers for WebSockets does not
/// announce them on HTTP/2: browsers would come that way and be refused.
pub(crate) fn start(
    settings: &Settings,
    stored: &Stored,
    accepts_websockets: bool,
    listeners: &KeptListeners,
) -> Result<Arc<dyn Backend>, ApiError> {
    let mut embedded = driver_settings(settings, stored);
    embedded.http2_limits.extended_connect &= accepts_websockets;
    embedded.listeners = listeners.clone();
    let backend = driver::Embedded::start(embedded)?;
    Ok(backend)
}

/// Reads all that a binding names, and tells the certificates it would serve with now.
pub(crate) fn read_tls_binding(
    key: &TlsBindingKey,
    binding: &TlsBinding,
) -> Result<Vec<CertificateInfo>, ApiError> {
    driver::read_tls_binding(key, binding)
}

/// The files of chain and key of a folder's certificate that has this thumbprint.
pub(crate) fn find_certificate(
    folder: &Path,
    thumbprint: &str,
) -> io::Result<Option<(PathBuf, PathBuf)>> {
    driver::find_certificate(folder, thumbprint)
}

fn driver_settings(settings: &Settings, stored: &Stored) -> driver::EmbeddedSettings {
    let mut embedded = driver::EmbeddedSettings::default();
    embedded.io = match settings.io {
        Io::Auto => driver::Io::Auto,
        Io::Uring => driver::Io::Uring,
        Io::Poll => driver::Io::Poll,
    };
    embedded.io_threads = settings.io_threads;
    embedded.request_limits = settings.request_limits.clone();
    embedded.http2_limits = settings.http2.clone();
    embedded.http2_limits.extended_connect &= settings.websocket.rfc8441;
    embedded.cache = stored.cache_limits(settings);
    embedded.limits.connections_max =
        (settings.max_connections != 0).then_some(settings.max_connections);
    embedded.limits.read_buffer_bytes = settings.read_buffer_size;
    // The driver is this server's alone: without these, a peer that never ends its first head would
    // be held to the driver's default times.
    embedded.timeouts = stored.timeouts(settings);
    embedded.server_header = settings.server_header;
    if let Some(software) = &settings.software {
        embedded.server_token.clone_from(software);
    }
    embedded.listen_backlog = settings.listen_backlog;
    let log = &settings.error_log;
    embedded.error_log.enabled = log.enabled;
    embedded.error_log.directory.clone_from(&log.directory);
    embedded.error_log.rollover = log.rollover;
    embedded.error_log.rollover_bytes = log.rollover_bytes;
    embedded.error_log.local_time_rollover = log.local_time_rollover;
    embedded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_the_cache_reach_the_driver() {
        let mut settings = Settings::default();
        settings.cache.max_response_bytes = 5_000;
        settings.cache.enabled = false;
        let limits = driver_settings(&settings, &Stored::default()).cache;
        assert_eq!((limits.content_bytes_max, limits.enabled), (5_000, false));
    }

    #[test]
    fn limits_on_http2_reach_the_driver() {
        let mut settings = Settings::default();
        assert!(
            driver_settings(&settings, &Stored::default())
                .http2_limits
                .extended_connect
        );
        settings.http2.concurrent_streams_max = 7;
        settings.websocket.rfc8441 = false;
        let limits = driver_settings(&settings, &Stored::default()).http2_limits;
        assert_eq!(limits.concurrent_streams_max, 7);
        assert!(!limits.extended_connect);
    }
}
