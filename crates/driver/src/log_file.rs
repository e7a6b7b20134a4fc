//! Writes the files of a log: rolls over, gathers lines, and bears a full disk.
//!
//! No thread and no clock here: the time is an argument. What cannot be written waits, within a bound, and is
//! written when it can be. Which file it is and how it is called is `engine`'s matter, how lines look that of
//! whoever adds them.

mod open;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tidegate_engine::{LogFileNames, LogPeriod};
use tidegate_httpapi::{LogRollover, LogTime};

pub(crate) use open::Begins;

/// How the files of a log are made.
#[derive(Clone, Debug)]
pub(crate) struct LogFileSettings {
    /// What it is called where a person is told of it.
    pub(crate) title: &'static str,
    /// `None` when no place for logs is known.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) names: LogFileNames,
    pub(crate) begins: Begins,
    pub(crate) rollover: LogRollover,
    /// When rolling over by size; `None` is unlimited.
    pub(crate) bytes_max: Option<u64>,
}

/// The present file of a log, and the lines that are to be written to it.
pub(crate) struct LogFile {
    settings: LogFileSettings,
    file: Option<OpenFile>,
    /// What the file and the waiting lines are of.
    period: Option<LogPeriod>,
    /// The lowest number that the next file may have.
    number_min: u64,
    /// What a file begins with, if the waiting lines are its first.
    header: Vec<u8>,
    lines: Vec<u8>,
    /// The header is before them.
    has_header: bool,
    /// The first of them is the rest of one whose beginning is in the file.
    is_mid_line: bool,
    /// When writing failed; it is tried again some time after that.
    failed: Option<SystemTime>,
    /// When the file was last seen in its place.
    looked: SystemTime,
}

struct OpenFile {
    file: File,
    path: PathBuf,
    /// Its number, where it has one.
    number: u64,
    bytes: u64,
    /// It ends in the middle of a line.
    has_open_line: bool,
}

impl LogFile {
    pub(crate) fn new(settings: LogFileSettings) -> Self {
        Self {
            settings,
            file: None,
            period: None,
            number_min: 1,
            header: Vec::new(),
            lines: Vec::new(),
            has_header: false,
            is_mid_line: false,
            failed: None,
            looked: SystemTime::UNIX_EPOCH,
        }
    }

    /// Takes lines of `time`, which is read as `local` where files are named; they may wait until
    /// [`flush`](Self::flush). `header` appends what a file begins with. Says whether there was room.
    pub(crate) fn add(
        &mut self,
        time: SystemTime,
        local: &LogTime,
        header: impl FnOnce(&mut Vec<u8>),
        lines: &[u8],
    ) -> bool {
        let period = LogPeriod::of(self.settings.rollover, local);
        let is_full = self.is_full(lines.len());
        if is_full || self.period.is_some_and(|present| present != period) {
            self.flush(time);
            // What still waits goes to the file that it was meant for, and what is added goes with it.
            if self.lines.is_empty() {
                self.close(is_full);
            }
        }
        let has_room = |log: &Self| log.lines.len() + lines.len() <= WAITING_BYTES_MAX;
        if !has_room(self) {
            self.flush(time);
            if !has_room(self) {
                return false;
            }
        }
        if self.lines.is_empty() {
            self.period = Some(period);
            self.header.clear();
            header(&mut self.header);
        }
        self.lines.extend_from_slice(lines);
        if self.lines.len() >= GATHERED_BYTES {
            self.flush(time);
        }
        true
    }

    /// Gives what waits to the system, unless that failed a moment ago.
    pub(crate) fn flush(&mut self, now: SystemTime) {
        if !self.lines.is_empty() && passed(self.failed, now, RETRY_AFTER) {
            self.flush_now(now);
        }
    }

    /// As [`flush`](Self::flush), whatever has failed, and has the file looked for.
    pub(crate) fn reopen(&mut self, now: SystemTime) {
        self.look_for_file();
        if !self.lines.is_empty() {
            self.flush_now(now);
        }
    }

    /// Writes the last of it. Says how many records are lost because that cannot be done.
    pub(crate) fn finish(&mut self, now: SystemTime) -> u64 {
        if !self.lines.is_empty() {
            self.flush_now(now);
        }
        self.close(false);
        let lost = std::mem::take(&mut self.lines);
        count_records(&lost)
    }

    /// Takes lines that belong behind the last ones, if there is a file.
    pub(crate) fn append_last(&mut self, lines: &[u8]) {
        if self.file.is_some() && self.failed.is_none() {
            self.lines.extend_from_slice(lines);
        }
    }

    /// Whether lines wait because they could not be written.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    fn close(&mut self, is_full: bool) {
        if let Some(file) = self.file.take()
            && is_full
        {
            self.number_min = file.number + 1;
        }
        self.period = None;
        self.is_mid_line = false;
    }

    /// Whether so many bytes more have no room in the file.
    fn is_full(&self, more: usize) -> bool {
        let by_size = self.settings.rollover == LogRollover::Size;
        match (&self.file, self.settings.bytes_max) {
            (Some(file), Some(max)) if by_size => {
                file.bytes + (self.lines.len() + more) as u64 > max
            }
            _ => false,
        }
    }

    fn flush_now(&mut self, now: SystemTime) {
        let title = self.settings.title;
        match self.try_flush(now) {
            Ok(()) => {
                if self.failed.take().is_some() {
                    tracing::info!("the {title} is written again");
                }
            }
            Err(error) => {
                if self.failed.replace(now).is_none() {
                    let folder = self.settings.folder.as_deref();
                    let folder = folder.map_or("nowhere".into(), |folder| folder.to_string_lossy());
                    tracing::warn!(
                        %error,
                        %folder,
                        "the {title} cannot be written; its records wait and are lost when there are too \
                         many: make the folder writable with room on its disk, set another one, or turn \
                         the log off"
                    );
                }
            }
        }
    }

    fn try_flush(&mut self, now: SystemTime) -> io::Result<()> {
        if passed(Some(self.looked), now, LOOK_AFTER) {
            self.looked = now;
            self.look_for_file();
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = self.open()?;
                self.begin(&file);
                self.file.insert(file)
            }
        };
        let (written, result) = write(&mut file.file, &self.lines);
        file.bytes += written as u64;
        if let Some(last) = written.checked_sub(1) {
            self.is_mid_line = self.lines[last] != b'\n';
            self.has_header = false;
        }
        self.lines.drain(..written);
        // A row of bad moments has made it large.
        self.lines.shrink_to(2 * GATHERED_BYTES);
        result
    }

    /// Puts what a file begins with before the lines that wait for it.
    fn begin(&mut self, file: &OpenFile) {
        let mut begin = Vec::new();
        let mut rest = 0;
        if self.is_mid_line {
            // Its beginning is in another file.
            rest = self
                .lines
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(self.lines.len(), |end| end + 1);
            self.is_mid_line = false;
        }
        if file.has_open_line {
            begin.push(b'\n');
        }
        if !std::mem::replace(&mut self.has_header, true) {
            begin.extend_from_slice(&self.header);
        }
        self.lines.splice(..rest, begin);
    }

    /// Lets go of a file that is not in its place any more: it was moved, or removed with its folder.
    fn look_for_file(&mut self) {
        let is_there = |file: &OpenFile| tidegate_os::is_file_at(&file.file, &file.path);
        if !self.file.as_ref().is_none_or(is_there) {
            self.file = None;
        }
    }
}

/// Writes as much as can be. Says how much that is.
fn write(file: &mut File, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut at = 0;
    while at < bytes.len() {
        match file.write(&bytes[at..]) {
            Ok(0) => return (at, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => at += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (at, Err(error)),
        }
    }
    (at, Ok(()))
}

/// The records among lines: those that are no directives.
fn count_records(lines: &[u8]) -> u64 {
    let lines = lines.split_inclusive(|byte| *byte == b'\n');
    lines.filter(|line| !line.starts_with(b"#")).count() as u64
}

/// Whether so long has passed since then. A clock set back keeps nobody waiting.
fn passed(since: Option<SystemTime>, now: SystemTime, wait: Duration) -> bool {
    let Some(since) = since else {
        return true;
    };
    now.duration_since(since)
        .map_or(true, |passed| passed >= wait)
}

/// `time` as the clock shows it in `zone`; the beginning of 1970 where it cannot be told.
pub(crate) fn log_time(time: SystemTime, zone: &TimeZone) -> LogTime {
    let timestamp = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    let offset = zone.to_offset(timestamp);
    let date = offset.to_datetime(timestamp);
    LogTime {
        year: date.year(),
        month: date.month().unsigned_abs(),
        day: date.day().unsigned_abs(),
        hour: date.hour().unsigned_abs(),
        minute: date.minute().unsigned_abs(),
        second: date.second().unsigned_abs(),
        weekday: date.weekday().to_sunday_zero_offset().unsigned_abs(),
        utc_offset_minutes: (offset.seconds() / 60) as i16,
    }
}

/// Gathered bytes that are given to the system even while more come.
const GATHERED_BYTES: usize = 64 * 1024;
/// Bytes that wait at most while they cannot be written.
const WAITING_BYTES_MAX: usize = 1024 * 1024;
/// How long after a failure writing is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How often it is looked whether the file is in its place.
const LOOK_AFTER: Duration = Duration::from_secs(1);

#[cfg(test)]
impl LogFile {
    /// Has the next lines go to `path`.
    pub(crate) fn replace_file(&mut self, path: &str) {
        let file = std::fs::OpenOptions::new().write(true).open(path);
        self.file = Some(OpenFile {
            file: file.unwrap(),
            path: path.into(),
            number: 1,
            bytes: 0,
            has_open_line: false,
        });
    }
}
