//! Runs the program `tidegate` against clients that were not written here.
//!
//! `tidegate-clients CLIENT…` starts the program in each operating mode on each loop, and for each runs
//! all cases of the client; some of these configurations run side by side. `cargo xtask test --only CLIENT` sets up what a client needs and calls this.
//! What raw bytes get for an answer is the matter of `testing/wire`.
#![forbid(unsafe_code)]

mod admitted;
mod autobahn;
mod beside;
mod browser;
mod certificates;
mod curl;
mod error;
mod expect;
mod frames;
#[path = "../../free_port.rs"]
#[allow(clippy::unwrap_used, reason = "there is nothing to do without a port")]
mod free_port;
mod java;
mod metrics;
mod nghttp2;
mod node;
mod openssl;
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
mod uploads;
mod websocket;
mod wget;
mod wrk;

use std::process::ExitCode;

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
    let failures: Vec<String> = options
        .suites
        .iter()
        .flat_map(|&suite| {
            let mut configurations = configurations.clone();
            if options.runs_all() && has_uring && suite.is_slow_in_all() {
                configurations.retain(|configuration| configuration.is_crosswise());
            }
            beside::run(suite, &configurations, &options)
        })
        .collect();
    // Once more at the end, where it is found.
    for failure in &failures {
        println!("{failure}");
    }
    if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
