//! What is done at once, on the worker, costs no heap allocation: a request that is answered in HighPerf, or
//! from the response cache, logged or not, and bytes that an upgraded connection's lane answers.
//!
//! The allocator of this program counts what the worker thread allocates, from the moment the
//! application, called on that thread, says so. Source: design, the seam.

mod cached;
mod opaque;
mod requests;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_driver::{Embedded, EmbeddedSettings, Io};
use tidegate_httpapi::{
    Application, Backend, GroupProperties, LogFields, LoggingProperties, OperatingMode,
    QueueProperties, UrlPrefix,
};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    if COUNTED.get() {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps to the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above; the pointer came from `System`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Has what the calling thread allocates from now on counted.
fn count_here() {
    COUNTED.set(true);
}

/// How often the counted threads allocate while this is done.
fn allocations_of(act: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    act();
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

/// As [`serve`], with all fields of each request logged.
fn serve_logged(
    io: Io,
    folder: &Path,
    application: impl Application + 'static,
) -> Option<(Arc<Embedded>, u16)> {
    let mut logging = LoggingProperties::new(folder);
    logging.fields = LogFields::ALL;
    serve_with(io, Some(logging), application)
}

/// A backend of one worker that serves an application on a free port; `None` if there is no such loop.
fn serve(io: Io, application: impl Application + 'static) -> Option<(Arc<Embedded>, u16)> {
    serve_with(io, None, application)
}

fn serve_with(
    io: Io,
    logging: Option<LoggingProperties>,
    application: impl Application + 'static,
) -> Option<(Arc<Embedded>, u16)> {
    let mut settings = EmbeddedSettings::default();
    settings.io = io;
    settings.io_threads = Some(1);
    settings.error_log.enabled = false;
    let mut properties = QueueProperties::default();
    properties.operating_mode = OperatingMode::HighPerf;
    let backend = match Embedded::start(settings) {
        Ok(backend) => backend,
        Err(error) if io == Io::Uring => {
            println!("not tested on io_uring: {error}");
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port();
    let session = backend.create_server_session().expect("a session");
    let group = backend.create_url_group(session).expect("a group");
    let queue = backend
        .create_request_queue(properties, Arc::new(application))
        .expect("a queue");
    backend
        .bind_request_queue(group, Some(queue))
        .expect("bound");
    let mut properties = GroupProperties::default();
    properties.logging = logging;
    backend
        .set_group_properties(group, properties)
        .expect("logged");
    let prefix = UrlPrefix::parse(&format!("http://127.0.0.1:{port}/")).expect("a prefix");
    backend.add_url(group, &prefix, 0).expect("listening");
    Some((backend, port))
}

// One test, so that the count is of one worker at a time.
#[test]
fn what_is_done_at_once_allocates_nothing() {
    for io in [Io::Poll, Io::Uring] {
        requests::check(io);
        requests::check_logged(io);
        cached::check(io);
        opaque::check(io);
    }
}
