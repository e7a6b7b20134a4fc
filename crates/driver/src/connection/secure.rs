//! TLS on a connection: what is received is decrypted before anything looks at it, what is sent is
//! encrypted last.
//!
//! Nobody else knows of it: requests, frames and lanes see plaintext, and write plaintext into the
//! output. Source: http-server-api §10.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tidegate_engine::Snapshot;
use tidegate_httpapi::{OpaqueEnd, PeerAddress, Scheme};
use tidegate_os::{Operations, SendBuffer};

use crate::connection::{Connection, Receive};
use crate::core::Core;
use crate::output::{Output, Pool};
use crate::queue::Queue;
use crate::tls::{Session, Step, StepEvent};
use crate::view::View;

/// What secures a connection.
#[derive(Default)]
pub(crate) struct Secured {
    session: Session,
    /// Ciphertext to be sent before what is encrypted next: handshakes, alerts, tickets.
    out: Vec<u8>,
    /// The end has been told.
    is_closed: bool,
}

impl Secured {
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }
}

impl Connection {
    /// Whether there is something to send.
    #[inline(always)]
    pub(crate) fn has_output(&self) -> bool {
        !self.output.is_empty() || self.tls.as_ref().is_some_and(|tls| !tls.out.is_empty())
    }

    /// Whether it is in the middle of a TLS handshake, or waits for one.
    pub(crate) fn shakes_hands(&self) -> bool {
        let tls = self.tls.as_ref();
        tls.is_some_and(|tls| !tls.session.is_established())
    }
}

impl Core {
    /// Settles what is spoken on a new connection, if its port says so.
    ///
    /// A socket is opened before its port is known here, so that nothing is lost when that fails: a
    /// connection that comes in between is settled when its first bytes do.
    pub(crate) fn settle_protocol(&self, snapshot: &Snapshot<Queue>, conn: &mut Connection) {
        let Some(port) = snapshot.port(conn.port) else {
            return;
        };
        conn.is_settled = true;
        match port.scheme() {
            Scheme::Https => conn.tls = Some(Box::default()),
            Scheme::Http => conn.protocols = self.shared.cleartext_protocols(conn.port),
        }
    }

    /// Takes ciphertext that was received.
    #[inline(never)]
    pub(super) fn received_secured<O: Operations>(
        &mut self,
        view: &mut View,
        operations: &mut O,
        conn: &mut Connection,
        bytes: &mut [u8],
        position: u32,
    ) {
        let mut at = 0;
        // Asked for only while there is no certificate yet.
        let mut local = UNKNOWN;
        if conn.shakes_hands() {
            local = self.local_socket(operations, conn);
            self.tls_bindings = self.shared.tls_bindings();
        }
        while !conn.gone
            && let Some(tls) = &mut conn.tls
        {
            let Step { consumed, event } =
                tls.session
                    .receive(&mut bytes[at..], &self.tls_bindings, local, &mut tls.out);
            let taken = &mut bytes[at..at + consumed];
            at += consumed;
            match event {
                StepEvent::Incomplete => break,
                StepEvent::Nothing => {}
                StepEvent::Established => self.established(conn),
                StepEvent::Plaintext(range) => {
                    self.take_or_keep(view, operations, conn, &mut taken[range], position);
                }
                StepEvent::PlaintextKept => {
                    let mut kept = tls.session.take_kept();
                    self.take_or_keep(view, operations, conn, &mut kept, position);
                }
                StepEvent::PeerClosed => conn.peer_closed = true,
                StepEvent::Failed(failure) => {
                    tracing::debug!(%failure, "a TLS connection fails");
                    if conn.shakes_hands() {
                        self.counters.tls_handshakes_failed.add(1);
                    }
                    self.fail_secured(conn);
                    break;
                }
            }
            if at == bytes.len() {
                break;
            }
        }
        if conn.peer_closed && !conn.gone {
            self.go_on(view, operations, conn);
        }
    }

    /// Nothing more can be received or sent but the alert: whoever works for the connection hears of it, and
    /// it ends. What is in opaque mode stays so until then, for its lane to be told.
    #[cold]
    fn fail_secured(&mut self, conn: &mut Connection) {
        conn.ends_by(OpaqueEnd::Failed);
        self.drop_streams(conn);
        self.disown(conn);
        conn.output.clear(&mut self.pool);
        self.close_after_output(conn);
        if conn.lane().is_none() {
            conn.receive = Receive::Discard;
        }
    }

    /// The handshake is complete: what is spoken from now on is known.
    fn established(&mut self, conn: &mut Connection) {
        self.counters.tls_handshakes.add(1);
        if conn.tls.as_ref().is_some_and(|tls| tls.session.is_http2()) {
            self.begin_http2(conn);
        }
    }

    /// Takes what is to be sent next, at most `max` bytes of the output, as it goes over the wire.
    #[inline(always)]
    pub(super) fn next_send(&mut self, conn: &mut Connection, max: usize) -> SendBuffer {
        let before = conn.output.len();
        let buffer = match &mut conn.tls {
            None if before <= max.min(GIVEN_AT_ONCE) => conn.output.take(&mut self.pool),
            None if before <= max => conn.output.take_part(&mut self.pool, GIVEN_AT_ONCE),
            None => conn
                .output
                .take_exactly(&mut self.pool, max.min(GIVEN_AT_ONCE)),
            Some(tls) => tls.next_send(&mut conn.output, &mut self.pool, max),
        };
        conn.log_taken((before - conn.output.len()) as u64);
        buffer
    }

    /// Says that nothing more is sent, if that is to be said. Says whether it is to be sent now.
    pub(super) fn say_closed(&mut self, conn: &mut Connection) -> bool {
        let Some(tls) = &mut conn.tls else {
            return false;
        };
        if !std::mem::replace(&mut tls.is_closed, true) {
            tls.session.close(&mut tls.out);
        }
        !tls.out.is_empty()
    }

    fn local_socket<O: Operations>(&self, operations: &O, conn: &Connection) -> SocketAddr {
        // Whatever a PROXY header says: certificates are for the addresses of this machine.
        match crate::core::address(operations.local_address(conn.key)) {
            PeerAddress::Tcp(address) => address,
            _ => UNKNOWN,
        }
    }
}

impl Secured {
    #[inline(never)]
    fn next_send(&mut self, output: &mut Output, pool: &mut Pool, max: usize) -> SendBuffer {
        let plain = match max < output.len() {
            true => output.take_exactly(pool, max.min(ENCRYPTED_AT_ONCE)),
            false => output.take_part(pool, ENCRYPTED_AT_ONCE),
        };
        if plain.is_empty() {
            return std::mem::take(&mut self.out).into();
        }
        let mut out = std::mem::take(&mut self.out);
        if out.capacity() == 0 {
            out = pool.take();
        }
        let encrypted = match plain.tail.is_empty() {
            true => self.session.encrypt(&[&plain.head], &mut out),
            false => {
                let pieces: Vec<&[u8]> = std::iter::once(&plain.head[..])
                    .chain(plain.tail.iter().map(|piece| &piece[..]))
                    .collect();
                self.session.encrypt(&pieces, &mut out)
            }
        };
        if let Err(failure) = encrypted {
            tracing::debug!(%failure, "what was to be sent could not be encrypted");
        }
        pool.put_sent(plain);
        out.into()
    }
}

const UNKNOWN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Most given to the loop for one send: a limit on bandwidth that is set meanwhile holds for what is beyond.
const GIVEN_AT_ONCE: usize = 1024 * 1024;

/// Most plaintext encrypted for one send: what waits beyond it stays as it is, in memory that it may
/// share with others, until the peer has taken this.
const ENCRYPTED_AT_ONCE: usize = 256 * 1024;
