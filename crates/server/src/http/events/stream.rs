//! A stream of events as the driver takes it: what is sent, a comment when nothing is, the end when the
//! server stops.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tidegate_httpapi::BodySource;
use tokio::time::{Instant, Sleep};

use super::event::Event;
use super::hub::Reader;
use crate::component::Shared;
use crate::http::stream::Channel;

/// Where events come from, framed.
pub(super) enum Feed {
    Sender(Channel),
    Hub(Reader),
}

impl Feed {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        match self {
            Self::Sender(channel) => channel.poll_chunk(context),
            Self::Hub(reader) => reader.poll_next(context).map(|event| event.map(Ok)),
        }
    }

    /// Takes no more: what is there already is the last.
    fn close(&mut self) {
        match self {
            Self::Sender(channel) => channel.close(),
            Self::Hub(reader) => reader.close(),
        }
    }
}

/// A stream that nobody has asked for events yet.
pub(in crate::http) struct Opening {
    feed: Feed,
    heartbeat: Option<Duration>,
    first: Option<Bytes>,
}

impl Opening {
    pub(super) fn new(feed: Feed, heartbeat: Option<Duration>, retry: Option<Duration>) -> Self {
        // Digits can always be written.
        let first = retry.and_then(|retry| Event::empty().retry(retry).encode().ok());
        Self {
            feed,
            heartbeat,
            first,
        }
    }

    /// As the driver takes it.
    pub(in crate::http) fn open(self, shared: &Shared) -> io::Result<Box<dyn BodySource>> {
        let streams = shared.event_streams();
        let heartbeat = self.heartbeat.unwrap_or_else(|| streams.heartbeat());
        if !heartbeat.is_zero() {
            // Its timer is what wakes an idle stream.
            shared.runtime().handle()?;
        }
        Ok(Box::new(EventStream {
            feed: self.feed,
            first: self.first,
            heartbeat: Heartbeat::new(heartbeat),
            end: Some(Box::pin(streams.ended())),
        }))
    }
}

struct EventStream {
    feed: Feed,
    first: Option<Bytes>,
    heartbeat: Heartbeat,
    /// Done when the server begins to stop; `None` since then.
    end: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl BodySource for EventStream {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if let Some(end) = &mut self.end
            && end.as_mut().poll(context).is_ready()
        {
            self.end = None;
            self.feed.close();
        }
        if let Poll::Ready(event) = self.feed.poll_next(context) {
            self.heartbeat.sent();
            return Poll::Ready(event);
        }
        ready!(self.heartbeat.poll(context));
        Poll::Ready(Some(Ok(Bytes::from_static(COMMENT))))
    }

    fn ends_with_peer(&self) -> bool {
        true
    }
}

/// A line that clients pass over, as the HTML standard's own examples have it.
const COMMENT: &[u8] = b":\n\n";

/// Tells when nothing has been sent for long. Its timer is set once in an interval, however much is sent.
struct Heartbeat {
    every: Duration,
    sent: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Heartbeat {
    fn new(every: Duration) -> Self {
        Self {
            every,
            sent: None,
            timer: None,
        }
    }

    /// Something is sent now.
    fn sent(&mut self) {
        if !self.every.is_zero() {
            self.sent = Some(Instant::now());
        }
    }

    /// Ready when it is time for a comment, which is sent then.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.every.is_zero() {
            return Poll::Pending;
        }
        let every = self.every;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(every)));
        loop {
            ready!(timer.as_mut().poll(context));
            let now = Instant::now();
            let due = self.sent.map_or(now, |sent| sent + every);
            if due <= now {
                self.sent = Some(now);
                timer.as_mut().reset(now + every);
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::super::hub::EventHub;
    use super::super::settings::EventStreamSettings;
    use super::super::streams::EventStreams;
    use super::*;
    use crate::http::stream::channel;

    const EVERY: Duration = Duration::from_secs(15);

    fn stream(feed: Feed, streams: &EventStreams) -> EventStream {
        EventStream {
            feed,
            first: None,
            heartbeat: Heartbeat::new(streams.heartbeat()),
            end: Some(Box::pin(streams.ended())),
        }
    }

    fn started() -> EventStreams {
        let streams = EventStreams::new();
        streams.begin(&EventStreamSettings { heartbeat: EVERY });
        streams
    }

    async fn next(stream: &mut EventStream) -> Option<Bytes> {
        let piece = poll_fn(|context| stream.poll_chunk(context)).await;
        piece.map(Result::unwrap)
    }

    fn is_pending(stream: &mut EventStream) -> bool {
        let mut context = Context::from_waker(std::task::Waker::noop());
        stream.poll_chunk(&mut context).is_pending()
    }

    #[tokio::test(start_paused = true)]
    async fn a_comment_goes_out_when_nothing_else_does() {
        let (sender, receiver) = channel(4);
        let streams = started();
        let mut stream = stream(Feed::Sender(receiver), &streams);
        let begin = Instant::now();
        assert_eq!(next(&mut stream).await.unwrap(), COMMENT);
        assert_eq!(begin.elapsed(), EVERY);
        assert_eq!(next(&mut stream).await.unwrap(), COMMENT);
        assert_eq!(begin.elapsed(), EVERY * 2);
        // An event puts the next one off.
        tokio::time::advance(EVERY / 3).await;
        sender.try_send("event").unwrap();
        assert_eq!(next(&mut stream).await.unwrap(), "event");
        let sent = Instant::now();
        assert_eq!(next(&mut stream).await.unwrap(), COMMENT);
        assert_eq!(sent.elapsed(), EVERY);
        drop(sender);
        assert_eq!(next(&mut stream).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_heartbeat_nothing_goes_out() {
        let (_sender, receiver) = channel(4);
        let streams = EventStreams::new();
        streams.begin(&EventStreamSettings {
            heartbeat: Duration::ZERO,
        });
        let mut stream = stream(Feed::Sender(receiver), &streams);
        assert!(is_pending(&mut stream));
        tokio::time::advance(EVERY * 1000).await;
        assert!(is_pending(&mut stream));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_it_behind_what_was_sent() {
        let (sender, receiver) = channel(4);
        let streams = started();
        let mut sent = stream(Feed::Sender(receiver), &streams);
        let hub = EventHub::new();
        let mut of_hub = stream(Feed::Hub(hub.subscribe(None).into_parts().0), &streams);
        assert!(is_pending(&mut sent) && is_pending(&mut of_hub));
        sender.try_send("last").unwrap();
        hub.send("last").unwrap();
        streams.end();
        assert_eq!(next(&mut sent).await.unwrap(), "last");
        assert!(sender.try_send("late").is_err() && sender.is_closed());
        assert_eq!(next(&mut sent).await, None);
        assert!(
            next(&mut of_hub)
                .await
                .unwrap()
                .ends_with(b"data: last\n\n")
        );
        hub.send("late").unwrap();
        assert_eq!(next(&mut of_hub).await, None);
        // One that is opened while the server stops ends at once.
        let (_sender, receiver) = channel(4);
        assert_eq!(
            next(&mut stream(Feed::Sender(receiver), &streams)).await,
            None
        );
    }
}
