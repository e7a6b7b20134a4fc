//! Memory that is charged to the budget of all WebSocket connections for as long as it is held.

use std::sync::Arc;

use crate::component::Shared;

/// So many bytes of the budget.
pub(super) struct Charge {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Charge {
    pub(super) fn none(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            bytes: 0,
        }
    }

    /// Charges more. False: the budget is spent.
    pub(super) fn add(&mut self, bytes: usize) -> bool {
        let fits = self.shared.websockets().charge(bytes);
        if fits {
            self.bytes += bytes;
        }
        fits
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.shared.websockets().discharge(self.bytes);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::runtime::AsyncRuntime;
    use crate::websocket::Hub;

    struct NoEvents;

    impl crate::Events for NoEvents {}

    /// What a server shares whose budget is so large.
    pub(in crate::websocket::fallback) fn shared(budget: u64) -> Arc<Shared> {
        let hub = Hub::new(Vec::new());
        hub.set_memory_budget(budget);
        let runtime = AsyncRuntime::new(None);
        Arc::new(Shared::new(Box::new(NoEvents), Vec::new(), runtime, hub))
    }

    #[test]
    fn what_is_dropped_is_given_back() {
        let shared = shared(100);
        let mut one = Charge::none(&shared);
        let mut other = Charge::none(&shared);
        assert!(one.add(60) && !other.add(41) && other.add(40) && !one.add(1));
        drop(other);
        assert!(one.add(40) && !one.add(1));
    }
}
