//! Requests of HTTP/1.

use std::io::{Cursor, Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use tidegate::{CachePolicy, ForwardSettings, ServerBuilder};

use crate::client::Client;
use crate::websocket::Opening;
use crate::{end, in_each_setting_logged};

/// Answers in different ways, by path.
fn answering(builder: ServerBuilder) -> ServerBuilder {
    builder.on_http_request(|request, response| {
        match request.document() {
            "/none" => response.status(404).empty(),
            "/user" => response
                .cache(CachePolicy::UserInvalidates)
                .content_type("text/plain")
                .log_user_name("al ice")
                .log_substatus(7)
                .text("user"),
            "/long" => response.bytes(vec![b'l'; 300_000]),
            "/chunks" => response.reader(Cursor::new(vec![b'c'; 100_000])),
            "/cached" => {
                response.cache(CachePolicy::UserInvalidates);
                response.content_type("text/plain").text("cached");
            }
            "/slow" => {
                thread::sleep(Duration::from_millis(30));
                response.text("slow");
            }
            "/echo" => {
                let content = request.content()?.to_vec();
                response.bytes(content);
            }
            _ => response.text("hello"),
        }
        Ok(())
    })
}

fn head(method: &str, target: &str, more: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{more}\r\n")
}

#[test]
fn bytes_and_status_are_those_of_the_wire() {
    in_each_setting_logged(answering, |logged| {
        let content = "x".repeat(70_000);
        let requests = [
            (head("GET", "/a/b?c=d", ""), 200),
            (head("GET", "/none", ""), 404),
            (head("HEAD", "/", ""), 200),
            (head("GET", "/long", ""), 200),
            (head("GET", "/chunks", ""), 200),
            (head("GET", "/cached", ""), 200),
            (head("GET", "/cached", ""), 200),
            (head("GET", "/cached", "Range: bytes=1-2\r\n"), 206),
            (
                head("POST", "/echo", "Content-Length: 5\r\n") + "12345",
                200,
            ),
            (
                head("POST", "/echo", "Content-Length: 70000\r\n") + &content,
                200,
            ),
            (
                head("POST", "/echo", "Transfer-Encoding: chunked\r\n")
                    + "5\r\n12345\r\n1;a=b\r\n6\r\n0\r\n\r\n",
                200,
            ),
        ];
        let answers: Vec<usize> = requests
            .iter()
            .map(|(request, _)| logged.send(request.as_bytes()).len())
            .collect();
        let lines = logged.lines(requests.len());
        for (((request, status), answer), line) in requests.iter().zip(answers).zip(&lines) {
            let first = request.lines().next().unwrap();
            assert_eq!(line["status"], *status, "{first}");
            assert_eq!(line["bytes_received"], request.len(), "{first}");
            assert_eq!(line["bytes_sent"], answer, "{first}");
            assert_eq!(line["win32_status"], 0, "{first}");
            assert_eq!(line["method"], first.split(' ').next().unwrap());
            assert_eq!(line["version"], "HTTP/1.1");
            assert_eq!(line["client_ip"], "127.0.0.1");
            assert_eq!(line["server_ip"], "127.0.0.1");
            assert_eq!(line["server_port"], logged.port);
            assert!(line.get("stream_id").is_none());
        }
        assert_eq!(lines[0]["path"], "/a/b");
        assert_eq!(lines[0]["query"], "c=d");
        assert!(lines[1].get("query").is_none());
        assert_eq!(logged.server.cache_counters().hits, 2);
    });
}

#[test]
fn each_pipelined_request_has_a_line_in_its_order() {
    in_each_setting_logged(answering, |logged| {
        let mut stream = logged.connect();
        let mut requests = String::new();
        for number in 0..50 {
            let path = ["/hello", "/long", "/none", "/chunks"][number % 4];
            requests.push_str(&format!(
                "GET {path}?{number} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            ));
        }
        stream.write_all(requests.as_bytes()).unwrap();
        end(&stream);
        let mut answers = Vec::new();
        stream.read_to_end(&mut answers).unwrap();
        let lines = logged.lines(50);
        for (number, line) in lines.iter().enumerate() {
            assert_eq!(line["query"], number.to_string());
        }
        let sum = |name: &str| {
            lines
                .iter()
                .map(|line| line[name].as_u64().unwrap())
                .sum::<u64>()
        };
        assert_eq!(sum("bytes_sent"), answers.len() as u64);
        assert_eq!(sum("bytes_received"), requests.len() as u64);
    });
}

#[test]
fn an_interim_response_counts_to_its_request() {
    in_each_setting_logged(answering, |logged| {
        let mut client = Client::connect(logged.port);
        let content = "c".repeat(30_000);
        let answer = client.request_expecting_continue("/echo", &content);
        assert_eq!(answer.status, 200);
        let line = &logged.lines(1)[0];
        let sent = line["bytes_sent"].as_u64().unwrap();
        assert!(sent > 30_000 + b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK".len() as u64);
        assert!(line["bytes_received"].as_u64().unwrap() > 30_000);
    });
}

// The time counts from the first byte, not from the whole head.
#[test]
fn time_taken_is_at_least_what_it_took() {
    in_each_setting_logged(answering, |logged| {
        logged.send(head("GET", "/slow", "").as_bytes());
        let mut stream = logged.connect();
        let late = head("GET", "/late", "");
        let (begin, rest) = late.as_bytes().split_at(7);
        stream.write_all(begin).unwrap();
        // Waits for nothing: the rest may not come sooner.
        thread::sleep(Duration::from_millis(40));
        stream.write_all(rest).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
        let lines = logged.lines(2);
        let taken = |line: usize| lines[line]["time_taken_ms"].as_u64().unwrap();
        // The clock counts whole milliseconds, at both ends.
        assert!(taken(0) >= 29, "{}", taken(0));
        assert_eq!(lines[1]["path"], "/late");
    });
}

#[test]
fn texts_are_told_as_they_were_sent() {
    in_each_setting_logged(answering, |logged| {
        let request = b"GET /%C3%A9?q=\"\\,%0d%0a HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
                        User-Agent: a \"b\" \\ \t c\r\nReferer: \xc3\xa9\xff\r\nCookie: a=b; c=d\r\n\r\n";
        logged.send(request);
        let line = &logged.lines(1)[0];
        assert_eq!(line["path"], "/%C3%A9");
        assert_eq!(line["query"], "q=\"\\,%0d%0a");
        assert_eq!(line["user_agent"], "a \"b\" \\ \t c");
        assert_eq!(line["referer"], "\u{e9}\u{fffd}");
        assert_eq!(line["cookie"], "a=b; c=d");
        assert_eq!(line["host"], "127.0.0.1");
    });
}

// http-server-api §9: these are in the HTTPERR log.
#[test]
fn what_the_driver_refuses_has_no_line() {
    in_each_setting_logged(answering, |logged| {
        for refused in [
            "GET / HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
            "GET /%zz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        ] {
            let answer = logged.send(refused.as_bytes());
            assert!(answer.starts_with(b"HTTP/1.1 4"), "{refused}");
        }
        logged.send(head("GET", "/good", "").as_bytes());
        let lines = logged.lines(1);
        assert_eq!(lines[0]["path"], "/good");
    });
}

#[test]
fn files_and_what_others_answer_have_lines() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "short").unwrap();
    std::fs::write(folder.path().join("b.bin"), vec![7; 500_000]).unwrap();
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", upstream.local_addr().unwrap());
    thread::spawn(move || {
        for stream in upstream.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 4096];
            let _ = stream.read(&mut bytes).unwrap();
            let answer = b"HTTP/1.1 203 N\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
            stream.write_all(answer).unwrap();
        }
    });
    let set_up = |builder: ServerBuilder| {
        builder
            .files("/files", folder.path())
            .forward(ForwardSettings::new("/up", [url.parse().unwrap()]))
    };
    in_each_setting_logged(set_up, |logged| {
        let paths = [
            ("/files/a.txt", 200),
            ("/files/b.bin", 200),
            ("/files/none", 404),
            ("/up/x", 203),
        ];
        let sent = paths.map(|(path, _)| logged.send(head("GET", path, "").as_bytes()).len());
        let lines = logged.lines(paths.len());
        for (((path, status), sent), line) in paths.iter().zip(sent).zip(&lines) {
            assert_eq!(line["path"], *path);
            assert_eq!(line["status"], *status);
            assert_eq!(line["bytes_sent"], sent, "{path}");
        }
    });
}

#[test]
fn an_upgrade_has_a_line_when_it_is_made() {
    let echo =
        |builder: ServerBuilder| builder.on_message(|connection, text| connection.send_text(text));
    in_each_setting_logged(echo, |logged| {
        let mut socket = Opening::new(logged.port).target("/chat?x").open();
        let line = logged.lines(1).remove(0);
        assert_eq!(line["status"], 101);
        assert_eq!(
            (&line["path"], &line["query"]),
            (&"/chat".into(), &"x".into())
        );
        assert!(line["bytes_sent"].as_u64().unwrap() > 100);
        socket.text("hello");
        socket.hear();
        drop(socket);
        logged.send(head("GET", "/", "").as_bytes());
        let lines = logged.lines(2);
        assert_eq!(lines[0], line);
    });
}

#[test]
fn an_answer_that_was_broken_off_says_so() {
    let endless = |builder: ServerBuilder| {
        builder.on_http_request(|_, response| {
            let sender = response.channel(4);
            thread::spawn(move || while sender.blocking_send(vec![0; 10_000]).is_ok() {});
        })
    };
    in_each_setting_logged(endless, |logged| {
        let mut stream = logged.connect();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            .unwrap();
        let mut some = vec![0; 100_000];
        stream.read_exact(&mut some).unwrap();
        // With bytes unread, this is a reset.
        drop(stream);
        let line = &logged.lines(1)[0];
        assert_eq!(line["status"], 200);
        let cause = line["win32_status"].as_u64().unwrap();
        assert!(cause == 64 || cause == 1236, "{cause}");
        assert!(line["bytes_sent"].as_u64().unwrap() >= 100_000);
    });
}

#[test]
fn what_a_handler_says_of_its_answer_is_told_of_copies_too() {
    in_each_setting_logged(answering, |logged| {
        for _ in 0..2 {
            logged.send(head("GET", "/user", "").as_bytes());
        }
        logged.send(head("GET", "/user", "Range: bytes=0-1\r\n").as_bytes());
        logged.send(head("GET", "/", "").as_bytes());
        let lines = logged.lines(4);
        for line in &lines[..3] {
            assert_eq!(
                (&line["user"], &line["substatus"]),
                (&"al ice".into(), &7.into())
            );
        }
        assert_eq!(logged.server.cache_counters().hits, 2);
        assert!(lines[3].get("user").is_none());
        assert_eq!(lines[3]["substatus"], 0);
    });
}
