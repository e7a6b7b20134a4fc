//! Development commands of the workspace: `cargo xtask COMMAND`.
//!
//! Only finds the command; each lives in a module of its own.
#![forbid(unsafe_code)]

mod bench;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.split_first() {
        Some((command, rest)) if command == "bench" => bench::run(rest),
        _ => {
            eprintln!("usage: cargo xtask bench …");
            ExitCode::FAILURE
        }
    }
}
