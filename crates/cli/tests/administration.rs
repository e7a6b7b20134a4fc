//! The administration of a program that runs, as other programs of its user meet it: `tidegate top`.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[allow(dead_code, reason = "other tests use the rest of it")]
mod program;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use program::{Program, everywhere_with, free_port, start};

/// The flags of a server with an administration at this port, whose token is in this folder.
fn flags(folder: &Path, port: u16) -> [String; 3] {
    [
        format!("--administration=http://localhost:{port}/admin/"),
        "--administration-token-file".to_owned(),
        folder.join("token").display().to_string(),
    ]
}

fn serve(folder: &Path, port: u16) -> Result<Program, String> {
    let flags = flags(folder, port);
    start(&[&*flags[0], &*flags[1], &*flags[2]])
}

fn top(folder: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command
        .arg("top")
        .arg("--token-file")
        .arg(folder.join("token"))
        .args(flags);
    command
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn top_shows_the_server_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let flags = flags(folder.path(), port);
    everywhere_with(&[&flags[0], &flags[1], &flags[2]], |program| {
        for _ in 0..3 {
            program.get("/hello");
        }
        let shown = loop {
            let output = top(folder.path(), &["--once"]).output().unwrap();
            let (shown, complaint) = said(&output);
            assert!(output.status.success(), "{complaint}");
            // The values are of the last second.
            if shown.contains(" 3 in all") {
                break shown;
            }
        };
        for part in [
            &*format!("process {}", program.id()),
            "latency",
            "queue                 0 of 1000",
            "refused        nothing so far",
            &*format!("http://localhost:{port}/admin/"),
            "administration",
            "CONNECTION PEER",
            "127.0.0.1:",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains('\u{1b}'), "{shown}");
        let output = top(folder.path(), &["--link"]).output().unwrap();
        let (link, _) = said(&output);
        let start = format!("http://localhost:{port}/admin/sign-in?once=");
        assert!(link.starts_with(&start), "{link}");
        assert!(program.output().contains(&start), "{}", program.output());
    });
}

#[test]
fn top_goes_on_when_the_server_is_started_anew() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let first = serve(folder.path(), port).unwrap();
    let mut watching = top(folder.path(), &[])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut titles = lines
        .map(|line| line.unwrap())
        .filter(|line| line.starts_with("tidegate "));
    let id = format!("process {} ", first.id());
    assert!(titles.next().unwrap().contains(&id));
    first.signal("INT");
    assert_eq!(first.wait(), Some(0));
    assert!(titles.any(|title| title.contains("no server answers")));
    let second = serve(folder.path(), port).unwrap();
    let id = format!("process {} ", second.id());
    assert!(titles.any(|title| title.contains(&id) && !title.contains("no server")));
    // Nobody reads it any more.
    drop(titles);
    assert!(watching.wait().unwrap().success());
}

#[test]
fn top_says_when_no_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let output = top(folder.path(), &["--once"]).output().unwrap();
    let (shown, complaint) = said(&output);
    assert_eq!((output.status.code(), &*shown), (Some(1), ""));
    assert!(
        complaint.contains("no server with an administration runs here"),
        "{complaint}"
    );
    assert!(
        complaint.contains("`tidegate serve --administration`"),
        "{complaint}"
    );
    std::fs::write(folder.path().join("token"), "a".repeat(43)).unwrap();
    let url = format!("http://localhost:{}/admin/", free_port());
    let output = top(folder.path(), &["--url", &url]).output().unwrap();
    let (_, complaint) = said(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        complaint.contains(&format!("no server answers at {url}")),
        "{complaint}"
    );
    let output = top(folder.path(), &["--url", "nonsense"]).output().unwrap();
    assert!(said(&output).1.contains("`nonsense` is no URL"));
}

// The system would let both listen, and each get some of the requests.
#[test]
fn an_administration_that_another_program_has_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let first = serve(folder.path(), port).unwrap();
    let complaint = serve(folder.path(), port).unwrap_err();
    let wanted = format!("is that of the server in process {}", first.id());
    assert!(complaint.contains(&wanted), "{complaint}");
    assert!(
        complaint.contains("set `administration.url` to another port"),
        "{complaint}"
    );
    // The first goes on, and is still found.
    let output = top(folder.path(), &["--once"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output).1);
    // One that was killed is in nobody's way.
    first.signal("KILL");
    first.wait();
    let second = serve(folder.path(), port).unwrap();
    let output = top(folder.path(), &["--once"]).output().unwrap();
    assert!(
        said(&output)
            .0
            .contains(&format!("process {}", second.id()))
    );
}

#[test]
fn what_others_could_read_is_refused() {
    let complaint = start(&["--administration=http://+:9180/"]).unwrap_err();
    assert!(
        complaint.contains("http lets them read the token"),
        "{complaint}"
    );
    assert!(complaint.contains("to do: make it https"), "{complaint}");
}
