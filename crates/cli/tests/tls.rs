//! Certificates as users of the program meet them: made, named wrongly, missing.
//!
//! What clients make of https is the client suites' matter.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[allow(dead_code, reason = "the other suites use the rest")]
mod program;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use program::{Program, free_port, start};
use tempfile::TempDir;

fn tidegate(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_self_signed_certificate_is_made_and_told_how_to_use() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["cert", "self-signed", "localhost", "127.0.0.1"];
    let made = tidegate(folder.path(), &arguments);
    let said = text(&made.stdout);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    assert!(
        said.contains(
            "tidegate serve --listen https://localhost:8443/ --listen https://127.0.0.1:8443/ \
             --tls-cert ./localhost.crt --tls-key ./localhost.key"
        ),
        "{said}"
    );
    let mode = |name: &str| {
        let metadata = folder.path().join(name).metadata().unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode("localhost.key"), 0o600);
    // Not for its owner alone, as far as the user's mask lets others read at all.
    let file = tempfile::Builder::new()
        .make_in(folder.path(), |path| std::fs::File::create_new(path))
        .unwrap();
    let usual = file.as_file().metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("localhost.crt"), usual);
    let again = tidegate(folder.path(), &arguments);
    assert_eq!(again.status.code(), Some(1));
    let said = text(&again.stderr);
    assert!(
        said.contains("is there already") && said.contains("--force"),
        "{said}"
    );
    let forced = tidegate(folder.path(), &[&arguments[..], &["--force"]].concat());
    assert_eq!(forced.status.code(), Some(0));
    assert_eq!(mode("localhost.key"), 0o600);
}

#[test]
fn a_name_that_is_none_is_a_wrong_command_line() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["cert", "self-signed"][..],
        &["cert", "self-signed", "https://localhost"],
        &["cert", "self-signed", "localhost", "--days", "826"],
        &["cert"],
    ] {
        let refused = tidegate(folder.path(), arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn https_without_a_certificate_says_how_to_make_one() {
    let url = format!("https://localhost:{}/", free_port());
    let output = start(&["--listen", &url]).unwrap_err();
    let wanted = format!("error: {url} has no certificate\n");
    assert!(output.starts_with(&wanted), "{output}");
    assert!(
        output.contains("`tidegate cert self-signed localhost`"),
        "{output}"
    );
    assert!(output.contains("--tls-cert"), "{output}");
    assert!(output.ends_with("(exit code 1)"), "{output}");
}

#[test]
fn certificates_that_serve_nobody_are_told() {
    let empty = tempfile::tempdir().unwrap();
    let directory = empty.path().display().to_string();
    let url = format!("https://localhost:{}/", free_port());
    let output = start(&["--listen", &url, "--tls-directory", &directory])
        .unwrap()
        .output();
    assert!(output.contains("certs     NONE"), "{output}");
    let url = format!("http://localhost:{}/", free_port());
    let output = Certificates::make()
        .serve(&["--listen", &url], "localhost.key")
        .unwrap()
        .output();
    assert!(output.contains("certs     NOT USED"), "{output}");
}

#[test]
fn http_and_https_on_one_port_are_refused() {
    let folder = Certificates::make();
    let port = free_port();
    let (http, https) = (
        format!("http://localhost:{port}/"),
        format!("https://localhost:{port}/"),
    );
    let output = folder.serve(&["--listen", &http, "--listen", &https], "localhost.key");
    let output = output.unwrap_err();
    assert!(output.contains("its port carries http"), "{output}");
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_by_its_file() {
    let folder = Certificates::make();
    let url = format!("https://localhost:{}/", free_port());
    let output = folder
        .serve(&["--listen", &url], "missing.key")
        .unwrap_err();
    assert!(output.contains("cannot be used\n  because: "), "{output}");
    assert!(output.contains("missing.key"), "{output}");
    tidegate(folder.path(), &["cert", "self-signed", "other"]);
    let output = folder.serve(&["--listen", &url], "other.key").unwrap_err();
    assert!(output.contains("cannot be used\n  because: "), "{output}");
    assert!(output.contains("key"), "{output}");
}

#[test]
fn certificates_are_told_at_the_start_and_read_again_when_asked() {
    let folder = Certificates::make();
    let program = folder.serve_somewhere();
    let output = program.output();
    assert!(
        output.contains("CN=localhost for localhost, good until "),
        "{output}"
    );
    tidegate(
        folder.path(),
        &["cert", "self-signed", "localhost", "127.0.0.1", "--force"],
    );
    program.signal("HUP");
    program.output_until("SIGHUP: certificates are read again");
    let output = program.output_until("CN=localhost for localhost, 127.0.0.1, ");
    assert!(
        output.contains("CN=localhost for localhost, 127.0.0.1, "),
        "{output}"
    );
    std::fs::write(folder.path().join("localhost.key"), "no key").unwrap();
    program.signal("HUP");
    let output = program.output_until("SIGHUP: a certificate stays as it was");
    assert!(
        output.contains("SIGHUP: a certificate stays as it was"),
        "{output}"
    );
    assert_eq!(program.get("/hello").status, 200);
}

/// A folder with the certificate `localhost`.
struct Certificates(TempDir);

impl Certificates {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = tidegate(folder.path(), &["cert", "self-signed", "localhost"]);
        assert_eq!(made.status.code(), Some(0));
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn serve(&self, flags: &[&str], key: &str) -> Result<Program, String> {
        let [certificate, key] =
            ["localhost.crt", key].map(|name| self.path().join(name).display().to_string());
        let tls = ["--tls-cert", &certificate, "--tls-key", &key];
        start(&[flags, &tls].concat())
    }

    /// On a port that nobody else has.
    fn serve_somewhere(&self) -> Program {
        loop {
            let url = format!("https://localhost:{}/", free_port());
            match self.serve(&["--listen", &url], "localhost.key") {
                Ok(program) => return program,
                // Somebody else took the port meanwhile.
                Err(output) => assert!(output.contains("in use"), "{output}"),
            }
        }
    }
}
