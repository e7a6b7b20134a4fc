//! Request smuggling: requests that a front server and this one could end at different places, or
//! route differently. Each is refused, and the connection closes.

mod support;

use support::{refuse, show};

#[test]
fn every_attempt_is_refused() {
    let attempts: [&str; 33] = [
        // CL.TE and TE.CL
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        "Content-Length: 6\r\ntransfer-encoding: CHUNKED\r\n",
        // TE.TE: a coding that one side may not see
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\t: chunked\r\n",
        "Transfer-Encoding:\u{b}chunked\r\n",
        "Transfer-Encoding: \0chunked\r\n",
        "Transfer-Encoding: chunked\0\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n",
        "Transfer-Encoding: 'chunked'\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding:\n chunked\r\n",
        "X: y\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n",
        "X: y\rTransfer-Encoding: chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "Transfer_Encoding:chunked\r\nContent-Length: 1 \u{b}\r\n",
        "Transfer-Encoding;: chunked\r\n",
        // CL.CL
        "Content-Length: 6\r\nContent-Length: 7\r\n",
        "Content-Length: 6, 7\r\n",
        "Content-Length: +6\r\n",
        "Content-Length: 0x6\r\n",
        "Content-Length: 6 6\r\n",
        "Content-Length: 6\u{b}\r\n",
        "Content-Length : 6\r\n",
        "Content-Length: -0\r\n",
        "Content-Length: 6\n",
        "Content-Length\0: 6\r\n",
        "Content-Length: 6\r\n\tContent-Length: 7\r\n",
    ];
    for attempt in attempts {
        let head = format!("POST / HTTP/1.1\r\nHost: h\r\n{attempt}\r\n0\r\n\r\nG");
        let status = refuse(&head).status();
        assert!(matches!(status, 400 | 501), "{}", show(head.as_bytes()));
    }
}

#[test]
fn two_hosts_are_never_seen() {
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost : b\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:80@b\r\n\r\n",
        "GET http://a@b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a\\@b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a#@b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a:1:2/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\thttp://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        assert_eq!(refuse(head).status(), 400, "{head:?}");
    }
}
