//! Runs one workload: all its servers in turn, forwards and backwards, round after round.
//!
//! The order A B C … C B A spreads what changes on the machine meanwhile over all servers alike.

use std::thread;
use std::time::Duration;

use super::callgrind;
use super::error::BenchError;
use super::load::{Load, Measurement, Sample};
use super::options::Options;
use super::places::Places;
use super::process::{self, Running};
use super::server::{Duty, Server};
use super::statistics::Spread;
use super::target::Figures;
use super::workload::Workload;

/// What a workload found.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) rows: Vec<Row>,
    /// Servers that could not be measured, and why.
    pub(crate) left_out: Vec<String>,
}

/// One server's samples.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) server: Server,
    /// Without counters, which cost time.
    pub(crate) samples: Vec<Sample>,
    pub(crate) user_instructions: Option<f64>,
    pub(crate) kernel_instructions: Option<f64>,
}

impl Row {
    pub(crate) fn cpu_us(&self) -> Option<Spread> {
        Spread::of(self.samples.iter().map(|sample| sample.cpu_us))
    }

    /// Median of something in the samples.
    pub(crate) fn median(&self, of: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
        Spread::of(self.samples.iter().filter_map(of)).map(|spread| spread.median)
    }
}

impl Outcome {
    pub(crate) fn figures(&self, server: Server) -> Figures {
        self.rows
            .iter()
            .find(|row| row.server == server)
            .map_or_else(Figures::default, |row| Figures {
                cpu_us: row.cpu_us(),
                user_instructions: row.user_instructions,
            })
    }
}

/// Starts the servers of a workload and measures them.
pub(crate) fn run(
    places: &Places,
    options: &Options,
    workload: &Workload,
) -> Result<Outcome, BenchError> {
    let (mut running, mut outcome) = (
        Vec::new(),
        Outcome {
            rows: Vec::new(),
            left_out: Vec::new(),
        },
    );
    let load = options.scaled(workload.load);
    let upstream = match load.needs_upstream() {
        true => Some(upstream(places)?),
        false => None,
    };
    let upstream_port = upstream.as_ref().map(|running| running.port);
    for server in workload
        .servers
        .iter()
        .copied()
        .filter(|server| options.measures(*server))
    {
        match start(places, server, &load, upstream_port) {
            Ok(started) => {
                running.push(started);
                outcome.rows.push(Row {
                    server,
                    samples: Vec::new(),
                    user_instructions: None,
                    kernel_instructions: None,
                });
            }
            Err(error) => outcome.leave_out(server, &error),
        }
    }
    let plain = Measurement {
        warm: WARM,
        window: options.window,
        counters: false,
    };
    for round in 0..options.rounds {
        eprintln!(
            "bench: {} round {} of {}",
            workload.label,
            round + 1,
            options.rounds
        );
        for index in there_and_back(round, running.len()) {
            match sample(
                places,
                &load,
                outcome.rows[index].server,
                &running[index],
                plain,
            ) {
                Ok(sample) => outcome.rows[index].samples.push(sample),
                Err(error) => outcome.leave_out(outcome.rows[index].server, &error),
            }
        }
    }
    let counts = workload.load.is_counted();
    if counts {
        count_instructions(places, options, &load, &running, &mut outcome);
    }
    drop(running);
    if counts
        && outcome
            .rows
            .iter()
            .all(|row| row.user_instructions.is_none())
    {
        callgrind::fill(places, options, workload, &mut outcome);
    }
    outcome.rows.retain(|row| !row.samples.is_empty());
    outcome.left_out.sort();
    outcome.left_out.dedup();
    Ok(outcome)
}

impl Outcome {
    fn leave_out(&mut self, server: Server, error: &BenchError) {
        let text = format!("{}: {error}", server.name());
        eprintln!("bench: {text}");
        self.left_out.push(text);
    }
}

/// Starts the server that others have their answers from, beside the load: its time is not counted.
fn upstream(places: &Places) -> Result<Running, BenchError> {
    let port = process::free_port()?;
    let words = Server::TidegateUring.command(places, port, Duty::Answers)?;
    Running::start_beside_load(places, "upstream", port, &words)
}

/// Starts a server so that it can bear a load.
fn start(
    places: &Places,
    server: Server,
    load: &Load,
    upstream: Option<u16>,
) -> Result<Running, BenchError> {
    let port = process::free_port()?;
    let words = server.command(places, port, load.duty(places, port, upstream)?)?;
    Running::start(places, server.name(), port, &words)
}

fn sample(
    places: &Places,
    load: &Load,
    server: Server,
    running: &Running,
    measurement: Measurement,
) -> Result<Sample, BenchError> {
    // Lets the machine's other work have what it waited for, rather than in the middle of a window.
    thread::sleep(GAP);
    load.measure(places, server, running, measurement)
}

/// A few rounds more, with counters, if the machine has them.
fn count_instructions(
    places: &Places,
    options: &Options,
    load: &Load,
    running: &[Running],
    outcome: &mut Outcome,
) {
    let counted = Measurement {
        warm: WARM,
        window: options.window,
        counters: true,
    };
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); running.len()];
    for round in 0..COUNTED_ROUNDS.min(options.rounds) {
        for index in there_and_back(round, running.len()) {
            let server = outcome.rows[index].server;
            match sample(places, load, server, &running[index], counted) {
                Ok(sample) if sample.user_instructions.is_some() => samples[index].push(sample),
                // No counters on this machine: no server will have them.
                Ok(_) => return,
                Err(error) => outcome.leave_out(server, &error),
            }
        }
    }
    for (row, samples) in outcome.rows.iter_mut().zip(samples) {
        let median = |of: fn(&Sample) -> Option<f64>| {
            Spread::of(samples.iter().filter_map(of)).map(|spread| spread.median)
        };
        row.user_instructions = median(|sample| sample.user_instructions);
        row.kernel_instructions = median(|sample| sample.kernel_instructions);
    }
}

/// The indices in order in even rounds, and backwards in odd ones.
fn there_and_back(round: usize, count: usize) -> Vec<usize> {
    if round.is_multiple_of(2) {
        (0..count).collect()
    } else {
        (0..count).rev().collect()
    }
}

pub(crate) const WARM: Duration = Duration::from_millis(100);
pub(crate) const GAP: Duration = Duration::from_millis(150);
const COUNTED_ROUNDS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_go_there_and_back() {
        assert_eq!(there_and_back(0, 3), [0, 1, 2]);
        assert_eq!(there_and_back(1, 3), [2, 1, 0]);
    }
}
