//! wget: downloads, and what it makes of statuses and connections.

use std::fs;
use std::process::{Command, Output};
use std::time::Duration;

use crate::curl::content;
use crate::error::ClientError;
use crate::expect;
use crate::process;
use crate::server::io;
use crate::suite::{Bench, Case};

/// All that wget does.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "download",
        run: download,
    },
    Case {
        name: "post file",
        run: post_file,
    },
    Case {
        name: "several on one connection",
        run: several,
    },
    Case {
        name: "page with what it needs",
        run: page,
    },
    Case {
        name: "not found",
        run: not_found,
    },
];

fn download(bench: &Bench<'_>) -> Result<(), ClientError> {
    let got = wget(&["-O", "-", &bench.server.url("/bytes/5000000")])?;
    expect::equal("bytes", &got.stdout.len(), &5_000_000)?;
    let got = wget(&["-O", "-", &bench.server.url("/stream")])?;
    expect::equal("bytes", &got.stdout.len(), &900)
}

fn post_file(bench: &Bench<'_>) -> Result<(), ClientError> {
    let content = content(1_000_000);
    let path = bench.server.folder().join("posted");
    fs::write(&path, &content).map_err(io("writing a file"))?;
    let flag = format!("--post-file={}", path.display());
    let got = wget(&["-O", "-", &flag, &bench.server.url("/echo")])?;
    expect::equal("content", &got.stdout, &content)
}

fn several(bench: &Bench<'_>) -> Result<(), ClientError> {
    let url = bench.server.url("/hello");
    let mut command = Command::new("wget");
    // What it does with connections it tells when it tells everything.
    command.args([
        "--no-proxy",
        "--tries=1",
        "--timeout=20",
        "-O",
        "-",
        &url,
        &url,
        &url,
    ]);
    let got = process::run(command, Vec::new(), LIMIT)?;
    expect::equal(
        "content",
        &*process::text(&got),
        &*"Hello, World!".repeat(3),
    )?;
    let told = String::from_utf8_lossy(&got.stderr);
    let reused = told.matches("Reusing existing connection").count();
    expect::equal("connections reused", &reused, &2)
}

fn page(bench: &Bench<'_>) -> Result<(), ClientError> {
    let folder = bench.server.folder().join("page");
    let folder = folder.to_string_lossy();
    wget(&[
        "--page-requisites",
        "--directory-prefix",
        &folder,
        &bench.server.url("/"),
    ])
    .map(|_| ())
}

fn not_found(bench: &Bench<'_>) -> Result<(), ClientError> {
    match wget(&["-O", "-", &bench.server.url("/status/404")]) {
        // 8: "server issued an error response".
        Err(ClientError::Failed { status, .. }) => {
            expect::equal("wget's status", &status.code(), &Some(8))
        }
        Err(error) => Err(error),
        Ok(_) => expect::holds("an error", false, || "content".to_owned()),
    }
}

fn wget(words: &[&str]) -> Result<Output, ClientError> {
    process::run(command(words), Vec::new(), LIMIT)
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new("wget");
    command.args(["--no-verbose", "--no-proxy", "--tries=1", "--timeout=20"]);
    command.args(words);
    command
}

const LIMIT: Duration = Duration::from_secs(40);
