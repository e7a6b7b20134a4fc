//! What answers under a rule of the rate limiter say of it.
//!
//! Source: draft-ietf-httpapi-ratelimit-headers-10; the `X-RateLimit` fields are the component's.

use std::time::Duration;

use tidegate_admission::rate::Decision;
use tidegate_httpapi::{FieldBlock, FieldTemplate, ResponseHead};

/// The fields of a rule. Every answer under it has them, so they are made once.
#[derive(Debug)]
pub(super) struct RateFields(FieldTemplate<4>);

impl RateFields {
    pub(super) fn new(rule: &str) -> Self {
        let mut lines = FieldBlock::new();
        for (name, value) in [
            ("RateLimit-Policy", &*format!("\"{rule}\";q={{0}};w={{1}}")),
            ("RateLimit", &*format!("\"{rule}\";r={{2}};t={{3}}")),
            ("X-RateLimit-Limit", "{0}"),
            ("X-RateLimit-Remaining", "{2}"),
            ("X-RateLimit-Reset", "{3}"),
        ] {
            let added = lines.append(name, value);
            debug_assert!(added.is_ok(), "a rule's name is a token");
        }
        Self(FieldTemplate::new(lines))
    }
}

/// The numbers of a rule's fields: limit, window, what remains, reset; times in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct RateNumbers([u64; 4]);

impl From<&Decision> for RateNumbers {
    fn from(decision: &Decision) -> Self {
        Self([
            decision.limit.into(),
            seconds_up(decision.window),
            decision.remaining.into(),
            seconds_up(decision.reset),
        ])
    }
}

impl RateNumbers {
    /// Adds what a rule has left.
    pub(super) fn tell(self, fields: &RateFields, head: &mut ResponseHead) {
        // A copy would tell others what this caller has left.
        if head.cache.is_none() {
            fields.0.append_to(&mut head.fields, self.0);
        }
    }
}

/// Seconds, rounded up, so that whoever waits so long has waited long enough.
pub(super) fn seconds_up(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
