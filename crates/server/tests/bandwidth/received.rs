//! What is received.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tidegate::ServerBuilder;

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::http2_client;
use crate::{LOW, ask_others, limit, long};

/// A server that takes an upload, and tells when it has.
fn intake(builder: ServerBuilder) -> (ServerBuilder, Arc<AtomicBool>) {
    let taken = Arc::new(AtomicBool::new(false));
    let is_taken = Arc::clone(&taken);
    let builder = builder.on_http_request(move |request, response| {
        if request.method() == "GET" {
            return response.text("short");
        }
        let length = request.content().unwrap().len();
        is_taken.store(true, Ordering::SeqCst);
        response.text(length.to_string());
    });
    (builder, taken)
}

#[test]
fn an_upload_waits_for_its_rate_and_comes_whole_when_there_is_none() {
    in_each_setting(|builder, port| {
        let (builder, taken) = intake(builder.max_bandwidth_in(LOW));
        let server = start(builder);
        let uploading = thread::spawn(move || {
            let mut client = Client::connect(port);
            let content = long();
            let head = format!(
                "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n",
                content.len()
            );
            client.write(head.as_bytes());
            client.stream.get_mut().write_all(&content).unwrap();
            client.receive().text().to_owned()
        });
        // Heads are let in.
        ask_others(port, 20);
        assert!(!taken.load(Ordering::SeqCst));
        limit(&server, 0, 0);
        assert_eq!(uploading.join().unwrap(), long().len().to_string());
        assert!(taken.load(Ordering::SeqCst));
        stop(server);
    });
}

#[test]
fn an_upload_over_http2_waits_too() {
    in_each_setting(|builder, port| {
        let (builder, taken) = intake(builder.max_bandwidth_in(LOW));
        let server = start(builder);
        let uploading = thread::spawn(move || {
            http2_client::run(async move {
                let client = http2_client::Client::connect(port).await;
                client.get("/").await.unwrap();
                let answer = client.post("/", &long(), true).await;
                answer.text().to_owned()
            })
        });
        ask_others(port, 20);
        assert!(!taken.load(Ordering::SeqCst));
        limit(&server, 0, 0);
        assert_eq!(uploading.join().unwrap(), long().len().to_string());
        stop(server);
    });
}
