//! However the bytes are split, the same is told and the same is sent.

use tidegate_httpapi::{Http2Limits, RequestLimits};

use crate::support::{
    ACK, CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, GET, GOAWAY, HAS_PRIORITY, HEADERS,
    Numbers, PADDED, PING, POST, PREFACE, PRIORITY, PRIORITY_UPDATE, RST_STREAM, Told, WINDOW,
    WINDOW_UPDATE, frame, settings_frame, with,
};

/// What a client may send, mostly well-formed.
fn stream(numbers: &mut Numbers) -> Vec<u8> {
    let mut client = new();
    let mut bytes = [PREFACE, &settings_frame(&[(4, 100_000)])].concat();
    let mut next = 1;
    // Streams on which more may come.
    let mut open = Vec::new();
    for _ in 0..1 + numbers.below(30) {
        let index = numbers.below(open.len());
        let (stream, what) = match open.get(index) {
            _ if numbers.below(60) == 0 => (numbers.below(60) as u32, 5 + numbers.below(7)),
            Some(stream) => (*stream, numbers.below(12)),
            None => (0, 11 * numbers.below(2)),
        };
        let ended = match numbers.below(3) {
            0 => END_STREAM,
            _ => 0,
        };
        if (ended != 0 && (5..=7).contains(&what)) || what == 8 || what == 10 {
            open.retain(|known| *known != stream);
        }
        match what {
            0..=4 => {
                if head(&mut client, numbers, next, &mut bytes) {
                    open.push(next);
                }
                next += 2;
            }
            5 | 6 => {
                let content = vec![b'c'; [0, 1, 300, 16_000][numbers.below(4)]];
                bytes.extend(frame(DATA, ended, stream, &content));
            }
            7 => {
                let padding = numbers.below(256);
                let payload = [&[padding as u8][..], b"content", &vec![0; padding]].concat();
                bytes.extend(frame(DATA, PADDED | ended, stream, &payload));
            }
            8 => {
                let block = client.block(&[("x-trailer", "1")]);
                bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &block));
            }
            9 => bytes.extend(frame(WINDOW_UPDATE, 0, stream, &[0, 0, 1, 0])),
            10 => bytes.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])),
            _ => bytes.extend(match numbers.below(7) {
                0 => frame(PING, 0, 0, b"pingpong"),
                1 => frame(GOAWAY, 0, 0, &[0; 12]),
                2 => frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 1]),
                3 => frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x09u=1, i"),
                4 => settings_frame(&[(4, 70_000), (1, 100)]),
                5 => frame(0xAA, 0xFF, stream, &[7; 50]),
                _ => frame(4, ACK, 0, &[]),
            }),
        }
    }
    if numbers.below(3) == 0 {
        let index = 24 + numbers.below(bytes.len() - 24);
        bytes[index] ^= 1 << numbers.below(8);
    }
    bytes
}

/// A request. Says whether more may come on its stream.
fn head(client: &mut Client, numbers: &mut Numbers, id: u32, bytes: &mut Vec<u8>) -> bool {
    let long = "v".repeat(numbers.below(300));
    let block = match numbers.below(5) {
        0 => client.block(&POST),
        1 => client.block(&with(&POST, &[("content-length", "300")])),
        2 => client.block(&with(&GET, &[("x-long", &long)])),
        3 => client.block(&with(&GET, &[("te", &long)])),
        _ => client.block(&GET),
    };
    let ended = [0, END_STREAM][numbers.below(2)];
    match numbers.below(3) {
        0 => {
            let cut = numbers.below(block.len());
            bytes.extend(frame(HEADERS, ended, id, &block[..cut]));
            bytes.extend(frame(CONTINUATION, 0, id, &[]));
            bytes.extend(frame(CONTINUATION, END_HEADERS, id, &block[cut..]));
        }
        1 => {
            let payload = [&[3, 0, 0, 0, 0, 9][..], &block, &[0; 3]].concat();
            let flags = ended | END_HEADERS | PADDED | HAS_PRIORITY;
            bytes.extend(frame(HEADERS, flags, id, &payload));
        }
        _ => bytes.extend(frame(HEADERS, ended | END_HEADERS, id, &block)),
    }
    ended == 0
}

fn new() -> Client {
    Client::silent(&Http2Limits::default(), &RequestLimits::default(), WINDOW)
}

/// What is told, with pieces of content put together, and what is sent.
fn outcome<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Told>, Vec<u8>) {
    let mut client = new();
    let mut all: Vec<Told> = Vec::new();
    for piece in pieces {
        for told in client.send(piece) {
            match (all.last_mut(), told) {
                (Some(Told::Data(key, content, ended)), Told::Data(more_of, more, ends))
                    if *key == more_of && !*ended =>
                {
                    content.extend(more);
                    *ended = ends;
                }
                (_, told) => all.push(told),
            }
        }
    }
    (all, client.out)
}

#[test]
fn any_split_has_the_same_outcome() {
    let mut numbers = Numbers(0x1234_5678_9ABC_DEF1);
    let mut requests = 0;
    let mut failures = 0;
    for round in 0..400 {
        let bytes = stream(&mut numbers);
        let whole = outcome([&bytes[..]]);
        requests += whole
            .0
            .iter()
            .filter(|told| matches!(told, Told::Request(..)))
            .count();
        failures += usize::from(matches!(whole.0.last(), Some(Told::Failed(_))));
        if bytes.len() < 3_000 {
            assert_eq!(outcome(bytes.chunks(1)), whole, "round {round}");
        }
        for _ in 0..4 {
            let most = 1 + numbers.below(200);
            let mut pieces = Vec::new();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at((1 + numbers.below(most)).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            assert_eq!(outcome(pieces), whole, "round {round}");
        }
    }
    // The streams are neither all right nor all wrong.
    assert!(
        requests > 1_000 && failures > 50 && failures < 350,
        "{requests} {failures}"
    );
}
