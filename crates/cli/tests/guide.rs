//! The guide's settings files and those of the README can be served: each as it stands there, by `tidegate check`, in
//! a folder with the files that they name.

// The lint knows functions that are tests, and not what these call.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

#[test]
fn every_settings_file_of_the_guide_can_be_served() {
    let folder = folder();
    let mut checked = 0;
    for (page, number, text) in settings_files() {
        fs::write(folder.path().join("site.toml"), &text).unwrap();
        let output = program(folder.path(), &["check", "site.toml"], "");
        assert!(
            output.0,
            "{}, line {number}:\n{text}\n{}",
            page.display(),
            output.1
        );
        checked += 1;
    }
    assert!(checked > 10, "only {checked} settings files were found");
}

/// The `toml` blocks of all pages, with page and line.
fn settings_files() -> Vec<(PathBuf, usize, String)> {
    let mut found = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let mut block: Option<(usize, String)> = None;
        for (index, line) in text.lines().enumerate() {
            block = match (block, line) {
                (None, "```toml") => Some((index + 1, String::new())),
                (Some((number, text)), "```") => {
                    found.push((page.clone(), number, text));
                    None
                }
                (Some((number, text)), line) => Some((number, text + line + "\n")),
                (None, _) => None,
            };
        }
    }
    found
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let guide = fs::read_dir(root.join("crates/server/guide")).unwrap();
    let mut pages: Vec<_> = guide.map(|entry| entry.unwrap().path()).collect();
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages.push(root.join("README.md"));
    pages
}

/// A folder with what the guide's settings files name.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (name, certificate, key) in [
        ("localhost", "site.crt", "site.key"),
        ("shop.example.com", "shop.crt", "shop.key"),
    ] {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        fs::write(at(certificate), made.cert.pem()).unwrap();
        fs::write(at(key), made.signing_key.serialize_pem()).unwrap();
    }
    fs::copy(at("site.crt"), at("clients.pem")).unwrap();
    for name in ["public", "downloads"] {
        fs::create_dir(at(name)).unwrap();
    }
    let token = "0123456789abcdef0123456789abcdef";
    fs::write(at("metrics.token"), token).unwrap();
    fs::write(at("drop.txt"), "203.0.113.0/24 # documentation\n").unwrap();
    // The key of RFC 7517, appendix A.1.
    let keys = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","use":"sig","alg":"ES256",
        "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;
    fs::write(at("keys.json"), keys).unwrap();
    // As the guide says.
    for (words, input) in [
        (
            &["user", "add", "alice", "--file", "users", "--digest"][..],
            "secret\n",
        ),
        (
            &["apikey", "--file", "keys", "issue", "--owner", "shop"],
            "",
        ),
    ] {
        let output = program(folder.path(), words, input);
        assert!(output.0, "{words:?}: {}", output.1);
    }
    folder
}

/// Whether the program is content, and what it says.
fn program(folder: &Path, words: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(words)
        .current_dir(folder)
        .env("XDG_STATE_HOME", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}
