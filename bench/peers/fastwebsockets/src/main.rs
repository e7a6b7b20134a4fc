//! The benchmarks' WebSocket routes on fastwebsockets and hyper: `peer-fastwebsockets PORT`.
//!
//! One thread, tokio's current-thread runtime, one task per connection, written as the library's
//! own examples are. It writes each frame by itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use fastwebsockets::upgrade::{self, UpgradeFut};
use fastwebsockets::{
    FragmentCollector, FragmentCollectorRead, Frame, OpCode, Payload, WebSocketError,
};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use socket2::{Domain, Socket, Type};
use tokio::sync::broadcast::Sender;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args()
        .nth(1)
        .ok_or("usage: peer-fastwebsockets PORT")?;
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
    let channel = Sender::new(CHANNEL_MESSAGES);
    let mut number = 0;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        number += 1;
        let channel = channel.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| upgrade(request, number, channel.clone()));
            // An error here is a peer that went away: nobody is left to tell.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
        });
    }
}

async fn upgrade(
    mut request: Request<Incoming>,
    number: u64,
    channel: Sender<Post>,
) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let is_broadcast = request.uri().path() == "/broadcast";
    let (response, upgraded) = upgrade::upgrade(&mut request)?;
    tokio::spawn(tokio::task::unconstrained(async move {
        // An error is a peer that went away, or a close.
        if is_broadcast {
            broadcast(upgraded, number, channel).await.ok()
        } else {
            echo(upgraded).await.ok()
        }
    }));
    Ok(response)
}

async fn echo(upgraded: UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(upgraded.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}

/// A message and the number of the connection it came from.
type Post = (u64, Arc<[u8]>);

async fn broadcast(
    upgraded: UpgradeFut,
    number: u64,
    channel: Sender<Post>,
) -> Result<(), WebSocketError> {
    let (incoming, mut outgoing) = upgraded.await?.split(tokio::io::split);
    let mut incoming = FragmentCollectorRead::new(incoming);
    let mut posts = channel.subscribe();
    let writer = tokio::spawn(async move {
        while let Ok((from, message)) = posts.recv().await {
            let frame = Frame::binary(Payload::Borrowed(&message));
            if from != number && outgoing.write_frame(frame).await.is_err() {
                return;
            }
        }
    });
    // Answers to control frames would go by the writer; the benchmark sends none but close.
    let mut answer = |_: Frame<'_>| async { Ok::<_, WebSocketError>(()) };
    while let Ok(frame) = incoming.read_frame(&mut answer).await {
        match frame.opcode {
            OpCode::Close => break,
            OpCode::Text | OpCode::Binary => {
                // Fails when nobody listens; this connection does.
                let _ = channel.send((number, Arc::from(&frame.payload[..])));
            }
            _ => {}
        }
    }
    writer.abort();
    Ok(())
}

/// Far more than the benchmark has in flight.
const CHANNEL_MESSAGES: usize = 1024;
