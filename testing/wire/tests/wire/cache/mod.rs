//! The response cache. http-server-api §8, cases C04–C20.

mod flush;
mod http2;
mod owners;
mod parts;
mod races;
mod rules;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tidegate_httpapi::{Application, Body, CachePolicy, Exchange, RequestHead, ResponseHead};
use tidegate_wire::{Client, Response, Server, answering};

/// How often an application was called.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicUsize>);

impl Calls {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// One more; from 1.
    fn add(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// An application that answers with what it is told to make, which is given the number of the call.
fn making(
    make: impl Fn(usize, &RequestHead<'_>) -> (ResponseHead, Body) + Send + Sync + 'static,
) -> (Arc<dyn Application>, Calls) {
    let calls = Calls::default();
    let counted = calls.clone();
    let application = answering(move |exchange: Exchange<'_>| {
        let (head, body) = make(counted.add(), exchange.head());
        exchange.respond(head, body);
    });
    (application, calls)
}

/// An application that numbers its answers and has them stored.
fn numbering(policy: CachePolicy) -> (Arc<dyn Application>, Calls) {
    making(move |call, _| text(policy, format!("call {call}")))
}

/// Text that is to be stored.
fn text(policy: CachePolicy, content: impl Into<Vec<u8>>) -> (ResponseHead, Body) {
    let mut head = typed(200);
    head.cache = policy.into();
    (head, Body::Owned(content.into()))
}

/// A head with a content type.
fn typed(status: u16) -> ResponseHead {
    let mut head = ResponseHead::new(status);
    head.fields.append("Content-Type", "text/plain").unwrap();
    head
}

fn for_seconds(seconds: u64) -> CachePolicy {
    CachePolicy::TimeToLive(Duration::from_secs(seconds))
}

/// A GET with these field lines.
fn get(client: &mut Client, target: &str, lines: &[&str]) -> Response {
    client.ask(request("GET", target, lines))
}

fn request(method: &str, target: &str, lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n")
}

/// Whoever asks for a path gets the number of the call that answered it first.
fn is_stored(server: &Server, path: &str) -> bool {
    let mut client = server.client();
    let first = get(&mut client, path, &[]);
    first.content == get(&mut client, path, &[]).content
}
