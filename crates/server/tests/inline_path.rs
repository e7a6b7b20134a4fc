//! A request that its handler answers at once in HighPerf, or a file of a site that is kept in memory, or a
//! part of one, costs no heap allocation.
//!
//! The allocator of this program counts what the worker thread allocates, from the moment the handler,
//! called on that thread, says so. Source: design, the seam.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod allocations;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tidegate::{
    ErrorLog, FineTune, FirewallSettings, OperatingMode, RateLimitSettings, RateRuleSettings,
    Server, ServerBuilder,
};

use allocations::{ALLOCATIONS, IS_COUNTED};

#[test]
fn an_answer_at_once_allocates_nothing() {
    check(Server::builder());
}

// The firewall and the rate limiter keep their states in memory that is there already. What they do to a request
// that may be made is counted here; the limit is far away.
#[test]
fn nor_does_one_that_was_let_in_by_the_firewall_and_the_rate_limiter() {
    let mut firewall = FirewallSettings::default();
    firewall.enabled = true;
    firewall.block = vec!["10.0.0.0/8".parse().unwrap()];
    firewall.patterns.sql_injection = true;
    firewall.patterns.path_traversal = true;
    firewall.patterns.fields = vec!["User-Agent".to_owned()];
    firewall.threat_score.enabled = true;
    let mut limits = RateLimitSettings::default();
    limits.enabled = true;
    limits.rule = vec![RateRuleSettings {
        name: "all".to_owned(),
        limit: 1_000_000,
        window: Duration::from_secs(60),
        quota_month: 1_000_000,
        ..RateRuleSettings::default()
    }];
    check(Server::builder().firewall(firewall).rate_limit(limits));
}

/// One at a time: what another allocates meanwhile is counted as well.
static CHECKS: Mutex<()> = Mutex::new(());

fn check(builder: ServerBuilder) {
    let _alone = CHECKS.lock().unwrap_or_else(PoisonError::into_inner);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut log = ErrorLog::default();
    log.enabled = false;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "OK").unwrap();
    let long: Vec<u8> = (0..100_000_u32).map(|number| (number / 3) as u8).collect();
    std::fs::write(folder.path().join("b.bin"), &long).unwrap();
    let file = std::fs::File::open(folder.path().join("b.bin")).unwrap();
    // What was written just now is not kept: it may be written once more.
    file.set_modified(SystemTime::now() - Duration::from_secs(3600))
        .unwrap();
    let server = builder
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
    let request = "GET /test.html?a=b HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: test\r\n\r\n";
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    exchange(&mut stream, request, (200, b"OK"), 100);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    exchange(&mut stream, request, (200, b"OK"), 1000);
    let after = ALLOCATIONS.load(Ordering::Relaxed);
    assert_eq!(after - before, 0, "allocations for 1000 requests");
    let range = "Range: bytes=50000-51023\r\n";
    let cases = [
        ("a.txt", "Accept-Encoding: gzip\r\n", 200, &b"OK"[..]),
        ("a.txt", "Range: bytes=1-\r\n", 206, b"K"),
        ("b.bin", range, 206, &long[50_000..=51_023]),
    ];
    for (file, field, status, content) in cases {
        let expected = (status, content);
        let request = format!("GET /site/{file} HTTP/1.1\r\nHost: 127.0.0.1\r\n{field}\r\n");
        exchange(&mut stream, &request, expected, 100);
        // Now and then a file is compared with the disk, which is not for nothing.
        let least = (0..20).map(|_| {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            exchange(&mut stream, &request, expected, 100);
            ALLOCATIONS.load(Ordering::Relaxed) - before
        });
        let least = least.min();
        assert_eq!(least, Some(0), "allocations for 100 requests: {request}");
    }
    drop(stream);
    server.stop();
    server.wait_stopped();
}

/// Makes the same request many times, and receives the answers.
fn exchange(stream: &mut TcpStream, request: &str, expected: (u16, &[u8]), times: usize) {
    let (status, content) = expected;
    let status_line = format!("HTTP/1.1 {status} ");
    let mut answer = Vec::new();
    let mut piece = vec![0; 128 * 1024];
    for _ in 0..times {
        stream.write_all(request.as_bytes()).unwrap();
        answer.clear();
        let head_length = loop {
            let count = stream.read(&mut piece).unwrap();
            assert_ne!(count, 0, "closed");
            answer.extend_from_slice(&piece[..count]);
            let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = end.map(|at| at + 4)
                && answer.len() >= end + content.len()
            {
                break end;
            }
        };
        assert!(answer.starts_with(status_line.as_bytes()));
        assert!(answer[head_length..] == *content);
    }
}
