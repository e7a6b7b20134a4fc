//! Header fields: typed ones, one of one's own, and a text of several.

use std::time::Duration;

use tidegate::{CacheControl, Link, SameSite, Server, SetCookie};

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    Server::builder()
        .port(port)
        .on_http_request(|request, response| match request.document() {
            "/" => {
                let hour = Duration::from_secs(3600);
                response
                    .cache_control(CacheControl::new().private().max_age(hour))
                    .vary("Accept")
                    .link(Link::new("/style.css", "preload").param("as", "style"))
                    .header("X-Robots-Tag", "noindex")
                    // Lines as a settings file or another program has them; what is no field line is refused.
                    .custom_headers(
                        "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer",
                    );
                match request.accepts(["text/html", "application/json"]) {
                    Some("text/html") => response
                        .content_type("text/html; charset=utf-8")
                        .text("<p>calm"),
                    Some(_) => response
                        .content_type("application/json")
                        .text(r#"{"sea":"calm"}"#),
                    None => response.status(406).empty(),
                }
            }
            "/login" => {
                let cookie = SetCookie::new("session", "0f9c2d61").path("/").http_only();
                response
                    .set_cookie(cookie.same_site(SameSite::Lax))
                    .status(303)
                    .location("/")
                    .empty();
            }
            "/busy" => response
                .status(503)
                .retry_after(Duration::from_secs(2))
                .empty(),
            _ => response.status(404).empty(),
        })
        // What cannot be sent becomes a 500, of which this hears.
        .on_exception(|exception| eprintln!("{exception}"))
        .build()?
        .run()
}
