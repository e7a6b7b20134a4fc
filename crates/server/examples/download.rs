//! A file to download, which can be resumed; a part set by hand; and content made in memory with ranges.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use tidegate::{HandlerError, Request, Response, Server};

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    Server::builder()
        .port(port)
        .on_http_request(|request, response| {
            match request.document() {
                "/program" => response
                    .download("download.exe")
                    .file(std::env::current_exe()?)?,
                "/by-hand" => by_hand(request, response)?,
                "/numbers" => {
                    let numbers: String = (1..=1000).map(|number| format!("{number}\n")).collect();
                    response.etag("numbers-1").process_ranges().text(numbers);
                }
                _ => response.status(404).empty(),
            }
            Ok(())
        })
        .build()?
        .run()
}

/// What `Response::file` does for the first range, in steps of one's own.
fn by_hand(request: &Request<'_>, response: &mut Response) -> Result<(), HandlerError> {
    let mut file = File::open(file!())?;
    let length = file.metadata()?.len();
    response.content_type("text/plain; charset=utf-8");
    let first = request.range().and_then(|ranges| ranges.iter().next());
    match first.map(|range| range.resolve(length)) {
        None => response.content_length(length).reader(file),
        Some(None) => response.status(416).unsatisfied_range(length).empty(),
        Some(Some(part)) => {
            file.seek(SeekFrom::Start(part.first))?;
            response
                .status(206)
                .accept_ranges("bytes")
                .content_range_start(part.first)
                .content_range_end(part.last)
                .content_range_instance_length(length)
                .content_length(part.length())
                .reader(file.take(part.length()));
        }
    }
    Ok(())
}
