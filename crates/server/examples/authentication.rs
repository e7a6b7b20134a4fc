//! Who may come in: everybody to `/public`, one user and whom a handler knows to all else.
//!
//! `curl -u admin:1234 http://localhost:8080/`

use tidegate::{AuthDecision, AuthenticationPath, AuthenticationSettings, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    let mut authentication = AuthenticationSettings::default();
    authentication.enabled = true;
    // In earnest: `users_file`, which `tidegate user` fills with hashes.
    authentication.users.push("admin=1234".parse()?);
    authentication.paths.push(AuthenticationPath {
        path: "/public".into(),
        required: false,
        schemes: Vec::new(),
    });
    Server::builder()
        .port(port)
        .authentication(authentication)
        .on_authentication(|_, user, password| match (user, password) {
            ("guest", "guest") => AuthDecision::Accept,
            _ => AuthDecision::ByList,
        })
        .on_http_request(|request, response| {
            let user = request.user();
            let user = user.as_deref().unwrap_or("whoever you are");
            response.text(format!("Hello, {user}!\n"));
        })
        .build()?
        .run()?;
    Ok(())
}
