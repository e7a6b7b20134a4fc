//! A server that takes two requests at a time and lets two wait; the next gets a 503 with its reason, and the handler
//! never hears of it. `wrk http://localhost:8080/` shows it.

use std::thread;
use std::time::Duration;

use tidegate::{FineTune, Server, Verbosity503};

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    Server::builder()
        .port(port)
        .thread_pool_size(2)
        .fine_tune(FineTune {
            queue_length: 2,
            ..FineTune::default()
        })
        .verbosity_503(Verbosity503::Full)
        .on_http_request(|_, response| {
            thread::sleep(Duration::from_millis(200));
            response.text("done");
        })
        .build()?
        .run()
}
