//! Responses that are made once: the driver serves a copy, for ten seconds or until it is flushed by `/flush`.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use tidegate::{CachePolicy, FlushScope, Server};

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    static SERVER: OnceLock<Server> = OnceLock::new();
    let server = Server::builder()
        .port(port)
        .on_http_request(|request, response| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            match request.document() {
                "/time" => response
                    .cache(CachePolicy::TimeToLive(Duration::from_secs(10)))
                    .text(format!("{now:?}")),
                "/news/today" => response
                    .cache(CachePolicy::UserInvalidates)
                    .text(format!("{now:?}")),
                "/flush" => {
                    let flushed = SERVER
                        .get()
                        .map(|server| server.flush_cache("/news/", FlushScope::Tree));
                    response.text(format!("{flushed:?}"));
                }
                _ => response.status(404).empty(),
            }
        })
        .build()?;
    SERVER.get_or_init(|| server).run()
}
