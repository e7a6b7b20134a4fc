//! Gives a received file its name, all at once, and without taking that of another.
//!
//! A hard link makes the name where it does not exist yet, in one step. Where the file system has none, the
//! name is taken with an empty file of our own, which the received one replaces.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::directory::{Temporary, random};
use super::name;
use super::settings::ExistingFiles;

/// A file under its name.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// Whether there was no file of this name before.
    pub(super) is_new: bool,
}

/// Gives a file the name `wanted` in `directory`, which is made if need be, or what `existing` says instead.
///
/// # Errors
///
/// With [`AlreadyExists`](io::ErrorKind::AlreadyExists) there is a file of this name, and
/// [`ExistingFiles::Refuse`] holds. Else the system's. The received file is gone then.
pub(super) fn publish(
    mut temporary: Temporary,
    directory: &Path,
    wanted: &str,
    existing: ExistingFiles,
) -> io::Result<Published> {
    fs::create_dir_all(directory).map_err(|error| match error.kind() {
        // That is about a file in the place of the directory.
        io::ErrorKind::AlreadyExists => io::ErrorKind::NotADirectory.into(),
        _ => error,
    })?;
    let mut is_copied = false;
    let mut attempt = 0;
    loop {
        let name = match existing {
            ExistingFiles::FreeName => candidate(wanted, attempt),
            ExistingFiles::Replace | ExistingFiles::Refuse => wanted.to_owned(),
        };
        let path = directory.join(&name);
        let placed = match existing {
            ExistingFiles::Replace => replace(temporary.path(), &path),
            _ => add(temporary.path(), &path).map(|()| true),
        };
        match placed {
            Ok(is_new) => return Ok(Published { name, path, is_new }),
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices && !is_copied => {
                temporary = temporary.copied_to(directory)?;
                is_copied = true;
            }
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists
                    && existing == ExistingFiles::FreeName
                    && attempt < ATTEMPTS_MAX =>
            {
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// A name to try: as wanted, numbered, and when many are taken, with something nobody has.
fn candidate(wanted: &str, attempt: u32) -> String {
    match attempt {
        0 => wanted.to_owned(),
        1..=NUMBERS_MAX => name::with(wanted, attempt),
        _ => name::with(wanted, format_args!("{:016x}", random())),
    }
}

/// Gives `from` the name `to`, which must be free.
fn add(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => {
            // It has two names now. Should the first stay, it is found at the next start.
            let _ = fs::remove_file(from);
            Ok(())
        }
        Err(error) => match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::CrossesDevices => Err(error),
            _ => take_over(from, to),
        },
    }
}

/// As [`add`], where there are no hard links.
fn take_over(from: &Path, to: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(to)?;
    fs::rename(from, to).inspect_err(|_| {
        let _ = fs::remove_file(to);
    })
}

/// Gives `from` the name `to`, whatever file has it. Says whether none had.
fn replace(from: &Path, to: &Path) -> io::Result<bool> {
    let is_new = match fs::symlink_metadata(to) {
        Ok(there) if there.is_dir() => return Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) => false,
        Err(_) => true,
    };
    fs::rename(from, to)?;
    Ok(is_new)
}

/// So many numbers are tried: looking for a free one among thousands would cost more than the upload.
const NUMBERS_MAX: u32 = 99;

const ATTEMPTS_MAX: u32 = NUMBERS_MAX + 4;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::upload::directory::SaveDirectory;

    fn received(directory: &SaveDirectory, content: &str) -> Temporary {
        let (temporary, mut file) = directory.temporary().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        temporary
    }

    fn opened() -> (TempDir, SaveDirectory) {
        let folder = tempdir().unwrap();
        let directory = SaveDirectory::open(folder.path()).unwrap();
        (folder, directory)
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let (folder, directory) = opened();
        for (content, wanted) in [("0", "a.txt"), ("1", "a (1).txt"), ("2", "a (2).txt")] {
            let temporary = received(&directory, content);
            let left = temporary.path().to_owned();
            let published =
                publish(temporary, folder.path(), "a.txt", ExistingFiles::FreeName).unwrap();
            assert_eq!((&*published.name, published.is_new), (wanted, true));
            assert_eq!(fs::read_to_string(published.path).unwrap(), content);
            assert!(!left.exists());
        }
    }

    #[test]
    fn many_of_one_name_get_names_that_nobody_has() {
        let (folder, directory) = opened();
        fs::create_dir(folder.path().join("a")).unwrap();
        for number in 1..=NUMBERS_MAX {
            fs::write(folder.path().join(format!("a ({number})")), "").unwrap();
        }
        for _ in 0..3 {
            let temporary = received(&directory, "x");
            let published =
                publish(temporary, folder.path(), "a", ExistingFiles::FreeName).unwrap();
            assert_eq!(published.name.len(), "a (0123456789abcdef)".len());
        }
    }

    #[test]
    fn an_existing_file_is_replaced_or_kept_as_asked() {
        let (folder, directory) = opened();
        let target = folder.path().join("a");
        let publish = |content: &str, existing| {
            publish(received(&directory, content), folder.path(), "a", existing)
        };
        assert!(publish("1", ExistingFiles::Refuse).unwrap().is_new);
        let error = publish("2", ExistingFiles::Refuse).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&target).unwrap(), "1");
        assert!(!publish("3", ExistingFiles::Replace).unwrap().is_new);
        assert_eq!(fs::read_to_string(&target).unwrap(), "3");
        fs::remove_file(&target).unwrap();
        fs::create_dir(&target).unwrap();
        let error = publish("4", ExistingFiles::Replace).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_name_is_taken_where_there_are_no_hard_links() {
        let (folder, directory) = opened();
        let target = folder.path().join("a");
        let temporary = received(&directory, "1");
        take_over(temporary.path(), &target).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "1");
        let temporary = received(&directory, "2");
        let error = take_over(temporary.path(), &target).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        let missing = folder.path().join("missing");
        assert!(take_over(&missing, &folder.path().join("b")).is_err());
        assert!(!folder.path().join("b").exists());
    }

    #[test]
    fn a_copy_stands_in_for_a_file_of_another_file_system() {
        let (folder, directory) = opened();
        let elsewhere = tempdir().unwrap();
        let temporary = received(&directory, "x");
        let copy = temporary.copied_to(elsewhere.path()).unwrap();
        add(copy.path(), &elsewhere.path().join("a")).unwrap();
        drop((temporary, copy));
        let content = fs::read_to_string(elsewhere.path().join("a")).unwrap();
        assert_eq!(content, "x");
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "the lock alone");
    }
}
