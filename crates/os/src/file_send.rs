//! Sends of files, as far as both loops do the same: whose turn it is, and how much of it is sent then.
//!
//! Linux sends from the page cache (`sendfile`); elsewhere, and for files of which Linux cannot, they are
//! read and sent. Either is done by the loop itself, in steps: one for each connection in a turn, so that
//! no download starves others. A step whose bytes are not in memory waits for the disk; to know better is
//! the owner's matter ([`is_in_memory`](crate::is_in_memory)), who may ask before each send and have
//! somebody else wait.
//!
//! On io_uring as well, since what the ring offers, `splice` through a pipe, was measured at twice the
//! cost: it runs on a thread of the kernel, and keeps that thread for as long as the peer is slow.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, IoSlice};

use socket2::SockRef;

use crate::error::SystemError;
use crate::event::SendBuffer;
use crate::file::{FileRange, append_at};
use crate::key::ConnectionKey;
use crate::platform::{self, DONT_WAIT, MORE_FOLLOWS, SEND_FLAGS};

/// The sends of files of a loop.
#[derive(Default)]
pub(crate) struct FileSends {
    active: HashMap<ConnectionKey, FileSend>,
    /// Whose turn comes, in order. A key of an ended send is passed over.
    queue: VecDeque<ConnectionKey>,
    /// Memory for files that must be read.
    copied: Vec<u8>,
}

struct FileSend {
    /// What is left of it.
    range: FileRange,
    /// It is read and sent.
    is_copied: bool,
}

/// What is left of a turn.
pub(crate) struct FileTurn {
    connections: usize,
    bytes: usize,
}

/// What came of a step.
#[derive(Debug)]
pub(crate) struct Step {
    /// Bytes given to the system.
    pub(crate) bytes: usize,
    pub(crate) state: StepState,
}

#[derive(Debug)]
pub(crate) enum StepState {
    /// There is more, in the next turn.
    Again,
    /// There is more, when the socket takes bytes again.
    Blocked,
    /// The send is over.
    Ended(Result<(), SystemError>),
}

impl FileSends {
    /// Takes a send in. Its turn comes.
    pub(crate) fn begin(&mut self, key: ConnectionKey, range: FileRange) {
        let send = FileSend {
            range,
            is_copied: false,
        };
        self.active.insert(key, send);
        self.queue(key);
    }

    /// The send goes on, when its turn comes.
    pub(crate) fn queue(&mut self, key: ConnectionKey) {
        self.queue.push_back(key);
    }

    /// Ends the send of a connection, whose file is closed unless others use it.
    pub(crate) fn end(&mut self, key: ConnectionKey) {
        self.active.remove(&key);
    }

    /// Bytes of the file not given to the system yet.
    pub(crate) fn left(&self, key: ConnectionKey) -> usize {
        self.active.get(&key).map_or(0, |send| {
            usize::try_from(send.range.length).unwrap_or(usize::MAX)
        })
    }

    /// Whether somebody's turn is to come.
    #[inline]
    pub(crate) fn any_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(crate) fn begin_turn(&self) -> FileTurn {
        FileTurn {
            connections: self.queue.len(),
            bytes: TURN_BYTES,
        }
    }

    /// Whose turn it is, until the turn is used up.
    pub(crate) fn next(&mut self, turn: &mut FileTurn) -> Option<ConnectionKey> {
        if turn.bytes == 0 {
            return None;
        }
        turn.connections = turn.connections.checked_sub(1)?;
        self.queue.pop_front()
    }

    /// Sends what is left of the buffer, of which `sent` bytes are out, then of the file. `None`: the key
    /// is of no send.
    pub(crate) fn step(
        &mut self,
        turn: &mut FileTurn,
        key: ConnectionKey,
        socket: &SockRef<'_>,
        buffer: &SendBuffer,
        sent: &mut usize,
    ) -> Option<Step> {
        let send = self.active.get_mut(&key)?;
        let buffer_bytes = buffer.len();
        let mut bytes = 0;
        let state = loop {
            let outcome = if *sent < buffer_bytes {
                let more = match send.range.length {
                    0 => 0,
                    _ => MORE_FOLLOWS,
                };
                send_pieces(socket, buffer, *sent, SEND_FLAGS | DONT_WAIT | more)
                    .inspect(|count| *sent += count)
                    .map_err(|error| fault(SEND, error))
            } else if send.range.length == 0 {
                break StepState::Ended(Ok(()));
            } else if bytes >= STEP_BYTES {
                break StepState::Again;
            } else {
                send.send(socket, STEP_BYTES - bytes, &mut self.copied)
            };
            match outcome {
                // The system has no reason to take nothing; trying again could go on for ever.
                Ok(0) => {
                    break StepState::Ended(Err(fault(SEND, ErrorKind::WriteZero.into()).error));
                }
                Ok(count) => bytes += count,
                Err(fault) if fault.kind == ErrorKind::WouldBlock => break StepState::Blocked,
                Err(fault) if fault.kind == ErrorKind::Interrupted => {}
                Err(fault) => break StepState::Ended(Err(fault.error)),
            }
        };
        turn.bytes = turn.bytes.saturating_sub(bytes + STEP_COST);
        Some(Step { bytes, state })
    }
}

impl FileSend {
    /// Sends at most `max` bytes of the file. Never 0 bytes.
    fn send(
        &mut self,
        socket: &SockRef<'_>,
        max: usize,
        copied: &mut Vec<u8>,
    ) -> Result<usize, Fault> {
        let count = usize::try_from(self.range.length).map_or(max, |left| left.min(max));
        if !self.is_copied {
            match platform::send_file(socket, &self.range.file, self.range.offset, count) {
                Ok(0) => return Err(Fault::of_ended_file()),
                Ok(sent) => return Ok(self.took(sent)),
                Err(error) if is_of_socket(error.kind()) => return Err(fault(SEND_FILE, error)),
                // Either it cannot be sent that way, or the file is at fault, or the socket in a way not
                // known here: done in two calls, each tells for itself.
                Err(_) => self.is_copied = true,
            }
        }
        copied.clear();
        let file = &self.range.file;
        let read = append_at(copied, file, self.range.offset, count.min(COPIED_BYTES))
            .map_err(|error| fault(READ, error))?;
        if read == 0 {
            return Err(Fault::of_ended_file());
        }
        let sent = socket
            .send_with_flags(copied, SEND_FLAGS | DONT_WAIT)
            .map_err(|error| fault(SEND, error))?;
        Ok(self.took(sent))
    }

    fn took(&mut self, count: usize) -> usize {
        self.range.offset += count as u64;
        self.range.length -= count as u64;
        count
    }
}

/// Sends what follows the first `sent` bytes of a buffer, as many pieces as one call takes.
pub(crate) fn send_pieces(
    socket: &SockRef<'_>,
    buffer: &SendBuffer,
    sent: usize,
    flags: i32,
) -> io::Result<usize> {
    let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
    let mut count = 0;
    let mut skip = sent;
    let tail = buffer.tail.iter().map(|piece| &piece[..]);
    for piece in std::iter::once(&buffer.head[..]).chain(tail) {
        if skip >= piece.len() {
            skip -= piece.len();
            continue;
        }
        pieces[count] = IoSlice::new(&piece[skip..]);
        skip = 0;
        count += 1;
        if count == PIECES_MAX {
            break;
        }
    }
    socket.send_vectored_with_flags(&pieces[..count], flags)
}

/// A call that failed. The kind is kept because not every error has a code.
struct Fault {
    kind: ErrorKind,
    error: SystemError,
}

impl Fault {
    fn of_ended_file() -> Self {
        Self {
            kind: ErrorKind::UnexpectedEof,
            error: SystemError::of_ended_file(),
        }
    }
}

fn fault(call: &'static str, error: io::Error) -> Fault {
    Fault {
        kind: error.kind(),
        error: SystemError::new(call, &error),
    }
}

/// What passes, and what ends connections. No file is at fault in these ways.
fn is_of_socket(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock
            | ErrorKind::Interrupted
            | ErrorKind::BrokenPipe
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::NotConnected
    )
}

const SEND: &str = "send";
const SEND_FILE: &str = "sendfile";
/// What a [`SystemError`] of a file names.
pub(crate) const READ: &str = "read";

/// Sent of one file in a turn: some tens of microseconds' work.
const STEP_BYTES: usize = 256 * 1024;

/// Sent of all files in a turn, about, before others are looked after: some tenths of a millisecond.
const TURN_BYTES: usize = 1024 * 1024;

/// What a step costs besides its bytes, in bytes.
const STEP_COST: usize = 8 * 1024;

/// Read at a time, where files are read.
const COPIED_BYTES: usize = 64 * 1024;

/// Pieces in one system call; the rest goes with the next.
const PIECES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::thread;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        (client, server)
    }

    fn range(content: &[u8], length: u64) -> FileRange {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        FileRange {
            file: Arc::new(file),
            offset: 0,
            length,
        }
    }

    const KEY: ConnectionKey = ConnectionKey::new(1, 2);

    /// Steps until the end, with the file read and sent; says what was sent of it.
    fn send_copied(range: FileRange) -> (Vec<u8>, Result<(), SystemError>) {
        let (mut client, server) = pair();
        let reader = thread::spawn(move || {
            let mut received = Vec::new();
            client.read_to_end(&mut received).unwrap();
            received
        });
        let mut sends = FileSends::default();
        sends.begin(KEY, range);
        sends.active.get_mut(&KEY).unwrap().is_copied = true;
        let buffer: SendBuffer = b"head".to_vec().into();
        let mut sent = 0;
        let result = loop {
            let mut turn = sends.begin_turn();
            let step = sends
                .step(&mut turn, KEY, &SockRef::from(&server), &buffer, &mut sent)
                .unwrap();
            match step.state {
                StepState::Again => assert!(step.bytes >= STEP_BYTES),
                StepState::Blocked => thread::yield_now(),
                StepState::Ended(result) => break result,
            }
        };
        drop(server);
        (reader.join().unwrap(), result)
    }

    #[test]
    fn a_file_that_is_read_and_sent_arrives_alike() {
        let content: Vec<u8> = (0..9_000_000_u32)
            .map(|number| (number / 7) as u8)
            .collect();
        let (received, result) = send_copied(range(&content, content.len() as u64));
        assert_eq!(result, Ok(()));
        assert!(received == [b"head", &content[..]].concat());
    }

    #[test]
    fn a_file_that_is_read_and_ends_early_is_at_fault() {
        let (received, result) = send_copied(range(b"short", 6));
        assert_eq!(result, Err(SystemError::of_ended_file()));
        assert_eq!(received, b"headshort");
    }

    #[test]
    fn a_turn_ends_when_its_bytes_are_used_up() {
        let mut sends = FileSends::default();
        let file = range(b"", 0);
        for index in 0..10 {
            sends.begin(ConnectionKey::new(index, 0), file.clone());
        }
        let mut turn = sends.begin_turn();
        assert_eq!(sends.next(&mut turn), Some(ConnectionKey::new(0, 0)));
        // Who comes meanwhile waits for the next turn.
        sends.queue(ConnectionKey::new(0, 0));
        turn.bytes = 0;
        assert_eq!(sends.next(&mut turn), None);
        let mut turn = sends.begin_turn();
        let rest: Vec<_> = std::iter::from_fn(|| sends.next(&mut turn)).collect();
        assert_eq!(rest.len(), 10);
        assert_eq!(rest[9], ConnectionKey::new(0, 0));
        assert!(!sends.any_queued());
    }
}
