//! OpenSSL's client: versions, resumption, stapling, names, protocols. What nobody should accept is in
//! `weak`.

mod hello;
mod weak;

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::certificates::{self, Authority};
use crate::error::ClientError;
use crate::expect;
use crate::process;
use crate::server::{Place, Server, io};
use crate::suite::{Bench, Case};

/// All that `openssl s_client` does, and hellos of our own.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "versions",
        run: versions,
    },
    Case {
        name: "protocols",
        run: protocols,
    },
    Case {
        name: "resumption",
        run: resumption,
    },
    Case {
        name: "no renegotiation",
        run: no_renegotiation,
    },
    Case {
        name: "new keys",
        run: new_keys,
    },
    Case {
        name: "names",
        run: names,
    },
    Case {
        name: "names of a directory",
        run: directory,
    },
    Case {
        name: "stapling",
        run: stapling,
    },
    Case {
        name: "nothing weak",
        run: weak::nothing_weak,
    },
];

fn versions(bench: &Bench<'_>) -> Result<(), ClientError> {
    let port = bench.server.tls_port();
    for (flag, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let told = connect(port, &["-brief", flag])?;
        let line = format!("Protocol version: {name}\n");
        expect::holds(flag, told.contains(&line), || told.clone())?;
        let told = connect(port, &[flag])?;
        let is_plain = told.contains("Compression: NONE") && told.contains("Expansion: NONE");
        expect::holds("no compression", is_plain, || told.clone())?;
        if flag == "-tls1_2" {
            for part in [
                "Secure Renegotiation IS supported",
                "Extended master secret: yes",
            ] {
                expect::holds(part, told.contains(part), || told.clone())?;
            }
        }
    }
    // Whatever this OpenSSL itself thinks of them.
    for flag in ["-tls1", "-tls1_1"] {
        let told = connect(port, &["-brief", flag, "-cipher", "ALL:@SECLEVEL=0"])?;
        is_refused(flag, &told)?;
    }
    Ok(())
}

fn protocols(bench: &Bench<'_>) -> Result<(), ClientError> {
    let port = bench.server.tls_port();
    for version in ["-tls1_2", "-tls1_3"] {
        for (offered, chosen) in [
            ("h2,http/1.1", "ALPN protocol: h2\n"),
            ("http/1.1", "ALPN protocol: http/1.1\n"),
            ("spdy/3,http/1.1", "ALPN protocol: http/1.1\n"),
        ] {
            let told = connect(port, &[version, "-alpn", offered])?;
            expect::holds(chosen, told.contains(chosen), || told.clone())?;
        }
        let told = connect(port, &[version])?;
        let none = "No ALPN negotiated";
        expect::holds(none, told.contains(none), || told.clone())?;
        // RFC 7301 §3.2.
        let told = connect(port, &[version, "-alpn", "spdy/3"])?;
        let alert = "no application protocol";
        expect::holds(alert, told.contains(alert), || told.clone())?;
    }
    Ok(())
}

/// By tickets, whichever worker gets the next connection.
fn resumption(bench: &Bench<'_>) -> Result<(), ClientError> {
    let port = bench.server.tls_port();
    let session = bench.server.folder().join("session");
    let session = session.to_string_lossy();
    for version in ["-tls1_2", "-tls1_3"] {
        let first = ask(port, &[version, "-sess_out", &session])?;
        let is_new = first.contains("\nNew, TLSv1") && first.contains("\"resumed\": false");
        expect::holds("a new session", is_new, || first.clone())?;
        for _ in 0..6 {
            let next = ask(
                port,
                &[version, "-sess_in", &session, "-sess_out", &session],
            )?;
            let is_resumed = next.contains("\nReused, TLSv1") && next.contains("\"resumed\": true");
            expect::holds("resumed", is_resumed, || next.clone())?;
        }
        // One of the other version is none.
        let other = match version {
            "-tls1_2" => "-tls1_3",
            _ => "-tls1_2",
        };
        let next = ask(port, &[other, "-sess_in", &session])?;
        expect::holds(
            "another version",
            next.contains("\"resumed\": false"),
            || next.clone(),
        )?;
    }
    // Nothing is taken before the handshake is complete.
    let told = ask(port, &["-tls1_3", "-sess_out", &session])?;
    let none = "Max Early Data: 0";
    expect::holds(
        none,
        !told.contains("Max Early Data: ") || told.contains(none),
        || told.clone(),
    )
}

fn no_renegotiation(bench: &Bench<'_>) -> Result<(), ClientError> {
    let told = after_a_while(bench, "R", &["-tls1_2"])?;
    let is_refused = told.contains("RENEGOTIATING") && told.contains("no renegotiation");
    expect::holds("refused", is_refused, || told.clone())
}

/// TLS 1.3 has both sides change their keys whenever one likes.
fn new_keys(bench: &Bench<'_>) -> Result<(), ClientError> {
    for letter in ["K", "k"] {
        let told = after_a_while(bench, letter, &["-tls1_3"])?;
        let is_answered = told.contains("KEYUPDATE") && told.contains("Hello, World!");
        expect::holds("answered after that", is_answered, || told.clone())?;
    }
    Ok(())
}

/// Says a letter to the client, which it takes as a command, and later has it send a request.
fn after_a_while(bench: &Bench<'_>, letter: &str, words: &[&str]) -> Result<String, ClientError> {
    let mut command = Command::new("sh");
    // The client takes a letter as a command only when that comes by itself, and tells nobody that it
    // is ready for the next.
    let script = "(sleep 0.5; echo \"$1\"; sleep 0.5; \
         printf 'GET /hello HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n'; sleep 0.7) | \
         openssl s_client -connect \"$2\" \"$3\" 2>&1";
    let address = format!("127.0.0.1:{}", bench.server.tls_port());
    command
        .args(["-c", script, "sh", letter, &address])
        .args(words);
    let output = process::run_to_end(command, Vec::new(), LIMIT)?;
    Ok(process::text(&output))
}

/// Source: the order in which the server chooses, as its documentation has it.
fn names(bench: &Bench<'_>) -> Result<(), ClientError> {
    let place = Place::new()?;
    for name in ["a.example", "b.example", "default.example"] {
        certificates::self_signed(bench.options, place.folder(), &[name])?;
    }
    let server = Server::start_by_file(bench.options, bench.configuration, place, NAMES)?;
    for (name, shown) in [
        (Some("a.example"), "a.example"),
        (Some("A.Example"), "a.example"),
        (Some("b.example"), "b.example"),
        (Some("c.example"), "default.example"),
        (None, "default.example"),
    ] {
        is_shown(&server, name, shown)?;
    }
    server.stop()
}

const NAMES: &str = "
bindings = [
    \"http://127.0.0.1:{port}/\",
    \"https://+:{tls_port}/\",
    { host = \"a.example\", port = {tls_port}, ssl = { certificate = \"a.example.crt\", key = \"a.example.key\" } },
    { host = \"b.example\", port = {tls_port}, ssl = { certificate = \"b.example.crt\", key = \"b.example.key\" } },
]
[ssl]
certificate = \"default.example.crt\"
key = \"default.example.key\"
";

/// Certificates by the names in them, and none for whoever asks for another.
fn directory(bench: &Bench<'_>) -> Result<(), ClientError> {
    let place = Place::new()?;
    let certificates = place.folder().join("certificates");
    for names in [
        &["a.example", "www.a.example"][..],
        &["b.example", "*.b.example"],
    ] {
        certificates::self_signed(bench.options, &certificates, names)?;
    }
    let server = Server::start_by_file(bench.options, bench.configuration, place, DIRECTORY)?;
    for (name, shown) in [
        ("a.example", "a.example"),
        ("www.a.example", "a.example"),
        ("b.example", "b.example"),
        ("any.b.example", "b.example"),
    ] {
        is_shown(&server, Some(name), shown)?;
    }
    let port = server.tls_port();
    for words in [
        &["-servername", "c.example"][..],
        &["-servername", "more.any.b.example"],
        &["-noservername"],
    ] {
        let told = connect(port, &[&["-brief"], words].concat())?;
        expect::holds(
            words[words.len() - 1],
            !told.contains("Protocol version"),
            || told.clone(),
        )?;
    }
    server.stop()
}

const DIRECTORY: &str = "
bindings = [\"http://127.0.0.1:{port}/\", \"https://+:{tls_port}/\"]
[ssl]
directory = \"certificates\"
";

fn is_shown(server: &Server, name: Option<&str>, shown: &str) -> Result<(), ClientError> {
    for version in ["-tls1_2", "-tls1_3"] {
        let asking = match name {
            Some(name) => &["-servername", name][..],
            None => &["-noservername"],
        };
        let told = connect(server.tls_port(), &[&[version], asking].concat())?;
        let subject = format!("\nsubject=CN = {shown}\n");
        // Newer ones write it without spaces.
        let close = format!("\nsubject=CN={shown}\n");
        expect::holds(
            &format!("{name:?}"),
            told.contains(&subject) || told.contains(&close),
            || told.clone(),
        )?;
    }
    Ok(())
}

fn stapling(bench: &Bench<'_>) -> Result<(), ClientError> {
    let place = Place::new()?;
    let folder = place.folder().to_path_buf();
    let authority = Authority::new(&folder)?;
    authority.sign("site", &["DNS:localhost", "IP:127.0.0.1"])?;
    authority.respond_about("site")?;
    let server = Server::start_by_file(bench.options, bench.configuration, place, STAPLED)?;
    let trusted = folder.join("authority.crt");
    let trusted = trusted.to_string_lossy();
    for version in ["-tls1_2", "-tls1_3"] {
        let words = [
            version,
            "-status",
            "-CAfile",
            &trusted,
            "-verify_return_error",
        ];
        let told = connect(server.tls_port(), &words)?;
        for part in [
            "OCSP Response Status: successful",
            "Cert Status: good",
            "Verify return code: 0 (ok)",
        ] {
            expect::holds(part, told.contains(part), || told.clone())?;
        }
        let told = connect(server.tls_port(), &[version])?;
        expect::holds("only when asked for", !told.contains("OCSP"), || {
            told.clone()
        })?;
    }
    // What it says meanwhile.
    authority.revoke("site")?;
    fs::remove_file(folder.join("site.ocsp")).map_err(io("removing a file"))?;
    authority.respond_about("site")?;
    process::signal(server.process_id(), "HUP");
    expect::becomes(
        "a new response is stapled",
        Duration::from_secs(20),
        || connect(server.tls_port(), &["-status"]),
        |told| told.contains("Cert Status: revoked"),
    )?;
    server.stop()
}

const STAPLED: &str = "
bindings = [\"http://127.0.0.1:{port}/\", \"https://127.0.0.1:{tls_port}/\"]
[ssl]
certificate = \"site.crt\"
key = \"site.key\"
ocsp_response = \"site.ocsp\"
";

/// Connects, says nothing and leaves. Returns what the client tells, of failures too.
fn connect(port: u16, words: &[&str]) -> Result<String, ClientError> {
    client(port, words, b"")
}

/// Asks for what the server knows of the connection, and waits for the end.
fn ask(port: u16, words: &[&str]) -> Result<String, ClientError> {
    let request = b"GET /inspect HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    client(port, &[words, &["-ign_eof"]].concat(), request)
}

fn client(port: u16, words: &[&str], input: &[u8]) -> Result<String, ClientError> {
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-connect", &format!("127.0.0.1:{port}")])
        .args(words);
    let output = process::run_to_end(command, input.to_vec(), LIMIT)?;
    // What it says of a connection goes to one or the other, by its flags.
    Ok(process::text(&output) + &String::from_utf8_lossy(&output.stderr))
}

/// By an alert.
fn is_refused(what: &str, told: &str) -> Result<(), ClientError> {
    let is_refused = told.contains("SSL alert number") && !told.contains("Protocol version: ");
    expect::holds(what, is_refused, || told.to_owned())
}

const LIMIT: Duration = Duration::from_secs(30);
