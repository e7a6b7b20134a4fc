//! Where metrics are told, and to whom.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_httpapi::{Host, Scheme, UrlPrefix};

use crate::binding::Binding;

/// Whether what the server counts can be read over HTTP, in the text formats of Prometheus.
///
/// In a settings file: `[metrics]`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MetricsSettings {
    /// Whether it can be. Default false.
    pub enabled: bool,
    /// Where: a binding with the path. Default `http://localhost:9464/metrics/`, which answers on loopback
    /// addresses only, and only to who asks for one of these or for `localhost`.
    ///
    /// It has a request queue of its own: an application that is overloaded does not keep it from answering.
    /// Nothing of the application's rules about who may come in holds there. Who is to read it from elsewhere
    /// needs another binding, such as `https://+:9464/metrics/`, and should have a `token_file`. On a port of
    /// the application it needs the host of the application's binding: `+` is searched before all others.
    #[schemars(with = "crate::settings::schema::TextOr<crate::binding::BindingParts>")]
    pub url: Binding,
    /// A file whose first line is the token that readers must show (`Authorization: Bearer …`, RFC 6750).
    /// Default `None`: they need none. It is read when the server starts.
    pub token_file: Option<PathBuf>,
    /// Whether it is measured how long requests take. Default true; only while `enabled` is.
    ///
    /// Off, a request costs two looks at the clock less.
    pub latency: bool,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        let localhost = Host::Name {
            name: "localhost".into(),
            subdomains: false,
            address: None,
        };
        Self {
            enabled: false,
            url: Binding::from(UrlPrefix {
                scheme: Scheme::Http,
                host: localhost,
                // The port of Prometheus exporters for OpenTelemetry, which nothing else has.
                port: 9464,
                path: "/metrics/".into(),
            }),
            token_file: None,
            latency: true,
        }
    }
}

impl MetricsSettings {
    /// Whether the driver is to measure how long requests take.
    pub(crate) fn measures_latency(&self) -> bool {
        self.enabled && self.latency
    }

    /// The token that readers must show.
    pub(super) fn read_token(&self) -> Result<Option<Box<[u8]>>, MetricsError> {
        let Some(path) = &self.token_file else {
            return Ok(None);
        };
        let error = |fault| MetricsError {
            token_file: path.clone(),
            fault,
        };
        let text = read_short(path).map_err(|source| error(MetricsFault::Read(source.into())))?;
        let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let token = line.trim_ascii();
        if token.len() < TOKEN_BYTES_MIN {
            return Err(error(MetricsFault::TooShort));
        }
        // RFC 6750 §2.1.
        let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
        match token.iter().all(is_of_token) {
            true => Ok(Some(token.into())),
            false => Err(error(MetricsFault::Malformed)),
        }
    }
}

/// A file that is longer than any token is not read to its end.
fn read_short(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read as _;

    let mut text = Vec::new();
    std::fs::File::open(path)?
        .take(16 * 1024)
        .read_to_end(&mut text)?;
    Ok(text)
}

/// Shorter ones are guessed.
const TOKEN_BYTES_MIN: usize = 16;

/// Why metrics cannot be told as the settings say.
#[derive(Clone, Debug)]
pub struct MetricsError {
    /// The file of the token.
    pub token_file: PathBuf,
    /// What is wrong with it.
    pub fault: MetricsFault,
}

/// What is wrong with the file of a token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MetricsFault {
    /// It cannot be read.
    Read(Arc<io::Error>),
    /// Its first line has fewer than 16 characters.
    TooShort,
    /// Its first line has a character that no token may have.
    Malformed,
}

impl fmt::Display for MetricsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.token_file.display();
        match &self.fault {
            MetricsFault::Read(_) => {
                write!(formatter, "metrics.token_file `{file}` cannot be read")
            }
            MetricsFault::TooShort => write!(
                formatter,
                "the first line of metrics.token_file `{file}` is shorter than a token of {TOKEN_BYTES_MIN} characters"
            ),
            MetricsFault::Malformed => write!(
                formatter,
                "the first line of metrics.token_file `{file}` is no token: letters, digits and -._~+/= only"
            ),
        }
    }
}

impl std::error::Error for MetricsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            MetricsFault::Read(error) => Some(error),
            MetricsFault::TooShort | MetricsFault::Malformed => None,
        }
    }
}

impl MetricsError {
    pub(crate) fn way_out(&self) -> Option<&'static str> {
        match self.fault {
            MetricsFault::Read(_) => None,
            MetricsFault::TooShort | MetricsFault::Malformed => {
                Some("write a long random one into it, such as `openssl rand -hex 32` gives")
            }
        }
    }
}
