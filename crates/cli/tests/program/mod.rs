//! A running `tidegate serve` on a Unix socket of its own, and a client that takes answers apart.

// The lint knows functions that are tests, and these are called by them alone.
#![allow(clippy::unwrap_used)]

#[path = "../../../../testing/free_port.rs"]
mod free_port;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// The program. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Program {
    child: Mutex<Child>,
    said: Arc<Said>,
    socket: PathBuf,
    /// Holds the socket and the logs.
    _folder: TempDir,
}

/// What the program has said so far.
#[derive(Debug, Default)]
struct Said {
    state: Mutex<SaidState>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct SaidState {
    text: String,
    ended: bool,
}

/// Runs a test for each operating mode and event loop; io_uring where the system has it.
pub(crate) fn everywhere(test: impl Fn(&Program)) {
    everywhere_with(&[], test);
}

/// As [`everywhere`], with these flags as well.
pub(crate) fn everywhere_with(flags: &[&str], test: impl Fn(&Program)) {
    for mode in ["classic", "high-perf"] {
        for io in ["uring", "poll"] {
            let place = ["--mode", mode, "--io", io, "--io-threads", "2"];
            match start(&[&place, flags].concat()) {
                Ok(program) => test(&program),
                Err(output) if io == "uring" && output.contains("io_uring") => {
                    eprintln!("not on io_uring, which this system does not offer");
                }
                Err(output) => panic!("{mode} {io}: {output}"),
            }
        }
    }
}

/// Starts the program with these flags and a socket of its own, and waits until it serves. When it
/// ends instead, gives what it said.
pub(crate) fn start(flags: &[&str]) -> Result<Program, String> {
    let program = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    start_by(program, flags)
}

/// As [`start`], by a command of which the flags are the last arguments.
pub(crate) fn start_by(mut command: Command, flags: &[&str]) -> Result<Program, String> {
    let folder = tempfile::tempdir().unwrap();
    command
        .arg("serve")
        .args(flags)
        .arg("--listen")
        .arg(format!(
            "unix:{}",
            folder.path().join("site.sock").display()
        ))
        .arg("--error-log")
        .arg(folder.path());
    let program = watch(command, folder);
    let output = program.output_until("Ctrl-C stops it.");
    match output.contains("Ctrl-C stops it.") {
        true => Ok(program),
        false => Err(format!(
            "{output}(exit code {})",
            program.wait().unwrap_or(-1)
        )),
    }
}

/// Starts a command, and listens to what it says. Its socket, if it has one, is in the folder.
pub(crate) fn watch(mut command: Command, folder: TempDir) -> Program {
    let mut child = command
        .env_remove("RUST_LOG")
        // What the machine keeps is no test's matter.
        .env("TIDEGATE_STORE", folder.path().join("http.toml"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = Arc::new(Said::default());
    let errors = child.stderr.take().unwrap();
    let heard = Arc::clone(&said);
    thread::spawn(move || {
        for line in BufReader::new(errors).lines().map_while(Result::ok) {
            heard.state.lock().unwrap().text += &(line + "\n");
            heard.more.notify_all();
        }
        heard.state.lock().unwrap().ended = true;
        heard.more.notify_all();
    });
    Program {
        child: Mutex::new(child),
        said,
        socket: folder.path().join("site.sock"),
        _folder: folder,
    }
}

impl Program {
    #[allow(dead_code, reason = "not all tests look at it")]
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// What it has said so far.
    pub(crate) fn output(&self) -> String {
        self.said.state.lock().unwrap().text.clone()
    }

    /// What it has said, once that contains `part` or the program has ended.
    pub(crate) fn output_until(&self, part: &str) -> String {
        let state = self.said.state.lock().unwrap();
        let waits = |state: &mut SaidState| !state.ended && !state.text.contains(part);
        let waited = self.said.more.wait_timeout_while(state, WAIT_MAX, waits);
        waited.unwrap().0.text.clone()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end; the exit code, and all has been heard.
    pub(crate) fn wait(&self) -> Option<i32> {
        let status = self.child.lock().unwrap().wait().unwrap();
        let state = self.said.state.lock().unwrap();
        drop(
            self.said
                .more
                .wait_while(state, |state| !state.ended)
                .unwrap(),
        );
        status.code()
    }

    pub(crate) fn connect(&self) -> UnixStream {
        let connection = UnixStream::connect(&self.socket).unwrap();
        connection.set_read_timeout(Some(WAIT_MAX)).unwrap();
        connection
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.ask(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    pub(crate) fn ask(&self, head: &str) -> Answer {
        self.ask_with(head.as_bytes(), b"")
    }

    /// Sends all, and then reads.
    pub(crate) fn ask_with(&self, head: &[u8], content: &[u8]) -> Answer {
        let mut connection = self.connect();
        connection.write_all(head).unwrap();
        connection.write_all(content).unwrap();
        Answer::read(&mut connection, head.starts_with(b"HEAD "))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A response, taken apart.
pub(crate) struct Answer {
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
    pub(crate) content: Vec<u8>,
}

impl Answer {
    pub(crate) fn read(connection: &mut UnixStream, is_head: bool) -> Self {
        let mut reader = BufReader::new(connection);
        let status_line = line(&mut reader);
        let status = status_line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut fields = Vec::new();
        loop {
            let line = line(&mut reader);
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            fields.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut answer = Self {
            status,
            fields,
            content: Vec::new(),
        };
        if is_head || matches!(status, 204 | 304) {
            return answer;
        }
        match answer.field("content-length") {
            Some(length) => {
                let mut content = vec![0; length.parse().unwrap()];
                reader.read_exact(&mut content).unwrap();
                answer.content = content;
            }
            None => loop {
                let length = usize::from_str_radix(&line(&mut reader), 16).unwrap();
                let mut chunk = vec![0; length];
                reader.read_exact(&mut chunk).unwrap();
                assert_eq!(line(&mut reader), "");
                answer.content.extend_from_slice(&chunk);
                if length == 0 {
                    break;
                }
            },
        }
        answer
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.content).unwrap()
    }
}

fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// Far more than anything here takes; what does not come by then does not come.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A free port, which is given to nobody else from here.
pub(crate) fn free_port() -> u16 {
    free_port::free_port()
}
