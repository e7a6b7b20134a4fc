//! Runs the suites, prints what they found, and writes a whole run to `RESULTS.md`.

use std::fs;

use super::callgrind;
use super::error::BenchError;
use super::idle;
use super::machine;
use super::options::Options;
use super::overload;
use super::places::Places;
use super::report::{Preface, Report};
use super::results;
use super::rounds;
use super::table::{markdown, number};
use super::workload::{HTTP1, HTTP1_IDLE, Id, IdleWorkload, Workload};
use super::{admission, content, http2, tls, transfer, websocket};

/// Measures HTTP/1.1 and reports it.
pub(crate) fn http1(places: &Places, options: &Options) -> Result<(), BenchError> {
    let preface = Preface {
        title: HTTP1_TITLE,
        command: "cargo xtask bench http1",
        per: "the requests completed in it",
        peers: machine::http1_peer_versions(places),
        left_out: "network cards, more than one core, clients that wait or fail, memory under load, TLS. \
                   Requests per second are what this machine's other work left over.",
    };
    let mut report = Report::begin(places, options, &preface);
    for workload in HTTP1.iter().filter(|workload| options.runs(workload.id)) {
        report.add_rounds(workload, &rounds::run(places, options, workload)?);
    }
    if options.runs(Id::W10) {
        report.add_idle(&HTTP1_IDLE, &idle::run(places, options, &HTTP1_IDLE));
    }
    if options.runs(Id::W11) {
        report.add_overload(&overload::run(places, options));
    }
    publish(places, options, &preface, &report.finish())
}

/// Measures WebSocket and reports it.
pub(crate) fn websocket(places: &Places, options: &Options) -> Result<(), BenchError> {
    let preface = Preface {
        title: WEBSOCKET_TITLE,
        command: "cargo xtask bench websocket",
        per: "the messages that came back, the deliveries, or the handshakes",
        peers: machine::websocket_peer_versions(places),
        left_out: "network cards, more than one core, receivers that are slow, memory under load, TLS, \
                   compression with context. Rates are what this machine's other work left over.",
    };
    let mut report = Report::begin(places, options, &preface);
    for workload in websocket::WORKLOADS
        .iter()
        .filter(|workload| options.runs(workload.id))
    {
        let outcome = rounds::run(places, options, workload)?;
        report.add_rounds(workload, &outcome);
        if workload.id == Id::Storm {
            report.add_lost(workload, &outcome);
        }
    }
    if options.runs(Id::W10) {
        let outcome = idle::run(places, options, &websocket::IDLE);
        report.add_idle(&websocket::IDLE, &outcome);
    }
    publish(places, options, &preface, &report.finish())
}

/// Measures TLS and reports it.
pub(crate) fn tls(places: &Places, options: &Options) -> Result<(), BenchError> {
    let preface = Preface {
        title: TLS_TITLE,
        command: "cargo xtask bench tls",
        per: "the requests or handshakes completed in it",
        peers: machine::tls_peer_versions(places),
        left_out: "network cards, more than one core, TLS 1.2, client certificates, chains of more than \
                   one certificate, stapling, TLS in the kernel. Rates are what this machine's other \
                   work left over.",
    };
    with_tls(places, options, &preface, &tls::WORKLOADS, &tls::IDLE)
}

/// Measures HTTP/2 and reports it.
pub(crate) fn http2(places: &Places, options: &Options) -> Result<(), BenchError> {
    let preface = Preface {
        title: HTTP2_TITLE,
        command: "cargo xtask bench http2",
        per: "the requests completed in it",
        peers: machine::tls_peer_versions(places),
        left_out: "network cards, more than one core, priorities, clients that read slowly, trailers, \
                   WebSocket over HTTP/2. Rates are what this machine's other work left over.",
    };
    with_tls(places, options, &preface, &http2::WORKLOADS, &http2::IDLE)
}

/// Measures files, cached answers and forwarding, and reports it.
pub(crate) fn content(places: &Places, options: &Options) -> Result<(), BenchError> {
    let preface = Preface {
        title: CONTENT_TITLE,
        command: "cargo xtask bench content",
        per: "the requests completed in it",
        peers: machine::content_peer_versions(),
        left_out: "network cards, more than one core, files that are not in the page cache, many files, \
                   TLS. Rates are what this machine's other work left over.",
    };
    places.prepare_files()?;
    let mut report = Report::begin(places, options, &preface);
    for workload in content::WORKLOADS
        .iter()
        .filter(|workload| options.runs(workload.id))
    {
        report.add_rounds(workload, &rounds::run(places, options, workload)?);
    }
    if options.runs(Id::W5) {
        report.add_transfers(&transfer::run(places, options));
    }
    publish(places, options, &preface, &report.finish())
}

/// Measures what API keys and rate limits cost, and reports it.
pub(crate) fn admission(places: &Places, options: &Options) -> Result<(), BenchError> {
    let preface = Preface {
        title: ADMISSION_TITLE,
        command: "cargo xtask bench admission",
        per: "the requests completed in it",
        peers: Vec::new(),
        left_out: "network cards, more than one core, many keys and callers, refusals, passwords, tokens, the \
                   firewall. Rates are what this machine's other work left over.",
    };
    let mut report = Report::begin(places, options, &preface);
    for workload in admission::WORKLOADS
        .iter()
        .filter(|workload| options.runs(workload.id))
    {
        report.add_rounds(workload, &rounds::run(places, options, workload)?);
    }
    publish(places, options, &preface, &report.finish())
}

/// Rounds of some workloads, and then idle connections.
fn with_tls(
    places: &Places,
    options: &Options,
    preface: &Preface,
    workloads: &[Workload],
    idle: &IdleWorkload,
) -> Result<(), BenchError> {
    places.prepare_tls()?;
    let mut report = Report::begin(places, options, preface);
    for workload in workloads
        .iter()
        .filter(|workload| options.runs(workload.id))
    {
        report.add_rounds(workload, &rounds::run(places, options, workload)?);
    }
    if options.runs(Id::W10) {
        report.add_idle(idle, &idle::run(places, options, idle));
    }
    publish(places, options, preface, &report.finish())
}

/// Counts user instructions by callgrind and prints them.
pub(crate) fn callgrind(places: &Places, options: &Options) -> Result<(), BenchError> {
    let mut rows = Vec::new();
    let workloads = HTTP1
        .iter()
        .chain(&websocket::WORKLOADS)
        .chain(&http2::WORKLOADS);
    for workload in workloads.filter(|workload| workload.load.is_counted()) {
        for server in callgrind::COUNTED {
            let is_wanted = options.runs(workload.id)
                && options.measures(server)
                && workload.servers.contains(&server);
            if !is_wanted {
                continue;
            }
            match callgrind::user_instructions(places, server, workload) {
                Ok(count) => rows.push(vec![
                    server.name().to_owned(),
                    workload.label.to_owned(),
                    number(count),
                ]),
                Err(error) => eprintln!("bench: {}: {error}", server.name()),
            }
        }
    }
    println!(
        "{}",
        markdown(
            &[
                "server",
                "workload",
                "user instructions per request or message"
            ],
            &rows
        )
    );
    Ok(())
}

/// Prints the results, and puts those of a whole run in the place of the suite's last ones.
fn publish(
    places: &Places,
    options: &Options,
    preface: &Preface,
    text: &str,
) -> Result<(), BenchError> {
    println!("{text}");
    if !options.is_whole() {
        eprintln!("bench: a part or a quick run; bench/RESULTS.md stays as it is");
        return Ok(());
    }
    let path = places.results();
    let before = match fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        text => text.map_err(BenchError::file(&path))?,
    };
    let after = results::replace(
        &before,
        &[
            HTTP1_TITLE,
            WEBSOCKET_TITLE,
            TLS_TITLE,
            HTTP2_TITLE,
            CONTENT_TITLE,
            ADMISSION_TITLE,
        ],
        preface.title,
        text,
    );
    fs::write(&path, after).map_err(BenchError::file(&path))?;
    eprintln!("bench: written to {}", path.display());
    Ok(())
}

const HTTP1_TITLE: &str = "HTTP/1.1 benchmark results";
const WEBSOCKET_TITLE: &str = "WebSocket benchmark results";
const TLS_TITLE: &str = "TLS benchmark results";
const HTTP2_TITLE: &str = "HTTP/2 benchmark results";
const CONTENT_TITLE: &str = "Content benchmark results";
const ADMISSION_TITLE: &str = "Admission benchmark results";
