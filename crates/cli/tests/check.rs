//! What the program says of settings files, and what it makes for shells and manuals.

// The lint knows functions that are tests, and these are called by them alone.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::{Command, Output};

fn tidegate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .output()
        .unwrap()
}

/// Checks a settings file of this content.
fn check(content: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("site.toml");
    fs::write(
        &file,
        content.replace("FOLDER", &folder.path().display().to_string()),
    )
    .unwrap();
    let output = tidegate(&["check", &file.display().to_string()]);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn a_file_that_can_be_served() {
    let (code, said) = check("port = 8099\n\n[[files]]\nroot = \"FOLDER\"\n");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("can be served"), "{said}");
    assert!(said.contains("http://localhost:8099/"), "{said}");
}

#[test]
fn files_that_cannot_be_served() {
    for (content, told) in [
        (
            "prot = 8080\n",
            "line 1: unknown key `prot`; did you mean `port`?",
        ),
        ("\n[timeouts]\nidle_connection = \"x\"\n", "line 3"),
        ("[[files]]\nroot = \"FOLDER/missing\"\n", "missing"),
        (
            "bindings = [\"https://localhost:8443/\"]\n[ssl]\ncertificate = \"FOLDER/none.crt\"\nkey = \"FOLDER/none.key\"\n",
            "none.crt",
        ),
        ("bindings = [\"https://localhost:8443/\"]\n", "certificate"),
        (
            "bindings = [\"http://+:8099/\", \"http://+:8099/\"]\n",
            "http://+:8099/ is registered already",
        ),
        (
            "bindings = [\"http://+:8099/\"]\n[metrics]\nenabled = true\nurl = \"https://+:8099/metrics/\"\n",
            "its port carries http",
        ),
    ] {
        let (code, said) = check(content);
        assert_eq!(code, Some(2), "{content}: {said}");
        assert!(said.contains(told), "{content}: {said}");
    }
}

#[test]
fn a_file_that_is_not_there() {
    let output = tidegate(&["check", "no-such-file.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no-such-file.toml"), "{said}");
}

#[test]
fn completions_for_each_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = tidegate(&["completions", shell]);
        assert!(output.status.success());
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(script.contains("shutdown-deadline"), "{shell}");
    }
}

#[test]
fn a_page_of_the_manual_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    let output = tidegate(&["man", &pages.display().to_string()]);
    assert!(output.status.success(), "{output:?}");
    for (page, tells) in [
        ("tidegate.1", "tidegate"),
        ("tidegate-serve.1", "shutdown\\-deadline"),
        ("tidegate-check.1", "SITE.toml"),
        ("tidegate-cert-self-signed.1", "self\\-signed"),
    ] {
        let text = fs::read_to_string(pages.join(page)).unwrap();
        assert!(text.contains(tells), "{page}");
    }
}
