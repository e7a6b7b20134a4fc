//! Several bindings, told apart by their context, and changed while the server runs.

use tidegate::{Binding, Server};

fn main() -> Result<(), tidegate::Error> {
    let server = Server::builder()
        .bind("http://localhost:8080/")
        .bindings([Binding::new("127.0.0.1", 8081, "/admin/")?.with_context(1)])
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

    // Port 8080 keeps its socket and goes on serving; 8081 makes way for 8082.
    server.configure(|settings| {
        settings.bindings.truncate(1);
        settings.bindings.extend("http://localhost:8082/".parse());
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
