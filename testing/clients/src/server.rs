//! The program under test, as a process.

use std::fmt;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::error::ClientError;
use crate::expect;
use crate::options::Options;
use crate::process;

/// How a server is run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Configuration {
    pub(crate) mode: Mode,
    pub(crate) io: Io,
}

/// The operating mode.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    Classic,
    HighPerf,
}

/// The event loop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Io {
    Uring,
    Poll,
}

impl Mode {
    pub(crate) const ALL: [Self; 2] = [Self::Classic, Self::HighPerf];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::HighPerf => "high-perf",
        }
    }
}

impl Io {
    pub(crate) const ALL: [Self; 2] = [Self::Uring, Self::Poll];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Poll => "poll",
        }
    }
}

impl Configuration {
    /// The one with the highest rank gets the cases that are too long for all: the one that is made for
    /// speed.
    pub(crate) fn rank(self) -> (bool, bool) {
        (self.mode == Mode::HighPerf, self.io == Io::Uring)
    }
}

impl fmt::Display for Configuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&format!("{} {}", self.mode.word(), self.io.word()))
    }
}

/// A running `tidegate serve` on a port and a Unix socket of its own. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    port: u16,
    /// Holds its logs and its Unix socket.
    folder: TempDir,
}

impl Server {
    /// Starts the program, with flags besides the usual ones, and waits until it listens.
    pub(crate) fn start(
        options: &Options,
        configuration: Configuration,
        flags: &[&str],
    ) -> Result<Self, ClientError> {
        let folder = tempfile::tempdir().map_err(io("making a folder"))?;
        let port = free_port()?;
        let output = File::create(folder.path().join(OUTPUT)).map_err(io("making a file"))?;
        let errors = output.try_clone().map_err(io("making a file"))?;
        let mut command = Command::new(&options.program);
        command
            .arg("serve")
            .args(["--listen", &format!("http://127.0.0.1:{port}/")])
            .args([
                "--listen",
                &format!("unix:{}", folder.path().join(SOCKET).display()),
            ])
            .args(["--mode", configuration.mode.word()])
            .args(["--io", configuration.io.word()])
            .arg("--error-log")
            .arg(folder.path())
            .args(flags)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        let child = command.spawn().map_err(|source| ClientError::Start {
            program: options.program.display().to_string(),
            source,
        })?;
        let mut server = Self {
            child,
            port,
            folder,
        };
        server.wait_until_it_listens()?;
        Ok(server)
    }

    /// Whether the program starts on io_uring here.
    pub(crate) fn offers_uring(options: &Options) -> Result<(), ClientError> {
        let configuration = Configuration {
            mode: Mode::Classic,
            io: Io::Uring,
        };
        Self::start(options, configuration, &[])?.stop()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where a path of the demonstration site is.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn unix_socket(&self) -> PathBuf {
        self.folder.path().join(SOCKET)
    }

    /// A folder that goes away with the server.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Asks the program to stop, as Ctrl-C does. It must end well, and soon.
    pub(crate) fn stop(mut self) -> Result<(), ClientError> {
        process::signal(self.child.id(), "INT");
        let status = expect::becomes(
            "the server stops when asked",
            STOP_WAIT_MAX,
            || self.child.try_wait().map_err(io("asking for its status")),
            Option::is_some,
        )?;
        match status {
            Some(status) if !status.success() => Err(ClientError::Failed {
                program: "the server, when stopped".to_owned(),
                status,
                output: self.output(),
            }),
            _ => Ok(()),
        }
    }

    fn wait_until_it_listens(&mut self) -> Result<(), ClientError> {
        let port = self.port;
        expect::becomes(
            "the server listens",
            START_WAIT_MAX,
            || match self.child.try_wait() {
                Ok(None) => Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()),
                _ => Err(ClientError::ServerEnded {
                    output: self.output(),
                }),
            },
            |listens| *listens,
        )
        .map(|_| ())
    }

    fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join(OUTPUT)).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on now.
pub(crate) fn free_port() -> Result<u16, ClientError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(io("finding a free port"))
}

/// Says what was being done when the system refused.
pub(crate) fn io(what: &'static str) -> impl Fn(std::io::Error) -> ClientError {
    move |source| ClientError::Io { what, source }
}

const START_WAIT_MAX: Duration = Duration::from_secs(10);
const STOP_WAIT_MAX: Duration = Duration::from_secs(20);

const OUTPUT: &str = "output";
const SOCKET: &str = "tidegate.sock";
