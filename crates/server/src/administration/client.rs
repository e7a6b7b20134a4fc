//! A client of a server's administration, for programs on the same machine or elsewhere: it waits for answers.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidegate_admission::administrator::{AdministratorToken, TokenError};
use tidegate_httpapi::{Host, OpenConnection, RequestLimits, Scheme, ServiceState, UrlPrefix};
use tidegate_proto::http1::{AnswerFraming, ChunkStep, ChunkedDecoder, parse_answer};

use super::announcement::RunningServer;
use super::sample::{Cached, Live, Namespace, ServerInfo};
use crate::forward::{ForwardFault, UpstreamTls, client_config};

/// A client of a server's administration. Good on every thread; requests go one after the other.
///
/// ```no_run
/// use tidegate::AdministrationClient;
///
/// # fn main() -> Result<(), tidegate::AdministrationClientError> {
/// let client = AdministrationClient::find(None)?;
/// println!("{} connections", client.live()?.connections);
/// client.flush_cache(Some("/news/"), true)?;
/// # Ok(())
/// # }
/// ```
pub struct AdministrationClient {
    url: String,
    scheme: Scheme,
    host: String,
    port: u16,
    path: String,
    token: AdministratorToken,
    tls: UpstreamTls,
    /// Kept between requests. Held while one is made.
    connection: Mutex<Option<Wire>>,
}

/// Why a server's administration could not be asked, or did not do what it was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum AdministrationClientError {
    /// There is no folder to look for servers in.
    NoStateFolder,
    /// The folder cannot be read.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No server runs here, or none has its administration switched on.
    NoneRuns {
        /// The folder that was looked in.
        folder: PathBuf,
    },
    /// Several servers run here.
    SeveralRun(Vec<RunningServer>),
    /// The URL is none.
    Url(String),
    /// There is no token in the file.
    Token(TokenError),
    /// TLS cannot be spoken as asked.
    Tls(String),
    /// The server cannot be reached, or does not answer.
    Unreachable {
        /// Where its administration should be.
        url: String,
        /// Why.
        source: io::Error,
    },
    /// What answered is no administration of this version.
    Foreign {
        /// Where its administration should be.
        url: String,
        /// What is odd.
        what: String,
    },
    /// The server refuses.
    Refused {
        /// The status.
        status: u16,
        /// What the server says.
        message: String,
    },
}

impl fmt::Display for AdministrationClientError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStateFolder => {
                formatter.write_str("the user has no folder in which servers would be told of")
            }
            Self::Folder { path, .. } => write!(formatter, "cannot read {}", path.display()),
            Self::NoneRuns { folder } => write!(
                formatter,
                "no server with an administration runs here, by {}; `tidegate serve --administration` starts one, \
                 and --token-file finds one whose token is elsewhere",
                folder.display()
            ),
            Self::SeveralRun(servers) => {
                formatter.write_str("several servers run here; name one:")?;
                servers.iter().try_for_each(|server| {
                    write!(formatter, "\n  {} (process {})", server.url, server.process)
                })
            }
            Self::Url(url) => write!(
                formatter,
                "`{url}` is no URL of an administration, such as http://localhost:9180/tidegate/"
            ),
            Self::Token(error) => error.fmt(formatter),
            Self::Tls(reason) => formatter.write_str(reason),
            Self::Unreachable { url, .. } => write!(formatter, "no server answers at {url}"),
            Self::Foreign { url, what } => {
                write!(
                    formatter,
                    "what answers at {url} is no administration: {what}"
                )
            }
            Self::Refused { status: 401, .. } => formatter.write_str(
                "the server refuses (401): it has another token; --token-file names the file with its own",
            ),
            Self::Refused { status, message } => {
                write!(formatter, "the server refuses ({status}): {message}")
            }
        }
    }
}

impl std::error::Error for AdministrationClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Folder { source, .. } | Self::Unreachable { source, .. } => Some(source),
            Self::Token(error) => error.source(),
            _ => None,
        }
    }
}

impl AdministrationClient {
    /// A client of the server that runs on this machine and is told of beside this file of a token; `None`: where
    /// [`token_file`](super::AdministrationSettings::token_file) is by default.
    ///
    /// # Errors
    ///
    /// None runs, several do, or the token cannot be read.
    pub fn find(token_file: Option<&Path>) -> Result<Self, AdministrationClientError> {
        let folder = folder_of(token_file)?;
        let servers =
            RunningServer::list(&folder).map_err(|source| AdministrationClientError::Folder {
                path: folder.clone(),
                source,
            })?;
        // Some may have been killed. One that cannot be asked is told of if it is the only one.
        let mut found: Vec<_> = servers
            .iter()
            .filter(|server| Self::of(server).is_ok_and(|client| client.is_there()))
            .collect();
        if found.is_empty() && servers.len() == 1 {
            found.extend(&servers);
        }
        match found[..] {
            [] => Err(AdministrationClientError::NoneRuns { folder }),
            [server] => Self::of(server),
            _ => {
                let servers = found.into_iter().cloned().collect();
                Err(AdministrationClientError::SeveralRun(servers))
            }
        }
    }

    /// A client of a server that is told of.
    ///
    /// # Errors
    ///
    /// Its token cannot be read.
    pub fn of(server: &RunningServer) -> Result<Self, AdministrationClientError> {
        Self::new(&server.url, Some(&server.token_file))
    }

    /// A client of the server whose administration has this URL, with the token of a file; `None`: where
    /// [`token_file`](super::AdministrationSettings::token_file) is by default.
    ///
    /// # Errors
    ///
    /// The URL is none, or the token cannot be read. Nothing is asked yet.
    pub fn new(url: &str, token_file: Option<&Path>) -> Result<Self, AdministrationClientError> {
        let token_file = match token_file {
            Some(file) => file.to_owned(),
            None => default_token_file()?,
        };
        let token =
            AdministratorToken::read(&token_file).map_err(AdministrationClientError::Token)?;
        let refuse = || AdministrationClientError::Url(url.to_owned());
        let prefix = UrlPrefix::parse(&with_port(url)).map_err(|_| refuse())?;
        let host = match &prefix.host {
            Host::Name {
                name,
                subdomains: false,
                ..
            } => name.to_string(),
            Host::Address(address) => address.to_string(),
            _ => return Err(refuse()),
        };
        Ok(Self {
            url: url.to_owned(),
            scheme: prefix.scheme,
            host,
            port: prefix.port,
            path: prefix.path.into(),
            token,
            tls: UpstreamTls::default(),
            connection: Mutex::default(),
        })
    }

    /// Sets whom an https server has to be vouched for by.
    #[must_use]
    pub fn with_tls(mut self, tls: UpstreamTls) -> Self {
        self.tls = tls;
        self
    }

    /// Where the administration is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What runs there.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn server(&self) -> Result<ServerInfo, AdministrationClientError> {
        self.get_as("api/server")
    }

    /// The last live values.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn live(&self) -> Result<Live, AdministrationClientError> {
        self.get_as("api/live")
    }

    /// The live values that are kept, the oldest first.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn history(&self) -> Result<Vec<Live>, AdministrationClientError> {
        self.get_as("api/history")
    }

    /// Sessions, URL groups and request queues, with what they have counted.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn service_state(&self) -> Result<ServiceState, AdministrationClientError> {
        self.get_as("api/state")
    }

    /// Open connections, in the order of their numbers, as many as the server tells of at once; `after` is the last
    /// number that is known already.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn connections(
        &self,
        after: Option<u64>,
    ) -> Result<Vec<OpenConnection>, AdministrationClientError> {
        let after = after.map_or_else(String::new, |after| format!("?after={after}"));
        #[derive(serde::Deserialize)]
        struct Answer {
            http: Vec<OpenConnection>,
        }
        let answer: Answer = self.get_as(&format!("api/connections{after}"))?;
        Ok(answer.http)
    }

    /// Disconnects a connection: one of HTTP by its number, one of WebSocket by its Guid. Says whether there was one.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn disconnect(&self, connection: &str) -> Result<bool, AdministrationClientError> {
        let path = format!("api/connections/{}/disconnect", escaped(connection));
        match self.post(&path, &Value::Null) {
            Err(AdministrationClientError::Refused { status: 404, .. }) => Ok(false),
            answer => answer.map(|_| true),
        }
    }

    /// The responses in the cache, those of this URL or below it, or all.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn cached(&self, url: Option<&str>) -> Result<Vec<Cached>, AdministrationClientError> {
        let url = url.map_or_else(String::new, |url| format!("?url={}", escaped(url)));
        #[derive(serde::Deserialize)]
        struct Answer {
            responses: Vec<Cached>,
        }
        let answer: Answer = self.get_as(&format!("api/cache{url}"))?;
        Ok(answer.responses)
    }

    /// Flushes cached responses: of a URL, with `recursive` of all below it too; `None`: all. Says how many there
    /// were.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn flush_cache(
        &self,
        url: Option<&str>,
        recursive: bool,
    ) -> Result<u64, AdministrationClientError> {
        let asked = match url {
            Some(url) => json!({ "url": url, "recursive": recursive }),
            None => json!({}),
        };
        let answer = self.post("api/cache/flush", &asked)?;
        answer["flushed"]
            .as_u64()
            .ok_or_else(|| self.foreign("it does not say how many were flushed"))
    }

    /// Has all that logs have taken so far written to their files.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn flush_logs(&self) -> Result<(), AdministrationClientError> {
        self.post("api/logs/flush", &Value::Null).map(drop)
    }

    /// What URLs are registered, and which certificates are bound.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn namespace(&self) -> Result<Namespace, AdministrationClientError> {
        self.get_as("api/namespace")
    }

    /// A link that signs a browser in, once and within an hour.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn sign_in_link(&self) -> Result<String, AdministrationClientError> {
        let answer = self.post("api/sign-in-link", &Value::Null)?;
        answer["url"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| self.foreign("it gives no link"))
    }

    /// Asks for what is at a path below the administration's URL, such as `api/state`.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or refuses, or is none.
    pub fn get(&self, path: &str) -> Result<Value, AdministrationClientError> {
        self.get_as(path)
    }

    /// Has something done that is at a path below the administration's URL, such as `api/cache/flush`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn post(&self, path: &str, content: &Value) -> Result<Value, AdministrationClientError> {
        self.read(self.ask("POST", path, Some(content))?)
    }

    fn get_as<T: DeserializeOwned>(&self, path: &str) -> Result<T, AdministrationClientError> {
        self.read(self.ask("GET", path, None)?)
    }

    fn read<T: DeserializeOwned>(
        &self,
        (status, content): (u16, Vec<u8>),
    ) -> Result<T, AdministrationClientError> {
        if status != 200 {
            let told: Option<Value> = serde_json::from_slice(&content).ok();
            let message = told.as_ref().and_then(|told| told["error"].as_str());
            return Err(AdministrationClientError::Refused {
                status,
                message: message.unwrap_or("no reason is given").to_owned(),
            });
        }
        serde_json::from_slice(&content).map_err(|error| self.foreign(&error.to_string()))
    }

    fn foreign(&self, what: &str) -> AdministrationClientError {
        AdministrationClientError::Foreign {
            url: self.url.clone(),
            what: what.to_owned(),
        }
    }

    /// Whether the server answers at all.
    pub(super) fn is_there(&self) -> bool {
        !matches!(
            self.server(),
            Err(AdministrationClientError::Unreachable { .. })
        )
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        content: Option<&Value>,
    ) -> Result<(u16, Vec<u8>), AdministrationClientError> {
        let content = content.map(Value::to_string);
        let mut head = format!(
            "{method} {}{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nAccept: application/json\r\n",
            self.path,
            self.authority(),
            self.token.as_str()
        );
        if let Some(content) = &content {
            let length = content.len();
            head.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {length}\r\n"
            ));
        }
        head.push_str("\r\n");
        head.push_str(content.as_deref().unwrap_or_default());
        let unreachable = |source| AdministrationClientError::Unreachable {
            url: self.url.clone(),
            source,
        };
        let mut kept = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(wire) = kept.take() {
            // The server may have ended it meanwhile. What changes something is not asked for twice.
            match exchange(wire, &head) {
                Ok((answer, wire)) => {
                    *kept = wire;
                    return Ok(answer);
                }
                Err(error) if method != "GET" => return Err(unreachable(error)),
                Err(_) => {}
            }
        }
        let (answer, wire) = exchange(self.connect()?, &head).map_err(unreachable)?;
        *kept = wire;
        Ok(answer)
    }

    fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    fn connect(&self) -> Result<Wire, AdministrationClientError> {
        let unreachable = |source| AdministrationClientError::Unreachable {
            url: self.url.clone(),
            source,
        };
        let stream = self.connect_tcp().map_err(unreachable)?;
        if self.scheme == Scheme::Http {
            return Ok(Wire::Plain(stream));
        }
        let config: ClientConfig = client_config(&self.tls).map_err(|fault| {
            AdministrationClientError::Tls(match fault {
                ForwardFault::Tls { key, reason } => format!("{key}: {reason}"),
                fault => format!("{fault:?}"),
            })
        })?;
        let name = self.tls.server_name.clone();
        let name = name.unwrap_or_else(|| self.host.clone());
        let name = ServerName::try_from(name)
            .map_err(|error| AdministrationClientError::Tls(error.to_string()))?;
        let connection = ClientConnection::new(Arc::new(config), name)
            .map_err(|error| AdministrationClientError::Tls(error.to_string()))?;
        Ok(Wire::Tls(Box::new(StreamOwned::new(connection, stream))))
    }

    fn connect_tcp(&self) -> io::Result<TcpStream> {
        let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in (&*self.host, self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT_WAIT_MAX) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(ANSWER_WAIT_MAX))?;
                    stream.set_write_timeout(Some(ANSWER_WAIT_MAX))?;
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

impl fmt::Debug for AdministrationClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AdministrationClient")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(bytes),
            Self::Tls(stream) => stream.read(bytes),
        }
    }

    /// Appends what comes next.
    fn read_more(&mut self, received: &mut Vec<u8>) -> io::Result<()> {
        let before = received.len();
        received.resize(before + READ_BYTES, 0);
        let count = self.read(&mut received[before..]);
        received.truncate(before + *count.as_ref().unwrap_or(&0));
        match count? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

type Answer = (u16, Vec<u8>);

/// Sends a request and waits for its answer; the connection, if it can be used again.
fn exchange(mut wire: Wire, request: &str) -> io::Result<(Answer, Option<Wire>)> {
    let odd = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    wire.write_all(request.as_bytes())?;
    let limits = RequestLimits::default();
    let (mut received, mut spans, mut seen) = (Vec::new(), Vec::new(), 0);
    let head = loop {
        let parsed = parse_answer(&received, seen, false, &limits, &mut spans)
            .map_err(|fault| odd(fault.to_string()))?;
        match parsed {
            // An interim answer, behind which comes the one that is meant.
            Some(head) if head.status < 200 => {
                received.drain(..head.head_bytes);
                seen = 0;
            }
            Some(head) => break head,
            None => {
                seen = received.len();
                wire.read_more(&mut received)?;
            }
        }
    };
    received.drain(..head.head_bytes);
    let mut content = Vec::new();
    match head.framing {
        AnswerFraming::None => {}
        AnswerFraming::Length(length) if length > CONTENT_BYTES_MAX => {
            return Err(odd(format!("an answer of {length} bytes")));
        }
        AnswerFraming::Length(length) => {
            while (received.len() as u64) < length {
                wire.read_more(&mut received)?;
            }
            content = received;
            content.truncate(length as usize);
        }
        AnswerFraming::Chunked => {
            let mut decoder = ChunkedDecoder::new();
            loop {
                let step = decoder
                    .decode(&received, &limits)
                    .map_err(|rule| odd(rule.detail().to_owned()))?;
                match step {
                    ChunkStep::NeedMore { .. } => {
                        received.clear();
                        wire.read_more(&mut received)?;
                    }
                    ChunkStep::Data { range, consumed } => {
                        content.extend_from_slice(&received[range]);
                        received.drain(..consumed);
                    }
                    ChunkStep::End { .. } => break,
                }
                if content.len() as u64 > CONTENT_BYTES_MAX {
                    return Err(odd("an answer without an end".to_owned()));
                }
            }
        }
        AnswerFraming::UntilClose => return Err(odd("an answer without a length".to_owned())),
    }
    let kept = (!head.close).then_some(wire);
    Ok(((head.status, content), kept))
}

/// A text as a part of a query or a path.
fn escaped(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes())
        .map(|part| part.replace('+', "%20"))
        .collect()
}

/// The URL with the port that its scheme has, where it names none, and with a slash behind it.
fn with_port(url: &str) -> String {
    let default = match url.split_once("://") {
        Some(("https", _)) => 443,
        _ => 80,
    };
    let start = url.find("://").map_or(0, |index| index + 3);
    let end = url[start..]
        .find('/')
        .map_or(url.len(), |index| start + index);
    let (authority, path) = (&url[start..end], &url[end..]);
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let port = if has_port {
        String::new()
    } else {
        format!(":{default}")
    };
    let path = if path.is_empty() { "/" } else { path };
    format!("{}{authority}{port}{path}", &url[..start])
}

fn default_token_file() -> Result<PathBuf, AdministrationClientError> {
    let settings = super::AdministrationSettings::default();
    settings
        .token_path()
        .ok_or(AdministrationClientError::NoStateFolder)
}

fn folder_of(token_file: Option<&Path>) -> Result<PathBuf, AdministrationClientError> {
    let file = match token_file {
        Some(file) => std::path::absolute(file).unwrap_or_else(|_| file.to_owned()),
        None => default_token_file()?,
    };
    Ok(file.parent().unwrap_or(Path::new("/")).to_owned())
}

const CONNECT_WAIT_MAX: Duration = Duration::from_secs(3);
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);
const READ_BYTES: usize = 16 * 1024;
const CONTENT_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_lack_what_goes_without_saying() {
        for (url, whole) in [
            ("http://a", "http://a:80/"),
            ("https://a/b", "https://a:443/b"),
            ("http://a:1", "http://a:1/"),
            ("http://[::1]/x/", "http://[::1]:80/x/"),
            ("http://[::1]:5/x/", "http://[::1]:5/x/"),
            ("nothing", "nothing:80/"),
        ] {
            assert_eq!(with_port(url), whole);
        }
    }
}
