//! Requests that are too many: refused, told what is left, and over a restart.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use tidegate::api_keys::NewApiKey;
use tidegate::{
    Admission, ApiKeySettings, Cause, HandlerError, ProxyProtocol, RateLimitSettings,
    RateRuleSettings, ServerBuilder,
};

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::http2_client;
use crate::websocket::Opening;

pub(crate) fn rule(name: &str, limit: u32) -> RateRuleSettings {
    RateRuleSettings {
        name: name.to_owned(),
        limit,
        window: Duration::from_secs(3_600),
        ..RateRuleSettings::default()
    }
}

pub(crate) fn rules(rule: Vec<RateRuleSettings>) -> RateLimitSettings {
    let mut settings = RateLimitSettings::default();
    settings.enabled = true;
    settings.rule = rule;
    settings
}

/// Counts the requests that reach the application, which reads their content.
pub(crate) fn counting(builder: ServerBuilder) -> (ServerBuilder, Arc<AtomicU32>) {
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    let builder = builder.on_http_request(move |request, response| -> Result<(), HandlerError> {
        counted.fetch_add(1, Ordering::Relaxed);
        let content = request.body().blocking_collect(u64::MAX)?;
        response.text(format!("{} bytes", content.len()));
        Ok(())
    });
    (builder, count)
}

#[test]
fn requests_beyond_the_limit_are_refused_and_told_when_to_come_again() {
    in_each_setting(|builder, port| {
        let (builder, count) = counting(builder);
        let server = start(builder.rate_limit(rules(vec![rule("all", 4)])));
        let mut client = Client::connect(port);
        for left in ["3", "2"] {
            let answer = client.get("/");
            assert_eq!(answer.status, 200);
            assert_eq!(answer.field("X-RateLimit-Limit"), Some("4"));
            assert_eq!(answer.field("X-RateLimit-Remaining"), Some(left));
            assert_eq!(answer.field("RateLimit-Policy"), Some("\"all\";q=4;w=3600"));
        }
        // Content that has yet to arrive has the application called elsewhere in HighPerf mode; it costs once.
        let answer = client.request_expecting_continue("/", "content");
        assert_eq!((answer.status, answer.text()), (200, "7 bytes"));
        assert_eq!(answer.field("X-RateLimit-Remaining"), Some("1"));
        // On another connection it is the same address.
        assert_eq!(Client::connect(port).get("/").status, 200);
        let answer = client.get("/");
        assert_eq!(answer.status, 429);
        let wait: u64 = answer.field("Retry-After").unwrap().parse().unwrap();
        assert!((1..=900).contains(&wait), "{wait}");
        assert!(
            answer
                .field("RateLimit")
                .unwrap()
                .starts_with("\"all\";r=0;t=3")
        );
        assert_eq!(answer.field("X-RateLimit-Remaining"), Some("0"));
        // The connection goes on, and so does the refusal.
        assert_eq!(client.request("POST", "/", &[], "more").status, 429);
        assert_eq!(count.load(Ordering::Relaxed), 4);
        stop(server);
    });
}

#[test]
fn streams_of_http2_and_handshakes_count_as_requests() {
    in_each_setting(|builder, port| {
        let (builder, count) = counting(builder);
        let builder = builder.on_message(|connection, text| connection.send_text(text));
        let server = start(builder.rate_limit(rules(vec![rule("all", 4)])));
        http2_client::run(async {
            let client = http2_client::Client::connect(port).await;
            let mut statuses = Vec::new();
            for _ in 0..5 {
                statuses.push(client.get("/").await.unwrap().status.as_u16());
            }
            assert_eq!(statuses, [200, 200, 200, 200, 429]);
            client.end().await.unwrap();
        });
        assert_eq!(count.load(Ordering::Relaxed), 4);
        let answer = Client::connect(port).request(
            "GET",
            "/",
            &[
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Version: 13",
            ],
            "",
        );
        assert_eq!(answer.status, 429);
        stop(server);
    });
}

#[test]
fn an_endpoint_has_a_rule_of_its_own_and_a_handshake_is_told_what_is_left() {
    in_each_setting(|builder, port| {
        let (builder, _) = counting(builder);
        let builder = builder.on_message(|connection, text| connection.send_text(text));
        let login = RateRuleSettings {
            endpoint: Some("POST /login".parse().unwrap()),
            ..rule("login", 1)
        };
        let mut settings = rules(vec![rule("all", 100), login]);
        settings.status = 503;
        let server = start(builder.rate_limit(settings));
        let mut client = Client::connect(port);
        assert_eq!(client.request("POST", "/login", &[], "a").status, 200);
        let answer = client.request("POST", "/login", &[], "a");
        assert_eq!(answer.status, 503);
        assert_eq!(
            answer.field("RateLimit-Policy"),
            Some("\"login\";q=1;w=3600")
        );
        // The driver resolves escapes and dots before; there is no other spelling to get round it.
        assert_eq!(
            client.request("POST", "/x/../%6Cogin", &[], "a").status,
            503
        );
        assert_eq!(client.get("/login").status, 200);
        let socket = Opening::new(port).open();
        assert!(
            socket
                .answer
                .to_ascii_lowercase()
                .contains("\r\nratelimit: \"all\";r=98;t=")
        );
        stop(server);
    });
}

#[test]
fn an_application_may_let_a_request_pass_and_hears_of_quotas() {
    in_each_setting(|builder, port| {
        let (builder, count) = counting(builder);
        let quota = RateRuleSettings {
            limit: 0,
            window: Duration::ZERO,
            quota_month: 2,
            ..rule("quota", 0)
        };
        let exceeded = Arc::new(AtomicU32::new(0));
        let told = Arc::clone(&exceeded);
        let builder = builder
            .on_quota_exceeded(move |limited| {
                assert!(matches!(limited.decision.cause, Some(Cause::Quota(_))));
                told.fetch_add(1, Ordering::Relaxed);
            })
            .on_rate_limited(|limited| match limited.path {
                "/vip" => Admission::Accept,
                "/panic" => panic!("a handler panics"),
                _ => Admission::Refuse,
            });
        let server = start(builder.rate_limit(rules(vec![quota])));
        let mut client = Client::connect(port);
        let statuses = ["/", "/", "/", "/vip", "/panic"].map(|path| client.get(path).status);
        assert_eq!(statuses, [200, 200, 429, 200, 429]);
        assert_eq!(exceeded.load(Ordering::Relaxed), 3);
        assert_eq!(count.load(Ordering::Relaxed), 3);
        stop(server);
    });
}

#[test]
fn a_restart_gives_nobody_a_new_quota() {
    in_each_setting(|builder, port| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rates");
        let quota = RateRuleSettings {
            quota_day: 3,
            ..rule("quota", 100)
        };
        let mut settings = rules(vec![quota]);
        settings.state_file = Some(path.clone());
        let (builder, _) = counting(builder);
        let server = start(builder.rate_limit(settings));
        // Some other file by that name is no reason not to start.
        let mut client = Client::connect(port);
        let statuses = [1, 2, 3, 4].map(|_| client.get("/").status);
        assert_eq!(statuses, [200, 200, 200, 429]);
        drop(client);
        stop(server.clone());
        server.start().unwrap();
        server.wait_started().unwrap();
        assert_eq!(Client::connect(port).get("/").status, 429);
        stop(server.clone());
        std::fs::write(&path, "# a file of somebody's\n").unwrap();
        server.start().unwrap();
        server.wait_started().unwrap();
        assert_eq!(Client::connect(port).get("/").status, 200);
        stop(server);
        let aside = std::fs::read_to_string(folder.path().join("rates.unusable")).unwrap();
        assert_eq!(aside, "# a file of somebody's\n");
    });
}

// An attacker with many addresses, each with its own allowance and no more, of both families.
#[test]
fn each_address_has_its_own_allowance_and_a_network_of_v6_has_one() {
    in_each_setting(|builder, port| {
        let (builder, _) = counting(builder);
        let proxies = vec!["127.0.0.1".parse().unwrap()];
        let server = start(
            builder
                .proxy_protocol(ProxyProtocol::From(proxies))
                .rate_limit(rules(vec![rule("all", 2)])),
        );
        let ask = |family: &str, source: &str, destination: &str| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let header = format!("PROXY {family} {source} {destination} 5000 {port}\r\n");
            let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            stream.write_all((header + request).as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer[9..12].parse::<u16>().unwrap()
        };
        for number in 0..40 {
            let source = format!("10.0.{number}.1");
            let statuses = [0, 1, 2].map(|_| ask("TCP4", &source, "127.0.0.1"));
            assert_eq!(statuses, [200, 200, 429], "{source}");
        }
        let statuses = [
            "2001:db8::1",
            "2001:db8::2",
            "2001:db8::3:4",
            "2001:db8:0:1::1",
        ]
        .map(|source| ask("TCP6", source, "::1"));
        assert_eq!(statuses, [200, 200, 429, 200]);
        stop(server);
    });
}

#[test]
fn a_rule_that_cannot_be_is_told_at_the_start() {
    in_each_setting(|builder, _| {
        let server = builder
            .rate_limit(rules(vec![rule("a", 0)]))
            .build()
            .unwrap();
        server.start().unwrap();
        let error = server.wait_started().unwrap_err();
        let told = "rate_limit.rule: rule `a`: limit is 0, which is not in 1 to 1000000000";
        assert_eq!(error.to_string(), told);
    });
}

#[test]
fn each_api_key_has_its_own_allowance_and_what_is_none_goes_by_the_address() {
    in_each_setting(|builder, port| {
        let folder = tempfile::tempdir().unwrap();
        let mut keys = ApiKeySettings::default();
        keys.enabled = true;
        keys.file = Some(folder.path().join("keys"));
        let per_key = RateRuleSettings {
            api_key: Some("*".to_owned()),
            ..rule("key", 2)
        };
        let limits = rules(vec![per_key, rule("address", 3)]);
        let (builder, count) = counting(builder);
        let server = start(builder.api_keys(keys).rate_limit(limits));
        let store = server.api_keys().unwrap();
        let issue = || {
            let new = NewApiKey {
                owner: "shop".to_owned(),
                ..NewApiKey::default()
            };
            let issued = store.issue(new, SystemTime::now());
            format!("X-API-Key: {}", issued.unwrap().key)
        };
        let mut client = Client::connect(port);
        for key in [issue(), issue()] {
            for status in [200, 200, 429] {
                let answer = client.request("GET", "/", &[&key], "");
                assert_eq!(answer.status, status);
            }
        }
        // Guesses get no allowance of their own.
        for (guess, status) in ["tg_a", "tg_b", "tg_c", "tg_d"]
            .iter()
            .zip([401, 401, 401, 429])
        {
            let guess = format!("X-API-Key: {guess}");
            let answer = client.request("GET", "/", &[&guess], "");
            assert_eq!(answer.status, status);
        }
        assert_eq!(count.load(Ordering::Relaxed), 4);
        drop(client);
        stop(server);
    });
}

#[test]
fn what_is_kept_is_written_by_a_server_that_runs_alone() {
    in_each_setting(|builder, _| {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("rates");
        let mut limits = rules(vec![rule("all", 5)]);
        limits.state_file = Some(state.clone());
        let server = builder.rate_limit(limits).build().unwrap();
        server.check().unwrap();
        assert!(!state.exists());
        server.start().unwrap();
        server.wait_started().unwrap();
        let before = std::fs::read(&state).ok();
        server.reload(server.settings()).unwrap();
        assert_eq!(std::fs::read(&state).ok(), before);
        stop(server);
        assert!(state.exists());
    });
}
