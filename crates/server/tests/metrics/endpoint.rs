//! The place where metrics are read: what it tells, and to whom.

use std::collections::HashMap;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use tidegate::{FineTune, MetricsSettings, OperatingMode, Server};

use crate::client::setting::{all_settings, builder, in_each_setting, start, stop};
use crate::client::{Answer, Client, free_port};
use crate::{http2_client, wait_until};

fn metrics(port: u16) -> MetricsSettings {
    let mut metrics = MetricsSettings::default();
    metrics.enabled = true;
    metrics.url = format!("http://localhost:{port}/metrics").parse().unwrap();
    metrics
}

fn read(port: u16, fields: &[&str]) -> Answer {
    Client::connect(port).request("GET", "/metrics", fields, "")
}

/// The values, by name and labels. Fails on what is no line of the format.
fn values(text: &str) -> HashMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

#[test]
fn what_was_counted_is_told_in_the_text_format() {
    in_each_setting(|builder, port| {
        let metrics_port = free_port();
        let server = start(builder.metrics(metrics(metrics_port)).on_http_request(
            |request, response| match request.document() {
                "/missing" => response.status(404).empty(),
                _ => response.text("hello"),
            },
        ));
        let mut client = Client::connect(port);
        client.get("/");
        client.get("/");
        client.get("/missing");
        client.request("POST", "/", &[], "");
        let answer = read(metrics_port, &[]);
        assert_eq!(answer.status, 200);
        let content_type = "text/plain; version=0.0.4; charset=utf-8";
        assert_eq!(answer.field("Content-Type"), Some(content_type));
        assert_eq!(answer.field("Cache-Control"), Some("no-store"));
        let values = values(answer.text());
        let group = format!("http://127.0.0.1:{port}/");
        let of_group = |name: &str, more: &str| {
            values[&format!("tidegate_url_group_{name}{{group=\"{group}\"{more}}}")]
        };
        assert_eq!(of_group("requests_total", ",method=\"GET\""), 3.0);
        assert_eq!(of_group("requests_total", ",method=\"other\""), 1.0);
        assert_eq!(of_group("connections", ""), 1.0);
        // The request for metrics itself is one of them, and has not been answered.
        assert_eq!(values["tidegate_http_requests_total{method=\"GET\"}"], 4.0);
        assert_eq!(values["tidegate_http_responses_total{class=\"2xx\"}"], 3.0);
        assert_eq!(values["tidegate_http_responses_total{class=\"4xx\"}"], 1.0);
        assert_eq!(values["tidegate_connections"], 2.0);
        let of_queue = |name: &str| values[&format!("tidegate_{name}{{queue=\"{group}\"}}")];
        assert_eq!(of_queue("request_queue_arrived_total"), 4.0);
        assert_eq!(of_queue("http_request_duration_seconds_count"), 4.0);
        assert!(of_queue("http_request_duration_seconds_sum") > 0.0);
        let longest = format!(
            "tidegate_http_request_duration_seconds_bucket{{queue=\"{group}\",le=\"+Inf\"}}"
        );
        assert_eq!(values[&longest], 4.0);
        assert!(values["process_resident_memory_bytes"] > 0.0);
        assert!(values["process_start_time_seconds"] > 0.0);
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            values[&format!("tidegate_build_info{{version=\"{version}\"}}")],
            1.0
        );
        stop(server);
    });
}

#[test]
fn openmetrics_is_told_to_who_likes_it_better() {
    let (io, mode) = all_settings()[0];
    let metrics_port = free_port();
    let server = start(builder(io, mode, free_port()).metrics(metrics(metrics_port)));
    let prometheus = "Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
        application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
        text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    for accept in [prometheus, "Accept: application/openmetrics-text"] {
        let answer = read(metrics_port, &[accept]);
        let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(answer.field("Content-Type"), Some(content_type));
        assert!(answer.text().ends_with("# EOF\n"));
        assert_eq!(answer.field("Vary"), Some("Accept"));
    }
    for accept in ["Accept: */*", "Accept: text/plain", "Accept: image/png"] {
        let answer = read(metrics_port, &[accept]);
        let content_type = "text/plain; version=0.0.4; charset=utf-8";
        assert_eq!(answer.field("Content-Type"), Some(content_type), "{accept}");
        assert!(!answer.text().contains("# EOF"));
    }
    stop(server);
}

#[test]
fn metrics_are_told_while_the_application_is_held_up() {
    for (io, mode) in all_settings() {
        // A worker that the application holds up answers nobody.
        if mode == OperatingMode::HighPerf {
            continue;
        }
        let (port, metrics_port) = (free_port(), free_port());
        let (sender, held) = channel();
        let sender = Mutex::new(sender);
        let server = start(
            builder(io, mode, port)
                .metrics(metrics(metrics_port))
                .thread_pool_size(1)
                .fine_tune(FineTune {
                    queue_length: 1,
                    ..FineTune::default()
                })
                .on_http_request(move |_, _| {
                    let (end, ended) = channel::<()>();
                    sender.lock().unwrap().send(end).unwrap();
                    let _ = ended.recv();
                }),
        );
        let mut clients: Vec<_> = (0..2).map(|_| Client::connect(port)).collect();
        clients[0].send("GET", "/", &[], "");
        let end = held.recv().unwrap();
        clients[1].send("GET", "/", &[], "");
        let length = format!("tidegate_request_queue_length{{queue=\"http://127.0.0.1:{port}/\"}}");
        wait_until("the second request waits", || {
            values(read(metrics_port, &[]).text())[&length] == 1.0
        });
        let mut third = Client::connect(port);
        third.send("GET", "/", &[], "");
        assert!(third.is_closed_by_peer());
        let told = values(read(metrics_port, &[]).text());
        assert_eq!(
            told["tidegate_http_unavailable_total{cause=\"QueueFull\"}"],
            1.0
        );
        drop(end);
        clients[0].receive();
        drop(held.recv().unwrap());
        clients[1].receive();
        stop(server);
    }
}

#[test]
fn who_asks_for_another_host_is_told_nothing() {
    in_each_setting(|builder, _| {
        let port = free_port();
        let server = start(builder.metrics(metrics(port)));
        let ask = |host: &str| {
            let mut client = Client::connect(port);
            client.write(format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
            let answer = client.receive();
            assert!(answer.status == 200 || !answer.text().contains("tidegate_"));
            answer.status
        };
        for host in ["localhost", "127.0.0.1", "[::1]", "LocalHost"] {
            assert_eq!(ask(host), 200, "{host}");
            assert_eq!(ask(&format!("{host}:{port}")), 200, "{host}");
        }
        for host in [
            "rebound.example",
            "localhost.rebound.example",
            "127.0.0.1.rebound.example",
            "192.0.2.1",
            "[2001:db8::1]",
            "0.0.0.0",
        ] {
            assert_eq!(ask(&format!("{host}:{port}")), 421, "{host}");
        }
        http2_client::run(async {
            let client = http2_client::Client::connect(port).await;
            let ask = |uri: String| {
                let request = http::Request::get(uri).body(()).unwrap();
                async { http2_client::answer(client.send(request, true).await.0).await }
            };
            let answer = ask(format!("http://localhost:{port}/metrics"))
                .await
                .unwrap();
            assert_eq!(answer.status, 200);
            let answer = ask(format!("http://rebound.example:{port}/metrics")).await;
            assert_eq!(answer.unwrap().status, 421);
        });
        stop(server);
    });
}

#[test]
fn metrics_are_nowhere_else() {
    in_each_setting(|builder, port| {
        let metrics_port = free_port();
        let server = start(
            builder
                .metrics(metrics(metrics_port))
                .on_http_request(|_, response| response.text("the application")),
        );
        assert_eq!(
            Client::connect(port).get("/metrics").text(),
            "the application"
        );
        let mut client = Client::connect(metrics_port);
        assert_eq!(client.get("/metrics/").status, 404);
        assert_eq!(client.get("/metrics/x").status, 404);
        let refused = client.request("POST", "/metrics", &[], "");
        assert_eq!(
            (refused.status, refused.field("Allow")),
            (405, Some("GET, HEAD"))
        );
        client.send("HEAD", "/metrics", &[], "");
        assert_eq!(client.receive_head().0, 200);
        assert_eq!(Client::connect(metrics_port).get("/").status, 404);
        // Not where others could get at it either.
        let addresses: Vec<_> = server
            .endpoints()
            .iter()
            .map(|at| format!("{at:?}"))
            .collect();
        let of_metrics = addresses
            .iter()
            .filter(|at| at.contains(&metrics_port.to_string()));
        assert!(of_metrics.clone().count() > 0);
        for at in of_metrics {
            assert!(at.contains("127.0.0.1") || at.contains("[::1]"), "{at}");
        }
        stop(server);
        assert!(TcpStream::connect(("127.0.0.1", metrics_port)).is_err());
    });
}

#[test]
fn with_a_token_only_its_bearer_is_told() {
    in_each_setting(|builder, _| {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let mut metrics = metrics(port);
        let file = folder.path().join("token");
        std::fs::write(&file, "0123456789abcdef-secret\n").unwrap();
        metrics.token_file = Some(file);
        let server = start(builder.metrics(metrics));
        for fields in [
            &[][..],
            &["Authorization: Bearer 0123456789abcdef-secre"],
            &["Authorization: Bearer 0123456789abcdef-secret2"],
            &["Authorization: Basic 0123456789abcdef-secret"],
            &["Authorization: Bearer"],
            &["X: Bearer 0123456789abcdef-secret"],
        ] {
            let refused = read(port, fields);
            assert_eq!((refused.status, refused.text()), (401, ""), "{fields:?}");
            let challenge = refused.field("WWW-Authenticate").unwrap();
            assert_eq!(challenge, "Bearer realm=\"metrics\"");
        }
        let told = read(port, &["Authorization: bearer 0123456789abcdef-secret"]);
        assert_eq!(told.status, 200);
        stop(server);
    });
}

#[test]
fn a_token_that_is_none_keeps_the_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    for (text, fault) in [
        (None, "cannot be read"),
        (Some(""), "shorter than a token"),
        (Some("short"), "shorter than a token"),
        (Some("0123456789 abcdef"), "is no token"),
    ] {
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let mut metrics = metrics(free_port());
        metrics.token_file = Some(file.clone());
        let server = Server::builder()
            .host("127.0.0.1")
            .port(free_port())
            .metrics(metrics)
            .build()
            .unwrap();
        let error = server.check().unwrap_err();
        assert!(error.to_string().contains(fault), "{error}");
        assert!(error.to_string().contains("metrics.token_file"), "{error}");
        server.start().unwrap();
        assert!(server.wait_started().is_err());
    }
}

#[test]
fn a_port_that_is_taken_keeps_the_server_from_starting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let server = Server::builder()
        .host("127.0.0.1")
        .port(free_port())
        .metrics(metrics(port))
        .build()
        .unwrap();
    server.start().unwrap();
    let error = server.wait_started().unwrap_err();
    assert!(matches!(error, tidegate::Error::AddressInUse(_)), "{error}");
    assert!(server.endpoints().is_empty());
}
