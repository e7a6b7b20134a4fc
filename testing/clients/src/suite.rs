//! The clients, and the cases of each.

use std::fmt;
use std::path::Path;
use std::sync::Mutex;

use crate::error::ClientError;
use crate::options::Options;
use crate::server::{Configuration, Server};
use crate::{
    autobahn, browser, curl, java, nghttp2, node, openssl, proxy, python, slow, soak, websocket,
    wget, wrk,
};

/// A client, or an attack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Suite {
    Curl,
    Nghttp2,
    Openssl,
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
    /// How the server is run.
    pub(crate) configuration: Configuration,
    /// What it does of what is too long for each configuration.
    pub(crate) share: Share,
    notes: &'a Notes,
}

impl Bench<'_> {
    /// The same with another server.
    pub(crate) fn with_server<'a>(&'a self, server: &'a Server) -> Bench<'a> {
        Bench { server, ..*self }
    }

    /// Notes a line for the report of this configuration.
    pub(crate) fn tell(&self, line: impl fmt::Display) {
        if let Ok(mut text) = self.notes.0.lock() {
            text.push_str(&format!("{line}\n"));
        }
    }
}

/// One of several equal parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// From 0 on.
    pub(crate) index: usize,
    pub(crate) count: usize,
}

/// What cases tell besides whether they succeed.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<String>);

impl Notes {
    pub(crate) fn into_text(self) -> String {
        self.0.into_inner().unwrap_or_default()
    }
}

impl Suite {
    pub(crate) const ALL: [Self; 15] = [
        Self::Curl,
        Self::Nghttp2,
        Self::Openssl,
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

    /// Whether it takes minutes in all modes on all loops, and has each mode and each loop in half of them.
    ///
    /// A browser is mostly about what the server says, of which modes and loops know nothing.
    pub(crate) fn is_slow_in_all(self) -> bool {
        matches!(self, Self::Browser)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::Nghttp2 => "nghttp2",
            Self::Openssl => "openssl",
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

    /// Whether it judges what others would disturb, a client that must be served within two seconds while
    /// the server is attacked, or the memory that a load takes: its configurations run one after the other.
    /// Bounds of time elsewhere are far from what is usual.
    pub(crate) fn is_quiet(self) -> bool {
        matches!(self, Self::Slow | Self::Soak)
    }

    /// Its cases, in groups.
    fn cases(self) -> &'static [&'static [Case]] {
        match self {
            Self::Curl => &[
                curl::CASES,
                curl::ways::CASES,
                curl::events::CASES,
                curl::fallback::CASES,
                curl::secured::CASES,
                curl::files::CASES,
                curl::uploads::CASES,
                curl::admission::CASES,
            ],
            Self::Nghttp2 => &[nghttp2::CASES],
            Self::Openssl => &[openssl::CASES],
            Self::Wget => &[wget::CASES],
            Self::Python => &[python::CASES],
            Self::Node => &[node::CASES],
            Self::Websocket => &[websocket::CASES],
            Self::Java => &[java::CASES],
            Self::Autobahn => &[autobahn::CASES],
            Self::Browser => &[browser::CASES],
            Self::Wrk => &[wrk::CASES],
            Self::Nginx => &[proxy::NGINX],
            Self::Haproxy => &[proxy::HAPROXY],
            Self::Slow => &[slow::CASES],
            Self::Soak => &[soak::CASES],
        }
    }

    /// Runs all cases against one server; tells how many there are.
    pub(crate) fn run(
        self,
        configuration: Configuration,
        share: Share,
        options: &Options,
        notes: &Notes,
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
            configuration,
            share,
            notes,
        };
        let mut count = 0;
        for case in self.cases().iter().copied().flatten() {
            count += 1;
            (case.run)(&bench).map_err(|source| ClientError::Case {
                name: case.name,
                source: Box::new(source),
            })?;
        }
        server.stop()?;
        Ok(count)
    }
}

/// The folder of this package: scripts lie beside the code that runs them.
pub(crate) fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
