//! Keeps a run apart from the machine's other work: a network namespace of its own.
//!
//! In it the loopback interface, its ports and its counters belong to the run alone. It needs
//! root; without it the run uses the machine's loopback interface, on ports that are free.

use std::process::Command;

use super::error::BenchError;
use super::machine;

/// Whether this process runs in the namespace already, or has been told to do without.
pub(crate) fn is_isolated() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Runs this program again with the same words in a namespace of its own, to its end.
///
/// `None` where that cannot be had: then the caller goes on as it is.
pub(crate) fn run_isolated(words: &[String]) -> Result<Option<Result<(), BenchError>>, BenchError> {
    if !machine::is_root() || !can_unshare() {
        eprintln!("bench: no network namespace (needs root and `unshare`): using plain loopback");
        return Ok(None);
    }
    let program = std::env::current_exe().map_err(|source| BenchError::Start {
        program: "xtask".to_owned(),
        source,
    })?;
    let status = Command::new("unshare")
        .args([
            "--net",
            "sh",
            "-c",
            r#"ip link set lo up && exec "$@""#,
            "sh",
        ])
        .arg(program)
        .arg("bench")
        .args(words)
        .env(MARK, "1")
        .status()
        .map_err(|source| BenchError::Start {
            program: "unshare".to_owned(),
            source,
        })?;
    let failed = || BenchError::Failed {
        program: "the isolated run".to_owned(),
        output: status.to_string(),
    };
    Ok(Some(if status.success() {
        Ok(())
    } else {
        Err(failed())
    }))
}

fn can_unshare() -> bool {
    Command::new("unshare")
        .args(["--net", "ip", "link", "set", "lo", "up"])
        .output()
        .is_ok_and(|output| output.status.success())
}

const MARK: &str = "TIDEGATE_BENCH_ISOLATED";
