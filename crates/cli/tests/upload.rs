//! Uploads to the program: to the demonstration site, and to places that a settings file makes.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[allow(dead_code, reason = "other tests use the rest of it")]
mod program;

use std::fs;
use std::io::Write;
use std::path::Path;

use program::{Program, everywhere, start};

const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n\
    --b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"../a b.txt\"\r\n\
    Content-Type: text/plain\r\n\r\ncontent\r\n--b--\r\n";

fn post(program: &Program, path: &str) -> program::Answer {
    let length = FORM.len();
    program.ask(&format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n\
         Content-Length: {length}\r\n\r\n{FORM}"
    ))
}

fn put(program: &Program, path: &str, content: &str) -> program::Answer {
    let length = content.len();
    program.ask(&format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{content}"
    ))
}

#[test]
fn the_site_tells_what_came() {
    everywhere(|program| {
        let answer = post(program, "/upload");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.field("content-type"), Some("application/json"));
        let told: serde_json::Value = serde_json::from_slice(&answer.content).unwrap();
        let wanted = serde_json::json!({
            "fields": [["note", "hello"]],
            "files": [{
                "field": "f",
                "sent_name": "../a b.txt",
                "file_name": "a b.txt",
                "content_type": "text/plain",
                "size": 7,
                "on_disk": false,
            }],
        });
        assert_eq!(told, wanted);
        let get = program.get("/upload");
        assert_eq!((get.status, get.field("allow")), (405, Some("POST")));
        let none =
            program.ask("POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx");
        assert_eq!(none.status, 415);
    });
}

/// A program whose settings file has a place at `/drop/`.
fn drop_box(folder: &Path) -> Program {
    let file = folder.join("site.toml");
    let directory = folder.join("drop");
    let text = format!(
        "[[upload]]\npath = \"/drop/\"\ndirectory = {:?}\nmax_request_body_size = 0\n",
        directory.display().to_string()
    );
    fs::write(&file, text).unwrap();
    start(&[&file.display().to_string()]).unwrap()
}

/// What is in the drop box, but for the lock that is there while a program runs.
fn dropped(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("drop")).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".lock"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_settings_file_makes_a_drop_box() {
    let folder = tempfile::tempdir().unwrap();
    let program = drop_box(folder.path());
    let answer = post(&program, "/drop/");
    assert_eq!(
        (answer.status, answer.field("location")),
        (201, Some("/drop/a%20b.txt"))
    );
    assert_eq!(put(&program, "/drop/c", "put").status, 201);
    assert_eq!(put(&program, "/drop/c", "again").status, 409);
    assert_eq!(dropped(folder.path()), ["a b.txt", "c"]);
    assert_eq!(
        fs::read_to_string(folder.path().join("drop/c")).unwrap(),
        "put"
    );
    // The site is still there.
    assert_eq!(program.get("/hello").status, 200);
    program.signal("INT");
    assert_eq!(program.wait(), Some(0));
    let left = fs::read_dir(folder.path().join("drop")).unwrap().count();
    assert_eq!(left, 2);
}

#[test]
fn what_a_killed_program_left_is_gone_after_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let program = drop_box(folder.path());
    let mut connection = program.connect();
    let head = "PUT /drop/half HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
    connection.write_all(head.as_bytes()).unwrap();
    connection.write_all(&[b'x'; 500_000]).unwrap();
    while dropped(folder.path()).is_empty() {
        std::thread::yield_now();
    }
    program.signal("KILL");
    program.wait();
    let left = dropped(folder.path());
    assert!(left.len() == 1 && left[0].ends_with(".part"), "{left:?}");
    let again = drop_box(folder.path());
    assert_eq!(dropped(folder.path()), [""; 0]);
    assert_eq!(put(&again, "/drop/half", "whole").status, 201);
}

#[test]
fn a_directory_that_cannot_be_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("drop"), "").unwrap();
    let file = folder.path().join("site.toml");
    let text = format!(
        "[[upload]]\npath = \"/drop/\"\ndirectory = {:?}\n",
        folder.path().join("drop").display().to_string()
    );
    fs::write(&file, text).unwrap();
    let output = start(&[&file.display().to_string()]).unwrap_err();
    assert!(
        output.contains("error: cannot take uploads into the directory "),
        "{output}"
    );
    assert!(output.contains("to do: make it"), "{output}");
}
