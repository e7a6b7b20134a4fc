//! Folders that the program serves, over a socket, in both operating modes and on both event loops.

#![cfg(unix)]
// The lint knows functions that are tests, and these are called by them alone.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "shared with tests that use more of it")]
mod program;

use std::fs;
use std::path::Path;

use program::{everywhere_with, start};

/// A folder with a page, a short file, a long one, and a secret beside it.
fn site() -> tempfile::TempDir {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("site");
    fs::create_dir_all(root.join("docs")).unwrap();
    fs::write(root.join("index.html"), "<p>home").unwrap();
    fs::write(root.join("docs/index.html"), "<p>docs").unwrap();
    fs::write(root.join("long.bin"), long()).unwrap();
    fs::write(outer.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret", root.join("out")).unwrap();
    outer
}

fn long() -> Vec<u8> {
    (0..3_000_000u32).map(|index| (index % 251) as u8).collect()
}

fn root(outer: &Path) -> String {
    outer.join("site").display().to_string()
}

#[test]
fn a_folder_is_served_in_place_of_the_demonstration() {
    let outer = site();
    everywhere_with(&["--root", &root(outer.path())], |program| {
        assert!(program.output().contains("serves files\n"));
        let home = program.get("/");
        assert_eq!((home.status, home.text()), (200, "<p>home"));
        assert_eq!(home.field("content-type"), Some("text/html; charset=utf-8"));
        let docs = program.get("/docs");
        assert_eq!((docs.status, docs.field("location")), (301, Some("/docs/")));
        assert_eq!(program.get("/docs/").text(), "<p>docs");
        for path in [
            "/hello",
            "/out",
            "/../secret",
            "/%2e%2e/secret",
            "/..%2fsecret",
            "/ws",
        ] {
            assert_eq!(program.get(path).status, 404, "{path}");
        }
        let post = program.ask("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(
            (post.status, post.field("allow")),
            (405, Some("GET, HEAD, OPTIONS"))
        );
    });
}

#[test]
fn ranges_and_conditions_of_files_short_and_long() {
    let outer = site();
    let long = long();
    everywhere_with(&["--root", &root(outer.path())], |program| {
        let ask = |path: &str, fields: &str| {
            program.ask(&format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"
            ))
        };
        for _ in 0..2 {
            let whole = ask("/long.bin", "");
            assert_eq!(whole.field("accept-ranges"), Some("bytes"));
            assert!(whole.content == long);
            let etag = whole.field("etag").unwrap();
            let part = ask("/long.bin", "Range: bytes=1000000-\r\n");
            assert_eq!(part.status, 206);
            assert_eq!(
                part.field("content-range"),
                Some("bytes 1000000-2999999/3000000")
            );
            assert!(part.content == long[1_000_000..]);
            let several = ask("/long.bin", "Range: bytes=0-9,2000000-2000009\r\n");
            assert_eq!(several.status, 206);
            let length = several.content.len().to_string();
            assert_eq!(several.field("content-length"), Some(&*length));
            let beyond = ask("/long.bin", "Range: bytes=3000000-\r\n");
            assert_eq!(beyond.status, 416);
            assert_eq!(beyond.field("content-range"), Some("bytes */3000000"));
            let same = ask("/long.bin", &format!("If-None-Match: {etag}\r\n"));
            assert_eq!((same.status, same.field("etag")), (304, Some(etag)));
            assert_eq!(same.field("content-type"), None);
            let short = ask("/", "Range: bytes=3-\r\n");
            assert_eq!((short.status, short.text()), (206, "home"));
            let refused = ask("/", "If-Match: \"x\"\r\n");
            assert_eq!(
                (refused.status, refused.field("content-length")),
                (412, Some("0"))
            );
        }
        let head = program.ask("HEAD /long.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(head.field("content-length"), Some("3000000"));
    });
}

#[test]
fn a_settings_file_may_have_several_folders() {
    let outer = site();
    let file = outer.path().join("site.toml");
    let text = format!(
        "[[files]]\npath = \"/docs\"\nroot = \"{root}/docs\"\n\
         [[files]]\npath = \"/list\"\nroot = \"{root}\"\nlisting = true\nindex = []\n",
        root = root(outer.path())
    );
    fs::write(&file, text).unwrap();
    let program = start(&[file.to_str().unwrap()]).unwrap();
    assert!(
        program
            .output()
            .contains("serves files and the demonstration site")
    );
    assert_eq!(program.get("/docs/").text(), "<p>docs");
    assert_eq!(program.get("/hello").text(), "Hello, World!");
    let list = program.get("/list/");
    assert!(list.text().contains("long.bin") && !list.text().contains(">out<"));
}

#[test]
fn a_folder_that_is_not_there_is_told() {
    let output = start(&["--root", "/nowhere/at/all"]).unwrap_err();
    assert!(
        output.contains("cannot open the site's folder /nowhere/at/all"),
        "{output}"
    );
    assert!(output.contains("to do: give a folder"), "{output}");
}
