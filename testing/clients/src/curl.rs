//! curl: the client most people try first.
//!
//! Here are its cases of HTTP/1.1 without TLS; those of the other ways are in `ways`, those of certificates in
//! `secured`, those of events and other origins in `events`, those of
//! WebSocket's fallback in `fallback`, those of static sites in `files`, those of files
//! that are sent in `uploads`, those of who may come in in `admission`.

pub(crate) mod admission;
pub(crate) mod events;
pub(crate) mod fallback;
pub(crate) mod files;
pub(crate) mod secured;
pub(crate) mod uploads;
pub(crate) mod ways;

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::error::ClientError;
use crate::expect;
use crate::process;
use crate::server::io;
use crate::suite::{Bench, Case};

/// HTTP/1.1 without TLS.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "get",
        run: get,
    },
    Case {
        name: "post",
        run: post,
    },
    Case {
        name: "chunked upload",
        run: chunked_upload,
    },
    Case {
        name: "expect 100-continue",
        run: expect_continue,
    },
    Case {
        name: "head",
        run: head,
    },
    Case {
        name: "http 1.0",
        run: http10,
    },
    Case {
        name: "keep-alive",
        run: keep_alive,
    },
    Case {
        name: "path as is",
        run: path_as_is,
    },
    Case {
        name: "unix socket",
        run: unix_socket,
    },
    Case {
        name: "statuses",
        run: statuses,
    },
    Case {
        name: "big download",
        run: big_download,
    },
    Case {
        name: "unknown length",
        run: unknown_length,
    },
    Case {
        name: "delays",
        run: delays,
    },
    Case {
        name: "options for all",
        run: options_for_all,
    },
    Case {
        name: "any host",
        run: any_host,
    },
    Case {
        name: "field too long",
        run: field_too_long,
    },
];

fn get(bench: &Bench<'_>) -> Result<(), ClientError> {
    let got = curl(
        &[
            "-w",
            "|%{http_code} %{http_version} %{content_type}",
            &bench.server.url("/hello"),
        ],
        &[],
    )?;
    expect::equal(
        "answer",
        &*process::text(&got),
        "Hello, World!|200 1.1 text/plain",
    )
    .or_else(|_| {
        expect::holds(
            "answer",
            process::text(&got).starts_with("Hello, World!|200 1.1 text/plain;"),
            || process::text(&got),
        )
    })
}

fn post(bench: &Bench<'_>) -> Result<(), ClientError> {
    let url = bench.server.url("/echo");
    let got = curl(
        &["-d", "a=1&b=2", "-w", "|%{http_code} %{content_type}", &url],
        &[],
    )?;
    expect::equal(
        "answer",
        &*process::text(&got),
        "a=1&b=2|200 application/x-www-form-urlencoded",
    )
}

fn chunked_upload(bench: &Bench<'_>) -> Result<(), ClientError> {
    let content = content(3_000_000);
    let got = curl(
        &[
            "-T",
            "-",
            "-H",
            "Content-Type: application/x-test",
            &bench.server.url("/echo"),
        ],
        &content,
    )?;
    expect::equal("content", &got.stdout, &content)
}

/// curl waits for the interim answer: without one it would wait for longer than the case may take.
fn expect_continue(bench: &Bench<'_>) -> Result<(), ClientError> {
    let content = content(8_000_000);
    let got = curl(
        &[
            "-H",
            "Expect: 100-continue",
            "--expect100-timeout",
            "60",
            "--data-binary",
            "@-",
            &bench.server.url("/echo"),
        ],
        &content,
    )?;
    expect::equal("content", &got.stdout, &content)
}

fn head(bench: &Bench<'_>) -> Result<(), ClientError> {
    let got = curl(&["-I", &bench.server.url("/bytes/12345")], &[])?;
    let text = process::text(&got).to_ascii_lowercase();
    expect::holds("200", text.starts_with("http/1.1 200 "), || text.clone())?;
    expect::holds(
        "length",
        text.contains("\ncontent-length: 12345\r\n"),
        || text.clone(),
    )?;
    expect::holds("date", text.contains("\ndate: "), || text.clone())?;
    expect::holds("no content", text.ends_with("\r\n\r\n"), || text.clone())
}

/// No chunks for a client of 1.0: the end of the connection is the end of the content.
fn http10(bench: &Bench<'_>) -> Result<(), ClientError> {
    let hello = curl(&["--http1.0", &bench.server.url("/hello")], &[])?;
    expect::equal("content", &*process::text(&hello), "Hello, World!")?;
    let stream = curl(&["--http1.0", "-i", &bench.server.url("/stream")], &[])?;
    let text = process::text(&stream);
    let (head, content) = text.split_once("\r\n\r\n").unwrap_or_default();
    expect::equal("bytes", &content.len(), &900)?;
    let head = head.to_ascii_lowercase();
    expect::holds("no chunks", !head.contains("transfer-encoding"), || {
        head.clone()
    })
}

fn keep_alive(bench: &Bench<'_>) -> Result<(), ClientError> {
    let hello = bench.server.url("/hello");
    let echo = bench.server.url("/echo");
    let stream = bench.server.url("/stream");
    let got = curl(
        &[
            "-o",
            "/dev/null",
            "-o",
            "/dev/null",
            "-o",
            "/dev/null",
            "-o",
            "/dev/null",
            "-w",
            "%{num_connects} ",
            &hello,
            &stream,
            &echo,
            &hello,
        ],
        &[],
    )?;
    expect::equal(
        "connections made",
        process::text(&got).trim_end(),
        "1 0 0 0",
    )
}

/// Dots are resolved by the server: routing sees the path it will serve.
fn path_as_is(bench: &Bench<'_>) -> Result<(), ClientError> {
    let url = bench.server.url("/nowhere/../hello");
    let got = curl(&["--path-as-is", "-w", "|%{http_code}", &url], &[])?;
    expect::equal("answer", &*process::text(&got), "Hello, World!|200")?;
    let url = bench.server.url("/a/../../../etc/passwd");
    let got = curl(
        &[
            "--path-as-is",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            &url,
        ],
        &[],
    )?;
    let status = process::text(&got);
    expect::holds("refused", matches!(&*status, "400" | "404"), || {
        status.clone()
    })
}

fn unix_socket(bench: &Bench<'_>) -> Result<(), ClientError> {
    let socket = bench.server.unix_socket();
    let socket = socket.to_string_lossy();
    let got = curl(
        &[
            "--unix-socket",
            &socket,
            "http://localhost/hello",
            "http://localhost/hello",
            "-w",
            "%{num_connects}",
        ],
        &[],
    )?;
    expect::equal(
        "answers",
        &*process::text(&got),
        "Hello, World!1Hello, World!0",
    )
}

fn statuses(bench: &Bench<'_>) -> Result<(), ClientError> {
    for code in ["200", "201", "204", "304", "404", "418", "500", "503"] {
        let url = bench.server.url(&format!("/status/{code}"));
        let got = curl(&["-o", "/dev/null", "-w", "%{http_code}", &url], &[])?;
        expect::equal("status", &*process::text(&got), code)?;
    }
    let url = bench.server.url("/there-is-no-such-route");
    let got = curl(&["-o", "/dev/null", "-w", "%{http_code}", &url], &[])?;
    expect::equal("status", &*process::text(&got), "404")
}

fn big_download(bench: &Bench<'_>) -> Result<(), ClientError> {
    let file = curl(&[&bench.server.url("/file")], &[])?;
    expect::equal("bytes of the file", &file.stdout.len(), &(2 * 1024 * 1024))?;
    let large = curl(&[&bench.server.url("/bytes/30000000")], &[])?;
    expect::equal("bytes", &large.stdout.len(), &30_000_000)?;
    let small = curl(&[&bench.server.url("/bytes/1000")], &[])?;
    // The content is the same each time, so a long answer begins as a short one does.
    expect::equal("content", &small.stdout[..], &large.stdout[..1000])
}

fn unknown_length(bench: &Bench<'_>) -> Result<(), ClientError> {
    let got = curl(&["--raw", "-i", &bench.server.url("/stream")], &[])?;
    let text = process::text(&got);
    expect::holds(
        "chunks",
        text.to_ascii_lowercase()
            .contains("transfer-encoding: chunked"),
        || text.clone(),
    )?;
    expect::holds("last chunk", text.ends_with("0\r\n\r\n"), || text.clone())?;
    let got = curl(&[&bench.server.url("/stream")], &[])?;
    expect::equal("bytes", &got.stdout.len(), &900)
}

fn delays(bench: &Bench<'_>) -> Result<(), ClientError> {
    for path in ["/delay/200", "/block/200"] {
        let url = bench.server.url(path);
        let got = curl(
            &[
                "-o",
                "/dev/null",
                "-w",
                "%{http_code} %{time_starttransfer}",
                &url,
            ],
            &[],
        )?;
        let text = process::text(&got);
        let (status, time) = text.split_once(' ').unwrap_or_default();
        expect::equal("status", status, "200")?;
        let waited = time.parse::<f64>().unwrap_or(0.0);
        expect::holds(path, waited >= 0.2, || text.clone())?;
    }
    Ok(())
}

fn options_for_all(bench: &Bench<'_>) -> Result<(), ClientError> {
    let url = bench.server.url("/");
    let got = curl(
        &[
            "-X",
            "OPTIONS",
            "--request-target",
            "*",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            &url,
        ],
        &[],
    )?;
    expect::equal("status", &*process::text(&got), "204")
}

/// The prefix is bound to an address: whatever host a request names that arrives there belongs to it.
fn any_host(bench: &Bench<'_>) -> Result<(), ClientError> {
    let url = bench.server.url("/hello");
    let got = curl(
        &["-H", "Host: elsewhere.example", "-w", "|%{http_code}", &url],
        &[],
    )?;
    expect::equal("answer", &*process::text(&got), "Hello, World!|200")
}

fn field_too_long(bench: &Bench<'_>) -> Result<(), ClientError> {
    let url = bench.server.url("/hello");
    let field = format!("X-Long: {}", "a".repeat(40_000));
    let got = curl(
        &["-H", &field, "-o", "/dev/null", "-w", "%{http_code}", &url],
        &[],
    )?;
    expect::equal("status", &*process::text(&got), "400")
}

/// Runs curl; it must find nothing wrong with what it gets.
pub(crate) fn curl(words: &[&str], input: &[u8]) -> Result<Output, ClientError> {
    process::run(command(words), input.to_vec(), Duration::from_secs(40))
}

/// Runs curl slowly, and kills it in the middle of what it does: as soon as `holds`.
pub(crate) fn cut(words: &[&str], what: &str, holds: impl Fn() -> bool) -> Result<(), ClientError> {
    let mut command = command(&[&["--limit-rate", "500K"], words].concat());
    let mut child = command
        .stdout(Stdio::null())
        .spawn()
        .map_err(|source| ClientError::Start {
            program: "curl".to_owned(),
            source,
        })?;
    let held = expect::becomes(
        what,
        Duration::from_secs(20),
        || Ok(holds()),
        |holds| *holds,
    );
    let ended = child.try_wait().map_err(io("asking for curl's status"))?;
    // Fails only for a process that has ended already, which is found out about below.
    let _ = child.kill();
    child.wait().map_err(io("waiting for curl"))?;
    held?;
    expect::equal("curl's end before it is killed", &ended, &None)
}

/// curl with these words.
fn command(words: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "--max-time",
        "30",
    ]);
    command.args(words);
    command
}

/// Bytes that do not repeat within a chunk or a buffer.
pub(crate) fn content(bytes: u32) -> Vec<u8> {
    (0..bytes)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}
