//! Who gets in.

use crate::client::Client;
use crate::websocket::{Heard, WebSocket};
use crate::{Administered, cookie_of};

fn administered() -> Administered {
    Administered::start(|builder| {
        builder.on_http_request(|_, response| response.text("the application"))
    })
}

#[test]
fn nobody_gets_in_without_the_token() {
    let place = administered();
    let page = place.ask("GET", "", &[], "");
    assert_eq!(page.status, 303);
    assert_eq!(page.field("Location"), Some("/admin/sign-in"));
    for path in [
        "api/server",
        "api/live",
        "api/nothing",
        "api/connections/1/disconnect",
    ] {
        let refused = place.ask("GET", path, &[], "");
        assert_eq!(refused.status, 401, "{path}");
        assert!(
            refused
                .field("WWW-Authenticate")
                .unwrap()
                .starts_with("Bearer ")
        );
        let posted = place.ask("POST", path, &[], "");
        assert_eq!(posted.status, 401, "{path}");
    }
    for wrong in [
        "Bearer x",
        "Bearer ",
        "Basic YTpi",
        "",
        &place.bearer()[15..21],
    ] {
        let field = format!("Authorization: {wrong}");
        assert_eq!(
            place.ask("GET", "api/server", &[&field], "").status,
            401,
            "{wrong}"
        );
    }
    let sign_in = place.ask("GET", "sign-in", &[], "");
    assert_eq!(sign_in.status, 200);
    assert!(!sign_in.text().contains(&place.token()));
    assert_eq!(
        place
            .ask("GET", "api/server", &[&place.bearer()], "")
            .status,
        200
    );
    place.stop();
}

#[test]
fn nothing_of_it_is_on_the_applications_urls() {
    let place = administered();
    let mut client = Client::connect(place.port);
    for path in ["/admin/", "/admin/api/server", "/tidegate/"] {
        assert_eq!(client.get(path).text(), "the application");
    }
    // Its own port has nothing but the prefix.
    let host = format!("Host: localhost:{}", place.admin_port);
    let mut admin = Client::connect(place.admin_port);
    admin.write(format!("GET / HTTP/1.1\r\n{host}\r\n\r\n").as_bytes());
    assert_eq!(admin.receive().status, 404);
    place.stop();
}

#[test]
fn pages_cannot_be_framed_kept_or_extended() {
    let place = administered();
    for path in ["", "sign-in", "page.js", "api/server"] {
        let answer = place.ask("GET", path, &[], "");
        let policy = answer.field("Content-Security-Policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(answer.field("X-Frame-Options"), Some("DENY"));
        assert_eq!(answer.field("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(answer.field("Cache-Control"), Some("no-store"));
        assert_eq!(answer.field("Referrer-Policy"), Some("no-referrer"));
    }
    place.stop();
}

#[test]
fn a_browser_signs_in_and_out() {
    let place = administered();
    let (bearer, origin) = (place.bearer(), place.origin());
    let signed_in = place.ask("POST", "sign-in", &[&bearer, &origin], "");
    let set = signed_in.field("Set-Cookie").unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/admin/", "Max-Age="] {
        assert!(set.contains(part), "{set}");
    }
    let cookie = cookie_of(&signed_in);
    let page = place.ask("GET", "", &[&cookie], "");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<title>Tidegate</title>"));
    assert_eq!(place.ask("GET", "api/server", &[&cookie], "").status, 200);
    // Another's cookie of the same name does not get in its way.
    let (name, value) = cookie[8..].split_once('=').unwrap();
    let both = format!("Cookie: {name}=x; {name}={value}");
    assert_eq!(place.ask("GET", "api/server", &[&both], "").status, 200);

    let out = place.ask("POST", "sign-out", &[&cookie, &origin], "");
    assert_eq!(out.status, 200);
    assert!(out.field("Set-Cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(place.ask("GET", "api/server", &[&cookie], "").status, 401);
    assert_eq!(place.ask("GET", "", &[&cookie], "").status, 303);
    let forged = format!("Cookie: {name}=9999999999.AAAA.AAAA");
    assert_eq!(place.ask("GET", "api/server", &[&forged], "").status, 401);
    place.stop();
}

#[test]
fn a_session_outlives_a_restart() {
    let place = administered();
    let cookie = place.cookie();
    place.server.stop();
    place.server.wait_stopped();
    place.server.start().unwrap();
    place.server.wait_started().unwrap();
    assert_eq!(place.ask("GET", "api/server", &[&cookie], "").status, 200);
    place.stop();
}

#[test]
fn a_link_signs_in_once() {
    let place = administered();
    let link = place.server.administration_link().unwrap();
    let path = link.split_once("/admin/").unwrap().1.to_owned();
    assert_eq!(place.ask("HEAD", &path, &[], "").status, 200);
    let signed_in = place.ask("GET", &path, &[], "");
    assert_eq!(signed_in.status, 200);
    let cookie = cookie_of(&signed_in);
    assert_eq!(place.ask("GET", "", &[&cookie], "").status, 200);
    let again = place.ask("GET", &path, &[], "");
    assert_eq!((again.status, again.field("Set-Cookie")), (403, None));
    let other = place.client().sign_in_link().unwrap();
    assert_ne!(other, link);
    let server = place.server.clone();
    place.stop();
    assert_eq!(server.administration_link(), None);
}

#[test]
fn pages_of_other_sites_have_nothing_done() {
    let place = administered();
    let (cookie, origin) = (place.cookie(), place.origin());
    let post = |fields: &[&str]| place.ask("POST", "api/logs/flush", fields, "").status;
    assert_eq!(post(&[&cookie, &origin]), 200);
    // A browser would say which page it is from.
    assert_eq!(post(&[&cookie]), 403);
    let port = place.admin_port;
    for foreign in [
        "http://evil.example".to_owned(),
        "null".to_owned(),
        format!("https://localhost:{port}"),
        format!("http://localhost:{}", place.port),
        format!("http://localhost:{port}.evil.example"),
    ] {
        let foreign = format!("Origin: {foreign}");
        assert_eq!(post(&[&cookie, &foreign]), 403, "{foreign}");
        // The token does not help a page that has it typed in.
        assert_eq!(post(&[&place.bearer(), &foreign]), 403, "{foreign}");
    }
    for site in ["cross-site", "same-site"] {
        let site = format!("Sec-Fetch-Site: {site}");
        assert_eq!(
            place.ask("GET", "api/server", &[&cookie, &site], "").status,
            403
        );
        let link = [&*cookie, &*site, "Sec-Fetch-Mode: navigate"];
        assert_eq!(place.ask("GET", "", &link, "").status, 200);
    }
    // A program is no page.
    assert_eq!(post(&[&place.bearer()]), 200);
    place.stop();
}

#[test]
fn a_name_that_was_made_to_lead_here_is_refused() {
    let place = administered();
    let (bearer, port) = (place.bearer(), place.admin_port);
    let ask = |host: String| {
        let host = format!("Host: {host}");
        place
            .ask_host("GET", "api/server", &[&host, &bearer], "")
            .status
    };
    for own in ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"] {
        assert_eq!(ask(format!("{own}:{port}")), 200, "{own}");
    }
    for foreign in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
    ] {
        assert_eq!(ask(format!("{foreign}:{port}")), 421, "{foreign}");
    }
    assert_eq!(ask("localhost:1".to_owned()), 421);
    let host = format!("Host: evil.example:{port}");
    assert_eq!(place.ask_host("GET", "sign-in", &[&host], "").status, 421);
    place.stop();
}

#[test]
fn who_guesses_has_to_wait() {
    let place = administered();
    let cookie = place.cookie();
    let wrong = "Authorization: Bearer wrong";
    let statuses: Vec<_> = (0..12)
        .map(|_| place.ask("GET", "api/server", &[wrong], "").status)
        .collect();
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[10..], [429; 2]);
    let right = place.ask("GET", "api/server", &[&place.bearer()], "");
    assert_eq!(
        (right.status, right.field("Retry-After")),
        (429, Some("60"))
    );
    // Who is in already stays.
    assert_eq!(place.ask("GET", "api/server", &[&cookie], "").status, 200);
    place.stop();
}

#[test]
fn only_its_own_page_opens_the_websocket() {
    let place = administered();
    let cookie = place.cookie();
    let handshake = |fields: &[&str]| {
        let request = place.handshake(fields);
        let answer = WebSocket::answer_to(place.admin_port, request.as_bytes());
        answer[9..12].to_owned()
    };
    assert_eq!(handshake(&["Accept: a"]), "401");
    assert_eq!(handshake(&[&cookie]), "403");
    assert_eq!(handshake(&[&cookie, "Origin: http://evil.example"]), "403");
    assert_eq!(handshake(&[&place.bearer(), "Origin: null"]), "403");
    assert_eq!(handshake(&[&place.bearer()]), "101");
    let mut socket = place.live(&[&cookie, &place.origin()]);
    let Heard::Text(hello) = socket.hear() else {
        panic!("no text")
    };
    assert!(hello.starts_with("{\"type\":\"hello\""), "{hello}");
    place.stop();
}
