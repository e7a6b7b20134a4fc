//! W11: what happens at twice the load that a server can carry.
//!
//! Each round finds the saturation of `/work` in a closed loop, then offers 0.8, 2 and 6 times that
//! in an open loop with Poisson arrivals. The cost of a refusal comes from the run at 6 times,
//! where refusals are most of what is done: the server's processor time, less that of the answers
//! it gave (each at the closed loop's cost), over the refusals.

use std::thread;
use std::time::Duration;

use super::error::BenchError;
use super::load::{ANY_CONTENT, Measurement, Requests, Sample};
use super::options::Options;
use super::places::Places;
use super::process::{self, Running};
use super::rounds::WARM;
use super::server::{Duty, Exchange, Server};
use super::statistics::Spread;
use super::target::{Limit, Verdict};
use super::workload::HELLO;

/// What the workload found.
#[derive(Debug)]
pub(crate) struct OverloadOutcome {
    pub(crate) rows: Vec<OverloadRow>,
    /// Servers that could not be measured, and why.
    pub(crate) left_out: Vec<String>,
}

/// One server's medians over the rounds.
#[derive(Debug)]
pub(crate) struct OverloadRow {
    pub(crate) server: Server,
    /// Answers per second in the closed loop.
    pub(crate) saturation: f64,
    /// Processor time of an answer to `/work`.
    pub(crate) answer_us: f64,
    /// Processor time of an answer to `/hello`, the cheapest there is.
    pub(crate) hello_us: f64,
    pub(crate) calm_p99_us: Option<f64>,
    pub(crate) overload_p99_us: Option<f64>,
    /// Answers per second at twice saturation, as a share of saturation.
    pub(crate) goodput: f64,
    /// 503s and resets per second at twice saturation.
    pub(crate) refused_per_second: f64,
    pub(crate) reset_per_second: f64,
    /// Processor time of a 503 or reset; `None` for a server that refuses nothing.
    pub(crate) refusal_us: Option<f64>,
}

/// Measures the servers one after another.
pub(crate) fn run(places: &Places, options: &Options) -> OverloadOutcome {
    let mut outcome = OverloadOutcome {
        rows: Vec::new(),
        left_out: Vec::new(),
    };
    for server in SERVERS
        .into_iter()
        .filter(|server| options.measures(*server))
    {
        eprintln!("bench: W11 {}", server.name());
        match measure(places, options, server) {
            Ok(row) => outcome.rows.push(row),
            Err(error) => {
                eprintln!("bench: {}: {error}", server.name());
                outcome.left_out.push(format!("{}: {error}", server.name()));
            }
        }
    }
    outcome
}

impl OverloadOutcome {
    /// Our server's results beside the targets.
    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        let ours = self
            .rows
            .iter()
            .find(|row| row.server == Server::TidegateUring);
        let verdict = |what: &str, limit, result| Verdict {
            what: what.to_owned(),
            limit,
            result,
            quiet: None,
        };
        vec![
            verdict(
                "p99 of the answered at 2 × saturation / p99 at 0.8 ×",
                Limit::AtMost(5.0),
                ours.and_then(|row| Some(row.overload_p99_us? / row.calm_p99_us?)),
            ),
            verdict(
                "answers at 2 × saturation / saturation",
                Limit::AtLeast(0.9),
                ours.map(|row| row.goodput),
            ),
            verdict(
                "CPU time, a 503 / an answer to /work",
                Limit::AtMost(0.6),
                ours.and_then(|row| Some(row.refusal_us? / row.answer_us)),
            ),
            verdict(
                "CPU time, a 503 / an answer to /hello (the cheapest answer)",
                Limit::AtMost(0.6),
                ours.and_then(|row| Some(row.refusal_us? / row.hello_us)),
            ),
        ]
    }
}

/// One round's samples.
struct Round {
    saturation: Sample,
    hello: Sample,
    calm: Sample,
    overload: Sample,
    flood: Sample,
}

fn measure(places: &Places, options: &Options, server: Server) -> Result<OverloadRow, BenchError> {
    let port = process::free_port()?;
    let exchange = Exchange {
        request_bytes: 0,
        content_bytes: HELLO.content_bytes,
    };
    let mut words = server.command(places, port, Duty::Requests(exchange))?;
    if server == Server::TidegateUring {
        words.extend(OUR_OVERLOAD_SETTINGS.map(str::to_owned));
    }
    let running = Running::start(places, server.name(), port, &words)?;
    let rounds = (0..options.rounds.clamp(1, ROUNDS_MAX))
        .map(|_| one_round(places, options, server, &running))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(summarize(server, &rounds))
}

fn one_round(
    places: &Places,
    options: &Options,
    server: Server,
    running: &Running,
) -> Result<Round, BenchError> {
    let window = if options.quick {
        options.window
    } else {
        options.window.max(Duration::from_secs(1))
    };
    let measurement = Measurement {
        warm: WARM,
        window,
        counters: false,
    };
    let closed = |path| {
        thread::sleep(DRAIN);
        let load = Requests {
            path,
            connections: SATURATING_CONNECTIONS,
            expected: ANY_CONTENT,
            ..HELLO
        };
        load.closed(places, server, running, measurement)
    };
    let saturation = closed("/work")?;
    let hello = closed("/hello")?;
    let rate = saturation.requests as f64 / saturation.seconds;
    let open = |times: f64| {
        thread::sleep(DRAIN);
        let load = Requests {
            path: "/work",
            connections: OPEN_CONNECTIONS,
            ..HELLO
        };
        load.open(places, running, times * rate, measurement)
    };
    Ok(Round {
        calm: open(0.8)?,
        overload: open(2.0)?,
        flood: open(6.0)?,
        saturation,
        hello,
    })
}

fn summarize(server: Server, rounds: &[Round]) -> OverloadRow {
    let median = |of: &dyn Fn(&Round) -> Option<f64>| {
        Spread::of(rounds.iter().filter_map(of)).map(|spread| spread.median)
    };
    let saturation_rate =
        |round: &Round| round.saturation.requests as f64 / round.saturation.seconds;
    let rate = |sample: &Sample, count: u64| count as f64 / sample.seconds;
    let open = |sample: &Sample, of: fn(&super::load::OpenCounts) -> u64| {
        sample.open.as_ref().map(|counts| rate(sample, of(counts)))
    };
    OverloadRow {
        server,
        saturation: median(&|round| Some(saturation_rate(round))).unwrap_or_default(),
        answer_us: median(&|round| Some(round.saturation.cpu_us)).unwrap_or_default(),
        hello_us: median(&|round| Some(round.hello.cpu_us)).unwrap_or_default(),
        calm_p99_us: median(&|round| round.calm.p99_us),
        overload_p99_us: median(&|round| round.overload.p99_us),
        goodput: median(&|round| {
            Some(open(&round.overload, |counts| counts.answered)? / saturation_rate(round))
        })
        .unwrap_or_default(),
        refused_per_second: median(&|round| open(&round.overload, |counts| counts.refused))
            .unwrap_or_default(),
        reset_per_second: median(&|round| {
            open(&round.overload, |counts| counts.reset + counts.other)
        })
        .unwrap_or_default(),
        refusal_us: median(&|round| refusal_us(&round.flood, round.saturation.cpu_us)),
    }
}

/// Processor time of one refusal in a run in which some requests were answered and most refused.
fn refusal_us(flood: &Sample, answer_us: f64) -> Option<f64> {
    let counts = flood.open?;
    let refusals = counts.refused + counts.reset;
    let total_us = flood.cpu_us * flood.requests as f64;
    // A handful of resets, as at the end of a run, says nothing.
    (refusals > flood.requests / 20)
        .then(|| (total_us - counts.answered as f64 * answer_us) / refusals as f64)
}

const SERVERS: [Server; 3] = [Server::TidegateUring, Server::Hyper, Server::Actix];
/// Enough that the server always has a next request, and fewer than our queue holds.
const SATURATING_CONNECTIONS: usize = 8;
const OPEN_CONNECTIONS: usize = 512;
const OUR_OVERLOAD_SETTINGS: [&str; 2] = ["--overload", "16"];
const ROUNDS_MAX: usize = 5;
/// A server that refuses nothing still works off what the last load left: at most one request for
/// each connection.
const DRAIN: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::super::load::OpenCounts;
    use super::*;

    fn flood(answered: u64, refused: u64, cpu_us: f64) -> Sample {
        Sample {
            requests_total: 0,
            requests: answered + refused,
            seconds: 1.0,
            cpu_us,
            server_share: 1.0,
            generator_share: 1.0,
            p99_us: None,
            user_instructions: None,
            kernel_instructions: None,
            first: None,
            storm: None,
            open: Some(OpenCounts {
                answered,
                refused,
                reset: 0,
                other: 0,
            }),
        }
    }

    #[test]
    fn refusals_cost_what_answers_leave() {
        // 1,000 answers at 200 µs and 9,000 refusals at 10 µs: 290 ms for 10,000 requests.
        let cost = refusal_us(&flood(1000, 9000, 29.0), 200.0).unwrap();
        assert!((cost - 10.0).abs() < 1e-9);
    }

    #[test]
    fn server_that_refuses_nothing_has_no_cost_of_refusal() {
        assert_eq!(refusal_us(&flood(1000, 10, 200.0), 200.0), None);
    }
}
