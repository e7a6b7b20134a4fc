//! Tokens that others have made: the standard's examples, and PyJWT's (`pyjwt.json`).
#![forbid(unsafe_code)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tidegate_admission::jwt::{Jwt, JwtAlgorithm, JwtError, JwtKeyError, JwtKeys, JwtSettings};

fn made_elsewhere() -> Value {
    serde_json::from_str(include_str!("pyjwt.json")).expect("the file is JSON")
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn keys() -> JwtKeys {
    let mut keys = JwtKeys::new();
    let set = made_elsewhere().to_string();
    assert_eq!(keys.add_jwk_set(set.as_bytes(), true).ok(), Some(5));
    keys
}

fn settings() -> JwtSettings {
    JwtSettings {
        algorithms: JwtAlgorithm::ALL.to_vec(),
        issuers: vec!["https://issuer.example".to_owned()],
        audiences: vec!["api".to_owned()],
        ..JwtSettings::default()
    }
}

fn token(name: &str) -> String {
    let token = made_elsewhere()["tokens"][name].as_str().map(str::to_owned);
    token.expect("the token is there")
}

#[test]
fn each_algorithm_is_checked() {
    let jwt = Jwt::new(settings(), keys());
    for algorithm in JwtAlgorithm::ALL {
        let token = token(algorithm.name());
        let claims = jwt
            .check(&token, at(1_700_000_001))
            .map_err(|error| (algorithm, error));
        let claims = claims.expect("the token is good");
        assert_eq!(claims.subject(), Some("alice"));
        assert_eq!(claims.scopes(), ["read", "write"]);
        // One bit of the signature or of what is signed.
        for at_byte in [token.len() - 20, token.len() / 2] {
            let mut changed = token.clone().into_bytes();
            changed[at_byte] = if changed[at_byte] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("it is ASCII");
            assert!(
                jwt.check(&changed, at(1_700_000_001)).is_err(),
                "{algorithm:?}"
            );
        }
    }
}

#[test]
fn public_keys_in_pem_do_as_well() {
    for (name, algorithm) in [
        ("rsa", JwtAlgorithm::Ps384),
        ("p-256", JwtAlgorithm::Es256),
        ("p-384", JwtAlgorithm::Es384),
        ("ed", JwtAlgorithm::EdDsa),
    ] {
        let file = made_elsewhere();
        let pem = file["pem"][name].as_str().expect("the key is there");
        let mut keys = JwtKeys::new();
        assert!(keys.add_pem(None, pem.as_bytes()).is_ok());
        let jwt = Jwt::new(settings(), keys);
        assert!(
            jwt.check(&token(algorithm.name()), at(1_700_000_001))
                .is_ok(),
            "{name}"
        );
    }
}

// RFC 8725 §2.1: "none", and a public key taken for HMAC's secret.
#[test]
fn no_token_chooses_how_it_is_checked() {
    let jwt = Jwt::new(settings(), keys());
    for name in ["none", "None-kid"] {
        assert!(matches!(
            jwt.check(&token(name), at(1_700_000_001)),
            Err(JwtError::Algorithm | JwtError::Malformed)
        ));
    }
    assert_eq!(
        jwt.check(&token("confused"), at(1_700_000_001)).err(),
        Some(JwtError::UnknownKey)
    );
    assert_eq!(
        jwt.check(&token("confused-no-kid"), at(1_700_000_001))
            .err(),
        Some(JwtError::Signature)
    );
    let file = made_elsewhere();
    let pem = file["pem"]["rsa"].as_str().expect("the key is there");
    let mut keys = JwtKeys::new();
    assert!(keys.add_pem(None, pem.as_bytes()).is_ok());
    let jwt = Jwt::new(settings(), keys);
    assert_eq!(
        jwt.check(&token("confused-no-kid"), at(1_700_000_001))
            .err(),
        Some(JwtError::UnknownKey)
    );
}

#[test]
fn an_algorithm_that_is_not_listed_is_refused() {
    for algorithm in JwtAlgorithm::ALL {
        let mut settings = settings();
        settings.algorithms.retain(|listed| *listed != algorithm);
        let jwt = Jwt::new(settings, keys());
        assert_eq!(
            jwt.check(&token(algorithm.name()), at(1_700_000_001)).err(),
            Some(JwtError::Algorithm)
        );
    }
}

#[test]
fn times_are_kept_with_leeway() {
    let jwt = Jwt::new(settings(), keys());
    let token = token("ES256");
    for (now, error) in [
        (1_700_000_000 - 61, Some(JwtError::NotYetValid)),
        (1_700_000_000 - 60, None),
        (1_700_003_600 + 59, None),
        (1_700_003_600 + 60, Some(JwtError::Expired)),
    ] {
        assert_eq!(jwt.check(&token, at(now)).err(), error, "{now}");
    }
}

#[test]
fn issuer_and_audience_are_asked_for() {
    for (issuers, audiences, error) in [
        (vec![], vec!["other"], None),
        (
            vec!["https://else.example"],
            vec!["api"],
            Some(JwtError::Issuer),
        ),
        (vec![], vec!["third"], Some(JwtError::Audience)),
        (vec![], vec![], Some(JwtError::Audience)),
    ] {
        let own = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        let settings = JwtSettings {
            issuers: own(issuers),
            audiences: own(audiences),
            ..settings()
        };
        let jwt = Jwt::new(settings, keys());
        assert_eq!(jwt.check(&token("ES256"), at(1_700_000_001)).err(), error);
    }
}

// RFC 7515, appendices A.1 and A.3.
#[test]
fn the_standard_examples_are_checked() {
    let claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0\
                  cnVlfQ";
    let set = br#"{"keys":[{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"},
        {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    let mut keys = JwtKeys::new();
    assert_eq!(keys.add_jwk_set(set, true).ok(), Some(2));
    let jwt = Jwt::new(
        JwtSettings {
            algorithms: vec![JwtAlgorithm::Hs256, JwtAlgorithm::Es256],
            leeway: Duration::ZERO,
            ..JwtSettings::default()
        },
        keys,
    );
    for (header, signature) in [
        (
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ),
        (
            "eyJhbGciOiJFUzI1NiJ9",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
    ] {
        let token = format!("{header}.{claims}.{signature}");
        let checked = jwt.check(&token, at(1_300_819_379)).map(|claims| {
            assert_eq!(claims.issuer(), Some("joe"));
        });
        assert_eq!(checked, Ok(()));
        assert_eq!(
            jwt.check(&token, at(1_300_819_380)).err(),
            Some(JwtError::Expired)
        );
    }
}

#[test]
fn keys_that_cannot_be_used_are_told() {
    let mut keys = JwtKeys::new();
    let secret = br#"{"keys":[{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}]}"#;
    assert!(matches!(
        keys.add_jwk_set(secret, false),
        Err(JwtKeyError::NoneUsable)
    ));
    assert!(matches!(
        keys.add_jwk_set(b"[]", true),
        Err(JwtKeyError::JwkSet(_))
    ));
    assert!(matches!(keys.add_pem(None, b"x"), Err(JwtKeyError::Pem)));
    let private = b"-----BEGIN PRIVATE KEY-----\n";
    assert!(matches!(
        keys.add_pem(None, private),
        Err(JwtKeyError::Private)
    ));
    assert!(matches!(
        keys.add_secret(None, &[7; 31]),
        Err(JwtKeyError::ShortSecret)
    ));
    assert_eq!(keys.count(), 0);
}

#[test]
fn any_text_is_refused() {
    let jwt = Jwt::new(settings(), keys());
    for text in ["", ".", "..", "...", "a.b.c", "eyJ9.e30.", "e30.e30.e30"] {
        assert!(jwt.check(text, at(1_700_000_001)).is_err(), "{text}");
    }
    let good = token("HS256");
    for length in 0..good.len() {
        assert!(jwt.check(&good[..length], at(1_700_000_001)).is_err());
    }
}
