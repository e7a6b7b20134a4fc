//! A drop box: the program with a place that takes files in, which clients of several suites send to.

use std::path::PathBuf;

use crate::certificates;
use crate::error::ClientError;
use crate::server::{Place, Server};
use crate::suite::Bench;

/// A running program with a drop box at `/drop/`.
#[derive(Debug)]
pub(crate) struct DropBox {
    pub(crate) server: Server,
}

impl DropBox {
    pub(crate) fn start(bench: &Bench<'_>) -> Result<Self, ClientError> {
        let place = Place::new()?;
        certificates::self_signed(bench.options, place.folder(), &["localhost", "127.0.0.1"])?;
        let server = Server::start_by_file(bench.options, bench.configuration, place, SETTINGS)?;
        Ok(Self { server })
    }

    /// Where files come to be.
    pub(crate) fn directory(&self) -> PathBuf {
        self.server.folder().join("drop")
    }
}

const SETTINGS: &str =
    "bindings = [\"http://127.0.0.1:{port}/\", \"https://127.0.0.1:{tls_port}/\"]
max_request_body_size = 1000
[ssl]
certificate = \"localhost.crt\"
key = \"localhost.key\"
[[upload]]
path = \"/drop/\"
directory = \"drop\"
max_request_body_size = 0
";
