//! Requests of pages of other origins: what a pre-flight is answered, and what every other answer says,
//! whoever gives it.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;

use super::backend::{Answer, Content, TestBackend};
use super::requests::serve;
use crate::{CorsList, CorsOrigins, CorsSettings, Server, ServerBuilder};

const PAGE: &str = "Origin: https://page.example";
const OTHER: &str = "Origin: https://other.example";

/// `/closed` for a page and the hosts under a name, with credentials; `/open` for all; `/open/none` for
/// nobody; nothing is said of the rest.
fn policies() -> ServerBuilder {
    let closed = CorsSettings {
        path: "/closed/".to_owned(),
        origins: "https://page.example, https://*.wide.example"
            .parse()
            .unwrap(),
        methods: ["PUT", "DELETE"].into(),
        headers: ["Content-Type", "X-Token"].into(),
        exposed_headers: ["X-Total", "ETag"].into(),
        credentials: true,
        private_network: true,
        ..CorsSettings::default()
    };
    let open = CorsSettings {
        path: "open".to_owned(),
        origins: CorsOrigins::any(),
        methods: CorsList::Any,
        headers: CorsList::Any,
        exposed_headers: CorsList::Any,
        max_age: std::time::Duration::ZERO,
        ..CorsSettings::default()
    };
    let none = CorsSettings {
        path: "/open/none".to_owned(),
        ..CorsSettings::default()
    };
    [open, none, closed]
        .into_iter()
        .fold(Server::builder(), ServerBuilder::cors)
}

fn ask(backend: &TestBackend, line: &str, fields: &[&str]) -> Answer {
    let fields: String = fields.iter().map(|field| format!("\n{field}")).collect();
    let head = format!("{line} HTTP/1.1\nHost: test{fields}");
    backend.request(&head, Content::Arrived(""))
}

const PUT: &str = "Access-Control-Request-Method: PUT";

#[test]
fn a_pre_flight_is_answered_before_anything_else() {
    let backend = TestBackend::high_perf();
    let builder = policies().on_http_request(|request, response| {
        assert_eq!(request.method(), "never");
        response.text("never");
    });
    let _server = serve(&backend, builder);
    let allowed = "Access-Control-Allow-Origin: https://page.example\r\n\
                   Access-Control-Allow-Credentials: true\r\n\
                   Vary: Origin\r\n\
                   Access-Control-Allow-Methods: PUT, DELETE\r\n\
                   Access-Control-Allow-Headers: Content-Type, X-Token\r\n\
                   Access-Control-Max-Age: 600\r\n";
    let asks = "Access-Control-Request-Headers: x-a, X-B";
    let private = "Access-Control-Request-Private-Network: true";
    let cases: &[(&str, &[&str], u16, &str)] = &[
        ("/closed", &[PAGE, PUT], 204, allowed),
        ("/closed/a/b?c", &[PAGE, PUT, asks], 204, allowed),
        // What is not granted is told by what is: the browser says which it was.
        (
            "/closed/",
            &[PAGE, "Access-Control-Request-Method: PATCH"],
            204,
            allowed,
        ),
        (
            "/closed",
            &[PAGE, PUT, private],
            204,
            &format!("{allowed}Access-Control-Allow-Private-Network: true\r\n"),
        ),
        ("/closed", &[OTHER, PUT], 403, "Vary: Origin\r\n"),
        ("/closed", &["Origin: null", PUT], 403, "Vary: Origin\r\n"),
        ("/closed", &[PAGE, PAGE, PUT], 403, "Vary: Origin\r\n"),
        ("/closed", &["Origin: ", PUT], 403, "Vary: Origin\r\n"),
        ("/open/none/x", &[PAGE, PUT], 403, "Vary: Origin\r\n"),
        (
            "/open/nonesuch",
            &[OTHER, PUT, asks],
            204,
            "Access-Control-Allow-Origin: *\r\n\
             Vary: Access-Control-Request-Method\r\n\
             Access-Control-Allow-Methods: PUT\r\n\
             Vary: Access-Control-Request-Headers\r\n\
             Access-Control-Allow-Headers: x-a, X-B\r\n\
             Access-Control-Max-Age: 0\r\n",
        ),
        // What is no name is not said back.
        (
            "/open",
            &[
                OTHER,
                "Access-Control-Request-Method: P UT",
                "Access-Control-Request-Headers: a, b c",
                private,
            ],
            204,
            "Access-Control-Allow-Origin: *\r\n\
             Vary: Access-Control-Request-Method\r\n\
             Vary: Access-Control-Request-Headers\r\n\
             Access-Control-Max-Age: 0\r\n",
        ),
    ];
    for (path, fields, status, wanted) in cases {
        let answer = ask(&backend, &format!("OPTIONS {path}"), fields);
        assert_eq!(answer.status, *status, "{path} {fields:?}");
        assert_eq!(answer.fields, *wanted, "{path} {fields:?}");
        assert_eq!(answer.length, Some(0));
    }
}

#[test]
fn other_answers_say_who_may_read_them() {
    let backend = TestBackend::high_perf();
    let builder = policies().on_http_request(|request, response| {
        response.text(format!("{} {}", request.method(), request.document()));
    });
    let _server = serve(&backend, builder);
    let text = "Content-Type: text/plain; charset=utf-8\r\n";
    let page = "Access-Control-Allow-Origin: https://page.example\r\n\
                Access-Control-Allow-Credentials: true\r\n\
                Vary: Origin\r\n\
                Access-Control-Expose-Headers: X-Total, ETag\r\n";
    let any = "Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: *\r\n";
    let vary = "Vary: Origin\r\n";
    let cases: &[(&str, &[&str], &str)] = &[
        ("GET /closed", &[PAGE], page),
        ("POST /closed/x", &[PAGE], page),
        // Method and fields are the pre-flight's matter.
        ("PATCH /closed", &[PAGE], page),
        (
            "GET /closed",
            &["Origin: https://a.wide.example"],
            &page.replace("page", "a.wide"),
        ),
        // Caches keep these answers too.
        ("GET /closed", &[], vary),
        ("GET /closed", &[OTHER], vary),
        ("GET /closed", &["Origin: https://wide.example"], vary),
        ("GET /closed", &["Origin: null"], vary),
        ("GET /closed", &[PAGE, OTHER], vary),
        ("GET /open", &[], any),
        ("GET /open", &[OTHER], any),
        ("GET /open/none", &[OTHER], vary),
        // No pre-flights.
        ("OPTIONS /closed", &[PAGE], page),
        ("OPTIONS /closed", &[PUT], vary),
        ("GET /closed", &[PAGE, PUT], page),
        ("GET /closedx", &[PAGE], ""),
        ("GET /", &[PAGE], ""),
        ("OPTIONS /", &[PAGE, PUT], ""),
    ];
    for (line, fields, wanted) in cases {
        let answer = ask(&backend, line, fields);
        assert_eq!(answer.text(), *line, "{fields:?}");
        assert_eq!(
            answer.fields,
            format!("{text}{wanted}"),
            "{line} {fields:?}"
        );
    }
}

#[test]
fn whoever_answers_says_it() {
    let router = Router::new()
        .route("/teapot", get(|| async { StatusCode::IM_A_TEAPOT }))
        .route("/panic", get(|| async { panic!("as asked for") as &str }))
        .route(
            "/own",
            get(|| async {
                (
                    [("Access-Control-Allow-Origin", "*"), ("Vary", "Origin")],
                    "",
                )
            }),
        );
    for make in [TestBackend::classic, TestBackend::high_perf] {
        let backend = make();
        let builder = policies()
            .mount("/closed/service", router.clone())
            .on_message(|_, _| ())
            .on_http_request(|request, response| {
                match request.document() {
                    "/closed/fails" => return Err("as asked for".into()),
                    "/closed/panics" => panic!("as asked for"),
                    "/closed/split" => response.header("X", "a\r\nb").empty(),
                    "/closed/drops" => response.defer(|_, response| drop(response)),
                    "/closed/later" => {
                        response.status(201);
                        response.defer(|_, response| {
                            std::thread::spawn(|| response.send());
                        });
                    }
                    "/closed/async" => response.answer_async(|_, mut response| async move {
                        response.status(202).empty();
                        response
                    }),
                    "/closed/own" => {
                        response
                            .status(203)
                            .header("Access-Control-Allow-Origin", "*")
                            .header("Access-Control-Expose-Headers", "*")
                            .header("Vary", "Accept, origin");
                    }
                    _ => response.status(404).empty(),
                }
                Ok(())
            });
        let server = serve(&backend, builder);
        for (path, status) in [
            ("none", 404),
            ("fails", 500),
            ("panics", 500),
            ("split", 500),
            ("drops", 500),
            ("later", 201),
            ("async", 202),
            ("own", 203),
            ("service/teapot", 418),
            ("service/panic", 500),
            ("service/own", 200),
        ] {
            for (origin, allowed) in [(PAGE, Some("https://page.example")), (OTHER, None)] {
                let answer = ask(&backend, &format!("GET /closed/{path}"), &[origin]);
                assert_eq!(answer.status, status, "{path}");
                let told = |name: &str| {
                    let lines = answer.fields.lines();
                    let mut values = lines.filter_map(|line| line.strip_prefix(name));
                    let value = values.next().map(|value| value.trim_start_matches(": "));
                    assert_eq!(values.next(), None, "{path}: {}", answer.fields);
                    value
                };
                assert_eq!(told("Access-Control-Allow-Origin"), allowed, "{path}");
                let exposed = allowed.map(|_| "X-Total, ETag");
                assert_eq!(told("Access-Control-Expose-Headers"), exposed, "{path}");
                let vary = told("Vary").or(told("vary")).unwrap();
                assert!(vary.to_lowercase().ends_with("origin"), "{path}: {vary}");
            }
        }
        // Content that has yet to arrive has a handler called again.
        let head = format!("POST /closed/none HTTP/1.1\nHost: test\n{PAGE}");
        let answer = backend.request(&head, Content::Pieces(vec![Ok("late")]));
        assert_eq!(answer.status, 404);
        let allowed = answer.field("Access-Control-Allow-Origin");
        assert_eq!(allowed, Some("https://page.example"));
        // Who may open a WebSocket is asked elsewhere.
        let upgrade = [
            OTHER,
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ];
        let answer = ask(&backend, "GET /closed/ws", &upgrade);
        assert!(answer.opening.is_some());
        assert!(
            !answer.fields.contains("Access-Control"),
            "{}",
            answer.fields
        );
        drop(server);
    }
}

#[test]
fn rules_that_cannot_be_are_no_server() {
    let everybody = CorsSettings {
        origins: CorsOrigins::any(),
        credentials: true,
        ..CorsSettings::default()
    };
    let error = Server::builder()
        .cors(everybody.clone())
        .build()
        .unwrap_err();
    assert!(error.to_string().contains("credentials"), "{error}");
    let server = Server::builder().build().unwrap();
    let error = server.configure(|settings| settings.cors.push(everybody));
    assert!(error.is_err());
    assert!(server.settings().cors.is_empty());
}
