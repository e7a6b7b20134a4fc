//! Streams given up with a code. Case T05.

use std::sync::{Arc, Mutex, mpsc};

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use h2::Reason;
use tidegate::{BodyError, HandlerError, Response, StreamReset};

use crate::client::Client as Http1;
use crate::client::setting::{in_each_setting, start, stop};
use crate::http2_client::{Client, run, send_all};
use crate::websocket::PATIENCE;

/// The code that the server reset the stream with.
fn code(error: &h2::Error) -> Option<u32> {
    (error.is_reset() && error.is_remote()).then(|| error.reason().map(u32::from))?
}

const CODE: StreamReset = StreamReset { code: 1111 };

fn reset_in_channel(response: &mut Response, pieces: usize) {
    let sender = response.channel(1);
    std::thread::spawn(move || {
        for _ in 0..pieces {
            sender.blocking_send(Bytes::from_static(b"piece")).unwrap();
        }
        sender.reset(1111);
    });
}

#[test]
fn a_stream_is_reset_with_the_application_s_code_and_the_others_go_on() {
    in_each_setting(|builder, port| {
        let router = Router::new().fallback(any(|| async {
            let pieces = [Ok("piece"), Err(CODE)];
            axum::body::Body::from_stream(futures_util::stream::iter(pieces))
        }));
        let builder = builder.mount("/service", router).on_http_request(
            |request, response| -> Result<(), HandlerError> {
                match request.document() {
                    "/before" => response.reset(1111),
                    "/error" => return Err(CODE.into()),
                    "/cancel" => response.cancel(),
                    "/deferred" => response.defer(|_, mut response| {
                        std::thread::spawn(move || {
                            response.reset(1111);
                            response.send();
                        });
                    }),
                    "/async" => response.answer_async(|_, mut response| async move {
                        response.reset(1111);
                        response
                    }),
                    "/after" => reset_in_channel(response, 0),
                    "/middle" => reset_in_channel(response, 30),
                    _ => response.text("alive"),
                }
                Ok(())
            },
        );
        let server = start(builder);
        run(async {
            let client = Client::connect(port).await;
            for path in ["/before", "/error", "/cancel", "/deferred", "/async"] {
                let request = client.request("GET", path).body(()).unwrap();
                let response = client.send(request, true).await.0;
                let error = response.await.map(|_| ()).unwrap_err();
                let expected = if path == "/cancel" { 8 } else { 1111 };
                assert_eq!(code(&error), Some(expected), "{path}: {error}");
                assert_eq!(client.get("/").await.unwrap().text(), "alive");
            }
            for (path, length) in [("/after", 0), ("/middle", 150), ("/service", 5)] {
                let request = client.request("GET", path).body(()).unwrap();
                let response = client.send(request, true).await.0.await.unwrap();
                assert_eq!(response.status(), 200);
                let mut content = response.into_body();
                let mut received = 0;
                let error = loop {
                    match content.data().await.unwrap() {
                        Ok(piece) => received += piece.len(),
                        Err(error) => break error,
                    }
                };
                assert_eq!(code(&error), Some(1111), "{path}: {error}");
                assert_eq!(received, length, "{path}");
                assert_eq!(client.get("/").await.unwrap().text(), "alive");
            }
            client.end().await.unwrap();
        });
        // HTTP/1.1 has no codes.
        for path in ["/before", "/deferred", "/cancel"] {
            let mut client = Http1::connect(port);
            client.send("GET", path, &[], "");
            assert!(client.is_closed_by_peer(), "{path}");
        }
        stop(server);
    });
}

#[test]
fn a_reset_in_the_middle_of_an_upload_ends_it() {
    in_each_setting(|builder, port| {
        let builder = builder.on_http_request(|request, response| -> Result<(), HandlerError> {
            let mut body = request.body();
            let _ = body.blocking_chunk()?;
            response.reset(1111);
            Ok(())
        });
        let server = start(builder);
        run(async {
            let client = Client::connect(port).await;
            let request = client.request("POST", "/").body(()).unwrap();
            let (response, mut stream) = client.send(request, false).await;
            send_all(&mut stream, Bytes::from_static(b"piece"), false)
                .await
                .unwrap();
            let error = response.await.map(|_| ()).unwrap_err();
            assert_eq!(code(&error), Some(1111), "{error}");
            // The client's end of the stream knows it, too.
            let refused = send_all(&mut stream, Bytes::from_static(b"more"), true).await;
            assert!(refused.is_err());
            drop(stream);
            client.end().await.unwrap();
        });
        stop(server);
    });
}

#[test]
fn a_client_s_reset_ends_the_work_for_its_stream_alone() {
    in_each_setting(|builder, port| {
        let (gone, told) = mpsc::channel();
        let gone = Mutex::new(gone);
        let builder = builder.on_http_request(move |request, response| {
            if request.document() == "/" {
                return response.text("alive");
            }
            let gone = gone.lock().unwrap().clone();
            response.answer_async(|_, mut response| async move {
                response.closed().await;
                gone.send(()).unwrap();
                response
            });
        });
        let server = start(builder);
        run(async {
            let client = Client::connect(port).await;
            let request = client.request("POST", "/waits").body(()).unwrap();
            let (_response, mut stream) = client.send(request, false).await;
            assert_eq!(client.get("/").await.unwrap().text(), "alive");
            stream.send_reset(Reason::CANCEL);
            assert_eq!(client.get("/").await.unwrap().text(), "alive");
            let told = tokio::task::spawn_blocking(move || told.recv_timeout(PATIENCE));
            told.await.unwrap().unwrap();
            assert_eq!(client.get("/").await.unwrap().text(), "alive");
        });
        stop(server);
    });
}

#[test]
fn reading_content_of_a_stream_that_the_client_reset_fails() {
    in_each_setting(|builder, port| {
        let (reads, read) = mpsc::channel();
        let reads = Mutex::new(reads);
        let builder = builder.on_http_request(move |request, _| {
            let mut body = request.body();
            loop {
                let piece = body.blocking_chunk();
                let is_last = !matches!(piece, Ok(Some(_)));
                reads.lock().unwrap().send(piece).unwrap();
                if is_last {
                    return;
                }
            }
        });
        let server = start(builder);
        run(async {
            let client = Client::connect(port).await;
            let request = client.request("POST", "/").body(()).unwrap();
            let (_response, mut stream) = client.send(request, false).await;
            send_all(&mut stream, vec![0; 30_000].into(), false)
                .await
                .unwrap();
            let read = Arc::new(Mutex::new(read));
            let next = async || {
                let read = Arc::clone(&read);
                let next = tokio::task::spawn_blocking(move || {
                    read.lock().unwrap().recv_timeout(PATIENCE).unwrap()
                });
                next.await.unwrap()
            };
            assert!(matches!(next().await, Ok(Some(_))));
            stream.send_reset(Reason::CANCEL);
            let end = loop {
                match next().await {
                    Ok(Some(_)) => {}
                    end => break end,
                }
            };
            assert_eq!(end, Err(BodyError::Disconnected));
        });
        stop(server);
    });
}
