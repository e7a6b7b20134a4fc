//! Server-sent events: the time, each second, to as many clients as there are.
//!
//! `curl -N http://localhost:8080/clock` shows them, and so does
//! `new EventSource("/clock").addEventListener("time", event => console.log(event.data))` in a page.

use std::thread;
use std::time::{Duration, SystemTime};

use tidegate::{Event, EventHub, Server};

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    let clock = EventHub::new();
    let answering = clock.clone();
    let server = Server::builder()
        .port(port)
        .on_http_request(move |request, response| match request.document() {
            // One that lost its connection gets what it has missed.
            "/clock" => answering.answer(request, response),
            "/count" => {
                let events = response.events();
                thread::spawn(move || {
                    // Waits while the client is slow, and ends when it has left.
                    (1..=100_000)
                        .map(|number| Event::new(format!("{number}")).id(number.to_string()))
                        .try_for_each(|event| events.blocking_send(event))
                });
            }
            _ => response.status(404).empty(),
        })
        .build()?;
    server.start()?;
    server.wait_started()?;
    while server.is_active() {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let seconds = since.unwrap_or_default().as_secs().to_string();
        clock
            .send(Event::new(seconds).event("time"))
            .expect("neither has a line end");
        thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}
