//! Typed fields: how responses say them, what becomes of ones that cannot be said, what requests ask for.

use std::time::{Duration, UNIX_EPOCH};

use super::backend::{Answer, Content, TestBackend};
use super::requests::{exceptions, serve};
use crate::{
    CacheControl, Challenge, Link, OwnedRequest, Request, Response, SameSite, Server, SetCookie,
};

fn answer(fill: impl Fn(&mut Response) + Send + Sync + 'static) -> (Answer, Vec<String>) {
    let backend = TestBackend::classic();
    let (builder, told) = exceptions(Server::builder());
    let builder = builder.on_http_request(move |_, response| fill(response));
    let server = serve(&backend, builder);
    let answer = backend.get("/");
    drop(server);
    (answer, told.try_iter().collect())
}

#[test]
fn typed_values_are_spelled() {
    let (answer, told) = answer(|response| {
        let cookie = SetCookie::new("id", "7").path("/").secure();
        response
            .status(401)
            .cache_control(CacheControl::new().no_store())
            .vary("Accept")
            .vary("Origin")
            .vary("accept")
            .allow(["GET", "HEAD"])
            .retry_after(Duration::from_millis(1001))
            .link(Link::new("/next", "next"))
            .link(Link::new("/last", "last"))
            .www_authenticate(Challenge::basic("here"))
            .www_authenticate(Challenge::bearer())
            .set_cookie(cookie.clone().same_site(SameSite::Strict))
            .set_cookie(SetCookie::removed("old"))
            .etag("W/\"1\"")
            .custom_headers("X-One: 1\r\nX-Two: 2")
            .empty();
    });
    assert_eq!(told, [""; 0]);
    assert_eq!(
        answer.fields,
        "Cache-Control: no-store\r\n\
         Vary: Accept\r\n\
         Vary: Origin\r\n\
         Allow: GET, HEAD\r\n\
         Retry-After: 2\r\n\
         Link: </next>; rel=\"next\"\r\n\
         Link: </last>; rel=\"last\"\r\n\
         WWW-Authenticate: Basic realm=\"here\", charset=\"UTF-8\"\r\n\
         WWW-Authenticate: Bearer\r\n\
         Set-Cookie: id=7; Path=/; SameSite=Strict; Secure\r\n\
         Set-Cookie: old=; Max-Age=0\r\n\
         ETag: W/\"1\"\r\n\
         X-One: 1\r\n\
         X-Two: 2\r\n"
    );
    let (answer, _) = self::answer(|response| {
        response
            .allow([""; 0])
            .retry_at(UNIX_EPOCH)
            .cache_control("max-age=1");
        response.etag("\"1\"");
    });
    assert_eq!(
        answer.fields,
        "Allow: \r\nRetry-After: Thu, 01 Jan 1970 00:00:00 GMT\r\nCache-Control: max-age=1\r\nETag: \"1\"\r\n"
    );
}

#[test]
fn what_cannot_be_said_is_500_and_told_by_its_field() {
    type Fill = fn(&mut Response);
    let cases: [(Fill, &str); 9] = [
        (
            |response| _ = response.vary("a b"),
            "\"a b\" cannot stand in the value of field Vary",
        ),
        (
            |response| _ = response.allow(["GET", "P UT"]),
            "\"P UT\" cannot stand in the value of field Allow",
        ),
        (
            |response| _ = response.link(Link::new("a b", "next")),
            "\"a b\" cannot stand in the value of field Link",
        ),
        (
            |response| _ = response.www_authenticate(Challenge::new("")),
            "\"\" cannot stand in the value of field WWW-Authenticate",
        ),
        (
            |response| _ = response.set_cookie(SetCookie::new("a", "b\r\nc")),
            "\"b\\r\\nc\" cannot stand in the value of field Set-Cookie",
        ),
        (
            |response| _ = response.etag("a\"b"),
            "\"a\\\"b\" cannot stand in the value of field ETag",
        ),
        (
            |response| _ = response.etag("\"a"),
            "\"\\\"a\" cannot stand in the value of field ETag",
        ),
        (
            |response| _ = response.cache_control("a\nb"),
            "field Cache-Control",
        ),
        (
            |response| _ = response.custom_headers("A: 1\r\n\r\n<p>"),
            "\"\" is no field line",
        ),
    ];
    for (fill, wanted) in cases {
        let (answer, told) = answer(move |response| {
            fill(response);
            response.text("never");
        });
        assert_eq!(
            (answer.status, answer.fields.as_str()),
            (500, ""),
            "{wanted}"
        );
        assert!(told[0].contains(wanted), "{told:?}");
    }
}

/// What a request that has these fields says, as text.
fn asked(fields: &[&str], look: impl Fn(&Request<'_>) -> String + Send + Sync + 'static) -> String {
    let backend = TestBackend::classic();
    let builder = Server::builder().on_http_request(move |request, response| {
        response.text(look(request));
    });
    let server = serve(&backend, builder);
    let fields: String = fields.iter().map(|field| format!("\n{field}")).collect();
    let head = format!("GET / HTTP/1.1\nHost: test{fields}");
    let answer = backend.request(&head, Content::Arrived(""));
    drop(server);
    answer.text().to_owned()
}

#[test]
fn what_a_request_says_of_itself_is_read() {
    let said = asked(
        &[
            "Origin: https://a.example",
            "User-Agent: test/1",
            "Referer: https://a.example/b",
            "Last-Event-ID: 7",
            "Authorization: bEARER  abc._~+/-9==",
        ],
        |request| {
            format!(
                "{:?} {:?} {:?} {:?} {:?}",
                request.origin(),
                request.user_agent(),
                request.referer(),
                request.last_event_id(),
                request.bearer_token()
            )
        },
    );
    assert_eq!(
        said,
        "Some(\"https://a.example\") Some(\"test/1\") Some(\"https://a.example/b\") Some(\"7\") \
         Some(\"abc._~+/-9==\")"
    );
    let nothing = asked(&["Origin: a", "Origin: b", "Last-Event-ID: "], |request| {
        format!(
            "{:?} {:?} {:?} {:?} {:?}",
            request.origin(),
            request.user_agent(),
            request.referer(),
            request.last_event_id(),
            request.bearer_token()
        )
    });
    assert_eq!(nothing, "None None None None None");
    for value in ["Bearer", "Bearer ", "Bearer a b", "Bearer ä", "Basic QTpi"] {
        let field = format!("Authorization: {value}");
        let token = asked(&[&field], |request| format!("{:?}", request.bearer_token()));
        assert_eq!(token, "None", "{value}");
    }
}

#[test]
fn what_a_request_takes_is_chosen() {
    let choose = |request: &Request<'_>| {
        let types = ["application/json", "text/html"];
        let languages = ["en", "de"];
        format!(
            "{:?} {:?}",
            request.accepts(types),
            request.accepts_language(languages)
        )
    };
    for (fields, wanted) in [
        (&[] as &[&str], "Some(\"application/json\") Some(\"en\")"),
        (
            &["Accept: text/html", "Accept-Language: de-CH, fr"],
            "Some(\"text/html\") Some(\"de\")",
        ),
        // Lines of one field are one list.
        (
            &[
                "Accept: image/png",
                "Accept: text/*;q=0.1",
                "Accept-Language: fr",
            ],
            "Some(\"text/html\") None",
        ),
    ] {
        assert_eq!(asked(fields, choose), wanted);
    }
}

#[test]
fn a_request_on_its_own_says_the_same() {
    fn look(request: &OwnedRequest) -> Option<&str> {
        request.accepts_language(["en", "de"])
    }
    let backend = TestBackend::high_perf();
    let builder = Server::builder().on_http_request_async(|request, mut response| async move {
        response.text(look(&request).unwrap_or_default().to_owned());
        response
    });
    let _server = serve(&backend, builder);
    let head = "GET / HTTP/1.1\nHost: test\nAccept-Language: de";
    assert_eq!(backend.request(head, Content::Arrived("")).text(), "de");
}
