//! The words of the command.

use std::path::PathBuf;

use crate::error::ClientError;
use crate::server::{Configuration, Io, Mode};
use crate::suite::Suite;

/// What is to be run, and where its parts are.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) suites: Vec<Suite>,
    /// The program under test.
    pub(crate) program: PathBuf,
    /// A Python that has the packages of `python/requirements.txt`.
    pub(crate) python: PathBuf,
    /// How many configurations run side by side, where a suite does not need quiet.
    pub(crate) jobs: usize,
    /// Only this operating mode.
    mode: Option<Mode>,
    /// Only this event loop.
    io: Option<Io>,
    /// Requests of the soak, in all.
    pub(crate) soak_requests: u64,
    /// WebSocket connections of the soak, in all.
    pub(crate) soak_connections: u64,
}

impl Options {
    pub(crate) fn parse(words: &[String]) -> Result<Self, ClientError> {
        let beside = std::env::current_exe().map_err(|source| ClientError::Io {
            what: "finding this program",
            source,
        })?;
        let mut options = Self {
            suites: Vec::new(),
            program: beside.with_file_name("tidegate"),
            python: "python3".into(),
            // They wait more than they work.
            jobs: 4,
            mode: None,
            io: None,
            soak_requests: 200_000,
            soak_connections: 30_000,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .ok_or_else(|| ClientError::Word(format!("{word} needs a value")))
            };
            match word.as_str() {
                "--program" => options.program = value()?.into(),
                "--python" => options.python = value()?.into(),
                "--mode" => {
                    let name = value()?;
                    let mode = Mode::ALL.into_iter().find(|mode| mode.word() == name);
                    options.mode =
                        Some(mode.ok_or_else(|| ClientError::Word(format!("no mode '{name}'")))?);
                }
                "--io" => {
                    let name = value()?;
                    let io = Io::ALL.into_iter().find(|io| io.word() == name);
                    options.io =
                        Some(io.ok_or_else(|| ClientError::Word(format!("no loop '{name}'")))?);
                }
                "--jobs" => {
                    options.jobs = usize::try_from(number(word, value()?)?)
                        .ok()
                        .filter(|jobs| *jobs > 0)
                        .ok_or_else(|| ClientError::Word("--jobs needs at least 1".to_owned()))?;
                }
                "--requests" => options.soak_requests = number(word, value()?)?,
                "--connections" => options.soak_connections = number(word, value()?)?,
                name => options.suites.push(
                    Suite::named(name)
                        .ok_or_else(|| ClientError::Word(format!("no client '{name}'")))?,
                ),
            }
        }
        if options.suites.is_empty() {
            options.suites = Suite::ALL.to_vec();
        }
        Ok(options)
    }

    /// Whether no operating mode and no loop was chosen.
    pub(crate) fn runs_all(&self) -> bool {
        self.mode.is_none() && self.io.is_none()
    }

    /// The operating modes and loops that are asked for.
    pub(crate) fn configurations(&self) -> Vec<Configuration> {
        Mode::ALL
            .into_iter()
            .filter(|mode| self.mode.is_none_or(|only| only == *mode))
            .flat_map(|mode| Io::ALL.map(|io| Configuration { mode, io }))
            .filter(|configuration| self.io.is_none_or(|only| only == configuration.io))
            .collect()
    }
}

fn number(flag: &str, value: &str) -> Result<u64, ClientError> {
    value
        .parse()
        .map_err(|_| ClientError::Word(format!("{flag} needs a number")))
}
