//! The smallest server: `http://localhost:8080/test.html`.

use tidegate::Server;

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    Server::builder()
        .port(port)
        .on_startup(|server| println!("listening on {:?}", server.endpoints()))
        .on_http_request(
            |request, response| match (request.method(), request.document()) {
                ("GET", "/test.html") => {
                    response.content_type("text/html; charset=UTF-8").text("OK")
                }
                ("GET", _) => response.status(404).empty(),
                _ => response.status(500).empty(),
            },
        )
        .build()?
        .run()
}
