//! Unix: whose process this is, and whose a file.

use std::ffi::CStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::{fs, io, ptr};

use crate::account::ProcessAccount;

/// The account that this process acts for.
pub fn process_account() -> Option<ProcessAccount> {
    // SAFETY: the calls take nothing and cannot fail.
    let (user_id, group_id) = unsafe { (libc::geteuid(), libc::getegid()) };
    let mut group_ids = other_groups();
    if !group_ids.contains(&group_id) {
        group_ids.push(group_id);
    }
    Some(ProcessAccount {
        name: user_name(user_id),
        user_id,
        group_ids,
    })
}

/// Whose a file is.
///
/// # Errors
///
/// What the system says.
pub fn file_owner(path: &Path) -> io::Result<Option<u32>> {
    Ok(Some(fs::metadata(path)?.uid()))
}

/// The process's supplementary groups; none when they cannot be told.
fn other_groups() -> Vec<libc::gid_t> {
    // SAFETY: with a length of 0 the call writes nothing and gives the count.
    let count = unsafe { libc::getgroups(0, ptr::null_mut()) };
    let mut groups = vec![0; usize::try_from(count).unwrap_or(0)];
    if groups.is_empty() {
        return groups;
    }
    // SAFETY: the call writes at most as many as it is told of, which the vector has.
    let count = unsafe { libc::getgroups(count, groups.as_mut_ptr()) };
    groups.truncate(usize::try_from(count).unwrap_or(0));
    groups
}

/// The name that the system's directories have for a user.
fn user_name(user_id: libc::uid_t) -> Option<String> {
    let mut texts = vec![0_u8; 1024];
    loop {
        // SAFETY: all of its fields may be zero; the call fills it.
        let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
        let mut found = ptr::null_mut();
        // SAFETY: entry, texts and found are this function's own and live through the call, which writes at
        // most as many bytes of texts as it is told of.
        let code = unsafe {
            libc::getpwuid_r(
                user_id,
                &raw mut entry,
                texts.as_mut_ptr().cast(),
                texts.len(),
                &raw mut found,
            )
        };
        if code == libc::ERANGE && texts.len() < TEXT_BYTES_MAX {
            texts.resize(texts.len() * 2, 0);
            continue;
        }
        if code != 0 || found.is_null() {
            return None;
        }
        // SAFETY: the entry was found, so its name is a string with an end within `texts`, which lives on.
        let name = unsafe { CStr::from_ptr(entry.pw_name) };
        return name.to_str().ok().map(str::to_owned);
    }
}

/// Far more than an entry of any directory takes.
const TEXT_BYTES_MAX: usize = 1024 * 1024;
