//! User instructions per request by callgrind, for machines without counters.
//!
//! A server under callgrind runs two loads, a short one and a long one; the difference of their
//! instructions over the difference of their requests leaves start-up out. The server is some
//! fifty times slower there, so its batches are as full as the load allows: compare these counts
//! with each other, not with those of counters. The kernel's instructions are not seen.

use std::fs;
use std::time::Duration;

use super::error::BenchError;
use super::load::Measurement;
use super::options::Options;
use super::places::{Places, find_program};
use super::process::{self, Running};
use super::rounds::Outcome;
use super::server::Server;
use super::workload::Workload;

/// Counts for the servers of an outcome that callgrind can run, if it is installed.
pub(crate) fn fill(places: &Places, options: &Options, workload: &Workload, outcome: &mut Outcome) {
    if find_program("valgrind").is_none() {
        eprintln!("bench: no instruction counters; with valgrind installed callgrind would count");
        return;
    }
    for row in outcome
        .rows
        .iter_mut()
        .filter(|row| COUNTED.contains(&row.server))
    {
        if options.measures(row.server) {
            match user_instructions(places, row.server, workload) {
                Ok(count) => row.user_instructions = Some(count),
                Err(error) => eprintln!("bench: callgrind, {}: {error}", row.server.name()),
            }
        }
    }
}

/// Instructions per request of one server.
pub(crate) fn user_instructions(
    places: &Places,
    server: Server,
    workload: &Workload,
) -> Result<f64, BenchError> {
    let short = total(places, server, workload, Duration::from_millis(300))?;
    let long = total(places, server, workload, Duration::from_millis(2000))?;
    let requests = long.requests.saturating_sub(short.requests).max(1);
    Ok((long.instructions - short.instructions) / requests as f64)
}

struct Total {
    requests: u64,
    instructions: f64,
}

/// Instructions of a server from its start to its end, and the requests between.
fn total(
    places: &Places,
    server: Server,
    workload: &Workload,
    window: Duration,
) -> Result<Total, BenchError> {
    let port = process::free_port()?;
    let duty = workload.load.duty(places, port, None)?;
    let counts = places
        .scratch
        .join(format!("callgrind-{}-{port}", server.name()));
    let mut words = vec![
        "valgrind".to_owned(),
        "--tool=callgrind".to_owned(),
        format!("--callgrind-out-file={}", counts.display()),
    ];
    words.extend(server.command(places, port, duty)?);
    let running = Running::start(places, server.name(), port, &words)?;
    let measurement = Measurement {
        warm: Duration::ZERO,
        window,
        counters: false,
    };
    let sample = workload
        .load
        .measure(places, server, &running, measurement)?;
    running.end_gently()?;
    let text = fs::read_to_string(&counts).map_err(BenchError::file(&counts))?;
    Ok(Total {
        requests: sample.requests_total,
        instructions: instructions(&text),
    })
}

/// The sum in callgrind's file; with several threads there is one for each.
fn instructions(text: &str) -> f64 {
    text.lines()
        .filter_map(|line| line.strip_prefix("totals:"))
        .filter_map(|rest| rest.trim().parse::<f64>().ok())
        .sum()
}

/// Servers that run under callgrind.
///
/// Ours on io_uring is not among them: valgrind lets no other thread run while one waits in
/// io_uring, so a server of several threads does not start. Its code but for the loop is that of
/// `tidegate-poll`.
pub(crate) const COUNTED: [Server; 7] = [
    Server::BareUring,
    Server::BarePoll,
    Server::TidegatePoll,
    Server::Hyper,
    Server::Actix,
    Server::Tungstenite,
    Server::FastWebSockets,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_all_threads_are_added() {
        assert_eq!(
            instructions("events: Ir\n0 3\ntotals: 40\nfn=x\ntotals: 2\n"),
            42.0
        );
        assert_eq!(instructions(""), 0.0);
    }
}
