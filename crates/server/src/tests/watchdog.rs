//! The watchdog: when a server is started anew, and when it is left alone.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::backend::TestBackend;
use super::requests::serve;
use crate::{Error, Server, ServerBuilder, WatchDogReason, WatchDogSettings};

fn watched(attempts: u32) -> (ServerBuilder, Receiver<String>) {
    let settings = WatchDogSettings {
        enabled: true,
        interval: Duration::from_millis(1),
        attempts,
        ..WatchDogSettings::default()
    };
    let (sender, told) = channel();
    let sender = Arc::new(Mutex::new(sender));
    let tell = move |what: String| sender.lock().unwrap().send(what).unwrap();
    let (restart, startup, exception) = (tell.clone(), tell.clone(), tell);
    let builder = Server::builder()
        .port(8080)
        .watchdog(settings)
        .on_watchdog_restart(move |_, told| {
            let reason = match &told.reason {
                WatchDogReason::Failed(_) => "failed",
                WatchDogReason::Silent(_) => "silent",
                WatchDogReason::NotStarted(_) => "not started",
            };
            restart(format!("attempt {}: {reason}", told.attempt));
        })
        .on_startup(move |_| startup("startup".to_owned()))
        .on_exception(move |told| exception(format!("exception {told}")));
    (builder, told)
}

fn wait_until(condition: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < patience, "it did not come");
        thread::yield_now();
    }
}

#[test]
fn a_server_whose_driver_fails_is_started_anew() {
    let backend = TestBackend::classic();
    let (builder, told) = watched(0);
    let server = serve(&backend, builder);
    assert_eq!(told.recv().unwrap(), "startup");
    for _ in 0..3 {
        wait_until(|| server.is_watched() && server.is_active() && backend.fail());
        let failure = "exception worker thread 0 has ended: as asked for";
        assert_eq!(told.recv().unwrap(), failure);
        assert!(told.recv().unwrap().starts_with("attempt "));
        assert_eq!(told.recv().unwrap(), "startup");
        wait_until(|| server.is_active());
    }
}

#[test]
fn without_a_watchdog_a_failure_is_told_and_the_server_goes_on() {
    let backend = TestBackend::classic();
    let (builder, told) = watched(0);
    let server = serve(&backend, builder.watchdog(WatchDogSettings::default()));
    assert_eq!(told.recv().unwrap(), "startup");
    assert!(backend.fail());
    assert!(
        told.recv()
            .unwrap()
            .starts_with("exception worker thread 0")
    );
    assert!(server.is_active() && !server.is_watched());
    drop(server);
    assert_eq!(told.recv().ok(), None);
}

#[test]
fn a_stop_that_was_asked_for_is_left_alone() {
    let backend = TestBackend::classic();
    let (builder, told) = watched(0);
    let server = serve(&backend, builder);
    wait_until(|| server.is_watched());
    server.stop();
    server.wait_stopped();
    assert!(!server.is_watched() && !backend.fail());
    // It is watched again when it is started again.
    server.start().unwrap();
    server.wait_started().unwrap();
    wait_until(|| server.is_watched());
    assert!(backend.fail());
    let mut heard = Vec::new();
    while heard.iter().filter(|told| *told == "startup").count() < 3 {
        heard.push(told.recv().unwrap());
    }
    assert!(heard.contains(&"attempt 1: failed".to_owned()), "{heard:?}");
}

#[test]
fn a_first_start_that_fails_is_left_alone() {
    let backend = TestBackend::classic();
    backend.refuse("http://localhost:8080/");
    let (builder, told) = watched(0);
    let server = builder.backend(Arc::clone(&backend) as _).build().unwrap();
    assert!(matches!(server.run(), Err(Error::AddressInUse(_))));
    assert!(!server.is_watched());
    drop(server);
    let heard: Vec<_> = told.iter().collect();
    assert!(
        heard.len() == 1 && heard[0].starts_with("exception "),
        "{heard:?}"
    );
}

#[test]
fn what_cannot_be_started_again_is_tried_until_it_can() {
    let backend = TestBackend::classic();
    let (builder, told) = watched(0);
    let server = builder.backend(Arc::clone(&backend) as _).build().unwrap();
    let run = {
        let server = server.clone();
        thread::spawn(move || server.run())
    };
    assert_eq!(told.recv().unwrap(), "startup");
    wait_until(|| server.is_watched());
    backend.refuse("http://localhost:8080/");
    wait_until(|| backend.fail());
    while told.recv().unwrap() != "attempt 3: not started" {}
    // Whoever waits for its end goes on waiting.
    assert!(!run.is_finished());
    backend.refuse_nothing();
    while told.recv().unwrap() != "startup" {}
    server.stop();
    assert!(run.join().unwrap().is_ok());
}

#[test]
fn attempts_come_to_an_end() {
    let backend = TestBackend::classic();
    let (builder, told) = watched(2);
    let server = builder.backend(Arc::clone(&backend) as _).build().unwrap();
    let run = {
        let server = server.clone();
        thread::spawn(move || server.run())
    };
    assert_eq!(told.recv().unwrap(), "startup");
    wait_until(|| server.is_watched());
    backend.refuse("http://localhost:8080/");
    wait_until(|| backend.fail());
    assert!(matches!(run.join().unwrap(), Err(Error::AddressInUse(_))));
    assert!(!server.is_watched());
    drop(server);
    let attempts = told.iter().filter(|told| told.starts_with("attempt "));
    assert_eq!(
        attempts.collect::<Vec<_>>(),
        ["attempt 1: failed", "attempt 2: not started"]
    );
}
