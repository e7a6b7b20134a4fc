//! What a handler decides about a request before it is served here: whether and how it is forwarded.
//!
//! Source: the component's Forward object.

use std::sync::Arc;

use tidegate_httpapi::FieldBlock;

use super::route::Route;
use super::settings::{ForwardSettings, UpstreamTls};
use crate::http::Request;
use crate::path::{escape, escape_query};

/// Whether and how one request is forwarded, as
/// [`on_before_forward_http`](crate::Events::on_before_forward_http) is given it.
///
/// It begins as the settings say: for a path of a `[[forward]]` enabled, else not. What is `None` stays as
/// the request and the settings have it.
///
/// ```
/// let builder = tidegate::Server::builder().on_before_forward_http(|request, forward| {
///     if request.document().starts_with("/old/") {
///         forward.to("http://127.0.0.1:9000");
///     }
/// });
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Forward {
    /// Whether the request is forwarded; false: it is served here.
    pub enabled: bool,
    /// The upstream, `http://127.0.0.1:9000` or with a path that comes before the request's, in place of
    /// those of the settings.
    pub url: Option<String>,
    /// The path to ask for, decoded, in place of the request's.
    pub document: Option<String>,
    /// The query to ask with, as it stands in a URL without its `?`, in place of the request's; empty: none.
    pub query_params: Option<String>,
    /// The `Host` that the upstream sees.
    pub host: Option<String>,
    /// An `Origin` in place of the request's.
    pub origin: Option<String>,
    /// Fields in place of the request's. Those that say how a message is framed are passed over.
    pub custom_headers: FieldBlock,
    /// Whether a stored response would not do: the upstream is asked with `Cache-Control: no-cache`, and
    /// without the client's conditions.
    pub no_cache: bool,
    /// How an https upstream is verified, and what it is shown.
    pub tls_options: Option<UpstreamTls>,
    /// All else, in place of the settings; of its upstreams the first is asked, where there is no `url`.
    pub settings: Option<Arc<ForwardSettings>>,
    /// What the settings say, where they say anything.
    pub(super) route: Option<Arc<Route>>,
}

impl Forward {
    pub(super) fn of(route: Option<&Arc<Route>>) -> Self {
        Self {
            enabled: route.is_some(),
            route: route.cloned(),
            ..Self::default()
        }
    }

    /// Forwards the request to this upstream.
    pub fn to(&mut self, url: impl Into<String>) -> &mut Self {
        self.url = Some(url.into());
        self.enabled = true;
        self
    }

    /// Forgets all that has been set, and forwards nothing.
    pub fn clear(&mut self) {
        *self = Self {
            route: self.route.take(),
            ..Self::default()
        };
    }

    /// The URL that the request would be forwarded to as things stand; that of the first upstream, where
    /// there are several. `None` when there is none.
    pub fn forward_url(&self, request: &Request<'_>) -> Option<String> {
        let first = self.route.as_ref().and_then(|route| route.first_url());
        let base = match &self.url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => first?,
        };
        let mut target = Vec::new();
        let document = match (&self.document, &self.route) {
            (Some(document), _) => document,
            (None, Some(route)) => route.rest(request.document()),
            (None, None) => request.document(),
        };
        if !document.starts_with('/') {
            target.push(b'/');
        }
        escape(document.as_bytes(), &mut target);
        let query = match &self.query_params {
            Some(query) => Some(query.as_bytes()).filter(|query| !query.is_empty()),
            None => request.query(),
        };
        if let Some(query) = query {
            target.push(b'?');
            escape_query(query, &mut target);
        }
        Some(base + &String::from_utf8_lossy(&target))
    }

    pub(super) fn sets(&self, name: &str) -> bool {
        let mut set = self.custom_headers.iter();
        set.any(|field| field.name.eq_ignore_ascii_case(name))
    }
}
