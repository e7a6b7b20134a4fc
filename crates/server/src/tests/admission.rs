//! Who may come in: passwords, tokens, sessions, API keys, and what the rest of the component learns of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tidegate_admission::api_keys::NewApiKey;

use super::backend::{Answer, Content, TestBackend};
use super::requests::serve;
use crate::{
    ApiKeyPath, ApiKeySettings, AuthDecision, AuthScheme, AuthType, AuthenticationPath,
    AuthenticationSettings, CachePolicy, CorsSettings, Server, ServerBuilder,
};

fn settings() -> AuthenticationSettings {
    AuthenticationSettings {
        enabled: true,
        realm: "test".to_owned(),
        users: vec![
            "alice=open sesame".parse().unwrap(),
            "bob=a=b:c".parse().unwrap(),
        ],
        ..AuthenticationSettings::default()
    }
}

/// Says who asks.
fn telling(builder: ServerBuilder) -> ServerBuilder {
    builder.on_http_request(|request, response| {
        let authentication = request.authentication();
        let auth_type = authentication.as_ref().and_then(|found| found.auth_type());
        let user = request.user();
        response.cache(CachePolicy::TimeToLive(Duration::from_secs(60)));
        response.text(format!("{} {auth_type:?}", user.as_deref().unwrap_or("-")));
    })
}

fn basic(user: &str, password: &str) -> String {
    let pair = BASE64_STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {pair}")
}

fn ask(backend: &TestBackend, line: &str, fields: &[&str]) -> Answer {
    let fields: String = fields.iter().map(|field| format!("\n{field}")).collect();
    let head = format!("{line} HTTP/1.1\nHost: test{fields}");
    backend.request(&head, Content::Arrived(""))
}

#[test]
fn a_request_needs_a_right_password() {
    for backend in [TestBackend::classic(), TestBackend::high_perf()] {
        let server = serve(
            &backend,
            telling(Server::builder()).authentication(settings()),
        );
        let right = ask(&backend, "GET /", &[&basic("alice", "open sesame")]);
        assert_eq!((right.status, right.text()), (200, "alice Some(Basic)"));
        assert!(!right.may_be_stored);
        let right = ask(&backend, "GET /", &[&basic("bob", "a=b:c")]);
        assert_eq!(right.text(), "bob Some(Basic)");
        for fields in [
            &[][..],
            &[&*basic("alice", "open")],
            &[&*basic("nobody", "open sesame")],
            &["Authorization: Negotiate YII="],
            &[
                "Authorization: Digest username=\"a\", realm=\"test\", nonce=\"n\", uri=\"/\", qop=auth, nc=00000001, cnonce=\"c\", response=\"x\"",
            ],
        ] {
            let answer = ask(&backend, "GET /", fields);
            assert_eq!(answer.status, 401, "{fields:?}");
            assert_eq!(
                answer.fields,
                "WWW-Authenticate: Basic realm=\"test\", charset=\"UTF-8\"\r\n"
            );
            assert!(answer.content.is_empty());
        }
        for fields in [
            &["Authorization: Basic !"][..],
            &["Authorization: Basic"],
            &["Authorization: "],
            &[&*basic("a\r\nX-Admin: 1", "b")],
            &[
                &*basic("alice", "open sesame"),
                &*basic("alice", "open sesame"),
            ],
            &[
                &*basic("alice", "open sesame"),
                "Authorization: Negotiate YII=",
            ],
        ] {
            assert_eq!(ask(&backend, "GET /", fields).status, 400, "{fields:?}");
        }
        let counters = server.admission_counters();
        assert_eq!((counters.admitted, counters.refused), (2, 11));
    }
}

// A hash takes tens of milliseconds: nothing for a thread that others wait for.
#[test]
fn a_password_is_hashed_where_it_may_be() {
    let backend = TestBackend::high_perf();
    let _server = serve(
        &backend,
        telling(Server::builder()).authentication(settings()),
    );
    let right = [&*basic("alice", "open sesame")];
    assert!(ask(&backend, "GET /", &right).was_moved);
    assert!(!ask(&backend, "GET /", &right).was_moved);
    assert!(ask(&backend, "GET /", &[&*basic("alice", "wrong")]).was_moved);
    assert!(!ask(&backend, "GET /", &[]).was_moved);
}

#[test]
fn the_application_may_decide_and_is_asked_once() {
    let backend = TestBackend::high_perf();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let builder = telling(Server::builder())
        .authentication(settings())
        .on_authentication(move |request, user, password| {
            assert_eq!(request.document(), "/x");
            count.fetch_add(1, Ordering::Relaxed);
            match (user, password) {
                ("guest", "let me in") => AuthDecision::Accept,
                ("alice", _) => AuthDecision::Refuse,
                ("trouble", _) => panic!("a handler's"),
                _ => AuthDecision::ByList,
            }
        });
    let _server = serve(&backend, builder);
    for (user, password, status) in [
        ("guest", "let me in", 200),
        ("guest", "please", 401),
        ("alice", "open sesame", 401),
        ("bob", "a=b:c", 200),
        ("bob", "a=b:c", 200),
        ("trouble", "", 500),
    ] {
        let before = asked.load(Ordering::Relaxed);
        assert_eq!(
            ask(&backend, "GET /x", &[&basic(user, password)]).status,
            status,
            "{user}"
        );
        assert_eq!(asked.load(Ordering::Relaxed), before + 1, "{user}");
    }
}

#[test]
fn paths_need_what_is_said_of_them() {
    let backend = TestBackend::classic();
    let path = |path: &str, required, schemes: &[AuthScheme]| AuthenticationPath {
        path: path.to_owned(),
        required,
        schemes: schemes.to_vec(),
    };
    let authentication = AuthenticationSettings {
        paths: vec![
            path("/public", false, &[]),
            path("/public/inner/", true, &[]),
            path("/strict", true, &[AuthScheme::Digest]),
        ],
        digest: crate::DigestOptions {
            enabled: true,
            ..crate::DigestOptions::default()
        },
        custom_headers: "X-Login: /login\r\nX-More: a: b".to_owned(),
        ..settings()
    };
    let _server = serve(
        &backend,
        telling(Server::builder()).authentication(authentication),
    );
    let right = basic("alice", "open sesame");
    let wrong = basic("alice", "x");
    for (line, fields, status) in [
        ("GET /public", &[][..], 200),
        ("GET /public/a", &[&*right], 200),
        // What is said has to be right.
        ("GET /public/a", &[&*wrong], 401),
        ("GET /publicity", &[], 401),
        ("GET /public/inner", &[], 401),
        ("GET /public/%2e%2e/private", &[], 401),
        ("GET /public/x/../inner/y", &[], 401),
        ("GET /PUBLIC//inner/x", &[], 401),
        ("GET //Strict/x", &[&*right], 401),
        ("GET /strict", &[&*right], 401),
        ("OPTIONS *", &[], 401),
    ] {
        assert_eq!(
            ask(&backend, line, fields).status,
            status,
            "{line} {fields:?}"
        );
    }
    let open = ask(&backend, "GET /public", &[]);
    assert!(open.may_be_stored);
    assert_eq!(open.text(), "- None");
    let refused = ask(&backend, "GET /strict", &[]);
    assert_eq!(refused.fields.matches("WWW-Authenticate").count(), 1);
    assert!(
        refused
            .field("WWW-Authenticate")
            .unwrap()
            .starts_with("Digest realm=\"test\"")
    );
    assert_eq!(refused.field("X-More"), Some("a: b"));
    let both = ask(&backend, "GET /", &[]);
    let digest = both.fields.find("Digest").unwrap();
    assert!(digest < both.fields.find("Basic").unwrap());
}

#[test]
fn a_pre_flight_passes_and_a_refusal_says_what_cors_says() {
    let backend = TestBackend::classic();
    let cors = CorsSettings {
        origins: "https://page.example".parse().unwrap(),
        ..CorsSettings::default()
    };
    let builder = telling(Server::builder())
        .authentication(settings())
        .cors(cors);
    let _server = serve(&backend, builder);
    let page = "Origin: https://page.example";
    let preflight = ask(
        &backend,
        "OPTIONS /",
        &[page, "Access-Control-Request-Method: GET"],
    );
    assert_eq!(preflight.status, 204);
    let refused = ask(&backend, "GET /", &[page]);
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.field("Access-Control-Allow-Origin"),
        Some("https://page.example")
    );
}

#[test]
fn a_session_stands_for_its_user_and_paths_may_have_passwords() {
    let backend = TestBackend::high_perf();
    let authentication = AuthenticationSettings {
        session: true,
        url: true,
        ..settings()
    };
    let _server = serve(
        &backend,
        telling(Server::builder()).authentication(authentication),
    );
    for (line, fields) in [
        ("GET /sgc/req/auth/session/alice/open%20sesame", &[][..]),
        (
            "GET /sgc/req/auth/session",
            &[&*basic("alice", "open sesame")],
        ),
    ] {
        let answer = ask(&backend, line, fields);
        assert_eq!(
            (answer.status, answer.field("Cache-Control")),
            (200, Some("no-store"))
        );
        let path = format!("GET /sgc/auth/session/{}", answer.text());
        assert_eq!(ask(&backend, &path, &[]).text(), "alice Some(Session)");
    }
    let by_url = ask(&backend, "GET /sgc/auth/url/bob/a=b:c", &[]);
    assert_eq!(by_url.text(), "bob Some(Url)");
    for (line, status) in [
        ("GET /sgc/req/auth/session/alice/x", 401),
        ("GET /sgc/req/auth/session", 401),
        ("GET /sgc/req/auth/session/alice", 400),
        ("GET /sgc/auth/session/AAAA", 401),
        ("GET /sgc/auth/session/", 401),
        ("GET /sgc/auth/url/bob/x", 401),
        ("GET /sgc/auth/url/bob", 400),
    ] {
        assert_eq!(ask(&backend, line, &[]).status, status, "{line}");
    }
    // Off unless switched on.
    let backend = TestBackend::classic();
    let _server = serve(
        &backend,
        telling(Server::builder()).authentication(settings()),
    );
    for line in [
        "GET /sgc/auth/url/bob/a=b:c",
        "GET /sgc/req/auth/session/alice/open%20sesame",
    ] {
        assert_eq!(ask(&backend, line, &[]).status, 401, "{line}");
    }
}

#[test]
fn a_token_is_believed_by_its_signature() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("keys.json");
    let made_elsewhere = include_str!("../../../admission/tests/jwt/pyjwt.json");
    std::fs::write(&set, made_elsewhere).unwrap();
    let file: serde_json::Value = serde_json::from_str(made_elsewhere).unwrap();
    let token = |name: &str| {
        format!(
            "Authorization: Bearer {}",
            file["tokens"][name].as_str().unwrap()
        )
    };
    let backend = TestBackend::high_perf();
    let authentication = AuthenticationSettings {
        jwt: Some(crate::JwtOptions {
            algorithms: vec!["ES256".to_owned(), "RS256".to_owned()],
            audiences: vec!["api".to_owned()],
            // The tokens are of 2023.
            leeway: Duration::from_secs(100 * 365 * 24 * 60 * 60),
            jwk_set_file: Some(set),
            ..crate::JwtOptions::default()
        }),
        basic: false,
        ..settings()
    };
    let _server = serve(
        &backend,
        telling(Server::builder()).authentication(authentication),
    );
    for name in ["ES256", "RS256"] {
        assert_eq!(
            ask(&backend, "GET /", &[&token(name)]).text(),
            "alice Some(Bearer)"
        );
    }
    for name in ["HS256", "EdDSA", "none", "confused", "confused-no-kid"] {
        let answer = ask(&backend, "GET /", &[&token(name)]);
        assert_eq!(answer.status, 401, "{name}");
        let wanted = "Bearer realm=\"test\", error=\"invalid_token\"";
        assert_eq!(answer.field("WWW-Authenticate"), Some(wanted));
    }
    let unasked = ask(&backend, "GET /", &[&basic("alice", "open sesame")]);
    assert_eq!(unasked.status, 401);
    assert_eq!(
        unasked.field("WWW-Authenticate"),
        Some("Bearer realm=\"test\"")
    );
}

#[test]
fn api_keys_are_asked_for_with_their_scopes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |path: &str, required, scope: Option<&str>| ApiKeyPath {
        path: path.to_owned(),
        required,
        scope: scope.map(str::to_owned),
    };
    let keys = ApiKeySettings {
        enabled: true,
        file: Some(folder.path().join("keys")),
        accept_in_query: true,
        paths: vec![
            path("/open", false, None),
            path("/admin", true, Some("admin")),
        ],
        ..ApiKeySettings::default()
    };
    let backend = TestBackend::high_perf();
    let builder = Server::builder()
        .api_keys(keys)
        .on_http_request(|request, response| {
            let found = request.authentication();
            let key = found.as_ref().and_then(|found| found.api_key());
            response.cache(CachePolicy::TimeToLive(Duration::from_secs(60)));
            response.text(key.map_or("-", |key| key.owner()).to_owned());
        });
    let server = serve(&backend, builder);
    let store = server.api_keys().unwrap();
    let new = |scopes: &[&str]| NewApiKey {
        owner: "shop".to_owned(),
        scopes: scopes.iter().map(ToString::to_string).collect(),
        ..NewApiKey::default()
    };
    let now = SystemTime::now();
    let reader = store.issue(new(&["read"]), now).unwrap();
    let admin = store.issue(new(&["admin"]), now).unwrap();
    let revoked = store.issue(new(&["*"]), now).unwrap();
    store.revoke(revoked.id, "leaked", now).unwrap();
    let field = |key: &str| format!("x-api-key: {key}");
    let (reads, rules, old) = (field(&reader.key), field(&admin.key), field(&revoked.key));
    let long = field(&"x".repeat(10_000));
    for (line, fields, status) in [
        ("GET /", &[&*reads][..], 200),
        ("GET /admin/x", &[&*rules], 200),
        ("GET /admin/x", &[&*reads], 403),
        ("GET /", &[], 401),
        ("GET /", &[&*old], 401),
        ("GET /", &["X-API-Key: tg_guess"], 401),
        ("GET /", &["X-API-Key: "], 401),
        ("GET /", &[&*long], 401),
        ("GET /", &[&*reads, &*reads], 400),
        ("GET /open", &[], 200),
        ("GET /open", &[&*old], 401),
    ] {
        let answer = ask(&backend, line, fields);
        assert_eq!(answer.status, status, "{line} {fields:?}");
        assert_eq!(answer.field("WWW-Authenticate").is_some(), status == 401);
    }
    let by_query = ask(&backend, &format!("GET /?api_key={}", reader.key), &[]);
    assert_eq!((by_query.text(), by_query.may_be_stored), ("shop", false));
    let twice = format!("GET /?api_key={}", reader.key);
    assert_eq!(ask(&backend, &twice, &[&reads]).status, 400);
    assert!(ask(&backend, "GET /open", &[]).may_be_stored);
    assert!(!ask(&backend, "GET /open", &[&reads]).may_be_stored);
    let statistics = store.statistics(now);
    assert_eq!((statistics.active, statistics.revoked), (2, 1));
}

#[test]
fn a_key_is_taken_over_https_alone_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let keys = ApiKeySettings {
        enabled: true,
        file: Some(folder.path().join("keys")),
        require_https: true,
        ..ApiKeySettings::default()
    };
    let backend = TestBackend::classic();
    let server = serve(&backend, telling(Server::builder()).api_keys(keys));
    let new = NewApiKey {
        owner: "shop".to_owned(),
        ..NewApiKey::default()
    };
    let issued = server
        .api_keys()
        .unwrap()
        .issue(new, SystemTime::now())
        .unwrap();
    let field = format!("X-API-Key: {}", issued.key);
    assert_eq!(ask(&backend, "GET /", &[&field]).status, 403);
    assert_eq!(ask(&backend, "GET /", &["X-API-Key: tg_guess"]).status, 403);
}

#[test]
fn a_deferred_request_still_knows_who_asks() {
    let backend = TestBackend::high_perf();
    let builder = Server::builder()
        .authentication(settings())
        .on_http_request(|_, response| {
            response.cache(CachePolicy::TimeToLive(Duration::from_secs(60)));
            response.answer_blocking(|request, mut response| {
                response.text(request.user().as_deref().unwrap_or("-").to_owned());
                response
            });
        });
    let _server = serve(&backend, builder);
    let answer = ask(&backend, "GET /", &[&basic("alice", "open sesame")]);
    assert_eq!((answer.status, answer.text()), (200, "alice"));
    assert!(!answer.may_be_stored);
}

#[test]
fn a_websocket_needs_a_password_and_knows_its_user() {
    let backend = TestBackend::high_perf();
    let builder = Server::builder()
        .authentication(settings())
        .on_handshake(|handshake, _| {
            let found = handshake.request().authentication().unwrap();
            assert_eq!(found.auth_type(), Some(AuthType::Basic));
        })
        .on_connect(|_| {});
    let _server = serve(&backend, builder);
    let upgrade = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let refused = ask(&backend, "GET /chat", &upgrade);
    assert_eq!(refused.status, 401);
    assert!(refused.opening.is_none());
    let right = basic("alice", "open sesame");
    let fields: Vec<&str> = upgrade.into_iter().chain([&*right]).collect();
    let accepted = ask(&backend, "GET /chat", &fields);
    assert_eq!(accepted.status, 101);
    assert!(accepted.opening.is_some());
}

#[test]
fn settings_that_cannot_be_are_told_at_the_start() {
    let start = |authentication, api_keys| {
        let backend = TestBackend::classic();
        let server = telling(Server::builder())
            .authentication(authentication)
            .api_keys(api_keys)
            .backend(backend as _)
            .build()
            .unwrap();
        server.start().unwrap();
        server.wait_started().unwrap_err().to_string()
    };
    let without_file = ApiKeySettings {
        enabled: true,
        ..ApiKeySettings::default()
    };
    let error = start(AuthenticationSettings::default(), without_file);
    assert!(error.contains("`api_keys.file`"), "{error}");
    let missing = AuthenticationSettings {
        users_file: Some("/nonexistent/users".into()),
        ..settings()
    };
    let error = start(missing, ApiKeySettings::default());
    assert!(
        error.contains("/nonexistent/users cannot be read"),
        "{error}"
    );
    let broken = AuthenticationSettings {
        custom_headers: "no colon".to_owned(),
        ..settings()
    };
    let error = start(broken, ApiKeySettings::default());
    assert!(error.contains("`authentication.custom_headers`"), "{error}");
}
