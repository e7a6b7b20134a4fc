//! Runs each fuzz target for a part of a minute, beginning with its seeds.
//!
//! Longer runs, and what to do with what is found, are in `fuzz/README.md`.

use std::fs;
use std::path::Path;

use super::error::StepError;
use super::step;
use super::walls::metadata;

/// Runs all targets. What they find anew goes to the build's folder; a failing input to
/// `fuzz/artifacts`.
pub(crate) fn run(root: &Path) -> Result<(), StepError> {
    // Cargo reads the flags of the instrumentation from the folder it is run in.
    let folder = root.join("fuzz");
    let targets: Vec<String> = metadata(&folder)?.programs().map(str::to_owned).collect();
    let mut build = step::cargo();
    build
        .current_dir(&folder)
        .args(["build", "--release", "--bins"]);
    step::run(build)?;
    let seconds = SECONDS_IN_ALL.div_ceil(targets.len().max(1) as u64);
    for target in targets {
        let found = root.join("target").join("fuzz-found").join(&target);
        let artifacts = folder.join("artifacts").join(&target);
        for made in [&found, &artifacts] {
            fs::create_dir_all(made).map_err(|source| StepError::File {
                path: made.clone(),
                source,
            })?;
        }
        println!("{target}: {seconds} s");
        let mut fuzz = step::cargo();
        fuzz.current_dir(&folder)
            .args(["run", "--release", "--quiet", "--bin", &target, "--"])
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            // Its lines are for someone who watches; here the outcome counts.
            .args(["-verbosity=0", "-print_final_stats=1"])
            // What is found goes to the first folder, seeds are read from all.
            .arg(&found);
        let seeds = folder.join("corpus").join(&target);
        if seeds.is_dir() {
            fuzz.arg(seeds);
        }
        step::run(fuzz)?;
    }
    Ok(())
}

const SECONDS_IN_ALL: u64 = 60;
