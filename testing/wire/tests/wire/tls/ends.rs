//! How secure connections end, well and badly: `close_notify` is said at the end of each that was open.
//! RFC 8446 §6.1. That it is said is looked at by the client with every end.

use std::task::{Context, Waker};
use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, Error};
use tidegate_driver::Io;
use tidegate_httpapi::{Backend, Deferred, OpaqueEnd, StreamReset};
use tidegate_wire::{
    Arrival, Client, Http2, Offer, PATIENCE, Refusal, Secure, Server, Told, UPGRADE, Upgrade,
    answering, code, echo_bytes, frame, held, label, on_both_loops, until, upgrading,
};

use super::{GET, connect, secure};

on_both_loops!(
    every_end_of_http_1_is_told,
    every_end_of_http_2_is_told,
    a_client_that_ends_gets_its_answers,
    a_reset_is_a_reset,
    a_stop_is_told,
    plain_http_to_a_secure_port_gets_no_answer,
    garbage_to_a_secure_port_ends_the_connection,
    a_broken_record_ends_the_connection,
    who_works_for_a_connection_hears_of_a_broken_record,
    a_hello_to_a_plain_port_is_refused,
    a_handshake_that_does_not_end_is_given_up,
);

fn every_end_of_http_1_is_told(io: Io) {
    let server = secure(io);
    let place = server.serve("localhost/", label("1"));
    for version in [&TLS12, &TLS13] {
        let offer = Offer {
            version: Some(version),
            ..Offer::of(&[])
        };
        let open = || Client::connect_secure(server.port, &offer).unwrap();
        let mut closing = open();
        let response = closing.ask(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
        assert!(response.closes());
        closing.expect_orderly_close();
        let mut refused = open();
        assert_eq!(refused.ask("GET / HTTP/1.1\r\n\r\n").status, 400);
        refused.expect_orderly_close();
        let mut finishing = open();
        let bye = finishing.secure().close();
        finishing.send_raw(bye);
        finishing.expect_orderly_close();
    }
    server.set_group(&place, |group| {
        group.timeouts.idle_connection = Some(Some(Duration::from_millis(200)));
    });
    let mut idle = connect(&server);
    assert_eq!(idle.ask(GET).text(), "1");
    idle.expect_orderly_close();
}

fn open_http2(server: &Server) -> Http2 {
    let client = Client::connect_secure(server.port, &Offer::of(&["h2"])).unwrap();
    Http2::begin(client, &[])
}

fn every_end_of_http_2_is_told(io: Io) {
    let server = secure(io);
    let place = server.serve("localhost/", label("1"));
    let mut failing = open_http2(&server);
    failing.send(frame::window_update(0, 0));
    failing.ends_with(code::PROTOCOL_ERROR);
    let mut leaving = open_http2(&server);
    assert_eq!(leaving.get("/").text(), "1");
    leaving.send(frame::frame(tidegate_wire::kind::GOAWAY, 0, 0, [0; 8]));
    let bye = leaving.wire.secure().close();
    leaving.wire.send_raw(bye);
    leaving.ends_with(code::NO_ERROR);
    server.set_group(&place, |group| {
        group.timeouts.idle_connection = Some(Some(Duration::from_millis(200)));
    });
    let mut idle = open_http2(&server);
    assert_eq!(idle.get("/").text(), "1");
    idle.ends_with(code::NO_ERROR);
}

fn a_client_that_ends_gets_its_answers(io: Io) {
    let server = secure(io);
    let (application, requests) = held();
    server.serve("localhost/", application);
    let mut client = connect(&server);
    client.send(GET);
    let request = requests.next();
    let bye = client.secure().close();
    client.send_raw(bye);
    request.responder.respond_bytes(200, "bye".into());
    assert_eq!(client.response().text(), "bye");
    client.expect_orderly_close();
    let mut peer = open_http2(&server);
    let stream = peer.request("GET", "/", &[], true);
    let request = requests.next();
    let bye = peer.wire.secure().close();
    peer.wire.send_raw(bye);
    request.responder.respond_bytes(200, "bye".into());
    assert_eq!(peer.answer(stream).text(), "bye");
    assert_eq!(peer.end(), Arrival::Closed);
}

fn a_reset_is_a_reset(io: Io) {
    let server = secure(io);
    server.serve(
        "localhost/",
        answering(|exchange| exchange.reset(StreamReset::CANCEL)),
    );
    let mut client = connect(&server);
    client.send(GET);
    client.expect_reset();
    let mut peer = open_http2(&server);
    assert_eq!(peer.get("/").reset, Some(code::CANCEL));
    assert_eq!(peer.get("/").reset, Some(code::CANCEL));
}

fn a_stop_is_told(io: Io) {
    let server = secure(io);
    server.serve("localhost/", label("1"));
    let mut client = connect(&server);
    let mut peer = open_http2(&server);
    assert_eq!(client.ask(GET).text(), "1");
    assert_eq!(peer.get("/").text(), "1");
    let mut shaking = server.client();
    shaking.send(&Secure::new(&Offer::of(&[])).flight()[..20]);
    let backend = std::sync::Arc::clone(&server.backend);
    let stopping = std::thread::spawn(move || backend.stop(PATIENCE));
    client.expect_orderly_close();
    peer.ends_with(code::NO_ERROR);
    drop((client, peer));
    // Who has not come so far has nothing to be told.
    assert_eq!(shaking.end().rest, b"");
    drop(shaking);
    stopping.join().unwrap();
}

fn plain_http_to_a_secure_port_gets_no_answer(io: Io) {
    let server = secure(io);
    server.serve("localhost/", label("1"));
    for bytes in [GET.as_bytes(), tidegate_wire::PREFACE, b"\0", b"\x80\x2e"] {
        let mut client = server.client();
        client.send(bytes);
        client.expect_close();
    }
    assert_eq!(connect(&server).ask(GET).text(), "1");
}

fn garbage_to_a_secure_port_ends_the_connection(io: Io) {
    let server = secure(io);
    server.serve("localhost/", label("1"));
    let hello = Secure::new(&Offer::of(&[])).flight();
    let mut broken = hello.clone();
    broken[5] ^= 0x55;
    let long = [&[22, 3, 1, 0xFF, 0xFF][..], &[0; 0xFFFF]].concat();
    let data = [&[22, 3, 1, 0, 4][..], b"what"].concat();
    for bytes in [broken, long, data, hello.repeat(2)] {
        let mut client = server.client();
        client.send(&bytes);
        let end = client.end();
        // An alert at most, behind what belongs to the handshake.
        assert!(
            end.rest.is_empty() || matches!(end.rest[0], 21 | 22),
            "{:?}",
            end.rest
        );
    }
    assert_eq!(connect(&server).ask(GET).text(), "1");
    until("no connection is left", || {
        server.backend.connection_count() == 0
    });
}

fn a_broken_record_ends_the_connection(io: Io) {
    let server = secure(io);
    server.serve("localhost/", label("1"));
    for version in [&TLS12, &TLS13] {
        let offer = Offer {
            version: Some(version),
            ..Offer::of(&[])
        };
        let mut client = Client::connect_secure(server.port, &offer).unwrap();
        assert_eq!(client.ask(GET).text(), "1");
        let mut record = client.secure().encrypt(GET.as_bytes());
        *record.last_mut().unwrap() ^= 1;
        client.send_raw(&record);
        assert_eq!(
            end_by_alert(&mut client),
            Some(AlertDescription::BadRecordMac)
        );
    }
    // A record out of order: the first was not sent.
    let mut client = connect(&server);
    client.secure().encrypt(GET.as_bytes());
    client.send(GET);
    assert_eq!(
        end_by_alert(&mut client),
        Some(AlertDescription::BadRecordMac)
    );
}

fn who_works_for_a_connection_hears_of_a_broken_record(io: Io) {
    let breaks = |client: &mut Client| {
        let mut record = client.secure().encrypt(b"ping");
        *record.last_mut().unwrap() ^= 1;
        client.send_raw(&record);
    };
    let server = secure(io);
    // A lane.
    let (application, lanes) = upgrading(Upgrade::AtOnce, echo_bytes);
    server.serve("localhost/opaque/", application);
    let mut client = connect(&server);
    assert_eq!(
        client
            .ask(UPGRADE.replace("GET / ", "GET /opaque/ "))
            .status,
        101
    );
    let key = lanes.opened();
    breaks(&mut client);
    while lanes.next() != Told::Closed(key, OpaqueEnd::Failed) {}
    // Handlers, on HTTP/1 and on a stream.
    let (application, requests) = held();
    server.serve("localhost/held/", application);
    let get = GET.replace("GET / ", "GET /held/ ");
    let mut client = connect(&server);
    client.send(&get);
    let mut request = requests.next();
    breaks(&mut client);
    until("the request's handler hears of it", || {
        is_given_up(&mut request)
    });
    let mut client = open_http2(&server);
    client.request("GET", "/held/", &[], true);
    let mut request = requests.next();
    breaks(&mut client.wire);
    until("the stream's handler hears of it", || {
        is_given_up(&mut request)
    });
}

fn is_given_up(request: &mut Deferred) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    request.responder.poll_closed(&mut context).is_ready()
}

/// The connection ends, and the last that came was an alert.
fn end_by_alert(client: &mut Client) -> Option<AlertDescription> {
    loop {
        let bytes = match client.receive_raw() {
            Ok(bytes) => bytes,
            Err(_) => return None,
        };
        match client.secure().decrypt(&bytes) {
            Ok(plain) => assert_eq!(plain, b""),
            Err(Error::AlertReceived(alert)) => return Some(alert),
            Err(error) => panic!("{error}"),
        }
    }
}

fn a_hello_to_a_plain_port_is_refused(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    let hello = Secure::new(&Offer::of(&["h2"])).flight();
    let mut client = server.client();
    client.send(&hello);
    let end = client.end();
    assert!(end.rest.is_empty() || end.rest.starts_with(b"HTTP/1.1 400 "));
    // A client sees that it is no TLS.
    let refused = Client::connect_secure(server.port, &Offer::of(&[])).unwrap_err();
    assert!(matches!(
        refused,
        Refusal::Failed(_) | Refusal::Closed { .. }
    ));
    assert_eq!(server.route("localhost", "/"), "1");
}

fn a_handshake_that_does_not_end_is_given_up(io: Io) {
    let hello = Secure::new(&Offer::of(&[])).flight();
    for bytes in [&hello[..0], &hello[..1], &hello[..hello.len() - 1], &hello] {
        let server = Server::start_secure_with(io, |settings| {
            settings.timeouts.header_wait = Some(Duration::from_millis(300));
            settings.timeouts.idle_connection = Some(Duration::from_millis(300));
        });
        server.bind("0.0.0.0", &tidegate_wire::Certificate::new("localhost"));
        server.serve("localhost/", label("1"));
        let mut client = server.client();
        client.send(bytes);
        client.end();
        let line = server.errors.of_client(client.port());
        assert_eq!(
            (line.status.as_str(), line.reason.as_str()),
            ("-", "Timer_HeaderWait")
        );
    }
}
