//! A file that is replaced as a whole: the old one or the new one is there, whenever the power goes.
//!
//! What is written has a mark that says what it is and in which version, and a checksum. A file that is torn, of
//! another kind or from another version is told, and left where it is until it is replaced.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// What a file begins with: what it is, and in which version.
pub type Mark = [u8; 8];

/// Why a file could not be read or written.
#[derive(Debug)]
pub struct SnapshotError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub fault: SnapshotFault,
}

/// Why a file could not be read or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum SnapshotFault {
    /// The system refused.
    Io(io::Error),
    /// It is a file of another kind, or from another version.
    Foreign,
    /// Its checksum or length is not what it should be.
    Torn,
    /// It is longer than anything written here.
    TooLong,
}

/// Replaces the file at `path` by what `fill` writes.
///
/// It is on the disk when this returns. Only the user that the process runs as may read it.
///
/// # Errors
///
/// What the system refused, or `fill` returned. The old file is as it was.
pub fn write(
    path: &Path,
    mark: Mark,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), SnapshotError> {
    replace(path, |file| {
        let mut file = BufWriter::with_capacity(64 * 1024, file);
        file.write_all(&mark)?;
        let mut summed = Summed {
            file: &mut file,
            checksum: crc32fast::Hasher::new(),
            length: 0,
        };
        fill(&mut summed)?;
        let (checksum, length) = (summed.checksum.finalize(), summed.length);
        file.write_all(&length.to_le_bytes())?;
        file.write_all(&checksum.to_le_bytes())?;
        file.flush()
    })
    .map_err(|source| SnapshotError {
        path: path.into(),
        fault: SnapshotFault::Io(source),
    })
}

/// Replaces the file at `path` by what `fill` writes, without mark or checksum.
pub(crate) fn replace(
    path: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path has no file name",
        ));
    };
    // The same name each time: what a kill has left is replaced and does not gather.
    let mut temporary = name.to_os_string();
    temporary.push(".new");
    match fs::remove_file(directory.join(&temporary)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = tempfile::Builder::new()
        .prefix(&temporary)
        .rand_bytes(0)
        .tempfile_in(directory)?;
    fill(file.as_file_mut())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // The name is in the directory, which has to be on the disk as well. Not all systems open directories.
    match File::open(directory) {
        Ok(directory) => directory.sync_all(),
        Err(_) => Ok(()),
    }
}

/// What was written to `path`; `None` when there is no such file.
///
/// # Errors
///
/// It cannot be read, or is not what was written.
pub fn read(path: &Path, mark: Mark) -> Result<Option<Vec<u8>>, SnapshotError> {
    let fail = |fault| SnapshotError {
        path: path.into(),
        fault,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(SnapshotFault::Io(error))),
    };
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fail(SnapshotFault::Io(error)))?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(fail(SnapshotFault::TooLong));
    }
    let Some(rest) = bytes.strip_prefix(&mark) else {
        let is_begun = mark.starts_with(&bytes);
        return Err(fail(if is_begun {
            SnapshotFault::Torn
        } else {
            SnapshotFault::Foreign
        }));
    };
    let whole = rest.split_last_chunk::<4>().and_then(|(rest, checksum)| {
        let (content, length) = rest.split_last_chunk::<8>()?;
        let is_whole = u64::from_le_bytes(*length) == content.len() as u64
            && u32::from_le_bytes(*checksum) == crc32fast::hash(content);
        is_whole.then_some(content.len())
    });
    let Some(length) = whole else {
        return Err(fail(SnapshotFault::Torn));
    };
    bytes.truncate(mark.len() + length);
    bytes.drain(..mark.len());
    Ok(Some(bytes))
}

/// Renames a file that cannot be used, so that what replaces it destroys nothing: `.unusable` is added to its name.
///
/// # Errors
///
/// What the system refused.
pub fn set_aside(path: &Path) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".unusable");
    fs::rename(path, aside)
}

/// Longest file read: 1 GiB.
const BYTES_MAX: u64 = 1024 * 1024 * 1024;

struct Summed<'a, 'b> {
    file: &'a mut BufWriter<&'b mut File>,
    checksum: crc32fast::Hasher,
    length: u64,
}

impl Write for Summed<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.checksum.update(&bytes[..count]);
        self.length += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.fault {
            SnapshotFault::Io(_) => write!(formatter, "cannot use {path}"),
            SnapshotFault::Foreign => write!(
                formatter,
                "{path} is of another kind or from another version, and is not used"
            ),
            SnapshotFault::Torn => {
                write!(formatter, "{path} is damaged, and is not used")
            }
            SnapshotFault::TooLong => {
                write!(
                    formatter,
                    "{path} is longer than {BYTES_MAX} bytes, and is not used"
                )
            }
        }
    }
}

impl std::error::Error for SnapshotError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            SnapshotFault::Io(source) => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = *b"TESTING1";

    #[test]
    fn what_was_written_is_read_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        assert!(read(&path, MARK).unwrap().is_none());
        for content in [&b"first"[..], b"", b"another"] {
            write(&path, MARK, |out| out.write_all(content)).unwrap();
            assert_eq!(read(&path, MARK).unwrap().unwrap(), content);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_cut_anywhere_or_with_a_bit_changed_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        write(&path, MARK, |out| out.write_all(b"some content")).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let error = read(&path, MARK).unwrap_err();
            assert!(
                matches!(error.fault, SnapshotFault::Torn),
                "{length} {error}"
            );
        }
        for index in MARK.len()..whole.len() {
            let mut other = whole.clone();
            other[index] ^= 1;
            fs::write(&path, other).unwrap();
            assert!(read(&path, MARK).is_err(), "{index}");
        }
        fs::write(&path, b"# some other file\n").unwrap();
        let error = read(&path, MARK).unwrap_err();
        assert!(matches!(error.fault, SnapshotFault::Foreign));
    }

    #[test]
    fn what_fails_midway_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        write(&path, MARK, |out| out.write_all(b"old")).unwrap();
        let failed = write(&path, MARK, |out| {
            out.write_all(b"new")?;
            Err(io::Error::other("full"))
        });
        assert!(failed.is_err());
        assert_eq!(read(&path, MARK).unwrap().unwrap(), b"old");
        // What a kill has left stands in nobody's way.
        fs::write(folder.path().join("state.new"), b"left").unwrap();
        write(&path, MARK, |out| out.write_all(b"new")).unwrap();
        assert_eq!(read(&path, MARK).unwrap().unwrap(), b"new");
    }
}
