//! The same events for many clients.
//!
//! The last events are kept in one ring, each framed once. A client has a place in the ring and nothing of
//! its own: what it has yet to take and what a client that comes back has missed are the same memory, and one
//! number bounds both. A client whose place has been overwritten is too slow, and its stream ends.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use super::event::{Event, EventFault};
use crate::http::request::Request;
use crate::http::response::Response;
use crate::http::source::RequestSource;

/// Sends events to all clients that have subscribed to it, from any thread. Clones are handles to the same
/// one; when the last is dropped, all its streams end.
///
/// ```no_run
/// use tidegate::{Event, EventHub, Server};
///
/// fn main() -> Result<(), tidegate::Error> {
///     let prices = EventHub::new();
///     let hub = prices.clone();
///     let server = Server::builder()
///         .port(8080)
///         .on_http_request(move |request, response| hub.answer(request, response))
///         .build()?;
///     server.start()?;
///     for price in 100..200 {
///         prices.send(Event::new(price.to_string()).event("price")).expect("a name without line ends");
///         std::thread::sleep(std::time::Duration::from_secs(1));
///     }
///     Ok(())
/// }
/// ```
///
/// An event is framed once, kept once, and sent to each client as fast as that takes it. Nothing waits for a
/// slow client: one that falls further behind than the hub keeps events has its stream ended. It connects
/// again, as browsers do by themselves, with the id of the last event it got, and goes on behind that.
#[derive(Clone)]
pub struct EventHub {
    publisher: Arc<Publisher>,
}

/// How much a hub keeps, and how its streams are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventHubOptions {
    /// Most of the last events that are kept: for clients that come back, and so that a client may be slow
    /// for a while. Default 1024, at least 1.
    pub events_kept: usize,
    /// Most bytes of events that are kept, their framing included. Default 1 MiB. The last event is kept
    /// however long it is.
    pub bytes_kept: usize,
    /// Whether events that have no id are given one, without which a client that comes back cannot say what
    /// it has. Default true.
    pub numbers_events: bool,
    /// As [`EventStreamOptions::heartbeat`](super::EventStreamOptions::heartbeat).
    pub heartbeat: Option<Duration>,
    /// As [`EventStreamOptions::retry`](super::EventStreamOptions::retry).
    pub retry: Option<Duration>,
}

impl Default for EventHubOptions {
    fn default() -> Self {
        Self {
            events_kept: 1024,
            bytes_kept: 1024 * 1024,
            numbers_events: true,
            heartbeat: None,
            retry: None,
        }
    }
}

/// What a client that comes back with the id of its last event is sent of what it has missed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Replay {
    /// It named no event: it gets what is sent from now on.
    Fresh,
    /// All of it: this many events.
    Complete(usize),
    /// The event that it named is not kept, or was never sent. It gets all events that are kept, between
    /// which and its last one some may be missing.
    Incomplete,
}

impl EventHub {
    /// A hub with the default options.
    pub fn new() -> Self {
        Self::with_options(EventHubOptions::default())
    }

    /// A hub with these options.
    pub fn with_options(options: EventHubOptions) -> Self {
        Self {
            publisher: Arc::new(Publisher(Arc::new(Hub {
                run: RandomState::new().hash_one(0) as u32,
                options,
                state: Mutex::default(),
            }))),
        }
    }

    /// Sends an event to all clients there are. Never waits.
    ///
    /// # Errors
    ///
    /// The event cannot be written; nobody gets it then. The caller's fault.
    pub fn send(&self, event: impl Into<Event>) -> Result<(), EventFault> {
        let hub = self.hub();
        let event = event.into();
        let mut state = hub.state();
        let event = match event.given_id() {
            None if hub.options.numbers_events => event.id(format!("{:x}-{}", hub.run, state.next)),
            _ => event,
        };
        let frame = event.encode()?;
        state.keep(event.given_id().unwrap_or_default(), frame, &hub.options);
        let waiting = state.take_wakers();
        drop(state);
        for waker in waiting {
            waker.wake();
        }
        Ok(())
    }

    /// Answers a request with the events from now on, or, where the client comes back, from behind the last
    /// one it got. Says which.
    pub fn answer<S: RequestSource>(&self, request: &Request<'_, S>, response: &mut Response) {
        response.events_of(self.subscribe(request.last_event_id().as_deref()));
    }

    /// A place among the events: nothing that is sent from now on is missed by it. To be given to
    /// [`Response::events_of`], once the client has been told what it needs to know first.
    ///
    /// ```
    /// use tidegate::{Event, EventHub, Replay};
    ///
    /// # fn handler(hub: &EventHub, request: &tidegate::Request<'_>, response: &mut tidegate::Response) {
    /// let mut subscription = hub.subscribe(request.last_event_id().as_deref());
    /// if !matches!(subscription.replay(), Replay::Complete(_)) {
    ///     subscription.first(Event::new("all there is").event("snapshot")).expect("a good name");
    /// }
    /// response.events_of(subscription);
    /// # }
    /// ```
    pub fn subscribe(&self, last_event_id: Option<&str>) -> Subscription {
        let hub = self.hub();
        let mut state = hub.state();
        let last = last_event_id.filter(|id| !id.is_empty());
        let (place, replay) = match last.map(|id| state.find(id)) {
            None => (state.next, Replay::Fresh),
            Some(Some(found)) => {
                let missed = state.next - (found + 1);
                (found + 1, Replay::Complete(missed as usize))
            }
            Some(None) => (state.first(), Replay::Incomplete),
        };
        let slot = state.open_slot();
        Subscription {
            replay,
            reader: Reader {
                first: VecDeque::new(),
                place,
                until: u64::MAX,
                slot,
                endings: state.endings,
                hub: Arc::clone(hub),
            },
        }
    }

    /// How many streams there are now.
    pub fn clients(&self) -> usize {
        self.hub().state().clients
    }

    /// How many streams have been ended because their clients were too slow.
    pub fn clients_dropped(&self) -> u64 {
        self.hub().state().dropped
    }

    /// Ends all streams, behind what has been sent. Clients connect again.
    pub fn disconnect_all(&self) {
        self.hub().disconnect_all();
    }

    fn hub(&self) -> &Arc<Hub> {
        &self.publisher.0
    }
}

impl Default for EventHub {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for EventHub {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EventHub")
            .field("clients", &self.clients())
            .finish_non_exhaustive()
    }
}

/// What all handles to a hub share. When it goes, nobody can send any more.
struct Publisher(Arc<Hub>);

impl Drop for Publisher {
    fn drop(&mut self) {
        self.0.disconnect_all();
    }
}

struct Hub {
    options: EventHubOptions,
    /// Begins the ids that are given: an id of another hub, or of a program that ran before, is not taken
    /// for one of these.
    run: u32,
    /// Guards all there is; held to look and to note only, never while anybody is woken.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: VecDeque<Kept>,
    /// The number of the next event; events are numbered from 0.
    next: u64,
    bytes: usize,
    /// By reader: who waits for the next event.
    slots: Vec<Option<Waker>>,
    free: Vec<usize>,
    clients: usize,
    dropped: u64,
    /// How often all streams have been told to end, and the number of the event that was next then.
    endings: u64,
    ended_at: u64,
}

struct Kept {
    id: Box<str>,
    frame: Bytes,
}

impl Hub {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn disconnect_all(&self) {
        let mut state = self.state();
        state.endings += 1;
        state.ended_at = state.next;
        let waiting = state.take_wakers();
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl State {
    /// The number of the first event that is kept.
    fn first(&self) -> u64 {
        self.next - self.kept.len() as u64
    }

    fn keep(&mut self, id: &str, frame: Bytes, options: &EventHubOptions) {
        self.next += 1;
        self.bytes += id.len() + frame.len();
        self.kept.push_back(Kept {
            id: id.into(),
            frame,
        });
        while self.kept.len() > 1
            && (self.kept.len() > options.events_kept || self.bytes > options.bytes_kept)
            && let Some(oldest) = self.kept.pop_front()
        {
            self.bytes -= oldest.id.len() + oldest.frame.len();
        }
    }

    /// The number of the last event with this id, which is not empty.
    fn find(&self, id: &str) -> Option<u64> {
        let behind = self.kept.iter().rev().position(|kept| *kept.id == *id)?;
        Some(self.next - 1 - behind as u64)
    }

    fn take_wakers(&mut self) -> Vec<Waker> {
        self.slots.iter_mut().filter_map(Option::take).collect()
    }

    fn open_slot(&mut self) -> usize {
        self.clients += 1;
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        })
    }

    fn close_slot(&mut self, slot: usize) {
        self.clients -= 1;
        self.slots[slot] = None;
        self.free.push(slot);
    }
}

/// A client's place among the events of a hub.
#[derive(Debug)]
pub struct Subscription {
    replay: Replay,
    reader: Reader,
}

impl Subscription {
    /// What it begins with.
    pub fn replay(&self) -> Replay {
        self.replay
    }

    /// Sends this client an event of its own before those of the hub; several go out in the order given.
    ///
    /// # Errors
    ///
    /// The event cannot be written. The caller's fault.
    pub fn first(&mut self, event: impl Into<Event>) -> Result<(), EventFault> {
        self.reader.first.push_back(event.into().encode()?);
        Ok(())
    }

    pub(super) fn into_parts(self) -> (Reader, Option<Duration>, Option<Duration>) {
        let options = &self.reader.hub.options;
        let (heartbeat, retry) = (options.heartbeat, options.retry);
        (self.reader, heartbeat, retry)
    }
}

/// Takes the events from its place on.
pub(super) struct Reader {
    hub: Arc<Hub>,
    /// What comes before them.
    first: VecDeque<Bytes>,
    /// The number of the next event it takes, and of the one that it does not take any more.
    place: u64,
    until: u64,
    slot: usize,
    /// As in [`State`], when last looked at.
    endings: u64,
}

impl Reader {
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(first) = self.first.pop_front() {
            return Poll::Ready(Some(first));
        }
        let mut state = self.hub.state();
        if self.endings != state.endings {
            self.endings = state.endings;
            self.until = self.until.min(state.ended_at);
        }
        if self.place >= self.until {
            return Poll::Ready(None);
        }
        let Some(ahead) = self.place.checked_sub(state.first()) else {
            state.dropped += 1;
            self.until = self.place;
            return Poll::Ready(None);
        };
        if let Some(kept) = state.kept.get(ahead as usize) {
            self.place += 1;
            return Poll::Ready(Some(kept.frame.clone()));
        }
        match &mut state.slots[self.slot] {
            Some(waker) => waker.clone_from(context.waker()),
            empty => *empty = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Takes no more than what there is now.
    pub(super) fn close(&mut self) {
        let next = self.hub.state().next;
        self.until = self.until.min(next);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.hub.state().close_slot(self.slot);
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Reader")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    fn hub(events_kept: usize) -> EventHub {
        EventHub::with_options(EventHubOptions {
            events_kept,
            numbers_events: false,
            ..EventHubOptions::default()
        })
    }

    fn send(hub: &EventHub, ids: std::ops::RangeInclusive<u32>) {
        for id in ids {
            hub.send(Event::new("").id(id.to_string())).unwrap();
        }
    }

    /// The ids of what there is for a reader now, and whether its stream goes on behind that.
    fn taken(reader: &mut Reader) -> (Vec<String>, bool) {
        let mut context = Context::from_waker(Waker::noop());
        let mut ids = Vec::new();
        loop {
            match reader.poll_next(&mut context) {
                Poll::Ready(Some(frame)) => {
                    let text = String::from_utf8(frame.to_vec()).unwrap();
                    ids.push(text["id: ".len()..].split('\n').next().unwrap().to_owned());
                }
                Poll::Ready(None) => return (ids, false),
                Poll::Pending => return (ids, true),
            }
        }
    }

    fn ids(of: &[&str]) -> Vec<String> {
        of.iter().map(|&id| id.to_owned()).collect()
    }

    #[test]
    fn all_get_the_same_from_when_they_came() {
        let hub = hub(10);
        send(&hub, 1..=2);
        let mut first = hub.subscribe(None).reader;
        send(&hub, 3..=4);
        let mut second = hub.subscribe(Some("")).reader;
        send(&hub, 5..=5);
        assert_eq!(taken(&mut first), (ids(&["3", "4", "5"]), true));
        assert_eq!(taken(&mut second), (ids(&["5"]), true));
        assert_eq!(hub.clients(), 2);
        // Framed once: it is the same memory.
        let mut context = Context::from_waker(Waker::noop());
        send(&hub, 6..=6);
        let mut take = |reader: &mut Reader| match reader.poll_next(&mut context) {
            Poll::Ready(Some(frame)) => frame.as_ptr(),
            other => panic!("{other:?}"),
        };
        assert_eq!(take(&mut first), take(&mut second));
        drop((first, second));
        assert_eq!(hub.clients(), 0);
    }

    #[test]
    fn who_comes_back_gets_what_it_has_missed() {
        let hub = hub(3);
        send(&hub, 1..=5);
        for (last, replay, missed) in [
            (None, Replay::Fresh, &[] as &[&str]),
            (Some("5"), Replay::Complete(0), &[]),
            (Some("4"), Replay::Complete(1), &["5"]),
            (Some("3"), Replay::Complete(2), &["4", "5"]),
            (Some("2"), Replay::Incomplete, &["3", "4", "5"]),
            (Some("x"), Replay::Incomplete, &["3", "4", "5"]),
        ] {
            let mut subscription = hub.subscribe(last);
            assert_eq!(subscription.replay(), replay, "{last:?}");
            assert_eq!(
                taken(&mut subscription.reader),
                (ids(missed), true),
                "{last:?}"
            );
        }
        // The last of several with one id counts.
        send(&hub, 5..=5);
        assert_eq!(hub.subscribe(Some("5")).replay(), Replay::Complete(0));
    }

    #[test]
    fn what_a_client_is_to_know_first_comes_first() {
        let hub = hub(3);
        let mut subscription = hub.subscribe(None);
        send(&hub, 1..=1);
        let bad = Event::new("").id("a\nb");
        assert_eq!(subscription.first(bad), Err(EventFault::Id));
        subscription.first(Event::new("").id("first")).unwrap();
        subscription.first(Event::new("").id("second")).unwrap();
        let found = taken(&mut subscription.reader);
        assert_eq!(found, (ids(&["first", "second", "1"]), true));
    }

    #[test]
    fn who_falls_too_far_behind_is_ended_and_nobody_else() {
        let hub = hub(3);
        let (mut slow, mut fast) = (hub.subscribe(None).reader, hub.subscribe(None).reader);
        send(&hub, 1..=3);
        assert_eq!(taken(&mut fast).0.len(), 3);
        send(&hub, 4..=4);
        assert_eq!(taken(&mut slow), (vec![], false));
        assert_eq!(taken(&mut slow), (vec![], false));
        assert_eq!(taken(&mut fast), (ids(&["4"]), true));
        assert_eq!(hub.clients_dropped(), 1);
        // At the limit it is not.
        let mut slow = hub.subscribe(None).reader;
        send(&hub, 5..=7);
        assert_eq!(taken(&mut slow), (ids(&["5", "6", "7"]), true));
    }

    #[test]
    fn what_is_kept_is_bounded_by_number_and_by_bytes() {
        let hub = EventHub::with_options(EventHubOptions {
            events_kept: 0,
            ..EventHubOptions::default()
        });
        hub.send("one").unwrap();
        hub.send("two").unwrap();
        assert_eq!(hub.hub().state().kept.len(), 1);
        let hub = EventHub::with_options(EventHubOptions {
            bytes_kept: 1000,
            ..EventHubOptions::default()
        });
        for _ in 0..100 {
            hub.send("x".repeat(90)).unwrap();
            assert!(hub.hub().state().bytes <= 1000);
        }
        assert!(hub.hub().state().kept.len() > 7);
        hub.send("x".repeat(5000)).unwrap();
        assert_eq!(hub.hub().state().kept.len(), 1);
        hub.send("x").unwrap();
        let state = hub.hub().state();
        let counted = state
            .kept
            .iter()
            .map(|kept| kept.id.len() + kept.frame.len());
        assert_eq!(state.bytes, counted.sum::<usize>());
    }

    #[test]
    fn events_without_an_id_are_given_one_that_no_other_hub_gives() {
        let (hub, other) = (EventHub::new(), EventHub::new());
        let mut reader = hub.subscribe(None).reader;
        hub.send("one").unwrap();
        hub.send(Event::new("two").id("own")).unwrap();
        hub.send("three").unwrap();
        let (given, _) = taken(&mut reader);
        assert_eq!(given[1], "own");
        assert_eq!(hub.subscribe(Some(&given[0])).replay(), Replay::Complete(2));
        assert_eq!(hub.subscribe(Some("own")).replay(), Replay::Complete(1));
        other.send("one").unwrap();
        assert_eq!(
            other.subscribe(Some(&given[0])).replay(),
            Replay::Incomplete
        );
        // An event that cannot be written reaches nobody.
        assert_eq!(
            hub.send(Event::new("").event("a\rb")),
            Err(EventFault::Name)
        );
        assert_eq!(taken(&mut reader), (vec![], true));
    }

    #[test]
    fn streams_end_when_nobody_can_send_any_more_or_all_are_told_to() {
        let hub = hub(10);
        let mut reader = hub.subscribe(None).reader;
        send(&hub, 1..=1);
        hub.disconnect_all();
        send(&hub, 2..=2);
        assert_eq!(taken(&mut reader), (ids(&["1"]), false));
        let mut reader = hub.subscribe(None).reader;
        let handle = hub.clone();
        drop(hub);
        send(&handle, 3..=3);
        assert_eq!(taken(&mut reader), (ids(&["3"]), true));
        drop(handle);
        assert_eq!(taken(&mut reader), (vec![], false));
    }

    #[test]
    fn who_waits_is_woken_once_for_each_event() {
        #[derive(Default)]
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let hub = hub(10);
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        let mut reader = hub.subscribe(None).reader;
        // Asked for twice, it waits once.
        assert!(reader.poll_next(&mut context).is_pending());
        assert!(reader.poll_next(&mut context).is_pending());
        send(&hub, 1..=1);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        // It does not wait until it has asked again.
        send(&hub, 2..=2);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(taken(&mut reader).0.len(), 2);
        assert!(reader.poll_next(&mut context).is_pending());
        hub.disconnect_all();
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        // Slots are used again.
        drop(reader);
        drop(hub.subscribe(None));
        assert_eq!(hub.hub().state().slots.len(), 1);
    }
}
