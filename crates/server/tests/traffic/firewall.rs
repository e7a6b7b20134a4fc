//! Who is kept out: lists, floods, bans, countries, what looks like an attack.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate::{
    Admission, Attack, AuthenticationSettings, FilterReason, FirewallSettings, RequestPart,
    ServerBuilder, ViolationKind,
};

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::{is_shut_out, wait_until};

pub(crate) fn firewall(change: impl FnOnce(&mut FirewallSettings)) -> FirewallSettings {
    let mut settings = FirewallSettings::default();
    settings.enabled = true;
    change(&mut settings);
    settings
}

fn hello(builder: ServerBuilder) -> ServerBuilder {
    builder.on_http_request(|_, response| response.text("hello"))
}

#[test]
fn a_blocked_address_is_shut_out_before_anything_hears_of_it() {
    in_each_setting(|builder, port| {
        let connected = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&connected);
        let reasons = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&reasons);
        let builder = hello(builder)
            .binding("[::1]", port, "/")
            .on_tcp_connect(move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
                Admission::Accept
            })
            .on_firewall_filtered(move |filtered| {
                told.lock().unwrap().push(filtered.reason);
                Admission::Refuse
            });
        let block = ["127.0.0.0/8", "2001:db8::/32"].map(|range| range.parse().unwrap());
        let server = start(builder.firewall(firewall(|settings| settings.block = block.into())));
        assert!(is_shut_out("127.0.0.1", port));
        assert_eq!(connected.load(Ordering::Relaxed), 0);
        assert_eq!(*reasons.lock().unwrap(), [FilterReason::BlockList]);
        // The list has IPv4 addresses and some of IPv6, not this one.
        assert!(!is_shut_out("::1", port));
        assert_eq!(connected.load(Ordering::Relaxed), 1);
        stop(server);
    });
}

#[test]
fn an_allowed_address_passes_all_and_an_event_may_let_others_in() {
    in_each_setting(|builder, port| {
        let settings = |allow: &str| {
            firewall(|settings| {
                settings.allow = vec![allow.parse().unwrap()];
                settings.block = vec!["127.0.0.1".parse().unwrap()];
                settings.patterns.sql_injection = true;
            })
        };
        let server = start(hello(builder).firewall(settings("127.0.0.1/32")));
        assert!(!is_shut_out("127.0.0.1", port));
        assert_eq!(Client::connect(port).get("/?a='+or+1=1--").status, 200);
        stop(server);
    });
    in_each_setting(|builder, port| {
        let settings = firewall(|settings| settings.block = vec!["0.0.0.0/0".parse().unwrap()]);
        let builder = hello(builder).on_firewall_filtered(|_| Admission::Accept);
        let server = start(builder.firewall(settings));
        assert!(!is_shut_out("127.0.0.1", port));
        stop(server);
    });
}

#[test]
fn lists_are_read_from_files_and_a_wrong_line_is_named() {
    in_each_setting(|builder, port| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blocked");
        std::fs::write(&path, "# some\n10.0.0.0/8\n127.0.0.1 ; me\n").unwrap();
        let settings = firewall(|settings| settings.block_files = vec![path.clone()]);
        let server = start(hello(builder).firewall(settings));
        assert!(is_shut_out("127.0.0.1", port));
        stop(server.clone());
        std::fs::write(&path, "10.0.0.0/8\n10.0.0.0/33\n").unwrap();
        server.start().unwrap();
        let error = server.wait_started().unwrap_err().to_string();
        assert!(
            error.contains("blocked, line 2: `10.0.0.0/33` is no range"),
            "{error}"
        );
    });
}

#[test]
fn an_address_may_make_so_many_connections_and_no_more() {
    in_each_setting(|builder, port| {
        let settings = firewall(|settings| {
            settings.connections.enabled = true;
            settings.connections.limit = 3;
            settings.connections.window = Duration::from_secs(3_600);
        });
        let server = start(hello(builder).firewall(settings));
        let mut first = Client::connect(port);
        assert_eq!(first.get("/").status, 200);
        assert!(!is_shut_out("127.0.0.1", port));
        assert!(!is_shut_out("127.0.0.1", port));
        assert!(is_shut_out("127.0.0.1", port));
        assert!(is_shut_out("127.0.0.1", port));
        // Those there are stay.
        assert_eq!(first.get("/").status, 200);
        stop(server);
    });
}

#[test]
fn what_looks_like_an_attack_is_refused_and_told() {
    in_each_setting(|builder, port| {
        let found = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&found);
        let asked = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&asked);
        let builder = builder
            .on_http_request(move |_, response| {
                counted.fetch_add(1, Ordering::Relaxed);
                response.text("hello");
            })
            .on_firewall_violation(move |violation| {
                assert!(violation.is_refused && violation.address.is_some());
                told.lock().unwrap().push(violation.kind);
            });
        let settings = firewall(|settings| {
            settings.patterns.sql_injection = true;
            settings.patterns.cross_site_scripting = true;
            settings.patterns.custom = vec![r"/wp-login\.php$".to_owned()];
            settings.patterns.fields = vec!["User-Agent".to_owned()];
            settings.max_request_bytes = 10;
        });
        let server = start(builder.firewall(settings));
        let status = |target: &str, fields: &[&str]| {
            Client::connect(port)
                .request("GET", target, fields, "")
                .status
        };
        assert_eq!(status("/a?q=it's+a+select+union+of+1+or+2", &[]), 200);
        assert_eq!(status("/a?q=%27%20or%20%271%27=%271", &[]), 403);
        assert_eq!(status("/%3Cscript%3Ealert(1)%3C/script%3E", &[]), 403);
        assert_eq!(status("/blog/WP-login.php", &[]), 403);
        assert_eq!(status("/", &["User-Agent: <script>alert(1)</script>"]), 403);
        let mut client = Client::connect(port);
        assert_eq!(client.request("POST", "/", &[], "0123456789").status, 200);
        assert_eq!(client.request("POST", "/", &[], "0123456789a").status, 413);
        let expected = [
            ViolationKind::Attack(Attack::SqlInjection, RequestPart::Query),
            ViolationKind::Attack(Attack::CrossSiteScripting, RequestPart::Path),
            ViolationKind::Attack(Attack::Custom(0), RequestPart::Path),
            ViolationKind::Attack(Attack::CrossSiteScripting, RequestPart::Field),
            ViolationKind::Payload(11),
        ];
        assert_eq!(*found.lock().unwrap(), expected);
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        stop(server);
    });
}

#[test]
fn offences_add_up_to_a_ban_that_holds_for_open_connections_too() {
    in_each_setting(|builder, port| {
        let scores = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&scores);
        let builder = hello(builder).on_score_changed(move |changed| {
            told.lock()
                .unwrap()
                .push((changed.before, changed.after, changed.ban.is_some()));
        });
        let settings = firewall(|settings| {
            settings.patterns.path_traversal = true;
            settings.patterns.log_only = true;
            settings.threat_score.enabled = true;
            settings.threat_score.threshold = 60;
            settings.threat_score.decay_per_hour = 0;
        });
        let server = start(builder.firewall(settings));
        let mut client = Client::connect(port);
        // They are only told of, until it is enough.
        let statuses = [0; 4].map(|_| client.get("/?f=../../etc/passwd").status);
        assert_eq!(statuses, [200, 200, 200, 403]);
        let expected = [(0, 25, false), (25, 50, false), (50, 0, true)];
        assert_eq!(*scores.lock().unwrap(), expected);
        assert!(is_shut_out("127.0.0.1", port));
        assert!(server.unban("127.0.0.1".parse().unwrap()).unwrap());
        assert_eq!(Client::connect(port).get("/").status, 200);
        stop(server);
    });
}

#[test]
fn a_ban_by_hand_holds_at_once_and_over_a_restart() {
    in_each_setting(|builder, port| {
        let folder = tempfile::tempdir().unwrap();
        let settings = firewall(|settings| settings.bans.file = Some(folder.path().join("bans")));
        let server = start(hello(builder).firewall(settings));
        let mut client = Client::connect(port);
        assert_eq!(client.get("/").status, 200);
        let me = "127.0.0.1".parse().unwrap();
        let ban = server.ban(me, None).unwrap().unwrap();
        assert_eq!((ban.address, ban.until), (me, None));
        assert_eq!(server.bans(), [ban]);
        assert_eq!(client.get("/").status, 403);
        assert!(is_shut_out("127.0.0.1", port));
        stop(server.clone());
        server.start().unwrap();
        server.wait_started().unwrap();
        assert_eq!(server.bans(), [ban]);
        assert!(is_shut_out("127.0.0.1", port));
        server.unban(me).unwrap();
        assert!(!is_shut_out("127.0.0.1", port));
        // One that has an end, which comes.
        server.ban(me, Some(Duration::ZERO)).unwrap();
        wait_until("the end of a ban", || !is_shut_out("127.0.0.1", port));
        stop(server);
    });
}

#[test]
fn a_country_may_be_kept_out() {
    in_each_setting(|builder, port| {
        let country = Arc::new(Mutex::new(None));
        let told = Arc::clone(&country);
        let builder = hello(builder).on_resolve_country(move |address| {
            assert_eq!(address.to_string(), "127.0.0.1");
            *told.lock().unwrap()
        });
        let settings = firewall(|settings| settings.country.block = vec!["XX".parse().unwrap()]);
        let server = start(builder.firewall(settings));
        assert!(!is_shut_out("127.0.0.1", port));
        *country.lock().unwrap() = Some("XX".parse().unwrap());
        assert!(is_shut_out("127.0.0.1", port));
        *country.lock().unwrap() = Some("YY".parse().unwrap());
        assert!(!is_shut_out("127.0.0.1", port));
        stop(server);
    });
}

#[test]
fn who_guesses_passwords_is_banned_and_who_has_none_is_not() {
    in_each_setting(|builder, port| {
        let firewall = firewall(|settings| {
            settings.brute_force.enabled = true;
            settings.brute_force.attempts = 3;
        });
        let mut authentication = AuthenticationSettings::default();
        authentication.enabled = true;
        authentication.users = vec!["ann=right".parse().unwrap()];
        let server = start(
            builder
                .firewall(firewall)
                .authentication(authentication)
                .on_http_request(|_, response| response.text("in")),
        );
        let mut client = Client::connect(port);
        // A browser asks without, first.
        for _ in 0..5 {
            assert_eq!(client.get("/").status, 401);
        }
        // ann:right and ann:wrong.
        let right = "Authorization: Basic YW5uOnJpZ2h0";
        let wrong = "Authorization: Basic YW5uOndyb25n";
        assert_eq!(client.request("GET", "/", &[right], "").text(), "in");
        for _ in 0..3 {
            assert_eq!(client.request("GET", "/", &[wrong], "").status, 401);
        }
        assert_eq!(client.request("GET", "/", &[right], "").status, 403);
        assert_eq!(server.bans().len(), 1);
        drop(client);
        stop(server);
    });
}
