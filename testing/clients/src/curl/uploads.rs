//! Files sent as people send them: forms (`-F`) and `-T`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{content, curl, cut};
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
        killed(&drop_box, way, base, flags)?;
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

/// An upload whose curl is killed in the middle leaves nothing, and may be sent again.
fn killed(drop_box: &DropBox, way: &str, base: &str, flags: &[&str]) -> Result<(), ClientError> {
    let file = drop_box.server.folder().join(format!("{way}-killed ä.bin"));
    write(&file, &content(5_000_000))?;
    let (part, file) = (format!("file=@{}", file.display()), file.to_string_lossy());
    let directory = format!("{base}/drop/");
    let before = names(drop_box);
    let is_arriving = || names(drop_box).iter().any(|name| name.ends_with(".part"));
    for sends in [["-T", &*file], ["-F", &*part]] {
        let words = [flags, &sends, &[&*directory]].concat();
        cut(&words, "some has come", is_arriving)?;
        let left = || Ok(names(drop_box));
        expect::becomes("nothing is left", LEFT_WAIT_MAX, left, |left| {
            *left == before
        })?;
    }
    let words = ["-o", "/dev/null", "-w", "%{http_code}", "-T", &*file];
    let words = [flags, &words, &[&*directory]].concat();
    let status = process::text(&curl(&words, &[])?);
    expect::equal("sent again", &*status, "201")
}

/// What is in the drop box, in order.
fn names(drop_box: &DropBox) -> Vec<String> {
    let entries = fs::read_dir(drop_box.directory());
    let entries = entries.into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Far longer than a server takes to hear of an end.
const LEFT_WAIT_MAX: Duration = Duration::from_secs(20);

fn write(path: &Path, content: &[u8]) -> Result<(), ClientError> {
    fs::write(path, content).map_err(io("writing a file to send"))
}

fn read(path: &Path) -> Result<Vec<u8>, ClientError> {
    fs::read(path).map_err(io("reading what was sent"))
}
