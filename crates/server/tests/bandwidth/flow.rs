//! The rate of each response.

use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use h2::RecvStream;
use tidegate::{FlowRate, FlowRateSettings, ServerBuilder};

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::http2_client;
use crate::{LONG, LOW, folder, has_less_than, long, site};

const BURST: usize = 200_000;

/// The least that a rate may be.
const SLOWEST: u32 = 1024;

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

/// Takes as much of a stream as comes at once.
async fn take_burst(body: &mut RecvStream) -> usize {
    let mut count = 0;
    while count < BURST {
        let piece = body.data().await.unwrap().unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        count += piece.len();
    }
    count
}

/// What begins with `/own` has a rate of its own.
fn own_site(builder: ServerBuilder, file: PathBuf) -> ServerBuilder {
    builder.on_http_request(move |request, response| {
        let own = FlowRate {
            max_bandwidth: LOW,
            max_peak_bandwidth: u32::MAX,
            burst_size: BURST as u32,
        };
        let path = match request.document().strip_prefix("/own") {
            Some(path) => {
                response.flow_rate(own);
                path
            }
            None => request.document(),
        };
        match path {
            "/bytes" => response.bytes(long()),
            "/source" => response.reader(Cursor::new(long())),
            "/file" => response.file(&file).unwrap(),
            "/wrong" => {
                response.flow_rate(FlowRate {
                    max_bandwidth: 1023,
                    ..own
                });
            }
            "/slow" => {
                response.flow_rate(FlowRate {
                    burst_size: 0,
                    max_peak_bandwidth: SLOWEST,
                    max_bandwidth: SLOWEST,
                });
                // Less than is copied into the output.
                response.bytes(vec![7; 16_000]);
            }
            _ => response.text("short"),
        }
    })
}

#[test]
fn one_response_has_a_rate_of_its_own_and_others_have_none() {
    let (_folder, file) = folder();
    for path in ["/bytes", "/source", "/file"] {
        in_each_setting(|builder, port| {
            let server = start(own_site(builder, file.clone()));
            let mut slow = Client::connect(port);
            slow.send("GET", &format!("/own{path}"), &[], "");
            assert_eq!(slow.receive_head().0, 200);
            let mut burst = vec![0; BURST - 1_000];
            slow.stream.read_exact(&mut burst).unwrap();
            // Also what comes whole meanwhile, which there is no limit for.
            for _ in 0..3 {
                assert_eq!(Client::connect(port).get(path).content.len(), LONG);
            }
            assert!(
                has_less_than(&mut slow, &mut Vec::new(), LONG - BURST),
                "{path}"
            );
            // On the connection of one that had a rate, the next has none.
            let mut client = Client::connect(port);
            assert_eq!(client.get("/own/short").text(), "short");
            assert_eq!(client.get(path).content.len(), LONG, "{path}");
            // A stop would wait for it.
            drop(slow);
            stop(server);
        });
    }
}

#[test]
fn a_rate_that_cannot_be_is_an_error_of_the_application() {
    let (_folder, file) = folder();
    in_each_setting(|builder, port| {
        let server = start(own_site(builder, file.clone()));
        assert_eq!(Client::connect(port).get("/wrong").status, 500);
        stop(server);
    });
}

/// What is taken of a stream as it comes.
struct Held {
    path: &'static str,
    /// Before it was asked for.
    asked: Instant,
    taken: Arc<AtomicUsize>,
}

impl Held {
    /// Goes on taking what comes: what nobody takes fills the connection's window, and then nothing comes for anyone.
    fn begin(path: &'static str, asked: Instant, mut body: RecvStream, burst: usize) -> Self {
        let taken = Arc::new(AtomicUsize::new(burst));
        let count = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Some(piece) = body.data().await {
                let length = piece.unwrap().len();
                body.flow_control().release_capacity(length).unwrap();
                count.fetch_add(length, Ordering::Relaxed);
            }
        });
        Self { path, asked, taken }
    }

    /// However long the others took, it has not had more than its rate allows.
    fn check(&self) {
        let taken = self.taken.load(Ordering::Relaxed);
        let (burst, rate) = match self.path {
            "/slow" => (0, SLOWEST),
            _ => (BURST, LOW),
        };
        let most = burst as f64 + self.asked.elapsed().as_secs_f64() * f64::from(rate);
        assert!(taken as f64 <= most, "{}: {taken} of {most}", self.path);
    }
}

#[test]
fn a_stream_has_a_rate_of_its_own_and_its_neighbours_have_none() {
    let (_folder, file) = folder();
    in_each_setting(|builder, port| {
        let server = start(own_site(builder, file.clone()));
        http2_client::run(async {
            let client = http2_client::Client::connect(port).await;
            let mut held = Vec::new();
            for path in ["/own/bytes", "/own/source", "/own/file", "/slow"] {
                let request = client.request("GET", path).body(()).unwrap();
                let asked = Instant::now();
                let response = client.send(request, true).await.0.await.unwrap();
                let mut body = response.into_body();
                let burst = match path {
                    "/slow" => 0,
                    _ => take_burst(&mut body).await,
                };
                held.push(Held::begin(path, asked, body, burst));
            }
            for path in ["/bytes", "/source", "/file"] {
                let whole = client.get(path).await.unwrap();
                assert_eq!(whole.content.len(), LONG, "{path}");
            }
            held.iter().for_each(Held::check);
        });
        stop(server);
    });
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
                let count = take_burst(&mut body).await;
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
