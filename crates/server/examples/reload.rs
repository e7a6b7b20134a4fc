//! Settings that change while the server runs: each line of the input is a folder to serve from then on. The end of the
//! input stops the server.

use tidegate::{FilesSettings, Server};

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    let server = Server::builder()
        .port(port)
        .on_http_request(|_, response| response.text("no folder yet"))
        .build()?;
    server.start()?;
    server.wait_started()?;
    for folder in std::io::stdin().lines().map_while(Result::ok) {
        let mut settings = server.settings();
        settings.files = vec![FilesSettings::new(folder)];
        // No connection is closed and no request lost; what cannot be changes nothing.
        match server.reload(settings) {
            Ok(()) => println!("reloaded"),
            Err(error) => println!("not reloaded: {error}"),
        }
    }
    server.stop();
    server.wait_stopped();
    Ok(())
}
