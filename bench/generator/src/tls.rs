//! TLS under a load: rustls through its byte interface.
//!
//! TLS 1.3 with AES-128-GCM and X25519 and nothing else, so that all servers do the same work. The
//! certificate is not verified: whose it is does not matter here, and verifying costs the load time.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, NamedGroup,
    SignatureScheme,
};
use socket2::Socket;

use crate::error::GeneratorError;
use crate::options::Options;

/// Begins sessions, and keeps the tickets where they are to be used.
#[derive(Clone)]
pub(crate) struct Client {
    config: Arc<ClientConfig>,
    /// What the sockets are read into, before it is decrypted.
    ciphertext: Rc<RefCell<Vec<u8>>>,
}

/// One connection's TLS.
pub(crate) struct Session {
    connection: ClientConnection,
    ciphertext: Rc<RefCell<Vec<u8>>>,
}

impl Client {
    /// `None` when the load is to go over cleartext.
    pub(crate) fn new(options: &Options) -> Result<Option<Self>, GeneratorError> {
        if !options.tls {
            return Ok(None);
        }
        let provider = CryptoProvider {
            cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
            // The second is for nghttpd, which has no other, and whose handshakes are not measured.
            kx_groups: vec![aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1],
            ..aws_lc_rs::default_provider()
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate))
            .with_no_client_auth();
        let protocol: &[u8] = if options.http2 { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![protocol.to_vec()];
        config.resumption = if options.resume {
            Resumption::store(Arc::new(Tickets::default()))
        } else {
            Resumption::disabled()
        };
        Ok(Some(Self {
            config: Arc::new(config),
            ciphertext: Rc::new(RefCell::new(vec![0; CIPHERTEXT_BYTES])),
        }))
    }

    /// A session whose handshake is to be made.
    pub(crate) fn begin(&self) -> Result<Session, GeneratorError> {
        let name = ServerName::try_from(SERVER_NAME).expect("the name is a constant");
        Ok(Session {
            connection: ClientConnection::new(Arc::clone(&self.config), name)?,
            ciphertext: Rc::clone(&self.ciphertext),
        })
    }
}

impl Session {
    /// Makes the handshake on a socket that waits.
    pub(crate) fn shake_hands(&mut self, socket: &mut Socket) -> io::Result<()> {
        while self.connection.is_handshaking() {
            self.flush(socket)?;
            self.read(socket)?;
        }
        self.flush(socket)
    }

    /// Takes in what the server has said for the handshake. Gives whether it is complete, but for
    /// our own last message, which is yet to be flushed.
    pub(crate) fn handshake_step(&mut self, socket: &mut Socket) -> io::Result<bool> {
        self.read(socket)?;
        Ok(!self.connection.is_handshaking())
    }

    /// Whether a session of before was taken up again.
    pub(crate) fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The protocol agreed upon.
    pub(crate) fn protocol(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// Says that nothing more will be sent.
    pub(crate) fn end(&mut self, socket: &mut Socket) -> io::Result<()> {
        self.connection.send_close_notify();
        self.flush(socket)
    }

    /// Reads what is there and decrypts it. `buffer` must be [`PLAINTEXT_BYTES`] or longer.
    pub(crate) fn receive(&mut self, socket: &mut Socket, buffer: &mut [u8]) -> io::Result<usize> {
        let ciphertext = Rc::clone(&self.ciphertext);
        let mut ciphertext = ciphertext.borrow_mut();
        loop {
            let count = socket.read(&mut ciphertext)?;
            let (mut rest, mut filled, mut ended) = (&ciphertext[..count], 0, count == 0);
            while !rest.is_empty() {
                self.connection.read_tls(&mut rest)?;
                ended |= self.process()?;
                filled += self.take_plaintext(&mut buffer[filled..])?;
            }
            // Tickets, or a part of a record, are no reason to come back empty-handed.
            if filled > 0 || ended {
                return Ok(filled);
            }
        }
    }

    /// Encrypts and writes as much as fits; what is encrypted counts as sent.
    pub(crate) fn send(&mut self, socket: &mut Socket, bytes: &[u8]) -> io::Result<usize> {
        self.flush(socket)?;
        if self.is_pending() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = self.connection.writer().write(bytes)?;
        self.flush(socket)?;
        Ok(count)
    }

    /// Whether encrypted bytes wait for the socket.
    pub(crate) fn is_pending(&self) -> bool {
        self.connection.wants_write()
    }

    /// Writes what is encrypted, as much as fits.
    pub(crate) fn flush(&mut self, socket: &mut Socket) -> io::Result<()> {
        while self.connection.wants_write() {
            match self.connection.write_tls(socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read(&mut self, socket: &mut Socket) -> io::Result<()> {
        if self.connection.read_tls(socket)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.process().map(|_| ())
    }

    /// Gives whether the peer has ended its side.
    fn process(&mut self) -> io::Result<bool> {
        match self.connection.process_new_packets() {
            Ok(state) => Ok(state.peer_has_closed()),
            Err(error) => Err(io::Error::new(ErrorKind::InvalidData, error)),
        }
    }

    fn take_plaintext(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        loop {
            match self.connection.reader().read(&mut buffer[filled..]) {
                Ok(0) => return Ok(filled),
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(filled),
                Err(error) => return Err(error),
            }
        }
    }
}

/// The tickets that came, each of which is shown once (RFC 8446, appendix C.4).
///
/// rustls' own store keeps eight: too few where tickets of many connections come at once.
#[derive(Debug, Default)]
struct Tickets {
    unused: Mutex<Vec<Tls13ClientSessionValue>>,
}

impl Tickets {
    fn unused(&self) -> MutexGuard<'_, Vec<Tls13ClientSessionValue>> {
        self.unused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut unused = self.unused();
        if unused.len() < TICKETS_MAX {
            unused.push(ticket);
        }
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.unused().pop()
    }
}

/// Takes every certificate, and every signature by its key.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// The name asked for, which is also the authority of requests over TLS.
pub(crate) const SERVER_NAME: &str = "localhost";

/// More than connections are under way at once.
const TICKETS_MAX: usize = 1024;
const CIPHERTEXT_BYTES: usize = 128 * 1024;
/// Room for what one reading decrypts to: never more than it was, and a record begun before.
pub(crate) const PLAINTEXT_BYTES: usize = CIPHERTEXT_BYTES + 32 * 1024;
