//! Processor time that a server has used, in nanoseconds.
//!
//! From `/proc/PID/task/*/schedstat`, whose first number is exact; `utime` and `stime` are sampled
//! in ticks of 4 ms, too coarse for windows of a few hundred milliseconds.

use std::fs;
use std::path::PathBuf;

/// Sum over all threads of all processes. Threads that ended are not in it: no server measured
/// ends threads under load.
pub(crate) fn nanoseconds(pids: &[u32]) -> u64 {
    pids.iter()
        .flat_map(|pid| tasks(*pid))
        .filter_map(|task| fs::read_to_string(task.join("schedstat")).ok())
        .filter_map(|line| line.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// The thread ids of a process.
pub(crate) fn threads(pid: u32) -> Vec<i32> {
    tasks(pid)
        .filter_map(|task| task.file_name()?.to_str()?.parse().ok())
        .collect()
}

fn tasks(pid: u32) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_time_grows_and_nobody_has_none() {
        let own = [std::process::id()];
        let before = nanoseconds(&own);
        // `schedstat` moves at least at each tick; work until it has.
        while nanoseconds(&own) == before {
            std::hint::black_box(bench_answers::work());
        }
        assert_eq!(nanoseconds(&[]), 0);
        assert!(!threads(std::process::id()).is_empty());
    }
}
