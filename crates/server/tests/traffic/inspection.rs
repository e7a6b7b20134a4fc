//! What the firewall sees of requests beside their addresses: content, programs, the application's own rule.

use std::sync::{Arc, Mutex};

use tidegate::{
    Admission, Attack, BotFamilyKind, BotFamilySettings, BotKind, CachePolicy, FirewallStatistics,
    HandlerError, RequestPart, ServerBuilder, ViolationKind,
};

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::firewall::firewall;
use crate::http2_client;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded; charset=utf-8";
const JSON: &str = "Content-Type: application/problem+json";
const ATTACK_IN_FORM: &str = "name=a&text=%3Cscript%3Ealert(1)%3C%2Fscript%3E";
const ATTACK_IN_JSON: &str = r#"{"text": "\u003cscript>alert(1)</script>"}"#;

/// Says how much content it has read, or why it could not.
fn reading(builder: ServerBuilder) -> ServerBuilder {
    builder.on_http_request(|request, response| -> Result<(), HandlerError> {
        match request.body().blocking_collect(u64::MAX) {
            Ok(content) => response.text(format!("{} bytes", content.len())),
            Err(error) => response.text(format!("read: {error}")),
        }
        Ok(())
    })
}

fn looks_at_content(builder: ServerBuilder) -> ServerBuilder {
    reading(builder.firewall(firewall(|settings| {
        settings.patterns.cross_site_scripting = true;
        settings.patterns.content = true;
        settings.patterns.scan_bytes_max = 1_000;
    })))
}

#[test]
fn content_that_looks_like_an_attack_is_refused_however_it_arrives() {
    in_each_setting(|builder, port| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sees = Arc::clone(&seen);
        let builder = looks_at_content(builder)
            .on_firewall_violation(move |violation| sees.lock().unwrap().push(violation.kind));
        let server = start(builder);
        for (content_type, content) in [(FORM, ATTACK_IN_FORM), (JSON, ATTACK_IN_JSON)] {
            // Whole, with its head.
            let mut client = Client::connect(port);
            assert_eq!(
                client.request("POST", "/", &[content_type], content).status,
                403
            );
            assert!(client.is_closed_by_peer());
            // In pieces.
            let mut client = Client::connect(port);
            let (first, second) = content.split_at(content.len() / 2);
            let head = format!(
                "POST / HTTP/1.1\r\nHost: a\r\n{content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            client.write(head.as_bytes());
            for piece in [first, second] {
                client.write(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes());
            }
            client.write(b"0\r\n\r\n");
            assert_eq!(client.receive().status, 403);
            assert!(client.is_closed_by_peer());
            // When it is asked for.
            let mut client = Client::connect(port);
            let length = content.len();
            let head = format!(
                "POST / HTTP/1.1\r\nHost: a\r\n{content_type}\r\nExpect: 100-continue\r\n\
                 Content-Length: {length}\r\n\r\n"
            );
            client.write(head.as_bytes());
            assert_eq!(client.receive_head().0, 100);
            client.write(content.as_bytes());
            assert_eq!(client.receive().status, 403);
        }
        let attack = ViolationKind::Attack(Attack::CrossSiteScripting, RequestPart::Content);
        assert_eq!(*seen.lock().unwrap(), [attack; 6]);
        assert_eq!(server.firewall_statistics().attacks, 6);
        assert_eq!(server.firewall_statistics().refused, 6);
        stop(server);
    });
}

#[test]
fn ordinary_content_other_types_and_what_is_beyond_the_beginning_pass() {
    in_each_setting(|builder, port| {
        let server = start(looks_at_content(builder));
        let mut client = Client::connect(port);
        let mut send = |content_type: &str, content: &str| {
            let answer = client.request("POST", "/", &[content_type], content);
            assert_eq!(answer.status, 200, "{content_type}");
            assert_eq!(answer.text(), format!("{} bytes", content.len()));
        };
        send(FORM, "name=a&text=an+ordinary+text");
        send(JSON, r#"{"text": "a < b and b > c"}"#);
        send("Content-Type: text/html", "<script>alert(1)</script>");
        send("X-None: a", ATTACK_IN_FORM);
        send(FORM, &format!("{}{ATTACK_IN_FORM}", "a".repeat(1_000)));
        let long = format!("{}{ATTACK_IN_FORM}", "a=b&".repeat(100_000));
        send(FORM, &long);
        let answer = client.request_chunked("/", &["text=", "a"]);
        assert_eq!(answer.text(), "6 bytes");
        assert_eq!(server.firewall_statistics(), FirewallStatistics::default());
        stop(server);
    });
}

#[test]
fn content_on_a_stream_is_looked_at_too() {
    in_each_setting(|builder, port| {
        let server = start(looks_at_content(builder));
        http2_client::run(async {
            let client = http2_client::Client::connect(port).await;
            for (content, status) in [(ATTACK_IN_JSON, 403), ("{}", 200)] {
                for is_gathered in [true, false] {
                    let request = client
                        .request("POST", "/")
                        .header("content-type", "application/json");
                    let (response, mut stream) =
                        client.send(request.body(()).unwrap(), false).await;
                    if !is_gathered {
                        tokio::task::yield_now().await;
                    }
                    let content = bytes::Bytes::from_static(content.as_bytes());
                    http2_client::send_all(&mut stream, content, true)
                        .await
                        .unwrap();
                    assert_eq!(response.await.unwrap().status(), status);
                }
            }
            client.end().await.unwrap();
        });
        stop(server);
    });
}

#[test]
fn programs_are_told_of_and_kept_out_by_nobody() {
    in_each_setting(|builder, port| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sees = Arc::clone(&seen);
        let settings = firewall(|settings| {
            settings.bots.enabled = true;
            settings.bots.family = vec![BotFamilySettings {
                token: "shop-sync".to_owned(),
                kind: BotFamilyKind::Monitor,
            }];
        });
        let builder = reading(builder.firewall(settings)).on_bot_detected(move |bot| {
            sees.lock().unwrap().push((bot.kind, bot.family.to_owned()));
        });
        let server = start(builder);
        let mut client = Client::connect(port);
        let browser = [
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Accept: text/html",
            "Accept-Language: en",
            "Accept-Encoding: gzip",
        ];
        let requests: [&[&str]; 5] = [
            &browser,
            &browser[..2],
            &[],
            &["User-Agent: curl/8.5.0", "Accept: */*"],
            &["User-Agent: Shop-Sync/2"],
        ];
        for fields in requests {
            assert_eq!(client.request("GET", "/", fields, "").status, 200);
        }
        let named = |kind, family: &str| (kind, family.to_owned());
        assert_eq!(
            *seen.lock().unwrap(),
            [
                named(BotKind::UnlikelyBrowser, ""),
                named(BotKind::NoUserAgent, ""),
                named(BotKind::HttpLibrary, "curl/"),
                named(BotKind::Monitor, "shop-sync"),
            ]
        );
        assert_eq!(server.firewall_statistics().bots, 4);
        stop(server);
    });
}

#[test]
fn a_rule_of_the_application_refuses_and_counts() {
    in_each_setting(|builder, port| {
        let settings = firewall(|settings| {
            settings.threat_score.enabled = true;
            settings.threat_score.threshold = 50;
        });
        let builder = reading(builder.firewall(settings)).on_firewall_rule(|request| {
            assert_ne!(request.document(), "/panics");
            match request.document().starts_with("/wp-") {
                true => Admission::Refuse,
                false => Admission::Accept,
            }
        });
        let server = start(builder);
        assert_eq!(Client::connect(port).get("/").status, 200);
        // A rule that fails refuses nobody.
        assert_eq!(Client::connect(port).get("/panics").status, 200);
        for _ in 0..2 {
            assert_eq!(Client::connect(port).get("/wp-login.php").status, 403);
        }
        // Twice 25 were enough.
        let statistics = server.firewall_statistics();
        assert_eq!((statistics.rules, statistics.refused), (2, 2));
        assert_eq!((statistics.offences, statistics.bans), (2, 1));
        assert!(crate::is_shut_out("127.0.0.1", port));
        assert_eq!(server.firewall_statistics().banned, 1);
        stop(server);
    });
}

#[test]
fn behind_a_firewall_nothing_is_served_from_the_cache_unless_it_may_be() {
    for cached_answers in [false, true] {
        in_each_setting(|builder, port| {
            let settings = firewall(|settings| settings.cached_answers = cached_answers);
            let server = start(builder.firewall(settings).on_http_request(|_, response| {
                response
                    .content_type("text/plain")
                    .cache(CachePolicy::UserInvalidates)
                    .text("cached");
            }));
            let mut client = Client::connect(port);
            for _ in 0..2 {
                assert_eq!(client.get("/").text(), "cached");
            }
            assert_eq!(server.cache_state().len(), usize::from(cached_answers));
            stop(server);
        });
    }
}
