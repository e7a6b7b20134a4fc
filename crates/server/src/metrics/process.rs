//! What the process takes of the machine.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, get_current_pid};

/// What the process takes of the machine. What the system does not tell is `None`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ProcessUsage {
    /// When it was started, in seconds since 1970.
    pub started: Option<u64>,
    /// Memory that it has in use, in bytes.
    pub resident_bytes: Option<u64>,
    /// Memory that it has been given, in use or not, in bytes.
    pub virtual_bytes: Option<u64>,
    /// Time that processors have spent on it.
    pub processor_time: Option<Duration>,
    /// Files and sockets that it has open.
    pub open_files: Option<u64>,
}

impl ProcessUsage {
    /// As it is now.
    pub fn now() -> Self {
        let Ok(this) = get_current_pid() else {
            return Self::default();
        };
        let Ok(mut system) = System::new() else {
            return Self::default();
        };
        let wanted = ProcessRefreshKind::nothing().with_memory().with_cpu();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[this]), false, wanted);
        let Some(process) = system.process(this) else {
            return Self::default();
        };
        Self {
            started: Some(process.start_time()),
            resident_bytes: Some(process.memory()),
            virtual_bytes: Some(process.virtual_memory()),
            processor_time: Some(Duration::from_millis(process.accumulated_cpu_time())),
            open_files: process.open_files().map(|files| files as u64),
        }
    }
}
