//! Calls of the load generator, and its reports.

use std::time::Duration;

use serde::Deserialize;

use super::error::BenchError;
use super::machine;
use super::places::Places;
use super::process::{self, Running};

/// What is sent to a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) path: &'static str,
    pub(crate) body_bytes: Option<usize>,
    /// Send the header section of a browser.
    pub(crate) browser: bool,
    pub(crate) connections: usize,
    /// Requests sent at once on a connection.
    pub(crate) depth: usize,
}

/// The content that the first answer must have, in the generator's words.
pub(crate) const ANY_CONTENT: &str = "any";

/// How long a load lasts and what is read while it does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measurement {
    pub(crate) warm: Duration,
    pub(crate) window: Duration,
    /// Read instruction counters; they cost the server time.
    pub(crate) counters: bool,
}

/// One window's figures.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Sample {
    pub(crate) requests_total: u64,
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) cpu_us: f64,
    pub(crate) server_share: f64,
    pub(crate) generator_share: f64,
    pub(crate) p99_us: Option<f64>,
    pub(crate) user_instructions: Option<f64>,
    pub(crate) kernel_instructions: Option<f64>,
    pub(crate) open: Option<OpenCounts>,
}

/// How the requests of an open loop fared.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct OpenCounts {
    pub(crate) answered: u64,
    pub(crate) refused: u64,
    pub(crate) reset: u64,
    pub(crate) other: u64,
}

impl Load {
    /// Length of one request to a server on `port`.
    pub(crate) fn request_bytes(&self, places: &Places, port: u16) -> Result<usize, BenchError> {
        let mut command = process::launcher(places, machine::processors().1);
        command
            .arg(places.generator())
            .arg("request")
            .args(self.arguments(port));
        process::run_to_end(&mut command).map(|request| request.len())
    }

    /// Puts a closed loop on a server.
    pub(crate) fn closed(
        &self,
        places: &Places,
        running: &Running,
        expected: &str,
        measurement: Measurement,
    ) -> Result<Sample, BenchError> {
        self.run(
            places,
            running,
            measurement,
            &["closed", "--expect", expected],
        )
    }

    /// Puts an open loop with so many requests per second on a server.
    pub(crate) fn open(
        &self,
        places: &Places,
        running: &Running,
        rate: f64,
        measurement: Measurement,
    ) -> Result<Sample, BenchError> {
        self.run(
            places,
            running,
            measurement,
            &["open", "--rate", &rate.to_string()],
        )
    }

    fn run(
        &self,
        places: &Places,
        running: &Running,
        measurement: Measurement,
        words: &[&str],
    ) -> Result<Sample, BenchError> {
        let pids: Vec<String> = running.pids().iter().map(u32::to_string).collect();
        let mut command = process::launcher(places, machine::processors().1);
        command
            .arg(places.generator())
            .args(words)
            .args(self.arguments(running.port))
            .args(["--pids", &pids.join(",")])
            .args(["--warm-ms", &measurement.warm.as_millis().to_string()])
            .args(["--window-ms", &measurement.window.as_millis().to_string()]);
        if measurement.counters {
            command.arg("--counters");
        }
        let text = process::run_to_end(&mut command)?;
        serde_json::from_str(&text).map_err(|source| BenchError::Report { text, source })
    }

    /// The flags that say what is sent.
    pub(crate) fn arguments(&self, port: u16) -> Vec<String> {
        let mut words: Vec<String> = ["--port", &port.to_string(), "--path", self.path]
            .map(str::to_owned)
            .to_vec();
        if let Some(bytes) = self.body_bytes {
            words.extend(["--body".to_owned(), bytes.to_string()]);
        }
        if self.browser {
            words.push("--browser".to_owned());
        }
        words.extend(["--connections".to_owned(), self.connections.to_string()]);
        words.extend(["--depth".to_owned(), self.depth.to_string()]);
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_without_counters_is_read() {
        let text = r#"{"requests":2,"requests_total":3,"seconds":0.1,"cpu_us":7.5,"server_share":0.9,
            "generator_share":0.5,"p50_us":null,"p99_us":9.0,"user_instructions":null,
            "kernel_instructions":null,"open":{"answered":1,"refused":2,"reset":3,"other":4}}"#;
        let sample: Sample = serde_json::from_str(text).unwrap();
        assert_eq!(
            (sample.requests, sample.p99_us, sample.user_instructions),
            (2, Some(9.0), None)
        );
        assert_eq!(sample.open.map(|open| open.reset), Some(3));
    }

    #[test]
    fn arguments_say_the_whole_load() {
        let load = Load {
            path: "/upload",
            body_bytes: Some(4096),
            browser: true,
            connections: 8,
            depth: 2,
        };
        let line = load.arguments(81).join(" ");
        assert_eq!(
            line,
            "--port 81 --path /upload --body 4096 --browser --connections 8 --depth 2"
        );
    }
}
