//! The measuring window: what the server had used when it opened, and what when it closed.

use std::time::Instant;

use crate::counters::{Counters, Counts};
use crate::options::Options;
use crate::server_time;

/// Reads the server's use at one instant.
pub(crate) struct Meter<'a> {
    pids: &'a [u32],
    counters: Option<Counters>,
}

/// The server's use, and the generator's own, up to an instant.
pub(crate) struct Reading {
    pub(crate) at: Instant,
    pub(crate) server_ns: u64,
    pub(crate) generator_ns: u64,
    pub(crate) counts: Option<Counts>,
}

impl<'a> Meter<'a> {
    /// Opens the counters when they are wanted; the server must have its threads by now.
    pub(crate) fn new(options: &'a Options) -> Self {
        let counters = if options.counters {
            Counters::open(&options.pids)
        } else {
            None
        };
        Self {
            pids: &options.pids,
            counters,
        }
    }

    pub(crate) fn read(&self) -> Reading {
        Reading {
            at: Instant::now(),
            server_ns: server_time::nanoseconds(self.pids),
            generator_ns: server_time::nanoseconds(&[std::process::id()]),
            counts: self.counters.as_ref().map(Counters::read),
        }
    }
}
