//! Forwarding: requests that other servers answer, by settings or by a handler's decision.
//!
//! A request goes from here through `serve` to an [`Upstream`](upstream::Upstream) and back; WebSocket
//! connections are passed on by a lane (`tunnel`). What of a message is passed on, and what an upstream is
//! told of the client, is decided in `head`, `fields` and `forwarded`; who gets it in `route` and
//! `health`. Source: the component's OnBeforeForwardHTTP, OnAfterForwardHTTP and its guide on forwarding;
//! RFC 9110 §7.6.

mod answer;
mod error;
mod event;
mod exchange;
mod fault;
mod fetch;
mod fields;
mod forwarded;
mod head;
mod health;
mod probe;
mod route;
mod serve;
mod settings;
mod tunnel;
mod upload;
mod upstream;
mod url;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tidegate_httpapi::Exchange;

pub use error::{ForwardError, ForwardFailure};
pub use event::Forward;
pub use fault::{ForwardFault, ForwardSettingsError};
pub(crate) use fetch::{Fetched, Fetcher};
pub(crate) use route::Route;
pub use settings::{
    Balance, ForwardHost, ForwardSettings, ForwardedFields, HealthSettings, UpstreamHttp2,
    UpstreamTls,
};
pub(crate) use tunnel::Tunnels;
pub use upstream::UpstreamState;
pub(crate) use upstream::client_config;
pub(crate) use upstream::unverified_tls;
pub use url::{UpstreamUrl, UpstreamUrlError, UpstreamUrlFault};

use self::head::{Changes, Outgoing, asks_for_websocket, forwards_left, times_seen};
use self::route::{Candidates, Named};
use self::serve::{Client, Content, Job};
use crate::component::{Shared, refuse_content};
use crate::embedded::tls_provider;
use crate::event::{ExceptionCause, RequestIds};
use crate::http::{ContentLimits, Request};
use crate::runtime::with_runtime;
use crate::settings::Settings;

/// All that a started server forwards.
pub(crate) struct Forwards {
    routes: Vec<Arc<Route>>,
    named: Named,
    /// The settings of what handlers forward that no route is for.
    default: Arc<ForwardSettings>,
    /// What this server is called, where the settings do not say.
    via: Box<str>,
    limits: ContentLimits,
}

impl Forwards {
    /// As the settings say; begins to ask upstreams how they are doing.
    pub(crate) fn new(shared: &Shared, settings: &Settings) -> Result<Self, ForwardSettingsError> {
        let routes: Result<Vec<_>, _> = settings
            .forward
            .iter()
            .map(|forward| Route::new(forward).map(Arc::new))
            .collect();
        let forwards = Self {
            routes: routes?,
            named: Named::default(),
            default: Arc::default(),
            via: pseudonym().into(),
            limits: ContentLimits::of(settings),
        };
        let asks = |route: &&Arc<Route>| route.settings.health.path.is_some();
        for route in forwards.routes.iter().filter(asks) {
            match shared.runtime().handle() {
                Ok(runtime) => probe::begin(route, runtime),
                Err(error) => {
                    let cause = ExceptionCause::Runtime(error);
                    shared.events().exception(None, cause);
                }
            }
        }
        Ok(forwards)
    }

    pub(crate) fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// The upstreams that settings name.
    pub(crate) fn upstreams(&self) -> Vec<UpstreamState> {
        let upstreams = self.routes.iter().flat_map(|route| &route.upstreams);
        upstreams.map(|upstream| upstream.state()).collect()
    }

    /// A path that settings forward and that has no upstream that is up.
    pub(crate) fn path_without_upstream(&self) -> Option<String> {
        let is_down = |route: &&Arc<Route>| {
            let mut upstreams = route.upstreams.iter();
            upstreams.all(|upstream| !upstream.is_up())
        };
        let route = self.routes.iter().find(is_down)?;
        Some(match route.path() {
            "" => "/".to_owned(),
            path => path.to_owned(),
        })
    }

    /// Forwards a request, or gives it back to be served here. `route`: what the settings say.
    pub(crate) fn take<'e>(
        &self,
        shared: &Arc<Shared>,
        exchange: Exchange<'e>,
        route: Option<&Arc<Route>>,
        is_watched: bool,
    ) -> Option<Exchange<'e>> {
        let head = exchange.head();
        let is_other_protocol = head.protocol().is_some() && !asks_for_websocket(head);
        // RFC 9110 §7.6.2: whoever is not to forward it answers itself.
        if is_other_protocol || forwards_left(head) == Some(0) {
            return Some(exchange);
        }
        let mut forward = Forward::of(route);
        if is_watched {
            let ids = RequestIds::of(head);
            let request = Request::without_content(&exchange, &self.limits);
            let told = catch_unwind(AssertUnwindSafe(|| {
                let events = shared.events();
                events.on_before_forward_http(&request, &mut forward);
            }));
            if let Err(payload) = told {
                drop(request);
                // The exchange is dropped, which sends 500.
                shared.events().panicked(Some(ids), &*payload);
                return None;
            }
        }
        if !forward.enabled {
            return Some(exchange);
        }
        // The driver lets more pass where uploads may be longer.
        if self.limits.are_exceeded(&exchange) {
            refuse_content(exchange);
            return None;
        }
        self.begin(shared, exchange, &forward, is_watched);
        None
    }

    fn begin(
        &self,
        shared: &Arc<Shared>,
        exchange: Exchange<'_>,
        forward: &Forward,
        is_watched: bool,
    ) {
        let settings = match (&forward.settings, &forward.route) {
            (Some(settings), _) => settings,
            (None, Some(route)) => &route.settings,
            (None, None) => &self.default,
        };
        let is_whole = exchange.content().is_some();
        let mut deferred = exchange.defer();
        deferred.body.limit(self.limits.bytes_max);
        let head = deferred.head.as_head();
        let ids = RequestIds::of(&head);
        let prepared = self.prepare(&head, &deferred.peer, settings, forward);
        let job = Box::new(Job {
            shared: Arc::clone(shared),
            settings: Arc::clone(settings),
            home: deferred.responder.home(),
            client: Client {
                head: deferred.head.clone(),
                peer: deferred.peer,
                local: deferred.local,
                tls: deferred.tls,
                auth: deferred.auth,
                responder: deferred.responder,
                ids,
            },
            content: Content::of(deferred.body, is_whole),
            is_watched,
            limits: self.limits,
        });
        let (candidates, outgoing) = match prepared {
            Ok(prepared) => prepared,
            Err(cause) => {
                let upstream = forward.url.clone();
                return job.fail(ForwardError { upstream, cause });
            }
        };
        match shared.runtime().handle() {
            Ok(runtime) => match job.home.clone() {
                Some(home) => {
                    let work = job.run(candidates, outgoing);
                    home.run(with_runtime(runtime.clone(), work));
                }
                None => {
                    runtime.spawn(job.run(candidates, outgoing));
                }
            },
            // The responder is dropped, which sends 500.
            Err(error) => {
                let cause = ExceptionCause::Runtime(error);
                shared.events().exception(Some(ids), cause);
            }
        }
    }

    /// Who may answer, and what is asked.
    fn prepare(
        &self,
        head: &tidegate_httpapi::RequestHead<'_>,
        peer: &tidegate_httpapi::PeerAddress,
        settings: &ForwardSettings,
        forward: &Forward,
    ) -> Result<(Candidates, Outgoing), ForwardFailure> {
        let via = settings.via.as_deref().unwrap_or(&self.via);
        if times_seen(head, via) > LOOPS_MAX {
            return Err(ForwardFailure::Loop);
        }
        let base = forward.route.as_ref().map_or("", |route| route.path());
        let outgoing = Outgoing::new(
            head,
            &Changes {
                settings,
                base,
                forward,
                peer,
                via,
                nonce: &nonce,
            },
        )?;
        Ok((self.candidates(settings, forward)?, outgoing))
    }

    fn candidates(
        &self,
        settings: &ForwardSettings,
        forward: &Forward,
    ) -> Result<Candidates, ForwardFailure> {
        let is_as_set =
            forward.url.is_none() && forward.tls_options.is_none() && forward.settings.is_none();
        let url = match (&forward.route, &forward.url) {
            (Some(route), None) if is_as_set => return Ok(Candidates::Route(Arc::clone(route))),
            (_, Some(url)) => url.parse().map_err(ForwardFailure::Url)?,
            (route, None) => {
                let own = settings.to.first();
                let of_route = || route.as_ref().and_then(|route| route.settings.to.first());
                own.or_else(of_route)
                    .cloned()
                    .ok_or(ForwardFailure::NoneHealthy)?
            }
        };
        let tls = forward.tls_options.as_ref().unwrap_or(&settings.tls);
        match self.named.find(url, settings, tls) {
            Ok(upstream) => Ok(Candidates::One(upstream)),
            Err(ForwardFault::Tls { key, reason }) => {
                Err(ForwardFailure::TlsOptions(format!("`{key}`: {reason}")))
            }
            Err(_) => Err(ForwardFailure::NoneHealthy),
        }
    }
}

/// A name that no other server has.
fn pseudonym() -> String {
    let number = nonce().map_or(0, u128::from_be_bytes);
    format!("tidegate-{:08x}", number as u32)
}

/// Sixteen bytes that nobody can foretell.
fn nonce() -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    tls_provider().secure_random.fill(&mut bytes).ok()?;
    Some(bytes)
}

/// How often a request may have come by here already. One that passes several parts of the paths of one
/// server, as some do, is not yet going round in circles.
const LOOPS_MAX: usize = 5;
