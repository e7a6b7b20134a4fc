//! Files sent as people send them: forms (`-F`) and `-T`.

use std::fs;
use std::path::Path;

use super::{content, curl};
use crate::error::ClientError;
use crate::expect;
use crate::process;
use crate::server::io;
use crate::suite::{Bench, Case};
use crate::uploads::DropBox;

pub(crate) const CASES: &[Case] = &[Case {
    name: "uploads",
    run: uploads,
}];

/// Each way to the server, with names of its own for the files.
fn uploads(bench: &Bench<'_>) -> Result<(), ClientError> {
    let drop_box = DropBox::start(bench)?;
    let server = &drop_box.server;
    let trusted = server.certificate();
    let trusted = trusted.to_string_lossy();
    let ways: [(&str, String, &[&str]); 4] = [
        ("h1", server.url(""), &["--http1.1"]),
        ("h2c", server.url(""), &["--http2-prior-knowledge"]),
        (
            "tls1",
            server.tls_url(""),
            &["--http1.1", "--cacert", &trusted],
        ),
        (
            "tls2",
            server.tls_url(""),
            &["--http2", "--cacert", &trusted],
        ),
    ];
    for (way, base, flags) in &ways {
        form(&drop_box, way, base, flags)?;
        put(&drop_box, way, base, flags)?;
    }
    drop_box.server.stop()
}

/// Several files of a form, one of them large, one empty, with a space and an umlaut in their names.
fn form(drop_box: &DropBox, way: &str, base: &str, flags: &[&str]) -> Result<(), ClientError> {
    let folder = drop_box.server.folder();
    let contents = [
        (format!("{way} small ä.txt"), b"hello".to_vec()),
        (format!("{way} empty"), Vec::new()),
        (format!("{way} large.bin"), content(20_000_000)),
    ];
    let mut words = flags.to_vec();
    let mut files = Vec::new();
    for (name, content) in &contents {
        write(&folder.join(name), content)?;
        files.push(format!("file=@{}", folder.join(name).display()));
    }
    let url = format!("{base}/drop/");
    words.extend(["-w", "|%{http_code}", "-F", "note=some text"]);
    for file in &files {
        words.extend(["-F", file]);
    }
    words.push(&url);
    let answer = process::text(&curl(&words, &[])?);
    expect::holds("created", answer.ends_with("|201"), || answer.clone())?;
    for (name, content) in &contents {
        let size = format!("\"name\":\"{name}\",\"size\":{}", content.len());
        expect::holds("told", answer.contains(&size), || answer.clone())?;
        expect::equal(name, &read(&drop_box.directory().join(name))?, content)?;
    }
    Ok(())
}

fn put(drop_box: &DropBox, way: &str, base: &str, flags: &[&str]) -> Result<(), ClientError> {
    let sent = content(5_000_000);
    let name = format!("{way}-put.bin");
    let url = format!("{base}/drop/{name}");
    let status = |url: &str| {
        let words = ["-o", "/dev/null", "-w", "%{http_code}", "-T", "-", url];
        let answer = curl(&[flags, &words[..]].concat(), &sent)?;
        Ok(process::text(&answer))
    };
    expect::equal("created", &*status(&url)?, "201")?;
    expect::equal(&name, &read(&drop_box.directory().join(&name))?, &sent)?;
    // From a file, whose length is known and whose name curl adds.
    let file = drop_box.server.folder().join(format!("{way}-file.bin"));
    write(&file, &sent)?;
    let file = file.to_string_lossy();
    let directory = format!("{base}/drop/");
    let words = [
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "-T",
        &file,
        &directory,
    ];
    let words = [flags, &words[..]].concat();
    expect::equal("created", &*process::text(&curl(&words, &[])?), "201")?;
    // There is one of this name now. On HTTP/2 curl before 8.0 may take the stream's early end, which
    // RFC 9113 §8.1 has for this, for an error.
    if flags.contains(&"--http1.1") {
        expect::equal("taken", &*process::text(&curl(&words, &[])?), "409")?;
    }
    let stored = read(&drop_box.directory().join(format!("{way}-file.bin")))?;
    expect::equal("from a file", &stored, &sent)
}

fn write(path: &Path, content: &[u8]) -> Result<(), ClientError> {
    fs::write(path, content).map_err(io("writing a file to send"))
}

fn read(path: &Path) -> Result<Vec<u8>, ClientError> {
    fs::read(path).map_err(io("reading what was sent"))
}
