//! A closed loop: each connection sends its next requests as soon as it has all its answers.
//!
//! Asks what a request costs, or an echoed message, not what a user waits: the load slows down with
//! the server.

use std::io;
use std::rc::Rc;
use std::time::Instant;

use crate::epoll::{Epoll, Interest};
use crate::error::{AnswerFault, GeneratorError};
use crate::exchange::Exchange;
use crate::options::Options;
use crate::report::Report;
use crate::socket::{Connection, is_not_ready};
use crate::tls;
use crate::window::{self, Endless, Tally};

/// Runs the load and measures over the window.
pub(crate) fn run(options: &Options) -> Result<Report, GeneratorError> {
    let (exchange, first) = Exchange::try_out(options)?;
    let mut load = Load::start(options, exchange)?;
    window::measure(&mut load, options, Some(first))
}

struct Load<'a> {
    options: &'a Options,
    exchange: Exchange<'a>,
    epoll: Epoll,
    streams: Vec<Stream>,
    buffer: Vec<u8>,
    tally: Tally,
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
    /// What the connection is waited for.
    interest: Interest,
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
            tally: Tally::default(),
        };
        for index in 0..options.connections {
            let stream = load.open(index, load.exchange.batch(index))?;
            load.streams.push(stream);
        }
        for index in 0..options.connections {
            load.begin(index)?;
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
            interest: Interest::Read,
        })
    }

    fn receive(&mut self, index: usize) -> Result<(), GeneratorError> {
        let stream = &mut self.streams[index];
        let count = match stream.connection.receive(&mut self.buffer) {
            Ok(0) => return self.reopen(index),
            Ok(count) => count,
            Err(error) if is_not_ready(&error) => 0,
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
        if stream.interest == Interest::Read {
            self.complete(index)
        } else {
            self.send(index)
        }
    }

    /// Begins the next batch if this one is out and all of its answers are in.
    fn complete(&mut self, index: usize) -> Result<(), GeneratorError> {
        let stream = &mut self.streams[index];
        if stream.received < self.exchange.batch_answer_bytes() {
            return Ok(());
        }
        self.tally.latency.add(stream.sent_at.elapsed());
        self.tally.completed += self.options.depth as u64;
        self.begin(index)
    }

    /// Sends the batch from its beginning.
    fn begin(&mut self, index: usize) -> Result<(), GeneratorError> {
        let stream = &mut self.streams[index];
        stream.received = 0;
        stream.sent = 0;
        stream.sent_at = Instant::now();
        self.send(index)
    }

    /// Sends what is left of the batch, and waits for room if it does not fit.
    fn send(&mut self, index: usize) -> Result<(), GeneratorError> {
        let stream = &mut self.streams[index];
        let interest = match stream.send() {
            Ok(true) => Interest::Read,
            Ok(false) => Interest::Both,
            Err(_) => return self.reopen(index),
        };
        if interest == stream.interest {
            return Ok(());
        }
        stream.interest = interest;
        self.epoll.change(&stream.connection, index, interest)?;
        // A server may answer before it has the whole of a request.
        if interest == Interest::Read {
            self.complete(index)?;
        }
        Ok(())
    }

    /// Takes a new connection for one that the server ended, and sends the batch anew.
    fn reopen(&mut self, index: usize) -> Result<(), GeneratorError> {
        self.tally.reopened += 1;
        if self.tally.reopened > self.options.connections as u64 * 10 {
            // A server that ends every connection is not doing this workload.
            return Err(GeneratorError::Answer {
                fault: AnswerFault::Ended,
                head: String::new(),
            });
        }
        let batch = Rc::clone(&self.streams[index].batch);
        self.streams[index] = self.open(index, batch)?;
        self.begin(index)
    }
}

impl Endless for Load<'_> {
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

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}

impl Stream {
    /// Sends as much as fits, and gives whether that was all.
    fn send(&mut self) -> io::Result<bool> {
        while self.sent < self.batch.len() {
            match self.connection.send(&self.batch[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if is_not_ready(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.connection.is_pending().map(|pending| !pending)
    }
}

const BUFFER_BYTES: usize = 256 * 1024;
const _: () = assert!(BUFFER_BYTES >= tls::PLAINTEXT_BYTES);
