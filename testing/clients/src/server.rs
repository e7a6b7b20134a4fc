//! The program under test, as a process.

use std::fmt;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::certificates;
use crate::error::ClientError;
use crate::expect;
use crate::free_port::free_port;
use crate::options::Options;
use crate::process;

/// How a server is run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Configuration {
    pub(crate) mode: Mode,
    pub(crate) io: Io,
}

impl Configuration {
    /// Whether it is one of two that have each mode and each loop between them.
    pub(crate) fn is_crosswise(self) -> bool {
        (self.mode == Mode::HighPerf) == (self.io == Io::Uring)
    }
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

impl fmt::Display for Configuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&format!("{} {}", self.mode.word(), self.io.word()))
    }
}

/// A running `tidegate serve` on ports and a Unix socket of its own. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    place: Place,
}

/// Where a server will be: its ports, and a folder that goes away with it.
#[derive(Debug)]
pub(crate) struct Place {
    port: u16,
    tls_port: u16,
    /// Holds its logs, its certificate and its Unix socket.
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Result<Self, ClientError> {
        Ok(Self {
            port: free_port(),
            tls_port: free_port(),
            folder: tempfile::tempdir().map_err(io("making a folder"))?,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Server {
    /// Starts the program, with flags besides the usual ones, and waits until it listens.
    pub(crate) fn start(
        options: &Options,
        configuration: Configuration,
        flags: &[&str],
    ) -> Result<Self, ClientError> {
        let place = Place::new()?;
        certificates::self_signed(options, place.folder(), &["localhost", "127.0.0.1"])?;
        let mut command = command(options, configuration, &place);
        // To a browser its two names are two origins.
        for name in ["127.0.0.1", "localhost"] {
            command
                .args(["--listen", &format!("http://{name}:{}/", place.port)])
                .args(["--listen", &format!("https://{name}:{}/", place.tls_port)]);
        }
        command
            .args([
                "--listen",
                &format!("unix:{}", place.folder().join(SOCKET).display()),
            ])
            .args(["--tls-cert", "localhost.crt", "--tls-key", "localhost.key"])
            .args(flags);
        Self::run(command, place)
    }

    /// Starts the program as a settings file says, and waits until it listens.
    ///
    /// In the file's text `{port}` and `{tls_port}` stand for where it must listen. Paths are taken from
    /// the place's folder.
    pub(crate) fn start_by_file(
        options: &Options,
        configuration: Configuration,
        place: Place,
        settings: &str,
    ) -> Result<Self, ClientError> {
        let text = settings
            .replace("{port}", &place.port.to_string())
            .replace("{tls_port}", &place.tls_port.to_string());
        let file = place.folder().join("site.toml");
        fs::write(&file, text).map_err(io("writing a settings file"))?;
        let mut command = command(options, configuration, &place);
        command.arg(file);
        Self::run(command, place)
    }

    fn run(mut command: Command, place: Place) -> Result<Self, ClientError> {
        let output = File::create(place.folder().join(OUTPUT)).map_err(io("making a file"))?;
        let errors = output.try_clone().map_err(io("making a file"))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|source| ClientError::Start {
                program: command.get_program().display().to_string(),
                source,
            })?;
        let mut server = Self { child, place };
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
        self.place.port
    }

    /// The port on which TLS is spoken.
    pub(crate) fn tls_port(&self) -> u16 {
        self.place.tls_port
    }

    /// Where a path of the demonstration site is.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.place.port)
    }

    /// Where a path of the demonstration site is over TLS.
    pub(crate) fn tls_url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.place.tls_port)
    }

    /// The certificate that it shows, signed by itself: clients are told to trust it.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder().join("localhost.crt")
    }

    pub(crate) fn unix_socket(&self) -> PathBuf {
        self.folder().join(SOCKET)
    }

    /// A folder that goes away with the server.
    pub(crate) fn folder(&self) -> &Path {
        self.place.folder()
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Asks the program to stop, as Ctrl-C does. It must end well, and soon.
    pub(crate) fn stop(self) -> Result<(), ClientError> {
        process::signal(self.child.id(), "INT");
        self.ends()
    }

    /// As [`Self::stop`], for a program that has been asked to stop.
    pub(crate) fn ends(mut self) -> Result<(), ClientError> {
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
        let ports = [self.place.port, self.place.tls_port];
        expect::becomes(
            "the server listens",
            START_WAIT_MAX,
            || match self.child.try_wait() {
                Ok(None) => Ok(ports.iter().all(|port| listens(*port))),
                _ => Err(ClientError::ServerEnded {
                    output: self.output(),
                }),
            },
            |listens| *listens,
        )
        .map(|_| ())
    }

    /// What it has printed.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.folder().join(OUTPUT)).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, with the flags that all servers have.
fn command(options: &Options, configuration: Configuration, place: &Place) -> Command {
    let mut command = Command::new(&options.program);
    command
        .arg("serve")
        .args(["--mode", configuration.mode.word()])
        .args(["--io", configuration.io.word()])
        .arg("--error-log")
        .arg(place.folder())
        .current_dir(place.folder());
    command
}

fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Says what was being done when the system refused.
pub(crate) fn io(what: &'static str) -> impl Fn(std::io::Error) -> ClientError {
    move |source| ClientError::Io { what, source }
}

const START_WAIT_MAX: Duration = Duration::from_secs(10);
const STOP_WAIT_MAX: Duration = Duration::from_secs(20);

const OUTPUT: &str = "output";
const SOCKET: &str = "tidegate.sock";
