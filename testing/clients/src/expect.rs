//! What must hold, said so that a failure tells what was found.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use crate::error::ClientError;

/// `found` must be `expected`.
pub(crate) fn equal<T: PartialEq + Debug + ?Sized>(
    what: &str,
    found: &T,
    expected: &T,
) -> Result<(), ClientError> {
    if found == expected {
        return Ok(());
    }
    Err(differs(what, brief(&expected), brief(&found)))
}

/// `holds` must be true; `found` is what to tell when it is not.
pub(crate) fn holds(
    what: &str,
    holds: bool,
    found: impl FnOnce() -> String,
) -> Result<(), ClientError> {
    if holds {
        return Ok(());
    }
    Err(differs(what, "that to hold".to_owned(), found()))
}

/// `state` must become what `holds` accepts within `limit`.
pub(crate) fn becomes<T: Debug>(
    what: &str,
    limit: Duration,
    mut state: impl FnMut() -> Result<T, ClientError>,
    holds: impl Fn(&T) -> bool,
) -> Result<T, ClientError> {
    let deadline = Instant::now() + limit;
    loop {
        let found = state()?;
        if holds(&found) {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(ClientError::TooLate {
                what: format!("{what}, at last {found:?}"),
                after: limit,
            });
        }
        // Nothing tells of a change in another process: it is looked at again.
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn differs(what: &str, expected: String, found: String) -> ClientError {
    ClientError::Differs {
        what: what.to_owned(),
        expected,
        found,
    }
}

fn brief(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    if text.len() <= TEXT_BYTES_MAX {
        return text;
    }
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    format!("{}… ({} bytes)", &text[..end], text.len())
}

const TEXT_BYTES_MAX: usize = 300;
