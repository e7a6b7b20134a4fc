//! All frames but the usual ones, step by step: cut, fragmented or compressed ones, control frames.

use std::mem;

use super::control::received_control;
use super::{Decoder, Ready, State, split_front};
use crate::websocket::frame::{FrameHead, Opcode, Role};
use crate::websocket::mask::Mask;
use crate::websocket::message::{Message, SLICE_BYTES_MAX, exceeds, inflated_max};
use crate::websocket::received::{DecodeContext, FragmentedMessages, Received};
use crate::websocket::utf8;
use crate::websocket::violation::Violation;

impl Decoder {
    /// Goes on until something is ready or all is taken.
    pub(super) fn advance<'i>(
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
}

/// How much memory for a decompressed message a thread keeps.
const INFLATED_KEPT_MAX: usize = 64 * 1024;
