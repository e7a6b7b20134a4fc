//! The benchmarks' routes on hyper 1, over TLS by rustls, and with HTTP/2.
//!
//! ```text
//! peer-hyper-tls PORT CERTIFICATE KEY    TLS; HTTP/2 or HTTP/1.1, as ALPN agrees
//! peer-hyper-tls PORT                    HTTP/2 by prior knowledge
//! ```
//!
//! One thread, tokio's current-thread runtime, one task per connection, hyper's own settings.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use bench_answers::{HELLO, SERVER, UPLOADED};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, SERVER as SERVER_FIELD};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (port, acceptor) = match &words[..] {
        [port] => (port, None),
        [port, certificate, key] => {
            let configuration = peer_rustls::configuration(certificate, key)?;
            (port, Some(TlsAcceptor::from(configuration)))
        }
        _ => return Err("usage: peer-hyper-tls PORT [CERTIFICATE KEY]".into()),
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?));
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve(address, acceptor))
}

/// The longer contents.
#[derive(Clone)]
struct Contents {
    json: Bytes,
    download: Bytes,
}

async fn serve(
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
) -> Result<(), Box<dyn std::error::Error>> {
    // A backlog of 4,096, as all servers of the benchmarks have; tokio's own is 1,024.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    let listener = tokio::net::TcpListener::from_std(socket.into())?;
    let contents = Contents {
        json: bench_answers::json().into(),
        download: bench_answers::download().into(),
    };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (acceptor, contents) = (acceptor.clone(), contents.clone());
        tokio::spawn(async move {
            // An error from here on is a peer that went away: nobody is left to tell.
            let Some(acceptor) = acceptor else {
                return serve_http2(stream, contents).await;
            };
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                serve_http2(stream, contents).await;
            } else {
                serve_http1(stream, contents).await;
            }
        });
    }
}

async fn serve_http1(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, contents: Contents) {
    let service = service_fn(move |request| answer(request, contents.clone()));
    let _ = http1::Builder::new()
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn serve_http2(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, contents: Contents) {
    let service = service_fn(move |request| answer(request, contents.clone()));
    let _ = http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    contents: Contents,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, content_type, content) = match request.uri().path() {
        "/hello" => (
            StatusCode::OK,
            "text/plain",
            Bytes::from_static(HELLO.as_bytes()),
        ),
        "/json" => (StatusCode::OK, "application/json", contents.json),
        "/download" => (
            StatusCode::OK,
            "application/octet-stream",
            contents.download,
        ),
        "/upload" => {
            let (status, content) = match drop_content(request.into_body()).await {
                Ok(()) => (StatusCode::OK, UPLOADED),
                Err(_) => (StatusCode::BAD_REQUEST, ""),
            };
            (status, "text/plain", Bytes::from_static(content.as_bytes()))
        }
        _ => (StatusCode::NOT_FOUND, "text/plain", Bytes::new()),
    };
    let mut response = Response::new(Full::new(content));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    fields.insert(SERVER_FIELD, HeaderValue::from_static(SERVER));
    Ok(response)
}

/// Reads the content to its end and keeps none of it.
async fn drop_content(mut content: Incoming) -> Result<(), hyper::Error> {
    while let Some(frame) = content.frame().await {
        frame?;
    }
    Ok(())
}
