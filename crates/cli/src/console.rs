//! What the program says to the person who started it.
//!
//! It goes to the error output, as a log does: the output stays free for what a command may print.
//! A terminal that has gone away must not end a server, so failing to write is no failure.

use std::fmt;
use std::io::Write as _;

/// Says a line.
pub(crate) fn say(line: impl fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
