//! The one place where the tests touch the API of the namespace.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use tidegate_engine::{Control, ListenChange, Outcome, PortKey, Snapshot};
use tidegate_httpapi::{
    ApiError, QueueProperties, RequestQueueId, ReservationOwner, ServerSessionId, Timeouts,
    UrlGroupId, UrlPrefix,
};

/// Who got a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Got {
    /// The queue with this number, by a registration with this context.
    Queue(u64, u64),
    /// A group without a queue, or with one that takes nothing.
    Unavailable(&'static str),
    ReservedOnly,
    UnknownPath,
    UnknownHost,
}

pub(crate) struct Site {
    pub(crate) control: Control<u64>,
    pub(crate) session: ServerSessionId,
    /// A group and a queue for each number.
    groups: HashMap<u64, (UrlGroupId, RequestQueueId)>,
}

impl Site {
    pub(crate) fn new() -> Self {
        let mut control = Control::new(Timeouts::default(), 1);
        let session = control.create_session();
        Self {
            control,
            session,
            groups: HashMap::new(),
        }
    }

    pub(crate) fn queue(&mut self, number: u64) -> RequestQueueId {
        self.group_and_queue(number).1
    }

    pub(crate) fn group(&mut self, number: u64) -> UrlGroupId {
        self.group_and_queue(number).0
    }

    pub(crate) fn try_register(
        &mut self,
        prefix: &str,
        number: u64,
    ) -> Result<ListenChange, ApiError> {
        let group = self.group(number);
        self.control.add_url(group, &parse(prefix), number)
    }

    pub(crate) fn register(&mut self, prefix: &str, number: u64) {
        let _ = self.try_register(prefix, number).unwrap();
    }

    pub(crate) fn try_remove(
        &mut self,
        prefix: &str,
        number: u64,
    ) -> Result<ListenChange, ApiError> {
        let group = self.group(number);
        self.control.remove_url(group, &parse(prefix))
    }

    pub(crate) fn try_reserve(&mut self, prefix: &str) -> Result<(), ApiError> {
        let owner = ReservationOwner("somebody".to_owned());
        self.control.reserve(&parse(prefix), owner)
    }

    pub(crate) fn reserve(&mut self, prefix: &str) {
        self.try_reserve(prefix).unwrap();
    }

    pub(crate) fn try_delete_reservation(&mut self, prefix: &str) -> Result<(), ApiError> {
        self.control.delete_reservation(&parse(prefix))
    }

    /// Who gets a request on port 80.
    pub(crate) fn get(&mut self, host: &str, path: &str) -> Got {
        self.get_at(PortKey::Tcp(80), host, None, path)
    }

    pub(crate) fn get_via(&mut self, local: &str, host: &str, path: &str) -> Got {
        let local = local.parse().unwrap();
        self.get_at(PortKey::Tcp(80), host, Some(local), path)
    }

    pub(crate) fn get_at(
        &mut self,
        port: PortKey,
        host: &str,
        local: Option<IpAddr>,
        path: &str,
    ) -> Got {
        let snapshot = self.control.snapshot();
        get_from(&snapshot, port, host, local, path)
    }

    fn group_and_queue(&mut self, number: u64) -> (UrlGroupId, RequestQueueId) {
        *self.groups.entry(number).or_insert_with(|| {
            let group = self.control.create_group(self.session).unwrap();
            let properties = QueueProperties::default();
            let queue = self
                .control
                .create_queue(properties, Arc::new(number))
                .unwrap();
            self.control.bind(group, Some(queue)).unwrap();
            (group, queue)
        })
    }
}

pub(crate) fn get_from(
    snapshot: &Snapshot<u64>,
    port: PortKey,
    host: &str,
    local: Option<IpAddr>,
    path: &str,
) -> Got {
    match snapshot.route(snapshot.hosts(port, host, local), path) {
        Outcome::Registered(entry) => match entry.group.queue() {
            Ok(queue) => Got::Queue(*queue.queue, entry.registration.context),
            Err(cause) => Got::Unavailable(cause.log_reason()),
        },
        Outcome::ReservedOnly => Got::ReservedOnly,
        Outcome::UnknownPath => Got::UnknownPath,
        Outcome::UnknownHost => Got::UnknownHost,
    }
}

/// The queue of a number, by a registration of its group.
pub(crate) fn queue(number: u64) -> Got {
    Got::Queue(number, number)
}

pub(crate) fn parse(prefix: &str) -> UrlPrefix {
    UrlPrefix::parse(prefix).unwrap()
}
