//! Which certificate is shown. http-server-api §10, cases T01–T03.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, Error, ProtocolVersion};
use tidegate_driver::Io;
use tidegate_httpapi::{ApiError, Backend, HttpProtocols, TlsInfo};
use tidegate_wire::{
    Certificate, Client, Http2, Offer, Refusal, Server, answer, answering, label, on_both_loops,
    until,
};

use super::GET;

on_both_loops!(
    t01_an_address_comes_before_a_name,
    t02_a_name_comes_before_the_wildcard_address,
    t03_without_a_name_and_a_wildcard_there_is_no_handshake,
    a_name_comes_before_a_wildcard_label,
    names_may_differ_from_hosts,
    a_port_without_a_binding_shakes_no_hands,
    versions_can_be_turned_off,
    requests_know_what_secures_them,
    a_binding_acts_at_once_and_on_new_handshakes_only,
    a_broken_certificate_changes_nothing,
    renewal_loses_no_request,
);

fn named(name: &'static str) -> Offer {
    Offer {
        name: Some(name),
        ..Offer::default()
    }
}

fn connect(server: &Server, host: [u8; 4], offer: &Offer) -> Result<Client, Refusal> {
    Client::connect_to(SocketAddr::from((host, server.port))).secured(offer)
}

/// Which of these certificates is shown.
fn shown<'a>(client: &mut Client, all: &[(&'a str, &Certificate)]) -> &'a str {
    let mut shown = all
        .iter()
        .filter(|(_, certificate)| client.secure().was_shown(certificate));
    shown.next().expect("one of them").0
}

const LOOPBACK: [u8; 4] = [127, 0, 0, 1];

fn t01_an_address_comes_before_a_name(io: Io) {
    let server = Server::start_secure(io);
    server.serve("h/", label("1"));
    let (a, b) = (Certificate::new("a"), Certificate::new("h"));
    server.bind("127.0.0.4", &a);
    server.bind("h", &b);
    let all = [("A", &a), ("B", &b)];
    let mut client = connect(&server, [127, 0, 0, 4], &named("h")).unwrap();
    assert_eq!(shown(&mut client, &all), "A");
    let get = GET.replace("localhost", "h");
    assert_eq!(client.ask(&get).text(), "1");
    let mut client = connect(&server, LOOPBACK, &named("h")).unwrap();
    assert_eq!(shown(&mut client, &all), "B");
    assert_eq!(client.ask(&get).text(), "1");
}

fn t02_a_name_comes_before_the_wildcard_address(io: Io) {
    let server = Server::start_secure(io);
    let (a, b) = (Certificate::new("a"), Certificate::new("h"));
    server.bind("0.0.0.0", &a);
    server.bind("h", &b);
    let all = [("A", &a), ("B", &b)];
    for (offer, expected) in [
        (named("h"), "B"),
        (named("H"), "B"),
        (named("other"), "A"),
        (Offer::default(), "A"),
    ] {
        let mut client = connect(&server, LOOPBACK, &offer).unwrap();
        assert_eq!(shown(&mut client, &all), expected, "{offer:?}");
    }
}

fn t03_without_a_name_and_a_wildcard_there_is_no_handshake(io: Io) {
    let server = Server::start_secure(io);
    server.serve("h/", label("1"));
    let certificate = Certificate::new("h");
    server.bind("h", &certificate);
    for offer in [Offer::default(), named("other")] {
        for version in [None, Some(&TLS12), Some(&TLS13)] {
            let offer = Offer {
                version,
                ..offer.clone()
            };
            connect(&server, LOOPBACK, &offer).unwrap_err();
        }
    }
    // Nothing is logged as a request.
    assert_eq!(server.errors.now(), []);
    let mut client = connect(&server, LOOPBACK, &named("h")).unwrap();
    assert_eq!(client.ask(GET.replace("localhost", "h")).text(), "1");
}

fn a_name_comes_before_a_wildcard_label(io: Io) {
    let server = Server::start_secure(io);
    let (exact, wildcard) = (Certificate::new("a.h.test"), Certificate::new("*.h.test"));
    server.bind("a.h.test", &exact);
    server.bind("*.h.test", &wildcard);
    let all = [("exact", &exact), ("wildcard", &wildcard)];
    for (name, expected) in [("a.h.test", "exact"), ("b.h.test", "wildcard")] {
        let mut client = connect(&server, LOOPBACK, &named(name)).unwrap();
        assert_eq!(shown(&mut client, &all), expected);
    }
    // A label stands for one, and not for none.
    for name in ["h.test", "a.b.h.test"] {
        connect(&server, LOOPBACK, &named(name)).unwrap_err();
    }
}

fn names_may_differ_from_hosts(io: Io) {
    let server = Server::start_secure(io);
    server.serve("routed/", label("routed"));
    server.bind("0.0.0.0", &Certificate::new("shown"));
    let mut client = connect(&server, LOOPBACK, &named("shown")).unwrap();
    assert_eq!(
        client.ask(GET.replace("localhost", "routed")).text(),
        "routed"
    );
    assert_eq!(client.ask(GET.replace("localhost", "shown")).status, 400);
}

fn a_port_without_a_binding_shakes_no_hands(io: Io) {
    let server = Server::start_secure(io);
    server.serve("localhost/", label("1"));
    connect(&server, LOOPBACK, &named("localhost")).unwrap_err();
    let certificate = Certificate::new("localhost");
    server.bind("0.0.0.0", &certificate);
    let mut client = connect(&server, LOOPBACK, &named("localhost")).unwrap();
    assert_eq!(client.ask(GET).text(), "1");
    let again = server
        .backend
        .add_tls_binding(&server.tls_key("0.0.0.0"), &certificate.binding());
    assert!(again.is_err());
    server
        .backend
        .remove_tls_binding(&server.tls_key("0.0.0.0"))
        .unwrap();
    connect(&server, LOOPBACK, &named("localhost")).unwrap_err();
    // Who is there stays.
    assert_eq!(client.ask(GET).text(), "1");
}

fn versions_can_be_turned_off(io: Io) {
    for (tls12, tls13) in [(true, false), (false, true), (true, true)] {
        let server = Server::start_secure(io);
        server.serve("localhost/", label("1"));
        server.bind_with("0.0.0.0", &Certificate::new("localhost"), |binding| {
            binding.tls12 = tls12;
            binding.tls13 = tls13;
        });
        for (version, is_on, name) in [
            (&TLS12, tls12, ProtocolVersion::TLSv1_2),
            (&TLS13, tls13, ProtocolVersion::TLSv1_3),
        ] {
            let offer = Offer {
                version: Some(version),
                ..named("localhost")
            };
            match connect(&server, LOOPBACK, &offer) {
                Ok(mut client) => {
                    assert!(is_on, "{name:?}");
                    assert_eq!(client.secure().version(), name);
                    assert_eq!(client.ask(GET).text(), "1");
                }
                Err(refusal) => {
                    assert!(!is_on, "{name:?}");
                    let alert = AlertDescription::ProtocolVersion;
                    let alert = Error::AlertReceived(alert);
                    assert_eq!(refusal, Refusal::Failed(alert));
                }
            }
        }
    }
}

fn requests_know_what_secures_them(io: Io) {
    let server = Server::start_secure(io);
    let tells = answering(|exchange| {
        let tls: Arc<TlsInfo> = exchange.tls().expect("a secure connection");
        let text = format!("{} {:?}", tls.version, tls.server_name);
        answer(exchange, 200, text);
    });
    server.serve("localhost/", tells);
    server.bind("0.0.0.0", &Certificate::new("localhost"));
    for (version, name) in [(&TLS12, "TLSv1.2"), (&TLS13, "TLSv1.3")] {
        let offer = Offer {
            version: Some(version),
            ..named("asked.test")
        };
        let mut client = connect(&server, LOOPBACK, &offer).unwrap();
        let expected = format!("{name} Some(\"asked.test\")");
        assert_eq!(client.ask(GET).text(), expected);
        let offer = Offer {
            protocols: &["h2"],
            ..offer
        };
        let client = connect(&server, LOOPBACK, &offer).unwrap();
        assert_eq!(Http2::begin(client, &[]).get("/").text(), expected);
    }
}

fn a_binding_acts_at_once_and_on_new_handshakes_only(io: Io) {
    let server = Server::start_secure(io);
    server.serve("localhost/", label("1"));
    let (a, b) = (Certificate::new("a"), Certificate::new("b"));
    let all = [("A", &a), ("B", &b)];
    let key = server.tls_key("0.0.0.0");
    server.bind("0.0.0.0", &a);
    let mut old = connect(&server, LOOPBACK, &named("localhost")).unwrap();
    assert_eq!(shown(&mut old, &all), "A");
    for (name, certificate) in [("B", &b), ("A", &a), ("B", &b)] {
        server
            .backend
            .update_tls_binding(&key, &certificate.binding())
            .unwrap();
        let mut new = connect(&server, LOOPBACK, &named("localhost")).unwrap();
        assert_eq!(shown(&mut new, &all), name);
        assert_eq!(new.ask(GET).text(), "1");
        assert_eq!(old.ask(GET).text(), "1");
    }
    // Its rules change as well.
    let mut binding = a.binding();
    binding.protocols = HttpProtocols::HTTP1;
    server.backend.update_tls_binding(&key, &binding).unwrap();
    let mut new = connect(&server, LOOPBACK, &Offer::of(&["h2", "http/1.1"])).unwrap();
    assert_eq!(new.secure().protocol(), Some("http/1.1"));
}

fn a_broken_certificate_changes_nothing(io: Io) {
    let server = Server::start_secure(io);
    server.serve("localhost/", label("1"));
    let (a, b) = (Certificate::new("a"), Certificate::new("b"));
    server.bind("0.0.0.0", &a);
    let key = server.tls_key("0.0.0.0");
    let mut broken = b.binding();
    broken.certificate = tidegate_httpapi::CertificateSource::PemText {
        chain: "no certificate".into(),
        key: "no key".into(),
    };
    let refused: ApiError = server
        .backend
        .update_tls_binding(&key, &broken)
        .unwrap_err();
    println!("{refused}");
    let mut client = connect(&server, LOOPBACK, &named("localhost")).unwrap();
    assert!(client.secure().was_shown(&a));
    assert_eq!(client.ask(GET).text(), "1");
}

fn renewal_loses_no_request(io: Io) {
    let server = Server::start_secure(io);
    server.serve("localhost/", label("1"));
    let certificates = [Certificate::new("a"), Certificate::new("b")];
    server.bind("0.0.0.0", &certificates[0]);
    let key = server.tls_key("0.0.0.0");
    let (ends, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let serves = |offer: Offer| {
        let client = connect(&server, LOOPBACK, &offer).expect("hands are shaken");
        if offer.protocols == ["h2"] {
            let mut peer = Http2::begin(client, &[]);
            for _ in 0..3 {
                assert_eq!(peer.get("/").text(), "1");
            }
        } else {
            let mut client = client;
            for _ in 0..3 {
                assert_eq!(client.ask(GET).text(), "1");
            }
        }
        served.fetch_add(1, Ordering::Relaxed);
    };
    thread::scope(|scope| {
        for protocols in [&["h2"] as &[_], &[]] {
            let (ends, serves) = (&ends, &serves);
            scope.spawn(move || {
                while !ends.load(Ordering::Relaxed) {
                    serves(Offer::of(protocols));
                }
            });
        }
        for round in 1..=20 {
            let certificate = &certificates[round % 2];
            server
                .backend
                .update_tls_binding(&key, &certificate.binding())
                .unwrap();
            // From now on it is shown; those who shake hands meanwhile get one of the two.
            let before = served.load(Ordering::Relaxed);
            let mut client = connect(&server, LOOPBACK, &named("localhost")).unwrap();
            assert!(client.secure().was_shown(certificate));
            until("requests go on", || served.load(Ordering::Relaxed) > before);
        }
        ends.store(true, Ordering::Relaxed);
    });
}
