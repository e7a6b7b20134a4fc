//! Passwords and tokens: who tries many, what the application may say, and WebSockets over HTTP/2.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use tidegate::{
    Admission, AuthDecision, AuthType, AuthenticationSettings, BeforeAuthentication,
    FirewallSettings, JwtOptions, ServerBuilder,
};

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::http2_client;
use crate::issuer::{self, SigningKey};
use crate::websocket::Opening;

fn settings() -> AuthenticationSettings {
    let mut settings = AuthenticationSettings::default();
    settings.enabled = true;
    settings.users = vec!["ann=right".parse().unwrap(), "bob=other".parse().unwrap()];
    settings
}

fn basic(user: &str, password: &str) -> String {
    let pair = BASE64_STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {pair}")
}

/// Says who asks, and by what.
fn telling(builder: ServerBuilder) -> ServerBuilder {
    builder.on_http_request(|request, response| {
        let found = request.authentication();
        let by = found.as_ref().and_then(|found| found.auth_type());
        let user = request.user();
        response.text(format!("{} {by:?}", user.as_deref().unwrap_or("-")));
    })
}

fn get(client: &mut Client, path: &str, field: &str) -> (u16, String) {
    let answer = client.request("GET", path, &[field], "");
    (answer.status, answer.text().to_owned())
}

// Names and passwords that were stolen elsewhere, tried here.
#[test]
fn who_tries_stolen_passwords_is_banned_and_learns_nothing_of_who_exists() {
    in_each_setting(|builder, port| {
        let mut firewall = FirewallSettings::default();
        firewall.enabled = true;
        firewall.brute_force.enabled = true;
        firewall.brute_force.attempts = 6;
        let builder = telling(builder)
            .authentication(settings())
            .firewall(firewall);
        let server = start(builder);
        let mut client = Client::connect(port);
        let mut answers = Vec::new();
        for (number, user) in ["ann", "nobody", "bob", "root", "ann", "admin"]
            .iter()
            .enumerate()
        {
            let before = server.admission_counters().hashed;
            let answer = client.request("GET", "/", &[&basic(user, "stolen")], "");
            // One hash, whether there is such a user or not.
            assert_eq!(server.admission_counters().hashed, before + 1, "{number}");
            let fields = answer
                .fields
                .iter()
                .filter(|(name, _)| name != "Date")
                .cloned();
            answers.push((answer.status, fields.collect::<Vec<_>>(), answer.content));
        }
        assert!(
            answers.windows(2).all(|two| two[0] == two[1]),
            "{answers:?}"
        );
        assert_eq!(answers[0].0, 401);
        let before = server.admission_counters();
        assert_eq!((before.refused, before.admitted), (6, 0));
        // He is banned; and a banned one costs no hash.
        assert_eq!(get(&mut client, "/", &basic("ann", "right")).0, 403);
        assert_eq!(server.bans().len(), 1);
        assert_eq!(server.admission_counters().hashed, before.hashed);
        drop(client);
        stop(server);
    });
}

#[test]
fn a_refusal_is_as_the_application_wants_it_or_none() {
    in_each_setting(|builder, port| {
        let builder =
            telling(builder)
                .authentication(settings())
                .on_unauthorized(|request, answer| match request.document() {
                    "/open" => Admission::Accept,
                    "/told" => {
                        answer.status = 418;
                        answer.text = "Who are you?".to_owned();
                        answer
                            .headers
                            .push(("X-Why".to_owned(), "because".to_owned()));
                        answer
                            .headers
                            .push(("not a name".to_owned(), "x\r\ny".to_owned()));
                        Admission::Refuse
                    }
                    "/odd" => {
                        answer.status = 200;
                        Admission::Refuse
                    }
                    "/trouble" => panic!("a handler's"),
                    _ => Admission::Refuse,
                });
        let server = start(builder);
        let mut client = Client::connect(port);
        let wrong = basic("ann", "wrong");
        assert_eq!(
            get(&mut client, "/open", &wrong),
            (200, "- None".to_owned())
        );
        assert_eq!(get(&mut client, "/", &wrong), (401, String::new()));
        let told = client.get("/told");
        assert_eq!((told.status, told.text()), (418, "Who are you?"));
        assert_eq!(told.field("X-Why"), Some("because"));
        assert_eq!(
            told.field("Content-Type"),
            Some("text/plain; charset=utf-8")
        );
        assert!(told.field("WWW-Authenticate").is_some());
        assert_eq!(client.get("/odd").status, 401);
        assert_eq!(client.get("/trouble").status, 500);
        // What cannot be read is nobody's to let in.
        assert_eq!(get(&mut client, "/open", "Authorization: Basic !").0, 400);
        drop(client);
        stop(server);
    });
}

#[test]
fn the_application_may_pass_over_the_question() {
    in_each_setting(|builder, port| {
        let builder = telling(builder)
            .authentication(settings())
            .on_before_authentication(|request| match request.document() {
                "/health" => BeforeAuthentication::Bypass,
                _ => BeforeAuthentication::Check,
            });
        let server = start(builder);
        let mut client = Client::connect(port);
        let (right, wrong) = (basic("ann", "right"), basic("ann", "wrong"));
        assert_eq!(
            get(&mut client, "/health", &wrong),
            (200, "- None".to_owned())
        );
        assert_eq!(
            get(&mut client, "/health", &right),
            (200, "- None".to_owned())
        );
        assert_eq!(server.admission_counters().hashed, 0);
        assert_eq!(get(&mut client, "/", &wrong).0, 401);
        assert_eq!(get(&mut client, "/", &right).1, "ann Some(Basic)");
        drop(client);
        stop(server);
    });
}

#[test]
fn the_application_may_decide_over_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("keys.json");
    let (known, stranger) = (SigningKey::new("known"), SigningKey::new("stranger"));
    std::fs::write(&set, issuer::set(&[known.jwk()])).unwrap();
    in_each_setting(|builder, port| {
        let mut jwt = JwtOptions::default();
        jwt.algorithms = vec!["ES256".to_owned()];
        jwt.jwk_set_file = Some(set.clone());
        let mut authentication = settings();
        authentication.jwt = Some(jwt);
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let sees = Arc::clone(&seen);
        let builder = telling(builder)
            .authentication(authentication)
            .on_token_validation(move |request, validation| {
                let found = match validation.result {
                    Ok(claims) => claims.subject().unwrap().to_owned(),
                    Err(error) => format!("{error:?}"),
                };
                assert!(validation.token.starts_with("ey"));
                sees.lock().unwrap().push(found.clone());
                match (request.document(), &*found) {
                    ("/trusting", "UnknownKey") => AuthDecision::Accept,
                    ("/strict", "ann") => AuthDecision::Refuse,
                    _ => AuthDecision::ByList,
                }
            });
        let server = start(builder);
        let mut client = Client::connect(port);
        let (ann, eve) = (known.token("ann"), stranger.token("eve"));
        assert_eq!(
            get(&mut client, "/", &ann),
            (200, "ann Some(Bearer)".to_owned())
        );
        assert_eq!(get(&mut client, "/strict", &ann).0, 401);
        assert_eq!(get(&mut client, "/", &eve).0, 401);
        // Let in, but as nobody: what it says of itself is not believed.
        assert_eq!(
            get(&mut client, "/trusting", &eve),
            (200, "- Some(Bearer)".to_owned())
        );
        assert_eq!(
            *seen.lock().unwrap(),
            ["ann", "ann", "UnknownKey", "UnknownKey"]
        );
        drop(client);
        stop(server);
    });
}

// RFC 8441: the extended CONNECT is a request like any other, and has to prove who it is of.
#[test]
fn a_websocket_over_http2_needs_what_one_over_http1_needs() {
    in_each_setting(|builder, port| {
        let builder = builder
            .authentication(settings())
            .on_connect(|_| {})
            .on_message(|connection, text| {
                let found = connection.authentication();
                let by = found.as_ref().and_then(|found| found.auth_type());
                assert_eq!(by, Some(AuthType::Basic));
                let user = connection.user();
                connection.send_text(&format!("{text} {}", user.unwrap_or("-")))
            });
        let server = start(builder);
        let (right, wrong) = (basic("ann", "right"), basic("ann", "wrong"));
        let value = |field: &str| field.split_once(": ").unwrap().1.to_owned();
        let (right, wrong) = (value(&right), value(&wrong));
        http2_client::run(async {
            let client = http2_client::Client::connect(port).await;
            let version = ("sec-websocket-version", "13");
            for fields in [&[version][..], &[version, ("authorization", &wrong)]] {
                let refused = client.connect_websocket("/chat", fields).await;
                let Err(refused) = refused else {
                    panic!("it came in")
                };
                assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
                assert!(refused.fields.contains_key("www-authenticate"));
            }
            // The same connection goes on.
            let fields = [version, ("authorization", &*right)];
            let mut websocket = match client.connect_websocket("/chat", &fields).await {
                Ok(websocket) => websocket,
                Err(answer) => panic!("{}", answer.status),
            };
            websocket.text("I am").await;
            assert_eq!(websocket.hear_text().await, "I am ann");
            websocket.leave().await;
        });
        let mut websocket = Opening::new(port)
            .target("/chat")
            .field("Authorization", &right)
            .open();
        websocket.text("I am");
        assert_eq!(websocket.hear_text(), "I am ann");
        websocket.leave();
        stop(server);
    });
}
