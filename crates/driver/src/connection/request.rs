//! A request, from its head to its application.
//!
//! It takes this way: parsed, its path cooked, routed, let into its group, then either answered on the
//! spot (HighPerf) or put into its queue (Classic).

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tidegate_engine::{ConnectionSlot, GroupView, Method, Outcome, Snapshot, Unavailable};
use tidegate_httpapi::{AtHand, Exchange, Fields, OperatingMode, RequestHead, RequestId};
use tidegate_os::Operations;
use tidegate_proto::http1::{Parsed, ParsedHead, Reject, cook_path, parse_head};

use crate::cache::{Asking, Began, KnownStored};
use crate::connection::content::Expected;
use crate::connection::respond::Seen;
use crate::connection::{Asked, Connection, Respond};
use crate::core::Core;
use crate::inline::{InlineContent, InlineExchange};
use crate::pending::{Closed, OwnedExchange, Pending};
use crate::queue::{Admission, Queue};
use crate::view::{KnownRoute, View};

impl Core {
    /// Takes one request's head and, if it is there, its content.
    #[inline]
    pub(super) fn take_head<O: Operations>(
        &mut self,
        view: &mut View,
        operations: &mut O,
        conn: &mut Connection,
        bytes: &[u8],
        position: u32,
    ) -> usize {
        conn.input_wanted = 0;
        let View {
            snapshot,
            heads,
            spans,
            cooked,
        } = view;
        let parsed;
        let request = match heads.find(bytes) {
            Some(known) => ReceivedRequest {
                bytes,
                head: &known.head,
                fields: Fields::new(bytes, &known.spans),
                cooked_path: &known.cooked_path,
                route: Some(&known.route),
                stored: Some(&known.stored),
                position,
            },
            None => {
                parsed = match parse_head(bytes, &self.shared.settings.request_limits, spans) {
                    Parsed::Incomplete => return 0,
                    Parsed::Head(head) => head,
                    Parsed::Reject { reason, seen } => {
                        conn.asked = Asked::UNKNOWN;
                        let seen = Seen::Line(&seen, bytes);
                        self.refuse(operations, conn, Refused::Reject(reason), seen);
                        return bytes.len();
                    }
                };
                let raw_path = parsed.line.path.of(bytes);
                let cooked_path = if parsed.path_is_plain {
                    std::str::from_utf8(raw_path).unwrap_or_default()
                } else {
                    cooked.clear();
                    let limits = &self.shared.settings.request_limits;
                    if let Err(reason) = cook_path(raw_path, limits, cooked) {
                        conn.asked = Asked::of(&parsed);
                        let seen = Seen::Head(&parsed.line, bytes);
                        self.refuse(operations, conn, Refused::Reject(reason), seen);
                        return bytes.len();
                    }
                    cooked
                };
                heads.learn(&bytes[..parsed.head_bytes], &parsed, spans, cooked_path);
                ReceivedRequest {
                    bytes,
                    head: &parsed,
                    fields: Fields::new(bytes, spans),
                    cooked_path,
                    route: None,
                    stored: None,
                    position,
                }
            }
        };
        conn.asked = Asked::of(request.head);
        match self.serve(snapshot, operations, conn, &request) {
            Ok(taken) => taken,
            Err(refused) => {
                let seen = Seen::Head(&request.head.line, bytes);
                self.refuse(operations, conn, refused, seen);
                bytes.len()
            }
        }
    }

    /// Brings a parsed request to its application. Says how many bytes it took; 0: more are needed.
    #[inline]
    fn serve<O: Operations>(
        &mut self,
        snapshot: &Snapshot<Queue>,
        operations: &mut O,
        conn: &mut Connection,
        request: &ReceivedRequest<'_>,
    ) -> Result<usize, Refused> {
        let ReceivedRequest { bytes, head, .. } = *request;
        let hosts = self.hosts(snapshot, operations, conn, request)?;
        let entry = match snapshot.route(hosts, request.cooked_path) {
            Outcome::Registered(entry) => entry,
            Outcome::ReservedOnly => return Err(Refused::Unavailable(Unavailable::ReservedOnly)),
            Outcome::UnknownPath => return Err(Refused::NotFound),
            Outcome::UnknownHost => return Err(Refused::Reject(Reject::HostUnknown)),
        };
        self.enter(conn, &entry.group)?;
        let queue = entry.group.queue()?;
        let began = Began {
            state: self.shared.cache.state(),
            version: snapshot.version(),
        };
        if began.state.is_occupied() {
            let asking = Asking {
                request,
                port: conn.port,
                registration: &entry.registration,
                queue: queue.id,
                state: began.state,
            };
            if let Some(found) = self.find_stored(&asking) {
                conn.requests += 1;
                self.counters.count_served(&entry.group, request.method());
                self.begin_measure(conn, queue);
                self.begin_log(operations, conn, &entry.group, request, head.head_bytes);
                self.answer_found(conn, found);
                return Ok(head.head_bytes);
            }
        }
        let content = self.content(conn, request, &queue.properties)?;
        let (whole, taken) = match content {
            Expected::Whole(whole) => (Some(whole), head.head_bytes + whole.len()),
            Expected::Gather(bytes_wanted) => {
                conn.input_wanted = bytes_wanted;
                return Ok(0);
            }
            Expected::Arriving => (None, head.head_bytes),
        };
        conn.request = self.next_request();
        conn.requests += 1;
        let method = request.method();
        self.counters.count_request(&entry.group, queue, method);
        self.begin_measure(conn, queue);
        self.begin_log(operations, conn, &entry.group, request, taken);
        let head = RequestHead {
            bytes: &bytes[..head.head_bytes],
            line: &head.line,
            fields: request.fields,
            cooked_path: request.cooked_path,
            framing: head.framing,
            expects_continue: head.expects_continue,
            registration: &entry.registration,
            connection_id: conn.id,
            request_id: RequestId(conn.request),
        };
        let content = match whole {
            Some(whole) => InlineContent::Whole(whole),
            None => InlineContent::Arriving(self.expect_content(conn, &head, queue)),
        };
        let properties = &queue.properties;
        if properties.operating_mode == OperatingMode::Classic {
            self.enqueue(operations, conn, &head, content, &queue.queue, began)?;
        } else {
            if !properties.skip_completion_on_success && request.position >= properties.queue_length
            {
                return Err(Refused::Unavailable(Unavailable::QueueFull));
            }
            self.call(operations, conn, &head, content, &queue.queue, began)?;
        }
        Ok(taken)
    }

    /// Calls the application on this thread.
    #[inline]
    fn call<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        head: &RequestHead<'_>,
        content: InlineContent<'_>,
        queue: &Arc<Queue>,
        began: Began,
    ) -> Result<(), Refused> {
        let slot = match Queue::admit(queue) {
            Admission::Call(slot) => slot,
            Admission::Wait => {
                return self.enqueue(operations, conn, head, content, queue, began);
            }
        };
        let at_hand = AtHand {
            head,
            content: content.whole(),
        };
        let application = self.applications.take(queue);
        let mut exchange = InlineExchange {
            core: self,
            operations,
            conn,
            head,
            content,
            queue,
            slot,
            began,
            upgrade: None,
            reset: false,
        };
        let called = catch_unwind(AssertUnwindSafe(|| {
            application.request(Exchange::new(at_hand, &mut exchange));
        }));
        if called.is_err() {
            // The exchange was dropped while unwinding: the peer has got its 500.
            tracing::error!("an application panicked while it was given a request");
        }
        let (upgrade, reset) = (exchange.upgrade.take(), exchange.reset);
        self.applications.put(application);
        if let Some((head, opening)) = upgrade {
            // Not within the application's own call, whose locks the lane may need.
            self.upgrade(operations, conn, queue, head, opening);
        } else if reset {
            self.reset(operations, conn);
        }
        Ok(())
    }

    /// Puts a request into its queue.
    fn enqueue<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        head: &RequestHead<'_>,
        mut content: InlineContent<'_>,
        queue: &Arc<Queue>,
        began: Began,
    ) -> Result<(), Refused> {
        // Looked at before anything is copied: under overload most requests end here.
        queue.has_room()?;
        let closed = Arc::new(Closed::default());
        let head = head.to_owned();
        let mut pending = Pending::new(
            Arc::clone(&self.mailbox),
            conn.request_key(),
            Arc::clone(&closed),
            None,
        );
        pending.set_origin(self.owned_origin(conn, &head, began));
        let exchange = OwnedExchange::new(
            head,
            content.take(),
            self.ends(operations, conn),
            Arc::clone(queue),
            pending,
        );
        Queue::push(queue, Box::new(exchange), self.clock.now())?;
        conn.respond = Respond::Application(closed);
        conn.queued = true;
        Ok(())
    }

    /// Counts a connection to the group its request was routed to.
    #[inline(always)]
    pub(crate) fn enter(
        &mut self,
        conn: &mut Connection,
        group: &Arc<GroupView<Queue>>,
    ) -> Result<(), Refused> {
        // Without a slot it was refused before, and on HTTP/2 is still there.
        if let Some(last) = &conn.group
            && Arc::ptr_eq(last, group)
            && conn.group_slot.is_some()
        {
            return Ok(());
        }
        self.enter_other(conn, group)
    }

    #[inline(never)]
    fn enter_other(
        &mut self,
        conn: &mut Connection,
        group: &Arc<GroupView<Queue>>,
    ) -> Result<(), Refused> {
        if conn.group.is_none() {
            self.counters.count_earlier(conn, group);
        }
        conn.group = Some(Arc::clone(group));
        let is_in = |slot: &ConnectionSlot| slot.is_of(&group.connections);
        if !conn.group_slot.as_ref().is_some_and(is_in) {
            self.counters.count_attempt(group);
            conn.group_slot = group.connections.enter(group.connections_max);
            if conn.group_slot.is_none() {
                return Err(Refused::Unavailable(Unavailable::ConnectionLimit));
            }
        }
        Ok(())
    }
}

/// A request as the parser found it.
#[derive(Clone, Copy)]
pub(crate) struct ReceivedRequest<'a> {
    /// All bytes there are, from its first.
    pub(crate) bytes: &'a [u8],
    pub(crate) head: &'a ParsedHead,
    pub(crate) fields: Fields<'a>,
    pub(crate) cooked_path: &'a str,
    /// Where the same head was routed last, when it came before.
    pub(crate) route: Option<&'a Cell<Option<KnownRoute>>>,
    /// What the cache had for it then.
    pub(crate) stored: Option<&'a Cell<Option<KnownStored>>>,
    pub(crate) position: u32,
}

impl ReceivedRequest<'_> {
    /// Its method, as far as it is counted.
    #[inline]
    pub(crate) fn method(&self) -> Method {
        Method::of(self.head.line.method.of(self.bytes))
    }
}

/// Why a request does not reach its application.
pub(crate) enum Refused {
    /// It breaks a rule.
    Reject(Reject),
    /// Nothing is registered for its path.
    NotFound,
    /// Nobody can take it now.
    Unavailable(Unavailable),
}

impl Refused {
    /// The status, the log's reason and the sentence of the driver's page; why nobody can take it, if that
    /// is it.
    pub(crate) fn page(self) -> Result<(u16, &'static str, &'static str), Unavailable> {
        match self {
            Self::Reject(reject) => Ok((reject.status(), reject.reason(), reject.detail())),
            // The spec gives no reason for it; the log's must never be empty.
            Self::NotFound => Ok((404, "NotFound", "Nothing is registered for this URL.")),
            Self::Unavailable(cause) => Err(cause),
        }
    }
}

impl From<Reject> for Refused {
    fn from(reason: Reject) -> Self {
        Self::Reject(reason)
    }
}

impl From<Unavailable> for Refused {
    fn from(cause: Unavailable) -> Self {
        Self::Unavailable(cause)
    }
}
