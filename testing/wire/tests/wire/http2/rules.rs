//! The rules of RFC 9113 one by one, as `h2spec` checks them: these frames, that error.
//!
//! Each row has a connection of its own. On it, `/held/` is asked for with stream 1 where a row says so.

use tidegate_driver::Io;
use tidegate_httpapi::OperatingMode::HighPerf;
use tidegate_wire::{
    Held, Http2, PREFACE, Server, code, flag, frame, held, kind, label, on_both_loops, setting,
};

use code::{
    COMPRESSION_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PROTOCOL_ERROR, STREAM_CLOSED,
};
use frame::{data, headers, literals, ping, priority, reset, settings, window_update};

on_both_loops!(
    the_opening_must_be_settings,
    frames_keep_their_form,
    header_blocks_keep_their_form,
    streams_keep_their_states,
    data_and_heads_keep_their_form,
    control_frames_keep_their_form,
    requests_keep_their_form,
    trailers_keep_their_form,
    half_of_a_rule_is_none,
);

/// What becomes of a row's frames.
#[derive(Clone, Copy, Debug)]
enum Expect {
    /// The connection ends with this code.
    GoAway(u32),
    /// This stream is reset with this code, and the connection lives.
    Reset(u32, u32),
    /// This stream is answered with this status, and the connection lives.
    Status(u32, u16),
    /// Nothing but that the connection lives.
    Lives,
}

use Expect::{GoAway, Lives, Reset, Status};

struct Row {
    rule: &'static str,
    bytes: Vec<u8>,
    expect: Expect,
}

fn row(rule: &'static str, pieces: &[&[u8]], expect: Expect) -> Row {
    let bytes = pieces.concat();
    Row {
        rule,
        bytes,
        expect,
    }
}

fn check(io: Io, rows: Vec<Row>) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(HighPerf, "localhost/held/", application);
    server.serve_in(HighPerf, "localhost/", label("1"));
    for row in rows {
        println!("{}: {:?}", row.rule, row.expect);
        let mut peer = Http2::connect(&server);
        peer.send(&row.bytes);
        meets(&mut peer, row.expect);
        drain(&requests);
    }
}

fn meets(peer: &mut Http2, expect: Expect) {
    match expect {
        GoAway(code) => return peer.ends_with(code),
        Reset(stream, code) => {
            peer.until(|peer| peer.seen(stream).is_complete());
            assert_eq!(peer.seen(stream).reset, Some(code));
        }
        Status(stream, status) => {
            peer.until(|peer| peer.seen(stream).is_complete());
            let seen = peer.seen(stream);
            assert_eq!(
                (seen.status(), seen.reset),
                (status, None),
                "{}",
                seen.text()
            );
        }
        Lives => {}
    }
    peer.settle();
    assert_eq!(peer.goaways, []);
    // Identifiers that no row uses.
    while peer.new_stream() < 99 {}
    assert_eq!(peer.get("/").text(), "1");
}

fn drain(requests: &Held) {
    while !requests.is_empty() {}
}

const BASE: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "localhost"),
    (":path", "/"),
];

fn head(method: &str, path: &str) -> Vec<u8> {
    literals(&[
        (":method", method),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", path),
    ])
}

/// A request that is answered.
fn get(stream: u32) -> Vec<u8> {
    headers(stream, head("GET", "/"), true)
}

/// A request that is not answered, and has come whole: half-closed (remote).
fn whole(stream: u32) -> Vec<u8> {
    headers(stream, head("GET", "/held/"), true)
}

/// A request that is not answered, whose content is to come: open.
fn open(stream: u32) -> Vec<u8> {
    headers(stream, head("POST", "/held/"), false)
}

fn any(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame::frame(kind, flags, stream, payload)
}

const END: u8 = flag::END_STREAM | flag::END_HEADERS;

fn the_opening_must_be_settings(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    for (bytes, code) in [
        (ping([0; 8]), PROTOCOL_ERROR),
        (get(1), PROTOCOL_ERROR),
        (any(kind::SETTINGS, flag::ACK, 0, []), PROTOCOL_ERROR),
        (any(0x77, 0, 0, [0; 8]), PROTOCOL_ERROR),
        (any(kind::SETTINGS, 0, 1, []), PROTOCOL_ERROR),
        (any(kind::SETTINGS, 0, 0, [0; 5]), FRAME_SIZE_ERROR),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), FRAME_SIZE_ERROR),
    ] {
        let mut peer = Http2::silent(server.client());
        peer.send([PREFACE, &bytes].concat());
        let _ = peer.end();
        let last = peer.goaways.last().map(|goaway| goaway.code);
        // Which of two rules a first frame breaks is not said.
        let either = [Some(code), Some(PROTOCOL_ERROR)];
        assert!(either.contains(&last), "{bytes:?}: {last:?}");
    }
}

fn frames_keep_their_form(io: Io) {
    let mut reserved = ping([0; 8]);
    reserved[5] |= 0x80;
    let long = vec![0; 16_385];
    let full = vec![b'x'; 16_384];
    let rows = vec![
        row(
            "4.1 unknown kinds are ignored",
            &[&any(0x77, 0xFF, 0, "what")],
            Lives,
        ),
        row(
            "4.1 on streams as well",
            &[&any(0x77, 0xFF, 77, "what")],
            Lives,
        ),
        row(
            "4.1 unknown flags are ignored",
            &[&any(kind::PING, 0xFE, 0, [1; 8])],
            Lives,
        ),
        row("4.1 the reserved bit is ignored", &[&reserved], Lives),
        row(
            "4.2 a DATA too long",
            &[&open(1), &data(1, &long, false)],
            GoAway(FRAME_SIZE_ERROR),
        ),
        row(
            "4.2 a HEADERS too long",
            &[&any(kind::HEADERS, END, 1, &long)],
            GoAway(FRAME_SIZE_ERROR),
        ),
        row(
            "4.2 an unknown one too long",
            &[&any(0x77, 0, 0, &long)],
            GoAway(FRAME_SIZE_ERROR),
        ),
        row(
            "4.2 a DATA as long as may be",
            &[&open(1), &data(1, &full, false)],
            Lives,
        ),
        row(
            "4.2 an unknown one as long as may be",
            &[&any(0x77, 0, 0, &full)],
            Lives,
        ),
    ];
    check(io, rows);
}

fn header_blocks_keep_their_form(io: Io) {
    let block = head("GET", "/");
    let (first, rest) = block.split_at(10);
    let begun = any(kind::HEADERS, flag::END_STREAM, 1, first);
    let going = any(kind::CONTINUATION, 0, 1, &rest[..5]);
    let last = any(kind::CONTINUATION, flag::END_HEADERS, 1, &rest[5..]);
    let index = |bytes: &[u8]| headers(1, [&head("GET", "/")[..], bytes].concat(), true);
    let rows = vec![
        row(
            "4.3 in three pieces",
            &[&begun, &going, &last],
            Status(1, 200),
        ),
        row(
            "4.3 with an empty piece",
            &[&begun, &any(kind::CONTINUATION, 0, 1, []), &going, &last],
            Status(1, 200),
        ),
        row(
            "4.3 interrupted by PING",
            &[&begun, &ping([0; 8])],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "4.3 interrupted by PRIORITY",
            &[&begun, &priority(1, 0)],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "4.3 interrupted by DATA",
            &[&begun, &data(1, "x", true)],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "4.3 interrupted by HEADERS",
            &[&begun, &get(1)],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "4.3 interrupted by another stream",
            &[&begun, &get(3)],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "4.3 continued by another stream",
            &[&begun, &any(kind::CONTINUATION, flag::END_HEADERS, 3, rest)],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "5.5 interrupted by an unknown frame",
            &[&begun, &any(0x77, 0, 0, [])],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "6.10 CONTINUATION after the end",
            &[&begun, &going, &last, &last],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "6.10 CONTINUATION behind HEADERS",
            &[&open(1), &last],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "6.10 CONTINUATION on the connection",
            &[&any(kind::CONTINUATION, flag::END_HEADERS, 0, [])],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "6.10 CONTINUATION on an idle stream",
            &[&any(kind::CONTINUATION, flag::END_HEADERS, 1, [])],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "6.10 CONTINUATION behind DATA",
            &[&open(1), &data(1, "x", false), &last],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "7541 2.3.3 an index beyond the tables",
            &[&index(&[0x80 | 70])],
            GoAway(COMPRESSION_ERROR),
        ),
        row(
            "7541 6.1 the index 0",
            &[&index(&[0x80])],
            GoAway(COMPRESSION_ERROR),
        ),
        row(
            "7541 5.1 an integer without end",
            &[&index(&[0xFF; 12])],
            GoAway(COMPRESSION_ERROR),
        ),
        row(
            "7541 5.2 a string that is cut",
            &[&index(&[0, 5, b'x'])],
            GoAway(COMPRESSION_ERROR),
        ),
        row(
            "7541 5.2 Huffman padding too long",
            &[&index(&[0, 1, b'x', 0x82, 0x07, 0xFF])],
            GoAway(COMPRESSION_ERROR),
        ),
        row(
            "7541 5.2 Huffman padding of zeros",
            &[&index(&[0, 1, b'x', 0x81, 0x00])],
            GoAway(COMPRESSION_ERROR),
        ),
        row(
            "7541 5.2 Huffman with EOS",
            &[&index(&[0, 1, b'x', 0x84, 0xFF, 0xFF, 0xFF, 0xFC])],
            GoAway(COMPRESSION_ERROR),
        ),
        row(
            "7541 6.3 a table too large",
            &[&headers(
                1,
                [&[0x3F, 0xE2, 0x1F][..], &block].concat(),
                true,
            )],
            GoAway(COMPRESSION_ERROR),
        ),
        row(
            "7541 6.3 a table as large as may be",
            &[&headers(
                1,
                [&[0x3F, 0xE1, 0x1F][..], &block].concat(),
                true,
            )],
            Status(1, 200),
        ),
        row(
            "7541 4.2 a size behind a field",
            &[&index(&[0x20])],
            GoAway(COMPRESSION_ERROR),
        ),
        row(
            "7541 of a stream that is refused",
            &[&whole(1), &headers(1, [0x80], true)],
            GoAway(COMPRESSION_ERROR),
        ),
    ];
    check(io, rows);
}

fn streams_keep_their_states(io: Io) {
    let trailers = literals(&[("x-sum", "1")]);
    let cancel = reset(1, code::CANCEL);
    let rows = vec![
        row(
            "5.1 idle: DATA",
            &[&data(1, "x", true)],
            GoAway(PROTOCOL_ERROR),
        ),
        row("5.1 idle: RST_STREAM", &[&cancel], GoAway(PROTOCOL_ERROR)),
        row(
            "5.1 idle: WINDOW_UPDATE",
            &[&window_update(1, 1)],
            GoAway(PROTOCOL_ERROR),
        ),
        row("5.1 idle: PRIORITY", &[&priority(1, 0)], Lives),
        row(
            "5.1 half-closed: DATA",
            &[&whole(1), &data(1, "x", true)],
            Reset(1, STREAM_CLOSED),
        ),
        row(
            "5.1 half-closed: HEADERS",
            &[&whole(1), &headers(1, &trailers, true)],
            Reset(1, STREAM_CLOSED),
        ),
        row(
            "5.1 half-closed: HEADERS that do not end",
            &[&whole(1), &headers(1, &trailers, false)],
            Reset(1, STREAM_CLOSED),
        ),
        row(
            "5.1 half-closed: WINDOW_UPDATE",
            &[&whole(1), &window_update(1, 1)],
            Lives,
        ),
        row(
            "5.1 half-closed: PRIORITY",
            &[&whole(1), &priority(1, 0)],
            Lives,
        ),
        row("5.1 half-closed: RST_STREAM", &[&whole(1), &cancel], Lives),
        row(
            "5.1 half-closed by DATA: DATA",
            &[&open(1), &data(1, "x", true), &data(1, "x", true)],
            Reset(1, STREAM_CLOSED),
        ),
        row(
            "5.1 reset by the client: DATA",
            &[&open(1), &cancel, &data(1, "x", true)],
            GoAway(STREAM_CLOSED),
        ),
        row(
            "5.1 reset by the client: HEADERS",
            &[&open(1), &cancel, &headers(1, &trailers, true)],
            GoAway(STREAM_CLOSED),
        ),
        row(
            "5.1 reset by the client: RST_STREAM",
            &[&open(1), &cancel, &cancel],
            Lives,
        ),
        row(
            "5.1 reset by the client: WINDOW_UPDATE",
            &[&open(1), &cancel, &window_update(1, 1)],
            Lives,
        ),
        row(
            "5.1 reset by the client: PRIORITY",
            &[&open(1), &cancel, &priority(1, 0)],
            Lives,
        ),
        row(
            "5.1 reset by the server: DATA",
            &[&open(1), &window_update(1, 0), &data(1, "x", true)],
            Reset(1, PROTOCOL_ERROR),
        ),
        row(
            "5.1 reset by the server: HEADERS",
            &[&open(1), &window_update(1, 0), &headers(1, &trailers, true)],
            Reset(1, PROTOCOL_ERROR),
        ),
        row(
            "5.1 reset by the server: RST_STREAM",
            &[&open(1), &window_update(1, 0), &cancel],
            Reset(1, PROTOCOL_ERROR),
        ),
        row(
            "5.1 reset by the server: WINDOW_UPDATE",
            &[&open(1), &window_update(1, 0), &window_update(1, 0)],
            Reset(1, PROTOCOL_ERROR),
        ),
        row(
            "5.1 answered: DATA",
            &[&get(1), &data(1, "x", true)],
            GoAway(STREAM_CLOSED),
        ),
        row(
            "5.1 answered: HEADERS",
            &[&get(1), &headers(1, &trailers, true)],
            GoAway(STREAM_CLOSED),
        ),
        row(
            "5.1 answered: the same request again",
            &[&get(1), &get(1)],
            GoAway(STREAM_CLOSED),
        ),
        row("5.1 answered: RST_STREAM", &[&get(1), &cancel], Lives),
        row("5.1 answered: PRIORITY", &[&get(1), &priority(1, 0)], Lives),
        row(
            "5.1.1 an even identifier",
            &[&get(2)],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "5.1.1 a smaller identifier",
            &[&get(5), &get(3)],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "5.1.1 identifiers may be passed over",
            &[&get(1), &get(77)],
            Status(77, 200),
        ),
        row(
            "5.3 depends on itself: HEADERS",
            &[&any(
                kind::HEADERS,
                END | flag::PRIORITY,
                1,
                [&[0, 0, 0, 1, 16][..], &head("GET", "/")].concat(),
            )],
            Reset(1, PROTOCOL_ERROR),
        ),
        row(
            "5.3 depends on itself: PRIORITY",
            &[&open(1), &priority(1, 1)],
            Reset(1, PROTOCOL_ERROR),
        ),
        row(
            "5.3 depends on another",
            &[&any(
                kind::HEADERS,
                END | flag::PRIORITY,
                1,
                [&[0x80, 0, 0, 77, 16][..], &head("GET", "/")].concat(),
            )],
            Status(1, 200),
        ),
        row(
            "8.4 PUSH_PROMISE",
            &[
                &open(1),
                &any(kind::PUSH_PROMISE, flag::END_HEADERS, 1, [0, 0, 0, 2]),
            ],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "6.6 PUSH_PROMISE on the connection",
            &[&any(kind::PUSH_PROMISE, flag::END_HEADERS, 0, [0, 0, 0, 2])],
            GoAway(PROTOCOL_ERROR),
        ),
    ];
    check(io, rows);
}

fn data_and_heads_keep_their_form(io: Io) {
    let block = head("GET", "/");
    let padded = |padding: u8, zeros: usize| [&[padding][..], &block, &vec![0; zeros]].concat();
    let both = [&[3, 0, 0, 0, 0, 16][..], &block, &[0; 3]].concat();
    // One byte more than a stream may hold.
    let window = [
        vec![b'x'; 16_384],
        vec![b'x'; 16_384],
        vec![b'x'; 16_384],
        vec![b'x'; 16_384],
    ]
    .map(|piece| data(1, piece, false))
    .concat();
    let rows = vec![
        row(
            "6.1 DATA on the connection",
            &[&data(0, "x", true)],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "6.1 padding as long as the frame",
            &[&open(1), &any(kind::DATA, flag::PADDED, 1, [5, 0, 0, 0, 0])],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "6.1 padding longer than the frame",
            &[&open(1), &any(kind::DATA, flag::PADDED, 1, [255, 0])],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "6.1 no room for the padding's length",
            &[&open(1), &any(kind::DATA, flag::PADDED, 1, [])],
            GoAway(FRAME_SIZE_ERROR),
        ),
        row(
            "6.1 nothing but padding",
            &[&open(1), &any(kind::DATA, flag::PADDED, 1, [4, 0, 0, 0, 0])],
            Lives,
        ),
        row(
            "6.2 HEADERS on the connection",
            &[&headers(0, &block, true)],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "6.2 with padding",
            &[&any(kind::HEADERS, END | flag::PADDED, 1, padded(7, 7))],
            Status(1, 200),
        ),
        row(
            "6.2 padding longer than the frame",
            &[&any(kind::HEADERS, END | flag::PADDED, 1, padded(255, 7))],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "6.2 no room for the padding's length",
            &[&any(kind::HEADERS, END | flag::PADDED, 1, [])],
            GoAway(FRAME_SIZE_ERROR),
        ),
        row(
            "6.2 no room for the priority",
            &[&any(kind::HEADERS, END | flag::PRIORITY, 1, [0; 4])],
            GoAway(FRAME_SIZE_ERROR),
        ),
        row(
            "6.2 padding and priority",
            &[&any(
                kind::HEADERS,
                END | flag::PADDED | flag::PRIORITY,
                1,
                both,
            )],
            Status(1, 200),
        ),
        row(
            "6.9.1 a stream's window is exceeded",
            &[&open(1), &window, &data(1, "x", false)],
            Reset(1, FLOW_CONTROL_ERROR),
        ),
        row(
            "6.9.1 a stream's window is used up",
            &[&open(1), &window],
            Lives,
        ),
    ];
    check(io, rows);
}

fn control_frames_keep_their_form(io: Io) {
    let is_of = |parameter: u16, value: u32| settings(&[(parameter, value)]);
    let rows = vec![
        row(
            "6.3 PRIORITY on the connection",
            &[&priority(0, 1)],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "6.3 PRIORITY too short",
            &[&open(1), &any(kind::PRIORITY, 0, 1, [0; 4])],
            Reset(1, FRAME_SIZE_ERROR),
        ),
        row(
            "6.3 PRIORITY too long",
            &[&open(1), &any(kind::PRIORITY, 0, 1, [0; 6])],
            Reset(1, FRAME_SIZE_ERROR),
        ),
        row(
            "6.4 RST_STREAM on the connection",
            &[&reset(0, 8)],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "6.4 RST_STREAM too short",
            &[&open(1), &any(kind::RST_STREAM, 0, 1, [0; 3])],
            GoAway(FRAME_SIZE_ERROR),
        ),
        row(
            "6.4 RST_STREAM too long",
            &[&open(1), &any(kind::RST_STREAM, 0, 1, [0; 5])],
            GoAway(FRAME_SIZE_ERROR),
        ),
        row(
            "6.5 SETTINGS on a stream",
            &[&any(kind::SETTINGS, 0, 1, [])],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "6.5 SETTINGS of half a parameter",
            &[&any(kind::SETTINGS, 0, 0, [0; 3])],
            GoAway(FRAME_SIZE_ERROR),
        ),
        row(
            "6.5 an acknowledgement with parameters",
            &[&any(kind::SETTINGS, flag::ACK, 0, [0; 6])],
            GoAway(FRAME_SIZE_ERROR),
        ),
        row(
            "6.5.2 ENABLE_PUSH of 2",
            &[&is_of(setting::ENABLE_PUSH, 2)],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "6.5.2 INITIAL_WINDOW_SIZE of 2^31",
            &[&is_of(setting::INITIAL_WINDOW_SIZE, 1 << 31)],
            GoAway(FLOW_CONTROL_ERROR),
        ),
        row(
            "6.5.2 MAX_FRAME_SIZE of 16,383",
            &[&is_of(setting::MAX_FRAME_SIZE, 16_383)],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "6.5.2 MAX_FRAME_SIZE of 2^24",
            &[&is_of(setting::MAX_FRAME_SIZE, 1 << 24)],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "8441 ENABLE_CONNECT_PROTOCOL of 2",
            &[&is_of(setting::ENABLE_CONNECT_PROTOCOL, 2)],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "9218 NO_RFC7540_PRIORITIES of 2",
            &[&is_of(setting::NO_RFC7540_PRIORITIES, 2)],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "6.7 PING on a stream",
            &[&any(kind::PING, 0, 1, [0; 8])],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "6.7 PING too short",
            &[&any(kind::PING, 0, 0, [0; 7])],
            GoAway(FRAME_SIZE_ERROR),
        ),
        row(
            "6.7 PING too long",
            &[&any(kind::PING, 0, 0, [0; 9])],
            GoAway(FRAME_SIZE_ERROR),
        ),
        row(
            "6.7 an acknowledgement is not answered",
            &[&any(kind::PING, flag::ACK, 0, [9; 8])],
            Lives,
        ),
        row(
            "6.8 GOAWAY on a stream",
            &[&any(kind::GOAWAY, 0, 1, [0; 8])],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "6.8 GOAWAY too short",
            &[&any(kind::GOAWAY, 0, 0, [0; 7])],
            GoAway(FRAME_SIZE_ERROR),
        ),
        row(
            "6.9 WINDOW_UPDATE by nothing",
            &[&window_update(0, 0)],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "6.9 WINDOW_UPDATE by nothing on a stream",
            &[&open(1), &window_update(1, 0)],
            Reset(1, PROTOCOL_ERROR),
        ),
        row(
            "6.9 WINDOW_UPDATE too short",
            &[&any(kind::WINDOW_UPDATE, 0, 0, [0; 3])],
            GoAway(FRAME_SIZE_ERROR),
        ),
        row(
            "6.9 WINDOW_UPDATE too long",
            &[&open(1), &any(kind::WINDOW_UPDATE, 0, 1, [1; 5])],
            GoAway(FRAME_SIZE_ERROR),
        ),
        row(
            "6.9.1 the connection's window too large",
            &[&window_update(0, 1)],
            GoAway(FLOW_CONTROL_ERROR),
        ),
        row(
            "6.9.1 a stream's window too large",
            &[&open(1), &window_update(1, 1)],
            Reset(1, FLOW_CONTROL_ERROR),
        ),
        row(
            "9218 7.1 PRIORITY_UPDATE on a stream",
            &[&any(kind::PRIORITY_UPDATE, 0, 1, b"\0\0\0\x01u=1")],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "9218 7.1 PRIORITY_UPDATE too short",
            &[&any(kind::PRIORITY_UPDATE, 0, 0, [0; 3])],
            GoAway(FRAME_SIZE_ERROR),
        ),
        row(
            "9218 7.1 PRIORITY_UPDATE of stream 0",
            &[&any(kind::PRIORITY_UPDATE, 0, 0, b"\0\0\0\0u=1")],
            GoAway(PROTOCOL_ERROR),
        ),
        row(
            "9218 7.1 PRIORITY_UPDATE ahead of its stream",
            &[&any(kind::PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1"), &get(1)],
            Status(1, 200),
        ),
    ];
    check(io, rows);
}

/// The usual fields with one in place of another, or behind them.
fn with(name: &str, value: &str) -> Vec<u8> {
    let mut fields = BASE.to_vec();
    match fields.iter_mut().find(|(usual, _)| *usual == name) {
        Some(usual) => usual.1 = value,
        None => fields.push((name, value)),
    }
    headers(1, literals(&fields), true)
}

fn without(name: &str) -> Vec<u8> {
    let mut fields = BASE.to_vec();
    fields.retain(|(usual, _)| *usual != name);
    headers(1, literals(&fields), true)
}

/// These fields behind the usual ones.
fn and(fields: &[(&str, &str)]) -> Vec<u8> {
    headers(1, literals(&[&BASE[..], fields].concat()), true)
}

fn requests_keep_their_form(io: Io) {
    let malformed = Reset(1, PROTOCOL_ERROR);
    let behind = [("x-field", "1"), (":path", "/")];
    let rows = vec![
        row(
            "8.2 an upper-case name",
            &[&with("X-Field", "1")],
            malformed,
        ),
        row(
            "8.2.1 a blank in a name",
            &[&with("x field", "1")],
            malformed,
        ),
        row(
            "8.2.1 a colon in a name",
            &[&with("x:field", "1")],
            malformed,
        ),
        row("8.2.1 an empty name", &[&with("", "1")], malformed),
        row(
            "8.2.1 NUL in a value",
            &[&with("x-field", "a\0b")],
            malformed,
        ),
        row(
            "8.2.1 LF in a value",
            &[&with("x-field", "a\nb")],
            malformed,
        ),
        row(
            "8.2.1 CR in a value",
            &[&with("x-field", "a\rb")],
            malformed,
        ),
        row(
            "8.2.1 a blank ahead of a value",
            &[&with("x-field", " a")],
            malformed,
        ),
        row(
            "8.2.1 a blank behind a value",
            &[&with("x-field", "a ")],
            malformed,
        ),
        row(
            "8.2.1 a tabulator behind a value",
            &[&with("x-field", "a\t")],
            malformed,
        ),
        row(
            "8.2.1 an empty value",
            &[&with("x-field", "")],
            Status(1, 200),
        ),
        row(
            "8.2.1 blanks within a value",
            &[&with("x-field", "a b\tc")],
            Status(1, 200),
        ),
        row(
            "8.2.2 connection",
            &[&with("connection", "close")],
            malformed,
        ),
        row("8.2.2 keep-alive", &[&with("keep-alive", "1")], malformed),
        row(
            "8.2.2 proxy-connection",
            &[&with("proxy-connection", "close")],
            malformed,
        ),
        row(
            "8.2.2 transfer-encoding",
            &[&with("transfer-encoding", "chunked")],
            malformed,
        ),
        row("8.2.2 upgrade", &[&with("upgrade", "websocket")], malformed),
        row(
            "8.2.2 te of more than trailers",
            &[&with("te", "trailers, gzip")],
            malformed,
        ),
        row(
            "8.2.2 te of trailers",
            &[&with("te", "trailers")],
            Status(1, 200),
        ),
        row(
            "8.3 an unknown pseudo-header",
            &[&headers(
                1,
                literals(&[&[(":what", "1")][..], &BASE].concat()),
                true,
            )],
            malformed,
        ),
        row(
            "8.3 :status",
            &[&headers(
                1,
                literals(&[&[(":status", "200")][..], &BASE].concat()),
                true,
            )],
            malformed,
        ),
        row(
            "8.3 a pseudo-header behind a field",
            &[&headers(1, literals(&[&BASE[..3], &behind].concat()), true)],
            malformed,
        ),
        row("8.3.1 no :method", &[&without(":method")], malformed),
        row("8.3.1 no :scheme", &[&without(":scheme")], malformed),
        row("8.3.1 no :path", &[&without(":path")], malformed),
        row("8.3.1 an empty :path", &[&with(":path", "")], malformed),
        row("8.3.1 an empty :method", &[&with(":method", "")], malformed),
        row(
            "8.3.1 two :method",
            &[&headers(
                1,
                literals(&[&[(":method", "GET")][..], &BASE].concat()),
                true,
            )],
            malformed,
        ),
        row(
            "8.3.1 two :scheme",
            &[&headers(
                1,
                literals(&[&[(":scheme", "http")][..], &BASE].concat()),
                true,
            )],
            malformed,
        ),
        row(
            "8.3.1 two :path",
            &[&headers(
                1,
                literals(&[&[(":path", "/")][..], &BASE].concat()),
                true,
            )],
            malformed,
        ),
        row(
            "8.3.1 two :authority",
            &[&headers(
                1,
                literals(&[&[(":authority", "localhost")][..], &BASE].concat()),
                true,
            )],
            malformed,
        ),
        row(
            "8.3.1 a host that differs",
            &[&with("host", "other")],
            malformed,
        ),
        row(
            "8.3.1 a host that is the same",
            &[&with("host", "LOCALHOST:80")],
            Status(1, 200),
        ),
        row(
            "8.3.1 a host alone",
            &[&headers(
                1,
                literals(&[BASE[0], BASE[1], BASE[3], ("host", "localhost")]),
                true,
            )],
            Status(1, 200),
        ),
        row(
            "8.3.1 neither host nor authority",
            &[&without(":authority")],
            Status(1, 400),
        ),
        row(
            "8.3.1 a scheme in upper case",
            &[&with(":scheme", "HTTP")],
            Status(1, 200),
        ),
        row(
            "8.3.1 another scheme",
            &[&with(":scheme", "ftp")],
            malformed,
        ),
        row(
            "8.1.1 a length without content",
            &[&with("content-length", "1")],
            malformed,
        ),
        row(
            "8.1.1 a length of nothing",
            &[&with("content-length", "0")],
            Status(1, 200),
        ),
        row(
            "8.5 CONNECT without an authority",
            &[&headers(1, literals(&[(":method", "CONNECT")]), false)],
            malformed,
        ),
        row(
            "8.5 CONNECT with a path",
            &[&with(":method", "CONNECT")],
            malformed,
        ),
        row(
            "8.5 CONNECT",
            &[&headers(
                1,
                literals(&[(":method", "CONNECT"), (":authority", "h:80")]),
                true,
            )],
            Status(1, 400),
        ),
        row(
            "9110 9.1 a method that is no token",
            &[&with(":method", "G T")],
            Status(1, 400),
        ),
        row(
            "9110 10.1.1 another expectation",
            &[&with("expect", "200-ok")],
            Status(1, 417),
        ),
        row(
            "several fields of a name",
            &[&and(&[("x-field", "1"), ("x-field", "2")])],
            Status(1, 200),
        ),
    ];
    check(io, rows);
}

fn trailers_keep_their_form(io: Io) {
    let malformed = Reset(1, PROTOCOL_ERROR);
    let behind = |fields: &[(&str, &str)], end| {
        [
            open(1),
            data(1, "x", false),
            headers(1, literals(fields), end),
        ]
        .concat()
    };
    let rows = vec![
        row("8.1 trailers", &[&behind(&[("x-sum", "1")], true)], Lives),
        row("8.1 trailers of nothing", &[&behind(&[], true)], Lives),
        row(
            "8.1 trailers that do not end",
            &[&behind(&[("x-sum", "1")], false)],
            malformed,
        ),
        row(
            "8.1 a pseudo-header",
            &[&behind(&[(":path", "/")], true)],
            malformed,
        ),
        row(
            "8.2 an upper-case name",
            &[&behind(&[("X-Sum", "1")], true)],
            malformed,
        ),
        row(
            "8.2.2 a field of a connection",
            &[&behind(&[("connection", "close")], true)],
            malformed,
        ),
        row(
            "5.1 DATA behind trailers",
            &[&behind(&[("x-sum", "1")], true), &data(1, "x", true)],
            Reset(1, STREAM_CLOSED),
        ),
        row(
            "trailers that are too many",
            &[&behind(&[("x-sum", "1"); 1000], true)],
            Reset(1, code::ENHANCE_YOUR_CALM),
        ),
    ];
    check(io, rows);
}

// What a client may do though it looks odd, as far as it can be seen from here.
fn half_of_a_rule_is_none(io: Io) {
    let server = Server::start(io);
    server.serve_in(HighPerf, "localhost/", label("1"));
    let mut peer = Http2::connect(&server);
    // PING comes back as it was, ahead of answers that come later.
    peer.send(ping(*b"the same"));
    let pong = peer.step();
    assert_eq!((pong.kind, pong.flags), (kind::PING, flag::ACK));
    assert_eq!(pong.payload, b"the same");
    // Parameters that nobody knows, and all that are known.
    peer.send_settings(&[
        (0xF0F0, 1),
        (setting::HEADER_TABLE_SIZE, 0),
        (setting::HEADER_TABLE_SIZE, 1_000_000),
        (setting::ENABLE_PUSH, 0),
        (setting::MAX_CONCURRENT_STREAMS, 0),
        (setting::MAX_FRAME_SIZE, 0xFF_FFFF),
        (setting::MAX_HEADER_LIST_SIZE, 0xFFFF_FFFF),
    ]);
    peer.until(|peer| peer.acknowledged == 2);
    for _ in 0..3 {
        assert_eq!(peer.get("/").text(), "1");
    }
    // The largest identifier there is.
    peer.send(headers(0x7FFF_FFFF, head("GET", "/"), true));
    assert_eq!(peer.answer(0x7FFF_FFFF).text(), "1");
}
