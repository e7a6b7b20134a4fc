//! What is flushed, and what was flushed lately.
//!
//! The latter because an application may have been making an answer meanwhile, of what it knew before: such
//! an answer must not be stored. Source: `HttpFlushResponseCache`; http-server-api §8.

use std::collections::VecDeque;
use std::net::IpAddr;

use tidegate_httpapi::{Host, RequestQueueId, Scheme, fold_case, fold_path};

use super::key::CacheKey;

/// Which keys a flush means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FlushPattern {
    /// Only what this queue owns.
    pub owner: Option<RequestQueueId>,
    /// Only at this place.
    pub site: Option<FlushSite>,
    /// Only this path, folded, without a slash at its end; `None`: any.
    path: Option<Box<str>>,
    /// Whether what is below the path is meant as well, whatever its query.
    is_tree: bool,
    query: Option<Box<[u8]>>,
}

/// Scheme, host and port of what is flushed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FlushSite {
    /// The scheme.
    pub scheme: Scheme,
    /// The host that requests name, or that of the registration.
    pub host: Host,
    /// The port of the registration.
    pub port: u16,
}

impl FlushPattern {
    /// Everything, or all that a queue owns.
    pub fn all(owner: Option<RequestQueueId>) -> Self {
        Self {
            owner,
            site: None,
            path: None,
            is_tree: true,
            query: None,
        }
    }

    /// One URL.
    pub fn url(
        owner: Option<RequestQueueId>,
        site: Option<FlushSite>,
        cooked_path: &str,
        query: Option<&[u8]>,
    ) -> Self {
        Self {
            owner,
            site,
            path: Some(fold_path(cooked_path)),
            is_tree: false,
            query: query.map(Into::into),
        }
    }

    /// A URL and what is below it, by segments.
    pub fn tree(owner: Option<RequestQueueId>, site: Option<FlushSite>, cooked_path: &str) -> Self {
        let path = cooked_path.strip_suffix('/').unwrap_or(cooked_path);
        Self {
            owner,
            site,
            path: Some(fold_path(path)),
            is_tree: true,
            query: None,
        }
    }

    /// Whether this key is meant.
    pub fn means(&self, key: &CacheKey) -> bool {
        let is_owner = |owner| owner == key.queue();
        self.owner.is_none_or(is_owner)
            && self.site.as_ref().is_none_or(|site| site.is_of(key))
            && self
                .path
                .as_deref()
                .is_none_or(|path| self.means_path(path, key))
    }

    fn means_path(&self, path: &str, key: &CacheKey) -> bool {
        let mut rest = key.cooked_path().chars().map(fold_case);
        let begins = path.chars().all(|character| rest.next() == Some(character));
        if !begins {
            return false;
        }
        match (self.is_tree, rest.next()) {
            (true, next) => matches!(next, None | Some('/')),
            (false, None) => self.query.as_deref() == key.query(),
            (false, Some(_)) => false,
        }
    }
}

impl FlushSite {
    fn is_of(&self, key: &CacheKey) -> bool {
        let prefix = &key.registration().prefix;
        self.scheme == prefix.scheme
            && self.port == prefix.port
            && (self.host == prefix.host || self.is_asked_for_by(key.host()))
    }

    fn is_asked_for_by(&self, host: &str) -> bool {
        match &self.host {
            Host::Address(address) => {
                let literal = host
                    .strip_prefix('[')
                    .and_then(|rest| rest.strip_suffix(']'));
                literal.unwrap_or(host).parse::<IpAddr>().ok() == Some(*address)
            }
            Host::Name { name, address, .. } => {
                let is_sub_domain = matches!(
                    self.host,
                    Host::Name {
                        subdomains: true,
                        ..
                    }
                );
                !is_sub_domain && address.is_none() && host == &**name
            }
            Host::StrongWildcard | Host::WeakWildcard => false,
        }
    }
}

/// The flushes of late, so many that whatever is in progress finds those that concern it.
#[derive(Debug, Default)]
pub(super) struct RecentFlushes {
    /// The change that each was, and what it meant; in order.
    flushes: VecDeque<(u64, FlushPattern)>,
    /// The last change of those that are not known any more.
    forgotten: u64,
}

impl RecentFlushes {
    pub(super) fn add(&mut self, change: u64, pattern: FlushPattern) {
        if self.flushes.len() == FLUSHES_KEPT
            && let Some((change, _)) = self.flushes.pop_front()
        {
            self.forgotten = change;
        }
        self.flushes.push_back((change, pattern));
    }

    /// Whether a key was, or may have been, flushed after this change.
    pub(super) fn mean_since(&self, change: u64, key: &CacheKey) -> bool {
        self.forgotten > change
            || self
                .flushes
                .iter()
                .rev()
                .take_while(|(at, _)| *at > change)
                .any(|(_, pattern)| pattern.means(key))
    }
}

/// Flushes known one by one. An answer that takes longer than so many is not stored.
const FLUSHES_KEPT: usize = 128;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidegate_httpapi::{Registration, UrlPrefix};

    use super::super::key::{KeyedPath, Wanted};
    use super::*;
    use crate::listen::PortKey;

    fn key(prefix: &str, host: &str, path: &str, query: Option<&str>) -> CacheKey {
        let prefix = UrlPrefix::parse(prefix).unwrap();
        CacheKey::of(&Wanted {
            port: PortKey::Tcp(prefix.port),
            registration: &Arc::new(Registration { prefix, context: 0 }),
            queue: RequestQueueId(1),
            host: host.as_bytes(),
            path: KeyedPath::Cooked(path),
            query: query.map(str::as_bytes),
        })
    }

    fn at(path: &str) -> CacheKey {
        key("http://+:80/", "h", path, None)
    }

    // Case C17.
    #[test]
    fn c17_a_tree_is_what_is_below_by_segments() {
        for path in ["/a/", "/a", "/A/"] {
            let tree = FlushPattern::tree(None, None, path);
            for meant in ["/a", "/a/", "/a/b", "/A/b/c", "/a/."] {
                assert!(tree.means(&at(meant)), "{path} {meant}");
            }
            for other in ["/ab", "/", "/b/a", "/ab/c"] {
                assert!(!tree.means(&at(other)), "{path} {other}");
            }
            assert!(tree.means(&key("http://+:80/", "h", "/a", Some("b"))));
        }
        let root = FlushPattern::tree(None, None, "/");
        assert!(root.means(&at("/")) && root.means(&at("/a/b")));
    }

    #[test]
    fn a_url_is_one_with_its_query() {
        let with = |query| key("http://+:80/", "h", "/a", query);
        let url = FlushPattern::url(None, None, "/A", Some(b"x"));
        assert!(url.means(&with(Some("x"))));
        assert!(!url.means(&with(None)) && !url.means(&with(Some("X"))));
        let url = FlushPattern::url(None, None, "/a", None);
        assert!(url.means(&with(None)) && !url.means(&with(Some(""))));
        assert!(!url.means(&at("/a/")) && !url.means(&at("/a/b")) && !url.means(&at("/")));
    }

    #[test]
    fn a_path_that_was_spelled_otherwise_is_meant_by_what_it_was_cooked_to() {
        let prefix = UrlPrefix::parse("http://+:80/").unwrap();
        let raw = CacheKey::of(&Wanted {
            port: PortKey::Tcp(80),
            registration: &Arc::new(Registration { prefix, context: 0 }),
            queue: RequestQueueId(1),
            host: b"h",
            path: KeyedPath::of(b"//a%2fb", "/a/b"),
            query: None,
        });
        assert!(FlushPattern::url(None, None, "/a/b", None).means(&raw));
        assert!(FlushPattern::tree(None, None, "/a/").means(&raw));
    }

    #[test]
    fn a_site_is_the_one_that_was_asked_for_or_that_was_registered() {
        let means = |url: &str, key: &CacheKey| {
            let prefix = UrlPrefix::parse(url).unwrap();
            let site = FlushSite {
                scheme: prefix.scheme,
                host: prefix.host,
                port: prefix.port,
            };
            FlushPattern::tree(None, Some(site), "/").means(key)
        };
        let wildcard = key("http://+:80/", "A.Example:8080", "/a", None);
        for url in ["http://a.example:80/", "http://+:80/"] {
            assert!(means(url, &wildcard), "{url}");
        }
        for url in [
            "http://b.example:80/",
            "http://*:80/",
            "http://a.example:8080/",
            "https://a.example:80/",
            "http://*.example:80/",
        ] {
            assert!(!means(url, &wildcard), "{url}");
        }
        let address = key("http://127.0.0.1:80/", "any", "/a", None);
        assert!(means("http://127.0.0.1:80/", &address));
        assert!(means("http://any:80/", &address));
        let v6 = key("http://+:80/", "[0:0::1]:80", "/a", None);
        assert!(means("http://[::1]:80/", &v6) && !means("http://[::2]:80/", &v6));
        let none = key("http://+:80/", "", "/a", None);
        assert!(means("http://+:80/", &none) && !means("http://a:80/", &none));
    }

    #[test]
    fn an_owner_flushes_what_is_his() {
        let own = FlushPattern::all(Some(RequestQueueId(1)));
        let others = FlushPattern::all(Some(RequestQueueId(2)));
        assert!(own.means(&at("/a")) && !others.means(&at("/a")));
        assert!(FlushPattern::all(None).means(&at("/a")));
    }

    #[test]
    fn flushes_of_late_are_found_by_who_began_before_them() {
        let mut recent = RecentFlushes::default();
        assert!(!recent.mean_since(0, &at("/a")));
        recent.add(5, FlushPattern::url(None, None, "/a", None));
        assert!(recent.mean_since(4, &at("/a")));
        assert!(!recent.mean_since(5, &at("/a")));
        assert!(!recent.mean_since(4, &at("/b")));
        // Who took longer than is known cannot be sure.
        for change in 6..6 + FLUSHES_KEPT as u64 {
            recent.add(change, FlushPattern::url(None, None, "/c", None));
        }
        assert!(recent.mean_since(4, &at("/b")));
        assert!(!recent.mean_since(5, &at("/b")));
    }
}
