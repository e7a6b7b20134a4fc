//! Load generator of the benchmarks: one thread, epoll, an exact measuring window.
//!
//! `bench-generator closed|open|idle|broadcast|storm|handshakes|request|launch …` prints one JSON object
//! (`request`: the bytes of a request; `launch`: runs another program). It is a development tool:
//! the flags are what `cargo xtask bench` gives it, and `options` lists them. It loads one server
//! on the loopback interface and reads that server's processor time itself, at the very instants
//! the window opens and closes.

mod broadcast;
mod closed_loop;
mod counters;
mod epoll;
mod error;
mod exchange;
mod frame;
mod handshake;
mod handshakes;
mod histogram;
mod http2;
mod idle;
mod launch;
mod message;
mod open_loop;
mod options;
mod report;
mod request;
mod response;
mod server_time;
mod socket;
mod storm;
mod tls;
mod window;

use std::io::Write;
use std::process::ExitCode;

use error::GeneratorError;
use options::{Command, Options};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-generator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), GeneratorError> {
    match Command::parse(arguments)? {
        Command::Closed(options) if options.http2 => print(&http2::run(&options)?),
        Command::Closed(options) => print(&closed_loop::run(&options)?),
        Command::Open(options) => print(&open_loop::run(&options)?),
        Command::Idle(options) => idle::run(&options),
        Command::Broadcast(options) => print(&broadcast::run(&options)?),
        Command::Storm(options) => print(&storm::run(&options)?),
        Command::Handshakes(options) => print(&handshakes::run(&options)?),
        Command::Request(options) => print_request(&options),
        Command::Launch(plan) => launch::run(&plan),
    }
}

fn print(report: &report::Report) -> Result<(), GeneratorError> {
    println!("{}", report.to_json());
    Ok(())
}

/// The bare responder must be told how long a request is, as it parses nothing.
fn print_request(options: &Options) -> Result<(), GeneratorError> {
    std::io::stdout()
        .write_all(&request::encode(options))
        .map_err(|source| GeneratorError::System {
            call: "write",
            source,
        })
}
