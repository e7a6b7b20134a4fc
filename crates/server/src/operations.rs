//! What serves those who look after the server: an [`Operation`] has prefixes of its own and, at the driver,
//! a session, a URL group and a request queue of its own, so that an application that is overloaded,
//! disabled or held up silences none of it.
//!
//! What an operation answers is its own matter. Whoever may reach its prefixes reaches it: the component's
//! rules about who may come in do not hold there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use tidegate_httpapi::{
    ApiError, Application, Backend, Body, Exchange, Host, OperatingMode, QueueProperties,
    RequestQueueId, ResponseHead, ServerSessionId, Verbosity503,
};

use crate::binding::{Binding, Place};
use crate::component::{Delivery, Shared, refuse_content};
use crate::event::HandlerError;
use crate::http::{ContentLimits, Request, Response};
use crate::lifecycle;
use crate::settings::Settings;
use crate::upload::UploadLimits;

/// Answers a request to an operation, as a handler of the application would. Called on a handler thread,
/// where it may block.
pub(crate) type Answer =
    dyn Fn(&Request<'_>, &mut Response) -> Result<(), HandlerError> + Send + Sync;

/// Something that is served beside the application.
pub(crate) struct Operation {
    /// Where it is reached.
    pub(crate) binding: Binding,
    /// What answers there.
    pub(crate) answer: Box<Answer>,
}

/// What operations hold at a driver while they are served.
#[derive(Default)]
pub(crate) struct Operations {
    open: Vec<Open>,
}

struct Open {
    session: ServerSessionId,
    queue: Option<RequestQueueId>,
}

impl Operations {
    /// Serves these. What was made is undone when one cannot be.
    pub(crate) fn open(
        backend: &dyn Backend,
        shared: &Arc<Shared>,
        operations: Vec<Operation>,
    ) -> Result<Self, ApiError> {
        let mut opened = Self::default();
        for operation in operations {
            if let Err(error) = opened.add(backend, shared, operation) {
                opened.close(backend);
                return Err(error);
            }
        }
        Ok(opened)
    }

    fn add(
        &mut self,
        backend: &dyn Backend,
        shared: &Arc<Shared>,
        operation: Operation,
    ) -> Result<(), ApiError> {
        let session = backend.create_server_session()?;
        self.open.push(Open {
            session,
            queue: None,
        });
        let bindings = with_all_loopbacks(operation.binding);
        let desk = Desk {
            shared: Arc::clone(shared),
            limits: LIMITS,
            is_loopback: bindings.iter().all(is_loopback),
            answer: operation.answer,
        };
        let queue = backend.create_request_queue(queue_properties(), Arc::new(desk))?;
        if let Some(open) = self.open.last_mut() {
            open.queue = Some(queue);
        }
        let group = backend.create_url_group(session)?;
        backend.bind_request_queue(group, Some(queue))?;
        for binding in &bindings {
            lifecycle::add(backend, group, binding)?;
        }
        Ok(())
    }

    /// Serves them no more.
    pub(crate) fn close(self, backend: &dyn Backend) {
        for open in self.open {
            // What fails here is gone already, or the driver has stopped.
            let _ = backend.close_server_session(open.session);
            if let Some(queue) = open.queue {
                let _ = backend.close_request_queue(queue);
            }
        }
    }
}

/// An operation as its driver sees it.
struct Desk {
    shared: Arc<Shared>,
    limits: ContentLimits,
    /// It is reached from this machine alone.
    is_loopback: bool,
    answer: Box<Answer>,
}

impl Application for Desk {
    fn request(&self, exchange: Exchange<'_>) {
        if self.is_loopback && !asks_for_loopback(&exchange) {
            // RFC 9110 §15.5.20.
            return exchange.respond(ResponseHead::new(421), Body::Empty);
        }
        if self.limits.are_exceeded(&exchange) {
            return refuse_content(exchange);
        }
        let delivery = Delivery {
            shared: &self.shared,
            limits: &self.limits,
            uploads: None,
        };
        delivery.deliver_to(exchange, &*self.answer);
    }
}

/// The binding as its driver is to have it. Connections to it begin as usual, whatever those to the
/// application begin with, unless they come by the same port.
pub(crate) fn settled(binding: &Binding, settings: &Settings) -> Binding {
    let port = binding.prefix().map(|prefix| prefix.port);
    let of_application = settings.collect_bindings().unwrap_or_default();
    let mut ports = of_application.iter().filter_map(|of_it| of_it.prefix());
    match port {
        Some(port) if binding.proxy_protocol().is_none() && ports.all(|of| of.port != port) => {
            let off = crate::proxy_protocol::ProxyProtocol::Off;
            binding.clone().with_proxy_protocol(off)
        }
        _ => binding.clone(),
    }
}

/// Whether a request asks for `localhost` or a loopback address, or for no host.
///
/// A browser on this machine may have a page open of a site whose owner has its name lead here: that name is in
/// what the page then asks for, and it would be told what is nobody else's business (DNS rebinding).
fn asks_for_loopback(exchange: &Exchange<'_>) -> bool {
    let head = exchange.head();
    let Some(host) = head.host() else {
        return true;
    };
    let Ok(host) = std::str::from_utf8(host) else {
        return false;
    };
    let without_port = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = without_port
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(without_port);
    match address.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => without_port.eq_ignore_ascii_case("localhost"),
    }
}

/// Whether a binding is reached from this machine alone, over TCP.
fn is_loopback(binding: &Binding) -> bool {
    match binding.prefix().map(|prefix| &prefix.host) {
        Some(Host::Address(address)) => address.is_loopback(),
        Some(Host::Name { name, .. }) => **name == *"localhost",
        _ => false,
    }
}

/// A binding of `localhost`, as the loopback addresses too: these are what a client may be told instead, and
/// listening for them takes no more sockets.
pub(crate) fn with_all_loopbacks(binding: Binding) -> Vec<Binding> {
    let mut all = vec![binding.clone()];
    if let Place::Prefix(prefix) = binding.place()
        && let Host::Name {
            name,
            subdomains: false,
            address: None,
        } = &prefix.host
        && **name == *"localhost"
    {
        let addresses: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        for address in addresses {
            let mut prefix = prefix.clone();
            prefix.host = Host::Address(address);
            all.push(Binding::from(prefix));
        }
    }
    all
}

fn queue_properties() -> QueueProperties {
    let mut properties = QueueProperties::default();
    properties.operating_mode = OperatingMode::Classic;
    properties.queue_length = 100;
    properties.thread_pool_size = 4;
    properties.verbosity_503 = Verbosity503::Limited;
    properties.content_bytes_max = Some(LIMITS.bytes_max);
    properties
}

/// What is sent to an operation is short.
const LIMITS: ContentLimits = ContentLimits {
    bytes_max: 1024 * 1024,
    uploads: UploadLimits::DEFAULT,
};
