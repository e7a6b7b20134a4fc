//! A lane: all connections of one of the driver's threads.
//!
//! Owns them and the index of their subscriptions, without locks; others leave commands at its
//! [`Post`].

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use tidegate_httpapi::{
    LaneHost, OpaqueConnection, OpaqueConnections, OpaqueEnd, OpaqueKey, OpaqueLane, Opening,
    PeerAddress,
};
use tidegate_proto::websocket::{Decoder, DeflateWorkspace, Role, close_code};

use super::broadcast::Broadcast;
use super::connection::{Connection, EndedBy};
use super::handshake::Opened;
use super::index::SubscriptionIndex;
use super::inline;
use super::post::{Command, Post, Target};
use super::settings::WebSocketSettings;
use super::socket::{End, Flow, Socket, Tools, lost};
use crate::component::Shared;
use crate::traffic::Firewall;

/// A lane.
pub(crate) struct Lane {
    post: Arc<Post>,
    sockets: Sockets,
    index: SubscriptionIndex,
    tools: Tools,
    /// Memory for commands and recipients.
    commands: Vec<Command>,
    recipients: Vec<u32>,
    /// Most connections arrive at the same address.
    last_local: Arc<PeerAddress>,
    stopping: bool,
}

/// Connections by the index in their keys.
#[derive(Default)]
struct Sockets(Vec<Option<Box<Socket>>>);

impl Sockets {
    #[inline]
    fn find(&mut self, key: OpaqueKey) -> Option<&mut Socket> {
        self.0
            .get_mut(key.index as usize)?
            .as_deref_mut()
            .filter(|socket| socket.connection.0.key == key)
    }

    fn insert(&mut self, key: OpaqueKey, socket: Socket) -> &mut Socket {
        let index = key.index as usize;
        if index >= self.0.len() {
            self.0.resize_with(index + 1, || None);
        }
        self.0[index].insert(Box::new(socket))
    }

    fn remove(&mut self, key: OpaqueKey) -> Option<Box<Socket>> {
        self.find(key)?;
        self.0.get_mut(key.index as usize)?.take()
    }
}

impl Lane {
    pub(crate) fn open(
        shared: &Arc<Shared>,
        settings: &Arc<WebSocketSettings>,
        firewall: Option<Arc<Firewall>>,
        host: LaneHost,
    ) -> Self {
        let post = Post::new(Arc::clone(shared), Arc::clone(settings), host);
        let hub = shared.websockets();
        hub.add_lane(&post);
        inline::open_lane();
        Self {
            tools: Tools {
                workspace: DeflateWorkspace::new(),
                deflate: settings.per_message_deflate.to_proto(),
                budget: hub.budget(),
                compressors: VecDeque::new(),
                decoder: Decoder::new(Role::Server),
                scratch: Vec::new(),
                watches_heartbeats: shared.events().watches_heartbeats(),
                calls_inline: post.calls_inline,
                firewall,
            },
            post,
            sockets: Sockets::default(),
            index: SubscriptionIndex::default(),
            commands: Vec::new(),
            recipients: Vec::new(),
            last_local: Arc::new(PeerAddress::Unknown),
            stopping: false,
        }
    }

    fn local(&mut self, local: PeerAddress) -> Arc<PeerAddress> {
        if *self.last_local != local {
            self.last_local = Arc::new(local);
        }
        Arc::clone(&self.last_local)
    }

    /// Takes compressors from who has had one longest, when more are held than may be.
    #[inline]
    fn limit_compressors(&mut self) {
        while self.tools.compressors.len() > COMPRESSORS_MAX {
            let Some(key) = self.tools.compressors.pop_front() else {
                return;
            };
            if let Some(socket) = self.sockets.find(key) {
                socket.release_compressor(&mut self.tools);
            }
        }
    }

    /// A connection has ended: nobody knows it any more, and the application is told.
    #[cold]
    fn ended(&mut self, key: OpaqueKey, end: End) {
        let Some(socket) = self.sockets.remove(key) else {
            return;
        };
        self.index.remove(key.index);
        let hub = self.post.shared.websockets();
        let id = socket.connection.0.id.0;
        // Who adds it to a group after this sees that it has ended; who has before, has it taken out.
        let outbox = socket.connection.end(&end);
        self.post.totals.count_end(end.by);
        hub.registry.remove(id);
        hub.groups.leave_all(id);
        socket.tell_end(end, outbox);
    }

    /// Does something with a connection, if it lives.
    fn with(
        &mut self,
        connections: &mut dyn OpaqueConnections,
        key: OpaqueKey,
        mut act: impl FnMut(&mut Socket, &mut dyn OpaqueConnection, &mut Tools) -> Flow,
    ) {
        let Self { sockets, tools, .. } = self;
        let Some(socket) = sockets.find(key) else {
            return;
        };
        let mut flow = Ok(());
        connections.with(key, &mut |io| flow = act(socket, io, tools));
        if let Err(end) = flow {
            self.ended(key, end);
        }
        self.limit_compressors();
    }

    fn obey(&mut self, connections: &mut dyn OpaqueConnections, command: Command) {
        match command {
            Command::Drain(key) => self.with(connections, key, |socket, io, tools| {
                socket.sent(io, tools);
                Ok(())
            }),
            Command::Disconnect(key, code) => self.with(connections, key, |socket, io, _| {
                Err(socket.disconnect(io, code))
            }),
            Command::DropSlowReader(key) => {
                self.with(connections, key, |socket, io, _| Err(socket.too_slow(io)))
            }
            Command::Resume(key) => self.with(connections, key, |socket, io, _| {
                socket.resume_for_handlers(io);
                Ok(())
            }),
            Command::CaughtUp(key) => self.with(connections, key, Socket::caught_up),
            Command::Configured(key) => self.with(connections, key, |socket, io, _| {
                socket.configured(io);
                Ok(())
            }),
            Command::Subscribe(key, channel) => {
                if self.sockets.find(key).is_some() {
                    self.index.subscribe(&channel, key.index);
                }
            }
            Command::Unsubscribe(key, channel) => {
                if self.sockets.find(key).is_some() {
                    self.index.unsubscribe(&channel, key.index);
                }
            }
            Command::Broadcast(broadcast, target) => {
                self.broadcast(connections, &broadcast, &target);
                self.post.dealt_with_one();
            }
            Command::Send(key, outgoing) => {
                let mut outgoing = Some(outgoing);
                self.with(connections, key, |socket, io, tools| {
                    match outgoing.take() {
                        Some(outgoing) => socket.send_in_turn(io, outgoing, tools),
                        None => Ok(()),
                    }
                });
                self.post.dealt_with_one();
            }
            Command::Close(key, request) => {
                let mut request = Some(request);
                self.with(connections, key, |socket, io, tools| {
                    socket.close_in_turn(io, request.take(), tools);
                    Ok(())
                });
                self.post.dealt_with_one();
            }
        }
    }

    fn broadcast(
        &mut self,
        connections: &mut dyn OpaqueConnections,
        broadcast: &Arc<Broadcast>,
        target: &Target,
    ) {
        // A handler that hears of an end may subscribe others: whom it goes to is settled before.
        let mut recipients = mem::take(&mut self.recipients);
        recipients.clear();
        match target {
            Target::All => recipients.extend(0..self.sockets.0.len() as u32),
            Target::Channel(channel) => recipients.extend_from_slice(self.index.members(channel)),
            Target::Mask(mask) => recipients.extend_from_slice(&self.index.matching(mask)),
            Target::These(keys) => {
                let found = keys.iter().filter(|key| self.sockets.find(**key).is_some());
                recipients.extend(found.map(|key| key.index));
            }
        }
        for &index in &recipients {
            let Some(Some(socket)) = self.sockets.0.get(index as usize) else {
                continue;
            };
            let connection = &socket.connection;
            if broadcast.is_for(connection.0.id.0, connection.protocol()) {
                let key = connection.0.key;
                self.with(connections, key, |socket, io, tools| {
                    socket.broadcast(io, broadcast, tools)
                });
            }
        }
        self.recipients = recipients;
    }
}

impl OpaqueLane for Lane {
    fn opened(&mut self, io: &mut dyn OpaqueConnection, opening: Opening) {
        let Ok(opened) = opening.downcast::<Opened>() else {
            return io.reset();
        };
        let key = io.key();
        let id = opened.id.0;
        let ends = (io.peer(), self.local(io.local()));
        let connection = Connection::new(key, Arc::clone(&self.post), *opened, ends);
        let hub = self.post.shared.websockets();
        hub.registry.insert(id, connection.clone());
        let now = self.post.milliseconds(io.now());
        let socket = Socket::new(connection, &self.tools, now);
        let socket = self.sockets.insert(key, socket);
        self.post.totals.opened.add(1);
        if self.stopping {
            socket.connection.close_with(close_code::GOING_AWAY, "");
        }
        socket.opened(io, &mut self.tools);
        self.limit_compressors();
    }

    #[inline]
    fn received(&mut self, io: &mut dyn OpaqueConnection, bytes: &mut [u8]) {
        let key = io.key();
        if let Some(socket) = self.sockets.find(key)
            && let Err(end) = socket.received(io, bytes, &mut self.tools)
        {
            self.ended(key, end);
        }
        self.limit_compressors();
    }

    fn peer_ended(&mut self, io: &mut dyn OpaqueConnection) {
        let key = io.key();
        if let Some(socket) = self.sockets.find(key)
            && let Err(end) = socket.peer_ended(io, &mut self.tools)
        {
            self.ended(key, end);
        }
    }

    fn sent(&mut self, io: &mut dyn OpaqueConnection) {
        if let Some(socket) = self.sockets.find(io.key()) {
            socket.sent(io, &mut self.tools);
        }
        self.limit_compressors();
    }

    fn due(&mut self, io: &mut dyn OpaqueConnection) {
        let key = io.key();
        if let Some(socket) = self.sockets.find(key)
            && let Err(end) = socket.due(io, &mut self.tools)
        {
            self.ended(key, end);
        }
    }

    fn closed(&mut self, key: OpaqueKey, end: OpaqueEnd) {
        let by = match end {
            OpaqueEnd::Failed => EndedBy::Network,
            _ => EndedBy::Server,
        };
        if let Some(socket) = self.sockets.find(key) {
            let end = socket.cut_off(by);
            self.ended(key, end);
        }
    }

    fn woken(&mut self, connections: &mut dyn OpaqueConnections) {
        let mut commands = mem::take(&mut self.commands);
        self.post.take(&mut commands);
        for command in commands.drain(..) {
            self.obey(connections, command);
        }
        self.commands = commands;
    }

    fn stop(&mut self, connections: &mut dyn OpaqueConnections) {
        self.stopping = true;
        let goodbye = Arc::new(Broadcast::close(close_code::GOING_AWAY, "".into()));
        self.broadcast(connections, &goodbye, &Target::All);
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.post.close();
        // The driver has told of every end already, unless it came to grief.
        for index in 0..self.sockets.0.len() {
            if let Some(Some(socket)) = self.sockets.0.get(index) {
                let key = socket.connection.0.key;
                self.ended(key, lost());
            }
        }
        inline::close_lane();
        let totals = self.post.shared.websockets().totals();
        totals.end(&self.post.totals);
    }
}

/// Compressors that the connections of a lane hold at most. One takes 260 KiB at the usual window, and a
/// peer gets it by one message: without a bound, ten thousand browsers would take 2.6 GB.
const COMPRESSORS_MAX: usize = 256;
