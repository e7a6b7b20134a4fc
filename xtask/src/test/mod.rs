//! `cargo xtask test`: everything that is checked before a change goes in.
//!
//! Sets up what the steps need, runs them one after the other, and ends with a table and one line of
//! counts. What a step does is in `step`, what it needs in `tool`; `ahead` builds for later ones meanwhile.

mod ahead;
mod error;
mod fuzz;
mod options;
mod step;
mod tool;
mod walls;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ahead::Ahead;
use error::StepError;
use options::Options;
use step::Step;
use tool::Tools;

/// Runs the command on the words after `test`.
pub(crate) fn run(words: &[String]) -> ExitCode {
    let options = match Options::parse(words) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("test: {error}");
            return ExitCode::FAILURE;
        }
    };
    let root = match root() {
        Ok(root) => root,
        Err(error) => {
            eprintln!("test: {error}");
            return ExitCode::FAILURE;
        }
    };
    let report = std::thread::scope(|scope| {
        let mut ahead = Ahead::begin(scope, &root, &options.steps);
        let tools = Tools::set_up(&root, &options.steps, options.install);
        let mut report = Vec::new();
        for &step in &options.steps {
            ahead.note(Some(step));
            report.push(take(step, &root, &tools, &options));
        }
        ahead.note(None);
        report
    });
    conclude(&report)
}

/// Runs a step, and tells of it at once if it did not pass.
fn take(step: Step, root: &Path, tools: &Tools, options: &Options) -> Line {
    println!("\n=== {step}");
    let begun = Instant::now();
    let result = tools
        .check(step)
        .and_then(|()| step.run(root, tools, options));
    let line = Line {
        step,
        outcome: Outcome::of(result, options.strict),
        took: begun.elapsed(),
    };
    if !matches!(line.outcome, Outcome::Passed) {
        println!("{line}");
    }
    line
}

/// How a step ended.
enum Outcome {
    Passed,
    Failed(StepError),
    Skipped(StepError),
}

impl Outcome {
    /// `strict`: what could be installed must be.
    fn of(result: Result<(), StepError>, strict: bool) -> Self {
        match result {
            Ok(()) => Self::Passed,
            Err(error @ StepError::Platform { .. }) => Self::Skipped(error),
            Err(error @ StepError::Missing { .. }) if !strict => Self::Skipped(error),
            Err(error) => Self::Failed(error),
        }
    }
}

/// One line of the table.
struct Line {
    step: Step,
    outcome: Outcome,
    took: Duration,
}

impl std::fmt::Display for Line {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.step.to_string();
        let seconds = self.took.as_secs_f64();
        match &self.outcome {
            Outcome::Passed => write!(formatter, "{name:<14} {seconds:>7.1} s  passed"),
            Outcome::Failed(error) => {
                write!(formatter, "{name:<14} {seconds:>7.1} s  FAILED: {error}")
            }
            Outcome::Skipped(error) => {
                write!(formatter, "{name:<14} {seconds:>7.1} s  SKIPPED: {error}")
            }
        }
    }
}

fn conclude(report: &[Line]) -> ExitCode {
    println!("\n=== results");
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for line in report {
        println!("{line}");
        match line.outcome {
            Outcome::Passed => passed += 1,
            Outcome::Failed(_) => failed += 1,
            Outcome::Skipped(_) => skipped += 1,
        }
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The checkout: where the workspace's manifest is.
fn root() -> Result<PathBuf, StepError> {
    let output = step::cargo()
        .args(["locate-project", "--workspace", "--message-format=plain"])
        .output()
        .map_err(|source| StepError::Start {
            program: "cargo".to_owned(),
            source,
        })?;
    let manifest = String::from_utf8_lossy(&output.stdout);
    Path::new(manifest.trim())
        .parent()
        .map(Path::to_path_buf)
        .ok_or(StepError::NoWorkspace)
}
