//! What is wrong with requests of connections over server-sent events is said, and nothing else happens.

use std::sync::Arc;

use tidegate::EndedBy;

use crate::client::setting::{in_each_setting, start, stop};
use crate::client::{Answer, Client};
use crate::ends::ended;
use crate::events_client::{ASKS, Events, heard, with_fallback};
use crate::journal::{Happened, Journal};

#[test]
fn a_request_of_nobody_is_refused_unread() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(with_fallback(journal.attach_echo(builder), |_| {}));
        let mut client = Events::open(port, "/one", "");
        let other = Events::open(port, "/other", "");
        let good = client.session.clone();
        let mut wrong = good.clone();
        wrong.replace_range(..1, if good.starts_with('0') { "1" } else { "0" });
        for (session, number, status) in [
            ("", "1", 400),
            ("x", "1", 400),
            (
                &*good
                    .to_uppercase()
                    .replace(|digit: char| digit.is_ascii_digit(), "A"),
                "1",
                400,
            ),
            (&format!("{good}0"), "1", 400),
            (&wrong, "1", 404),
            // The other's, at this one's path.
            (&other.session, "1", 404),
            (&good, "", 400),
            (&good, "0", 400),
            (&good, "01", 400),
            (&good, "-1", 400),
            (&good, "18446744073709551616", 400),
            (&good, "2", 409),
            (&good, "18446744073709551615", 409),
        ] {
            let answer = client.post(session, number, r#"[{"text":"forged"}]"#);
            assert_eq!(
                answer.status,
                status,
                "{session} {number}: {}",
                answer.text()
            );
            assert!(!answer.text().is_empty());
            assert_eq!(answer.field("Cache-Control"), Some("no-store"));
            let next = (status == 409).then_some("1");
            assert_eq!(answer.field("Tidegate-Number"), next);
        }
        // Said twice, or not at all.
        let session = format!("Tidegate-Session: {good}");
        for fields in [
            &[&*session, &session, "Tidegate-Number: 1"][..],
            &[&session, "Tidegate-Number: 1", "Tidegate-Number: 1"],
            &["Tidegate-Number: 1"],
            &[&session],
        ] {
            let answer = Client::connect(port).request("POST", &client.target(), fields, "[]");
            assert_eq!(answer.status, 400);
        }
        // Its content is not waited for.
        let mut unread = Client::connect(port);
        unread.write(
            format!(
                "POST {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\
                 Tidegate-Session: {wrong}\r\nTidegate-Number: 1\r\n\r\n",
                client.target()
            )
            .as_bytes(),
        );
        assert_eq!(unread.receive().status, 404);
        drop(unread);
        client.say_text("still here");
        assert_eq!(client.hear_text(), "still here");
        // What was taken is not taken again.
        assert_eq!(client.post(&good, "1", r#"[{"text":"again"}]"#).status, 204);
        client.say_text("once");
        assert_eq!(client.hear_text(), "once");
        assert_eq!(journal.texts(2), ["still here", "once"]);
        drop((client, other));
        journal.disconnects(2);
        stop(server);
        journal.check();
    });
}

#[test]
fn content_that_is_no_list_of_messages_is_refused_whole() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(with_fallback(journal.attach_echo(builder), |_| {}));
        let mut client = Events::connect(port);
        for content in [
            "",
            "text",
            "{}",
            r#"[{"text":"first"},{"unknown":""}]"#,
            r#"[{"text":"first"},{"binary":"?"}]"#,
            r#"[{"text":"first"}"#,
            r#"[{"text":"first"}] "#.repeat(2).as_str(),
            &"[".repeat(1000),
        ] {
            let answer = client.post(&client.session.clone(), "1", content);
            assert_eq!(answer.status, 400, "{content}");
            assert!(
                answer
                    .text()
                    .starts_with("The content is not a list of messages: ")
            );
        }
        // The same when it comes late.
        let fields = [
            format!("Tidegate-Session: {}", client.session),
            "Tidegate-Number: 1".to_owned(),
        ];
        let pieces = [r#"[{"text":"la"#, r#"te"},"#, "1]"];
        assert_eq!(in_chunks(port, &fields, &pieces).status, 400);
        client.say_text("good");
        assert_eq!(client.hear_text(), "good");
        let fields = [fields[0].clone(), "Tidegate-Number: 2".to_owned()];
        let pieces = [r#"[{"text":"la"#, r#"te"},{"bi"#, r#"nary":""}]"#];
        assert_eq!(in_chunks(port, &fields, &pieces).status, 204);
        client.count_one();
        assert_eq!(client.hear_text(), "late");
        assert_eq!(client.hear(), heard("binary", ""));
        drop(client);
        journal.disconnect();
        stop(server);
        journal.check();
    });
}

/// Posts content whose pieces come one after the other.
fn in_chunks(port: u16, fields: &[String], pieces: &[&str]) -> Answer {
    let mut client = Client::connect(port);
    let head = format!(
        "POST /?{ASKS} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n{}\r\n\r\n",
        fields.join("\r\n")
    );
    client.write(head.as_bytes());
    for piece in pieces {
        client.write(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes());
    }
    client.write(b"0\r\n\r\n");
    client.receive()
}

#[test]
fn length_is_bounded() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(with_fallback(journal.attach_echo(builder), |settings| {
            settings.max_message_size = 1000;
        }));
        let mut client = Events::connect(port);
        let session = client.session.clone();
        let bound = 8 * 1000 + 64 * 1024;
        let padded = |bytes: usize| format!("[{}]", " ".repeat(bytes - 2));
        assert_eq!(client.post(&session, "1", &padded(bound + 1)).status, 413);
        let fields = [
            format!("Tidegate-Session: {session}"),
            "Tidegate-Number: 1".to_owned(),
        ];
        let long = padded(bound);
        assert_eq!(in_chunks(port, &fields, &[&long, "more"]).status, 413);
        assert_eq!(client.post(&session, "1", &padded(bound)).status, 204);
        client.count_one();
        let fits = "\u{1}".repeat(1000);
        client.say_text(&fits);
        assert_eq!(client.hear_text(), fits);
        // A message that is too long ends the connection, as any other's does.
        client.say_text(&"x".repeat(1001));
        assert_eq!(
            client.hear(),
            heard("close", r#"{"code":1009,"reason":""}"#)
        );
        assert_eq!(client.hear(), None);
        let end = journal.disconnect();
        assert_eq!((end.code, end.by), (1009, EndedBy::Server));
        assert!(
            journal
                .entries()
                .contains(&Happened::Error("MessageTooLarge".into()))
        );
        // So do a close code that may not be sent, and memory that is not there.
        let mut client = Events::connect(port);
        client.say(r#"[{"close":{"code":1006}}]"#);
        assert_eq!(
            client.hear(),
            heard("close", r#"{"code":1002,"reason":""}"#)
        );
        assert_eq!(journal.disconnects(2)[1].code, 1002);
        stop(server);
        journal.check();
    });
}

#[test]
fn memory_is_bounded() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(with_fallback(journal.attach_echo(builder), |settings| {
            settings.memory_budget = 100_000;
        }));
        let mut client = Events::connect(port);
        let long = format!(r#"[{{"text":"{}"}}]"#, "x".repeat(100_000));
        let answer = client.post(&client.session.clone(), "1", &long);
        assert_eq!(answer.status, 503);
        client.say_text("short");
        assert_eq!(client.hear_text(), "short");
        drop(client);
        assert_eq!(ended(&journal.disconnect()), (1006, "", EndedBy::Network));
        stop(server);
        journal.check();
    });
}

#[test]
fn other_methods_and_openings_with_content_are_refused() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(with_fallback(journal.attach_echo(builder), |_| {}));
        let target = format!("/?{ASKS}");
        for method in ["PUT", "DELETE", "OPTIONS"] {
            let answer = Client::connect(port).request(method, &target, &[], "");
            assert_eq!(
                (answer.status, answer.field("Allow")),
                (405, Some("GET, POST, OPTIONS"))
            );
        }
        let mut client = Client::connect(port);
        client.write(
            format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n\r\nx")
                .as_bytes(),
        );
        assert_eq!(client.receive().status, 400);
        for protocol in ["", "a%20b", "%0A"] {
            let answer =
                Client::connect(port).get(&format!("{target}&tidegate-protocol={protocol}"));
            assert_eq!(answer.status, 400, "{protocol}");
        }
        assert!(journal.entries().is_empty());
        stop(server);
        journal.check();
    });
}

#[test]
fn pages_of_other_origins_are_refused_or_told() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(with_fallback(journal.attach_echo(builder), |settings| {
            settings.security.origins_allowed = "https://good.example".parse().unwrap();
        }));
        let (good, bad) = (
            "Origin: https://good.example",
            "Origin: https://bad.example",
        );
        let target = format!("/?{ASKS}");
        let asks =
            |method, fields: &[&str]| Client::connect(port).request(method, &target, fields, "");
        for fields in [&[bad][..], &["Origin: null"]] {
            let answer = asks("GET", fields);
            assert_eq!(answer.status, 403);
            assert_eq!(answer.field("Access-Control-Allow-Origin"), None);
            assert_eq!(asks("POST", fields).status, 403);
        }
        // An answer may be there before its error is told.
        journal.wait("two errors", |pages| {
            (pages.entries.len() >= 2).then_some(())
        });
        let told = journal.entries();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            matches!(&told[0], Happened::Error(text) if text.contains("Origin(")),
            "{told:?}"
        );
        assert_eq!(asks("GET", &[good, good]).status, 400);

        let preflight = "Access-Control-Request-Method: POST";
        assert_eq!(asks("OPTIONS", &[bad, preflight]).status, 403);
        let answer = asks("OPTIONS", &[good, preflight]);
        assert_eq!(answer.status, 204);
        for (name, value) in [
            ("Access-Control-Allow-Origin", "https://good.example"),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Allow-Methods", "GET, POST"),
            (
                "Access-Control-Allow-Headers",
                "content-type, tidegate-session, tidegate-number",
            ),
            ("Vary", "Origin"),
            ("Cache-Control", "no-store"),
        ] {
            assert_eq!(answer.field(name), Some(value), "{name}");
        }
        let mut stream = Client::connect(port);
        stream.send("GET", &target, &[good], "");
        let client = Events::over(stream, port, "/");
        let answer = asks("POST", &[good, "Tidegate-Session: x"]);
        assert_eq!(
            answer.field("Access-Control-Allow-Origin"),
            Some("https://good.example")
        );
        // Whoever has the secret and is no page may speak.
        assert_eq!(client.post(&client.session, "1", "[]").status, 204);
        drop(client);
        journal.disconnect();
        stop(server);
    });
}
