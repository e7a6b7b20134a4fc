//! Finds or makes the file that a log goes on with.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use tidegate_os::open_log_file;

use super::{LogFile, OpenFile};

/// What a log that begins does with files that are there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Begins {
    /// It makes one of its own, in a folder that is for its user alone.
    OwnFile,
    /// It goes on with the one of the present period, or the last that has room.
    Appending,
}

impl LogFile {
    /// Opens the file that the waiting lines are for.
    pub(super) fn open(&self) -> io::Result<OpenFile> {
        let settings = &self.settings;
        let folder = settings.folder.as_deref().ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, "the user has no home folder")
        })?;
        match settings.begins {
            Begins::OwnFile => tidegate_os::create_private_folder(folder)?,
            Begins::Appending => tidegate_os::create_log_folder(folder)?,
        }
        let Some(period) = self.period else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let name = period.name(settings.names);
        match (settings.begins, period.is_by_size()) {
            (Begins::Appending, false) => open(folder, &format!("{name}.log"), 0, false),
            (Begins::Appending, true) => self.open_numbered(folder, &name),
            (Begins::OwnFile, true) => create_numbered(folder, &name),
            (Begins::OwnFile, false) => match open(folder, &format!("{name}.log"), 0, true) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    create_numbered(folder, &format!("{name}-"))
                }
                opened => opened,
            },
        }
    }

    /// The file with the highest number, or the next if what waits has no room in that.
    fn open_numbered(&self, folder: &Path, prefix: &str) -> io::Result<OpenFile> {
        let highest = highest_number(folder, prefix)?;
        let number = highest.max(self.number_min);
        let file = open(folder, &format!("{prefix}{number}.log"), number, false)?;
        let more = (self.header.len() + self.lines.len()) as u64;
        let has_room = |max: u64| file.bytes == 0 || file.bytes + more <= max;
        if self.settings.bytes_max.is_none_or(has_room) {
            return Ok(file);
        }
        let number = next(number)?;
        open(folder, &format!("{prefix}{number}.log"), number, false)
    }
}

/// Makes a file that nobody else has made: the name's next free number is taken.
fn create_numbered(folder: &Path, prefix: &str) -> io::Result<OpenFile> {
    let mut number = highest_number(folder, prefix)?;
    loop {
        number = next(number)?;
        match open(folder, &format!("{prefix}{number}.log"), number, true) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return opened,
        }
    }
}

fn next(number: u64) -> io::Result<u64> {
    Ok(number.checked_add(1).ok_or(io::ErrorKind::QuotaExceeded)?)
}

fn open(folder: &Path, name: &str, number: u64, new: bool) -> io::Result<OpenFile> {
    let path = folder.join(name);
    let mut file = open_log_file(&path, new)?;
    let bytes = file.metadata()?.len();
    let has_open_line = bytes > 0 && ends_in_line(&mut file)?;
    Ok(OpenFile {
        file,
        path,
        number,
        bytes,
        has_open_line,
    })
}

/// Whether whoever wrote a file was broken off in the middle of a line.
fn ends_in_line(file: &mut File) -> io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// The highest number of the files that `prefix` begins; 0 when there is none.
fn highest_number(folder: &Path, prefix: &str) -> io::Result<u64> {
    let mut highest = 0;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| {
            name.strip_prefix(prefix)?
                .strip_suffix(".log")?
                .parse()
                .ok()
        });
        highest = highest.max(number.unwrap_or(0));
    }
    Ok(highest)
}
