//! The clients, and the cases of each.

use std::path::Path;

use crate::error::ClientError;
use crate::options::Options;
use crate::server::{Configuration, Server};
use crate::{autobahn, browser, curl, java, node, proxy, python, slow, soak, websocket, wget, wrk};

/// A client, or an attack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Suite {
    Curl,
    Wget,
    Python,
    Node,
    Websocket,
    Java,
    Autobahn,
    Browser,
    Wrk,
    Nginx,
    Haproxy,
    Slow,
    Soak,
}

/// One thing a client does with the program.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Bench<'_>) -> Result<(), ClientError>,
}

/// What a case has to work with.
pub(crate) struct Bench<'a> {
    pub(crate) server: &'a Server,
    pub(crate) options: &'a Options,
    /// Whether this is the configuration that gets the cases which are too long for all.
    pub(crate) is_foremost: bool,
}

impl Suite {
    pub(crate) const ALL: [Self; 13] = [
        Self::Curl,
        Self::Wget,
        Self::Python,
        Self::Node,
        Self::Websocket,
        Self::Java,
        Self::Autobahn,
        Self::Browser,
        Self::Wrk,
        Self::Nginx,
        Self::Haproxy,
        Self::Slow,
        Self::Soak,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::Wget => "wget",
            Self::Python => "python",
            Self::Node => "node",
            Self::Websocket => "websocket",
            Self::Java => "java",
            Self::Autobahn => "autobahn",
            Self::Browser => "browser",
            Self::Wrk => "wrk",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Slow => "slow",
            Self::Soak => "soak",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    fn cases(self) -> &'static [Case] {
        match self {
            Self::Curl => curl::CASES,
            Self::Wget => wget::CASES,
            Self::Python => python::CASES,
            Self::Node => node::CASES,
            Self::Websocket => websocket::CASES,
            Self::Java => java::CASES,
            Self::Autobahn => autobahn::CASES,
            Self::Browser => browser::CASES,
            Self::Wrk => wrk::CASES,
            Self::Nginx => proxy::NGINX,
            Self::Haproxy => proxy::HAPROXY,
            Self::Slow => slow::CASES,
            Self::Soak => soak::CASES,
        }
    }

    /// Runs all cases against one server; tells how many there are.
    pub(crate) fn run(
        self,
        configuration: Configuration,
        is_foremost: bool,
        options: &Options,
    ) -> Result<usize, ClientError> {
        let flags = match self {
            Self::Slow => slow::SETTINGS,
            Self::Soak => soak::SETTINGS,
            _ => &[],
        };
        let server = Server::start(options, configuration, flags)?;
        let bench = Bench {
            server: &server,
            options,
            is_foremost,
        };
        for case in self.cases() {
            (case.run)(&bench).map_err(|source| ClientError::Case {
                name: case.name,
                source: Box::new(source),
            })?;
        }
        server.stop()?;
        Ok(self.cases().len())
    }
}

/// The folder of this package: scripts lie beside the code that runs them.
pub(crate) fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
