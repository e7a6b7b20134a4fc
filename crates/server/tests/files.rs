//! Files, ranges and static sites on the embedded driver, on real ports, on each event loop the system
//! offers, in both operating modes.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[allow(dead_code, reason = "other tests use the rest of it")]
mod client;

use std::fs;
use std::io::{Cursor, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use client::setting::{in_each_setting, start, stop};
use client::{Answer, Client};

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

fn get(client: &mut Client, path: &str, fields: &[&str]) -> Answer {
    client.request("GET", path, fields, "")
}

#[test]
fn all_kinds_of_content_have_ranges() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.bin");
    let whole = content(300_000);
    fs::write(&path, &whole).unwrap();
    in_each_setting(|builder, port| {
        let (file, bytes) = (path.clone(), whole.clone());
        let server = start(builder.on_http_request(move |request, response| {
            match request.document() {
                "/file" => response.file(&file)?,
                "/bytes" => response.process_ranges().bytes(bytes.clone()),
                _ => response.seekable(Cursor::new(bytes.clone()))?,
            }
            Ok(())
        }));
        let mut client = Client::connect(port);
        for kind in ["/file", "/bytes", "/reader"] {
            let answer = get(&mut client, kind, &[]);
            assert_eq!(answer.status, 200);
            assert!(answer.content == whole);
            let answer = get(&mut client, kind, &["Range: bytes=299990-"]);
            assert_eq!(answer.status, 206);
            assert_eq!(answer.content, whole[299_990..]);
            let range = answer.field("Content-Range");
            assert_eq!(range, Some("bytes 299990-299999/300000"));
            let answer = get(&mut client, kind, &["Range: bytes=0-1,150000-250000"]);
            assert_eq!(answer.status, 206);
            let part = &whole[150_000..=250_000];
            let is_there = answer
                .content
                .windows(part.len())
                .any(|window| window == part);
            assert!(is_there, "{kind}");
            let answer = get(&mut client, kind, &["Range: bytes=300000-"]);
            assert_eq!((answer.status, answer.content.len()), (416, 0));
            // The connection is where it should be.
            let answer = get(&mut client, kind, &["Range: bytes=7-7"]);
            assert_eq!(answer.content, whole[7..8]);
        }
        drop(client);
        stop(server);
    });
}

#[test]
fn a_site_answers_what_is_pipelined() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "short").unwrap();
    fs::write(folder.path().join("b.bin"), content(200_000)).unwrap();
    in_each_setting(|builder, port| {
        let server = start(builder.files("/", folder.path()));
        let mut client = Client::connect(port);
        for _ in 0..20 {
            client.send("GET", "/a.txt", &[], "");
            client.send("GET", "/b.bin", &["Range: bytes=199990-"], "");
            client.send("GET", "/none", &[], "");
            client.send("GET", "/a.txt", &["If-None-Match: *"], "");
            client.send("GET", "/b.bin", &[], "");
        }
        for _ in 0..20 {
            assert_eq!(client.receive().text(), "short");
            assert_eq!(client.receive().content, content(200_000)[199_990..]);
            assert_eq!(client.receive().status, 404);
            let same = client.receive();
            assert_eq!((same.status, same.field("Content-Length")), (304, None));
            assert!(client.receive().content == content(200_000));
        }
        drop(client);
        stop(server);
    });
}

// What was announced cannot be sent: nothing else is sent in its place.
#[test]
fn a_file_that_becomes_shorter_while_it_is_sent_breaks_the_connection_off() {
    in_each_setting(|builder, port| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        // More than sockets hold on both sides.
        let length = 200_000_000;
        let file = fs::File::create(&path).unwrap();
        file.set_len(length).unwrap();
        let server = start(builder.files("/", folder.path()));
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).unwrap();
        let request = b"GET /a.bin HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
        stream.write_all(request).unwrap();
        let mut received = vec![0; 1000];
        stream.read_exact(&mut received).unwrap();
        file.set_len(1000).unwrap();
        let mut rest = Vec::new();
        // Ended or reset, it is over.
        let _ = stream.read_to_end(&mut rest);
        assert!((rest.len() as u64) < length, "{}", rest.len());
        stop(server);
    });
}
