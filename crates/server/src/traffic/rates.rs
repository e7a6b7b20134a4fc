//! Allowances by hand: what an application asks of its server's rate limiter.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tidegate_admission::rate::{Caller, Decision, Limit};

use super::rate_limit::RateLimiter;
use crate::server::Server;

/// The rate limiter of a server, to charge what costs more than a request, or what is no request at all.
///
/// ```no_run
/// use tidegate::{RateCaller, Server};
///
/// # fn main() -> Result<(), tidegate::Error> {
/// # let server = Server::builder().build()?;
/// let rates = server.rate_limiter().expect("rate_limit is enabled");
/// // An export costs as much as fifty requests.
/// let decision = rates.consume("api", RateCaller::User("ann"), 50);
/// if decision.is_some_and(|decision| !decision.allowed) {
///     println!("again in {:?}", rates.retry_after("api", RateCaller::User("ann"), 50));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RateLimits(Arc<RateLimiter>);

/// Who is counted. A rule goes by what it is for: where it goes by something else, all such count as one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RateCaller<'a> {
    /// Whoever has the API key of this id.
    ApiKey(&'a str),
    /// This user.
    User(&'a str),
    /// This address; an IPv6 address with its network.
    Address(IpAddr),
}

impl RateLimits {
    /// Charges `cost` to a caller's allowance under the rule of this name, which requests are charged to as well.
    /// `None`: there is no such rule.
    ///
    /// What is refused is charged nothing.
    pub fn consume(&self, rule: &str, caller: RateCaller<'_>, cost: u32) -> Option<Decision> {
        let (limiter, now) = self.0.at_hand();
        limiter.consume_of_rule(rule, &caller.as_caller(), cost, now)
    }

    /// What a caller has left under a rule.
    pub fn remaining(&self, rule: &str, caller: RateCaller<'_>) -> Option<u32> {
        let (limiter, now) = self.0.at_hand();
        let decision = limiter.ask_rule(rule, &caller.as_caller(), 0, now)?;
        Some(decision.remaining)
    }

    /// How long it is until a charge of `cost` would be allowed; zero if it would be now.
    pub fn retry_after(&self, rule: &str, caller: RateCaller<'_>, cost: u32) -> Option<Duration> {
        let (limiter, now) = self.0.at_hand();
        let decision = limiter.ask_rule(rule, &caller.as_caller(), cost, now)?;
        Some(decision.retry_after)
    }

    /// Charges `cost` to an allowance of the application's own, by a limit of its own: `name` says of which, `key`
    /// of whom. No request is charged to it.
    pub fn consume_own(&self, name: &str, limit: &Limit, key: &[u8], cost: u32) -> Decision {
        let (limiter, now) = self.0.at_hand();
        limiter.consume(name, limit, key, cost, now)
    }
}

impl RateCaller<'_> {
    fn as_caller(&self) -> Caller<'_> {
        let nobody = Caller {
            method: "",
            path: "",
            api_key: None,
            user: None,
            address: None,
        };
        match *self {
            Self::ApiKey(id) => Caller {
                api_key: Some(id),
                ..nobody
            },
            Self::User(name) => Caller {
                user: Some(name),
                ..nobody
            },
            Self::Address(address) => Caller {
                address: Some(address),
                ..nobody
            },
        }
    }
}

impl fmt::Debug for RateLimits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RateLimits").finish_non_exhaustive()
    }
}

impl Server {
    /// The rate limiter; `None` when it is not switched on, or while the server is not started.
    pub fn rate_limiter(&self) -> Option<RateLimits> {
        let doors = self.doors().ok().flatten()?;
        doors.limiter().cloned().map(RateLimits)
    }
}
