//! Users and API keys, made by the program's own commands, and a server that asks for them.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[allow(dead_code, reason = "other tests use the rest of it")]
mod program;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use program::{Program, everywhere_with};

/// Runs a command of the program, with this on its standard input.
fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that wants none may have ended.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn succeed(arguments: &[&str], input: &str) -> String {
    let output = run(arguments, input);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn status(program: &Program, path: &str, fields: &str) -> u16 {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    program.ask(&request).status
}

fn until(program: &Program, path: &str, fields: &str, wanted: u16) {
    while status(program, path, fields) != wanted {
        thread::sleep(Duration::from_millis(20));
    }
}

fn settings(folder: &Path) -> String {
    let file = folder.join("settings.toml");
    let text = format!(
        "[authentication]\nenabled = true\nusers_file = {users:?}\n\
         [[authentication.paths]]\npath = \"/inspect\"\nrequired = false\n\
         [api_keys]\nenabled = true\nfile = {keys:?}\n\
         [[api_keys.paths]]\npath = \"/\"\nrequired = false\n\
         [[api_keys.paths]]\npath = \"/inspect\"\nscope = \"read\"\n",
        users = folder.join("users"),
        keys = folder.join("keys"),
    );
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

/// `alice:open sesame` and `bob:new`.
const ALICE: &str = "Authorization: Basic YWxpY2U6b3BlbiBzZXNhbWU=\r\n";
const BOB: &str = "Authorization: Basic Ym9iOm5ldw==\r\n";

#[test]
fn a_server_asks_for_what_the_commands_have_made() {
    let folder = tempfile::tempdir().unwrap();
    let (users, keys) = (folder.path().join("users"), folder.path().join("keys"));
    let (users, keys) = (users.to_str().unwrap(), keys.to_str().unwrap());
    succeed(&["user", "add", "alice", "--file", users], "open sesame\n");
    let config = settings(folder.path());
    let issue = [
        "apikey", "--file", keys, "issue", "--owner", "shop", "--scope",
    ];
    let reader = succeed(&[&issue[..], &["read"]].concat(), "");
    let writer = succeed(&[&issue[..], &["write"]].concat(), "");
    let field = |key: &str| format!("X-API-Key: {}\r\n", key.trim());
    everywhere_with(&[&config], |program| {
        assert_eq!(status(program, "/", ""), 401);
        assert_eq!(status(program, "/", ALICE), 200);
        assert_eq!(status(program, "/", ALICE), 200);
        assert_eq!(status(program, "/", BOB), 401);
        assert_eq!(status(program, "/inspect", ""), 401);
        assert_eq!(status(program, "/inspect", &field(&reader)), 200);
        assert_eq!(status(program, "/inspect", &field(&writer)), 403);
        assert_eq!(status(program, "/", &field(&reader)), 401);
        assert_eq!(status(program, "/", &format!("{ALICE}{ALICE}")), 400);
        // What is changed meanwhile counts.
        succeed(&["user", "add", "bob", "--file", users], "new\n");
        let fresh = succeed(&[&issue[..], &["read"]].concat(), "");
        until(program, "/", BOB, 200);
        until(program, "/inspect", &field(&fresh), 200);
        succeed(&["user", "remove", "bob", "--file", users], "");
        let list = succeed(&["apikey", "--file", keys, "list"], "");
        let id = list.lines().last().unwrap().split(' ').next().unwrap();
        succeed(
            &["apikey", "--file", keys, "revoke", id, "--reason", "test"],
            "",
        );
        until(program, "/", BOB, 401);
        until(program, "/inspect", &field(&fresh), 401);
        assert_eq!(status(program, "/", ALICE), 200);
    });
    assert_eq!(succeed(&["user", "list", "--file", users], ""), "alice\n");
    let audit = succeed(&["apikey", "--file", keys, "audit"], "");
    assert!(audit.lines().next().unwrap().contains("revoked"), "{audit}");
}

// What [api_keys] says of the place, the form and the passphrase counts for the command as for the server.
#[test]
fn keys_are_managed_by_the_settings_of_their_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    fs::write(file("passphrase"), "correct horse battery\n").unwrap();
    let text = format!(
        "[api_keys]\nenabled = true\nfile = {:?}\npassphrase_file = {:?}\nhash = \"sha512\"\n\
         [api_keys.format]\nprefix = \"shop_\"\nlength = 64\ncharset = \"hex\"\nchecksum = false\n",
        file("keys"),
        file("passphrase")
    );
    fs::write(file("site.toml"), text).unwrap();
    let site = file("site.toml");
    let apikey = |arguments: &[&str]| {
        let all = [&["apikey", "--settings", &site][..], arguments].concat();
        succeed(&all, "")
    };
    let key = apikey(&[
        "issue",
        "--owner",
        "a shop",
        "--rotate-days",
        "0",
        "--rate",
        "7",
    ]);
    let key = key.trim();
    let (name, random) = key.strip_prefix("shop_").unwrap().split_once('.').unwrap();
    assert_eq!((name.len(), random.len()), (16, 64));
    let output = run(&["apikey", "--file", &file("keys"), "list"], "");
    assert!(String::from_utf8_lossy(&output.stderr).contains("encrypted"));

    let new = folder.path().join("new");
    let into = new.display().to_string();
    // Nobody takes it: the old one stays as it was.
    let output = run(
        &["apikey", "--settings", &site, "rotate", "--due-into", &into],
        "",
    );
    assert!(!output.status.success());
    let statistics = apikey(&["statistics"]);
    assert!(
        statistics.contains("1  keys\n") && statistics.contains("1  due\n"),
        "{statistics}"
    );
    fs::create_dir(&new).unwrap();
    apikey(&["rotate", "--due-into", &into]);
    let files: Vec<_> = fs::read_dir(&new)
        .unwrap()
        .map(|file| file.unwrap())
        .collect();
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    assert!(file.file_name().to_str().unwrap().starts_with("a_shop-"));
    let fresh = fs::read_to_string(file.path()).unwrap();
    assert!(fresh.starts_with("shop_") && fresh.trim() != key);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert!(apikey(&["statistics"]).contains("2  active\n"));
}

#[test]
fn what_cannot_be_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (users, keys) = (folder.path().join("users"), folder.path().join("keys"));
    let (users, keys) = (users.to_str().unwrap(), keys.to_str().unwrap());
    for (arguments, input, told) in [
        (&["user", "add", "a:b", "--file", users][..], "x\n", "colon"),
        (
            &["user", "add", "a", "--file", users],
            "\n",
            "must not be empty",
        ),
        (&["user", "list", "--file", users], "", "cannot be read"),
        (
            &["user", "remove", "a", "--file", users],
            "",
            "cannot be read",
        ),
        (&["apikey", "--file", keys, "list"], "", "there is no"),
        (&["apikey", "list"], "", "--file"),
        (
            &["apikey", "--file", keys, "revoke", "12"],
            "",
            "16 hexadecimal",
        ),
        (
            &[
                "apikey", "--file", keys, "issue", "--owner", "a", "--scope", "b c",
            ],
            "",
            "is no scope",
        ),
        (&["apikey", "--file", keys, "import"], "{}", "not an export"),
    ] {
        let output = run(arguments, input);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(errors.contains(told), "{arguments:?}: {errors}");
    }
}
