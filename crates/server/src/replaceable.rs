//! The application that a started server gives its driver: a component in whose place another can be put.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tidegate_httpapi::{Application, Exchange, LaneHost, OpaqueLane};

use crate::component::Component;

/// Answers requests by the component of the moment. A request goes on with the one that it began with.
pub(crate) struct Replaceable(ArcSwap<Component>);

impl Replaceable {
    pub(crate) fn new(component: Component) -> Self {
        Self(ArcSwap::from_pointee(component))
    }

    /// The component of the moment.
    pub(crate) fn component(&self) -> Arc<Component> {
        self.0.load_full()
    }

    /// Has `component` answer the requests that come from now on.
    pub(crate) fn replace(&self, component: Component) {
        self.0.store(Arc::new(component));
    }
}

impl Application for Replaceable {
    #[inline]
    fn request(&self, exchange: Exchange<'_>) {
        self.0.load().request(exchange);
    }

    fn open_lane(&self, host: LaneHost) -> Box<dyn OpaqueLane> {
        self.0.load().open_lane(host)
    }
}
