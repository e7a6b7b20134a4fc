//! The message that a WebSocket load repeats: its content, and how it stands in a frame.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::error::{AnswerFault, GeneratorError};
use crate::frame::{self, Header, Kind};
use crate::options::Options;
use crate::socket::Connection;

/// A message and its payload on the wire.
pub(crate) struct Message {
    kind: Kind,
    content: Vec<u8>,
    /// The content, or the content compressed.
    payload: Vec<u8>,
}

impl Message {
    /// The message that the options ask for.
    pub(crate) fn new(options: &Options) -> Self {
        let content = content(options.size);
        Self {
            kind: Kind::message(options.text, options.deflate),
            payload: if options.deflate {
                deflate(&content)
            } else {
                content.clone()
            },
            content,
        }
    }

    /// The frame that the connection with this index sends.
    pub(crate) fn frame(&self, index: usize) -> Vec<u8> {
        frame::masked(self.kind, &self.payload, frame::key(index))
    }

    /// Receives one frame and checks all of it; the connection must be one that waits.
    ///
    /// Gives the frame's header, with which every frame that follows must begin, and its length.
    pub(crate) fn receive(
        &self,
        connection: &mut Connection,
    ) -> Result<(Vec<u8>, usize), GeneratorError> {
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        let refuse = |fault, bytes: &[u8]| GeneratorError::Answer {
            fault,
            head: format!("{:02x?}", &bytes[..bytes.len().min(40)]),
        };
        loop {
            let count =
                connection
                    .receive(&mut buffer)
                    .map_err(|source| GeneratorError::System {
                        call: "recv",
                        source,
                    })?;
            bytes.extend_from_slice(&buffer[..count]);
            if count == 0 {
                return Err(refuse(AnswerFault::Ended, &bytes));
            }
            match Header::read(&bytes) {
                Some(header) if bytes.len() >= header.frame_bytes() => {
                    self.check(header, &bytes)
                        .map_err(|fault| refuse(fault, &bytes))?;
                    return Ok((bytes[..header.bytes].to_vec(), bytes.len()));
                }
                None if bytes.len() >= HEADER_BYTES_MAX => {
                    return Err(refuse(AnswerFault::Frame, &bytes));
                }
                Some(_) | None => {}
            }
        }
    }

    /// Checks that `bytes` are one frame with this message.
    fn check(&self, header: Header, bytes: &[u8]) -> Result<(), AnswerFault> {
        let payload = &bytes[header.bytes..];
        // What compression does not shorten may stay as it is.
        let may_be_plain = self.payload.len() >= self.content.len();
        let plain = Kind {
            is_deflated: false,
            ..self.kind
        };
        if header.kind != self.kind && !(may_be_plain && header.kind == plain) {
            return Err(AnswerFault::Frame);
        }
        if payload.len() != header.payload_bytes {
            return Err(AnswerFault::Framing);
        }
        let is_equal = if header.kind.is_deflated {
            inflate(payload, self.content.len()).as_ref() == Some(&self.content)
        } else {
            payload == self.content
        };
        if is_equal {
            Ok(())
        } else {
            Err(AnswerFault::Content)
        }
    }
}

/// JSON such as a server of quotes sends, cut to a length. ASCII, so that it is text at any length.
fn content(bytes: usize) -> Vec<u8> {
    let mut text = String::from("[");
    let mut number = 7_u32;
    while text.len() < bytes {
        number = number.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let (id, price) = (number >> 16 & 0xFFF, number >> 8 & 0xF_FFFF);
        text.push_str(&format!(
            r#"{{"id":{id},"price":{}.{:02},"open":{}}},"#,
            price / 100,
            price % 100,
            id % 3 != 0
        ));
    }
    text.truncate(bytes);
    text.into_bytes()
}

/// One message without context, as RFC 7692 §7.2.1 has it.
fn deflate(content: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(content.len() + 64);
    let status = Compress::new(Compression::default(), false).compress_vec(
        content,
        &mut payload,
        FlushCompress::Sync,
    );
    assert!(
        matches!(status, Ok(Status::Ok)) && payload.ends_with(&EMPTY_BLOCK),
        "deflate cannot fail with room for the content as it is"
    );
    payload.truncate(payload.len() - EMPTY_BLOCK.len());
    payload
}

/// The content, if it is not longer than `bytes_max`. RFC 7692 §7.2.2.
fn inflate(payload: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    let whole = [payload, &EMPTY_BLOCK].concat();
    let mut content = Vec::with_capacity(bytes_max + 64);
    Decompress::new(false)
        .decompress_vec(&whole, &mut content, FlushDecompress::Sync)
        .ok()?;
    (content.len() <= bytes_max).then_some(content)
}

const EMPTY_BLOCK: [u8; 4] = [0, 0, 0xFF, 0xFF];
const HEADER_BYTES_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(size: usize, deflate: bool) -> Message {
        Message::new(&Options {
            size,
            text: true,
            deflate,
            ..Options::default()
        })
    }

    fn check(message: &Message, frame: &[u8]) -> Result<(), AnswerFault> {
        message.check(Header::read(frame).unwrap(), frame)
    }

    #[test]
    fn echo_of_a_message_passes() {
        for size in [0, 32, 128, 4096] {
            for deflate in [false, true] {
                let message = message(size, deflate);
                let mut frame = frame::header(message.kind, message.payload.len());
                frame.extend_from_slice(&message.payload);
                assert_eq!(check(&message, &frame), Ok(()), "{size} {deflate}");
            }
        }
    }

    #[test]
    fn only_what_compression_does_not_shorten_may_stay_as_it_is() {
        for (size, outcome) in [(32, Ok(())), (4096, Err(AnswerFault::Frame))] {
            let message = message(size, true);
            let mut frame = frame::header(Kind::message(true, false), size);
            frame.extend_from_slice(&message.content);
            assert_eq!(check(&message, &frame), outcome);
        }
    }

    #[test]
    fn other_content_and_another_kind_are_refused() {
        let plain = message(32, false);
        let mut frame = frame::header(plain.kind, 32);
        frame.extend_from_slice(&[b'x'; 32]);
        assert_eq!(check(&plain, &frame), Err(AnswerFault::Content));
        frame[0] = 0x82;
        assert_eq!(check(&plain, &frame), Err(AnswerFault::Frame));
        frame[0] = 0x81;
        frame.push(0);
        assert_eq!(check(&plain, &frame), Err(AnswerFault::Framing));
    }

    #[test]
    fn long_messages_compress_and_bombs_are_refused() {
        let message = message(4096, true);
        assert!(message.payload.len() < 2048, "{}", message.payload.len());
        assert_eq!(inflate(&message.payload, 4095), None);
    }
}
