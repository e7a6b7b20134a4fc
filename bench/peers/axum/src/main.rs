//! The benchmarks' routes on axum: `peer-axum PORT`. One thread, tokio's current-thread runtime.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderName;
use axum::http::header::{CONTENT_TYPE, SERVER as SERVER_FIELD};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use bench_answers::{HELLO, SERVER, UPLOADED};
use socket2::{Domain, Socket, Type};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).ok_or("usage: peer-axum PORT")?;
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
    let listener = tokio::net::TcpListener::from_std(socket.into())?.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let json = Bytes::from(bench_answers::json());
    let routes = Router::new()
        .route("/hello", get(async || (TEXT, HELLO)))
        .route("/json", get(async move || (OBJECT, json)))
        .route("/upload", post(async |_: Bytes| (TEXT, UPLOADED)))
        .route("/work", get(async || (TEXT, bench_answers::work())));
    axum::serve(listener, routes).await?;
    Ok(())
}

type Fields = [(HeaderName, &'static str); 2];
const TEXT: Fields = [(CONTENT_TYPE, "text/plain"), (SERVER_FIELD, SERVER)];
const OBJECT: Fields = [(CONTENT_TYPE, "application/json"), (SERVER_FIELD, SERVER)];
