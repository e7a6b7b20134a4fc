//! Pages of other origins: which may read what is answered under a path.
//!
//! A browser asks before requests that a plain form could not make (a pre-flight), which is answered here
//! before anything else is done; and it shows a page an answer only if that says so, which is added to
//! whatever answers under the path, wherever in the component that comes from. What the driver answers
//! itself, malformed requests and overload, says nothing about origins. WebSocket handshakes have a list of
//! their own. Source: the Fetch standard, §3.3, "CORS protocol".

mod exchange;
mod origins;
mod policy;
mod settings;

use std::cmp::Reverse;
use std::sync::Arc;

use tidegate_httpapi::Exchange;

pub use origins::{CorsOriginError, CorsOrigins};
pub use settings::{CorsError, CorsFault, CorsList, CorsSettings};

pub(crate) use settings::{check, checked};

use crate::place::rest_of;
use exchange::CorsExchange;
use policy::Policy;

/// The policies of a server, the longest path first.
pub(crate) struct Cors(Vec<Arc<Policy>>);

impl Cors {
    pub(crate) fn new(settings: &[CorsSettings]) -> Self {
        let policies = settings
            .iter()
            .map(|settings| Arc::new(Policy::new(settings)));
        let mut policies: Vec<_> = policies.collect();
        policies.sort_by_key(|policy| Reverse(policy.path().len()));
        Self(policies)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The policy for a path, as routing went by.
    #[inline]
    pub(crate) fn find(&self, document: &str) -> Option<&Arc<Policy>> {
        self.0
            .iter()
            .find(|policy| rest_of(document.as_bytes(), policy.path()).is_some())
    }
}

/// Answers a pre-flight, or has `answer` answer, whose answer gets what the policy says.
pub(crate) fn apply(
    policy: &Arc<Policy>,
    mut exchange: Exchange<'_>,
    answer: impl FnOnce(Exchange<'_>),
) {
    if let Some(head) = policy.preflight(exchange.head()) {
        return exchange.respond(head, Default::default());
    }
    let grant = policy.grant(exchange.head());
    let (at_hand, inner) = exchange.take_over();
    let mut around = CorsExchange::new(inner, policy, grant);
    answer(Exchange::new(at_hand, &mut around));
}
