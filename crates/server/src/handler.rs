//! Closures as handlers: the struct that the builder's `on_…` methods fill, an [`Events`] itself.
//!
//! An event without a closure goes to the [`Events`] value that the builder was given, if any.

use std::pin::Pin;
use std::sync::Arc;

use tidegate_httpapi::{Admission, ConnectionInfo};

use crate::binding::Binding;
use crate::event::{Events, Exception, HandlerError, PeerError};
use crate::http::{OwnedRequest, Request, Response};
use crate::server::Server;

type Handler<A> = Option<Box<dyn Fn(&A) + Send + Sync>>;

type BindingsHandler = Box<dyn Fn(&mut Vec<Binding>) + Send + Sync>;

type ConnectHandler = Box<dyn Fn(&ConnectionInfo) -> Admission + Send + Sync>;

type RequestHandler =
    Box<dyn Fn(&Request<'_>, &mut Response) -> Result<(), HandlerError> + Send + Sync>;

/// What an async handler is at work on.
pub(crate) type ResponseFuture = Pin<Box<dyn Future<Output = Response> + Send>>;

type AsyncHandler = Arc<dyn Fn(OwnedRequest, Response) -> ResponseFuture + Send + Sync>;

/// Who answers requests.
#[derive(Default)]
pub(crate) enum OnHttpRequest {
    /// The `rest` of the events.
    #[default]
    Rest,
    /// A closure, before it returns.
    Blocking(RequestHandler),
    /// An async closure, on the runtime.
    Async(AsyncHandler),
}

/// The builder's closures.
#[derive(Default)]
pub(crate) struct Handlers {
    pub(crate) rest: Option<Box<dyn Events>>,
    pub(crate) before_binding: Option<BindingsHandler>,
    pub(crate) startup: Handler<Server>,
    pub(crate) shutdown: Handler<Server>,
    pub(crate) tcp_connect: Option<ConnectHandler>,
    pub(crate) http_request: OnHttpRequest,
    pub(crate) error: Handler<PeerError>,
    pub(crate) exception: Handler<Exception>,
}

impl Handlers {
    fn rest(&self) -> &dyn Events {
        match &self.rest {
            Some(rest) => &**rest,
            None => &NobodyListens,
        }
    }
}

impl Events for Handlers {
    fn on_before_binding(&self, bindings: &mut Vec<Binding>) {
        match &self.before_binding {
            Some(handler) => handler(bindings),
            None => self.rest().on_before_binding(bindings),
        }
    }

    fn on_startup(&self, server: &Server) {
        match &self.startup {
            Some(handler) => handler(server),
            None => self.rest().on_startup(server),
        }
    }

    fn on_shutdown(&self, server: &Server) {
        match &self.shutdown {
            Some(handler) => handler(server),
            None => self.rest().on_shutdown(server),
        }
    }

    fn on_tcp_connect(&self, connection: &ConnectionInfo) -> Admission {
        match &self.tcp_connect {
            Some(handler) => handler(connection),
            None => self.rest().on_tcp_connect(connection),
        }
    }

    fn watches_connections(&self) -> bool {
        self.tcp_connect.is_some() || self.rest().watches_connections()
    }

    #[inline]
    fn on_http_request(
        &self,
        request: &Request<'_>,
        response: &mut Response,
    ) -> Result<(), HandlerError> {
        match &self.http_request {
            OnHttpRequest::Blocking(handler) => handler(request, response),
            OnHttpRequest::Async(handler) => {
                let handler = Arc::clone(handler);
                response.answer_boxed(Box::new(move |request, response| {
                    handler(request, response)
                }));
                Ok(())
            }
            OnHttpRequest::Rest => self.rest().on_http_request(request, response),
        }
    }

    fn waits_for_content(&self) -> bool {
        match &self.http_request {
            OnHttpRequest::Blocking(_) => true,
            OnHttpRequest::Async(_) => false,
            OnHttpRequest::Rest => self.rest().waits_for_content(),
        }
    }

    fn on_error(&self, error: &PeerError) {
        match &self.error {
            Some(handler) => handler(error),
            None => self.rest().on_error(error),
        }
    }

    fn on_exception(&self, exception: &Exception) {
        match &self.exception {
            Some(handler) => handler(exception),
            None => self.rest().on_exception(exception),
        }
    }
}

/// Every event's default, without the cost of asking about connections.
struct NobodyListens;

impl Events for NobodyListens {
    fn watches_connections(&self) -> bool {
        false
    }

    fn waits_for_content(&self) -> bool {
        false
    }
}
