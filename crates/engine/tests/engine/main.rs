//! Tests of the rules through the public API: the numbered cases of http-server-api, and random
//! walks beside models so simple that they are plainly right.

#![expect(
    clippy::unwrap_used,
    reason = "tests, the walks' steps outside of test functions too"
)]

mod cache;
mod conflict;
mod listen;
mod properties;
mod queue;
mod queue_model;
mod random;
mod reserved;
mod routing;
mod routing_model;
mod site;
mod wheel;
mod wheel_model;
