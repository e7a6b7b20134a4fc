//! Asks upstreams how they are doing, where the settings say what to ask for.

use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tidegate_httpapi::ContentFraming;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::error::ForwardFailure;
use super::exchange::Exchange;
use super::head::Outgoing;
use super::route::Route;
use super::settings::HealthSettings;
use super::upload::Upload;
use super::upstream::http1::Http1;
use super::upstream::http2::Http2;
use super::upstream::{InFlight, Opened, Upstream, Wanted};

/// Begins to ask the upstreams of a route, for as long as there is one.
pub(super) fn begin(route: &Route, runtime: &Handle) {
    let health = &route.settings.health;
    if health.path.is_none() {
        return;
    }
    for upstream in &route.upstreams {
        let (upstream, health) = (Arc::downgrade(upstream), health.clone());
        runtime.spawn(watch(upstream, health));
    }
}

async fn watch(upstream: Weak<Upstream>, settings: HealthSettings) {
    let Some(path) = &settings.path else {
        return;
    };
    loop {
        let Some(asked) = upstream.upgrade() else {
            return;
        };
        let failure = match ask(&asked, path, settings.timeout).await {
            Ok(200..400) => None,
            Ok(status) => Some(format!("status {status}")),
            Err(cause) => Some(cause.to_string()),
        };
        let is_well = failure.is_none();
        if asked.health.answered(is_well, Instant::now()) {
            let upstream = &asked.url;
            match failure {
                None => tracing::info!(%upstream, "an upstream is well again"),
                Some(cause) => tracing::warn!(%upstream, cause, "an upstream is unwell"),
            }
        }
        drop(asked);
        tokio::time::sleep(settings.interval).await;
    }
}

/// Asks for a path, and gives the status of the answer.
async fn ask(
    upstream: &Arc<Upstream>,
    path: &str,
    patience: Duration,
) -> Result<u16, ForwardFailure> {
    let asked = async {
        let (mut exchange, in_flight) = begin_exchange(upstream, &Outgoing::get(path)).await?;
        loop {
            let head = poll_fn(|context| exchange.poll_head(context)).await?;
            if head.status >= 200 {
                if exchange.whole_content().is_some() {
                    exchange.finish(&in_flight);
                }
                return Ok(head.status);
            }
        }
    };
    timeout(patience, asked)
        .await
        .unwrap_or(Err(ForwardFailure::ResponseTimedOut))
}

/// Sends a request without content over a connection of its own, of which it is known that it is new.
pub(super) async fn begin_exchange(
    upstream: &Arc<Upstream>,
    outgoing: &Outgoing,
) -> Result<(Exchange, InFlight), ForwardFailure> {
    let in_flight = InFlight::new(Arc::clone(upstream));
    let upload = Upload::whole(bytes::Bytes::new(), ContentFraming::None);
    let (authority, base) = (&*upstream.authority, upstream.url.base());
    let wanted = Wanted {
        home: None,
        only_http1: false,
        may_reuse: false,
    };
    let exchange = match upstream.open(wanted).await? {
        Opened::Http1 { connection, .. } => {
            let limits = &upstream.limits;
            let http1 = Http1::new(connection, outgoing, (authority, base), upload, limits);
            Exchange::Http1(Box::new(http1))
        }
        Opened::Http2(requests) => {
            let place = (upstream.url.scheme(), authority, base);
            Exchange::Http2(Box::new(Http2::new(requests, outgoing, place, upload)?))
        }
    };
    Ok((exchange, in_flight))
}
