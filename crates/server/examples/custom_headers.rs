//! Header fields of one's own, here those of cross-origin requests.

use tidegate::Server;

fn main() -> Result<(), tidegate::Error> {
    Server::builder()
        .port(8080)
        .on_http_request(|request, response| {
            response.header("Access-Control-Allow-Origin", "*").header(
                "Access-Control-Allow-Methods",
                "GET, POST, OPTIONS, PUT, PATCH, DELETE",
            );
            match request.method() {
                "OPTIONS" => response.status(204).empty(),
                _ => response.cache_control("no-store").text("open to all"),
            }
        })
        .on_exception(|exception| eprintln!("{exception}"))
        .build()?
        .run()
}
