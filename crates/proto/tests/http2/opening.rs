//! How a connection begins. RFC 9113 §3.4, §6.5.3.

use tidegate_httpapi::{Http2Limits, RequestLimits};
use tidegate_proto::http2::{CONNECTION_WINDOW_BYTES, ErrorCode};

use crate::support::{
    ACK, Client, HEADERS, PING, PREFACE, SETTINGS, WINDOW, WINDOW_UPDATE, ack, frame,
    settings_frame,
};

fn silent() -> Client {
    Client::silent(&Http2Limits::default(), &RequestLimits::default(), WINDOW)
}

/// The settings of the frames that a server begins with.
fn announced(client: &mut Client) -> Vec<(u16, u32)> {
    let sent = client.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(
        (sent[0].kind, sent[0].flags, sent[0].stream),
        (SETTINGS, 0, 0)
    );
    assert_eq!((sent[1].kind, sent[1].stream), (WINDOW_UPDATE, 0));
    assert_eq!(sent[1].number(0), CONNECTION_WINDOW_BYTES - 65_535);
    let parameters = sent[0].payload.chunks(6);
    parameters
        .map(|bytes| {
            let value = u32::from_be_bytes(bytes[2..].try_into().expect("four bytes"));
            (u16::from_be_bytes([bytes[0], bytes[1]]), value)
        })
        .collect()
}

#[test]
fn settings_are_announced() {
    assert_eq!(
        announced(&mut silent()),
        [(3, 100), (6, 16_384), (8, 1), (9, 1)]
    );
}

#[test]
fn other_settings_are_announced() {
    let mut limits = Http2Limits::default();
    limits.concurrent_streams_max = 5;
    limits.header_table_bytes_max = 0;
    limits.extended_connect = false;
    let mut request_limits = RequestLimits::default();
    request_limits.head_bytes_max = 256;
    let mut client = Client::silent(&limits, &request_limits, 100_000);
    assert_eq!(
        announced(&mut client),
        [(1, 0), (3, 5), (4, 100_000), (6, 256), (9, 1)]
    );
}

#[test]
fn a_preface_and_settings_begin_a_connection() {
    let mut client = silent();
    client.out.clear();
    for byte in PREFACE
        .iter()
        .chain(&settings_frame(&[(3, 100), (4, 70_000)]))
    {
        assert_eq!(
            client.send(&[*byte]).len(),
            usize::from(client.out.len() == 9)
        );
    }
    assert_eq!(client.sent(), [ack()]);
    client.get(1);
}

// RFC 9113 §3.4: an invalid preface is a connection error.
#[test]
fn what_is_no_preface_is_refused() {
    for wrong in [
        "GET / HTTP/1.1\r\n",
        "PRI * HTTP/2.1",
        "X",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX",
    ] {
        let mut client = silent();
        let told = client.send(wrong.as_bytes());
        client.check_failed(&told, ErrorCode::Protocol);
    }
    for len in 0..PREFACE.len() {
        let mut client = silent();
        assert_eq!(client.send(&PREFACE[..len]), []);
        let told = client.send(&[PREFACE[len] ^ 1]);
        client.check_failed(&told, ErrorCode::Protocol);
    }
}

#[test]
fn the_first_frame_is_settings() {
    for first in [
        frame(PING, 0, 0, &[0; 8]),
        frame(SETTINGS, ACK, 0, &[]),
        frame(HEADERS, 5, 1, &[0x82]),
        frame(0x77, 0, 0, &[]),
    ] {
        let mut client = silent();
        let told = client.send(&[PREFACE, &first].concat());
        client.check_failed(&told, ErrorCode::Protocol);
    }
}
