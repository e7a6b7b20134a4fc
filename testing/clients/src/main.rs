//! Runs the program `tidegate` against clients that were not written here.
//!
//! `tidegate-clients CLIENT…` starts the program in each operating mode on each loop, and for each runs
//! all cases of the client. `cargo xtask test --only CLIENT` sets up what a client needs and calls this.
//! What raw bytes get for an answer is the matter of `testing/wire`.
#![forbid(unsafe_code)]

mod browser;
mod curl;
mod error;
mod expect;
mod node;
mod options;
mod peer;
mod process;
mod proxy;
mod python;
mod server;
mod slow;
mod soak;
mod suite;
mod wget;
mod wrk;

use std::process::ExitCode;
use std::time::Instant;

use options::Options;
use server::{Io, Server};

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
    let mut failures = 0;
    for suite in &options.suites {
        for configuration in options.configurations() {
            if configuration.io == Io::Uring && !has_uring {
                continue;
            }
            let begun = Instant::now();
            let outcome = match suite.run(configuration, &options) {
                Ok(cases) => format!("ok, {cases} cases"),
                Err(error) => {
                    failures += 1;
                    format!("FAILED: {error}")
                }
            };
            let seconds = begun.elapsed().as_secs_f64();
            println!(
                "{:<8} {configuration:<17} {seconds:>6.1} s  {outcome}",
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
