//! The measuring window: what the server had used when it opened, and what when it closed.

use std::time::Instant;

use crate::counters::{Counters, Counts};
use crate::error::GeneratorError;
use crate::histogram::Histogram;
use crate::options::Options;
use crate::report::{First, Report};
use crate::server_time;

/// A load that goes on for as long as it is let.
pub(crate) trait Endless {
    fn run_until(&mut self, end: Instant) -> Result<(), GeneratorError>;

    fn tally(&mut self) -> &mut Tally;
}

/// What an endless load has done.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) completed: u64,
    pub(crate) latency: Histogram,
    /// Connections opened again because the server ended them.
    pub(crate) reopened: u64,
}

/// Warms up, and measures over the window. `first` is what trying out has found.
pub(crate) fn measure(
    load: &mut impl Endless,
    options: &Options,
    first: Option<First>,
) -> Result<Report, GeneratorError> {
    let meter = Meter::new(options);
    load.run_until(Instant::now() + options.warm)?;
    let tally = load.tally();
    tally.latency.clear();
    // The first answer's request counts too.
    let before = u64::from(first.is_some()) + std::mem::take(&mut tally.completed);
    let begin = meter.read();
    load.run_until(begin.at + options.window)?;
    let end = meter.read();
    let tally = load.tally();
    let mut report = Report::new(tally.completed, &begin, &end, &tally.latency);
    report.requests_total += before;
    report.reopened = tally.reopened;
    report.first = first;
    Ok(report)
}

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
