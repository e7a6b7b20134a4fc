//! How and where keys are kept, how they are replaced, and what is kept of those that were refused.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::users::HashingCost;

const CHEAP: HashingCost = HashingCost {
    memory_kib: 8,
    passes: 1,
    lanes: 1,
};

fn memory() -> ApiKeySettings {
    ApiKeySettings::with_storage(Arc::new(MemoryStorage::default()))
}

fn in_memory(hash: KeyHash) -> ApiKeys {
    let settings = ApiKeySettings { hash, ..memory() };
    ApiKeys::open(settings, now()).unwrap()
}

#[test]
fn a_key_is_right_in_each_hash_and_a_slip_of_it_in_none() {
    for hash in [KeyHash::Sha256, KeyHash::Sha512, KeyHash::Argon2id(CHEAP)] {
        let keys = in_memory(hash);
        let issued = keys.issue(new("alice", &[]), now()).unwrap();
        let other = keys.issue(new("bob", &[]), now()).unwrap();
        assert!(KeyFormat::default().fits(&issued.key), "{hash:?}");
        let named = issued.key.contains(&format!("{}.", issued.id));
        assert_eq!(named, hash != KeyHash::Sha256);
        let wrong = |key: &str| check(&keys, key, None, now()) == Some(KeyRefusal::Unknown);
        // Before the right one was ever seen, and after.
        for _ in 0..2 {
            for at in 0..issued.key.len() {
                let mut slip = issued.key.clone().into_bytes();
                slip[at] = if slip[at] == b'x' { b'y' } else { b'x' };
                assert!(wrong(&String::from_utf8(slip).unwrap()), "{hash:?} at {at}");
                assert!(wrong(&issued.key[..at]), "{hash:?} to {at}");
            }
            // One key's name with another's rest.
            if named {
                let (_, rest) = other.key.split_once('.').unwrap();
                assert!(wrong(&format!("tg_{}.{rest}", issued.id)));
            }
            assert_eq!(check(&keys, &issued.key, None, now()), None, "{hash:?}");
        }
        keys.revoke(issued.id, "", now()).unwrap();
        assert_eq!(
            check(&keys, &issued.key, None, now()),
            Some(KeyRefusal::Revoked)
        );
        assert_eq!(check(&keys, &other.key, None, now()), None);
    }
}

// What a key is found by in memory stands for nothing that a peer can send.
#[test]
fn the_name_of_a_key_is_no_key() {
    for hash in [KeyHash::Sha512, KeyHash::Argon2id(CHEAP)] {
        let keys = in_memory(hash);
        let issued = keys.issue(new("alice", &["*"]), now()).unwrap();
        let id = issued.id;
        for text in [
            format!("\0{id}"),
            id.to_string(),
            format!("{id}."),
            format!("tg_{id}."),
        ] {
            assert_eq!(check(&keys, &text, None, now()), Some(KeyRefusal::Unknown));
        }
    }
}

// After the first right one a slow hash is never made again, whoever sends what.
#[test]
fn a_slow_hash_is_made_until_a_key_was_right_once() {
    let keys = in_memory(KeyHash::Argon2id(CHEAP));
    let issued = keys.issue(new("alice", &[]), now()).unwrap();
    let wrong = format!("{}x", issued.key);
    assert!(keys.takes_long(&issued.key) && keys.takes_long(&wrong));
    assert!(check(&keys, &wrong, None, now()).is_some());
    assert!(keys.takes_long(&issued.key));
    assert!(check(&keys, &issued.key, None, now()).is_none());
    assert!(!keys.takes_long(&issued.key) && !keys.takes_long(&wrong));
    assert!(check(&keys, &wrong, None, now()).is_some());
    // What changes about a key changes nothing of that.
    keys.grant_scopes(issued.id, &["a".to_owned()], now())
        .unwrap();
    assert!(!keys.takes_long(&issued.key));
    assert!(check(&keys, &issued.key, Some("a"), now()).is_none());
    // Nor does an unknown name cost one.
    assert!(!keys.takes_long("tg_0123456789abcdef.x"));
}

#[test]
fn who_comes_while_too_many_are_hashed_is_told_to_come_again() {
    let settings = ApiKeySettings {
        hash: KeyHash::Argon2id(HashingCost::default()),
        hashing_max: (1, 0),
        ..memory()
    };
    let keys = ApiKeys::open(settings, now()).unwrap();
    let issued = keys.issue(new("alice", &[]), now()).unwrap();
    let busy = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !busy.load(Ordering::Relaxed) {
                    let wrong = format!("{}x", issued.key);
                    if check(&keys, &wrong, None, now()) == Some(KeyRefusal::Busy) {
                        busy.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(check(&keys, &issued.key, None, now()), None);
}

#[test]
fn hashes_go_along_with_an_export() {
    let from = in_memory(KeyHash::Argon2id(CHEAP));
    let issued = from.issue(new("alice", &[]), now()).unwrap();
    let text = from.export().unwrap().to_json();
    assert!(text.contains("$argon2id$"));
    let to = in_memory(KeyHash::Sha256);
    to.import(&Export::from_json(&text).unwrap(), now())
        .unwrap();
    assert_eq!(check(&to, &issued.key, None, now()), None);
    let broken = text.replace("$argon2id$", "$argon2$");
    let again = in_memory(KeyHash::Sha256).import(&Export::from_json(&broken).unwrap(), now());
    assert!(matches!(again, Err(ApiKeyError::Secret(_))));
}

#[test]
fn encrypted_keys_are_read_with_their_passphrase_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.redb");
    let open = |passphrase: Option<&str>| {
        let settings = ApiKeySettings {
            passphrase: passphrase.map(|text| Passphrase::new(text).unwrap()),
            ..ApiKeySettings::new(&path)
        };
        ApiKeys::open(settings, now())
    };
    let keys = open(Some("correct horse battery")).unwrap();
    let issued = keys
        .issue(new("a-very-long-owner", &["a-scope"]), now())
        .unwrap();
    assert_eq!(check(&keys, &issued.key, Some("a-scope"), now()), None);
    keys.flush(now()).unwrap();
    drop(keys);
    let bytes = std::fs::read(&path).unwrap();
    for secret in ["a-very-long-owner", "a-scope", "issued"] {
        let is_there = bytes
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        assert!(!is_there, "{secret}");
    }
    let keys = open(Some("correct horse battery")).unwrap();
    assert_eq!(check(&keys, &issued.key, Some("a-scope"), now()), None);
    assert_eq!(keys.get(issued.id, now()).unwrap().uses, 2);
    assert_eq!(keys.audit(9).unwrap()[0].owner, "a-very-long-owner");
    let fault = |passphrase| match open(passphrase) {
        Err(ApiKeyError::Database { fault, .. }) => fault,
        other => panic!("{other:?}"),
    };
    assert!(matches!(fault(None), DatabaseFault::Encrypted));
    assert!(matches!(
        fault(Some("correct horse batteries")),
        DatabaseFault::Passphrase
    ));

    let plain = ApiKeySettings::new(folder.path().join("plain"));
    drop(ApiKeys::open(plain.clone(), now()).unwrap());
    let settings = ApiKeySettings {
        passphrase: Some(Passphrase::new("correct horse battery").unwrap()),
        ..plain
    };
    let opened = ApiKeys::open(settings, now());
    assert!(matches!(
        opened,
        Err(ApiKeyError::Database {
            fault: DatabaseFault::NotEncrypted,
            ..
        })
    ));
}

/// A storage of an application's own, which fails when told to.
#[derive(Default)]
struct Custom {
    inner: MemoryStorage,
    fails: AtomicBool,
}

impl KeyStorage for Custom {
    fn name(&self) -> String {
        "of the test".to_owned()
    }

    fn write(
        &self,
        work: &mut dyn FnMut(&mut dyn WriteKeys) -> Result<TransactionEnd, DatabaseFault>,
    ) -> Result<(), DatabaseFault> {
        if self.fails.load(Ordering::Relaxed) {
            // It fails at the very end: nothing is kept then.
            self.inner.write(&mut |tables| {
                work(tables)?;
                Ok(TransactionEnd::Abandon)
            })?;
            return Err(DatabaseFault::Custom(CustomFault("no room".into())));
        }
        self.inner.write(work)
    }

    fn read(
        &self,
        work: &mut dyn FnMut(&dyn ReadKeys) -> Result<(), DatabaseFault>,
    ) -> Result<(), DatabaseFault> {
        match self.fails.load(Ordering::Relaxed) {
            true => Err(DatabaseFault::Custom(CustomFault("no room".into()))),
            false => self.inner.read(work),
        }
    }
}

#[test]
fn an_application_may_keep_keys_itself() {
    let storage = Arc::new(Custom::default());
    let open = || ApiKeys::open(ApiKeySettings::with_storage(storage.clone()), now());
    let keys = open().unwrap();
    let issued = keys.issue(new("alice", &[]), now()).unwrap();
    // Another that has the same sees it.
    let other = open().unwrap();
    assert_eq!(check(&other, &issued.key, None, now()), None);
    keys.revoke(issued.id, "", now()).unwrap();
    other.maintain(now()).unwrap();
    assert_eq!(
        check(&other, &issued.key, None, now()),
        Some(KeyRefusal::Revoked)
    );

    let second = keys.issue(new("bob", &[]), now()).unwrap();
    storage.fails.store(true, Ordering::Relaxed);
    let error = keys.revoke(second.id, "", now()).unwrap_err();
    assert!(error.to_string().contains("of the test"), "{error}");
    assert!(keys.maintain(now()).is_err());
    assert!(!keys.is_reliable(now() + Duration::from_secs(10)));
    assert_eq!(check(&keys, &second.key, None, now()), None);
    assert!(open().is_err());
    storage.fails.store(false, Ordering::Relaxed);
    keys.maintain(now()).unwrap();
    assert!(keys.is_reliable(now()));
    assert!(keys.revoke(second.id, "", now()).unwrap());
}

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn a_key_that_is_due_is_replaced_when_somebody_takes_the_new_one() {
    let keys = in_memory(KeyHash::Sha256);
    let due = NewApiKey {
        rotate_after: Some(DAY),
        ..new("alice", &["a"])
    };
    let old = keys.issue(due, now()).unwrap();
    keys.issue(new("bob", &[]), now()).unwrap();
    let later = now() + DAY;
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    keys.set_listener(move |event| {
        if !matches!(event, ApiKeyEvent::Audited(_)) {
            listener.lock().unwrap().push(format!("{event:?}"));
        }
    });
    let report = keys
        .rotate_due(DAY, now(), |_, _| panic!("nothing is due"))
        .unwrap();
    assert_eq!(report, RotationReport::default());
    // Nobody takes it: the old one goes on, the new one is gone.
    let mut offered = None;
    let report = keys.rotate_due(DAY, later, |due, new| {
        assert_eq!((due.id, &*due.owner), (old.id, "alice"));
        // Whoever gets it can use it at once.
        assert_eq!(check(&keys, &new.key, Some("a"), later), None);
        offered = Some(new.clone());
        false
    });
    assert_eq!(report.unwrap().not_taken, [old.id]);
    let offered = offered.unwrap();
    assert_eq!(
        check(&keys, &offered.key, None, later),
        Some(KeyRefusal::Unknown)
    );
    assert_eq!(check(&keys, &old.key, None, later + DAY * 100), None);
    assert!(told.lock().unwrap().is_empty());

    let mut taken = None;
    let report = keys.rotate_due(DAY, later, |_, new| {
        taken = Some(new.clone());
        true
    });
    let taken = taken.unwrap();
    assert_eq!(report.unwrap().rotated, [(old.id, taken.id)]);
    assert_eq!(check(&keys, &taken.key, Some("a"), later + DAY), None);
    assert_eq!(check(&keys, &old.key, None, later + DAY / 2), None);
    assert_eq!(
        check(&keys, &old.key, None, later + DAY),
        Some(KeyRefusal::Expired)
    );
    let rotated = format!("{:?}", ApiKeyEvent::Rotated(old.id, taken.id));
    assert_eq!(*told.lock().unwrap(), [rotated]);
    assert!(keys.due(later).is_empty());
    // The new one is due in its time.
    assert_eq!(keys.due(later + DAY)[0].id, taken.id);
}

#[test]
fn what_was_refused_is_kept_without_the_key() {
    let keys = in_memory(KeyHash::Sha256);
    let told = Arc::new(Mutex::new(0));
    let listener = Arc::clone(&told);
    let issued = keys.issue(new("alice", &[]), now()).unwrap();
    keys.set_listener(move |event| {
        assert!(matches!(event, ApiKeyEvent::Audited(_)));
        *listener.lock().unwrap() += 1;
    });
    check(&keys, "tg_somebody's guess", None, now());
    check(&keys, &issued.key, Some("admin"), now());
    check(&keys, &issued.key, None, now());
    let refused = keys.refused(9);
    assert_eq!(refused.len(), 2);
    assert_eq!(refused[0].key, issued.id.to_string());
    assert_eq!(
        refused[0].detail,
        "without the scope (admin), from 127.0.0.1"
    );
    assert_eq!(
        (&*refused[1].key, &*refused[1].detail),
        ("", "no such key, from 127.0.0.1")
    );
    let text = format!("{refused:?}");
    assert!(!text.contains("guess") && !text.contains(&issued.key));
    assert_eq!(*told.lock().unwrap(), 2);
    for _ in 0..5000 {
        check(&keys, "guess", None, now());
    }
    assert_eq!(keys.refused(9999).len(), 1000);
    // Who listens is not told of each, either.
    assert_eq!(*told.lock().unwrap(), 20);
    assert_eq!(keys.statistics(now()).failures, 5002);
    assert_eq!(
        keys.peek(&issued.key, None, HERE, now()).unwrap().id(),
        issued.id
    );
    assert_eq!(keys.statistics(now()).validations, 1);
}

#[test]
fn a_rate_is_one() {
    let keys = in_memory(KeyHash::Sha256);
    for (rate, is_right) in [
        (0, false),
        (1, true),
        (1_000_000_000, true),
        (1_000_000_001, false),
    ] {
        let new = NewApiKey {
            rate: Some(rate),
            ..new("alice", &[])
        };
        assert_eq!(keys.issue(new, now()).is_ok(), is_right, "{rate}");
    }
}
