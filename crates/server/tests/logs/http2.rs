//! Requests of HTTP/2.

use tidegate::{CachePolicy, ServerBuilder};

use crate::http2_client::{Client, run};
use crate::in_each_setting_logged;

fn answering(builder: ServerBuilder) -> ServerBuilder {
    builder
        .on_http_request(|request, response| {
            match request.document() {
                "/long" => response.bytes(vec![b'l'; 300_000]),
                "/cached" => {
                    response.cache(CachePolicy::UserInvalidates);
                    let response = response.content_type("text/plain").log_user_name("bob");
                    response.text("cached");
                }
                "/echo" => {
                    let content = request.content()?.to_vec();
                    response.bytes(content);
                }
                _ => response.text("hello"),
            }
            Ok(())
        })
        .on_message(|connection, text| connection.send_text(text))
}

#[test]
fn each_stream_has_a_line() {
    in_each_setting_logged(answering, |logged| {
        run(async {
            let client = Client::connect(logged.port).await;
            for path in ["/hello?a", "/long", "/cached", "/cached", "/none"] {
                let answer = client.get(path).await.unwrap();
                assert_eq!(answer.status, 200, "{path}");
            }
            let content = vec![b'e'; 40_000];
            assert_eq!(client.post("/echo", &content, true).await.content, content);
            assert_eq!(
                client.post("/echo", b"12345", false).await.content,
                b"12345"
            );
        });
        let lines = logged.lines(7);
        let number = |line: usize, name: &str| lines[line][name].as_u64().unwrap();
        for (index, line) in lines.iter().enumerate() {
            assert_eq!(
                (&line["version"], &line["status"]),
                (&"HTTP/2.0".into(), &200.into())
            );
            assert_eq!(line["win32_status"], 0);
            assert_eq!(number(index, "stream_id"), 2 * index as u64 + 1);
            // A HEADERS frame at least.
            assert!(number(index, "bytes_received") > 9);
        }
        assert_eq!(
            (&lines[0]["path"], &lines[0]["query"]),
            (&"/hello".into(), &"a".into())
        );
        assert_eq!(lines[0]["host"], format!("127.0.0.1:{}", logged.port));
        // Frame heads and a HEADERS frame are counted, and little else.
        let frames = 300_000 / 16_384 + 1;
        let long = number(1, "bytes_sent");
        assert!((300_000 + 9 * frames..310_000).contains(&long), "{long}");
        assert!((6 + 18..300).contains(&number(2, "bytes_sent")));
        assert!((6 + 18..300).contains(&number(3, "bytes_sent")));
        assert!((40_000 + 18..41_000).contains(&number(5, "bytes_sent")));
        assert!((40_000 + 18..41_000).contains(&number(5, "bytes_received")));
        assert!((5 + 18..300).contains(&number(6, "bytes_received")));
        assert_eq!(
            (&lines[2]["user"], &lines[3]["user"]),
            (&"bob".into(), &"bob".into())
        );
        assert_eq!(logged.server.cache_counters().hits, 1);
    });
}

#[test]
fn a_stream_that_becomes_a_websocket_has_a_line_when_it_does() {
    in_each_setting_logged(answering, |logged| {
        run(async {
            let client = Client::connect(logged.port).await;
            let version = ("sec-websocket-version", "13");
            let mut socket = client.connect_websocket("/chat", &[version]).await.unwrap();
            socket.text("hello").await;
            assert_eq!(socket.hear_text().await, "hello");
            let line = &logged.lines(1)[0];
            assert_eq!(
                (&line["method"], &line["status"]),
                (&"CONNECT".into(), &200.into())
            );
            assert_eq!(line["path"], "/chat");
        });
    });
}

#[test]
fn a_stream_that_was_reset_says_so() {
    let endless = |builder: ServerBuilder| {
        builder.on_http_request(|request, response| {
            if request.document() == "/hello" {
                return response.text("hello");
            }
            let sender = response.channel(4);
            std::thread::spawn(move || while sender.blocking_send(vec![0; 10_000]).is_ok() {});
        })
    };
    in_each_setting_logged(endless, |logged| {
        run(async {
            let client = Client::connect(logged.port).await;
            let request = client.request("GET", "/").body(()).unwrap();
            let response = client.send(request, true).await.0.await.unwrap();
            let mut content = response.into_body();
            let mut received = 0;
            while received < 50_000 {
                let piece = content.data().await.unwrap().unwrap();
                content
                    .flow_control()
                    .release_capacity(piece.len())
                    .unwrap();
                received += piece.len();
            }
            // What is dropped unread is reset. The connection is still there.
            drop(content);
            assert_eq!(client.get("/hello").await.unwrap().text(), "hello");
            let lines = logged.lines(2);
            let line = lines.iter().find(|line| line["path"] == "/").unwrap();
            assert_eq!(line["win32_status"], 995);
            assert_eq!(line["status"], 200);
            assert!(line["bytes_sent"].as_u64().unwrap() >= 50_000);
        });
    });
}
