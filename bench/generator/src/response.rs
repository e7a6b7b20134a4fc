//! What the load generator reads in an answer: status, length, and whether the connection stays.
//!
//! A checker of well-meant answers, not a parser to rely on: the servers measured frame every
//! answer with `Content-Length`.

use crate::error::{AnswerFault, GeneratorError};
use crate::options::{Expected, Options};

/// The parts of an answer's head that a load depends on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Head {
    /// Bytes of the head with its blank line.
    pub(crate) bytes: usize,
    pub(crate) status: u16,
    pub(crate) content_bytes: Option<usize>,
    pub(crate) closing: bool,
}

impl Head {
    /// Reads the head at the start of `bytes`; `None` when it is not all there.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let mut lines = text.lines();
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("http/1.1 "))
            .and_then(|rest| rest.get(..3))
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0);
        let (mut content_bytes, mut closing) = (None, false);
        for line in lines {
            if let Some(value) = line.strip_prefix("content-length:") {
                content_bytes = value.trim().parse().ok();
            } else if let Some(value) = line.strip_prefix("connection:") {
                closing = value.trim() == "close";
            }
        }
        Some(Self {
            bytes: end,
            status,
            content_bytes,
            closing,
        })
    }

    /// Bytes of the whole answer.
    pub(crate) fn answer_bytes(&self) -> usize {
        self.bytes + self.content_bytes.unwrap_or(0)
    }
}

/// Checks a whole answer of this status, and gives its head.
pub(crate) fn check(bytes: &[u8], status: u16, expected: Expected) -> Result<Head, GeneratorError> {
    let refuse = |fault, bytes: usize, text: &[u8]| GeneratorError::Answer {
        fault,
        head: String::from_utf8_lossy(&text[..bytes]).into_owned(),
    };
    let Some(head) = Head::read(bytes) else {
        return Err(refuse(AnswerFault::Ended, bytes.len(), bytes));
    };
    let fault = if head.status != status {
        Some(AnswerFault::Status)
    } else if head.content_bytes.is_none() {
        Some(AnswerFault::Length)
    } else if head.closing {
        Some(AnswerFault::Closing)
    } else if bytes.len() != head.answer_bytes() {
        Some(AnswerFault::Framing)
    } else if !expected.is(&bytes[head.bytes..]) {
        Some(AnswerFault::Content)
    } else {
        None
    };
    fault.map_or(Ok(head), |fault| Err(refuse(fault, head.bytes, bytes)))
}

/// The status that the answers of a load must have.
pub(crate) fn status(options: &Options) -> u16 {
    match options.range {
        Some(_) => 206,
        None => 200,
    }
}

/// How every answer of this status begins.
pub(crate) fn beginning(status: u16) -> Vec<u8> {
    format!("HTTP/1.1 {status}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!";

    fn fault_of(answer: &[u8], expected: Expected) -> AnswerFault {
        match check(answer, 200, expected) {
            Err(GeneratorError::Answer { fault, .. }) => fault,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn good_answer_passes() {
        let head = check(HELLO, 200, Expected::Hello).unwrap();
        assert_eq!((head.status, head.answer_bytes()), (200, HELLO.len()));
    }

    #[test]
    fn each_fault_is_named() {
        let cases: [(&[u8], AnswerFault); 6] = [
            (b"HTTP/1.1 200 OK\r\n", AnswerFault::Ended),
            (
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
                AnswerFault::Status,
            ),
            (
                b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
                AnswerFault::Status,
            ),
            (b"HTTP/1.1 200 OK\r\n\r\n", AnswerFault::Length),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                AnswerFault::Closing,
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nx",
                AnswerFault::Framing,
            ),
        ];
        for (answer, fault) in cases {
            assert_eq!(fault_of(answer, Expected::Any), fault);
        }
        assert_eq!(fault_of(HELLO, Expected::Uploaded), AnswerFault::Content);
        assert!(check(HELLO, 206, Expected::Hello).is_err());
    }
}
