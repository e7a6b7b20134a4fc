//! Runs each fuzz target for a part of a minute, beginning with its seeds.
//!
//! Longer runs, and what to do with what is found, are in `fuzz/README.md`.

use std::fs;
use std::path::Path;

use super::error::StepError;
use super::step;
use super::walls::metadata;

/// Runs all targets. What they find goes to the build's folder.
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
        println!("{target}: {seconds} s");
        let built = root.join("target").join("fuzz");
        let found = built.join("corpus").join(&target);
        fs::create_dir_all(&found).map_err(|source| StepError::File {
            path: found.clone(),
            source,
        })?;
        let mut fuzz = step::cargo();
        fuzz.current_dir(&folder)
            .args(["run", "--release", "--quiet", "--bin", &target, "--"])
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/", built.display()))
            // Its lines are for someone who watches; here the outcome counts.
            .args(["-verbosity=0", "-print_final_stats=1", "-dict=http1.dict"])
            // What is found goes to the first folder, seeds are read from both.
            .arg(&found)
            .arg(folder.join("seeds").join(&target));
        step::run(fuzz)?;
    }
    Ok(())
}

const SECONDS_IN_ALL: u64 = 60;
