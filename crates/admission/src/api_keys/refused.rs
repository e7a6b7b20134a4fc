//! Checks that refused a key: the last of them in memory, and in files, one for each day.
//!
//! Whoever guesses keys decides how many there are, so all is bounded: what is kept, what is written in a second and
//! in a day. What is left out is counted in a line of its own. A key itself is nowhere.

use std::collections::VecDeque;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::audit::{AuditAction, AuditEntry};
use super::error::ApiKeyError;
use super::{milliseconds, since_epoch};
use crate::rate::date_of;

/// What is kept of checks that refused a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefusedSettings {
    /// How many of the last ones are kept in memory. Default 1000.
    pub kept: usize,
    /// The folder of the files, `refused-2026-12-01.jsonl` and so on by days of UTC, a line of JSON for each. It has to
    /// be there. Default `None`: none are written.
    pub folder: Option<PathBuf>,
    /// For how many days they are kept. Default 30.
    pub days: u32,
    /// How many lines are written each time, which is once a second. Default 20.
    pub lines_max: usize,
    /// How long a file becomes. Then no more is written that day. Default 16 MiB.
    pub file_bytes_max: u64,
}

impl Default for RefusedSettings {
    fn default() -> Self {
        Self {
            kept: 1000,
            folder: None,
            days: 30,
            lines_max: 20,
            file_bytes_max: 16 * 1024 * 1024,
        }
    }
}

pub(super) struct Refused {
    settings: RefusedSettings,
    /// Nothing is called and no other lock taken while it is held.
    state: Mutex<State>,
    /// Which day's file was last written to; old files have gone since. Held while files are written.
    day: Mutex<Option<u64>>,
}

#[derive(Default)]
struct State {
    last: VecDeque<AuditEntry>,
    unwritten: Vec<AuditEntry>,
    left_out: u64,
}

impl Refused {
    pub(super) fn new(settings: RefusedSettings) -> Self {
        Self {
            settings,
            state: Mutex::default(),
            day: Mutex::default(),
        }
    }

    /// Keeps one. Says whether it is told, too: as many are as are written.
    pub(super) fn note(&self, entry: &AuditEntry) -> bool {
        let mut state = self.state();
        if self.settings.kept > 0 {
            if state.last.len() >= self.settings.kept {
                state.last.pop_front();
            }
            state.last.push_back(entry.clone());
        }
        let has_room = state.unwritten.len() < self.settings.lines_max;
        match has_room {
            true => state.unwritten.push(entry.clone()),
            false => state.left_out += 1,
        }
        has_room
    }

    pub(super) fn last(&self, most: usize) -> Vec<AuditEntry> {
        self.state().last.iter().rev().take(most).cloned().collect()
    }

    /// Writes what came since the last time.
    pub(super) fn write(&self, now: SystemTime) -> Result<(), ApiKeyError> {
        let (entries, left_out) = {
            let mut state = self.state();
            let left_out = std::mem::take(&mut state.left_out);
            (std::mem::take(&mut state.unwritten), left_out)
        };
        let Some(folder) = &self.settings.folder else {
            return Ok(());
        };
        let mut written_day = self.day.lock().unwrap_or_else(PoisonError::into_inner);
        let today = since_epoch(now).as_secs() / SECONDS_OF_DAY;
        let is_new_day = *written_day != Some(today);
        if is_new_day {
            remove_old(folder, today.saturating_sub(self.settings.days.into()));
            *written_day = Some(today);
        }
        if entries.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::new();
        for entry in &entries {
            serde_json::to_writer(&mut lines, entry).expect("an entry can be JSON");
            lines.push(b'\n');
        }
        if left_out > 0 {
            let summary = summary(now, &format!("{left_out} more"));
            lines.extend(summary);
        }
        let path = folder.join(name(today));
        let end = summary(now, "no more is written today");
        append(&path, &lines, &end, self.settings.file_bytes_max)
            .map_err(|error| ApiKeyError::RefusedFile { path, error })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn summary(now: SystemTime, detail: &str) -> Vec<u8> {
    let entry = AuditEntry {
        at: milliseconds(now),
        action: AuditAction::Refused,
        key: String::new(),
        owner: String::new(),
        detail: detail.to_owned(),
    };
    let mut line = serde_json::to_vec(&entry).expect("an entry can be JSON");
    line.push(b'\n');
    line
}

/// Adds lines to a file, but none beyond so many bytes: then the last line says so.
fn append(path: &Path, lines: &[u8], end: &[u8], bytes_max: u64) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let length = file.metadata()?.len();
    if length >= bytes_max {
        return Ok(());
    }
    let mut bytes = Vec::with_capacity(lines.len() + 1);
    if length > 0 {
        // Who was killed may have left half a line.
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            bytes.push(b'\n');
        }
    }
    bytes.extend_from_slice(lines);
    if length + bytes.len() as u64 >= bytes_max {
        bytes.extend_from_slice(end);
    }
    file.write_all(&bytes)
}

/// Removes the files of days before this one. What is in the way is tried again the next day.
fn remove_old(folder: &Path, first_day: u64) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let oldest = name(first_day);
    for entry in entries.flatten() {
        let file = entry.file_name();
        let is_old = file.to_str().is_some_and(|file| {
            file.len() == oldest.len()
                && file.starts_with("refused-")
                && file.ends_with(".jsonl")
                && *file < *oldest
        });
        if is_old {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn name(day: u64) -> String {
    let (year, month, day) = date_of(day);
    format!("refused-{year:04}-{month:02}-{day:02}.jsonl")
}

const SECONDS_OF_DAY: u64 = 86_400;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api_keys::at_milliseconds;

    fn entry(number: usize) -> AuditEntry {
        AuditEntry {
            at: 0,
            action: AuditAction::Refused,
            key: String::new(),
            owner: String::new(),
            detail: format!("number {number}"),
        }
    }

    fn read(folder: &Path, day: &str) -> Vec<String> {
        let text = fs::read_to_string(folder.join(format!("refused-{day}.jsonl"))).unwrap();
        let lines = text.lines().map(|line| {
            serde_json::from_str::<AuditEntry>(line)
                .map_or_else(|_| line.to_owned(), |entry| entry.detail)
        });
        lines.collect()
    }

    // 2027-01-15.
    fn now() -> SystemTime {
        at_milliseconds(1_800_000_000_000)
    }

    #[test]
    fn the_last_are_kept_and_what_is_written_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let refused = Refused::new(RefusedSettings {
            kept: 3,
            folder: Some(folder.path().to_owned()),
            lines_max: 2,
            ..RefusedSettings::default()
        });
        let told = (0..5)
            .filter(|number| refused.note(&entry(*number)))
            .count();
        assert_eq!(told, 2);
        let details: Vec<_> = refused
            .last(10)
            .into_iter()
            .map(|entry| entry.detail)
            .collect();
        assert_eq!(details, ["number 4", "number 3", "number 2"]);
        refused.write(now()).unwrap();
        refused.note(&entry(5));
        refused.write(now()).unwrap();
        assert_eq!(
            read(folder.path(), "2027-01-15"),
            ["number 0", "number 1", "3 more", "number 5"]
        );
    }

    #[test]
    fn a_file_becomes_so_long_and_says_that_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let refused = Refused::new(RefusedSettings {
            folder: Some(folder.path().to_owned()),
            file_bytes_max: 300,
            ..RefusedSettings::default()
        });
        for number in 0..100 {
            refused.note(&entry(number));
            refused.write(now()).unwrap();
        }
        let lines = read(folder.path(), "2027-01-15");
        assert_eq!(lines.last().unwrap(), "no more is written today");
        assert!((3..8).contains(&lines.len()), "{lines:?}");
        // The next day has a file of its own.
        refused.note(&entry(100));
        refused
            .write(now() + Duration::from_secs(SECONDS_OF_DAY))
            .unwrap();
        assert_eq!(read(folder.path(), "2027-01-16"), ["number 100"]);
    }

    #[test]
    fn old_files_go_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        for file in [
            "refused-2027-01-12.jsonl",
            "refused-2027-01-13.jsonl",
            "refused-2000-notes.jsonl.bak",
            "a",
        ] {
            fs::write(folder.path().join(file), "half a li").unwrap();
        }
        let refused = Refused::new(RefusedSettings {
            folder: Some(folder.path().to_owned()),
            days: 2,
            ..RefusedSettings::default()
        });
        refused.write(now()).unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                "a",
                "refused-2000-notes.jsonl.bak",
                "refused-2027-01-13.jsonl"
            ]
        );
    }

    #[test]
    fn half_a_line_of_who_was_killed_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("refused-2027-01-15.jsonl"), "{\"at\":").unwrap();
        let refused = Refused::new(RefusedSettings {
            folder: Some(folder.path().to_owned()),
            ..RefusedSettings::default()
        });
        refused.note(&entry(1));
        refused.write(now()).unwrap();
        assert_eq!(read(folder.path(), "2027-01-15"), ["{\"at\":", "number 1"]);
    }
}
