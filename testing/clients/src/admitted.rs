//! A server that asks who somebody is: by Basic, Digest or a token for the site, by an API key for one part of it.

use std::process::Command;
use std::time::Duration;

use crate::certificates;
use crate::error::ClientError;
use crate::process;
use crate::server::{Place, Server, io};
use crate::suite::Bench;

/// The server, and a key for `/inspect`.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) server: Server,
    pub(crate) key: String,
}

impl Admitted {
    pub(crate) fn start(bench: &Bench<'_>) -> Result<Self, ClientError> {
        let place = Place::new()?;
        certificates::self_signed(bench.options, place.folder(), &["localhost", "127.0.0.1"])?;
        let secret = place.folder().join("secret");
        std::fs::write(secret, SECRET).map_err(io("writing a file"))?;
        let mut issue = Command::new(&bench.options.program);
        issue
            .args(["apikey", "--file", "keys", "issue", "--owner", "a client"])
            .current_dir(place.folder());
        let issued = process::run(issue, Vec::new(), Duration::from_secs(20))?;
        let key = process::text(&issued).trim().to_owned();
        let server = Server::start_by_file(bench.options, bench.configuration, place, SETTINGS)?;
        Ok(Self { server, key })
    }
}

const SETTINGS: &str =
    "bindings = [\"http://127.0.0.1:{port}/\", \"https://127.0.0.1:{tls_port}/\"]
[ssl]
certificate = \"localhost.crt\"
key = \"localhost.key\"
[authentication]
enabled = true
users = [\"alice=open sesame\"]
digest.enabled = true
[authentication.jwt]
algorithms = [\"HS256\"]
secret_file = \"secret\"
[[authentication.paths]]
path = \"/basic\"
schemes = [\"basic\"]
[[authentication.paths]]
path = \"/ws\"
schemes = [\"basic\"]
[[authentication.paths]]
path = \"/inspect\"
required = false
[api_keys]
enabled = true
file = \"keys\"
[[api_keys.paths]]
path = \"/\"
required = false
[[api_keys.paths]]
path = \"/inspect\"
";

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Of alice, signed with the secret, good until 2100.
pub(crate) const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
     eyJzdWIiOiJhbGljZSIsImV4cCI6NDEwMjQ0NDgwMH0.DvdDttFvdgTOXtC2L5P1zfs2bIMtiEwN3al4EAHYyf8";
