//! Response heads: what is written, what is left out, and what is copied from before.
#![allow(clippy::unwrap_used, reason = "the helper functions are tests, too")]

use tidegate_httpapi::{ServerHeaderMode, Version};

use super::*;
use crate::http1::{EncodedHead, SentFraming, encode_head, error_page};
use crate::http2::hpack::{Decoder, HeaderList, HeaderListLimits};

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

fn context() -> ResponseContext<'static> {
    ResponseContext {
        version: Version::Http2,
        head_request: false,
        keep_alive: true,
        date: DATE,
        server_token: "Tidegate/0.1",
        server_mode: ServerHeaderMode::Full,
        from_driver: false,
    }
}

fn block_of(fields: &[(&str, &str)]) -> FieldBlock {
    let mut block = FieldBlock::new();
    for (name, value) in fields {
        block.append(name, value).unwrap();
    }
    block
}

fn head(status: u16, fields: &[(&str, &str)]) -> ResponseHead {
    let mut head = ResponseHead::new(status);
    head.fields = block_of(fields);
    head
}

/// Both ends of a connection.
struct Ends {
    encoder: Encoder,
    memo: Memo,
    decoder: Decoder,
}

type Pairs = Vec<(String, String)>;

impl Ends {
    fn new() -> Self {
        Self {
            encoder: Encoder::new(4096),
            memo: Memo::default(),
            decoder: Decoder::new(4096),
        }
    }

    fn send(
        &mut self,
        head: &ResponseHead,
        length: Option<u64>,
        context: &ResponseContext<'_>,
    ) -> (Vec<u8>, SentHead) {
        let mut block = Vec::new();
        let sent = encode(
            &mut self.encoder,
            &mut self.memo,
            head,
            length,
            context,
            false,
            &mut block,
        );
        (block, sent)
    }

    fn decode(&mut self, block: &[u8]) -> Pairs {
        let mut list = HeaderList::new(HeaderListLimits::default());
        self.decoder.decode(block, &mut list).unwrap();
        assert!(!list.is_malformed());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        list.iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    /// What the peer gets of an answer.
    fn answer(
        &mut self,
        head: &ResponseHead,
        length: Option<u64>,
        context: &ResponseContext<'_>,
    ) -> (Pairs, SentHead) {
        let (block, sent) = self.send(head, length, context);
        (self.decode(&block), sent)
    }
}

fn answer(head: &ResponseHead, length: Option<u64>) -> (Pairs, SentHead) {
    Ends::new().answer(head, length, &context())
}

fn values(pairs: &Pairs, name: &str) -> Vec<String> {
    let with_name = pairs.iter().filter(|pair| pair.0 == name);
    with_name.map(|pair| pair.1.clone()).collect()
}

// Case C01.
#[test]
fn a_response_has_length_date_and_server() {
    let (pairs, sent) = answer(&head(200, &[("Content-Type", "text/plain")]), Some(8));
    let wanted = [
        (":status", "200"),
        ("content-type", "text/plain"),
        ("content-length", "8"),
        ("server", "Tidegate/0.1"),
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ];
    assert_eq!(
        pairs,
        wanted.map(|(name, value)| (name.into(), value.into()))
    );
    let wanted = SentHead {
        send_content: true,
        ended: false,
        length: Some(8),
    };
    assert_eq!(sent, wanted);
}

// RFC 9113 §8.2.2.
#[test]
fn fields_of_a_connection_are_left_out() {
    let fields = [
        ("Connection", "close, X-Hop"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "h2c"),
        ("TE", "trailers"),
        ("x-hop", "1"),
        ("Date", "now"),
        ("X-Kept", "2"),
        ("Set-Cookie", "a=1"),
        ("set-cookie", "b=2"),
    ];
    let (pairs, _) = answer(&head(404, &fields), Some(1));
    let names: Vec<_> = pairs.iter().map(|pair| pair.0.as_str()).collect();
    let wanted = [
        ":status",
        "x-kept",
        "set-cookie",
        "set-cookie",
        "content-length",
        "server",
        "date",
    ];
    assert_eq!(names, wanted);
    assert_eq!(values(&pairs, "date"), ["Sun, 06 Nov 1994 08:49:37 GMT"]);
}

// Case T06.
#[test]
fn who_wants_the_connection_closed() {
    assert!(!wants_close(&head(200, &[("Connection", "keep-alive")])));
    assert!(!wants_close(&head(200, &[("X", "close")])));
    assert!(wants_close(&head(200, &[("Connection", "x, Close")])));
    let two = [("connection", "x"), ("connection", "close")];
    assert!(wants_close(&head(200, &two)));
    let mut closing = head(200, &[]);
    closing.close = true;
    assert!(wants_close(&closing));
}

#[test]
fn a_stream_ends_with_its_head_when_nothing_follows() {
    let ended = |head: &ResponseHead, length| {
        let (pairs, sent) = answer(head, length);
        (
            sent.send_content,
            sent.ended,
            values(&pairs, "content-length").join("|"),
        )
    };
    assert_eq!(ended(&head(200, &[]), Some(0)), (true, true, "0".into()));
    assert_eq!(ended(&head(200, &[]), None), (true, false, String::new()));
    assert_eq!(
        ended(&head(204, &[]), Some(5)),
        (false, true, String::new())
    );
    assert_eq!(
        ended(&head(304, &[]), Some(5)),
        (false, true, String::new())
    );
    let mut with_trailers = head(200, &[]);
    with_trailers.trailers = Some(Box::new(block_of(&[("a", "b")])));
    assert_eq!(ended(&with_trailers, Some(0)), (true, false, "0".into()));
}

// Cases C02, and what HTTP/1 says of lengths.
#[test]
fn lengths_are_those_of_http_1() {
    for status in [200, 204, 206, 304, 404] {
        for said in [
            None,
            Some("0"),
            Some("7"),
            Some("x"),
            Some("7, 7"),
            Some(""),
        ] {
            for length in [None, Some(0), Some(5), Some(123_456)] {
                for head_request in [false, true] {
                    let fields = said.map(|said| ("Content-Length", said));
                    let head = head(status, fields.as_slice());
                    let context = ResponseContext {
                        head_request,
                        ..context()
                    };
                    let (pairs, sent) = Ends::new().answer(&head, length, &context);
                    let (text, encoded) = in_http_1(&head, length, &context);
                    let case = format!("{status} {said:?} {length:?} {head_request}");
                    let line = text
                        .lines()
                        .find_map(|line| line.strip_prefix("Content-Length: "));
                    let field = values(&pairs, "content-length");
                    assert_eq!(field.first().map(String::as_str), line, "{case}");
                    assert_eq!(sent.send_content, encoded.send_content, "{case}");
                    let is_empty = encoded.framing == SentFraming::None || length == Some(0);
                    assert_eq!(sent.ended, is_empty, "{case}");
                }
            }
        }
    }
}

fn in_http_1(
    head: &ResponseHead,
    length: Option<u64>,
    context: &ResponseContext<'_>,
) -> (String, EncodedHead) {
    let context = ResponseContext {
        version: Version::Http11,
        ..*context
    };
    let mut out = Vec::new();
    let encoded = encode_head(&mut out, head, length, &context);
    (String::from_utf8(out).unwrap(), encoded)
}

#[test]
fn the_servers_name_is_that_of_http_1() {
    for server_mode in [
        ServerHeaderMode::Full,
        ServerHeaderMode::NotOnErrors,
        ServerHeaderMode::Never,
    ] {
        for from_driver in [false, true] {
            for token in ["Tidegate/0.1", ""] {
                for fields in [
                    &[][..],
                    &[("Server", "Own")],
                    &[("server", "A"), ("Server", "B")],
                ] {
                    let head = head(200, fields);
                    let context = ResponseContext {
                        server_mode,
                        from_driver,
                        server_token: token,
                        ..context()
                    };
                    let (pairs, _) = Ends::new().answer(&head, Some(1), &context);
                    let (text, _) = in_http_1(&head, Some(1), &context);
                    let lines = text.lines().filter_map(|line| line.split_once(": "));
                    let lines: Vec<_> = lines
                        .filter(|line| line.0.eq_ignore_ascii_case("server"))
                        .map(|line| line.1.to_owned())
                        .collect();
                    assert_eq!(values(&pairs, "server"), lines, "{context:?} {fields:?}");
                }
            }
        }
    }
}

// RFC 9113 §8.6.
#[test]
fn a_status_that_is_none_is_500() {
    for status in [0, 99, 100, 101, 199, 1000, u16::MAX] {
        let (pairs, sent) = answer(&head(status, &[]), Some(3));
        assert_eq!(values(&pairs, ":status"), ["500"], "{status}");
        assert!(sent.send_content && !sent.ended, "{status}");
    }
    for status in [200, 201, 299, 451, 599, 999] {
        let (pairs, _) = answer(&head(status, &[]), Some(3));
        assert_eq!(values(&pairs, ":status"), [status.to_string()]);
    }
}

// RFC 9110 §9.3.6.
#[test]
fn a_tunnel_has_no_length_and_stays_open() {
    let mut ends = Ends::new();
    let mut block = Vec::new();
    let head = head(
        200,
        &[("Content-Length", "5"), ("Sec-WebSocket-Protocol", "chat")],
    );
    let context = context();
    let Ends { encoder, memo, .. } = &mut ends;
    let sent = encode(encoder, memo, &head, Some(0), &context, true, &mut block);
    let wanted = SentHead {
        send_content: true,
        ended: false,
        length: None,
    };
    assert_eq!(sent, wanted);
    let pairs = ends.decode(&block);
    assert!(values(&pairs, "content-length").is_empty());
    assert_eq!(values(&pairs, "sec-websocket-protocol"), ["chat"]);
}

#[test]
fn interim_fields_and_trailers_are_written() {
    let mut ends = Ends::new();
    let fields = block_of(&[
        ("Link", "</style.css>; rel=preload"),
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Checksum", ""),
    ]);
    let kept = [("link", "</style.css>; rel=preload"), ("checksum", "")];
    let kept = kept.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut block = Vec::new();
    ends.encoder.encode_status(&mut block, 103);
    encode_fields(&mut ends.encoder, &fields, &mut block);
    let pairs = ends.decode(&block);
    assert_eq!(pairs[0], (":status".into(), "103".into()));
    assert_eq!(pairs[1..], kept);
    block.clear();
    encode_fields(&mut ends.encoder, &fields, &mut block);
    assert_eq!(ends.decode(&block), kept);
}

// The same answer over and over, others in between, seconds that pass: a peer always gets what it would
// get without the memo.
#[test]
fn what_is_copied_is_what_would_be_encoded() {
    let mut heads = [
        head(200, &[("Content-Type", "text/plain")]),
        head(
            200,
            &[("Content-Type", "text/html"), ("Cache-Control", "no-store")],
        ),
        head(404, &[("Content-Type", "text/plain")]),
        head(204, &[]),
        head(200, &[("Server", "Own"), ("X-Long", &"x".repeat(900))]),
        head(200, &[("Content-Type", "text/plain")]),
    ];
    heads[5].trailers = Some(Box::new(block_of(&[("a", "b")])));
    let mut ends = Ends::new();
    let mut number = 1_u64;
    let mut copied = 0;
    for round in 0..2_000_u64 {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let choice = number >> 33;
        let mut date = *DATE;
        date[24] = b'0' + (round / 100 % 10) as u8;
        let context = ResponseContext {
            date: &date,
            head_request: choice.is_multiple_of(7),
            from_driver: choice.is_multiple_of(11),
            server_mode: if round % 500 < 400 {
                ServerHeaderMode::NotOnErrors
            } else {
                ServerHeaderMode::Never
            },
            ..context()
        };
        // Mostly one of two, so that something is repeated.
        let index = if choice.is_multiple_of(5) {
            choice / 5 % 6
        } else {
            choice % 2
        };
        let head = &heads[index as usize];
        let length = [Some(13), Some(0), None][(choice / 64 % 3) as usize];
        if round % 300 == 299 {
            let bytes_max = [0, 4096, 200][(round / 300 % 3) as usize];
            ends.encoder.set_peer_table_bytes_max(bytes_max);
        }
        let (before, generation) = (ends.memo.clone(), ends.encoder.generation());
        let (pairs, sent) = ends.answer(head, length, &context);
        let (fresh_pairs, fresh_sent) = Ends::new().answer(head, length, &context);
        assert_eq!((pairs, sent), (fresh_pairs, fresh_sent), "{round}");
        let answer = Answer {
            head,
            length,
            context: &context,
            tunnel: false,
        };
        copied += u32::from(before.find(generation, &answer, &mut Vec::new()).is_some());
    }
    assert!(copied > 200, "{copied}");
}

#[test]
fn the_third_of_equal_answers_is_remembered() {
    let mut ends = Ends::new();
    let head = head(200, &[("Content-Type", "text/plain")]);
    let blocks: Vec<_> = (0..5)
        .map(|_| ends.send(&head, Some(5), &context()).0)
        .collect();
    assert_eq!(blocks[2], blocks[4]);
    assert!(blocks[4].len() < 10, "{:?}", blocks[4]);
    let answer = Answer {
        head: &head,
        length: Some(5),
        context: &context(),
        tunnel: false,
    };
    let generation = ends.encoder.generation();
    let mut copy = Vec::new();
    assert!(ends.memo.find(generation, &answer, &mut copy).is_some());
    assert_eq!(copy, blocks[4]);
    let longer = Answer {
        length: Some(6),
        ..answer
    };
    assert!(ends.memo.find(generation, &longer, &mut copy).is_none());
    assert!(ends.memo.find(generation + 1, &answer, &mut copy).is_none());
    ends.memo = Memo::default();
    assert!(ends.memo.find(generation, &answer, &mut copy).is_none());
}

#[test]
fn a_size_update_is_not_repeated() {
    let mut ends = Ends::new();
    ends.encoder.set_peer_table_bytes_max(0);
    let head = head(200, &[]);
    let blocks: Vec<_> = (0..3)
        .map(|_| ends.send(&head, Some(5), &context()).0)
        .collect();
    assert_eq!(blocks[0][0] & 0xE0, 0x20);
    assert_eq!(blocks[1][0], 0x88);
    assert_eq!(blocks[1], blocks[2]);
    for block in blocks {
        ends.decode(&block);
    }
}

#[test]
fn an_error_page_is_that_of_http_1() {
    let (head, page) = error_page(404, "Nowhere", "It is not there.");
    let context = ResponseContext {
        from_driver: true,
        ..context()
    };
    let (pairs, sent) = Ends::new().answer(&head, Some(page.len() as u64), &context);
    assert_eq!(values(&pairs, ":status"), ["404"]);
    assert_eq!(
        values(&pairs, "content-type"),
        ["text/html; charset=us-ascii"]
    );
    assert!(sent.send_content && !wants_close(&head));
    let mut out = Vec::new();
    let context = ResponseContext {
        version: Version::Http11,
        ..context
    };
    crate::http1::encode_error_page(&mut out, 404, "Nowhere", "It is not there.", &context);
    assert!(out.ends_with(&page) && !page.is_empty());
}
