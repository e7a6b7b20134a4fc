//! nghttp and h2load: what HTTP/2 looks like to the client of its reference implementation, and very many
//! streams at once.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::curl::content;
use crate::error::ClientError;
use crate::expect;
use crate::process;
use crate::server::io;
use crate::suite::{Bench, Case};

/// All that nghttp and h2load do.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "frames",
        run: frames,
    },
    Case {
        name: "no upgrade",
        run: no_upgrade,
    },
    Case {
        name: "uploads and trailers",
        run: uploads,
    },
    Case {
        name: "interim answer",
        run: interim_answer,
    },
    Case {
        name: "many streams",
        run: many_streams,
    },
    Case {
        name: "field tables and padding",
        run: tables_and_padding,
    },
    Case {
        name: "small windows",
        run: small_windows,
    },
    Case {
        name: "large heads",
        run: large_heads,
    },
    Case {
        name: "load",
        run: load,
    },
];

/// What both sides say about one request, with TLS and without.
fn frames(bench: &Bench<'_>) -> Result<(), ClientError> {
    for url in [bench.server.url("/hello"), bench.server.tls_url("/hello")] {
        let told = nghttp(&["-n", "-v", "--no-verify-peer", &url])?;
        let received: Vec<&str> = told
            .lines()
            .filter_map(|line| line.split_once("] recv "))
            .map(|(_, frame)| frame)
            .filter(|frame| !frame.starts_with('('))
            .filter_map(|frame| frame.split_whitespace().next())
            .filter(|kind| *kind != "WINDOW_UPDATE")
            .collect();
        // Ours, the acknowledgement of nghttp's, and the answer; nothing is said at the end, as it is
        // nghttp that leaves.
        expect::equal(
            "frames",
            &received,
            &vec!["SETTINGS", "SETTINGS", "HEADERS", "DATA"],
        )?;
        for part in [
            "[SETTINGS_MAX_CONCURRENT_STREAMS(0x03):100]",
            "[SETTINGS_ENABLE_CONNECT_PROTOCOL(0x08):1]",
            ":status: 200",
            "content-length: 13",
            "; END_STREAM",
        ] {
            expect::holds(part, told.contains(part), || told.clone())?;
        }
    }
    Ok(())
}

/// RFC 9113 §3.1: nobody upgrades to HTTP/2 any more. The request is one of HTTP/1.1.
fn no_upgrade(bench: &Bench<'_>) -> Result<(), ClientError> {
    let url = bench.server.url("/hello");
    let output = run("nghttp", &["-n", "-v", "-u", &url])?;
    let told = process::text(&output) + &String::from_utf8_lossy(&output.stderr);
    for part in ["\nHTTP/1.1 200 OK\r\n", "HTTP Upgrade failed"] {
        expect::holds(part, told.contains(part), || told.clone())?;
    }
    Ok(())
}

fn uploads(bench: &Bench<'_>) -> Result<(), ClientError> {
    let sent = content(300_000);
    let file = bench.server.folder().join("upload");
    fs::write(&file, &sent).map_err(io("writing a file"))?;
    let file = file.to_string_lossy();
    let url = bench.server.tls_url("/echo");
    let trailer = ["--trailer", "x-sum: 1"];
    for length in [&[][..], &["--no-content-length"]] {
        for trailer in [&[][..], &trailer] {
            let words = [&["--no-verify-peer", "-d", &file], length, trailer, &[&url]].concat();
            let got = run("nghttp", &words)?;
            expect::equal("content", &got.stdout, &sent)?;
        }
    }
    Ok(())
}

fn interim_answer(bench: &Bench<'_>) -> Result<(), ClientError> {
    let file = bench.server.folder().join("upload");
    let url = bench.server.url("/echo");
    let file = file.to_string_lossy();
    let told = nghttp(&["-n", "-v", "--expect-continue", "-d", &file, &url])?;
    let interim = told.find(":status: 100");
    let last = told.find(":status: 200");
    expect::holds(
        "100 before 200",
        interim.is_some() && interim < last,
        || told.clone(),
    )
}

fn many_streams(bench: &Bench<'_>) -> Result<(), ClientError> {
    for path in ["/bytes/20000", "/stream", "/delay/20", "/block/1"] {
        let url = bench.server.tls_url(path);
        // More than may be open at once: the rest must wait for their turn.
        let told = nghttp(&["-n", "-v", "-m", "300", "--no-verify-peer", &url])?;
        let answers = told.matches(":status: 200").count();
        expect::equal(path, &answers, &300)?;
    }
    // As RFC 7540 had priorities, whose frames are read and passed over.
    let (file, hello) = (bench.server.url("/file"), bench.server.url("/hello"));
    let told = nghttp(&["-n", "-v", "-p", "1", "-p", "256", &file, &hello])?;
    expect::equal("answers", &told.matches(":status: 200").count(), &2)
}

fn tables_and_padding(bench: &Bench<'_>) -> Result<(), ClientError> {
    let url = bench.server.url("/bytes/20000");
    for flags in [
        // Fields that come back are told whole each time, ours or theirs.
        &["--header-table-size", "0"][..],
        &["--encoder-header-table-size", "0"],
        &["--header-table-size", "1M"],
        // A table that is changed, and changed back before anybody could use it.
        &["--header-table-size", "0", "--header-table-size", "4K"],
        &["--padding", "255"],
        &["--no-dep", "--no-push"],
    ] {
        let words = [&["-n", "-v", "-m", "50"], flags, &[&url]].concat();
        let told = nghttp(&words)?;
        expect::equal(&flags.join(" "), &told.matches(":status: 200").count(), &50)?;
    }
    Ok(())
}

/// What is sent waits for room of a kilobyte at a time.
fn small_windows(bench: &Bench<'_>) -> Result<(), ClientError> {
    for (stream, connection) in [("10", "30"), ("30", "16"), ("12", "16"), ("30", "30")] {
        let url = bench.server.url("/bytes/500000");
        let words = ["-w", stream, "-W", connection, &url];
        let got = run("nghttp", &words)?;
        let right = (0..500_000_u32).map(|at| (at % 251) as u8);
        let is_right = got.stdout.iter().copied().eq(right);
        expect::holds("content", is_right, || {
            format!(
                "{} bytes with windows {stream} {connection}",
                got.stdout.len()
            )
        })?;
    }
    Ok(())
}

/// As large as may be, and larger: CONTINUATION frames, and a refusal that is the stream's alone.
fn large_heads(bench: &Bench<'_>) -> Result<(), ClientError> {
    let url = bench.server.url("/hello");
    let field = format!("x-long: {}", "~".repeat(15_000));
    let told = nghttp(&["-n", "-v", "-m", "20", "-H", &field, &url])?;
    expect::equal("answers", &told.matches(":status: 200").count(), &20)?;
    let told = nghttp(&["-n", "-v", "-m", "3", "--continuation", &url])?;
    expect::equal("refusals", &told.matches(":status: 400").count(), &3)?;
    expect::holds(
        "the connection lives",
        !told.contains("recv GOAWAY"),
        || told.clone(),
    )
}

/// Everything that is asked for must be answered.
fn load(bench: &Bench<'_>) -> Result<(), ClientError> {
    let file = bench.server.folder().join("upload");
    let file = file.to_string_lossy();
    let posted = ["-d", &*file];
    for (path, requests, flags) in [
        // Fewer at once than may wait in the queue.
        ("/hello", 20_000, &["-c", "9", "-m", "100"][..]),
        ("/inspect", 3_000, &["-c", "200", "-m", "2"]),
        ("/stream", 3_000, &["-c", "8", "-m", "50"]),
        ("/delay/5", 1_000, &["-c", "4", "-m", "100"]),
        ("/block/1", 300, &["-c", "2", "-m", "20"]),
        ("/bytes/100000", 1_000, &["-c", "8", "-m", "32"]),
        // Windows that are small, and such that never fill up.
        (
            "/bytes/100000",
            300,
            &["-c", "4", "-m", "32", "-w", "14", "-W", "16"],
        ),
        (
            "/bytes/100000",
            1_000,
            &["-c", "4", "-m", "32", "-w", "30", "-W", "30"],
        ),
        (
            "/echo",
            100,
            &[&["-c", "4", "-m", "10"], &posted[..]].concat(),
        ),
        (
            "/inspect",
            100,
            &[&["-c", "4", "-m", "10"], &posted[..]].concat(),
        ),
    ] {
        h2load(&bench.server.url(path), requests, flags, "h2c")?;
        h2load(&bench.server.tls_url(path), requests, flags, "h2")?;
    }
    let flags = ["--h1", "-c", "16"];
    h2load(&bench.server.tls_url("/hello"), 5_000, &flags, "http/1.1")?;
    h2load(&bench.server.url("/hello"), 5_000, &flags, "http/1.1")
}

fn h2load(url: &str, requests: u32, flags: &[&str], protocol: &str) -> Result<(), ClientError> {
    let count = requests.to_string();
    let output = run("h2load", &[&["-n", &count], flags, &[url]].concat())?;
    let told = process::text(&output);
    let line = format!(
        "requests: {count} total, {count} started, {count} done, {count} succeeded, 0 failed, \
         0 errored, 0 timeout"
    );
    expect::holds(&line, told.contains(&line), || told.clone())?;
    let protocol = format!("Application protocol: {protocol}");
    expect::holds(&protocol, told.contains(&protocol), || told.clone())
}

/// Runs nghttp, which must get an answer to each request; returns what it tells.
fn nghttp(words: &[&str]) -> Result<String, ClientError> {
    let output = run("nghttp", words)?;
    let told = process::text(&output);
    let complaints = String::from_utf8_lossy(&output.stderr);
    let is_content = !complaints.contains("not processed") && !told.contains("recv RST_STREAM");
    expect::holds("all is answered", is_content, || {
        format!("{complaints}{told}")
    })?;
    Ok(told)
}

fn run(program: &str, words: &[&str]) -> Result<std::process::Output, ClientError> {
    let mut command = Command::new(program);
    command.args(words);
    process::run(command, Vec::new(), LIMIT)
}

/// Far longer than any of it takes.
const LIMIT: Duration = Duration::from_secs(60);
