//! Parts of a copy, and answers to conditions. Cases C10, C11; MS15-034 / CVE-2015-1635.

use tidegate_driver::Io;
use tidegate_httpapi::{Body, CachePolicy, ResponseHead};
use tidegate_wire::{Client, Response, Server, on_both_loops};

use super::{Calls, get, making};

on_both_loops!(
    c10_a_part_is_206,
    c11_several_parts_are_multipart,
    what_is_not_there_is_416,
    numbers_without_end_do_no_harm,
    conditions_are_answered_from_the_copy,
    parts_are_of_what_the_client_has,
    other_statuses_have_neither_parts_nor_conditions,
    who_says_so_gives_no_parts,
);

/// A server with 100 bytes of content stored for `/`, and a client of it.
fn with_copy(io: Io, fields: &'static [(&'static str, &'static str)]) -> (Server, Client, Calls) {
    let server = Server::start(io);
    let (application, calls) = making(move |_, head| {
        let status = if head.cooked_path == "/404" { 404 } else { 200 };
        let mut answer = ResponseHead::new(status);
        answer.fields.append("Content-Type", "text/plain").unwrap();
        for (name, value) in fields {
            answer.fields.append(name, value).unwrap();
        }
        answer.cache = CachePolicy::UserInvalidates.into();
        (answer, Body::Owned(content()))
    });
    server.serve("localhost/", application);
    let mut client = server.client();
    assert_eq!(get(&mut client, "/", &[]).content, content());
    (server, client, calls)
}

fn content() -> Vec<u8> {
    (0..100).map(|number| b' ' + number % 90).collect()
}

fn range(client: &mut Client, ranges: &str) -> Response {
    get(client, "/", &[&format!("Range: {ranges}")])
}

fn c10_a_part_is_206(io: Io) {
    let (_server, mut client, calls) = with_copy(io, &[("X-Kept", "kept")]);
    for (asked, first, last) in [
        ("bytes=0-10", 0, 10),
        ("bytes=0-0", 0, 0),
        ("bytes=99-", 99, 99),
        ("bytes=-1", 99, 99),
        ("bytes=-1000", 0, 99),
        ("bytes=90-1000", 90, 99),
        ("BYTES = 5-6", 5, 6),
    ] {
        let response = range(&mut client, asked);
        if asked.starts_with('B') && response.status == 200 {
            // Blanks around `=` are none of RFC 9110 §14.1's.
            continue;
        }
        assert_eq!(response.status, 206, "{asked}");
        let said = format!("bytes {first}-{last}/100");
        assert_eq!(
            response.field("Content-Range"),
            Some(said.as_str()),
            "{asked}"
        );
        assert_eq!(response.field("Content-Type"), Some("text/plain"));
        assert_eq!(response.field("X-Kept"), Some("kept"));
        assert_eq!(response.content, content()[first..=last], "{asked}");
    }
    assert_eq!(calls.count(), 1);
    // What is not understood is ignored.
    for ignored in [
        "bytes",
        "bytes=",
        "bytes=a-b",
        "pages=1-2",
        "bytes=5-4",
        "bytes=0-1,x",
    ] {
        let response = range(&mut client, ignored);
        assert_eq!(
            (response.status, response.content.len()),
            (200, 100),
            "{ignored}"
        );
    }
    assert_eq!(calls.count(), 1);
    assert_eq!(get(&mut client, "/", &[]).status, 200);
}

fn c11_several_parts_are_multipart(io: Io) {
    let server = Server::start(io);
    let content: Vec<u8> = (0..10_000_u32).map(|number| (number % 251) as u8).collect();
    let given = content.clone();
    let (application, calls) =
        making(move |_, _| super::text(CachePolicy::UserInvalidates, given.clone()));
    server.serve("localhost/", application);
    let mut client = server.client();
    get(&mut client, "/", &[]);
    let response = range(&mut client, "bytes=0-10,1500-2000,-3");
    assert_eq!(response.status, 206);
    assert_eq!(response.field("Content-Range"), None);
    let content_type = response.field("Content-Type").unwrap();
    let boundary = content_type
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    let mut expected = Vec::new();
    for (first, last) in [(0, 10), (1500, 2000), (9997, 9999)] {
        let start = if expected.is_empty() { "" } else { "\r\n" };
        expected.extend_from_slice(
            format!(
                "{start}--{boundary}\r\nContent-Type: text/plain\r\n\
                 Content-Range: bytes {first}-{last}/10000\r\n\r\n"
            )
            .as_bytes(),
        );
        expected.extend_from_slice(&content[first..=last]);
    }
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert!(response.content == expected);
    // Another boundary each time, or at least for each server: nobody can know it.
    assert_eq!(boundary.len(), 32);
    // The case as it stands: two ranges so near each other may be sent as one.
    let near = range(&mut client, "bytes=0-10,15-20");
    assert_eq!(near.status, 206);
    assert!(
        near.content
            .windows(11)
            .any(|window| window == &content[..11])
    );
    assert_eq!(calls.count(), 1);
}

fn what_is_not_there_is_416(io: Io) {
    let (_server, mut client, calls) = with_copy(io, &[]);
    for asked in [
        "bytes=100-",
        "bytes=100-200",
        "bytes=-0",
        "bytes=5000-6000,100-101",
    ] {
        let response = range(&mut client, asked);
        assert_eq!(response.status, 416, "{asked}");
        assert_eq!(
            response.field("Content-Range"),
            Some("bytes */100"),
            "{asked}"
        );
        assert_eq!(response.content, b"", "{asked}");
    }
    assert_eq!(calls.count(), 1);
    assert_eq!(get(&mut client, "/", &[]).content, content());
}

fn numbers_without_end_do_no_harm(io: Io) {
    let (_server, mut client, calls) = with_copy(io, &[]);
    let huge = "9".repeat(5_000);
    let many = format!("bytes={}", "0-99,".repeat(1000).trim_end_matches(','));
    let nested: Vec<_> = (0..1000)
        .map(|number| format!("{}-", number % 100))
        .collect();
    let nested = format!("bytes={}", nested.join(","));
    for asked in [
        "bytes=0-18446744073709551615",
        "bytes=18-18446744073709551615",
        "bytes=-18446744073709551615",
        "bytes=9223372036854775807-",
        "bytes=18446744073709551615-18446744073709551615",
        "bytes=18446744073709551616-",
        "bytes=1-18446744073709551617",
        "bytes=0-4294967295",
        "bytes=4294967295-4294967296",
        &format!("bytes=0-{huge}"),
        &format!("bytes={huge}-"),
        &format!("bytes=-{huge}"),
        &many,
        &nested,
    ] {
        let response = range(&mut client, asked);
        let shown = &asked[..asked.len().min(60)];
        match response.status {
            200 => assert_eq!(response.content, content(), "{shown}"),
            206 => {
                let said = response.field("Content-Range").unwrap();
                let said = said
                    .strip_prefix("bytes ")
                    .unwrap()
                    .strip_suffix("/100")
                    .unwrap();
                let (first, last) = said.split_once('-').unwrap();
                let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
                assert!(last < 100, "{shown}");
                assert_eq!(response.content, content()[first..=last], "{shown}");
            }
            status => assert_eq!(status, 416, "{shown}"),
        }
    }
    assert_eq!(calls.count(), 1);
}

const DATED: &[(&str, &str)] = &[
    ("ETag", "\"one\""),
    ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ("Cache-Control", "public"),
    ("Content-Language", "en"),
];

fn conditions_are_answered_from_the_copy(io: Io) {
    let (_server, mut client, calls) = with_copy(io, DATED);
    for (line, status) in [
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", 304),
        ("If-Modified-Since: Mon, 07 Nov 1994 08:49:37 GMT", 304),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT", 200),
        ("If-Modified-Since: yesterday", 200),
        ("If-None-Match: \"one\"", 304),
        ("If-None-Match: \"two\", W/\"one\"", 304),
        ("If-None-Match: *", 304),
        ("If-None-Match: \"two\"", 200),
        ("If-Match: \"one\"", 200),
        ("If-Match: *", 200),
        ("If-Match: \"two\"", 412),
        ("If-Match: W/\"one\"", 412),
        ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT", 412),
        ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT", 200),
    ] {
        // Also as a head that comes again and again.
        for _ in 0..4 {
            let response = get(&mut client, "/", &[line]);
            assert_eq!(response.status, status, "{line}");
            match status {
                200 => assert_eq!(response.content, content()),
                304 => {
                    assert_eq!(response.field("ETag"), Some("\"one\""));
                    assert_eq!(response.field("Cache-Control"), Some("public"));
                    for left_out in ["Content-Type", "Content-Language", "Last-Modified"] {
                        assert_eq!(response.field(left_out), None, "{left_out}");
                    }
                }
                _ => assert_eq!(response.content, b""),
            }
        }
    }
    // RFC 9110 §13.1.3: the date does not count where there is a tag.
    let both = [
        "If-None-Match: \"two\"",
        "If-Modified-Since: Mon, 07 Nov 1994 08:49:37 GMT",
    ];
    assert_eq!(get(&mut client, "/", &both).status, 200);
    // RFC 9110 §13.2.2: conditions come before ranges.
    let both = ["If-None-Match: \"one\"", "Range: bytes=0-1"];
    assert_eq!(get(&mut client, "/", &both).status, 304);
    assert_eq!(calls.count(), 1);
}

fn parts_are_of_what_the_client_has(io: Io) {
    let (_server, mut client, calls) = with_copy(io, DATED);
    for (condition, status) in [
        ("If-Range: \"one\"", 206),
        ("If-Range: Sun, 06 Nov 1994 08:49:37 GMT", 206),
        ("If-Range: \"two\"", 200),
        ("If-Range: W/\"one\"", 200),
        ("If-Range: Sun, 06 Nov 1994 08:49:38 GMT", 200),
        ("If-Range: x", 200),
    ] {
        let response = get(&mut client, "/", &[condition, "Range: bytes=1-2"]);
        assert_eq!(response.status, status, "{condition}");
        let expected = if status == 206 {
            &content()[1..=2]
        } else {
            &content()
        };
        assert_eq!(response.content, expected, "{condition}");
    }
    // Without a range it says nothing.
    assert_eq!(get(&mut client, "/", &["If-Range: \"one\""]).status, 200);
    assert_eq!(calls.count(), 1);
}

fn other_statuses_have_neither_parts_nor_conditions(io: Io) {
    let (_server, mut client, calls) = with_copy(io, DATED);
    assert_eq!(get(&mut client, "/404", &[]).status, 404);
    for line in [
        "Range: bytes=0-1",
        "If-None-Match: \"one\"",
        "If-Match: \"two\"",
    ] {
        let response = get(&mut client, "/404", &[line]);
        assert_eq!(
            (response.status, response.content),
            (404, content()),
            "{line}"
        );
    }
    assert_eq!(calls.count(), 2);
}

// RFC 9110 §14.3.
fn who_says_so_gives_no_parts(io: Io) {
    let fields = &[("Accept-Ranges", "none"), ("ETag", "\"one\"")];
    let (_server, mut client, calls) = with_copy(io, fields);
    for asked in ["bytes=0-10", "bytes=100-", "bytes=0-1,50-51"] {
        let response = range(&mut client, asked);
        assert_eq!(
            (response.status, response.content),
            (200, content()),
            "{asked}"
        );
    }
    let both = ["If-None-Match: \"one\"", "Range: bytes=0-10"];
    assert_eq!(get(&mut client, "/", &both).status, 304);
    assert_eq!(calls.count(), 1);
}
