//! An API that pages of other origins may use: some to change things with their visitor's cookie, all to read
//! the rest.

use tidegate::{CorsOrigins, CorsSettings, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    Server::builder()
        .port(port)
        .cors(CorsSettings {
            path: "/api".into(),
            // As browsers send them: no slash at the end, no port where it is the scheme's own.
            origins: "https://app.example.com, https://*.example.org, http://localhost:3000"
                .parse()?,
            methods: ["PUT", "DELETE"].into(),
            headers: ["Content-Type"].into(),
            exposed_headers: ["X-Total"].into(),
            credentials: true,
            ..CorsSettings::default()
        })
        .cors(CorsSettings {
            path: "/public".into(),
            origins: CorsOrigins::any(),
            ..CorsSettings::default()
        })
        // What a browser asks beforehand is answered without this handler.
        .on_http_request(|request, response| match request.document() {
            "/api/notes" => response.header("X-Total", "0").text("[]"),
            "/public/time" => response.text("late"),
            _ => response.status(404).empty(),
        })
        .build()?
        .run()?;
    Ok(())
}
