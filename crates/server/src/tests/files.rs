//! Files, conditions and ranges of responses.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::backend::{Answer, Content, TestBackend};
use super::requests::{exceptions, serve};
use crate::{FileFault, HandlerError, Response, Server};

type Fill = Arc<dyn Fn(&mut Response) -> Result<(), HandlerError> + Send + Sync>;

/// The answer to a request whose response `fill` fills, and the exceptions told.
fn answer_to(head: &str, fill: &Fill) -> (Answer, Vec<String>) {
    let backend = TestBackend::classic();
    let (builder, told) = exceptions(Server::builder());
    let fill = Arc::clone(fill);
    let server = serve(
        &backend,
        builder.on_http_request(move |_, response| fill(response)),
    );
    let answer = backend.request(head, Content::Arrived(""));
    drop(server);
    (answer, told.try_iter().collect())
}

/// The answer to a GET with these field lines.
fn get(fields: &str, fill: &Fill) -> Answer {
    answer_to(&format!("GET / HTTP/1.1\n{fields}"), fill).0
}

fn fill(fill: impl Fn(&mut Response) -> Result<(), HandlerError> + Send + Sync + 'static) -> Fill {
    Arc::new(fill)
}

const TIME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// A file of this content that was modified at [`TIME`].
fn file(name: &str, content: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    let file = fs::File::options().append(true).open(&path).unwrap();
    let time = UNIX_EPOCH + Duration::from_secs(784_111_777);
    file.set_modified(time).unwrap();
    (folder, path)
}

fn sent(path: &Path) -> Fill {
    let path = path.to_path_buf();
    fill(move |response| Ok(response.file(&path)?))
}

fn bytes() -> Fill {
    fill(|response| {
        response.etag("a").last_modified(time()).process_ranges();
        response.content_type("text/plain").bytes(LETTERS);
        Ok(())
    })
}

fn seekable() -> Fill {
    fill(|response| {
        response.etag("a").last_modified(time());
        response.content_type("text/plain");
        Ok(response.seekable(io::Cursor::new(LETTERS))?)
    })
}

fn time() -> std::time::SystemTime {
    UNIX_EPOCH + Duration::from_secs(784_111_777)
}

const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";

#[test]
fn a_file_is_sent_with_what_tells_its_state() {
    let (_folder, path) = file("a.html", "<p>");
    let answer = get("", &sent(&path));
    assert_eq!((answer.status, answer.text()), (200, "<p>"));
    assert_eq!(answer.length, Some(3));
    assert_eq!(
        answer.field("Content-Type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(answer.field("Last-Modified"), Some(TIME));
    assert_eq!(answer.field("Accept-Ranges"), Some("bytes"));
    let etag = answer.field("ETag").unwrap();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    // Another file of the same length and time in its place is another state.
    let other = path.with_extension("new");
    fs::write(&other, "<i>").unwrap();
    let opened = fs::File::options().append(true).open(&other).unwrap();
    opened.set_modified(time()).unwrap();
    fs::rename(other, &path).unwrap();
    let changed = get("", &sent(&path));
    assert_eq!(changed.text(), "<i>");
    assert!(changed.field("ETag") != Some(etag) || cfg!(not(unix)));
}

#[test]
fn what_was_set_before_a_file_stays() {
    let (_folder, path) = file("a.html", "<p>");
    let fill = fill(move |response| {
        response
            .content_type("text/plain")
            .etag("mine")
            .last_modified(UNIX_EPOCH)
            .cache_control("no-cache")
            .download("b.txt");
        Ok(response.file(&path)?)
    });
    let answer = get("", &fill);
    assert_eq!(
        answer.fields,
        "Content-Type: text/plain\r\n\
         ETag: \"mine\"\r\n\
         Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
         Cache-Control: no-cache\r\n\
         Content-Disposition: attachment; filename=\"b.txt\"\r\n\
         Accept-Ranges: bytes\r\n"
    );
    assert_eq!(get("If-None-Match: \"mine\"", &fill).status, 304);
}

#[test]
fn a_time_to_come_is_not_told() {
    let (_folder, path) = file("a", "x");
    let opened = fs::File::options().append(true).open(&path).unwrap();
    let later = std::time::SystemTime::now() + Duration::from_secs(86_400);
    opened.set_modified(later).unwrap();
    let answer = get("", &sent(&path));
    let told = httpdate::parse_http_date(answer.field("Last-Modified").unwrap()).unwrap();
    assert!(told <= std::time::SystemTime::now());
}

#[test]
fn an_empty_file_is_sent() {
    let (_folder, path) = file("a.txt", "");
    let answer = get("", &sent(&path));
    assert_eq!((answer.status, answer.length), (200, Some(0)));
    let answer = get("Range: bytes=0-", &sent(&path));
    assert_eq!(answer.status, 416);
    assert_eq!(answer.field("Content-Range"), Some("bytes */0"));
    assert_eq!(get("Range: bytes=-1", &sent(&path)).status, 200);
}

#[test]
fn a_file_that_is_not_there_is_404_and_nobodys_fault() {
    let (folder, _) = file("a", "x");
    for path in [folder.path().join("b"), "a\0b".into(), folder.path().into()] {
        let (answer, told) = answer_to("GET / HTTP/1.1", &sent(&path));
        assert_eq!((answer.status, answer.length), (404, Some(0)));
        assert_eq!(answer.fields, "");
        assert!(told.is_empty(), "{told:?}");
    }
    let missing = folder.path().join("b");
    let path = missing.clone();
    let ignored = fill(move |response| {
        let error = response.content_type("text/css").file(&path).unwrap_err();
        assert!(matches!(error.fault(), FileFault::Missing));
        assert_eq!((error.path(), error.status()), (&*path, 404));
        Ok(())
    });
    assert_eq!(get("", &ignored).status, 404);
    let otherwise = fill(move |response| {
        if response.file(&missing).is_err() {
            response.status(200).text("instead");
        }
        Ok(())
    });
    assert_eq!(get("", &otherwise).text(), "instead");
}

#[test]
fn all_kinds_of_content_answer_ranges_alike() {
    let (_folder, path) = file("a.txt", LETTERS);
    let file = fill(move |response| {
        response.etag("a").content_type("text/plain");
        Ok(response.file(&path)?)
    });
    for fill in [bytes(), seekable(), file] {
        check_ranges(&fill);
        check_conditions(&fill);
    }
}

fn check_ranges(fill: &Fill) {
    let whole = get("", fill);
    assert_eq!((whole.status, &whole.content[..]), (200, &LETTERS[..]));
    assert_eq!(whole.length, Some(26));
    assert_eq!(whole.field("Accept-Ranges"), Some("bytes"));
    for (range, text, told) in [
        ("bytes=0-0", "a", "bytes 0-0/26"),
        ("bytes=20-", "uvwxyz", "bytes 20-25/26"),
        ("bytes=-2", "yz", "bytes 24-25/26"),
        ("bytes=25-18446744073709551615", "z", "bytes 25-25/26"),
        ("bytes=0-1, 2-3", "abcd", "bytes 0-3/26"),
    ] {
        let part = get(&format!("Range: {range}"), fill);
        assert_eq!((part.status, part.text()), (206, text), "{range}");
        assert_eq!(part.length, Some(text.len() as u64));
        assert_eq!(part.field("Content-Range"), Some(told));
        assert_eq!(part.field("Content-Type"), Some("text/plain"));
        assert_eq!(part.field("ETag"), Some("\"a\""));
        assert_eq!(part.field("Last-Modified"), Some(TIME));
    }
    for range in ["bytes=1-0", "bytes=a", "lines=1-2"] {
        let whole = get(&format!("Range: {range}"), fill);
        assert_eq!((whole.status, whole.length), (200, Some(26)), "{range}");
    }
    for range in ["bytes=26-", "bytes=9223372036854775807-", "bytes=-0"] {
        let refused = get(&format!("Range: {range}"), fill);
        assert_eq!((refused.status, refused.length), (416, Some(0)), "{range}");
        assert_eq!(refused.fields, "Content-Range: bytes */26\r\n");
    }
    let head = answer_to("HEAD / HTTP/1.1\nRange: bytes=0-0", fill).0;
    assert_eq!((head.status, head.length), (200, Some(26)));
    let post = answer_to("POST / HTTP/1.1\nRange: bytes=0-0", fill).0;
    assert_eq!((post.status, post.length), (200, Some(26)));
}

fn check_conditions(fill: &Fill) {
    for fields in [
        "If-None-Match: \"a\"",
        "If-None-Match: W/\"a\", \"b\"\nIf-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
        "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT",
        "If-None-Match: *\nRange: bytes=0-0",
    ] {
        for method in ["GET", "HEAD"] {
            let answer = answer_to(&format!("{method} / HTTP/1.1\n{fields}"), fill).0;
            assert_eq!((answer.status, answer.length), (304, Some(0)), "{fields}");
            assert_eq!(answer.fields, "ETag: \"a\"\r\n");
        }
    }
    // What a POST was to do has been done.
    let post = answer_to("POST / HTTP/1.1\nIf-Match: \"b\"\nIf-None-Match: *", fill).0;
    assert_eq!((post.status, post.length), (200, Some(26)));
    for fields in [
        "If-Match: \"b\"",
        "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
        "If-Match: \"b\"\nRange: bytes=0-0",
    ] {
        let answer = get(fields, fill);
        assert_eq!((answer.status, answer.length), (412, Some(0)), "{fields}");
        assert_eq!(answer.fields, "");
    }
    for (fields, status) in [
        ("If-Match: \"a\"\nRange: bytes=0-0", 206),
        ("If-Range: \"a\"\nRange: bytes=0-0", 206),
        ("If-Range: \"b\"\nRange: bytes=0-0", 200),
        ("If-Range: W/\"a\"\nRange: bytes=0-0", 200),
        (
            "If-Range: Sun, 06 Nov 1994 08:49:37 GMT\nRange: bytes=0-0",
            206,
        ),
        (
            "If-Range: Sun, 06 Nov 1994 08:49:38 GMT\nRange: bytes=0-0",
            200,
        ),
        ("If-Range: \"b\"\nRange: bytes=99-", 200),
    ] {
        assert_eq!(get(fields, fill).status, status, "{fields}");
    }
}

#[test]
fn several_ranges_are_one_multipart_content() {
    let long: Vec<u8> = (0..2000).map(|index| b'a' + (index % 26) as u8).collect();
    let (_folder, path) = file("a.txt", &long);
    let copy = long.clone();
    let shared = fill(move |response| {
        let response = response.content_type("text/plain; charset=utf-8");
        response.process_ranges().bytes(copy.clone());
        Ok(())
    });
    let copy = long.clone();
    let reader = fill(move |response| {
        response.content_type("text/plain; charset=utf-8");
        Ok(response.seekable(io::Cursor::new(copy.clone()))?)
    });
    for fill in [sent(&path), shared, reader] {
        let answer = get("Range: bytes=1000-1003, 0-1, -3", &fill);
        assert_eq!(answer.status, 206);
        assert_eq!(answer.field("Content-Range"), None);
        let content_type = answer.field("Content-Type").unwrap();
        let boundary = content_type
            .strip_prefix("multipart/byteranges; boundary=")
            .unwrap();
        let part = |range: &str, content: &[u8]| {
            let content = std::str::from_utf8(content).unwrap();
            format!(
                "--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\
                 Content-Range: bytes {range}/2000\r\n\r\n{content}\r\n"
            )
        };
        let expected = part("1000-1003", &long[1000..=1003])
            + &part("0-1", &long[..=1])
            + &part("1997-1999", &long[1997..])
            + &format!("--{boundary}--\r\n");
        assert_eq!(answer.text(), expected);
        assert_eq!(answer.length, Some(expected.len() as u64));
        assert!(!answer.is_cut);
    }
}

#[test]
fn boundaries_differ() {
    let fill = fill(|response| {
        response.process_ranges().bytes(vec![0; 1000]);
        Ok(())
    });
    let boundary = || {
        let answer = get("Range: bytes=0-0,500-500", &fill);
        answer.field("Content-Type").unwrap().to_owned()
    };
    assert_ne!(boundary(), boundary());
}

#[test]
fn conditions_and_ranges_are_for_200_and_for_those_who_ask() {
    let unasked = fill(|response| {
        response.etag("a").bytes(LETTERS);
        Ok(())
    });
    let other_status = fill(|response| {
        response.status(201).etag("a").process_ranges();
        response.bytes(LETTERS);
        Ok(())
    });
    for (fill, status) in [(unasked, 200), (other_status, 201)] {
        for fields in ["Range: bytes=0-0", "If-None-Match: \"a\""] {
            let answer = get(fields, &fill);
            assert_eq!((answer.status, answer.length), (status, Some(26)));
            assert_eq!(answer.field("Accept-Ranges"), None);
        }
    }
    let without_ranges = fill(|response| {
        response.etag("a").accept_ranges("none").process_ranges();
        response.bytes(LETTERS);
        Ok(())
    });
    let stream = fill(|response| {
        response.etag("a").process_ranges().content_length(26);
        response.reader(io::Cursor::new(LETTERS));
        Ok(())
    });
    for fill in [without_ranges, stream] {
        let whole = get("Range: bytes=0-0", &fill);
        assert_eq!((whole.status, whole.length), (200, Some(26)));
        assert_eq!(whole.content, LETTERS);
        assert_ne!(whole.field("Accept-Ranges"), Some("bytes"));
        let answer = get("If-None-Match: \"a\"", &fill);
        assert_eq!((answer.status, answer.length), (304, Some(0)));
    }
    let wrong_length = fill(|response| {
        response.content_length(3).process_ranges().bytes(LETTERS);
        Ok(())
    });
    assert_eq!(get("Range: bytes=0-0", &wrong_length).status, 500);
}

#[test]
fn a_deferred_response_knows_its_request() {
    let (_folder, path) = file("a.txt", LETTERS);
    let fill = fill(move |response| {
        let path = path.clone();
        response.answer_blocking(move |_, mut response| {
            response.file(&path).unwrap();
            response
        });
        Ok(())
    });
    let answer = get("Range: bytes=3-4", &fill);
    assert_eq!((answer.status, answer.text()), (206, "de"));
}

// The component's own way: component.md §6.8.
#[test]
fn a_part_may_be_set_by_hand() {
    let backend = TestBackend::classic();
    let (_folder, path) = file("test.pdf", LETTERS);
    let server = Server::builder().on_http_request(move |request, response| {
        let file = fs::File::open(&path)?;
        let size = file.metadata()?.len();
        let ranges = request.range();
        response.content_type("application/pdf");
        match ranges.and_then(|ranges| ranges.iter().next()?.resolve(size)) {
            Some(part) => {
                response
                    .status(206)
                    .accept_ranges("bytes")
                    .content_range_start(part.first)
                    .content_range_end(part.last)
                    .content_range_instance_length(size);
                let mut file = file;
                io::Seek::seek(&mut file, io::SeekFrom::Start(part.first))?;
                response.reader(io::Read::take(file, part.length()));
            }
            None => response.reader(file),
        }
        Ok(())
    });
    let _server = serve(&backend, server);
    let get = |fields: &str| {
        let head = format!("GET / HTTP/1.1\n{fields}");
        backend.request(&head, Content::Arrived(""))
    };
    let part = get("Range: bytes=-3");
    assert_eq!((part.status, part.text()), (206, "xyz"));
    assert_eq!(part.field("Content-Range"), Some("bytes 23-25/26"));
    assert_eq!(part.field("Accept-Ranges"), Some("bytes"));
    for fields in ["", "Range: bytes=0-0\nRange: bytes=1-1", "Range: x"] {
        assert_eq!(get(fields).content, LETTERS, "{fields}");
    }
}

#[test]
fn parts_of_content_range_are_put_together() {
    type Set = fn(&mut Response) -> &mut Response;
    let cases: [(u16, Set, Option<&str>); 9] = [
        (206, |r| r.content_range_end(9), Some("bytes 0-9/*")),
        (
            206,
            |r| r.content_range_start(5).content_range_instance_length(10),
            Some("bytes 5-9/10"),
        ),
        (
            206,
            |r| r.content_range_instance_length(10),
            Some("bytes 0-9/10"),
        ),
        (
            416,
            |r| r.content_range_instance_length(0),
            Some("bytes */0"),
        ),
        (206, |r| r.content_range_start(5), None),
        (206, |r| r.content_range_instance_length(0), None),
        (206, |r| r.content_range_start(5).content_range_end(4), None),
        (
            206,
            |r| r.content_range_end(10).content_range_instance_length(10),
            None,
        ),
        (
            206,
            |r| r.content_range_start(u64::MAX).content_range_end(u64::MAX),
            Some("bytes 18446744073709551615-18446744073709551615/*"),
        ),
    ];
    for (status, set, expected) in cases {
        let fill = fill(move |response| {
            set(response.status(status));
            Ok(())
        });
        let (answer, told) = answer_to("GET / HTTP/1.1", &fill);
        assert_eq!(answer.field("Content-Range"), expected);
        assert_eq!(answer.status, if expected.is_some() { status } else { 500 });
        assert_eq!(told.is_empty(), expected.is_some(), "{told:?}");
    }
}
