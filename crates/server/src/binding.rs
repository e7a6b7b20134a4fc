//! Bindings: where a server listens and which part of the URL space it serves there.
//!
//! Text becomes a [`Binding`] here, once; nothing listens yet. Which host forms exist and how they
//! rank is [`UrlPrefix`]'s matter. Source: the component's Host, Port and Bindings properties.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tidegate_httpapi::{HttpProtocols, PrefixError, Scheme, UrlPrefix};

use crate::proxy_protocol::ProxyProtocol;
use crate::settings::schema::SwitchOr;
use crate::tls::SslOptions;
use crate::tls::file::{ProtocolWord, SslTable, SslValue, some_protocols};

/// One endpoint of a server: a URL prefix, or a Unix socket and the path served there.
///
/// Written as a whole prefix, `http://+:8080/api/` or `https://+:8443/`, or as `unix:/run/app.sock`; the
/// latter may name a path after another colon, `unix:/run/app.sock:/api/`. In a settings file it may also
/// be a table with `host`, `port` and `path`, or `unix` and `path`, with `context`, with `protocols`, with
/// `proxy_protocol`, and with `ssl`: true for https with the server's options, or a table with its own.
///
/// ```
/// # fn main() -> Result<(), tidegate::BindingError> {
/// let api: tidegate::Binding = "http://localhost:8080/api/".parse()?;
/// assert_eq!(api, tidegate::Binding::new("localhost", 8080, "/api/")?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Binding {
    place: Place,
    context: u64,
    ssl: Option<SslOptions>,
    protocols: Option<HttpProtocols>,
    proxy_protocol: Option<ProxyProtocol>,
}

/// Where a binding listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    Prefix(UrlPrefix),
    Unix { socket: PathBuf, path: Box<str> },
}

impl Binding {
    /// Plain HTTP on `host` and `port`, for the URLs under `path`.
    ///
    /// `host` is a name, an address, `+` or `*`. `0.0.0.0` and `::`, which are no hosts that a URL
    /// could name, mean `+`. A `/` is added to `path` where it has none at its end.
    ///
    /// # Errors
    ///
    /// The prefix is malformed; the error names the part.
    pub fn new(host: &str, port: u16, path: &str) -> Result<Self, BindingError> {
        Self::with_scheme(Scheme::Http, host, port, path)
    }

    /// As [`new`](Self::new), over TLS. Its certificate is that of the server's
    /// [`ssl_options`](crate::ServerBuilder::ssl_options), or [its own](Self::with_ssl).
    ///
    /// # Errors
    ///
    /// The prefix is malformed; the error names the part.
    pub fn https(host: &str, port: u16, path: &str) -> Result<Self, BindingError> {
        Self::with_scheme(Scheme::Https, host, port, path)
    }

    pub(crate) fn with_scheme(
        scheme: Scheme,
        host: &str,
        port: u16,
        path: &str,
    ) -> Result<Self, BindingError> {
        let host = match host {
            "0.0.0.0" | "::" | "[::]" => "+".to_owned(),
            address if address.contains(':') && !address.starts_with('[') => format!("[{address}]"),
            name => name.to_owned(),
        };
        let path = if path.is_empty() { "/" } else { path };
        format!("{scheme}://{host}:{port}{path}").parse()
    }

    /// A Unix socket, for the URLs under `path`, whatever host they name.
    ///
    /// # Errors
    ///
    /// `socket` is empty, or `path` is none that a prefix may have.
    pub fn unix(socket: impl Into<PathBuf>, path: &str) -> Result<Self, BindingError> {
        let socket = socket.into();
        let refuse = |fault| BindingError {
            text: format!("unix:{}:{path}", socket.display()),
            fault,
        };
        if socket.as_os_str().is_empty() {
            return Err(refuse(BindingFault::SocketMissing));
        }
        match UrlPrefix::parse_path(path) {
            Ok(path) => Ok(Self::at(Place::Unix { socket, path })),
            Err(error) => Err(refuse(BindingFault::Prefix(error))),
        }
    }

    /// The same binding with a number that comes back with each of its requests, as
    /// [`Request::url_context`](crate::Request::url_context). Default 0.
    #[must_use]
    pub fn with_context(self, context: u64) -> Self {
        Self { context, ..self }
    }

    /// The same binding over TLS, with options of its own in place of the server's. A Unix socket has no
    /// TLS: starting fails.
    #[must_use]
    pub fn with_ssl(mut self, options: SslOptions) -> Self {
        self.secure();
        self.ssl = Some(options);
        self
    }

    /// The same binding with these versions of HTTP in place of the server's. Bindings without TLS that
    /// share a port must agree, and so must https bindings that share a certificate. Unix sockets have no
    /// choice: starting fails.
    #[must_use]
    pub fn with_protocols(self, protocols: HttpProtocols) -> Self {
        Self {
            protocols: Some(protocols),
            ..self
        }
    }

    /// The same binding with connections that begin with a PROXY header, or do not, in place of the server's.
    /// Bindings that share a port must agree. Unix sockets have no choice: starting fails.
    #[must_use]
    pub fn with_proxy_protocol(self, proxy_protocol: ProxyProtocol) -> Self {
        Self {
            proxy_protocol: Some(proxy_protocol),
            ..self
        }
    }

    /// The number that comes back with each request.
    pub fn context(&self) -> u64 {
        self.context
    }

    /// Its own options, where it has any.
    pub fn ssl(&self) -> Option<&SslOptions> {
        self.ssl.as_ref()
    }

    /// Its own versions of HTTP, where it has any.
    pub fn protocols(&self) -> Option<HttpProtocols> {
        self.protocols
    }

    /// Its own word on PROXY headers, where it has one.
    pub fn proxy_protocol(&self) -> Option<&ProxyProtocol> {
        self.proxy_protocol.as_ref()
    }

    fn at(place: Place) -> Self {
        Self {
            place,
            context: 0,
            ssl: None,
            protocols: None,
            proxy_protocol: None,
        }
    }

    fn secure(&mut self) {
        if let Place::Prefix(prefix) = &mut self.place {
            prefix.scheme = Scheme::Https;
        }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Whether both are registered as the same: all but certificate and protocols.
    pub(crate) fn is_same_registration(&self, other: &Self) -> bool {
        self.place == other.place && self.context == other.context
    }

    /// Whether only one of both can be registered: a place has one binding, a port one scheme.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        match (&self.place, &other.place) {
            (Place::Prefix(one), Place::Prefix(two)) if one.scheme != two.scheme => {
                one.port == two.port
            }
            (one, two) => one == two,
        }
    }

    /// The URL prefix, unless this is a Unix socket.
    pub fn prefix(&self) -> Option<&UrlPrefix> {
        match &self.place {
            Place::Prefix(prefix) => Some(prefix),
            Place::Unix { .. } => None,
        }
    }

    /// The socket's file and the path served there, if this is a Unix socket.
    pub fn unix_socket(&self) -> Option<(&Path, &str)> {
        match &self.place {
            Place::Prefix(_) => None,
            Place::Unix { socket, path } => Some((socket, path)),
        }
    }
}

impl From<UrlPrefix> for Binding {
    fn from(prefix: UrlPrefix) -> Self {
        Self::at(Place::Prefix(prefix))
    }
}

impl FromStr for Binding {
    type Err = BindingError;

    fn from_str(text: &str) -> Result<Self, BindingError> {
        if let Some(rest) = text.strip_prefix("unix:") {
            // A colon may stand in a file's name; one before a slash is taken as the separator.
            return match rest.rsplit_once(":/") {
                Some((socket, path)) => Self::unix(socket, &format!("/{path}")),
                None => Self::unix(rest, "/"),
            };
        }
        match UrlPrefix::parse(text) {
            Ok(prefix) => Ok(prefix.into()),
            Err(error) => Err(BindingError {
                text: text.to_owned(),
                fault: BindingFault::Prefix(error),
            }),
        }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Prefix(prefix) => prefix.fmt(formatter),
            Place::Unix { socket, path } => write!(formatter, "unix:{}:{path}", socket.display()),
        }
    }
}

/// Why a text is no binding. The caller's fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BindingError {
    /// The text refused.
    pub text: String,
    /// Which part of it.
    pub fault: BindingFault,
}

/// Which part of a binding is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BindingFault {
    /// The URL prefix, or the path served on a Unix socket.
    Prefix(PrefixError),
    /// `unix:` is not followed by a file's path.
    SocketMissing,
}

impl fmt::Display for BindingError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` is no binding", self.text)?;
        match &self.fault {
            // The source says which part.
            BindingFault::Prefix(_) => Ok(()),
            BindingFault::SocketMissing => formatter.write_str(": the socket's path is missing"),
        }
    }
}

impl std::error::Error for BindingError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            BindingFault::Prefix(error) => Some(error),
            BindingFault::SocketMissing => None,
        }
    }
}

impl<'de> Deserialize<'de> for Binding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BindingVisitor)
    }
}

struct BindingVisitor;

impl<'de> Visitor<'de> for BindingVisitor {
    type Value = Binding;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a URL prefix, `unix:` and a path, or a table with host, port and path")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Binding, E> {
        text.parse().map_err(|error| E::custom(with_cause(&error)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Binding, A::Error> {
        let parts = BindingParts::deserialize(MapAccessDeserializer::new(map))?;
        let binding = match (&parts.unix, &parts.host, parts.port) {
            (Some(socket), None, None) => Binding::unix(socket, &parts.path),
            (None, Some(host), Some(port)) => Binding::new(host, port, &parts.path),
            _ => {
                return Err(A::Error::custom(
                    "a binding has either `host` and `port`, or `unix`",
                ));
            }
        };
        match binding {
            Ok(binding) => parts.complete(binding).map_err(A::Error::custom),
            Err(error) => Err(A::Error::custom(with_cause(&error))),
        }
    }
}

/// A binding as a table: `host` and `port`, or `unix`. As a text it is a whole prefix, such as
/// `http://+:8080/api/`, or `unix:/run/site.sock`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BindingParts {
    /// A name, an address, `+` or `*`.
    host: Option<String>,
    /// The port. Range 1 to 65,535.
    port: Option<u16>,
    /// A Unix socket.
    unix: Option<PathBuf>,
    /// The path; what is under it belongs to it. Default `/`.
    #[serde(default = "root_path")]
    path: String,
    /// A number that requests have which came here: [`Request::url_context`](crate::Request::url_context).
    #[serde(default)]
    context: u64,
    /// Whether it is https, and what secures it in place of the table `ssl` above all bindings.
    #[schemars(with = "Option<SwitchOr<SslTable>>")]
    ssl: Option<SslValue>,
    /// The versions of HTTP that are offered, in place of `protocols` above all tables.
    #[serde(default, deserialize_with = "some_protocols")]
    #[schemars(with = "Option<Vec<ProtocolWord>>")]
    protocols: Option<HttpProtocols>,
    /// Whether connections begin with a PROXY header, and who is believed, in place of `proxy_protocol` above
    /// all tables.
    #[schemars(with = "Option<SwitchOr<Vec<String>>>")]
    proxy_protocol: Option<ProxyProtocol>,
}

impl BindingParts {
    fn complete(self, binding: Binding) -> Result<Binding, &'static str> {
        let is_chosen =
            self.ssl.is_some() || self.protocols.is_some() || self.proxy_protocol.is_some();
        if self.unix.is_some() && is_chosen {
            return Err("a Unix socket has neither `ssl`, `protocols` nor `proxy_protocol`");
        }
        let mut binding = binding.with_context(self.context);
        binding.protocols = self.protocols;
        binding.proxy_protocol = self.proxy_protocol;
        match self.ssl {
            Some(ssl) if ssl.enabled => {
                binding.secure();
                binding.ssl = ssl.options;
            }
            _ => {}
        }
        Ok(binding)
    }
}

fn root_path() -> String {
    "/".to_owned()
}

/// A settings file's reader keeps the text of an error only, so the cause has to be in it.
fn with_cause(error: &BindingError) -> String {
    match &error.fault {
        BindingFault::Prefix(cause) => format!("{error}: {cause}"),
        BindingFault::SocketMissing => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcard_addresses_mean_every_host() {
        let every_host = Binding::new("+", 8080, "/").unwrap();
        for host in ["0.0.0.0", "::", "[::]"] {
            assert_eq!(Binding::new(host, 8080, "").unwrap(), every_host, "{host}");
        }
    }

    #[test]
    fn an_ipv6_address_needs_no_brackets() {
        let bare = Binding::new("::1", 8080, "/a").unwrap();
        assert_eq!(bare, Binding::new("[::1]", 8080, "/a/").unwrap());
    }

    #[test]
    fn a_unix_socket_may_name_a_path() {
        let binding: Binding = "unix:/run/app.sock:/api".parse().unwrap();
        let (socket, path) = binding.unix_socket().unwrap();
        assert_eq!((socket, path), (Path::new("/run/app.sock"), "/api/"));
        let binding: Binding = "unix:/run/app.sock".parse().unwrap();
        assert_eq!(binding.unix_socket().unwrap().1, "/");
    }

    #[test]
    fn a_bad_binding_is_refused_with_its_text() {
        for bad in ["unix:", "http://", "localhost:80"] {
            let error = bad.parse::<Binding>().unwrap_err();
            assert!(error.to_string().contains(bad), "{error}");
        }
    }
}
