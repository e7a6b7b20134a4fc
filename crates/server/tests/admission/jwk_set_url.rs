//! Keys for tokens from an issuer who rotates them, hangs, and sends what nobody wants.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tidegate::{AuthenticationSettings, Binding, JwtOptions, Server, ServerBuilder, SslOptions};

use crate::client::setting::{all_settings, builder, in_each_setting, start, stop};
use crate::client::{Client, free_port};
use crate::issuer::{self, Port, SigningKey, hangs, say, tells};
use crate::wait_until;

/// Far more than any test takes.
const NEVER: Duration = Duration::from_secs(86_400);

fn options(url: String) -> JwtOptions {
    let mut options = JwtOptions::default();
    options.algorithms = vec!["ES256".to_owned(), "HS256".to_owned()];
    options.jwk_set_url = Some(url);
    options.jwk_set_refresh = NEVER;
    options.jwk_set_early_refresh = NEVER;
    options
}

fn authentication(options: JwtOptions) -> AuthenticationSettings {
    let mut settings = AuthenticationSettings::default();
    settings.enabled = true;
    settings.jwt = Some(options);
    settings
}

/// Says who asks.
fn telling(builder: ServerBuilder, options: JwtOptions) -> Server {
    let builder = builder
        .authentication(authentication(options))
        .on_http_request(|request, response| {
            response.text(request.user().as_deref().unwrap_or("-").to_owned());
        });
    start(builder)
}

/// In one setting: what comes of it is the same in each.
fn in_one_setting(test: impl Fn(ServerBuilder, u16)) {
    let (io, mode) = all_settings()[0];
    let port = free_port();
    test(builder(io, mode, port), port);
}

fn status(client: &mut Client, token: &str) -> u16 {
    client.request("GET", "/", &[token], "").status
}

fn wait_for_status(client: &mut Client, token: &str, wanted: u16) {
    wait_until("the token's status", || status(client, token) == wanted);
}

#[test]
fn a_rotation_is_followed_and_strangers_make_nobody_ask() {
    in_each_setting(|builder, port| {
        let (first, second) = (SigningKey::new("first"), SigningKey::new("second"));
        let (first_token, second_token) = (first.token("ann"), second.token("bob"));
        let issuer = Port::open(tells(issuer::set(&[first.jwk()])));
        let server = telling(builder, options(issuer.url()));
        let mut client = Client::connect(port);
        wait_for_status(&mut client, &first_token, 200);
        assert!(
            issuer
                .heads()
                .last()
                .unwrap()
                .starts_with("GET /keys?all HTTP/1.1\r\n")
        );

        issuer.set(tells(issuer::set(&[second.jwk()])));
        let before = issuer.asked();
        assert_eq!(status(&mut client, &second_token), 503);
        wait_for_status(&mut client, &second_token, 200);
        // The early question of this day has been asked.
        assert_eq!(status(&mut client, &first_token), 401);
        for number in 0..50 {
            let stranger = SigningKey::new(&format!("stranger {number}"));
            assert_eq!(status(&mut client, &stranger.token("eve")), 401);
        }
        assert_eq!(issuer.asked(), before + 1);
        stop(server);
    });
}

// Whether it is good is not known yet: nobody is told that it is not.
#[test]
fn a_token_may_come_again_while_there_are_no_keys_yet() {
    in_one_setting(|builder, port| {
        let issuer = Port::open(hangs);
        let server = telling(builder, options(issuer.url()));
        let mut client = Client::connect(port);
        let answer = client.request("GET", "/", &[&SigningKey::new("any").token("ann")], "");
        assert_eq!(
            (answer.status, answer.field("Retry-After")),
            (503, Some("1"))
        );
        // Nobody else waits for it.
        assert_eq!(client.get("/").status, 401);
        stop(server);
    });
}

#[test]
fn an_issuer_who_fails_leaves_the_keys_as_they_were() {
    in_one_setting(|builder, port| {
        let (first, second) = (SigningKey::new("first"), SigningKey::new("second"));
        let elsewhere = Port::open(tells(issuer::set(&[second.jwk()])));
        let issuer = Port::open(tells(issuer::set(&[first.jwk()])));
        let mut options = options(issuer.url());
        options.jwk_set_refresh = Duration::from_secs(1);
        options.jwk_set_timeout = Duration::from_secs(1);
        let server = telling(builder, options);
        let mut client = Client::connect(port);
        wait_for_status(&mut client, &first.token("ann"), 200);

        let secret =
            issuer::set(&[serde_json::json!({"kty": "oct", "kid": "s", "k": "AAAA".repeat(20)})]);
        // What it would be wrong to take.
        let wrong = issuer::set(&[second.jwk()]);
        let redirection = format!(
            "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
            elsewhere.url()
        );
        let head = "HTTP/1.1 200 OK\r\n";
        type Misbehaves =
            Box<dyn Fn() -> Box<dyn Fn(&mut std::net::TcpStream, &str) + Send + Sync>>;
        let sends = |bytes: String| -> Misbehaves {
            Box::new(move || {
                let bytes = bytes.clone();
                Box::new(move |stream, _| say(stream, &bytes))
            })
        };
        let cases: Vec<(&str, Misbehaves)> = vec![
            ("hangs", Box::new(|| Box::new(hangs))),
            ("hangs within the content", {
                Box::new(move || {
                    Box::new(move |stream, head| {
                        say(stream, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{");
                        hangs(stream, head);
                    })
                })
            }),
            ("closes", sends(String::new())),
            ("no HTTP", sends("\0\0\0 what\r\n\r\n".repeat(100))),
            (
                "no JSON",
                sends(format!("{head}Content-Length: 3\r\n\r\n{{{{{{")),
            ),
            (
                "no keys",
                sends(format!("{head}Content-Length: 11\r\n\r\n{{\"keys\":[]}}")),
            ),
            (
                "a secret",
                sends(format!(
                    "{head}Content-Length: {}\r\n\r\n{secret}",
                    secret.len()
                )),
            ),
            (
                "10 MB",
                sends(format!(
                    "{head}Content-Length: 10000000\r\n\r\n{}",
                    format_args!("{}{wrong}", " ".repeat(10_000_000 - wrong.len()))
                )),
            ),
            (
                "10 MB in chunks",
                sends(format!(
                    "{head}Transfer-Encoding: chunked\r\n\r\n{}{:x}\r\n{wrong}\r\n0\r\n\r\n",
                    format!("2710\r\n{}\r\n", " ".repeat(10_000)).repeat(1_000),
                    wrong.len()
                )),
            ),
            ("redirects", sends(redirection)),
            (
                "fails",
                sends(format!(
                    "HTTP/1.1 500 x\r\nContent-Length: {}\r\n\r\n{wrong}",
                    wrong.len()
                )),
            ),
        ];
        for (what, misbehaves) in &cases {
            println!("{what}");
            issuer.set(misbehaves());
            // One may have been under way.
            let before = issuer.asked();
            wait_until("asked twice more", || issuer.asked() >= before + 2);
            assert_eq!(status(&mut client, &first.token("ann")), 200);
            assert_ne!(status(&mut client, &second.token("bob")), 200);
        }
        assert_eq!(elsewhere.asked(), 0);
        issuer.set(tells(issuer::set(&[second.jwk()])));
        wait_for_status(&mut client, &second.token("bob"), 200);
        wait_for_status(&mut client, &first.token("ann"), 401);
        stop(server);
    });
}

// RFC 8725 §3.5: a secret that everybody can read is none.
#[test]
fn a_set_that_is_there_for_all_to_read_has_no_secrets() {
    in_one_setting(|builder, port| {
        let key = SigningKey::new("public");
        let secret = [7; 32];
        let oct = serde_json::json!({
            "kty": "oct", "kid": "secret", "alg": "HS256",
            "k": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
        });
        let issuer = Port::open(tells(issuer::set(&[oct, key.jwk()])));
        let server = telling(builder, options(issuer.url()));
        let mut client = Client::connect(port);
        wait_for_status(&mut client, &key.token("ann"), 200);
        let forged = issuer::token(
            Algorithm::HS256,
            "secret",
            &EncodingKey::from_secret(&secret).unwrap(),
            "ann",
        );
        wait_for_status(&mut client, &forged, 401);
        stop(server);
    });
}

#[test]
fn a_set_that_is_still_the_same_is_not_sent_again_and_its_age_says_when_to_ask() {
    in_one_setting(|builder, port| {
        let key = SigningKey::new("only");
        let document = issuer::set(&[key.jwk()]);
        let issuer = Port::open(move |stream, head| {
            let fields = "ETag: \"7\"\r\nCache-Control: public, max-age=1\r\n";
            if head.contains("\r\nIf-None-Match: \"7\"\r\n") {
                say(stream, format!("HTTP/1.1 304 Not Modified\r\n{fields}\r\n"));
            } else {
                let length = document.len();
                say(
                    stream,
                    format!(
                        "HTTP/1.1 200 OK\r\n{fields}Content-Length: {length}\r\n\r\n{document}"
                    ),
                );
            }
        });
        let mut options = options(issuer.url());
        options.jwk_set_early_refresh = Duration::from_secs(1);
        let server = telling(builder, options);
        wait_until("asked again", || issuer.asked() >= 3);
        let heads = issuer.heads();
        assert!(!heads[0].contains("If-None-Match"));
        assert!(
            heads[1..]
                .iter()
                .all(|head| head.contains("If-None-Match: \"7\""))
        );
        let mut client = Client::connect(port);
        assert_eq!(status(&mut client, &key.token("ann")), 200);
        stop(server);
    });
}

#[test]
fn keys_outlive_a_reload_with_an_issuer_who_is_down() {
    in_one_setting(|builder, port| {
        let key = SigningKey::new("only");
        let issuer = Port::open(tells(issuer::set(&[key.jwk()])));
        let server = telling(builder, options(issuer.url()));
        let mut client = Client::connect(port);
        wait_for_status(&mut client, &key.token("ann"), 200);
        issuer.set(hangs);
        let mut settings = server.settings();
        settings.authentication.realm = "another".to_owned();
        server.reload(settings).unwrap();
        let answer = client.request("GET", "/", &[&key.token("ann")], "");
        assert_eq!((answer.status, answer.text()), (200, "ann"));
        stop(server);
    });
}

#[test]
fn an_issuer_proves_who_he_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let authority = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        std::fs::write(file(name), params.self_signed(&key).unwrap().pem()).unwrap();
        Issuer::new(params, key)
    };
    let trusted = authority("trusted.pem");
    authority("other.pem");
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &trusted).unwrap();
    std::fs::write(file("issuer.crt"), certificate.pem()).unwrap();
    std::fs::write(file("issuer.key"), key.serialize_pem()).unwrap();

    let signing = SigningKey::new("only");
    let document = issuer::set(&[signing.jwk()]);
    let issuer_port = free_port();
    let binding = Binding::https("127.0.0.1", issuer_port, "/").unwrap();
    let binding = binding.with_ssl(SslOptions::pem(file("issuer.crt"), file("issuer.key")));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let issuer = start(Server::builder().bindings([binding]).on_http_request(
        move |_, response| {
            count.fetch_add(1, Ordering::Relaxed);
            response.text(document.clone());
        },
    ));
    in_one_setting(|builder, port| {
        let mut options = options(format!("https://127.0.0.1:{issuer_port}/keys"));
        options.jwk_set_ca = Some(file("trusted.pem"));
        let server = telling(builder, options);
        let mut client = Client::connect(port);
        wait_for_status(&mut client, &signing.token("ann"), 200);
        stop(server);
    });
    let before = asked.load(Ordering::Relaxed);
    in_one_setting(|builder, port| {
        let (relay, connections) = issuer::relay(issuer_port);
        let mut options = options(format!("https://127.0.0.1:{relay}/keys"));
        options.jwk_set_ca = Some(file("other.pem"));
        options.jwk_set_refresh = Duration::from_secs(1);
        let server = telling(builder, options);
        let mut client = Client::connect(port);
        // The first has come to its end by then.
        wait_until("a second connection", || {
            connections.load(Ordering::SeqCst) >= 2
        });
        assert_eq!(status(&mut client, &signing.token("ann")), 503);
        stop(server);
    });
    assert_eq!(asked.load(Ordering::Relaxed), before);
    stop(issuer);
}

#[test]
fn a_place_that_others_could_answer_for_is_refused_at_the_start() {
    for (url, wanted) in [
        ("http://issuer.example/keys", "use https"),
        ("issuer.example/keys", "http://"),
        ("https://issuer.example/a b", "escaped"),
    ] {
        in_one_setting(|builder, _| {
            let server = builder
                .authentication(authentication(options(url.to_owned())))
                .build()
                .unwrap();
            server.start().unwrap();
            let error = server.wait_started().unwrap_err().to_string();
            assert!(
                error.contains("jwk_set_url") && error.contains(wanted),
                "{error}"
            );
        });
    }
    in_one_setting(|builder, _| {
        let mut options = options("https://issuer.example/keys".to_owned());
        options.jwk_set_ca = Some("/nonexistent/ca.pem".into());
        let server = builder
            .authentication(authentication(options))
            .build()
            .unwrap();
        server.start().unwrap();
        let error = server.wait_started().unwrap_err().to_string();
        assert!(error.contains("/nonexistent/ca.pem"), "{error}");
    });
}
