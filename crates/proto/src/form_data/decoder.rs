//! Finds the parts of a form in its content.

use memchr::{memmem, memrchr};

use super::{Boundary, FormDataError, PartHead};

/// What [`FormDataDecoder::decode`] found.
#[derive(Debug, Eq, PartialEq)]
pub enum FormDataStep<'a> {
    /// Nothing; all bytes are used up.
    NeedMore,
    /// A part begins. Call again with the bytes after `consumed`.
    Part {
        /// Its head.
        head: PartHead,
        /// How many bytes are used up.
        consumed: usize,
    },
    /// Content of the part. Call again with the bytes after `consumed`.
    Data {
        /// The content; never empty.
        data: &'a [u8],
        /// How many bytes are used up; none when the content came with bytes given before.
        consumed: usize,
    },
    /// The part has ended. Call again with the bytes after `consumed`.
    PartEnd {
        /// How many bytes are used up.
        consumed: usize,
    },
    /// The form has ended; what follows means nothing. All bytes are used up, and so are all that come.
    End,
}

/// Decodes one form.
#[derive(Debug)]
pub struct FormDataDecoder {
    delimiter: Box<[u8]>,
    finder: memmem::Finder<'static>,
    state: State,
    /// The part's head so far.
    head: Vec<u8>,
    head_bytes_max: u32,
}

/// What the next byte is.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Part of what comes before the first part, or of a part's content. `matched` bytes of a delimiter came
    /// last, of which the first `unread` belong to what was before.
    Content {
        is_part: bool,
        matched: usize,
        unread: usize,
    },
    /// Nothing of the content: a delimiter was found behind it, and is used up.
    ContentEnd,
    /// What follows the boundary in a delimiter.
    Delimiter(Tail),
    /// Part of a part's head.
    Head,
    /// Nothing that matters: the form has ended.
    Ended,
}

#[derive(Clone, Copy, Debug)]
enum Tail {
    /// What tells which kind of delimiter it is.
    Kind,
    /// The second hyphen of the last one.
    Hyphen,
    /// A blank, or the CR. RFC 2046 §5.1.1, `transport-padding`.
    Padding,
    /// The LF.
    Lf,
}

impl FormDataDecoder {
    /// A decoder at the start of the content, which keeps heads of parts up to `head_bytes_max`.
    pub fn new(boundary: Boundary, head_bytes_max: u32) -> Self {
        let finder = memmem::Finder::new(&*boundary.delimiter).into_owned();
        Self {
            delimiter: boundary.delimiter,
            finder,
            // The start of the content is the start of a line.
            state: State::Content {
                is_part: false,
                matched: LINE_END,
                unread: LINE_END,
            },
            head: Vec::new(),
            head_bytes_max,
        }
    }

    /// Decodes from the start of `bytes`, up to the next thing worth telling.
    ///
    /// # Errors
    ///
    /// The content is no form; the decoder is of no use then. The peer is at fault.
    pub fn decode<'a>(&'a mut self, bytes: &'a [u8]) -> Result<FormDataStep<'a>, FormDataError> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            match self.state {
                State::ContentEnd => {
                    self.state = State::Delimiter(Tail::Kind);
                    return Ok(FormDataStep::PartEnd { consumed: at });
                }
                State::Ended => return Ok(FormDataStep::End),
                _ if rest.is_empty() => return Ok(FormDataStep::NeedMore),
                State::Content {
                    is_part,
                    matched,
                    unread,
                } => {
                    let found = match matched {
                        0 => self.search(rest),
                        _ => self.go_on(rest, matched, unread),
                    };
                    self.state = match found.state {
                        State::Content {
                            matched, unread, ..
                        } => State::Content {
                            is_part,
                            matched,
                            unread,
                        },
                        // What comes before the first part is no part that could end.
                        State::ContentEnd if !is_part => State::Delimiter(Tail::Kind),
                        state => state,
                    };
                    at += found.consumed;
                    if is_part && found.length > 0 {
                        let data = match found.matched_before {
                            true => &self.delimiter[unread..unread + found.length],
                            false => &rest[..found.length],
                        };
                        return Ok(FormDataStep::Data { data, consumed: at });
                    }
                }
                State::Delimiter(tail) => {
                    self.state = after(tail, rest[0])?;
                    at += 1;
                }
                State::Head => {
                    let (used, head) = self.gather(rest)?;
                    at += used;
                    if let Some(head) = head {
                        return Ok(FormDataStep::Part { head, consumed: at });
                    }
                }
            }
        }
    }

    /// Whether the last delimiter has come.
    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Says that the content has ended.
    ///
    /// # Errors
    ///
    /// The form has not. The peer is at fault.
    pub fn finish(&self) -> Result<(), FormDataError> {
        match self.is_ended() {
            true => Ok(()),
            false => Err(FormDataError::Incomplete),
        }
    }

    /// Looks for a delimiter in content, with none begun.
    fn search(&self, bytes: &[u8]) -> Found {
        if let Some(at) = self.finder.find(bytes) {
            return Found {
                length: at,
                matched_before: false,
                consumed: at + self.delimiter.len(),
                state: State::ContentEnd,
            };
        }
        // A delimiter may begin in the last bytes. It has one CR, its first byte.
        let tail_start = bytes.len().saturating_sub(self.delimiter.len() - 1);
        let begun = memrchr(b'\r', &bytes[tail_start..])
            .map(|at| tail_start + at)
            .filter(|&at| self.delimiter.starts_with(&bytes[at..]));
        let length = begun.unwrap_or(bytes.len());
        Found {
            length,
            matched_before: false,
            consumed: bytes.len(),
            state: content(bytes.len() - length, 0),
        }
    }

    /// Looks whether a delimiter that has begun goes on.
    fn go_on(&self, bytes: &[u8], matched: usize, unread: usize) -> Found {
        let wanted = &self.delimiter[matched..];
        let same = wanted
            .iter()
            .zip(bytes)
            .take_while(|(wanted, byte)| wanted == byte)
            .count();
        if same == wanted.len() {
            return Found {
                length: 0,
                matched_before: false,
                consumed: same,
                state: State::ContentEnd,
            };
        }
        if same == bytes.len() {
            return Found {
                length: 0,
                matched_before: false,
                consumed: same,
                state: content(matched + same, unread),
            };
        }
        // It was none. What came of it has no second CR, so no other can have begun in it.
        Found {
            length: matched - unread,
            matched_before: true,
            consumed: 0,
            state: content(0, 0),
        }
    }

    /// Gathers a part's head. Says how many bytes it took, and the head once it is whole.
    fn gather(&mut self, bytes: &[u8]) -> Result<(usize, Option<PartHead>), FormDataError> {
        let before = self.head.len();
        let room = self.head_bytes_max as usize - before;
        let taken = &bytes[..bytes.len().min(room)];
        self.head.extend_from_slice(taken);
        let from = before.saturating_sub(END_OF_HEAD.len() - 1);
        let (fields, length) = if self.head.starts_with(b"\r\n") {
            (0, LINE_END)
        } else if let Some(at) = memmem::find(&self.head[from..], END_OF_HEAD) {
            (from + at + LINE_END, from + at + END_OF_HEAD.len())
        } else if taken.len() == room {
            return Err(FormDataError::HeadTooLong {
                limit: self.head_bytes_max,
            });
        } else {
            return Ok((taken.len(), None));
        };
        let head = PartHead::parse(&self.head[..fields])?;
        self.head.clear();
        // RFC 2046 §5.1.1: a part without content has no CR LF of its own before the delimiter, it may be
        // the one of the empty line.
        self.state = State::Content {
            is_part: true,
            matched: LINE_END,
            unread: LINE_END,
        };
        Ok((length - before, Some(head)))
    }
}

/// What was found in content.
struct Found {
    /// How many bytes are content.
    length: usize,
    /// Whether these are bytes of the delimiter that seemed to begin, not of those given.
    matched_before: bool,
    consumed: usize,
    /// What follows.
    state: State,
}

fn content(matched: usize, unread: usize) -> State {
    State::Content {
        is_part: false,
        matched,
        unread,
    }
}

/// The state after one byte of what follows the boundary.
fn after(tail: Tail, byte: u8) -> Result<State, FormDataError> {
    Ok(match (tail, byte) {
        (Tail::Kind, b'-') => State::Delimiter(Tail::Hyphen),
        (Tail::Hyphen, b'-') => State::Ended,
        (Tail::Kind | Tail::Padding, b' ' | b'\t') => State::Delimiter(Tail::Padding),
        (Tail::Kind | Tail::Padding, b'\r') => State::Delimiter(Tail::Lf),
        (Tail::Lf, b'\n') => State::Head,
        _ => return Err(FormDataError::Delimiter),
    })
}

const LINE_END: usize = b"\r\n".len();

const END_OF_HEAD: &[u8] = b"\r\n\r\n";
