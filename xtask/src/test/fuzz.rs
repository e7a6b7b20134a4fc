//! Runs each fuzz target for a part of a minute, beginning with its seeds; some of them side by side.
//!
//! Longer runs, and what to do with what is found, are in `fuzz/README.md`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::thread;

use super::error::StepError;
use super::step;
use super::walls::metadata;

/// Runs all targets. What they find goes to the build's folder.
pub(crate) fn run(root: &Path) -> Result<(), StepError> {
    // Cargo reads the flags of the instrumentation from the folder it is run in.
    let folder = root.join("fuzz");
    let targets: Vec<String> = metadata(&folder)?.programs().map(str::to_owned).collect();
    step::run(build(step::cargo(), root))?;
    let seconds = SECONDS_IN_ALL.div_ceil(targets.len().max(1) as u64);
    let waiting = Mutex::new(targets.iter());
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.next());
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(target) = next() {
                    if let Err(error) = run_one(root, target, seconds)
                        && let Ok(mut failures) = failures.lock()
                    {
                        failures.push(error);
                    }
                }
            });
        }
    });
    // A thread that panics has had the scope panic.
    let failures = failures.into_inner().unwrap_or_default();
    failures.into_iter().next().map_or(Ok(()), Err)
}

/// Has this cargo build all targets.
pub(crate) fn build(mut cargo: Command, root: &Path) -> Command {
    cargo
        .current_dir(root.join("fuzz"))
        .args(["build", "--release", "--bins"]);
    cargo
}

/// Runs one target, and prints what it says when it has ended.
fn run_one(root: &Path, target: &str, seconds: u64) -> Result<(), StepError> {
    let folder = root.join("fuzz");
    let built = root.join("target").join("fuzz");
    let found = built.join("corpus").join(target);
    fs::create_dir_all(&found).map_err(|source| StepError::File {
        path: found.clone(),
        source,
    })?;
    let mut fuzz = step::cargo();
    fuzz.current_dir(&folder)
        .args(["run", "--release", "--quiet", "--bin", target, "--"])
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", built.display()))
        // Its lines are for someone who watches; here the outcome counts.
        .args(["-verbosity=0", "-print_final_stats=1", "-dict=http1.dict"])
        // What is found goes to the first folder, seeds are read from both.
        .arg(&found)
        .arg(folder.join("seeds").join(target));
    let output = output(fuzz)?;
    // In one piece: others print too.
    print!(
        "{target}: {seconds} s\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if output.status.success() {
        return Ok(());
    }
    Err(StepError::Ended {
        program: format!("fuzz target {target}"),
        status: output.status,
    })
}

fn output(mut command: Command) -> Result<Output, StepError> {
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| StepError::Start {
            program: "cargo".to_owned(),
            source,
        })
}

const SECONDS_IN_ALL: u64 = 60;

/// Each keeps one processor busy.
const AT_ONCE: usize = 2;
