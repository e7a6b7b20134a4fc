//! The response cache: which responses are kept, for whom, and until when.
//!
//! [`admit`] says what may be stored and served, [`key`] which requests are for the same, [`coding`] who
//! may be given what is encoded. The [`CacheStore`] is the one table, with its bounds; workers look things
//! up in a [`CacheReplica`] of their own, which they bring up to date when they miss something, so that a
//! hit needs nothing that threads share but one flag of the [`CacheEntry`]. Time is an argument; what a
//! response is, is the driver's matter, and so are the lock around the store and who is told of changes.
//! Source: http-server-api §8.

mod admit;
mod coding;
mod entry;
mod flush;
mod key;
mod replica;
mod store;

pub use admit::{
    CacheAnswer, CacheBypass, CacheConditions, CacheRequest, NotStored, may_be_served,
    may_be_stored,
};
pub use coding::admits_coding;
pub use entry::CacheEntry;
pub use flush::{FlushPattern, FlushSite};
pub use key::{CacheKey, KeyedPath, Wanted};
pub use replica::CacheReplica;
pub use store::{CacheState, CacheStore, CacheTotals, Candidate, NoRoom};
