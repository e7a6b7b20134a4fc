//! Static sites: which file answers a path, and that none answers that should not.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tidegate_httpapi::Piece;

use super::backend::{Answer, Content, TestBackend};
use super::requests::{exceptions, serve};
use crate::files::decode;
use crate::{ContentCoding, Error, FilesError, FilesSettings, Server};

/// A folder with these files, long unchanged.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        write(folder.path(), path, content);
    }
    folder
}

/// Writes a file, and has it look as if it had not been changed for an hour.
fn write(folder: &Path, path: &str, content: impl AsRef<[u8]>) {
    write_at(folder, path, content, 3600);
}

fn write_at(folder: &Path, path: &str, content: impl AsRef<[u8]>, seconds_ago: u64) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    let file = fs::File::options().append(true).open(&path).unwrap();
    let time = SystemTime::now() - Duration::from_secs(seconds_ago);
    file.set_modified(time).unwrap();
}

/// A server of one site at `/`.
fn site(backend: &Arc<TestBackend>, settings: impl Into<FilesSettings>) -> Server {
    serve(backend, Server::builder().files("/", settings))
}

fn get(backend: &TestBackend, path: &str, fields: &str) -> Answer {
    backend.request(
        &format!("GET {path} HTTP/1.1\n{fields}"),
        Content::Arrived(""),
    )
}

#[test]
fn a_path_is_the_path_of_a_file() {
    let folder = folder(&[
        ("index.html", "home"),
        ("a.txt", "a"),
        ("docs/index.html", "docs"),
        ("docs/b c.html", "b c"),
        ("ü/€.txt", "euro"),
        ("empty.txt", ""),
    ]);
    for backend in [TestBackend::classic(), TestBackend::high_perf()] {
        let _server = site(&backend, folder.path());
        // Twice: from the disk, and from memory.
        for _ in 0..2 {
            for (path, text, content_type) in [
                ("/", "home", "text/html; charset=utf-8"),
                ("/index.html", "home", "text/html; charset=utf-8"),
                ("/a.txt", "a", "text/plain; charset=utf-8"),
                ("/a.txt?x=/../y", "a", "text/plain; charset=utf-8"),
                ("/docs/", "docs", "text/html; charset=utf-8"),
                ("/docs/b%20c.html", "b c", "text/html; charset=utf-8"),
                ("/%C3%BC/%E2%82%AC.txt", "euro", "text/plain; charset=utf-8"),
                ("/docs/../a.txt", "a", "text/plain; charset=utf-8"),
                ("/empty.txt", "", "text/plain; charset=utf-8"),
            ] {
                let answer = backend.get(path);
                assert_eq!((answer.status, answer.text()), (200, text), "{path}");
                assert_eq!(answer.length, Some(text.len() as u64));
                assert_eq!(answer.field("Content-Type"), Some(content_type));
                assert_eq!(answer.field("Accept-Ranges"), Some("bytes"));
                assert!(answer.field("ETag").is_some());
                assert!(answer.field("Last-Modified").is_some());
                assert_eq!(answer.field("Vary"), None);
            }
        }
    }
}

#[test]
fn what_is_not_there_is_404() {
    let folder = folder(&[("a.txt", "a"), ("sub/b.txt", "b")]);
    let backend = TestBackend::high_perf();
    let (builder, told) = exceptions(Server::builder());
    let _server = serve(&backend, builder.files("/", folder.path()));
    for path in [
        "/b.txt",
        "/a.txt/",
        "/a.txt/b",
        "/sub/",
        "/",
        "/sub/c/d",
        "/%00",
        "/a.txt%00",
        &format!("/{}", "a".repeat(300)),
        &format!("/{}", "a/".repeat(2500)),
    ] {
        let answer = backend.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text().contains("404"));
    }
    assert!(told.try_recv().is_err());
}

#[test]
fn a_folder_is_redirected_to_its_path_with_a_slash() {
    let folder = folder(&[("a b/c/index.html", "c"), ("x/y.txt", "y")]);
    let backend = TestBackend::high_perf();
    let builder = Server::builder()
        .files("/", folder.path())
        .files("/site/", folder.path());
    let _server = serve(&backend, builder);
    for (path, location) in [
        ("/a%20b/c", "/a%20b/c/"),
        ("/a%20b/c?q=1", "/a%20b/c/?q=1"),
        ("/a%20b/./c", "/a%20b/c/"),
        ("/x", "/x/"),
        ("//x", "/x/"),
        ("/%2Fx", "/x/"),
        ("/\\x", "/x/"),
        ("/site", "/site/"),
        ("/site/x", "/site/x/"),
    ] {
        let answer = backend.get(path);
        assert_eq!(answer.status, 301, "{path}");
        assert_eq!(answer.field("Location"), Some(location));
    }
    assert_eq!(backend.get("/site/x/y.txt").text(), "y");
}

#[test]
fn other_methods_are_refused_with_those_there_are() {
    let folder = folder(&[("a.txt", "a")]);
    let backend = TestBackend::classic();
    let _server = site(&backend, folder.path());
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "get"] {
        let head = format!("{method} /a.txt HTTP/1.1");
        let answer = backend.request(&head, Content::Arrived("x"));
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.field("Allow"), Some("GET, HEAD, OPTIONS"));
    }
    let options = backend.request("OPTIONS /a.txt HTTP/1.1", Content::Arrived(""));
    assert_eq!((options.status, options.length), (204, Some(0)));
    assert_eq!(options.field("Allow"), Some("GET, HEAD, OPTIONS"));
    let head = backend.request("HEAD /a.txt HTTP/1.1", Content::Arrived(""));
    assert_eq!((head.status, head.length), (200, Some(1)));
}

#[test]
fn hidden_files_are_not_there() {
    let folder = folder(&[
        (".env", "secret"),
        (".git/config", "secret"),
        ("a/.htpasswd", "secret"),
        (".well-known/security.txt", "contact"),
        (".well-known/.x", "secret"),
        ("a/.well-known/b", "secret"),
        ("a/b.", "plain"),
    ]);
    let backend = TestBackend::high_perf();
    let server = site(&backend, folder.path());
    for path in [
        "/.env",
        "/.git/config",
        "/.git/",
        "/.git",
        "/a/.htpasswd",
        "/%2eenv",
        "/.well-known/.x",
        "/a/.well-known/b",
    ] {
        assert_eq!(backend.get(path).status, 404, "{path}");
    }
    assert_eq!(backend.get("/.well-known/security.txt").text(), "contact");
    assert_eq!(backend.get("/a/b.").text(), "plain");
    drop(server);
    let mut settings = FilesSettings::new(folder.path());
    settings.hidden = true;
    let _server = site(&backend, settings);
    assert_eq!(backend.get("/.env").text(), "secret");
}

#[cfg(unix)]
#[test]
fn links_that_lead_out_pipes_and_secrets_are_not_served() {
    use std::os::unix::fs::symlink;

    let outer = folder(&[
        ("secret", "secret"),
        ("site/a.txt", "a"),
        ("site/in/b", "b"),
    ]);
    let root = outer.path().join("site");
    symlink("../secret", root.join("out")).unwrap();
    symlink(outer.path(), root.join("up")).unwrap();
    symlink("/proc/self/environ", root.join("environ")).unwrap();
    symlink("in", root.join("link")).unwrap();
    let pipe = root.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let listener = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    let backend = TestBackend::high_perf();
    let mut settings = FilesSettings::new(&*root);
    settings.listing = true;
    let _server = site(&backend, settings);
    for path in ["/out", "/up/secret", "/up/", "/environ", "/pipe"] {
        assert_eq!(backend.get(path).status, 404, "{path}");
    }
    // A socket is there, but cannot be opened: whatever is said, it is no content.
    assert_ne!(backend.get("/socket").status, 200);
    drop(listener);
    let list = backend.get("/");
    for name in ["out", "up", "environ", "pipe", "socket"] {
        assert!(!list.text().contains(name), "{name}");
    }
    assert!(list.text().contains("a.txt"));
}

#[test]
fn conditions_and_ranges_are_answered_from_disk_and_memory() {
    let long = "0123456789".repeat(20_000);
    let folder = folder(&[("short.txt", &long[..1000]), ("long.txt", &long)]);
    let backend = TestBackend::high_perf();
    let _server = site(&backend, folder.path());
    for (path, length) in [("/short.txt", 1000), ("/long.txt", 200_000)] {
        for _ in 0..2 {
            let whole = backend.get(path);
            assert_eq!((whole.status, whole.length), (200, Some(length)));
            assert_eq!(whole.text(), &long[..length as usize]);
            let etag = whole.field("ETag").unwrap();
            let part = get(&backend, path, "Range: bytes=3-5");
            assert_eq!((part.status, part.text()), (206, "345"));
            let same = get(&backend, path, &format!("If-None-Match: {etag}"));
            assert_eq!((same.status, same.length), (304, Some(0)));
            let resumed = format!("Range: bytes=990-\nIf-Range: {etag}");
            let resumed = get(&backend, path, &resumed);
            assert_eq!(resumed.status, 206);
            assert_eq!(resumed.text(), &long[990..length as usize]);
            let several = get(&backend, path, "Range: bytes=0-0,500-500");
            assert_eq!(several.status, 206);
            assert_eq!(several.length, Some(several.content.len() as u64));
            let beyond = format!("Range: bytes={length}-");
            assert_eq!(get(&backend, path, &beyond).status, 416);
            assert_eq!(get(&backend, path, "If-Match: \"x\"").status, 412);
        }
    }
}

/// Waits until `is_so`; that it is at all is for the test to know.
fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        std::thread::yield_now();
    }
}

#[test]
fn a_changed_file_is_noticed() {
    let folder = folder(&[("a.txt", "old"), ("i/index.html", "index")]);
    let backend = TestBackend::high_perf();
    let mut settings = FilesSettings::new(folder.path());
    settings.index.insert(0, "first.html".to_owned());
    let _server = site(&backend, settings);
    assert_eq!(backend.get("/a.txt").text(), "old");
    assert_eq!(backend.get("/i/").text(), "index");
    // Of the same length and time: its number tells it.
    write(folder.path(), "b.txt", "new");
    fs::rename(folder.path().join("b.txt"), folder.path().join("a.txt")).unwrap();
    write(folder.path(), "i/first.html", "first");
    until(|| backend.get("/a.txt").text() == "new");
    until(|| backend.get("/i/").text() == "first");
    // Just changed, and once more in the same moment.
    write_at(folder.path(), "a.txt", "one", 0);
    until(|| backend.get("/a.txt").text() == "one");
    write_at(folder.path(), "a.txt", "two", 0);
    until(|| backend.get("/a.txt").text() == "two");
    fs::remove_file(folder.path().join("a.txt")).unwrap();
    until(|| backend.get("/a.txt").status == 404);
    // What is too long for memory is opened each time, so that no old length is told.
    let long = |digit: &str, length: usize| digit.repeat(length);
    write(folder.path(), "long", long("1", 600_000));
    assert_eq!(backend.get("/long").text(), long("1", 600_000));
    write(folder.path(), "long", long("2", 590_000));
    assert_eq!(backend.get("/long").text(), long("2", 590_000));
}

#[test]
fn a_long_file_is_kept_when_parts_of_it_are_asked_for_again() {
    // Without waiting for a disk, only Linux says what it has in memory.
    let high_perf = cfg!(target_os = "linux").then(TestBackend::high_perf);
    for backend in high_perf.into_iter().chain([TestBackend::classic()]) {
        let old = "1".repeat(100_000);
        let folder = folder(&[("long.bin", &old), ("a.js", "plain"), ("a.js.br", &old)]);
        let _server = site(&backend, folder.path());
        for (path, fields) in [("/long.bin", ""), ("/a.js", "Accept-Encoding: br")] {
            let whole = get(&backend, path, fields);
            assert_eq!((whole.status, whole.text()), (200, &*old));
            let etag = whole.field("ETag").unwrap();
            for (range, text, said) in [
                ("99990-", "1111111111", "bytes 99990-99999/100000"),
                ("0-65535", &old[..65_536], "bytes 0-65535/100000"),
            ] {
                let part = format!("Range: bytes={range}\nIf-Range: {etag}\n{fields}");
                until(|| {
                    let part = get(&backend, path, part.trim());
                    assert_eq!((part.status, part.text()), (206, text));
                    assert_eq!(part.field("Content-Range"), Some(said));
                    part.pieces.is_empty()
                });
            }
            // What the system can send goes out from the file.
            assert_eq!(get(&backend, path, fields).pieces.len(), 1);
            let head = backend.request(
                &format!("HEAD {path} HTTP/1.1\n{fields}"),
                Content::Arrived(""),
            );
            assert_eq!((head.status, head.length), (200, Some(100_000)));
        }
        // Whatever is answered meanwhile is of the one or the other.
        let new = "2".repeat(110_000);
        write(folder.path(), "new", &new);
        fs::rename(folder.path().join("new"), folder.path().join("long.bin")).unwrap();
        until(|| {
            let answer = get(&backend, "/long.bin", "Range: bytes=99990-100010");
            let is_new = answer.text() == &new[99_990..=100_010];
            assert!(is_new || answer.text() == &old[99_990..]);
            let range = answer.field("Content-Range").unwrap();
            assert_eq!(range.ends_with("/110000"), is_new);
            is_new && answer.pieces.is_empty()
        });
    }
}

#[test]
fn a_file_too_long_for_memory_stays_open_for_a_while() {
    let folder = folder(&[("long", &"1".repeat(600_000)), ("other", "other")]);
    let backend = TestBackend::high_perf();
    let _server = site(&backend, folder.path());
    let file = || match &backend.get("/long").pieces[..] {
        [Piece::File(part)] => Arc::downgrade(part.file()),
        _ => panic!("a long file is sent from the disk"),
    };
    // Who asks once only has it closed at once.
    assert_eq!(file().strong_count(), 0);
    until(|| file().strong_count() > 0 && std::sync::Weak::ptr_eq(&file(), &file()));
    let open = file();
    until(|| backend.get("/other").status == 200 && open.strong_count() == 0);
}

#[test]
fn downloads_of_one_file_share_it_while_it_is_the_same() {
    let folder = folder(&[("long", &"1".repeat(600_000))]);
    let backend = TestBackend::high_perf();
    let _server = site(&backend, folder.path());
    // As long as an answer is kept, its file is open.
    let first = backend.get("/long").pieces;
    let second = backend.get("/long").pieces;
    let file = |pieces: &[Piece]| match pieces {
        [Piece::File(part)] => Arc::clone(part.file()),
        _ => panic!("a long file is sent from the disk"),
    };
    assert!(Arc::ptr_eq(&file(&first), &file(&second)));
    write(folder.path(), "long", "2".repeat(590_000));
    let third = backend.get("/long").pieces;
    assert!(!Arc::ptr_eq(&file(&first), &file(&third)));
    assert_eq!(third[0].length(), 590_000);
}

#[cfg(unix)]
#[test]
fn a_new_version_of_the_site_is_noticed() {
    use std::os::unix::fs::symlink;

    let outer = folder(&[("v1/a", "one"), ("v2/a", "two")]);
    let current = outer.path().join("current");
    symlink("v1", &current).unwrap();
    let backend = TestBackend::high_perf();
    let _server = site(&backend, &*current);
    assert_eq!(backend.get("/a").text(), "one");
    let new = outer.path().join("new");
    symlink("v2", &new).unwrap();
    fs::rename(new, &current).unwrap();
    until(|| backend.get("/a").text() == "two");
}

#[test]
fn memory_is_bounded_and_may_be_none() {
    let files: Vec<_> = (0..200).map(|index| format!("{index}.bin")).collect();
    let folder = tempfile::tempdir().unwrap();
    for name in &files {
        write(folder.path(), name, name.repeat(4000));
    }
    for memory_bytes_max in [0, 100_000, 2_000_000] {
        let backend = TestBackend::high_perf();
        let mut settings = FilesSettings::new(folder.path());
        settings.memory_bytes_max = memory_bytes_max;
        let _server = site(&backend, settings);
        for _ in 0..3 {
            for name in &files {
                assert_eq!(backend.get(&format!("/{name}")).text(), name.repeat(4000));
            }
        }
    }
}

#[test]
fn a_coding_that_stands_beside_a_file_is_sent_to_who_wants_it() {
    let folder = folder(&[
        ("a.js", "plain"),
        ("a.js.br", "brotli"),
        ("a.js.gz", "gzip"),
        ("only.js", "plain"),
    ]);
    write_at(folder.path(), "old.js", "plain", 10);
    write(folder.path(), "old.js.gz", "of an older version");
    let backend = TestBackend::high_perf();
    let _server = site(&backend, folder.path());
    for _ in 0..2 {
        let mut etags = Vec::new();
        for (wanted, text, coding) in [
            ("", "plain", None),
            ("Accept-Encoding: br", "brotli", Some("br")),
            ("Accept-Encoding: gzip", "gzip", Some("gzip")),
        ] {
            let answer = get(&backend, "/a.js", wanted);
            assert_eq!((answer.status, answer.text()), (200, text), "{wanted}");
            assert_eq!(answer.field("Content-Encoding"), coding);
            assert_eq!(answer.field("Vary"), Some("Accept-Encoding"));
            let content_type = Some("text/javascript; charset=utf-8");
            assert_eq!(answer.field("Content-Type"), content_type);
            let etag = answer.field("ETag").unwrap().to_owned();
            let same = format!("{wanted}\nIf-None-Match: {etag}");
            let same = get(&backend, "/a.js", same.trim());
            assert_eq!(same.status, 304);
            assert_eq!(same.field("Vary"), Some("Accept-Encoding"));
            etags.push(etag);
        }
        etags.dedup();
        assert_eq!(etags.len(), 3);
    }
    for (wanted, text) in [
        ("gzip, deflate, br, zstd", "brotli"),
        ("gzip;q=1, br;q=0.5", "gzip"),
        ("zstd", "plain"),
        ("identity;q=0", "plain"),
        ("br;q=0, gzip;q=0", "plain"),
    ] {
        let answer = get(&backend, "/a.js", &format!("Accept-Encoding: {wanted}"));
        assert_eq!(answer.text(), text, "{wanted}");
    }
    for path in ["/only.js", "/old.js"] {
        let answer = get(&backend, path, "Accept-Encoding: gzip, br");
        assert_eq!((answer.text(), answer.field("Vary")), ("plain", None));
    }
    assert_eq!(backend.get("/a.js.gz").text(), "gzip");
}

#[test]
fn a_range_is_one_of_what_the_client_has() {
    let folder = folder(&[("a.js", "plain"), ("a.js.br", "brotli")]);
    let backend = TestBackend::high_perf();
    let _server = site(&backend, folder.path());
    let wanted = "Accept-Encoding: br";
    let plain = get(&backend, "/a.js", "").field("ETag").unwrap().to_owned();
    let coded = get(&backend, "/a.js", wanted)
        .field("ETag")
        .unwrap()
        .to_owned();
    for (fields, status, text) in [
        // Of the file itself, where nothing says which.
        ("Range: bytes=0-1".to_owned(), 206, "pl"),
        (format!("{wanted}\nRange: bytes=0-1"), 206, "pl"),
        (
            format!("{wanted}, identity;q=0\nRange: bytes=0-1"),
            206,
            "br",
        ),
        (
            format!("{wanted}\nRange: bytes=0-1\nIf-Range: {coded}"),
            206,
            "br",
        ),
        (
            format!("{wanted}\nRange: bytes=0-1\nIf-Range: {plain}"),
            206,
            "pl",
        ),
        (
            format!("{wanted}\nRange: bytes=0-1\nIf-Range: \"x\""),
            200,
            "brotli",
        ),
        // A part of what the client does not accept any more.
        (format!("Range: bytes=0-1\nIf-Range: {coded}"), 200, "plain"),
    ] {
        let answer = get(&backend, "/a.js", &fields);
        assert_eq!((answer.status, answer.text()), (status, text), "{fields}");
    }
}

#[test]
fn a_long_coding_is_sent_from_the_disk() {
    let long = "x".repeat(600_000);
    let folder = folder(&[("a.js", &long), ("a.js.br", &long[..540_000])]);
    let backend = TestBackend::high_perf();
    let mut settings = FilesSettings::new(folder.path());
    settings.compress = false;
    let _server = site(&backend, settings);
    let length = || {
        let answer = get(&backend, "/a.js", "Accept-Encoding: br");
        assert_eq!(answer.status, 200);
        answer.content.len()
    };
    let coding = folder.path().join("a.js.br");
    assert_eq!(length(), 540_000);
    // It is gone while it is kept as being there.
    fs::remove_file(&coding).unwrap();
    assert_eq!(length(), 600_000);
    write(folder.path(), "a.js.br", &long[..540_000]);
    until(|| length() == 540_000);
    assert_eq!(length(), 540_000);
    assert_eq!(backend.get("/a.js").content.len(), 600_000);
    // It is gone, and still open perhaps.
    fs::remove_file(&coding).unwrap();
    until(|| length() == 600_000);
}

#[test]
fn settings_are_obeyed() {
    let folder = folder(&[("a.foo", "a"), ("a.HTML", "b"), ("x/home.txt", "home")]);
    let backend = TestBackend::high_perf();
    let mut settings = FilesSettings::new(folder.path());
    settings.cache_control = Some("max-age=7".to_owned());
    settings.precompressed = vec![ContentCoding::Gzip];
    settings.index = vec!["none.html".to_owned(), "home.txt".to_owned()];
    settings
        .content_types
        .insert("foo".to_owned(), "text/foo".to_owned());
    settings
        .content_types
        .insert("html".to_owned(), "text/html".to_owned());
    let _server = site(&backend, settings);
    let answer = backend.get("/a.foo");
    assert_eq!(answer.field("Content-Type"), Some("text/foo"));
    assert_eq!(answer.field("Cache-Control"), Some("max-age=7"));
    assert_eq!(
        backend.get("/a.HTML").field("Content-Type"),
        Some("text/html")
    );
    assert_eq!(backend.get("/x/").text(), "home");
    assert_eq!(backend.get("/missing").field("Cache-Control"), None);
}

#[test]
fn a_folder_is_listed_where_that_is_asked_for() {
    let folder = folder(&[
        ("a <b>.txt", "12345"),
        ("sub/c", ""),
        (".hidden", ""),
        ("with/index.html", "index"),
    ]);
    for backend in [TestBackend::high_perf(), TestBackend::classic()] {
        let mut settings = FilesSettings::new(folder.path());
        settings.listing = true;
        let _server = site(&backend, settings);
        let list = backend.get("/");
        assert_eq!(list.status, 200);
        let content_type = list.field("Content-Type");
        assert_eq!(content_type, Some("text/html; charset=utf-8"));
        let policy = list.field("Content-Security-Policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"));
        let text = list.text();
        assert!(text.contains("<a href=\"./a%20%3Cb%3E.txt\">a &lt;b&gt;.txt</a></td><td>5 B"));
        assert!(text.contains("<a href=\"./sub/\">sub/</a>"));
        assert!(!text.contains("hidden") && !text.contains("../"));
        assert!(backend.get("/sub/").text().contains("href=\"../\""));
        assert_eq!(backend.get("/with/").text(), "index");
        assert_eq!(backend.get("/sub").status, 301);
        assert_eq!(backend.get("/none/").status, 404);
        assert_eq!(backend.get("/a%20%3Cb%3E.txt/").status, 404);
    }
}

#[test]
fn the_longest_path_wins_and_what_falls_through_goes_to_the_events() {
    let (outer, inner) = (folder(&[("a", "outer")]), folder(&[("a", "inner")]));
    let backend = TestBackend::high_perf();
    let mut passing = FilesSettings::new(inner.path());
    passing.fallthrough = true;
    let builder = Server::builder()
        .files("/", outer.path())
        .files("/inner", passing)
        .on_http_request(|request, response| {
            response.text(format!("{} {}", request.method(), request.document()));
        });
    let _server = serve(&backend, builder);
    for (path, text) in [
        ("/a", "outer"),
        ("/inner/a", "inner"),
        ("/inner/b", "GET /inner/b"),
        ("/inner/", "GET /inner/"),
    ] {
        assert_eq!(backend.get(path).text(), text, "{path}");
    }
    assert_eq!(backend.get("/innera").status, 404);
    let post = backend.request("POST /inner/a HTTP/1.1", Content::Arrived("x"));
    assert_eq!(post.text(), "POST /inner/a");
}

#[test]
fn websockets_and_scripts_are_not_hidden_by_a_site() {
    let folder = folder(&[("a", "a"), ("tidegate/own.js", "own")]);
    let backend = TestBackend::high_perf();
    let builder = Server::builder()
        .files("/", folder.path())
        .on_message(|_, _| ());
    let _server = serve(&backend, builder);
    let script = backend.get("/tidegate/websocket.js");
    assert_eq!(script.status, 200);
    assert_eq!(backend.get("/tidegate/own.js").text(), "own");
    let handshake = "GET /a HTTP/1.1\nUpgrade: websocket\nConnection: Upgrade\n\
        Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let answer = backend.request(handshake, Content::Arrived(""));
    assert_eq!(answer.status, 101);
    assert_eq!(backend.get("/a").text(), "a");
    let connect = "CONNECT /a HTTP/2\n:protocol: other";
    assert_eq!(backend.request(connect, Content::Arrived("")).status, 501);
}

#[test]
fn a_site_without_its_folder_does_not_start() {
    let refused = Server::builder().files("/", "").build();
    let Err(Error::Files(FilesError::RootMissing { .. })) = refused else {
        panic!("a site without a folder is refused");
    };
    let folder = folder(&[("file", "x")]);
    for root in ["none", "file"] {
        let backend = TestBackend::high_perf();
        let server = Server::builder()
            .files("/", folder.path().join(root))
            .backend(backend)
            .build()
            .unwrap();
        server.start().unwrap();
        let error = server.wait_started().unwrap_err();
        assert!(matches!(error, Error::Files(FilesError::Root { .. })));
    }
}

/// Text that becomes shorter when it is compressed.
fn words(length: usize) -> String {
    let mut text = String::new();
    for number in 0.. {
        if text.len() >= length {
            break;
        }
        text.push_str(&format!("word {} and number {number}\n", number % 7));
    }
    text.truncate(length);
    text
}

#[test]
fn text_is_compressed_for_who_wants_it() {
    let (short, middle, long) = (words(2000), words(100_000), words(1_100_000));
    let folder = folder(&[
        ("2000.css", &short),
        ("100000.js", &middle),
        ("1100000.txt", &long),
    ]);
    for backend in [TestBackend::classic(), TestBackend::high_perf()] {
        let _server = site(&backend, folder.path());
        for (path, text) in [
            ("/2000.css", &short),
            ("/100000.js", &middle),
            ("/1100000.txt", &long),
        ] {
            let plain = backend.get(path);
            assert_eq!(plain.text(), text);
            assert_eq!(plain.field("Vary"), Some("Accept-Encoding"));
            for (name, coding) in [
                ("br", ContentCoding::Br),
                ("zstd", ContentCoding::Zstd),
                ("gzip", ContentCoding::Gzip),
            ] {
                for _ in 0..2 {
                    let answer = get(&backend, path, &format!("Accept-Encoding: {name}"));
                    assert_eq!(answer.status, 200);
                    assert_eq!(answer.field("Content-Encoding"), Some(name));
                    assert_eq!(answer.field("Vary"), Some("Accept-Encoding"));
                    assert_eq!(answer.field("Content-Type"), plain.field("Content-Type"));
                    assert_eq!(answer.field("Last-Modified"), plain.field("Last-Modified"));
                    assert_eq!(answer.field("Accept-Ranges"), None);
                    assert!(answer.content.len() < text.len() / 3);
                    assert!(decode(coding, &answer.content) == text.as_bytes());
                    let etag = answer.field("ETag").unwrap();
                    assert!(etag.starts_with("W/\"") && etag.ends_with(&format!("-{name}\"")));
                    let fields = format!("Accept-Encoding: {name}\nIf-None-Match: {etag}");
                    let same = get(&backend, path, &fields);
                    assert_eq!((same.status, same.length), (304, Some(0)), "{path} {name}");
                    assert_eq!(same.field("ETag"), Some(etag));
                }
            }
            let part = get(&backend, path, "Accept-Encoding: gzip\nRange: bytes=0-3");
            assert_eq!((part.status, part.text()), (206, "word"));
        }
    }
}

#[test]
fn what_was_compressed_is_kept_and_made_where_it_may_take_time() {
    let folder = folder(&[("a.txt", &words(50_000))]);
    let backend = TestBackend::high_perf();
    let _server = site(&backend, folder.path());
    let ask = || get(&backend, "/a.txt", "Accept-Encoding: gzip");
    assert!(ask().was_moved);
    let second = ask();
    assert!(!second.was_moved);
    assert_eq!(second.field("Content-Encoding"), Some("gzip"));
}

#[test]
fn what_is_not_worth_while_is_sent_as_it_is() {
    let folder = folder(&[("short.txt", &words(1000)), ("a.png", &words(5000))]);
    let backend = TestBackend::high_perf();
    let server = site(&backend, folder.path());
    let wanted = "Accept-Encoding: gzip, br";
    for path in ["/short.txt", "/a.png"] {
        let answer = get(&backend, path, wanted);
        assert_eq!(answer.field("Content-Encoding"), None, "{path}");
        assert_eq!(answer.field("Vary"), None);
    }
    drop(server);
    write(folder.path(), "a.txt", words(5000));
    for change in [
        (|settings| settings.compress = false) as fn(&mut FilesSettings),
        |settings| settings.memory_bytes_max = 0,
    ] {
        let mut settings = FilesSettings::new(folder.path());
        change(&mut settings);
        let _server = site(&backend, settings);
        let answer = get(&backend, "/a.txt", wanted);
        assert_eq!(answer.field("Content-Encoding"), None);
        assert_eq!(answer.content.len(), 5000);
    }
}

#[test]
fn what_was_made_beforehand_is_sent_before_what_would_be_made() {
    let folder = folder(&[("a.js", &words(5000)), ("a.js.gz", "made before")]);
    let backend = TestBackend::classic();
    let _server = site(&backend, folder.path());
    for (wanted, made_before) in [
        ("gzip", true),
        ("gzip, br, zstd", true),
        ("br", false),
        ("gzip;q=0.5, br", false),
    ] {
        let answer = get(&backend, "/a.js", &format!("Accept-Encoding: {wanted}"));
        assert_eq!(answer.content == b"made before", made_before, "{wanted}");
        assert!(answer.field("Content-Encoding").is_some());
    }
}

#[test]
fn a_changed_file_is_compressed_anew() {
    let folder = folder(&[("a.txt", &words(5000))]);
    let backend = TestBackend::high_perf();
    let _server = site(&backend, folder.path());
    let text = || {
        let answer = get(&backend, "/a.txt", "Accept-Encoding: zstd");
        match answer.field("Content-Encoding") {
            Some(_) => decode(ContentCoding::Zstd, &answer.content),
            None => answer.content,
        }
    };
    assert!(text() == words(5000).as_bytes());
    let new = words(5000).to_uppercase();
    write(folder.path(), "a.txt", &new);
    until(|| text() == new.as_bytes());
}
