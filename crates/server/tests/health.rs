//! Whether a server says of itself that it lives and is ready: on real ports, on each event loop, in both modes.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[allow(dead_code, reason = "other tests use the rest of it")]
mod client;

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use client::setting::{all_settings, builder, in_each_setting, start, stop};
use client::{Client, free_port};
use tidegate::{Binding, FineTune, ForwardSettings, HealthEndpointSettings, OperatingMode};

fn health(port: u16) -> HealthEndpointSettings {
    let mut health = HealthEndpointSettings::default();
    health.enabled = true;
    health.liveness = Binding::new("localhost", port, "/livez").unwrap();
    health.readiness = Binding::new("localhost", port, "/readyz").unwrap();
    health.queue_full_for = Duration::ZERO;
    health
}

/// Status and text of an answer.
fn ask(port: u16, path: &str) -> (u16, String) {
    let answer = Client::connect(port).get(path);
    assert_eq!(answer.field("Cache-Control"), Some("no-store"));
    (answer.status, answer.text().to_owned())
}

fn ok() -> (u16, String) {
    (200, "ok\n".to_owned())
}

fn wait_until(condition: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < patience, "it did not come");
        thread::yield_now();
    }
}

#[test]
fn a_server_lives_and_is_ready() {
    in_each_setting(|builder, port| {
        let own = free_port();
        let server = start(builder.health(health(own)));
        for _ in 0..2 {
            assert_eq!(ask(own, "/livez"), ok());
            assert_eq!(ask(own, "/readyz"), ok());
        }
        let mut client = Client::connect(own);
        assert_eq!(client.request("POST", "/livez", &[], "").status, 405);
        assert_eq!(client.get("/livez/deeper").status, 404);
        // It is nothing of the application's.
        assert_eq!(Client::connect(port).get("/livez").status, 404);
        // A reload is no reason to be sent nothing.
        let mut settings = server.settings();
        settings.shutdown_deadline = Duration::from_secs(1);
        server.reload(settings).unwrap();
        assert_eq!(ask(own, "/readyz"), ok());
        drop(client);
        stop(server);
    });
}

#[test]
fn it_is_one_path_among_the_applications_when_said_so() {
    in_each_setting(|builder, port| {
        let mut settings = HealthEndpointSettings::default();
        settings.enabled = true;
        settings.liveness = Binding::new("127.0.0.1", port, "/health/live").unwrap();
        settings.readiness = Binding::new("127.0.0.1", port, "/health/ready").unwrap();
        let server = start(
            builder
                .health(settings)
                .on_http_request(|_, response| response.text("the application")),
        );
        assert_eq!(ask(port, "/health/live"), ok());
        assert_eq!(ask(port, "/health/ready"), ok());
        let mut client = Client::connect(port);
        assert_eq!(client.get("/health").text(), "the application");
        drop(client);
        stop(server);
    });
}

#[test]
fn a_server_that_is_about_to_stop_is_not_ready_and_goes_on() {
    in_each_setting(|builder, port| {
        let own = free_port();
        let server = start(
            builder
                .health(health(own))
                .shutdown_delay(Duration::from_secs(3600))
                .on_http_request(|_, response| response.text("there")),
        );
        let mut open = Client::connect(own);
        assert_eq!(open.get("/readyz").status, 200);
        server.stop();
        let answer = open.get("/readyz");
        assert_eq!((answer.status, answer.text()), (503, "stopping\n"));
        assert_eq!(open.get("/livez").status, 200);
        assert_eq!(Client::connect(port).get("/").text(), "there");
        // Nobody waits for the end of that.
        assert!(server.is_active());
    });
}

#[test]
fn a_full_queue_is_told_and_silences_nobody() {
    for (io, mode) in all_settings() {
        let (port, own) = (free_port(), free_port());
        println!("{io:?}, {mode:?}");
        let (called, is_called) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let may_go_on = Arc::new(Mutex::new(may_go_on));
        let server = start(
            builder(io, mode, port)
                .health(health(own))
                .thread_pool_size(1)
                .fine_tune(FineTune {
                    queue_length: 1,
                    accepts_per_worker: 1,
                    operating_mode: mode,
                    // Else requests that a thread has received together count as waiting in HighPerf: one that came
                    // behind another's was refused, where the queue has room for one.
                    skip_completion_on_success: true,
                })
                .on_http_request(move |_, response| {
                    called.send(()).unwrap();
                    if mode == OperatingMode::Classic {
                        let _ = may_go_on.lock().unwrap().recv();
                        return response.text("at last");
                    }
                    // A thread that reads requests is not to be held, or it reads no others: what fills the
                    // queue is requests that are answered later.
                    let may_go_on = Arc::clone(&may_go_on);
                    response.defer(move |_, mut response| {
                        thread::spawn(move || {
                            let _ = may_go_on.lock().unwrap().recv();
                            response.text("at last");
                            response.send();
                        });
                    });
                }),
        );
        let post = || {
            let mut client = Client::connect(port);
            let head = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n";
            client.write(head.as_bytes());
            client
        };
        let with_the_application = post();
        is_called.recv().unwrap();
        let waiting = post();
        wait_until(|| ask(own, "/readyz") == (503, "the request queue is full\n".to_owned()));
        assert_eq!(ask(own, "/livez"), ok());
        drop(go_on);
        wait_until(|| ask(own, "/readyz") == ok());
        drop((with_the_application, waiting));
        stop(server);
    }
}

#[test]
fn a_path_without_an_upstream_is_told() {
    in_each_setting(|builder, port| {
        let own = free_port();
        let url = format!("http://127.0.0.1:{}", free_port());
        let mut forward = ForwardSettings::new("/api", [url.parse().unwrap()]);
        forward.health.path = Some("/".to_owned());
        forward.health.interval = Duration::from_millis(100);
        let server = start(builder.health(health(own)).forward(forward));
        let told = (503, "no upstream of /api is up\n".to_owned());
        wait_until(|| {
            Client::connect(port).get("/api/");
            ask(own, "/readyz") == told
        });
        assert_eq!(ask(own, "/livez"), ok());
        stop(server);
    });
}
