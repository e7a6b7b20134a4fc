//! Runs the program `tidegate` against clients that were not written here.
//!
//! `tidegate-clients CLIENT…` starts the program in each operating mode on each loop, and for each runs
//! all cases of the client. `cargo xtask test --only CLIENT` sets up what a client needs and calls this.
//! What raw bytes get for an answer is the matter of `testing/wire`.
#![forbid(unsafe_code)]

mod autobahn;
mod browser;
mod curl;
mod error;
mod expect;
mod frames;
mod java;
mod node;
mod options;
mod peer;
mod process;
mod proxy;
mod python;
mod random;
mod server;
mod slow;
mod soak;
mod splitting;
mod suite;
mod websocket;
mod wget;
mod wrk;

use std::process::ExitCode;
use std::time::Instant;

use options::Options;
use server::{Configuration, Io, Server};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let options = match Options::parse(&words) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let has_uring = match Server::offers_uring(&options) {
        Ok(()) => true,
        Err(error) => {
            println!("uring: SKIPPED, the program does not start with it: {error}");
            false
        }
    };
    let configurations: Vec<Configuration> = options
        .configurations()
        .into_iter()
        .filter(|configuration| has_uring || configuration.io != Io::Uring)
        .collect();
    let foremost = configurations
        .iter()
        .copied()
        .max_by_key(|configuration| configuration.rank());
    let mut failures = 0;
    for suite in &options.suites {
        for &configuration in &configurations {
            let begun = Instant::now();
            let is_foremost = Some(configuration) == foremost;
            let outcome = match suite.run(configuration, is_foremost, &options) {
                Ok(cases) => format!("ok, {cases} cases"),
                Err(error) => {
                    failures += 1;
                    format!("FAILED: {error}")
                }
            };
            let seconds = begun.elapsed().as_secs_f64();
            println!(
                "{:<9} {configuration:<17} {seconds:>6.1} s  {outcome}",
                suite.name()
            );
        }
    }
    if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
