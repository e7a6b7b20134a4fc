//! The component as a driver sees it: what is called with each request and each new connection.
//!
//! A request that is answered at once, with little, takes neither memory nor a lock here.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tidegate_httpapi::{
    Admission, Application, ConnectionFilter, ConnectionInfo, Exchange, LaneHost, OpaqueLane,
    ResponseHead,
};

use crate::event::{Events, RequestIds};
use crate::http::{Request, Response};
use crate::runtime::AsyncRuntime;
use crate::settings::Settings;
use crate::tower::Mount;
use crate::websocket::{Gate, Hub, Lane, Scripts};

/// What a server and all it has in progress share.
pub(crate) struct Shared {
    events: Box<dyn Events>,
    /// Longest path first.
    mounts: Vec<Mount>,
    runtime: AsyncRuntime,
    websockets: Hub,
}

impl Shared {
    pub(crate) fn new(
        events: Box<dyn Events>,
        mut mounts: Vec<Mount>,
        runtime: AsyncRuntime,
        websockets: Hub,
    ) -> Self {
        mounts.sort_by_key(|mount| std::cmp::Reverse(mount.path_len()));
        Self {
            events,
            mounts,
            runtime,
            websockets,
        }
    }

    pub(crate) fn events(&self) -> &dyn Events {
        &*self.events
    }

    pub(crate) fn mount(&self, index: usize) -> &Mount {
        &self.mounts[index]
    }

    pub(crate) fn websockets(&self) -> &Hub {
        &self.websockets
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
    content_bytes_max: u64,
    waits_for_content: bool,
    gate: Gate,
    scripts: Scripts,
}

impl Component {
    pub(crate) fn new(shared: Arc<Shared>, settings: &Settings) -> Self {
        let websocket = &settings.websocket;
        shared
            .websockets()
            .set_memory_budget(websocket.memory_budget);
        Self {
            gate: Gate::new(websocket, shared.events().accepts_websockets()),
            scripts: Scripts::new(websocket),
            waits_for_content: shared.events().waits_for_content(),
            content_bytes_max: settings.content_bytes_max().unwrap_or(u64::MAX),
            shared,
        }
    }
}

impl Application for Component {
    fn request(&self, mut exchange: Exchange<'_>) {
        let shared = &self.shared;
        let mounts = &shared.mounts;
        if !mounts.is_empty() {
            let path = exchange.head().cooked_path;
            if let Some(index) = mounts.iter().position(|mount| mount.covers(path)) {
                return Mount::serve(shared, index, exchange.defer());
            }
        }
        if self.gate.is_open() {
            let head = exchange.head();
            let given_back = if self.gate.concerns(&head) {
                self.gate.take(shared, exchange)
            } else if self.scripts.concerns(&head) {
                self.scripts.take(shared.websockets(), exchange)
            } else {
                Some(exchange)
            };
            match given_back {
                Some(ordinary) => exchange = ordinary,
                None => return,
            }
        }
        let mut body = None;
        if exchange.content().is_none() {
            if self.waits_for_content && !exchange.may_block() {
                return exchange.move_to_handler_thread();
            }
            body = Some(exchange.take_body());
        }
        let mut response = Response::with_memory(exchange.spare_memory());
        let request = Request::arriving(&exchange, body, self.content_bytes_max);
        let ids = RequestIds {
            connection: request.connection_id(),
            request: request.request_id(),
        };
        let handled = catch_unwind(AssertUnwindSafe(|| {
            shared.events.on_http_request(&request, &mut response)
        }));
        let body = request.into_reader();
        match handled {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let status = shared.events().handler_failed(ids, error);
                return exchange.respond(ResponseHead::new(status), Default::default());
            }
            // The exchange is dropped, which sends 500.
            Err(payload) => return shared.events().panicked(Some(ids), &*payload),
        }
        if response.is_plain() {
            let (head, content) = response.finish(shared, ids, false);
            return exchange.respond(head, content);
        }
        let (interim, deferral) = response.take_deferral();
        for (status, fields) in &interim {
            exchange.inform(*status, fields);
        }
        match deferral {
            Some(deferral) => {
                let may_block = exchange.may_block();
                let settled = (shared, self.content_bytes_max, may_block);
                deferral.run(exchange.defer(), body, response, settled);
            }
            None => {
                let is_head = exchange.head().method() == "HEAD";
                let (head, content) = response.finish(shared, ids, is_head);
                exchange.respond(head, content);
            }
        }
    }

    fn open_lane(&self, host: LaneHost) -> Box<dyn OpaqueLane> {
        Box::new(Lane::open(&self.shared, &self.gate, host))
    }
}

/// Asks the application about each new connection.
pub(crate) struct Doorman(pub(crate) Arc<Shared>);

impl ConnectionFilter for Doorman {
    fn connected(&self, connection: &ConnectionInfo) -> Admission {
        let events = self.0.events();
        let asked = catch_unwind(AssertUnwindSafe(|| events.on_tcp_connect(connection)));
        asked.unwrap_or_else(|payload| {
            events.panicked(None, &*payload);
            Admission::Refuse
        })
    }
}
