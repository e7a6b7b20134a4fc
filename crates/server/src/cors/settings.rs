//! What may be set for a path, and what may not.

use std::fmt;
use std::time::Duration;

use http::{HeaderName, Method};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use tidegate_httpapi::LimitError;

use super::origins::CorsOrigins;
use crate::place;
use crate::settings::format;
use crate::settings::schema::TextOr;

/// Which pages of other origins may use what is served under a path. `[[cors]]` in a settings file.
///
/// ```
/// use tidegate::{CorsSettings, Server};
///
/// let builder = Server::builder().cors(CorsSettings {
///     path: "/api".into(),
///     origins: "https://app.example.com, https://*.example.org".parse()?,
///     methods: ["GET", "PUT", "DELETE"].into(),
///     headers: ["Content-Type"].into(),
///     credentials: true,
///     ..CorsSettings::default()
/// });
/// # Ok::<(), tidegate::CorsOriginError>(())
/// ```
///
/// Where several paths match, the longest counts, alone.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct CorsSettings {
    /// The path at and under which this holds. Default `/`, all paths.
    pub path: String,
    /// The origins that pages may have. Default none.
    #[serde(deserialize_with = "origins")]
    #[schemars(with = "TextOr<Vec<String>>")]
    pub origins: CorsOrigins,
    /// The methods that pages may use. GET, HEAD and POST need not be listed: browsers ask for no
    /// permission. Default none but these.
    #[serde(deserialize_with = "list")]
    #[schemars(with = "TextOr<Vec<String>>")]
    pub methods: CorsList,
    /// The header fields that pages may set, besides the few that browsers ask for no permission to set.
    /// Default none.
    #[serde(deserialize_with = "list")]
    #[schemars(with = "TextOr<Vec<String>>")]
    pub headers: CorsList,
    /// The header fields of answers that pages may read, besides the few that they always may. Default
    /// none.
    #[serde(deserialize_with = "list")]
    #[schemars(with = "TextOr<Vec<String>>")]
    pub exposed_headers: CorsList,
    /// Whether requests may carry cookies, client certificates and HTTP authentication. Not together with
    /// all origins, nor with all exposed header fields. Default false.
    pub credentials: bool,
    /// How long browsers may remember what they were told before a request. Default 600 s, at most a
    /// day; browsers have bounds of their own, such as two hours.
    #[serde(deserialize_with = "format::seconds")]
    pub max_age: Duration,
    /// Whether pages from the open Internet may ask at addresses of a private network, which some browsers
    /// want to be told. Default false. Source: Private Network Access.
    pub private_network: bool,
}

impl Default for CorsSettings {
    fn default() -> Self {
        Self {
            path: "/".to_owned(),
            origins: CorsOrigins::default(),
            methods: CorsList::default(),
            headers: CorsList::default(),
            exposed_headers: CorsList::default(),
            credentials: false,
            max_age: Duration::from_secs(600),
            private_network: false,
        }
    }
}

/// Methods or header fields: some, or all.
///
/// In a settings file a list of names, or `"any"`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CorsList {
    /// All.
    Any,
    /// These.
    These(Vec<String>),
}

impl Default for CorsList {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

impl<const N: usize> From<[&str; N]> for CorsList {
    fn from(names: [&str; N]) -> Self {
        names.into_iter().collect()
    }
}

impl<S: Into<String>> FromIterator<S> for CorsList {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self::These(names.into_iter().map(Into::into).collect())
    }
}

impl CorsList {
    fn names(&self) -> &[String] {
        match self {
            Self::Any => &[],
            Self::These(names) => names,
        }
    }
}

/// Why a path's settings cannot be used. The caller's fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CorsError {
    /// The path.
    pub path: String,
    /// What is wrong.
    pub fault: CorsFault,
}

/// What is wrong with a [`CorsSettings`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CorsFault {
    /// All origins are allowed, and credentials too: any page could act in its visitor's name.
    CredentialsForAny,
    /// All header fields are exposed, and credentials allowed: browsers take no such permission.
    CredentialsExposeAny,
    /// It is no method.
    Method(String),
    /// It is no name of a header field.
    Header(String),
    /// Another has the same path.
    Twice,
    /// Browsers may remember it for so long, in seconds, at most.
    MaxAge(LimitError),
}

impl CorsSettings {
    fn check(&self) -> Result<(), CorsFault> {
        if self.credentials && self.origins.is_any() {
            return Err(CorsFault::CredentialsForAny);
        }
        if self.credentials && self.exposed_headers == CorsList::Any {
            return Err(CorsFault::CredentialsExposeAny);
        }
        let is_method = |name: &&String| Method::from_bytes(name.as_bytes()).is_ok();
        if let Some(name) = self.methods.names().iter().find(|name| !is_method(name)) {
            return Err(CorsFault::Method(name.clone()));
        }
        // A star among names would be taken for all of them.
        let is_field =
            |name: &&String| *name != "*" && HeaderName::from_bytes(name.as_bytes()).is_ok();
        let fields = self
            .headers
            .names()
            .iter()
            .chain(self.exposed_headers.names());
        for name in fields {
            if !is_field(&name) {
                return Err(CorsFault::Header(name.clone()));
            }
        }
        let seconds = u32::try_from(self.max_age.as_secs()).unwrap_or(u32::MAX);
        LimitError::check("cors.max_age", seconds, 0..=86_400).map_err(CorsFault::MaxAge)
    }
}

/// Whether all of these can be used, together.
pub(crate) fn check(all: &[CorsSettings]) -> Result<(), CorsError> {
    for (index, settings) in all.iter().enumerate() {
        let path = place::path(&settings.path);
        let is_same = |other: &CorsSettings| place::path(&other.path) == path;
        let result = match all[..index].iter().any(is_same) {
            true => Err(CorsFault::Twice),
            false => settings.check(),
        };
        result.map_err(|fault| CorsError {
            path: settings.path.clone(),
            fault,
        })?;
    }
    Ok(())
}

/// Reads all of a file's.
pub(crate) fn checked<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<CorsSettings>, D::Error> {
    let all = Vec::deserialize(deserializer)?;
    check(&all).map_err(serde::de::Error::custom)?;
    Ok(all)
}

/// One text, or a list of texts.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
enum Texts {
    One(String),
    Many(Vec<String>),
}

fn origins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CorsOrigins, D::Error> {
    let text = match Texts::deserialize(deserializer)? {
        Texts::One(text) => text,
        Texts::Many(texts) => texts.join(","),
    };
    text.parse().map_err(serde::de::Error::custom)
}

fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CorsList, D::Error> {
    match Texts::deserialize(deserializer)? {
        Texts::Many(names) => Ok(CorsList::These(names)),
        Texts::One(word) if word == "any" => Ok(CorsList::Any),
        Texts::One(word) => Err(serde::de::Error::custom(format!(
            "`{word}` is neither a list of names nor `any`"
        ))),
    }
}

impl fmt::Display for CorsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "other origins at `{}`: {}",
            self.path, self.fault
        )
    }
}

impl std::error::Error for CorsError {}

impl fmt::Display for CorsFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CredentialsForAny => formatter
                .write_str("credentials cannot be allowed for all origins: list those that may"),
            Self::CredentialsExposeAny => formatter.write_str(
                "with credentials browsers do not take `any` for exposed header fields: list them",
            ),
            Self::Method(name) => write!(formatter, "`{name}` is no method"),
            Self::Header(name) => write!(formatter, "`{name}` is no name of a header field"),
            Self::Twice => formatter.write_str("there is another for this path"),
            Self::MaxAge(error) => error.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<CorsSettings>, String> {
        let settings = toml::from_str::<crate::Settings>(text);
        settings
            .map(|settings| settings.cors)
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_settings_file_has_one_for_each_path() {
        let all = read(
            r#"
            [[cors]]
            path = "/api"
            origins = ["https://a.example", "https://*.b.example"]
            methods = ["GET", "PUT"]
            headers = "any"
            exposed_headers = ["X-Total"]
            credentials = true
            max_age = 60
            private_network = true
            [[cors]]
            origins = "*"
            "#,
        )
        .unwrap();
        let wanted = CorsSettings {
            path: "/api".to_owned(),
            origins: "https://a.example,https://*.b.example".parse().unwrap(),
            methods: ["GET", "PUT"].into(),
            headers: CorsList::Any,
            exposed_headers: ["X-Total"].into(),
            credentials: true,
            max_age: Duration::from_secs(60),
            private_network: true,
        };
        let open = CorsSettings {
            origins: CorsOrigins::any(),
            ..CorsSettings::default()
        };
        assert_eq!(all, [wanted, open]);
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (text, message) in [
            (
                "origins = '*'\ncredentials = true",
                "other origins at `/`: credentials cannot be allowed for all origins: list those that may",
            ),
            (
                "origins = 'https://a.example'\ncredentials = true\nexposed_headers = 'any'",
                "other origins at `/`: with credentials browsers do not take `any` for exposed header fields: list them",
            ),
            (
                "methods = ['GET,PUT']",
                "other origins at `/`: `GET,PUT` is no method",
            ),
            ("methods = ['']", "other origins at `/`: `` is no method"),
            (
                "headers = ['X Y']",
                "other origins at `/`: `X Y` is no name of a header field",
            ),
            (
                "headers = ['*']",
                "other origins at `/`: `*` is no name of a header field",
            ),
            (
                "exposed_headers = ['X:Y']",
                "other origins at `/`: `X:Y` is no name of a header field",
            ),
            (
                "headers = 'all'",
                "`all` is neither a list of names nor `any`",
            ),
            (
                "origins = ['https://a.example/']",
                "`https://a.example/` is no origin as browsers send it: did you mean `https://a.example`?",
            ),
            (
                "max_age = 86401",
                "other origins at `/`: cors.max_age is 86401, allowed are 0 to 86400",
            ),
            (
                "path = '/a/'\n[[cors]]\npath = '/a'",
                "other origins at `/a`: there is another for this path",
            ),
            (
                "origin = '*'",
                "unknown field `origin`, expected one of `path`, `origins`, `methods`, `headers`, `exposed_headers`, `credentials`, `max_age`, `private_network`",
            ),
        ] {
            assert_eq!(read(&format!("[[cors]]\n{text}")).unwrap_err(), message);
        }
        assert!(read("[[cors]]\norigins = 'null'\ncredentials = true").is_ok());
    }
}
