//! curl as the client of a WebSocket's fallback: one reads the stream, others say something.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use crate::curl::{command, curl};
use crate::error::ClientError;
use crate::expect;
use crate::process::text;
use crate::suite::{Bench, Case};

/// Over each version of HTTP.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "fallback",
        run: fallback,
    },
    Case {
        name: "fallback for nobody",
        run: for_nobody,
    },
];

const WAYS: [&str; 3] = ["--http1.1", "--http1.0", "--http2-prior-knowledge"];

/// A curl that reads a stream.
struct Reader {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Reader {
    fn open(way: &str, url: &str) -> Result<Self, ClientError> {
        let mut command = command(&[way, "-N", "--max-time", "30", url]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let start = |source| ClientError::Start {
            program: "curl".to_owned(),
            source,
        };
        let mut child = command.spawn().map_err(start)?;
        let stdout = child.stdout.take();
        let stdout = stdout.ok_or_else(|| start(std::io::ErrorKind::BrokenPipe.into()))?;
        Ok(Self {
            child,
            lines: BufReader::new(stdout),
        })
    }

    /// The next event, without its last line, which is empty; nothing at the end.
    fn event(&mut self) -> String {
        let mut event = String::new();
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line);
            if !matches!(read, Ok(1..)) || line == "\n" {
                return event;
            }
            event.push_str(&line);
        }
    }

    fn ends_well(mut self) -> Result<(), ClientError> {
        expect::equal("what comes at the end", &*self.event(), "")?;
        let code = self.child.wait().ok().and_then(|status| status.code());
        expect::equal("the stream's end", &code, &Some(0))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn fallback(bench: &Bench<'_>) -> Result<(), ClientError> {
    let url = bench.server.url("/ws?tidegate-transport=sse");
    for way in WAYS {
        let mut reader = Reader::open(way, &url)?;
        let open = reader.event();
        let session = open.split('"').nth(3).unwrap_or_default().to_owned();
        let wanted = format!(
            "retry: 3000\nevent: open\ndata: {{\"session\":\"{session}\",\"protocol\":null}}\n"
        );
        expect::equal("the first event", &*open, &*wanted)?;
        let say = |number: u32, messages: &str| post(way, &url, &session, number, messages);
        let messages = r#"[{"text":"one\r\ntwo"},{"binary":"AAECAw=="}]"#;
        expect::equal("the first request", &*say(1, messages)?, "|204")?;
        expect::equal("again", &*say(1, messages)?, "|204")?;
        expect::equal(
            "text",
            &*reader.event(),
            "event: text\ndata: \"one\\r\\ntwo\"\n",
        )?;
        expect::equal(
            "binary",
            &*reader.event(),
            "event: binary\ndata: AAECAw==\n",
        )?;
        let early = say(3, "[]")?;
        expect::holds("out of order", early.ends_with("|409"), || early.clone())?;
        let close = r#"[{"close":{"code":4000,"reason":"done"}}]"#;
        expect::equal("close", &*say(2, close)?, "|204")?;
        let wanted = "event: close\ndata: {\"code\":4000,\"reason\":\"\"}\n";
        expect::equal("the close event", &*reader.event(), wanted)?;
        reader.ends_well()?;
        let late = say(3, "[]")?;
        expect::holds("after the end", late.ends_with("|404"), || late.clone())?;
    }
    Ok(())
}

fn for_nobody(bench: &Bench<'_>) -> Result<(), ClientError> {
    let url = bench.server.url("/ws?tidegate-transport=sse");
    for way in WAYS {
        for (session, status) in [("", "|400"), ("00112233445566778899aabbccddeeff", "|404")] {
            let answer = post(way, &url, session, 1, r#"[{"text":"forged"}]"#)?;
            expect::holds(session, answer.ends_with(status), || answer.clone())?;
        }
    }
    Ok(())
}

fn post(
    way: &str,
    url: &str,
    session: &str,
    number: u32,
    messages: &str,
) -> Result<String, ClientError> {
    let session = format!("Tidegate-Session: {session}");
    let number = format!("Tidegate-Number: {number}");
    let words = [
        way,
        "-H",
        &session,
        "-H",
        &number,
        "--json",
        messages,
        "-w",
        "|%{http_code}",
        url,
    ];
    curl(&words, b"").map(|answer| text(&answer))
}
