//! What a server can be asked about its logs.

use tidegate_httpapi::LogCounters;

use crate::server::Server;

impl Server {
    /// Has all that logs have taken so far written to their files, and files begun anew that were moved away
    /// (as `logrotate` does). Returns when that is done; does nothing while the server is not started.
    ///
    /// Files that were moved are noticed without this, within a second.
    pub fn flush_log_buffer(&self) {
        if let Some((backend, _)) = self.serving() {
            backend.flush_log_buffer();
        }
    }

    /// What has become of the records of the log of requests and of the HTTPERR log; nothing while the server
    /// is not started.
    pub fn log_counters(&self) -> LogCounters {
        let serving = self.serving();
        serving.map_or_else(LogCounters::default, |(backend, _)| backend.log_counters())
    }
}
