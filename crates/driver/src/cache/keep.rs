//! Stores an application's answer that asks for it.

use tidegate_engine::{CacheAnswer, CacheKey, Candidate, NoRoom, PortKey, may_be_stored};
use tidegate_httpapi::{
    Body, ContentFraming, HeadExtras, KnownField, OwnedRequestHead, RequestHead, RequestQueueId,
    ResponseHead,
};
use tidegate_proto::conditional::parse_date;
use tidegate_proto::http1::{StoredHead, application_length};

use super::lookup::HeadParts;
use super::stored::{whole_content, whole_length};
use super::{Began, Stored};
use crate::connection::respond::response_context;
use crate::connection::{Asked, Connection};
use crate::core::Core;

/// What an answer was given to.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) head: &'a RequestHead<'a>,
    pub(crate) port: PortKey,
    pub(crate) queue: RequestQueueId,
    pub(crate) began: Began,
    /// The client has shown a certificate.
    pub(crate) client_is_known: bool,
}

/// The same, away from the worker.
pub(crate) struct OwnedOrigin {
    pub(crate) head: OwnedRequestHead,
    pub(crate) port: PortKey,
    pub(crate) queue: RequestQueueId,
    pub(crate) began: Began,
    pub(crate) client_is_known: bool,
}

impl Core {
    /// What the answer to a request may be stored by, while the application is called on this thread.
    #[cold]
    pub(crate) fn origin<'a>(
        &self,
        conn: &Connection,
        head: &'a RequestHead<'a>,
        began: Began,
    ) -> Option<Origin<'a>> {
        Some(Origin {
            head,
            port: conn.port,
            queue: conn.group.as_ref()?.queue_id()?,
            began,
            client_is_known: is_known(conn),
        })
    }

    /// The same for a request that leaves this thread; `None` where no answer to it is stored.
    pub(crate) fn owned_origin(
        &self,
        conn: &Connection,
        head: &OwnedRequestHead,
        began: Began,
    ) -> Option<OwnedOrigin> {
        let seen = head.as_head();
        let is_get = seen.line.method.of(seen.bytes) == b"GET";
        let may_be_kept = is_get && seen.framing == ContentFraming::None;
        if !may_be_kept || !self.shared.settings.cache.enabled {
            return None;
        }
        Some(OwnedOrigin {
            head: head.clone(),
            port: conn.port,
            queue: conn.group.as_ref()?.queue_id()?,
            began,
            client_is_known: is_known(conn),
        })
    }

    /// Stores an answer that came from another thread.
    #[cold]
    pub(crate) fn keep_answer_later(
        &mut self,
        origin: &OwnedOrigin,
        head: &ResponseHead,
        body: &Body,
    ) {
        let origin = Origin {
            head: &origin.head.as_head(),
            port: origin.port,
            queue: origin.queue,
            began: origin.began,
            client_is_known: origin.client_is_known,
        };
        self.keep_answer(Some(origin), head, body);
    }

    /// Stores an answer that asks for it, if it is fit. Sent it is in any case.
    #[cold]
    #[inline(never)]
    pub(crate) fn keep_answer(
        &mut self,
        origin: Option<Origin<'_>>,
        head: &ResponseHead,
        body: &Body,
    ) {
        // RFC 9110 §6.4.1: these have no content, whatever is given with them.
        let has_none = matches!(head.status, 204 | 304);
        let body = if has_none { &Body::Empty } else { body };
        let content_bytes = match head.trailers {
            None => whole_length(body),
            Some(_) => None,
        };
        // What cannot be stored need not be encoded twice.
        let (Some(origin), Some(length)) = (origin, content_bytes) else {
            return;
        };
        let context = response_context(&self.shared, &self.clock, &Asked::PLAIN);
        let wire = StoredHead::new(head, length as u64, &context);
        let last_modified = head.fields.value("Last-Modified");
        let announced = match head.fields.contains(KnownField::ContentLength) {
            true => application_length(head),
            false => None,
        };
        let answer = CacheAnswer {
            policy: head.cache.policy(),
            status: head.status,
            content_bytes,
            head_bytes: wire.wire_bytes(),
            has_content_type: head.fields.contains(KnownField::ContentType),
            sets_cookie: head.fields.value("Set-Cookie").is_some(),
            last_modified_is_right: last_modified.is_none_or(|date| parse_date(date).is_some()),
            length_is_right: announced.is_none_or(|announced| announced == length as u64),
            client_is_known: origin.client_is_known,
        };
        let limits = &self.shared.cache.limits;
        if let Err(reason) = may_be_stored(&HeadParts::of(origin.head).rules(), &answer, limits) {
            tracing::debug!(?reason, "a response is not cached");
            return;
        }
        if let Some(content) = whole_content(body) {
            self.insert(&origin, head, wire, content);
        }
    }

    fn insert(
        &mut self,
        origin: &Origin<'_>,
        head: &ResponseHead,
        wire: StoredHead,
        content: bytes::Bytes,
    ) {
        let now = self.clock.now();
        let (cache, own) = (&self.shared.cache, &mut self.cache);
        let registration = origin.head.registration;
        let parts = HeadParts::of(origin.head);
        let wanted = parts.wanted(origin.port, registration, origin.queue);
        let stored_head = ResponseHead {
            status: head.status,
            reason: head.reason.clone(),
            fields: head.fields.clone(),
            transfer: head.transfer,
            close: head.close,
            extras: stored_extras(head),
            ..ResponseHead::new(head.status)
        };
        let key = CacheKey::of(&wanted);
        let hash = wanted.hash(&cache.build);
        let mut table = cache.lock();
        if !table.has_owner(&key, origin.began.version) {
            return;
        }
        // What was evicted earlier and is held here still would take the room.
        own.update(cache, &table, now);
        let queue_hits = table.queue_hits(origin.queue);
        let candidate = Candidate {
            key,
            hash,
            response_bytes: Stored::bytes(&stored_head, &wire, content.len()),
            response: Stored::new(stored_head, wire, content, queue_hits),
            policy: head.cache.policy(),
            began: origin.began.state,
        };
        let inserted = cache.insert(&mut table, candidate, now);
        own.update(cache, &table, now);
        let asks_to_tidy = inserted == Err(NoRoom::Undropped) && table.may_ask_to_tidy(now);
        drop(table);
        if let Err(reason) = inserted {
            tracing::debug!(?reason, "a response is not cached");
        }
        if asks_to_tidy {
            self.shared.cache.ask_to_tidy();
        }
    }
}

/// What is kept of it for copies, which go at their group's rate.
fn stored_extras(head: &ResponseHead) -> Option<Box<HeadExtras>> {
    let mut extras = head.extras.clone()?;
    extras.flow_rate = None;
    (*extras != HeadExtras::default()).then_some(extras)
}

/// Whether the client has shown a certificate.
fn is_known(conn: &Connection) -> bool {
    let info = conn.tls.as_ref().and_then(|tls| tls.session().info());
    info.is_some_and(|info| !info.client_certificates.is_empty())
}
