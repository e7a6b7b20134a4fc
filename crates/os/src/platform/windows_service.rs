//! There is no service manager here that hands over sockets: the same names, and nothing behind them.

use std::convert::Infallible;
use std::time::Duration;

use crate::error::SystemError;
use crate::kept::{HandoverError, KeptListeners};
use crate::socket::Listener;

/// What was handed to this process: nothing, on this platform.
#[derive(Debug, Default)]
pub struct Handover {
    /// The sockets.
    pub listeners: KeptListeners,
    /// Whether the supervisor still lives, if there is one.
    pub supervisor: Option<Lifeline>,
}

impl Handover {
    /// Takes what was handed over.
    ///
    /// # Errors
    ///
    /// None, on this platform.
    pub fn take() -> Result<Self, HandoverError> {
        Ok(Self::default())
    }
}

/// Tells whether a supervisor still lives. There is none on this platform.
#[derive(Debug)]
pub struct Lifeline(Infallible);

impl Lifeline {
    /// Waits until it does not.
    pub fn wait_for_end(self) {
        match self.0 {}
    }
}

/// Tells the service manager how this process is. There is none to be told on this platform.
#[derive(Debug)]
pub struct Notifier(Infallible);

impl Notifier {
    /// The service manager: `None`, on this platform.
    ///
    /// # Errors
    ///
    /// None, on this platform.
    pub fn from_environment() -> Result<Option<Self>, SystemError> {
        Ok(None)
    }

    /// Tells some lines.
    ///
    /// # Errors
    ///
    /// None, on this platform.
    pub fn tell(&self, _: &str) -> Result<(), SystemError> {
        match self.0 {}
    }

    /// Tells that settings are read again.
    ///
    /// # Errors
    ///
    /// None, on this platform.
    pub fn tell_reloading(&self) -> Result<(), SystemError> {
        match self.0 {}
    }

    pub(crate) fn store(&self, _: &str, _: &[&Listener]) -> Result<(), SystemError> {
        match self.0 {}
    }

    pub(crate) fn forget(&self, _: &str) -> Result<(), SystemError> {
        match self.0 {}
    }
}

/// Raises the limit on open files: there is none on this platform.
///
/// # Errors
///
/// None, on this platform.
pub fn raise_open_files_max() -> Result<Option<u64>, SystemError> {
    Ok(None)
}

/// How often the service manager wants to hear that this process is alive: it does not.
///
/// # Errors
///
/// None, on this platform.
pub fn service_watchdog() -> Result<Option<Duration>, HandoverError> {
    Ok(None)
}
