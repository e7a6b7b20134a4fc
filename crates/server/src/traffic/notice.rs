//! What events of the firewall and the rate limiter tell.

use std::net::IpAddr;

use tidegate_admission::ban::Ban;
use tidegate_admission::ban::offence::Offence;
use tidegate_admission::bots::BotKind;
use tidegate_admission::country::Country;
use tidegate_admission::patterns::Attack;
use tidegate_admission::rate::Decision;
use tidegate_httpapi::ConnectionId;

/// Why an address is kept out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FilterReason {
    /// It is on the list of those to be blocked.
    BlockList,
    /// It is banned.
    Banned(Ban),
    /// Its country may not come in; `None` when that is not known.
    Country(Option<Country>),
    /// It makes too many connections.
    ConnectionRate,
}

/// An address is about to be kept out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct FirewallFiltered {
    /// The address.
    pub address: IpAddr,
    /// Why.
    pub reason: FilterReason,
}

/// Where in a request something was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RequestPart {
    /// The path.
    Path,
    /// What is behind the question mark.
    Query,
    /// One of the fields that are looked at.
    Field,
    /// The content: a form or JSON.
    Content,
    /// A WebSocket message.
    Message,
}

/// What somebody did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ViolationKind {
    /// It sent what looks like an attack.
    Attack(Attack, RequestPart),
    /// It sent more than may be in one request or message: so many bytes.
    Payload(u64),
    /// It sent too many messages.
    MessageFlood,
    /// It broke the application's own rule: [`on_firewall_rule`](crate::Events::on_firewall_rule).
    Rule,
}

/// Somebody broke a rule of the firewall.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct FirewallViolation {
    /// Whose connection it is; `None` of a Unix socket.
    pub address: Option<IpAddr>,
    /// The connection.
    pub connection_id: ConnectionId,
    /// What was done.
    pub kind: ViolationKind,
    /// Whether it is refused, or only told of.
    pub is_refused: bool,
}

/// A request is of a program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BotDetected<'a> {
    /// Where it comes from; `None` of a Unix socket.
    pub address: Option<IpAddr>,
    /// Its connection.
    pub connection_id: ConnectionId,
    /// What the program is for.
    pub kind: BotKind,
    /// The words by which it was known; empty when it was known by what is missing.
    pub family: &'a str,
    /// What the request says it is of.
    pub user_agent: Option<&'a [u8]>,
}

/// The threat score of an address has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ScoreChanged {
    /// The address.
    pub address: IpAddr,
    /// What it did.
    pub offence: Offence,
    /// The score before.
    pub before: u32,
    /// The score now; 0 after a ban.
    pub after: u32,
    /// The ban that this has led to.
    pub ban: Option<Ban>,
}

/// A request is about to be refused since there are too many.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RateLimited<'a> {
    /// The rule, by its name.
    pub rule: &'a str,
    /// Where it comes from; `None` of a Unix socket.
    pub address: Option<IpAddr>,
    /// The request's method.
    pub method: &'a str,
    /// Its path, as routing went by.
    pub path: &'a str,
    /// What is left, and when there is more.
    pub decision: Decision,
}
