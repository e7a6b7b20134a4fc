//! The benchmarks' routes on our server, on one worker.
//!
//! ```text
//! bench-subject --port N --log-directory DIR [--io uring|poll] [--mode high-perf|classic]
//!               [--overload QUEUE_LENGTH] [--websocket plain|deflate|heartbeat]
//!               [--tls-cert FILE --tls-key FILE] [--files DIR] [--uploads DIR]
//!               [--cache on] [--forward URL] [--admission on]
//! ```
//!
//! HTTP/1.1 and HTTP/2 on the one port: https://localhost:N/ with a certificate, by ALPN, and
//! http://127.0.0.1:N/ without, HTTP/2 by prior knowledge.
//!
//! `/files/` is the folder of `--files`, and `PUT` below `/uploads/` puts files into that of `--uploads`. With
//! `--cache on` the answer to `/cached` is kept in the driver; without, a handler gives it each time. `--forward`
//! has all requests answered by another server. With `--admission on` each request needs an API key and is counted
//! against what its key allows.
//!
//! `/ws` sends each message back; a message on `/broadcast` goes to all others there.
//!
//! `--overload` gives W11's settings: a queue of so many requests, filled with a whole batch of
//! completions before the first of them is handled, and 503s that are sent rather than resets.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use bench_answers::{HELLO, SERVER, UPLOADED};
use tidegate::api_keys::{self, ApiKeyError, ApiKeys, NewApiKey};
use tidegate::{
    ApiKeySettings, BodyError, BodyReader, CachePolicy, Connection, ErrorLog, FineTune,
    ForwardSettings, HandlerError, Io, Message, OperatingMode, RateLimitSettings, RateRuleSettings,
    Recipients, Request, Response, Server, SslOptions, UploadSettings, UpstreamUrl, Verbosity503,
    WebSocketSettings, WriteError,
};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some(options) = Options::parse(&words) else {
        eprintln!("bench-subject: {words:?} cannot be understood; see the top of its source");
        return ExitCode::FAILURE;
    };
    match serve(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-subject: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: Options) -> Result<(), tidegate::Error> {
    let contents = Contents {
        json: bench_answers::json().into_bytes().leak(),
        download: bench_answers::download().leak(),
        cache: options.cache,
    };
    let mut fine_tune = FineTune {
        operating_mode: options.mode,
        skip_completion_on_success: true,
        ..FineTune::default()
    };
    let mut error_log = ErrorLog::default();
    let keys_file = options
        .log_directory
        .join(format!("api-keys-{}", options.port));
    error_log.directory = Some(options.log_directory);
    let mut server = Server::builder()
        .host("127.0.0.1")
        .port(options.port)
        .io(options.io)
        .io_threads(1)
        .software(SERVER)
        .error_log(error_log)
        .on_http_request(move |request, response| answer(request, response, &contents));
    if let Some(folder) = options.files {
        server = server.files("/files", folder.as_str());
    }
    if let Some(folder) = options.uploads {
        let mut settings = UploadSettings::new("/uploads/", folder);
        settings.max_request_body_size = Some(0);
        server = server.upload(settings);
    }
    if options.admission {
        make_keys(&keys_file).expect("a folder to write to");
        let mut keys = ApiKeySettings::default();
        keys.enabled = true;
        keys.file = Some(keys_file);
        server = server.api_keys(keys).rate_limit(rate_limit());
    }
    if let Some(upstream) = options.forward {
        server = server.forward(ForwardSettings::new("/", [upstream]));
    }
    if let (Some(certificate), Some(key)) = (options.tls_certificate, options.tls_key) {
        server = server
            .host("localhost")
            .ssl(true)
            .ssl_options(SslOptions::pem(certificate, key));
    }
    if let Some(settings) = options.websocket {
        server = server
            .websocket(settings)
            .on_connect(|connection| {
                if connection.target() == BROADCAST {
                    connection.subscribe(CHANNEL);
                }
            })
            .on_message(|connection, text| match connection.target() {
                BROADCAST => pass_on(connection, Message::text(text)),
                _ => connection.send_text(text),
            })
            .on_binary(|connection, data| match connection.target() {
                BROADCAST => pass_on(connection, data.into()),
                _ => connection.send_binary(data),
            });
    }
    if let Some(queue_length) = options.overload_queue_length {
        fine_tune.queue_length = queue_length;
        fine_tune.skip_completion_on_success = false;
        server = server.verbosity_503(Verbosity503::Limited);
    }
    server.fine_tune(fine_tune).build()?.run()
}

/// A store that knows the key of the benchmarks.
fn make_keys(file: &Path) -> Result<(), ApiKeyError> {
    let now = SystemTime::now();
    let keys = ApiKeys::open(api_keys::ApiKeySettings::new(file), now)?;
    let new = NewApiKey {
        owner: "bench".to_owned(),
        ..NewApiKey::default()
    };
    match keys.adopt(bench_answers::API_KEY, new, now) {
        // Of an earlier run.
        Err(ApiKeyError::Adopted) => Ok(()),
        made => made.map(drop),
    }
}

/// A limit for each key that nobody reaches.
fn rate_limit() -> RateLimitSettings {
    let mut settings = RateLimitSettings::default();
    settings.enabled = true;
    settings.rule = vec![RateRuleSettings {
        name: "each-key".to_owned(),
        api_key: Some("*".to_owned()),
        limit: 1_000_000_000,
        window: Duration::from_secs(1),
        ..RateRuleSettings::default()
    }];
    settings
}

/// The longer contents.
#[derive(Clone, Copy, Debug)]
struct Contents {
    json: &'static [u8],
    download: &'static [u8],
    /// Whether the answer to `/cached` is kept.
    cache: CachePolicy,
}

fn answer(
    request: &Request<'_>,
    response: &mut Response,
    contents: &Contents,
) -> Result<(), HandlerError> {
    match (request.method(), request.document()) {
        ("GET", "/hello") => response.content_type("text/plain").text(HELLO),
        ("GET", "/cached") => response
            .cache(contents.cache)
            .content_type("text/plain")
            .text(HELLO),
        ("GET", "/json") => response
            .content_type("application/json")
            .bytes(contents.json),
        ("GET", "/download") => response
            .content_type("application/octet-stream")
            .bytes(contents.download),
        ("POST", "/upload") if request.content_length() > Some(LARGE_BYTES) => {
            response.answer_async(|request, mut response| async move {
                match drop_content(request.body()).await {
                    Ok(()) => response.content_type("text/plain").text(UPLOADED),
                    Err(_) => response.status(400).empty(),
                }
                response
            });
        }
        ("POST", "/upload") => {
            request.content()?;
            response.content_type("text/plain").text(UPLOADED);
        }
        ("GET", "/work") => response
            .content_type("text/plain")
            .text(bench_answers::work()),
        _ => response.status(404).empty(),
    }
    Ok(())
}

/// Reads the content to its end and keeps none of it.
async fn drop_content(mut content: BodyReader) -> Result<(), BodyError> {
    while content.chunk().await?.is_some() {}
    Ok(())
}

/// Sends a message to all others in the channel.
fn pass_on(from: &Connection, message: Message) -> Result<(), WriteError> {
    let others = Recipients::all().channel(CHANNEL).exclude([from.guid()]);
    from.connections().broadcast(message, &others)
}

const BROADCAST: &[u8] = b"/broadcast";
const CHANNEL: &str = "all";
/// Content that is longer is read piece by piece.
const LARGE_BYTES: u64 = 1 << 20;

/// What the command line says.
#[derive(Debug)]
struct Options {
    port: u16,
    log_directory: PathBuf,
    io: Io,
    mode: OperatingMode,
    overload_queue_length: Option<u32>,
    websocket: Option<WebSocketSettings>,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    files: Option<String>,
    uploads: Option<PathBuf>,
    cache: CachePolicy,
    forward: Option<UpstreamUrl>,
    admission: bool,
}

impl Options {
    /// `None` for words that cannot be understood.
    fn parse(words: &[String]) -> Option<Self> {
        let mut options = Self {
            port: 0,
            log_directory: PathBuf::new(),
            io: Io::Auto,
            mode: OperatingMode::HighPerf,
            overload_queue_length: None,
            websocket: None,
            tls_certificate: None,
            tls_key: None,
            files: None,
            uploads: None,
            cache: CachePolicy::None,
            forward: None,
            admission: false,
        };
        for pair in words.chunks(2) {
            let [flag, value] = pair else { return None };
            match (flag.as_str(), value.as_str()) {
                ("--port", port) => options.port = port.parse().ok()?,
                ("--log-directory", directory) => options.log_directory = directory.into(),
                ("--io", "uring") => options.io = Io::Uring,
                ("--io", "poll") => options.io = Io::Poll,
                ("--mode", "high-perf") => options.mode = OperatingMode::HighPerf,
                ("--mode", "classic") => options.mode = OperatingMode::Classic,
                ("--overload", length) => {
                    options.overload_queue_length = Some(length.parse().ok()?)
                }
                ("--tls-cert", path) => options.tls_certificate = Some(path.into()),
                ("--tls-key", path) => options.tls_key = Some(path.into()),
                ("--files", folder) => options.files = Some(folder.to_owned()),
                ("--uploads", folder) => options.uploads = Some(folder.into()),
                ("--cache", "on") => options.cache = CachePolicy::UserInvalidates,
                ("--forward", url) => options.forward = Some(url.parse().ok()?),
                ("--admission", "on") => options.admission = true,
                ("--websocket", kind) => options.websocket = Some(websocket_settings(kind)?),
                _ => return None,
            }
        }
        Some(options)
    }
}

/// `None` for a kind that is not known.
fn websocket_settings(kind: &str) -> Option<WebSocketSettings> {
    let mut settings = WebSocketSettings::default();
    match kind {
        "plain" => {}
        "deflate" => settings.per_message_deflate.enabled = true,
        "heartbeat" => {
            settings.heartbeat.enabled = true;
            settings.heartbeat.timeout = Duration::from_secs(60);
        }
        _ => return None,
    }
    Some(settings)
}
