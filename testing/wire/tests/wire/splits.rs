//! The same bytes in any pieces are the same requests.

use tidegate_driver::Io;
use tidegate_httpapi::OperatingMode;
use tidegate_wire::{Server, answer, answering, on_both_loops_in_both_modes};

on_both_loops_in_both_modes!(bytes_one_at_a_time_are_the_same, every_cut_is_the_same);

const REQUESTS: [&str; 8] = [
    "GET /a?b=c HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "\r\n\r\nGET http://localhost/x%20y HTTP/1.1\r\nHost: other\r\nEmpty:\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nGET / HTT",
    "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\
     4;ext=\"x\"\r\nping\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\n\
     POST /2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nab\
     GET /3 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    // Refused, and in the same way.
    "GET / HTTP/1.1\r\nHost: localhost\r\nBad Name: x\r\n\r\n",
];

fn start(io: Io, mode: OperatingMode) -> Server {
    let server = Server::start(io);
    let told = answering(|mut exchange| {
        if !exchange.may_block() && exchange.content().is_none() {
            exchange.move_to_handler_thread();
            return;
        }
        let head = exchange.head();
        let mut told = head.method().as_bytes().to_vec();
        told.push(b' ');
        told.extend_from_slice(head.target());
        for field in head.fields.iter() {
            told.extend_from_slice(field.name.as_bytes());
            told.extend_from_slice(field.value);
        }
        match exchange.content() {
            Some(content) => told.extend_from_slice(content),
            None => {
                let content = exchange.take_body().blocking_collect(1000).unwrap();
                told.extend_from_slice(&content);
            }
        }
        answer(exchange, 200, told);
    });
    server.serve_in(mode, "localhost/", told);
    server
}

/// All that comes back for these pieces, but for dates.
fn told<'a>(server: &Server, pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut client = server.client();
    client.send_pieces(pieces);
    client.finish();
    let end = client.end();
    assert!(!end.reset);
    let mut told = String::from_utf8(end.rest).unwrap();
    let mut from = 0;
    while let Some(at) = told[from..].find("Date: ") {
        let date = from + at + "Date: ".len();
        told.replace_range(date..date + 29, "*");
        from = date;
    }
    told
}

fn bytes_one_at_a_time_are_the_same(io: Io, mode: OperatingMode) {
    let server = start(io, mode);
    for request in REQUESTS {
        let whole = told(&server, [request.as_bytes()]);
        assert!(whole.starts_with("HTTP/1.1 "), "{request:?}: {whole:?}");
        assert_eq!(
            told(&server, request.as_bytes().chunks(1)),
            whole,
            "{request:?}"
        );
    }
}

fn every_cut_is_the_same(io: Io, mode: OperatingMode) {
    let server = start(io, mode);
    for request in REQUESTS {
        let whole = told(&server, [request.as_bytes()]);
        for cut in 1..request.len() {
            let (before, after) = request.as_bytes().split_at(cut);
            assert_eq!(
                told(&server, [before, after]),
                whole,
                "{request:?} cut at {cut}"
            );
        }
    }
}
