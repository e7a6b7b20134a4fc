//! The rules of the HTTP Server API as plain values.
//!
//! [`Control`] owns sessions, groups, queues and the URL namespace; workers read the [`Snapshot`] it
//! publishes and learn who gets a request. [`CacheStore`] keeps responses. [`RequestQueue`], [`ConnectionCount`], [`TimerWheel`] and
//! [`SendRate`] are the rules that the driver keeps for its queues and connections; [`LogView`] and
//! [`LogPeriod`] say what is logged, and into which file. No I/O, no clock
//! (time is an argument), no locks, no threads, no bytes of a request but its host and path.
#![forbid(unsafe_code)]

mod bandwidth;
mod cache;
mod control;
mod counters;
mod latency;
mod listen;
mod logging;
mod namespace;
mod quota;
mod request_queue;
mod snapshot;
mod timers;
mod unavailable;

pub use bandwidth::{Bandwidth, GroupBandwidth, ResponseFlow, SessionBandwidth, Shaper, Sleep};
pub use cache::{
    CacheAnswer, CacheBypass, CacheConditions, CacheEntry, CacheKey, CacheReplica, CacheRequest,
    CacheState, CacheStore, CacheTotals, Candidate, FlushPattern, FlushSite, KeyedPath, NoRoom,
    NotStored, Wanted, admits_coding, may_be_served, may_be_stored,
};
pub use control::Control;
pub use counters::{
    Count, Counters, GroupCounters, Method, PerWorker, QueueCounters, REJECT_STATUSES,
    WorkerCounters,
};
pub use latency::LatencyHistogram;
pub use listen::{ListenAt, ListenChange, ListenNeed, PortKey};
pub use logging::{LogFileNames, LogId, LogPeriod, LogView, is_logged};
pub use namespace::HostRoute;
pub use quota::{ConnectionCount, ConnectionSlot};
pub use request_queue::{Admitted, RequestQueue};
pub use snapshot::{GroupView, Outcome, PortTable, QueueView, RegistrationEntry, Snapshot};
pub use timers::{Phase, SendRate, Timer, TimerId, TimerWheel};
pub use unavailable::{Refusal, Unavailable};
