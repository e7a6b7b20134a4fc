//! The file that bans are kept in, which several processes may change while one uses it.
//!
//! Changes are lines that are added at the end; a line has a checksum, so one that a kill has torn is left out.
//! Now and then the file is written anew without what no longer matters. Whoever changes it holds the lock of a
//! second file beside it meanwhile, which stays where it is when the first is replaced.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::{Ban, BanReason, Change};
use crate::snapshot::{self, SnapshotError, SnapshotFault};

/// A file of bans in use.
#[derive(Debug)]
pub struct BanFile {
    path: PathBuf,
    lock: File,
    file: File,
    /// As far as it has been read.
    offset: u64,
    /// Changes in it.
    lines: usize,
}

/// What was read of a file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ReadChanges {
    /// In their order.
    pub changes: Vec<Change>,
    /// Lines that were left out since they are damaged.
    pub damaged: usize,
}

impl BanFile {
    /// Opens a file of bans, or makes one, and reads it.
    ///
    /// # Errors
    ///
    /// It cannot be used, or is no file of bans; then it is left as it is.
    pub fn open(path: &Path) -> Result<(Self, ReadChanges), SnapshotError> {
        let fail = |source| SnapshotError {
            path: path.into(),
            fault: SnapshotFault::Io(source),
        };
        let mut beside = path.as_os_str().to_owned();
        beside.push(".lock");
        let options = || {
            OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .clone()
        };
        let lock = options().open(&beside).map_err(fail)?;
        lock.lock().map_err(fail)?;
        let opened = options().open(path).and_then(|mut file| {
            if file.metadata()?.len() == 0 {
                file.write_all(HEADER)?;
                file.sync_all()?;
            }
            Ok(file)
        });
        let mut opened = Self {
            path: path.into(),
            lock,
            file: opened.map_err(fail)?,
            offset: 0,
            lines: 0,
        };
        let read = opened.read_header().and_then(|is_ours| match is_ours {
            true => opened.read_tail().map(Some),
            false => Ok(None),
        });
        opened.lock.unlock().map_err(fail)?;
        match read.map_err(fail)? {
            Some(read) => Ok((opened, read)),
            None => Err(SnapshotError {
                path: path.into(),
                fault: SnapshotFault::Foreign,
            }),
        }
    }

    /// Adds changes, which are on the disk when this returns, and reads those that others have added.
    ///
    /// # Errors
    ///
    /// What the system refused. The changes may be in the file, and must be added again.
    pub fn exchange(&mut self, own: &[Change]) -> io::Result<ReadChanges> {
        // Most of the time there is nothing, which can be seen without the lock.
        if own.is_empty() && self.file.metadata()?.len() == self.offset && self.is_in_place() {
            return Ok(ReadChanges::default());
        }
        self.locked(|this| {
            this.follow()?;
            let others = this.read_tail()?;
            this.append(own)?;
            Ok(others)
        })
    }

    /// Whether so much of it no longer matters that it should be written anew, with this many bans known.
    pub fn is_worn(&self, known: usize) -> bool {
        self.lines > 1_000 + 2 * known
    }

    /// Writes it anew. `all` is asked for the bans when what others have added was read, which it is given.
    ///
    /// # Errors
    ///
    /// What the system refused. The file is as it was.
    pub fn rewrite(&mut self, all: impl FnOnce(ReadChanges) -> Vec<Ban>) -> io::Result<()> {
        self.locked(|this| {
            this.follow()?;
            let others = this.read_tail()?;
            let bans = all(others);
            snapshot::replace(&this.path, |file| {
                let mut text = String::from_utf8_lossy(HEADER).into_owned();
                for ban in &bans {
                    write_line(&mut text, &Change::Banned(*ban));
                }
                file.write_all(text.as_bytes())
            })?;
            this.file = OpenOptions::new()
                .read(true)
                .append(true)
                .open(&this.path)?;
            this.offset = this.file.metadata()?.len();
            this.lines = bans.len();
            Ok(())
        })
    }

    fn locked<Answer>(
        &mut self,
        work: impl FnOnce(&mut Self) -> io::Result<Answer>,
    ) -> io::Result<Answer> {
        self.lock.lock()?;
        let answer = work(self);
        self.lock.unlock()?;
        answer
    }

    /// Whether the name still leads to the file that is open, as far as can be told by its length.
    fn is_in_place(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|metadata| metadata.len() == self.offset)
    }

    /// Opens the file anew if the name leads to another now, from the beginning.
    fn follow(&mut self) -> io::Result<()> {
        let at_path = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        if at_path == self.file.metadata()?.len() && at_path >= self.offset {
            return Ok(());
        }
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&self.path)?;
        if file.metadata()?.len() == 0 {
            file.write_all(HEADER)?;
        }
        (self.file, self.offset, self.lines) = (file, 0, 0);
        match self.read_header()? {
            true => Ok(()),
            false => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the file was replaced by another kind",
            )),
        }
    }

    fn read_header(&mut self) -> io::Result<bool> {
        let mut header = [0; HEADER.len()];
        self.file.seek(SeekFrom::Start(0))?;
        self.offset = HEADER.len() as u64;
        match self.file.read_exact(&mut header) {
            Ok(()) => Ok(header == *HEADER),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads whole lines from where it was read to.
    fn read_tail(&mut self) -> io::Result<ReadChanges> {
        let length = self.file.metadata()?.len();
        if length - self.offset.min(length) > BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "the file of bans is longer than 256 MiB",
            ));
        }
        self.file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        (&self.file).take(BYTES_MAX).read_to_end(&mut bytes)?;
        let mut read = ReadChanges::default();
        // The last may be torn, or still be written by a system that cannot lock.
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if !line.ends_with(b"\n") {
                break;
            }
            self.offset += line.len() as u64;
            self.lines += 1;
            match std::str::from_utf8(line).ok().and_then(read_line) {
                Some(change) => read.changes.push(change),
                None => read.damaged += usize::from(line != b"\n"),
            }
        }
        Ok(read)
    }

    fn append(&mut self, changes: &[Change]) -> io::Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut text = String::new();
        if self.file.metadata()?.len() > self.offset {
            // What was torn by a kill must not take the next line along.
            text.push('\n');
        }
        for change in changes {
            write_line(&mut text, change);
        }
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()?;
        self.offset = self.file.metadata()?.len();
        self.lines += changes.len();
        Ok(())
    }
}

/// A file begins with it; the number is the version.
const HEADER: &[u8; 16] = b"tidegate bans 1\n";
const BYTES_MAX: u64 = 256 * 1024 * 1024;

// `ban ADDRESS SINCE UNTIL LEVEL REASON CHECKSUM`, `unban ADDRESS CHECKSUM`. Times are seconds since the Unix
// epoch, UNTIL may be `forever`; the checksum is the CRC-32 of what is before its blank.

fn write_line(out: &mut String, change: &Change) {
    let start = out.len();
    // Writing to a string does not fail.
    let _ = match change {
        Change::Banned(Ban {
            address,
            since,
            until,
            level,
            reason,
        }) => {
            let until = until.map_or_else(|| "forever".to_owned(), |until| until.to_string());
            write!(
                out,
                "ban {address} {since} {until} {level} {}",
                reason.name()
            )
        }
        Change::Unbanned(address) => write!(out, "unban {address}"),
    };
    let checksum = crc32fast::hash(&out.as_bytes()[start..]);
    let _ = writeln!(out, " {checksum:08x}");
}

fn read_line(line: &str) -> Option<Change> {
    let (text, checksum) = line.trim_end().rsplit_once(' ')?;
    if u32::from_str_radix(checksum, 16).ok()? != crc32fast::hash(text.as_bytes()) {
        return None;
    }
    let mut words = text.split(' ');
    let (kind, address) = (words.next()?, words.next()?.parse::<IpAddr>().ok()?);
    let change = match kind {
        "ban" => Change::Banned(Ban {
            address,
            since: words.next()?.parse().ok()?,
            until: match words.next()? {
                "forever" => None,
                until => Some(until.parse().ok()?),
            },
            level: words.next()?.parse().ok()?,
            reason: BanReason::named(words.next()?)?,
        }),
        "unban" => Change::Unbanned(address),
        _ => return None,
    };
    words.next().is_none().then_some(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(number: u8) -> Change {
        Change::Banned(Ban {
            address: [192, 0, 2, number].into(),
            since: 1_700_000_000,
            until: number.is_multiple_of(2).then_some(1_700_000_900),
            level: number,
            reason: BanReason::BruteForce,
        })
    }

    fn read(path: &Path) -> ReadChanges {
        BanFile::open(path).unwrap().1
    }

    #[test]
    fn changes_are_read_by_others_that_have_it_open_and_after_it_was_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bans");
        let (mut server, empty) = BanFile::open(&path).unwrap();
        assert_eq!(empty, ReadChanges::default());
        server.exchange(&[ban(1), ban(2)]).unwrap();
        let (mut command, read_by_command) = BanFile::open(&path).unwrap();
        assert_eq!(read_by_command.changes, [ban(1), ban(2)]);
        let unban = Change::Unbanned("2001:db8::".parse().unwrap());
        command.exchange(&[unban]).unwrap();
        assert_eq!(server.exchange(&[ban(3)]).unwrap().changes, [unban]);
        assert_eq!(server.exchange(&[]).unwrap().changes, []);

        server
            .rewrite(|others| {
                assert_eq!(others.changes, []);
                let Change::Banned(ban) = ban(9) else {
                    unreachable!()
                };
                vec![ban]
            })
            .unwrap();
        assert_eq!(read(&path).changes, [ban(9)]);
        // It had the old file open.
        command.exchange(&[ban(4)]).unwrap();
        assert_eq!(server.exchange(&[]).unwrap().changes, [ban(4)]);
        assert_eq!(read(&path).changes, [ban(9), ban(4)]);
    }

    #[test]
    fn a_file_cut_anywhere_keeps_its_whole_lines_and_can_be_added_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bans");
        BanFile::open(&path)
            .unwrap()
            .0
            .exchange(&[ban(1), ban(2)])
            .unwrap();
        let whole = std::fs::read(&path).unwrap();
        let second = whole.iter().rposition(|byte| *byte == b' ').unwrap();
        for length in HEADER.len()..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let (mut file, before) = BanFile::open(&path).unwrap();
            assert!(before.changes.len() < 2 && before.damaged == 0);
            file.exchange(&[ban(3)]).unwrap();
            let after = read(&path).changes;
            assert_eq!(after.last(), Some(&ban(3)), "{length}");
            assert!(after.len() <= 3);
        }
        let mut changed = whole.clone();
        changed[second - 1] ^= 1;
        std::fs::write(&path, changed).unwrap();
        assert_eq!(
            read(&path),
            ReadChanges {
                changes: vec![ban(1)],
                damaged: 1
            }
        );
    }

    #[test]
    fn a_file_of_another_kind_is_told_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bans");
        for content in ["127.0.0.1 localhost and more\n", "short"] {
            std::fs::write(&path, content).unwrap();
            let error = BanFile::open(&path).unwrap_err();
            assert!(matches!(error.fault, SnapshotFault::Foreign), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
    }
}
