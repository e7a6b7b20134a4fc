//! Starting, stopping, restarting, and the events of these.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate_httpapi::{Admission, OperatingMode, Verbosity503};

use super::backend::TestBackend;
use super::requests::{exceptions, serve};
use crate::{Binding, Error, FineTune, Server, ServerBuilder, Timeouts};

/// The events of a server's life, in order.
fn events(builder: ServerBuilder) -> (ServerBuilder, Receiver<&'static str>) {
    let (sender, receiver) = channel();
    let sender = Arc::new(Mutex::new(sender));
    let tell = move |event| sender.lock().unwrap().send(event).unwrap();
    let (before, startup, shutdown) = (tell.clone(), tell.clone(), tell);
    let builder = builder
        .on_before_binding(move |_| before("before binding"))
        .on_startup(move |server| {
            assert!(server.is_active());
            startup("startup");
        })
        .on_shutdown(move |server| {
            assert!(!server.is_active());
            shutdown("shutdown");
        });
    (builder, receiver)
}

fn binding(text: &str) -> Binding {
    text.parse().unwrap()
}

#[test]
fn a_life_has_its_events_in_order() {
    let backend = TestBackend::classic();
    let (builder, told) = events(Server::builder().port(8080));
    let server = serve(&backend, builder);
    assert!(server.is_active());
    assert!(matches!(server.start(), Err(Error::AlreadyStarted)));
    server.stop();
    server.stop();
    server.wait_stopped();
    assert!(!server.is_active());
    assert!(matches!(server.wait_started(), Err(Error::NotStarted)));
    let calls = backend.calls();
    assert_eq!(
        calls,
        ["add http://localhost:8080/", "close session", "close queue"]
    );
    server.start().unwrap();
    server.wait_started().unwrap();
    drop(server);
    let told: Vec<_> = told.iter().collect();
    let life = ["before binding", "startup", "shutdown"];
    assert_eq!(told, [life, life].concat());
}

#[test]
fn run_ends_when_a_handle_elsewhere_stops_it() {
    let backend = TestBackend::classic();
    let server = Server::builder()
        .backend(backend)
        .on_startup(Server::stop)
        .build()
        .unwrap();
    server.run().unwrap();
    server.run().unwrap();
}

#[test]
fn a_failed_start_is_told_by_run_and_as_an_exception() {
    let backend = TestBackend::classic();
    backend.refuse("http://localhost:8080/");
    let (builder, told) = exceptions(Server::builder().port(8080).binding("127.0.0.1", 1, "/"));
    let server = builder.backend(Arc::clone(&backend) as _).build().unwrap();
    let error = server.run().unwrap_err();
    assert!(matches!(error, Error::AddressInUse(_)), "{error:?}");
    assert!(told.recv().unwrap().contains("http://localhost:8080/"));
    assert!(!server.is_active());
    assert_eq!(backend.calls(), ["close session", "close queue"]);
}

#[test]
fn a_panic_in_startup_is_an_exception_and_the_server_goes_on() {
    let backend = TestBackend::classic();
    let (builder, told) = exceptions(Server::builder());
    let builder = builder.on_startup(|_| panic!("as asked for"));
    let server = serve(&backend, builder);
    assert!(told.recv().unwrap().contains("as asked for"));
    assert!(server.is_active());
}

#[test]
fn before_binding_may_change_the_bindings() {
    let backend = TestBackend::classic();
    let builder = Server::builder().port(8080).on_before_binding(|bindings| {
        bindings.clear();
        bindings.push(binding("http://+:9090/a/").with_context(3));
    });
    let _server = serve(&backend, builder);
    assert_eq!(backend.urls(), [("http://+:9090/a/".to_owned(), 3)]);
}

#[test]
fn no_binding_left_is_an_error() {
    let server = Server::builder()
        .backend(TestBackend::classic())
        .on_before_binding(Vec::clear)
        .build()
        .unwrap();
    assert!(matches!(server.run(), Err(Error::NoBinding)));
    let server = Server::builder()
        .backend(TestBackend::classic())
        .on_before_binding(|_| panic!("as asked for"))
        .build()
        .unwrap();
    let error = server.run().unwrap_err();
    assert!(error.to_string().contains("as asked for"), "{error}");
}

#[test]
fn a_restart_changes_only_the_bindings_that_differ() {
    let backend = TestBackend::classic();
    let (builder, told) = events(Server::builder().bind("http://+:1/").bind("http://+:2/"));
    let server = serve(&backend, builder);
    backend.calls();
    server
        .configure(|settings| {
            settings.bindings = vec![
                binding("http://+:3/"),
                binding("http://+:2/"),
                binding("unix:/run/a"),
            ];
        })
        .unwrap();
    server.restart().unwrap();
    server.wait_started().unwrap();
    assert_eq!(
        backend.calls(),
        ["add http://+:3/", "add unix /run/a /", "remove http://+:1/"]
    );
    server
        .configure(|settings| settings.bindings.truncate(2))
        .unwrap();
    server.restart().unwrap();
    server.wait_started().unwrap();
    assert_eq!(backend.calls(), ["remove unix /run/a /"]);
    let told: Vec<_> = told.try_iter().collect();
    let life = ["before binding", "startup"];
    assert_eq!(told, [&life[..], &life[..1], &life[..1]].concat());
}

#[test]
fn a_restart_that_fails_leaves_the_bindings_there_were() {
    let backend = TestBackend::classic();
    let server = serve(&backend, Server::builder().bind("http://+:1/"));
    backend.refuse("http://+:3/");
    let change = |settings: &mut crate::Settings| {
        settings.bindings = vec![
            binding("http://+:1/").with_context(7),
            binding("http://+:2/"),
            binding("http://+:3/"),
        ];
    };
    server.configure(change).unwrap();
    server.restart().unwrap();
    assert!(matches!(server.wait_started(), Err(Error::AddressInUse(_))));
    assert!(server.is_active());
    assert_eq!(backend.urls(), [("http://+:1/".to_owned(), 0)]);
    server
        .configure(|settings| settings.bindings.truncate(2))
        .unwrap();
    server.restart().unwrap();
    server.wait_started().unwrap();
    assert_eq!(
        backend.urls(),
        [("http://+:1/".to_owned(), 7), ("http://+:2/".to_owned(), 0)]
    );
}

#[test]
fn a_restart_with_other_settings_stops_and_starts() {
    let backend = TestBackend::classic();
    let (builder, told) = events(Server::builder());
    let server = serve(&backend, builder);
    server
        .configure(|settings| settings.thread_pool_size = 5)
        .unwrap();
    server.restart().unwrap();
    server.wait_started().unwrap();
    assert_eq!(backend.properties().thread_pool_size, 5);
    let told: Vec<_> = told.try_iter().collect();
    let life = [
        "before binding",
        "startup",
        "shutdown",
        "before binding",
        "startup",
    ];
    assert_eq!(told, life);
}

#[test]
fn settings_reach_the_driver() {
    let backend = TestBackend::classic();
    let builder = Server::builder()
        .fine_tune(FineTune {
            queue_length: 10_000,
            operating_mode: OperatingMode::HighPerf,
            accepts_per_worker: 8,
            skip_completion_on_success: true,
        })
        .thread_pool_size(16)
        .verbosity_503(Verbosity503::Full)
        .max_request_body_size(0)
        .timeouts(Timeouts {
            enabled: true,
            idle_connection: Duration::from_secs(5),
            header_wait: Duration::ZERO,
            ..Timeouts::default()
        });
    let _server = serve(&backend, builder);
    let properties = backend.properties();
    assert_eq!(properties.queue_length, 10_000);
    assert_eq!(properties.with_application_max(), 128);
    assert!(properties.skip_completion_on_success);
    assert_eq!(properties.verbosity_503, Verbosity503::Full);
    assert_eq!(properties.content_bytes_max, None);
    let timeouts = backend.timeouts();
    assert_eq!(timeouts.idle_connection, Some(Some(Duration::from_secs(5))));
    assert_eq!(timeouts.header_wait, None);
}

#[test]
fn a_connection_may_be_refused() {
    let backend = TestBackend::classic();
    let server = serve(&backend, Server::builder());
    assert_eq!(backend.connect(), Admission::Accept);
    drop(server);
    let backend = TestBackend::classic();
    let (builder, told) = exceptions(Server::builder());
    let builder = builder.on_tcp_connect(|connection| {
        assert_ne!(connection.connection_id.0, 2);
        Admission::Refuse
    });
    let server = serve(&backend, builder);
    assert_eq!(backend.connect(), Admission::Refuse);
    assert!(told.try_recv().is_err());
    drop(server);
    let backend = TestBackend::classic();
    let (builder, told) = exceptions(Server::builder());
    let builder = builder.on_tcp_connect(|_| panic!("as asked for"));
    let _server = serve(&backend, builder);
    assert_eq!(backend.connect(), Admission::Refuse);
    assert!(told.recv().unwrap().contains("as asked for"));
}

#[test]
fn a_bad_property_is_refused_when_built() {
    let error = Server::builder().bind("ftp://+:1/").build().unwrap_err();
    assert!(matches!(error, Error::Binding(_)), "{error:?}");
    let error = Server::builder().port(0).build().unwrap_err();
    assert!(matches!(error, Error::Setting(_)), "{error:?}");
    let error = Server::builder().host("a b").build().unwrap_err();
    assert!(matches!(error, Error::Binding(_)), "{error:?}");
    let server = Server::builder().build().unwrap();
    assert!(
        server
            .configure(|settings| settings.thread_pool_size = 0)
            .is_err()
    );
    assert_eq!(server.settings().thread_pool_size, 32);
}
