//! Properties of a static site, and what can be wrong with them.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_httpapi::{FieldBlock, FieldError, LimitError};

use super::coding::ContentCoding;

/// A static site: files of a folder, served at and under a path.
///
/// ```
/// use tidegate::{FilesSettings, Server};
///
/// let mut site = FilesSettings::new("public");
/// site.cache_control = Some("max-age=600".to_owned());
/// let builder = Server::builder().files("/", site).files("/docs", "target/doc");
/// ```
///
/// In a settings file each is a `[[files]]`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FilesSettings {
    /// The path at and under which the site is, without the prefix that routed the request being taken
    /// off. Default `/`. The longest path wins, among sites and mounted services alike.
    pub path: String,
    /// The folder. Has to be set; a relative path is relative to where the program was started.
    ///
    /// It is opened at the start, and opened anew when another folder is found at this path, as after a
    /// link was made to lead to a new version of the site.
    pub root: PathBuf,
    /// Names of the files that stand for a folder that is asked for, the first that there is. Default
    /// `["index.html"]`.
    pub index: Vec<String>,
    /// Whether a folder without such a file is answered with a list of what is in it, instead of 404.
    /// Default false.
    pub listing: bool,
    /// Which codings of a file may stand beside it, made beforehand: `a.js.br` (`br`), `a.js.zst`
    /// (`zstd`), `a.js.gz` (`gzip`). The first that the client likes best is sent. One that is older than
    /// its file is not used. Default all three.
    pub precompressed: Vec<ContentCoding>,
    /// Whether files of types that become much shorter by it, such as text, are compressed as they are
    /// asked for, from 1 KiB on. Default true.
    ///
    /// Up to 1 MiB they are compressed once and kept in memory, as far as there is room; longer ones are
    /// compressed while they are sent, 32 at a time. In HighPerf mode this is done by the handler threads.
    pub compress: bool,
    /// Whether files and folders whose names begin with a dot are served. Default false: they are
    /// answered as if they were not there, but for `/.well-known/` (RFC 8615).
    pub hidden: bool,
    /// The value of `Cache-Control`. Default `None`: clients decide by how long the file has not changed.
    pub cache_control: Option<String>,
    /// Content types by extension, without the dot, in place of the usual ones. Default none.
    pub content_types: BTreeMap<String, String>,
    /// Whether what is not there goes on to the application's events, instead of being answered with 404,
    /// and methods other than GET and HEAD likewise. Default false.
    pub fallthrough: bool,
    /// Most memory for files and compressed ones that are kept ready, in bytes; 0 keeps none. What has not
    /// been asked for makes room. Default 32 MiB, range 0 to 1 GiB.
    ///
    /// Half of it is for files of up to 64 KiB, which are kept from the first request on, and for what was
    /// compressed; the other half, if it is more than 64 KiB, for files of up to 512 KiB, which are kept when
    /// parts of up to 64 KiB are asked for again, or the whole over TLS or HTTP/2. In HighPerf mode the latter
    /// needs a system that says what of a file it has in memory, as Linux does. Of other files, up to 64 that
    /// are asked for again stay open for a second.
    ///
    /// What is kept is compared with the file once a second at most.
    pub memory_bytes_max: u32,
}

impl Default for FilesSettings {
    fn default() -> Self {
        Self {
            path: "/".to_owned(),
            root: PathBuf::new(),
            index: vec!["index.html".to_owned()],
            listing: false,
            precompressed: vec![ContentCoding::Br, ContentCoding::Zstd, ContentCoding::Gzip],
            compress: true,
            hidden: false,
            cache_control: None,
            content_types: BTreeMap::new(),
            fallthrough: false,
            memory_bytes_max: 32 * 1024 * 1024,
        }
    }
}

impl FilesSettings {
    /// A site of the files in this folder.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            ..Self::default()
        }
    }

    /// Whether all numbers are in their ranges.
    pub(crate) fn check(&self) -> Result<(), LimitError> {
        LimitError::check("files.memory_bytes_max", self.memory_bytes_max, 0..=1 << 30)
    }
}

impl From<&str> for FilesSettings {
    fn from(root: &str) -> Self {
        Self::new(root)
    }
}

impl From<String> for FilesSettings {
    fn from(root: String) -> Self {
        Self::new(root)
    }
}

impl From<&Path> for FilesSettings {
    fn from(root: &Path) -> Self {
        Self::new(root)
    }
}

impl From<PathBuf> for FilesSettings {
    fn from(root: PathBuf) -> Self {
        Self::new(root)
    }
}

/// Why a static site cannot be served. The caller's fault.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FilesError {
    /// The site has no folder.
    RootMissing {
        /// The site's path.
        path: String,
    },
    /// Its folder cannot be opened.
    Root {
        /// The folder.
        root: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// Two sites have the same path.
    SamePath {
        /// The path.
        path: String,
    },
    /// The name of a file that stands for a folder is none.
    Index {
        /// The name.
        name: String,
    },
    /// A value of `Cache-Control`, or a content type, may not be sent.
    Field(FieldError),
}

impl FilesError {
    /// What to do about it.
    pub(crate) fn way_out(&self) -> &'static str {
        match self {
            Self::RootMissing { .. } => "set `root` to the folder that the files are in",
            Self::Root { .. } => "give a folder that the server's user may enter and read",
            Self::SamePath { .. } => "give one of them another path",
            Self::Index { .. } => "give names of files, without folders",
            Self::Field(_) => "leave control characters out",
        }
    }
}

impl fmt::Display for FilesError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RootMissing { path } => write!(formatter, "the site at {path} has no folder"),
            Self::Root { root, .. } => {
                write!(
                    formatter,
                    "cannot open the site's folder {}",
                    root.display()
                )
            }
            Self::SamePath { path } => write!(formatter, "there are two sites at {path}"),
            Self::Index { name } => write!(formatter, "{name:?} is no name of a file"),
            Self::Field(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for FilesError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Root { source, .. } => Some(&**source),
            _ => None,
        }
    }
}

/// Whether these sites can be served, their folders apart.
pub(crate) fn check(sites: &[FilesSettings]) -> Result<(), FilesError> {
    for (index, site) in sites.iter().enumerate() {
        let path = crate::place::path(&site.path);
        if site.root.as_os_str().is_empty() {
            return Err(FilesError::RootMissing {
                path: site.path.clone(),
            });
        }
        if sites[..index]
            .iter()
            .any(|earlier| crate::place::path(&earlier.path) == path)
        {
            return Err(FilesError::SamePath {
                path: site.path.clone(),
            });
        }
        for name in &site.index {
            let is_name = !matches!(&**name, "" | "." | "..") && !name.contains(['/', '\\', '\0']);
            if !is_name {
                return Err(FilesError::Index { name: name.clone() });
            }
        }
        let values = site
            .content_types
            .values()
            .map(|value| ("Content-Type", value));
        let cache_control = site
            .cache_control
            .iter()
            .map(|value| ("Cache-Control", value));
        for (name, value) in values.chain(cache_control) {
            FieldBlock::new()
                .append(name, value)
                .map_err(FilesError::Field)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_served_is_refused() {
        let site = FilesSettings::new("x");
        let sites = [
            site.clone(),
            FilesSettings {
                path: "/a".to_owned(),
                ..site.clone()
            },
        ];
        assert!(check(&sites).is_ok());
        let refused = |change: fn(&mut FilesSettings)| {
            let mut site = site.clone();
            change(&mut site);
            check(&[sites[1].clone(), site]).unwrap_err()
        };
        assert!(matches!(
            refused(|site| site.root = PathBuf::new()),
            FilesError::RootMissing { .. }
        ));
        assert!(matches!(
            refused(|site| site.path = "a/".to_owned()),
            FilesError::SamePath { .. }
        ));
        for name in ["", "..", "a/b", "a\0"] {
            let mut site = site.clone();
            site.index = vec![name.to_owned()];
            assert!(matches!(check(&[site]), Err(FilesError::Index { .. })));
        }
        assert!(matches!(
            refused(|site| site.cache_control = Some("a\r\nb".to_owned())),
            FilesError::Field(_)
        ));
        assert!(matches!(
            refused(|site| drop(site.content_types.insert("x".to_owned(), "\n".to_owned()))),
            FilesError::Field(_)
        ));
    }

    #[test]
    fn a_settings_file_fills_the_same_struct() {
        let site: FilesSettings = toml::from_str(
            r#"
            path = "/docs"
            root = "site"
            index = ["a.html", "b.html"]
            listing = true
            precompressed = ["gzip", "br"]
            compress = false
            hidden = true
            cache_control = "no-cache"
            content_types = { foo = "text/foo" }
            fallthrough = true
            memory_bytes_max = 0
            "#,
        )
        .unwrap();
        assert_eq!(site.root, Path::new("site"));
        assert_eq!(site.precompressed, [ContentCoding::Gzip, ContentCoding::Br]);
        assert_eq!(site.content_types["foo"], "text/foo");
        assert!(toml::from_str::<FilesSettings>("precompressed = [\"lzma\"]").is_err());
        assert!(toml::from_str::<FilesSettings>("rot = \"x\"").is_err());
        let mut site = site;
        site.memory_bytes_max = u32::MAX;
        assert_eq!(site.check().unwrap_err().name, "files.memory_bytes_max");
    }
}
