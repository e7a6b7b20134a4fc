//! A closed loop over HTTP/2: each connection keeps as many streams open as it is to.
//!
//! What came in one reading is answered with one sending. By prior knowledge over cleartext, by ALPN
//! over TLS.

mod block;
mod client;
mod frame;

use std::io;
use std::rc::Rc;
use std::time::Instant;

use client::{Client, Plan};

use crate::epoll::{Epoll, Interest};
use crate::error::{AnswerFault, GeneratorError};
use crate::options::Options;
use crate::report::{First, Report};
use crate::socket::{Connection, is_not_ready};
use crate::tls;
use crate::window::{self, Endless, Tally};

/// Runs the load and measures over the window.
pub(crate) fn run(options: &Options) -> Result<Report, GeneratorError> {
    let tls = tls::Client::new(options)?;
    let (_, first) = open(options, tls.as_ref())?;
    let mut plan = Plan::new(options);
    plan.content_bytes = Some(first.answer_bytes);
    let mut load = Load {
        options,
        plan: Rc::new(plan),
        tls,
        epoll: Epoll::new()?,
        lanes: Vec::with_capacity(options.connections),
        buffer: vec![0; BUFFER_BYTES],
        tally: Tally::default(),
    };
    for index in 0..options.connections {
        let lane = load.open(index)?;
        load.lanes.push(lane);
        load.drive(index)?;
    }
    window::measure(&mut load, options, Some(first))
}

/// A connection after one request, whose answer was checked whole.
pub(crate) fn open(
    options: &Options,
    tls: Option<&tls::Client>,
) -> Result<(Connection, First), GeneratorError> {
    let mut connection = connect(options, tls)?;
    let plan = Rc::new(Plan::new(options));
    let mut client = Client::new(Rc::clone(&plan), 1);
    client.kept = Some(Vec::new());
    client.fill(Instant::now());
    client.rest();
    let (mut buffer, mut tally) = (vec![0; tls::PLAINTEXT_BYTES], Tally::default());
    loop {
        while !client.outgoing().is_empty() {
            let count = client.outgoing().len();
            connection.send_all(client.outgoing())?;
            client.advance(count);
            client.fill(Instant::now());
        }
        if tally.completed > 0 && client.is_settled() {
            break;
        }
        let count = connection
            .receive(&mut buffer)
            .map_err(|source| GeneratorError::System {
                call: "recv",
                source,
            })?;
        if count == 0 {
            return Err(ended());
        }
        client.receive(&buffer[..count], Instant::now(), &mut tally)?;
        client.fill(Instant::now());
    }
    let content = client.kept.take().unwrap_or_default();
    if !options.expected.is(&content) {
        return Err(GeneratorError::Answer {
            fault: AnswerFault::Content,
            head: String::from_utf8_lossy(&content[..content.len().min(400)]).into_owned(),
        });
    }
    let first = First {
        request_bytes: plan.request_bytes(),
        answer_bytes: content.len(),
        head: ":status: 200".to_owned(),
    };
    Ok((connection, first))
}

fn connect(options: &Options, tls: Option<&tls::Client>) -> Result<Connection, GeneratorError> {
    let connection = Connection::open_with(options.port, tls)?;
    let protocol = connection.protocol();
    if tls.is_some() && protocol != Some(b"h2") {
        return Err(GeneratorError::Answer {
            fault: AnswerFault::Protocol,
            head: String::from_utf8_lossy(protocol.unwrap_or_default()).into_owned(),
        });
    }
    Ok(connection)
}

struct Load<'a> {
    options: &'a Options,
    plan: Rc<Plan>,
    tls: Option<tls::Client>,
    epoll: Epoll,
    lanes: Vec<Lane>,
    buffer: Vec<u8>,
    tally: Tally,
}

struct Lane {
    connection: Connection,
    client: Client,
    /// What the connection is waited for.
    interest: Interest,
}

impl Load<'_> {
    fn open(&self, index: usize) -> Result<Lane, GeneratorError> {
        let connection = connect(self.options, self.tls.as_ref())?;
        connection.do_not_wait()?;
        self.epoll.add(&connection, index, Interest::Read)?;
        Ok(Lane {
            connection,
            client: Client::new(Rc::clone(&self.plan), self.options.depth),
            interest: Interest::Read,
        })
    }

    fn receive(&mut self, index: usize) -> Result<(), GeneratorError> {
        let lane = &mut self.lanes[index];
        match lane.connection.receive(&mut self.buffer) {
            // No server needs to end a connection that is in use.
            Ok(0) => return Err(ended()),
            Ok(count) => {
                let bytes = &self.buffer[..count];
                lane.client
                    .receive(bytes, Instant::now(), &mut self.tally)?;
            }
            Err(error) if is_not_ready(&error) => {}
            Err(source) => {
                return Err(GeneratorError::System {
                    call: "recv",
                    source,
                });
            }
        }
        self.drive(index)
    }

    /// Sends what is to be sent, and waits for room if it does not fit.
    fn drive(&mut self, index: usize) -> Result<(), GeneratorError> {
        let lane = &mut self.lanes[index];
        let is_all = lane.send().map_err(|source| GeneratorError::System {
            call: "send",
            source,
        })?;
        let interest = if is_all {
            Interest::Read
        } else {
            Interest::Both
        };
        if interest != lane.interest {
            lane.interest = interest;
            self.epoll.change(&lane.connection, index, interest)?;
        }
        Ok(())
    }
}

impl Lane {
    /// Sends as much as fits, and gives whether that was all that the windows let out.
    fn send(&mut self) -> io::Result<bool> {
        let now = Instant::now();
        loop {
            self.client.fill(now);
            if self.client.outgoing().is_empty() {
                return self.connection.is_pending().map(|pending| !pending);
            }
            match self.connection.send(self.client.outgoing()) {
                Ok(count) => self.client.advance(count),
                Err(error) if is_not_ready(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Endless for Load<'_> {
    fn run_until(&mut self, end: Instant) -> Result<(), GeneratorError> {
        loop {
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

fn ended() -> GeneratorError {
    GeneratorError::Answer {
        fault: AnswerFault::Ended,
        head: String::new(),
    }
}

const BUFFER_BYTES: usize = 256 * 1024;
