//! What answers under a rule of the rate limiter say of it.
//!
//! Source: draft-ietf-httpapi-ratelimit-headers-10; the `X-RateLimit` fields are the component's.

use std::time::Duration;

use tidegate_admission::rate::{Decision, Rule};
use tidegate_httpapi::{FieldBlock, FieldTemplate, ResponseHead};

/// The fields of a rule. Every answer under it has them, so they are made once.
#[derive(Debug)]
pub(super) struct RateFields {
    any: FieldTemplate<4>,
    /// With the rule's own limit and window, which most answers tell of.
    own: Option<([u64; 2], FieldTemplate<2>)>,
}

impl RateFields {
    pub(super) fn new(rule: &Rule) -> Self {
        let name = &rule.name;
        let own = rule
            .limit
            .map(|limit| [limit.capacity().into(), seconds_up(limit.window)]);
        Self {
            any: FieldTemplate::new(lines(name, ["{2}", "{3}"], ["{0}", "{1}"])),
            own: own.map(|own| {
                let [limit, window] = own.map(|number| number.to_string());
                let lines = lines(name, ["{0}", "{1}"], [&limit, &window]);
                (own, FieldTemplate::new(lines))
            }),
        }
    }
}

fn lines(rule: &str, [remaining, reset]: [&str; 2], [limit, window]: [&str; 2]) -> FieldBlock {
    let mut lines = FieldBlock::new();
    for (name, value) in [
        (
            "RateLimit-Policy",
            &*format!("\"{rule}\";q={limit};w={window}"),
        ),
        ("RateLimit", &*format!("\"{rule}\";r={remaining};t={reset}")),
        ("X-RateLimit-Limit", limit),
        ("X-RateLimit-Remaining", remaining),
        ("X-RateLimit-Reset", reset),
    ] {
        let added = lines.append(name, value);
        debug_assert!(added.is_ok(), "a rule's name is a token");
    }
    lines
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
        if !head.cache.is_none() {
            return;
        }
        let [limit, window, remaining, reset] = self.0;
        match &fields.own {
            Some((own, template)) if *own == [limit, window] => {
                template.append_to(&mut head.fields, [remaining, reset]);
            }
            _ => fields.any.append_to(&mut head.fields, self.0),
        }
    }
}

/// Seconds, rounded up, so that whoever waits so long has waited long enough.
pub(super) fn seconds_up(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use tidegate_admission::rate::{Applies, Limit, Per};

    use super::*;

    #[test]
    fn a_rules_own_limit_is_told_as_any_other_is() {
        let rule = Rule {
            name: "each".into(),
            applies: Applies::Address(Vec::new()),
            per: Per::Address,
            limit: Some(Limit::new(10, Duration::from_millis(1_500))),
            quotas: [0; 3],
            cost: 1,
        };
        let told = |rule: &Rule, numbers| {
            let mut head = ResponseHead::new(200);
            RateNumbers(numbers).tell(&RateFields::new(rule), &mut head);
            String::from_utf8(head.fields.as_bytes().to_vec()).unwrap()
        };
        let unlimited = Rule {
            limit: None,
            quotas: [5, 0, 0],
            ..rule.clone()
        };
        for numbers in [[10, 2, 9, 1], [11, 2, 9, 1], [10, 3, 0, 3]] {
            let [limit, window, remaining, reset] = numbers;
            let expected = format!(
                "RateLimit-Policy: \"each\";q={limit};w={window}\r\nRateLimit: \"each\";r={remaining};t={reset}\r\n\
                 X-RateLimit-Limit: {limit}\r\nX-RateLimit-Remaining: {remaining}\r\nX-RateLimit-Reset: {reset}\r\n"
            );
            assert_eq!(told(&rule, numbers), expected);
            assert_eq!(told(&unlimited, numbers), expected);
        }
    }
}
