//! Writes down what a server tells of its WebSocket connections, and whether the order holds.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use tidegate::{
    BeforeHeartbeat, Connection, ConnectionId, Disconnect, Events, Exception, Fragment,
    HandlerError, Opcode, PeerError, PeerFault, Sent, ServerBuilder,
};

use crate::websocket::PATIENCE;

/// Something that was told of a connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Happened {
    Connect,
    Text(String),
    Binary(Vec<u8>),
    Fragment(Opcode, Vec<u8>, bool),
    Heartbeat,
    Sent(Sent),
    Error(String),
    Exception(String),
    Disconnect(Disconnect),
}

/// All that was told.
#[derive(Default)]
pub(crate) struct Journal {
    pages: Mutex<Pages>,
    written: Condvar,
}

#[derive(Default)]
pub(crate) struct Pages {
    pub(crate) entries: Vec<(ConnectionId, Happened)>,
    connections: Vec<Connection>,
    /// Those of which an event is being handled.
    busy: HashSet<ConnectionId>,
    faults: Vec<String>,
}

impl Pages {
    /// What was told of this connection.
    pub(crate) fn of(&self, connection: &Connection) -> Vec<Happened> {
        let entries = self.entries.iter();
        let own = entries.filter(|(id, _)| *id == connection.id());
        own.map(|(_, happened)| happened.clone()).collect()
    }

    pub(crate) fn disconnects(&self) -> Vec<Disconnect> {
        let entries = self.entries.iter();
        let ends = entries.filter_map(|(_, happened)| match happened {
            Happened::Disconnect(disconnect) => Some(disconnect.clone()),
            _ => None,
        });
        ends.collect()
    }

    fn texts(&self) -> Vec<String> {
        let entries = self.entries.iter();
        let texts = entries.filter_map(|(_, happened)| match happened {
            Happened::Text(text) => Some(text.clone()),
            _ => None,
        });
        texts.collect()
    }
}

/// What a test has done when something is told; failing is the event's failing.
type Hook = dyn Fn(&Connection, &Happened) -> Result<(), HandlerError> + Send + Sync;

impl Journal {
    /// Has the builder's server tell this journal, and then the hook.
    pub(crate) fn attach(
        self: &Arc<Self>,
        builder: ServerBuilder,
        hook: impl Fn(&Connection, &Happened) -> Result<(), HandlerError> + Send + Sync + 'static,
    ) -> ServerBuilder {
        builder.events(Recorder {
            journal: Arc::clone(self),
            hook: Box::new(hook),
        })
    }

    /// As [`attach`](Self::attach), to send back what comes.
    pub(crate) fn attach_echo(self: &Arc<Self>, builder: ServerBuilder) -> ServerBuilder {
        self.attach(builder, echo)
    }

    /// Waits until `find` finds what it looks for.
    pub(crate) fn wait<T>(&self, what: &str, mut find: impl FnMut(&Pages) -> Option<T>) -> T {
        let mut pages = self.lock();
        loop {
            if let Some(found) = find(&pages) {
                return found;
            }
            let (next, waited) = self.written.wait_timeout(pages, PATIENCE).unwrap();
            pages = next;
            assert!(
                !waited.timed_out(),
                "{what} does not come after {:?}",
                pages.entries
            );
        }
    }

    /// The connection that came so many others after the first, once its handler has seen it.
    pub(crate) fn connection(&self, index: usize) -> Connection {
        self.wait("a connection", |pages| {
            let connection = pages.connections.get(index)?;
            let is_seen = !pages.busy.contains(&connection.id()) || pages.of(connection).len() > 1;
            is_seen.then(|| connection.clone())
        })
    }

    /// How the one connection ended that there is.
    pub(crate) fn disconnect(&self) -> Disconnect {
        self.disconnects(1).remove(0)
    }

    /// How connections ended, once so many have.
    pub(crate) fn disconnects(&self, count: usize) -> Vec<Disconnect> {
        self.wait("a disconnect", |pages| {
            let ends = pages.disconnects();
            (ends.len() >= count).then_some(ends)
        })
    }

    /// The texts that have come on all connections, once there are so many.
    pub(crate) fn texts(&self, count: usize) -> Vec<String> {
        self.wait("a text", |pages| {
            let texts = pages.texts();
            (texts.len() >= count).then_some(texts)
        })
    }

    /// What was told so far.
    pub(crate) fn entries(&self) -> Vec<Happened> {
        let pages = self.lock();
        let entries = pages.entries.iter();
        entries.map(|(_, happened)| happened.clone()).collect()
    }

    /// Whether, now that all has ended, each connection's events came as they must.
    pub(crate) fn check(&self) {
        let pages = self.lock();
        assert!(pages.faults.is_empty(), "{:?}", pages.faults);
        for connection in &pages.connections {
            let happened = pages.of(connection);
            let is_connect = |happened: &&Happened| **happened == Happened::Connect;
            let is_end = |happened: &&Happened| matches!(happened, Happened::Disconnect(_));
            assert_eq!(happened.first(), Some(&Happened::Connect), "{happened:?}");
            assert_eq!(happened.iter().filter(is_connect).count(), 1);
            assert_eq!(happened.iter().filter(is_end).count(), 1, "{happened:?}");
            // What its own handler fails with is told after it has returned.
            let told = |happened: &&Happened| !matches!(happened, Happened::Exception(_));
            let last = happened.iter().rfind(told);
            assert!(last.as_ref().is_some_and(is_end), "{happened:?}");
        }
        let strangers = pages.entries.iter().filter(|(id, happened)| {
            let is_known = pages.connections.iter().any(|known| known.id() == *id);
            !is_known && !matches!(happened, Happened::Error(_) | Happened::Exception(_))
        });
        assert_eq!(strangers.count(), 0, "{:?}", pages.entries);
    }

    fn write(&self, id: ConnectionId, happened: Happened) {
        self.lock().entries.push((id, happened));
        self.written.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap()
    }
}

/// Sends back what comes.
pub(crate) fn echo(connection: &Connection, happened: &Happened) -> Result<(), HandlerError> {
    match happened {
        Happened::Text(text) => connection.send_text(text)?,
        Happened::Binary(data) => connection.send_binary(data)?,
        _ => {}
    }
    Ok(())
}

struct Recorder {
    journal: Arc<Journal>,
    hook: Box<Hook>,
}

impl Recorder {
    fn told(&self, connection: &Connection, happened: Happened) -> Result<(), HandlerError> {
        let id = connection.id();
        {
            let mut pages = self.journal.lock();
            if !pages.busy.insert(id) {
                let fault = format!("{happened:?} comes while another event is handled");
                pages.faults.push(fault);
            }
            if happened == Happened::Connect {
                pages.connections.push(connection.clone());
            }
            pages.entries.push((id, happened.clone()));
        }
        self.journal.written.notify_all();
        let _visit = Visit(&self.journal, id);
        (self.hook)(connection, &happened)
    }
}

/// Ends an event's handling, also by a panic.
struct Visit<'a>(&'a Journal, ConnectionId);

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.0.lock().busy.remove(&self.1);
        self.0.written.notify_all();
    }
}

impl Events for Recorder {
    fn watches_connections(&self) -> bool {
        false
    }

    fn on_connect(&self, connection: &Connection) {
        self.told(connection, Happened::Connect).unwrap();
    }

    fn on_message(&self, connection: &Connection, text: &str) -> Result<(), HandlerError> {
        self.told(connection, Happened::Text(text.to_owned()))
    }

    fn on_binary(&self, connection: &Connection, data: &[u8]) -> Result<(), HandlerError> {
        self.told(connection, Happened::Binary(data.to_owned()))
    }

    fn on_fragmented(
        &self,
        connection: &Connection,
        fragment: &Fragment<'_>,
    ) -> Result<(), HandlerError> {
        let payload = fragment.payload.to_owned();
        let happened = Happened::Fragment(fragment.opcode, payload, fragment.is_last);
        self.told(connection, happened)
    }

    fn on_disconnect(&self, connection: &Connection, disconnect: &Disconnect) {
        self.told(connection, Happened::Disconnect(disconnect.clone()))
            .unwrap();
    }

    /// A hook that fails has handled it.
    fn on_before_heartbeat(&self, connection: &Connection) -> BeforeHeartbeat {
        match self.told(connection, Happened::Heartbeat) {
            Ok(()) => BeforeHeartbeat::Ping,
            Err(_) => BeforeHeartbeat::Handled,
        }
    }

    fn on_asynchronous(&self, connection: &Connection, sent: &Sent) {
        self.told(connection, Happened::Sent(*sent)).unwrap();
    }

    fn on_error(&self, error: &PeerError) {
        let text = match &error.cause {
            PeerFault::WebSocket(violation) => format!("{violation:?}"),
            cause => format!("{cause:?}"),
        };
        self.journal
            .write(error.connection_id, Happened::Error(text));
    }

    fn on_exception(&self, exception: &Exception) {
        let happened = Happened::Exception(exception.to_string());
        if let Some(id) = exception.connection_id {
            self.journal.write(id, happened);
        }
    }
}
