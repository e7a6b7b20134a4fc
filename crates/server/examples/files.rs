//! Folders served by their paths, beside a handler for what is no file.

use tidegate::{FilesSettings, Server};

fn main() -> Result<(), tidegate::Error> {
    let mut documentation = FilesSettings::new("target/doc");
    documentation.listing = true;
    let mut source = FilesSettings::new("crates");
    // What is not there is the handler's to answer.
    source.fallthrough = true;
    source
        .content_types
        .insert("rs".to_owned(), "text/plain; charset=utf-8".to_owned());
    Server::builder()
        .port(8080)
        .files("/doc", documentation)
        .files("/crates", source)
        .on_http_request(|request, response| {
            let path = request.document();
            response.status(404).text(format!("There is no {path}.\n"));
        })
        .build()?
        .run()
}
