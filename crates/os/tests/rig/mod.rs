//! A loop with a record of what it handed over, and clients to talk to it.

#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use tidegate_os::{
    ConnectionKey, Event, EventLoop, ListenAddress, ListenOptions, Listener, ListenerKey,
    LoopSettings, Operations, SendBuffer, SystemError,
};

/// An event without borrowed bytes.
#[derive(Debug)]
pub enum Seen {
    Accepted(ListenerKey, ConnectionKey),
    AcceptFailed(SystemError),
    Received(ConnectionKey, Vec<u8>, u32),
    PeerClosed(ConnectionKey),
    Failed(ConnectionKey, SystemError),
    Sent(ConnectionKey, SendBuffer, Result<(), SystemError>),
    Woken,
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Accepted {
                listener,
                connection,
            } => Self::Accepted(listener, connection),
            Event::AcceptFailed { error, .. } => Self::AcceptFailed(error),
            Event::Received {
                connection,
                bytes,
                position,
            } => Self::Received(connection, bytes.to_vec(), position),
            Event::PeerClosed { connection } => Self::PeerClosed(connection),
            Event::Failed { connection, error } => Self::Failed(connection, error),
            Event::Sent {
                connection,
                buffer,
                result,
            } => Self::Sent(connection, buffer, result),
            Event::Woken => Self::Woken,
        }
    }
}

pub struct Rig<L: EventLoop> {
    pub event_loop: L,
    pub seen: Vec<Seen>,
}

impl<L: EventLoop> Rig<L> {
    pub fn new() -> Self {
        Self::with(&LoopSettings::default())
    }

    pub fn with(settings: &LoopSettings) -> Self {
        Self {
            event_loop: L::new(settings).unwrap(),
            seen: Vec::new(),
        }
    }

    pub fn operations(&mut self) -> &mut L::Operations {
        self.event_loop.operations()
    }

    pub fn listen(&mut self) -> (ListenerKey, SocketAddr) {
        let listener = bind_local();
        let address = tcp_address(&listener);
        (self.operations().listen(listener).unwrap(), address)
    }

    /// One turn that records.
    pub fn turn(&mut self, timeout: Duration) -> usize {
        let seen = &mut self.seen;
        let mut record = |_: &mut L::Operations, event: Event<'_>| seen.push(event.into());
        self.event_loop.turn(Some(timeout), &mut record).unwrap()
    }

    /// Turns until the record fulfils the condition.
    pub fn until(&mut self, what: &str, condition: impl Fn(&mut Self) -> bool) {
        let begin = Instant::now();
        while !condition(self) {
            assert!(begin.elapsed() < PATIENCE, "{what}: {:?}", self.seen);
            self.turn(Duration::from_millis(100));
        }
    }

    /// Turns as long as something happens, and some more: what the loop does for itself, as
    /// ending an operation before it closes a socket, is no event.
    pub fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < 3 {
            quiet = if self.turn(MOMENT) > 0 { 0 } else { quiet + 1 };
        }
    }

    pub fn connect(&mut self, address: SocketAddr) -> (TcpStream, ConnectionKey) {
        let before = self.accepted().len();
        let client = client(address);
        self.until("accept", |rig| rig.accepted().len() > before);
        (client, self.accepted()[before])
    }

    pub fn pair(&mut self) -> (TcpStream, ConnectionKey) {
        let (_, address) = self.listen();
        self.connect(address)
    }

    pub fn accepted(&self) -> Vec<ConnectionKey> {
        let accepted = |seen: &Seen| match seen {
            Seen::Accepted(_, key) => Some(*key),
            _ => None,
        };
        self.seen.iter().filter_map(accepted).collect()
    }

    /// All bytes received on a connection.
    pub fn received(&self, from: ConnectionKey) -> Vec<u8> {
        let mut all = Vec::new();
        for seen in &self.seen {
            if let Seen::Received(key, bytes, _) = seen
                && *key == from
            {
                all.extend_from_slice(bytes);
            }
        }
        all
    }

    pub fn await_received(&mut self, from: ConnectionKey, wanted: &[u8]) {
        self.until("receive", |rig| rig.received(from).len() >= wanted.len());
        assert!(self.received(from) == wanted, "other bytes than were sent");
    }

    pub fn peer_closed(&self, of: ConnectionKey) -> bool {
        self.seen
            .iter()
            .any(|seen| matches!(seen, Seen::PeerClosed(key) if *key == of))
    }

    pub fn failed(&self, of: ConnectionKey) -> Option<SystemError> {
        self.seen.iter().find_map(|seen| match seen {
            Seen::Failed(key, error) if *key == of => Some(*error),
            _ => None,
        })
    }

    pub fn sent(&self, of: ConnectionKey) -> usize {
        let sent = |seen: &&Seen| matches!(seen, Seen::Sent(key, _, _) if *key == of);
        self.seen.iter().filter(sent).count()
    }

    /// Sends and waits until it is done; gives the buffer back.
    pub fn send_all(&mut self, to: ConnectionKey, buffer: SendBuffer) -> SendBuffer {
        if let Some(buffer) = self.operations().send(to, buffer) {
            return buffer;
        }
        self.await_sent(to)
    }

    /// Waits until a pending send is done; gives the buffer back.
    pub fn await_sent(&mut self, to: ConnectionKey) -> SendBuffer {
        let before = self.sent(to);
        self.until("send", |rig| rig.sent(to) > before);
        let place = self
            .seen
            .iter()
            .rposition(|seen| matches!(seen, Seen::Sent(key, _, _) if *key == to))
            .unwrap();
        match self.seen.remove(place) {
            Seen::Sent(_, buffer, result) => {
                result.unwrap();
                buffer
            }
            _ => unreachable!(),
        }
    }
}

pub fn bind_local() -> Listener {
    let address = ListenAddress::Tcp("127.0.0.1:0".parse().unwrap());
    Listener::bind(&address, &ListenOptions::default()).unwrap()
}

pub fn tcp_address(listener: &Listener) -> SocketAddr {
    match listener.local_address() {
        ListenAddress::Tcp(address) => *address,
        ListenAddress::Unix(path) => panic!("{}", path.display()),
    }
}

pub fn client(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.set_write_timeout(Some(PATIENCE)).unwrap();
    client
}

pub fn write(mut client: &TcpStream, bytes: &[u8]) {
    client.write_all(bytes).unwrap();
}

pub fn read(mut client: &TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    client.read_exact(&mut bytes).unwrap();
    bytes
}

/// Reads on another thread until the end.
pub fn read_to_end(mut client: TcpStream) -> std::thread::JoinHandle<std::io::Result<Vec<u8>>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).map(|_| bytes)
    })
}

/// Bytes in which a missing or doubled piece shows.
pub fn pattern(count: usize) -> Vec<u8> {
    (0..count)
        .map(|place| (place ^ place >> 8 ^ place >> 16) as u8)
        .collect()
}

/// More than the buffers of both ends take.
pub const BIG: usize = 32 << 20;

/// A test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long to look for what must not come.
pub const MOMENT: Duration = Duration::from_millis(20);
