//! A file by which programs find a server that runs: beside the token, as long as the server runs.
//!
//! A server that was killed leaves its file behind. It is replaced by that of the next server at the same URL,
//! and until then whoever connects finds nobody.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tidegate_httpapi::{Host, UrlPrefix};

use super::settings::AdministrationError;

/// A server whose administration can be reached from this machine, as its file tells.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunningServer {
    /// Where its administration is.
    pub url: String,
    /// Its process.
    pub process: u32,
    /// The version of the program.
    pub version: String,
    /// The file with its token.
    pub token_file: PathBuf,
}

/// The file of a server that runs. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Announcement {
    path: PathBuf,
    text: String,
}

impl RunningServer {
    /// The server of this process.
    pub(super) fn this(prefix: &UrlPrefix, token_file: &Path) -> Self {
        // What stands for every host is none that one could ask for.
        let host = match &prefix.host {
            Host::StrongWildcard | Host::WeakWildcard => "localhost".to_owned(),
            Host::Name { name, .. } => name.to_string(),
            Host::Address(address) if address.is_ipv6() => format!("[{address}]"),
            Host::Address(address) => address.to_string(),
        };
        Self {
            url: format!("{}://{host}:{}{}", prefix.scheme, prefix.port, prefix.path),
            process: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            token_file: token_file.to_owned(),
        }
    }

    /// The servers that are told of in a folder, in the order of their URLs. Some may not run any more.
    ///
    /// # Errors
    ///
    /// The folder cannot be read. There are none where there is no folder.
    pub fn list(folder: &Path) -> io::Result<Vec<Self>> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let is_one = name
                .to_str()
                .is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
            // One that has gone meanwhile, or is none, is passed over.
            if is_one && let Some(server) = read(&folder.join(name)) {
                found.push(server);
            }
        }
        found.sort_by(|one, two| one.url.cmp(&two.url));
        Ok(found)
    }

    /// What is told of a server at the same URL.
    pub(super) fn predecessor(&self) -> Option<Self> {
        read(&self.path())
    }

    fn path(&self) -> PathBuf {
        let folder = self.token_file.parent().unwrap_or(Path::new("."));
        let plain = |character: char| match character.is_ascii_alphanumeric() {
            true => character,
            false => '-',
        };
        let name: String = self.url.trim_end_matches('/').chars().map(plain).collect();
        folder.join(format!("{PREFIX}{name}{SUFFIX}"))
    }

    /// Tells of the server.
    pub(super) fn announce(&self) -> Result<Announcement, AdministrationError> {
        let path = self.path();
        let failed = AdministrationError::announcing(&path);
        let text = serde_json::to_string(self).map_err(|error| failed(error.into()))?;
        // Whoever finds the file finds all of it.
        let new = path.with_extension("new");
        fs::write(&new, &text)
            .and_then(|()| fs::rename(&new, &path))
            .map_err(failed)?;
        Ok(Announcement { path, text })
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // Another server may be there by now.
        if fs::read_to_string(&self.path).is_ok_and(|text| text == self.text) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn read(path: &Path) -> Option<RunningServer> {
    let text = fs::read_to_string(path).ok()?;
    serde_json::from_str(&text).ok()
}

const PREFIX: &str = "server-";
const SUFFIX: &str = ".json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_told_of_as_long_as_it_runs() {
        let folder = tempfile_folder();
        let token = folder.path().join("token");
        let server = |url: &str| RunningServer::this(&UrlPrefix::parse(url).unwrap(), &token);
        let (one, two) = (server("http://localhost:1/a/"), server("https://+:2/"));
        assert_eq!(two.url, "https://localhost:2/");
        assert_eq!(server("http://[::1]:3/").url, "http://[::1]:3/");
        let told = (one.announce().unwrap(), two.announce().unwrap());
        let list = || RunningServer::list(folder.path()).unwrap();
        assert_eq!(list(), [one.clone(), two.clone()]);
        fs::write(folder.path().join("server-x.json"), "{").unwrap();
        drop(told.0);
        assert_eq!(list(), std::slice::from_ref(&two));
        // Its place was taken by another one.
        let mut other = two.clone();
        other.process += 1;
        let later = other.announce().unwrap();
        drop(told.1);
        assert_eq!(list(), [other]);
        drop(later);
        assert_eq!(list(), []);
        assert_eq!(
            RunningServer::list(&folder.path().join("none")).unwrap(),
            []
        );
    }

    fn tempfile_folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }
}
