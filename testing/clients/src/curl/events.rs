//! curl on server-sent events, as they come, and as a page of another origin.

use std::time::Duration;

use crate::curl::{command, curl};
use crate::error::ClientError;
use crate::expect;
use crate::process::{run_to_end, text};
use crate::suite::{Bench, Case};

/// Over each version of HTTP.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "events",
        run: events,
    },
    Case {
        name: "events go on",
        run: go_on,
    },
    Case {
        name: "a clock that is left",
        run: clock,
    },
    Case {
        name: "other origins",
        run: other_origins,
    },
];

const WAYS: [&[&str]; 3] = [&["--http1.1"], &["--http1.0"], &["--http2-prior-knowledge"]];

fn events(bench: &Bench<'_>) -> Result<(), ClientError> {
    let url = bench.server.url("/events?count=3&pause=10");
    for way in WAYS {
        let mut words = vec!["-N", "-w", "|%{http_code} %{content_type}", &url];
        words.extend(way);
        let got = curl(&words, b"")?;
        let wanted = "retry: 50\n\nid: 1\ndata: 1\n\nid: 2\ndata: 2\n\nid: 3\ndata: 3\n\n|200 text/event-stream";
        expect::equal("what was received", &*text(&got), wanted)?;
    }
    Ok(())
}

fn go_on(bench: &Bench<'_>) -> Result<(), ClientError> {
    let url = bench.server.url("/events?count=3");
    for (last, wanted) in [
        ("Last-Event-ID: 2", "retry: 50\n\nid: 3\ndata: 3\n\n|200"),
        ("Last-Event-ID: 3", "|204"),
    ] {
        let got = curl(&["-H", last, "-w", "|%{http_code}", &url], b"")?;
        expect::equal(last, &*text(&got), wanted)?;
    }
    Ok(())
}

/// Who leaves does not hold the clock up for others.
fn clock(bench: &Bench<'_>) -> Result<(), ClientError> {
    let url = bench.server.url("/events");
    for way in WAYS {
        let mut words = vec!["-N", "--max-time", "1.5", "-w", "|%{http_code}", &url];
        words.extend(way);
        let output = run_to_end(command(&words), Vec::new(), LIMIT)?;
        // It gives up because it was told to, and has seen ticks meanwhile.
        expect::equal("curl's exit code", &output.status.code(), &Some(28))?;
        let got = text(&output);
        let ticks = got.matches("event: tick\n").count();
        expect::holds(
            "ticks",
            (1..=3).contains(&ticks) && got.ends_with("|200"),
            || got,
        )?;
    }
    Ok(())
}

fn other_origins(bench: &Bench<'_>) -> Result<(), ClientError> {
    let page = "Origin: http://page.example";
    let asks = "Access-Control-Request-Method: PUT";
    let told = "|%{http_code}|%header{access-control-allow-origin}|%header{vary}";
    for (path, method, wanted) in [
        ("/cors/open", "OPTIONS", "|204|*|"),
        ("/cors/open", "PUT", "PUT by http://page.example\n|200|*|"),
        ("/cors/closed", "OPTIONS", "|403||Origin"),
        (
            "/cors/closed",
            "PUT",
            "PUT by http://page.example\n|200||Origin",
        ),
    ] {
        let url = bench.server.url(path);
        let mut words = vec!["-X", method, "-H", page, "-w", told, &url];
        match method {
            "OPTIONS" => words.extend(["-H", asks]),
            _ => words.extend(["--data", "x"]),
        }
        let got = curl(&words, b"")?;
        expect::equal(&format!("{method} {path}"), &*text(&got), wanted)?;
    }
    Ok(())
}

const LIMIT: Duration = Duration::from_secs(40);
