//! What goes wrong at the system: the call and its code.
//!
//! Errors of binding a listener, which a person has to act on, are `socket::BindError`.

use std::error::Error;
use std::fmt;
use std::io;

use crate::file_send::READ;
use crate::platform::{FILE_ENDED, SHORTAGES};

/// A system call that failed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SystemError {
    /// The name of the call, as in its manual page.
    pub call: &'static str,
    /// The error code of the platform: `errno`, or the Winsock code. 0 if the platform gave none.
    pub code: i32,
}

impl SystemError {
    pub(crate) fn new(call: &'static str, error: &io::Error) -> Self {
        Self {
            call,
            code: error.raw_os_error().unwrap_or(0),
        }
    }

    /// A file that ended before all that was to be sent of it was.
    pub(crate) fn of_ended_file() -> Self {
        Self {
            call: READ,
            code: FILE_ENDED,
        }
    }

    /// Whether a file that was to be sent is at fault: it ended early, or could not be read. Otherwise the
    /// connection is, or the system.
    #[must_use]
    pub fn is_of_file(&self) -> bool {
        self.call == READ
    }

    /// Whether it is for want of something that there may be enough of later: descriptors, memory.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        SHORTAGES.contains(&self.code)
    }

    /// What kind of error the code is.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        io::Error::from_raw_os_error(self.code).kind()
    }
}

impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = io::Error::from_raw_os_error(self.code);
        write!(f, "{}: {cause}", self.call)
    }
}

impl Error for SystemError {}

impl From<SystemError> for io::Error {
    fn from(error: SystemError) -> Self {
        Self::from_raw_os_error(error.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_the_call_and_the_cause() {
        let cause = io::Error::from_raw_os_error(2);
        let text = SystemError::new("connect", &cause).to_string();
        assert!(text.starts_with("connect: "), "{text}");
        assert!(text.contains(&cause.to_string()), "{text}");
    }

    #[test]
    fn a_file_at_fault_is_told_from_a_connection() {
        assert!(SystemError::of_ended_file().is_of_file());
        let cause = io::Error::from_raw_os_error(2);
        assert!(!SystemError::new("send", &cause).is_of_file());
        assert!(!SystemError::new("sendfile", &cause).is_of_file());
    }
}
