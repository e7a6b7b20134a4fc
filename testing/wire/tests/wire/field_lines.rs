//! Field lines. RFC 9112 §5; http-server-api §7, cases P04, P11, P12, P18.

use tidegate_driver::Io;
use tidegate_wire::{Server, answer, answering, label, on_both_loops, seen};

on_both_loops!(
    p04_a_name_that_is_no_token_is_refused,
    p11_a_line_has_a_longest,
    p12_a_head_has_a_longest,
    p18_lines_of_one_name_are_one_value,
    control_characters_in_a_value_are_refused,
    line_ends_are_strict,
    empty_and_utf8_values_pass,
    large_heads_are_read_right,
    odd_codings_asked_for_do_no_harm,
);

fn with_line(line: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\n").into_bytes()
}

fn start(io: Io) -> Server {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    server
}

fn p04_a_name_that_is_no_token_is_refused(io: Io) {
    let server = start(io);
    for line in [
        "Fo?o: x",
        "Foo : x",
        "Foo\t: x",
        ": x",
        "Foo",
        "F\u{e9}o: x",
        "F(o: x",
    ] {
        server.refuses(with_line(line), 400, "Header");
    }
}

fn p11_a_line_has_a_longest(io: Io) {
    let server = Server::start_with(io, |settings| {
        settings.request_limits.head_bytes_max = 65_536;
    });
    server.serve("localhost/", label("1"));
    let line = |bytes: usize| format!("X: {}", "v".repeat(bytes - 3));
    assert_eq!(server.client().ask(with_line(&line(16_384))).text(), "1");
    server.refuses(with_line(&line(16_385)), 400, "FieldLength");
}

fn p12_a_head_has_a_longest(io: Io) {
    let server = start(io);
    let lines = format!("X: {}\r\n", "v".repeat(865)).repeat(20);
    server.refuses(with_line(lines.trim_end()), 400, "RequestLength");
    // Also when its end never comes.
    server.refuses(
        format!("GET / HTTP/1.1\r\nHost: localhost\r\n{lines}"),
        400,
        "RequestLength",
    );
}

fn p18_lines_of_one_name_are_one_value(io: Io) {
    let server = Server::start(io);
    let value = answering(|exchange| {
        let value = exchange.head().field("custom-header").unwrap().into_owned();
        answer(exchange, 200, value);
    });
    server.serve("localhost/", value);
    let request = "GET / HTTP/1.1\r\nCustom-Header: one\r\nHost: localhost\r\nOther: x\r\n\
                   custom-header: two\r\nOther: y\r\nCUSTOM-HEADER:\tthree \r\n\r\n";
    assert_eq!(server.client().ask(request).text(), "one, two, three");
}

fn control_characters_in_a_value_are_refused(io: Io) {
    let server = start(io);
    for code in (0..=0x1f).chain([0x7f]) {
        if matches!(code, b'\t' | b'\r' | b'\n') {
            continue;
        }
        let line = format!("X: a{}b", char::from(code));
        server.refuses(with_line(&line), 400, "Header");
    }
}

fn line_ends_are_strict(io: Io) {
    let server = start(io);
    for line in [
        "X: a\rb",
        "X: a\r\n b",
        "X: a\r\n\tb",
        "X: a\nY: b",
        "X: a\r",
    ] {
        server.refuses(with_line(line), 400, "Invalid_CR/LF");
    }
    server.refuses("GET / HTTP/1.1\nHost: localhost\n\n", 400, "Invalid_CR/LF");
    server.refuses(
        "GET / HTTP/1.1\r\n X: a\r\nHost: localhost\r\n\r\n",
        400,
        "Invalid_CR/LF",
    );
}

fn empty_and_utf8_values_pass(io: Io) {
    let server = Server::start(io);
    let (application, requests) = seen();
    server.serve("localhost/", application);
    let response = server
        .client()
        .ask(with_line("Empty:\r\nBlank: \t \r\nName: \u{5b57}"));
    assert_eq!(response.status, 200);
    let fields = requests.recv().unwrap().fields;
    let value = |name: &str| {
        let found = fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.clone())
    };
    assert_eq!(value("Empty").as_deref(), Some(""));
    assert_eq!(value("Blank").as_deref(), Some(""));
    assert_eq!(value("Name").as_deref(), Some("\u{5b57}"));
}

// http-server-api §15: sizes around 2^16 once heads may be that large.
fn large_heads_are_read_right(io: Io) {
    let server = Server::start_with(io, |settings| {
        settings.request_limits.head_bytes_max = 1 << 20;
        settings.request_limits.field_bytes_max = 65_534;
    });
    let last = answering(|exchange| {
        let value = exchange.head().field("Last").unwrap().into_owned();
        answer(exchange, 200, value);
    });
    server.serve("localhost/", last);
    let start = "GET / HTTP/1.1\r\nHost: localhost\r\n";
    let end = "Last: found\r\n\r\n";
    for bytes in [65_534, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073] {
        let mut head = start.to_owned();
        while head.len() + end.len() < bytes {
            let room = bytes - head.len() - end.len();
            let line = room.min(30_000);
            // What is left over must be enough for one more line.
            let line = if room - line < 10 { room } else { line };
            head.push_str(&format!("X: {}\r\n", "v".repeat(line - 5)));
        }
        head.push_str(end);
        assert_eq!(head.len(), bytes);
        let mut client = server.client();
        assert_eq!(client.ask(&head).text(), "found", "{bytes}");
        assert_eq!(client.ask(&head).text(), "found", "{bytes}");
    }
}

// http-server-api §15, CVE-2021-31166.
fn odd_codings_asked_for_do_no_harm(io: Io) {
    let server = start(io);
    let many = format!("Accept-Encoding: {}", "x,".repeat(7_000));
    for line in [
        "Accept-Encoding: doesnt, exist, , ,",
        "Accept-Encoding: ,,,",
        &many,
    ] {
        assert_eq!(server.client().ask(with_line(line)).text(), "1");
    }
}
