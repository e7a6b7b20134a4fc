//! The thread of connections over server-sent events: a backend of its own for a lane of its own.
//!
//! A lane knows nothing of what carries its connections. Here are its calls, made as a backend's thread makes them:
//! what clients say is received, what the lane writes becomes events, its timers run.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_httpapi::{
    LaneHost, OpaqueConnection, OpaqueConnections, OpaqueEnd, OpaqueKey, OpaqueLane,
};

use super::batch;
use super::carried::{Arrival, Carried, Phase};
use super::inbox::{Inbox, Item};
use super::post::Post;
use super::session::Sessions;
use crate::component::Shared;
use crate::traffic::Firewall;
use crate::websocket::Lane;
use crate::websocket::settings::WebSocketSettings;

/// What the thread works with.
pub(super) struct Host {
    shared: Arc<Shared>,
    lane: Lane,
    connections: Connections,
    /// When which connection has to be looked at: one entry each at most.
    timers: BTreeSet<(Instant, u32)>,
    sessions: Arc<Sessions>,
    inbox: Arc<Inbox>,
}

/// Connections by the index in their keys.
#[derive(Default)]
struct Connections(Vec<Option<Box<Carried>>>);

impl Connections {
    fn find(&mut self, key: OpaqueKey) -> Option<&mut Carried> {
        let carried = self.at(key.index)?;
        (carried.session.key == key).then_some(carried)
    }

    fn at(&mut self, index: u32) -> Option<&mut Carried> {
        self.0.get_mut(index as usize)?.as_deref_mut()
    }
}

impl Host {
    /// On the thread, which the lane belongs to from now on.
    pub(super) fn new(
        shared: Arc<Shared>,
        (settings, firewall): (&Arc<WebSocketSettings>, Option<Arc<Firewall>>),
        host: LaneHost,
        sessions: Arc<Sessions>,
        inbox: Arc<Inbox>,
    ) -> Self {
        Self {
            lane: Lane::open(&shared, settings, firewall, host),
            shared,
            connections: Connections::default(),
            timers: BTreeSet::new(),
            sessions,
            inbox,
        }
    }

    /// The thread's life.
    pub(super) fn run(&mut self) {
        let mut items = Vec::new();
        loop {
            let next = self.timers.first().map(|(time, _)| *time);
            let is_woken = self.inbox.wait(next, &mut items);
            let now = Instant::now();
            for item in items.drain(..) {
                match item {
                    Item::Open(arrival) => self.open(*arrival, now),
                    Item::Post(post) => self.receive(post, now),
                    Item::Taken(key) => {
                        if self.connections.find(key).is_some() {
                            self.settle(key.index, now);
                        }
                    }
                    Item::Gone(key) => {
                        if self.connections.find(key).is_some() {
                            self.remove(key.index, OpaqueEnd::Failed);
                        }
                    }
                    Item::Stop => self.call_for_all(now, |lane, all| lane.stop(all)),
                    Item::Quit => return,
                }
            }
            if is_woken {
                self.call_for_all(now, |lane, all| lane.woken(all));
            }
            self.look_at_timers(now);
        }
    }

    fn open(&mut self, arrival: Arrival, now: Instant) {
        let index = arrival.session.key.index;
        let (carried, opened) = Carried::new(arrival, &self.shared, now);
        let places = &mut self.connections.0;
        if index as usize >= places.len() {
            places.resize_with(index as usize + 1, || None);
        }
        let carried = places[index as usize].insert(Box::new(carried));
        self.lane.opened(&mut carried.io(now), Box::new(opened));
        self.settle(index, now);
    }

    /// A client has said something. For a connection that has ended meanwhile, its being dropped says so.
    fn receive(&mut self, post: Box<Post>, now: Instant) {
        let key = post.turn.session().key;
        if let Some(carried) = self.connections.find(key) {
            // There is none yet: requests have their turns.
            carried.post = Some(post);
            self.settle(key.index, now);
        }
    }

    fn call_for_all(
        &mut self,
        now: Instant,
        call: impl FnOnce(&mut Lane, &mut dyn OpaqueConnections),
    ) {
        let mut all = All {
            connections: &mut self.connections,
            now,
            touched: Vec::new(),
        };
        call(&mut self.lane, &mut all);
        let mut touched = mem::take(&mut all.touched);
        touched.sort_unstable();
        touched.dedup();
        for index in touched {
            self.settle(index, now);
        }
    }

    fn look_at_timers(&mut self, now: Instant) {
        while let Some((time, index)) = self.timers.first().copied()
            && time <= now
        {
            self.timers.pop_first();
            let heartbeat = self.heartbeat();
            let Some(carried) = self.connections.at(index) else {
                continue;
            };
            carried.wakes_at = None;
            if carried.take_due(now) {
                self.lane.due(&mut carried.io(now));
            }
            carried.keep_up(heartbeat, now);
            self.settle(index, now);
        }
    }

    /// Does what follows from a call of the lane, which may lead to further calls.
    fn settle(&mut self, index: u32, now: Instant) {
        loop {
            let Some(carried) = self.connections.at(index) else {
                return;
            };
            carried.write_events(now);
            if carried.phase != Phase::Open {
                return self.remove(index, OpaqueEnd::Ended);
            }
            let waits = carried.notifies || carried.closes.is_some();
            if waits && carried.queue.is_empty_or_tells() {
                if carried.take_notifies() {
                    self.lane.sent(&mut carried.io(now));
                } else if let Some(closes) = carried.closes.take() {
                    // The client has it, and has nothing to add: it is as if it had answered.
                    let mut frame = batch::close_frame(closes.code);
                    self.lane.received(&mut carried.io(now), &mut frame);
                }
                continue;
            }
            if carried.is_paused {
                break;
            }
            let Some(mut post) = carried.post.take() else {
                break;
            };
            match post.frames.next_piece() {
                Some(piece) => {
                    let bytes = &mut post.frames.bytes[piece];
                    self.lane.received(&mut carried.io(now), bytes);
                    carried.post = Some(post);
                }
                None => post.done(),
            }
        }
        self.set_timer(index);
    }

    fn set_timer(&mut self, index: u32) {
        let heartbeat = self.heartbeat();
        let Some(carried) = self.connections.at(index) else {
            return;
        };
        let next = carried.next_time(heartbeat);
        let before = mem::replace(&mut carried.wakes_at, next);
        if before != next {
            before.map(|time| self.timers.remove(&(time, index)));
            self.timers.extend(next.map(|time| (time, index)));
        }
    }

    /// A connection is no more.
    fn remove(&mut self, index: u32, end: OpaqueEnd) {
        let place = self.connections.0.get_mut(index as usize);
        let Some(mut carried) = place.and_then(Option::take) else {
            return;
        };
        if let Some(time) = carried.wakes_at {
            self.timers.remove(&(time, index));
        }
        self.sessions.remove(&carried.session);
        let post = carried.post.take();
        let key = carried.session.key;
        // Its stream ends before anybody else does anything.
        drop(carried);
        self.lane.closed(key, end);
        if let Some(mut post) = post
            && post.frames.next_piece().is_none()
        {
            post.done();
        }
    }

    fn heartbeat(&self) -> Duration {
        self.shared.event_streams().heartbeat()
    }
}

/// The thread ends, perhaps by a panic: nothing is taken any more, and nobody waits for it.
impl Drop for Host {
    fn drop(&mut self) {
        drop(self.inbox.close());
        for index in 0..self.connections.0.len() {
            self.remove(index as u32, OpaqueEnd::Stopped);
        }
    }
}

/// All connections, while the lane is called for no particular one.
struct All<'a> {
    connections: &'a mut Connections,
    now: Instant,
    touched: Vec<u32>,
}

impl OpaqueConnections for All<'_> {
    fn with(&mut self, key: OpaqueKey, act: &mut dyn FnMut(&mut dyn OpaqueConnection)) -> bool {
        let found = self.connections.find(key);
        let Some(carried) = found.filter(|carried| carried.phase == Phase::Open) else {
            return false;
        };
        act(&mut carried.io(self.now));
        self.touched.push(key.index);
        true
    }
}
