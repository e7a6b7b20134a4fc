//! What a process holds, as the system tells it.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::ClientError;
use crate::server::io;

/// How many connections to a local port some process still holds.
pub(crate) fn connections(port: u16) -> Result<usize, ClientError> {
    let table = fs::read_to_string("/proc/net/tcp").map_err(io("counting connections"))?;
    let local = format!(":{port:04X}");
    let held = table.lines().filter(|line| {
        let mut words = line.split_whitespace();
        let is_here = words
            .nth(1)
            .is_some_and(|address| address.ends_with(&local));
        let is_listener = words.nth(1) == Some(LISTEN);
        // What the system alone still remembers has no inode.
        let is_held = words.nth(5).is_some_and(|inode| inode != "0");
        is_here && !is_listener && is_held
    });
    Ok(held.count())
}

/// As the table writes the state of a socket that listens.
const LISTEN: &str = "0A";

/// What a process holds at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Footprint {
    /// Open descriptors of any kind.
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
    pub(crate) resident_bytes: u64,
}

impl Footprint {
    pub(crate) fn of(process: u32) -> Result<Self, ClientError> {
        let folder = PathBuf::from(format!("/proc/{process}"));
        let descriptors = fs::read_dir(folder.join("fd"))
            .map_err(io("counting descriptors"))?
            .count() as u64;
        let status = fs::read_to_string(folder.join("status")).map_err(io("reading status"))?;
        let number = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .and_then(|rest| rest.split_whitespace().next())
                .and_then(|digits| digits.parse::<u64>().ok())
                .unwrap_or(0)
        };
        Ok(Self {
            descriptors,
            threads: threads(&folder.join("task"))?,
            resident_bytes: number("VmRSS:") * 1024,
        })
    }
}

/// A process's own threads: the system's workers for io_uring are counted among them, and come and go.
fn threads(tasks: &Path) -> Result<u64, ClientError> {
    let mut count = 0;
    for task in fs::read_dir(tasks).map_err(io("counting threads"))? {
        let task = task.map_err(io("counting threads"))?.path();
        // A thread may end while we look.
        let name = fs::read_to_string(task.join("comm")).unwrap_or_default();
        count += u64::from(!name.starts_with("iou-"));
    }
    Ok(count)
}

impl fmt::Display for Footprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} descriptors, {} threads, {} KiB",
            self.descriptors,
            self.threads,
            self.resident_bytes / 1024
        )
    }
}
