//! A request that its handler answers at once in HighPerf, or a short file of a site, costs no heap
//! allocation.
//!
//! The allocator of this program counts what the worker thread allocates, from the moment the handler,
//! called on that thread, says so. Source: design, the seam.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod allocations;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::Ordering;

use tidegate::{ErrorLog, FineTune, OperatingMode, Server};

use allocations::{ALLOCATIONS, IS_COUNTED};

#[test]
fn an_answer_at_once_allocates_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut log = ErrorLog::default();
    log.enabled = false;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "OK").unwrap();
    let server = Server::builder()
        .files("/site", folder.path())
        .host("127.0.0.1")
        .port(port)
        .io_threads(1)
        .error_log(log)
        .fine_tune(FineTune {
            operating_mode: OperatingMode::HighPerf,
            skip_completion_on_success: true,
            ..FineTune::default()
        })
        .on_http_request(|request, response| {
            IS_COUNTED.set(true);
            match (request.method(), request.document()) {
                ("GET", "/test.html") => response
                    .header(
                        "X-Agent",
                        request.header("user-agent").unwrap_or_default().as_bytes(),
                    )
                    .cache_control("no-store")
                    .content_type("text/html; charset=UTF-8")
                    .text("OK"),
                ("GET", _) => response.status(404).empty(),
                _ => response.status(500).empty(),
            }
        })
        .build()
        .unwrap();
    server.start().unwrap();
    server.wait_started().unwrap();
    let request = b"GET /test.html?a=b HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: test\r\n\r\n";
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    exchange(&mut stream, request, 100);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    exchange(&mut stream, request, 1000);
    let after = ALLOCATIONS.load(Ordering::Relaxed);
    assert_eq!(after - before, 0, "allocations for 1000 requests");
    // Now and then a file is compared with the disk, which is not for nothing.
    let request = b"GET /site/a.txt HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\n\r\n";
    exchange(&mut stream, request, 100);
    let least = (0..20).map(|_| {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        exchange(&mut stream, request, 100);
        ALLOCATIONS.load(Ordering::Relaxed) - before
    });
    assert_eq!(
        least.min(),
        Some(0),
        "allocations for 100 requests of a file"
    );
    drop(stream);
    server.stop();
    server.wait_stopped();
}

/// Makes the same request many times, and receives the answers.
fn exchange(stream: &mut TcpStream, request: &[u8], times: usize) {
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    for _ in 0..times {
        stream.write_all(request).unwrap();
        answer.clear();
        while !answer.ends_with(b"\r\n\r\nOK") {
            let count = stream.read(&mut piece).unwrap();
            assert_ne!(count, 0, "closed");
            answer.extend_from_slice(&piece[..count]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}
