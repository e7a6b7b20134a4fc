//! The JavaScript clients that the server serves.

use std::io::{Read, Write};
use std::net::TcpStream;

use tidegate::{ChannelProtocol, WebSocketSettings};

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};

#[test]
fn clients_are_served_under_any_prefix() {
    in_each_setting(|builder, port| {
        let binding = tidegate::Binding::new("127.0.0.1", port, "/some/where/").unwrap();
        let builder = builder
            .bindings([binding])
            .register_protocol(ChannelProtocol::builder().build())
            .on_http_request(|_, response| {
                response.status(299);
            });
        let server = start(builder);
        let mut client = Client::connect(port);
        for folder in ["/tidegate", "/some/where/tidegate"] {
            for (name, defines) in [
                ("websocket.js", "globalThis.TidegateWebSocket ="),
                ("tidegate.channels.js", "globalThis.TidegateChannels ="),
            ] {
                let path = format!("{folder}/{name}");
                let answer = client.get(&path);
                assert_eq!(answer.status, 200, "{path}");
                assert!(answer.text().contains(defines));
                for (field, value) in [
                    ("Content-Type", "text/javascript; charset=utf-8"),
                    ("X-Content-Type-Options", "nosniff"),
                    ("Cache-Control", "max-age=300"),
                ] {
                    assert_eq!(answer.field(field), Some(value));
                }
                let length = answer.content.len().to_string();
                let head = ask_for_head(port, &path);
                assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
                assert!(
                    head.contains(&format!("Content-Length: {length}\r\n")),
                    "{head}"
                );
                assert!(head.ends_with("\r\n\r\n"), "{head}");
                assert_eq!(client.request("POST", &path, &[], "").status, 299);
            }
        }
        for path in [
            "/tidegate/",
            "/tidegate/other.js",
            "/tidegate/websocket.jsx",
            "/tidegate/websocket",
            "/some/where/tidegatex/websocket.js",
            "/x/tidegate/websocket.js",
        ] {
            assert_eq!(client.get(path).status, 299, "{path}");
        }
        drop(client);
        stop(server);
    });
}

fn ask_for_head(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = format!("HEAD {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = String::new();
    stream.read_to_string(&mut head).unwrap();
    head
}

#[test]
fn clients_are_not_served_where_they_are_not_wanted() {
    in_each_setting(|builder, port| {
        let mut settings = WebSocketSettings::default();
        settings.javascript_files = false;
        let builder = builder.websocket(settings).on_message(|_, _| ());
        let server = start(builder);
        assert_eq!(
            Client::connect(port).get("/tidegate/websocket.js").status,
            404
        );
        stop(server);
    });
    // Nor by a server that speaks no WebSocket.
    in_each_setting(|builder, port| {
        let server = start(builder.on_http_request(|_, response| response.status(299).empty()));
        assert_eq!(
            Client::connect(port).get("/tidegate/websocket.js").status,
            299
        );
        stop(server);
    });
}
