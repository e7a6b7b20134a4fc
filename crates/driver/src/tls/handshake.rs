//! A handshake, from the client's hello until there are keys.
//!
//! A connection of `rustls` is made for one certificate. Where the name in the hello decides which one that
//! is, the hello is read twice: by an `Acceptor` beforehand, and by the connection.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use rustls::server::{Accepted, Acceptor, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};
use rustls::{AlertDescription, Error, HandshakeKind, ProtocolVersion};
use tidegate_httpapi::TlsInfo;

use super::bindings::Bindings;
use super::bound::{Bound, HTTP2, take_asked};
use super::records::Records;
use super::session::{Failure, FailureKind};

/// A handshake in progress.
#[derive(Default)]
pub(super) struct Handshake {
    stage: Stage,
    /// Records that are not done with: a message of the handshake may come in several.
    pending: Vec<u8>,
    server_name: Option<Box<str>>,
}

#[derive(Default)]
enum Stage {
    #[default]
    Start,
    /// The hello decides, and is not complete yet.
    Hello(Box<Acceptor>),
    Running(Box<UnbufferedServerConnection>),
}

/// What a record led to.
pub(super) enum Progress {
    Going,
    Established(Box<Established>),
}

/// What comes of a handshake.
pub(super) struct Established {
    pub(super) records: Records,
    pub(super) info: Arc<TlsInfo>,
    pub(super) is_http2: bool,
}

impl Handshake {
    /// Takes one whole record.
    pub(super) fn receive(
        &mut self,
        record: &mut [u8],
        bindings: &Bindings,
        local: SocketAddr,
        out: &mut Vec<u8>,
    ) -> Result<Progress, Failure> {
        if self.pending.len() + record.len() > PENDING_BYTES_MAX {
            return Err(Failure::new(FailureKind::UnexpectedRecord));
        }
        if let Stage::Start = self.stage {
            self.stage = match bindings.select_unasked(local) {
                // What only the hello says is asked of it.
                Some(bound) if bound.protocols.http1 && !bound.rejects => Stage::running(&bound)?,
                _ => Stage::Hello(Box::default()),
            };
        }
        if let Stage::Hello(acceptor) = &mut self.stage {
            let Some(accepted) = read_hello(acceptor, record, out)? else {
                self.pending.extend_from_slice(record);
                return Ok(Progress::Going);
            };
            let bound = choose(&accepted, bindings, local, out)?;
            self.stage = Stage::running(&bound)?;
        }
        let Stage::Running(connection) = &mut self.stage else {
            return Ok(Progress::Going);
        };
        // What another connection's hello may have left behind.
        drop(take_asked());
        if self.pending.is_empty() {
            let done = advance(connection, record, out)?;
            self.pending.extend_from_slice(&record[done..]);
        } else {
            self.pending.extend_from_slice(record);
            let done = advance(connection, &mut self.pending, out)?;
            self.pending.drain(..done);
        }
        if let Some(name) = take_asked() {
            self.server_name = Some(name);
        }
        if connection.is_handshaking() {
            return Ok(Progress::Going);
        }
        self.finish()
    }

    fn finish(&mut self) -> Result<Progress, Failure> {
        let Stage::Running(connection) = std::mem::take(&mut self.stage) else {
            return Ok(Progress::Going);
        };
        let info = info(&connection, self.server_name.take());
        let is_http2 = connection.alpn_protocol() == Some(HTTP2);
        let records = Records::take_over(*connection)
            .map_err(|error| Failure::new(FailureKind::Tls(error)))?;
        Ok(Progress::Established(Box::new(Established {
            records,
            info: Arc::new(info),
            is_http2,
        })))
    }
}

impl Stage {
    fn running(bound: &Bound) -> Result<Self, Failure> {
        match UnbufferedServerConnection::new(Arc::clone(&bound.config)) {
            Ok(connection) => Ok(Self::Running(Box::new(connection))),
            Err(error) => Err(Failure::new(FailureKind::Tls(error))),
        }
    }
}

/// The binding for what the hello asks for.
fn choose(
    accepted: &Accepted,
    bindings: &Bindings,
    local: SocketAddr,
    out: &mut Vec<u8>,
) -> Result<Arc<Bound>, Failure> {
    let hello = accepted.client_hello();
    let Some(bound) = bindings.select(local, hello.server_name()) else {
        refuse(AlertDescription::HandshakeFailure, out);
        return Err(Failure::new(FailureKind::NoBinding));
    };
    if bound.rejects {
        refuse(AlertDescription::AccessDenied, out);
        return Err(Failure::new(FailureKind::Rejected));
    }
    // RFC 9113 §3.2: over TLS, HTTP/2 is spoken when it was agreed upon by ALPN. A client that offers
    // other protocols only is refused by `rustls`.
    if !bound.protocols.http1 && hello.alpn().is_none() {
        refuse(AlertDescription::NoApplicationProtocol, out);
        return Err(Failure::new(FailureKind::NoProtocol));
    }
    Ok(bound)
}

/// Gives the acceptor a record and asks whether the hello is complete.
fn read_hello(
    acceptor: &mut Acceptor,
    record: &[u8],
    out: &mut Vec<u8>,
) -> Result<Option<Accepted>, Failure> {
    let mut rest = record;
    while !rest.is_empty() {
        match acceptor.read_tls(&mut rest) {
            Ok(1..) => {}
            // It takes no more than 64 KiB.
            _ => return Err(Failure::new(FailureKind::UnexpectedRecord)),
        }
    }
    acceptor.accept().map_err(|(error, mut alert)| {
        // Writing to memory does not fail.
        let _ = alert.write_all(out);
        Failure::new(FailureKind::Tls(error))
    })
}

/// Lets the connection go as far as these bytes lead, and says how many of them are done with.
fn advance(
    connection: &mut UnbufferedServerConnection,
    bytes: &mut [u8],
    out: &mut Vec<u8>,
) -> Result<usize, Failure> {
    let mut done = 0;
    loop {
        let UnbufferedStatus { discard, state } =
            connection.process_tls_records(&mut bytes[done..]);
        done += discard;
        match state {
            Ok(ConnectionState::EncodeTlsData(data)) => encode(data, out),
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => {
                return Ok(done);
            }
            // No data before the handshake is complete: 0-RTT is off. And it is taken over as soon as it
            // is.
            Ok(_) => return Err(Failure::new(FailureKind::UnexpectedRecord)),
            Err(error) => {
                send_alerts(connection, out);
                return Err(Failure::new(match error {
                    Error::AlertReceived(alert) => FailureKind::AlertReceived(alert),
                    error => FailureKind::Tls(error),
                }));
            }
        }
    }
}

/// After an error, what the connection still wants to say.
///
/// It must not go on with what it has received: where the message that was refused shares a record with
/// others, `rustls` looks for those in the bytes it is given, and panics when they are not there.
fn send_alerts(connection: &mut UnbufferedServerConnection, out: &mut Vec<u8>) {
    while connection.wants_write()
        && let Ok(ConnectionState::EncodeTlsData(data)) =
            connection.process_tls_records(&mut []).state
    {
        encode(data, out);
    }
}

fn encode<T>(mut data: EncodeTlsData<'_, T>, out: &mut Vec<u8>) {
    // It is asked for its length first.
    if let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) {
        let start = out.len();
        out.resize(start + size.required_size, 0);
        let encoded = data.encode(&mut out[start..]);
        debug_assert!(encoded.is_ok(), "it said how much room it needs");
    }
}

/// A fatal alert in the clear, where no connection exists yet to send it.
fn refuse(alert: AlertDescription, out: &mut Vec<u8>) {
    const FATAL: u8 = 2;
    out.extend_from_slice(&[21, 3, 3, 0, 2, FATAL, alert.into()]);
}

fn info(connection: &UnbufferedServerConnection, server_name: Option<Box<str>>) -> TlsInfo {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "TLSv1.2",
    };
    let cipher_suite = connection
        .negotiated_cipher_suite()
        .and_then(|suite| suite.suite().as_str());
    let mut info = TlsInfo::new(version, cipher_suite.map_or("", iana_name));
    info.key_exchange = connection
        .negotiated_key_exchange_group()
        .and_then(|group| group.name().as_str())
        .map(iana_name);
    info.server_name = server_name;
    info.resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
    info.client_certificates = connection
        .peer_certificates()
        .into_iter()
        .flatten()
        .map(|certificate| Bytes::copy_from_slice(certificate))
        .collect();
    info
}

/// IANA's name where `rustls` has one of its own.
fn iana_name(name: &'static str) -> &'static str {
    match name {
        "TLS13_AES_128_GCM_SHA256" => "TLS_AES_128_GCM_SHA256",
        "TLS13_AES_256_GCM_SHA384" => "TLS_AES_256_GCM_SHA384",
        "TLS13_CHACHA20_POLY1305_SHA256" => "TLS_CHACHA20_POLY1305_SHA256",
        "X25519" => "x25519",
        name => name,
    }
}

/// A handshake's longest message is 64 KiB; and the record that completes it.
const PENDING_BYTES_MAX: usize = (64 + 18) * 1024;
