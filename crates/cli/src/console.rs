//! What the program says to the person who started it, and what a command prints.
//!
//! The former goes to the error output, as a log does: the output stays free for the latter. A terminal
//! that has gone away must not end a server, so failing to write is no failure.

use std::error::Error;
use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

/// Prints what a command is for.
pub(crate) fn print(text: impl fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Says a line.
pub(crate) fn say(line: impl fmt::Display) {
    // In one piece: another process may have the same output.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Says why a command was not done, with the causes.
pub(crate) fn fail(error: &dyn Error) -> ExitCode {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    say(format_args!("error: {text}"));
    ExitCode::FAILURE
}
