//! An open loop: requests come at a rate of their own, as from users who do not know each other.
//!
//! The gaps between them are drawn from the exponential distribution (a Poisson process) with a
//! fixed seed, so that every server meets the same arrivals. A latency counts from the instant a
//! request was due, whether or not a connection was free to send it: waiting is not hidden.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::epoll::{Epoll, Interest};
use crate::error::GeneratorError;
use crate::histogram::Histogram;
use crate::options::Options;
use crate::report::{Open, Report};
use crate::request;
use crate::response::Head;
use crate::socket::{Connection, is_not_ready};
use crate::window::Meter;

/// Runs the load and measures over the window.
pub(crate) fn run(options: &Options) -> Result<Report, GeneratorError> {
    let mut load = Load::start(options)?;
    let meter = Meter::new(options);
    let start = Instant::now();
    let mut arrivals = Arrivals::new(start, options.rate);
    load.run_until(start + options.warm, &mut arrivals)?;
    load.counts = Open::default();
    load.reopened = 0;
    load.latency.clear();
    load.refused_latency.clear();
    load.lateness.clear();
    let begin = meter.read();
    load.run_until(begin.at + options.window, &mut arrivals)?;
    let end = meter.read();
    let mut counts = std::mem::take(&mut load.counts);
    counts.unfinished = load.unfinished();
    counts.refused_p99_us = load.refused_latency.quantile_us(0.99);
    counts.late_p99_us = load.lateness.quantile_us(0.99);
    let completed = counts.answered + counts.refused + counts.reset + counts.other;
    let mut report = Report::new(completed, &begin, &end, &load.latency);
    report.reopened = load.reopened;
    report.open = Some(counts);
    Ok(report)
}

struct Load<'a> {
    options: &'a Options,
    request: Vec<u8>,
    epoll: Epoll,
    streams: Vec<Stream>,
    /// Indices of the streams that can send now; stale ones are skipped.
    idle: Vec<usize>,
    /// Instants of the requests that are due and not sent.
    due: VecDeque<Instant>,
    buffer: Vec<u8>,
    counts: Open,
    latency: Histogram,
    refused_latency: Histogram,
    lateness: Histogram,
    reopened: u64,
}

struct Stream {
    connection: Connection,
    state: State,
    answer: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Connecting,
    Idle,
    /// Waits for the answer to the request that was due then.
    Waiting(Instant),
}

impl<'a> Load<'a> {
    fn start(options: &'a Options) -> Result<Self, GeneratorError> {
        let mut load = Self {
            options,
            request: request::encode(options),
            epoll: Epoll::new()?,
            streams: Vec::with_capacity(options.connections),
            idle: Vec::new(),
            due: VecDeque::new(),
            buffer: vec![0; 64 * 1024],
            counts: Open::default(),
            latency: Histogram::new(),
            refused_latency: Histogram::new(),
            lateness: Histogram::new(),
            reopened: 0,
        };
        for index in 0..options.connections {
            let stream = load.open(index)?;
            load.streams.push(stream);
        }
        Ok(load)
    }

    fn open(&self, index: usize) -> Result<Stream, GeneratorError> {
        // Begun, not waited for: when the server's backlog is full, a connect may take seconds.
        let connection = Connection::prepare()?;
        connection.begin(self.options.port)?;
        self.epoll.add(&connection, index, Interest::Write)?;
        Ok(Stream {
            connection,
            state: State::Connecting,
            answer: Vec::new(),
        })
    }

    fn run_until(&mut self, end: Instant, arrivals: &mut Arrivals) -> Result<(), GeneratorError> {
        loop {
            let now = Instant::now();
            if now >= end {
                return Ok(());
            }
            while let Some(due) = arrivals.next_until(now) {
                self.due.push_back(due);
            }
            self.send_due()?;
            // Never sleeps: a wait in milliseconds is too coarse for the instants, and the
            // generator has its processor for itself.
            let events = self.epoll.wait(0)?;
            for event in 0..events {
                self.handle(self.epoll.index(event))?;
            }
        }
    }

    fn send_due(&mut self) -> Result<(), GeneratorError> {
        while let Some(due) = self.due.front().copied() {
            let Some(index) = self.idle.pop() else {
                return Ok(());
            };
            let stream = &mut self.streams[index];
            if stream.state != State::Idle {
                continue;
            }
            match stream.connection.send(&self.request) {
                Ok(count) if count == self.request.len() => {
                    stream.state = State::Waiting(due);
                    self.lateness.add(due.elapsed());
                    self.due.pop_front();
                }
                // The server ended the connection while it was idle; the request goes elsewhere.
                Ok(_) | Err(_) => self.reopen(index)?,
            }
        }
        Ok(())
    }

    fn handle(&mut self, index: usize) -> Result<(), GeneratorError> {
        let stream = &mut self.streams[index];
        if stream.state == State::Connecting {
            stream.state = State::Idle;
            self.idle.push(index);
            return self.epoll.change(&stream.connection, index, Interest::Read);
        }
        match stream.connection.receive(&mut self.buffer) {
            Ok(0) => self.ended(index),
            Ok(count) => {
                stream.answer.extend_from_slice(&self.buffer[..count]);
                self.answered(index)
            }
            Err(error) if is_not_ready(&error) => Ok(()),
            Err(_) => self.ended(index),
        }
    }

    /// Counts the answer, if it is whole.
    fn answered(&mut self, index: usize) -> Result<(), GeneratorError> {
        let stream = &mut self.streams[index];
        let Some(head) = Head::read(&stream.answer) else {
            return Ok(());
        };
        if stream.answer.len() < head.answer_bytes() {
            return Ok(());
        }
        stream.answer.clear();
        if let State::Waiting(due) = stream.state {
            match head.status {
                200 => {
                    self.counts.answered += 1;
                    self.latency.add(due.elapsed());
                }
                503 => {
                    self.counts.refused += 1;
                    self.refused_latency.add(due.elapsed());
                }
                _ => self.counts.other += 1,
            }
        }
        if head.closing {
            return self.reopen(index);
        }
        stream.state = State::Idle;
        self.idle.push(index);
        Ok(())
    }

    /// The server ended the connection: a refusal, if a request was on it.
    fn ended(&mut self, index: usize) -> Result<(), GeneratorError> {
        if matches!(self.streams[index].state, State::Waiting(_)) {
            self.counts.reset += 1;
        }
        self.reopen(index)
    }

    fn reopen(&mut self, index: usize) -> Result<(), GeneratorError> {
        self.reopened += 1;
        self.streams[index] = self.open(index)?;
        Ok(())
    }

    fn unfinished(&self) -> u64 {
        let waiting = self
            .streams
            .iter()
            .filter(|stream| matches!(stream.state, State::Waiting(_)));
        (self.due.len() + waiting.count()) as u64
    }
}

/// The instants at which requests are due.
struct Arrivals {
    next: Instant,
    rate: f64,
    random: u64,
}

impl Arrivals {
    fn new(start: Instant, rate: f64) -> Self {
        let mut arrivals = Self {
            next: start,
            rate,
            random: 0x2545_F491_4F6C_DD1D,
        };
        arrivals.advance();
        arrivals
    }

    /// The next instant, if it is not after `now`.
    fn next_until(&mut self, now: Instant) -> Option<Instant> {
        let due = self.next;
        if due > now {
            return None;
        }
        self.advance();
        Some(due)
    }

    fn advance(&mut self) {
        // xorshift64: plenty for gaps, and needs no dependency.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        // In (0, 1]: the logarithm of 0 is no gap.
        let uniform = ((self.random >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        self.next += Duration::from_secs_f64(-uniform.ln() / self.rate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_keep_their_rate() {
        let start = Instant::now();
        let mut arrivals = Arrivals::new(start, 1000.0);
        let end = start + Duration::from_secs(100);
        let mut count = 0_u32;
        while arrivals.next_until(end).is_some() {
            count += 1;
        }
        // 100,000 expected with a standard deviation of 316.
        assert!((98_500..101_500).contains(&count), "{count}");
    }

    #[test]
    fn arrivals_are_the_same_each_time_and_in_order() {
        let start = Instant::now();
        let (mut first, mut second) = (Arrivals::new(start, 50.0), Arrivals::new(start, 50.0));
        let far = start + Duration::from_secs(10);
        let mut last = start;
        while let Some(due) = first.next_until(far) {
            assert_eq!(Some(due), second.next_until(far));
            assert!(due >= last);
            last = due;
        }
    }
}
