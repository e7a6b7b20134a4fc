//! A process that is killed while it writes: whatever it was told is kept is there afterwards.
//!
//! Each test starts itself again as a child that writes and tells on its standard output what was acknowledged,
//! kills it after so many lines, and looks. Again and again, on the same files.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test")]

mod api_key_files;
mod api_keys;
mod users;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// Has a child run the test named `child`, which is ignored otherwise, and kills it after so many lines. Returns
/// all that it had acknowledged, which may be more.
fn run_and_kill(child: &str, folder: &Path, round: usize, lines: usize) -> Vec<String> {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            child,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(process.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    for line in output.lines() {
        let line = line.unwrap();
        // What the test's own harness prints stands before it, or on lines of its own.
        if let Some((_, item)) = line.split_once(KEPT) {
            acknowledged.push(item.to_owned());
        }
        if acknowledged.len() == lines {
            // SIGKILL, where there is such a thing. Lines on their way are still read.
            process.kill().unwrap();
        }
    }
    process.wait().unwrap();
    acknowledged
}

/// Where a child writes; `None` for who is no child.
fn folder() -> Option<std::path::PathBuf> {
    std::env::var_os(FOLDER).map(Into::into)
}

fn round() -> usize {
    std::env::var(ROUND).unwrap().parse().unwrap()
}

/// Tells that something is kept.
fn acknowledge(item: &str) {
    println!("\n{KEPT}{item}");
}

const FOLDER: &str = "TIDEGATE_KILL_FOLDER";
const ROUND: &str = "TIDEGATE_KILL_ROUND";
const KEPT: &str = "kept: ";
