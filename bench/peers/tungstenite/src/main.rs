//! The benchmarks' WebSocket routes on tokio-tungstenite: `peer-tungstenite PORT`.
//!
//! One thread, tokio's current-thread runtime, one task per connection. The echo forwards as the
//! library's own example does, which joins the answers to frames that came together into one
//! send. The broadcast joins what a connection is owed in the same way.

use std::net::{Ipv4Addr, SocketAddr};

use futures_util::{SinkExt, StreamExt, TryStreamExt, future};
use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;
use tokio::sync::broadcast::{self, Sender};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::{Error, Message};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args()
        .nth(1)
        .ok_or("usage: peer-tungstenite PORT")?;
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
        // An error is a peer that went away: nobody is left to tell.
        tokio::spawn(async move { answer(stream, number, channel).await.ok() });
    }
}

async fn answer(stream: TcpStream, number: u64, channel: Sender<Post>) -> Result<(), Error> {
    let mut path = String::new();
    #[expect(
        clippy::result_large_err,
        reason = "the library asks for this signature"
    )]
    let look = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        path.push_str(request.uri().path());
        Ok(response)
    };
    let socket = tokio_tungstenite::accept_hdr_async(stream, look).await?;
    if path == "/broadcast" {
        return broadcast(socket, number, channel).await;
    }
    let (outgoing, incoming) = socket.split();
    incoming
        .try_filter(|message| future::ready(message.is_text() || message.is_binary()))
        .forward(outgoing)
        .await
}

/// A message and the number of the connection it came from.
type Post = (u64, Message);

async fn broadcast(
    mut socket: WebSocketStream<TcpStream>,
    number: u64,
    channel: Sender<Post>,
) -> Result<(), Error> {
    let mut posts = channel.subscribe();
    loop {
        tokio::select! {
            message = socket.next() => match message.transpose()? {
                Some(message) if message.is_text() || message.is_binary() => {
                    // Fails when nobody listens; this connection does.
                    let _ = channel.send((number, message));
                }
                Some(_) => {}
                None => return Ok(()),
            },
            post = posts.recv() => {
                let mut next = post.ok();
                while let Some((from, message)) = next {
                    if from != number {
                        socket.feed(message).await?;
                    }
                    next = match posts.try_recv() {
                        Err(broadcast::error::TryRecvError::Lagged(_)) => return Ok(()),
                        post => post.ok(),
                    };
                }
                socket.flush().await?;
            }
        }
    }
}

/// Far more than the benchmark has in flight.
const CHANNEL_MESSAGES: usize = 1024;
