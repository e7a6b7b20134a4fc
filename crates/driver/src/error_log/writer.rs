//! Writes records of the HTTPERR log to its files.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use jiff::tz::TimeZone;
use tidegate_engine::LogFileNames;

use crate::log_file::{Begins, LogFile, LogFileSettings, log_time};
use crate::settings::ErrorLogSettings;

use super::ErrorRecord;
use super::line;

/// Writes records, in order.
pub(super) struct Writer {
    file: LogFile,
    /// Names and rolls over the files; the records' own times are UTC always.
    zone: TimeZone,
    fields: u32,
    /// The lines of the record at hand.
    lines: Vec<u8>,
    /// All records that could not be written; the way in counts here as well.
    lost: Arc<AtomicU64>,
    /// How many of the lost ones a remark tells of.
    lost_told: u64,
}

impl Writer {
    pub(super) fn new(
        settings: &ErrorLogSettings,
        folder: Option<&Path>,
        zone: TimeZone,
        lost: Arc<AtomicU64>,
    ) -> Self {
        Self {
            file: LogFile::new(LogFileSettings {
                title: "HTTPERR log",
                folder: folder.map(Path::to_path_buf),
                names: LogFileNames::HTTPERR,
                begins: Begins::OwnFile,
                rollover: settings.rollover,
                bytes_max: Some(settings.rollover_bytes.into()),
            }),
            zone,
            fields: settings.fields,
            lines: Vec::new(),
            lost,
            lost_told: 0,
        }
    }

    /// Writes a record of `time`; it may wait until [`flush_at`](Self::flush_at).
    pub(super) fn write(&mut self, time: SystemTime, record: &ErrorRecord) {
        let (utc, local) = (log_time(time, &TimeZone::UTC), log_time(time, &self.zone));
        let untold = self.untold();
        self.lines.clear();
        if untold > 0 {
            line::append_lost(&mut self.lines, untold);
        }
        line::append_record(&mut self.lines, self.fields, &utc, record);
        let fields = self.fields;
        let header = |out: &mut Vec<u8>| line::append_header(out, fields, &utc);
        if self.file.add(time, &local, header, &self.lines) {
            self.lost_told += untold;
        } else {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Gives what is gathered to the system.
    pub(super) fn flush_at(&mut self, now: SystemTime) {
        self.file.flush(now);
    }

    /// As [`flush_at`](Self::flush_at), and begins a new file if this one was moved away.
    pub(super) fn reopen(&mut self, now: SystemTime) {
        self.file.reopen(now);
    }

    /// Whether records wait because they could not be written.
    pub(super) fn has_failed(&self) -> bool {
        self.file.has_failed()
    }

    /// Writes the last of it, and tells of losses that no record has told of yet.
    pub(super) fn finish(&mut self, now: SystemTime) {
        let untold = self.untold();
        if untold > 0 {
            self.lines.clear();
            line::append_lost(&mut self.lines, untold);
            self.file.append_last(&self.lines);
        }
        let lost = self.file.finish(now);
        self.lost.fetch_add(lost, Ordering::Relaxed);
    }

    fn untold(&self) -> u64 {
        self.lost.load(Ordering::Relaxed) - self.lost_told
    }

    #[cfg(test)]
    pub(super) fn replace_file(&mut self, path: &str) {
        self.file.replace_file(path);
    }
}
