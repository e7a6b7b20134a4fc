//! An application that upgrades, with lanes that do what the test says and tell what they were told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

use tidegate_httpapi::{
    Application, Deferred, Exchange, LaneHost, OpaqueConnection, OpaqueConnections, OpaqueEnd,
    OpaqueKey, OpaqueLane, Opening, ResponseHead, Version,
};

use crate::PATIENCE;

/// One call of a lane.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Told {
    /// A connection was opened.
    Opened(OpaqueKey),
    /// Bytes arrived.
    Received(OpaqueKey, Vec<u8>),
    /// The peer will send no more.
    PeerEnded(OpaqueKey),
    /// All has been sent.
    Sent(OpaqueKey),
    /// Its time has come.
    Due(OpaqueKey),
    /// A connection is no more.
    Closed(OpaqueKey, OpaqueEnd),
    /// The lane is to say its goodbyes.
    Stop,
    /// The lane was dropped.
    Dropped,
}

/// How the application answers with 101.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Upgrade {
    /// When it is called.
    AtOnce,
    /// Later, from a thread of its own.
    Later,
    /// When the test says so: see [`Lanes::answer`].
    WhenTold,
}

type Act = dyn Fn(&Told, &mut dyn OpaqueConnection) + Send + Sync;
type Task = Box<dyn FnOnce(&mut dyn OpaqueConnections) + Send>;

/// What a test has of an application's lanes.
pub struct Lanes {
    told: Receiver<Told>,
    deferred: Receiver<Deferred>,
    shared: Arc<Shared>,
}

/// Wakes lanes.
#[derive(Clone)]
pub struct Elsewhere(Arc<Shared>);

struct Shared {
    act: Box<Act>,
    told: Mutex<Sender<Told>>,
    tasks: Mutex<Vec<Task>>,
    host: Mutex<Option<LaneHost>>,
}

struct Upgrading {
    upgrade: Upgrade,
    deferred: Mutex<Sender<Deferred>>,
    shared: Arc<Shared>,
}

struct Lane {
    shared: Arc<Shared>,
    open: Vec<OpaqueKey>,
}

/// An application that answers every request that can be upgraded with 101, others with 400.
///
/// `act` is called with what each connection's lane is told, but for its end.
pub fn upgrading(
    upgrade: Upgrade,
    act: impl Fn(&Told, &mut dyn OpaqueConnection) + Send + Sync + 'static,
) -> (Arc<dyn Application>, Lanes) {
    let (sender, told) = mpsc::channel();
    let (deferring, deferred) = mpsc::channel();
    let shared = Arc::new(Shared {
        act: Box::new(act),
        told: Mutex::new(sender),
        tasks: Mutex::default(),
        host: Mutex::default(),
    });
    let application = Arc::new(Upgrading {
        upgrade,
        deferred: Mutex::new(deferring),
        shared: Arc::clone(&shared),
    });
    let lanes = Lanes {
        told,
        deferred,
        shared,
    };
    (application, lanes)
}

/// Sends back what arrives.
pub fn echo_bytes(told: &Told, connection: &mut dyn OpaqueConnection) {
    if let Told::Received(_, bytes) = told {
        connection.output().extend_from_slice(bytes);
    }
}

/// A request for an upgrade, to `/` of `localhost`.
pub const UPGRADE: &str =
    "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

impl Lanes {
    /// What a lane is told next.
    pub fn next(&self) -> Told {
        self.told.recv_timeout(PATIENCE).expect("a lane is told")
    }

    /// What a lane is told next, which is that a connection is opened.
    pub fn opened(&self) -> OpaqueKey {
        match self.next() {
            Told::Opened(key) => key,
            told => panic!("{told:?}"),
        }
    }

    /// What lanes have been told and was not looked at.
    pub fn all(&self) -> Vec<Told> {
        self.told.try_iter().collect()
    }

    /// The next request that the application keeps.
    pub fn held(&self) -> Deferred {
        self.deferred
            .recv_timeout(PATIENCE)
            .expect("a request arrives")
    }

    /// Answers a request that the application kept.
    pub fn answer(&self, deferred: Deferred) {
        answer(deferred);
    }

    /// Wakes the lane opened last, and has it do this then.
    pub fn wake(&self, task: impl FnOnce(&mut dyn OpaqueConnections) + Send + 'static) {
        self.elsewhere().wake(task);
    }

    /// To wake the lane opened last from elsewhere.
    pub fn elsewhere(&self) -> Elsewhere {
        Elsewhere(Arc::clone(&self.shared))
    }

    /// As [`wake`](Self::wake), and waits until it is done.
    pub fn wake_and_wait(&self, task: impl FnOnce(&mut dyn OpaqueConnections) + Send + 'static) {
        let (done, ended) = mpsc::channel();
        self.wake(move |connections| {
            task(connections);
            let _ = done.send(());
        });
        ended.recv_timeout(PATIENCE).expect("the lane wakes");
    }

    /// Has it done on a connection, and waits.
    pub fn with(
        &self,
        key: OpaqueKey,
        mut act: impl FnMut(&mut dyn OpaqueConnection) + Send + 'static,
    ) {
        self.wake_and_wait(move |connections| {
            assert!(connections.with(key, &mut act), "{key:?} has ended");
        });
    }

    /// What the lane opened last was given.
    pub fn host(&self) -> LaneHost {
        self.shared.host()
    }
}

impl Elsewhere {
    /// As [`Lanes::wake`].
    pub fn wake(&self, task: impl FnOnce(&mut dyn OpaqueConnections) + Send + 'static) {
        self.0.tasks.lock().unwrap().push(Box::new(task));
        self.0.host().waker.wake();
    }
}

impl Shared {
    fn host(&self) -> LaneHost {
        let host = self.host.lock().unwrap();
        host.clone().expect("a lane was opened")
    }

    fn tell(&self, told: Told) {
        // The test may have seen enough.
        let _ = self.told.lock().unwrap().send(told);
    }

    fn act(&self, told: Told, connection: &mut dyn OpaqueConnection) {
        self.tell(told.clone());
        (self.act)(&told, connection);
    }
}

impl Application for Upgrading {
    fn request(&self, exchange: Exchange<'_>) {
        if !exchange.can_upgrade() {
            crate::answer(exchange, 400, "no upgrade");
            return;
        }
        match self.upgrade {
            Upgrade::AtOnce => {
                let head = head(exchange.head().version());
                exchange.upgrade(head, opening()).unwrap();
            }
            Upgrade::Later => {
                let deferred = exchange.defer();
                thread::spawn(move || answer(deferred));
            }
            Upgrade::WhenTold => {
                let _ = self.deferred.lock().unwrap().send(exchange.defer());
            }
        }
    }

    fn open_lane(&self, host: LaneHost) -> Box<dyn OpaqueLane> {
        *self.shared.host.lock().unwrap() = Some(host);
        Box::new(Lane {
            shared: Arc::clone(&self.shared),
            open: Vec::new(),
        })
    }
}

fn answer(deferred: Deferred) {
    let request = deferred.head.as_head();
    let head = head(request.version());
    let upgraded = deferred.responder.upgrade(&request, head, opening());
    upgraded.unwrap();
}

fn head(version: Version) -> ResponseHead {
    if version == Version::Http2 {
        return ResponseHead::new(200);
    }
    let mut head = ResponseHead::new(101);
    head.fields.append("Upgrade", "echo").unwrap();
    head
}

fn opening() -> Opening {
    Box::new("opening")
}

impl OpaqueLane for Lane {
    fn opened(&mut self, connection: &mut dyn OpaqueConnection, opening: Opening) {
        assert_eq!(opening.downcast_ref(), Some(&"opening"));
        self.open.push(connection.key());
        self.shared.act(Told::Opened(connection.key()), connection);
    }

    fn received(&mut self, connection: &mut dyn OpaqueConnection, bytes: &mut [u8]) {
        let told = Told::Received(connection.key(), bytes.to_vec());
        // Nobody else has use for them.
        bytes.fill(0);
        self.shared.act(told, connection);
    }

    fn peer_ended(&mut self, connection: &mut dyn OpaqueConnection) {
        self.shared
            .act(Told::PeerEnded(connection.key()), connection);
    }

    fn sent(&mut self, connection: &mut dyn OpaqueConnection) {
        self.shared.act(Told::Sent(connection.key()), connection);
    }

    fn due(&mut self, connection: &mut dyn OpaqueConnection) {
        self.shared.act(Told::Due(connection.key()), connection);
    }

    fn closed(&mut self, key: OpaqueKey, end: OpaqueEnd) {
        let place = self.open.iter().position(|&open| open == key);
        self.open
            .swap_remove(place.expect("it was opened and not closed"));
        self.shared.tell(Told::Closed(key, end));
    }

    fn woken(&mut self, connections: &mut dyn OpaqueConnections) {
        let tasks = std::mem::take(&mut *self.shared.tasks.lock().unwrap());
        for task in tasks {
            task(connections);
        }
    }

    fn stop(&mut self, connections: &mut dyn OpaqueConnections) {
        self.shared.tell(Told::Stop);
        for &key in &self.open {
            connections.with(key, &mut |connection| {
                (self.shared.act)(&Told::Stop, connection);
            });
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.shared.tell(Told::Dropped);
    }
}

/// An application that panics when it is to open a lane.
pub struct NoLane;

impl Application for NoLane {
    fn request(&self, exchange: Exchange<'_>) {
        let head = head(exchange.head().version());
        exchange.upgrade(head, opening()).unwrap();
    }

    fn open_lane(&self, _: LaneHost) -> Box<dyn OpaqueLane> {
        panic!("expected in this test");
    }
}

struct Either(Arc<dyn Application>, Arc<dyn Application>);

impl Application for Either {
    fn request(&self, exchange: Exchange<'_>) {
        if exchange.can_upgrade() {
            self.0.request(exchange);
        } else {
            self.1.request(exchange);
        }
    }

    fn open_lane(&self, host: LaneHost) -> Box<dyn OpaqueLane> {
        self.0.open_lane(host)
    }
}

/// An application of two: one for requests that ask for an upgrade, one for others.
pub fn either(upgrade: Arc<dyn Application>, other: Arc<dyn Application>) -> Arc<dyn Application> {
    Arc::new(Either(upgrade, other))
}

struct CountingLanes(Arc<dyn Application>, Arc<AtomicUsize>);

impl Application for CountingLanes {
    fn request(&self, exchange: Exchange<'_>) {
        self.0.request(exchange);
    }

    fn open_lane(&self, host: LaneHost) -> Box<dyn OpaqueLane> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.open_lane(host)
    }
}

/// An application that counts its lanes.
pub fn counting_lanes(
    application: Arc<dyn Application>,
    count: Arc<AtomicUsize>,
) -> Arc<dyn Application> {
    Arc::new(CountingLanes(application, count))
}
