//! What reaches an upstream, byte by byte.

use tidegate::{ForwardHost, ForwardSettings, ForwardedFields};

use crate::client::Client;
use crate::client::free_port;
use crate::client::setting::{builder, start, stop};
use crate::to_port;
use crate::upstream::Upstream;

/// The head that reaches the upstream when these lines come, and the status of the answer.
fn passed(set: impl Fn(&mut ForwardSettings), request: &str) -> (String, u16) {
    let upstream = Upstream::start(|connection| connection.answer_all("x"));
    let port = free_port();
    let mut settings = to_port(upstream.port);
    set(&mut settings);
    let mode = tidegate::OperatingMode::HighPerf;
    let server = start(builder(tidegate::Io::Poll, mode, port).forward(settings));
    let mut client = Client::connect(port);
    client.send_bytes(request.as_bytes());
    let answer = client.receive();
    let head = match answer.status {
        200 => upstream.head().replace(&upstream.port.to_string(), "PORT"),
        _ => String::new(),
    };
    assert!(upstream.has_no_more_heads());
    drop(client);
    stop(server);
    (head, answer.status)
}

#[test]
fn a_usual_request_is_passed_on() {
    let (head, _) = passed(
        |_| {},
        "GET /a/b?c=d HTTP/1.1\r\nHost: www.example:8080\r\nAccept: text/html\r\nx-Odd: 1\r\n\
         X-Odd: 2\r\nCookie: a=b\r\nConnection: keep-alive\r\n\r\n",
    );
    assert_eq!(
        head,
        "GET /a/b?c=d HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nAccept: text/html\r\nx-Odd: 1\r\n\
         X-Odd: 2\r\nCookie: a=b\r\n\
         Forwarded: for=127.0.0.1;host=\"www.example:8080\";proto=http\r\n\
         X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: www.example:8080\r\n\
         X-Forwarded-Proto: http\r\nVia: 1.1 edge\r\n\r\n"
    );
}

fn quiet(settings: &mut ForwardSettings) {
    settings.forwarded = ForwardedFields::None;
}

// RFC 9110 §7.6.1.
#[test]
fn fields_for_one_connection_are_not_passed_on() {
    let (head, _) = passed(
        quiet,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-One, close, Te\r\nX-One: 1\r\nX-Two: 2\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\n\
         Proxy-Authorization: Basic eDp5\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\
         Connection: X-Three, Upgrade, HTTP2-Settings\r\nX-Three: 3\r\nMax-Forwards: 5\r\n\r\n",
    );
    assert_eq!(
        head,
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nX-Two: 2\r\nMax-Forwards: 5\r\n\
         Via: 1.1 edge\r\n\r\n"
    );
}

#[test]
fn what_strangers_say_of_whom_they_forward_for_is_dropped() {
    let claims = "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=1.2.3.4\r\nX-Forwarded-For: 1.2.3.4\r\n\
         x-forwarded-proto: https\r\nX_Forwarded_For: 1.2.3.4\r\nX-Forwarded-Port: 1\r\n\
         X-Forwarded-Host: b\r\nVia: 1.0 other\r\n\r\n";
    let (head, _) = passed(|_| {}, claims);
    assert_eq!(
        head,
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nVia: 1.0 other\r\n\
         Forwarded: for=127.0.0.1;host=a;proto=http\r\nX-Forwarded-For: 127.0.0.1\r\n\
         X-Forwarded-Host: a\r\nX-Forwarded-Proto: http\r\nVia: 1.1 edge\r\n\r\n"
    );
    let (head, _) = passed(quiet, claims);
    assert_eq!(
        head,
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nVia: 1.0 other\r\nVia: 1.1 edge\r\n\r\n"
    );
    let trusts = |settings: &mut ForwardSettings| {
        settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    };
    let (head, _) = passed(trusts, claims);
    assert_eq!(
        head,
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nX-Forwarded-Port: 1\r\nVia: 1.0 other\r\n\
         Forwarded: for=1.2.3.4, for=127.0.0.1;host=a;proto=http\r\n\
         X-Forwarded-For: 1.2.3.4, 127.0.0.1\r\n\
         X-Forwarded-Host: b\r\nX-Forwarded-Proto: https\r\nVia: 1.1 edge\r\n\r\n"
    );
}

#[test]
fn settings_change_host_origin_and_fields() {
    let set = |settings: &mut ForwardSettings| {
        quiet(settings);
        settings.host = ForwardHost::Name("backend.example".to_owned());
        settings.origin = Some("https://backend.example".to_owned());
        settings
            .set_fields
            .insert("X-Env".to_owned(), "prod".to_owned());
        settings.remove_fields.push("cookie".to_owned());
    };
    let request =
        "GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://a\r\nCookie: x\r\nX-ENV: dev\r\n\r\n";
    assert_eq!(
        passed(set, request).0,
        "GET / HTTP/1.1\r\nHost: backend.example\r\nOrigin: https://backend.example\r\n\
         Via: 1.1 edge\r\nX-Env: prod\r\n\r\n"
    );
    let preserves = |settings: &mut ForwardSettings| {
        quiet(settings);
        settings.host = ForwardHost::Preserve;
    };
    assert_eq!(
        passed(preserves, "GET / HTTP/1.1\r\nHost: a:1\r\n\r\n").0,
        "GET / HTTP/1.1\r\nHost: a:1\r\nVia: 1.1 edge\r\n\r\n"
    );
}

#[test]
fn paths_are_put_together_and_spelled_once() {
    let target = |set: &dyn Fn(&mut ForwardSettings), target: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let (head, status) = passed(|settings| set(settings), &request);
        let line = head.lines().next().map(str::to_owned);
        line.map_or(status.to_string(), |line| {
            line.split(' ').nth(1).unwrap().to_owned()
        })
    };
    let plain = |_: &mut ForwardSettings| {};
    assert_eq!(
        target(&plain, "/a%2F..%2Fb/%41?x=%2F..&y"),
        "/b/%41?x=%2F..&y"
    );
    assert_eq!(target(&plain, "/%252e%252e/a"), "/%252e%252e/a");
    assert_eq!(target(&plain, "http://a/x/./y"), "/x/y");
    assert_eq!(target(&plain, "/?"), "/?");
    let stripped = |settings: &mut ForwardSettings| {
        settings.path = "/api/".to_owned();
        settings.strip_path = true;
        let url = format!("{}/base/", settings.to[0]);
        settings.to = vec![url.parse().unwrap()];
    };
    assert_eq!(target(&stripped, "/api/x?y"), "/base/x?y");
    assert_eq!(target(&stripped, "/x/..//%61pi/x"), "/base/x");
    assert_eq!(target(&stripped, "/api"), "/base");
    assert_eq!(target(&stripped, "/api/%2e%2e/other"), "404");
    let raw = |settings: &mut ForwardSettings| settings.raw_path = true;
    assert_eq!(target(&raw, "/@scope%2Fname"), "/@scope%2Fname");
    assert_eq!(target(&plain, "/@scope%2Fname"), "/@scope/name");
}

#[test]
fn content_is_framed_as_it_came() {
    let upstream = Upstream::start(|connection| {
        while let Some(head) = connection.head() {
            let content = match head.contains("chunked") {
                true => connection.take_chunked(),
                false => connection.take(5),
            };
            connection.answer(&content);
        }
    });
    let port = free_port();
    let mut settings = to_port(upstream.port);
    quiet(&mut settings);
    let mode = tidegate::OperatingMode::Classic;
    let server = start(builder(tidegate::Io::Poll, mode, port).forward(settings));
    let mut client = Client::connect(port);
    client.send_bytes(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.receive().text(), "hello");
    assert_eq!(
        upstream.head().replace(&upstream.port.to_string(), "PORT"),
        "POST / HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nVia: 1.1 edge\r\nContent-Length: 5\r\n\r\n"
    );
    client.send_bytes(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
          5;ext=1\r\nhello\r\n0\r\nX-Sum: 7\r\nContent-Length: 3\r\n\r\n",
    );
    let content = client.receive();
    // Extensions are for one connection; what may not stand in a trailer section is left out.
    assert_eq!(content.text(), "5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n");
    assert_eq!(
        upstream.head().replace(&upstream.port.to_string(), "PORT"),
        "POST / HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nTrailer: X-Sum\r\nVia: 1.1 edge\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    drop(client);
    stop(server);
}

// RFC 9112 §11.2: whatever could be read in two ways never gets as far as an upstream.
#[test]
fn smuggled_requests_do_not_reach_the_upstream() {
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\nContent-Length: 5\r\n\r\nhello",
        "GET / HTTP/1.1\r\nHost: a\r\n X: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ] {
        let (_, status) = passed(|_| {}, request);
        assert!((400..=501).contains(&status), "{request:?}: {status}");
    }
}

// RFC 9110 §7.6.2, §7.6.3.
#[test]
fn what_is_not_to_go_further_is_answered_here() {
    let (_, status) = passed(
        |_| {},
        "OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n",
    );
    assert_eq!(status, 404, "nobody listens to requests here");
    let (head, _) = passed(
        quiet,
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 2\r\n\r\n",
    );
    assert_eq!(
        head,
        "OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nMax-Forwards: 1\r\nVia: 1.1 edge\r\n\r\n"
    );
    let circles = "Via: 1.1 edge, 1.1 other\r\n".repeat(6);
    let (_, status) = passed(
        |_| {},
        &format!("GET / HTTP/1.1\r\nHost: a\r\n{circles}\r\n"),
    );
    assert_eq!(status, 508);
    let (_, status) = passed(
        |_| {},
        "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 edge, 1.1 edge\r\n\r\n",
    );
    assert_eq!(status, 200);
}

// What a proxy in front tells by its header is what the upstream is told.
#[test]
fn whom_a_proxy_passes_on_is_the_client() {
    let upstream = Upstream::start(|connection| connection.answer_all("x"));
    let port = free_port();
    let mode = tidegate::OperatingMode::Classic;
    let proxies = tidegate::ProxyProtocol::From(vec!["127.0.0.0/8".parse().unwrap()]);
    let builder = builder(tidegate::Io::Poll, mode, port).proxy_protocol(proxies);
    let server = start(builder.forward(to_port(upstream.port)));
    let mut client = Client::connect(port);
    client.send_bytes(
        b"PROXY TCP6 2001:db8::1 2001:db8::2 50000 443\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!(client.receive().status, 200);
    let head = upstream.head();
    assert!(
        head.contains("\r\nForwarded: for=\"[2001:db8::1]\";host=a;proto=http\r\n"),
        "{head}"
    );
    assert!(
        head.contains("\r\nX-Forwarded-For: 2001:db8::1\r\n"),
        "{head}"
    );
    drop(client);
    stop(server);
}
