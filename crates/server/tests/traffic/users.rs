//! Rates by user: counted when the user is known, each request once.

use std::time::{Duration, SystemTime};

use tidegate::api_keys::NewApiKey;
use tidegate::{
    ApiKeySettings, AuthenticationSettings, CachePolicy, RateCaller, RateLimit, RateLimitSettings,
    RateRuleSettings, RateWhom,
};

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::rate_limit::{counting, rule, rules};

/// ann:right, bob:right and ann:wrong.
const ANN: &str = "Authorization: Basic YW5uOnJpZ2h0";
const BOB: &str = "Authorization: Basic Ym9iOnJpZ2h0";
const WRONG: &str = "Authorization: Basic YW5uOndyb25n";

fn authentication() -> AuthenticationSettings {
    let mut authentication = AuthenticationSettings::default();
    authentication.enabled = true;
    authentication.allow_non_auth = true;
    authentication.users = vec!["ann=right".parse().unwrap(), "bob=right".parse().unwrap()];
    authentication
}

fn for_users(name: &str, limit: u32) -> RateRuleSettings {
    RateRuleSettings {
        user: Some(name.to_owned()),
        ..rule(if name == "*" { "users" } else { name }, limit)
    }
}

fn ask(client: &mut Client, fields: &[&str]) -> (u16, Option<String>) {
    let answer = client.request("GET", "/", fields, "");
    let left = answer.field("X-RateLimit-Remaining").map(str::to_owned);
    (answer.status, left)
}

fn left(status: u16, left: u32) -> (u16, Option<String>) {
    (status, Some(left.to_string()))
}

#[test]
fn each_user_has_an_allowance_and_who_is_none_has_that_of_the_address() {
    in_each_setting(|builder, port| {
        let limits = rules(vec![
            for_users("bob", 1),
            for_users("*", 3),
            rule("address", 2),
        ]);
        let (builder, _) = counting(builder);
        let server = start(builder.authentication(authentication()).rate_limit(limits));
        let mut client = Client::connect(port);
        // The first proof takes a hash, for which the request goes to another thread in HighPerf mode.
        for remaining in [2, 1, 0] {
            assert_eq!(ask(&mut client, &[ANN]), left(200, remaining));
        }
        assert_eq!(ask(&mut client, &[ANN]), left(429, 0));
        // The rule of this name comes first.
        assert_eq!(ask(&mut client, &[BOB]), left(200, 0));
        assert_eq!(ask(&mut client, &[BOB]), left(429, 0));
        // What fails counts to the address, as what says nothing.
        assert_eq!(ask(&mut client, &[WRONG]), left(401, 1));
        assert_eq!(ask(&mut client, &[]), left(200, 0));
        assert_eq!(ask(&mut client, &[WRONG]), left(429, 0));
        assert_eq!(ask(&mut client, &[]), left(429, 0));
        stop(server);
    });
}

#[test]
fn a_request_whose_content_is_to_come_is_counted_once() {
    in_each_setting(|builder, port| {
        let limits = rules(vec![for_users("*", 4)]);
        let (builder, count) = counting(builder);
        let server = start(builder.authentication(authentication()).rate_limit(limits));
        let mut client = Client::connect(port);
        assert_eq!(ask(&mut client, &[ANN]), left(200, 3));
        for remaining in [2, 1, 0] {
            let request = format!(
                "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n{ANN}\r\nExpect: 100-continue\r\n\
                 Content-Length: 7\r\n\r\n"
            );
            client.write(request.as_bytes());
            assert_eq!(client.receive_head().0, 100);
            client.write(b"content");
            let answer = client.receive();
            assert_eq!((answer.status, answer.text()), (200, "7 bytes"));
            let told = answer.field("X-RateLimit-Remaining");
            assert_eq!(told, Some(remaining.to_string().as_str()));
        }
        assert_eq!(ask(&mut client, &[ANN]), left(429, 0));
        assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 4);
        stop(server);
    });
}

#[test]
fn an_endpoint_comes_first_and_a_key_before_the_user() {
    in_each_setting(|builder, port| {
        let folder = tempfile::tempdir().unwrap();
        let mut keys = ApiKeySettings::default();
        keys.enabled = true;
        keys.file = Some(folder.path().join("keys"));
        let path = tidegate::ApiKeyPath {
            path: "/".to_owned(),
            required: false,
            scope: None,
        };
        keys.paths = vec![path];
        let endpoint = RateRuleSettings {
            endpoint: Some("/shared".parse().unwrap()),
            per: Some(RateWhom::User),
            ..rule("shared", 1)
        };
        let per_key = RateRuleSettings {
            api_key: Some("*".to_owned()),
            ..rule("key", 2)
        };
        let limits = rules(vec![for_users("*", 1), per_key, endpoint]);
        let (builder, _) = counting(builder);
        let builder = builder.api_keys(keys).authentication(authentication());
        let server = start(builder.rate_limit(limits));
        let new = NewApiKey {
            owner: "shop".to_owned(),
            ..NewApiKey::default()
        };
        let store = server.api_keys().unwrap();
        let key = store.issue(new, SystemTime::now()).unwrap().key.to_string();
        let key = format!("X-API-Key: {key}");
        let mut client = Client::connect(port);
        assert_eq!(ask(&mut client, &[ANN, &key]), left(200, 1));
        assert_eq!(ask(&mut client, &[ANN, &key]), left(200, 0));
        assert_eq!(ask(&mut client, &[ANN, &key]), left(429, 0));
        assert_eq!(ask(&mut client, &[ANN]), left(200, 0));
        assert_eq!(ask(&mut client, &[ANN]), left(429, 0));
        // Counted for each user alone.
        for (user, status) in [(ANN, 200), (BOB, 200), (ANN, 429), (BOB, 429)] {
            let answer = client.request("GET", "/shared", &[user], "");
            assert_eq!(answer.status, status);
        }
        stop(server);
    });
}

#[test]
fn without_authentication_no_request_has_a_user() {
    in_each_setting(|builder, port| {
        let limits = rules(vec![for_users("*", 1), rule("address", 2)]);
        let (builder, _) = counting(builder);
        let server = start(builder.rate_limit(limits));
        let mut client = Client::connect(port);
        assert_eq!(ask(&mut client, &[ANN]), left(200, 1));
        assert_eq!(ask(&mut client, &[ANN]), left(200, 0));
        assert_eq!(ask(&mut client, &[ANN]), left(429, 0));
        stop(server);
    });
}

#[test]
fn an_application_charges_to_allowances_of_requests_and_to_its_own() {
    in_each_setting(|builder, port| {
        let limits = rules(vec![for_users("*", 10)]);
        let (builder, _) = counting(builder);
        let server = start(builder.authentication(authentication()).rate_limit(limits));
        let rates = server.rate_limiter().unwrap();
        let ann = RateCaller::User("ann");
        assert_eq!(rates.remaining("users", ann), Some(10));
        let decision = rates.consume("users", ann, 7).unwrap();
        assert!(decision.allowed);
        assert_eq!(decision.remaining, 3);
        assert_eq!(ask(&mut Client::connect(port), &[ANN]), left(200, 2));
        assert_eq!(rates.remaining("users", ann), Some(2));
        assert_eq!(rates.remaining("users", RateCaller::User("bob")), Some(10));
        assert_eq!(rates.retry_after("users", ann, 2), Some(Duration::ZERO));
        assert!(rates.retry_after("users", ann, 5).unwrap() > Duration::from_secs(600));
        // What is refused is charged nothing.
        assert!(!rates.consume("users", ann, 5).unwrap().allowed);
        assert_eq!(rates.remaining("users", ann), Some(2));
        assert_eq!(rates.consume("unknown", ann, 1), None);
        let limit = RateLimit::new(2, Duration::from_secs(3_600));
        let mails = || rates.consume_own("mails", &limit, b"ann", 1).allowed;
        assert_eq!([mails(), mails(), mails()], [true, true, false]);
        stop(server);
        drop(rates);
    });
}

#[test]
fn what_is_counted_is_not_served_from_the_cache_unless_it_may_be() {
    for cached_answers in [false, true] {
        in_each_setting(|builder, port| {
            let mut limits: RateLimitSettings = rules(vec![RateRuleSettings {
                endpoint: Some("/counted".parse().unwrap()),
                ..rule("counted", 2)
            }]);
            limits.cached_answers = cached_answers;
            let builder = builder.rate_limit(limits);
            let server = start(builder.on_http_request(|_, response| {
                response
                    .content_type("text/plain")
                    .cache(CachePolicy::UserInvalidates)
                    .text("cached");
            }));
            let mut client = Client::connect(port);
            let statuses = [0; 3].map(|_| client.get("/counted").status);
            let wanted = match cached_answers {
                true => [200; 3],
                false => [200, 200, 429],
            };
            assert_eq!(statuses, wanted);
            // Where no rule is, there is a cache.
            for _ in 0..3 {
                assert_eq!(client.get("/other").status, 200);
            }
            assert_eq!(server.cache_state().len(), 1 + usize::from(cached_answers));
            stop(server);
        });
    }
}
