//! A server that logs its requests: a JSON line for each that failed, with a file for each hour.

use tidegate::{LogFields, LogFormat, LogRollover, LogSelection, Logging, Server};

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    let mut log = Logging::new(LogFormat::Json, "logs");
    log.selection = LogSelection::ErrorsOnly;
    log.rollover = LogRollover::Hourly;
    // Cookies may hold secrets, and are not logged by default.
    log.fields = LogFields::DEFAULT | LogFields::STREAM_ID;
    println!("errors are logged in {}", log.folder().display());
    Server::builder()
        .port(port)
        .logging(log)
        .on_http_request(|request, response| match request.document() {
            "/" => response.text("hello"),
            _ => response.status(404).empty(),
        })
        .build()?
        .run()
}
