//! `tidegate http` on a store, and `tidegate serve` that heeds it.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[allow(dead_code, reason = "other tests use the rest of it")]
mod program;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use program::{Program, free_port, start};
use tempfile::TempDir;

/// A store in a folder of its own.
struct Store(TempDir);

impl Store {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> String {
        self.0.path().join("http.toml").display().to_string()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.env("TIDEGATE_STORE", self.path()).arg("http");
        command.current_dir(self.0.path());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command().args(words).output().unwrap()
    }

    fn done(&self, line: &str) -> String {
        let words: Vec<_> = line.split_whitespace().collect();
        let output = self.run(&words);
        assert_eq!(output.status.code(), Some(0), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn serve(&self, url: &str) -> Result<Program, String> {
        let flags = [
            "--io-threads",
            "1",
            "--store",
            &self.path(),
            "--listen",
            url,
        ];
        start(&flags)
    }

    /// A folder with the certificate `NAME`.
    fn certificate(&self, name: &str) {
        let made = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["cert", "self-signed", name])
            .current_dir(self.0.path())
            .output()
            .unwrap();
        assert!(made.status.success());
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The status that a host's path is answered with.
fn status(port: u16, host: &str, path: &str) -> u16 {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap_or_default();
    status.parse().unwrap_or(0)
}

/// Waits for a condition: the server looks at the store once a second.
fn eventually(what: &str, condition: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < patience, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Serves `URL` with PORT replaced by one that nobody else has.
fn serve_somewhere(store: &Store, url: &str) -> (Program, u16) {
    loop {
        let port = free_port();
        match store.serve(&url.replace("PORT", &port.to_string())) {
            Ok(program) => return (program, port),
            // Somebody else took the port meanwhile.
            Err(output) => assert!(output.contains("in use"), "{output}"),
        }
    }
}

// T15: success is a sentence, failure the operation with its number and text, and a code.
#[test]
fn commands_end_as_netshs_do() {
    let store = Store::new();
    let add = [
        "add",
        "urlacl",
        "url=http://+:80/vroot/",
        "user=DOMAIN\\user",
    ];
    let first = store.run(&add);
    assert_eq!(
        text(&first.stdout),
        "URL reservation successfully added\n\n"
    );
    assert_eq!(first.status.code(), Some(0));
    let second = store.run(&add);
    assert_eq!(
        text(&second.stdout),
        "Url reservation add failed, Error: 183\nCannot create a file when that file already exists.\n\n"
    );
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("is reserved already"));
    let shown = store.run(&["SHOW", "URLACL", "http://+:80/other/"]);
    assert_eq!(
        text(&shown.stdout),
        "\nURL Reservations:\n-----------------\n\nThe system cannot find the file specified.\n\n"
    );
    assert_eq!(shown.status.code(), Some(1));
    let wrong = store.run(&["add", "urlacl", "uri=1"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert_eq!(text(&wrong.stdout), "The parameter is incorrect.\n");
    assert!(text(&wrong.stderr).contains("`uri` is no parameter"));
    let help = store.run(&["?"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("delete sslcert"));
}

#[test]
fn a_broken_store_is_told_of_and_left_alone() {
    let store = Store::new();
    let broken = "[timeout]\nheaderwaittimeout = 0\n";
    fs::write(store.path(), broken).unwrap();
    let refused = store.run(&["add", "iplisten", "127.0.0.1"]);
    assert_eq!(refused.status.code(), Some(1));
    let told = text(&refused.stderr);
    assert!(told.contains("line 2, `headerwaittimeout`: "), "{told}");
    assert_eq!(fs::read_to_string(store.path()).unwrap(), broken);
    let told = store.serve("http://localhost:8080/").unwrap_err();
    assert!(told.contains("line 2, `headerwaittimeout`: "), "{told}");
}

/// One of everything, with certificates that can be read.
fn fill(store: &Store) {
    store.certificate("localhost");
    fs::create_dir(store.0.path().join("my certificates")).unwrap();
    for name in ["localhost.crt", "localhost.key"] {
        let copy = store.0.path().join("my certificates").join(name);
        fs::copy(store.0.path().join(name), copy).unwrap();
    }
    for line in [
        "add urlacl http://+:80/vroot/ DOMAIN\\user",
        "add urlacl url=http://*:5357/ sddl=D:(A;;GX;;;BU)(A;;GA;;;alice)",
        "add iplisten 127.0.0.1",
        "add iplisten ::",
        "add timeout idleconnectiontimeout 60",
        "add cacheparam maxcacheresponsesize 8192",
        "add sslcert ipport=[::1]:443 certfile=localhost.crt keyfile=localhost.key \
         appid={4dc3e181-e14b-4a21-b022-59fc669b0914} disablehttp2=enable enablesessionticket=disable \
         clientca=localhost.crt reject=enable",
    ] {
        store.done(line);
    }
    let folder = ["add", "sslcert", "ccs=443", "certstorename=my certificates"];
    assert!(store.run(&folder).status.success());
    let shown = store.done("show sslcert [::1]:443");
    let hash = shown.lines().find(|line| line.contains("Certificate Hash"));
    let hash = hash.unwrap().split(" : ").nth(1).unwrap();
    assert_eq!(hash.len(), 40);
    let by_hash = format!("certhash={}", hash.to_uppercase());
    let folder = [
        "add",
        "sslcert",
        "h:443",
        &by_hash,
        "certstorename=my certificates",
    ];
    let added = store.run(&folder);
    assert_eq!(
        text(&added.stdout),
        "SSL Certificate successfully added\n\n"
    );
}

#[test]
fn certificates_are_shown_with_all_labels() {
    let store = Store::new();
    fill(&store);
    let folder = store.0.path().display().to_string();
    let shown = store.done("show sslcert ipport=[::1]:443");
    let hash = shown.lines().find(|line| line.contains("Certificate Hash"));
    let hash = hash.unwrap().split(" : ").nth(1).unwrap();
    let wanted = format!(
        "
SSL Certificate bindings:
-------------------------

    IP:port                      : [::1]:443
    Certificate Hash             : {hash}
    Application ID               : {{4dc3e181-e14b-4a21-b022-59fc669b0914}}
    Certificate Store Name       : (null)
    Verify Client Certificate Revocation : Disabled
    Verify Revocation Using Cached Client Certificate Only : Disabled
    Usage Check                  : Enabled
    Revocation Freshness Time    : 0
    URL Retrieval Timeout        : 0
    Ctl Identifier               : (null)
    Ctl Store Name               : (null)
    DS Mapper Usage              : Disabled
    Negotiate Client Certificate : Enabled
    Reject Connections           : Enabled
    Disable HTTP2                : Set
    Disable QUIC                 : Set
    Disable TLS1.2               : Not Set
    Disable TLS1.3               : Not Set
    Disable OCSP Stapling        : Not Set
    Enable Token Binding         : Not Set
    Log Extended Events          : Not Set
    Disable Legacy TLS Versions  : Set
    Enable Session Ticket        : Not Set
    Disable Session ID           : Not Set
    Certificate File             : {folder}/localhost.crt
    Key File                     : {folder}/localhost.key
    PKCS12 File                  : (null)
    Password File                : (null)
    Client Authorities File      : {folder}/localhost.crt
    Client Revocation File       : (null)
    OCSP Response File           : (null)

"
    );
    assert_eq!(shown, wanted);
    let named = store.done("show sslcert hostnameport=h:443");
    assert!(
        named.contains("    Hostname:port                : h:443\n"),
        "{named}"
    );
    assert!(named.contains(&format!("    Certificate Hash             : {hash}\n")));
    let central = store.done("show sslcert ccs=443");
    assert!(
        central.contains("    Central Certificate Store    : 443\n"),
        "{central}"
    );
    assert!(
        central.contains("    Certificate Hash             : (null)\n"),
        "{central}"
    );
    store.done("update sslcert ipport=[::1]:443 reject=disable disabletls12=enable");
    let updated = store.done("show sslcert [::1]:443");
    assert!(
        updated.contains("Reject Connections           : Disabled\n"),
        "{updated}"
    );
    assert!(
        updated.contains("Disable TLS1.2               : Set\n"),
        "{updated}"
    );
    assert!(
        updated.contains("Disable HTTP2                : Set\n"),
        "{updated}"
    );
}

#[test]
fn what_is_dumped_makes_the_same_again() {
    let store = Store::new();
    fill(&store);
    let kept = fs::read_to_string(store.path()).unwrap();
    let script = store.done("dump");
    // Each line given back by a shell.
    let again = Store::new();
    for line in script
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let program = env!("CARGO_BIN_EXE_tidegate");
        let done = Command::new("sh")
            .args(["-c", &format!("{program} http {line}")])
            .env("TIDEGATE_STORE", again.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{line}: {done:?}");
    }
    assert_eq!(fs::read_to_string(again.path()).unwrap(), kept);
    // And as a script.
    let third = Store::new();
    let file = third.0.path().join("script");
    fs::write(&file, script).unwrap();
    third.done(&format!("exec {}", file.display()));
    assert_eq!(fs::read_to_string(third.path()).unwrap(), kept);
}

// A program that is killed while it writes: what it has told is kept is there, and the file can be read.
#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_told() {
    let store = Store::new();
    let mut told = Vec::new();
    for round in 0..12 {
        let mut child = store
            .command()
            .args(["exec", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let urls: Vec<_> = (0..200)
            .map(|number| format!("http://+:80/{round}/{number}/"))
            .collect();
        let lines: String = urls
            .iter()
            .map(|url| format!("add urlacl {url} alice\n"))
            .collect();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(lines.as_bytes())
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut count = 0;
        for line in output.lines().map_while(Result::ok) {
            if line.contains("successfully added") {
                told.push(urls[count].clone());
                count += 1;
            }
            if count == 1 + round * 4 {
                // SIGKILL. Lines on their way are still read.
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let shown = store.done("show urlacl");
        for url in &told {
            let line = format!("    Reserved URL            : {url}\n");
            assert!(shown.contains(&line), "{url} in round {round}");
        }
    }
    assert!(told.len() > 100);
}

// N13, N14, N15.
#[test]
fn a_reservation_blocks_lower_listeners_until_it_is_deleted() {
    let store = Store::new();
    let (program, port) = serve_somewhere(&store, "http://*:PORT/");
    assert_eq!(status(port, "adatum.com", "/hello"), 200);
    store.done(&format!("add urlacl http://adatum.com:{port}/ B"));
    eventually("adatum.com is blocked", || {
        status(port, "adatum.com", "/hello") == 503
    });
    assert_eq!(status(port, "other.com", "/hello"), 200);
    store.done(&format!("delete urlacl http://adatum.com:{port}/"));
    store.done(&format!("add urlacl http://+:{port}/ svc"));
    eventually("all is blocked", || {
        status(port, "other.com", "/hello") == 503
    });
    store.done(&format!("delete urlacl http://+:{port}/"));
    eventually("nothing is blocked", || {
        status(port, "other.com", "/hello") == 200
    });
    assert_eq!(status(port, "adatum.com", "/hello"), 200);
    // What cannot be leaves all as it was, and is told.
    store.done(&format!("add urlacl https://+:{port}/ svc"));
    let told = program.output_until("is refused, all stays as it was");
    assert!(
        told.contains("cannot be added: its port carries http"),
        "{told}"
    );
    assert_eq!(status(port, "other.com", "/hello"), 200);
}

#[test]
fn what_is_reserved_for_others_cannot_be_served() {
    let store = Store::new();
    let port = free_port();
    store.done(&format!("add urlacl http://+:{port}/ somebody-else"));
    let told = store.serve(&format!("http://+:{port}/a/")).unwrap_err();
    assert!(
        told.contains(&format!("http://+:{port}/a/ is not for ")),
        "{told}"
    );
    assert!(told.contains("tidegate http add urlacl"), "{told}");
    assert!(told.contains("(exit code 1)"), "{told}");
    // Nobody is asked without a store, and another host is another's matter.
    let flags = ["--io-threads", "1", "--store", "none", "--listen"];
    drop(start(&[&flags[..], &[&format!("http://+:{port}/a/")]].concat()).unwrap());
    drop(store.serve(&format!("http://localhost:{port}/a/")).unwrap());
}

#[test]
fn https_without_a_certificate_of_its_own_takes_the_stores() {
    let store = Store::new();
    for name in ["localhost", "second.example"] {
        store.certificate(name);
    }
    let port = free_port();
    let told = store.serve(&format!("https://+:{port}/")).unwrap_err();
    assert!(told.contains("has no certificate"), "{told}");
    store.done(&format!(
        "add sslcert 0.0.0.0:{port} certfile=localhost.crt keyfile=localhost.key"
    ));
    let program = store.serve(&format!("https://+:{port}/")).unwrap();
    let told = program.output();
    assert!(
        told.contains("certs     CN=localhost for localhost"),
        "{told}"
    );
    store.done(&format!(
        "update sslcert 0.0.0.0:{port} certfile=second.example.crt keyfile=second.example.key"
    ));
    let told = program.output_until("CN=second.example");
    assert!(
        told.contains("CN=second.example for second.example"),
        "{told}"
    );
    // The last certificate of a port that needs one stays.
    store.done(&format!("delete sslcert 0.0.0.0:{port}"));
    let told = program.output_until("is refused, all stays as it was");
    assert!(told.contains("has no certificate"), "{told}");
}

#[test]
fn listed_addresses_are_listened_on_and_no_others() {
    let store = Store::new();
    store.done("add iplisten 127.0.0.1");
    let (program, port) = serve_somewhere(&store, "http://+:PORT/");
    let told = program.output();
    let listening = told
        .lines()
        .find(|line| line.contains("listening"))
        .unwrap();
    assert!(listening.contains(&format!("127.0.0.1:{port}")), "{told}");
    assert!(
        !listening.contains("0.0.0.0") && !listening.contains('['),
        "{told}"
    );
    let second = Ipv4Addr::new(127, 0, 0, 2);
    assert!(TcpStream::connect((second, port)).is_err());
    store.done("add iplisten 127.0.0.2");
    eventually("127.0.0.2 is listened on", || {
        TcpStream::connect((second, port)).is_ok()
    });
    store.done("delete iplisten 127.0.0.1");
    eventually("127.0.0.1 is not listened on", || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err()
    });
    assert!(TcpStream::connect((second, port)).is_ok());
}

#[test]
fn a_store_is_named_by_flag_variable_and_settings_file() {
    let store = Store::new();
    store.done("add iplisten 127.0.0.1");
    let elsewhere = store.0.path().join("elsewhere.toml");
    let flag = [
        "--store",
        &elsewhere.display().to_string(),
        "show",
        "iplisten",
    ];
    assert!(!text(&store.run(&flag).stdout).contains("127.0.0.1"));
    let site = store.0.path().join("site.toml");
    fs::write(&site, format!("store = {:?}\n", store.path())).unwrap();
    let program = start(&[&site.display().to_string()]).unwrap();
    let told = program.output();
    assert!(
        told.contains(&format!("store     {}\n", store.path())),
        "{told}"
    );
    assert!(Path::new(&store.path()).exists());
}

// What only a server that runs knows is asked of it by its administration.
#[test]
fn a_server_that_runs_shows_its_state() {
    let store = Store::new();
    let token = store.0.path().join("token").display().to_string();
    let none = store.run(&["--token-file", &token, "show", "servicestate"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none.stdout).contains("The service has not been started."));
    let program = loop {
        let url = format!(
            "--administration=http://localhost:{}/tidegate/",
            free_port()
        );
        let flags = [
            &url,
            "--administration-token-file",
            &token,
            "--io-threads",
            "1",
        ];
        match start(&flags) {
            Ok(program) => break program,
            // Somebody else took the port meanwhile.
            Err(output) => assert!(output.contains("in use"), "{output}"),
        }
    };
    assert_eq!(program.get("/hello").status, 200);
    let ask = |line: &str| {
        let words = ["--token-file", &token].into_iter().chain(line.split(' '));
        let output = store.run(&words.collect::<Vec<_>>());
        let said = text(&output.stdout).to_owned();
        (output.status.code(), said, text(&output.stderr).to_owned())
    };
    let (code, shown, told) = ask("show servicestate");
    assert_eq!(code, Some(0), "{told}");
    let process = format!("ID: {}, image: ", program.id());
    for part in [
        "Snapshot of HTTP service state (Server Session View):\n----",
        "Server session ID: 0000000000000",
        "        Max bandwidth: 4294967295\n",
        "            Idle connection timeout (secs): 120\n",
        "        Request queue name: Request queue is unnamed.\n",
        "                Timeout values inherited\n",
        "Request queues:\n",
        "        Max requests: 1000\n",
        "        Requests arrived: 1\n",
        &process,
        "site.sock:/\n",
        "HTTP://localhost:",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let (_, shown, _) = ask("show servicestate view=requestq verbose=no");
    assert!(shown.contains("(Request Queue View):"), "{shown}");
    assert!(!shown.contains("Max bandwidth"), "{shown}");
    assert_eq!(ask("show servicestate view=x").0, Some(1));
    let (code, shown, told) = ask("show cachestate");
    assert_eq!(code, Some(0), "{told}");
    assert!(
        shown.contains("Snapshot of HTTP response cache:\n----"),
        "{shown}"
    );
    assert_eq!(
        ask("delete cache").1,
        "Cache entries successfully deleted\n\n"
    );
    let (code, said, told) = ask("delete cache url=http://localhost:8080/none");
    assert_eq!(code, Some(1), "{said}{told}");
    assert!(said.contains("Cache delete failed, Error: 2\n"), "{said}");
    assert_eq!(ask("delete cache recursive=yes").0, Some(1));
    assert_eq!(
        ask("flush logbuffer").1,
        "Log buffers successfully flushed\n\n"
    );
}
