//! Forwarding on real ports, on each event loop the system offers, in both operating modes: what reaches an
//! upstream byte by byte, and what becomes of upstreams that misbehave.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "../client/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod client;
mod client_bytes;
mod events;
mod failures;
mod heads;
#[path = "../http2/http2_client.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod http2_client;
mod requests;
mod retries;
mod secure;
mod tunnels;
mod upstream;
#[path = "../client/websocket.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod websocket;

use tidegate::{ForwardSettings, ServerBuilder};

/// Forwards all paths to this port, by the name `edge`.
fn to_port(port: u16) -> ForwardSettings {
    let url = format!("http://127.0.0.1:{port}").parse().unwrap();
    let mut settings = ForwardSettings::new("/", [url]);
    settings.via = Some("edge".to_owned());
    settings
}

/// Runs a test in each setting, with an upstream that does this with each of its connections.
fn with_upstream(
    serve: impl Fn(&mut upstream::Connection) + Clone + Send + Sync + 'static,
    test: impl Fn(ServerBuilder, u16, &upstream::Upstream),
) {
    client::setting::in_each_setting(|builder, port| {
        let upstream = upstream::Upstream::start(serve.clone());
        test(builder, port, &upstream);
    });
}

/// Waits until `condition` holds, and fails with `what` if it never does.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !condition() {
        assert!(
            begin.elapsed() < upstream::PATIENCE,
            "waited in vain: {what}"
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
