use std::net::{IpAddr, Ipv4Addr};
use std::time::SystemTime;

use tidegate_admission::api_keys::{ApiKeySettings, ApiKeyState, ApiKeys, KeyVerdict, NewApiKey};

use crate::{acknowledge, folder, run_and_kill};

#[test]
fn keys_that_were_acknowledged_are_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let (mut issued, mut revoked) = (Vec::new(), Vec::new());
    for round in 0..10 {
        for line in run_and_kill("api_keys::child", folder.path(), round, 1 + round * 2) {
            match line.split_once(' ').unwrap() {
                ("issued", key) => issued.push(key.to_owned()),
                (_, id) => revoked.push(id.to_owned()),
            }
        }
        let keys = ApiKeys::open(ApiKeySettings::new(folder.path().join("keys")), now).unwrap();
        for key in &issued {
            let verdict = keys.validate(key, None, IpAddr::V4(Ipv4Addr::LOCALHOST), now);
            assert!(matches!(verdict, KeyVerdict::Accepted(_)), "round {round}");
        }
        for id in &revoked {
            let key = keys.get(id.parse().unwrap(), now).unwrap();
            assert_eq!(key.state, ApiKeyState::Revoked, "round {round}");
        }
    }
    assert!(issued.len() > 40 && revoked.len() > 10);
}

#[test]
#[ignore = "a child of the test above, which kills it"]
fn child() {
    let Some(folder) = folder() else { return };
    let now = SystemTime::now();
    let keys = ApiKeys::open(ApiKeySettings::new(folder.join("keys")), now).unwrap();
    let new = || NewApiKey {
        owner: "somebody".to_owned(),
        ..NewApiKey::default()
    };
    loop {
        for _ in 0..2 {
            let issued = keys.issue(new(), now).unwrap();
            acknowledge(&format!("issued {}", issued.key));
        }
        let issued = keys.issue(new(), now).unwrap();
        keys.revoke(issued.id, "by the test", now).unwrap();
        acknowledge(&format!("revoked {}", issued.id));
        keys.validate(&issued.key, None, IpAddr::V4(Ipv4Addr::LOCALHOST), now);
        keys.flush(now).unwrap();
    }
}
