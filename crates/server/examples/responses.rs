//! Text, bytes, a file, a redirection, and a status alone.

use tidegate::Server;

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    Server::builder()
        .port(port)
        .on_http_request(|request, response| {
            match request.document() {
                "/text" => response.text("UTF-8, unless the content type says otherwise"),
                "/json" => response
                    .content_type("application/json")
                    .text(r#"{"sea":"calm"}"#),
                "/bytes" => response.content_type("image/gif").bytes(b"GIF89a".to_vec()),
                "/file" => response.file(std::env::current_exe()?)?,
                "/elsewhere" => response.status(303).location("/text").empty(),
                _ => response.status(404).empty(),
            }
            Ok(())
        })
        .build()?
        .run()
}
