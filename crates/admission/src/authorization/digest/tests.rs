use std::time::{Duration, SystemTime};

use super::*;
use crate::authorization::AuthorizationError;
use crate::users::DigestSecrets;

/// RFC 7616 §3.9.1.
fn mufasa(algorithm: &str, response: &str) -> DigestCredentials {
    DigestCredentials::parse(
        &format!(
            r#"username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html",
           algorithm={algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
           nc=00000001, cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth,
           response="{response}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#
        )
        .replace('\n', ""),
    )
    .unwrap()
}

#[test]
fn the_standard_responses_are_computed() {
    let secrets = DigestSecrets::compute("Mufasa", "http-auth@example.org", "Circle of Life", true);
    for (algorithm, response) in [
        (DigestAlgorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
        (
            DigestAlgorithm::Sha256,
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ] {
        let credentials = mufasa(algorithm.name(), response);
        let secret = secrets.of(algorithm, "http-auth@example.org").unwrap();
        assert_eq!(credentials.expected_response("GET", secret), response);
        assert_eq!(credentials.username, "Mufasa");
    }
}

// RFC 7616 §3.9.2's name, with the hash of it that is there.
#[test]
fn an_extended_name_is_read() {
    let text = r#"username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, realm="r", uri="/", algorithm=SHA-256,
        nonce="n", nc=00000001, cnonce="c", qop=auth, response="x""#
        .replace('\n', "");
    assert_eq!(
        DigestCredentials::parse(&text).unwrap().username,
        "Jäsøn Doe"
    );
}

#[test]
fn what_lacks_something_is_refused() {
    let whole = [
        r#"username="a""#,
        r#"realm="r""#,
        r#"uri="/""#,
        r#"nonce="n""#,
        "nc=00000001",
        r#"cnonce="c""#,
        "qop=auth",
        r#"response="x""#,
    ];
    assert!(DigestCredentials::parse(&whole.join(", ")).is_ok());
    for left_out in 0..whole.len() {
        let mut parts = whole.to_vec();
        parts.remove(left_out);
        let refused = Err(AuthorizationError::Digest);
        assert_eq!(DigestCredentials::parse(&parts.join(", ")), refused);
    }
    for (index, other) in [
        (0, "username=\"a\", username*=UTF-8''a"),
        (0, "username*=latin1''a"),
        (0, "username*=UTF-8''%F"),
        (0, "username*=UTF-8''%0d%0a"),
        (4, "nc=1"),
        (4, "nc=0000000g"),
        (6, "qop=auth-int"),
        (7, "response=x, algorithm=SHA-512-256"),
        (7, "response=x, algorithm=MD5-sess"),
    ] {
        let mut parts = whole.to_vec();
        parts[index] = other;
        assert!(
            DigestCredentials::parse(&parts.join(", ")).is_err(),
            "{other}"
        );
    }
}

/// A client that was challenged.
fn answer(
    digest: &Digest,
    password: &str,
    uri: &str,
    count: u32,
    now: SystemTime,
) -> DigestCredentials {
    let challenge = digest.challenges(now, false).next().unwrap();
    let nonce = challenge.split("nonce=\"").nth(1).unwrap();
    let nonce = nonce.split('"').next().unwrap().to_owned();
    with_nonce(&nonce, password, uri, count)
}

fn with_nonce(nonce: &str, password: &str, uri: &str, count: u32) -> DigestCredentials {
    let mut credentials = DigestCredentials {
        username: "alice".to_owned(),
        userhash: false,
        algorithm: DigestAlgorithm::Sha256,
        realm: "tidegate".to_owned(),
        uri: uri.to_owned(),
        nonce: nonce.to_owned(),
        cnonce: "cnonce".to_owned(),
        count_digits: format!("{count:08x}"),
        count,
        response: String::new(),
    };
    credentials.response = credentials.expected_response("GET", &secret(password));
    credentials
}

fn secret(password: &str) -> String {
    let secrets = DigestSecrets::compute("alice", "tidegate", password, false);
    secrets
        .of(DigestAlgorithm::Sha256, "tidegate")
        .unwrap()
        .to_owned()
}

#[test]
fn a_right_proof_is_accepted_once() {
    let (digest, now) = (Digest::new(DigestSettings::default()), SystemTime::now());
    let own = secret("right");
    let check = |credentials: &DigestCredentials, method, target, secret, now| {
        digest.check(credentials, method, target, secret, now)
    };
    let proof = answer(&digest, "right", "/a?b", 1, now);
    for (method, target, secret) in [
        ("POST", "/a?b", Some(&*own)),
        ("GET", "/a", Some(&*own)),
        ("GET", "/a?b", None),
        ("GET", "/a?b", Some(NOBODY)),
    ] {
        assert_eq!(
            check(&proof, method, target, secret, now),
            DigestVerdict::Refused
        );
    }
    assert_eq!(
        check(&proof, "GET", "/a?b", Some(&own), now),
        DigestVerdict::Accepted
    );
    assert_eq!(
        check(&proof, "GET", "/a?b", Some(&own), now),
        DigestVerdict::Stale
    );
    let second = with_nonce(&proof.nonce, "right", "/a?b", 2);
    assert_eq!(
        check(&second, "GET", "/a?b", Some(&own), now),
        DigestVerdict::Accepted
    );
    let wrong = answer(&digest, "wrong", "/a?b", 1, now);
    assert_eq!(
        check(&wrong, "GET", "/a?b", Some(&own), now),
        DigestVerdict::Refused
    );
}

#[test]
fn a_nonce_lives_so_long_and_is_of_this_process() {
    let (digest, now) = (Digest::new(DigestSettings::default()), SystemTime::now());
    let own = secret("right");
    let life = digest.settings.nonce_life;
    let proof = answer(&digest, "right", "/", 1, now);
    let check = |now| digest.check(&proof, "GET", "/", Some(&own), now);
    assert_eq!(check(now + life), DigestVerdict::Stale);
    assert_eq!(check(now - Duration::from_secs(1)), DigestVerdict::Stale);
    assert_eq!(
        check(now + life - Duration::from_millis(2)),
        DigestVerdict::Accepted
    );
    let other = Digest::new(DigestSettings::default());
    let foreign = answer(&other, "right", "/", 1, now);
    assert_eq!(
        digest.check(&foreign, "GET", "/", Some(&own), now),
        DigestVerdict::Stale
    );
    // Somebody who does not know the password is not told of nonces.
    let foreign = answer(&other, "wrong", "/", 1, now);
    assert_eq!(
        digest.check(&foreign, "GET", "/", Some(&own), now),
        DigestVerdict::Refused
    );
}

#[test]
fn an_algorithm_that_is_off_is_refused() {
    let (digest, now) = (Digest::new(DigestSettings::default()), SystemTime::now());
    let mut proof = answer(&digest, "right", "/", 1, now);
    proof.algorithm = DigestAlgorithm::Md5;
    let secrets = DigestSecrets::compute("alice", "tidegate", "right", true);
    let secret = secrets.of(DigestAlgorithm::Md5, "tidegate").unwrap();
    proof.response = proof.expected_response("GET", secret);
    assert_eq!(
        digest.check(&proof, "GET", "/", Some(secret), now),
        DigestVerdict::Refused
    );
}

#[test]
fn a_challenge_says_what_is_possible() {
    let digest = Digest::new(DigestSettings {
        realm: "a \"b\"".to_owned(),
        algorithms: DigestAlgorithm::ALL.to_vec(),
        userhash: true,
        ..DigestSettings::default()
    });
    let challenges: Vec<_> = digest.challenges(SystemTime::now(), true).collect();
    assert!(
        challenges[0]
            .starts_with(r#"Digest realm="a \"b\"", qop="auth", algorithm=SHA-256, nonce=""#)
    );
    assert!(challenges[0].ends_with(r#"", stale=true, userhash=true"#));
    assert!(challenges[1].contains("algorithm=MD5"));
}
