//! A settings file that is read again while the server runs: at SIGHUP, and when it has changed.
//!
//! Either all of what it says comes into effect or nothing, and a person is told which of it differs.

use std::fs;
use std::path::PathBuf;
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
        };
        source.seen = source.stamp();
        source.text = source.read().unwrap_or_default();
        source
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// Waits until the file has changed and has stayed as it is for a while, since a file that is being
    /// written is no news yet. For ever when there is none.
    pub(super) async fn changed(&self) {
        let mut last = self.seen;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.stamp();
            if now == last && now != self.seen && now.is_some() {
                return;
            }
            last = now;
        }
    }

    /// Puts what the file says now into effect, reads certificates again, and has log files that were moved
    /// away begun anew. Gives what a person is told.
    pub(super) fn reload(&mut self, server: &Server) -> String {
        server.flush_log_buffer();
        self.seen = self.stamp();
        let Some(file) = self
            .options
            .file
            .as_ref()
            .map(|file| file.display().to_string())
        else {
            return certificates(server).unwrap_or_else(|| {
                "logs go on in their files; there is no settings file to read again".to_owned()
            });
        };
        let text = self.read().unwrap_or_default();
        if text == self.text {
            return certificates(server)
                .unwrap_or_else(|| format!("logs go on in their files; {file} has not changed"));
        }
        match self.put_into_effect(server) {
            Ok(()) => {
                let differences = differences(&self.text, &text);
                self.text = text;
                let certificates = certificates(server).map(|told| format!("\n{told}"));
                format!(
                    "{file} is in effect{differences}{}",
                    certificates.unwrap_or_default()
                )
            }
            Err(message) => format!("{file} is refused, all stays as it was: {message}"),
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

    fn path(&self) -> Option<&PathBuf> {
        self.options.file.as_ref()
    }

    fn read(&self) -> Option<String> {
        fs::read_to_string(self.path()?).ok()
    }

    fn stamp(&self) -> Option<Stamp> {
        let metadata = fs::metadata(self.path()?).ok()?;
        Some(Stamp {
            modified: metadata.modified().ok(),
            length: metadata.len(),
        })
    }
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
