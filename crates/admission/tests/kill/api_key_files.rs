//! Encrypted keys, rotations that nobody watches, and the file of refused checks.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::{Duration, SystemTime};

use tidegate_admission::api_keys::{
    ApiKeySettings, ApiKeys, AuditEntry, KeyVerdict, NewApiKey, Passphrase, RefusedSettings,
};

use crate::{acknowledge, folder, run_and_kill};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const DAY: Duration = Duration::from_secs(86_400);

fn open(folder: &Path) -> ApiKeys {
    let settings = ApiKeySettings {
        passphrase: Some(Passphrase::new("correct horse battery").unwrap()),
        refused: RefusedSettings {
            folder: Some(folder.join("refused")),
            ..RefusedSettings::default()
        },
        ..ApiKeySettings::new(folder.join("keys"))
    };
    ApiKeys::open(settings, SystemTime::now()).unwrap()
}

fn is_good(keys: &ApiKeys, key: &str, now: SystemTime) -> bool {
    matches!(keys.validate(key, None, HERE, now), KeyVerdict::Accepted(_))
}

// Whenever the process ends, somebody has a key that works: the old one, or the new one that was taken.
#[test]
fn rotations_lose_no_key_and_refused_checks_stay_readable() {
    let folder = tempfile::tempdir().unwrap();
    let refused = folder.path().join("refused");
    std::fs::create_dir(&refused).unwrap();
    let (mut issued, mut taken, mut rotated) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..10 {
        for line in run_and_kill("api_key_files::child", folder.path(), round, 1 + round * 2) {
            match line.split_once(' ').unwrap() {
                ("issued", pair) => issued.push(pair.to_owned()),
                ("taken", id) => taken.push(id.to_owned()),
                (_, key) => rotated.push(key.to_owned()),
            }
        }
        let (keys, now) = (open(folder.path()), SystemTime::now());
        for key in &rotated {
            assert!(
                is_good(&keys, key, now + DAY * 2),
                "a rotated key in round {round}"
            );
        }
        for pair in &issued {
            let (id, key) = pair.split_once(' ').unwrap();
            let has_successor = taken.iter().any(|taken| taken == id);
            assert!(is_good(&keys, key, now), "an old key in round {round}");
            if !has_successor {
                assert!(
                    is_good(&keys, key, now + DAY * 2),
                    "nobody has another in round {round}"
                );
            }
        }
        for file in std::fs::read_dir(&refused).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let lines: Vec<_> = text.lines().collect();
            let read = lines
                .iter()
                .filter(|line| serde_json::from_str::<AuditEntry>(line).is_ok());
            // Each kill may have cut one.
            assert!(lines.len() - read.count() <= round + 1);
        }
    }
    assert!(issued.len() > 20 && rotated.len() > 20);
    let files = std::fs::read_dir(&refused).unwrap();
    assert!(files.count() > 0);
}

#[test]
#[ignore = "a child of the test above, which kills it"]
fn child() {
    let Some(folder) = folder() else { return };
    let keys = open(&folder);
    loop {
        let now = SystemTime::now();
        let new = NewApiKey {
            owner: "somebody".to_owned(),
            rotate_after: Some(Duration::from_secs(3600)),
            ..NewApiKey::default()
        };
        let old = keys.issue(new, now).unwrap();
        acknowledge(&format!("issued {} {}", old.id, old.key));
        let mut fresh = Vec::new();
        keys.rotate_due(DAY, now + Duration::from_secs(3600), |due, new| {
            // Also of those that were to be rotated when this was killed before.
            acknowledge(&format!("taken {}", due.id));
            fresh.push(new.key.clone());
            true
        })
        .unwrap();
        for key in fresh {
            acknowledge(&format!("rotated {key}"));
        }
        for _ in 0..20 {
            keys.validate("guess", None, HERE, now);
        }
        keys.maintain(now).unwrap();
    }
}
