//! `/echo`: gives a request's content and content type back, as it comes.

use tidegate::{BodyReader, BodySender, ContentError, Request, Response};

pub(super) fn echo(request: &Request<'_>, response: &mut Response) {
    if let Some(content_type) = request.header("Content-Type")
        && response.try_header("Content-Type", &*content_type).is_err()
    {
        return super::refuse(response, "The content type cannot be sent back");
    }
    response.cache_control("no-store");
    if let Some(content) = request.content_arrived() {
        return response.bytes(content.to_vec());
    }
    response.answer_async(|request, mut response| async move {
        let mut body = request.body();
        // Until there is some content, what is wrong with it can still be told by the status.
        let first = match body.chunk().await {
            Ok(first) => first,
            Err(error) => {
                let error = ContentError::Body(error);
                response.status(error.status()).text(format!("{error}\n"));
                return response;
            }
        };
        if let Some(length) = request.content_length() {
            response.content_length(length);
        }
        let sender = response.channel(PIECES_HELD_MAX);
        if let Some(first) = first {
            // The channel is empty yet.
            let _ = sender.try_send(first);
        }
        tokio::spawn(pass_on(body, sender));
        response
    });
}

async fn pass_on(mut body: BodyReader, sender: BodySender) {
    loop {
        match body.chunk().await {
            Ok(Some(piece)) => {
                // The peer has left.
                if sender.send(piece).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => return sender.fail(error.into()),
        }
    }
}

/// Pieces held for a peer that has yet to read them.
///
/// Many clients, browsers among them, read nothing before they have sent all. With a piece as long as
/// a receive buffer this suffices for the longest content that a server takes by default.
const PIECES_HELD_MAX: usize = 4096;
