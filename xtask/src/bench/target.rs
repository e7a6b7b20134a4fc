//! Targets, and whether a result reaches them.

use super::server::Server;
use super::statistics::Spread;
use super::table;

/// What a server of ours should reach in a workload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) ours: Server,
    pub(crate) claim: Claim,
}

/// The kinds of targets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Claim {
    /// Our processor time is at most so many times that of another server.
    AtMostTimes(f64, Server),
    /// Our processor time for each request is at most so many microseconds more than that of another server.
    AtMostMore(f64, Server),
    /// Another server's processor time is at least so many times ours.
    OtherAtLeastTimes(f64, Server),
    /// User instructions per request.
    UserInstructionsAtMost(f64),
}

/// The figures that claims are about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) cpu_us: Option<Spread>,
    pub(crate) user_instructions: Option<f64>,
}

/// A limit and the result it is for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    /// What was measured.
    pub(crate) what: String,
    pub(crate) limit: Limit,
    /// `None` where it could not be measured.
    pub(crate) result: Option<f64>,
    /// The same from each server's lowest value: what it would be with quieter neighbours.
    pub(crate) quiet: Option<f64>,
}

/// The side on which a result should stay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    /// Compares with the figures of a workload.
    pub(crate) fn verdict(&self, figures: impl Fn(Server) -> Figures) -> Verdict {
        let (name, ours) = (self.ours.name(), figures(self.ours));
        match self.claim {
            Claim::AtMostTimes(limit, other) => {
                let what = format!("CPU time, {name} / {}", other.name());
                Verdict::ratio(
                    what,
                    Limit::AtMost(limit),
                    ours.cpu_us,
                    figures(other).cpu_us,
                )
            }
            Claim::AtMostMore(limit, other) => {
                let what = format!("CPU time in µs, {name} − {}", other.name());
                let both = ours.cpu_us.zip(figures(other).cpu_us);
                Verdict {
                    what,
                    limit: Limit::AtMost(limit),
                    result: both.map(|(ours, other)| ours.median - other.median),
                    quiet: both.map(|(ours, other)| ours.lowest - other.lowest),
                }
            }
            Claim::OtherAtLeastTimes(limit, other) => {
                let what = format!("CPU time, {} / {name}", other.name());
                Verdict::ratio(
                    what,
                    Limit::AtLeast(limit),
                    figures(other).cpu_us,
                    ours.cpu_us,
                )
            }
            Claim::UserInstructionsAtMost(limit) => Verdict {
                what: format!("user instructions per request, {name}"),
                limit: Limit::AtMost(limit),
                result: ours.user_instructions,
                quiet: None,
            },
        }
    }
}

impl Verdict {
    fn ratio(what: String, limit: Limit, above: Option<Spread>, below: Option<Spread>) -> Self {
        let both = above.zip(below);
        Self {
            what,
            limit,
            result: both.map(|(above, below)| above.median / below.median),
            quiet: both.map(|(above, below)| above.lowest / below.lowest),
        }
    }

    /// Cells for the table of targets.
    pub(crate) fn cells(&self) -> Vec<String> {
        vec![
            self.what.clone(),
            self.limit.to_text(),
            table::number_or_dash(self.result),
            table::number_or_dash(self.quiet),
            self.outcome(),
        ]
    }

    /// `reached`, `missed by N %`, or that it is not known.
    fn outcome(&self) -> String {
        let Some(result) = self.result else {
            return "not measured".to_owned();
        };
        if self.limit == Limit::AtMost(0.0) {
            let outcome = if result > 0.0 {
                "**missed**"
            } else {
                "reached"
            };
            return outcome.to_owned();
        }
        let missing = match self.limit {
            Limit::AtMost(limit) => result / limit - 1.0,
            Limit::AtLeast(limit) => 1.0 - result / limit,
        };
        if missing > 0.0 {
            format!("**missed by {:.1} %**", missing * 100.0)
        } else {
            format!("reached, {:.1} % to spare", -missing * 100.0)
        }
    }
}

impl Limit {
    fn to_text(self) -> String {
        match self {
            Self::AtMost(limit) => format!("≤ {}", table::number(limit)),
            Self::AtLeast(limit) => format!("≥ {}", table::number(limit)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(server: Server) -> Figures {
        let cpu_us = match server {
            Server::TidegateUring => Some(8.0),
            Server::BareUring => Some(7.0),
            Server::Hyper => Some(12.0),
            _ => None,
        };
        Figures {
            cpu_us: cpu_us.and_then(|value| Spread::of([value])),
            user_instructions: Some(900.0),
        }
    }

    fn outcome(claim: Claim) -> String {
        Target {
            ours: Server::TidegateUring,
            claim,
        }
        .verdict(figures)
        .outcome()
    }

    #[test]
    fn outcomes_say_by_how_much() {
        assert_eq!(
            outcome(Claim::AtMostTimes(1.0, Server::BareUring)),
            "**missed by 14.3 %**"
        );
        assert_eq!(
            outcome(Claim::OtherAtLeastTimes(1.25, Server::Hyper)),
            "reached, 20.0 % to spare"
        );
        assert_eq!(
            outcome(Claim::OtherAtLeastTimes(2.0, Server::Hyper)),
            "**missed by 25.0 %**"
        );
        assert_eq!(
            outcome(Claim::UserInstructionsAtMost(1000.0)),
            "reached, 10.0 % to spare"
        );
        assert_eq!(
            outcome(Claim::AtMostTimes(1.0, Server::Bun)),
            "not measured"
        );
    }

    #[test]
    fn exactly_at_the_limit_is_reached() {
        let verdict = Verdict {
            what: String::new(),
            limit: Limit::AtMost(2.0),
            result: Some(2.0),
            quiet: None,
        };
        assert!(verdict.outcome().starts_with("reached"));
        let none = |result| Verdict {
            limit: Limit::AtMost(0.0),
            result: Some(result),
            ..verdict.clone()
        };
        assert_eq!(none(0.0).outcome(), "reached");
        assert_eq!(none(1.0).outcome(), "**missed**");
    }
}
