//! Finds what is stored for a request.

use std::cell::Cell;
use std::sync::Arc;

use tidegate_engine::{
    CacheConditions, CacheRequest, CacheState, KeyedPath, PortKey, Wanted, admits_coding,
    may_be_served,
};
use tidegate_httpapi::{
    Body, ContentFraming, Fields, KnownField, Registration, RequestHead, RequestLine,
    RequestQueueId, ResponseHead,
};
use tidegate_proto::conditional::Preconditions;

use crate::connection::request::ReceivedRequest;
use crate::core::Core;

/// A request that may be answered from the cache.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) request: &'a ReceivedRequest<'a>,
    pub(crate) port: PortKey,
    /// Where it was routed.
    pub(crate) registration: &'a Arc<Registration>,
    pub(crate) queue: RequestQueueId,
    pub(crate) state: CacheState,
}

/// What there is for a request.
pub(crate) enum Found {
    /// The stored response at this place of the worker's view.
    AsItIs(u32),
    /// Something that was made of it.
    Made(Box<(ResponseHead, Body)>),
}

/// What was found for a head that came before. It holds as long as the worker's view stays the same.
#[derive(Clone, Copy)]
pub(crate) struct KnownStored {
    change: u64,
    place: u32,
}

/// What the cache looks at in a request's head, be it with the worker or away from it.
#[derive(Clone, Copy)]
pub(super) struct HeadParts<'a> {
    bytes: &'a [u8],
    line: &'a RequestLine,
    fields: Fields<'a>,
    cooked_path: &'a str,
    framing: ContentFraming,
}

impl<'a> HeadParts<'a> {
    pub(super) fn of(head: &RequestHead<'a>) -> Self {
        Self {
            bytes: head.bytes,
            line: head.line,
            fields: head.fields,
            cooked_path: head.cooked_path,
            framing: head.framing,
        }
    }

    fn received(request: &ReceivedRequest<'a>) -> Self {
        Self {
            bytes: request.bytes,
            line: &request.head.line,
            fields: request.fields,
            cooked_path: request.cooked_path,
            framing: request.head.framing,
        }
    }

    /// What the request asks for.
    pub(super) fn wanted<'w>(
        &'w self,
        port: PortKey,
        registration: &'w Arc<Registration>,
        queue: RequestQueueId,
    ) -> Wanted<'w> {
        let host = match self.line.authority {
            Some(span) => Some(span.of(self.bytes)),
            None => self.fields.known(KnownField::Host),
        };
        Wanted {
            port,
            registration,
            queue,
            host: host.unwrap_or_default(),
            path: KeyedPath::of(self.line.path.of(self.bytes), self.cooked_path),
            query: self.line.query.map(|span| span.of(self.bytes)),
        }
    }

    /// What the rules ask of the request.
    pub(super) fn rules(&self) -> CacheRequest<'a> {
        let differs = |authority: &[u8]| {
            let host = self.fields.known(KnownField::Host);
            host.is_some_and(|host| !host.eq_ignore_ascii_case(authority))
        };
        let authority = self.line.authority.map(|span| span.of(self.bytes));
        CacheRequest {
            method: self.line.method.of(self.bytes),
            fields: self.fields,
            has_content: self.framing != ContentFraming::None,
            names_two_hosts: authority.is_some_and(differs),
        }
    }
}

impl Core {
    /// What is stored for a request, if it may be served from that. Counts it.
    #[inline]
    pub(crate) fn find_stored(&mut self, asking: &Asking<'_>) -> Option<Found> {
        if let Some(known) = asking.request.stored.and_then(Cell::get)
            && known.change == self.cache.replica.change()
            && let Some(entry) = self.cache.replica.at(known.place)
            && entry.key.is_owned_by(asking.registration, asking.queue)
            && entry.is_fresh(self.clock.now())
        {
            self.cache.count_hit(known.place);
            return Some(Found::AsItIs(known.place));
        }
        self.search_stored(asking)
    }

    #[inline(never)]
    fn search_stored(&mut self, asking: &Asking<'_>) -> Option<Found> {
        let request = asking.request;
        let parts = HeadParts::received(request);
        let rules = parts.rules();
        if rules.method != b"GET" || rules.has_content {
            return None;
        }
        let Some(place) = self.place_of(asking, &parts) else {
            self.cache.count_miss();
            return None;
        };
        let conditions = may_be_served(&rules).ok()?;
        let entry = self.cache.replica.at(place)?;
        if !admits_coding(&request.fields, entry.response.coding.as_deref()) {
            self.cache.count_miss();
            return None;
        }
        self.cache.count_hit(place);
        if conditions == CacheConditions::default() {
            if let Some(kept) = request.stored {
                let change = self.cache.replica.change();
                kept.set(Some(KnownStored { change, place }));
            }
            return Some(Found::AsItIs(place));
        }
        Some(self.meet_conditions(request, place))
    }

    /// Where in the worker's view there is something fresh for a request. Brings the view up to date if
    /// there is none.
    fn place_of(&mut self, asking: &Asking<'_>, parts: &HeadParts<'_>) -> Option<u32> {
        let now = self.clock.now();
        let wanted = parts.wanted(asking.port, asking.registration, asking.queue);
        let (cache, own) = (&self.shared.cache, &mut self.cache);
        let hash = wanted.hash(&cache.build);
        loop {
            let found = own.replica.find(hash);
            let is_it = |place: &u32| {
                let entry = own.replica.at(*place);
                entry.is_some_and(|entry| entry.key.is_of(&wanted) && entry.is_fresh(now))
            };
            if let Some(place) = found.filter(is_it) {
                return Some(place);
            }
            if !own.is_behind(asking.state) {
                return None;
            }
            own.update(cache, &cache.lock(), now);
        }
    }

    /// What a request gets that asks for more than the stored response.
    #[inline(never)]
    fn meet_conditions(&mut self, request: &ReceivedRequest<'_>, place: u32) -> Found {
        let preconditions = Preconditions::of(&request.fields);
        let now = self.clock.unix_second();
        let Self {
            cache,
            pool,
            shared,
            ..
        } = self;
        let boundary = || shared.cache.unknown(now);
        let stored = cache.stored(place);
        let made = stored.answer_to(&preconditions, now, || pool.take(), boundary);
        match made {
            Some(made) => Found::Made(Box::new(made)),
            None => Found::AsItIs(place),
        }
    }
}
