//! A directory that files are taken into: temporary files, and what a process that was killed left behind.
//!
//! A temporary file is called `.tidegate-upload-RUN-NUMBER.part`, where RUN is drawn for each start of a
//! server. As long as that server runs it holds a lock on the file `.tidegate-upload-RUN.lock`; parts of a
//! run whose lock is free, or gone, are left over, and the next start removes them. So two processes may
//! take files into one directory. Locks are advisory and the system's: they end with the process.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A directory, while files may be taken into it.
#[derive(Debug)]
pub(super) struct SaveDirectory {
    path: PathBuf,
    run: u64,
    next: AtomicU64,
    /// `None` once it is closed. Held only to take it out.
    lock: Mutex<Option<RunLock>>,
}

impl SaveDirectory {
    /// Makes the directory if need be, and removes what is left over in it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        fs::create_dir_all(&path)?;
        remove_leftovers(&path)?;
        let lock = RunLock::take(&path)?;
        Ok(Self {
            path,
            run: lock.run,
            next: AtomicU64::new(0),
            lock: Mutex::new(Some(lock)),
        })
    }

    /// Leaves the directory as it was found: nothing is taken into it any more.
    pub(super) fn close(&self) {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        drop(lock.take());
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A new temporary file.
    pub(super) fn temporary(&self) -> io::Result<(Temporary, File)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{:016x}-{number:x}{PART}", self.run);
        Temporary::create(self.path.join(name))
    }
}

/// A temporary file, which is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Temporary {
    path: PathBuf,
}

impl Temporary {
    fn create(path: PathBuf) -> io::Result<(Self, File)> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok((Self { path }, file))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A copy in another directory, which may be on another file system.
    pub(super) fn copied_to(&self, directory: &Path) -> io::Result<Self> {
        let name = self.path.file_name().unwrap_or_default();
        let (copy, mut file) = Self::create(directory.join(name))?;
        io::copy(&mut File::open(&self.path)?, &mut file)?;
        Ok(copy)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What has got its name already is no longer there.
        let _ = fs::remove_file(&self.path);
    }
}

/// Says that a run goes on.
#[derive(Debug)]
struct RunLock {
    run: u64,
    path: PathBuf,
    /// Holds the lock.
    _file: File,
}

impl RunLock {
    /// Takes the lock of a new run.
    fn take(directory: &Path) -> io::Result<Self> {
        loop {
            let run = random();
            let path = directory.join(format!("{PREFIX}{run:016x}{LOCK}"));
            let made = OpenOptions::new().write(true).create_new(true).open(&path);
            let file = match made {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            };
            match file.try_lock() {
                // Another start that looks for what is left over may have come between, and have removed it.
                Ok(()) if !path.try_exists()? => {}
                Err(TryLockError::WouldBlock) => {}
                // Where files cannot be locked nothing is ever taken for left over.
                Ok(()) | Err(TryLockError::Error(_)) => {
                    return Ok(Self {
                        run,
                        path,
                        _file: file,
                    });
                }
            }
        }
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes the files of runs that have ended.
fn remove_leftovers(directory: &Path) -> io::Result<()> {
    let mut runs: HashMap<u64, Vec<PathBuf>> = HashMap::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(run) = name.and_then(run_of) {
            runs.entry(run).or_default().push(path);
        }
    }
    for (run, paths) in runs {
        let lock = directory.join(format!("{PREFIX}{run:016x}{LOCK}"));
        let held = match File::open(&lock) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(_) => continue,
        };
        if held.as_ref().is_some_and(|file| file.try_lock().is_err()) {
            continue;
        }
        tracing::info!(
            directory = %directory.display(),
            files = paths.len(),
            "removing what a server that was killed left of uploads"
        );
        for path in paths {
            // Another start may do the same.
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

/// The run that a file of this name belongs to; `None` for a file that is not ours.
fn run_of(name: &str) -> Option<u64> {
    let name = name.strip_prefix(PREFIX)?;
    let (run, rest) = name.split_at_checked(16)?;
    let number = rest
        .strip_prefix('-')
        .and_then(|rest| rest.strip_suffix(PART));
    let is_ours = rest == LOCK || number.is_some_and(|number| parse(number).is_some());
    parse(run).filter(|_| is_ours)
}

/// Hexadecimal digits as this file writes them.
fn parse(digits: &str) -> Option<u64> {
    let is_ours = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let number = u64::from_str_radix(digits, 16).ok()?;
    digits.bytes().all(is_ours).then_some(number)
}

/// Whether a file of this name is one of ours, which a start may remove.
pub(super) fn is_reserved(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// A number that nobody can foretell: the standard library seeds its hashes with such.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(())
}

const PREFIX: &str = ".tidegate-upload-";
const PART: &str = ".part";
const LOCK: &str = ".lock";

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_directory_is_as_it_was_when_nothing_is_in_progress() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("a/b");
        let directory = SaveDirectory::open(&path).unwrap();
        let (first, _file) = directory.temporary().unwrap();
        let (second, _file) = directory.temporary().unwrap();
        assert_ne!(first.path(), second.path());
        assert_eq!(names(&path).len(), 3);
        drop((first, second));
        directory.close();
        assert_eq!(names(&path), [""; 0]);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let folder = tempdir().unwrap();
        let path = folder.path();
        let run = "0123456789abcdef";
        let left = [
            format!(".tidegate-upload-{run}.lock"),
            format!(".tidegate-upload-{run}-0.part"),
            format!(".tidegate-upload-{run}-ff.part"),
            // Of a run whose lock is gone.
            ".tidegate-upload-00000000000000aa-1.part".to_owned(),
        ];
        let others = [
            ".tidegate-upload-0123456789ABCDEF-1.part",
            ".tidegate-upload-0123456789abcdef-.part",
            ".tidegate-upload-0123456789abcdef-1.part2",
            ".tidegate-upload-0123456789abcdeé-1.part",
            ".tidegate-upload-.lock",
            "a.part",
        ];
        for name in left.iter().map(String::as_str).chain(others) {
            fs::write(path.join(name), "x").unwrap();
        }
        // Another server is at work in the same directory.
        let other = SaveDirectory::open(&folder.path().join("elsewhere")).unwrap();
        drop(other);
        let alive = RunLock::take(path).unwrap();
        let part = format!(".tidegate-upload-{:016x}-7.part", alive.run);
        fs::write(path.join(&part), "x").unwrap();
        let directory = SaveDirectory::open(path).unwrap();
        drop(directory);
        let mut wanted: Vec<_> = others.map(str::to_owned).to_vec();
        wanted.extend([
            part.clone(),
            format!(".tidegate-upload-{:016x}.lock", alive.run),
        ]);
        wanted.push("elsewhere".to_owned());
        wanted.sort();
        assert_eq!(names(path), wanted);
        // Once it has ended without having cleaned up, its files are left over as well.
        let lock = alive.path.clone();
        drop(alive);
        fs::write(lock, "").unwrap();
        drop(SaveDirectory::open(path).unwrap());
        assert!(!path.join(part).exists());
    }

    #[test]
    fn a_file_in_the_place_of_the_directory_is_told() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "").unwrap();
        assert!(SaveDirectory::open(&path).is_err());
    }
}
