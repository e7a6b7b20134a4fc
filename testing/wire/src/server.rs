//! A server on a free port, with its error log in a folder of its own.

#[path = "../../free_port.rs"]
mod free_port;

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tidegate_driver::{Embedded, EmbeddedSettings, Io};
use tidegate_httpapi::{
    ApiError, Application, Backend, GroupProperties, OperatingMode, QueueProperties,
    RequestQueueId, ServerSessionId, TlsBinding, TlsBindingKey, UrlGroupId, UrlPrefix,
};

use crate::client::Client;
use crate::error_log::ErrorLines;
use crate::response::Response;
use crate::tls::Certificate;

/// An embedded backend with one session.
pub struct Server {
    /// The backend.
    pub backend: Arc<Embedded>,
    /// Its session.
    pub session: ServerSessionId,
    /// Its port, for prefixes and clients.
    pub port: u16,
    /// Its error log.
    pub errors: ErrorLines,
    scheme: &'static str,
    _folder: TempDir,
}

/// A prefix with a URL group and a queue of its own.
#[derive(Clone, Debug)]
pub struct Place {
    /// The group.
    pub group: UrlGroupId,
    /// The queue.
    pub queue: RequestQueueId,
    /// The prefix.
    pub prefix: UrlPrefix,
}

impl Server {
    /// A server with usual settings that holds its port: a prefix nobody asks for is registered.
    pub fn start(io: Io) -> Self {
        Self::start_with(io, |_| {})
    }

    /// As [`start`](Self::start), with other settings.
    pub fn start_with(io: Io, set: impl Fn(&mut EmbeddedSettings)) -> Self {
        Self::hold_port(io, "http", set)
    }

    /// As [`start`](Self::start), but its port speaks TLS. No certificate is bound yet.
    pub fn start_secure(io: Io) -> Self {
        Self::start_secure_with(io, |_| {})
    }

    /// As [`start_secure`](Self::start_secure), with other settings.
    pub fn start_secure_with(io: Io, set: impl Fn(&mut EmbeddedSettings)) -> Self {
        Self::hold_port(io, "https", set)
    }

    fn hold_port(io: Io, scheme: &'static str, set: impl Fn(&mut EmbeddedSettings)) -> Self {
        loop {
            let mut server = Self::idle(io, free_port(), &set);
            server.scheme = scheme;
            let group = server.backend.create_url_group(server.session).unwrap();
            let anchor = server.url("anchor.invalid/");
            match server.backend.add_url(group, &anchor, 0) {
                Ok(()) => return server,
                // Another program was faster.
                Err(ApiError::Listen { in_use: true, .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// A server that listens nowhere yet.
    pub fn idle(io: Io, port: u16, set: impl Fn(&mut EmbeddedSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = EmbeddedSettings::default();
        settings.io = io;
        settings.io_threads = Some(2);
        settings.server_token = "Tidegate".to_owned();
        settings.error_log.directory = Some(folder.path().to_owned());
        set(&mut settings);
        let backend = Embedded::start(settings).unwrap();
        let session = backend.create_server_session().unwrap();
        Self {
            backend,
            session,
            port,
            errors: ErrorLines(folder.path().to_owned()),
            scheme: "http",
            _folder: folder,
        }
    }

    /// The prefix of a host and path such as `localhost/a/`, on this server's port.
    pub fn url(&self, place: &str) -> UrlPrefix {
        let (host, path) = place.split_once('/').expect("host and path");
        UrlPrefix::parse(&format!("{}://{host}:{}/{path}", self.scheme, self.port)).unwrap()
    }

    /// Binds a certificate to a place such as `0.0.0.0` or `name`, on this server's port.
    pub fn bind(&self, place: &str, certificate: &Certificate) {
        self.bind_with(place, certificate, |_| {});
    }

    /// As [`bind`](Self::bind), with other rules.
    pub fn bind_with(
        &self,
        place: &str,
        certificate: &Certificate,
        set: impl FnOnce(&mut TlsBinding),
    ) {
        let mut binding = certificate.binding();
        set(&mut binding);
        self.backend
            .add_tls_binding(&self.tls_key(place), &binding)
            .unwrap();
    }

    /// The key of a TLS binding on this server's port.
    pub fn tls_key(&self, place: &str) -> TlsBindingKey {
        format!("{place}:{}", self.port).parse().unwrap()
    }

    /// Registers a prefix with a group and a queue of its own.
    pub fn serve(&self, place: &str, application: Arc<dyn Application>) -> Place {
        self.serve_with(place, application, |_| {})
    }

    /// As [`serve`](Self::serve), in an operating mode.
    pub fn serve_in(
        &self,
        mode: OperatingMode,
        place: &str,
        application: Arc<dyn Application>,
    ) -> Place {
        self.serve_with(place, application, |queue| queue.operating_mode = mode)
    }

    /// As [`serve`](Self::serve), with other properties of the queue.
    pub fn serve_with(
        &self,
        place: &str,
        application: Arc<dyn Application>,
        set: impl FnOnce(&mut QueueProperties),
    ) -> Place {
        let mut properties = QueueProperties::default();
        properties.thread_pool_size = 4;
        set(&mut properties);
        let queue = self
            .backend
            .create_request_queue(properties, application)
            .unwrap();
        let group = self.backend.create_url_group(self.session).unwrap();
        self.backend.bind_request_queue(group, Some(queue)).unwrap();
        let prefix = self.url(place);
        self.backend.add_url(group, &prefix, 0).unwrap();
        Place {
            group,
            queue,
            prefix,
        }
    }

    /// Sets properties of a place's group.
    pub fn set_group(&self, place: &Place, set: impl FnOnce(&mut GroupProperties)) {
        let mut properties = GroupProperties::default();
        set(&mut properties);
        self.backend
            .set_group_properties(place.group, properties)
            .unwrap();
    }

    /// A new connection.
    pub fn client(&self) -> Client {
        Client::connect(self.port)
    }

    /// One GET on a connection of its own.
    pub fn get(&self, host: &str, target: &str) -> Response {
        self.client().ask(format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        ))
    }

    /// Whoever serves GET: the text of a 200, the status of all else.
    pub fn route(&self, host: &str, target: &str) -> String {
        let response = self.get(host, target);
        match response.status {
            200 => response.text().to_owned(),
            status => status.to_string(),
        }
    }

    /// The driver itself refuses these bytes: with this status, its page, the end of the connection
    /// and one line in the error log.
    pub fn refuses(&self, request: impl AsRef<[u8]>, status: u16, reason: &str) {
        let request = request.as_ref();
        let shown = String::from_utf8_lossy(&request[..request.len().min(500)]);
        let mut client = self.client();
        client.send(request);
        let response = client.response();
        assert_eq!(response.status, status, "{shown:?}: {}", response.head);
        assert!(response.closes(), "{shown:?}: {}", response.head);
        assert_eq!(
            response.field("Content-Type"),
            Some("text/html; charset=us-ascii")
        );
        assert!(response.text().contains(&status.to_string()), "{shown:?}");
        client.expect_orderly_close();
        let line = self.errors.of_client(client.port());
        let said = (line.status.as_str(), line.reason.as_str());
        assert_eq!(said, (status.to_string().as_str(), reason), "{shown:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.backend.stop(Duration::ZERO);
        if std::thread::panicking() {
            // Why it ended a connection, if it did.
            println!(
                "the server at port {}: {:?}",
                self.port,
                self.backend.counters()
            );
            print!("{}", self.errors.text());
        }
    }
}

/// A free port, which is given to nobody else from here.
pub fn free_port() -> u16 {
    free_port::free_port()
}
