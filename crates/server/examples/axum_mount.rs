//! An axum router under `/api`, beside a handler of one's own.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use tidegate::Server;

async fn greet(Path(name): Path<String>) -> String {
    format!("Hello, {name}!")
}

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    Server::builder()
        .port(port)
        .mount("/api", Router::new().route("/greet/{name}", get(greet)))
        .on_http_request(|_, response| response.text("Try /api/greet/you."))
        .build()?
        .run()
}
