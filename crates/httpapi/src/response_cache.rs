//! The response cache as whoever looks after it sees it: what is in it, what it has counted, and what is
//! to be flushed.
//!
//! Source: `HttpFlushResponseCache`, the performance counters of the HTTP service, `netsh http show
//! cachestate`; http-server-api §8 and §13.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::backend::RequestQueueId;
use crate::cache_policy::CachePolicy;
use crate::error::ApiError;
use crate::url_prefix::{Host, PrefixError, Scheme, UrlPrefix};

/// A response that is in the cache.
///
/// Its `Display` is the description that administrators know, a label and a value in each line.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CachedResponse {
    /// The URL whose copy it is: scheme, host as it was asked for, the port of its registration, the
    /// cooked path and the query.
    pub url: String,
    /// Its status.
    pub status: u16,
    /// What it was asked for.
    pub policy: CachePolicy,
    /// How long it still lasts; `None` where no time ends it.
    pub time_left: Option<Duration>,
    /// When it was stored.
    pub created: SystemTime,
    /// The queue that owns it.
    pub queue: RequestQueueId,
    /// Its `Content-Type`.
    pub content_type: String,
    /// Its `Content-Encoding`; `None`: it is not encoded.
    pub content_encoding: Option<String>,
    /// The length of its head as HTTP/1 sends it, in bytes.
    pub head_bytes: usize,
    /// The length of its content, in bytes.
    pub content_bytes: usize,
    /// How often it was served.
    pub hits: u64,
    /// Whether a connection ends after it was served on it.
    pub force_disconnect: bool,
}

impl CachedResponse {
    /// A copy of a response of a URL. The other fields are to be set.
    pub fn new(url: String, queue: RequestQueueId, created: SystemTime) -> Self {
        Self {
            url,
            status: 200,
            policy: CachePolicy::UserInvalidates,
            time_left: None,
            created,
            queue,
            content_type: String::new(),
            content_encoding: None,
            head_bytes: 0,
            content_bytes: 0,
            hits: 0,
            force_disconnect: false,
        }
    }
}

impl fmt::Display for CachedResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let created = self.created.duration_since(SystemTime::UNIX_EPOCH);
        let created = Utc(created.unwrap_or_default().as_secs());
        writeln!(formatter, "URL: {}", self.url)?;
        writeln!(formatter, "    Status code: {}", self.status)?;
        writeln!(formatter, "    HTTP verb: GET")?;
        writeln!(formatter, "    Cache policy type: {}", self.policy)?;
        if let Some(left) = self.time_left {
            writeln!(formatter, "    Cache entry TTL: {}", left.as_secs())?;
        }
        writeln!(formatter, "    Creation time: {created}")?;
        writeln!(formatter, "    Request queue name: {}", self.queue.0)?;
        writeln!(formatter, "    Content type: {}", self.content_type)?;
        let encoding = self.content_encoding.as_deref().unwrap_or("(null)");
        writeln!(formatter, "    Content encoding: {encoding}")?;
        writeln!(formatter, "    Headers length: {}", self.head_bytes)?;
        writeln!(formatter, "    Content length: {}", self.content_bytes)?;
        writeln!(formatter, "    Hit count: {}", self.hits)?;
        let disconnect = match self.force_disconnect {
            true => "TRUE",
            false => "FALSE",
        };
        writeln!(
            formatter,
            "    Force disconnect after serving: {disconnect}"
        )
    }
}

/// A time in seconds since 1970, to be read by people.
struct Utc(u64);

impl fmt::Display for Utc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, time) = (self.0 / 86_400, self.0 % 86_400);
        // Counted in years that begin in March, so that a leap day ends its year; 719,468 days lie between
        // 0000-03-01 and 1970-01-01, 146,097 days are 400 years.
        let days = days + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = (month_from_march + 2) % 12 + 1;
        let year = era * 400 + year_of_era + u64::from(month < 3);
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        write!(
            formatter,
            "{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC"
        )
    }
}

/// What the response cache has counted since the backend started, and what it holds now.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct CacheCounters {
    /// Responses in it now.
    pub cached: u64,
    /// Memory that these take, in bytes.
    pub bytes: u64,
    /// Responses put into it; one that replaces another counts too.
    pub added: u64,
    /// Responses taken out before their time: flushed, or because their registration or queue has gone.
    pub flushed: u64,
    /// Responses taken out because they were too old or nobody had asked for them.
    pub scavenged: u64,
    /// Responses taken out to make room for others.
    pub evicted: u64,
    /// Requests answered from it.
    pub hits: u64,
    /// Requests that could have been, if what they ask for had been in it. Not counted while it is empty.
    pub misses: u64,
    /// The hits of each queue that has had any and is there still.
    pub queue_hits: Vec<(RequestQueueId, u64)>,
}

/// What is to be flushed from the response cache.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CacheFlush {
    /// Everything.
    All,
    /// The response of this URL.
    Url(CacheUrl),
    /// The responses of this URL and of all below it, by segments, whatever their queries: `/a/` means
    /// `/a` and `/a/b`, not `/ab`.
    Tree(CacheUrl),
}

/// A URL, or the path of one at any host and port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CacheUrl {
    /// Scheme, host and port; `None`: any. The host is the one that requests name, or that of the
    /// registration which serves them: `http://+:80/a` means what the registration for `+` has.
    pub site: Option<CacheSite>,
    /// The path as it stands in the URL. Letter case does not count.
    pub path: Box<str>,
    /// The query.
    pub query: Option<Box<str>>,
}

/// Scheme, host and port of a URL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CacheSite {
    /// The scheme.
    pub scheme: Scheme,
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
}

impl CacheUrl {
    /// Reads `http://host:port/path?query`, of which scheme, host and port may be left out together, and
    /// the port alone where it is the scheme's own.
    ///
    /// # Errors
    ///
    /// The first part that is wrong. The caller's fault.
    pub fn parse(url: &str) -> Result<Self, ApiError> {
        let (rest, query) = match url.split_once('?') {
            Some((rest, query)) => (rest, Some(query.into())),
            None => (url, None),
        };
        if rest.contains('#') {
            return Err(ApiError::CacheUrl { url: url.into() });
        }
        let (site, path) = match rest.starts_with('/') {
            true => (None, rest),
            false => {
                let (site, path) = split_path(rest);
                (Some(CacheSite::parse(site)?), path)
            }
        };
        Ok(Self {
            site,
            path: match path {
                "" => "/".into(),
                path => path.into(),
            },
            query,
        })
    }
}

impl CacheSite {
    fn parse(site: &str) -> Result<Self, PrefixError> {
        let prefix = match UrlPrefix::parse(&format!("{site}/")) {
            Err(PrefixError::PortMissing { .. }) => {
                let port = match site.starts_with("https:") {
                    true => 443,
                    false => 80,
                };
                UrlPrefix::parse(&format!("{site}:{port}/"))
            }
            parsed => parsed,
        }?;
        Ok(Self {
            scheme: prefix.scheme,
            host: prefix.host,
            port: prefix.port,
        })
    }
}

/// Cuts a URL before its path.
fn split_path(url: &str) -> (&str, &str) {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let path = url[authority..].find('/').map(|at| authority + at);
    url.split_at(path.unwrap_or(url.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let parse = |url| CacheUrl::parse(url).unwrap();
        let url = parse("http://A.example:8080/a%20b/?c=d?e");
        let site = url.site.unwrap();
        assert_eq!((site.scheme, site.port), (Scheme::Http, 8080));
        assert_eq!(site.host.to_string(), "a.example");
        assert_eq!(&*url.path, "/a%20b/");
        assert_eq!(url.query.as_deref(), Some("c=d?e"));
        let url = parse("https://[::1]");
        let site = url.site.unwrap();
        assert_eq!((site.scheme, site.port), (Scheme::Https, 443));
        assert_eq!((&*url.path, url.query), ("/", None));
        let url = parse("/a/");
        assert_eq!((url.site, &*url.path), (None, "/a/"));
        assert_eq!(
            parse("http://+:80/").site.unwrap().host,
            Host::StrongWildcard
        );
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for bad in [
            "",
            "a",
            "a/b",
            "ftp://h:80/",
            "http://h:0/",
            "http://h:99999/",
            "http://",
            "http:///a",
            "/a#b",
        ] {
            assert!(CacheUrl::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_response_is_described_as_administrators_know_it() {
        let created = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let mut response =
            CachedResponse::new("http://h:80/a?b".into(), RequestQueueId(7), created);
        response.policy = CachePolicy::TimeToLive(Duration::from_secs(10));
        response.time_left = Some(Duration::from_millis(8_500));
        response.content_type = "text/plain".into();
        let text = response.to_string();
        let labels: Vec<_> = text
            .lines()
            .map(|line| line.split(':').next().unwrap_or_default().trim())
            .collect();
        assert_eq!(
            labels,
            [
                "URL",
                "Status code",
                "HTTP verb",
                "Cache policy type",
                "Cache entry TTL",
                "Creation time",
                "Request queue name",
                "Content type",
                "Content encoding",
                "Headers length",
                "Content length",
                "Hit count",
                "Force disconnect after serving",
            ]
        );
        assert!(text.starts_with("URL: http://h:80/a?b\n"));
        assert!(text.contains("Cache entry TTL: 8\n"));
        assert!(text.contains("Creation time: 1994-11-06 08:49:37 UTC\n"));
    }
}
