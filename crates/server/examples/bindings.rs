//! Several bindings, told apart by their context, and changed while the server runs.

use tidegate::{Binding, Server};

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse::<u16>().expect("a port"));
    let server = Server::builder()
        .bind(&format!("http://localhost:{port}/"))
        .bindings([Binding::new("127.0.0.1", port + 1, "/admin/")?.with_context(1)])
        .on_before_binding(|bindings| {
            for binding in bindings {
                println!("binding {binding}");
            }
        })
        .on_http_request(|request, response| match request.url_context() {
            1 => response.text(format!("administration: {}", request.base_and_rest().1)),
            _ => response.text(format!("everybody: {}", request.document())),
        })
        .build()?;
    server.start()?;
    server.wait_started()?;

    // The first keeps its socket and goes on serving; the second makes way for a third.
    server.configure(|settings| {
        settings.bindings.truncate(1);
        let third = Binding::new("localhost", port + 2, "/");
        settings.bindings.extend(third);
    })?;
    server.restart()?;
    server.wait_started()?;
    println!("listening on {:?}", server.endpoints());

    println!("Press Enter to stop.");
    std::io::stdin().lines().next();
    server.stop();
    server.wait_stopped();
    Ok(())
}
