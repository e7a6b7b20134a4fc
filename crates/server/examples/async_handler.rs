//! An async handler: it holds no thread while it waits.

use std::time::Duration;

use tidegate::Server;

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    Server::builder()
        .port(port)
        .on_http_request_async(|request, mut response| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            match request.text_async().await {
                Ok(text) => response.text(format!("{} characters", text.chars().count())),
                Err(error) => response.status(error.status()).empty(),
            }
            response
        })
        .build()?
        .run()
}
