//! A client of HTTP/2, by prior knowledge, and of WebSocket on its streams.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, StatusCode, Version};
use tidegate_proto::websocket::{
    CloseFrame, DecodeContext, Decoder, DeflateAgreement, DeflateSettings, DeflateWorkspace,
    Deflater, ExtensionList, FrameHead, Opcode, Received, Role,
};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::websocket::{Heard, PATIENCE, encoded, frame};

/// Runs a client's part of a test, which fails when it takes too long.
pub(crate) fn run<F: Future>(client: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(async { tokio::time::timeout(PATIENCE, client).await })
        .unwrap()
}

/// One connection.
pub(crate) struct Client {
    port: u16,
    requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// A whole response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderMap,
    pub(crate) content: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.content).unwrap()
    }
}

impl Client {
    pub(crate) async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (requests, connection) = h2::client::handshake(stream).await.unwrap();
        Self {
            port,
            requests,
            connection: tokio::spawn(connection),
        }
    }

    /// A request to this server, to be completed.
    pub(crate) fn request(&self, method: &str, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("http://127.0.0.1:{}{path}", self.port))
            .version(Version::HTTP_2)
    }

    /// Sends a request's head.
    pub(crate) async fn send(
        &self,
        request: Request<()>,
        is_whole: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let mut requests = self.requests.clone().ready().await.unwrap();
        requests.send_request(request, is_whole).unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer, h2::Error> {
        let request = self.request("GET", path).body(()).unwrap();
        answer(self.send(request, true).await.0).await
    }

    /// Sends content after the head, whose length that says or not.
    pub(crate) async fn post(&self, path: &str, content: &[u8], tells_length: bool) -> Answer {
        let mut request = self.request("POST", path);
        if tells_length {
            request = request.header("content-length", content.len());
        }
        let (response, mut stream) = self.send(request.body(()).unwrap(), false).await;
        let sending = tokio::spawn({
            let content = Bytes::copy_from_slice(content);
            async move { send_all(&mut stream, content, true).await.unwrap() }
        });
        let answer = answer(response).await.unwrap();
        sending.await.unwrap();
        answer
    }

    /// Whether the server has said that a stream may carry a WebSocket. RFC 8441 §3.
    pub(crate) fn may_connect(&self) -> bool {
        self.requests.is_extended_connect_protocol_enabled()
    }

    /// Asks for a WebSocket.
    pub(crate) async fn connect_websocket(
        &self,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<WebSocket, Answer> {
        while !self.may_connect() {
            // The server's SETTINGS are on their way.
            tokio::task::yield_now().await;
        }
        self.connect_for("websocket", path, fields).await
    }

    pub(crate) async fn connect_for(
        &self,
        protocol: &'static str,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<WebSocket, Answer> {
        let mut request = self
            .request("CONNECT", path)
            .extension(Protocol::from_static(protocol));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (response, stream) = self.send(request.body(()).unwrap(), false).await;
        let response = response.await.unwrap();
        if response.status() != StatusCode::OK {
            return Err(whole(response).await.unwrap());
        }
        Ok(WebSocket {
            fields: response.headers().clone(),
            stream,
            content: response.into_body(),
            decoder: Decoder::new(Role::Client),
            deflater: None,
            workspace: DeflateWorkspace::new(),
            heard: VecDeque::new(),
        })
    }

    /// The end of the connection, once nobody uses it any more.
    pub(crate) async fn end(self) -> Result<(), h2::Error> {
        drop(self.requests);
        self.connection.await.unwrap()
    }

    /// Breaks the connection off.
    pub(crate) fn abort(self) {
        self.connection.abort();
    }
}

/// The response and all its content.
pub(crate) async fn answer(response: ResponseFuture) -> Result<Answer, h2::Error> {
    whole(response.await?).await
}

async fn whole(response: http::Response<RecvStream>) -> Result<Answer, h2::Error> {
    let (parts, mut stream) = response.into_parts();
    let mut content = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len()).unwrap();
        content.extend_from_slice(&piece);
    }
    Ok(Answer {
        status: parts.status,
        fields: parts.headers,
        content,
        trailers: stream.trailers().await?,
    })
}

/// Sends as the other side makes room.
pub(crate) async fn send_all(
    stream: &mut SendStream<Bytes>,
    mut content: Bytes,
    ends: bool,
) -> Result<(), h2::Error> {
    while !content.is_empty() {
        stream.reserve_capacity(content.len());
        let room = match poll_fn(|context| stream.poll_capacity(context)).await {
            Some(room) => room?,
            None => return Err(Reason::STREAM_CLOSED.into()),
        };
        let piece = content.split_to(room.min(content.len()));
        let is_last = ends && content.is_empty();
        stream.send_data(piece, is_last)?;
        if is_last {
            return Ok(());
        }
    }
    if ends {
        stream.send_data(Bytes::new(), true)?;
    }
    Ok(())
}

/// A WebSocket connection on a stream, from the client's side.
pub(crate) struct WebSocket {
    /// The header fields of the answer.
    pub(crate) fields: HeaderMap,
    pub(crate) stream: SendStream<Bytes>,
    content: RecvStream,
    decoder: Decoder,
    deflater: Option<Deflater>,
    workspace: DeflateWorkspace,
    heard: VecDeque<Heard>,
}

impl WebSocket {
    /// Compresses from now on, as was agreed upon.
    pub(crate) fn compress(&mut self, settings: &DeflateSettings) {
        let agreed = self.fields["sec-websocket-extensions"].as_bytes();
        let extensions = ExtensionList::parse(agreed).unwrap();
        let agreement = DeflateAgreement::from_response(extensions, settings);
        let (inflater, deflater) = agreement.unwrap().unwrap().client(settings);
        self.decoder = Decoder::with_inflater(Role::Client, inflater);
        self.deflater = Some(deflater);
    }

    pub(crate) async fn say(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut head = frame(opcode, true);
        let mut deflated = Vec::new();
        let payload = match &mut self.deflater {
            Some(deflater) => {
                head.rsv1 = true;
                let _ = deflater.deflate(payload, &mut self.workspace, &mut deflated);
                &deflated
            }
            None => payload,
        };
        self.say_frame(head, payload).await;
    }

    async fn say_frame(&mut self, head: FrameHead, payload: &[u8]) {
        let bytes = encoded(head, payload).into();
        send_all(&mut self.stream, bytes, false).await.unwrap();
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.say(Opcode::Text, text.as_bytes()).await;
    }

    pub(crate) async fn close(&mut self, code: u16) {
        let mut bytes = Vec::new();
        let (code, reason) = (Some(code), "");
        CloseFrame { code, reason }.encode(&mut bytes, Some([1; 4]));
        send_all(&mut self.stream, bytes.into(), false)
            .await
            .unwrap();
    }

    /// Ends the client's side of the stream.
    pub(crate) async fn end(&mut self) {
        send_all(&mut self.stream, Bytes::new(), true)
            .await
            .unwrap();
    }

    /// The next thing heard; an error when the stream is reset.
    pub(crate) async fn try_hear(&mut self) -> Result<Heard, h2::Error> {
        while self.heard.is_empty() {
            let Some(piece) = self.content.data().await else {
                return Ok(Heard::End);
            };
            let piece = piece?;
            let flow = self.content.flow_control();
            flow.release_capacity(piece.len())?;
            self.take(piece.to_vec());
        }
        Ok(self.heard.pop_front().unwrap())
    }

    pub(crate) async fn hear(&mut self) -> Heard {
        self.try_hear().await.unwrap()
    }

    pub(crate) async fn hear_text(&mut self) -> String {
        match self.hear().await {
            Heard::Text(text) => text,
            other => panic!("{other:?} instead of text"),
        }
    }

    /// Closes as a good client does.
    pub(crate) async fn leave(mut self) {
        self.close(1000).await;
        let expected = Heard::Close(Some(1000), String::new());
        assert_eq!(self.hear().await, expected);
        // RFC 8441 §5: END_STREAM is what the end of a TCP connection is.
        assert_eq!(self.hear().await, Heard::End);
        // The server may have closed the stream for good.
        let _ = self.stream.send_data(Bytes::new(), true);
    }

    fn take(&mut self, mut bytes: Vec<u8>) {
        let mut context = DecodeContext {
            max_message_size: 0,
            deflate: Some(&mut self.workspace),
            ..DecodeContext::default()
        };
        let mut piece = &mut bytes[..];
        while let Some(received) = self.decoder.next(&mut piece, &mut context).unwrap() {
            self.heard.push_back(match received {
                Received::Text(text) => Heard::Text(text.to_owned()),
                Received::Binary(data) => Heard::Binary(data.to_owned()),
                Received::Close(frame) => Heard::Close(frame.code, frame.reason.to_owned()),
                Received::Ping(payload) => Heard::Ping(payload.to_owned()),
                Received::Pong(payload) => Heard::Pong(payload.to_owned()),
                Received::Fragment { .. } => unreachable!("messages come whole"),
            });
        }
    }
}
