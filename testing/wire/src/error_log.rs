//! Reads the error log of a server while it is written.

use std::fs;
use std::path::PathBuf;

use crate::until;

/// The lines of a server's error log.
#[derive(Debug)]
pub struct ErrorLines(pub(crate) PathBuf);

/// One line, taken apart; the fields are the default ones.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ErrorLine {
    /// `c-ip`
    pub client: String,
    /// `s-ip`
    pub server: String,
    /// `c-port`
    pub client_port: String,
    /// `cs-version`
    pub version: String,
    /// `cs-method`
    pub method: String,
    /// `cs-uri`
    pub uri: String,
    /// `sc-status`
    pub status: String,
    /// `s-reason`
    pub reason: String,
}

impl ErrorLines {
    /// All lines there are by now.
    pub fn now(&self) -> Vec<ErrorLine> {
        let Ok(files) = fs::read_dir(self.0.join("HTTPERR")) else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        for file in files {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            // A last line without its end is still being written.
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            let records = whole.lines().filter(|line| !line.starts_with('#'));
            lines.extend(records.map(ErrorLine::parse));
        }
        lines
    }

    /// All there is by now, as it is.
    pub(crate) fn text(&self) -> String {
        let files = fs::read_dir(self.0.join("HTTPERR")).into_iter().flatten();
        let paths = files.flatten().map(|file| file.path());
        paths.flat_map(fs::read_to_string).collect()
    }

    /// Waits for the first line about the client with this port.
    pub fn of_client(&self, port: u16) -> ErrorLine {
        let port = port.to_string();
        self.find(&format!("a line about port {port}"), |line| {
            line.client_port == port
        })
    }

    /// Waits for the first line with this reason.
    pub fn with_reason(&self, reason: &str) -> ErrorLine {
        self.find(reason, |line| line.reason == reason)
    }

    fn find(&self, what: &str, is_it: impl Fn(&ErrorLine) -> bool) -> ErrorLine {
        let mut found = None;
        let search = || {
            found = self.now().into_iter().find(&is_it);
            found.is_some()
        };
        until(what, search);
        found.unwrap()
    }
}

impl ErrorLine {
    fn parse(line: &str) -> Self {
        let fields: Vec<_> = line.split(' ').collect();
        assert_eq!(fields.len(), 13, "{line}");
        let field = |index: usize| fields[index].to_owned();
        Self {
            client: field(2),
            server: field(4),
            client_port: field(3),
            version: field(6),
            method: field(7),
            uri: field(8),
            status: field(9),
            reason: field(11),
        }
    }
}
