//! What a person is told about a server's start and end.

use std::fmt::Write as _;

use tidegate::{Endpoint, OperatingMode, Server, Settings};

/// What it serves, where, and how.
pub(super) fn started(server: &Server) -> String {
    let settings = server.settings();
    let info = server.backend_info();
    let mut report = format!(
        "tidegate {} serves the demonstration site\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut line = |name: &str, value: &str| {
        // Writing to a text does not fail.
        let _ = writeln!(report, "  {name:<9} {value}");
    };
    for (index, url) in urls(&settings).iter().enumerate() {
        line(if index == 0 { "URLs" } else { "" }, url);
    }
    line("listening", &endpoints(server));
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
    report.push_str("Ctrl-C stops it.");
    report
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
        urls.push(format!("http://{host}:{}/", settings.port.unwrap_or(8080)));
    }
    urls.extend(settings.bindings.iter().map(ToString::to_string));
    urls
}

fn endpoints(server: &Server) -> String {
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
