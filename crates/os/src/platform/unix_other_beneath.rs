//! Unix other than Linux: files in a folder.

use std::fs::{File, Metadata};
use std::io;

use super::unix_beneath::{FolderHandle, open_step_by_step};

pub(crate) fn open_beneath(folder: &FolderHandle, path: &str) -> io::Result<File> {
    open_step_by_step(folder, path)
}

pub(crate) fn look_beneath(folder: &FolderHandle, path: &str) -> io::Result<Metadata> {
    open_step_by_step(folder, path)?.metadata()
}
