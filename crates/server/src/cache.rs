//! A server's responses in the driver's cache: what is there, what it has counted, and how it goes.
//!
//! What is stored is the driver's matter, and what may be the response's: see
//! [`Response::cache`](crate::Response::cache).

use tidegate_httpapi::{CacheCounters, CacheFlush, CacheUrl, CachedResponse};

use crate::error::Error;
use crate::server::Server;

/// What of a URL is flushed from the cache.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FlushScope {
    /// The response of this very URL, query and all.
    Url,
    /// The responses of this URL and of all below it, by segments, whatever their queries: `/a/` means `/a`
    /// and `/a/b`, not `/ab`.
    Tree,
}

impl Server {
    /// Flushes this server's cached responses of a URL, or of all below it. Says how many there were.
    ///
    /// `url` is whole, such as `http://localhost:8080/news?page=2`, or a path, which means it at any host
    /// and port. Letter case of the path does not count.
    ///
    /// It acts at once: nobody who asks after the call has returned gets one of them, nor an answer that a
    /// handler was making meanwhile of what it knew before.
    ///
    /// ```
    /// # fn published(server: &tidegate::Server) -> Result<(), tidegate::Error> {
    /// use tidegate::FlushScope;
    ///
    /// server.flush_cache("/news/", FlushScope::Tree)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The server is not started, or `url` is none that a response could have, such as one with a query
    /// where a tree is meant.
    pub fn flush_cache(&self, url: &str, scope: FlushScope) -> Result<u64, Error> {
        let parsed = CacheUrl::parse(url)?;
        self.flush(&match scope {
            FlushScope::Url => CacheFlush::Url(parsed),
            FlushScope::Tree => CacheFlush::Tree(parsed),
        })
    }

    /// Flushes all of this server's cached responses. Says how many there were. See
    /// [`flush_cache`](Self::flush_cache).
    ///
    /// # Errors
    ///
    /// The server is not started.
    pub fn flush_whole_cache(&self) -> Result<u64, Error> {
        self.flush(&CacheFlush::All)
    }

    fn flush(&self, flush: &CacheFlush) -> Result<u64, Error> {
        let (backend, queue) = self.serving().ok_or(Error::NotStarted)?;
        Ok(backend.flush_cache(Some(queue), flush)?)
    }

    /// This server's responses in the cache now, by URL; none while it is not started.
    pub fn cache_state(&self) -> Vec<CachedResponse> {
        let Some((backend, queue)) = self.serving() else {
            return Vec::new();
        };
        let mut responses = backend.cached_responses();
        responses.retain(|response| response.queue == queue);
        responses
    }

    /// What the driver's response cache has counted and holds now; nothing while the server is not started.
    pub fn cache_counters(&self) -> CacheCounters {
        let serving = self.serving();
        serving.map_or_else(CacheCounters::default, |(backend, _)| {
            backend.cache_counters()
        })
    }
}
