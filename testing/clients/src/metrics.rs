//! Metrics as Prometheus reads them.

use crate::error::ClientError;
use crate::python;
use crate::server::{Place, Server};
use crate::suite::Bench;

/// Has the script read metrics of a server of its own.
pub(crate) fn read(bench: &Bench<'_>) -> Result<(), ClientError> {
    let place = Place::new()?;
    let options = bench.options;
    let server = Server::start_by_file(options, bench.configuration, place, SETTINGS)?;
    let base = server.url("");
    let base = base.trim_end_matches('/');
    python::script_at(bench, "with_prometheus.py", &[base], python::LIMIT)?;
    server.stop()
}

/// On the port of the site itself, since it is said so. The group has the name of the first of its URLs.
const SETTINGS: &str = "bindings = [\"http://127.0.0.1:{port}/\", \"http://localhost:{tls_port}/\"]
[metrics]
enabled = true
url = \"http://127.0.0.1:{port}/metrics\"
";
