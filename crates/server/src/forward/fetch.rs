//! Asks another server for something that the component itself needs: a document of bounded length, in bounded time.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tidegate_httpapi::FieldBlock;
use tokio::time::timeout;

use super::error::ForwardFailure;
use super::fault::ForwardFault;
use super::head::Outgoing;
use super::probe;
use super::settings::{ForwardSettings, UpstreamHttp2, UpstreamTls};
use super::upstream::Upstream;
use super::url::{UpstreamUrl, UpstreamUrlError};

/// Gets the document of one URL. Redirections are not followed: who answers for it is the setting's choice.
pub(crate) struct Fetcher {
    upstream: Arc<Upstream>,
    /// Path and query.
    target: String,
    patience: Duration,
    bytes_max: usize,
}

/// A document, or that it is still the one that is known.
pub(crate) struct Fetched {
    /// `None` with status 304.
    pub(crate) content: Option<Vec<u8>>,
    pub(crate) entity_tag: Option<Vec<u8>>,
    pub(crate) cache_control: Option<Vec<u8>>,
}

impl Fetcher {
    /// `ca` as in [`UpstreamTls`]. All of it, from connecting to the last byte, has to be done within `patience`.
    pub(crate) fn new(
        url: &str,
        ca: Option<PathBuf>,
        patience: Duration,
        bytes_max: usize,
    ) -> Result<Self, FetcherFault> {
        let (place, target) = split(url);
        let place: UpstreamUrl = place.parse().map_err(FetcherFault::Url)?;
        let is_target = |byte: u8| byte.is_ascii_graphic() && !b"#\\".contains(&byte);
        if !target.bytes().all(is_target) {
            return Err(FetcherFault::Target);
        }
        let is_here = matches!(place.host(), "localhost" | "[::1]")
            || place
                .host()
                .parse()
                .is_ok_and(|address: std::net::Ipv4Addr| address.is_loopback());
        if !place.is_secure() && !is_here {
            return Err(FetcherFault::Insecure);
        }
        let settings = ForwardSettings {
            http2: UpstreamHttp2::Never,
            connect_timeout: patience,
            ..ForwardSettings::new("/", [place.clone()])
        };
        let tls = UpstreamTls {
            ca,
            ..UpstreamTls::default()
        };
        let upstream = Upstream::new(place, &settings, &tls).map_err(|fault| match fault {
            ForwardFault::Tls { reason, .. } => FetcherFault::Tls(reason),
            other => FetcherFault::Tls(format!("{other:?}")),
        })?;
        Ok(Self {
            upstream: Arc::new(upstream),
            target: target.to_owned(),
            patience,
            bytes_max,
        })
    }

    /// The document, unless it is still the one that has `entity_tag`.
    pub(crate) async fn get(&self, entity_tag: Option<&[u8]>) -> Result<Fetched, FetchError> {
        let got = timeout(self.patience, self.exchange(entity_tag)).await;
        got.unwrap_or(Err(FetchError::TimedOut))
    }

    async fn exchange(&self, entity_tag: Option<&[u8]>) -> Result<Fetched, FetchError> {
        let mut outgoing = Outgoing::get(&self.target);
        let mut fields = FieldBlock::new();
        let mut add = |name: &str, value: &[u8]| {
            // An entity tag came as a field's value, and so it is one.
            fields
                .append(name, value)
                .map_err(|error| FetchError::Answer(ForwardFailure::Field(error)))
        };
        add("Accept", b"application/json, */*;q=0.1")?;
        if let Some(tag) = entity_tag {
            add("If-None-Match", tag)?;
        }
        outgoing.fields = fields;
        let (mut exchange, _in_flight) = probe::begin_exchange(&self.upstream, &outgoing).await?;
        let head = loop {
            let head = poll_fn(|context| exchange.poll_head(context)).await?;
            if head.status >= 200 {
                break head;
            }
        };
        let field = |name: &str| head.fields.value(name).map(<[u8]>::to_vec);
        let mut fetched = Fetched {
            content: None,
            entity_tag: field("ETag"),
            cache_control: field("Cache-Control"),
        };
        match head.status {
            200 => {}
            304 if entity_tag.is_some() => return Ok(fetched),
            status => return Err(FetchError::Status(status)),
        }
        let mut content = Vec::new();
        while let Some(piece) = poll_fn(|context| exchange.poll_chunk(context)).await {
            let piece = piece.map_err(FetchError::Content)?;
            if content.len() + piece.len() > self.bytes_max {
                return Err(FetchError::TooLong(self.bytes_max));
            }
            content.extend_from_slice(&piece);
        }
        fetched.content = Some(content);
        Ok(fetched)
    }
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.upstream.url;
        formatter
            .debug_struct("Fetcher")
            .field("url", url)
            .finish_non_exhaustive()
    }
}

/// Where to connect to, and what to ask for there.
fn split(url: &str) -> (&str, &str) {
    let authority = url.find("://").map_or(0, |at| at + 3);
    match url[authority..].find(['/', '?']) {
        Some(at) if url[authority + at..].starts_with('/') => url.split_at(authority + at),
        Some(_) => (url, ""),
        None => (url, "/"),
    }
}

/// Why nothing can be asked for. The caller's fault.
#[derive(Debug)]
pub(crate) enum FetcherFault {
    Url(UpstreamUrlError),
    /// Its path has what must be escaped, or a fragment.
    Target,
    /// Not https, and not of this machine.
    Insecure,
    /// The authorities that are trusted cannot be had.
    Tls(String),
}

impl fmt::Display for FetcherFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => error.fmt(formatter),
            Self::Target => formatter.write_str("the path has a fragment or what must be escaped"),
            Self::Insecure => formatter.write_str(
                "use https: over http, whoever is in the way could answer (http only to this machine itself)",
            ),
            Self::Tls(reason) => formatter.write_str(reason),
        }
    }
}

/// Why there is no document. The other server's fault, or the network's.
#[derive(Debug)]
pub(crate) enum FetchError {
    /// There was no answer.
    Answer(ForwardFailure),
    /// It has another status than 200.
    Status(u16),
    /// It is longer than this many bytes.
    TooLong(usize),
    /// It broke off.
    Content(io::Error),
    TimedOut,
}

impl From<ForwardFailure> for FetchError {
    fn from(failure: ForwardFailure) -> Self {
        Self::Answer(failure)
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(failure) => failure.fmt(formatter),
            Self::Status(status @ 300..400) => {
                write!(
                    formatter,
                    "the answer is {status}, and redirections are not followed"
                )
            }
            Self::Status(status) => write!(formatter, "the answer is {status}"),
            Self::TooLong(bytes) => write!(formatter, "the answer is longer than {bytes} bytes"),
            Self::Content(_) => formatter.write_str("the answer broke off"),
            Self::TimedOut => formatter.write_str("there was no whole answer in time"),
        }
    }
}

impl Error for FetchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Content(error) => Some(error),
            // What is known of the failure is in its text.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_place_and_what_is_asked_for_there() {
        for (url, parts) in [
            ("https://a/b/c?d=e", ("https://a", "/b/c?d=e")),
            ("https://a:1", ("https://a:1", "/")),
            ("https://[::1]:1/x", ("https://[::1]:1", "/x")),
        ] {
            assert_eq!(split(url), parts);
        }
    }

    #[test]
    fn what_others_could_answer_is_not_asked_for() {
        let make = |url: &str| Fetcher::new(url, None, Duration::from_secs(1), 1);
        for url in [
            "http://127.0.0.1:1/x",
            "http://[::1]/x?y",
            "http://localhost/",
        ] {
            assert!(make(url).is_ok(), "{url}");
        }
        for url in [
            "http://issuer.example/",
            "http://127.0.0.1.example/",
            "http://localhost.example/",
        ] {
            assert!(matches!(make(url), Err(FetcherFault::Insecure)), "{url}");
        }
        for url in [
            "ftp://a/",
            "issuer.example/keys",
            "http://user@localhost/",
            "http://localhost?x",
        ] {
            assert!(matches!(make(url), Err(FetcherFault::Url(_))), "{url}");
        }
        for url in [
            "http://localhost/a b",
            "http://localhost/#a",
            "http://localhost/\r\n",
        ] {
            assert!(matches!(make(url), Err(FetcherFault::Target)), "{url}");
        }
    }
}
