//! The `Authorization` field, any bytes: no panic; the same twice; what is read as Basic has no control character
//! and, written anew, is read as the same; nothing passes as Digest without the password.
#![no_main]

use std::sync::OnceLock;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use libfuzzer_sys::fuzz_target;
use tidegate_admission::authorization::{
    Authorization, Digest, DigestAlgorithm, DigestSettings, DigestVerdict,
};

fuzz_target!(|input: &[u8]| {
    let read = Authorization::parse(input);
    assert_eq!(read, Authorization::parse(input));
    match read {
        Ok(Authorization::Basic(basic)) => {
            assert!(!basic.username.contains(':'));
            let both = [&basic.username, &basic.password];
            assert!(!both.iter().any(|text| text.chars().any(char::is_control)));
            let pair = format!("{}:{}", basic.username, basic.password);
            let again = format!("Basic {}", BASE64_STANDARD.encode(pair));
            let again = Authorization::parse(again.as_bytes());
            assert_eq!(again, Ok(Authorization::Basic(basic)));
        }
        Ok(Authorization::Digest(credentials)) => {
            let now = SystemTime::now();
            for secret in [None, Some("5e3b471b0361553f9c17421b02ca4eb97ce7ece5")] {
                let verdict = digest().check(&credentials, "GET", "/", secret, now);
                assert!(!matches!(verdict, DigestVerdict::Accepted));
            }
        }
        Ok(Authorization::Bearer(token)) => {
            assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        Ok(Authorization::Other(scheme)) => assert!(!scheme.is_empty()),
        _ => {}
    }
});

fn digest() -> &'static Digest {
    static DIGEST: OnceLock<Digest> = OnceLock::new();
    DIGEST.get_or_init(|| {
        Digest::new(DigestSettings {
            algorithms: DigestAlgorithm::ALL.to_vec(),
            ..DigestSettings::default()
        })
    })
}
