//! The timers of a connection.
//!
//! Which timer runs when, a wheel that tells when it has run out, and the rule of the slowest sender.
//! Source: `HTTP_TIMEOUT_LIMIT_INFO`; http-server-api §6.

mod phase;
mod send_rate;
mod wheel;

pub use phase::{Phase, Timer};
pub use send_rate::SendRate;
pub use wheel::{TimerId, TimerWheel};
