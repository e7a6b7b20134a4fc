//! Content of requests: a form, text, or anything, of at most 1 MiB.
//!
//! `curl -d name=Ada http://localhost:8080/form`, `curl --data-binary @file http://localhost:8080/count`

use tidegate::Server;

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    Server::builder()
        .port(port)
        .max_request_body_size(1024 * 1024)
        .on_http_request(|request, response| {
            match (request.method(), request.document()) {
                ("POST", "/form") => match request.form()?.first("name") {
                    Some(name) => response.text(format!("Hello, {name}!")),
                    None => response.status(400).text("There is no name in the form."),
                },
                ("POST", "/count") => {
                    let mut body = request.body();
                    let mut bytes = 0;
                    while let Some(piece) = body.blocking_chunk()? {
                        bytes += piece.len();
                    }
                    response.text(format!("{bytes} bytes"));
                }
                _ => response.status(404).empty(),
            }
            Ok(())
        })
        .on_error(|error| eprintln!("a peer's fault: {error}"))
        .build()?
        .run()
}
