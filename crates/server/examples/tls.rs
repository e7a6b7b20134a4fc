//! https, with HTTP/2 and HTTP/1.1: `cargo run -- cert self-signed localhost` makes the two files.

use tidegate::{Server, SslOptions};

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8443, |port| port.parse().expect("a port"));
    Server::builder()
        .port(port)
        .ssl(true)
        .ssl_options(SslOptions::pem("localhost.crt", "localhost.key"))
        .on_http_request(|request, response| {
            let tls = request.tls();
            let name = tls.as_ref().and_then(|tls| tls.server_name.as_deref());
            response.text(format!("{:?}, secured for {name:?}\n", request.version()));
        })
        .build()?
        .run()
}
