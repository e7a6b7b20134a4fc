//! Names the process that holds an address, for a message a person can act on.

use std::fmt;

/// A process as the system shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProcessName {
    /// Its process id.
    pub id: u32,
    /// The name of its program, possibly cut by the system.
    pub name: String,
}

impl fmt::Display for ProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.id)
    }
}
