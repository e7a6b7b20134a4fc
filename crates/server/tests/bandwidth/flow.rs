//! The rate of each response.

use std::io::Read;

use tidegate::{FlowRateSettings, ServerBuilder};

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::http2_client;
use crate::{LONG, LOW, folder, has_less_than, site};

const BURST: usize = 200_000;

/// First some that comes at once, then little by little.
fn limited(builder: ServerBuilder) -> ServerBuilder {
    builder.flow_rate(FlowRateSettings {
        max_bandwidth: LOW,
        max_peak_bandwidth: u32::MAX,
        burst_size: BURST as u32,
    })
}

#[test]
fn a_response_has_its_burst_and_another_has_its_own() {
    let (_folder, file) = folder();
    for path in ["/bytes", "/source", "/file"] {
        in_each_setting(|builder, port| {
            let server = start(limited(site(builder, file.clone())));
            let mut clients = Vec::new();
            for _ in 0..2 {
                let mut client = Client::connect(port);
                client.send("GET", path, &[], "");
                assert_eq!(client.receive_head().0, 200);
                // The head is of the burst.
                let mut burst = vec![0; BURST - 1_000];
                client.stream.read_exact(&mut burst).unwrap();
                clients.push(client);
            }
            for client in &mut clients {
                assert!(
                    has_less_than(client, &mut Vec::new(), LONG - BURST),
                    "{path}"
                );
            }
            // What is short is not held up, also on a connection of its own.
            assert_eq!(Client::connect(port).get("/short").text(), "short");
            drop(clients);
            stop(server);
        });
    }
}

#[test]
fn streams_have_their_rates_each_for_itself() {
    let (_folder, file) = folder();
    in_each_setting(|builder, port| {
        let server = start(limited(site(builder, file.clone())));
        http2_client::run(async {
            let client = http2_client::Client::connect(port).await;
            for path in ["/bytes", "/source", "/file"] {
                let request = client.request("GET", path).body(()).unwrap();
                let response = client.send(request, true).await.0.await.unwrap();
                let mut body = response.into_body();
                let mut count = 0;
                while count < BURST {
                    let piece = body.data().await.unwrap().unwrap();
                    body.flow_control().release_capacity(piece.len()).unwrap();
                    count += piece.len();
                }
                // The stream is held up, the connection is not.
                assert_eq!(client.get("/short").await.unwrap().text(), "short");
                assert!(count < LONG);
            }
        });
        stop(server);
    });
}

#[test]
fn a_whole_response_comes_at_its_rate() {
    let (_folder, file) = folder();
    in_each_setting(|builder, port| {
        let rate = FlowRateSettings {
            max_bandwidth: 32 << 20,
            ..FlowRateSettings::default()
        };
        let server = start(site(builder.flow_rate(rate), file.clone()));
        let mut client = Client::connect(port);
        for path in ["/bytes", "/source", "/file", "/short"] {
            let wanted = if path == "/short" { 5 } else { LONG };
            assert_eq!(client.get(path).content.len(), wanted, "{path}");
        }
        stop(server);
    });
}
