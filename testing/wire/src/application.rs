//! Applications: ones that answer, ones that keep requests for the test to answer, ones that hang.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tidegate_httpapi::{
    Application, Body, BodySource, ConnectionId, Deferred, Exchange, FieldBlock, RequestHead,
    RequestId, ResponseHead, StreamReset,
};

use crate::PATIENCE;

struct Answering<F>(F);

impl<F: Fn(Exchange<'_>) + Send + Sync> Application for Answering<F> {
    fn request(&self, exchange: Exchange<'_>) {
        (self.0)(exchange);
    }
}

/// An application that is a function.
pub fn answering(function: impl Fn(Exchange<'_>) + Send + Sync + 'static) -> Arc<dyn Application> {
    Arc::new(Answering(function))
}

/// Answers an exchange with a status and text.
pub fn answer(exchange: Exchange<'_>, status: u16, content: impl Into<Vec<u8>>) {
    exchange.respond(ResponseHead::new(status), Body::Owned(content.into()));
}

/// An application that answers every request with its name.
pub fn label(name: &'static str) -> Arc<dyn Application> {
    answering(move |exchange| answer(exchange, 200, name))
}

/// An application that answers with the content it gets, whole.
pub fn echo() -> Arc<dyn Application> {
    answering(|mut exchange| {
        if let Some(content) = exchange.content() {
            let content = content.to_vec();
            answer(exchange, 200, content);
        } else if exchange.may_block() {
            match exchange.take_body().blocking_collect(u64::MAX) {
                Ok(content) => answer(exchange, 200, content),
                Err(error) => answer(exchange, 400, error.to_string()),
            }
        } else {
            exchange.move_to_handler_thread();
        }
    })
}

/// What an application saw of a request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The target as received.
    pub target: String,
    /// The path used for routing.
    pub cooked_path: String,
    /// The query.
    pub query: Option<String>,
    /// The host asked for.
    pub host: Option<String>,
    /// All field lines.
    pub fields: Vec<(String, String)>,
    /// The context of the prefix that won.
    pub context: u64,
    /// The connection it came on.
    pub connection_id: ConnectionId,
    /// The request.
    pub request_id: RequestId,
}

impl Seen {
    /// Copies what there is to see.
    pub fn of(head: &RequestHead<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            method: head.method().to_owned(),
            target: text(head.target()),
            cooked_path: head.cooked_path.to_owned(),
            query: head.query().map(text),
            host: head.host().map(text),
            fields: head
                .fields
                .iter()
                .map(|field| (field.name.to_owned(), text(field.value)))
                .collect(),
            context: head.registration.context,
            connection_id: head.connection_id,
            request_id: head.request_id,
        }
    }
}

/// An application that answers 200 and tells what it saw, in order.
pub fn seen() -> (Arc<dyn Application>, Receiver<Seen>) {
    let (sender, receiver) = mpsc::channel();
    let application = answering(move |exchange| {
        let _ = sender.send(Seen::of(exchange.head()));
        answer(exchange, 200, "seen");
    });
    (application, receiver)
}

/// Requests that wait for the test to answer them.
#[derive(Debug)]
pub struct Held(Receiver<Deferred>);

/// An application that keeps all its requests.
pub fn held() -> (Arc<dyn Application>, Held) {
    let (sender, receiver) = mpsc::channel();
    let application = answering(move |exchange| {
        let _ = sender.send(exchange.defer());
    });
    (application, Held(receiver))
}

impl Held {
    /// The next request that reaches the application.
    pub fn next(&self) -> Deferred {
        self.0.recv_timeout(PATIENCE).expect("a request arrives")
    }

    /// Whether no request has arrived.
    pub fn is_empty(&self) -> bool {
        self.0.try_recv().is_err()
    }
}

/// Shut at first; once opened, open for ever.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Lets everybody through.
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open.
    pub fn pass(&self) {
        let open = self.0.0.lock().unwrap();
        let waited = self.0.1.wait_timeout_while(open, PATIENCE, |open| !*open);
        drop(waited.unwrap());
    }
}

/// An application whose threads wait at a gate with each request, telling when they begin to, and
/// then answer with the target.
pub fn blocked() -> (Arc<dyn Application>, Gate, Receiver<Seen>) {
    let (sender, receiver) = mpsc::channel();
    let gate = Gate::default();
    let passing = gate.clone();
    let application = answering(move |exchange| {
        let target = exchange.head().target().to_vec();
        let _ = sender.send(Seen::of(exchange.head()));
        passing.pass();
        answer(exchange, 200, target);
    });
    (application, gate, receiver)
}

/// Content of a response that the test gives piece by piece.
#[derive(Clone, Default)]
pub struct Pieces(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    pieces: VecDeque<Option<io::Result<Bytes>>>,
    trailers: Option<FieldBlock>,
    waker: Option<Waker>,
    polled: usize,
}

impl Pieces {
    /// Gives one more piece.
    pub fn give(&self, piece: impl Into<Bytes>) {
        self.push(Some(Ok(piece.into())));
    }

    /// Ends the content.
    pub fn end(&self) {
        self.push(None);
    }

    /// Ends the content with a trailer section.
    pub fn end_with(&self, trailers: FieldBlock) {
        self.0.lock().unwrap().trailers = Some(trailers);
        self.push(None);
    }

    /// Has the stream reset with this code.
    pub fn reset(&self, code: u32) {
        self.push(Some(Err(io::Error::other(StreamReset { code }))));
    }

    /// Fails.
    pub fn fail(&self) {
        self.push(Some(Err(io::ErrorKind::BrokenPipe.into())));
    }

    /// As the content of a response.
    pub fn body(&self, length: Option<u64>) -> Body {
        Body::Stream {
            length,
            source: Box::new(self.clone()),
        }
    }

    fn push(&self, piece: Option<io::Result<Bytes>>) {
        let mut waiting = self.0.lock().unwrap();
        waiting.pieces.push_back(piece);
        let waker = waiting.waker.take();
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl BodySource for Pieces {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let mut waiting = self.0.lock().unwrap();
        waiting.polled += 1;
        match waiting.pieces.pop_front() {
            Some(piece) => Poll::Ready(piece),
            None => {
                waiting.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn trailers(&mut self) -> Option<FieldBlock> {
        self.0.lock().unwrap().trailers.take()
    }
}
