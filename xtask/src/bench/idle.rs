//! W10: resident memory of the server for each idle connection.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use super::error::BenchError;
use super::load::Load;
use super::machine;
use super::options::Options;
use super::places::Places;
use super::process::{self, Running};
use super::server::{Duty, Frames, Server};
use super::workload::IdleWorkload;

/// What one server needed.
#[derive(Debug)]
pub(crate) struct IdleRow {
    pub(crate) server: Server,
    pub(crate) resident_before: u64,
    pub(crate) bytes_per_connection: f64,
}

/// What the workload found.
#[derive(Debug)]
pub(crate) struct IdleOutcome {
    pub(crate) connections: usize,
    pub(crate) rows: Vec<IdleRow>,
    /// Servers that could not be measured, and why.
    pub(crate) left_out: Vec<String>,
}

/// Measures the servers one after another, each in a fresh process.
pub(crate) fn run(places: &Places, options: &Options, workload: &IdleWorkload) -> IdleOutcome {
    let load = options.scaled(workload.load);
    let mut outcome = IdleOutcome {
        connections: load.connections(),
        rows: Vec::new(),
        left_out: Vec::new(),
    };
    for server in workload
        .servers
        .iter()
        .copied()
        .filter(|server| options.measures(*server))
    {
        eprintln!("bench: W10 {}", server.name());
        match measure(places, server, &load) {
            Ok(row) => outcome.rows.push(row),
            Err(error) => {
                eprintln!("bench: {}: {error}", server.name());
                outcome.left_out.push(format!("{}: {error}", server.name()));
            }
        }
    }
    outcome
}

fn measure(places: &Places, server: Server, load: &Load) -> Result<IdleRow, BenchError> {
    let connections = load.connections();
    let port = process::free_port()?;
    let duty = match load.duty(places, port, None)? {
        Duty::Frames(_) => Duty::Frames(Frames::Heartbeat),
        requests => requests,
    };
    let words = server.command(places, port, duty)?;
    let running = Running::start(places, server.name(), port, &words)?;
    thread::sleep(SETTLE);
    let resident_before = process::resident_bytes(&running.pids())?;
    let mut holder = process::launcher(places, machine::processors().1)
        .arg(places.generator())
        .arg("idle")
        .args(load.arguments(port))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|source| BenchError::Start {
            program: "bench-generator idle".to_owned(),
            source,
        })?;
    let mut line = String::new();
    if let Some(output) = holder.stdout.take() {
        // An error leaves the line empty, which is seen below.
        let _ = BufReader::new(output).read_line(&mut line);
    }
    thread::sleep(SETTLE);
    let resident_after = process::resident_bytes(&running.pids());
    // The end of its input lets the holder go.
    drop(holder.stdin.take());
    let _ = holder.wait();
    if line.is_empty() {
        return Err(BenchError::Failed {
            program: "bench-generator idle".to_owned(),
            output: format!("{} did not take {connections} connections", server.name()),
        });
    }
    let grown = resident_after?.saturating_sub(resident_before);
    Ok(IdleRow {
        server,
        resident_before,
        bytes_per_connection: grown as f64 / connections as f64,
    })
}

/// Time for a server to give back what it does not keep. There is no event to wait for.
const SETTLE: Duration = Duration::from_millis(500);
