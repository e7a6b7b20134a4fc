//! Which requests are for the same response.
//!
//! A key is the URL as it was cooked, query included, with the host as it was asked for, and whose it is:
//! the registration that routing found and the queue that it leads to. Routing decides first, so that what
//! one application has answered is never given to who asks another. The method is always GET; what
//! `Vary` says does not count. Source: http-server-api §8, C5.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use tidegate_httpapi::{Registration, RequestQueueId};

use crate::listen::PortKey;

/// What a request asks for, as the cache keys it.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The listener's port.
    pub port: PortKey,
    /// The registration it was routed to.
    pub registration: &'a Arc<Registration>,
    /// The queue of that registration's group.
    pub queue: RequestQueueId,
    /// The host it names, with the port behind it if one is written; empty: none.
    ///
    /// The port is part of it because an application may build links of it: who names another must not get
    /// these stored for all.
    pub host: &'a [u8],
    /// The path.
    pub path: KeyedPath<'a>,
    /// The query, without its `?`.
    pub query: Option<&'a [u8]>,
}

/// A path as a key has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyedPath<'a> {
    /// The cooked path: the raw one cannot be read as another.
    Cooked(&'a str),
    /// The raw path, and what became of it. An application that goes by the raw path may read it otherwise
    /// than routing does, so that the answer to it is no answer to what it was cooked to.
    Raw {
        /// As it was received.
        raw: &'a [u8],
        /// As it was cooked.
        cooked: &'a str,
    },
}

impl<'a> KeyedPath<'a> {
    /// The path of a request.
    ///
    /// Escapes are the same as what they stand for (RFC 3986 §6.2.2.2), but for those of characters that
    /// mean something in a path when they are not escaped (§2.2). Backslashes, dot segments and empty ones
    /// are no part of the same path.
    #[inline]
    pub fn of(raw: &'a [u8], cooked: &'a str) -> Self {
        match raw == cooked.as_bytes() || spells(raw, cooked.as_bytes()) {
            true => Self::Cooked(cooked),
            false => Self::Raw { raw, cooked },
        }
    }

    /// The cooked path.
    pub fn cooked(self) -> &'a str {
        match self {
            Self::Cooked(cooked) | Self::Raw { cooked, .. } => cooked,
        }
    }

    #[inline]
    fn bytes(self) -> &'a [u8] {
        match self {
            Self::Cooked(cooked) => cooked.as_bytes(),
            Self::Raw { raw, .. } => raw,
        }
    }

    #[inline]
    fn is_raw(self) -> bool {
        matches!(self, Self::Raw { .. })
    }
}

/// Whether a raw path spells this one and can be read as no other.
#[inline(never)]
fn spells(raw: &[u8], cooked: &[u8]) -> bool {
    // RFC 3986 §6.2.3: an empty path is that of the root.
    if raw.is_empty() {
        return cooked == b"/";
    }
    let mut rest = raw;
    let mut expected = cooked.iter();
    while let Some((&byte, after)) = rest.split_first() {
        let (stands_for, after) = match (byte, after) {
            (b'%', [high, low, after @ ..]) => match hex_byte(*high, *low) {
                Some(escaped) if !means_more_unescaped(escaped) => (escaped, after),
                _ => return false,
            },
            _ => (byte, after),
        };
        if expected.next() != Some(&stands_for) {
            return false;
        }
        rest = after;
    }
    expected.next().is_none()
}

/// Whether a character may stand in a path as it is and is not the same when it is escaped: the delimiters
/// of RFC 3986 §2.2 that §3.3 allows, the slash, and the backslash that routing takes for one.
fn means_more_unescaped(byte: u8) -> bool {
    b"/\\!$&'()*+,;=:@".contains(&byte)
}

fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    Some((digit(high)? << 4 | digit(low)?) as u8)
}

impl Wanted<'_> {
    /// A number that is the same for the same key; with a `build` whose seed nobody knows, nobody can find
    /// keys with the same number.
    #[inline]
    pub fn hash(&self, build: &impl BuildHasher) -> u64 {
        let mut hasher = build.build_hasher();
        // The pointer stands for the registration, which is held by whatever is stored for it.
        hasher.write_usize(Arc::as_ptr(self.registration) as usize);
        hash_in_lower_case(&mut hasher, self.host);
        let path = self.path.bytes();
        let lengths = [self.host.len(), path.len()].map(|length| length as u64);
        hasher.write_u64(lengths[0] << 32 ^ lengths[1] << 1 ^ u64::from(self.path.is_raw()));
        hasher.write(path);
        if let Some(query) = self.query {
            hasher.write_u8(b'?');
            hasher.write(query);
        }
        // One bit less, so that there are numbers that are no key's.
        hasher.finish() >> 1
    }
}

/// Most hosts fit into one block.
const HOST_BLOCK: usize = 64;

#[inline]
fn hash_in_lower_case(hasher: &mut impl Hasher, host: &[u8]) {
    for piece in host.chunks(HOST_BLOCK) {
        let mut lower = [0; HOST_BLOCK];
        let lower = &mut lower[..piece.len()];
        lower.copy_from_slice(piece);
        lower.make_ascii_lowercase();
        hasher.write(lower);
    }
}

/// The key of a stored response.
#[derive(Clone, Debug)]
pub struct CacheKey {
    port: PortKey,
    registration: Arc<Registration>,
    queue: RequestQueueId,
    host: Box<[u8]>,
    path: Box<[u8]>,
    /// The cooked path, where `path` is the raw one.
    cooked: Option<Box<str>>,
    query: Option<Box<[u8]>>,
}

impl CacheKey {
    /// The key of what a request asks for.
    pub fn of(wanted: &Wanted<'_>) -> Self {
        Self {
            port: wanted.port,
            registration: Arc::clone(wanted.registration),
            queue: wanted.queue,
            host: wanted.host.to_ascii_lowercase().into(),
            path: wanted.path.bytes().into(),
            cooked: match wanted.path {
                KeyedPath::Cooked(_) => None,
                KeyedPath::Raw { cooked, .. } => Some(cooked.into()),
            },
            query: wanted.query.map(Into::into),
        }
    }

    /// Whether it is the key of what a request asks for.
    #[inline]
    pub fn is_of(&self, wanted: &Wanted<'_>) -> bool {
        self.is_owned_by(wanted.registration, wanted.queue)
            && *self.path == *wanted.path.bytes()
            && self.query.as_deref() == wanted.query
            && self.host.eq_ignore_ascii_case(wanted.host)
            && self.cooked.is_some() == wanted.path.is_raw()
    }

    /// Whether it is this registration's, and this queue's.
    #[inline]
    pub fn is_owned_by(&self, registration: &Arc<Registration>, queue: RequestQueueId) -> bool {
        Arc::ptr_eq(&self.registration, registration) && self.queue == queue
    }

    /// The port of the listener.
    pub fn port(&self) -> PortKey {
        self.port
    }

    /// The registration whose application gave the response.
    pub fn registration(&self) -> &Arc<Registration> {
        &self.registration
    }

    /// The queue that owns the response.
    pub fn queue(&self) -> RequestQueueId {
        self.queue
    }

    /// The host as it was asked for, in lower case, without a port; empty: none.
    pub fn host(&self) -> &str {
        let host = std::str::from_utf8(&self.host).unwrap_or_default();
        match host.strip_prefix('[').and_then(|rest| rest.find(']')) {
            Some(end) => &host[..end + 2],
            None => host.split(':').next().unwrap_or_default(),
        }
    }

    /// The cooked path.
    pub fn cooked_path(&self) -> &str {
        match &self.cooked {
            Some(cooked) => cooked,
            None => std::str::from_utf8(&self.path).unwrap_or_default(),
        }
    }

    /// The query, without its `?`.
    pub fn query(&self) -> Option<&[u8]> {
        self.query.as_deref()
    }

    /// Memory that it takes beside its own size.
    pub(crate) fn bytes(&self) -> usize {
        let cooked = self.cooked.as_deref().map_or(0, str::len);
        let query = self.query.as_deref().map_or(0, <[u8]>::len);
        self.host.len() + self.path.len() + cooked + query
    }
}

/// The URL, as it is shown to people.
impl fmt::Display for CacheKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = &self.registration.prefix;
        let path = self.cooked_path();
        match self.host() {
            "" => write!(formatter, "{}://{}", prefix.scheme, prefix.host)?,
            host => write!(formatter, "{}://{host}", prefix.scheme)?,
        }
        write!(formatter, ":{}{path}", prefix.port)?;
        match &self.query {
            Some(query) => write!(formatter, "?{}", String::from_utf8_lossy(query)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::RandomState;

    use tidegate_httpapi::UrlPrefix;

    use super::*;

    #[test]
    fn a_path_is_keyed_by_what_it_was_cooked_to_unless_it_may_be_read_otherwise() {
        let same = [
            ("/a", "/a"),
            ("", "/"),
            ("/%61", "/a"),
            ("/a%20b", "/a b"),
            ("/%C3%A4", "/ä"),
            ("/a%3fb", "/a?b"),
            ("/a%23b%25", "/a#b%"),
            ("/%7Euser/%2D", "/~user/-"),
            ("/%2541", "/%41"),
        ];
        for (raw, cooked) in same {
            let keyed = KeyedPath::of(raw.as_bytes(), cooked);
            assert_eq!(keyed, KeyedPath::Cooked(cooked), "{raw}");
        }
        let others = [
            ("/a%2Fb", "/a/b"),
            ("/a%5cb", "/a/b"),
            ("/a\\b", "/a/b"),
            ("//a", "/a"),
            ("/./a", "/a"),
            ("/b/../a", "/a"),
            ("/b/%2e%2E/a", "/a"),
            ("/%u0061", "/a"),
            ("/a%3Bb", "/a;b"),
            ("/a%40b", "/a@b"),
            ("/a%2Bb", "/a+b"),
            ("/%C0%A4", "/%C0%A4x"),
            ("/a", "/ab"),
            ("/ab", "/a"),
            ("/%6", "/a"),
            ("/%", "/"),
            ("", "/a"),
        ];
        for (raw, cooked) in others {
            let keyed = KeyedPath::of(raw.as_bytes(), cooked);
            let raw = raw.as_bytes();
            assert_eq!(keyed, KeyedPath::Raw { raw, cooked }, "{cooked}");
        }
    }

    fn registration(prefix: &str) -> Arc<Registration> {
        Arc::new(Registration {
            prefix: UrlPrefix::parse(prefix).unwrap(),
            context: 0,
        })
    }

    #[test]
    fn keys_are_the_same_for_the_same_url_of_the_same_owner() {
        let (own, other) = (registration("http://+:80/"), registration("http://+:80/"));
        let base = Wanted {
            port: PortKey::Tcp(80),
            registration: &own,
            queue: RequestQueueId(1),
            host: b"a.example:8080",
            path: KeyedPath::Cooked("/a"),
            query: Some(b"x=1"),
        };
        let key = CacheKey::of(&base);
        let build = RandomState::new();
        let same = Wanted {
            host: b"A.Example:8080",
            ..base
        };
        assert!(key.is_of(&base) && key.is_of(&same));
        assert_eq!(base.hash(&build), same.hash(&build));
        // Cases C05, C16; an owner that is another.
        let others = [
            Wanted {
                query: Some(b"x=2"),
                ..base
            },
            Wanted {
                query: None,
                ..base
            },
            Wanted {
                query: Some(b""),
                ..base
            },
            Wanted {
                path: KeyedPath::Cooked("/A"),
                ..base
            },
            Wanted {
                path: KeyedPath::Raw {
                    raw: b"/a",
                    cooked: "/a",
                },
                ..base
            },
            Wanted {
                path: KeyedPath::Cooked("/a?x=1"),
                query: None,
                ..base
            },
            Wanted {
                host: b"a.example",
                ..base
            },
            Wanted { host: b"", ..base },
            Wanted {
                registration: &other,
                ..base
            },
            Wanted {
                queue: RequestQueueId(2),
                ..base
            },
        ];
        for other in &others {
            assert!(!key.is_of(other), "{other:?}");
            let same_hash = base.hash(&build) == other.hash(&build);
            assert!(!same_hash || other.queue != base.queue, "{other:?}");
        }
    }

    #[test]
    fn what_is_shown_is_the_url() {
        let own = registration("https://+:8443/");
        let mut wanted = Wanted {
            port: PortKey::Tcp(8443),
            registration: &own,
            queue: RequestQueueId(1),
            host: b"A.example:1",
            path: KeyedPath::Raw {
                raw: b"//a",
                cooked: "/a",
            },
            query: Some(b"b"),
        };
        let shown = |wanted: &Wanted<'_>| CacheKey::of(wanted).to_string();
        assert_eq!(shown(&wanted), "https://a.example:8443/a?b");
        wanted.host = b"[::1]:8443";
        assert_eq!(shown(&wanted), "https://[::1]:8443/a?b");
        wanted.host = b"";
        wanted.query = None;
        assert_eq!(shown(&wanted), "https://+:8443/a");
    }

    #[test]
    fn long_hosts_are_hashed_whole() {
        let own = registration("http://+:80/");
        let build = RandomState::new();
        let hash = |host: &[u8]| {
            let wanted = Wanted {
                port: PortKey::Tcp(80),
                registration: &own,
                queue: RequestQueueId(1),
                host,
                path: KeyedPath::Cooked("/"),
                query: None,
            };
            wanted.hash(&build)
        };
        let long = [b'a'; 3 * HOST_BLOCK + 1];
        let mut other = long;
        assert_eq!(hash(&long), hash(&long.to_ascii_uppercase()));
        other[3 * HOST_BLOCK] = b'b';
        assert_ne!(hash(&long), hash(&other));
    }
}
