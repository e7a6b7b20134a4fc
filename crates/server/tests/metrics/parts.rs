//! What the parts of the component count: who is let in, who is kept out, what upstreams do.

use std::net::TcpListener;
use std::time::{Duration, SystemTime};

use tidegate::api_keys::NewApiKey;
use tidegate::{
    ApiKeyPath, ApiKeySettings, AuthenticationSettings, FirewallSettings, ForwardSettings,
    RateLimitSettings, RateRuleSettings,
};

use crate::client::setting::{in_each_setting, start, stop};
use crate::client::{Client, free_port};
use crate::wait_until;

#[test]
fn who_is_let_in_and_who_is_not_is_counted() {
    in_each_setting(|builder, port| {
        let folder = tempfile::tempdir().unwrap();
        let mut keys = ApiKeySettings::default();
        keys.enabled = true;
        keys.file = Some(folder.path().join("keys"));
        keys.require_https = false;
        for (path, required) in [("/", false), ("/keys", true)] {
            keys.paths.push(ApiKeyPath {
                path: path.to_owned(),
                required,
                scope: None,
            });
        }
        let mut authentication = AuthenticationSettings::default();
        authentication.enabled = true;
        authentication
            .users
            .push("admin=open sesame".parse().unwrap());
        let server = start(
            builder
                .authentication(authentication)
                .api_keys(keys)
                .on_http_request(|_, response| response.text("hello")),
        );
        let mut client = Client::connect(port);
        let mut ask = |path: &str, fields: &[&str]| client.request("GET", path, fields, "").status;
        assert_eq!(ask("/", &[]), 401);
        // `admin:wrong` and `admin:open sesame`.
        assert_eq!(ask("/", &["Authorization: Basic YWRtaW46d3Jvbmc="]), 401);
        let right = "Authorization: Basic YWRtaW46b3BlbiBzZXNhbWU=";
        assert_eq!(ask("/", &[right]), 200);
        assert_eq!(ask("/keys", &[right]), 401);
        let new = NewApiKey {
            owner: "shop".to_owned(),
            ..NewApiKey::default()
        };
        let issued = server.api_keys().unwrap().issue(new, SystemTime::now());
        let key = format!("X-API-Key: {}", issued.unwrap().key);
        assert_eq!(ask("/keys", &[&key, right]), 200);
        assert_eq!(ask("/keys", &["X-API-Key: tg_guessed"]), 401);
        let counters = server.metrics().admission;
        assert_eq!((counters.admitted, counters.refused), (2, 4));
        assert_eq!(counters.failed_proofs, 2);
        assert_eq!((counters.keys_admitted, counters.keys_refused), (1, 2));
        stop(server);
    });
}

#[test]
fn what_the_firewall_and_the_rate_limiter_refuse_is_counted() {
    in_each_setting(|builder, port| {
        let mut firewall = FirewallSettings::default();
        firewall.enabled = true;
        firewall.patterns.sql_injection = true;
        let mut limits = RateLimitSettings::default();
        limits.enabled = true;
        limits.rule.push(RateRuleSettings {
            name: "all".to_owned(),
            limit: 2,
            window: Duration::from_secs(3_600),
            ..RateRuleSettings::default()
        });
        let server = start(
            builder
                .firewall(firewall)
                .rate_limit(limits)
                .on_http_request(|_, response| response.text("hello")),
        );
        assert_eq!(Client::connect(port).get("/?a='+or+1=1--").status, 403);
        let mut client = Client::connect(port);
        let statuses = [0; 4].map(|_| client.get("/").status);
        assert_eq!(statuses, [200, 200, 429, 429]);
        let counters = server.metrics().traffic;
        assert_eq!((counters.firewall.attacks, counters.rate_limited), (1, 2));
        assert_eq!(
            (
                counters.over_quota,
                counters.bans,
                counters.firewall.blocked
            ),
            (0, 0, 0)
        );
        stop(server);
    });
    in_each_setting(|builder, port| {
        let mut firewall = FirewallSettings::default();
        firewall.enabled = true;
        firewall.block = vec!["127.0.0.0/8".parse().unwrap()];
        let server = start(builder.firewall(firewall));
        assert!(Client::connect(port).is_closed_by_peer());
        wait_until("the connection is counted", || {
            let metrics = server.metrics();
            metrics.traffic.firewall.blocked == 1 && metrics.backend.connections_refused == 1
        });
        stop(server);
    });
}

#[test]
fn upstreams_are_told_with_what_they_were_given() {
    in_each_setting(|builder, port| {
        let upstream_port = free_port();
        let upstream = start(
            tidegate::Server::builder()
                .host("127.0.0.1")
                .port(upstream_port)
                .io(tidegate::Io::Poll)
                .io_threads(1)
                .error_log({
                    let mut log = tidegate::ErrorLog::default();
                    log.enabled = false;
                    log
                })
                .on_http_request(|_, response| response.text("from behind")),
        );
        // Nobody listens there once this is dropped.
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        let gone_port = gone.local_addr().unwrap().port();
        drop(gone);
        let to = |port: u16| [format!("http://127.0.0.1:{port}").parse().unwrap()];
        let server = start(
            builder
                .forward(ForwardSettings::new("/up", to(upstream_port)))
                .forward(ForwardSettings::new("/gone", to(gone_port))),
        );
        let mut client = Client::connect(port);
        for _ in 0..3 {
            assert_eq!(client.get("/up").text(), "from behind");
        }
        assert_eq!(client.get("/gone").status, 502);
        wait_until("the connection is kept", || {
            server.metrics().upstreams[0].pooled == 1
        });
        let told = server.metrics().upstreams;
        assert_eq!((told[0].requests, told[0].failures), (3, 0));
        assert_eq!((told[0].active, told[0].is_up), (0, true));
        assert_eq!(told[0].url, format!("http://127.0.0.1:{upstream_port}"));
        assert!(told[1].requests >= 1 && told[1].failures >= 1);
        stop(server);
        stop(upstream);
    });
}
