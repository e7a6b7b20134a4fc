//! What of the settings can change while a server runs.

use super::Settings;

impl Settings {
    /// Whether `self` differs from `other` in nothing but where it listens, and with what certificates and
    /// protocols.
    pub(crate) fn differs_in_bindings_only(&self, other: &Self) -> bool {
        let mut same = other.clone();
        same.host.clone_from(&self.host);
        same.port = self.port;
        same.bindings.clone_from(&self.bindings);
        same.ssl.clone_from(&self.ssl);
        same.binding_options.clone_from(&self.binding_options);
        same.protocols = self.protocols;
        same.proxy_protocol.clone_from(&self.proxy_protocol);
        same == *self
    }

    /// Where `self` differs from `other` in what only a start puts into effect: the driver's threads and
    /// buffers, and what connections that there are have been given.
    pub(crate) fn differences_for_start(&self, other: &Self) -> Vec<&'static str> {
        // Whoever adds a setting has to say here which kind it is of.
        let Self {
            // Where it listens.
            host: _,
            port: _,
            bindings: _,
            ssl: _,
            binding_options: _,
            protocols: _,
            proxy_protocol: _,
            // What the component is made of anew, or the driver takes at once.
            timeouts: _,
            max_bandwidth: _,
            max_bandwidth_in: _,
            flow_rate: _,
            max_request_body_size: _,
            http_upload_files: _,
            upload: _,
            verbosity_503: _,
            cors: _,
            authentication: _,
            api_keys: _,
            forward,
            files: _,
            shutdown_delay: _,
            shutdown_deadline: _,
            watchdog: _,
            // The others.
            thread_pool_size,
            read_buffer_size,
            fine_tune,
            max_connections,
            software,
            server_header,
            io,
            io_threads,
            request_limits,
            http2,
            administration,
            cache,
            websocket,
            firewall,
            rate_limit,
            event_streams,
            error_log,
            log,
            health,
            metrics,
            listen_backlog,
            store,
        } = self;
        let tune = &other.fine_tune;
        // Whether WebSockets are announced on HTTP/2 is settled with the driver.
        let tunnels = |forward: &[crate::ForwardSettings]| forward.iter().any(|to| to.websockets);
        let differences = [
            (
                "thread_pool_size",
                *thread_pool_size != other.thread_pool_size,
            ),
            (
                "read_buffer_size",
                *read_buffer_size != other.read_buffer_size,
            ),
            (
                "fine_tune.operating_mode",
                fine_tune.operating_mode != tune.operating_mode,
            ),
            (
                "fine_tune.accepts_per_worker",
                fine_tune.accepts_per_worker != tune.accepts_per_worker,
            ),
            (
                "fine_tune.skip_completion_on_success",
                fine_tune.skip_completion_on_success != tune.skip_completion_on_success,
            ),
            ("max_connections", *max_connections != other.max_connections),
            ("software", *software != other.software),
            ("server_header", *server_header != other.server_header),
            ("io", *io != other.io),
            ("io_threads", *io_threads != other.io_threads),
            ("request_limits", *request_limits != other.request_limits),
            ("http2", *http2 != other.http2),
            ("administration", *administration != other.administration),
            ("cache", *cache != other.cache),
            ("websocket", *websocket != other.websocket),
            (
                "forward.websockets",
                tunnels(forward) != tunnels(&other.forward),
            ),
            ("firewall", *firewall != other.firewall),
            ("rate_limit", *rate_limit != other.rate_limit),
            ("event_streams", *event_streams != other.event_streams),
            ("error_log", *error_log != other.error_log),
            ("log", *log != other.log),
            ("health", *health != other.health),
            ("metrics", *metrics != other.metrics),
            ("listen_backlog", *listen_backlog != other.listen_backlog),
            ("store", *store != other.store),
        ];
        differences
            .into_iter()
            .filter_map(|(name, differs)| differs.then_some(name))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn tells_what_needs_a_start() {
        let settings = Settings::default();
        let mut changed = settings.clone();
        changed.port = Some(8081);
        changed.fine_tune.queue_length = 7;
        changed.shutdown_deadline = Duration::from_secs(1);
        changed.files.push(crate::FilesSettings::new("/srv"));
        assert!(settings.differences_for_start(&changed).is_empty());
        changed.fine_tune.accepts_per_worker = 9;
        changed.io_threads = Some(3);
        assert_eq!(
            settings.differences_for_start(&changed),
            ["fine_tune.accepts_per_worker", "io_threads"]
        );
    }
}
