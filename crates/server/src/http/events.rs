//! Answering with events that the server sends when they happen, for as long as the client listens.
//!
//! Here is how an application opens such a stream and what it sends through. What an event is, and how it is
//! written, is in `event`; one sender for many clients in `hub`; what keeps a stream up and ends it in
//! `stream` and `streams`. Source: the HTML standard, "Server-sent events"; component.md §2.3.

mod event;
mod hub;
mod settings;
mod stream;
mod streams;

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

pub use event::{Event, EventFault};
pub use hub::{EventHub, EventHubOptions, Replay, Subscription};
pub use settings::{EventStreamOptions, EventStreamSettings};

pub(super) use stream::Opening;
pub(crate) use streams::EventStreams;

use super::request::Request;
use super::response::Response;
use super::source::RequestSource;
use super::stream::{BodySender, SendError, Source};
use stream::Feed;

impl Response {
    /// Answers with events that are sent when they happen: the content is `text/event-stream`, which
    /// browsers read with `EventSource`, and it goes on until the sender is dropped, the client leaves or
    /// the server stops.
    ///
    /// The sender goes to another thread or task: the response has to leave the handler first. No thread is
    /// held for a stream. While nothing is sent, a comment goes out from time to time
    /// ([`heartbeat`](EventStreamSettings::heartbeat)), so that proxies keep the connection and a client that
    /// has vanished is noticed. A stop of the server ends all streams as it begins; what was sent before it
    /// still goes out.
    ///
    /// `Cache-Control: no-cache` is set. Proxies that gather answers need to be told not to; nginx goes by
    /// `X-Accel-Buffering: no`.
    ///
    /// ```
    /// use tidegate::Event;
    ///
    /// # fn handler(response: &mut tidegate::Response) {
    /// let events = response.events();
    /// std::thread::spawn(move || {
    ///     for number in 1.. {
    ///         let event = Event::new(format!("number {number}")).event("count").id(number.to_string());
    ///         // Waits while the client is slow, and fails when it has left.
    ///         if events.blocking_send(event).is_err() {
    ///             break;
    ///         }
    ///     }
    /// });
    /// # }
    /// ```
    ///
    /// For the same events to many clients, see [`EventHub`].
    #[must_use = "events come through the sender"]
    pub fn events(&mut self) -> EventSender {
        self.events_with(EventStreamOptions::default())
    }

    /// As [`events`](Self::events), with options of this stream alone.
    #[must_use = "events come through the sender"]
    pub fn events_with(&mut self, options: EventStreamOptions) -> EventSender {
        let (sender, channel) = super::stream::channel(options.buffer);
        self.put_events(Feed::Sender(channel), options.heartbeat, options.retry);
        EventSender(sender)
    }

    /// Answers with the events of a hub. See [`EventHub::subscribe`].
    pub fn events_of(&mut self, subscription: Subscription) {
        let (reader, heartbeat, retry) = subscription.into_parts();
        self.put_events(Feed::Hub(reader), heartbeat, retry);
    }

    fn put_events(&mut self, feed: Feed, heartbeat: Option<Duration>, retry: Option<Duration>) {
        self.content_type("text/event-stream")
            .cache_control("no-cache");
        let opening = Opening::new(feed, heartbeat, retry);
        self.set_source(Source::Events(Box::new(opening)));
    }
}

impl<S: RequestSource> Request<'_, S> {
    /// The `Last-Event-ID`: the id of the last event that a client got before its connection was lost. It
    /// asks for what came after that.
    pub fn last_event_id(&self) -> Option<Cow<'_, str>> {
        // The HTML standard: a client that has no last id sends no field.
        self.header("Last-Event-ID").filter(|id| !id.is_empty())
    }
}

/// Sends events to one client, from any thread and from async tasks. Dropping it ends the stream, after
/// which a browser connects again.
///
/// It holds up to [`buffer`](EventStreamOptions::buffer) events that the client has yet to take. When it is
/// full, [`try_send`](Self::try_send) says so, and the others wait. May be cloned: all have to be dropped
/// then. One that is dropped by a panic breaks the connection off.
#[derive(Clone, Debug)]
pub struct EventSender(BodySender);

impl EventSender {
    /// Sends an event, and waits while the buffer is full.
    ///
    /// # Errors
    ///
    /// The event cannot be written ([`SendError::Event`], the caller's fault), or nobody takes it any more:
    /// the client has left, or the server stops.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped before it is done, the event is not sent.
    pub async fn send(&self, event: impl Into<Event>) -> Result<(), SendError> {
        self.0.send(encode(event)?).await
    }

    /// As [`send`](Self::send), holding the calling thread. Not for async handlers, where it panics.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Panics
    ///
    /// When called in an async task.
    pub fn blocking_send(&self, event: impl Into<Event>) -> Result<(), SendError> {
        self.0.blocking_send(encode(event)?)
    }

    /// Sends an event if there is room for it now.
    ///
    /// # Errors
    ///
    /// The buffer is full, or as [`send`](Self::send).
    pub fn try_send(&self, event: impl Into<Event>) -> Result<(), SendError> {
        self.0.try_send(encode(event)?)
    }

    /// Whether nobody takes events any more: the client has left, or the server stops.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Done once nobody takes events any more.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

fn encode(event: impl Into<Event>) -> Result<Bytes, SendError> {
    event.into().encode().map_err(SendError::Event)
}
