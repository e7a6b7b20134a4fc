//! `cargo xtask bench`: what a request costs our server, a bare responder and other servers.
//!
//! `http1`, `websocket`, `tls`, `http2`, `content` and `admission` measure all workloads of a theme and write their part of
//! `bench/RESULTS.md`; `callgrind` counts the user instructions of a request or message where the
//! machine has no counters. Questions, loads and what they leave out are in `bench/README.md`.

mod admission;
mod build;
mod callgrind;
mod configuration;
mod content;
mod error;
mod http2;
mod idle;
mod isolation;
mod load;
mod machine;
mod options;
mod overload;
mod places;
mod process;
mod report;
mod results;
mod rounds;
mod server;
mod statistics;
mod suite;
mod table;
mod target;
mod tls;
mod transfer;
mod websocket;
mod workload;

use std::process::ExitCode;

use error::BenchError;
use options::{Options, Suite};
use places::Places;

/// Runs the command on the words after `bench`.
pub(crate) fn run(words: &[String]) -> ExitCode {
    match bench(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(words: &[String]) -> Result<(), BenchError> {
    let options = Options::parse(words)?;
    let places = Places::find()?;
    if !isolation::is_isolated() {
        // Building may need the network, which the own namespace does not have.
        if options.build {
            build::all(&places, options.install)?;
        }
        if let Some(code) = isolation::run_isolated(words)? {
            return code;
        }
    }
    places.prepare_scratch()?;
    match options.suite {
        Suite::Http1 => suite::http1(&places, &options),
        Suite::Tls => suite::tls(&places, &options),
        Suite::Http2 => suite::http2(&places, &options),
        Suite::Content => suite::content(&places, &options),
        Suite::Admission => suite::admission(&places, &options),
        Suite::WebSocket => suite::websocket(&places, &options),
        Suite::Callgrind => suite::callgrind(&places, &options),
    }
}
