use tidegate_admission::users::{DigestSecrets, HashingCost, PasswordHash, User, UsersFile};

use crate::{acknowledge, folder, round, run_and_kill};

#[test]
fn users_that_were_acknowledged_are_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    let mut kept = Vec::new();
    for round in 0..10 {
        let lines = 1 + round * 3;
        kept.extend(run_and_kill("users::child", folder.path(), round, lines));
        let file = UsersFile::read(&path).unwrap();
        let names: Vec<_> = file.users().map(|user| &*user.name).collect();
        for name in &kept {
            assert!(names.contains(&&**name), "{name} in round {round}");
        }
    }
    assert!(kept.len() > 100);
}

#[test]
#[ignore = "a child of the test above, which kills it"]
fn child() {
    let Some(folder) = folder() else { return };
    let path = folder.join("users");
    let cost = HashingCost {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };
    for number in 0.. {
        let name = format!("user-{}-{number}", round());
        let user = User {
            password: PasswordHash::of(&name, cost),
            name: name.clone(),
            digests: DigestSecrets::default(),
        };
        UsersFile::change(&path, |file| file.set(user)).unwrap();
        acknowledge(&name);
    }
}
