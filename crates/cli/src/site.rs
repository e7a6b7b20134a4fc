//! The demonstration site: what `tidegate serve` serves.
//!
//! Its routes stay as they are, since tests and other programs use them. They are the paths under
//! whatever prefix the site is served at. Each answers in either operating mode without holding a
//! worker up. The content of `/bytes`, `/file` and `/stream` is in `content`. `/forward` and what pages of other
//! origins may do are settings, which `forward` and `cors` make for a server without a file.

mod chat;
mod content;
mod cors;
mod echo;
mod events;
mod forward;
mod inspect;
mod sound;
mod upload;
mod websocket;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidegate::{
    CachePolicy, Connection, Events, HandlerError, Handshake, HandshakeResponse, Request, Response,
    Settings,
};

pub(crate) use self::chat::protocol as chat_protocol;
pub(crate) use self::cors::rules as cors_rules;
pub(crate) use self::forward::rules as forward_rules;

/// The site.
#[derive(Debug)]
pub(crate) struct Site;

impl Events for Site {
    #[inline]
    fn on_http_request(
        &self,
        request: &Request<'_>,
        response: &mut Response,
    ) -> Result<(), HandlerError> {
        answer(request, response);
        Ok(())
    }

    fn watches_connections(&self) -> bool {
        false
    }

    /// `/echo` and `/upload` alone read content, and wait for it in a task.
    fn waits_for_content(&self) -> bool {
        false
    }

    fn on_handshake(&self, handshake: &Handshake<'_>, response: &mut HandshakeResponse) {
        websocket::handshake(handshake, response);
    }

    #[inline]
    fn on_message(&self, connection: &Connection, text: &str) -> Result<(), HandlerError> {
        if websocket::is_echo(connection) {
            websocket::echoed(connection.send_text(text))?;
        }
        Ok(())
    }

    #[inline]
    fn on_binary(&self, connection: &Connection, data: &[u8]) -> Result<(), HandlerError> {
        if websocket::is_echo(connection) {
            websocket::echoed(connection.send_binary(data))?;
        }
        Ok(())
    }

    fn watches_forwarding(&self) -> bool {
        false
    }

    fn watches_uploads(&self) -> bool {
        false
    }

    fn watches_heartbeats(&self) -> bool {
        false
    }
}

/// The paths at which a server with these bindings serves the site. Each ends with a slash.
fn bases(settings: &Settings) -> Vec<String> {
    let bindings = settings.bindings.iter();
    let prefixes = bindings.filter_map(|binding| match binding.prefix() {
        Some(prefix) => Some(&*prefix.path),
        None => binding.unix_socket().map(|(_, path)| path),
    });
    // Host and port form a binding of all paths.
    let mut bases: Vec<String> = prefixes.chain(["/"]).map(str::to_owned).collect();
    bases.sort_unstable();
    bases.dedup();
    bases
}

/// What answers a path.
#[derive(Clone, Copy)]
struct Route {
    path: &'static str,
    methods: Methods,
    answer: Answer,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Methods {
    Any,
    Read,
}

#[derive(Clone, Copy)]
enum Answer {
    /// The path alone.
    Whole(fn(&Request<'_>, &mut Response)),
    /// The path, and after it a number from the first to the second of these.
    Number(u64, u64, fn(&mut Response, u64)),
}

/// The site's map. `/hello` is first: it is what measurements ask for.
const ROUTES: [Route; 20] = {
    use Answer::{Number, Whole};
    use Methods::{Any, Read};
    const fn route(path: &'static str, methods: Methods, answer: Answer) -> Route {
        Route {
            path,
            methods,
            answer,
        }
    }
    [
        route("/hello", Read, Whole(hello)),
        route("/", Read, Whole(page)),
        route("/echo", Any, Whole(echo::echo)),
        route("/inspect", Any, Whole(inspect::inspect)),
        route("/upload", Any, Whole(upload::upload)),
        route("/status/", Any, Number(200, 599, status)),
        route(
            "/bytes/",
            Read,
            Number(0, content::BYTES_MAX, content::bytes),
        ),
        route("/file", Read, Whole(content::file)),
        route("/tide.wav", Read, Whole(sound::tide)),
        route("/stream", Read, Whole(content::stream)),
        route("/events", Read, Whole(events::events)),
        route("/cors/open", Any, Whole(cors::tell)),
        route("/cors/closed", Any, Whole(cors::tell)),
        route("/cached", Read, Whole(cached)),
        route("/forward", Any, Whole(forward::missing)),
        route("/delay/", Any, Number(0, WAIT_MS_MAX, delay)),
        route("/block/", Any, Number(0, WAIT_MS_MAX, block)),
        route("/ws", Any, Whole(websocket::wanted)),
        route("/ws/chat", Any, Whole(websocket::wanted)),
        route("/chat", Read, Whole(chat::page)),
    ]
};

/// Longest wait of `/delay` and `/block`, in milliseconds: half of what a client mostly waits.
const WAIT_MS_MAX: u64 = 30_000;

#[inline]
fn answer(request: &Request<'_>, response: &mut Response) {
    let path = path(request);
    for route in &ROUTES {
        let rest = match route.answer {
            Answer::Whole(_) if path == route.path => "",
            Answer::Number(..) => match path.strip_prefix(route.path) {
                Some(rest) => rest,
                None => continue,
            },
            Answer::Whole(_) => continue,
        };
        return follow(route, rest, request, response);
    }
    if request.target() == b"*" {
        // RFC 9110 §9.3.7: `OPTIONS *` asks the server as a whole, mostly whether it is there.
        return response.status(204).empty();
    }
    if path.is_empty() {
        // The prefix itself without its last slash: the page's relative references need that.
        let with_slash = format!("{}/", request.document());
        return response.status(308).location(&with_slash).empty();
    }
    response.status(404);
    let home = &request.prefix().path;
    response.text(format!(
        "There is nothing here. See {home} for what this site has.\n"
    ));
}

/// The path under the site's prefix.
#[inline]
fn path<'a>(request: &'a Request<'_>) -> &'a str {
    // Most prefixes end with the port, and then the path needs no cutting.
    match &*request.prefix().path {
        "/" => request.document(),
        _ => request.base_and_rest().1,
    }
}

#[inline]
fn follow(route: &Route, rest: &str, request: &Request<'_>, response: &mut Response) {
    if route.methods == Methods::Read && !matches!(request.method(), "GET" | "HEAD") {
        response.status(405).header("Allow", "GET, HEAD");
        return response.text("Only GET and HEAD are answered here.\n");
    }
    match route.answer {
        Answer::Whole(answer) => answer(request, response),
        Answer::Number(min, max, answer) => match number(rest) {
            Some(number) if (min..=max).contains(&number) => answer(response, number),
            _ => refuse(response, &format!("{}N: N is {min} to {max}", route.path)),
        },
    }
}

fn refuse(response: &mut Response, message: &str) {
    response.status(400).text(format!("{message}.\n"));
}

/// Digits only: what Rust takes as a number besides, such as `+1`, is none here.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[inline]
fn hello(_: &Request<'_>, response: &mut Response) {
    response.content_type("text/plain").bytes(b"Hello, World!");
}

fn page(_: &Request<'_>, response: &mut Response) {
    send_page(response, PAGE);
}

/// Sends a page. Which it is its tag tells, so that who has it already is not sent it again.
fn send_page(response: &mut Response, page: &'static [u8]) {
    let mut hasher = DefaultHasher::new();
    page.hash(&mut hasher);
    response
        .content_type("text/html; charset=utf-8")
        .cache_control("no-cache")
        .etag(&format!("{:x}", hasher.finish()))
        .header("Content-Security-Policy", PAGE_POLICY)
        .header("X-Content-Type-Options", "nosniff")
        .process_ranges()
        .bytes(page);
}

const PAGE: &[u8] = include_bytes!("site/page.html");

/// A page carries all it needs but the server's own WebSocket clients, and speaks to its own server only, by
/// either name of this machine.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
    script-src 'unsafe-inline' 'self'; img-src data:; media-src 'self'; \
    connect-src 'self' http://localhost:* http://127.0.0.1:* https://localhost:* https://127.0.0.1:*; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

fn status(response: &mut Response, code: u64) {
    // The route lets no other pass.
    let code = u16::try_from(code).unwrap_or(400);
    response.status(code);
    // RFC 9110 §6.4.1 and §15.3.6: these have no content.
    if !matches!(code, 204 | 205 | 304) {
        response.text(format!("{code}\n"));
    }
}

/// Says which answer it is, and has it kept: whoever asks within the time gets a copy.
fn cached(_: &Request<'_>, response: &mut Response) {
    static ANSWERS: AtomicU64 = AtomicU64::new(0);
    let number = ANSWERS.fetch_add(1, Ordering::Relaxed) + 1;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.unwrap_or_default().as_secs();
    response
        .cache(CachePolicy::TimeToLive(KEPT))
        .header("ETag", format!("\"{seconds}-{number}\""));
    response.text(format!(
        "Answer {number}, made {seconds} s after 1970 began and kept for {} s.\n",
        KEPT.as_secs()
    ));
}

/// How long the answer of `/cached` is kept.
const KEPT: Duration = Duration::from_secs(10);

/// Answers later. No thread waits.
fn delay(response: &mut Response, milliseconds: u64) {
    response.answer_async(move |_, mut response| async move {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        response.text(format!("answered after {milliseconds} ms\n"));
        response
    });
}

/// Holds a thread that may be held.
fn block(response: &mut Response, milliseconds: u64) {
    response.answer_blocking(move |_, mut response| {
        std::thread::sleep(Duration::from_millis(milliseconds));
        response.text(format!("blocked a thread for {milliseconds} ms\n"));
        response
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_route_hides_another() {
        for (index, route) in ROUTES.iter().enumerate() {
            for earlier in &ROUTES[..index] {
                if let Answer::Number(..) = earlier.answer {
                    assert!(!route.path.starts_with(earlier.path), "{}", route.path);
                }
                assert_ne!(route.path, earlier.path);
            }
        }
    }

    #[test]
    fn a_number_is_digits() {
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("18446744073709551615"), Some(u64::MAX));
        for text in ["", "+1", "-1", "1.0", " 1", "1/", "18446744073709551616"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn the_pages_need_nothing_from_elsewhere() {
        for page in [PAGE, include_bytes!("site/chat.html")] {
            let page = std::str::from_utf8(page).unwrap();
            for reference in [
                "src=\"http",
                "href=\"http",
                "url(http",
                "@import",
                "src=\"/",
                "href=\"/",
            ] {
                assert!(!page.contains(reference), "{reference}");
            }
        }
    }
}
