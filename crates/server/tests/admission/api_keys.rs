//! API keys: who guesses them, what the application may say about them, and how they are replaced.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tidegate::api_keys::{ApiKeyEvent, ApiKeys, KeyRefusal, MemoryStorage, NewApiKey};
use tidegate::{
    ApiKeyHash, ApiKeyPath, ApiKeySettings, ApiKeyStorage, AuthDecision, FirewallSettings,
    RateLimitSettings, RateRuleSettings, ServerBuilder,
};

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::wait_until;

fn in_memory() -> ApiKeySettings {
    let mut settings = ApiKeySettings::default();
    settings.enabled = true;
    settings.storage = ApiKeyStorage::Memory;
    settings
}

fn new(owner: &str) -> NewApiKey {
    NewApiKey {
        owner: owner.to_owned(),
        ..NewApiKey::default()
    }
}

fn field(key: &str) -> String {
    format!("X-API-Key: {key}")
}

/// Says whose key it is.
fn telling(builder: ServerBuilder) -> ServerBuilder {
    builder.on_http_request(|request, response| {
        let found = request.authentication();
        let key = found.as_ref().and_then(|found| found.api_key());
        response.text(key.map_or("-", |key| key.owner()).to_owned());
    })
}

#[test]
fn who_guesses_keys_is_banned_and_fills_neither_memory_nor_the_disk() {
    in_each_setting(|builder, port| {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = in_memory();
        settings.audit.folder = Some(folder.path().to_owned());
        settings.audit.kept = 3;
        let mut firewall = FirewallSettings::default();
        firewall.enabled = true;
        firewall.brute_force.enabled = true;
        firewall.brute_force.attempts = 40;
        let builder = telling(builder).api_keys(settings).firewall(firewall);
        let server = start(builder);
        let store = server.api_keys().unwrap();
        let issued = store.issue(new("shop"), SystemTime::now()).unwrap();
        let mut client = Client::connect(port);
        let right = field(&issued.key);
        assert_eq!(client.request("GET", "/", &[&right], "").text(), "shop");
        for number in 0..40 {
            let guess = field(&format!("tg_secret-guess-{number}"));
            assert_eq!(client.request("GET", "/", &[&guess], "").status, 401);
        }
        // Banned, whatever comes now.
        assert_eq!(client.request("GET", "/", &[&right], "").status, 403);
        assert_eq!(server.bans().len(), 1);
        assert_eq!(store.refused(100).len(), 3);
        let statistics = store.statistics(SystemTime::now());
        assert_eq!((statistics.validations, statistics.failures), (1, 40));
        let text = || -> String {
            let files = std::fs::read_dir(folder.path()).unwrap();
            files
                .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
                .collect()
        };
        wait_until("the guesses are in the file", || {
            text().contains("127.0.0.1")
        });
        let text = text();
        // So many lines a second; the second may have changed in the middle.
        assert!(text.lines().count() <= 42, "{text}");
        assert!(!text.contains("guess"), "{text}");
        drop(client);
        stop(server);
    });
}

#[test]
fn the_application_may_decide_over_keys() {
    in_each_setting(|builder, port| {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let builder = telling(builder)
            .api_keys(in_memory())
            .on_api_key_validation(move |request, validation| {
                count.fetch_add(1, Ordering::Relaxed);
                let owner = validation.key.map(|key| key.owner());
                match (request.document(), owner, validation.refusal) {
                    ("/closed", Some("shop"), None) => AuthDecision::Refuse,
                    ("/open", Some("shop"), Some(KeyRefusal::Revoked)) => AuthDecision::Accept,
                    ("/any", None, Some(KeyRefusal::Unknown)) => AuthDecision::Accept,
                    ("/trouble", ..) => panic!("a handler's"),
                    _ => AuthDecision::ByList,
                }
            });
        let server = start(builder);
        let store = server.api_keys().unwrap();
        let now = SystemTime::now();
        let good = store.issue(new("shop"), now).unwrap();
        let revoked = store.issue(new("shop"), now).unwrap();
        store.revoke(revoked.id, "", now).unwrap();
        let mut client = Client::connect(port);
        let (good, revoked, guess) = (field(&good.key), field(&revoked.key), field("tg_guess"));
        for (path, key, status, text) in [
            ("/", Some(&good), 200, "shop"),
            ("/closed", Some(&good), 401, ""),
            ("/", Some(&revoked), 401, ""),
            ("/open", Some(&revoked), 200, "shop"),
            ("/", Some(&guess), 401, ""),
            ("/any", Some(&guess), 200, "-"),
            ("/trouble", Some(&good), 500, ""),
            // Without a key there is nothing to decide.
            ("/any", None, 401, ""),
        ] {
            let fields: Vec<&str> = key.into_iter().map(String::as_str).collect();
            let answer = client.request("GET", path, &fields, "");
            assert_eq!((answer.status, answer.text()), (status, text), "{path}");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 7);
        drop(client);
        stop(server);
    });
}

#[test]
fn a_key_that_is_due_is_replaced_by_who_takes_the_new_one() {
    in_each_setting(|builder, port| {
        let vault: Arc<Mutex<Vec<String>>> = Arc::default();
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let (keeper, listener) = (Arc::clone(&vault), Arc::clone(&told));
        let builder = telling(builder)
            .api_keys(in_memory())
            .on_api_key_rotation(move |rotation| {
                assert_eq!(rotation.due.owner, "shop");
                keeper.lock().unwrap().push(rotation.new.key.clone());
                true
            })
            .on_api_key_event(move |event| {
                if !matches!(event, ApiKeyEvent::Audited(_)) {
                    listener.lock().unwrap().push(format!("{event:?}"));
                }
            });
        let server = start(builder);
        let store = server.api_keys().unwrap();
        let due = NewApiKey {
            rotate_after: Some(Duration::from_secs(3600)),
            ..new("shop")
        };
        // It was issued two hours ago.
        let then = SystemTime::now() - Duration::from_secs(7200);
        let old = store.issue(due, then).unwrap();
        wait_until("a successor", || {
            let key = store.get(old.id, SystemTime::now()).unwrap();
            key.successor.is_some()
        });
        let fresh = vault.lock().unwrap().last().unwrap().clone();
        let mut client = Client::connect(port);
        for key in [&old.key, &fresh] {
            assert_eq!(
                client.request("GET", "/", &[&field(key)], "").text(),
                "shop"
            );
        }
        // By the threads that did it, and the second may be the quicker one.
        wait_until("it is told", || {
            let told = told.lock().unwrap();
            let is_told = |event| told.iter().any(|told| told.starts_with(event));
            told.len() == 2 && is_told("Issued") && is_told("Rotated")
        });
        // Of what is not due yet, nothing is replaced.
        assert_eq!(vault.lock().unwrap().len(), 1);
        drop(client);
        stop(server);
    });
}

// Its own, instead of the rule's.
#[test]
fn a_key_has_the_rate_that_it_was_issued_with() {
    in_each_setting(|builder, port| {
        let mut limits = RateLimitSettings::default();
        limits.enabled = true;
        limits.rule = vec![RateRuleSettings {
            name: "keys".to_owned(),
            api_key: Some("*".to_owned()),
            limit: 2,
            window: Duration::from_secs(3600),
            ..RateRuleSettings::default()
        }];
        let server = start(telling(builder).api_keys(in_memory()).rate_limit(limits));
        let store = server.api_keys().unwrap();
        let mut client = Client::connect(port);
        for (rate, allowed) in [(None, 2), (Some(5), 5), (Some(1), 1)] {
            let new = NewApiKey {
                rate,
                ..new("shop")
            };
            let issued = store.issue(new, SystemTime::now()).unwrap();
            let key = field(&issued.key);
            for number in 0..allowed + 2 {
                let answer = client.request("GET", "/", &[&key], "");
                let status = if number < allowed { 200 } else { 429 };
                assert_eq!(answer.status, status, "{rate:?}, request {number}");
                let limit = answer.field("X-RateLimit-Limit");
                assert_eq!(limit, Some(&*allowed.to_string()));
            }
        }
        // The limiter asks for a key without using it.
        assert_eq!(store.statistics(SystemTime::now()).validations, 8);
        drop(client);
        stop(server);
    });
}

#[test]
fn a_slow_hash_is_made_where_it_may_be() {
    in_each_setting(|builder, port| {
        let mut settings = in_memory();
        settings.hash = ApiKeyHash::Argon2id;
        let server = start(telling(builder).api_keys(settings));
        let store = server.api_keys().unwrap();
        let issued = store.issue(new("shop"), SystemTime::now()).unwrap();
        let mut client = Client::connect(port);
        let wrong = field(&format!("{}x", issued.key));
        for _ in 0..2 {
            assert_eq!(client.request("GET", "/", &[&wrong], "").status, 401);
            let right = client.request("GET", "/", &[&field(&issued.key)], "");
            assert_eq!((right.status, right.text()), (200, "shop"));
            assert!(!store.takes_long(&issued.key));
        }
        drop(client);
        stop(server);
    });
}

#[test]
fn keys_in_memory_outlive_a_reload_and_an_encrypted_file_a_start() {
    in_each_setting(|builder, port| {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let server = start(telling(builder).api_keys(in_memory()));
        let issued = server.api_keys().unwrap();
        let issued = issued.issue(new("shop"), SystemTime::now()).unwrap();
        let mut client = Client::connect(port);
        let mut settings = server.settings();
        settings.api_keys.paths = vec![ApiKeyPath {
            path: "/open".to_owned(),
            required: false,
            scope: None,
        }];
        server.reload(settings).unwrap();
        assert_eq!(client.get("/open").status, 200);
        assert_eq!(client.get("/").status, 401);
        let answer = client.request("GET", "/", &[&field(&issued.key)], "");
        assert_eq!(answer.text(), "shop");

        // Into a file with a passphrase.
        std::fs::write(file("passphrase"), "correct horse battery\n").unwrap();
        let export = server.api_keys().unwrap().export().unwrap();
        let mut settings = server.settings();
        settings.api_keys.storage = ApiKeyStorage::File;
        settings.api_keys.file = Some(file("keys"));
        settings.api_keys.passphrase_file = Some(file("passphrase"));
        server.reload(settings.clone()).unwrap();
        let store = server.api_keys().unwrap();
        assert_eq!(store.import(&export, SystemTime::now()).unwrap().added, 1);
        let answer = client.request("GET", "/", &[&field(&issued.key)], "");
        assert_eq!(answer.text(), "shop");
        let refuses = |path: Option<&Path>| {
            let mut settings = settings.clone();
            settings.api_keys.passphrase_file = path.map(Path::to_owned);
            server.reload(settings).unwrap_err().to_string()
        };
        assert!(refuses(None).contains("encrypted"));
        std::fs::write(file("other"), "correct horse batteries").unwrap();
        assert!(refuses(Some(&file("other"))).contains("another passphrase"));
        std::fs::write(file("short"), "x\n").unwrap();
        assert!(refuses(Some(&file("short"))).contains("16 bytes"));
        assert!(refuses(Some(&file("none"))).contains("cannot be read"));
        // What could not be is as it was.
        let answer = client.request("GET", "/", &[&field(&issued.key)], "");
        assert_eq!(answer.text(), "shop");
        drop(client);
        stop(server);
    });
}

#[test]
fn an_applications_own_storage_has_the_keys() {
    in_each_setting(|builder, port| {
        let storage = Arc::new(MemoryStorage::default());
        let mut settings = ApiKeySettings::default();
        settings.enabled = true;
        let builder = telling(builder)
            .api_keys(settings.clone())
            .api_key_storage(storage.clone());
        let server = start(builder);
        // Somebody else puts a key there.
        let elsewhere = settings.store(storage).unwrap();
        let elsewhere = ApiKeys::open(elsewhere, SystemTime::now()).unwrap();
        let issued = elsewhere.issue(new("shop"), SystemTime::now()).unwrap();
        let mut client = Client::connect(port);
        wait_until("the server sees it", || {
            client
                .request("GET", "/", &[&field(&issued.key)], "")
                .status
                == 200
        });
        drop(client);
        stop(server);
    });
}
