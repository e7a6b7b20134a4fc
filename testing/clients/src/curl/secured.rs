//! What a server's certificates have clients see: renewed while requests go on, and asked for from clients.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::curl;
use crate::certificates::{self, Authority};
use crate::error::ClientError;
use crate::expect;
use crate::process;
use crate::server::{Place, Server, io};
use crate::suite::{Bench, Case};

/// Each with certificates of its own.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "certificate renewed",
        run: renewed,
    },
    Case {
        name: "client certificates",
        run: client_certificates,
    },
];

/// Certificates are replaced while requests go on: none is lost, what is under way goes on, and the new one
/// is shown soon. One that cannot be used changes nothing.
fn renewed(bench: &Bench<'_>) -> Result<(), ClientError> {
    let place = Place::new()?;
    let folder = place.folder().to_path_buf();
    for number in 0..GENERATIONS {
        let made = folder.join(number.to_string());
        certificates::self_signed(bench.options, &made, &["localhost", "127.0.0.1"])?;
    }
    install(&folder, 0)?;
    let settings = "bindings = [\"http://127.0.0.1:{port}/\", \"https://127.0.0.1:{tls_port}/\"]
[ssl]
certificate = \"localhost.crt\"
key = \"localhost.key\"
";
    let configuration = bench.configuration;
    let server = Server::start_by_file(bench.options, configuration, place, settings)?;
    let all = folder.join("all.crt");
    let texts: Result<Vec<String>, _> = (0..GENERATIONS)
        .map(|number| fs::read_to_string(certificate(&folder, number)))
        .collect();
    fs::write(&all, texts.map_err(io("reading certificates"))?.concat())
        .map_err(io("writing certificates"))?;
    let is_done = AtomicBool::new(false);
    let asked = AtomicU64::new(0);
    let hello = server.tls_url("/hello");
    let slow = server.tls_url("/stream?pause=900");
    thread::scope(|scope| {
        let clients: Vec<_> = ["--http1.1", "--http2"]
            .into_iter()
            .map(|version| {
                let (hello, all, is_done, asked) = (&hello, &all, &is_done, &asked);
                scope.spawn(move || {
                    while !is_done.load(Ordering::Relaxed) {
                        // A connection of its own each time.
                        let got = trusting(all, &[version, hello])?;
                        expect::equal("answer", &*got, "Hello, World!")?;
                        asked.fetch_add(1, Ordering::Relaxed);
                        // A pace: starting curl over and over would leave nothing for others.
                        thread::sleep(Duration::from_millis(20));
                    }
                    Ok(())
                })
            })
            .collect();
        let under_way = scope.spawn(|| trusting(&all, &["--http2", &slow]));
        let replaced = replace(&server, &folder, &asked);
        is_done.store(true, Ordering::Relaxed);
        for client in clients {
            joined(client)?;
        }
        let stream = joined(under_way)?;
        expect::equal("bytes of what was under way", &stream.len(), &900)?;
        replaced
    })?;
    server.stop()
}

fn replace(server: &Server, folder: &Path, asked: &AtomicU64) -> Result<(), ClientError> {
    is_shown(server, folder, 0)?;
    install(folder, 1)?;
    process::signal(server.process_id(), "HUP");
    is_shown(server, folder, 1)?;
    // What cannot be used is told, and changes nothing.
    fs::write(folder.join("localhost.crt"), "no certificate").map_err(io("writing a file"))?;
    process::signal(server.process_id(), "HUP");
    expect::becomes(
        "the server tells that it could not use it",
        SHOWN_WAIT_MAX,
        || Ok(server.output()),
        |told| told.contains("a certificate stays as it was"),
    )?;
    is_shown(server, folder, 1)?;
    // Without a signal: the server looks itself.
    install(folder, 2)?;
    is_shown(server, folder, 2)?;
    let before = asked.load(Ordering::Relaxed);
    expect::becomes(
        "requests go on",
        SHOWN_WAIT_MAX,
        || Ok(asked.load(Ordering::Relaxed)),
        |now| *now >= before + 4,
    )
    .map(|_| ())
}

/// As whoever renews certificates does: one file after the other.
fn install(folder: &Path, number: u32) -> Result<(), ClientError> {
    for name in ["localhost.crt", "localhost.key"] {
        let new = folder.join(format!("{name}.new"));
        fs::copy(folder.join(number.to_string()).join(name), &new).map_err(io("copying a file"))?;
        fs::rename(new, folder.join(name)).map_err(io("replacing a file"))?;
    }
    Ok(())
}

fn certificate(folder: &Path, number: u32) -> std::path::PathBuf {
    folder.join(number.to_string()).join("localhost.crt")
}

/// A client that trusts this certificate alone becomes content.
fn is_shown(server: &Server, folder: &Path, number: u32) -> Result<(), ClientError> {
    let certificate = certificate(folder, number);
    expect::becomes(
        "the new certificate is shown",
        SHOWN_WAIT_MAX,
        || match trusting(&certificate, &[&server.tls_url("/hello")]) {
            Ok(_) => Ok(true),
            Err(ClientError::Failed { status, .. }) if status.code() == Some(NOT_TRUSTED) => {
                Ok(false)
            }
            Err(error) => Err(error),
        },
        |is_shown| *is_shown,
    )
    .map(|_| ())
}

fn client_certificates(bench: &Bench<'_>) -> Result<(), ClientError> {
    for (word, without) in [("request", Some("0")), ("require", None)] {
        let place = Place::new()?;
        let folder = place.folder().to_path_buf();
        certificates::self_signed(bench.options, &folder, &["localhost", "127.0.0.1"])?;
        let authority = Authority::new(&folder)?;
        for name in ["known", "revoked"] {
            authority.sign(name, &[])?;
        }
        authority.revoke("revoked")?;
        certificates::self_signed(bench.options, &folder, &["stranger"])?;
        let settings = CLIENT_CERTIFICATES.replace("{word}", word);
        let server = Server::start_by_file(bench.options, bench.configuration, place, &settings)?;
        for version in [&["--http2"][..], &["--http1.1", "--tls-max", "1.2"]] {
            let shown = |name: Option<&str>| {
                let file = |end: &str| folder.join(format!("{}.{end}", name.unwrap_or_default()));
                let (certificate, key) = (file("crt"), file("key"));
                let (certificate, key) = (certificate.to_string_lossy(), key.to_string_lossy());
                let own = ["--cert", &*certificate, "--key", &*key];
                let url = server.tls_url("/inspect");
                let own = if name.is_some() { &own[..] } else { &[] };
                trusting(&server.certificate(), &[version, own, &[&url]].concat())
            };
            let known = shown(Some("known"))?;
            let count = "\"client_certificates\": 1";
            expect::holds("the known one", known.contains(count), || known.clone())?;
            match without {
                Some(count) => {
                    let text = shown(None)?;
                    let count = format!("\"client_certificates\": {count}");
                    expect::holds("without", text.contains(&count), || text.clone())?;
                }
                None => is_refused("without", shown(None))?,
            }
            is_refused("a revoked one", shown(Some("revoked")))?;
            is_refused("a stranger's", shown(Some("stranger")))?;
        }
        server.stop()?;
    }
    Ok(())
}

/// By an alert; what curl calls that depends on when the alert came.
fn is_refused(what: &str, result: Result<String, ClientError>) -> Result<(), ClientError> {
    match result {
        Err(ClientError::Failed { status, output, .. }) => expect::holds(
            what,
            matches!(status.code(), Some(16 | 35 | 55 | 56 | 98)) && output.contains("alert"),
            || output.clone(),
        ),
        Err(error) => Err(error),
        Ok(text) => expect::holds(what, false, || text),
    }
}

const CLIENT_CERTIFICATES: &str = "
bindings = [\"http://127.0.0.1:{port}/\", \"https://127.0.0.1:{tls_port}/\"]
[ssl]
certificate = \"localhost.crt\"
key = \"localhost.key\"
client_certificates = \"{word}\"
client_authorities = \"authority.crt\"
revocation_lists = \"revoked.pem\"
";

fn trusting(certificate: &Path, words: &[&str]) -> Result<String, ClientError> {
    let certificate = certificate.to_string_lossy();
    let words = [&["--cacert", &*certificate], words].concat();
    curl(&words, &[]).map(|output| process::text(&output))
}

fn joined<T>(
    client: thread::ScopedJoinHandle<'_, Result<T, ClientError>>,
) -> Result<T, ClientError> {
    match client.join() {
        Ok(ended) => ended,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// One to begin with, and one for each way to have it replaced.
const GENERATIONS: u32 = 3;

/// A few times what the server waits between two looks at its files.
const SHOWN_WAIT_MAX: Duration = Duration::from_secs(30);

/// curl's status for a certificate that it does not trust.
const NOT_TRUSTED: i32 = 60;
