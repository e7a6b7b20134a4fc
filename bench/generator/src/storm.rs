//! A storm: handshakes as fast as they can be asked for, from nothing.
//!
//! As after a restart, when all clients of a server come back at once. Connections are begun
//! without waiting for those before, on sockets made in advance. Each is closed with a close frame as soon as it stands, or
//! held until all stand. The server's processor time is counted from the first connection until
//! it has settled after the last.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::epoll::{Epoll, Interest};
use crate::error::{AnswerFault, GeneratorError};
use crate::histogram::Histogram;
use crate::options::Options;
use crate::report::{Report, Storm};
use crate::socket::{Connection, is_not_ready};
use crate::window::Meter;
use crate::{frame, handshake};

/// Runs the storm and measures over all of it. The latencies are those of the handshakes.
pub(crate) fn run(options: &Options) -> Result<Report, GeneratorError> {
    let mut load = Load::new(options)?;
    let meter = Meter::new(options);
    let overflows = listen_overflows();
    let begin = meter.read();
    load.run(begin.at + PATIENCE)?;
    // There is no event to wait for: the server learns of the last closings, or rests.
    thread::sleep(SETTLE);
    let mut end = meter.read();
    // The pause is not part of the storm.
    end.at -= SETTLE;
    let mut counts = std::mem::take(&mut load.counts);
    counts.unfinished = load.open as u64;
    counts.overflows = listen_overflows()
        .zip(overflows)
        .map(|(after, before)| after - before);
    let mut report = Report::new(load.completed, &begin, &end, &load.latency);
    report.storm = Some(counts);
    Ok(report)
}

struct Load<'a> {
    options: &'a Options,
    epoll: Epoll,
    request: Vec<u8>,
    /// Connections that are to be begun.
    coming: Vec<Connection>,
    guests: Vec<Guest>,
    /// Guests that are not done.
    open: usize,
    completed: u64,
    counts: Storm,
    latency: Histogram,
}

struct Guest {
    /// Absent when the connection has ended.
    connection: Option<Connection>,
    state: State,
    begun_at: Instant,
    answer: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Connecting,
    /// Waits for the answer to the handshake.
    Asking,
    /// Waits for the server's close frame.
    Closing,
    Done,
}

impl<'a> Load<'a> {
    fn new(options: &'a Options) -> Result<Self, GeneratorError> {
        let coming = (0..options.connections).map(|_| Connection::prepare());
        Ok(Self {
            options,
            epoll: Epoll::new()?,
            request: handshake::request(options),
            coming: coming.collect::<Result<_, _>>()?,
            guests: Vec::with_capacity(options.connections),
            open: 0,
            completed: 0,
            counts: Storm::default(),
            latency: Histogram::new(),
        })
    }

    fn run(&mut self, deadline: Instant) -> Result<(), GeneratorError> {
        while !self.coming.is_empty() || self.open > 0 {
            let first = self.coming.len().saturating_sub(BURST);
            for connection in self.coming.split_off(first) {
                self.begin(connection)?;
            }
            let milliseconds = if self.coming.is_empty() { 20 } else { 0 };
            let events = self.epoll.wait(milliseconds)?;
            for event in 0..events {
                self.handle(self.epoll.index(event))?;
            }
            if Instant::now() >= deadline {
                return Ok(());
            }
        }
        Ok(())
    }

    fn begin(&mut self, mut connection: Connection) -> Result<(), GeneratorError> {
        let begun_at = Instant::now();
        connection.begin(self.options.port)?;
        // On the loopback interface the connection stands by now, unless the queue is full.
        let (state, interest) = match connection.send(&self.request) {
            Ok(count) if count == self.request.len() => (State::Asking, Interest::Read),
            _ => (State::Connecting, Interest::Write),
        };
        self.epoll.add(&connection, self.guests.len(), interest)?;
        self.open += 1;
        self.guests.push(Guest {
            connection: Some(connection),
            state,
            begun_at,
            answer: Vec::new(),
        });
        Ok(())
    }

    fn handle(&mut self, index: usize) -> Result<(), GeneratorError> {
        let guest = &mut self.guests[index];
        let Some(connection) = &mut guest.connection else {
            return Ok(());
        };
        if guest.state == State::Connecting {
            // A connection that was refused says so here.
            if connection.send(&self.request).ok() != Some(self.request.len()) {
                self.counts.reset += 1;
                self.end(index);
                return Ok(());
            }
            guest.state = State::Asking;
            return self.epoll.change(&*connection, index, Interest::Read);
        }
        let mut buffer = [0; 4096];
        match (connection.receive(&mut buffer), guest.state) {
            (Err(error), _) if is_not_ready(&error) => {}
            (Ok(0) | Err(_), State::Asking) => {
                self.counts.reset += 1;
                self.end(index);
            }
            // Its handshake has been counted; how the server ends is its own matter.
            (Ok(0) | Err(_), _) => self.end(index),
            (Ok(count), _) => {
                guest.answer.extend_from_slice(&buffer[..count]);
                self.answered(index)?;
            }
        }
        Ok(())
    }

    fn answered(&mut self, index: usize) -> Result<(), GeneratorError> {
        let guest = &mut self.guests[index];
        if guest.state == State::Closing && guest.answer[0] & 0x0F == frame::CLOSE {
            self.end(index);
            return Ok(());
        }
        if guest.state != State::Asking || !guest.answer.ends_with(b"\r\n\r\n") {
            return Ok(());
        }
        let answer = std::mem::take(&mut guest.answer);
        match handshake::check(&answer, self.options.deflate) {
            Ok(()) => {}
            Err(AnswerFault::Status) => {
                self.counts.refused += 1;
                self.end(index);
                return Ok(());
            }
            Err(fault) => {
                return Err(GeneratorError::Answer {
                    fault,
                    head: String::from_utf8_lossy(&answer).into_owned(),
                });
            }
        }
        self.latency.add(guest.begun_at.elapsed());
        self.completed += 1;
        if self.options.hold {
            guest.state = State::Done;
            self.open -= 1;
            return Ok(());
        }
        guest.state = State::Closing;
        let close = frame::close(frame::key(index));
        let sent = guest
            .connection
            .as_mut()
            .and_then(|connection| connection.send(&close).ok());
        if sent != Some(close.len()) {
            self.end(index);
        }
        Ok(())
    }

    /// The connection ends, and with it its place in the set.
    fn end(&mut self, index: usize) {
        let guest = &mut self.guests[index];
        guest.connection = None;
        if guest.state != State::Done {
            guest.state = State::Done;
            self.open -= 1;
        }
    }
}

/// Connections dropped so far because the queue of a listener was full, in this network namespace.
fn listen_overflows() -> Option<u64> {
    let text = fs::read_to_string("/proc/net/netstat").ok()?;
    counter(&text, "TcpExt:", "ListenOverflows")
}

/// A counter in a file that has its names and its values in two lines.
fn counter(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with(group));
    let mut names = lines.next()?.split(' ');
    let place = names.position(|word| word == name)?;
    lines.next()?.split(' ').nth(place)?.parse().ok()
}

/// Connections begun before looking at what came back.
const BURST: usize = 16;
/// Far more than a server needs; a connection that had to try again waits a second.
const PATIENCE: Duration = Duration::from_secs(30);
const SETTLE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counter_is_found_by_its_name() {
        let text = "TcpExt: A ListenOverflows C\nTcpExt: 1 22 3\nIpExt: A\nIpExt: 7\n";
        assert_eq!(counter(text, "TcpExt:", "ListenOverflows"), Some(22));
        assert_eq!(counter(text, "TcpExt:", "D"), None);
        assert_eq!(counter(text, "IpExt:", "A"), Some(7));
    }
}
