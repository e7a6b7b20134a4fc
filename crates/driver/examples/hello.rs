//! The seam by hand: a backend, one request queue, one URL group, an application that says hello.
//!
//! `hello PORT [classic|high-perf] [uring|poll]`

use std::sync::Arc;

use tidegate_driver::{Embedded, EmbeddedSettings, Io};
use tidegate_httpapi::{
    ApiError, Application, Backend, Body, Exchange, FieldBlock, OperatingMode, QueueProperties,
    ResponseHead, UrlPrefix,
};

struct Hello;

impl Application for Hello {
    fn request(&self, mut exchange: Exchange<'_>) {
        let mut head = ResponseHead::new(200);
        head.fields = FieldBlock::with_memory(exchange.spare_memory());
        let _ = head.fields.append("Content-Type", "text/plain");
        exchange.respond(head, Body::Static(b"Hello, World!"));
    }
}

fn main() -> Result<(), ApiError> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().unwrap_or_else(|| "8080".to_owned());
    let mut properties = QueueProperties::default();
    if arguments.next().as_deref() == Some("high-perf") {
        properties.operating_mode = OperatingMode::HighPerf;
    }
    let mut settings = EmbeddedSettings::default();
    settings.io_threads = Some(1);
    settings.io = match arguments.next().as_deref() {
        Some("uring") => Io::Uring,
        Some("poll") => Io::Poll,
        _ => Io::Auto,
    };
    let backend = Embedded::start(settings)?;
    let session = backend.create_server_session()?;
    let group = backend.create_url_group(session)?;
    let queue = backend.create_request_queue(properties, Arc::new(Hello))?;
    backend.bind_request_queue(group, Some(queue))?;
    backend.add_url(
        group,
        &UrlPrefix::parse(&format!("http://127.0.0.1:{port}/"))?,
        0,
    )?;
    std::thread::park();
    Ok(())
}
