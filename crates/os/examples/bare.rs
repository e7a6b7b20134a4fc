//! The bare responder: what this machine can do with these event loops and no HTTP at all.
//!
//! It parses nothing. To each piece of bytes received it answers with one send of as many fixed
//! responses as requests of the given length fit. A server's benchmark compares itself with this.
//!
//! ```text
//! bare --io uring|poll --port N [--request-bytes 49] [--body 13]
//! ```

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use tidegate_os::{
    ConnectionKey, Event, EventLoop, Handler, ListenAddress, ListenOptions, Listener, LoopSettings,
    Operations, PollLoop, SendBuffer,
};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut io = String::from("uring");
    let mut port = 0;
    let mut request_bytes = 49;
    let mut body = 13;
    let mut words = std::env::args().skip(1);
    while let Some(name) = words.next() {
        let value = words
            .next()
            .ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--io" => io = value,
            "--port" => port = value.parse()?,
            "--request-bytes" => request_bytes = value.parse()?,
            "--body" => body = value.parse()?,
            _ => return Err(format!("unknown option {name}").into()),
        }
    }
    let address = ListenAddress::Tcp(([127, 0, 0, 1], port).into());
    let listener = Listener::bind(&address, &ListenOptions::default())?;
    println!("{}", listener.local_address());
    let responder = Responder::new(request_bytes, body);
    match io.as_str() {
        #[cfg(target_os = "linux")]
        "uring" => serve::<tidegate_os::UringLoop>(listener, responder),
        "poll" => serve::<PollLoop>(listener, responder),
        _ => Err(format!("unknown loop {io}").into()),
    }
}

fn serve<L: EventLoop>(listener: Listener, mut responder: Responder) -> Result<(), Box<dyn Error>> {
    let mut event_loop = L::new(&LoopSettings::default())?;
    event_loop.operations().listen(listener)?;
    loop {
        // A server has timeouts to look after, so this one waits like it.
        event_loop.turn(Some(Duration::from_secs(1)), &mut responder)?;
    }
}

struct Responder {
    request_bytes: usize,
    response: Vec<u8>,
    /// By index of the connection: answers owed while a send is pending.
    owed: Vec<usize>,
    /// By index of the connection.
    sending: Vec<bool>,
    spare: Vec<SendBuffer>,
}

impl Responder {
    fn new(request_bytes: usize, body: usize) -> Self {
        let mut response = format!(
            "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Sun, 22 Nov 2026 15:15:18 GMT\r\n\
             Content-Type: text/plain\r\nContent-Length: {body}\r\n\r\n"
        )
        .into_bytes();
        response.extend(b"Hello, World!".iter().cycle().take(body));
        Self {
            request_bytes,
            response,
            owed: Vec::new(),
            sending: Vec::new(),
            spare: Vec::new(),
        }
    }

    fn answer(&mut self, operations: &mut impl Operations, to: ConnectionKey, count: usize) {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.head.clear();
        for _ in 0..count {
            buffer.head.extend_from_slice(&self.response);
        }
        match operations.send(to, buffer) {
            Some(buffer) => self.spare.push(buffer),
            None => self.sending[to.index() as usize] = true,
        }
    }
}

impl<O: Operations> Handler<O> for Responder {
    #[inline]
    fn handle(&mut self, operations: &mut O, event: Event<'_>) {
        match event {
            Event::Received {
                connection, bytes, ..
            } => {
                let count = bytes.len().div_ceil(self.request_bytes);
                let place = connection.index() as usize;
                if self.sending[place] {
                    self.owed[place] += count;
                } else {
                    self.answer(operations, connection, count);
                }
            }
            Event::Sent {
                connection, buffer, ..
            } => {
                let place = connection.index() as usize;
                self.sending[place] = false;
                self.spare.push(buffer);
                let owed = std::mem::take(&mut self.owed[place]);
                if owed > 0 {
                    self.answer(operations, connection, owed);
                }
            }
            Event::Accepted { connection, .. } => {
                let place = connection.index() as usize;
                if self.owed.len() <= place {
                    self.owed.resize(place + 1, 0);
                    self.sending.resize(place + 1, false);
                }
                self.owed[place] = 0;
                self.sending[place] = false;
            }
            Event::PeerClosed { connection } | Event::Failed { connection, .. } => {
                operations.close(connection);
            }
            Event::AcceptFailed { error, .. } => eprintln!("bare: {error}"),
            Event::Woken => {}
        }
    }
}
