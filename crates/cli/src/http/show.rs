//! What is shown of the store. Labels and their places are a contract for scripts.
//!
//! Source: output of `netsh http` in the field; http-server-api §13.

use std::fmt::Write as _;

use tidegate::{CacheSettings, ErrorCode, HttpConfiguration, UrlPrefix};

use super::Failure;

/// A heading, underlined, with an empty line on both sides.
pub(super) fn heading(text: &str) -> String {
    format!("\n{text}\n{}\n\n", "-".repeat(text.len()))
}

/// Reservations: all, or that of one URL.
pub(super) fn reservations(
    all: &HttpConfiguration,
    wanted: Option<&UrlPrefix>,
) -> Result<String, Failure> {
    let mut text = heading("URL Reservations:");
    let found = all.reservations().iter();
    let found = found.filter(|found| wanted.is_none_or(|wanted| found.prefix == *wanted));
    let mut count = 0;
    for reservation in found {
        count += 1;
        // Writing to a text does not fail.
        let _ = writeln!(text, "    Reserved URL            : {}", reservation.prefix);
        for (account, rights) in reservation.list.entries() {
            let _ = writeln!(text, "        User: {account}");
            let _ = writeln!(text, "            Listen: {}", yes(rights.listen));
            let _ = writeln!(text, "            Delegate: {}", yes(rights.delegate));
        }
        let _ = writeln!(text, "            SDDL: {}\n", reservation.list);
    }
    match (count, wanted) {
        (0, Some(wanted)) => Err(Failure::new(
            ErrorCode::FileNotFound,
            format_args!("{wanted} is not reserved"),
        )),
        _ => Ok(text),
    }
}

fn yes(is: bool) -> &'static str {
    match is {
        true => "Yes",
        false => "No",
    }
}

/// The addresses listened on.
pub(super) fn listen_addresses(all: &HttpConfiguration) -> String {
    let mut text = heading("IP addresses present in the IP listen list:");
    for address in all.listen_addresses() {
        let _ = writeln!(text, "    {address}");
    }
    text
}

/// The timeouts of the service.
pub(super) fn timeouts(all: &HttpConfiguration) -> String {
    let mut text = heading("Timeout parameters:");
    for (label, seconds) in [
        (
            "Idle connection timeout (secs)",
            all.idle_connection_timeout(),
        ),
        ("Header wait timeout (secs)", all.header_wait_timeout()),
    ] {
        let _ = writeln!(text, "    {label}: {}", seconds.unwrap_or(TIMEOUT_DEFAULT));
    }
    text
}

/// The cache's parameters.
pub(super) fn cache_parameters(all: &HttpConfiguration) -> String {
    let bytes = all.cache_response_bytes_max();
    let bytes = bytes.unwrap_or_else(|| CacheSettings::default().max_response_bytes);
    let mut text = heading("Cache parameters:");
    let _ = writeln!(
        text,
        "    maxcacheresponsesize (per-uri cache limit): {bytes} bytes"
    );
    text.push_str("    cacherangechunksize (range chunk size): (null)\n");
    text
}

/// Settings of the service: there is none.
pub(super) fn settings() -> String {
    format!(
        "{}    sslthrottle: (null)\n",
        heading("Setting parameters:")
    )
}

const TIMEOUT_DEFAULT: u16 = 120;
