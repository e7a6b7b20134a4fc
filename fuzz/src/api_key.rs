//! Any text as an API key: no panic; accepted only if it is one that was issued, whatever hash it is kept as; and
//! what has the form of a key is no longer than one.
//!
//! In the input a byte 1 stands for the name of a key, 2 for all of it, 3 for all but its last character: what a
//! fuzzer does not find.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use tidegate_admission::api_keys::{
    ApiKeySettings, ApiKeys, KeyFormat, KeyHash, KeyVerdict, MemoryStorage, NewApiKey,
};
use tidegate_admission::users::HashingCost;

fuzz_target!(|input: &[u8]| {
    let Ok(input) = std::str::from_utf8(input) else {
        return;
    };
    let format = KeyFormat::default();
    for (keys, name, key) in stores() {
        let mut text = input.replace('\u{1}', name);
        text = text.replace('\u{2}', key);
        text = text.replace('\u{3}', &key[..key.len() - 1]);
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let verdict = keys.validate(&text, None, here, SystemTime::now());
        let is_accepted = matches!(verdict, KeyVerdict::Accepted(_));
        assert_eq!(is_accepted, text == *key);
        if format.fits(&text) {
            assert!(text.starts_with("tg_") && text.is_ascii() && text.len() <= 69);
        }
    }
});

type Store = (ApiKeys, String, String);

fn stores() -> &'static [Store] {
    static STORES: OnceLock<Vec<Store>> = OnceLock::new();
    STORES.get_or_init(|| {
        let cheap = HashingCost {
            memory_kib: 8,
            passes: 1,
            lanes: 1,
        };
        [KeyHash::Sha256, KeyHash::Sha512, KeyHash::Argon2id(cheap)]
            .map(store)
            .into()
    })
}

fn store(hash: KeyHash) -> Store {
    let settings = ApiKeySettings {
        hash,
        ..ApiKeySettings::with_storage(Arc::new(MemoryStorage::default()))
    };
    let keys = ApiKeys::open(settings, SystemTime::now()).expect("memory can be used");
    let new = NewApiKey {
        owner: "a fuzzer".to_owned(),
        ..NewApiKey::default()
    };
    let issued = keys.issue(new, SystemTime::now());
    let issued = issued.expect("memory can be used");
    (keys, issued.id.to_string(), issued.key)
}
