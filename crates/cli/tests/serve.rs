//! The program as its users meet it: started as a process, asked over a socket, ended by signals.
//!
//! Every route is asked in both operating modes and on both event loops. The requests are written by
//! hand; what other programs make of the site is the client suites' matter.

#![cfg(unix)]

mod program;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use program::{Answer, everywhere, everywhere_with, free_port, start};

fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|index| (index % 251) as u8).collect()
}

#[test]
fn short_answers() {
    everywhere(|program| {
        let hello = program.get("/hello");
        assert_eq!(
            (hello.status, &*hello.content),
            (200, &b"Hello, World!"[..])
        );
        assert_eq!(hello.field("content-type"), Some("text/plain"));
        let page = program.get("/");
        assert_eq!(page.field("content-type"), Some("text/html; charset=utf-8"));
        assert!(page.text().contains("Tidegate at work"));
        let nowhere = program.get("/hello/");
        assert_eq!(nowhere.status, 404);
        assert!(nowhere.text().contains("See / for"), "{}", nowhere.text());
        let posted =
            program.ask("POST /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(
            (posted.status, posted.field("allow")),
            (405, Some("GET, HEAD"))
        );
    });
}

#[test]
fn statuses() {
    everywhere(|program| {
        for code in [200, 204, 299, 304, 404, 418, 503, 599] {
            assert_eq!(program.get(&format!("/status/{code}")).status, code);
        }
        for none in ["199", "600", "99999999999999999999", "", "+200", "200/"] {
            assert_eq!(
                program.get(&format!("/status/{none}")).status,
                400,
                "{none}"
            );
        }
    });
}

#[test]
fn content_of_known_bytes() {
    everywhere(|program| {
        for count in [0, 1, 251, 65_511, 65_512, 3_000_000] {
            let answer = program.get(&format!("/bytes/{count}"));
            assert_eq!(answer.field("content-length"), Some(&*count.to_string()));
            assert!(answer.content == pattern(count), "{count}");
        }
        assert_eq!(program.get("/bytes/1073741825").status, 400);
        let file = program.get("/file");
        assert!(file.content == pattern(2 << 20));
        assert_eq!(file.field("accept-ranges"), Some("bytes"));
        let part =
            program.ask("GET /file HTTP/1.1\r\nHost: a\r\nRange: bytes=1000000-1999999\r\n\r\n");
        assert_eq!(part.status, 206);
        assert!(part.content == pattern(2 << 20)[1_000_000..2_000_000]);
        let head = program.ask("HEAD /file HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(
            (head.status, head.field("content-length")),
            (200, Some("2097152"))
        );
    });
}

#[test]
fn parts_of_a_sound_are_sent() {
    everywhere(|program| {
        let ask =
            |field: &str| program.ask(&format!("GET /tide.wav HTTP/1.1\r\nHost: a\r\n{field}\r\n"));
        let whole = ask("");
        assert_eq!(whole.content.len(), 4_800_044);
        assert_eq!(whole.field("content-type"), Some("audio/wav"));
        let etag = whole.field("etag").unwrap();
        let rest = ask(&format!("Range: bytes=4000000-\r\nIf-Range: {etag}\r\n"));
        assert_eq!(
            (rest.status, rest.field("content-range")),
            (206, Some("bytes 4000000-4800043/4800044"))
        );
        assert!(rest.content == whole.content[4_000_000..]);
        // Who has a page is not sent it again.
        let page = program.get("/");
        let condition = format!("If-None-Match: {}\r\n", page.field("etag").unwrap());
        let same = program.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\n{condition}\r\n"));
        assert_eq!((same.status, same.content.len()), (304, 0));
    });
}

#[test]
fn forwarding_is_shown_where_the_site_is_served_by_http() {
    let url = format!("http://127.0.0.1:{}/", free_port());
    let program = start(&["--listen", &url]).unwrap();
    let answer = program.get("/forward?a=b");
    assert_eq!(answer.status, 200);
    let seen: serde_json::Value = serde_json::from_slice(&answer.content).unwrap();
    assert_eq!(
        (&seen["path"], &seen["query"]),
        (&"/inspect".into(), &"a=b".into())
    );
    let told = seen["headers"].to_string().to_ascii_lowercase();
    for name in ["forwarded", "x-forwarded-host", "via"] {
        assert!(told.contains(&format!("[\"{name}\"")), "{name}: {told}");
    }
    let none = start(&[]).unwrap().get("/forward");
    assert!(none.status == 404 && none.text().contains("a binding with http"));
}

#[test]
fn a_stream_tells_no_length() {
    everywhere(|program| {
        for target in ["/stream", "/stream?pause=1"] {
            let answer = program.get(target);
            assert_eq!(answer.field("content-length"), None);
            assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
            assert_eq!(answer.content.len(), 900);
            assert!(answer.content.starts_with(b"piece 1 of 9 ..."));
        }
        assert_eq!(program.get("/stream?pause=soon").status, 400);
    });
}

#[test]
fn events_are_counted_and_go_on_where_they_were() {
    everywhere(|program| {
        let first = program.get("/events?count=3&part=2");
        assert_eq!(first.field("content-type"), Some("text/event-stream"));
        let retry = "retry: 50\n\n";
        let event = |number: u32| format!("id: {number}\ndata: {number}\n\n");
        assert_eq!(first.text(), format!("{retry}{}{}", event(1), event(2)));
        let back = |last: &str| {
            program.ask(&format!(
                "GET /events?count=3&part=2 HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {last}\r\n\r\n"
            ))
        };
        assert_eq!(back("2").text(), format!("{retry}{}", event(3)));
        assert_eq!(back("3").status, 204);
        for none in ["4", "x", "-1"] {
            assert_eq!(back(none).status, 400, "{none}");
        }
        for none in [
            "count=x",
            "count=1000001",
            "count=1&part=0",
            "count=1&pause=10001",
        ] {
            assert_eq!(
                program.get(&format!("/events?{none}")).status,
                400,
                "{none}"
            );
        }
    });
}

#[test]
fn a_clock_ticks_for_who_listens_and_ends_with_the_server() {
    everywhere(|program| {
        let mut connection = program.connect();
        connection
            .write_all(b"GET /events HTTP/1.0\r\nHost: localhost\r\n\r\n")
            .unwrap();
        let mut received = Vec::new();
        let mut piece = [0; 1000];
        while !String::from_utf8_lossy(&received).contains("\"clients\":1") {
            let count = connection.read(&mut piece).unwrap();
            assert_ne!(count, 0, "{}", String::from_utf8_lossy(&received));
            received.extend_from_slice(&piece[..count]);
        }
        assert!(received.starts_with(b"HTTP/1.1 200 "));
        assert!(String::from_utf8_lossy(&received).contains("\nevent: tick\nid: "));
        // It is no request whose end is waited for.
        program.signal("TERM");
        while connection.read(&mut piece).unwrap() > 0 {}
        assert_eq!(program.wait(), Some(0));
    });
}

#[test]
fn pages_of_other_origins_may_use_what_is_open() {
    everywhere(|program| {
        let ask = |line: &str, more: &str| {
            program.ask(&format!(
                "{line} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://page.example\r\n{more}\r\n"
            ))
        };
        let asks =
            "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-tide\r\n";
        let allowed = ask("OPTIONS /cors/open", asks);
        let field = |name: &str| allowed.field(name).unwrap_or_default().to_owned();
        assert_eq!(allowed.status, 204);
        assert_eq!(field("access-control-allow-origin"), "*");
        assert_eq!(field("access-control-allow-methods"), "PUT");
        assert_eq!(field("access-control-allow-headers"), "X-Tide");
        assert_eq!(ask("OPTIONS /cors/closed", asks).status, 403);
        let answer = ask("GET /cors/open", "X-Tide: high\r\n");
        assert_eq!(answer.text(), "GET by http://page.example\n");
        assert_eq!(answer.field("x-tide"), Some("high"));
        assert_eq!(
            answer.field("access-control-expose-headers"),
            Some("X-Tide")
        );
        let closed = ask("GET /cors/closed", "");
        assert_eq!(closed.field("access-control-allow-origin"), None);
        assert_eq!(closed.field("vary"), Some("Origin"));
        assert_eq!(ask("GET /hello", "").field("vary"), None);
    });
}

#[test]
fn a_copy_is_served_for_a_while() {
    everywhere(|program| {
        // However slow the machine is, some of these come within the time.
        let is_copy = || {
            let first = program.get("/cached");
            let length = first.content.len().to_string();
            assert!(first.text().starts_with("Answer "), "{}", first.text());
            assert_eq!(first.field("content-length"), Some(&*length));
            assert!(first.field("etag").is_some());
            program.get("/cached").content == first.content
        };
        assert!((0..100).any(|_| is_copy()));
        let is_part = || {
            program.get("/cached");
            let head = "GET /cached HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-5\r\n\r\n";
            let part = program.ask(head);
            (part.status, part.text()) == (206, "Answer")
        };
        assert!((0..100).any(|_| is_part()));
    });
}

#[test]
fn an_echo_comes_back_whatever_its_length_and_framing() {
    everywhere(|program| {
        for count in [0, 5, 4096, 5_000_000] {
            let content = pattern(count);
            let head = format!(
                "PUT /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: x/y;z=1\r\nContent-Length: {count}\r\n\r\n"
            );
            // As many clients do, nothing is read before all has been sent.
            let answer = program.ask_with(head.as_bytes(), &content);
            assert_eq!(answer.status, 200);
            assert_eq!(answer.field("content-type"), Some("x/y;z=1"));
            assert!(answer.content == content, "{count}");
        }
        let chunked =
            b"REPORT /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = program.ask_with(chunked, b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
        assert_eq!((answer.status, answer.text()), (200, "abcdefg"));
    });
}

#[test]
fn an_echo_begins_before_its_content_has_ended() {
    everywhere(|program| {
        let mut connection = program.connect();
        let head =
            b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nfirst";
        // Short content reaches the application as a whole; this is not short.
        connection.write_all(head).unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"first") {
            let mut byte = [0];
            connection.read_exact(&mut byte).unwrap();
            seen.push(byte[0]);
        }
        let later = vec![b'l'; 999_995];
        connection.write_all(&later).unwrap();
        let mut rest = vec![0; later.len()];
        connection.read_exact(&mut rest).unwrap();
        assert!(rest == later);
    });
}

#[test]
fn inspect_shows_the_request() {
    everywhere(|program| {
        let answer = program.ask(
            "BREW /inspect%2Fx/../../inspect?a=%20b HTTP/1.1\r\nHost: localhost\r\nX-A: 1\r\nX-a: 2\r\n\r\n",
        );
        assert_eq!(answer.field("content-type"), Some("application/json"));
        let seen: serde_json::Value = serde_json::from_slice(&answer.content).unwrap();
        assert_eq!(seen["method"], "BREW");
        assert_eq!(seen["target"], "/inspect%2Fx/../../inspect?a=%20b");
        assert_eq!(seen["path"], "/inspect");
        assert_eq!(seen["query"], "a=%20b");
        assert_eq!(seen["version"], "HTTP/1.1");
        assert_eq!(seen["context"], 0);
        assert!(seen["tls"].is_null());
        let fields = serde_json::json!([["Host", "localhost"], ["X-A", "1"], ["X-a", "2"]]);
        assert_eq!(seen["headers"], fields);
        for name in ["peer", "local", "connection_id", "request_id", "prefix"] {
            assert!(seen[name].is_string(), "{name}");
        }
    });
}

#[test]
fn waiting_requests_keep_no_others_waiting() {
    everywhere(|program| {
        for path in ["/delay", "/block"] {
            let started = Instant::now();
            let target = format!("GET {path}/500 HTTP/1.1\r\nHost: localhost\r\n\r\n");
            // More than the driver has threads.
            let mut waiting: Vec<_> = (0..8).map(|_| program.connect()).collect();
            for connection in &mut waiting {
                connection.write_all(target.as_bytes()).unwrap();
            }
            assert_eq!(program.get("/hello").status, 200);
            for connection in &mut waiting {
                assert_eq!(Answer::read(connection, false).status, 200, "{path}");
            }
            assert!(started.elapsed() >= Duration::from_millis(500), "{path}");
        }
        assert_eq!(program.get("/delay/30001").status, 400);
    });
}

#[test]
fn asked_to_stop_it_lets_requests_in_progress_end() {
    everywhere(|program| {
        let mut connection = program.connect();
        // Its content has yet to arrive: only this test decides when the request ends.
        let head =
            b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nbegin";
        connection.write_all(head).unwrap();
        let mut first = [0];
        connection.read_exact(&mut first).unwrap();
        program.signal("HUP");
        program.output_until("SIGHUP");
        program.signal("TERM");
        let output = program.output_until("stopping: ");
        assert!(output.contains("1 connection open"), "{output}");
        connection.write_all(&[b'e'; 999_995]).unwrap();
        let mut rest = Vec::new();
        connection.read_to_end(&mut rest).unwrap();
        assert!(rest.ends_with(&[b'e'; 999_995]));
        assert_eq!(program.wait(), Some(0));
        assert!(program.output().contains("stopped"), "{}", program.output());
    });
}

#[test]
fn asked_twice_it_stops_at_once() {
    let program = start(&[]).unwrap();
    let mut connection = program.connect();
    // Once a part of it has come back, it is a request in progress, and its end is not to come.
    let head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nbegin";
    connection.write_all(head).unwrap();
    connection.read_exact(&mut [0]).unwrap();
    program.signal("INT");
    program.output_until("stopping: ");
    program.signal("INT");
    assert_eq!(program.wait(), Some(1));
    assert!(
        program.output().contains("1 connection cut"),
        "{}",
        program.output()
    );
}

#[test]
fn the_start_is_told_in_full() {
    let program = start(&["--mode", "high-perf", "--io", "poll", "--io-threads", "1"]).unwrap();
    let output = program.output();
    for part in [
        "demonstration site",
        "high-perf",
        "poll, 1 thread\n",
        "/HTTPERR\n",
        "unix:",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
}

#[test]
fn a_second_program_on_a_port_is_told_who_has_it() {
    let (first, url) = loop {
        let url = format!("http://127.0.0.1:{}/", free_port());
        match start(&["--listen", &url]) {
            Ok(program) => break (program, url),
            // Somebody else took the port meanwhile.
            Err(output) => assert!(output.contains("in use"), "{output}"),
        }
    };
    let output = start(&["--listen", &url]).unwrap_err();
    assert!(
        output.starts_with("error: cannot listen on 127.0.0.1:"),
        "{output}"
    );
    assert!(output.contains("(exit code 1)"), "{output}");
    if cfg!(target_os = "linux") {
        let owner = format!("tidegate (process {})", first.id());
        assert!(output.contains(&owner), "{output}");
    }
}

#[test]
fn a_wrong_command_line_or_file_is_told_with_exit_code_2() {
    let output = start(&["--queue-length=0"]).unwrap_err();
    assert!(
        output.contains("--queue-length is 0, allowed are 1 to 65535"),
        "{output}"
    );
    assert!(output.contains("(exit code 2)"), "{output}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("site.toml");
    std::fs::write(&file, "io = \"poll\"\nprot = 80\n").unwrap();
    let output = start(&[file.to_str().unwrap()]).unwrap_err();
    assert!(
        output.contains("site.toml, line 2: unknown key `prot`; did you mean `port`?"),
        "{output}"
    );
    assert!(output.contains("(exit code 2)"), "{output}");
}

#[test]
fn flags_take_the_place_of_the_files_settings() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("site.toml");
    let text = "io = \"poll\"\nio_threads = 2\nthread_pool_size = 3\nport = 1\n";
    std::fs::write(&file, text).unwrap();
    let program = start(&[file.to_str().unwrap(), "--io-threads=1"]).unwrap();
    let output = program.output();
    assert!(output.contains("poll, 1 thread\n"), "{output}");
    assert!(output.contains("3 handler threads"), "{output}");
}

#[test]
fn metrics_are_told_where_the_file_says_and_the_report_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("site.toml");
    let url = format!("http://localhost:{}/metrics", free_port());
    let text = format!("[metrics]\nenabled = true\nurl = \"{url}\"\n");
    std::fs::write(&file, text).unwrap();
    everywhere_with(&[file.to_str().unwrap()], |program| {
        let told = program.output();
        assert!(told.contains(&format!("metrics   {url}\n")), "{told}");
        assert_eq!(program.get("/hello").status, 200);
        let host = url
            .strip_prefix("http://")
            .and_then(|rest| rest.strip_suffix("/metrics"));
        let host = host.unwrap();
        let mut stream = std::net::TcpStream::connect(host).unwrap();
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let line = "tidegate_http_responses_total{class=\"2xx\"} 1\n";
        assert!(answer.contains(line), "{answer}");
    });
    let token = folder.path().join("none");
    let text = format!(
        "[metrics]\nenabled = true\ntoken_file = '{}'\n",
        token.display()
    );
    std::fs::write(&file, text).unwrap();
    let output = start(&[file.to_str().unwrap()]).unwrap_err();
    assert!(output.contains("metrics.token_file"), "{output}");
    assert!(output.contains("cannot be read"), "{output}");
}
