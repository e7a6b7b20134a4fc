//! Content of known bytes: `/bytes/N`, `/file` and `/stream`.
//!
//! Byte `i` of `/bytes/N` and of `/file` is `i mod 251`. 251 is prime, so that a piece which is lost,
//! doubled or moved by any power of two shows.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use tidegate::{BodySender, Request, Response};

/// Most bytes of `/bytes/N`: 1 GiB.
pub(super) const BYTES_MAX: u64 = 1 << 30;

/// `/bytes/N`. What is longer than a block is sent piece by piece.
pub(super) fn bytes(response: &mut Response, count: u64) {
    response.content_type(BINARY);
    match usize::try_from(count)
        .ok()
        .and_then(|count| BLOCK.get(..count))
    {
        Some(content) => response.bytes(content),
        None => response
            .content_length(count)
            .stream(Blocks { left: count }),
    }
}

/// `/file`: 2 MiB, in memory, so that any part of it is at hand and may be asked for.
pub(super) fn file(_: &Request<'_>, response: &mut Response) {
    static FILE: LazyLock<Bytes> =
        LazyLock::new(|| BLOCK.iter().copied().cycle().take(FILE_BYTES).collect());
    response
        .content_type(BINARY)
        .etag("251")
        .process_ranges()
        .bytes(FILE.clone());
}

/// `/stream`: 900 bytes in 9 pieces of 100, whose number the peer is not told beforehand. With
/// `?pause=MS` they come that far apart, up to 10 s.
pub(super) fn stream(request: &Request<'_>, response: &mut Response) {
    response
        .content_type("text/plain; charset=utf-8")
        .cache_control("no-store");
    let Some(pause) = request.query_params().all("pause").next() else {
        let sender = response.channel(PIECES);
        for piece in 1..=PIECES {
            // There is room for all of them.
            let _ = sender.try_send(line(piece));
        }
        return;
    };
    match super::number(&pause).filter(|pause| *pause <= PAUSE_MS_MAX) {
        Some(pause) => {
            let pause = Duration::from_millis(pause);
            response.answer_async(move |_, mut response| async move {
                let sender = response.channel(1);
                tokio::spawn(send_lines(sender, pause));
                response
            });
        }
        None => super::refuse(
            response,
            &format!("/stream?pause=MS: MS is 0 to {PAUSE_MS_MAX}"),
        ),
    }
}

async fn send_lines(sender: BodySender, pause: Duration) {
    for piece in 1..=PIECES {
        if piece > 1 {
            tokio::time::sleep(pause).await;
        }
        // The peer has left.
        if sender.send(line(piece)).await.is_err() {
            return;
        }
    }
}

/// Piece `number` of `/stream`: 100 bytes, the last of which ends the line.
fn line(number: usize) -> Bytes {
    let text = format!("piece {number} of {PIECES} ");
    Bytes::from(format!("{text:.<99}\n"))
}

/// As many bytes of the pattern as are left to send, a block at a time.
struct Blocks {
    left: u64,
}

impl Stream for Blocks {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let count = BLOCK
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= count as u64;
        // Each block begins where the pattern does.
        Poll::Ready(Some(Ok(Bytes::from_static(&BLOCK[..count]))))
    }
}

/// The pattern, a whole number of times; just under 64 KiB.
static BLOCK: [u8; 261 * PERIOD] = {
    let mut block = [0; 261 * PERIOD];
    let mut index = 0;
    while index < block.len() {
        block[index] = (index % PERIOD) as u8;
        index += 1;
    }
    block
};

const PERIOD: usize = 251;
const FILE_BYTES: usize = 2 * 1024 * 1024;
const PIECES: usize = 9;
const PAUSE_MS_MAX: u64 = 10_000;
const BINARY: &str = "application/octet-stream";

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn blocks_join_into_the_pattern() {
        let mut blocks = Box::pin(Blocks { left: 200_000 });
        let mut content = Vec::new();
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(Ok(block))) = blocks.as_mut().poll_next(&mut context) {
            content.extend_from_slice(&block);
        }
        assert_eq!(content.len(), 200_000);
        for (index, byte) in content.iter().enumerate() {
            assert_eq!(usize::from(*byte), index % 251);
        }
    }

    #[test]
    fn pieces_of_the_stream_make_900_bytes() {
        let content: Vec<u8> = (1..=PIECES).flat_map(line).collect();
        assert_eq!(content.len(), 900);
        assert!(content.starts_with(b"piece 1 of 9 ....") && content.ends_with(b"...\n"));
    }
}
