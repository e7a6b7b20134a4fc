//! A backend that calls the application with exchanges of our making and keeps the answers.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidegate_httpapi::*;

/// Content of a request to be made.
pub(super) enum Content {
    /// There when the application is called.
    Arrived(&'static str),
    /// Comes in pieces, later.
    Pieces(Vec<Result<&'static str, BodyError>>),
}

/// What the peer of a test gets.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) fields: String,
    pub(super) content: Vec<u8>,
    pub(super) length: Option<u64>,
    pub(super) interim: Vec<(u16, String)>,
    pub(super) close: bool,
    pub(super) reason: Option<Box<str>>,
    /// It may be stored, to be served again.
    pub(super) may_be_stored: bool,
    /// Nobody answered: the backend says 500 itself.
    pub(super) is_abandoned: bool,
    /// The content's source failed.
    pub(super) is_cut: bool,
    /// The application asked for a handler thread.
    pub(super) was_moved: bool,
    /// The application gave the request up, with this code, before or in the content.
    pub(super) reset: Option<u32>,
    /// The lines of the trailer section.
    pub(super) trailers: String,
    /// The pieces that the content was made of.
    pub(super) pieces: Vec<Piece>,
    /// What the lane gets with an upgraded connection.
    pub(super) opening: Option<Opening>,
}

impl Answer {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.content).unwrap()
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

#[derive(Default)]
struct State {
    application: Option<Arc<dyn Application>>,
    filter: Option<Arc<dyn ConnectionFilter>>,
    urls: Vec<(String, u64)>,
    calls: Vec<String>,
    properties: Option<QueueProperties>,
    timeouts: InheritedTimeouts,
    refused: Option<String>,
    certificates: Vec<(TlsBindingKey, String)>,
    may_block: bool,
    tls: Option<Arc<TlsInfo>>,
    failure_listener: Option<Arc<dyn FailureListener>>,
}

/// The backend.
#[derive(Default)]
pub(super) struct TestBackend {
    state: Mutex<State>,
    next_id: AtomicU64,
}

impl TestBackend {
    /// One whose handlers may block, as in classic mode.
    pub(super) fn classic() -> Arc<Self> {
        let backend = Self::default();
        backend.state().may_block = true;
        Arc::new(backend)
    }

    /// One that calls the application where it must not block.
    pub(super) fn high_perf() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Refuses to listen for this prefix, or to bind this certificate, from now on.
    pub(super) fn refuse(&self, what: &str) {
        self.state().refused = Some(what.to_owned());
    }

    /// What is bound now, each key with the file of its chain, in order.
    pub(super) fn certificates(&self) -> Vec<String> {
        let state = self.state();
        let bound = state.certificates.iter();
        let mut bound: Vec<_> = bound.map(|(key, chain)| format!("{key} {chain}")).collect();
        bound.sort();
        bound
    }

    /// Refuses nothing from now on.
    pub(super) fn refuse_nothing(&self) {
        self.state().refused = None;
    }

    /// Tells that a worker has ended. False: nobody listens.
    pub(super) fn fail(&self) -> bool {
        let listener = self.state().failure_listener.clone();
        let Some(listener) = listener else {
            return false;
        };
        listener.failed(BackendFailure::Ended {
            worker: 0,
            cause: "as asked for".into(),
        });
        true
    }

    /// Secures connections from now on.
    pub(super) fn secure(&self, tls: TlsInfo) {
        self.state().tls = Some(Arc::new(tls));
    }

    /// The application, as the backend calls it.
    pub(super) fn application(&self) -> Arc<dyn Application> {
        Arc::clone(self.state().application.as_ref().unwrap())
    }

    /// The calls made, taken out.
    pub(super) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state().calls)
    }

    pub(super) fn urls(&self) -> Vec<(String, u64)> {
        self.state().urls.clone()
    }

    pub(super) fn properties(&self) -> QueueProperties {
        self.state().properties.clone().unwrap()
    }

    pub(super) fn timeouts(&self) -> InheritedTimeouts {
        self.state().timeouts
    }

    pub(super) fn connect(&self) -> Admission {
        let filter = self.state().filter.clone();
        let connection = ConnectionInfo {
            connection_id: ConnectionId(1),
            peer: peer(),
            local: local(),
        };
        filter.map_or(Admission::Accept, |filter| filter.connected(&connection))
    }

    /// Makes a request without content and waits for its answer.
    pub(super) fn get(&self, target: &str) -> Answer {
        self.request(
            &format!("GET {target} HTTP/1.1\nHost: test"),
            Content::Arrived(""),
        )
    }

    /// Makes a request of this head, with a line for each field, and waits for its answer. A line
    /// `:protocol: …` is that of an extended CONNECT.
    pub(super) fn request(&self, head: &str, content: Content) -> Answer {
        self.send(head, content).0.recv().unwrap()
    }

    /// Makes a request. Its answer comes through the channel; the peer can be made to leave.
    pub(super) fn send(&self, head: &str, content: Content) -> (Receiver<Answer>, Peer) {
        let state = self.state();
        let application = Arc::clone(state.application.as_ref().unwrap());
        let mut prefix = UrlPrefix::parse(&state.urls[0].0).unwrap();
        if state.tls.is_some() {
            prefix.scheme = Scheme::Https;
        }
        let registration = Arc::new(Registration {
            prefix,
            context: state.urls[0].1,
        });
        let (may_block, tls) = (state.may_block, state.tls.clone());
        drop(state);
        let (sender, receiver) = channel();
        let (content, body) = match content {
            Content::Arrived(content) => (Some(content), None),
            Content::Pieces(pieces) => {
                let pieces = pieces.into_iter();
                (
                    None,
                    Some(BodyReader::new(Box::new(ReceivedPieces(pieces)))),
                )
            }
        };
        // No request has the connection's number.
        let id = 2 + self.next_id.fetch_add(1, Ordering::Relaxed);
        let peer = Peer::default();
        let mut exchange = TestExchange {
            head: parse(head, registration, id, content.map(str::len)),
            content,
            body,
            may_block,
            was_moved: false,
            answer: Some(sender),
            interim: Vec::new(),
            peer: peer.clone(),
            tls,
        };
        exchange.call(&*application);
        if exchange.was_moved {
            exchange.may_block = true;
            thread::spawn(move || exchange.call(&*application));
        }
        (receiver, peer)
    }

    /// Waits until no server has a queue here.
    pub(super) fn wait_until_free(&self) {
        let patience = Instant::now() + Duration::from_secs(30);
        while self.state().application.is_some() {
            assert!(Instant::now() < patience, "a server has not stopped");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn called(&self, call: String) {
        self.state().calls.push(call);
    }

    fn bind_certificate(
        &self,
        call: &str,
        key: &TlsBindingKey,
        binding: &TlsBinding,
    ) -> Result<(), ApiError> {
        let CertificateSource::Pem { chain, .. } = &binding.certificate else {
            panic!("tests bind PEM files");
        };
        let chain = chain.display().to_string();
        if self.state().refused.as_ref() == Some(&chain) {
            return Err(ApiError::Certificate {
                key: key.clone(),
                source: format!("{chain} is broken").into(),
            });
        }
        let mut state = self.state();
        let is_bound = state.certificates.iter().any(|(bound, _)| bound == key);
        match (call, is_bound) {
            ("bind", true) => return Err(ApiError::AlreadyBound { key: key.clone() }),
            ("update", false) => return Err(ApiError::NotBound { key: key.clone() }),
            _ => {}
        }
        state.certificates.retain(|(bound, _)| bound != key);
        state.certificates.push((key.clone(), chain.clone()));
        drop(state);
        self.called(format!("{call} {key} {chain}"));
        Ok(())
    }
}

impl Backend for TestBackend {
    fn create_server_session(&self) -> Result<ServerSessionId, ApiError> {
        Ok(ServerSessionId(1))
    }

    fn close_server_session(&self, _: ServerSessionId) -> Result<(), ApiError> {
        self.called("close session".to_owned());
        self.state().urls.clear();
        Ok(())
    }

    fn set_session_properties(
        &self,
        _: ServerSessionId,
        properties: SessionProperties,
    ) -> Result<(), ApiError> {
        self.state().timeouts = properties.timeouts;
        Ok(())
    }

    fn create_url_group(&self, _: ServerSessionId) -> Result<UrlGroupId, ApiError> {
        Ok(UrlGroupId(1))
    }

    fn close_url_group(&self, _: UrlGroupId) -> Result<(), ApiError> {
        Ok(())
    }

    fn set_group_properties(&self, _: UrlGroupId, _: GroupProperties) -> Result<(), ApiError> {
        Ok(())
    }

    fn bind_request_queue(&self, _: UrlGroupId, _: Option<RequestQueueId>) -> Result<(), ApiError> {
        Ok(())
    }

    fn set_failure_listener(&self, listener: Option<Arc<dyn FailureListener>>) {
        self.state().failure_listener = listener;
    }

    fn add_url(&self, _: UrlGroupId, prefix: &UrlPrefix, context: u64) -> Result<(), ApiError> {
        let prefix = prefix.to_string();
        if self.state().refused.as_ref() == Some(&prefix) {
            return Err(ApiError::Listen {
                endpoint: prefix,
                in_use: true,
                source: Box::new(io::Error::from(io::ErrorKind::AddrInUse)),
            });
        }
        self.called(format!("add {prefix}"));
        self.state().urls.push((prefix, context));
        Ok(())
    }

    fn add_unix_endpoint(
        &self,
        _: UrlGroupId,
        socket: &Path,
        path: &str,
        _: u64,
    ) -> Result<(), ApiError> {
        self.called(format!("add unix {} {path}", socket.display()));
        Ok(())
    }

    fn remove_unix_endpoint(
        &self,
        _: UrlGroupId,
        socket: &Path,
        path: &str,
    ) -> Result<(), ApiError> {
        self.called(format!("remove unix {} {path}", socket.display()));
        Ok(())
    }

    fn remove_url(&self, _: UrlGroupId, prefix: &UrlPrefix) -> Result<(), ApiError> {
        let prefix = prefix.to_string();
        self.called(format!("remove {prefix}"));
        self.state().urls.retain(|(url, _)| *url != prefix);
        Ok(())
    }

    fn remove_all_urls(&self, _: UrlGroupId) -> Result<(), ApiError> {
        self.called("remove all".to_owned());
        self.state().urls.clear();
        Ok(())
    }

    fn create_request_queue(
        &self,
        properties: QueueProperties,
        application: Arc<dyn Application>,
    ) -> Result<RequestQueueId, ApiError> {
        let mut state = self.state();
        state.properties = Some(properties);
        state.application = Some(application);
        Ok(RequestQueueId(1))
    }

    fn set_queue_properties(&self, _: RequestQueueId, _: QueueProperties) -> Result<(), ApiError> {
        Ok(())
    }

    fn set_application(
        &self,
        _: RequestQueueId,
        application: Arc<dyn Application>,
    ) -> Result<(), ApiError> {
        self.state().application = Some(application);
        Ok(())
    }

    fn close_request_queue(&self, _: RequestQueueId) -> Result<(), ApiError> {
        self.called("close queue".to_owned());
        self.state().application = None;
        Ok(())
    }

    fn reserve_url(&self, _: &UrlPrefix, _: ReservationOwner) -> Result<(), ApiError> {
        Ok(())
    }

    fn delete_reservation(&self, _: &UrlPrefix) -> Result<(), ApiError> {
        Ok(())
    }

    fn add_tls_binding(&self, key: &TlsBindingKey, binding: &TlsBinding) -> Result<(), ApiError> {
        self.bind_certificate("bind", key, binding)
    }

    fn update_tls_binding(
        &self,
        key: &TlsBindingKey,
        binding: &TlsBinding,
    ) -> Result<(), ApiError> {
        self.bind_certificate("update", key, binding)
    }

    fn remove_tls_binding(&self, key: &TlsBindingKey) -> Result<(), ApiError> {
        self.called(format!("unbind {key}"));
        self.state().certificates.retain(|(bound, _)| bound != key);
        Ok(())
    }

    fn tls_bindings(&self) -> Vec<TlsBindingInfo> {
        let state = self.state();
        let bound = state.certificates.iter();
        bound
            .map(|(key, _)| TlsBindingInfo::new(key.clone(), Vec::new()))
            .collect()
    }

    fn reload_certificates(&self) -> Result<(), ApiError> {
        self.called("reload".to_owned());
        Ok(())
    }

    fn set_proxy_protocol(
        &self,
        port: u16,
        trusted: Option<Vec<AddressRange>>,
    ) -> Result<(), ApiError> {
        let ranges = trusted.map(|ranges| ranges.iter().map(ToString::to_string).collect());
        let ranges: Vec<String> = ranges.unwrap_or_default();
        self.called(format!("port {port} proxies [{}]", ranges.join(" ")));
        Ok(())
    }

    fn set_cleartext_protocols(&self, port: u16, protocols: HttpProtocols) -> Result<(), ApiError> {
        let words = match (protocols.http1, protocols.http2) {
            (true, true) => "both",
            (true, false) => "http1",
            _ => "http2",
        };
        self.called(format!("port {port} {words}"));
        Ok(())
    }

    fn set_connection_filter(
        &self,
        filter: Option<Arc<dyn ConnectionFilter>>,
    ) -> Result<(), ApiError> {
        self.state().filter = filter;
        Ok(())
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        Vec::new()
    }

    fn connection_count(&self) -> u64 {
        0
    }

    fn stop(&self, _: Duration) {
        self.called("stop".to_owned());
    }
}

/// Ends the connection of a request that is with the application.
#[derive(Clone, Default)]
pub(super) struct Peer(Arc<Mutex<(bool, Option<Waker>)>>);

impl Peer {
    pub(super) fn leave(&self) {
        let mut state = self.0.lock().unwrap();
        state.0 = true;
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    }
}

struct TestExchange {
    head: OwnedRequestHead,
    content: Option<&'static str>,
    body: Option<BodyReader>,
    may_block: bool,
    was_moved: bool,
    answer: Option<Sender<Answer>>,
    interim: Vec<(u16, String)>,
    peer: Peer,
    tls: Option<Arc<TlsInfo>>,
}

impl TestExchange {
    fn call(&mut self, application: &dyn Application) {
        let head = self.head.clone();
        let at_hand = AtHand {
            head: &head.as_head(),
            content: self.content.map(str::as_bytes),
        };
        application.request(Exchange::new(at_hand, self));
    }
}

impl ExchangeBackend for TestExchange {
    fn may_block(&self) -> bool {
        self.may_block
    }

    fn take_body(&mut self) -> BodyReader {
        self.body.take().unwrap_or_default()
    }

    fn peer(&self) -> PeerAddress {
        peer()
    }

    fn local(&self) -> PeerAddress {
        local()
    }

    fn tls(&self) -> Option<Arc<TlsInfo>> {
        self.tls.clone()
    }

    fn spare_memory(&mut self) -> Vec<u8> {
        Vec::with_capacity(256)
    }

    fn inform(&mut self, status: u16, fields: &FieldBlock) {
        self.interim.push((status, text(fields)));
    }

    fn respond(&mut self, head: ResponseHead, body: Body) {
        let later = self.later();
        Box::new(later).respond(head, body);
    }

    fn upgrade(&mut self, head: ResponseHead, opening: Opening) {
        let later = self.later();
        Box::new(later).upgrade(head, opening);
    }

    fn reset(&mut self, reset: StreamReset) {
        let later = self.later();
        Box::new(later).reset(reset);
    }

    fn abandon(&mut self) {
        drop(self.later());
    }

    fn defer(&mut self) -> Deferred {
        Deferred {
            head: self.head.clone(),
            body: match self.content {
                Some(content) => BodyReader::whole(content.into()),
                None => self.body.take().unwrap_or_default(),
            },
            peer: peer(),
            local: local(),
            tls: self.tls.clone(),
            auth: None,
            responder: Responder::new(Box::new(self.later())),
        }
    }

    fn move_to_handler_thread(&mut self) {
        assert!(!self.may_block);
        self.was_moved = true;
    }
}

impl TestExchange {
    fn later(&mut self) -> Later {
        Later {
            answer: self.answer.take(),
            interim: std::mem::take(&mut self.interim),
            was_moved: self.was_moved,
            peer: self.peer.clone(),
        }
    }
}

struct Later {
    answer: Option<Sender<Answer>>,
    interim: Vec<(u16, String)>,
    was_moved: bool,
    peer: Peer,
}

impl RespondLater for Later {
    fn inform(&mut self, status: u16, fields: &FieldBlock) {
        self.interim.push((status, text(fields)));
    }

    fn respond(mut self: Box<Self>, head: ResponseHead, body: Body) {
        let answer = self.answer.take().unwrap();
        let mut given = Answer {
            status: head.status,
            fields: text(&head.fields),
            length: body.length(),
            interim: std::mem::take(&mut self.interim),
            close: head.close,
            reason: head.reason.map(|reason| (*reason).into()),
            may_be_stored: !head.cache.is_none(),
            was_moved: self.was_moved,
            pieces: match &body {
                Body::Pieces(pieces) => pieces.clone(),
                _ => Vec::new(),
            },
            trailers: head.trailers.as_deref().map(text).unwrap_or_default(),
            ..Answer::default()
        };
        // Content is taken on another thread, as a worker would while the handler goes on.
        thread::spawn(move || {
            drain(body, &mut given);
            let _ = answer.send(given);
        });
    }

    fn upgrade(mut self: Box<Self>, head: ResponseHead, opening: Opening) {
        let answer = self.answer.take().unwrap();
        let _ = answer.send(Answer {
            status: head.status,
            fields: text(&head.fields),
            opening: Some(opening),
            ..Answer::default()
        });
    }

    fn reset(mut self: Box<Self>, reset: StreamReset) {
        let answer = self.answer.take().unwrap();
        let _ = answer.send(Answer {
            reset: Some(reset.code),
            interim: std::mem::take(&mut self.interim),
            ..Answer::default()
        });
    }

    fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.peer.0.lock().unwrap();
        if state.0 {
            return Poll::Ready(());
        }
        state.1 = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            let _ = answer.send(Answer {
                status: 500,
                is_abandoned: true,
                ..Answer::default()
            });
        }
    }
}

struct ReceivedPieces(std::vec::IntoIter<Result<&'static str, BodyError>>);

impl ReceiveBody for ReceivedPieces {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        Poll::Ready(self.0.next().transpose().map(|piece| piece.map(Into::into)))
    }

    fn trailers(&mut self) -> Trailers {
        Trailers::new(vec![("X-Sum".to_owned(), b"7".to_vec())])
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Takes all content, and what its source says at its end.
fn drain(body: Body, given: &mut Answer) {
    let mut source = match body {
        Body::Static(bytes) => return given.content = bytes.to_vec(),
        Body::Owned(bytes) => return given.content = bytes,
        Body::Shared(bytes) => return given.content = bytes.to_vec(),
        Body::Pieces(pieces) => return given.content = joined(pieces),
        Body::Stream { source, .. } => source,
        _ => return,
    };
    // A stream's trailers come from its source.
    given.trailers.clear();
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match source.poll_chunk(&mut context) {
            Poll::Ready(Some(Ok(piece))) => given.content.extend_from_slice(&piece),
            Poll::Ready(Some(Err(error))) => {
                let reset = error.get_ref().and_then(|error| error.downcast_ref());
                given.reset = reset.map(|reset: &StreamReset| reset.code);
                given.is_cut = true;
                return;
            }
            Poll::Ready(None) => {
                given.trailers = source.trailers().as_ref().map(text).unwrap_or_default();
                return;
            }
            Poll::Pending => thread::park(),
        }
    }
}

fn joined(pieces: Vec<Piece>) -> Vec<u8> {
    let mut content = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => content.extend_from_slice(&bytes),
            Piece::File(part) => {
                let mut file: &std::fs::File = part.file();
                file.seek(SeekFrom::Start(part.offset())).unwrap();
                let copied = io::copy(&mut file.take(part.length()), &mut content).unwrap();
                assert_eq!(copied, part.length());
            }
        }
    }
    content
}

/// Reads a head of which we know that it is right.
fn parse(
    head: &str,
    registration: Arc<Registration>,
    id: u64,
    arrived: Option<usize>,
) -> OwnedRequestHead {
    let span = |part: &str| Span {
        start: (part.as_ptr() as usize - head.as_ptr() as usize) as u32,
        len: part.len() as u32,
    };
    let (line, fields) = head.split_once('\n').unwrap_or((head, ""));
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let version = match words.next() {
        Some("HTTP/2") => Version::Http2,
        _ => Version::Http11,
    };
    let protocol = fields
        .lines()
        .find_map(|line| line.strip_prefix(":protocol: "));
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let spans: Vec<_> = fields
        .lines()
        .filter(|line| !line.starts_with(':'))
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            FieldSpan {
                name_start: span(name).start,
                name_len: name.len() as u16,
                value_start: span(value).start,
                value_len: value.len() as u32,
                known: KnownField::of(name.as_bytes()),
            }
        })
        .collect();
    let cooked = cooked(path);
    RequestHead {
        bytes: head.as_bytes(),
        line: &RequestLine {
            method: span(method),
            target: span(target),
            authority: None,
            path: span(path),
            query: query.map(span),
            version,
            protocol: protocol.map(span),
        },
        fields: Fields::new(head.as_bytes(), &spans),
        cooked_path: &cooked,
        framing: match arrived {
            Some(0) => ContentFraming::None,
            Some(length) => ContentFraming::Length(length as u64),
            None => ContentFraming::Chunked,
        },
        expects_continue: false,
        registration: &registration,
        connection_id: ConnectionId(1),
        request_id: RequestId(id),
    }
    .to_owned()
}

/// The path as routing goes by it. The limits on paths are another's to test.
fn cooked(path: &str) -> String {
    let mut limits = RequestLimits::default();
    limits.segment_chars_max = 0;
    limits.segments_max = 0;
    limits.allow_restricted_chars = true;
    let mut cooked = String::new();
    tidegate_proto::http1::cook_path(path.as_bytes(), &limits, &mut cooked).unwrap();
    cooked
}

fn text(fields: &FieldBlock) -> String {
    String::from_utf8(fields.as_bytes().to_vec()).unwrap()
}

pub(super) fn peer() -> PeerAddress {
    PeerAddress::Tcp(SocketAddr::from(([192, 0, 2, 1], 50_000)))
}

pub(super) fn local() -> PeerAddress {
    PeerAddress::Tcp(SocketAddr::from(([192, 0, 2, 2], 80)))
}
