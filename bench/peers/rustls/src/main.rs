//! Handshakes on rustls and nothing else: `peer-rustls PORT CERTIFICATE KEY`.
//!
//! Accepts, completes the handshake, sends the tickets, and closes when the peer has ended its side.
//! One thread, one epoll set, no answers: what a handshake costs at least.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rustls::{ServerConfig, ServerConnection};
use socket2::{Domain, Socket, Type};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, certificate, key] = &words[..] else {
        return Err("usage: peer-rustls PORT CERTIFICATE KEY".into());
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?));
    serve(
        listen(address)?,
        &peer_rustls::configuration(certificate, key)?,
    )
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(TcpListener::from_std(socket.into()))
}

fn serve(
    mut listener: TcpListener,
    configuration: &Arc<ServerConfig>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut poll = Poll::new()?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut guests: HashMap<Token, Guest> = HashMap::new();
    let mut next = LISTENER.0 + 1;
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() != LISTENER {
                let stays = guests
                    .get_mut(&event.token())
                    .is_some_and(|guest| guest.handle().is_ok());
                if !stays {
                    guests.remove(&event.token());
                }
                continue;
            }
            while let Ok((mut stream, _)) = listener.accept() {
                let _ = stream.set_nodelay(true);
                let token = Token(next);
                next += 1;
                poll.registry()
                    .register(&mut stream, token, Interest::READABLE)?;
                let session = ServerConnection::new(Arc::clone(configuration))?;
                let mut guest = Guest { stream, session };
                // The first message is mostly there by now.
                if guest.handle().is_ok() {
                    guests.insert(token, guest);
                }
            }
        }
    }
}

struct Guest {
    stream: TcpStream,
    session: ServerConnection,
}

impl Guest {
    /// An error, also that the peer has ended its side, is the end of the connection.
    fn handle(&mut self) -> io::Result<()> {
        loop {
            let count = match self.session.read_tls(&mut self.stream) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let state = self
                .session
                .process_new_packets()
                .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            if state.peer_has_closed() {
                self.session.send_close_notify();
            }
            while self.session.wants_write() {
                self.session.write_tls(&mut self.stream)?;
            }
            if state.peer_has_closed() {
                return Err(ErrorKind::ConnectionAborted.into());
            }
            // Nothing but the handshake is served.
            let mut nothing = [0; 64];
            match self.session.reader().read(&mut nothing) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => return Err(ErrorKind::InvalidData.into()),
            }
            // With less than it asks for it has all that was there; the set tells of what comes after.
            if count < READ_BYTES {
                return Ok(());
            }
        }
    }
}

/// What rustls reads at once.
const READ_BYTES: usize = 4096;
const LISTENER: Token = Token(0);
