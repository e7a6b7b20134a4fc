//! curl over TLS, and HTTP/2 with and without it: the same things in each way.

use super::{content, curl, cut};
use crate::error::ClientError;
use crate::expect;
use crate::process;
use crate::suite::{Bench, Case};

/// Each in all ways.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "each way: get",
        run: |bench| in_each(bench, get),
    },
    Case {
        name: "each way: uploads",
        run: |bench| in_each(bench, uploads),
    },
    Case {
        name: "each way: head",
        run: |bench| in_each(bench, head),
    },
    Case {
        name: "each way: statuses",
        run: |bench| in_each(bench, statuses),
    },
    Case {
        name: "each way: downloads",
        run: |bench| in_each(bench, downloads),
    },
    Case {
        name: "each way: one connection",
        run: |bench| in_each(bench, one_connection),
    },
    Case {
        name: "each way: length required",
        run: |bench| in_each(bench, length_required),
    },
    Case {
        name: "each way: many at once",
        run: |bench| in_each(bench, many_at_once),
    },
    Case {
        name: "each way: given up",
        run: |bench| in_each(bench, given_up),
    },
    Case {
        name: "no upgrade to HTTP/2",
        run: no_upgrade,
    },
];

/// A version of HTTP over TLS or without.
struct Way {
    name: &'static str,
    flags: &'static [&'static str],
    is_secured: bool,
    /// As curl says it.
    http: &'static str,
    /// As the server says it.
    tls: Option<&'static str>,
}

const WAYS: [Way; 5] = [
    Way {
        name: "HTTP/2 by prior knowledge",
        flags: &["--http2-prior-knowledge"],
        is_secured: false,
        http: "2",
        tls: None,
    },
    Way {
        name: "HTTP/1.1 over TLS 1.3",
        flags: &["--http1.1"],
        is_secured: true,
        http: "1.1",
        tls: Some("TLSv1.3"),
    },
    Way {
        name: "HTTP/1.1 over TLS 1.2",
        flags: &["--http1.1", "--tls-max", "1.2"],
        is_secured: true,
        http: "1.1",
        tls: Some("TLSv1.2"),
    },
    Way {
        name: "HTTP/2 over TLS 1.3",
        flags: &["--http2"],
        is_secured: true,
        http: "2",
        tls: Some("TLSv1.3"),
    },
    Way {
        name: "HTTP/2 over TLS 1.2",
        flags: &["--http2", "--tls-max", "1.2"],
        is_secured: true,
        http: "2",
        tls: Some("TLSv1.2"),
    },
];

/// curl, the way it is to go.
pub(super) struct Going<'a> {
    pub(super) bench: &'a Bench<'a>,
    way: &'static Way,
}

impl Going<'_> {
    fn url(&self, path: &str) -> String {
        match self.way.is_secured {
            true => self.bench.server.tls_url(path),
            false => self.bench.server.url(path),
        }
    }

    /// Runs curl on a path.
    pub(super) fn curl(
        &self,
        path: &str,
        words: &[&str],
        input: &[u8],
    ) -> Result<Vec<u8>, ClientError> {
        self.curl_all(&[words, &[&self.url(path)]].concat(), input)
    }

    /// Runs curl on a path, and kills it in the middle: as soon as `holds`.
    pub(super) fn cut(
        &self,
        path: &str,
        words: &[&str],
        what: &str,
        holds: impl Fn() -> bool,
    ) -> Result<(), ClientError> {
        self.with_flags(&[words, &[&self.url(path)]].concat(), |words| {
            cut(words, what, holds)
        })
    }

    fn curl_all(&self, words: &[&str], input: &[u8]) -> Result<Vec<u8>, ClientError> {
        self.with_flags(words, |words| {
            curl(words, input).map(|output| output.stdout)
        })
    }

    /// Has `run` take the way's own flags with these words.
    fn with_flags<T>(&self, words: &[&str], run: impl FnOnce(&[&str]) -> T) -> T {
        let certificate = self.bench.server.certificate();
        let certificate = certificate.to_string_lossy();
        let trusting = ["--cacert", &certificate];
        run(&[self.way.flags, &trusting, words].concat())
    }

    /// curl 7.88 fails by itself when it has a second request for a connection of HTTP/2 without TLS,
    /// whoever the server is. `nghttp2` has many.
    pub(super) fn uses_connections_again(&self) -> bool {
        self.way.is_secured || self.way.http != "2"
    }

    /// As [`Self::curl`], for what is text.
    pub(super) fn text(
        &self,
        path: &str,
        words: &[&str],
        input: &[u8],
    ) -> Result<String, ClientError> {
        self.curl(path, words, input)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

pub(super) fn in_each(
    bench: &Bench<'_>,
    case: impl Fn(&Going<'_>) -> Result<(), ClientError>,
) -> Result<(), ClientError> {
    for way in &WAYS {
        case(&Going { bench, way }).map_err(|source| ClientError::Case {
            name: way.name,
            source: Box::new(source),
        })?;
    }
    Ok(())
}

fn get(going: &Going<'_>) -> Result<(), ClientError> {
    let words = ["-w", "|%{http_code} %{http_version} %{content_type}"];
    let got = going.text("/hello", &words, &[])?;
    let expected = format!("Hello, World!|200 {} text/plain", going.way.http);
    expect::equal("answer", &got, &expected)?;
    let seen = going.text("/inspect", &[], &[])?;
    let tls = match going.way.tls {
        Some(version) => format!("\"version\": \"{version}\""),
        None => "\"tls\": null".to_owned(),
    };
    expect::holds("what secures it", seen.contains(&tls), || seen.clone())?;
    let version = match going.way.http {
        "2" => "\"version\": \"HTTP/2\"",
        _ => "\"version\": \"HTTP/1.1\"",
    };
    expect::holds("version", seen.contains(version), || seen.clone())
}

/// Of known and of unknown length, and one that waits for leave.
fn uploads(going: &Going<'_>) -> Result<(), ClientError> {
    let small = going.text("/echo", &["-d", "a=1&b=2"], &[])?;
    expect::equal("content", &*small, "a=1&b=2")?;
    let content = content(3_000_000);
    let expecting = ["-H", "Expect: 100-continue", "--expect100-timeout", "60"];
    for words in [
        &["-T", "-"][..],
        &["--data-binary", "@-"],
        &[&expecting[..], &["--data-binary", "@-"]].concat(),
    ] {
        let got = going.curl("/echo", words, &content)?;
        expect::equal("content", &got, &content)?;
    }
    if going.way.http == "2" {
        // An answer before the upload has ended is followed by RST_STREAM with NO_ERROR, as RFC 9113 §8.1
        // has it. curl 7.88 takes that for a failure, whoever the server is; `nghttp2` does it right.
        return Ok(());
    }
    // Nobody reads it: the answer comes all the same.
    let words = [
        "--data-binary",
        "@-",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
    ];
    let got = going.text("/inspect", &words, &content)?;
    expect::equal("status", &*got, "200")
}

fn head(going: &Going<'_>) -> Result<(), ClientError> {
    let text = going.text("/bytes/12345", &["-I"], &[])?;
    let text = text.to_ascii_lowercase();
    let status = format!("http/{} 200", going.way.http);
    expect::holds("200", text.starts_with(&status), || text.clone())?;
    for part in ["\ncontent-length: 12345\r\n", "\ndate: "] {
        expect::holds(part, text.contains(part), || text.clone())?;
    }
    expect::holds("no content", text.ends_with("\r\n\r\n"), || text.clone())
}

fn statuses(going: &Going<'_>) -> Result<(), ClientError> {
    let words = ["-o", "/dev/null", "-w", "%{http_code}"];
    for code in ["201", "204", "304", "404", "418", "500", "503"] {
        let got = going.text(&format!("/status/{code}"), &words, &[])?;
        expect::equal("status", &*got, code)?;
    }
    let got = going.text("/there-is-no-such-route", &words, &[])?;
    expect::equal("status", &*got, "404")
}

fn downloads(going: &Going<'_>) -> Result<(), ClientError> {
    for (path, bytes) in [
        ("/file", 2 * 1024 * 1024),
        ("/bytes/30000000", 30_000_000),
        ("/stream", 900),
        ("/bytes/0", 0),
    ] {
        let got = going.curl(path, &[], &[])?;
        expect::equal(path, &got.len(), &bytes)?;
    }
    Ok(())
}

fn one_connection(going: &Going<'_>) -> Result<(), ClientError> {
    if !going.uses_connections_again() {
        return Ok(());
    }
    let paths = [
        "/hello",
        "/stream",
        "/status/404",
        "/bytes/100000",
        "/hello",
    ];
    let urls: Vec<String> = paths.iter().map(|path| going.url(path)).collect();
    let mut words = vec!["-w", "%{num_connects} "];
    for url in &urls {
        words.extend(["-o", "/dev/null", url]);
    }
    let made = going.curl_all(&words, &[])?;
    expect::equal("connections made", &made[..], b"1 0 0 0 0 ")
}

/// On HTTP/2 that is the matter of one stream; an HTTP/1.1 connection ends with it.
fn length_required(going: &Going<'_>) -> Result<(), ClientError> {
    if !going.uses_connections_again() {
        return Ok(());
    }
    let (echo, hello) = (going.url("/echo"), going.url("/hello"));
    let facts = "%{http_code} %{num_connects} ";
    let post = [
        "-X",
        "POST",
        "-o",
        "/dev/null",
        "-w",
        facts,
        &echo,
        "--next",
    ];
    let certificate = going.bench.server.certificate();
    let certificate = certificate.to_string_lossy();
    // What follows `--next` starts without the flags that were given before.
    let get = [
        "--cacert",
        &certificate,
        "-o",
        "/dev/null",
        "-w",
        facts,
        &hello,
    ];
    let words = [&post[..], going.way.flags, &get].concat();
    let got = going.curl_all(&words, &[])?;
    let expected = match going.way.http {
        "2" => "411 1 200 0 ",
        _ => "411 1 200 1 ",
    };
    expect::equal("answers", &*String::from_utf8_lossy(&got), expected)
}

fn many_at_once(going: &Going<'_>) -> Result<(), ClientError> {
    if !going.uses_connections_again() {
        return Ok(());
    }
    let words = [
        "--parallel",
        "--parallel-max",
        "60",
        "--no-progress-meter",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{size_download}\n",
    ];
    let got = going.text("/bytes/[20000-20199]", &words, &[])?;
    let mut lines: Vec<&str> = got.lines().collect();
    lines.sort_unstable();
    let expected: Vec<String> = (20_000..20_200)
        .map(|bytes| format!("200 {bytes}"))
        .collect();
    expect::equal(
        "answers",
        &lines,
        &expected.iter().map(|line| &**line).collect(),
    )
}

/// Left in the middle; the server goes on. The delay is one that the server's stop need not wait for.
fn given_up(going: &Going<'_>) -> Result<(), ClientError> {
    for path in ["/bytes/1000000000", "/delay/3000"] {
        let left = going.curl(path, &["-o", "/dev/null", "--max-time", "0.3"], &[]);
        // 28: "operation timed out".
        match left {
            Err(ClientError::Failed { status, .. }) => {
                expect::equal("curl's status", &status.code(), &Some(28))?;
            }
            Err(error) => return Err(error),
            Ok(_) => expect::holds("it gives up", false, || path.to_owned())?,
        }
    }
    get(going)
}

/// RFC 9113 §3.1: "h2c" as an upgrade is no more. Whoever asks for it gets HTTP/1.1.
fn no_upgrade(bench: &Bench<'_>) -> Result<(), ClientError> {
    let url = bench.server.url("/hello");
    let facts = "|%{http_code} %{http_version}";
    let got = curl(&["--http2", "-w", facts, &url], &[])?;
    expect::equal("answer", &*process::text(&got), "Hello, World!|200 1.1")
}
