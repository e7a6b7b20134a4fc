//! What the steps need besides cargo: found where it is, installed where that is allowed.
//!
//! Programs come from Debian's packages, clients in other languages from PyPI and npm, into folders of
//! this checkout.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::StepError;
use super::step::{self, Step};

/// Something a step needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tool {
    Rustfmt,
    Clippy,
    /// A C++ compiler, for the engine of the fuzz targets.
    Cxx,
    Curl,
    /// nghttp and h2load.
    Nghttp2,
    Openssl,
    Wget,
    Chromium,
    Wrk,
    Nginx,
    Haproxy,
    Slowhttptest,
    /// Java with its compiler.
    Java,
    /// The clients from PyPI in an environment of their own.
    PythonPackages,
    /// The clients from npm.
    NodePackages,
    /// `/proc`, which tells of descriptors and memory.
    ProcessFolder,
}

impl Tool {
    /// The program, and the Debian package that has it.
    fn programs(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Rustfmt | Self::Clippy | Self::ProcessFolder => &[],
            Self::Cxx => &[("c++", "g++")],
            Self::Curl => &[("curl", "curl")],
            Self::Nghttp2 => &[("nghttp", "nghttp2-client"), ("h2load", "nghttp2-client")],
            Self::Openssl => &[("openssl", "openssl")],
            Self::Wget => &[("wget", "wget")],
            Self::Chromium => &[("chromium", "chromium")],
            Self::Wrk => &[("wrk", "wrk")],
            Self::Nginx => &[("nginx", "nginx-light")],
            Self::Haproxy => &[("haproxy", "haproxy")],
            Self::Slowhttptest => &[("slowhttptest", "slowhttptest")],
            Self::Java => &[("javac", "default-jdk-headless")],
            Self::PythonPackages => &[("python3", "python3-venv")],
            Self::NodePackages => &[("node", "nodejs"), ("npm", "npm")],
        }
    }

    /// The platform's lack, where no package could help.
    fn platform_lacks(self) -> Option<&'static str> {
        match self {
            Self::ProcessFolder if !Path::new("/proc/self/fd").exists() => Some("/proc"),
            Self::Slowhttptest | Self::Wrk if cfg!(windows) => Some("wrk and slowhttptest"),
            _ => None,
        }
    }
}

/// What was found or installed.
pub(crate) struct Tools {
    python: PathBuf,
    /// Why a set-up that goes beyond finding a program did not succeed.
    failures: Vec<(Tool, StepError)>,
}

impl Tools {
    /// Installs what `steps` need and is not there, where that is allowed.
    pub(crate) fn set_up(root: &Path, steps: &[Step], install: bool) -> Self {
        let wanted = wanted(steps);
        if install {
            install_packages(&wanted);
        }
        let environment = root.join("target").join("python");
        let mut tools = Self {
            python: environment.join("bin").join("python"),
            failures: Vec::new(),
        };
        for tool in wanted {
            let done = match tool {
                Tool::Rustfmt => component("fmt", "rustfmt", install),
                Tool::Clippy => component("clippy", "clippy", install),
                Tool::PythonPackages => python_packages(root, &environment, install),
                Tool::NodePackages => node_packages(root, install),
                _ => Ok(()),
            };
            if let Err(error) = done {
                tools.failures.push((tool, error));
            }
        }
        tools
    }

    /// The Python that has the clients from PyPI.
    pub(crate) fn python(&self) -> &Path {
        &self.python
    }

    /// Whether all is there that the step needs.
    pub(crate) fn check(&self, step: Step) -> Result<(), StepError> {
        for &tool in step.needs() {
            if let Some(needs) = tool.platform_lacks() {
                return Err(StepError::Platform { needs });
            }
            for &(program, package) in tool.programs() {
                if find_program(program).is_none() {
                    return Err(StepError::Missing {
                        what: format!("the program {program}"),
                        way_out: format!("apt-get install {package}, or your system's package"),
                    });
                }
            }
            if let Some((_, error)) = self.failures.iter().find(|(failed, _)| *failed == tool) {
                return Err(StepError::Missing {
                    what: format!("what {step} needs ({error})"),
                    way_out: "run this command where it may install packages".to_owned(),
                });
            }
        }
        Ok(())
    }
}

fn wanted(steps: &[Step]) -> Vec<Tool> {
    let mut wanted = Vec::new();
    for tool in steps.iter().flat_map(|step| step.needs()) {
        if !wanted.contains(tool) && tool.platform_lacks().is_none() {
            wanted.push(*tool);
        }
    }
    wanted
}

/// Installs Debian's packages of the programs that are missing. What fails is found missing later.
fn install_packages(wanted: &[Tool]) {
    let mut missing: Vec<(&str, &str)> = wanted
        .iter()
        .flat_map(|tool| tool.programs())
        .filter(|(program, _)| find_program(program).is_none())
        .copied()
        .collect();
    // Debian has Python without the module that makes environments.
    if wanted.contains(&Tool::PythonPackages) && !succeeds("python3", &["-c", "import ensurepip"]) {
        missing.push(("python3", "python3-venv"));
    }
    if missing.is_empty() || find_program("apt-get").is_none() {
        return;
    }
    let names: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    println!("installing from Debian: {}", names.join(" "));
    let mut install = vec!["apt-get", "install", "--yes", "--no-install-recommends"];
    install.extend(&names);
    for words in [&["apt-get", "update", "--quiet"][..], &install] {
        if let Some(command) = as_superuser(words)
            && let Err(error) = step::run(command)
        {
            println!("{error}");
        }
    }
    // Debian starts the services it installs. They are not wanted: the tests start their own.
    for (program, _) in missing {
        if matches!(program, "nginx" | "haproxy")
            && let Some(mut command) = as_superuser(&["service", program, "stop"])
        {
            let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

/// A command that may install; `None` where we may not.
fn as_superuser(words: &[&str]) -> Option<Command> {
    let is_superuser = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    let mut command = if is_superuser {
        let (program, rest) = words.split_first()?;
        let mut command = Command::new(program);
        command.args(rest);
        command
    } else if succeeds("sudo", &["-n", "true"]) {
        let mut command = Command::new("sudo");
        command
            .args(["-n", "--preserve-env=DEBIAN_FRONTEND"])
            .args(words);
        command
    } else {
        println!("may not run as superuser: {}", words.join(" "));
        return None;
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    Some(command)
}

/// A part of the Rust toolchain.
fn component(word: &str, name: &str, install: bool) -> Result<(), StepError> {
    let is_there = || {
        step::cargo()
            .args([word, "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if is_there() || (install && succeeds("rustup", &["component", "add", name]) && is_there()) {
        return Ok(());
    }
    Err(StepError::Missing {
        what: name.to_owned(),
        way_out: format!("rustup component add {name}"),
    })
}

fn python_packages(root: &Path, environment: &Path, install: bool) -> Result<(), StepError> {
    let list = root.join("testing/clients/python/requirements.txt");
    if is_installed(environment, &list) {
        return Ok(());
    }
    if !install {
        return Err(StepError::Missing {
            what: "the environment of Python clients".to_owned(),
            way_out: "leave out --no-install".to_owned(),
        });
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(environment);
    step::run(make)?;
    let mut get = Command::new(environment.join("bin").join("python"));
    get.args(["-m", "pip", "install", "--quiet", "--requirement"])
        .arg(&list);
    step::run(get)?;
    note_installed(environment, &list)
}

fn node_packages(root: &Path, install: bool) -> Result<(), StepError> {
    let folder = root.join("testing/clients/node");
    let list = folder.join("package-lock.json");
    let environment = folder.join("node_modules");
    if is_installed(&environment, &list) {
        return Ok(());
    }
    if !install {
        return Err(StepError::Missing {
            what: "the packages of the Node clients".to_owned(),
            way_out: "leave out --no-install".to_owned(),
        });
    }
    let mut get = Command::new("npm");
    get.current_dir(&folder)
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
    step::run(get)?;
    note_installed(&environment, &list)
}

/// Whether the list that was installed last is today's.
fn is_installed(environment: &Path, list: &Path) -> bool {
    let noted = fs::read(environment.join(NOTE)).ok();
    noted.is_some() && noted == fs::read(list).ok()
}

fn note_installed(environment: &Path, list: &Path) -> Result<(), StepError> {
    let note = environment.join(NOTE);
    fs::copy(list, note)
        .map(|_| ())
        .map_err(|source| StepError::File {
            path: list.to_path_buf(),
            source,
        })
}

/// The list that an environment was installed from.
const NOTE: &str = ".installed-from";

fn find_program(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    // Debian keeps servers in /usr/sbin, which is not in every account's path.
    std::env::split_paths(&folders)
        .chain(["/usr/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

fn succeeds(program: &str, words: &[&str]) -> bool {
    Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
