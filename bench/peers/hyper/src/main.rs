//! The benchmarks' routes on hyper 1: `peer-hyper PORT`.
//!
//! One thread, tokio's current-thread runtime, one task per connection, as hyper's own examples do.
//! `pipeline_flush` is on: it lets hyper join the answers to pipelined requests into one send.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use bench_answers::{HELLO, SERVER, UPLOADED};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, SERVER as SERVER_FIELD};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use socket2::{Domain, Socket, Type};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).ok_or("usage: peer-hyper PORT")?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?));
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve(address))
}

async fn serve(address: SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
    // A backlog of 4,096, as all servers of the benchmarks have; tokio's own is 1,024.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    let listener = tokio::net::TcpListener::from_std(socket.into())?;
    let json = Bytes::from(bench_answers::json());
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let json = json.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, json.clone()));
            // An error here is a peer that went away: nobody is left to tell.
            let _ = hyper::server::conn::http1::Builder::new()
                .pipeline_flush(true)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    json: Bytes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, content_type, content) = match request.uri().path() {
        "/hello" => (
            StatusCode::OK,
            "text/plain",
            Bytes::from_static(HELLO.as_bytes()),
        ),
        "/json" => (StatusCode::OK, "application/json", json),
        "/upload" => match request.into_body().collect().await {
            Ok(_) => (
                StatusCode::OK,
                "text/plain",
                Bytes::from_static(UPLOADED.as_bytes()),
            ),
            Err(_) => (StatusCode::BAD_REQUEST, "text/plain", Bytes::new()),
        },
        "/work" => (
            StatusCode::OK,
            "text/plain",
            Bytes::from(bench_answers::work()),
        ),
        _ => (StatusCode::NOT_FOUND, "text/plain", Bytes::new()),
    };
    let mut response = Response::new(Full::new(content));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    fields.insert(SERVER_FIELD, HeaderValue::from_static(SERVER));
    Ok(response)
}
