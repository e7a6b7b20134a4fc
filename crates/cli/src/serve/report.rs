//! What a person is told about a server's start and end.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::SystemTime;

use tidegate::{CertificateInfo, Endpoint, OperatingMode, Server, Settings};

/// What it serves, where, and how.
pub(super) fn started(server: &Server, is_demonstration: bool) -> String {
    let settings = server.settings();
    let info = server.backend_info();
    let what = match (is_demonstration, settings.files.is_empty()) {
        (true, true) => "the demonstration site",
        (true, false) => "files and the demonstration site",
        (false, _) => "files",
    };
    let mut report = format!("tidegate {} serves {what}\n", env!("CARGO_PKG_VERSION"));
    report.push_str(&served(&settings));
    let mut line = |name: &str, value: &str| entry(&mut report, name, value);
    line("listening", &endpoints(server));
    report.push_str(&certificates(server));
    if settings.ssl.options.certificate.is_some() && server.tls_bindings().is_empty() {
        entry(&mut report, "certs", "NOT USED: no URL is https");
    }
    let mut line = |name: &str, value: &str| entry(&mut report, name, value);
    line("mode", &mode(&settings));
    let threads = info.io_threads.map_or_else(String::new, |count| {
        format!(", {}", counted(count as u64, "thread"))
    });
    line(
        "io",
        &format!("{}{threads}", info.event_loop.unwrap_or("the driver's")),
    );
    match info.error_log {
        Some(folder) => line("HTTPERR", &folder.display().to_string()),
        None => line("HTTPERR", "off"),
    }
    if let Some(store) = &settings.store {
        let missing = if store.exists() {
            ""
        } else {
            ", not there yet"
        };
        line("store", &format!("{}{missing}", store.display()));
    }
    if settings.log.enabled {
        line("requests", &settings.log.folder().display().to_string());
    }
    if settings.metrics.enabled {
        let url = settings.metrics.url.to_string();
        entry(&mut report, "metrics", url.trim_end_matches('/'));
    }
    if let Some(link) = server.administration_link() {
        let mut line = |name: &str, value: &str| entry(&mut report, name, value);
        line("admin", &settings.administration.url);
        line("", &format!("{link} signs in, once"));
    }
    report.push_str("Ctrl-C stops it.");
    report
}

/// The URLs and the folders behind them.
pub(super) fn served(settings: &Settings) -> String {
    let mut report = String::new();
    let mut line = |name: &str, value: &str| entry(&mut report, name, value);
    for (index, url) in urls(settings).iter().enumerate() {
        line(if index == 0 { "URLs" } else { "" }, url);
    }
    for (index, site) in settings.files.iter().enumerate() {
        let name = if index == 0 { "files" } else { "" };
        line(name, &format!("{} from {}", site.path, site.root.display()));
    }
    report
}

/// The certificates in use, each once, one a line; empty without TLS.
pub(super) fn certificates(server: &Server) -> String {
    let bindings = server.tls_bindings();
    let certificates = bindings.iter().flat_map(|binding| &binding.certificates);
    let mut seen = HashSet::new();
    let certificates: Vec<_> = certificates
        .filter(|certificate| seen.insert(&certificate.thumbprint))
        .collect();
    let mut report = String::new();
    if certificates.is_empty() && !bindings.is_empty() {
        // A directory may be filled later.
        entry(
            &mut report,
            "certs",
            "NONE in the directory: https fails until there is one",
        );
    }
    for (index, certificate) in certificates.iter().take(CERTIFICATES_MAX).enumerate() {
        let name = if index == 0 { "certs" } else { "" };
        entry(
            &mut report,
            name,
            &described(certificate, SystemTime::now()),
        );
    }
    if let Some(more @ 1..) = certificates.len().checked_sub(CERTIFICATES_MAX) {
        entry(&mut report, "", &format!("and {more} more"));
    }
    report
}

/// A directory may hold thousands.
const CERTIFICATES_MAX: usize = 8;

/// Whose it is, what for, and until when.
fn described(certificate: &CertificateInfo, now: SystemTime) -> String {
    let (begin, end) = (certificate.not_before, certificate.not_after);
    let date = httpdate::fmt_http_date;
    let validity = match now {
        now if now > end => format!("EXPIRED {}", date(end)),
        now if now < begin => format!("NOT GOOD BEFORE {}", date(begin)),
        _ => format!("good until {}", date(end)),
    };
    let names = match certificate.names.is_empty() {
        true => "no name".to_owned(),
        false => certificate.names.join(", "),
    };
    let subject = match &*certificate.subject {
        "" => "no subject",
        subject => subject,
    };
    format!("{subject} for {names}, {validity}")
}

fn entry(report: &mut String, name: &str, value: &str) {
    // Writing to a text does not fail.
    let _ = writeln!(report, "  {name:<9} {value}");
}

/// That it stops, and for whom it waits.
pub(super) fn stopping(server: &Server) -> String {
    let deadline = server.settings().shutdown_deadline;
    format!(
        "stopping: {} open; requests in progress have {} s to end, Ctrl-C again ends them at once",
        connections(server.connection_count()),
        deadline.as_secs_f64()
    )
}

/// So many connections.
pub(super) fn connections(count: u64) -> String {
    counted(count, "connection")
}

fn counted(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

fn urls(settings: &Settings) -> Vec<String> {
    let mut urls = Vec::new();
    if settings.host.is_some() || settings.port.is_some() || settings.bindings.is_empty() {
        let host = settings.host.as_deref().unwrap_or("localhost");
        let (scheme, port) = match settings.ssl.enabled {
            true => ("https", 8443),
            false => ("http", 8080),
        };
        urls.push(format!(
            "{scheme}://{host}:{}/",
            settings.port.unwrap_or(port)
        ));
    }
    urls.extend(settings.bindings.iter().map(ToString::to_string));
    urls
}

pub(super) fn endpoints(server: &Server) -> String {
    let mut texts: Vec<_> = server
        .endpoints()
        .into_iter()
        .map(|endpoint| match endpoint {
            Endpoint::Tcp(address) => address.to_string(),
            Endpoint::Unix(path) => format!("unix:{}", path.display()),
        })
        .collect();
    texts.sort();
    texts.join(", ")
}

fn mode(settings: &Settings) -> String {
    let tune = &settings.fine_tune;
    let queue = format!(
        "a queue of {}",
        counted(tune.queue_length.into(), "request")
    );
    match tune.operating_mode {
        OperatingMode::HighPerf => format!(
            "high-perf: requests are handled where they are read, {} answered later at most, {queue}",
            u64::from(settings.thread_pool_size) * u64::from(tune.accepts_per_worker)
        ),
        _ => format!(
            "classic: {}, {queue}",
            counted(settings.thread_pool_size.into(), "handler thread")
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_certificate_tells_its_subject_and_end() {
        let at = |days: u64| UNIX_EPOCH + Duration::from_secs(days * 86_400);
        let mut certificate = CertificateInfo {
            subject: "CN=localhost".to_owned(),
            names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            thumbprint: String::new(),
            not_before: at(10),
            not_after: at(20),
        };
        assert_eq!(
            described(&certificate, at(15)),
            "CN=localhost for localhost, 127.0.0.1, good until Wed, 21 Jan 1970 00:00:00 GMT"
        );
        assert!(described(&certificate, at(21)).contains("EXPIRED Wed, 21 Jan"));
        assert!(described(&certificate, at(9)).contains("NOT GOOD BEFORE Sun, 11 Jan"));
        certificate.names.clear();
        certificate.subject.clear();
        assert!(described(&certificate, at(15)).starts_with("no subject for no name, good"));
    }
}
