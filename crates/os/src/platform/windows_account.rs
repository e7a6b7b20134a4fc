//! Windows: whose process this is, and whose a file. Accounts there are the system's own matter.

use std::io;
use std::path::Path;

use crate::account::ProcessAccount;

/// Not told.
pub fn process_account() -> Option<ProcessAccount> {
    None
}

/// Not told.
///
/// # Errors
///
/// None.
pub fn file_owner(_: &Path) -> io::Result<Option<u32>> {
    Ok(None)
}
