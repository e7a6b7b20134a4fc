//! Opening files: regular ones only, and, by paths that peers choose, only those in a folder.
//!
//! What is opened is looked at after it was opened, so that nobody can exchange it in between, and
//! opening never waits for a program at the other end of a pipe. Which paths are asked for, and what
//! becomes of the content, is not decided here.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::platform;

/// What a path led to.
#[derive(Debug)]
pub enum Opened {
    /// A regular file, open for reading.
    File(File, FileState),
    /// A folder.
    Folder,
    /// A pipe, a device, a socket.
    Other,
}

/// What tells one state of a regular file from another, as far as the system knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileState {
    /// Length in bytes.
    pub length: u64,
    /// When its content was last changed. The system's clock decides how fine this is.
    pub modified: SystemTime,
    /// The number that its volume knows it by; 0 where the platform tells none. A file that takes the
    /// place of another has another number mostly.
    pub number: u64,
}

/// What is at a path, without opening it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EntryKind {
    /// A regular file.
    File(FileState),
    /// A folder.
    Folder,
    /// A pipe, a device, a socket.
    Other,
}

/// A folder whose files are opened by paths that cannot lead out of it, whatever they are and whatever
/// symbolic links there are.
///
/// A path is a list of names with `/` between them, without a slash around it; an empty one is the folder
/// itself. One that has an empty name, `.` or `..` in it, NUL, or what the platform gives another meaning
/// than that of a name, leads nowhere: [`io::ErrorKind::NotFound`].
///
/// # Platform
///
/// Linux 5.6 and later: symbolic links are followed as long as they stay in the folder. Elsewhere on Unix
/// none is followed. On Windows those that lead out are refused when the path is opened; whoever can
/// exchange folders for links at that very moment can lead out.
#[derive(Debug)]
pub struct Folder {
    handle: platform::FolderHandle,
    /// Where it was when it was opened, without links.
    path: PathBuf,
    /// As it was asked for.
    asked: PathBuf,
    number: u64,
}

impl Folder {
    /// Opens a folder.
    ///
    /// # Errors
    ///
    /// There is none at this path, or the user may not enter it.
    pub fn open(asked: &Path) -> io::Result<Self> {
        let path = asked.canonicalize()?;
        let number = platform::file_number(&path.metadata()?);
        Ok(Self {
            handle: platform::open_folder(&path)?,
            path,
            asked: asked.to_path_buf(),
            number,
        })
    }

    /// Whether it is still what is found at the path it was opened by. It is not after that path, which
    /// may be a link, was made to lead to another folder.
    pub fn is_current(&self) -> bool {
        let found = |path: PathBuf| Some((platform::file_number(&path.metadata().ok()?), path));
        self.asked
            .canonicalize()
            .ok()
            .and_then(found)
            .is_some_and(|(number, path)| number == self.number && path == self.path)
    }

    /// Opens what is at `path` in this folder.
    ///
    /// # Errors
    ///
    /// Nothing is there, the path leads out ([`io::ErrorKind::NotFound`] for both), it may not be read,
    /// or what the system says.
    pub fn open_file(&self, path: &str) -> io::Result<Opened> {
        check_path(path)?;
        let file = platform::open_beneath(&self.handle, path).map_err(not_there)?;
        opened(file)
    }

    /// What is at `path` in this folder. As [`open_file`](Self::open_file), without the right to read it.
    ///
    /// # Errors
    ///
    /// As [`open_file`](Self::open_file).
    pub fn look(&self, path: &str) -> io::Result<EntryKind> {
        check_path(path)?;
        let metadata = platform::look_beneath(&self.handle, path).map_err(not_there)?;
        Ok(kind(&metadata))
    }

    /// The names in the folder at `path`, in no order. Ones that are no text are left out, since no path
    /// can have them; so is all beyond the first `limit`.
    ///
    /// # Errors
    ///
    /// As [`open_file`](Self::open_file); it is no folder.
    pub fn names(&self, path: &str, limit: usize) -> io::Result<Vec<String>> {
        if self.look(path)? != EntryKind::Folder {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let entries = std::fs::read_dir(self.path.join(path))?;
        let names = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names.take(limit).collect())
    }
}

/// Opens what is at a path that the application chose.
///
/// # Errors
///
/// What the system says.
pub fn open_file(path: &Path) -> io::Result<Opened> {
    opened(platform::open_without_waiting(path)?)
}

/// What is at a path that the application chose, without opening it. A symbolic link is not followed: it is
/// [`EntryKind::Other`].
///
/// # Errors
///
/// What the system says.
pub fn look(path: &Path) -> io::Result<EntryKind> {
    Ok(kind(&std::fs::symlink_metadata(path)?))
}

/// The state of an open file; `None` when it is no regular one.
///
/// # Errors
///
/// What the system says.
pub fn file_state(file: &File) -> io::Result<Option<FileState>> {
    Ok(match kind(&file.metadata()?) {
        EntryKind::File(state) => Some(state),
        EntryKind::Folder | EntryKind::Other => None,
    })
}

fn opened(file: File) -> io::Result<Opened> {
    Ok(match kind(&file.metadata()?) {
        EntryKind::File(state) => {
            platform::wait_for_disk(&file)?;
            Opened::File(file, state)
        }
        EntryKind::Folder => Opened::Folder,
        EntryKind::Other => Opened::Other,
    })
}

fn kind(metadata: &Metadata) -> EntryKind {
    if metadata.is_dir() {
        EntryKind::Folder
    } else if metadata.is_file() {
        EntryKind::File(FileState {
            length: metadata.len(),
            modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            number: platform::file_number(metadata),
        })
    } else {
        EntryKind::Other
    }
}

/// Refuses what is no list of names before the system sees it.
fn check_path(path: &str) -> io::Result<()> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name != "."
            && name != ".."
            && !name.contains('\0')
            && platform::is_plain_name(name)
    };
    if path.is_empty() || path.split('/').all(is_name) {
        Ok(())
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// A path that leads out, or is too long for anything to be there, is one at which nothing is.
fn not_there(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::CrossesDevices
        | io::ErrorKind::InvalidFilename
        | io::ErrorKind::NotADirectory => io::ErrorKind::NotFound.into(),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;

    use super::*;

    /// A folder `site` with `a.txt` and `sub/b.txt`, beside a file `secret`.
    fn site() -> (tempfile::TempDir, Folder) {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("site");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(root.join("a.txt"), "a").unwrap();
        fs::write(root.join("sub/b.txt"), "bb").unwrap();
        fs::write(outer.path().join("secret"), "secret").unwrap();
        let folder = Folder::open(&root).unwrap();
        (outer, folder)
    }

    fn text(folder: &Folder, path: &str) -> io::Result<String> {
        let Opened::File(mut file, state) = folder.open_file(path)? else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        assert_eq!(folder.look(path)?, EntryKind::File(state));
        assert_eq!(file_state(&file)?, Some(state));
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        assert_eq!(state.length, text.len() as u64);
        Ok(text)
    }

    fn kind_of_error(folder: &Folder, path: &str) -> io::ErrorKind {
        let error = text(folder, path).unwrap_err().kind();
        assert_eq!(folder.look(path).unwrap_err().kind(), error, "{path}");
        error
    }

    #[test]
    fn files_and_folders_are_found() {
        let (_outer, folder) = site();
        assert_eq!(text(&folder, "a.txt").unwrap(), "a");
        assert_eq!(text(&folder, "sub/b.txt").unwrap(), "bb");
        for path in ["", "sub"] {
            assert!(matches!(folder.open_file(path).unwrap(), Opened::Folder));
            assert_eq!(folder.look(path).unwrap(), EntryKind::Folder);
        }
        let mut names = folder.names("", 10).unwrap();
        names.sort();
        assert_eq!(names, ["a.txt", "sub"]);
        assert_eq!(folder.names("", 1).unwrap().len(), 1);
        assert!(folder.names("a.txt", 1).is_err());
    }

    #[test]
    fn what_is_no_list_of_names_leads_nowhere() {
        let (outer, folder) = site();
        let absolute = outer.path().join("secret");
        let long = "a/".repeat(4000) + "a";
        for path in [
            "../secret",
            "sub/../../secret",
            "sub/../a.txt",
            "./a.txt",
            "/a.txt",
            "a.txt/",
            "sub//b.txt",
            "a.txt\0",
            "\0",
            "/",
            "..",
            ".",
            "missing",
            "a.txt/b",
            absolute.to_str().unwrap(),
            &"a".repeat(300),
            &long,
        ] {
            assert_eq!(
                kind_of_error(&folder, path),
                io::ErrorKind::NotFound,
                "{path}"
            );
        }
    }

    #[test]
    fn looking_at_a_path_opens_nothing() {
        let (outer, folder) = site();
        let root = outer.path().join("site");
        let file = root.join("a.txt");
        assert_eq!(look(&file).unwrap(), folder.look("a.txt").unwrap());
        assert_eq!(look(&root).unwrap(), EntryKind::Folder);
        let missing = look(&root.join("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("a.txt", root.join("link")).unwrap();
            assert_eq!(look(&root.join("link")).unwrap(), EntryKind::Other);
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_that_lead_out_lead_nowhere() {
        use std::os::unix::fs::symlink;

        let (outer, folder) = site();
        let root = outer.path().join("site");
        symlink("../secret", root.join("out")).unwrap();
        symlink(outer.path().join("secret"), root.join("absolute")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("/proc/self/root/etc", root.join("magic")).unwrap();
        symlink("sub/b.txt", root.join("in")).unwrap();
        for path in ["out", "absolute", "up", "up/secret", "loop", "magic/passwd"] {
            assert_eq!(
                kind_of_error(&folder, path),
                io::ErrorKind::NotFound,
                "{path}"
            );
        }
        // Where the system can follow links safely, it does.
        let inside = text(&folder, "in").ok();
        assert!(inside.is_none_or(|text| text == "bb"));
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_neither_waited_for_nor_a_file() {
        let (outer, folder) = site();
        let path = outer.path().join("site/pipe");
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: the name is a string that ends with NUL, and lives as long as the call.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        assert!(matches!(folder.open_file("pipe").unwrap(), Opened::Other));
        assert!(matches!(open_file(&path).unwrap(), Opened::Other));
        assert_eq!(folder.look("pipe").unwrap(), EntryKind::Other);
    }

    #[cfg(unix)]
    #[test]
    fn reading_an_open_file_may_wait_for_the_disk() {
        use std::os::fd::AsRawFd as _;

        let (outer, folder) = site();
        let path = outer.path().join("site/a.txt");
        for opened in [folder.open_file("a.txt"), open_file(&path)] {
            let Opened::File(file, _) = opened.unwrap() else {
                panic!("a.txt is a file");
            };
            // SAFETY: the descriptor is open; the call takes no pointer.
            let flags = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) };
            assert_eq!(flags & libc::O_NONBLOCK, 0);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_in_place_of_another_is_noticed() {
        let outer = tempfile::tempdir().unwrap();
        for name in ["one", "two"] {
            fs::create_dir(outer.path().join(name)).unwrap();
        }
        let link = outer.path().join("link");
        let lead_to = |name| {
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(name, &link).unwrap();
        };
        lead_to("one");
        let folder = Folder::open(&link).unwrap();
        assert!(folder.is_current());
        lead_to("two");
        assert!(!folder.is_current());
        lead_to("one");
        assert!(folder.is_current());
        fs::rename(outer.path().join("one"), outer.path().join("old")).unwrap();
        assert!(!folder.is_current());
        fs::rename(outer.path().join("two"), outer.path().join("one")).unwrap();
        assert!(!folder.is_current());
    }

    #[test]
    fn a_changed_file_is_another_state() {
        let (outer, folder) = site();
        let before = folder.look("a.txt").unwrap();
        assert_eq!(folder.look("a.txt").unwrap(), before);
        let new = outer.path().join("site/new");
        fs::write(&new, "longer").unwrap();
        fs::rename(&new, outer.path().join("site/a.txt")).unwrap();
        assert_ne!(folder.look("a.txt").unwrap(), before);
    }
}
