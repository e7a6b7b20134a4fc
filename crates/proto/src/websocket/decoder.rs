//! What a peer sends becomes messages, over any split of its bytes.
//!
//! A message that lies whole in the bytes given is unmasked and delivered where it lies; only what is
//! cut or fragmented is put together in memory of its own. Answers, close handshake and timers are the
//! connection's matter. Source: RFC 6455 §5.4 to §5.6, §8.1.

use std::mem;

use super::close::CloseFrame;
use super::deflate::{DeflateWorkspace, Inflater};
use super::frame::{FIN, FrameHead, HEAD_BYTES_MAX, MASKED, Opcode, Role};
use super::mask::{Mask, apply_mask};
use super::message::{Message, SLICE_BYTES_MAX, exceeds, inflated_max};
use super::received::{DecodeContext, FragmentedMessages, Received};
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

    fn fail(&mut self, piece: &mut &mut [u8], violation: Violation) -> Violation {
        *piece = &mut [];
        self.state = State::Ended;
        self.message = None;
        self.control = None;
        self.inflater = None;
        violation
    }

    /// Goes on until something is ready or all is taken.
    fn advance<'i>(
        &mut self,
        piece: &mut &'i mut [u8],
        context: &mut DecodeContext<'_>,
    ) -> Result<Ready<'i>, Violation> {
        loop {
            match self.state {
                State::Idle | State::Head => match self.take_head(piece)? {
                    Some(head) => self.begin_frame(&head, piece.len(), context)?,
                    None => return Ok(Ready::Nothing),
                },
                State::Data => {
                    if let Some(ready) = self.take_data(piece, context)? {
                        return Ok(ready);
                    }
                }
                State::Control => return self.take_control(piece),
                State::Whole => {
                    if let Some(message) = &mut self.message {
                        message.finish_whole()?;
                    }
                    self.state = State::MessageDelivered;
                    return Ok(Ready::Whole);
                }
                State::ControlDelivered => {
                    self.control = None;
                    self.await_head();
                }
                State::FragmentDelivered => {
                    if let Some(message) = &mut self.message {
                        message.end_fragment();
                    }
                    self.state = State::Head;
                }
                State::MessageDelivered => {
                    self.message = None;
                    self.state = State::Idle;
                }
                State::Ended => {
                    *piece = &mut [];
                    self.message = None;
                    self.control = None;
                    self.inflater = None;
                    return Ok(Ready::Nothing);
                }
            }
        }
    }

    /// Takes a frame's head, or what there is of it.
    fn take_head(&mut self, piece: &mut &mut [u8]) -> Result<Option<FrameHead>, Violation> {
        if self.head_len == 0
            && let Some((head, len)) = FrameHead::parse(piece)?
        {
            split_front(piece, len);
            return Ok(Some(head));
        }
        while !piece.is_empty() {
            let len = usize::from(self.head_len);
            self.head[len] = split_front(piece, 1)[0];
            if let Some((head, _)) = FrameHead::parse(&self.head[..=len])? {
                self.head_len = 0;
                return Ok(Some(head));
            }
            self.head_len += 1;
            self.state = State::Head;
        }
        Ok(None)
    }

    /// Checks whether this frame may come now. So many bytes are there after its head.
    fn begin_frame(
        &mut self,
        head: &FrameHead,
        at_hand: usize,
        context: &DecodeContext<'_>,
    ) -> Result<(), Violation> {
        match (self.role, head.mask) {
            (Role::Server, None) => return Err(Violation::NotMasked),
            (Role::Client, Some(_)) => return Err(Violation::Masked),
            (Role::Server, Some(key)) => self.mask = Mask::new(key),
            (Role::Client, None) => {}
        }
        let begins = matches!(head.opcode, Opcode::Text | Opcode::Binary);
        if head.rsv1 && (!begins || self.inflater.is_none() || context.deflate.is_none()) {
            return Err(Violation::ReservedBits);
        }
        self.opcode = head.opcode;
        self.fin = head.fin;
        self.remaining = head.payload_len;
        self.state = match head.opcode.is_control() {
            true => State::Control,
            false => State::Data,
        };
        match (head.opcode, &mut self.message) {
            (Opcode::Continuation, None) => Err(Violation::NothingToContinue),
            (Opcode::Continuation, Some(message)) => {
                message.declare(head.payload_len, context.max_message_size)
            }
            (Opcode::Text | Opcode::Binary, Some(_)) => Err(Violation::MessageInterrupted),
            (Opcode::Text | Opcode::Binary, None) => {
                if exceeds(head.payload_len, context.max_message_size) {
                    return Err(Violation::MessageTooLarge);
                }
                self.is_compressed = head.rsv1;
                // A frame that is the whole message and whole in the piece is delivered from there.
                let in_piece_max = match head.rsv1 {
                    true => at_hand.min(SLICE_BYTES_MAX),
                    false => at_hand,
                };
                if !head.fin || head.payload_len > in_piece_max as u64 {
                    self.message = Some(Box::new(Message::new(head, context)));
                }
                Ok(())
            }
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => Ok(()),
        }
    }

    /// Takes what there is of the frame in progress, unmasked.
    fn take_payload<'i>(&mut self, piece: &mut &'i mut [u8]) -> &'i mut [u8] {
        let remaining = usize::try_from(self.remaining).unwrap_or(usize::MAX);
        let payload = split_front(piece, remaining.min(piece.len()));
        self.remaining -= payload.len() as u64;
        if self.role == Role::Server {
            self.mask.apply(payload);
        }
        payload
    }

    /// Takes what there is of a text, binary or continuation frame.
    fn take_data<'i>(
        &mut self,
        piece: &mut &'i mut [u8],
        context: &mut DecodeContext<'_>,
    ) -> Result<Option<Ready<'i>>, Violation> {
        if piece.is_empty() && self.remaining != 0 {
            return Ok(Some(Ready::Nothing));
        }
        let payload: &'i [u8] = self.take_payload(piece);
        let Some(message) = &mut self.message else {
            return self.deliver_in_piece(payload, context).map(Some);
        };
        if self.remaining == 0 && message.passes_fragments() {
            message.check_in_place(payload)?;
            let fragment = Received::Fragment {
                opcode: mem::replace(&mut message.fragment_opcode, Opcode::Continuation),
                payload,
                fin: self.fin,
            };
            self.state = State::Head;
            if self.fin {
                message.finish()?;
                self.state = State::MessageDelivered;
            }
            return Ok(Some(Ready::InPiece(fragment)));
        }
        let is_last = self.fin && self.remaining == 0;
        match &mut self.inflater {
            Some(inflater) if self.is_compressed => {
                message.append_inflated(payload, is_last, inflater, context)?;
            }
            _ => message.append(payload, self.remaining)?,
        }
        if self.remaining == 0 {
            return self.end_frame();
        }
        Ok(None)
    }

    /// A message in one frame, which lies whole in the piece.
    fn deliver_in_piece<'i>(
        &mut self,
        payload: &'i [u8],
        context: &mut DecodeContext<'_>,
    ) -> Result<Ready<'i>, Violation> {
        self.state = State::Idle;
        if self.is_compressed {
            return self.inflate_in_piece(payload, context);
        }
        if self.opcode != Opcode::Text {
            return Ok(Ready::InPiece(Received::Binary(payload)));
        }
        if let Ok(text) = utf8::text(payload) {
            return Ok(Ready::InPiece(Received::Text(text)));
        }
        self.replace_bad_text(payload, context)?;
        Ok(Ready::Whole)
    }

    /// A short compressed message, which lies whole in the piece.
    fn inflate_in_piece<'i>(
        &mut self,
        payload: &[u8],
        context: &mut DecodeContext<'_>,
    ) -> Result<Ready<'i>, Violation> {
        let (Some(inflater), Some(workspace)) = (&mut self.inflater, &mut context.deflate) else {
            return Err(Violation::ReservedBits);
        };
        let limit = inflated_max(context.max_message_size);
        let mut inflated = mem::take(&mut workspace.inflated);
        inflated.clear();
        inflater.inflate_last(payload, limit, workspace, &mut inflated)?;
        // What must be text is checked when it is delivered.
        let replaces = self.opcode == Opcode::Text && !context.validate_utf8;
        if replaces && utf8::text(&inflated).is_err() {
            self.replace_bad_text(&inflated, context)?;
            return Ok(Ready::Whole);
        }
        if inflated.capacity() > INFLATED_KEPT_MAX {
            // The thread keeps little; what is more belongs to the message, and is charged.
            let mut message = Message::new(&FrameHead::new(self.opcode), context);
            message.adopt(inflated)?;
            self.message = Some(Box::new(message));
            self.state = State::MessageDelivered;
            return Ok(Ready::Whole);
        }
        workspace.inflated = inflated;
        Ok(Ready::Inflated)
    }

    /// A frame has ended that was put into the message.
    fn end_frame<'i>(&mut self) -> Result<Option<Ready<'i>>, Violation> {
        let Some(message) = &mut self.message else {
            return Ok(None);
        };
        let delivers_whole = message.delivery != FragmentedMessages::Fragments;
        let delivers_fragments = message.delivery != FragmentedMessages::Whole;
        if self.fin {
            message.finish()?;
        }
        self.state = match self.fin {
            true if delivers_whole => State::Whole,
            true => State::MessageDelivered,
            false if delivers_fragments => State::FragmentDelivered,
            false => State::Head,
        };
        Ok(delivers_fragments.then_some(Ready::Fragment))
    }

    /// Takes what there is of a control frame.
    fn take_control<'i>(&mut self, piece: &mut &'i mut [u8]) -> Result<Ready<'i>, Violation> {
        let payload: &'i [u8] = self.take_payload(piece);
        if self.remaining == 0 && self.control.is_none() {
            self.await_head();
            let received = received_control(self.opcode, payload)?;
            if self.opcode == Opcode::Close {
                self.state = State::Ended;
            }
            return Ok(Ready::InPiece(received));
        }
        if payload.is_empty() {
            return Ok(Ready::Nothing);
        }
        let control = self.control.get_or_insert_default();
        control.append(payload);
        if self.remaining != 0 {
            return Ok(Ready::Nothing);
        }
        received_control(self.opcode, control.as_bytes())?;
        self.state = match self.opcode {
            Opcode::Close => State::Ended,
            _ => State::ControlDelivered,
        };
        Ok(Ready::Control)
    }

    /// Nothing is in progress but, perhaps, a message.
    fn await_head(&mut self) {
        self.state = match self.message {
            Some(_) => State::Head,
            None => State::Idle,
        };
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

/// A control frame's payload, put together.
#[derive(Debug)]
struct ControlPayload {
    bytes: [u8; CONTROL_BYTES_MAX],
    len: usize,
}

impl Default for ControlPayload {
    fn default() -> Self {
        Self {
            bytes: [0; CONTROL_BYTES_MAX],
            len: 0,
        }
    }
}

impl ControlPayload {
    fn append(&mut self, payload: &[u8]) {
        let end = self.len + payload.len();
        self.bytes[self.len..end].copy_from_slice(payload);
        self.len = end;
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Takes a client's frame that is all of a text or binary message, has the shortest length, and is
/// whole. Gives its payload, unmasked, and whether it is text.
#[inline(always)]
fn take_short<'i>(piece: &mut &'i mut [u8]) -> Option<(bool, &'i [u8])> {
    let (&[first, second], rest) = piece.split_first_chunk()?;
    let (&key, rest) = rest.split_first_chunk()?;
    let is_text = first == FIN | Opcode::Text as u8;
    // Large, if the mask is missing.
    let len = usize::from(second ^ MASKED);
    let is_short = len <= SHORT_MAX && len <= rest.len();
    if !is_short || (!is_text && first != FIN | Opcode::Binary as u8) {
        return None;
    }
    let (_, payload) = split_front(piece, SHORT_HEAD_BYTES + len).split_at_mut(SHORT_HEAD_BYTES);
    apply_mask(payload, key);
    Some((is_text, payload))
}

/// The lengths of head and payload of a frame that is all of a text or binary message, has one of the
/// two shorter lengths, and is whole.
#[inline(always)]
fn usual_frame(piece: &[u8], role: Role) -> Option<(usize, usize)> {
    let (&[first, second], rest) = piece.split_first_chunk()?;
    if first != FIN | Opcode::Text as u8 && first != FIN | Opcode::Binary as u8 {
        return None;
    }
    // Large, if the mask is not as it must be.
    let (masked, key_len) = match role {
        Role::Server => (MASKED, 4),
        Role::Client => (0, 0),
    };
    let (len, at) = match second ^ masked {
        short @ 0..126 => (usize::from(short), 2),
        126 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
        _ => return None,
    };
    let is_minimal = at == 2 || len > SHORT_MAX;
    (is_minimal && piece.len() >= at + key_len + len).then_some((at + key_len, len))
}

fn received_control(opcode: Opcode, payload: &[u8]) -> Result<Received<'_>, Violation> {
    Ok(match opcode {
        Opcode::Close => Received::Close(CloseFrame::parse(payload)?),
        Opcode::Ping => Received::Ping(payload),
        _ => Received::Pong(payload),
    })
}

#[inline(always)]
fn split_front<'i>(piece: &mut &'i mut [u8], len: usize) -> &'i mut [u8] {
    let (front, rest) = mem::take(piece).split_at_mut(len);
    *piece = rest;
    front
}

/// How much memory for a decompressed message a thread keeps.
const INFLATED_KEPT_MAX: usize = 64 * 1024;

/// The longest payload whose length stands in the second byte.
const SHORT_MAX: usize = 125;

/// Two bytes and a key.
const SHORT_HEAD_BYTES: usize = 6;

/// RFC 6455 §5.5.
const CONTROL_BYTES_MAX: usize = 125;

const _: () = assert!(size_of::<Decoder>() <= 64);
