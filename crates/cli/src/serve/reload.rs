//! A settings file, and the store, that are read again while the server runs: at SIGHUP, and when they have changed.
//!
//! Either all of what they say comes into effect or nothing, and a person is told which of it differs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tidegate::{Error, Server};

use super::{Options, explain, options, report, settings};

/// What the server was started with, and what there is of it now.
pub(super) struct Source {
    options: Options,
    /// What is in effect.
    text: String,
    /// The file as it was when last looked at.
    seen: Option<Stamp>,
    /// The store that the server heeds.
    store: Option<PathBuf>,
    /// What of it is in effect.
    stored: String,
    store_seen: Option<Stamp>,
}

/// By what a changed file is known.
#[derive(Clone, Copy, Eq, PartialEq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

impl Source {
    /// Made before the settings are read: what changes from now on is noticed.
    pub(super) fn new(options: Options) -> Self {
        let mut source = Self {
            options,
            text: String::new(),
            seen: None,
            store: None,
            stored: String::new(),
            store_seen: None,
        };
        source.seen = stamp(source.path());
        source.text = read(source.path());
        source
    }

    /// Looks after this store as well. Called before the server reads it.
    pub(super) fn watch_store(&mut self, store: Option<PathBuf>) {
        self.store = store;
        self.store_seen = stamp(self.store.as_deref());
        self.stored = read(self.store.as_deref());
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// Waits until one of the files has changed and has stayed as it is for a while, since a file that is being
    /// written is no news yet. For ever when there is none.
    pub(super) async fn changed(&self) {
        let stamps = || (stamp(self.path()), stamp(self.store.as_deref()));
        let mut last = (self.seen, self.store_seen);
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = stamps();
            let has_file_changed = now.0 != self.seen && now.0.is_some();
            // One that is gone is empty.
            let has_store_changed = now.1 != self.store_seen;
            if now == last && (has_file_changed || has_store_changed) {
                return;
            }
            last = now;
        }
    }

    /// Puts what the files say now into effect, reads certificates again, and has log files that were moved
    /// away begun anew. Gives what a person is told.
    pub(super) fn reload(&mut self, server: &Server) -> String {
        server.flush_log_buffer();
        self.seen = stamp(self.path());
        self.store_seen = stamp(self.store.as_deref());
        let named = |path: Option<&Path>| path.map(|path| path.display().to_string());
        let (file, store) = (named(self.path()), named(self.store.as_deref()));
        let (text, stored) = (read(self.path()), read(self.store.as_deref()));
        let changed_file = file.as_ref().filter(|_| text != self.text);
        let changed_store = store.as_ref().filter(|_| stored != self.stored);
        let changed: Vec<_> = changed_file
            .into_iter()
            .chain(changed_store)
            .cloned()
            .collect();
        if changed.is_empty() {
            return certificates(server).unwrap_or_else(|| match file {
                Some(file) => format!("logs go on in their files; {file} has not changed"),
                None => {
                    "logs go on in their files; there is no settings file to read again".to_owned()
                }
            });
        }
        match self.put_into_effect(server) {
            Ok(()) => {
                let differences = differences(&self.text, &text);
                self.text = text;
                self.stored = stored;
                let certificates = certificates(server).map(|told| format!("\n{told}"));
                let verb = if changed.len() == 1 { "is" } else { "are" };
                format!(
                    "{} {verb} in effect{differences}{}",
                    changed.join(" and "),
                    certificates.unwrap_or_default()
                )
            }
            Err(message) => format!(
                "{} is refused, all stays as it was: {message}",
                changed.join(" and ")
            ),
        }
    }

    fn put_into_effect(&self, server: &Server) -> Result<(), String> {
        let settings = settings(&self.options)?;
        // Which is settled at the start.
        let served = options::is_demonstration(&server.settings());
        if options::is_demonstration(&settings) != served {
            return Err(
                "with it, the demonstration site would begin or end, which takes a start"
                    .to_owned(),
            );
        }
        server
            .reload(settings)
            .map_err(|error: Error| explain(&error))
    }

    fn path(&self) -> Option<&Path> {
        self.options.file.as_deref()
    }
}

/// What is in a file; nothing, where it cannot be read.
fn read(path: Option<&Path>) -> String {
    let text = path.map(fs::read_to_string);
    text.and_then(Result::ok).unwrap_or_default()
}

fn stamp(path: Option<&Path>) -> Option<Stamp> {
    let metadata = fs::metadata(path?).ok()?;
    Some(Stamp {
        modified: metadata.modified().ok(),
        length: metadata.len(),
    })
}

/// Reads certificates again, and says what came of it; nothing without TLS.
fn certificates(server: &Server) -> Option<String> {
    if server.tls_bindings().is_empty() {
        return None;
    }
    Some(match server.reload_certificates() {
        Ok(()) => {
            let certificates = report::certificates(server);
            format!("certificates are read again\n{}", certificates.trim_end())
        }
        Err(error) => format!("a certificate stays as it was: {error:?}"),
    })
}

/// How two settings files differ, a line each, by key.
fn differences(before: &str, now: &str) -> String {
    let (before, now) = (flat(before), flat(now));
    let mut told = String::new();
    for (key, value) in &now {
        match before.get(key) {
            Some(old) if old == value => {}
            Some(old) => told.push_str(&format!(
                "\n  {key}: {} -> {}",
                shown(key, old),
                shown(key, value)
            )),
            None => told.push_str(&format!("\n  {key}: {}", shown(key, value))),
        }
    }
    for key in before.keys().filter(|key| !now.contains_key(*key)) {
        told.push_str(&format!("\n  {key}: left out"));
    }
    told
}

/// A value for a person; secrets are not.
fn shown<'a>(key: &str, value: &'a str) -> &'a str {
    let name = key.rsplit('.').next().unwrap_or(key);
    match name.contains("password") || name.contains("secret") {
        true => "(not shown)",
        false => value,
    }
}

/// Each value of a file by its whole key, such as `files[0].root`.
fn flat(text: &str) -> std::collections::BTreeMap<String, String> {
    fn put(
        into: &mut std::collections::BTreeMap<String, String>,
        key: String,
        value: &toml::Value,
    ) {
        match value {
            toml::Value::Table(table) => {
                for (name, value) in table {
                    let key = match key.is_empty() {
                        true => name.clone(),
                        false => format!("{key}.{name}"),
                    };
                    put(into, key, value);
                }
            }
            toml::Value::Array(values) if values.iter().any(toml::Value::is_table) => {
                for (index, value) in values.iter().enumerate() {
                    put(into, format!("{key}[{index}]"), value);
                }
            }
            value => {
                into.insert(key, value.to_string());
            }
        }
    }
    let mut values = std::collections::BTreeMap::new();
    if let Ok(table) = text.parse::<toml::Table>() {
        put(&mut values, String::new(), &toml::Value::Table(table));
    }
    values
}

const LOOK_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_by_key() {
        let before =
            "port = 80\nsoftware = \"a\"\n[ssl]\npassword = \"x\"\n[[files]]\nroot = \"a\"\n";
        let now = "port = 81\n[ssl]\npassword = \"y\"\n[[files]]\nroot = \"a\"\n[[files]]\nroot = \"b\"\n";
        assert_eq!(
            differences(before, now),
            "\n  files[1].root: \"b\"\n  port: 80 -> 81\n  ssl.password: (not shown) -> (not shown)\n  \
             software: left out"
        );
        assert_eq!(differences(now, now), "");
    }
}
