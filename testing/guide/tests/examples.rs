//! Every example of the component runs, and does what it says: as the program that cargo has built of it, at a port.

// The lint knows functions that are tests, and not what these call.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tidegate::AdministrationClient;
use tidegate_guide::Site;

/// A visit of an example that runs.
type Visit = fn(&Site, &mut Example);

/// Each example, with what visits it.
const EXAMPLES: &[(&str, Visit)] = &[
    ("async_handler", |site, _| {
        assert_eq!(site.ask("POST", "/", &[], "five!").text(), "5 characters");
    }),
    ("authentication", |site, _| {
        assert_eq!(site.get("/").status, 401);
        let admin = "Authorization: Basic YWRtaW46MTIzNA==";
        assert_eq!(site.ask("GET", "/", &[admin], "").text(), "Hello, admin!\n");
        let guest = "Authorization: Basic Z3Vlc3Q6Z3Vlc3Q=";
        assert_eq!(site.ask("GET", "/", &[guest], "").text(), "Hello, guest!\n");
        assert_eq!(site.get("/public").status, 200);
    }),
    ("axum_mount", |site, _| {
        assert_eq!(site.get("/api/greet/Ada").text(), "Hello, Ada!");
    }),
    ("bindings", |site, example| {
        assert_eq!(site.get("/a").text(), "everybody: /a");
        let third = Site::new(example.port + 2);
        example.wait_for(example.port + 2);
        assert_eq!(third.get("/b").text(), "everybody: /b");
        example.ends_after("\n");
    }),
    ("cors", |site, _| {
        let origin = "Origin: https://app.example.com";
        let answer = site.ask("GET", "/api/notes", &[origin], "");
        let allowed = answer.field("Access-Control-Allow-Origin");
        assert_eq!(allowed, Some("https://app.example.com"));
    }),
    ("custom_headers", |site, _| {
        let answer = site.get("/");
        assert_eq!(answer.field("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(site.get("/busy").field("Retry-After"), Some("2"));
    }),
    ("download", |site, _| {
        let part = site.ask("GET", "/numbers", &["Range: bytes=0-2"], "");
        assert_eq!((part.status, part.text()), (206, "1\n2"));
        let part = site.ask("GET", "/by-hand", &["Range: bytes=0-2"], "");
        assert_eq!((part.status, part.text()), (206, "//!"));
        assert!(!site.get("/program").content.is_empty());
    }),
    ("events", |site, _| {
        site.open("/clock").wait_for("event: time");
        site.open("/count").wait_for("data: 1000");
    }),
    ("files", |site, _| {
        assert!(
            site.get("/guide/tls.md")
                .text()
                .starts_with("# Certificates")
        );
        assert!(site.get("/guide/").text().contains("tls.md"));
        assert_eq!(
            site.get("/crates/none.rs").text(),
            "There is no /crates/none.rs.\n"
        );
    }),
    ("firewall", |site, _| {
        let probe = "/?id=1%27%20UNION%20SELECT%20password%20FROM%20users--";
        assert_eq!(site.get(probe).status, 403);
        let statuses: Vec<_> = (0..4).map(|_| site.get("/").status).collect();
        assert!(
            statuses.contains(&200) && statuses.contains(&429),
            "{statuses:?}"
        );
    }),
    ("forward", |site, _| {
        assert_eq!(site.get("/").text(), "Served here.");
        assert_eq!(site.get("/api/version").text(), "Served here.");
    }),
    ("hello", |site, _| {
        assert_eq!(site.get("/test.html").text(), "OK");
        assert_eq!(site.get("/").status, 404);
    }),
    ("high_perf", |site, _| {
        assert_eq!(site.get("/").text(), "OK")
    }),
    ("logging", |site, example| {
        assert_eq!(site.get("/none").status, 404);
        let logs = example.folder.path().join("logs");
        let line = tidegate_guide::wait_for_line(&logs.to_string_lossy(), "/none");
        assert!(line.contains("404"), "{line}");
    }),
    ("operations", |site, example| {
        assert_eq!(site.get("/").text(), "looked after");
        let beside = Site::new(example.port + 1);
        example.wait_for(example.port + 1);
        let metrics = beside.get("/metrics");
        assert!(metrics.text().contains("tidegate_http_requests_total"));
        assert_eq!(beside.get("/livez").status, 200);
        assert_eq!(beside.get("/readyz").status, 200);
        let url = format!("http://localhost:{}/tidegate/", example.port + 1);
        let token = example.folder.path().join("administration-token");
        let administration = AdministrationClient::new(&url, Some(&token)).unwrap();
        assert_eq!(administration.server().unwrap().mode, "classic");
    }),
    ("overload", |site, example| {
        assert_eq!(site.get("/").text(), "done");
        let asks = (0..12).map(|_| {
            let site = Site::new(example.port);
            thread::spawn(move || site.get("/").status)
        });
        let asks: Vec<_> = asks.collect();
        let statuses: Vec<_> = asks.into_iter().map(|ask| ask.join().unwrap()).collect();
        assert!(statuses.contains(&503), "{statuses:?}");
    }),
    ("post_body", |site, _| {
        let form = ["Content-Type: application/x-www-form-urlencoded"];
        let answer = site.ask("POST", "/form", &form, "name=Ada");
        assert_eq!(answer.text(), "Hello, Ada!");
        assert_eq!(site.ask("POST", "/count", &[], "12345").text(), "5 bytes");
    }),
    ("reload", |site, example| {
        assert_eq!(site.get("/a.txt").text(), "no folder yet");
        fs::write(example.folder.path().join("a.txt"), "a file").unwrap();
        example.input.as_mut().unwrap().write_all(b".\n").unwrap();
        until(|| site.get("/a.txt").text() == "a file");
        example.ends_after("");
    }),
    ("response_cache", |site, _| {
        let first = site.get("/news/today");
        assert_eq!(site.get("/news/today").text(), first.text());
        site.get("/flush");
        assert_ne!(site.get("/news/today").text(), first.text());
    }),
    ("responses", |site, _| {
        assert_eq!(site.get("/json").text(), r#"{"sea":"calm"}"#);
        assert_eq!(site.get("/bytes").content, b"GIF89a");
        assert_eq!(site.get("/elsewhere").field("Location"), Some("/text"));
        assert_eq!(site.get("/none").status, 404);
    }),
    ("slow_peers", |site, _| {
        assert_eq!(site.get("/").text(), "in time");
        let mut socket = site.socket("/");
        socket.send("here");
        assert_eq!(socket.receive(), "here");
    }),
    ("streaming", |site, _| {
        assert!(site.get("/source").text().starts_with("//!"));
        assert!(site.get("/count").text().ends_with("\n100000\n"));
    }),
    ("tls", |site, example| {
        let certificate = example.folder.path().join("localhost.crt");
        let answer = site.get_securely("localhost", "/", &certificate.to_string_lossy());
        assert!(answer.text().contains("localhost"), "{answer:?}");
    }),
    ("uploads", |site, _| {
        let form = concat!(
            "--b\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nHoliday\r\n",
            "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\nsand\r\n--b--\r\n"
        );
        let kind = "Content-Type: multipart/form-data; boundary=b";
        assert_eq!(
            site.ask("POST", "/", &[kind], form).text(),
            "Holiday: a.txt\n"
        );
        assert_eq!(site.ask("PUT", "/drop/b.txt", &[], "shell").status, 201);
    }),
    ("websocket_broadcast", |site, _| {
        assert!(site.socket("/").receive().ends_with(" s"));
    }),
    ("websocket_chat", |site, _| {
        assert!(site.get("/").text().contains("TidegateChannels"));
        assert_eq!(site.get("/tidegate/tidegate.channels.js").status, 200);
    }),
    ("websocket_echo", |site, _| {
        let mut socket = site.socket("/");
        socket.send("hello");
        assert_eq!(socket.receive(), "hello");
    }),
];

#[test]
fn every_example_does_what_it_says() {
    let tests: Vec<_> = EXAMPLES
        .iter()
        .map(|(name, visit)| {
            let test = thread::Builder::new().name((*name).to_owned());
            let run = move || {
                let mut example = Example::start(name);
                visit(&Site::new(example.port), &mut example);
            };
            (name, test.spawn(run).unwrap())
        })
        .collect();
    let failed: Vec<_> = tests
        .into_iter()
        .filter_map(|(name, test)| test.join().is_err().then_some(name))
        .collect();
    assert!(failed.is_empty(), "failed: {failed:?}");
}

#[test]
fn no_example_is_forgotten() {
    let folder = root().join("crates/server/examples");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let there: BTreeSet<_> = files
        .map(|file| file.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let visited: BTreeSet<_> = EXAMPLES
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(there, visited, "each example is visited here");
}

/// An example that runs. Dropping it ends the process.
struct Example {
    child: Child,
    input: Option<ChildStdin>,
    port: u16,
    folder: TempDir,
}

impl Example {
    /// Starts it and waits until it listens.
    fn start(name: &str) -> Self {
        let program = built(name);
        let folder = tempfile::tempdir().unwrap();
        let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let at = |name| folder.path().join(name);
        fs::write(at("localhost.crt"), certificate.cert.pem()).unwrap();
        fs::write(at("localhost.key"), certificate.signing_key.serialize_pem()).unwrap();
        // Some serve what is in the project, by paths of it.
        let reads_source = ["download", "files", "streaming"].contains(&name);
        // Some have more bindings, at the ports behind.
        let port = tidegate_guide::free_ports(3);
        let mut child = Command::new(program)
            .arg(port.to_string())
            .current_dir(if reads_source {
                root()
            } else {
                folder.path().into()
            })
            .env("XDG_STATE_HOME", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let mut example = Self {
            child,
            input,
            port,
            folder,
        };
        example.wait_for(port);
        example
    }

    fn wait_for(&mut self, port: u16) {
        until(|| {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {ended:?}");
            serves(port).unwrap_or(false)
        });
    }

    /// Says this and no more, and waits for the end.
    fn ends_after(&mut self, said: &str) {
        let mut input = self.input.take().unwrap();
        input.write_all(said.as_bytes()).unwrap();
        drop(input);
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // One that has ended is no matter.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where cargo has put it, beside this test.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(2).unwrap();
    let program = target.join("examples").join(name);
    let program = program.with_extension(std::env::consts::EXE_EXTENSION);
    let hint = "cargo build -p tidegate --examples";
    assert!(
        program.exists(),
        "{} is not built: {hint}",
        program.display()
    );
    program
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Whether what listens there knows its URLs by now; a moment before, nobody's host is served.
fn serves(port: u16) -> io::Result<bool> {
    let mut connection = TcpStream::connect(("localhost", port))?;
    connection.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut begin = [0; 12];
    let read = connection.read(&mut begin)?;
    Ok(&begin[..read] != b"HTTP/1.1 400")
}

fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "not within a minute");
        thread::sleep(Duration::from_millis(5));
    }
}
