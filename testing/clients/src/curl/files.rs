//! curl on the files of a folder: downloads that go on, ranges, conditions, codings.

use std::fs;

use super::ways::{Going, in_each};
use super::{content, curl};
use crate::error::ClientError;
use crate::expect;
use crate::process;
use crate::server::{Server, io};
use crate::suite::{Bench, Case};

/// Each with a folder that is served.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "files: each way: resume",
        run: |bench| served(bench, |bench| in_each(bench, resume)),
    },
    Case {
        name: "files: each way: resume what was killed",
        run: |bench| served(bench, |bench| in_each(bench, killed)),
    },
    Case {
        name: "files: each way: ranges",
        run: |bench| served(bench, |bench| in_each(bench, ranges)),
    },
    Case {
        name: "files: unchanged",
        run: |bench| served(bench, unchanged),
    },
    Case {
        name: "files: compressed",
        run: |bench| served(bench, compressed),
    },
    Case {
        name: "files: folders and ways out",
        run: |bench| served(bench, folders),
    },
];

const LONG_BYTES: u32 = 5_000_000;

/// Runs a case with a server of a folder.
fn served(
    bench: &Bench<'_>,
    case: fn(&Bench<'_>) -> Result<(), ClientError>,
) -> Result<(), ClientError> {
    let outer = tempfile::tempdir().map_err(io("making a folder"))?;
    let root = outer.path().join("site");
    fs::create_dir_all(root.join("docs")).map_err(io("making a folder"))?;
    let text = "the same words, time and again\n".repeat(10_000);
    for (path, content) in [
        ("site/long.bin", content(LONG_BYTES)),
        ("site/short.txt", content(1000)),
        ("site/text.txt", text.into_bytes()),
        ("site/docs/index.html", b"<p>docs".to_vec()),
        ("secret.txt", b"secret".to_vec()),
    ] {
        fs::write(outer.path().join(path), content).map_err(io("writing a file"))?;
    }
    let flags = ["--root", &*root.to_string_lossy()];
    let server = Server::start(bench.options, bench.configuration, &flags)?;
    case(&bench.with_server(&server))?;
    server.stop()
}

/// A download that was broken off goes on where it ended.
fn resume(going: &Going<'_>) -> Result<(), ClientError> {
    let whole = content(LONG_BYTES);
    let path = going.bench.server.folder().join("download");
    let name = path.to_string_lossy();
    for there in [0, 1, 1_234_567, whole.len() - 1] {
        fs::write(&path, &whole[..there]).map_err(io("writing a file"))?;
        let words = ["-C", "-", "-o", &name, "-w", "%{http_code}"];
        let status = going.text("/long.bin", &words, &[])?;
        let expected = if there == 0 { "200" } else { "206" };
        expect::equal("status", &*status, expected)?;
        let content = fs::read(&path).map_err(io("reading what was downloaded"))?;
        expect::holds("the whole", content == whole, || content.len().to_string())?;
    }
    Ok(())
}

/// A download whose curl was killed in the middle goes on where it ended.
fn killed(going: &Going<'_>) -> Result<(), ClientError> {
    let path = going.bench.server.folder().join("killed");
    let name = path.to_string_lossy();
    let there = || fs::metadata(&path).map_or(0, |file| file.len());
    going.cut("/long.bin", &["-o", &name], "some has come", || there() > 0)?;
    let cut_at = there();
    let is_in_the_middle = cut_at < u64::from(LONG_BYTES);
    expect::holds("it is cut", is_in_the_middle, || cut_at.to_string())?;
    let words = [
        "-C",
        "-",
        "-o",
        &name,
        "-w",
        "%{http_code} %{size_download}",
    ];
    let told = going.text("/long.bin", &words, &[])?;
    let rest = u64::from(LONG_BYTES) - cut_at;
    expect::equal("answer", &*told, &*format!("206 {rest}"))?;
    let got = fs::read(&path).map_err(io("reading what was downloaded"))?;
    let is_whole = got == content(LONG_BYTES);
    expect::holds("the whole", is_whole, || got.len().to_string())?;
    fs::remove_file(&path).map_err(io("removing what was downloaded"))
}

fn ranges(going: &Going<'_>) -> Result<(), ClientError> {
    for (path, length) in [("/long.bin", LONG_BYTES), ("/short.txt", 1000)] {
        let whole = content(length);
        let end = whole.len();
        for (range, expected) in [
            ("0-0", &whole[..1]),
            ("5-9", &whole[5..10]),
            ("990-", &whole[990..]),
            ("-7", &whole[end - 7..]),
            ("0-18446744073709551615", &whole[..]),
        ] {
            let got = going.curl(path, &["-r", range], &[])?;
            expect::equal(range, &*got, expected)?;
        }
        let several = going.curl(path, &["-r", "0-3,500-503"], &[])?;
        let holds = |part: &[u8]| several.windows(part.len()).any(|window| window == part);
        for part in [&whole[..4], &whole[500..504]] {
            expect::holds("a part", holds(part), || several.len().to_string())?;
        }
        let told = format!("Content-Range: bytes 500-503/{length}");
        expect::holds("where it is", holds(told.as_bytes()), || told.clone())?;
        let words = ["-r", "5000000-", "-o", "/dev/null", "-w", "%{http_code}"];
        let status = going.text(path, &words, &[])?;
        expect::equal("status", &*status, "416")?;
    }
    Ok(())
}

/// What curl has is not sent again.
fn unchanged(bench: &Bench<'_>) -> Result<(), ClientError> {
    let tag = bench.server.folder().join("tag");
    let tag = tag.to_string_lossy();
    for path in ["/long.bin", "/short.txt"] {
        let url = bench.server.url(path);
        curl(&["--etag-save", &tag, "-o", "/dev/null", &url], &[])?;
        let words = [
            "--etag-compare",
            &tag,
            "-w",
            "%{http_code} %{size_download}",
            &url,
        ];
        let got = curl(&words, &[])?;
        expect::equal("answer", &*process::text(&got), "304 0")?;
        // What was modified before some day to come.
        let words = [
            "-z",
            "1 Jan 2037",
            "-w",
            "%{http_code} %{size_download}",
            &url,
        ];
        let got = curl(&words, &[])?;
        expect::equal("answer", &*process::text(&got), "304 0")?;
        let words = [
            "-z",
            "1 Jan 2001",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            &url,
        ];
        let got = curl(&words, &[])?;
        expect::equal("answer", &*process::text(&got), "200")?;
    }
    Ok(())
}

/// curl decodes what it says that it can decode.
fn compressed(bench: &Bench<'_>) -> Result<(), ClientError> {
    let url = bench.server.url("/text.txt");
    let plain = curl(&[&url], &[])?.stdout;
    // Twice: made, and kept.
    for _ in 0..2 {
        let got = curl(&["--compressed", &url], &[])?;
        expect::holds("content", got.stdout == plain, || {
            got.stdout.len().to_string()
        })?;
        for coding in ["gzip", "br", "zstd"] {
            let field = format!("Accept-Encoding: {coding}");
            let words = [
                "-H",
                &*field,
                "-o",
                "/dev/null",
                "-w",
                "%header{content-encoding} %header{vary} %{size_download}",
                &url,
            ];
            let got = process::text(&curl(&words, &[])?);
            let size = got.strip_prefix(&format!("{coding} Accept-Encoding "));
            let size = size.and_then(|size| size.parse::<usize>().ok());
            let is_shorter = size.is_some_and(|size| size < plain.len() / 10);
            expect::holds("shorter", is_shorter, || got.clone())?;
        }
    }
    Ok(())
}

fn folders(bench: &Bench<'_>) -> Result<(), ClientError> {
    let url = bench.server.url("/docs?a=b");
    let got = curl(&["-L", "-w", "|%{url_effective}", &url], &[])?;
    let expected = format!("<p>docs|{}", bench.server.url("/docs/?a=b"));
    expect::equal("answer", &*process::text(&got), &*expected)?;
    for path in [
        "/../secret.txt",
        "/docs/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "/docs/%2e%2e%2f%2e%2e%2fsecret.txt",
        "/%252e%252e/secret.txt",
        "//etc/passwd",
        "/docs/",
        "/long.bin/",
    ] {
        let url = bench.server.url(path);
        let got = curl(&["--path-as-is", "-w", "|%{http_code}", &url], &[])?;
        let got = process::text(&got);
        let expected = if path == "/docs/" { "|200" } else { "|404" };
        expect::holds(path, got.ends_with(expected), || got.clone())?;
        expect::holds(path, !got.contains("secret"), || got.clone())?;
    }
    Ok(())
}
