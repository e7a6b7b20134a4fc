//! Instruction counters of a server, by `perf_event_open`.
//!
//! Many machines refuse them (virtual machines, containers, `perf_event_paranoid`): then there are
//! none, and the report says so.

use std::fs::File;
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};

/// Three open counters for each thread of the server.
pub(crate) struct Counters {
    open: Vec<(Kind, File)>,
}

/// Counts since the counters were opened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) user_instructions: u64,
    pub(crate) kernel_instructions: u64,
    pub(crate) cycles: u64,
}

impl Counters {
    /// Opens the counters of all threads; `None` when the system refuses one of them.
    pub(crate) fn open(pids: &[u32]) -> Option<Self> {
        let mut open = Vec::new();
        for thread in pids
            .iter()
            .flat_map(|pid| crate::server_time::threads(*pid))
        {
            for kind in [Kind::User, Kind::Kernel, Kind::Cycles] {
                open.push((kind, open_one(thread, kind)?));
            }
        }
        (!open.is_empty()).then_some(Self { open })
    }

    pub(crate) fn read(&self) -> Counts {
        let mut counts = Counts::default();
        for (kind, mut counter) in self.open.iter().map(|(kind, file)| (kind, file)) {
            let mut value = [0; 8];
            // A counter that cannot be read adds nothing; opening has shown that it exists.
            let _ = counter.read_exact(&mut value);
            let value = u64::from_ne_bytes(value);
            match kind {
                Kind::User => counts.user_instructions += value,
                Kind::Kernel => counts.kernel_instructions += value,
                Kind::Cycles => counts.cycles += value,
            }
        }
        counts
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    User,
    Kernel,
    Cycles,
}

/// The first published size of `struct perf_event_attr`, which every kernel accepts.
#[repr(C)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_kind: u32,
    config1: u64,
}

fn open_one(thread: i32, kind: Kind) -> Option<File> {
    let attributes = Attributes {
        kind: PERF_TYPE_HARDWARE,
        size: size_of::<Attributes>() as u32,
        config: match kind {
            Kind::Cycles => PERF_COUNT_HW_CPU_CYCLES,
            Kind::User | Kind::Kernel => PERF_COUNT_HW_INSTRUCTIONS,
        },
        sample_period: 0,
        sample_type: 0,
        read_format: 0,
        flags: EXCLUDE_HYPERVISOR
            | match kind {
                Kind::User => EXCLUDE_KERNEL,
                Kind::Kernel => EXCLUDE_USER,
                Kind::Cycles => 0,
            },
        wakeup_events: 0,
        breakpoint_kind: 0,
        config1: 0,
    };
    // SAFETY: `attributes` lives through the call and says its own size; the other arguments are
    // plain numbers: any processor (-1), no group (-1), close on exec.
    let descriptor = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            thread,
            -1,
            -1,
            PERF_FLAG_FD_CLOEXEC,
        )
    };
    let descriptor = i32::try_from(descriptor)
        .ok()
        .filter(|descriptor| *descriptor >= 0)?;
    // SAFETY: the descriptor was just made and nothing else owns it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
    Some(File::from(descriptor))
}

const PERF_TYPE_HARDWARE: u32 = 0;
const PERF_COUNT_HW_CPU_CYCLES: u64 = 0;
const PERF_COUNT_HW_INSTRUCTIONS: u64 = 1;
const EXCLUDE_USER: u64 = 1 << 4;
const EXCLUDE_KERNEL: u64 = 1 << 5;
const EXCLUDE_HYPERVISOR: u64 = 1 << 6;
const PERF_FLAG_FD_CLOEXEC: u64 = 8;
const _: () = assert!(size_of::<Attributes>() == 64);
