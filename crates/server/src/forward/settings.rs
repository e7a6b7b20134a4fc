//! How a part of the paths is forwarded: plain values that never act.
//!
//! Source: the component's Forward object and its guide on forwarding.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use tidegate_httpapi::{AddressRange, FieldBlock, LimitError};

use super::fault::ForwardFault;
use super::fields::is_own;
use super::url::UpstreamUrl;
use crate::settings::format;

/// Forwards the requests for a part of the paths to other servers.
///
/// A table `[[forward]]` in a settings file, where a time is a number of seconds.
///
/// ```
/// use tidegate::ForwardSettings;
///
/// let mut api = ForwardSettings::new("/api/", ["http://127.0.0.1:9000".parse()?]);
/// api.strip_path = true;
/// let builder = tidegate::Server::builder().forward(api);
/// # Ok::<(), tidegate::UpstreamUrlError>(())
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ForwardSettings {
    /// The paths at and under this one. Default `/`, all. The longest path wins, of all that is served in
    /// place of events.
    pub path: String,
    /// The upstreams, at least one. A path in a URL comes before the path that is forwarded.
    #[schemars(with = "Vec<String>")]
    pub to: Vec<UpstreamUrl>,
    /// Whether [`path`](Self::path) is taken off before the upstream's own is put on. Default false.
    pub strip_path: bool,
    /// Whether escapes that spell a slash or a dot are passed on as they came, where the path came
    /// literally under [`path`](Self::path). Default false: the upstream gets the path that routing went by.
    ///
    /// An upstream that reads such escapes in another way may see another path than whoever decided here.
    pub raw_path: bool,
    /// The `Host` that the upstream sees. Default that of its URL.
    #[schemars(with = "String")]
    pub host: ForwardHost,
    /// An `Origin` in place of the one that came; one that did not come is not made up. Default `None`: as
    /// it came.
    pub origin: Option<String>,
    /// Fields of the request, set in place of those that came.
    pub set_fields: BTreeMap<String, String>,
    /// Fields that are not passed on to the upstream.
    pub remove_fields: Vec<String>,
    /// Fields of the response, set in place of those that came.
    pub set_response_fields: BTreeMap<String, String>,
    /// Fields that are not passed on to the client.
    pub remove_response_fields: Vec<String>,
    /// Which fields tell the upstream of the client. Default both kinds.
    pub forwarded: ForwardedFields,
    /// Whose `Forwarded` and `X-Forwarded-…` fields are believed, and appended to. Those of all others are
    /// dropped. Default nobody.
    ///
    /// In a settings file a list such as `["192.0.2.7", "2001:db8::/32"]`.
    #[serde(deserialize_with = "ranges")]
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<AddressRange>,
    /// What this server is called in `Via`. Default `None`: `tidegate-` and a number that is drawn at start.
    ///
    /// A request in whose `Via` this name stands six times is going round in circles: it is answered with
    /// 508. RFC 9110 §7.6.3.
    pub via: Option<String>,
    /// Whether upstreams are spoken to in HTTP/2. Default [`Auto`](UpstreamHttp2::Auto).
    pub http2: UpstreamHttp2,
    /// How https upstreams are verified, and what they are shown.
    pub tls: UpstreamTls,
    /// Whether WebSocket connections are forwarded. Default true. Upstreams are asked for them in HTTP/1.1.
    pub websockets: bool,
    /// Longest time to connect to an upstream, TLS included. Default 5 s, range 0.001 s to 1 h.
    ///
    /// Then the next upstream is tried, or the answer is 504.
    #[serde(deserialize_with = "format::seconds")]
    pub connect_timeout: Duration,
    /// Longest wait for a response's head, from the last bytes of the request that were sent. Default 60 s,
    /// range 0.001 s to 24 h.
    ///
    /// Then the answer is 504.
    #[serde(deserialize_with = "format::seconds")]
    pub response_timeout: Duration,
    /// Longest pause in a response's content. Default 60 s, range 0.001 s to 24 h.
    ///
    /// Then the connection to the client ends, or its HTTP/2 stream.
    #[serde(deserialize_with = "format::seconds")]
    pub idle_timeout: Duration,
    /// Longest pause of a WebSocket connection, in both directions. Default 1 h, range 1 s to 7 days.
    #[serde(deserialize_with = "format::seconds")]
    pub websocket_idle_timeout: Duration,
    /// How long a connection to an upstream is kept that nobody uses. Default 30 s, range 0 to 24 h; 0 keeps
    /// none.
    #[serde(deserialize_with = "format::seconds")]
    pub pool_idle_timeout: Duration,
    /// Most connections kept for each upstream that nobody uses. Default 64, range 0 to 65,535.
    ///
    /// One without TLS that speaks HTTP/1.1 serves requests of the I/O thread that it was made for.
    pub pool_size: u32,
    /// How often a request is tried again. Default 2, range 0 to 16.
    ///
    /// Only where that is safe: nothing was sent, or a kept connection turned out to be closed, and the
    /// method is idempotent (RFC 9110 §9.2.2) and its content is short and still there.
    pub retries: u32,
    /// Longest head of a response, in bytes. Default 65,536, range 4,096 to 1,048,576. A longer one is 502.
    pub response_head_bytes_max: u32,
    /// Which upstream gets a request.
    pub balance: Balance,
    /// When an upstream gets no requests.
    pub health: HealthSettings,
}

impl Default for ForwardSettings {
    fn default() -> Self {
        Self {
            path: "/".to_owned(),
            to: Vec::new(),
            strip_path: false,
            raw_path: false,
            host: ForwardHost::Upstream,
            origin: None,
            set_fields: BTreeMap::new(),
            remove_fields: Vec::new(),
            set_response_fields: BTreeMap::new(),
            remove_response_fields: Vec::new(),
            forwarded: ForwardedFields::Both,
            trusted_proxies: Vec::new(),
            via: None,
            http2: UpstreamHttp2::Auto,
            tls: UpstreamTls::default(),
            websockets: true,
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            websocket_idle_timeout: Duration::from_secs(3600),
            pool_idle_timeout: Duration::from_secs(30),
            pool_size: 64,
            retries: 2,
            response_head_bytes_max: 65_536,
            balance: Balance::LeastConnections,
            health: HealthSettings::default(),
        }
    }
}

impl ForwardSettings {
    /// Forwards `path` to these upstreams.
    pub fn new(path: impl Into<String>, to: impl IntoIterator<Item = UpstreamUrl>) -> Self {
        Self {
            path: path.into(),
            to: to.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Whether all numbers are in their ranges.
    pub(crate) fn check(&self) -> Result<(), LimitError> {
        let hour = 3600;
        for (name, time, least, most) in [
            ("forward.connect_timeout", self.connect_timeout, 1, hour),
            (
                "forward.response_timeout",
                self.response_timeout,
                1,
                24 * hour,
            ),
            ("forward.idle_timeout", self.idle_timeout, 1, 24 * hour),
            (
                "forward.websocket_idle_timeout",
                self.websocket_idle_timeout,
                1000,
                168 * hour,
            ),
            (
                "forward.pool_idle_timeout",
                self.pool_idle_timeout,
                0,
                24 * hour,
            ),
            ("forward.health.interval", self.health.interval, 100, hour),
            ("forward.health.timeout", self.health.timeout, 1, hour),
        ] {
            if time < Duration::from_millis(least) || time > Duration::from_secs(most) {
                return Err(LimitError {
                    name,
                    value: time.as_secs(),
                    range: least.div_ceil(1000)..=most,
                });
            }
        }
        LimitError::check("forward.pool_size", self.pool_size, 0..=65_535)?;
        LimitError::check("forward.retries", self.retries, 0..=16)?;
        let bytes_max = self.response_head_bytes_max;
        LimitError::check(
            "forward.response_head_bytes_max",
            bytes_max,
            4_096..=1_048_576,
        )?;
        LimitError::check("forward.health.rise", self.health.rise, 1..=1000)?;
        LimitError::check("forward.health.fall", self.health.fall, 1..=1000)
    }

    /// Whether all names, values and paths can be used.
    pub(crate) fn check_texts(&self) -> Result<(), ForwardFault> {
        if self.to.is_empty() {
            return Err(ForwardFault::NoUpstream);
        }
        for (key, fields) in [
            ("set_fields", &self.set_fields),
            ("set_response_fields", &self.set_response_fields),
        ] {
            for (name, value) in fields {
                check_field(key, name, value)?;
            }
        }
        for (key, names) in [
            ("remove_fields", &self.remove_fields),
            ("remove_response_fields", &self.remove_response_fields),
        ] {
            for name in names {
                check_field(key, name, "")?;
            }
        }
        for (key, name, value) in [
            ("origin", "Origin", &self.origin),
            ("via", "Via", &self.via),
            ("tls.server_name", "Host", &self.tls.server_name),
        ] {
            if let Some(value) = value {
                FieldBlock::new()
                    .append(name, value)
                    .map_err(|error| ForwardFault::Field { key, error })?;
            }
        }
        if let Some(via) = &self.via
            && (via.is_empty() || !via.bytes().all(is_pseudonym))
        {
            return Err(ForwardFault::Via(via.clone()));
        }
        if let Some(path) = &self.health.path
            && !(path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return Err(ForwardFault::HealthPath(path.clone()));
        }
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            return Err(ForwardFault::HalfCertificate);
        }
        Ok(())
    }
}

/// RFC 9110 §7.6.3: a pseudonym is a token.
fn is_pseudonym(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn check_field(key: &'static str, name: &str, value: &str) -> Result<(), ForwardFault> {
    FieldBlock::new()
        .append(name, value)
        .map_err(|error| ForwardFault::Field { key, error })?;
    match is_own(name) {
        true => Err(ForwardFault::OwnField {
            key,
            name: name.to_owned(),
        }),
        false => Ok(()),
    }
}

/// The `Host` that an upstream sees.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(from = "String")]
#[non_exhaustive]
pub enum ForwardHost {
    /// Host and port of its URL. `"upstream"` in a settings file.
    #[default]
    Upstream,
    /// The one that the client asked for. `"preserve"` in a settings file.
    Preserve,
    /// This one.
    Name(String),
}

impl From<String> for ForwardHost {
    fn from(text: String) -> Self {
        match &*text {
            "upstream" => Self::Upstream,
            "preserve" => Self::Preserve,
            _ => Self::Name(text),
        }
    }
}

/// Which fields tell an upstream who the client is, which host it asked for, and by which scheme.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ForwardedFields {
    /// `Forwarded` and `X-Forwarded-…`.
    #[default]
    Both,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// `X-Forwarded-For`, `X-Forwarded-Host`, `X-Forwarded-Proto`.
    XForwarded,
    /// None.
    None,
}

impl ForwardedFields {
    pub(crate) fn has_standard(self) -> bool {
        matches!(self, Self::Both | Self::Forwarded)
    }

    pub(crate) fn has_others(self) -> bool {
        matches!(self, Self::Both | Self::XForwarded)
    }
}

/// Whether upstreams are spoken to in HTTP/2.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum UpstreamHttp2 {
    /// Over TLS, where the upstream chooses it (ALPN).
    #[default]
    Auto,
    /// Never.
    Never,
    /// Always: without TLS by prior knowledge (RFC 9113 §3.3). WebSocket goes by HTTP/1.1 nevertheless.
    Always,
}

/// How https upstreams are verified, and what they are shown.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct UpstreamTls {
    /// File with the certificates (PEM) of the authorities that are trusted. Default `None`: those that the
    /// system trusts.
    pub ca: Option<PathBuf>,
    /// The name that the certificate must be for, which is also asked for (SNI). Default `None`: the host of
    /// the URL.
    pub server_name: Option<String>,
    /// Whether any certificate is accepted: whoever is in the way can read and change everything. Default
    /// false. For tests.
    pub danger_accept_invalid_certificates: bool,
    /// File with a certificate and its chain (PEM), shown to upstreams that ask for one.
    pub certificate: Option<PathBuf>,
    /// File with the key (PEM) of [`certificate`](Self::certificate).
    pub key: Option<PathBuf>,
}

/// Which upstream gets a request.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Balance {
    /// The one with the fewest requests in progress; among equals in turn.
    #[default]
    LeastConnections,
    /// Each in turn.
    RoundRobin,
}

/// When an upstream gets no requests.
///
/// One of several gets none for an interval after it has failed `fall` times in a row. With a path, it is
/// asked each interval, and gets none until it has answered well `rise` times in a row.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HealthSettings {
    /// Asked for with GET to learn whether an upstream is well: a status of 200 to 399 says so. Comes behind
    /// the path of its URL. Default `None`: it is not asked.
    pub path: Option<String>,
    /// Time between two questions, and how long an upstream that is not asked gets no requests. Default
    /// 10 s, range 0.1 s to 1 h.
    #[serde(deserialize_with = "format::seconds")]
    pub interval: Duration,
    /// Longest wait for the answer. Default 5 s, range 0.001 s to 1 h.
    #[serde(deserialize_with = "format::seconds")]
    pub timeout: Duration,
    /// Good answers in a row that make it well. Default 2, range 1 to 1000.
    pub rise: u32,
    /// Failures in a row that make it unwell: of requests, or of questions. Default 3, range 1 to 1000.
    pub fall: u32,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            path: None,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            rise: 2,
            fall: 3,
        }
    }
}

/// Reads ranges of addresses.
fn ranges<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AddressRange>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let parsed = texts.iter().map(|text| text.parse());
    parsed
        .collect::<Result<_, _>>()
        .map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::ForwardSettingsError;

    #[test]
    fn a_settings_file_fills_it() {
        let settings: ForwardSettings = toml::from_str(
            r#"
            path = "/api"
            to = ["http://127.0.0.1:9000", "https://b.example/base"]
            host = "preserve"
            forwarded = "x-forwarded"
            trusted_proxies = ["192.0.2.0/24"]
            balance = "round-robin"
            http2 = "never"
            connect_timeout = 0.5
            [set_fields]
            X-Env = "prod"
            [tls]
            ca = "ca.pem"
            [health]
            path = "/health"
            "#,
        )
        .unwrap();
        assert_eq!(settings.to.len(), 2);
        assert_eq!(settings.host, ForwardHost::Preserve);
        assert_eq!(settings.connect_timeout, Duration::from_millis(500));
        assert_eq!(settings.health.path.as_deref(), Some("/health"));
        assert!(settings.check().is_ok() && settings.check_texts().is_ok());
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_key() {
        for (text, said) in [
            ("to = [\"a\"]", "http://"),
            ("balance = \"x\"", "unknown variant"),
            ("trusted_proxies = [\"x\"]", "no range of addresses"),
            ("x = 1", "unknown field"),
            ("[tls]\ninsecure = true", "unknown field"),
        ] {
            let error = toml::from_str::<ForwardSettings>(text).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
        let usual = ForwardSettings::new("/", ["http://a".parse().unwrap()]);
        type Change = fn(&mut ForwardSettings);
        let changes: [(&str, Change); 6] = [
            ("`to`", |settings| settings.to.clear()),
            ("`set_fields`", |settings| {
                settings.set_fields.insert("X".into(), "a\r\nb".into());
            }),
            ("`set_fields`", |settings| {
                settings
                    .set_fields
                    .insert("Content-Length".into(), "1".into());
            }),
            ("`remove_fields`", |settings| {
                settings.remove_fields.push("Host".into())
            }),
            ("`via`", |settings| settings.via = Some("a b".into())),
            ("`tls.key`", |settings| {
                settings.tls.certificate = Some("a".into())
            }),
        ];
        for (said, change) in changes {
            let mut settings = usual.clone();
            change(&mut settings);
            let fault = settings.check_texts().unwrap_err();
            let path = "/".to_owned();
            let error = ForwardSettingsError { path, fault };
            assert!(error.to_string().contains(said), "{error}");
        }
        let mut settings = usual.clone();
        settings.connect_timeout = Duration::ZERO;
        assert_eq!(
            settings.check().unwrap_err().name,
            "forward.connect_timeout"
        );
    }
}
