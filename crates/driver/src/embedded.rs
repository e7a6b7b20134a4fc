//! The embedded backend: starts and stops the workers, and applies changes of the namespace.
//!
//! The control plane. Every change goes through one lock; workers get the outcome as a new snapshot.

use std::any::Any;
use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tidegate_engine::{ConnectionCount, Control, ListenChange, Snapshot};
use tidegate_httpapi::{
    AddressRange, ApiError, Application, Backend, BackendCounters, BackendFailure, BackendInfo,
    CacheCounters, CacheFlush, CachedResponse, Caller, ConnectionFilter, ConnectionId,
    ConnectionPage, Endpoint, FailureListener, GroupProperties, HandlerThreads, HttpProtocols,
    LogCounters, OpenConnection, OperatingMode, QueueProperties, RequestQueueId, Reservation,
    ReservationOwner, ServerSessionId, ServiceState, SessionProperties, Timeouts, TlsBinding,
    TlsBindingInfo, TlsBindingKey, UrlGroupId, UrlPrefix,
};
use tidegate_os::{
    EventLoop, LoopSettings, Operations, PollLoop, ReceiveOrder, SystemError, uring_available,
};

use crate::cache::ResponseCache;
use crate::core::Shared;
use crate::error_log::ErrorLog;
use crate::file_reader::FileReader;
use crate::listeners::Listeners;
use crate::mailbox::{Mailbox, Message};
use crate::queue::{Jobs, Queue};
use crate::request_log::RequestLog;
use crate::settings::{EmbeddedSettings, Io};
use crate::tls::Store;
use crate::worker::{LANE_CLOSE_MAX, Worker};

mod state;

/// The driver in the application's own process.
pub struct Embedded {
    shared: Arc<Shared>,
    workers: Vec<Arc<Mailbox>>,
    io: Io,
    /// The certificates. Has a lock of its own, under which no other is taken but that of the snapshot it
    /// publishes.
    tls: Store,
    /// Guards the tables and the sockets that belong to them. No other lock is taken under it but a
    /// queue's or a mailbox's, and the application is never called.
    plane: Mutex<ControlPlane>,
}

struct ControlPlane {
    control: Control<Queue>,
    listeners: Listeners,
    threads: Vec<WorkerThread>,
    stopped: bool,
}

struct WorkerThread {
    handle: JoinHandle<()>,
    /// Disconnected when the thread ends.
    ended: Receiver<Infallible>,
}

impl Embedded {
    /// Starts the workers. They listen as soon as a URL is added.
    ///
    /// # Errors
    ///
    /// A number is out of its range, the event loop asked for is not to be had, or the system gives no
    /// threads or descriptors.
    pub fn start(settings: EmbeddedSettings) -> Result<Arc<Self>, ApiError> {
        settings.check()?;
        let mut settings = settings;
        settings.request_limits = settings.request_limits.harmonized();
        let io = choose_io(settings.io)?;
        let count = settings
            .io_threads
            .map_or_else(processors, |count| count as usize);
        let mut control = Control::new(settings.timeouts, count);
        let snapshot = control.snapshot();
        let shared = Arc::new(Shared {
            error_log: ErrorLog::start(&settings.error_log),
            request_log: RequestLog::new(),
            cache: ResponseCache::new(&settings.cache, Arc::clone(&snapshot)),
            file_reader: FileReader::default(),
            connections: Arc::new(ConnectionCount::default()),
            counters: (0..count).map(|_| Arc::default()).collect(),
            published: AtomicU64::new(snapshot.version()),
            tls_bindings: RwLock::default(),
            cleartext: RwLock::default(),
            has_cleartext: AtomicBool::new(false),
            proxies: RwLock::default(),
            has_proxies: AtomicBool::new(false),
            began: Instant::now(),
            failure_listener: Mutex::default(),
            settings,
        });
        let tls = {
            let shared = Arc::clone(&shared);
            Store::new(
                shared.settings.certificates_looked_at_every,
                move |bindings| {
                    let place = shared.tls_bindings.write();
                    *place.unwrap_or_else(PoisonError::into_inner) = Arc::new(bindings);
                },
            )
        };
        let listeners = Listeners::new(shared.settings.listeners.clone());
        let mut embedded = Self {
            shared,
            tls,
            workers: Vec::new(),
            io,
            plane: Mutex::new(ControlPlane {
                control,
                listeners,
                threads: Vec::new(),
                stopped: false,
            }),
        };
        for index in 0..count {
            match start_worker(io, index, &embedded.shared, &snapshot) {
                Ok((mailbox, thread)) => {
                    embedded.workers.push(mailbox);
                    embedded.plane().threads.push(thread);
                }
                Err(source) => {
                    embedded.stop(Duration::ZERO);
                    return Err(source);
                }
            }
        }
        embedded.shared.cache.set_workers(&embedded.workers);
        Ok(Arc::new(embedded))
    }

    /// The event loop in use: never [`Io::Auto`].
    pub fn io(&self) -> Io {
        self.io
    }

    /// The number of worker threads.
    pub fn io_threads(&self) -> usize {
        self.workers.len()
    }

    /// How many records of the HTTPERR log could not be written.
    pub fn error_log_records_lost(&self) -> u64 {
        self.shared.error_log.lost()
    }

    fn plane(&self) -> MutexGuard<'_, ControlPlane> {
        self.plane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the control plane, unless the driver has stopped.
    fn running(&self) -> Result<MutexGuard<'_, ControlPlane>, ApiError> {
        let plane = self.plane();
        if plane.stopped {
            return Err(ApiError::Stopped);
        }
        Ok(plane)
    }

    /// Applies a change that closes no listener and opens none.
    fn change<T>(
        &self,
        apply: impl FnOnce(&mut Control<Queue>) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut plane = self.running()?;
        let result = apply(&mut plane.control)?;
        self.publish(&mut plane);
        Ok(result)
    }

    /// Applies a change after which some listeners may not be needed any more.
    fn shrink(
        &self,
        apply: impl FnOnce(&mut Control<Queue>) -> Result<ListenChange, ApiError>,
    ) -> Result<(), ApiError> {
        let mut plane = self.running()?;
        let change = apply(&mut plane.control)?;
        // What covered narrower endpoints may have gone: those are opened before it closes.
        let opened = self.open(&mut plane, &change);
        self.publish(&mut plane);
        plane.listeners.begin(&self.workers);
        self.close_unneeded(&mut plane);
        opened
    }

    fn open(&self, plane: &mut ControlPlane, change: &ListenChange) -> Result<(), ApiError> {
        let backlog = self.shared.settings.listen_backlog;
        let workers = self.workers.len();
        plane.listeners.open(&change.open, workers, backlog)
    }

    fn close_unneeded(&self, plane: &mut ControlPlane) {
        let needs = plane.control.needed_endpoints();
        plane.listeners.close_unneeded(&needs, &self.workers);
    }

    fn publish(&self, plane: &mut ControlPlane) {
        // Before any worker writes to one of them.
        self.shared.request_log.set_logs(plane.control.logs());
        let snapshot = plane.control.snapshot();
        // Written under the same lock.
        let published = &self.shared.published;
        if snapshot.version() == published.load(Ordering::Relaxed) {
            return;
        }
        let order = receive_order(&plane.control);
        // Before anybody routes by it: what he stores then has its owner here.
        self.shared.cache.set_snapshot(&snapshot);
        self.post_all(|| Message::Snapshot(Arc::clone(&snapshot), order));
        // Release: whoever sees it finds the messages.
        published.store(snapshot.version(), Ordering::Release);
    }

    /// Ends the lanes of a closed queue, and waits until they have ended.
    fn close_lanes(&self, queue: &Arc<Queue>) {
        let (sender, ended) = mpsc::channel::<()>();
        self.post_all(|| Message::CloseLane(Arc::clone(queue), sender.clone()));
        drop(sender);
        let this = thread::current().id();
        let is_worker = |thread: &WorkerThread| thread.handle.thread().id() == this;
        // A worker would wait for itself.
        if self.plane().threads.iter().any(is_worker) {
            return;
        }
        // Ends when the last sender is dropped. A worker that has ended looks at no message.
        let _ = ended.recv_timeout(LANE_CLOSE_MAX + LANE_CLOSE_SLACK);
    }

    /// Workers that do not look into their mailboxes within this time.
    fn silent_workers(&self, within: Duration) -> Vec<usize> {
        let ends = Instant::now() + within;
        let asked: Vec<_> = self
            .workers
            .iter()
            .map(|mailbox| {
                let (sender, dropped) = mpsc::channel();
                mailbox.post(Message::Probe(sender));
                dropped
            })
            .collect();
        // One that has ended drops what is in its mailbox: it is not silent.
        let silent = asked.iter().enumerate().filter(|(_, dropped)| {
            let left = ends.saturating_duration_since(Instant::now());
            dropped.recv_timeout(left) == Err(RecvTimeoutError::Timeout)
        });
        silent.map(|(worker, _)| worker).collect()
    }

    /// Waits until the workers have ended, which they do soon after `ends`: but for one that the application
    /// holds up in a handler.
    fn join(&self, threads: Vec<WorkerThread>, ends: Instant, silent: &[usize]) {
        for (worker, thread) in threads.into_iter().enumerate() {
            if thread.handle.thread().id() == thread::current().id() {
                continue;
            }
            let mut patience = match silent.contains(&worker) {
                true => Duration::ZERO,
                false => SILENT_AFTER,
            };
            loop {
                let left = ends.saturating_duration_since(Instant::now());
                let waited = left + std::mem::replace(&mut patience, SILENT_AFTER);
                if thread.ended.recv_timeout(waited) != Err(RecvTimeoutError::Timeout) {
                    let _ = thread.handle.join();
                    break;
                }
                if self.silent_workers(SILENT_AFTER).contains(&worker) {
                    tracing::error!(
                        worker,
                        "a worker is held up by a handler, and left to itself"
                    );
                    break;
                }
            }
        }
    }

    fn post_all(&self, message: impl Fn() -> Message) {
        for mailbox in &self.workers {
            mailbox.post(message());
        }
    }
}

impl Backend for Embedded {
    fn create_server_session(&self) -> Result<ServerSessionId, ApiError> {
        Ok(self.running()?.control.create_session())
    }

    fn close_server_session(&self, session: ServerSessionId) -> Result<(), ApiError> {
        self.shrink(|control| control.close_session(session))
    }

    fn set_session_properties(
        &self,
        session: ServerSessionId,
        properties: SessionProperties,
    ) -> Result<(), ApiError> {
        self.change(|control| control.set_session_properties(session, properties))
    }

    fn create_url_group(&self, session: ServerSessionId) -> Result<UrlGroupId, ApiError> {
        self.running()?.control.create_group(session)
    }

    fn close_url_group(&self, group: UrlGroupId) -> Result<(), ApiError> {
        self.shrink(|control| control.close_group(group))
    }

    fn set_group_properties(
        &self,
        group: UrlGroupId,
        properties: GroupProperties,
    ) -> Result<(), ApiError> {
        self.change(|control| control.set_group_properties(group, properties))
    }

    fn bind_request_queue(
        &self,
        group: UrlGroupId,
        queue: Option<RequestQueueId>,
    ) -> Result<(), ApiError> {
        self.change(|control| control.bind(group, queue))
    }

    fn add_url(&self, group: UrlGroupId, prefix: &UrlPrefix, context: u64) -> Result<(), ApiError> {
        let mut plane = self.running()?;
        let change = plane.control.add_url(group, prefix, context)?;
        if let Err(error) = self.open(&mut plane, &change) {
            // Nobody has seen it yet.
            let _ = plane.control.remove_url(group, prefix);
            return Err(error);
        }
        self.publish(&mut plane);
        plane.listeners.begin(&self.workers);
        self.close_unneeded(&mut plane);
        Ok(())
    }

    fn add_unix_endpoint(
        &self,
        group: UrlGroupId,
        socket: &Path,
        path: &str,
        context: u64,
    ) -> Result<(), ApiError> {
        let mut plane = self.running()?;
        let change = plane.control.add_unix(group, socket, path, context)?;
        if let Err(error) = self.open(&mut plane, &change) {
            let _ = plane.control.remove_unix(group, socket, path);
            return Err(error);
        }
        self.publish(&mut plane);
        plane.listeners.begin(&self.workers);
        Ok(())
    }

    fn remove_url(&self, group: UrlGroupId, prefix: &UrlPrefix) -> Result<(), ApiError> {
        self.shrink(|control| control.remove_url(group, prefix))
    }

    fn remove_unix_endpoint(
        &self,
        group: UrlGroupId,
        socket: &Path,
        path: &str,
    ) -> Result<(), ApiError> {
        self.shrink(|control| control.remove_unix(group, socket, path))
    }

    fn remove_all_urls(&self, group: UrlGroupId) -> Result<(), ApiError> {
        self.shrink(|control| control.remove_all(group))
    }

    fn create_request_queue(
        &self,
        properties: QueueProperties,
        application: Arc<dyn Application>,
    ) -> Result<RequestQueueId, ApiError> {
        let queue = Queue::start(&properties, application)?;
        let mut plane = self.running()?;
        plane.control.create_queue(properties, queue)
    }

    fn set_queue_properties(
        &self,
        queue: RequestQueueId,
        properties: QueueProperties,
    ) -> Result<(), ApiError> {
        self.change(|control| {
            let view = control.set_queue_properties(queue, properties)?;
            view.queue.set_properties(&view.properties);
            Ok(())
        })
    }

    fn set_application(
        &self,
        queue: RequestQueueId,
        application: Arc<dyn Application>,
    ) -> Result<(), ApiError> {
        let view = Arc::clone(self.running()?.control.queue(queue)?);
        view.queue.set_application(application);
        self.post_all(|| Message::ForgetApplications);
        Ok(())
    }

    fn close_request_queue(&self, queue: RequestQueueId) -> Result<(), ApiError> {
        let view = self.change(|control| control.close_queue(queue))?;
        self.shared.cache.forget_queue(queue);
        view.queue.refuse();
        self.close_lanes(&view.queue);
        view.queue.close();
        view.queue.join(None);
        Ok(())
    }

    fn handler_threads(&self, queue: RequestQueueId) -> Result<HandlerThreads, ApiError> {
        let plane = self.running()?;
        let view = plane.control.queue(queue)?;
        Ok(HandlerThreads::new(Arc::new(Jobs::of(&view.queue))))
    }

    fn reserve_url(&self, prefix: &UrlPrefix, owner: ReservationOwner) -> Result<(), ApiError> {
        self.change(|control| control.reserve(prefix, owner))
    }

    fn delete_reservation(&self, prefix: &UrlPrefix) -> Result<(), ApiError> {
        self.change(|control| control.delete_reservation(prefix))
    }

    fn set_reservations(
        &self,
        reservations: &[Reservation],
        caller: Option<Caller>,
    ) -> Result<(), ApiError> {
        self.change(|control| control.set_reservations(reservations, caller))
    }

    fn set_listen_addresses(&self, addresses: &[IpAddr]) -> Result<(), ApiError> {
        let mut plane = self.running()?;
        let (before, change) = plane.control.set_listen_addresses(addresses.to_vec());
        if let Err(error) = self.open(&mut plane, &change) {
            // Nothing was closed yet.
            let _ = plane.control.set_listen_addresses(before);
            return Err(error);
        }
        self.close_unneeded(&mut plane);
        Ok(())
    }

    fn set_service_timeouts(&self, timeouts: &Timeouts) -> Result<(), ApiError> {
        self.change(|control| control.set_machine_timeouts(*timeouts))
    }

    fn add_tls_binding(&self, key: &TlsBindingKey, binding: &TlsBinding) -> Result<(), ApiError> {
        self.tls.add(key, binding)
    }

    fn update_tls_binding(
        &self,
        key: &TlsBindingKey,
        binding: &TlsBinding,
    ) -> Result<(), ApiError> {
        self.tls.update(key, binding)
    }

    fn remove_tls_binding(&self, key: &TlsBindingKey) -> Result<(), ApiError> {
        self.tls.remove(key)
    }

    fn tls_bindings(&self) -> Vec<TlsBindingInfo> {
        self.tls.infos()
    }

    fn reload_certificates(&self) -> Result<(), ApiError> {
        self.tls.reload()
    }

    fn set_proxy_protocol(
        &self,
        port: u16,
        trusted: Option<Vec<AddressRange>>,
    ) -> Result<(), ApiError> {
        let proxies = self.shared.proxies.write();
        let mut proxies = proxies.unwrap_or_else(PoisonError::into_inner);
        match trusted {
            Some(trusted) => proxies.insert(port, trusted.into()),
            None => proxies.remove(&port),
        };
        // Release: pairs with the Acquire of who then takes the lock.
        let has_proxies = &self.shared.has_proxies;
        has_proxies.store(!proxies.is_empty(), Ordering::Release);
        Ok(())
    }

    fn set_cleartext_protocols(&self, port: u16, protocols: HttpProtocols) -> Result<(), ApiError> {
        let chosen = self.shared.cleartext.write();
        let mut chosen = chosen.unwrap_or_else(PoisonError::into_inner);
        match protocols {
            HttpProtocols::BOTH => chosen.remove(&port),
            some => chosen.insert(port, some),
        };
        // Release: pairs with the Acquire of who then takes the lock.
        let has_cleartext = &self.shared.has_cleartext;
        has_cleartext.store(!chosen.is_empty(), Ordering::Release);
        Ok(())
    }

    fn flush_cache(
        &self,
        owner: Option<RequestQueueId>,
        flush: &CacheFlush,
    ) -> Result<u64, ApiError> {
        let limits = &self.shared.settings.request_limits;
        self.shared.cache.flush(owner, flush, limits)
    }

    fn reserved_urls(&self) -> Vec<UrlPrefix> {
        let plane = self.plane();
        let reserved = plane.control.reservations();
        reserved.cloned().collect()
    }

    fn cached_responses(&self) -> Vec<CachedResponse> {
        self.shared.cache.responses()
    }

    fn cache_counters(&self) -> CacheCounters {
        self.shared.cache.counters()
    }

    fn set_connection_filter(
        &self,
        filter: Option<Arc<dyn ConnectionFilter>>,
    ) -> Result<(), ApiError> {
        let _plane = self.running()?;
        self.post_all(|| Message::Filter(filter.clone()));
        Ok(())
    }

    fn hold_accepting(&self) {
        self.plane().listeners.hold();
    }

    fn begin_accepting(&self) {
        self.plane().listeners.release(&self.workers);
    }

    fn set_failure_listener(&self, listener: Option<Arc<dyn FailureListener>>) {
        let place = self.shared.failure_listener.lock();
        *place.unwrap_or_else(PoisonError::into_inner) = listener;
    }

    fn probe(&self, within: Duration) -> Result<(), BackendFailure> {
        let ended =
            |thread: &WorkerThread| thread.ended.try_recv() == Err(TryRecvError::Disconnected);
        if let Some(worker) = self.plane().threads.iter().position(ended) {
            let cause = "nobody has stopped it".into();
            return Err(BackendFailure::Ended { worker, cause });
        }
        match self.silent_workers(within).first() {
            Some(&worker) => Err(BackendFailure::Silent { worker }),
            None => Ok(()),
        }
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        self.plane().listeners.endpoints()
    }

    fn connection_count(&self) -> u64 {
        self.shared.connections.count()
    }

    fn service_state(&self) -> ServiceState {
        let hits = self.shared.cache.counters().queue_hits;
        let plane = self.plane();
        state::service(&plane.control, &hits)
    }

    fn counters(&self) -> BackendCounters {
        state::counters(&self.shared)
    }

    fn connections(&self, page: ConnectionPage) -> Vec<OpenConnection> {
        self.list_connections(page)
    }

    fn disconnect(&self, connection: ConnectionId) -> bool {
        self.disconnect_connection(connection)
    }

    fn info(&self) -> BackendInfo {
        let mut info = BackendInfo::default();
        info.event_loop = Some(match self.io {
            Io::Uring => "uring",
            _ => "poll",
        });
        info.io_threads = Some(self.workers.len());
        info.error_log = self.shared.error_log.folder().map(Path::to_path_buf);
        info
    }

    fn flush_log_buffer(&self) {
        self.shared.request_log.flush();
        self.shared.error_log.flush();
    }

    fn log_counters(&self) -> LogCounters {
        let mut counters = LogCounters::default();
        counters.requests_written = self.shared.request_log.written();
        counters.requests_lost = self.shared.request_log.lost();
        counters.errors_lost = self.shared.error_log.lost();
        counters
    }

    fn stop(&self, deadline: Duration) {
        let mut plane = self.plane();
        plane.stopped = true;
        let threads = std::mem::take(&mut plane.threads);
        let queues: Vec<_> = plane
            .control
            .queues()
            .map(|view| Arc::clone(&view.queue))
            .collect();
        let listeners = std::mem::take(&mut plane.listeners);
        drop(plane);
        let ends = Instant::now() + deadline;
        self.post_all(|| Message::Stop(ends));
        // Nobody may be sent to who does not listen.
        let silent = self.silent_workers(SILENT_AFTER);
        for &worker in &silent {
            listeners.stop_for(worker);
        }
        drop(listeners);
        self.join(threads, ends, &silent);
        for queue in &queues {
            queue.close();
        }
        let until = ends.max(Instant::now() + HANDLERS_END_MAX);
        for queue in &queues {
            queue.join(Some(until));
        }
        self.shared.cache.clear();
        self.shared.error_log.stop();
        self.shared.request_log.stop();
    }
}

/// Handler threads that nothing holds end long before this, also when the time for a stop is over.
const HANDLERS_END_MAX: Duration = Duration::from_secs(1);

impl Drop for Embedded {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Embedded")
            .field("io", &self.io)
            .field("io_threads", &self.workers.len())
            .finish_non_exhaustive()
    }
}

/// A worker that does not look into its mailbox for this long is held up.
const SILENT_AFTER: Duration = Duration::from_secs(2);

/// What a worker may take to see that the time of a lane is over.
const LANE_CLOSE_SLACK: Duration = Duration::from_secs(1);

/// `skip_completion_on_success = false`: a request is dispatched after its whole batch was taken. One
/// queue that wants it is enough, since a worker serves all queues in one loop.
fn receive_order(control: &Control<Queue>) -> ReceiveOrder {
    let takes_batches = control.queues().any(|view| {
        view.properties.operating_mode == OperatingMode::HighPerf
            && !view.properties.skip_completion_on_success
    });
    match takes_batches {
        true => ReceiveOrder::AfterOthers,
        false => ReceiveOrder::AsTaken,
    }
}

fn choose_io(wanted: Io) -> Result<Io, ApiError> {
    match wanted {
        Io::Poll => Ok(Io::Poll),
        Io::Auto => match uring_available() {
            Ok(()) => Ok(Io::Uring),
            Err(reason) => {
                tracing::info!(%reason, "io = auto: using poll, since io_uring is not available");
                Ok(Io::Poll)
            }
        },
        Io::Uring => match uring_available() {
            Ok(()) => Ok(Io::Uring),
            Err(reason) => Err(ApiError::Start {
                what: "io_uring was asked for and is not available; use auto or poll",
                source: Box::new(reason),
            }),
        },
    }
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

type StartedWorker = (Arc<Mailbox>, WorkerThread);

fn start_worker(
    io: Io,
    index: usize,
    shared: &Arc<Shared>,
    snapshot: &Arc<Snapshot<Queue>>,
) -> Result<StartedWorker, ApiError> {
    match io {
        #[cfg(target_os = "linux")]
        Io::Uring => spawn_worker::<tidegate_os::UringLoop>(index, shared, snapshot),
        _ => spawn_worker::<PollLoop>(index, shared, snapshot),
    }
}

fn spawn_worker<L: EventLoop>(
    index: usize,
    shared: &Arc<Shared>,
    snapshot: &Arc<Snapshot<Queue>>,
) -> Result<StartedWorker, ApiError> {
    let start_error = |source| ApiError::Start {
        what: "starting a worker thread",
        source,
    };
    let (ready, made) = mpsc::sync_channel::<Result<Arc<Mailbox>, SystemError>>(1);
    let (alive, ended) = mpsc::channel();
    let shared = Arc::clone(shared);
    let snapshot = Arc::clone(snapshot);
    let handle = thread::Builder::new()
        .name(format!("tidegate-io-{index}"))
        .spawn(move || {
            // Dropped last.
            let _alive: mpsc::Sender<Infallible> = alive;
            let settings = LoopSettings {
                receive_buffer_bytes: shared.settings.limits.read_buffer_bytes,
                ..LoopSettings::default()
            };
            // A loop belongs to the thread that made it.
            let mut event_loop = match L::new(&settings) {
                Ok(event_loop) => event_loop,
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            let mailbox = Arc::new(Mailbox::new(event_loop.operations().waker()));
            let _ = ready.send(Ok(Arc::clone(&mailbox)));
            let worker = Worker::new(Arc::clone(&shared), mailbox, index, snapshot);
            let ran = catch_unwind(AssertUnwindSafe(|| worker.run(&mut event_loop)));
            let cause: Box<str> = match ran {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string().into(),
                Err(payload) => panic_message(&*payload).into(),
            };
            // Its listeners are closed before anybody makes others in their place.
            drop(event_loop);
            shared.failed(BackendFailure::Ended {
                worker: index,
                cause,
            });
        })
        .map_err(|error| start_error(error.into()))?;
    match made.recv() {
        Ok(Ok(mailbox)) => Ok((mailbox, WorkerThread { handle, ended })),
        Ok(Err(error)) => Err(start_error(error.into())),
        Err(error) => Err(start_error(error.into())),
    }
}

/// The message that a panic was raised with.
fn panic_message(payload: &(dyn Any + Send)) -> &str {
    match (
        payload.downcast_ref::<&str>(),
        payload.downcast_ref::<String>(),
    ) {
        (Some(message), _) => message,
        (None, Some(message)) => message,
        (None, None) => "a panic without a message",
    }
}
