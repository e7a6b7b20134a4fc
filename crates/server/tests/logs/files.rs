//! The files of the log, and what becomes of them.

use std::fs;
use std::io::Write as _;

use tidegate::{LogFields, LogFormat, LogRollover, LogSelection, Logging};

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::{lines_in, lines_of};

/// Logs the path and the status, as W3C.
fn short(folder: &std::path::Path) -> Logging {
    let mut log = Logging::new(LogFormat::W3c, folder);
    log.fields = LogFields::URI_STEM | LogFields::STATUS;
    log.rollover = LogRollover::Size;
    log
}

#[test]
fn each_format_is_written_as_it_is_read() {
    let quote = |text: &str| text.replace(|character: char| character.is_ascii_digit(), "9");
    for (format, name, wanted) in [
        (
            LogFormat::W3c,
            "extend1.log",
            "9999-99-99 99:99:99 999.9.9.9 GET /a b=c PORT - 999.9.9.9 HTTP/9.9 a+b - 999.9.9.9 999 9 9 \
             SENT RECEIVED TAKEN",
        ),
        (
            LogFormat::Ncsa,
            "ncsa1.log",
            "999.9.9.9 - - [99/MONTH/9999:99:99:99 ZONE] \"GET /a?b=c HTTP/9.9\" 999 SENT",
        ),
        (
            LogFormat::Iis,
            "inetsv1.log",
            "999.9.9.9, -, 99/99/99, TIME, shop, HOST, 999.9.9.9, TAKEN, RECEIVED, SENT, 999, 9, GET, /a, \
             b=c,",
        ),
    ] {
        in_each_setting(|builder, port| {
            let folder = tempfile::tempdir().unwrap();
            let mut log = Logging::new(format, folder.path().join("a/b"));
            log.rollover = LogRollover::Size;
            log.site_name = Some("shop".to_owned());
            let server = start(
                builder
                    .logging(log)
                    .on_http_request(|_, response| response.text("hello")),
            );
            let mut client = Client::connect(port);
            client.request("GET", "/a?b=c", &["User-Agent: a b"], "");
            let line = lines_of(&server, &folder.path().join("a/b"), 1).remove(0);
            assert!(folder.path().join("a/b").join(name).exists(), "{name}");
            let separator = if format == LogFormat::Iis { ", " } else { " " };
            let values: Vec<&str> = line.split(separator).collect();
            let wanted: Vec<&str> = wanted.split(separator).collect();
            assert_eq!(values.len(), wanted.len(), "{line}");
            for (value, wanted) in values.iter().zip(wanted) {
                match wanted {
                    "PORT" => assert_eq!(*value, port.to_string()),
                    "SENT" | "RECEIVED" | "TAKEN" => {
                        assert!(value.parse::<u64>().is_ok(), "{line}")
                    }
                    "TIME" => assert_eq!(value.split(':').count(), 3, "{line}"),
                    "HOST" => assert!(!value.is_empty()),
                    wanted if wanted.contains("MONTH") => {
                        assert!(quote(value).ends_with("/9999:99:99:99"), "{line}");
                    }
                    "ZONE]" => assert_eq!(quote(value).get(1..), Some("9999]"), "{line}"),
                    wanted => assert_eq!(quote(value), wanted, "{line}"),
                }
            }
            stop(server);
        });
    }
}

#[test]
fn a_restart_goes_on_with_the_file_and_names_its_fields_again() {
    in_each_setting(|builder, port| {
        let folder = tempfile::tempdir().unwrap();
        let log = short(folder.path());
        let server = start(
            builder
                .logging(log)
                .on_http_request(|_, response| response.text("hello")),
        );
        for round in 1..=2 {
            Client::connect(port).get(&format!("/{round}"));
            stop(server.clone());
            server.start().unwrap();
            server.wait_started().unwrap();
        }
        assert_eq!(lines_in(folder.path()), ["/1 200", "/2 200"]);
        let text = fs::read_to_string(folder.path().join("extend1.log")).unwrap();
        assert_eq!(text.matches("#Fields: cs-uri-stem sc-status\n").count(), 2);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        stop(server);
    });
}

#[test]
fn a_file_that_was_moved_away_is_begun_anew() {
    in_each_setting(|builder, port| {
        let folder = tempfile::tempdir().unwrap();
        let server = start(
            builder
                .logging(short(folder.path()))
                .on_http_request(|_, response| response.text("hello")),
        );
        let mut client = Client::connect(port);
        client.get("/1");
        assert_eq!(lines_of(&server, folder.path(), 1), ["/1 200"]);
        let file = folder.path().join("extend1.log");
        fs::rename(&file, folder.path().join("extend1.log.1")).unwrap();
        server.flush_log_buffer();
        client.get("/2");
        assert_eq!(lines_of(&server, folder.path(), 1), ["/2 200"]);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("#Software: Tidegate "), "{text}");
        stop(server);
    });
}

// /dev/full is a disk that is full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_holds_up_nobody_and_loses_nothing_at_first() {
    in_each_setting(|builder, port| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("extend1.log");
        std::os::unix::fs::symlink("/dev/full", &file).unwrap();
        let server = start(
            builder
                .logging(short(folder.path()))
                .on_http_request(|_, response| response.text("hello")),
        );
        let mut client = Client::connect(port);
        for number in 0..200 {
            assert_eq!(client.get(&format!("/{number}")).status, 200);
        }
        server.flush_log_buffer();
        assert!(lines_in(folder.path()).is_empty());
        // There is room again.
        fs::remove_file(&file).unwrap();
        let lines = lines_of(&server, folder.path(), 200);
        let wanted: Vec<String> = (0..200).map(|number| format!("/{number} 200")).collect();
        assert_eq!(lines, wanted);
        let counters = server.log_counters();
        assert_eq!(
            (counters.requests_written, counters.requests_lost),
            (200, 0)
        );
        stop(server);
    });
}

#[test]
fn errors_may_be_logged_alone() {
    in_each_setting(|builder, port| {
        let folder = tempfile::tempdir().unwrap();
        let mut log = short(folder.path());
        log.selection = LogSelection::ErrorsOnly;
        let server = start(builder.logging(log).on_http_request(|request, response| {
            if request.document() == "/none" {
                response.status(404);
            }
        }));
        let mut client = Client::connect(port);
        for path in ["/a", "/none", "/b", "/none", "/c"] {
            client.get(path);
        }
        assert_eq!(lines_of(&server, folder.path(), 2), ["/none 404"; 2]);
        stop(server);
    });
}

// Requests of a peer that tries to write lines of its own.
#[test]
fn nobody_writes_lines_of_his_own() {
    in_each_setting(|builder, port| {
        let folder = tempfile::tempdir().unwrap();
        let mut log = short(folder.path());
        log.fields = LogFields::USER_AGENT | LogFields::URI_QUERY | LogFields::STATUS;
        let server = start(
            builder
                .logging(log)
                .on_http_request(|_, response| response.text("hello")),
        );
        let mut client = Client::connect(port);
        let agents: [&[u8]; 5] = [
            b"#Fields: date",
            b"a b\tc",
            "\u{2028}\u{85}\u{202e}".as_bytes(),
            b"\xff\xfe",
            b"\"x\" - - 200",
        ];
        for agent in agents {
            let stream = client.stream.get_mut();
            stream
                .write_all(b"GET /?q HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: ")
                .unwrap();
            stream.write_all(agent).unwrap();
            stream.write_all(b"\r\n\r\n").unwrap();
            client.receive();
        }
        let lines = lines_of(&server, folder.path(), agents.len());
        assert_eq!(lines.len(), agents.len());
        for line in &lines {
            let values: Vec<&str> = line.split(' ').collect();
            assert_eq!((values.len(), values[2]), (3, "200"), "{line}");
        }
        stop(server);
    });
}
