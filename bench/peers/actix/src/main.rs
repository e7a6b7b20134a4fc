//! The benchmarks' routes on actix-web: `peer-actix PORT`. One worker.

use std::time::Duration;

use actix_web::http::header::{HeaderValue, SERVER as SERVER_FIELD};
use actix_web::{App, HttpResponse, HttpServer, web};
use bench_answers::{HELLO, SERVER, UPLOADED};

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).ok_or("usage: peer-actix PORT")?;
    let json = web::Bytes::from(bench_answers::json());
    HttpServer::new(move || {
        let json = json.clone();
        App::new()
            .route(
                "/hello",
                web::get().to(async || answer("text/plain", HELLO)),
            )
            .route(
                "/json",
                web::get().to(move || {
                    let json = json.clone();
                    async move { answer("application/json", json) }
                }),
            )
            .route(
                "/upload",
                web::post().to(async |_: web::Bytes| answer("text/plain", UPLOADED)),
            )
            .route(
                "/work",
                web::get().to(async || answer("text/plain", bench_answers::work())),
            )
    })
    .workers(1)
    .backlog(4096)
    .keep_alive(Duration::from_secs(600))
    .bind(("127.0.0.1", port.parse()?))?
    .run()
    .await?;
    Ok(())
}

fn answer<B: actix_web::body::MessageBody + 'static>(
    content_type: &'static str,
    content: B,
) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(HeaderValue::from_static(content_type))
        .insert_header((SERVER_FIELD, HeaderValue::from_static(SERVER)))
        .body(content)
}
