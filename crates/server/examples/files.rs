//! Folders served by their paths, beside a handler for what is no file.

use tidegate::{FilesSettings, Server};

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    let mut documentation = FilesSettings::new("crates/server/guide");
    documentation.listing = true;
    let mut source = FilesSettings::new("crates");
    // What is not there is the handler's to answer.
    source.fallthrough = true;
    source
        .content_types
        .insert("rs".to_owned(), "text/plain; charset=utf-8".to_owned());
    Server::builder()
        .port(port)
        .files("/guide", documentation)
        .files("/crates", source)
        .on_http_request(|request, response| {
            let path = request.document();
            response.status(404).text(format!("There is no {path}.\n"));
        })
        .build()?
        .run()
}
