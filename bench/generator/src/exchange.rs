//! What a closed loop exchanges: requests and their answers, or WebSocket messages and their echoes.
//!
//! Tried out once on a connection of its own, with the answer checked whole. All that follow are
//! as long as that one and begin as it does.

use std::rc::Rc;

use crate::error::GeneratorError;
use crate::message::Message;
use crate::options::Options;
use crate::report::First;
use crate::socket::Connection;
use crate::{handshake, request, response, tls};

/// What goes out on each connection and what comes back.
pub(crate) struct Exchange<'a> {
    options: &'a Options,
    tls: Option<tls::Client>,
    outgoing: Outgoing,
    answer_bytes: usize,
    /// The bytes with which every answer begins.
    beginning: Vec<u8>,
}

enum Outgoing {
    /// A batch of requests, the same on every connection.
    Requests(Rc<[u8]>),
    /// A batch of frames, masked with each connection's own key.
    Frames(Message),
}

impl<'a> Exchange<'a> {
    /// Makes one exchange and learns from it.
    pub(crate) fn try_out(options: &'a Options) -> Result<(Self, First), GeneratorError> {
        if options.websocket {
            Self::try_out_frame(options)
        } else {
            Self::try_out_request(options)
        }
    }

    fn try_out_request(options: &'a Options) -> Result<(Self, First), GeneratorError> {
        let tls = tls::Client::new(options)?;
        let request = request::encode(options);
        let mut connection = Connection::open_with(options.port, tls.as_ref())?;
        connection.send_all(&request)?;
        let answer = connection.receive_answer()?;
        let status = response::status(options);
        let head = response::check(&answer, status, options.expected)?;
        let first = First {
            request_bytes: request.len(),
            answer_bytes: answer.len(),
            head: String::from_utf8_lossy(&answer[..head.bytes]).into_owned(),
        };
        let exchange = Self {
            options,
            tls,
            outgoing: Outgoing::Requests(request.repeat(options.depth).into()),
            answer_bytes: answer.len(),
            beginning: response::beginning(status),
        };
        Ok((exchange, first))
    }

    fn try_out_frame(options: &'a Options) -> Result<(Self, First), GeneratorError> {
        let message = Message::new(options);
        let mut connection = handshake::open(options)?;
        let frame = message.frame(options.connections);
        connection.send_all(&frame)?;
        let (beginning, answer_bytes) = message.receive(&mut connection)?;
        let first = First {
            request_bytes: frame.len(),
            answer_bytes,
            head: format!("{beginning:02x?}"),
        };
        let exchange = Self {
            options,
            tls: None,
            outgoing: Outgoing::Frames(message),
            answer_bytes,
            beginning,
        };
        Ok((exchange, first))
    }

    /// A connection on which the exchange can begin.
    pub(crate) fn open(&self) -> Result<Connection, GeneratorError> {
        match self.outgoing {
            Outgoing::Requests(_) => Connection::open_with(self.options.port, self.tls.as_ref()),
            Outgoing::Frames(_) => handshake::open(self.options),
        }
    }

    /// What goes out together on the connection with this index.
    pub(crate) fn batch(&self, index: usize) -> Rc<[u8]> {
        match &self.outgoing {
            Outgoing::Requests(batch) => Rc::clone(batch),
            Outgoing::Frames(message) => message.frame(index).repeat(self.options.depth).into(),
        }
    }

    /// Bytes of the answers to a batch.
    pub(crate) fn batch_answer_bytes(&self) -> usize {
        self.answer_bytes * self.options.depth
    }

    /// Whether each answer in the stream of answers begins as the first one did.
    ///
    /// `offset` is how much of the stream came before `bytes`.
    pub(crate) fn begins_where_it_should(&self, bytes: &[u8], offset: usize) -> bool {
        begins_where_it_should(&self.beginning, self.answer_bytes, bytes, offset)
    }
}

/// The same for any stream of parts that are equally long and begin alike.
pub(crate) fn begins_where_it_should(
    beginning: &[u8],
    part_bytes: usize,
    bytes: &[u8],
    offset: usize,
) -> bool {
    let into = offset % part_bytes;
    // A beginning may have been cut in two.
    if into > 0 && into < beginning.len() {
        let wanted = &beginning[into..];
        if !bytes.starts_with(&wanted[..wanted.len().min(bytes.len())]) {
            return false;
        }
    }
    let mut start = offset.next_multiple_of(part_bytes) - offset;
    while start < bytes.len() {
        let seen = &bytes[start..bytes.len().min(start + beginning.len())];
        if !beginning.starts_with(seen) {
            return false;
        }
        start += part_bytes;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!";

    fn begins(bytes: &[u8], offset: usize) -> bool {
        begins_where_it_should(&response::beginning(200), ANSWER.len(), bytes, offset)
    }

    #[test]
    fn beginnings_are_checked_across_every_split() {
        let stream = ANSWER.repeat(3);
        for split in 0..stream.len() {
            let (first, second) = stream.split_at(split);
            assert!(begins(first, 0));
            assert!(begins(second, split), "split at {split}");
        }
        assert!(!begins(&stream, 1));
    }

    #[test]
    fn wrong_beginnings_are_seen_whole_and_cut() {
        let refused = b"HTTP/1.1 503 ";
        assert!(!begins(refused, 0));
        assert!(begins(&refused[..9], 0));
        assert!(!begins(&refused[9..], 9));
    }
}
