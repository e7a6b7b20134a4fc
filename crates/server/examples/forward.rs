//! Forwards a part of the paths to other servers, and answers in their place when none does.

use tidegate::{ForwardSettings, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    let upstreams = [
        "http://127.0.0.1:9000".parse()?,
        "http://127.0.0.1:9001".parse()?,
    ];
    let mut api = ForwardSettings::new("/api/", upstreams);
    api.health.path = Some("/health".to_owned());
    let server = Server::builder()
        .port(port)
        .forward(api)
        .on_before_forward_http(|request, forward| {
            if request.document() == "/api/version" {
                // This one is answered here.
                forward.clear();
            }
        })
        .on_after_forward_http(|request, response, error| {
            if let Some(error) = error {
                eprintln!("{}: {error}", request.document());
                response.text("Back in a minute.");
            }
        })
        .on_http_request(|_, response| response.text("Served here."))
        .build()?;
    Ok(server.run()?)
}
