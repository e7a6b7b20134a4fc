//! Writes the files of the HTTPERR log: rolls over, gathers, and bears a full disk.
//!
//! No thread and no clock here: the time comes with each record.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;

use crate::settings::{ErrorLogSettings, LogRollover};

use super::ErrorRecord;
use super::file_name::{self, Period};
use super::line;

/// Writes records, in order.
pub(super) struct Writer {
    /// `None` when no place for logs is known.
    folder: Option<PathBuf>,
    rollover: LogRollover,
    /// Names and rolls over the files; the records' own times are UTC always.
    zone: TimeZone,
    file_bytes_max: u64,
    fields: u32,
    file: Option<OpenFile>,
    /// The lines of the record at hand.
    lines: Vec<u8>,
    buffer: Vec<u8>,
    records_buffered: u64,
    /// All records that could not be written; the way in counts here as well.
    lost: Arc<AtomicU64>,
    /// How many of the lost ones a remark in the files tells of, the buffer included.
    lost_told: u64,
    /// How many of them a remark in the buffer tells of.
    lost_told_in_buffer: u64,
    /// When writing failed; it is tried again some time after that.
    failed: Option<SystemTime>,
}

struct OpenFile {
    file: File,
    period: Period,
    /// Bytes of whole lines.
    bytes: u64,
}

impl Writer {
    pub(super) fn new(settings: &ErrorLogSettings, zone: TimeZone, lost: Arc<AtomicU64>) -> Self {
        let place = settings.directory.clone().or_else(tidegate_os::log_folder);
        Self {
            folder: place.map(|place| place.join("HTTPERR")),
            rollover: settings.rollover,
            zone,
            file_bytes_max: settings.rollover_bytes.into(),
            fields: settings.fields,
            file: None,
            lines: Vec::new(),
            buffer: Vec::new(),
            records_buffered: 0,
            lost,
            lost_told: 0,
            lost_told_in_buffer: 0,
            failed: None,
        }
    }

    /// Where the files are.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Writes a record of `time`; it may stay in the buffer until [`flush`](Self::flush).
    pub(super) fn write(&mut self, time: SystemTime, record: &ErrorRecord) {
        if !self.is_time_to_try(time) {
            self.lose(1);
            return;
        }
        if let Err(error) = self.try_write(time, record) {
            self.lose(1);
            self.fail(time, &error);
        } else if self.buffer.len() >= BUFFER_BYTES {
            self.flush_at(time);
        }
    }

    /// Gives what is buffered to the system.
    pub(super) fn flush(&mut self) {
        self.flush_at(SystemTime::now());
    }

    /// Gives what is buffered to the system, and tells of losses that no record has told of yet.
    pub(super) fn finish(&mut self) {
        let untold = self.lost.load(Ordering::Relaxed) - self.lost_told;
        if untold > 0 && self.file.is_some() && self.failed.is_none() {
            line::append_lost(&mut self.buffer, untold);
        }
        self.flush();
    }

    pub(super) fn flush_at(&mut self, now: SystemTime) {
        if let Err(error) = self.try_flush() {
            self.fail(now, &error);
        }
    }

    fn is_time_to_try(&self, now: SystemTime) -> bool {
        let Some(failed) = self.failed else {
            return true;
        };
        // A clock set back must not keep the log waiting for ever.
        now.duration_since(failed)
            .map_or(true, |since| since >= RETRY_AFTER)
    }

    fn try_write(&mut self, time: SystemTime, record: &ErrorRecord) -> io::Result<()> {
        let period = Period::of(self.rollover, file_name::date(time, &self.zone));
        let date = file_name::date(time, &TimeZone::UTC);
        let untold = self.lost.load(Ordering::Relaxed) - self.lost_told;
        self.lines.clear();
        if untold > 0 {
            line::append_lost(&mut self.lines, untold);
        }
        line::append_record(&mut self.lines, self.fields, date, record);

        let ends = |file: &OpenFile| file.period != period;
        if self.file.as_ref().is_some_and(ends) || self.is_file_full() {
            self.try_flush()?;
            self.file = None;
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(open_file(self.folder.as_deref(), period)?),
        };
        if file.bytes == 0 && self.buffer.is_empty() {
            line::append_header(&mut self.buffer, self.fields, date);
        }
        self.buffer.extend_from_slice(&self.lines);
        self.records_buffered += 1;
        self.lost_told += untold;
        self.lost_told_in_buffer += untold;
        Ok(())
    }

    /// Whether the lines at hand have no room in the file.
    fn is_file_full(&self) -> bool {
        let Some(file) = &self.file else {
            return false;
        };
        let bytes = file.bytes + (self.buffer.len() + self.lines.len()) as u64;
        self.rollover == LogRollover::Size && bytes > self.file_bytes_max
    }

    fn try_flush(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        if self.buffer.is_empty() {
            return Ok(());
        }
        file.file.write_all(&self.buffer)?;
        file.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        self.records_buffered = 0;
        self.lost_told_in_buffer = 0;
        if self.failed.take().is_some() {
            tracing::info!("the HTTPERR log is written again");
        }
        Ok(())
    }

    /// Gives up what is buffered, and says so once for each time of trouble.
    fn fail(&mut self, now: SystemTime, error: &io::Error) {
        self.lose(self.records_buffered);
        self.lost_told -= self.lost_told_in_buffer;
        self.lost_told_in_buffer = 0;
        self.records_buffered = 0;
        self.buffer.clear();
        // Part of a line may have been written. Where it cannot be cut off, a new file is begun.
        if let Some(file) = &self.file
            && file.file.set_len(file.bytes).is_err()
        {
            self.file = None;
        }
        if self.failed.replace(now).is_some() {
            return;
        }
        let folder = match &self.folder {
            Some(folder) => folder.display().to_string(),
            None => "nowhere".to_owned(),
        };
        tracing::warn!(
            %error,
            folder,
            "the HTTPERR log cannot be written, its records are lost; make the folder writable with \
             room on its disk, set another one, or turn the log off"
        );
    }

    fn lose(&self, records: u64) {
        self.lost.fetch_add(records, Ordering::Relaxed);
    }
}

fn open_file(folder: Option<&Path>, period: Period) -> io::Result<OpenFile> {
    let folder = folder
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the user has no home folder"))?;
    tidegate_os::create_private_folder(folder)?;
    let file = period.create_file(folder)?;
    Ok(OpenFile {
        file,
        period,
        bytes: 0,
    })
}

/// Buffered bytes that are given to the system even while more records come.
const BUFFER_BYTES: usize = 64 * 1024;
/// How long after a failure writing is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(30);

#[cfg(test)]
impl Writer {
    /// Has the next lines go to `file`, which has none yet.
    pub(super) fn replace_file(&mut self, file: File) {
        self.file = Some(OpenFile {
            file,
            period: Period::of(LogRollover::Size, jiff::civil::DateTime::default()),
            bytes: 0,
        });
    }
}
