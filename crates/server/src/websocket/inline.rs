//! What a handler that runs on the driver's thread sends on its own connection.
//!
//! While the lane delivers what arrived on a connection, that connection's output lies here, and a
//! handler's sends go straight into it: no lock, no queue, no copy but the one into the output.

use std::cell::{Cell, RefCell};
use std::mem;

use tidegate_proto::websocket::{Opcode, encode_frame};

/// What the present thread's lane is about.
pub(super) struct Inline {
    /// The connection whose handlers are being called; 0: none.
    connection: u64,
    /// The connection's output.
    output: Vec<u8>,
    /// Up to where it may be filled directly; 0: not at all.
    room: usize,
    /// Messages that handlers have put there.
    messages: u64,
}

thread_local! {
    static INLINE: RefCell<Inline> = const {
        RefCell::new(Inline { connection: 0, output: Vec::new(), room: 0, messages: 0 })
    };
}

thread_local! {
    /// How many lanes the present thread has.
    static LANES: Cell<usize> = const { Cell::new(0) };
}

/// Whether the present thread must not wait for a lane, since it is one's: it also calls handlers of
/// requests and of errors.
pub(super) fn is_on_lane() -> bool {
    LANES.get() > 0
}

/// The present thread has a lane from now on.
pub(super) fn open_lane() {
    LANES.set(LANES.get() + 1);
}

/// A lane ends. Mostly its own thread ends it.
pub(super) fn close_lane() {
    LANES.set(LANES.get().saturating_sub(1));
}

/// Whether the handlers of this connection are being called on the present thread.
pub(super) fn is_in_handler_of(connection: u64) -> bool {
    INLINE.with_borrow(|inline| inline.connection == connection)
}

/// Lays a connection's output down for its handlers, to be filled up to `room` bytes.
#[inline]
pub(super) fn begin(connection: u64, output: &mut Vec<u8>, room: usize) {
    INLINE.with_borrow_mut(|inline| {
        inline.connection = connection;
        inline.room = room;
        inline.messages = 0;
        mem::swap(&mut inline.output, output);
    });
}

/// Takes the output back. Says how many messages handlers have put there.
#[inline]
pub(super) fn end(output: &mut Vec<u8>) -> u64 {
    INLINE.with_borrow_mut(|inline| {
        inline.connection = 0;
        mem::swap(&mut inline.output, output);
        inline.messages
    })
}

/// Sends a frame on the connection whose handlers are being called, if it is this one and there is
/// room. Says whether it has.
#[inline]
pub(super) fn send(connection: u64, opcode: Opcode, payload: &[u8]) -> bool {
    INLINE.with_borrow_mut(|inline| {
        if inline.connection != connection || inline.output.len() + payload.len() >= inline.room {
            return false;
        }
        encode_frame(&mut inline.output, opcode, payload);
        inline.messages += 1;
        true
    })
}

/// Has further sends of the connection being handled go into its queue: something is waiting there,
/// and they must not overtake it.
pub(super) fn close_direct_way() {
    INLINE.with_borrow_mut(|inline| inline.room = 0);
}
