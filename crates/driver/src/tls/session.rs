//! The TLS of one connection: ciphertext in, plaintext out, and back.
//!
//! One record at a time. A whole one is worked on where it lies in the receive buffer; only one that is cut
//! is put together in memory of its own. A connection that waits holds its keys and nothing else.

use std::fmt;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;

use rustls::AlertDescription;
use tidegate_httpapi::TlsInfo;

use super::bindings::Bindings;
use super::handshake::{Established, Handshake, Progress};
use super::records::{HEADER_BYTES, Record, Records};

/// The TLS of one connection. A new one waits for a client's first bytes.
#[derive(Default)]
pub(crate) struct Session {
    state: State,
    /// The beginning of a record that is not complete yet; or one that was, until its plaintext is taken.
    kept: Vec<u8>,
    /// Where in it the plaintext lies.
    kept_plaintext: Range<u32>,
}

#[derive(Default)]
enum State {
    /// Nothing has come yet.
    #[default]
    Waiting,
    Handshake(Box<Handshake>),
    Established(Box<Open>),
    /// It has failed.
    Ended,
}

struct Open {
    records: Records,
    info: Arc<TlsInfo>,
    is_http2: bool,
    is_closed_by_peer: bool,
}

/// What came of some ciphertext.
#[derive(Debug)]
pub(crate) struct Step {
    /// Bytes that are done with.
    pub(crate) consumed: usize,
    /// What they led to.
    pub(crate) event: StepEvent,
}

/// What a step led to.
#[derive(Debug)]
pub(crate) enum StepEvent {
    /// All bytes were taken; more are needed.
    Incomplete,
    /// Nothing for the connection; go on behind what was consumed.
    Nothing,
    /// The handshake is complete.
    Established,
    /// Plaintext, at this place in the bytes given.
    Plaintext(Range<usize>),
    /// Plaintext of a record that came in pieces: [`Session::take_kept`].
    PlaintextKept,
    /// The peer sends nothing more (`close_notify`).
    PeerClosed,
    /// The session is over. If there is an alert to send, it is in the output.
    Failed(Failure),
}

/// Plaintext in memory of its own.
#[derive(Debug)]
pub(crate) struct KeptPlaintext {
    memory: Vec<u8>,
    range: Range<usize>,
}

impl Deref for KeptPlaintext {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.range.clone()]
    }
}

impl DerefMut for KeptPlaintext {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.range.clone()]
    }
}

/// Why a session failed. The peer's fault, but where a kind says otherwise.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
}

/// What kind of failure it was.
#[derive(Debug)]
pub(crate) enum FailureKind {
    /// The first byte is no TLS: a client that speaks plain HTTP, as a rule. Nothing was answered.
    NotTls,
    /// No certificate is bound to where it came to and to whom it asked for.
    NoBinding,
    /// The binding is for HTTP/2 only, and the client did not offer it.
    NoProtocol,
    /// The binding refuses all.
    Rejected,
    /// What `rustls` refused, in the handshake or in a record.
    Tls(rustls::Error),
    /// The peer has given up, and says why.
    AlertReceived(AlertDescription),
    /// A record that has no place here.
    UnexpectedRecord,
    /// It was over already, or nothing can be sent yet. Our own fault.
    Closed,
}

impl Failure {
    pub(super) fn new(kind: FailureKind) -> Self {
        Self { kind }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FailureKind::NotTls => formatter.write_str("the client speaks no TLS"),
            FailureKind::NoBinding => formatter.write_str("no certificate is bound for it"),
            FailureKind::NoProtocol => formatter.write_str("the client does not offer HTTP/2"),
            FailureKind::Rejected => formatter.write_str("its binding rejects connections"),
            FailureKind::Tls(error) => error.fmt(formatter),
            FailureKind::AlertReceived(alert) => write!(formatter, "the client says {alert:?}"),
            FailureKind::UnexpectedRecord => formatter.write_str("a record out of place"),
            FailureKind::Closed => formatter.write_str("the session is not open"),
        }
    }
}

impl std::error::Error for Failure {}

impl Session {
    /// Takes ciphertext from the front of `bytes`, decrypting in place.
    ///
    /// `local` is the address the connection arrived at; a certificate for it is chosen from `bindings`
    /// once, when the client has said hello. What must be sent is appended to `out`, whatever the event.
    pub(crate) fn receive(
        &mut self,
        bytes: &mut [u8],
        bindings: &Bindings,
        local: SocketAddr,
        out: &mut Vec<u8>,
    ) -> Step {
        if matches!(self.state, State::Waiting) && !bytes.is_empty() {
            if bytes[0] != HANDSHAKE {
                return self.failed(bytes.len(), Failure::new(FailureKind::NotTls));
            }
            self.state = State::Handshake(Box::default());
        }
        if self.kept.is_empty() {
            let length = record_bytes(bytes).unwrap_or(usize::MAX);
            if length > bytes.len() {
                // Room for the whole record, if a good part of it is here: who only announces one gets none.
                if length / 4 <= bytes.len() {
                    self.kept.reserve_exact(length);
                }
                self.kept.extend_from_slice(bytes);
                return Step::new(bytes.len(), StepEvent::Incomplete);
            }
            let event = self.record(&mut bytes[..length], bindings, local, out);
            return Step::new(length, event);
        }
        let consumed = self.complete_kept(bytes);
        if record_bytes(&self.kept) != Some(self.kept.len()) {
            return Step::new(consumed, StepEvent::Incomplete);
        }
        let mut record = std::mem::take(&mut self.kept);
        let event = match self.record(&mut record, bindings, local, out) {
            StepEvent::Plaintext(range) => {
                self.kept_plaintext = range.start as u32..range.end as u32;
                self.kept = record;
                StepEvent::PlaintextKept
            }
            event => event,
        };
        Step::new(consumed, event)
    }

    /// Takes the plaintext that [`StepEvent::PlaintextKept`] speaks of. Before the next `receive`.
    pub(crate) fn take_kept(&mut self) -> KeptPlaintext {
        let range = std::mem::take(&mut self.kept_plaintext);
        KeptPlaintext {
            memory: std::mem::take(&mut self.kept),
            range: range.start as usize..range.end as usize,
        }
    }

    /// Encrypts `pieces` as one run of bytes, appended to `out`.
    ///
    /// # Errors
    ///
    /// The session is not established, or has been closed by us.
    pub(crate) fn encrypt(&mut self, pieces: &[&[u8]], out: &mut Vec<u8>) -> Result<(), Failure> {
        match &mut self.state {
            State::Established(open) => open.records.encrypt(pieces, out),
            _ => Err(Failure::new(FailureKind::Closed)),
        }
    }

    /// Says that nothing more is sent (`close_notify`), once. Before the session is established there is
    /// nothing to say.
    pub(crate) fn close(&mut self, out: &mut Vec<u8>) {
        if let State::Established(open) = &mut self.state {
            open.records.close(out);
        }
    }

    /// Whether the handshake is complete.
    pub(crate) fn is_established(&self) -> bool {
        matches!(self.state, State::Established(_))
    }

    /// Whether HTTP/2 was agreed upon.
    pub(crate) fn is_http2(&self) -> bool {
        matches!(&self.state, State::Established(open) if open.is_http2)
    }

    /// What is known of the connection's security, once it is established.
    pub(crate) fn info(&self) -> Option<&Arc<TlsInfo>> {
        match &self.state {
            State::Established(open) => Some(&open.info),
            _ => None,
        }
    }

    /// Appends to the record kept what belongs to it, and says how much that was.
    fn complete_kept(&mut self, bytes: &[u8]) -> usize {
        let mut consumed = 0;
        loop {
            // Its header first: only that says how long it is.
            let wanted = record_bytes(&self.kept).unwrap_or(HEADER_BYTES);
            let missing = wanted.saturating_sub(self.kept.len());
            let taken = missing.min(bytes.len() - consumed);
            if taken == 0 {
                return consumed;
            }
            self.kept
                .extend_from_slice(&bytes[consumed..consumed + taken]);
            consumed += taken;
        }
    }

    /// Handles one whole record.
    fn record(
        &mut self,
        record: &mut [u8],
        bindings: &Bindings,
        local: SocketAddr,
        out: &mut Vec<u8>,
    ) -> StepEvent {
        let result = match &mut self.state {
            State::Established(open) if open.is_closed_by_peer => return StepEvent::Nothing,
            State::Established(open) => match open.records.receive(record, out) {
                Ok(Record::Plaintext(range)) => return StepEvent::Plaintext(range),
                Ok(Record::Nothing) => return StepEvent::Nothing,
                Ok(Record::CloseNotify) => {
                    open.is_closed_by_peer = true;
                    return StepEvent::PeerClosed;
                }
                Err(failure) => Err(failure),
            },
            State::Handshake(handshake) => handshake.receive(record, bindings, local, out),
            State::Waiting | State::Ended => return StepEvent::Nothing,
        };
        match result {
            Ok(Progress::Going) => StepEvent::Nothing,
            Ok(Progress::Established(established)) => {
                let Established {
                    records,
                    info,
                    is_http2,
                } = *established;
                self.state = State::Established(Box::new(Open {
                    records,
                    info,
                    is_http2,
                    is_closed_by_peer: false,
                }));
                StepEvent::Established
            }
            Err(failure) => self.failed(0, failure).event,
        }
    }

    fn failed(&mut self, consumed: usize, failure: Failure) -> Step {
        self.state = State::Ended;
        self.kept = Vec::new();
        Step::new(consumed, StepEvent::Failed(failure))
    }
}

impl Step {
    fn new(consumed: usize, event: StepEvent) -> Self {
        Self { consumed, event }
    }
}

/// How long the record is that begins here; `None`: too little is there to know.
///
/// A header that no record has counts as a record of itself, so that it is seen and refused.
fn record_bytes(bytes: &[u8]) -> Option<usize> {
    let &[content_type, major, _, high, low] = bytes.first_chunk::<HEADER_BYTES>()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let is_possible = (CHANGE_CIPHER_SPEC..=HEARTBEAT).contains(&content_type)
        && major == 3
        && length <= CIPHERTEXT_BYTES_MAX;
    match is_possible {
        true => Some(HEADER_BYTES + length),
        false => Some(HEADER_BYTES),
    }
}

/// RFC 5246 §6.2.3: what a record carries, encrypted.
const CIPHERTEXT_BYTES_MAX: usize = (1 << 14) + 2048;
const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const HEARTBEAT: u8 = 24;

#[cfg(test)]
impl Session {
    /// Lets a key do less than it may.
    pub(super) fn limit_keys(&mut self, records: u64) {
        if let State::Established(open) = &mut self.state {
            open.records.limit_keys(records);
        }
    }
}
