//! What a worker does with the messages in its mailbox.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use tidegate_engine::PortKey;
use tidegate_httpapi::{ConnectionId, FieldBlock, Version};
use tidegate_os::Operations;

use super::{ListenerInfo, Worker};
use crate::connection::respond::Seen;
use crate::connection::{Connection, Receive, Respond};
use crate::core::Core;
use crate::listing::{LOOKED_AT, Listing};
use crate::mailbox::{ListenerId, Message, RequestKey};
use crate::pending::OwnedExchange;
use crate::view::View;

impl Worker {
    /// As [`with`](Self::with), for a request that may have ended meanwhile.
    fn with_request<O: Operations>(
        &mut self,
        operations: &mut O,
        request: RequestKey,
        act: impl FnOnce(&mut Core, &mut View, &mut O, &mut Connection),
    ) {
        self.with(
            operations,
            request.connection,
            |core, view, operations, conn| {
                if conn.request == request.request {
                    act(core, view, operations, conn);
                }
            },
        );
    }

    pub(super) fn take_messages<O: Operations>(&mut self, operations: &mut O) {
        let mut messages = std::mem::take(&mut self.messages);
        self.core.mailbox.take(&mut messages);
        for message in messages.drain(..) {
            self.take_message(operations, message);
        }
        self.messages = messages;
    }

    fn take_message<O: Operations>(&mut self, operations: &mut O, message: Message) {
        if let Some(request) = message.stream_request() {
            self.with(
                operations,
                request.connection,
                |core, view, operations, conn| {
                    core.take_stream_message(operations, conn, request, message);
                    core.go_on(view, operations, conn);
                },
            );
            return;
        }
        match message {
            Message::RespondAndKeep(origin, request, head, body) => {
                // Whoever asks next gets it, whether or not this peer is still there.
                self.core.keep_answer_later(&origin, &head, &body);
                self.take_message(operations, Message::Respond(request, head, body));
            }
            Message::Respond(request, head, body) => {
                self.with_application(operations, request, |core, view, operations, conn| {
                    core.answer(conn, head, body);
                    core.go_on(view, operations, conn);
                });
            }
            Message::Abandon(request) => {
                self.with_application(operations, request, |core, view, operations, conn| {
                    core.abandon(conn);
                    core.go_on(view, operations, conn);
                });
            }
            Message::Reset(request, _) => {
                self.with_application(operations, request, |core, _, operations, conn| {
                    core.reset(operations, conn);
                });
            }
            Message::Refuse(request, cause) => {
                self.with_application(operations, request, |core, view, operations, conn| {
                    core.unavailable(operations, conn, cause, Seen::Nothing);
                    if !conn.gone {
                        core.go_on(view, operations, conn);
                    }
                });
            }
            Message::Upgrade(request, head, opening) => {
                self.with_application(operations, request, |core, view, operations, conn| {
                    core.upgrade_later(operations, conn, head, opening);
                    if !conn.gone {
                        core.go_on(view, operations, conn);
                    }
                });
            }
            Message::Inform(request, status, fields) => {
                self.with_application(operations, request, |core, _, operations, conn| {
                    core.inform(conn, status, &fields);
                    core.drive(operations, conn);
                });
            }
            Message::ContentWanted(request) => {
                self.with_request(operations, request, |core, view, operations, conn| {
                    core.content_wanted(operations, conn);
                    core.go_on(view, operations, conn);
                });
            }
            Message::ContentUnwanted(request) => {
                self.with_request(operations, request, |core, view, operations, conn| {
                    if let Receive::Content(content) = &mut conn.receive {
                        content.channel = None;
                        content.paused = false;
                        core.resume(operations, conn);
                        core.go_on(view, operations, conn);
                    }
                });
            }
            Message::StreamReady(request) => {
                self.with_request(operations, request, |core, view, operations, conn| {
                    core.go_on(view, operations, conn);
                });
            }
            Message::Run(task) => task.run(),
            Message::LookAfter(outgoing) => self.look_after(operations, &outgoing),
            Message::Dispatch(exchange) => self.dispatch(exchange),
            Message::Listen {
                id,
                port,
                local,
                listener,
            } => self.listen(operations, id, port, local, listener),
            Message::StopListening(id) => {
                let stopped = self.listeners.iter().filter(|(_, info)| info.id == id);
                for (&key, _) in stopped {
                    operations.stop_listening(key);
                }
            }
            Message::Snapshot(snapshot, order) => {
                self.core.set_limits(snapshot.limits_bandwidth());
                self.view.snapshot = snapshot;
                // That of a queue which is closed, perhaps.
                self.core.applications.clear();
                self.receive_order = order;
            }
            Message::ForgetApplications => self.core.applications.clear(),
            Message::Filter(filter) => self.core.filter = filter,
            Message::List(listing) => self.list_connections(operations, listing),
            Message::Disconnect(id, from, asker) => self.disconnect(operations, id, from, asker),
            Message::Probe(asker) => drop(asker),
            Message::TidyCache => self.core.tidy_cache(),
            Message::CloseLane(queue, done) => self.close_lane(operations, &queue, done),
            Message::Stop(deadline) => self.stop(operations, deadline),
        }
    }

    /// As [`with_request`](Self::with_request), if it has not been answered.
    fn with_application<O: Operations>(
        &mut self,
        operations: &mut O,
        request: RequestKey,
        act: impl FnOnce(&mut Core, &mut View, &mut O, &mut Connection),
    ) {
        self.with_request(operations, request, |core, view, operations, conn| {
            if matches!(conn.respond, Respond::Application(_)) {
                conn.queued = false;
                act(core, view, operations, conn);
            }
        });
    }

    /// Calls the application with a request that waited in the queue (HighPerf).
    fn dispatch(&mut self, mut exchange: Box<OwnedExchange>) {
        let core = &mut self.core;
        let waits = exchange.request().is_some_and(|request| {
            let Some(conn) = self.connections.find(request.connection) else {
                return false;
            };
            if request.slot != RequestKey::NO_STREAM {
                return core.begins_stream(conn, request);
            }
            let waits = conn.request == request.request;
            conn.queued &= !waits;
            waits
        });
        match waits {
            true => {
                let queue = Arc::clone(exchange.queue());
                queue.call(&mut exchange);
            }
            false => exchange.discard(),
        }
    }

    /// Looks through a part of the connections, and leaves the rest for later.
    fn list_connections<O: Operations>(&mut self, operations: &mut O, mut listing: Box<Listing>) {
        for conn in self.connections.part(listing.next) {
            listing.look(conn);
        }
        listing.next += LOOKED_AT;
        if listing.next < self.connections.slots() {
            self.core.mailbox.post(Message::List(listing));
            return;
        }
        let (keys, asker) = listing.into_keys();
        let found = keys.into_iter().filter_map(|key| {
            let conn = self.connections.find(key)?;
            Some(self.core.describe(operations, conn))
        });
        // Whoever asked may have given up waiting.
        let _ = asker.send(found.collect());
    }

    /// As [`list_connections`](Self::list_connections), for one to be ended.
    fn disconnect<O: Operations>(
        &mut self,
        operations: &mut O,
        id: ConnectionId,
        from: usize,
        asker: Sender<bool>,
    ) {
        let found = self.connections.part(from).find(|conn| conn.id == id);
        if let Some(key) = found.map(|conn| conn.key) {
            self.with(operations, key, |core, _, operations, conn| {
                core.disconnect(operations, conn);
            });
            let _ = asker.send(true);
            return;
        }
        let next = from + LOOKED_AT;
        if next < self.connections.slots() {
            self.core.mailbox.post(Message::Disconnect(id, next, asker));
        }
    }

    fn listen<O: Operations>(
        &mut self,
        operations: &mut O,
        id: ListenerId,
        port: PortKey,
        local: Option<IpAddr>,
        listener: tidegate_os::Listener,
    ) {
        let endpoint = listener.local_address().clone();
        match operations.listen(listener) {
            Ok(key) => {
                let local = local.and_then(|address| self.core.intern_local(address));
                self.listeners.insert(key, ListenerInfo { id, port, local });
            }
            Err(error) => {
                tracing::error!(%endpoint, %error, "a worker cannot listen");
                self.core.listener_failed(&error);
            }
        }
    }
}

impl Core {
    /// The application reads content: it may come, and the peer that waits for it is told so.
    fn content_wanted<O: Operations>(&mut self, operations: &mut O, conn: &mut Connection) {
        let Receive::Content(content) = &mut conn.receive else {
            return;
        };
        content.paused = false;
        // Who reads it has taken it out of the queue.
        conn.queued = false;
        let unanswered = matches!(conn.respond, Respond::Application(_));
        if conn.asked.awaits_continue && unanswered {
            conn.asked.awaits_continue = false;
            // RFC 9110 §10.1.1.
            if conn.asked.version >= Version::Http11 {
                self.inform(conn, 100, &FieldBlock::new());
            }
        }
        self.resume(operations, conn);
    }
}
