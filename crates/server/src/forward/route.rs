//! Which upstream gets a request: those of a part of the paths, and those that handlers name.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::fault::{ForwardFault, ForwardSettingsError};
use super::settings::{Balance, ForwardSettings, UpstreamHttp2, UpstreamTls};
use super::upstream::Upstream;
use super::url::UpstreamUrl;
use crate::place;

/// A part of the paths and where it is forwarded to.
pub(crate) struct Route {
    /// Without a slash at its end; empty is all paths.
    path: Box<str>,
    pub(super) settings: Arc<ForwardSettings>,
    pub(super) upstreams: Vec<Arc<Upstream>>,
    /// Whose turn it is.
    next: AtomicUsize,
}

impl Route {
    pub(super) fn new(settings: &ForwardSettings) -> Result<Self, ForwardSettingsError> {
        let error = |fault| ForwardSettingsError {
            path: settings.path.clone(),
            fault,
        };
        settings.check_texts().map_err(error)?;
        let urls = settings.to.iter().cloned();
        let upstreams: Result<Vec<_>, _> = urls
            .map(|url| Upstream::new(url, settings, &settings.tls).map(Arc::new))
            .collect();
        Ok(Self {
            path: place::path(&settings.path),
            settings: Arc::new(settings.clone()),
            upstreams: upstreams.map_err(error)?,
            next: AtomicUsize::new(0),
        })
    }

    /// Without a slash at its end; empty is all paths.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn first_url(&self) -> Option<String> {
        let first = self.upstreams.first()?;
        Some(first.url.origin() + first.url.base())
    }

    /// What of a path is asked for behind an upstream's own.
    pub(super) fn rest<'a>(&self, document: &'a str) -> &'a str {
        match self.settings.strip_path {
            true => document.get(self.path.len()..).unwrap_or_default(),
            false => document,
        }
    }

    /// The upstream that gets the next request, of those that have not been `tried`.
    fn pick(&self, tried: &[Arc<Upstream>], now: Instant) -> Option<Arc<Upstream>> {
        let count = self.upstreams.len();
        let first = self.next.fetch_add(1, Ordering::Relaxed) % count.max(1);
        let in_turn = self.upstreams[first..]
            .iter()
            .chain(&self.upstreams[..first])
            .filter(|upstream| !tried.iter().any(|other| Arc::ptr_eq(other, upstream)));
        let mut best: Option<&Arc<Upstream>> = None;
        for upstream in in_turn {
            if upstream.health.is_down() {
                if upstream.health.takes_requests(now) {
                    return Some(Arc::clone(upstream));
                }
                continue;
            }
            let is_better = match (best, self.settings.balance) {
                (None, _) => true,
                (Some(best), Balance::LeastConnections) => upstream.active() < best.active(),
                (Some(_), Balance::RoundRobin) => false,
            };
            if is_better {
                best = Some(upstream);
            }
        }
        best.cloned()
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Route")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Who may answer one request.
pub(super) enum Candidates {
    Route(Arc<Route>),
    One(Arc<Upstream>),
}

impl Candidates {
    pub(super) fn pick(&self, tried: &[Arc<Upstream>]) -> Option<Arc<Upstream>> {
        match self {
            Self::Route(route) => route.pick(tried, Instant::now()),
            Self::One(upstream) => tried.is_empty().then(|| Arc::clone(upstream)),
        }
    }
}

/// The upstreams that handlers have named, kept for their connections.
#[derive(Default)]
pub(super) struct Named(Mutex<HashMap<Key, Entry>>);

type Key = (UpstreamUrl, UpstreamTls, UpstreamHttp2);

struct Entry {
    upstream: Arc<Upstream>,
    used: Instant,
}

impl Named {
    pub(super) fn find(
        &self,
        url: UpstreamUrl,
        settings: &ForwardSettings,
        tls: &UpstreamTls,
    ) -> Result<Arc<Upstream>, ForwardFault> {
        let key = (url, tls.clone(), settings.http2);
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = Instant::now();
        if let Some(entry) = entries.get_mut(&key) {
            entry.used = used;
            return Ok(Arc::clone(&entry.upstream));
        }
        if entries.len() >= NAMED_MAX {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                entries.remove(&oldest);
            }
        }
        let upstream = Arc::new(Upstream::new(key.0.clone(), settings, tls)?);
        let entry = Entry {
            upstream: Arc::clone(&upstream),
            used,
        };
        entries.insert(key, entry);
        Ok(upstream)
    }
}

/// Upstreams of handlers that are kept. A handler that makes URLs of what clients say makes no more.
const NAMED_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::super::upstream::InFlight;
    use super::*;

    fn route(balance: Balance) -> Route {
        let urls = ["http://a", "http://b", "http://c"].map(|url| url.parse().unwrap());
        let mut settings = ForwardSettings::new("/x/", urls);
        settings.balance = balance;
        Route::new(&settings).unwrap()
    }

    fn picked(route: &Route, tried: &[Arc<Upstream>]) -> String {
        route
            .pick(tried, Instant::now())
            .unwrap()
            .url
            .host()
            .to_owned()
    }

    #[test]
    fn each_gets_its_turn() {
        let route = route(Balance::RoundRobin);
        let hosts: Vec<_> = (0..4).map(|_| picked(&route, &[])).collect();
        assert_eq!(hosts, ["a", "b", "c", "a"]);
    }

    #[test]
    fn the_one_with_the_fewest_requests_gets_the_next() {
        let route = route(Balance::LeastConnections);
        let busy = [0, 0, 1].map(|index| InFlight::new(Arc::clone(&route.upstreams[index])));
        assert_eq!(picked(&route, &[]), "c");
        let last = InFlight::new(Arc::clone(&route.upstreams[2]));
        let more = InFlight::new(Arc::clone(&route.upstreams[2]));
        assert_eq!(picked(&route, &[]), "b");
        drop((busy, last, more));
    }

    #[test]
    fn who_was_tried_or_is_down_gets_nothing() {
        let route = route(Balance::LeastConnections);
        let tried = [Arc::clone(&route.upstreams[0])];
        for _ in 0..4 {
            assert_ne!(picked(&route, &tried), "a");
        }
        let now = Instant::now();
        for _ in 0..3 {
            route.upstreams[1].health.failed(now);
        }
        for _ in 0..4 {
            assert_eq!(picked(&route, &tried), "c");
        }
        assert!(route.pick(&route.upstreams, now).is_none());
        let later = now + route.settings.health.interval;
        let again = route.pick(&tried, later).unwrap();
        assert_eq!(again.url.host(), "b", "one request, to see");
    }
}
