//! Content that comes piece by piece: from a reader, and through a channel.

use std::fs::File;

use tidegate::Server;

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    Server::builder()
        .port(port)
        .on_http_request(|request, response| {
            match request.document() {
                "/source" => {
                    let file = File::open(file!())?;
                    response
                        .content_type("text/plain; charset=utf-8")
                        .content_length(file.metadata()?.len())
                        .reader(file);
                }
                "/count" => {
                    response.content_type("text/plain; charset=utf-8");
                    let sender = response.channel(4);
                    std::thread::spawn(move || {
                        // Waits while the peer is slow, and ends when it has left.
                        (1..=100_000)
                            .try_for_each(|number| sender.blocking_send(format!("{number}\n")))
                    });
                }
                _ => response.status(404).empty(),
            }
            Ok(())
        })
        .build()?
        .run()
}
