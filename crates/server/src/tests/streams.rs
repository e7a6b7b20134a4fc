//! WebSocket on streams of HTTP/2 (RFC 8441): which requests become connections, and that these are
//! connections as any other, several on one connection of HTTP/2 too.

use std::sync::{Arc, Mutex};

use axum::Router;
use tidegate_httpapi::Version;
use tidegate_proto::websocket::Opcode as Kind;

use super::backend::{Answer, Content, TestBackend};
use super::lane::TestLane;
use super::requests::serve;
use crate::{
    Connection, Disconnect, EndedBy, Recipients, Server, ServerBuilder, Transport,
    WebSocketSettings,
};

const CONNECT: &str = "CONNECT /chat?room=1 HTTP/2\n:protocol: websocket\nhost: test:8080";
const VERSION: &str = "sec-websocket-version: 13";

/// An extended CONNECT with these fields besides.
fn connect(backend: &TestBackend, fields: &[&str]) -> Answer {
    let fields: String = fields.iter().map(|field| format!("\n{field}")).collect();
    backend.request(&format!("{CONNECT}{fields}"), Content::Arrived(""))
}

/// An upgrade over HTTP/1.1.
fn upgrade(backend: &TestBackend) -> Answer {
    let head = "GET /chat HTTP/1.1\nHost: test\nConnection: Upgrade\nUpgrade: websocket\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13";
    backend.request(head, Content::Arrived(""))
}

fn echo(builder: ServerBuilder) -> ServerBuilder {
    builder.on_message(|connection, text| connection.send_text(text))
}

/// Ordinary requests are answered 200, which must not reach a CONNECT.
fn plain(builder: ServerBuilder) -> ServerBuilder {
    builder.on_http_request(|_, response| response.text("plain"))
}

fn with(change: impl FnOnce(&mut WebSocketSettings)) -> WebSocketSettings {
    let mut settings = WebSocketSettings::default();
    change(&mut settings);
    settings
}

#[test]
fn a_handshake_on_a_stream_is_answered_with_200_and_no_key() {
    let backend = TestBackend::classic();
    let settings = with(|settings| settings.per_message_deflate.enabled = true);
    let builder = echo(plain(Server::builder()))
        .websocket(settings)
        .on_handshake(|handshake, response| {
            let request = handshake.request();
            assert_eq!(request.method(), "CONNECT");
            assert_eq!(request.version(), Version::Http2);
            assert_eq!(request.document(), "/chat");
            assert_eq!(handshake.key(), None);
            assert_eq!(handshake.origin(), Some("http://page.example"));
            let offered: Vec<_> = handshake.protocols().collect();
            assert_eq!(offered, ["chat", "news"]);
            response.protocol("news").header("Set-Cookie", "a=b");
        });
    let _server = serve(&backend, builder);
    let answer = connect(
        &backend,
        &[
            VERSION,
            "origin: http://page.example",
            "sec-websocket-protocol: chat, news",
            "sec-websocket-extensions: permessage-deflate",
        ],
    );
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.fields,
        "Sec-WebSocket-Protocol: news\r\n\
         Sec-WebSocket-Extensions: permessage-deflate\r\n\
         Set-Cookie: a=b\r\n"
    );
    assert!(answer.opening.is_some());
}

#[test]
fn a_wrong_handshake_on_a_stream_is_told_what_is_wrong() {
    let backend = TestBackend::high_perf();
    let settings = with(|settings| {
        settings.security.origins_allowed = "https://example.com".parse().unwrap();
    });
    let errors = Arc::new(Mutex::new(0));
    let told = Arc::clone(&errors);
    let builder = echo(plain(Server::builder()))
        .websocket(settings)
        .on_error(move |_| *told.lock().unwrap() += 1);
    let _server = serve(&backend, builder);
    let cases = [
        (vec![], 400),
        (vec!["sec-websocket-version: 8"], 400),
        (vec![VERSION, VERSION], 400),
        (vec![VERSION, "sec-websocket-protocol: a b"], 400),
        (vec![VERSION, "sec-websocket-extensions: ;"], 400),
        (vec![VERSION, "origin: https://elsewhere.example"], 403),
    ];
    for (index, (fields, status)) in cases.iter().enumerate() {
        let answer = connect(&backend, fields);
        assert_eq!(answer.status, *status, "{fields:?}");
        let version = answer.field("Sec-WebSocket-Version");
        assert_eq!(version, (index < 2).then_some("13"), "{fields:?}");
        assert_eq!(answer.field("Upgrade"), None);
        assert_eq!(*errors.lock().unwrap(), index + 1);
    }
    assert!(
        connect(&backend, &[VERSION, "origin: https://example.com"])
            .opening
            .is_some()
    );
}

#[test]
fn a_connect_that_nobody_speaks_is_501_and_no_ordinary_request() {
    let websocket = |backend: &TestBackend| connect(backend, &[VERSION]);
    let other = |backend: &TestBackend| {
        let head = "CONNECT / HTTP/2\n:protocol: connect-udp\nhost: test";
        backend.request(head, Content::Arrived(""))
    };
    for make in [TestBackend::classic, TestBackend::high_perf] {
        // A backend for each server: one that is dropped may stop a little later.
        let backend = make();
        // A protocol that we do not speak, beside one that we do.
        let server = serve(&backend, echo(plain(Server::builder())));
        assert_eq!(other(&backend).status, 501);
        let content = Content::Pieces(vec![Ok("frames")]);
        let head = "CONNECT / HTTP/2\n:protocol: connect-udp\nhost: test";
        assert_eq!(backend.request(head, content).status, 501);
        // An upgrade is none on HTTP/2.
        let head = "GET / HTTP/2\nhost: test\nconnection: upgrade\nupgrade: websocket";
        assert_eq!(backend.request(head, Content::Arrived("")).text(), "plain");
        drop(server);

        // Nobody listens to WebSockets.
        let backend = make();
        let server = serve(&backend, plain(Server::builder()));
        assert_eq!(websocket(&backend).status, 501);
        drop(server);

        // The application says that it is no place for one.
        let backend = make();
        let pass = |builder: ServerBuilder| builder.on_handshake(|_, response| response.pass());
        let server = serve(&backend, pass(plain(Server::builder())));
        assert_eq!(websocket(&backend).status, 501);
        drop(server);

        // It goes to a service, which has no way to speak it.
        let backend = make();
        let router = Router::new().fallback(|| async { "plain" });
        let server = serve(&backend, echo(Server::builder()).mount("/", router));
        assert_eq!(websocket(&backend).status, 501);
        assert_eq!(backend.get("/").text(), "plain");
        drop(server);
    }
}

#[test]
fn each_specification_may_be_switched_off() {
    let cases = [(true, true), (true, false), (false, true), (false, false)];
    for (rfc6455, rfc8441) in cases {
        let backend = TestBackend::classic();
        let settings = with(|settings| {
            settings.rfc6455 = rfc6455;
            settings.rfc8441 = rfc8441;
        });
        let builder = echo(plain(Server::builder())).websocket(settings);
        let _server = serve(&backend, builder);
        let status = upgrade(&backend).status;
        assert_eq!(status, if rfc6455 { 101 } else { 200 });
        let status = connect(&backend, &[VERSION]).status;
        assert_eq!(status, if rfc8441 { 200 } else { 501 });
    }
}

/// The connections told of, and how they ended.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    connections: Vec<Connection>,
    ends: Vec<(Connection, Disconnect)>,
}

impl Book {
    fn attach(&self, builder: ServerBuilder) -> ServerBuilder {
        let (connects, ends) = (self.clone(), self.clone());
        builder
            .on_connect(move |connection| {
                let mut pages = connects.0.lock().unwrap();
                pages.connections.push(connection.clone());
            })
            .on_disconnect(move |connection, disconnect| {
                let mut pages = ends.0.lock().unwrap();
                pages.ends.push((connection.clone(), disconnect.clone()));
            })
    }

    fn connection(&self, index: usize) -> Connection {
        self.0.lock().unwrap().connections[index].clone()
    }

    fn ends(&self) -> Vec<(Connection, Disconnect)> {
        self.0.lock().unwrap().ends.clone()
    }
}

/// A server with three streams of one HTTP/2 connection and one upgraded connection, in each mode.
fn in_each_mode(test: impl Fn(&Server, &Book, &mut TestLane)) {
    for (backend, is_inline) in [
        (TestBackend::classic(), false),
        (TestBackend::high_perf(), true),
    ] {
        let book = Book::default();
        let server = serve(&backend, book.attach(echo(Server::builder())));
        let mut lane = TestLane::new(&backend, is_inline);
        for index in 0..3 {
            let field = format!("x-number: {index}");
            let answer = connect(&backend, &[VERSION, &field]);
            assert_eq!(lane.open(answer.opening.unwrap()), index);
        }
        assert_eq!(lane.open(upgrade(&backend).opening.unwrap()), 3);
        test(&server, &book, &mut lane);
        lane.close();
        assert_eq!(book.ends().len(), 4, "each ends once");
        assert_eq!(server.connections().count(), 0);
    }
}

#[test]
fn a_stream_s_connection_tells_of_itself() {
    in_each_mode(|server, book, _| {
        let stream = book.connection(1);
        assert_eq!(stream.transport(), Transport::Rfc8441);
        assert_eq!(stream.transport().to_string(), "RFC8441");
        assert_eq!(stream.transport().http_version(), Some(Version::Http2));
        assert_eq!(stream.url(), "/chat?room=1");
        let headers = stream.headers_request();
        let all: Vec<_> = headers.fields().iter().collect();
        assert_eq!(all.len(), 3);
        assert_eq!((all[0].name, all[0].value), ("host", &b"test:8080"[..]));
        assert_eq!(headers.header("X-Number").as_deref(), Some("1"));
        assert_eq!(headers.header(":protocol"), None);
        let upgraded = book.connection(3);
        assert_eq!(upgraded.transport(), Transport::Rfc6455);
        assert_eq!(upgraded.url(), "/chat");
        assert_eq!(server.connections().count(), 4);
    });
}

#[test]
fn streams_of_one_connection_are_addressed_each_for_itself() {
    in_each_mode(|server, book, lane| {
        let all: Vec<_> = (0..4).map(|index| book.connection(index)).collect();
        for (index, connection) in all.iter().enumerate() {
            let others = all.iter().filter(|other| *other == connection);
            assert_eq!(others.count(), 1, "{index}");
            let found = server.connections().find(connection.guid());
            assert_eq!(found.as_ref(), Some(connection));
            let text = format!("echo {index}");
            lane.say(index, Kind::Text, text.as_bytes());
            assert_eq!(lane.heard(index), [text]);
        }
        // By GUID.
        assert!(server.write_data(all[2].guid(), "for 2"));
        lane.settle();
        // By group and by channel.
        let groups = server.connections().groups();
        assert!(groups.add("room", &all[0]) && groups.add("room", &all[1]));
        assert_eq!(all[0].groups(), ["room".into()]);
        assert!(all[2].groups().is_empty());
        assert!(all[1].subscribe("news") && all[3].subscribe("news"));
        lane.settle();
        let news = Recipients::all().channel("news");
        server.broadcast("news", &news).unwrap();
        lane.settle();
        groups.broadcast("room", "group").unwrap();
        lane.settle();
        let others = Recipients::all().exclude([all[1].guid()]);
        server.broadcast("all but 1", &others).unwrap();
        lane.settle();
        assert_eq!(lane.heard(0), ["group", "all but 1"]);
        assert_eq!(lane.heard(1), ["news", "group"]);
        assert_eq!(lane.heard(2), ["for 2", "all but 1"]);
        assert_eq!(lane.heard(3), ["news", "all but 1"]);
    });
}

#[test]
fn a_stream_ends_alone_and_once() {
    in_each_mode(|server, book, lane| {
        // By a close frame of the client, by its END_STREAM, by its RST_STREAM.
        lane.say(0, Kind::Close, &1000u16.to_be_bytes());
        assert_eq!(lane.heard(0), ["close 1000"]);
        assert!(lane.has_ended(0));
        lane.end(1);
        assert!(lane.has_ended(1));
        lane.reset(2);
        let ends = book.ends();
        let told: Vec<_> = ends.iter().map(|(_, end)| (end.code, end.by)).collect();
        let lost = (1006, EndedBy::Network);
        assert_eq!(told, [(1000, EndedBy::Peer), lost, lost]);
        for (index, (connection, _)) in ends.iter().enumerate() {
            assert_eq!(*connection, book.connection(index));
            assert!(!connection.is_open());
        }
        assert_eq!(server.connections().count(), 1);
        lane.say(3, Kind::Text, b"still here");
        assert_eq!(lane.heard(3), ["still here"]);
    });
}
