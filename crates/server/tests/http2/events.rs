//! Streams of events on streams of HTTP/2.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use h2::{Reason, RecvStream};
use tidegate::EventHub;

use crate::client::setting::{in_each_setting, start, stop};
use crate::http2_client::{Client, run};

/// The next piece of content; `None` at its end.
async fn next(body: &mut RecvStream) -> Option<Vec<u8>> {
    loop {
        let piece = body.data().await?.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        // The end comes in a frame of its own.
        if !piece.is_empty() {
            return Some(piece.to_vec());
        }
    }
}

#[test]
fn events_come_on_many_streams_of_one_connection() {
    in_each_setting(|builder, port| {
        let hub = EventHub::new();
        let answering = hub.clone();
        let server = start(builder.on_http_request(move |request, response| {
            answering.answer(request, response);
        }));
        run(async {
            let client = Client::connect(port).await;
            let mut bodies = Vec::new();
            for _ in 0..20 {
                let request = client.request("GET", "/events").body(()).unwrap();
                let response = client.send(request, true).await.0.await.unwrap();
                assert_eq!(response.headers()["content-type"], "text/event-stream");
                bodies.push(response.into_body());
            }
            while hub.clients() < bodies.len() {
                tokio::task::yield_now().await;
            }
            hub.send("one").unwrap();
            for body in &mut bodies {
                assert!(next(body).await.unwrap().ends_with(b"data: one\n\n"));
            }
            // One that is given up ends, the others go on.
            drop(bodies.pop());
            while hub.clients() > bodies.len() {
                tokio::task::yield_now().await;
            }
            hub.send("two").unwrap();
            for body in &mut bodies {
                assert!(next(body).await.unwrap().ends_with(b"data: two\n\n"));
            }
            // So does a connection.
            drop(bodies);
            drop(client);
            while hub.clients() > 0 {
                tokio::task::yield_now().await;
            }
        });
        stop(server);
    });
}

#[test]
fn a_stop_ends_streams_of_events_in_order() {
    in_each_setting(|builder, port| {
        let (senders, receiver) = channel();
        let senders = Mutex::new(senders);
        let builder = builder
            .shutdown_deadline(Duration::from_secs(3600))
            .on_http_request(move |_, response| {
                senders.lock().unwrap().send(response.events()).unwrap();
            });
        let server = start(builder);
        run(async {
            let client = Client::connect(port).await;
            let request = client.request("GET", "/events").body(()).unwrap();
            let response = client.send(request, true).await.0.await.unwrap();
            let mut body = response.into_body();
            let sender = receiver.recv().unwrap();
            sender.try_send("last").unwrap();
            server.stop();
            assert_eq!(next(&mut body).await.unwrap(), b"data: last\n\n");
            assert_eq!(next(&mut body).await, None);
            let end = client.end().await;
            assert!(end.is_ok() || end.unwrap_err().reason() == Some(Reason::NO_ERROR));
        });
        server.wait_stopped();
    });
}
