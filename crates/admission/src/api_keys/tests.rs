mod kept;

use std::path::Path;
use std::sync::Mutex;

use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn now() -> SystemTime {
    at_milliseconds(1_800_000_000_000)
}

fn store() -> (tempfile::TempDir, ApiKeys) {
    let folder = tempfile::tempdir().unwrap();
    let keys = open(&folder.path().join("keys.redb"));
    (folder, keys)
}

fn open(path: &Path) -> ApiKeys {
    ApiKeys::open(ApiKeySettings::new(path), now()).unwrap()
}

fn new(owner: &str, scopes: &[&str]) -> NewApiKey {
    NewApiKey {
        owner: owner.to_owned(),
        scopes: scopes.iter().map(ToString::to_string).collect(),
        ..NewApiKey::default()
    }
}

fn refusal(verdict: KeyVerdict) -> Option<KeyRefusal> {
    match verdict {
        KeyVerdict::Accepted(_) => None,
        KeyVerdict::Refused(refusal) => Some(refusal),
    }
}

fn check(keys: &ApiKeys, key: &str, scope: Option<&str>, now: SystemTime) -> Option<KeyRefusal> {
    refusal(keys.validate(key, scope, HERE, now))
}

#[test]
fn a_key_is_good_for_its_scopes() {
    let (_folder, keys) = store();
    let issued = keys.issue(new("alice", &["read", "write"]), now()).unwrap();
    assert!(KeyFormat::default().fits(&issued.key));
    for (scope, expected) in [
        (None, None),
        (Some("read"), None),
        (Some("admin"), Some(KeyRefusal::Scope)),
        (Some("rea"), Some(KeyRefusal::Scope)),
        (Some("*"), Some(KeyRefusal::Scope)),
    ] {
        assert_eq!(
            check(&keys, &issued.key, scope, now()),
            expected,
            "{scope:?}"
        );
    }
    let all = keys.issue(new("root", &["*"]), now()).unwrap();
    assert_eq!(check(&keys, &all.key, Some("admin"), now()), None);
    let KeyVerdict::Accepted(valid) = keys.validate(&issued.key, None, HERE, now()) else {
        panic!("it is good");
    };
    assert_eq!((valid.owner(), valid.id()), ("alice", issued.id));
    keys.grant_scopes(issued.id, &["admin".to_owned()], now())
        .unwrap();
    keys.withdraw_scopes(issued.id, &["read".to_owned()], now())
        .unwrap();
    assert_eq!(check(&keys, &issued.key, Some("admin"), now()), None);
    assert_eq!(
        check(&keys, &issued.key, Some("read"), now()),
        Some(KeyRefusal::Scope)
    );
    assert_eq!(
        keys.get(issued.id, now()).unwrap().scopes,
        ["admin", "write"]
    );
}

#[test]
fn what_is_no_key_is_refused() {
    let (_folder, keys) = store();
    let issued = keys.issue(new("alice", &[]), now()).unwrap();
    let key = &issued.key;
    let last = if key.ends_with('0') { '1' } else { '0' };
    for text in [
        "",
        "tg_",
        &key[..key.len() - 1],
        &format!("{key} "),
        &format!("{}{last}", &key[..key.len() - 1]),
        &"x".repeat(100_000),
    ] {
        assert_eq!(check(&keys, text, None, now()), Some(KeyRefusal::Unknown));
    }
    let statistics = keys.statistics(now());
    assert_eq!(
        (
            statistics.total,
            statistics.failures,
            statistics.validations
        ),
        (1, 6, 0)
    );
}

#[test]
fn a_key_is_good_from_its_addresses() {
    let (_folder, keys) = store();
    let issued = keys
        .issue(
            NewApiKey {
                addresses: vec![
                    "192.0.2.0/24".parse().unwrap(),
                    "2001:db8::/32".parse().unwrap(),
                ],
                ..new("alice", &[])
            },
            now(),
        )
        .unwrap();
    for (address, expected) in [
        ("192.0.2.255", None),
        ("::ffff:192.0.2.1", None),
        ("2001:db8::1", None),
        ("192.0.3.0", Some(KeyRefusal::Address)),
        ("2001:db9::1", Some(KeyRefusal::Address)),
    ] {
        let verdict = keys.validate(&issued.key, None, address.parse().unwrap(), now());
        assert_eq!(refusal(verdict), expected, "{address}");
    }
    assert_eq!(keys.get(issued.id, now()).unwrap().failures, 2);
}

#[test]
fn a_revoked_key_stays_revoked() {
    let (folder, keys) = store();
    let issued = keys.issue(new("alice", &[]), now()).unwrap();
    assert!(keys.revoke(issued.id, "leaked", now()).unwrap());
    assert!(!keys.revoke(issued.id, "again", now()).unwrap());
    assert_eq!(
        check(&keys, &issued.key, None, now()),
        Some(KeyRefusal::Revoked)
    );
    assert!(matches!(
        keys.renew(issued.id, None, now()),
        Err(ApiKeyError::Revoked(_))
    ));
    assert!(matches!(
        keys.rotate(issued.id, Duration::ZERO, now()),
        Err(ApiKeyError::Revoked(_))
    ));
    drop(keys);
    let keys = open(&folder.path().join("keys.redb"));
    assert_eq!(
        check(&keys, &issued.key, None, now()),
        Some(KeyRefusal::Revoked)
    );
    let known = keys.get(issued.id, now()).unwrap();
    assert_eq!(known.revoked, Some((now(), "leaked".to_owned())));
    let unknown = ApiKeyId(7);
    assert!(matches!(
        keys.revoke(unknown, "", now()),
        Err(ApiKeyError::NoSuchKey(_))
    ));
}

#[test]
fn a_key_ends_and_is_renewed() {
    let (_folder, keys) = store();
    let day = Duration::from_secs(24 * 60 * 60);
    let issued = keys
        .issue(
            NewApiKey {
                expires: Some(now() + day),
                ..new("alice", &[])
            },
            now(),
        )
        .unwrap();
    let just_before = now() + day - Duration::from_millis(1);
    assert_eq!(check(&keys, &issued.key, None, just_before), None);
    assert_eq!(
        check(&keys, &issued.key, None, now() + day),
        Some(KeyRefusal::Expired)
    );
    keys.renew(issued.id, Some(now() + day * 2), now() + day)
        .unwrap();
    assert_eq!(check(&keys, &issued.key, None, now() + day), None);
    keys.renew(issued.id, None, now()).unwrap();
    assert_eq!(check(&keys, &issued.key, None, now() + day * 1000), None);
}

#[test]
fn a_rotated_key_works_until_its_grace_is_over() {
    let (_folder, keys) = store();
    let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(24 * 3600));
    let old = keys
        .issue(
            NewApiKey {
                rotate_after: Some(day),
                expires: Some(now() + day * 30),
                note: "for the shop".to_owned(),
                ..new("alice", &["read"])
            },
            now(),
        )
        .unwrap();
    assert!(keys.due(now()).is_empty());
    assert_eq!(keys.due(now() + day).len(), 1);
    let at = now() + day;
    let fresh = keys.rotate(old.id, hour, at).unwrap();
    assert_ne!(old.key, fresh.key);
    assert_eq!(check(&keys, &fresh.key, Some("read"), at), None);
    assert_eq!(
        check(
            &keys,
            &old.key,
            Some("read"),
            at + hour - Duration::from_millis(1)
        ),
        None
    );
    assert_eq!(
        check(&keys, &old.key, None, at + hour),
        Some(KeyRefusal::Expired)
    );
    let (known, successor) = (
        keys.get(old.id, at).unwrap(),
        keys.get(fresh.id, at).unwrap(),
    );
    assert_eq!(known.successor, Some(fresh.id));
    assert_eq!(successor.note, "for the shop");
    assert_eq!(successor.expires, Some(at + day * 30));
    assert!(keys.due(at).is_empty());
    assert!(matches!(
        keys.rotate(old.id, hour, at),
        Err(ApiKeyError::HasSuccessor(_, _))
    ));
}

#[test]
fn all_is_there_after_a_new_start() {
    let (folder, keys) = store();
    let issued: Vec<_> = (0..20)
        .map(|number| {
            keys.issue(new(&format!("owner {}", number % 3), &["a"]), now())
                .unwrap()
        })
        .collect();
    for key in &issued {
        assert_eq!(check(&keys, &key.key, Some("a"), now()), None);
    }
    keys.flush(now()).unwrap();
    let listed = keys.list(None, now());
    drop(keys);
    let keys = open(&folder.path().join("keys.redb"));
    assert_eq!(keys.list(None, now()), listed);
    assert!(
        listed
            .iter()
            .all(|key| key.uses == 1 && key.last_used == Some(now()))
    );
    assert_eq!(keys.list(Some("owner 1"), now()).len(), 7);
    for key in &issued {
        assert_eq!(check(&keys, &key.key, Some("a"), now()), None);
    }
}

// The command line works on the file while a server has it in memory, and the other way round.
#[test]
fn two_who_share_a_file_see_what_the_other_does() {
    let (folder, server) = store();
    let by_server = server.issue(new("alice", &[]), now()).unwrap();
    let tool = open(&folder.path().join("keys.redb"));
    assert_eq!(check(&tool, &by_server.key, None, now()), None);
    let by_tool = tool.issue(new("bob", &[]), now()).unwrap();
    assert!(tool.revoke(by_server.id, "", now()).unwrap());
    assert_eq!(
        check(&server, &by_tool.key, None, now()),
        Some(KeyRefusal::Unknown)
    );
    assert_eq!(check(&server, &by_server.key, None, now()), None);
    server.maintain(now()).unwrap();
    assert_eq!(check(&server, &by_tool.key, None, now()), None);
    assert_eq!(
        check(&server, &by_server.key, None, now()),
        Some(KeyRefusal::Revoked)
    );
    // A change made without having looked keeps what the other did.
    let third = tool.issue(new("carol", &[]), now()).unwrap();
    let fourth = server.issue(new("dave", &[]), now()).unwrap();
    for key in [&by_tool, &third, &fourth] {
        assert_eq!(check(&server, &key.key, None, now()), None);
    }
    tool.maintain(now()).unwrap();
    assert_eq!(tool.list(None, now()).len(), 4);
    // What both counted adds up: the server has accepted bob's twice, the tool never, and once more.
    server.flush(now()).unwrap();
    assert_eq!(check(&tool, &by_tool.key, None, now()), None);
    tool.flush(now()).unwrap();
    let again = open(&folder.path().join("keys.redb"));
    assert_eq!(again.get(by_tool.id, now()).unwrap().uses, 3);
}

#[test]
fn ended_keys_are_told_once_and_purged() {
    let folder = tempfile::tempdir().unwrap();
    let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(24 * 3600));
    let settings = ApiKeySettings {
        life: Some(hour),
        purge_after: Some(day),
        ..ApiKeySettings::new(folder.path().join("keys.redb"))
    };
    let keys = ApiKeys::open(settings, now()).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    keys.set_listener(move |event| listener.lock().unwrap().push(format!("{event:?}")));
    let short = keys.issue(new("alice", &[]), now()).unwrap();
    let long = keys
        .issue(
            NewApiKey {
                expires: Some(now() + day * 9),
                ..new("alice", &[])
            },
            now(),
        )
        .unwrap();
    told.lock().unwrap().clear();
    keys.maintain(now() + hour / 2).unwrap();
    keys.maintain(now() + hour).unwrap();
    keys.maintain(now() + hour * 2).unwrap();
    let expired = [format!("{:?}", ApiKeyEvent::Expired(short.id))];
    assert_eq!(*told.lock().unwrap(), expired);
    assert_eq!(keys.statistics(now() + hour).expired, 1);
    keys.maintain(now() + hour + day).unwrap();
    assert!(keys.get(short.id, now()).is_none());
    assert!(keys.get(long.id, now()).is_some());
    assert_eq!(
        check(&keys, &short.key, None, now()),
        Some(KeyRefusal::Unknown)
    );
}

#[test]
fn what_was_done_is_in_the_audit_and_no_more_than_so_much() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ApiKeySettings {
        audit_entries_max: 5,
        ..ApiKeySettings::new(folder.path().join("keys.redb"))
    };
    let retention = settings.audit_retention;
    let keys = ApiKeys::open(settings, now()).unwrap();
    let issued = keys.issue(new("alice", &[]), now()).unwrap();
    keys.revoke(issued.id, "lost", now()).unwrap();
    let audit = keys.audit(10).unwrap();
    assert_eq!(audit[0].action, AuditAction::Revoked);
    assert_eq!((&*audit[0].detail, &*audit[0].owner), ("lost", "alice"));
    assert_eq!(
        (audit[1].action, audit[1].time()),
        (AuditAction::Issued, now())
    );
    assert_eq!(audit[1].key, issued.id.to_string());
    for _ in 0..10 {
        keys.issue(new("bob", &[]), now()).unwrap();
    }
    assert_eq!(keys.audit(100).unwrap().len(), 5);
    let later = now() + retention + Duration::from_secs(1);
    keys.issue(new("carol", &[]), later).unwrap();
    assert_eq!(keys.audit(100).unwrap().len(), 1);
}

#[test]
fn an_export_makes_the_same_store_elsewhere() {
    let (_folder, keys) = store();
    let good = keys.issue(new("alice", &["read"]), now()).unwrap();
    let revoked = keys.issue(new("bob", &[]), now()).unwrap();
    let json = keys.export().unwrap().to_json();
    assert!(!json.contains(&good.key[8..]));
    keys.revoke(revoked.id, "", now()).unwrap();
    let export = Export::from_json(&json).unwrap();
    let report = keys.import(&export, now()).unwrap();
    assert_eq!((report.added, report.known), (0, 2));
    assert_eq!(
        check(&keys, &revoked.key, None, now()),
        Some(KeyRefusal::Revoked)
    );
    let (_elsewhere, other) = store();
    assert_eq!(other.import(&export, now()).unwrap().added, 2);
    assert_eq!(check(&other, &good.key, Some("read"), now()), None);
    let (_third, third) = store();
    third.issue(new("carol", &[]), now()).unwrap();
    assert!(matches!(
        third.import(&export, now()),
        Err(ApiKeyError::OtherSalt)
    ));
    for text in [
        "",
        "[]",
        "{}",
        &json.replacen("\"version\": 1", "\"version\": 2", 1),
    ] {
        assert!(
            matches!(Export::from_json(text), Err(ApiKeyError::Import(_))),
            "{text}"
        );
    }
    let forged = Export::from_json(&json.replace("alice", "a\\r\\nX: y")).unwrap();
    let (_fourth, fourth) = store();
    assert!(matches!(
        fourth.import(&forged, now()),
        Err(ApiKeyError::Owner(_))
    ));
}

#[test]
fn a_key_from_elsewhere_is_taken_in() {
    let (_folder, keys) = store();
    let key = "legacy-0123456789abcdef0123456789";
    keys.adopt(key, new("alice", &["read"]), now()).unwrap();
    assert_eq!(check(&keys, key, Some("read"), now()), None);
    for key in [key, "short", "with a blank in it, and long enough"] {
        let adopted = keys.adopt(key, new("bob", &[]), now());
        assert!(matches!(adopted, Err(ApiKeyError::Adopted)), "{key}");
    }
}

#[test]
fn what_is_asked_for_must_be_right() {
    let (_folder, keys) = store();
    let many: Vec<_> = (0..65).map(|number| number.to_string()).collect();
    assert!(matches!(
        keys.issue(new("", &[]), now()),
        Err(ApiKeyError::Owner(_))
    ));
    assert!(matches!(
        keys.issue(new("a\nb", &[]), now()),
        Err(ApiKeyError::Owner(_))
    ));
    assert!(matches!(
        keys.issue(new("a", &["b c"]), now()),
        Err(ApiKeyError::Scope(_))
    ));
    let asked = NewApiKey {
        scopes: many,
        ..new("a", &[])
    };
    assert!(matches!(
        keys.issue(asked, now()),
        Err(ApiKeyError::TooMany)
    ));
    let asked = NewApiKey {
        note: "x".repeat(1025),
        ..new("a", &[])
    };
    assert!(matches!(keys.issue(asked, now()), Err(ApiKeyError::Note)));
    assert_eq!(keys.statistics(now()).total, 0);
    for text in ["", "12", "000000000000000g", "00000000000000000"] {
        assert!(text.parse::<ApiKeyId>().is_err());
    }
}

// Whoever cannot be asked lets nobody in for long.
#[test]
fn a_database_that_is_lost_is_not_relied_on() {
    let (folder, keys) = store();
    let issued = keys.issue(new("alice", &[]), now()).unwrap();
    keys.maintain(now()).unwrap();
    assert!(keys.is_reliable(now()));
    std::fs::write(folder.path().join("keys.redb"), "not a database").unwrap();
    assert!(keys.maintain(now()).is_err());
    assert!(keys.is_reliable(now() + Duration::from_secs(9)));
    assert!(!keys.is_reliable(now() + Duration::from_secs(10)));
    assert!(keys.issue(new("bob", &[]), now()).is_err());
    assert_eq!(check(&keys, &issued.key, None, now()), None);
    drop(keys);
    let settings = ApiKeySettings::new(folder.path().join("keys.redb"));
    assert!(matches!(
        ApiKeys::open(settings, now()),
        Err(ApiKeyError::Database { .. })
    ));
}

#[cfg(unix)]
#[test]
fn the_database_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, _keys) = store();
    let metadata = std::fs::metadata(folder.path().join("keys.redb")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
}
