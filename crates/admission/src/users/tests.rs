use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::*;

const CHEAP: HashingCost = HashingCost {
    memory_kib: 8,
    passes: 1,
    lanes: 1,
};

fn user(name: &str, password: &str) -> User {
    User {
        name: name.to_owned(),
        password: PasswordHash::of(password, CHEAP),
        digests: DigestSecrets::default(),
    }
}

fn open(path: &Path) -> Users {
    Users::open(UsersSettings {
        file: Some(path.to_owned()),
        listed: vec![ListedUser {
            name: "listed".to_owned(),
            password: "in settings".to_owned(),
        }],
        ..UsersSettings::default()
    })
    .unwrap()
}

fn folder_with(users: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    fs::write(&path, "# Who may come in.\n\n").unwrap();
    UsersFile::change(&path, |file| {
        for (name, password) in users {
            file.set(user(name, password));
        }
    })
    .unwrap();
    (folder, path)
}

#[test]
fn a_right_password_is_accepted_and_any_other_refused() {
    let (_folder, path) = folder_with(&[("alice", "wonder:land")]);
    let (users, now) = (open(&path), Instant::now());
    for (name, password) in [("alice", "wonder:land"), ("listed", "in settings")] {
        assert_eq!(
            users.verify(name, password, now),
            Verdict::Accepted(name.into())
        );
    }
    for (name, password) in [
        ("alice", "wonderland"),
        ("alice", ""),
        ("Alice", "wonder:land"),
        ("", "wonder:land"),
        ("bob", "wonder:land"),
        ("listed", "wonder:land"),
        ("alice", "in settings"),
    ] {
        assert_eq!(
            users.verify(name, password, now),
            Verdict::Refused,
            "{name}"
        );
    }
    assert_eq!(users.counters().refused, 7);
}

// What is measured must not tell who exists: the same hash is made, once, for each.
#[test]
fn an_unknown_user_costs_the_same_hash_as_a_wrong_password() {
    let (_folder, path) = folder_with(&[("alice", "right")]);
    let (users, now) = (open(&path), Instant::now());
    let directory = users.directory.load();
    let Secret::Hashed(alice) = &directory.entries["alice"].secret else {
        panic!("alice is of the file");
    };
    assert_eq!(directory.nobody.cost(), alice.cost());
    for name in ["alice", "nobody", "listed"] {
        let before = users.counters().hashed;
        assert_eq!(users.verify(name, "wrong", now), Verdict::Refused);
        assert_eq!(users.counters().hashed, before + 1, "{name}");
    }
}

#[test]
fn what_was_right_is_not_hashed_again_for_a_while() {
    let (_folder, path) = folder_with(&[("alice", "right")]);
    let (users, now) = (open(&path), Instant::now());
    assert_eq!(users.recall("alice", "right", now), None);
    assert!(matches!(
        users.verify("alice", "right", now),
        Verdict::Accepted(_)
    ));
    assert!(users.recall("alice", "right", now).is_some());
    assert!(matches!(
        users.verify("alice", "right", now),
        Verdict::Accepted(_)
    ));
    assert_eq!(users.counters().hashed, 1);
    assert_eq!(users.recall("alice", "wrong", now), None);
    assert_eq!(
        users.recall("alice", "right", now + Duration::from_secs(60)),
        None
    );
    assert_eq!(users.verify("alice", "wrong", now), Verdict::Refused);
    assert_eq!(users.verify("alice", "wrong", now), Verdict::Refused);
    assert_eq!(users.counters().hashed, 3);
}

#[test]
fn a_change_of_the_file_ends_what_is_remembered() {
    let (_folder, path) = folder_with(&[("alice", "old"), ("bob", "same"), ("carol", "gone")]);
    let (users, now) = (open(&path), Instant::now());
    for (name, password) in [("alice", "old"), ("bob", "same"), ("carol", "gone")] {
        assert!(matches!(
            users.verify(name, password, now),
            Verdict::Accepted(_)
        ));
    }
    assert!(!users.refresh().unwrap());
    UsersFile::change(&path, |file| {
        file.set(user("alice", "new"));
        assert!(file.remove("carol"));
        assert!(!file.remove("carol"));
    })
    .unwrap();
    assert!(users.refresh().unwrap());
    assert_eq!(users.recall("alice", "old", now), None);
    assert!(users.recall("bob", "same", now).is_some());
    assert_eq!(users.recall("carol", "gone", now), None);
    assert!(!users.contains("carol"));
    assert!(matches!(
        users.verify("alice", "new", now),
        Verdict::Accepted(_)
    ));
}

#[test]
fn a_file_that_went_wrong_leaves_the_users_as_they_were() {
    let (_folder, path) = folder_with(&[("alice", "right")]);
    let users = open(&path);
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{good}mallory:letmein\n")).unwrap();
    let error = users.refresh().unwrap_err();
    assert!(matches!(
        error,
        UsersFileError::Line {
            line: 4,
            fault: UserFault::Hash,
            ..
        }
    ));
    assert!(users.contains("alice"));
    fs::write(&path, &good).unwrap();
    assert!(users.refresh().is_ok());
}

#[test]
fn comments_and_order_are_kept() {
    let (_folder, path) = folder_with(&[("alice", "a"), ("bob", "b")]);
    UsersFile::change(&path, |file| {
        file.set(user("alice", "c"));
        file.set(user("carol", "c"));
    })
    .unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("# Who may come in.\n\nalice:$argon2id$"));
    let names: Vec<_> = UsersFile::read(&path)
        .unwrap()
        .users()
        .map(|user| user.name.clone())
        .collect();
    assert_eq!(names, ["alice", "bob", "carol"]);
}

#[test]
fn a_user_twice_is_refused() {
    let (_folder, path) = folder_with(&[("alice", "a")]);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        format!("{text}alice:{}\n", user("alice", "b").password),
    )
    .unwrap();
    assert!(matches!(
        UsersFile::read(&path),
        Err(UsersFileError::Line {
            line: 4,
            fault: UserFault::Twice,
            ..
        })
    ));
}

#[cfg(unix)]
#[test]
fn a_new_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    UsersFile::change(&path, |file| file.set(user("a", "b"))).unwrap();
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    UsersFile::change(&path, |file| file.remove("a")).unwrap();
    assert_eq!(mode(), 0o640);
}
