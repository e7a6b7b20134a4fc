//! One connection sends, and the server passes each message on to all the others.
//!
//! Asks what one delivery costs the server. A message counts as through when the last receiver has
//! it; then the next is sent, so that the same number is always under way. Messages that came
//! through together leave together.

use std::collections::VecDeque;
use std::time::Instant;

use crate::epoll::{Epoll, Interest};
use crate::error::{AnswerFault, GeneratorError};
use crate::exchange::begins_where_it_should;
use crate::handshake;
use crate::histogram::Histogram;
use crate::message::Message;
use crate::options::Options;
use crate::report::{First, Report};
use crate::socket::{Connection, is_not_ready};
use crate::window::Meter;

/// Runs the load and measures over the window.
pub(crate) fn run(options: &Options) -> Result<Report, GeneratorError> {
    let (mut load, first) = Load::start(options)?;
    let meter = Meter::new(options);
    load.send(options.depth)?;
    load.run_until(Instant::now() + options.warm)?;
    load.latency.clear();
    let before = options.connections as u64 + std::mem::take(&mut load.deliveries);
    let begin = meter.read();
    load.run_until(begin.at + options.window)?;
    let end = meter.read();
    let mut report = Report::new(load.deliveries, &begin, &end, &load.latency);
    report.requests_total += before;
    report.first = Some(first);
    Ok(report)
}

struct Load {
    publisher: Connection,
    receivers: Vec<Receiver>,
    epoll: Epoll,
    /// A message as the publisher sends it.
    frame: Vec<u8>,
    delivery_bytes: usize,
    /// The bytes with which every delivery begins.
    beginning: Vec<u8>,
    /// Messages that every receiver has.
    through: u64,
    /// The messages that are under way, oldest first.
    under_way: VecDeque<UnderWay>,
    deliveries: u64,
    latency: Histogram,
    buffer: Vec<u8>,
}

struct Receiver {
    connection: Connection,
    received: u64,
}

struct UnderWay {
    sent_at: Instant,
    arrived: usize,
}

impl Load {
    /// Opens the connections, and has one message delivered to all and checked whole.
    fn start(options: &Options) -> Result<(Self, First), GeneratorError> {
        let mut publisher = handshake::open(options)?;
        let mut receivers = Vec::with_capacity(options.connections);
        for _ in 0..options.connections {
            receivers.push(Receiver {
                connection: handshake::open(options)?,
                received: 0,
            });
        }
        let message = Message::new(options);
        let frame = message.frame(options.connections);
        publisher
            .send(&frame)
            .map_err(|source| GeneratorError::System {
                call: "send",
                source,
            })?;
        let (mut beginning, mut delivery_bytes) = (Vec::new(), 0);
        for receiver in &mut receivers {
            (beginning, delivery_bytes) = message.receive(&mut receiver.connection)?;
        }
        let epoll = Epoll::new()?;
        for (index, receiver) in receivers.iter().enumerate() {
            receiver.connection.do_not_wait()?;
            epoll.add(&receiver.connection, index, Interest::Read)?;
        }
        // Some servers send to the publisher as well: that is read and not counted.
        publisher.do_not_wait()?;
        epoll.add(&publisher, receivers.len(), Interest::Read)?;
        let first = First {
            request_bytes: frame.len(),
            answer_bytes: delivery_bytes,
            head: format!("{beginning:02x?}"),
        };
        let load = Self {
            publisher,
            receivers,
            epoll,
            frame,
            delivery_bytes,
            beginning,
            through: 0,
            under_way: VecDeque::new(),
            deliveries: 0,
            latency: Histogram::new(),
            buffer: vec![0; 64 * 1024],
        };
        Ok((load, first))
    }

    fn run_until(&mut self, end: Instant) -> Result<(), GeneratorError> {
        loop {
            let events = self.epoll.wait(20)?;
            if Instant::now() >= end {
                return Ok(());
            }
            for event in 0..events {
                self.receive(self.epoll.index(event))?;
            }
            self.send_next()?;
        }
    }

    fn receive(&mut self, index: usize) -> Result<(), GeneratorError> {
        let Some(receiver) = self.receivers.get_mut(index) else {
            // Nothing or an error: what it is owed does not matter here.
            let _ = self.publisher.receive(&mut self.buffer);
            return Ok(());
        };
        let refuse = |fault, bytes: &[u8]| GeneratorError::Answer {
            fault,
            head: format!("{:02x?}", &bytes[..bytes.len().min(40)]),
        };
        let count = match receiver.connection.receive(&mut self.buffer) {
            Ok(0) => return Err(refuse(AnswerFault::Ended, &[])),
            Ok(count) => count,
            Err(error) if is_not_ready(&error) => return Ok(()),
            Err(source) => {
                return Err(GeneratorError::System {
                    call: "recv",
                    source,
                });
            }
        };
        let bytes = &self.buffer[..count];
        let delivery_bytes = self.delivery_bytes as u64;
        let before = receiver.received;
        receiver.received += count as u64;
        let messages = before / delivery_bytes..receiver.received / delivery_bytes;
        let offset = (before % delivery_bytes) as usize;
        let right = begins_where_it_should(&self.beginning, self.delivery_bytes, bytes, offset)
            && messages.end <= self.through + self.under_way.len() as u64;
        if !right {
            return Err(refuse(AnswerFault::Framing, bytes));
        }
        self.deliveries += messages.end - messages.start;
        for number in messages {
            self.under_way[(number - self.through) as usize].arrived += 1;
        }
        Ok(())
    }

    /// Sends as many messages as came through.
    fn send_next(&mut self) -> Result<(), GeneratorError> {
        let mut count = 0;
        while let Some(oldest) = self.under_way.front()
            && oldest.arrived == self.receivers.len()
        {
            self.latency.add(oldest.sent_at.elapsed());
            self.under_way.pop_front();
            self.through += 1;
            count += 1;
        }
        self.send(count)
    }

    fn send(&mut self, count: usize) -> Result<(), GeneratorError> {
        if count == 0 {
            return Ok(());
        }
        let frames = self.frame.repeat(count);
        let system = |source| GeneratorError::System {
            call: "send",
            source,
        };
        let sent = self.publisher.send(&frames).map_err(system)?;
        if sent < frames.len() {
            // A few frames of what is under way always fit, unless the server has stopped reading.
            return Err(system(std::io::ErrorKind::WouldBlock.into()));
        }
        for _ in 0..count {
            self.under_way.push_back(UnderWay {
                sent_at: Instant::now(),
                arrived: 0,
            });
        }
        Ok(())
    }
}
