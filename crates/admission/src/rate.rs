//! How often: allowances, quotas and the rules that say which of them is whose.
//!
//! [`limit`] is the arithmetic of one allowance, [`calendar`] that of hours, days and months, [`rules`] finds the
//! rule for a request, [`limiter`] keeps the states and charges them. When it is now is an argument. Source: the
//! component's RateLimiter.

pub mod calendar;
pub mod limit;
pub mod limiter;
pub mod rules;

pub use calendar::Period;
pub(crate) use calendar::date_of;
pub use limit::{Limit, LimitFault, Strategy};
pub use limiter::{Cause, Decision, Limiter, LimiterBounds};
pub use rules::{
    Applies, Caller, EndpointPattern, PatternFault, Per, Rule, RuleFault, Rules, WhatFault,
};
