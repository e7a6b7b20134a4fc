//! Handshakes of TLS: a new connection, one handshake, and the end of the connection, over and over.
//!
//! Nothing is asked. As soon as the handshake is complete we end our side, together with our last
//! message; the handshake counts when the server has ended its side, since by then it has done all
//! that a handshake asks of it. Between the two come its tickets.

use std::io;
use std::time::{Duration, Instant};

use crate::epoll::{Epoll, Interest};
use crate::error::{AnswerFault, GeneratorError};
use crate::options::Options;
use crate::report::Report;
use crate::socket::{Connection, is_not_ready};
use crate::tls::{self, Session};
use crate::window::{self, Endless, Tally};

/// Runs the load and measures over the window. A latency is that of a whole connection.
pub(crate) fn run(options: &Options) -> Result<Report, GeneratorError> {
    let Some(tls) = tls::Client::new(options)? else {
        return Err(GeneratorError::Argument {
            word: "handshakes".to_owned(),
            expected: "--tls with it",
        });
    };
    let mut load = Load {
        options,
        tls,
        epoll: Epoll::new()?,
        guests: Vec::with_capacity(options.connections),
        buffer: vec![0; tls::PLAINTEXT_BYTES],
        tally: Tally::default(),
        resumed: 0,
    };
    for index in 0..options.connections {
        let guest = load.open(index)?;
        load.guests.push(guest);
    }
    // Those that were begun before there were tickets belong to warming up, however slow that is.
    let patience = Instant::now() + PATIENCE;
    while load.tally.completed < 2 * options.connections as u64 && Instant::now() < patience {
        load.run_until(Instant::now() + WARMING_STEP)?;
    }
    let report = window::measure(&mut load, options, None)?;
    let handshakes = load.tally.completed;
    // A few may have found no ticket when the server was slow to send them.
    let right = if options.resume {
        (handshakes - load.resumed) * 20 <= handshakes
    } else {
        load.resumed == 0
    };
    if !right {
        return Err(GeneratorError::Answer {
            fault: AnswerFault::Resumption,
            // In tenths, so that all rounds say the same.
            head: format!(
                "{:.0} tenths of the handshakes resumed",
                load.resumed as f64 / handshakes as f64 * 10.0
            ),
        });
    }
    Ok(report)
}

struct Load<'a> {
    options: &'a Options,
    tls: tls::Client,
    epoll: Epoll,
    guests: Vec<Guest>,
    buffer: Vec<u8>,
    tally: Tally,
    /// Handshakes among those completed since warming up that took up a session of before.
    resumed: u64,
}

struct Guest {
    connection: Connection,
    session: Session,
    /// What the connection is waited for.
    interest: Interest,
    /// The handshake is complete, and our side has ended.
    complete: bool,
    begun_at: Instant,
}

impl Load<'_> {
    fn open(&self, index: usize) -> Result<Guest, GeneratorError> {
        let begun_at = Instant::now();
        let mut connection = Connection::prepare()?;
        connection.begin(self.options.port)?;
        let mut session = self.tls.begin()?;
        // On the loopback interface the connection stands by now, unless the listener's queue is
        // full; then the first message goes out with the next event.
        let interest = match session.flush(connection.socket()) {
            Ok(()) if !session.is_pending() => Interest::Read,
            Ok(()) => Interest::Both,
            Err(error) if is_not_ready(&error) => Interest::Both,
            Err(source) => {
                return Err(GeneratorError::System {
                    call: "send",
                    source,
                });
            }
        };
        self.epoll.add(&connection, index, interest)?;
        Ok(Guest {
            connection,
            session,
            interest,
            complete: false,
            begun_at,
        })
    }

    fn handle(&mut self, index: usize) -> Result<(), GeneratorError> {
        let guest = &mut self.guests[index];
        if guest.interest == Interest::Both {
            if guest.session.flush(guest.connection.socket()).is_err() {
                return self.lose(index);
            }
            if guest.session.is_pending() {
                return Ok(());
            }
            guest.interest = Interest::Read;
            self.epoll
                .change(&guest.connection, index, Interest::Read)?;
        }
        if !guest.complete {
            return match guest.shake_hands() {
                Ok(_) => Ok(()),
                Err(error) if is_not_ready(&error) => Ok(()),
                Err(_) => self.lose(index),
            };
        }
        match guest
            .session
            .receive(guest.connection.socket(), &mut self.buffer)
        {
            Err(error) if is_not_ready(&error) => Ok(()),
            // How the server ends a connection that we have ended is its own matter.
            Ok(0) | Err(_) => {
                self.tally.latency.add(guest.begun_at.elapsed());
                self.tally.completed += 1;
                self.resumed += u64::from(guest.session.is_resumed());
                self.guests[index] = self.open(index)?;
                Ok(())
            }
            Ok(count) => Err(GeneratorError::Answer {
                fault: AnswerFault::Framing,
                head: String::from_utf8_lossy(&self.buffer[..count.min(400)]).into_owned(),
            }),
        }
    }

    /// Begins anew for a connection that ended before its handshake was complete.
    fn lose(&mut self, index: usize) -> Result<(), GeneratorError> {
        self.tally.reopened += 1;
        if self.tally.reopened > self.options.connections as u64 * 10 {
            return Err(GeneratorError::Answer {
                fault: AnswerFault::Ended,
                head: String::new(),
            });
        }
        self.guests[index] = self.open(index)?;
        Ok(())
    }
}

impl Guest {
    fn shake_hands(&mut self) -> io::Result<()> {
        let socket = self.connection.socket();
        if !self.session.handshake_step(socket)? {
            return self.session.flush(socket);
        }
        self.session.end(socket)?;
        self.connection.end()?;
        self.complete = true;
        Ok(())
    }
}

impl Endless for Load<'_> {
    fn run_until(&mut self, end: Instant) -> Result<(), GeneratorError> {
        self.resumed = 0;
        loop {
            let events = self.epoll.wait(20)?;
            if Instant::now() >= end {
                return Ok(());
            }
            for event in 0..events {
                self.handle(self.epoll.index(event))?;
            }
        }
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}

const WARMING_STEP: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(10);
