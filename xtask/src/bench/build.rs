//! Builds what is measured, and gets the peers that are missing when asked to.
//!
//! A part that cannot be built is said so and left out of the tables; the rest is measured.

use std::path::Path;
use std::process::Command;

use super::error::BenchError;
use super::places::{BUN_PACKAGE, Places, WS_PACKAGE, find_program};
use super::process;

/// Builds the load generator, our servers and the Rust peers.
pub(crate) fn all(places: &Places, install: bool) -> Result<(), BenchError> {
    // Without the generator there is nothing to measure with; everything else may be missing.
    cargo(&places.root, &["-p", "bench-generator"])?;
    for arguments in OURS {
        complain(cargo(&places.root, arguments));
    }
    let peers = places.peers();
    if install || peers.join("target").exists() {
        let target = peers.join("target");
        let target = target.to_string_lossy();
        for packages in PEERS {
            let arguments = [&["--locked", "--target-dir", &target], packages].concat();
            complain(cargo(&peers, &arguments));
        }
    }
    if install {
        complain(install_npm_packages(places));
        complain(install_debian_packages());
    }
    Ok(())
}

fn cargo(folder: &Path, arguments: &[&str]) -> Result<(), BenchError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(folder)
        .args(["build", "--release", "--quiet"])
        .args(arguments);
    process::run_to_end(&mut command).map(|_| ())
}

/// Both at once: npm removes what it is not told of.
fn install_npm_packages(places: &Places) -> Result<(), BenchError> {
    if places.bun().exists() && places.ws().exists() {
        return Ok(());
    }
    let mut command = Command::new("npm");
    command.args([
        "install",
        "--no-save",
        "--no-audit",
        "--no-fund",
        "--prefix",
    ]);
    command.arg(places.tools()).args([BUN_PACKAGE, WS_PACKAGE]);
    process::run_to_end(&mut command).map(|_| ())
}

/// The packages start services of their own, which are stopped: they are not what is measured.
fn install_debian_packages() -> Result<(), BenchError> {
    let missing: Vec<(&str, &str)> = DEBIAN_PACKAGES
        .into_iter()
        .filter(|(program, _)| find_program(program).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command.args(["install", "--yes", "--no-install-recommends"]);
    command.args(missing.iter().map(|(_, package)| package));
    process::run_to_end(&mut command)?;
    for (program, _) in missing {
        complain(process::run_to_end(Command::new("service").args([program, "stop"])).map(|_| ()));
    }
    Ok(())
}

fn complain(result: Result<(), BenchError>) {
    if let Err(error) = result {
        eprintln!("bench: {error}");
    }
}

/// Each is built alone, so that no package gets features for another's sake.
const OURS: [&[&str]; 3] = [
    &["-p", "bench-subject"],
    &["-p", "tidegate-cli"],
    &[
        "-p",
        "tidegate-os",
        "--example",
        "bare",
        "--example",
        "bare_websocket",
    ],
];

/// The peers without TLS and HTTP/2, which are the default, and those with.
const PEERS: [&[&str]; 2] = [&[], &["-p", "peer-hyper-tls", "-p", "peer-rustls"]];

/// Program and package.
const DEBIAN_PACKAGES: [(&str, &str); 6] = [
    ("nginx", "nginx-light"),
    ("h2o", "h2o"),
    ("haproxy", "haproxy"),
    ("caddy", "caddy"),
    ("nghttpd", "nghttp2-server"),
    ("openssl", "openssl"),
];
