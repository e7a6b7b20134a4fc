//! Development commands of the workspace: `cargo xtask COMMAND`.
//!
//! Only finds the command; each lives in a module of its own.
#![forbid(unsafe_code)]

mod bench;
mod test;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.split_first() {
        Some((command, rest)) if command == "bench" => bench::run(rest),
        Some((command, rest)) if command == "test" => test::run(rest),
        _ => {
            eprintln!("usage: cargo xtask test …\n       cargo xtask bench …");
            ExitCode::FAILURE
        }
    }
}
