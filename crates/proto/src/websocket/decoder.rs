//! What a peer sends becomes messages, over any split of its bytes.
//!
//! A message that lies whole in the bytes given is unmasked and delivered where it lies; only what is
//! cut or fragmented is put together in memory of its own. Answers, close handshake and timers are the
//! connection's matter. Source: RFC 6455 §5.4 to §5.6, §8.1.

mod advance;
mod control;
mod usual;

use std::mem;

use self::control::{ControlPayload, received_control};
use self::usual::{SHORT_MAX, take_short, usual_frame};
use super::deflate::{DeflateWorkspace, Inflater};
use super::frame::{FIN, FrameHead, HEAD_BYTES_MAX, Opcode, Role};
use super::mask::{Mask, apply_mask};
use super::message::{Message, exceeds};
use super::received::{DecodeContext, Received};
use super::utf8;
use super::violation::Violation;

/// The receiving side of a connection. Holds no memory of its own between messages.
///
/// # Examples
///
/// ```
/// use tidegate_proto::websocket::{DecodeContext, Decoder, Opcode, Received, Role, encode_frame};
///
/// let mut decoder = Decoder::new(Role::Client);
/// let mut bytes = Vec::new();
/// encode_frame(&mut bytes, Opcode::Text, b"Hello");
/// let mut piece = &mut bytes[..];
/// let mut context = DecodeContext::default();
/// while let Some(received) = decoder.next(&mut piece, &mut context)? {
///     assert_eq!(received, Received::Text("Hello"));
/// }
/// # Ok::<(), tidegate_proto::websocket::Violation>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    role: Role,
    state: State,
    /// Of the frame in progress.
    opcode: Opcode,
    fin: bool,
    /// Of the message in progress.
    is_compressed: bool,
    /// The beginning of a head that was cut.
    head: [u8; HEAD_BYTES_MAX],
    head_len: u8,
    mask: Mask,
    /// Payload of the frame in progress that is still to come.
    remaining: u64,
    /// The message in progress, unless it lies whole in the piece.
    message: Option<Box<Message>>,
    /// The payload of a control frame that was cut.
    control: Option<Box<ControlPayload>>,
    /// What compressed messages are read with, if permessage-deflate was agreed on.
    inflater: Option<Box<Inflater>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// A frame begins, of a new message, and nothing is kept.
    Idle,
    /// A frame begins or has begun with a part of its head; or a message goes on.
    Head,
    /// In the payload of a text, binary or continuation frame.
    Data,
    /// In the payload of a control frame.
    Control,
    /// A last fragment was delivered, the whole message is next.
    Whole,
    /// A control frame was delivered from `control`.
    ControlDelivered,
    /// A fragment was delivered from the message.
    FragmentDelivered,
    /// The message was delivered.
    MessageDelivered,
    /// After a close frame or a violation.
    Ended,
}

/// What is to be delivered, and where it is.
enum Ready<'i> {
    /// Nothing: all bytes are taken.
    Nothing,
    /// In the piece.
    InPiece(Received<'i>),
    /// In `control`.
    Control,
    /// In the thread's memory for decompressing.
    Inflated,
    /// In the message: its last frame.
    Fragment,
    /// In the message: all of it.
    Whole,
}

impl Decoder {
    /// The receiving side of a connection after its handshake, without extensions.
    pub fn new(role: Role) -> Self {
        Self {
            role,
            state: State::Idle,
            opcode: Opcode::Continuation,
            fin: false,
            is_compressed: false,
            head: [0; HEAD_BYTES_MAX],
            head_len: 0,
            mask: Mask::default(),
            remaining: 0,
            message: None,
            control: None,
            inflater: None,
        }
    }

    /// The receiving side of a connection on which permessage-deflate was agreed.
    pub fn with_inflater(role: Role, inflater: Inflater) -> Self {
        Self {
            inflater: Some(Box::new(inflater)),
            ..Self::new(role)
        }
    }

    /// Takes from the front of `piece` up to the next thing received; `None` when all of it is taken.
    ///
    /// Payloads are unmasked in place. Call it until it gives `None`: only then everything is taken,
    /// and memory of the last message is let go. After a close frame, and after an error, the rest is
    /// taken and ignored.
    ///
    /// # Errors
    ///
    /// The peer broke a rule or met a limit. Send [`Violation::close_code`] and end the connection.
    #[inline(always)]
    pub fn next<'r, 'i: 'r>(
        &'r mut self,
        piece: &mut &'i mut [u8],
        context: &'r mut DecodeContext<'_>,
    ) -> Result<Option<Received<'r>>, Violation> {
        // Most of what a server gets is short, and one message after the other.
        if self.state == State::Idle
            && self.role == Role::Server
            && context.max_message_size.wrapping_sub(1) >= SHORT_MAX as u64
            && let Some((is_text, payload)) = take_short(piece)
        {
            if !is_text {
                return Ok(Some(Received::Binary(payload)));
            }
            return match utf8::text(payload) {
                Ok(text) => Ok(Some(Received::Text(text))),
                Err(_) => self.bad_text(payload, piece, context),
            };
        }
        self.next_unusual(piece, context)
    }

    /// Whether nothing is in progress: no message, no cut frame.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle | State::MessageDelivered)
    }

    /// A whole text message that is not UTF-8.
    #[cold]
    fn bad_text<'r>(
        &'r mut self,
        payload: &[u8],
        piece: &mut &mut [u8],
        context: &DecodeContext<'_>,
    ) -> Result<Option<Received<'r>>, Violation> {
        match self.replace_bad_text(payload, context) {
            Ok(()) => self.deliver(Ready::Whole, None),
            Err(violation) => Err(self.fail(piece, violation)),
        }
    }

    fn replace_bad_text(
        &mut self,
        payload: &[u8],
        context: &DecodeContext<'_>,
    ) -> Result<(), Violation> {
        if context.validate_utf8 {
            return Err(Violation::TextNotUtf8);
        }
        let mut message = Message::new(&FrameHead::new(Opcode::Text), context);
        message.append(payload, 0)?;
        message.finish_whole()?;
        self.message = Some(Box::new(message));
        self.state = State::MessageDelivered;
        Ok(())
    }

    #[inline(never)]
    fn next_unusual<'r, 'i: 'r>(
        &'r mut self,
        piece: &mut &'i mut [u8],
        context: &'r mut DecodeContext<'_>,
    ) -> Result<Option<Received<'r>>, Violation> {
        if self.state == State::Idle
            && let Some((at, len)) = usual_frame(piece, self.role)
            && !exceeds(len as u64, context.max_message_size)
        {
            return self.take_usual(piece, at, len, context);
        }
        match self.advance(piece, context) {
            Ok(Ready::Nothing) => Ok(None),
            Ok(Ready::InPiece(received)) => Ok(Some(received)),
            Ok(ready) => self.deliver(ready, context.deflate.as_deref()),
            Err(violation) => Err(self.fail(piece, violation)),
        }
    }

    /// Takes a message in one frame, which begins and lies whole in the piece.
    fn take_usual<'r, 'i: 'r>(
        &'r mut self,
        piece: &mut &'i mut [u8],
        at: usize,
        len: usize,
        context: &DecodeContext<'_>,
    ) -> Result<Option<Received<'r>>, Violation> {
        let (head, payload) = split_front(piece, at + len).split_at_mut(at);
        if self.role == Role::Server
            && let Some(key) = head.last_chunk()
        {
            apply_mask(payload, *key);
        }
        if head[0] != FIN | Opcode::Text as u8 {
            return Ok(Some(Received::Binary(payload)));
        }
        match utf8::text(payload) {
            Ok(text) => Ok(Some(Received::Text(text))),
            Err(_) => self.bad_text(payload, piece, context),
        }
    }

    /// Ends in a violation.
    fn fail(&mut self, piece: &mut &mut [u8], violation: Violation) -> Violation {
        *piece = &mut [];
        self.state = State::Ended;
        self.message = None;
        self.control = None;
        self.inflater = None;
        violation
    }

    /// Borrows what is ready from where it is kept.
    fn deliver<'r>(
        &'r mut self,
        ready: Ready<'_>,
        workspace: Option<&'r DeflateWorkspace>,
    ) -> Result<Option<Received<'r>>, Violation> {
        let state = &mut self.state;
        let mut checked = |text: Result<&'r str, Violation>| {
            let text = text.inspect_err(|_| *state = State::Ended)?;
            Ok(Some(Received::Text(text)))
        };
        match (ready, &self.message, &self.control, workspace) {
            (Ready::Control, _, Some(control), _) => {
                received_control(self.opcode, control.as_bytes()).map(Some)
            }
            (Ready::Fragment, Some(message), ..) => Ok(Some(Received::Fragment {
                opcode: message.fragment_opcode,
                payload: message.fragment(),
                fin: self.fin,
            })),
            (Ready::Whole, Some(message), ..) => match message.is_text {
                true => checked(message.as_text()),
                false => Ok(Some(Received::Binary(message.as_bytes()))),
            },
            (Ready::Inflated, _, _, Some(workspace)) => match self.opcode {
                Opcode::Text => checked(utf8::text(&workspace.inflated)),
                _ => Ok(Some(Received::Binary(&workspace.inflated))),
            },
            _ => Ok(None),
        }
    }
}

/// Takes so many bytes from the front.
#[inline(always)]
fn split_front<'i>(piece: &mut &'i mut [u8], len: usize) -> &'i mut [u8] {
    let (front, rest) = mem::take(piece).split_at_mut(len);
    *piece = rest;
    front
}

const _: () = assert!(size_of::<Decoder>() <= 64);
