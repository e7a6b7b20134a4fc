//! The component as a driver sees it: what is called with each request and each new connection.
//!
//! A request that is answered at once, with little, takes neither memory nor a lock here.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tidegate_admission::api_keys::{KeyStorage, MemoryStorage};
use tidegate_httpapi::{
    Admission, Application, Body, ConnectionFilter, ConnectionInfo, Exchange, LaneHost, OpaqueLane,
    ResponseHead, Version,
};
use tidegate_os::KeptListeners;

use crate::admission::{Guard, KnownKey};
use crate::cors::{self, Cors};
use crate::event::{Events, HandlerError, RequestIds};
use crate::files::Site;
use crate::forward::{Forwards, UpstreamState};
use crate::http::{ContentLimits, EventStreams, Request, Response};
use crate::lane::ComponentLane;
use crate::operations::Operation;
use crate::place::{Place, Places};
use crate::runtime::AsyncRuntime;
use crate::settings::Settings;
use crate::tower::Mount;
use crate::traffic::{Doors, Firewall};
use crate::upload::{InProgress, Intake, Uploads};
use crate::watchdog::MonitorPeers;
use crate::websocket::{Fallback, Gate, Hub, Scripts};

/// What a server and all it has in progress share.
pub(crate) struct Shared {
    events: Box<dyn Events>,
    mounts: Vec<Arc<Mount>>,
    runtime: AsyncRuntime,
    websockets: Hub,
    event_streams: EventStreams,
    /// Where the application keeps API keys itself.
    key_storage: Option<Arc<dyn KeyStorage>>,
    key_memory: Arc<MemoryStorage>,
    /// Sockets that outlive the server.
    listeners: KeptListeners,
    /// Where the monitor connects from.
    monitor_peers: Arc<MonitorPeers>,
}

impl Shared {
    pub(crate) fn new(
        events: Box<dyn Events>,
        mounts: Vec<Arc<Mount>>,
        runtime: AsyncRuntime,
        websockets: Hub,
    ) -> Self {
        Self {
            events,
            mounts,
            runtime,
            websockets,
            event_streams: EventStreams::new(),
            key_storage: None,
            key_memory: Arc::default(),
            listeners: KeptListeners::default(),
            monitor_peers: Arc::default(),
        }
    }

    pub(crate) fn with_key_storage(mut self, storage: Option<Arc<dyn KeyStorage>>) -> Self {
        self.key_storage = storage;
        self
    }

    pub(crate) fn key_storage(&self) -> Option<Arc<dyn KeyStorage>> {
        self.key_storage.clone()
    }

    pub(crate) fn key_memory(&self) -> Arc<dyn KeyStorage> {
        Arc::clone(&self.key_memory) as _
    }

    pub(crate) fn with_listeners(self, listeners: KeptListeners) -> Self {
        Self { listeners, ..self }
    }

    pub(crate) fn listeners(&self) -> &KeptListeners {
        &self.listeners
    }

    pub(crate) fn monitor_peers(&self) -> &Arc<MonitorPeers> {
        &self.monitor_peers
    }

    pub(crate) fn events(&self) -> &dyn Events {
        &*self.events
    }

    pub(crate) fn websockets(&self) -> &Hub {
        &self.websockets
    }

    pub(crate) fn event_streams(&self) -> &EventStreams {
        &self.event_streams
    }

    pub(crate) fn runtime(&self) -> &AsyncRuntime {
        &self.runtime
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// Answers the requests of one request queue.
pub(crate) struct Component {
    shared: Arc<Shared>,
    cors: Cors,
    /// What is asked of requests before they come in; `None` for nothing.
    guard: Option<Arc<Guard>>,
    /// What asks who may come in; `None` when nothing does.
    doors: Option<Arc<Doors>>,
    places: Places,
    forwards: Forwards,
    watches_forwarding: bool,
    intake: Intake,
    limits: ContentLimits,
    /// Whether the driver lets longer content pass, since uploads may be longer.
    checks_length: bool,
    waits_for_content: bool,
    gate: Gate,
    fallback: Option<Arc<Fallback>>,
    scripts: Scripts,
    /// Nothing but the application's handler answers requests, or is asked about them.
    only_delivers: bool,
}

/// What is made of settings before a start, since it may fail.
pub(crate) struct Opened {
    pub(crate) forwards: Forwards,
    pub(crate) sites: Vec<Site>,
    pub(crate) intake: Intake,
    pub(crate) guard: Option<Arc<Guard>>,
    pub(crate) doors: Option<Arc<Doors>>,
    /// What is served beside the component, for those who look after the server.
    pub(crate) operations: Vec<Operation>,
}

impl Component {
    pub(crate) fn new(shared: Arc<Shared>, settings: &Settings, opened: Opened) -> Self {
        let Opened {
            forwards,
            sites,
            intake,
            guard,
            doors,
            operations: _,
        } = opened;
        let websocket = &settings.websocket;
        let accepts_websockets = shared.events().accepts_websockets();
        let places = Places::new(&shared.mounts, forwards.routes(), sites);
        let cors = Cors::new(&settings.cors);
        let watches_forwarding = shared.events().watches_forwarding();
        Self {
            only_delivers: !accepts_websockets
                && !watches_forwarding
                && cors.is_empty()
                && guard.is_none()
                && doors.is_none()
                && places.is_empty()
                && intake.is_empty(),
            gate: Gate::new(websocket, accepts_websockets),
            fallback: accepts_websockets
                .then(|| Fallback::new(websocket, settings.content_bytes_max()))
                .flatten()
                .map(Arc::new),
            scripts: Scripts::new(websocket),
            cors,
            guard,
            doors,
            places,
            watches_forwarding,
            forwards,
            intake,
            checks_length: settings.longest_content() != settings.content_bytes_max(),
            limits: ContentLimits::of(settings),
            waits_for_content: shared.events().waits_for_content(),
            shared,
        }
    }

    /// Serves WebSocket's fallback by this, which has begun already.
    pub(crate) fn keep_fallback(&mut self, fallback: Option<Arc<Fallback>>) {
        self.fallback = fallback;
    }

    /// What carries connections of clients that cannot open a WebSocket, if anything does.
    pub(crate) fn fallback(&self) -> Option<&Arc<Fallback>> {
        self.fallback.as_ref()
    }

    /// The fallback, if this request is its matter.
    #[inline]
    fn fallback_for(&self, exchange: &Exchange<'_>) -> Option<&Arc<Fallback>> {
        let fallback = self.fallback.as_ref()?;
        fallback.concerns(exchange.head()).then_some(fallback)
    }

    /// The upstreams that its settings name.
    pub(crate) fn upstreams(&self) -> Vec<UpstreamState> {
        self.forwards.upstreams()
    }

    /// A path that is forwarded and has no upstream that is up.
    pub(crate) fn path_without_upstream(&self) -> Option<String> {
        self.forwards.path_without_upstream()
    }

    pub(crate) fn uploads_in_progress(&self) -> &Arc<InProgress> {
        self.intake.in_progress()
    }

    /// Whether content is longer than may be, as far as its length is known.
    #[inline]
    fn is_too_long(&self, exchange: &Exchange<'_>) -> bool {
        self.checks_length && self.limits.are_exceeded(exchange)
    }

    /// Has the request answered, if it may come in.
    #[inline]
    fn admit(&self, exchange: Exchange<'_>) {
        match &self.doors {
            None => self.identify(exchange, None),
            Some(doors) => {
                let finds_users = self.guard.as_ref().is_some_and(|guard| guard.finds_users());
                let key_of = |exchange: &Exchange<'_>| self.key_of(exchange);
                doors.pass(
                    &self.shared,
                    exchange,
                    finds_users,
                    key_of,
                    |exchange, key| {
                        self.identify(exchange, key);
                    },
                );
            }
        }
    }

    fn key_of(&self, exchange: &Exchange<'_>) -> Option<KnownKey> {
        self.guard.as_ref()?.key_of(exchange)
    }

    /// Has the request answered, if who makes it may. `key` is the valid API key that it has, if that is known.
    #[inline]
    fn identify(&self, exchange: Exchange<'_>, key: Option<KnownKey>) {
        let Some(guard) = &self.guard else {
            return self.answer(exchange);
        };
        let doors = self.doors.as_ref();
        let firewall = doors.and_then(|doors| doors.firewall());
        let answered = |exchange: Exchange<'_>, answer: (ResponseHead, Body)| match doors {
            Some(doors) => {
                let key_of = |exchange: &Exchange<'_>| self.key_of(exchange);
                doors.answer_of_guard(&self.shared, exchange, key_of, answer);
            }
            None => exchange.respond(answer.0, answer.1),
        };
        guard.admit(
            &self.shared,
            firewall,
            exchange,
            key,
            answered,
            |exchange| match doors {
                Some(doors) => doors.pass_user(&self.shared, exchange, |exchange| {
                    self.answer(exchange);
                }),
                None => self.answer(exchange),
            },
        );
    }

    fn answer(&self, mut exchange: Exchange<'_>) {
        let shared = &self.shared;
        let head = exchange.head();
        let place = self.places.find(head.cooked_path);
        if let Some(upload) = self.intake.place(head, place.map(Place::path)) {
            return self.intake.take_to_place(shared, upload, exchange);
        }
        let (mut route, mut site) = (None, None);
        match place {
            None => {}
            Some(Place::Service(_)) if exchange.head().protocol().is_some() => {
                return refuse_connect(exchange);
            }
            Some(Place::Service(_)) if self.is_too_long(&exchange) => {
                return refuse_content(exchange);
            }
            Some(Place::Service(mount)) => {
                let mut deferred = exchange.defer();
                deferred.body.limit(self.limits.bytes_max);
                return mount.serve(shared, deferred);
            }
            Some(Place::Forward(found)) => route = Some(found),
            Some(Place::Files(found)) => site = Some(found),
        }
        // A request that was moved was asked about before.
        let may_be_forwarded = route.is_some() || self.watches_forwarding;
        if may_be_forwarded && !exchange.was_moved() {
            let is_watched = self.watches_forwarding;
            match self.forwards.take(shared, exchange, route, is_watched) {
                Some(ordinary) => exchange = ordinary,
                None => return,
            }
        }
        if self.gate.is_open() {
            let head = exchange.head();
            let given_back = if self.gate.concerns(head) {
                // Files speak no other protocol.
                site = None;
                self.gate.take(shared, exchange)
            } else if self.scripts.concerns(head) {
                self.scripts.take(shared.websockets(), exchange)
            } else {
                Some(exchange)
            };
            match given_back {
                Some(ordinary) => exchange = ordinary,
                None => return,
            }
        }
        if let Some(fallback) = self.fallback_for(&exchange) {
            site = None;
            match fallback.take(shared, &self.gate, exchange) {
                Some(ordinary) => exchange = ordinary,
                None => return,
            }
        }
        if let Some(site) = site {
            if exchange.head().protocol().is_some() {
                return refuse_connect(exchange);
            }
            // Whatever else is asked is refused unread, or passed on, to an upload perhaps.
            let is_read = matches!(exchange.head().method(), "GET" | "HEAD");
            if is_read && self.is_too_long(&exchange) {
                return refuse_content(exchange);
            }
            match site.serve(shared, exchange) {
                Some(passed_on) => exchange = passed_on,
                None => return,
            }
        }
        exchange = match self.intake.take(shared, exchange) {
            Some(ordinary) => ordinary,
            None => return,
        };
        self.deliver(exchange);
    }

    /// Has the application's handler answer.
    #[inline]
    fn deliver(&self, exchange: Exchange<'_>) {
        if self.is_too_long(&exchange) {
            return refuse_content(exchange);
        }
        if self.waits_for_content && exchange.content().is_none() && !exchange.may_block() {
            return exchange.move_to_handler_thread();
        }
        let delivery = Delivery {
            shared: &self.shared,
            limits: &self.limits,
            uploads: None,
        };
        delivery.deliver(exchange);
    }
}

/// What it takes to call the application with a request.
pub(crate) struct Delivery<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) limits: &'a ContentLimits,
    /// What of the content has gone to disk: all of it.
    pub(crate) uploads: Option<Uploads>,
}

impl Delivery<'_> {
    /// Has the application's handler answer. Where it may not block it must not have to wait for content.
    #[inline]
    pub(crate) fn deliver(self, exchange: Exchange<'_>) {
        let shared = self.shared;
        self.deliver_to(exchange, |request, response| {
            shared.events.on_http_request(request, response)
        });
    }

    /// As [`deliver`](Self::deliver), with a handler that is not the application's.
    #[inline]
    pub(crate) fn deliver_to(
        self,
        mut exchange: Exchange<'_>,
        handler: impl FnOnce(&Request<'_>, &mut Response) -> Result<(), HandlerError>,
    ) {
        let Self {
            shared,
            limits,
            uploads,
        } = self;
        let head = exchange.head();
        if head.protocol().is_some() {
            return refuse_connect(exchange);
        }
        let mut body = None;
        if exchange.content().is_none() {
            let mut reader = exchange.take_body();
            reader.limit(limits.bytes_max);
            body = Some(reader);
        }
        let mut response = Response::with_memory(exchange.spare_memory());
        let request = match uploads {
            None => Request::arriving(&exchange, body, limits),
            Some(uploads) => Request::uploaded(&exchange, uploads, limits),
        };
        let handled = catch_unwind(AssertUnwindSafe(|| handler(&request, &mut response)));
        let left = request.into_left();
        match handled {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                if let Some(reset) = error.reset() {
                    return exchange.reset(reset);
                }
                let status = shared.events().handler_failed(RequestIds::of(head), error);
                return exchange.respond(ResponseHead::new(status), Default::default());
            }
            // The exchange is dropped, which sends 500.
            Err(payload) => {
                let ids = RequestIds::of(head);
                return shared.events().panicked(Some(ids), &*payload);
            }
        }
        if response.is_plain() {
            let (head, content) = response.finish_plain();
            return exchange.respond(head, content);
        }
        let (interim, deferral) = response.take_deferral();
        for (status, fields) in &interim {
            exchange.inform(*status, fields);
        }
        match deferral {
            Some(deferral) => {
                let may_block = exchange.may_block();
                let settled = (shared, limits, may_block);
                deferral.run(exchange.defer(), left, response, settled);
            }
            None => {
                if let Some(reset) = response.wants_reset() {
                    return exchange.reset(reset);
                }
                let (head, content) = response.finish(shared, exchange.head());
                exchange.respond(head, content);
            }
        }
    }
}

impl Application for Component {
    fn request(&self, exchange: Exchange<'_>) {
        if self.only_delivers {
            return self.deliver(exchange);
        }
        match self.cors.find(exchange.head().cooked_path) {
            // As WebSocket handshakes, it has a list of origins of its own.
            Some(_) if self.fallback_for(&exchange).is_some() => self.admit(exchange),
            Some(policy) => cors::apply(policy, exchange, |exchange| self.admit(exchange)),
            None => self.admit(exchange),
        }
    }

    fn open_lane(&self, host: LaneHost) -> Box<dyn OpaqueLane> {
        let firewall = self.doors.as_ref().and_then(|doors| doors.firewall());
        Box::new(ComponentLane::open(
            &self.shared,
            &self.gate,
            firewall.cloned(),
            host,
        ))
    }
}

/// Answers a request whose content is too long, as the driver would.
#[cold]
pub(crate) fn refuse_content(exchange: Exchange<'_>) {
    let mut head = ResponseHead::new(413);
    // Of what follows nothing is wanted.
    head.close = exchange.head().version() < Version::Http2;
    exchange.respond(head, Default::default());
}

/// Answers a request for another protocol on its HTTP/2 stream (RFC 8441 §4) that is not spoken here.
///
/// It is no ordinary request: what a handler says to one, 200 mostly, would tell the client that it is.
#[cold]
fn refuse_connect(exchange: Exchange<'_>) {
    // RFC 9220 §3, of HTTP/3, where extended CONNECT is the same: a protocol that is not supported.
    exchange.respond(ResponseHead::new(501), Default::default());
}

/// Asks the firewall about each new connection, and then the application.
pub(crate) struct Doorman {
    pub(crate) shared: Arc<Shared>,
    pub(crate) firewall: Option<Arc<Firewall>>,
    /// Whether the application is asked.
    pub(crate) asks: bool,
}

impl ConnectionFilter for Doorman {
    fn connected(&self, connection: &ConnectionInfo) -> Admission {
        let monitor = &self.shared.monitor_peers;
        if monitor.contain(&connection.peer) {
            return Admission::Accept;
        }
        let admission = self.ask(connection);
        if admission == Admission::Refuse {
            monitor.refused(&connection.peer);
        }
        admission
    }
}

impl Doorman {
    fn ask(&self, connection: &ConnectionInfo) -> Admission {
        let events = self.shared.events();
        if let Some(firewall) = &self.firewall
            && firewall.connection(events, connection) == Admission::Refuse
        {
            return Admission::Refuse;
        }
        if !self.asks {
            return Admission::Accept;
        }
        let asked = catch_unwind(AssertUnwindSafe(|| events.on_tcp_connect(connection)));
        asked.unwrap_or_else(|payload| {
            events.panicked(None, &*payload);
            Admission::Refuse
        })
    }
}
