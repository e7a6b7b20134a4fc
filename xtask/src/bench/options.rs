//! The command line of `cargo xtask bench`.

use std::time::Duration;

use super::error::BenchError;
use super::load::Load;
use super::machine;
use super::server::Server;
use super::workload::Id;

/// What to measure, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) suite: Suite,
    /// `--rounds`: how often each server is measured in a workload. Default 7.
    pub(crate) rounds: usize,
    /// `--secs`: length of one measuring window. Default 0.4 s.
    pub(crate) window: Duration,
    /// `--only`: the servers to measure; empty for all.
    pub(crate) only: Vec<Server>,
    /// `--workload`: the workloads to measure; empty for all.
    pub(crate) workloads: Vec<Id>,
    /// `--quick`: two short rounds and fewer connections, to see that everything runs.
    pub(crate) quick: bool,
    /// `--install`: get the peers that are missing.
    pub(crate) install: bool,
    /// Build what is measured. `--no-build`: measure what was built last.
    pub(crate) build: bool,
}

/// Which measurement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Suite {
    Http1,
    WebSocket,
    Tls,
    Http2,
    Content,
    Admission,
    Callgrind,
}

impl Options {
    /// Reads the words after `bench`.
    pub(crate) fn parse(words: &[String]) -> Result<Self, BenchError> {
        let suite = match words.first().map(String::as_str) {
            Some("http1") => Suite::Http1,
            Some("websocket") => Suite::WebSocket,
            Some("tls") => Suite::Tls,
            Some("http2") => Suite::Http2,
            Some("content") => Suite::Content,
            Some("admission") => Suite::Admission,
            Some("callgrind") => Suite::Callgrind,
            other => return Err(refused(other.unwrap_or_default(), USAGE)),
        };
        let quick = words.iter().any(|word| word == "--quick");
        let mut options = Self {
            suite,
            rounds: if quick { 2 } else { 7 },
            window: Duration::from_millis(if quick { 100 } else { 400 }),
            only: Vec::new(),
            workloads: Vec::new(),
            quick,
            install: false,
            build: true,
        };
        let mut words = words[1..].iter();
        while let Some(flag) = words.next() {
            let mut value = || {
                words
                    .next()
                    .ok_or_else(|| refused(flag, "a value after it"))
            };
            match flag.as_str() {
                "--rounds" => options.rounds = number(value()?, 1..=1000)?,
                "--secs" => options.window = seconds(value()?)?,
                "--only" => options.only = list(value()?, Server::from_name, &Server::names())?,
                "--workload" => options.workloads = list(value()?, Id::from_name, &Id::names())?,
                "--install" => options.install = true,
                "--no-build" => options.build = false,
                "--quick" => {}
                _ => return Err(refused(flag, USAGE)),
            }
        }
        Ok(options)
    }

    /// Whether the results are those of all servers and workloads at full length, as they are now.
    ///
    /// Only such a run is written to the results file: a part would take the place of the whole.
    pub(crate) fn is_whole(&self) -> bool {
        self.only.is_empty() && self.workloads.is_empty() && !self.quick && self.build
    }

    /// The load with as many connections as this run and this machine can have.
    pub(crate) fn scaled(&self, load: Load) -> Load {
        let wanted = if self.quick { 500 } else { usize::MAX };
        let possible = machine::descriptors_max().saturating_sub(100);
        load.with_connections_at_most(wanted.min(possible))
    }

    pub(crate) fn measures(&self, server: Server) -> bool {
        self.only.is_empty() || self.only.contains(&server)
    }

    pub(crate) fn runs(&self, workload: Id) -> bool {
        self.workloads.is_empty() || self.workloads.contains(&workload)
    }
}

fn number(word: &str, range: std::ops::RangeInclusive<usize>) -> Result<usize, BenchError> {
    word.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            refused(
                word,
                &format!("a number from {} to {}", range.start(), range.end()),
            )
        })
}

fn seconds(word: &str) -> Result<Duration, BenchError> {
    word.parse()
        .ok()
        .filter(|seconds| (0.02..=60.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| refused(word, "seconds from 0.02 to 60"))
}

fn list<T>(word: &str, read: fn(&str) -> Option<T>, names: &str) -> Result<Vec<T>, BenchError> {
    word.split(',')
        .map(|name| read(name).ok_or_else(|| refused(name, &format!("one of {names}"))))
        .collect()
}

fn refused(word: &str, expected: &str) -> BenchError {
    BenchError::Argument {
        word: word.to_owned(),
        expected: expected.to_owned(),
    }
}

const USAGE: &str = "http1, websocket, tls, http2, content, admission or callgrind, then [--rounds N] [--secs S] [--only server,…] \
                     [--workload w1,…] [--quick] [--install] [--no-build]";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, BenchError> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words)
    }

    #[test]
    fn plain_run_is_whole() {
        let options = parse("http1 --rounds 9 --secs 1.5").unwrap();
        assert_eq!(
            (options.rounds, options.window),
            (9, Duration::from_millis(1500))
        );
        assert!(options.is_whole());
        assert!(options.measures(Server::Bun) && options.runs(Id::W11));
    }

    #[test]
    fn parts_and_quick_runs_are_not_whole() {
        for line in [
            "http1 --quick",
            "websocket --no-build",
            "http1 --only hyper",
            "http1 --workload w1,w10",
        ] {
            assert!(!parse(line).unwrap().is_whole(), "{line}");
        }
        let options = parse("http1 --only hyper,bun --workload W2").unwrap();
        assert!(options.measures(Server::Hyper) && !options.measures(Server::May));
        assert!(options.runs(Id::W2) && !options.runs(Id::W1));
    }

    #[test]
    fn wrong_words_are_refused() {
        let lines = [
            "",
            "http3",
            "http1 --rounds",
            "http1 --rounds 0",
            "http1 --secs 0",
        ];
        for line in lines
            .into_iter()
            .chain(["http1 --only no", "http1 --workload w99", "http1 x"])
        {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
