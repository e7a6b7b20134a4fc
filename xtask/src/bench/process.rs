//! Running programs: to their end, or as a server that is ended with its value.

use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::error::BenchError;
use super::machine;
use super::places::Places;

/// Runs a program to its end and gives its standard output.
pub(crate) fn run_to_end(command: &mut Command) -> Result<String, BenchError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| BenchError::Start {
            program: program.clone(),
            source,
        })?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let arguments: Vec<_> = command
            .get_args()
            .map(|word| word.to_string_lossy())
            .collect();
        return Err(BenchError::Failed {
            program: format!("{program} {}", arguments.join(" ")),
            output: last_characters(&text),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A server process, on the server's processor mostly. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pub(crate) port: u16,
}

impl Running {
    /// Starts a server and waits until it listens.
    pub(crate) fn start(
        places: &Places,
        name: &'static str,
        port: u16,
        words: &[String],
    ) -> Result<Self, BenchError> {
        Self::start_on(places, machine::processors().0, name, port, words)
    }

    /// The same on the processor of the load, for a server that is not measured.
    pub(crate) fn start_beside_load(
        places: &Places,
        name: &'static str,
        port: u16,
        words: &[String],
    ) -> Result<Self, BenchError> {
        Self::start_on(places, machine::processors().1, name, port, words)
    }

    fn start_on(
        places: &Places,
        processor: usize,
        name: &'static str,
        port: u16,
        words: &[String],
    ) -> Result<Self, BenchError> {
        let log = places.scratch.join(format!("{name}.log"));
        let (output, errors) = open_log(&log)?;
        let child = launcher(places, processor)
            .args(words)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|source| BenchError::Start {
                program: words.join(" "),
                source,
            })?;
        let mut running = Self { child, port };
        if running.listens() {
            Ok(running)
        } else {
            let text = fs::read_to_string(&log).unwrap_or_default();
            Err(BenchError::Silent {
                server: name,
                output: last_characters(&text),
            })
        }
    }

    /// The process and its descendants.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let mut pids = vec![self.child.id()];
        let mut next = 0;
        while let Some(pid) = pids.get(next) {
            let path = format!("/proc/{pid}/task/{pid}/children");
            let children = fs::read_to_string(path).unwrap_or_default();
            pids.extend(
                children
                    .split_whitespace()
                    .filter_map(|word| word.parse::<u32>().ok()),
            );
            next += 1;
        }
        pids
    }

    /// Asks the process to end, as an operator would, and waits until it has.
    pub(crate) fn end_gently(mut self) -> Result<(), BenchError> {
        let pid = self.child.id().to_string();
        run_to_end(Command::new("kill").args(["-TERM", &pid]))?;
        let deadline = Instant::now() + END_WAIT_MAX;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            // Under valgrind a program that waits in io_uring sees a signal only when it has run for a
            // while again: connections make it run.
            for _ in 0..100 {
                let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
            }
            thread::sleep(Duration::from_millis(5));
        }
        // The value's end kills what is still there; the caller then finds no counts.
        Ok(())
    }

    fn listens(&mut self) -> bool {
        let deadline = Instant::now() + START_WAIT_MAX;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return true;
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that runs the words added to it on one processor.
pub(crate) fn launcher(places: &Places, processor: usize) -> Command {
    let mut command = Command::new(places.generator());
    command.args(["launch", "--cpu", &processor.to_string(), "--"]);
    command
}

/// A port that nobody listens on now.
pub(crate) fn free_port() -> Result<u16, BenchError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|source| BenchError::Start {
            program: "a listener on a free port".to_owned(),
            source,
        })
}

/// Resident memory of processes in bytes, exact at this moment.
pub(crate) fn resident_bytes(pids: &[u32]) -> Result<u64, BenchError> {
    let mut kibibytes = 0;
    for pid in pids {
        let path = PathBuf::from(format!("/proc/{pid}/smaps_rollup"));
        let mut text = String::new();
        File::open(&path)
            .and_then(|mut file| file.read_to_string(&mut text))
            .map_err(BenchError::file(&path))?;
        kibibytes += kibibytes_of("Rss:", &text);
    }
    Ok(kibibytes * 1024)
}

/// Has the system count the highest resident memory of processes anew. See `proc_pid_clear_refs(5)`.
pub(crate) fn forget_peaks(pids: &[u32]) -> Result<(), BenchError> {
    for pid in pids {
        let path = PathBuf::from(format!("/proc/{pid}/clear_refs"));
        fs::write(&path, "5").map_err(BenchError::file(&path))?;
    }
    Ok(())
}

/// The highest resident memory of processes since it was forgotten, in bytes.
pub(crate) fn peak_bytes(pids: &[u32]) -> Result<u64, BenchError> {
    let mut kibibytes = 0;
    for pid in pids {
        let path = PathBuf::from(format!("/proc/{pid}/status"));
        let text = fs::read_to_string(&path).map_err(BenchError::file(&path))?;
        kibibytes += kibibytes_of("VmHWM:", &text);
    }
    Ok(kibibytes * 1024)
}

fn kibibytes_of(label: &str, text: &str) -> u64 {
    text.lines()
        .find_map(|line| {
            line.strip_prefix(label)?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0)
}

/// One empty file for both streams: what a server said in an earlier workload is over.
fn open_log(path: &PathBuf) -> Result<(File, File), BenchError> {
    let file = File::create(path).map_err(BenchError::file(path))?;
    let clone = file.try_clone().map_err(BenchError::file(path))?;
    Ok((file, clone))
}

fn last_characters(text: &str) -> String {
    let text = text.trim();
    let skipped = text.chars().count().saturating_sub(600);
    text.chars().skip(skipped).collect()
}

const END_WAIT_MAX: Duration = Duration::from_secs(10);
const START_WAIT_MAX: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_size_is_read() {
        assert_eq!(
            kibibytes_of("Rss:", "0-1 ---p [rollup]\nRss:       1234 kB\nPss: 1 kB\n"),
            1234
        );
    }

    #[test]
    fn own_memory_is_not_zero() {
        assert!(resident_bytes(&[std::process::id()]).unwrap() > 0);
    }

    #[test]
    fn only_the_end_of_long_output_is_kept() {
        assert_eq!(
            last_characters(&format!("{}z", "é".repeat(1000)))
                .chars()
                .count(),
            600
        );
    }
}
