//! Whether a server answers, and what is done when it does not: on real ports, on each event loop.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[allow(dead_code, reason = "other tests use the rest of it")]
mod client;

use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::setting::{all_settings, builder, in_each_setting, start, stop};
use client::{Client, free_port};
use tidegate::{
    Admission, Binding, CertificateAuthorities, ClientCertificates, HttpProtocols, OperatingMode,
    ProbeError, ProbeFault, ProxyProtocol, ServerBuilder, SslOptions, WatchDogMonitor,
    WatchDogReason, WatchDogSettings,
};

/// Far more than an answer takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Refuses and counts all that a client could meet.
fn closed(builder: ServerBuilder) -> (ServerBuilder, Receiver<()>) {
    let (sender, met) = mpsc::channel();
    let sender = Arc::new(Mutex::new(sender));
    let other = Arc::clone(&sender);
    let builder = builder
        .on_tcp_connect(move |_| {
            sender.lock().unwrap().send(()).unwrap();
            Admission::Refuse
        })
        .on_http_request(move |_, _| other.lock().unwrap().send(()).unwrap());
    (builder, met)
}

#[test]
fn a_server_that_answers_is_found_to_whatever_it_refuses() {
    let folder = tempfile::tempdir().unwrap();
    in_each_setting(|builder, port| {
        let socket = folder.path().join(format!("{port}.sock"));
        let (builder, met) = closed(builder);
        let (any, http2) = (free_port(), free_port());
        let server = start(
            builder.binding("+", any, "/deep/down/").bindings([
                Binding::unix(&socket, "/").unwrap(),
                Binding::new("localhost", http2, "/")
                    .unwrap()
                    .with_protocols(HttpProtocols::HTTP2),
            ]),
        );
        for _ in 0..3 {
            server.probe(PATIENCE).unwrap();
        }
        let mut settings = server.settings();
        settings.bindings.remove(0);
        server.reload(settings).unwrap();
        server.probe(PATIENCE).unwrap();
        stop(server.clone());
        assert!(matches!(
            server.probe(PATIENCE),
            Err(ProbeError::NotStarted)
        ));
        // A connection to a Unix socket comes from nowhere, so that nothing tells the monitor's from others.
        assert_eq!(met.try_iter().count(), 4);
    });
}

#[test]
fn ports_with_tls_and_behind_proxies_are_asked_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["other.example".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let (certificate, key) = (folder.path().join("a.crt"), folder.path().join("a.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut asks_for_certificates = SslOptions::pem(&certificate, &key);
    asks_for_certificates.client_certificates =
        ClientCertificates::Require(CertificateAuthorities {
            file: certificate.clone(),
            revocation_lists: None,
        });
    in_each_setting(|builder, _| {
        let (builder, met) = closed(builder);
        let from = |range: &str| ProxyProtocol::From(vec![range.parse().unwrap()]);
        let plain = |port| Binding::new("127.0.0.1", port, "/").unwrap();
        let secure = |port| Binding::https("127.0.0.1", port, "/").unwrap();
        let options = SslOptions::pem(&certificate, &key);
        let server = start(
            builder.bindings([
                plain(free_port()).with_proxy_protocol(from("127.0.0.0/8")),
                plain(free_port()).with_proxy_protocol(from("192.0.2.1/32")),
                secure(free_port()).with_ssl(options.clone()),
                secure(free_port())
                    .with_ssl(options)
                    .with_protocols(HttpProtocols::HTTP2),
            ]),
        );
        server.probe(PATIENCE).unwrap();
        let mut settings = server.settings();
        settings.bindings = vec![secure(free_port()).with_ssl(asks_for_certificates.clone())];
        server.reload(settings).unwrap();
        server.probe(PATIENCE).unwrap();
        stop(server);
        assert_eq!(met.try_iter().count(), 0);
    });
}

#[test]
fn a_server_that_is_held_up_is_started_anew() {
    let loops = all_settings()
        .into_iter()
        .filter(|(_, mode)| *mode == OperatingMode::HighPerf);
    for (io, mode) in loops {
        let port = free_port();
        let watchdog = WatchDogSettings {
            enabled: true,
            interval: Duration::from_millis(20),
            monitor: WatchDogMonitor {
                enabled: true,
                // However slow the machine is, one that is held up is found, and one that is not has this long.
                timeout: Duration::from_secs(2),
            },
            ..WatchDogSettings::default()
        };
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let may_go_on = Mutex::new(may_go_on);
        let (tell, told) = mpsc::channel();
        let (tell_startup, started) = mpsc::channel();
        let server = start(
            builder(io, mode, port)
                .shutdown_deadline(Duration::from_millis(10))
                .watchdog(watchdog)
                .on_startup(move |_| tell_startup.send(()).unwrap())
                .on_watchdog_restart(move |_, restart| tell.send(restart.reason.clone()).unwrap())
                .on_http_request(move |request, response| {
                    if request.document() == "/held" {
                        // Which no handler may do in this mode.
                        let _ = may_go_on.lock().unwrap().recv();
                    }
                    response.text("there");
                }),
        );
        assert_eq!(Client::connect(port).get("/").text(), "there");
        let mut held = Client::connect(port);
        held.send("GET", "/held", &[], "");
        let reason = told.recv().unwrap();
        let is_silent = matches!(
            &reason,
            WatchDogReason::Silent(
                ProbeError::Worker(_)
                    | ProbeError::Client {
                        fault: ProbeFault::TimedOut,
                        ..
                    }
            )
        );
        assert!(is_silent, "{reason}");
        // The port is the new driver's alone: each of these is answered.
        started.recv().unwrap();
        started.recv().unwrap();
        for _ in 0..20 {
            assert_eq!(Client::connect(port).get("/").text(), "there");
        }
        drop(go_on);
        stop(server);
    }
}
