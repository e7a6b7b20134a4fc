//! The request target. RFC 9112 §3.2; http-server-api §7, cases P05–P10, P16.

use tidegate_driver::Io;
use tidegate_wire::{Server, label, on_both_loops};

on_both_loops!(
    p05_bad_escapes_and_blanks_are_refused,
    p06_escaped_control_characters_are_refused,
    p07_raw_control_characters_are_refused,
    p08_segments_have_a_longest,
    p09_segments_have_a_most,
    p10_a_target_has_a_longest,
    p16_a_query_right_after_an_authority_is_refused,
    targets_of_the_wrong_form_are_refused,
    bytes_beyond_ascii_are_refused,
);

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn start(io: Io) -> Server {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    server
}

fn p05_bad_escapes_and_blanks_are_refused(io: Io) {
    let server = start(io);
    for target in ["/path%", "/path%XY", "/path%F", "/path%0", "/%%41"] {
        server.refuses(get(target), 400, "URL");
    }
    let mut client = server.client();
    let response = client.ask(get("/path with spaces"));
    assert_eq!(response.status, 400);
    client.expect_orderly_close();
}

fn p06_escaped_control_characters_are_refused(io: Io) {
    let server = start(io);
    for code in 0..=0x1f {
        server.refuses(get(&format!("/%{code:02x}")), 400, "URL");
    }
    for target in ["/a%7F", "/%C2%80", "/%c2%9f/b"] {
        server.refuses(get(target), 400, "URL");
    }
}

fn p07_raw_control_characters_are_refused(io: Io) {
    let server = start(io);
    for code in (1..=0x1f).chain([0x7f]) {
        let mut request = b"GET /a".to_vec();
        request.push(code);
        request.extend_from_slice(b"b HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut client = server.client();
        let response = client.ask(request);
        assert_eq!(response.status, 400, "{code:#x}");
        client.expect_orderly_close();
    }
}

fn p08_segments_have_a_longest(io: Io) {
    let server = start(io);
    let segment = "s".repeat(260);
    assert_eq!(server.route("localhost", &format!("/{segment}/x")), "1");
    server.refuses(get(&format!("/{segment}s/x")), 400, "URL");
}

fn p09_segments_have_a_most(io: Io) {
    let server = start(io);
    let path = "/s".repeat(255);
    assert_eq!(server.route("localhost", &path), "1");
    server.refuses(get(&format!("{path}/s")), 400, "URL");
}

fn p10_a_target_has_a_longest(io: Io) {
    let server = start(io);
    let target = "/sssssssss".repeat(1700);
    server.refuses(get(&target), 414, "URL_Length");
}

fn p16_a_query_right_after_an_authority_is_refused(io: Io) {
    let server = start(io);
    let target = format!("http://localhost:{}?query=value/1/2", server.port);
    server.refuses(get(&target), 400, "URL");
}

fn targets_of_the_wrong_form_are_refused(io: Io) {
    let server = start(io);
    for target in ["a", "*", "localhost:80", "ftp://localhost/", "/a#b"] {
        server.refuses(get(target), 400, "URL");
    }
}

fn bytes_beyond_ascii_are_refused(io: Io) {
    let server = start(io);
    server.refuses(get("/\u{e9}"), 400, "URL");
}
