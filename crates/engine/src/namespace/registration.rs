//! Registrations: live claims of URL groups.

use std::sync::Arc;

use tidegate_httpapi::{Host, Registration, UrlGroupId, UrlPrefix, fold_path};

use crate::listen::PortKey;

/// A URL group's claim on a prefix.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) registration: Arc<Registration>,
    pub(crate) group: UrlGroupId,
}

/// Where in the namespace a prefix stands. The scheme is not part of it: a port has only one.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct EntryKey {
    pub(crate) port: PortKey,
    pub(crate) host: Host,
    /// Folded: letter case does not count.
    pub(crate) path: Box<str>,
}

impl EntryKey {
    pub(crate) fn of(prefix: &UrlPrefix) -> Self {
        Self {
            port: PortKey::Tcp(prefix.port),
            host: prefix.host.clone(),
            path: fold_path(&prefix.path),
        }
    }

    /// Where a path of a Unix socket stands, whatever host is asked for.
    pub(crate) fn of_unix(port: PortKey, path: &str) -> Self {
        Self {
            port,
            host: Host::WeakWildcard,
            path: fold_path(path),
        }
    }
}
