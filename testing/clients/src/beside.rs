//! Runs a suite in all configurations, several of them side by side, and tells of each when it is done.
//!
//! Configurations share nothing: each has a server on ports of its own and a folder of its own, and
//! whatever a client keeps it keeps there.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use crate::error::ClientError;
use crate::options::Options;
use crate::server::Configuration;
use crate::suite::{Notes, Share, Suite};

/// Runs one suite; returns a line for each configuration in which it failed.
pub(crate) fn run(
    suite: Suite,
    configurations: &[Configuration],
    options: &Options,
) -> Vec<String> {
    let count = configurations.len();
    let waiting = Mutex::new((0..).zip(configurations));
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.next());
    let at_once = if suite.is_quiet() { 1 } else { options.jobs };
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_once.min(count) {
            scope.spawn(|| {
                while let Some((index, &configuration)) = next() {
                    let share = Share { index, count };
                    let failure = run_in(suite, configuration, share, options);
                    if let Ok(mut failures) = failures.lock() {
                        failures.extend(failure);
                    }
                }
            });
        }
    });
    // A thread that panics has had the scope panic.
    failures.into_inner().unwrap_or_default()
}

/// Runs a suite in one configuration and prints its report whole; returns how it failed, in a line.
fn run_in(
    suite: Suite,
    configuration: Configuration,
    share: Share,
    options: &Options,
) -> Option<String> {
    let begun = Instant::now();
    let notes = Notes::default();
    let outcome = suite.run(configuration, share, options, &notes);
    let name = suite.name();
    let seconds = begun.elapsed().as_secs_f64();
    let mut report = notes.into_text();
    let told = match &outcome {
        Ok(cases) => format!("ok, {cases} cases"),
        Err(error) => format!("FAILED: {error}"),
    };
    // Writing to a string does not fail.
    let _ = writeln!(
        report,
        "{name:<9} {configuration:<17} {seconds:>6.1} s  {told}"
    );
    // In one piece: others print too.
    print!("{report}");
    outcome
        .err()
        .map(|error| in_a_line(name, configuration, &error))
}

/// Where it failed and the beginning of why; all of it stands in the report.
fn in_a_line(name: &str, configuration: Configuration, error: &ClientError) -> String {
    let why = error.to_string();
    let first = why.lines().next().unwrap_or_default();
    format!("FAILED: {name}, {configuration}: {first}")
}
