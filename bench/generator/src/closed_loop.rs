//! A closed loop: each connection sends its next requests as soon as it has all its answers.
//!
//! Asks what a request costs, or an echoed message, not what a user waits: the load slows down with
//! the server.

use std::rc::Rc;
use std::time::Instant;

use crate::epoll::{Epoll, Interest};
use crate::error::{AnswerFault, GeneratorError};
use crate::exchange::Exchange;
use crate::histogram::Histogram;
use crate::options::Options;
use crate::report::Report;
use crate::socket::{Connection, is_not_ready};
use crate::window::Meter;

/// Runs the load and measures over the window.
pub(crate) fn run(options: &Options) -> Result<Report, GeneratorError> {
    let (exchange, first) = Exchange::try_out(options)?;
    let mut load = Load::start(options, exchange)?;
    let meter = Meter::new(options);
    load.run_until(Instant::now() + options.warm)?;
    load.latency.clear();
    // The first answer's request counts too.
    let before = 1 + std::mem::take(&mut load.completed);
    let begin = meter.read();
    load.run_until(begin.at + options.window)?;
    let end = meter.read();
    let mut report = Report::new(load.completed, &begin, &end, &load.latency);
    report.requests_total += before;
    report.reopened = load.reopened;
    report.first = Some(first);
    Ok(report)
}

struct Load<'a> {
    options: &'a Options,
    exchange: Exchange<'a>,
    epoll: Epoll,
    streams: Vec<Stream>,
    buffer: Vec<u8>,
    latency: Histogram,
    completed: u64,
    reopened: u64,
}

struct Stream {
    connection: Connection,
    /// What goes out together.
    batch: Rc<[u8]>,
    /// Bytes of the batch that are out.
    sent: usize,
    /// Bytes of the batch's answers that are in.
    received: usize,
    sent_at: Instant,
}

impl<'a> Load<'a> {
    /// Opens the connections and sends the first batch on each.
    fn start(options: &'a Options, exchange: Exchange<'a>) -> Result<Self, GeneratorError> {
        let mut load = Self {
            options,
            exchange,
            epoll: Epoll::new()?,
            streams: Vec::with_capacity(options.connections),
            buffer: vec![0; BUFFER_BYTES],
            latency: Histogram::new(),
            completed: 0,
            reopened: 0,
        };
        for index in 0..options.connections {
            let stream = load.open(index, load.exchange.batch(index))?;
            load.streams.push(stream);
        }
        for index in 0..options.connections {
            load.send(index)?;
        }
        Ok(load)
    }

    fn open(&self, index: usize, batch: Rc<[u8]>) -> Result<Stream, GeneratorError> {
        let connection = self.exchange.open()?;
        connection.do_not_wait()?;
        self.epoll.add(&connection, index, Interest::Read)?;
        Ok(Stream {
            connection,
            batch,
            sent: 0,
            received: 0,
            sent_at: Instant::now(),
        })
    }

    fn run_until(&mut self, end: Instant) -> Result<(), GeneratorError> {
        loop {
            // Short enough that a server which stalls does not stretch the window by much.
            let events = self.epoll.wait(20)?;
            if Instant::now() >= end {
                return Ok(());
            }
            for event in 0..events {
                self.receive(self.epoll.index(event))?;
            }
        }
    }

    fn receive(&mut self, index: usize) -> Result<(), GeneratorError> {
        let stream = &mut self.streams[index];
        let count = match stream.connection.receive(&mut self.buffer) {
            Ok(0) => return self.reopen(index),
            Ok(count) => count,
            Err(error) if is_not_ready(&error) => return Ok(()),
            Err(_) => return self.reopen(index),
        };
        let bytes = &self.buffer[..count];
        let wanted = self.exchange.batch_answer_bytes();
        let right = stream.received + count <= wanted
            && self.exchange.begins_where_it_should(bytes, stream.received);
        if !right {
            return Err(GeneratorError::Answer {
                fault: AnswerFault::Framing,
                head: String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned(),
            });
        }
        stream.received += count;
        if stream.received == wanted {
            self.latency.add(stream.sent_at.elapsed());
            self.completed += self.options.depth as u64;
            stream.received = 0;
            stream.sent = 0;
            self.send(index)?;
        } else if stream.sent < stream.batch.len() {
            self.send(index)?;
        }
        Ok(())
    }

    /// Sends what is left of the batch. What does not fit is sent when answers come: the server
    /// then has read.
    fn send(&mut self, index: usize) -> Result<(), GeneratorError> {
        let stream = &mut self.streams[index];
        if stream.sent == 0 {
            stream.sent_at = Instant::now();
        }
        while stream.sent < stream.batch.len() {
            match stream.connection.send(&stream.batch[stream.sent..]) {
                Ok(count) => stream.sent += count,
                Err(error) if is_not_ready(&error) => return Ok(()),
                Err(_) => return self.reopen(index),
            }
        }
        Ok(())
    }

    /// Takes a new connection for one that the server ended, and sends the batch anew.
    fn reopen(&mut self, index: usize) -> Result<(), GeneratorError> {
        self.reopened += 1;
        if self.reopened > self.options.connections as u64 * 10 {
            // A server that ends every connection is not doing this workload.
            return Err(GeneratorError::Answer {
                fault: AnswerFault::Ended,
                head: String::new(),
            });
        }
        let batch = Rc::clone(&self.streams[index].batch);
        self.streams[index] = self.open(index, batch)?;
        self.send(index)
    }
}

const BUFFER_BYTES: usize = 256 * 1024;
