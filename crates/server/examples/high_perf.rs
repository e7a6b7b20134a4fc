//! Set up for many small requests at once: a long queue absorbs bursts, and handlers run on the
//! worker that read the request.

use tidegate::{FineTune, OperatingMode, Server};

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    Server::builder()
        .host("0.0.0.0")
        .port(port)
        .fine_tune(FineTune {
            // Absorb bursts of 10,000 devices that reconnect, before the driver answers 503.
            queue_length: 10_000,
            // Call the handler on the worker that read the request, without a queue between.
            operating_mode: OperatingMode::HighPerf,
            // 32 handler threads × 8: so many requests may be answered later at once.
            accepts_per_worker: 8,
            // Call the handler as each request is read.
            skip_completion_on_success: true,
        })
        .on_http_request(|_, response| response.text("OK"))
        .build()?
        .run()
}
