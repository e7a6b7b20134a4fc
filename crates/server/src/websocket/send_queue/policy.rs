//! How much may wait on a connection, what goes first, and what becomes of the rest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How early a waiting message is sent. Source: the component's QueueOptions, qmNone to qmLevel3.
///
/// Of what waits, all of a level goes before any of the next, and in the order in which it was sent.
/// A streamed message goes as one: its level is that of its first part.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Before all others, since it would not wait at all if the peer were fast enough. The default.
    #[default]
    None,
    /// After none.
    Level1,
    /// After level 1.
    Level2,
    /// Last.
    Level3,
}

/// What becomes of a message for which a connection's queue has no room.
///
/// A queue takes a message that is longer than all its room when nothing else waits. Of a streamed
/// message whose first part has been sent nothing is dropped, for the peer could not tell where it ends;
/// its parts have room of their own, as much again. When that is full too, `wait` waits and every other
/// policy ends the connection.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Overflow {
    /// Who sends waits until there is room. Nothing is lost. The default.
    #[default]
    Wait,
    /// The message that has waited longest is dropped, of whatever level, and so on until there is room.
    ///
    /// For what is worth nothing when it is late. A streamed message is dropped whole, also with parts
    /// that come after.
    DropOldest,
    /// The new message is dropped. A streamed one that has not begun to be sent is dropped whole.
    DropNewest,
    /// A waiting message with the same key is replaced by the new one, in its place, full or not.
    ///
    /// For values that replace each other, such as the price of an instrument: a slow peer gets fewer
    /// of them, and each is the latest. Where the queue is full and none has the key, the messages with
    /// keys that have waited longest are dropped: give the queue room for as many messages as there are
    /// keys, and that never happens. A message without a key is never dropped, for nothing says that it
    /// will be replaced; where dropping those with keys makes no room, the connection ends: a peer
    /// that connects again and asks for the state knows more than one that silently missed some.
    Coalesce,
    /// The connection ends.
    Disconnect,
}

/// How much may wait.
///
/// Frames that control the connection are not counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueLimits {
    /// Messages, and parts of streamed ones.
    pub(crate) messages: usize,
    /// Their bytes.
    pub(crate) bytes: usize,
}
