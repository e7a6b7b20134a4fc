//! A stream's request, from its head to its application.

use std::borrow::Cow;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tidegate_engine::{Outcome, Snapshot, Unavailable};
use tidegate_httpapi::{
    AtHand, ContentFraming, Exchange, Fields, OperatingMode, QueueProperties, RequestHead,
    RequestId, Trailers,
};
use tidegate_os::Operations;
use tidegate_proto::http1::{Reject, cook_path};
use tidegate_proto::http2::{Head, StreamKey};

use crate::cache::{Asking, Began};
use crate::connection::log::Arrival;
use crate::connection::request::{ReceivedRequest, Refused};
use crate::connection::respond::Seen;
use crate::connection::{Asked, Connection};
use crate::core::Core;
use crate::http2::content::StreamContent;
use crate::http2::exchange::StreamExchange;
use crate::http2::{Http2, Stream, StreamReceive, StreamRespond};
use crate::inline::InlineContent;
use crate::mailbox::RequestKey;
use crate::pending::{Closed, OwnedExchange, Pending};
use crate::queue::{Admission, Queue};
use crate::view::View;

/// A request and what there is of its content.
pub(super) struct Arrived<'a> {
    pub(super) stream: StreamKey,
    pub(super) head: &'a Head,
    /// Whether the stream has no more to come.
    pub(super) ended: bool,
    /// What was gathered before.
    pub(super) content: Option<&'a [u8]>,
    /// What came after it: only who reads piece by piece gets to see that.
    pub(super) trailers: Option<Trailers>,
    pub(super) position: u32,
    pub(super) arrival: Arrival,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Served {
    /// It is with the application, in the queue, or answered.
    Begun,
    /// Its content, so long, is to be gathered first.
    Gather(usize),
}

impl Core {
    /// Takes the request that the codec has just told of.
    #[inline]
    #[expect(
        clippy::too_many_arguments,
        reason = "a connection's parts, borrowed one by one"
    )]
    pub(super) fn take_request<O: Operations>(
        &mut self,
        view: &mut View,
        operations: &mut O,
        conn: &mut Connection,
        http2: &mut Http2,
        stream: StreamKey,
        ended: bool,
        position: u32,
    ) {
        // Taken out, so that the codec can be written with while it is read.
        let head = http2.codec.take_head();
        let arrival = Arrival {
            began: conn.received_at,
            received: http2.head_bytes,
        };
        let arrived = Arrived {
            stream,
            head: &head,
            ended,
            content: None,
            trailers: None,
            position,
            arrival,
        };
        let served = self.serve_stream(&view.snapshot, operations, conn, http2, &arrived);
        match served {
            Ok(Served::Begun) => {}
            Ok(Served::Gather(length)) => {
                self.gather(conn, http2, (stream, arrival), head, length);
                return;
            }
            Err(refused) => self.refuse_stream(operations, conn, http2, stream, &head, refused),
        }
        http2.codec.put_head(head);
    }

    /// Calls the application with a request whose content has been gathered.
    pub(super) fn serve_gathered<O: Operations>(
        &mut self,
        view: &mut View,
        operations: &mut O,
        conn: &mut Connection,
        http2: &mut Http2,
        stream: StreamKey,
        trailers: Trailers,
    ) {
        let Some(waiting) = http2.remove(stream) else {
            return;
        };
        let mut waiting = waiting;
        let StreamReceive::Content(content) =
            std::mem::replace(&mut waiting.receive, StreamReceive::Ended)
        else {
            return;
        };
        let Some((head, gathered)) = content.into_gathered() else {
            return;
        };
        let arrived = Arrived {
            stream,
            head: &head,
            ended: true,
            content: Some(&gathered),
            trailers: Some(trailers).filter(|trailers| trailers.iter().next().is_some()),
            position: 0,
            arrival: waiting.arrival,
        };
        if let Err(refused) = self.serve_stream(&view.snapshot, operations, conn, http2, &arrived) {
            self.refuse_stream(operations, conn, http2, stream, &head, refused);
        }
        self.pool.put(gathered);
    }

    /// Refuses a request whose head breaks a rule that has a status.
    #[cold]
    pub(super) fn refuse_head<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        http2: &mut Http2,
        stream: StreamKey,
        reason: Reject,
    ) {
        let head = http2.codec.take_head();
        let refused = Refused::Reject(reason);
        self.refuse_stream(operations, conn, http2, stream, &head, refused);
        http2.codec.put_head(head);
    }

    /// Brings a request to its application.
    #[inline]
    fn serve_stream<O: Operations>(
        &mut self,
        snapshot: &Snapshot<Queue>,
        operations: &mut O,
        conn: &mut Connection,
        http2: &mut Http2,
        arrived: &Arrived<'_>,
    ) -> Result<Served, Refused> {
        let Head {
            bytes, head, spans, ..
        } = arrived.head;
        let cooked_path = self.cooked_path(arrived.head)?;
        if http2.serial != arrived.head.serial {
            http2.serial = arrived.head.serial;
            http2.route = None;
            http2.stored = None;
        }
        let route = Cell::new(http2.route);
        let stored = Cell::new(http2.stored);
        let request = ReceivedRequest {
            bytes,
            head,
            fields: Fields::new(bytes, spans),
            cooked_path: &cooked_path,
            route: Some(&route),
            stored: Some(&stored),
            position: arrived.position,
        };
        let hosts = self.hosts(snapshot, operations, conn, &request)?;
        http2.route = route.get();
        let entry = match snapshot.route(hosts, &cooked_path) {
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
                request: &request,
                port: conn.port,
                registration: &entry.registration,
                queue: queue.id,
                state: began.state,
            };
            if let Some(found) = self.find_stored(&asking) {
                http2.stored = stored.get();
                conn.requests += 1;
                self.counters.count_served(&entry.group, request.method());
                self.counters.requests_http2.add(1);
                self.begin_stream_measure(&mut http2.measured, arrived.stream, queue);
                let arrival = (arrived.stream, arrived.arrival);
                self.begin_stream_log(operations, conn, &entry.group, &request, arrival);
                self.answer_stream_found(conn, http2, arrived.stream, found);
                return Ok(Served::Begun);
            }
        }
        let properties = &queue.properties;
        let content = match Expected::of(arrived, properties)? {
            Expected::Gather(length) => return Ok(Served::Gather(length)),
            Expected::Whole(content) => Some(content),
            Expected::Arriving => None,
        };
        conn.request = self.next_request();
        conn.requests += 1;
        let method = request.method();
        self.counters.count_request(&entry.group, queue, method);
        self.counters.requests_http2.add(1);
        self.begin_stream_measure(&mut http2.measured, arrived.stream, queue);
        let arrival = (arrived.stream, arrived.arrival);
        self.begin_stream_log(operations, conn, &entry.group, &request, arrival);
        let head = RequestHead {
            bytes,
            line: &head.line,
            fields: request.fields,
            cooked_path: &cooked_path,
            framing: head.framing,
            expects_continue: head.expects_continue,
            registration: &entry.registration,
            connection_id: conn.id,
            request_id: RequestId(conn.request),
        };
        let asked = Asked {
            version: head.line.version,
            head_request: arrived.head.head.head_request,
            close: false,
            awaits_continue: head.expects_continue && content.is_none(),
        };
        let content = match content {
            Some(content) => InlineContent::Whole(content),
            None => {
                let limit = properties.content_bytes_max;
                let reader = self.expect_stream_content(conn, http2, arrived.stream, asked, limit);
                if let (Some(content), Some(trailers)) = (arrived.content, &arrived.trailers) {
                    self.fill_stream_content(http2, arrived.stream, content, trailers.clone());
                }
                InlineContent::Arriving(reader)
            }
        };
        if head.protocol().is_some() {
            self.expect_tunnel(conn, http2, arrived.stream, asked);
        }
        let mut called = Called {
            stream: arrived.stream,
            asked,
            head: &head,
            content,
            began,
        };
        if properties.operating_mode == OperatingMode::Classic {
            self.enqueue_stream(operations, conn, http2, &mut called, &queue.queue)?;
        } else {
            if !properties.skip_completion_on_success && arrived.position >= properties.queue_length
            {
                return Err(Refused::Unavailable(Unavailable::QueueFull));
            }
            self.call_stream(operations, conn, http2, called, &queue.queue)?;
        }
        if http2.waiting > 0 {
            self.settle_stream(http2, arrived.stream);
        }
        Ok(Served::Begun)
    }

    fn cooked_path<'h>(&self, head: &'h Head) -> Result<Cow<'h, str>, Reject> {
        let raw = head.head.line.path.of(&head.bytes);
        if head.head.path_is_plain {
            return Ok(Cow::Borrowed(std::str::from_utf8(raw).unwrap_or_default()));
        }
        let mut cooked = String::new();
        cook_path(raw, &self.shared.settings.request_limits, &mut cooked)?;
        Ok(Cow::Owned(cooked))
    }

    /// Calls the application on this thread.
    #[inline]
    fn call_stream<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        http2: &mut Http2,
        mut called: Called<'_>,
        queue: &Arc<Queue>,
    ) -> Result<(), Refused> {
        let slot = match Queue::admit(queue) {
            Admission::Call(slot) => slot,
            Admission::Wait => {
                return self.enqueue_stream(operations, conn, http2, &mut called, queue);
            }
        };
        let Called {
            stream,
            asked,
            head,
            content,
            began,
        } = called;
        let at_hand = AtHand {
            head,
            content: content.whole(),
        };
        let application = self.applications.take(queue);
        let mut exchange = StreamExchange {
            core: self,
            operations,
            conn,
            http2,
            stream,
            asked,
            head,
            content,
            queue,
            slot,
            began,
            upgrade: None,
        };
        let called = catch_unwind(AssertUnwindSafe(|| {
            application.request(Exchange::new(at_hand, &mut exchange));
        }));
        if called.is_err() {
            // The exchange was dropped while unwinding: the peer has got its 500.
            tracing::error!("an application panicked while it was given a request");
        }
        let upgrade = exchange.upgrade.take();
        self.applications.put(application);
        if let Some((head, opening)) = upgrade {
            // Not within the application's own call, whose locks the lane may need.
            self.open_tunnel(operations, conn, http2, stream, queue, head, opening);
        }
        Ok(())
    }

    /// Puts a request into its queue.
    fn enqueue_stream<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        http2: &mut Http2,
        called: &mut Called<'_>,
        queue: &Arc<Queue>,
    ) -> Result<(), Refused> {
        // Looked at before anything is copied: under overload most requests end here.
        queue.has_room()?;
        let (closed, mut pending) = self.pending_stream(conn, called.stream, None);
        let head = called.head.to_owned();
        pending.set_origin(self.owned_origin(conn, &head, called.began));
        let exchange = OwnedExchange::new(
            head,
            called.content.take(),
            self.ends(operations, conn),
            Arc::clone(queue),
            pending,
        );
        Queue::push(queue, Box::new(exchange), self.clock.now())?;
        let stream = self.wait(conn, http2, called.stream, called.asked);
        stream.respond = StreamRespond::Application(closed);
        stream.queued = true;
        Ok(())
    }

    /// What is needed to answer the present request later.
    pub(super) fn pending_stream(
        &self,
        conn: &Connection,
        stream: StreamKey,
        slot: Option<crate::queue::Slot>,
    ) -> (Arc<Closed>, Pending) {
        let closed = Arc::new(Closed::default());
        let request = RequestKey {
            connection: conn.key,
            request: conn.request,
            slot: stream.slot,
        };
        let mailbox = Arc::clone(&self.mailbox);
        let pending = Pending::new(mailbox, request, Arc::clone(&closed), slot);
        (closed, pending)
    }

    /// The present request's stream, among those that wait.
    pub(super) fn wait<'h>(
        &self,
        conn: &Connection,
        http2: &'h mut Http2,
        key: StreamKey,
        asked: Asked,
    ) -> &'h mut Stream {
        if http2.stream(key).is_none() {
            let group = conn.group.clone();
            let stream = Stream::new(key, conn.request, asked, group, conn.received_at);
            http2.insert(stream);
        }
        http2.stream(key).expect("it was put there if it was not")
    }

    /// Has a request's content gathered before its application is called.
    fn gather(
        &mut self,
        conn: &mut Connection,
        http2: &mut Http2,
        (key, arrival): (StreamKey, Arrival),
        head: Head,
        length: usize,
    ) {
        let asked = Asked {
            head_request: head.head.head_request,
            ..Asked::STREAM
        };
        let memory = self.pool.take();
        let stream = self.wait(conn, http2, key, asked);
        stream.arrival = arrival;
        stream.receive =
            StreamReceive::Content(StreamContent::gather(Box::new(head), memory, length));
        self.settle_stream(http2, key);
    }

    /// Refuses a request: the driver's own answer on its stream. One HTTPERR line.
    #[cold]
    pub(super) fn refuse_stream<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        http2: &mut Http2,
        stream: StreamKey,
        head: &Head,
        refused: Refused,
    ) {
        conn.request = self.next_request();
        let seen = Seen::Head(&head.head.line, &head.bytes);
        let head_request = head.head.head_request;
        let (status, reason, detail) = match refused.page() {
            Ok(page) => page,
            Err(cause) => {
                self.unavailable_stream(operations, conn, http2, stream, head_request, cause, seen);
                return;
            }
        };
        self.counters.count_rejected(status);
        self.log(operations, conn, reason, Some(status), seen);
        self.stream_page(conn, http2, stream, head_request, status, "", detail);
    }
}

/// A request on its way to the application.
struct Called<'a> {
    stream: StreamKey,
    asked: Asked,
    head: &'a RequestHead<'a>,
    content: InlineContent<'a>,
    began: Began,
}

/// How a request's content will be had.
enum Expected<'a> {
    Whole(&'a [u8]),
    Gather(usize),
    Arriving,
}

impl<'a> Expected<'a> {
    #[inline]
    fn of(arrived: &Arrived<'a>, properties: &QueueProperties) -> Result<Self, Refused> {
        if let Some(content) = arrived.content {
            return Ok(match arrived.trailers {
                Some(_) => Self::Arriving,
                None => Self::Whole(content),
            });
        }
        let head = &arrived.head.head;
        let length = match head.framing {
            _ if arrived.ended || head.line.protocol.is_some() => return Ok(Self::Whole(&[])),
            ContentFraming::None => return Ok(Self::Whole(&[])),
            ContentFraming::Chunked => return Ok(Self::Arriving),
            ContentFraming::Length(length) => length,
        };
        if properties.content_bytes_max.is_some_and(|max| length > max) {
            return Err(Refused::Reject(Reject::ContentTooLarge));
        }
        if !head.expects_continue && length <= u64::from(properties.content_gathered_max) {
            return Ok(Self::Gather(length as usize));
        }
        Ok(Self::Arriving)
    }
}
