//! A proxy that cuts what a client sends: into single bytes, or anywhere.
//!
//! What a server makes of bytes must not depend on how they arrive. Each piece is a write of its own and is
//! sent at once; those that arrive before the server looks, it gets together. What the server sends goes
//! back as it comes.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::error::ClientError;
use crate::random::Random;
use crate::server::io as failed;

/// Where what is sent is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// Each byte goes alone.
    EachByte,
    /// Pieces of a random length: mostly a few bytes, seldom thousands.
    Anywhere,
}

/// The proxy. Dropping it ends it; connections go on until one of their sides ends.
pub(crate) struct Splitter {
    port: u16,
    ends: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Splitter {
    /// Listens on a port of its own and passes all on to the server's.
    pub(crate) fn start(server: u16, cut: Cut) -> Result<Self, ClientError> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed("listening as a proxy"))?;
        let port = listener
            .local_addr()
            .map_err(failed("listening as a proxy"))?
            .port();
        let ends = Arc::new(AtomicBool::new(false));
        let has_ended = Arc::clone(&ends);
        let accepting = thread::spawn(move || {
            for (seed, client) in (0..).zip(listener.incoming()) {
                if has_ended.load(Ordering::Acquire) {
                    return;
                }
                // A connection that cannot be passed on ends; the client tells.
                let _ = client.and_then(|client| pass_on(client, server, cut, seed));
            }
        });
        Ok(Self {
            port,
            ends,
            accepting: Some(accepting),
        })
    }

    /// Where a path of the demonstration site is, through this proxy.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Splitter {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        // Wakes the thread, so that it sees the end.
        if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
            && let Some(accepting) = self.accepting.take()
        {
            let _ = accepting.join();
        }
    }
}

/// Begins to pass a connection on, in both directions.
fn pass_on(client: TcpStream, server: u16, cut: Cut, seed: u64) -> io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server))?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let (from_server, to_client) = (server.try_clone()?, client.try_clone()?);
    let mut random = Random::new(seed);
    thread::spawn(move || {
        carry(client, server, |rest| match cut {
            Cut::EachByte => 1,
            Cut::Anywhere => 1 + anywhere(&mut random, rest as u64),
        })
    });
    thread::spawn(move || carry(from_server, to_client, |rest| rest));
    Ok(())
}

/// A number below `end`; small ones are as likely as large ones.
fn anywhere(random: &mut Random, end: u64) -> usize {
    let magnitude = random.below(u64::from(end.ilog2()) + 1);
    random.below(end.min(2 << magnitude)) as usize
}

/// Carries bytes from one to the other until there are no more.
fn carry(mut from: TcpStream, mut to: TcpStream, piece: impl FnMut(usize) -> usize) {
    // The end of one side is passed on as such; an error ends the whole connection.
    let _ = match copy(&mut from, &mut to, piece) {
        Ok(()) => to.shutdown(Shutdown::Write),
        Err(_) => from
            .shutdown(Shutdown::Both)
            .and(to.shutdown(Shutdown::Both)),
    };
}

/// Copies to the end; `piece` says how many of the bytes that are left go with the next write.
fn copy(
    from: &mut TcpStream,
    to: &mut TcpStream,
    mut piece: impl FnMut(usize) -> usize,
) -> io::Result<()> {
    let mut buffer = vec![0; 65_536];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(piece(rest.len()));
            to.write_all(now)?;
            rest = later;
        }
    }
}
