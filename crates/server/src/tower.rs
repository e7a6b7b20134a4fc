//! Serves a part of the paths with a `tower` service, such as an axum router.
//!
//! The service is called on the runtime, with the request's content as a stream, and its response's
//! content is taken as the peer takes it.

use std::borrow::Cow;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use http_body::Body as HttpBody;
use tidegate_httpapi::{
    Body as Content, BodySource, ConnectionId, Deferred, FieldBlock, PeerAddress, RequestHead,
    RequestId, Responder, ResponseHead, Version,
};
use tower_service::Service;

use crate::admission::Authentication;
use crate::component::Shared;
use crate::event::{ExceptionCause, RequestIds};
use crate::http::{Body, CatchPanic, Guarded, reset_of};
use crate::path::{is_plain, respell, without_base};
use crate::place;

/// Any error of a service.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a mounted service finds among the extensions of its request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RequestContext {
    /// The connection.
    pub connection_id: ConnectionId,
    /// The request.
    pub request_id: RequestId,
    /// The peer's address.
    pub peer: PeerAddress,
    /// The local address of the connection.
    pub local: PeerAddress,
    /// The number given with the binding that routed it here.
    pub url_context: u64,
    /// The path before the mount's was taken off, percent-decoded.
    pub document: Box<str>,
}

/// A service and the path that it is mounted under.
pub(crate) struct Mount {
    /// Without a slash at its end; empty is all paths.
    path: Box<str>,
    service: Box<dyn Serve>,
}

type Answer = Result<http::Response<BodyPull>, BoxError>;
type AnswerFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;
type BoxBody = Pin<Box<dyn HttpBody<Data = Bytes, Error = BoxError> + Send>>;

trait Serve: Send + Sync {
    fn call(&self, request: http::Request<Body>) -> AnswerFuture;
}

impl Mount {
    pub(crate) fn new<S, B>(path: &str, service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<B>>,
        S: Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: HttpBody + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        Self {
            path: place::path(path),
            service: Box::new(TowerService(service)),
        }
    }

    /// Without a slash at its end; empty is all paths.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Has the service answer.
    pub(crate) fn serve(self: &Arc<Self>, shared: &Arc<Shared>, deferred: Deferred) {
        let head = deferred.head.as_head();
        let ids = RequestIds::of(&head);
        let runtime = match shared.runtime().handle() {
            Ok(runtime) => runtime,
            Err(error) => {
                let cause = ExceptionCause::Runtime(error);
                return shared.events().exception(Some(ids), cause);
            }
        };
        let Some(request) = self.request(&head) else {
            return deferred.responder.respond_bytes(400, Bytes::new());
        };
        let (mut parts, ()) = request.into_parts();
        parts.extensions.insert(RequestContext {
            connection_id: head.connection_id,
            request_id: head.request_id,
            peer: deferred.peer,
            local: deferred.local,
            url_context: head.registration.context,
            document: head.cooked_path.into(),
        });
        if let Some(tls) = deferred.tls {
            parts.extensions.insert(tls);
        }
        if let Some(authentication) = Authentication::of(deferred.auth) {
            parts.extensions.insert(authentication);
        }
        let is_head = parts.method == Method::HEAD;
        let body = Body::new(deferred.body, head.framing);
        let request = http::Request::from_parts(parts, body);
        let mut responder = deferred.responder;
        let (mount, shared) = (Arc::clone(self), Arc::clone(shared));
        runtime.spawn(async move {
            let call = Box::pin(async { mount.service.call(request).await });
            match unless_closed(CatchPanic(call), &mut responder).await {
                Some(Ok(Ok(response))) => respond(response, responder, (shared, ids, is_head)),
                Some(Ok(Err(error))) => match reset_of(&*error) {
                    Some(reset) => responder.reset(reset),
                    None => {
                        let cause = ExceptionCause::Service(error);
                        shared.events().exception(Some(ids), cause);
                    }
                },
                Some(Err(payload)) => shared.events().panicked(Some(ids), &*payload),
                None => {}
            }
        });
    }

    /// The request without its content; `None` when it is none that the `http` crate's types allow.
    fn request(&self, head: &RequestHead<'_>) -> Option<http::Request<()>> {
        let mut request = http::Request::new(());
        *request.method_mut() = Method::from_bytes(head.method().as_bytes()).ok()?;
        *request.uri_mut() = self.uri(head)?;
        *request.version_mut() = match head.version() {
            Version::Http10 => http::Version::HTTP_10,
            Version::Http2 => http::Version::HTTP_2,
            _ => http::Version::HTTP_11,
        };
        let headers = request.headers_mut();
        headers.reserve(head.fields.len());
        for field in head.fields.iter() {
            let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
            // The HTTP Server API's way to say that content is of unknown length (case T07). A service
            // knows that from the content itself, and passing the field on would break RFC 9113 §8.2.2.
            if name == http::header::TRANSFER_ENCODING && head.version() == Version::Http2 {
                continue;
            }
            headers.append(name, HeaderValue::from_bytes(field.value).ok()?);
        }
        // RFC 9112 §3.2.2: the authority of an absolute target counts, not the Host field.
        if let (Some(_), Some(host)) = (head.line.authority, head.host()) {
            headers.insert(http::header::HOST, HeaderValue::from_bytes(host).ok()?);
        }
        Some(request)
    }

    /// Path and query without the mount's path.
    fn uri(&self, head: &RequestHead<'_>) -> Option<Uri> {
        if head.target() == b"*" {
            return Some(Uri::from_static("*"));
        }
        let raw = head.raw_path();
        // A raw path may go to the same place by another spelling; what the service is given must be
        // what routing went by.
        let path = match is_plain(raw) {
            true => Cow::Borrowed(raw),
            false => Cow::Owned(respell(raw, false)?),
        };
        let mut target = without_base(&path, &self.path).to_vec();
        if target.is_empty() {
            target.push(b'/');
        }
        if let Some(query) = head.query() {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        Uri::from_maybe_shared(Bytes::from(target)).ok()
    }
}

struct TowerService<S>(S);

impl<S, B> Serve for TowerService<S>
where
    S: Service<http::Request<Body>, Response = http::Response<B>>,
    S: Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: HttpBody + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    fn call(&self, request: http::Request<Body>) -> AnswerFuture {
        let mut service = self.0.clone();
        Box::pin(async move {
            poll_fn(|context| service.poll_ready(context))
                .await
                .map_err(Into::into)?;
            let response = service.call(request).await.map_err(Into::into)?;
            let (parts, body) = response.into_parts();
            let body: BoxBody = Box::pin(AsBytes(Box::pin(body)));
            let body = BodyPull::open(body).await;
            Ok(http::Response::from_parts(parts, body))
        })
    }
}

/// A body whose data is made `Bytes` and whose error is boxed.
struct AsBytes<B>(Pin<Box<B>>);

impl<B> HttpBody for AsBytes<B>
where
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        let frame = ready!(self.0.as_mut().poll_frame(context));
        Poll::Ready(frame.map(|frame| match frame {
            Ok(frame) => Ok(frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))),
            Err(error) => Err(error.into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.size_hint()
    }
}

/// What a future gives; `None` when the connection ended before.
async fn unless_closed<F: Future + Unpin>(
    mut future: F,
    responder: &mut Responder,
) -> Option<F::Output> {
    poll_fn(|context| {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(context) {
            return Poll::Ready(Some(output));
        }
        responder.poll_closed(context).map(|()| None)
    })
    .await
}

fn respond(
    response: http::Response<BodyPull>,
    responder: Responder,
    (shared, ids, is_head): (Arc<Shared>, RequestIds, bool),
) {
    let (parts, body) = response.into_parts();
    let mut head = ResponseHead::new(parts.status.as_u16());
    if head.status < 200 {
        let cause = format!("the service answered with status {}", head.status);
        return shared
            .events()
            .exception(Some(ids), ExceptionCause::Service(cause.into()));
    }
    let mut set_length = None;
    for (name, value) in &parts.headers {
        match *name {
            http::header::CONNECTION => {
                head.close |= value.as_bytes().eq_ignore_ascii_case(b"close");
            }
            // The driver frames the content.
            http::header::TRANSFER_ENCODING => {}
            http::header::CONTENT_LENGTH => set_length = value.to_str().ok(),
            _ => {
                if let Err(error) = head.fields.append(name.as_str(), value) {
                    let cause = ExceptionCause::Response(error.into());
                    return shared.events().exception(Some(ids), cause);
                }
            }
        }
    }
    let set_length = set_length.and_then(|length| length.parse::<u64>().ok());
    let length = body.length;
    if is_head || head.status == 304 {
        // The length that the content would have is told, though the content is not there.
        if let Some(length) = set_length.or(length.filter(|&length| length > 0)) {
            // Digits are a field value.
            let _ = head.fields.set("Content-Length", length.to_string());
        }
        return responder.respond(head, Content::Empty);
    }
    let content = match body.whole() {
        Ok(content) => content,
        Err(body) => Content::Stream {
            length: length.or(set_length),
            source: Box::new(Guarded {
                source: Box::new(body),
                trailers: None,
                shared,
                ids,
            }),
        },
    };
    responder.respond(head, content);
}

/// A service's content as the driver takes it, trailers at its end.
struct BodyPull {
    body: BoxBody,
    trailers: Option<FieldBlock>,
    length: Option<u64>,
    /// What there was when the service answered; `None` when nothing was there yet.
    first: Option<Option<io::Result<Bytes>>>,
}

impl BodyPull {
    /// Looks whether there is a first piece already: most contents are whole in it.
    async fn open(body: BoxBody) -> Self {
        let mut opened = Self {
            length: body.size_hint().exact(),
            body,
            trailers: None,
            first: None,
        };
        poll_fn(|context| {
            if let Poll::Ready(first) = opened.poll_chunk(context) {
                opened.first = Some(first);
            }
            Poll::Ready(())
        })
        .await;
        opened
    }

    /// The whole content, if that is there.
    fn whole(mut self) -> Result<Content, Self> {
        match self.first.take() {
            Some(None) if self.trailers.is_none() => Ok(Content::Empty),
            Some(Some(Ok(piece)))
                if self.body.is_end_stream()
                    && self.length.is_none_or(|n| n == piece.len() as u64) =>
            {
                Ok(Content::Shared(piece))
            }
            first => {
                self.first = first;
                Err(self)
            }
        }
    }
}

impl BodySource for BodyPull {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(first);
        }
        loop {
            let frame = ready!(self.body.as_mut().poll_frame(context));
            return Poll::Ready(match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => Some(Ok(data)),
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            self.trailers = Some(field_block(&trailers));
                        }
                        continue;
                    }
                },
                Some(Err(error)) => Some(Err(io::Error::other(error))),
                None => None,
            });
        }
    }

    fn trailers(&mut self) -> Option<FieldBlock> {
        self.trailers.take()
    }
}

fn field_block(map: &HeaderMap) -> FieldBlock {
    let mut block = FieldBlock::new();
    for (name, value) in map {
        // Both are fit to be sent: the types see to that.
        let _ = block.append(name.as_str(), value);
    }
    block
}
