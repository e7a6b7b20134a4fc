//! Parts of the paths that are served by something else than the application's events.
//!
//! Holds only which one gets a request: the longest path wins, on whole segments, compared with the path
//! that routing went by. How each serves is its own matter.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::files::Site;
use crate::forward::Route;
use crate::tower::Mount;

/// What is served under one path.
pub(crate) enum Place {
    /// A mounted service.
    Service(Arc<Mount>),
    /// Other servers.
    Forward(Arc<Route>),
    /// A static site.
    Files(Box<Site>),
}

impl Place {
    /// Without a slash at its end; empty is all paths.
    pub(crate) fn path(&self) -> &str {
        match self {
            Self::Service(mount) => mount.path(),
            Self::Forward(route) => route.path(),
            Self::Files(site) => site.path(),
        }
    }
}

/// All places of a server, the longest path first.
pub(crate) struct Places(Vec<Place>);

impl Places {
    pub(crate) fn new(mounts: &[Arc<Mount>], routes: &[Arc<Route>], sites: Vec<Site>) -> Self {
        let mut places: Vec<Place> = mounts.iter().cloned().map(Place::Service).collect();
        places.extend(routes.iter().cloned().map(Place::Forward));
        places.extend(sites.into_iter().map(|site| Place::Files(Box::new(site))));
        places.sort_by_key(|place| Reverse(place.path().len()));
        Self(places)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The place that a path, as routing went by, belongs to.
    #[inline]
    pub(crate) fn find(&self, document: &str) -> Option<&Place> {
        self.0
            .iter()
            .find(|place| rest_of(document.as_bytes(), place.path()).is_some())
    }
}

/// A place's path as it is kept: a slash before it, none behind it; empty for all paths.
pub(crate) fn path(given: &str) -> Box<str> {
    let path = given.trim_end_matches('/');
    let slash = match path.is_empty() || path.starts_with('/') {
        true => "",
        false => "/",
    };
    format!("{slash}{path}").into()
}

/// What follows the path `base`, which has no slash at its end; `None` when it is not at or under it.
pub(crate) fn rest_of<'a>(path: &'a [u8], base: &str) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(base.as_bytes())?;
    matches!(rest.first(), None | Some(b'/')).then_some(rest)
}
