//! The steps, and what each runs.

use std::fmt;
use std::path::Path;
use std::process::Command;

use super::error::StepError;
use super::fuzz;
use super::options::Options;
use super::tool::{Tool, Tools};
use super::walls;

/// One thing that is checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    Walls,
    Format,
    Clippy,
    Docs,
    Tests,
    DocTests,
    Ring,
    Fuzz,
    Curl,
    Nghttp2,
    Openssl,
    Wget,
    Python,
    Node,
    Websocket,
    Java,
    Autobahn,
    Browser,
    Wrk,
    Nginx,
    Haproxy,
    Slow,
    Soak,
}

impl Step {
    /// All steps. What fails soonest is first, and what [`ahead`](super::ahead) prepares meanwhile is last.
    pub(crate) const ALL: [Self; 23] = [
        Self::Walls,
        Self::Format,
        Self::Tests,
        Self::DocTests,
        Self::Ring,
        Self::Curl,
        Self::Nghttp2,
        Self::Openssl,
        Self::Wget,
        Self::Python,
        Self::Node,
        Self::Websocket,
        Self::Java,
        Self::Autobahn,
        Self::Browser,
        Self::Wrk,
        Self::Nginx,
        Self::Haproxy,
        Self::Slow,
        Self::Soak,
        Self::Clippy,
        Self::Docs,
        Self::Fuzz,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Walls => "walls",
            Self::Format => "format",
            Self::Clippy => "clippy",
            Self::Docs => "docs",
            Self::Tests => "tests",
            Self::DocTests => "doc-tests",
            Self::Ring => "ring",
            Self::Fuzz => "fuzz",
            Self::Curl => "curl",
            Self::Nghttp2 => "nghttp2",
            Self::Openssl => "openssl",
            Self::Wget => "wget",
            Self::Python => "python",
            Self::Node => "node",
            Self::Websocket => "websocket",
            Self::Java => "java",
            Self::Autobahn => "autobahn",
            Self::Browser => "browser",
            Self::Wrk => "wrk",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Slow => "slow",
            Self::Soak => "soak",
        }
    }

    /// Whether it runs the program against a client that was not written here.
    pub(crate) fn is_client(self) -> bool {
        !self.is_fast() && !matches!(self, Self::Ring | Self::Fuzz)
    }

    /// Whether it needs nothing but cargo and little time.
    pub(crate) fn is_fast(self) -> bool {
        matches!(
            self,
            Self::Walls | Self::Format | Self::Clippy | Self::Docs | Self::Tests | Self::DocTests
        )
    }

    /// What it needs besides cargo.
    pub(crate) fn needs(self) -> &'static [Tool] {
        match self {
            Self::Walls | Self::Docs | Self::Tests | Self::DocTests | Self::Ring => &[],
            Self::Fuzz => &[Tool::Cxx],
            Self::Format => &[Tool::Rustfmt],
            Self::Clippy => &[Tool::Clippy],
            Self::Curl => &[Tool::Curl, Tool::Openssl],
            Self::Nghttp2 => &[Tool::Nghttp2],
            Self::Openssl => &[Tool::Openssl],
            Self::Wget => &[Tool::Wget],
            Self::Python => &[Tool::PythonPackages],
            Self::Node => &[Tool::NodePackages],
            Self::Websocket => &[Tool::PythonPackages, Tool::NodePackages],
            Self::Java => &[Tool::Java],
            Self::Autobahn => &[Tool::PythonPackages],
            Self::Browser => &[Tool::Chromium, Tool::NodePackages],
            Self::Wrk => &[Tool::Wrk],
            Self::Nginx => &[Tool::Nginx, Tool::Curl, Tool::Wrk, Tool::PythonPackages],
            Self::Haproxy => &[Tool::Haproxy, Tool::Curl, Tool::Wrk, Tool::PythonPackages],
            Self::Slow => &[Tool::Slowhttptest],
            Self::Soak => &[Tool::ProcessFolder, Tool::PythonPackages],
        }
    }

    pub(crate) fn run(
        self,
        root: &Path,
        tools: &Tools,
        options: &Options,
    ) -> Result<(), StepError> {
        match self {
            Self::Walls => walls::check(root),
            Self::Format => run(in_root(root, &["fmt", "--all", "--check"])),
            Self::Clippy => run(clippy(cargo(), root)),
            Self::Docs => run(docs(cargo(), root)),
            Self::Tests => {
                // Tests of the guide run them.
                run(in_root(root, &["build", "--workspace", "--examples"]))?;
                let words = [
                    "test",
                    "--workspace",
                    "--lib",
                    "--bins",
                    "--tests",
                    // One that fails hides no other.
                    "--no-fail-fast",
                ];
                let mut command = in_root(root, &words);
                if std::env::var_os(TEST_THREADS).is_none() {
                    // Those on a port wait for timers more than they work.
                    let processors = std::thread::available_parallelism().map_or(1, usize::from);
                    command.env(TEST_THREADS, (4 * processors).to_string());
                }
                run(command)
            }
            Self::DocTests => run(in_root(root, &["test", "--workspace", "--doc"])),
            // Elsewhere than on Linux, TLS stands on ring.
            Self::Ring => run(in_root(
                root,
                &["test", "-p", "tidegate-driver", "--features", "ring", "tls"],
            )),
            Self::Fuzz => fuzz::run(root),
            _ => self.client(root, tools, options),
        }
    }

    /// Runs the program against one client, in both operating modes and on both loops.
    fn client(self, root: &Path, tools: &Tools, options: &Options) -> Result<(), StepError> {
        run(clients(cargo(), root))?;
        let built = root.join("target").join(CLIENTS_PROFILE);
        let mut command = Command::new(built.join("tidegate-clients"));
        command.arg(self.name());
        command.arg("--program").arg(built.join("tidegate"));
        command.arg("--python").arg(tools.python());
        if let Some(requests) = options.soak_requests {
            command.args(["--requests", &requests.to_string()]);
        }
        if let Some(connections) = options.soak_connections {
            command.args(["--connections", &connections.to_string()]);
        }
        run(command)
    }
}

/// How many tests of one program run at once.
const TEST_THREADS: &str = "RUST_TEST_THREADS";

/// How the program and its clients are built, see the root's `Cargo.toml`.
const CLIENTS_PROFILE: &str = "clients";

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn in_root(root: &Path, words: &[&str]) -> Command {
    with(cargo(), root, words)
}

fn with(mut cargo: Command, root: &Path, words: &[&str]) -> Command {
    cargo.current_dir(root).args(words);
    cargo
}

/// Has this cargo look for what the lints of the whole workspace find.
pub(crate) fn clippy(cargo: Command, root: &Path) -> Command {
    let words = ["clippy", "--workspace", "--all-targets"];
    with(
        cargo,
        root,
        &[&words[..], &["--", "-D", "warnings"]].concat(),
    )
}

/// Has this cargo make the documentation.
pub(crate) fn docs(cargo: Command, root: &Path) -> Command {
    let mut command = with(cargo, root, &["doc", "--workspace", "--no-deps"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}

/// Has this cargo build the program and its clients.
pub(crate) fn clients(cargo: Command, root: &Path) -> Command {
    let words = ["build", "--profile", CLIENTS_PROFILE];
    let packages = ["-p", "tidegate-cli", "-p", "tidegate-clients"];
    with(cargo, root, &[&words[..], &packages].concat())
}

/// Runs a program to its end; it prints where we print.
pub(crate) fn run(mut command: Command) -> Result<(), StepError> {
    let program = command.get_program().to_owned();
    let program = Path::new(&program)
        .file_name()
        .unwrap_or(&program)
        .to_string_lossy()
        .into_owned();
    let status = command
        .stdin(std::process::Stdio::null())
        .status()
        .map_err(|source| StepError::Start {
            program: program.clone(),
            source,
        })?;
    if status.success() {
        return Ok(());
    }
    let first = command.get_args().next().unwrap_or_default();
    Err(StepError::Ended {
        program: format!("{program} {}", first.to_string_lossy()),
        status,
    })
}
