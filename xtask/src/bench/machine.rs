//! What the results say about the machine and the versions measured.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use super::places::{Places, find_program};

/// Whether the process may make namespaces and change to other users.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// The processors of a run: the server's, and the load's.
///
/// On a machine with one processor they share it, which the results then say.
pub(crate) fn processors() -> (usize, usize) {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    (0, if count > 1 { 1 } else { 0 })
}

/// Open files a process may have at most, after it has raised its limit.
pub(crate) fn descriptors_max() -> usize {
    read("/proc/self/limits")
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(1024)
}

/// Lines that describe machine, kernel, date and build.
pub(crate) fn description(places: &Places) -> Vec<String> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = first_number(&read("/proc/meminfo"), "MemTotal:") / (1 << 20);
    let kernel = output("uname", &["-srm"]);
    let date = output("date", &["--utc", "+%F %H:%M UTC"]);
    let load = read("/proc/loadavg")
        .split(' ')
        .next()
        .unwrap_or_default()
        .to_owned();
    let commit = output_in(places, "git", &["rev-parse", "--short", "HEAD"]);
    let changed = output_in(
        places,
        "git",
        &["status", "--porcelain", "--untracked-files=no"],
    );
    let state = if changed.is_empty() {
        ""
    } else {
        ", with changes that are not committed"
    };
    vec![
        format!(
            "Machine: {processors} × {}, {memory} GiB",
            processor_model()
        ),
        format!("Kernel: {kernel}, {}", virtualization()),
        format!("Date: {date}; load of the machine before the run: {load}"),
        format!("Commit: {commit}{state}"),
        format!(
            "Build: {}; release profile: opt-level 3, fat LTO, one codegen unit, panic = unwind, no \
             target-cpu; the Rust peers have the same",
            output("rustc", &["--version"])
        ),
    ]
}

/// Name and version of each peer of HTTP/1.1 that is there.
pub(crate) fn http1_peer_versions(places: &Places) -> Vec<String> {
    let packages = ["hyper", "axum", "actix-web", "may_minihttp", "may", "tokio"];
    let mut versions = locked_versions(places, &packages);
    versions.extend(bun_version(places));
    for (program, flag) in [("nginx", "-v"), ("h2o", "-v"), ("haproxy", "-v")] {
        versions.extend(program_version(program, flag));
    }
    versions
}

/// Name and version of each peer that serves files or forwards, and is there.
pub(crate) fn content_peer_versions() -> Vec<String> {
    [
        ("nginx", "-v"),
        ("h2o", "-v"),
        ("haproxy", "-v"),
        ("caddy", "version"),
    ]
    .into_iter()
    .filter_map(|(program, flag)| program_version(program, flag))
    .collect()
}

/// Name and version of each peer over TLS and of HTTP/2 that is there, and of their libraries for TLS.
pub(crate) fn tls_peer_versions(places: &Places) -> Vec<String> {
    let packages = [
        "hyper",
        "h2",
        "rustls",
        "aws-lc-rs",
        "tokio-rustls",
        "tokio",
    ];
    let mut versions = locked_versions(places, &packages);
    for (program, flag) in [
        ("nginx", "-v"),
        ("h2o", "-v"),
        ("haproxy", "-v"),
        ("nghttpd", "--version"),
        ("openssl", "version"),
    ] {
        versions.extend(program_version(program, flag));
    }
    versions
}

/// Name and version of each peer of WebSocket that is there.
pub(crate) fn websocket_peer_versions(places: &Places) -> Vec<String> {
    let packages = ["tokio-tungstenite", "fastwebsockets", "hyper", "tokio"];
    let mut versions = locked_versions(places, &packages);
    versions.extend(bun_version(places));
    versions.extend(program_version("node", "--version"));
    let manifest = read(&places.ws().join("package.json").to_string_lossy());
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap_or_default();
    if let Some(version) = manifest["version"].as_str() {
        versions.push(format!("ws {version}"));
    }
    versions
}

fn locked_versions(places: &Places, packages: &[&str]) -> Vec<String> {
    let lock = fs::read_to_string(places.peers().join("Cargo.lock")).unwrap_or_default();
    packages
        .iter()
        .filter_map(|name| Some(format!("{name} {}", locked_version(&lock, name)?)))
        .collect()
}

fn bun_version(places: &Places) -> Option<String> {
    let path = places.bun();
    path.exists()
        .then(|| format!("Bun {}", output(&path.to_string_lossy(), &["--version"])))
}

fn program_version(program: &str, flag: &str) -> Option<String> {
    let path = find_program(program)?;
    let text = output(&path.to_string_lossy(), &[flag]);
    let version = text.split([' ', '/', 'v']).find(|word| is_version(word))?;
    Some(format!("{program} {version}"))
}

/// The version of a package in the text of a lock file.
fn locked_version<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let after = lock
        .split_once(&format!("name = \"{name}\"\nversion = \""))?
        .1;
    after.split('"').next()
}

fn is_version(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.')
}

fn processor_model() -> String {
    read("/proc/cpuinfo")
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or_else(
            || "processor of unknown model".to_owned(),
            |rest| rest.trim_start_matches([' ', '\t', ':']).to_owned(),
        )
}

fn virtualization() -> &'static str {
    let flags = read("/proc/cpuinfo");
    let virtual_machine = flags
        .lines()
        .filter(|line| line.starts_with("flags"))
        .any(|line| line.split(' ').any(|flag| flag == "hypervisor"));
    if virtual_machine {
        "in a virtual machine"
    } else {
        "not virtualized"
    }
}

fn first_number(text: &str, label: &str) -> u64 {
    text.lines()
        .find_map(|line| {
            line.strip_prefix(label)?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// First line of what a program prints, on either stream; empty when it cannot be run.
fn output(program: &str, arguments: &[&str]) -> String {
    first_line(Command::new(program).args(arguments))
}

fn output_in(places: &Places, program: &str, arguments: &[&str]) -> String {
    first_line(
        Command::new(program)
            .args(arguments)
            .current_dir(&places.root),
    )
}

fn first_line(command: &mut Command) -> String {
    let Ok(output) = command.output() else {
        return String::new();
    };
    let text = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    String::from_utf8_lossy(&text)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_version_is_that_of_the_whole_name() {
        let lock = "[[package]]\nname = \"hyper-util\"\nversion = \"0.1.21\"\n\n\
                    [[package]]\nname = \"hyper\"\nversion = \"1.12.0\"\n";
        assert_eq!(locked_version(lock, "hyper"), Some("1.12.0"));
        assert_eq!(locked_version(lock, "axum"), None);
    }

    #[test]
    fn first_number_follows_its_label() {
        assert_eq!(first_number("A: 1 kB\nMemTotal:  25 kB\n", "MemTotal:"), 25);
        assert_eq!(first_number("A: 1 kB\n", "MemTotal:"), 0);
    }
}
