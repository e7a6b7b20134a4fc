//! What a server has set at its driver for its bindings' certificates and protocols.
//!
//! What it sets, it takes back, and nothing else. A change is made in two steps, so that a certificate
//! which is needed before and after is never missing: what is new comes before the URLs are changed,
//! what is old goes after.

use std::sync::Arc;

use tidegate_httpapi::{ApiError, Backend, HttpProtocols};

use super::Plan;

/// What has been set. Dropping it takes all of it back.
pub(crate) struct Configuration {
    backend: Arc<dyn Backend>,
    set: Plan,
}

impl Configuration {
    /// Nothing, so far.
    pub(crate) fn new(backend: Arc<dyn Backend>) -> Self {
        Self {
            backend,
            set: Plan::default(),
        }
    }

    /// Whether it is about this driver.
    pub(crate) fn is_of(&self, backend: &Arc<dyn Backend>) -> bool {
        Arc::ptr_eq(&self.backend, backend)
    }

    /// What has been set.
    pub(crate) fn plan(&self) -> &Plan {
        &self.set
    }

    /// Sets what `wanted` has and is not set, or is set in another way. What `wanted` has not stays, for
    /// [`settle`](Self::settle).
    ///
    /// # Errors
    ///
    /// The driver refused it. What had been set before that is kept; the caller goes back by preparing
    /// and settling what there was.
    pub(crate) fn prepare(&mut self, wanted: &Plan) -> Result<(), ApiError> {
        for (key, security) in &wanted.tls {
            let Some(binding) = security.binding() else {
                continue;
            };
            match self.set.tls.get(key) {
                Some(set) if set == security => continue,
                Some(_) => self.backend.update_tls_binding(key, &binding)?,
                None => self.backend.add_tls_binding(key, &binding)?,
            }
            self.set.tls.insert(key.clone(), security.clone());
        }
        for (port, protocols) in &wanted.cleartext {
            if self.set.cleartext.get(port) != Some(protocols) {
                self.backend.set_cleartext_protocols(*port, *protocols)?;
                self.set.cleartext.insert(*port, *protocols);
            }
        }
        for (port, trusted) in &wanted.proxies {
            if self.set.proxies.get(port) != Some(trusted) {
                let believed = Some(trusted.clone());
                self.backend.set_proxy_protocol(*port, believed)?;
                self.set.proxies.insert(*port, trusted.clone());
            }
        }
        Ok(())
    }

    /// Takes back what `wanted` has not.
    pub(crate) fn settle(&mut self, wanted: &Plan) {
        // What fails here is gone already, or the driver has stopped.
        self.set.tls.retain(|key, _| {
            let stays = wanted.tls.contains_key(key);
            if !stays {
                let _ = self.backend.remove_tls_binding(key);
            }
            stays
        });
        self.set.proxies.retain(|port, _| {
            let stays = wanted.proxies.contains_key(port);
            if !stays {
                let _ = self.backend.set_proxy_protocol(*port, None);
            }
            stays
        });
        self.set.cleartext.retain(|port, _| {
            let stays = wanted.cleartext.contains_key(port);
            if !stays {
                let every = HttpProtocols::default();
                let _ = self.backend.set_cleartext_protocols(*port, every);
            }
            stays
        });
    }
}

impl Drop for Configuration {
    fn drop(&mut self) {
        self.settle(&Plan::default());
    }
}
