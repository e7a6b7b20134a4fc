//! curl where one has to say who one is: Basic, Digest, a token, an API key, each right and wrong.

use super::curl;
use super::ways::in_each;
use crate::admitted::{Admitted, TOKEN};
use crate::error::ClientError;
use crate::expect;
use crate::process;
use crate::suite::{Bench, Case};

/// Each with a server that asks.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "who may come in",
        run: over_http1,
    },
    Case {
        name: "each way: who may come in",
        run: each_way,
    },
];

fn over_http1(bench: &Bench<'_>) -> Result<(), ClientError> {
    let admitted = Admitted::start(bench)?;
    all(&admitted.key, true, &|path, words| {
        let url = admitted.server.url(path);
        curl(&[words, &[&url]].concat(), &[]).map(|output| process::text(&output))
    })?;
    admitted.server.stop()
}

fn each_way(bench: &Bench<'_>) -> Result<(), ClientError> {
    let admitted = Admitted::start(bench)?;
    in_each(&bench.with_server(&admitted.server), |going| {
        // Digest asks, is asked, and asks again: some curls cannot do that over HTTP/2 by prior knowledge, with any
        // server (curl's issue 10634, mended in 8.0).
        let has_digest = going.uses_connections_again();
        all(&admitted.key, has_digest, &|path, words| {
            going.text(path, words, &[])
        })
    })?;
    admitted.server.stop()
}

type Ask<'a> = &'a dyn Fn(&str, &[&str]) -> Result<String, ClientError>;

fn all(key: &str, has_digest: bool, ask: Ask<'_>) -> Result<(), ClientError> {
    let (right, wrong) = ("alice:open sesame", "alice:wrong");
    let (key, guess) = (format!("X-API-Key: {key}"), format!("X-API-Key: {key}x"));
    let forged = format!("{}A", &TOKEN[..TOKEN.len() - 1]);
    let mut cases: Vec<(&str, Vec<&str>, &str)> = vec![
        ("/hello", vec![], "401"),
        ("/hello", vec!["--basic", "-u", right], "200"),
        ("/hello", vec!["--basic", "-u", wrong], "401"),
        ("/hello", vec!["--oauth2-bearer", TOKEN], "200"),
        ("/hello", vec!["--oauth2-bearer", &forged], "401"),
        ("/basic", vec!["--oauth2-bearer", TOKEN], "401"),
        ("/inspect", vec![], "401"),
        ("/inspect", vec!["-H", &key], "200"),
        ("/inspect", vec!["-H", &guess], "401"),
        ("/hello", vec!["-H", &key], "401"),
    ];
    if has_digest {
        cases.extend([
            ("/hello", vec!["--digest", "-u", right], "200"),
            ("/hello", vec!["--digest", "-u", wrong], "401"),
            ("/basic", vec!["--digest", "-u", right], "401"),
            // The strongest that it can.
            ("/hello", vec!["--anyauth", "-u", right], "200"),
        ]);
    }
    for (path, words, status) in cases {
        let telling = ["-o", "/dev/null", "-w", "%{http_code}"];
        let got = ask(path, &[&telling[..], &words].concat())?;
        let what = format!("{path} {words:?}");
        expect::holds("status", got == status, || {
            format!("{what}: {got}, not {status}")
        })?;
    }
    Ok(())
}
