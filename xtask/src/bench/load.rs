//! Calls of the load generator, and its reports.

use std::time::Duration;

use serde::Deserialize;

use super::error::BenchError;
use super::machine;
use super::places::Places;
use super::process::{self, Running};
use super::server::{Duty, Exchange, Frames, Server};

/// What is put on a server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// A closed loop of equal requests.
    Requests(Requests),
    /// A closed loop of equal WebSocket messages, each of which comes back.
    Echo(Messages),
    /// WebSocket messages that go from one connection to all others.
    Broadcast(Messages),
    /// WebSocket handshakes as fast as they can be asked for.
    Storm(Storm),
    /// Handshakes of TLS, each on a connection of its own.
    Handshakes(Handshakes),
}

/// Requests that are all the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requests {
    pub(crate) path: &'static str,
    pub(crate) tls: bool,
    /// HTTP/2: by ALPN over TLS, and by prior knowledge else.
    pub(crate) http2: bool,
    pub(crate) body_bytes: Option<usize>,
    /// Send the header section of a browser.
    pub(crate) browser: bool,
    /// The range that is asked for.
    pub(crate) range: Option<&'static str>,
    /// Send an API key, which ours has to ask for.
    pub(crate) api_key: bool,
    /// Where the answers come from.
    pub(crate) origin: Origin,
    pub(crate) connections: usize,
    /// Requests sent at once on a connection, or streams open on it.
    pub(crate) depth: usize,
    /// The content of a server with the benchmarks' routes, in the generator's words.
    pub(crate) expected: &'static str,
    pub(crate) content_bytes: usize,
}

/// Where a server has its answers from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// Its own code or configuration.
    Itself,
    /// Files in a folder.
    Files,
    /// Another server, once; then its cache. Ours: its own code, once.
    Cache,
    /// Another server, which it forwards each request to.
    Upstream,
}

/// WebSocket messages that are all the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Messages {
    pub(crate) path: &'static str,
    pub(crate) bytes: usize,
    /// Text, compressed by permessage-deflate; else binary, as it is.
    pub(crate) deflate: bool,
    /// Of a broadcast: those that receive.
    pub(crate) connections: usize,
    /// Messages under way at once: on each connection, or from the publisher.
    pub(crate) depth: usize,
}

/// Handshakes as fast as they can be asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Storm {
    pub(crate) connections: usize,
    /// The connections stay until all stand; else each is closed as soon as it does.
    pub(crate) hold: bool,
}

/// Handshakes of TLS over and over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handshakes {
    /// Connections that are under way at once.
    pub(crate) connections: usize,
    /// Each but the first takes up the session of another.
    pub(crate) resume: bool,
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
    pub(crate) first: Option<First>,
    pub(crate) open: Option<OpenCounts>,
    pub(crate) storm: Option<StormCounts>,
}

/// The first answer of a closed loop.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct First {
    pub(crate) answer_bytes: usize,
}

/// How the connections of a storm fared that did not come to stand.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct StormCounts {
    pub(crate) refused: u64,
    pub(crate) reset: u64,
    pub(crate) unfinished: u64,
    /// Connections that had to try again because the listener's queue was full.
    pub(crate) overflows: Option<u64>,
}

impl StormCounts {
    pub(crate) fn lost(&self) -> u64 {
        self.refused + self.reset + self.unfinished
    }
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
    /// The same with at most so many connections.
    pub(crate) fn with_connections_at_most(mut self, connections_max: usize) -> Self {
        let connections = match &mut self {
            Self::Requests(requests) => &mut requests.connections,
            Self::Echo(messages) | Self::Broadcast(messages) => &mut messages.connections,
            Self::Storm(storm) => &mut storm.connections,
            Self::Handshakes(handshakes) => &mut handshakes.connections,
        };
        *connections = (*connections).min(connections_max);
        self
    }

    pub(crate) fn connections(&self) -> usize {
        match self {
            Self::Requests(requests) => requests.connections,
            Self::Echo(messages) | Self::Broadcast(messages) => messages.connections,
            Self::Storm(storm) => storm.connections,
            Self::Handshakes(handshakes) => handshakes.connections,
        }
    }

    /// Whether instructions are counted: where an exchange is a matter of microseconds and all
    /// servers do the same work for it.
    pub(crate) fn is_counted(&self) -> bool {
        match self {
            // Encrypting takes few instructions for what it costs.
            Self::Requests(requests) => !requests.tls && requests.origin == Origin::Itself,
            Self::Echo(messages) => !messages.deflate,
            Self::Broadcast(_) | Self::Storm(_) | Self::Handshakes(_) => false,
        }
    }

    pub(crate) fn is_compressed(&self) -> bool {
        matches!(self, Self::Echo(messages) if messages.deflate)
    }

    /// Whether another server has to be there, from which servers have their answers.
    pub(crate) fn needs_upstream(&self) -> bool {
        matches!(self, Self::Requests(requests)
            if matches!(requests.origin, Origin::Cache | Origin::Upstream))
    }

    /// What a server must be started for. `upstream` is the port of the other server, if one is needed.
    pub(crate) fn duty(
        &self,
        places: &Places,
        port: u16,
        upstream: Option<u16>,
    ) -> Result<Duty, BenchError> {
        Ok(match self {
            Self::Requests(Requests {
                origin: Origin::Files,
                ..
            }) => Duty::Files,
            Self::Requests(Requests {
                origin: Origin::Cache,
                ..
            }) => Duty::Cache(upstream.unwrap_or_default()),
            Self::Requests(Requests {
                origin: Origin::Upstream,
                ..
            }) => Duty::Forward(upstream.unwrap_or_default()),
            Self::Requests(requests) if requests.api_key => Duty::Admission,
            Self::Requests(requests) if requests.tls => Duty::Tls,
            Self::Requests(requests) if requests.http2 => Duty::Http2,
            Self::Requests(requests) => Duty::Requests(requests.exchange(places, port)?),
            Self::Handshakes(_) => Duty::Tls,
            Self::Echo(messages) if messages.deflate => Duty::Frames(Frames::Deflate),
            Self::Echo(_) | Self::Broadcast(_) | Self::Storm(_) => Duty::Frames(Frames::Plain),
        })
    }

    /// Puts the load on a server.
    pub(crate) fn measure(
        &self,
        places: &Places,
        server: Server,
        running: &Running,
        mut measurement: Measurement,
    ) -> Result<Sample, BenchError> {
        let words: &[&str] = match self {
            Self::Requests(requests) => {
                if requests.is_large() {
                    measurement.window *= 4;
                }
                return requests.closed(places, server, running, measurement);
            }
            Self::Echo(_) => &["closed"],
            Self::Broadcast(_) => {
                // One message to thousands takes a good part of the usual window.
                measurement.window *= 2;
                &["broadcast"]
            }
            Self::Storm(_) => &["storm"],
            Self::Handshakes(_) => &["handshakes"],
        };
        run(
            places,
            running,
            measurement,
            words,
            &self.arguments(running.port),
        )
    }

    /// The flags that say what is sent.
    pub(crate) fn arguments(&self, port: u16) -> Vec<String> {
        match self {
            Self::Requests(requests) => requests.arguments(port),
            Self::Echo(messages) | Self::Broadcast(messages) => messages.arguments(port),
            Self::Storm(storm) => storm.arguments(port),
            Self::Handshakes(handshakes) => handshakes.arguments(port),
        }
    }
}

impl Requests {
    /// What the bare responder must be told.
    fn exchange(&self, places: &Places, port: u16) -> Result<Exchange, BenchError> {
        let mut command = process::launcher(places, machine::processors().1);
        command
            .arg(places.generator())
            .arg("request")
            .args(self.arguments(port));
        Ok(Exchange {
            request_bytes: process::run_to_end(&mut command)?.len(),
            content_bytes: self.content_bytes,
        })
    }

    /// Whether a window of the usual length would see only a few.
    fn is_large(&self) -> bool {
        self.content_bytes + self.body_bytes.unwrap_or(0) > 1 << 20
    }

    /// Puts a closed loop on a server.
    pub(crate) fn closed(
        &self,
        places: &Places,
        server: Server,
        running: &Running,
        measurement: Measurement,
    ) -> Result<Sample, BenchError> {
        let expected = if server.has_content_of_its_own() {
            ANY_CONTENT
        } else {
            self.expected
        };
        let words = ["closed", "--expect", expected];
        let arguments = self.arguments(running.port);
        run(places, running, measurement, &words, &arguments)
    }

    /// Puts an open loop with so many requests per second on a server.
    pub(crate) fn open(
        &self,
        places: &Places,
        running: &Running,
        rate: f64,
        measurement: Measurement,
    ) -> Result<Sample, BenchError> {
        let words = ["open", "--rate", &rate.to_string()];
        let arguments = self.arguments(running.port);
        run(places, running, measurement, &words, &arguments)
    }

    fn arguments(&self, port: u16) -> Vec<String> {
        let mut words = words(&["--port", &port.to_string(), "--path", self.path]);
        for (flag, is_wanted) in [("--tls", self.tls), ("--http2", self.http2)] {
            if is_wanted {
                words.push(flag.to_owned());
            }
        }
        if let Some(bytes) = self.body_bytes {
            words.extend(["--body".to_owned(), bytes.to_string()]);
        }
        if self.browser {
            words.push("--browser".to_owned());
        }
        if let Some(range) = self.range {
            words.extend(["--range", range].map(str::to_owned));
        }
        if self.api_key {
            words.push("--api-key".to_owned());
        }
        words.extend(["--connections".to_owned(), self.connections.to_string()]);
        words.extend(["--depth".to_owned(), self.depth.to_string()]);
        words
    }
}

impl Messages {
    fn arguments(&self, port: u16) -> Vec<String> {
        let [port, bytes, connections, depth] =
            [usize::from(port), self.bytes, self.connections, self.depth]
                .map(|number| number.to_string());
        let mut words = words(&["--websocket", "--port", &port, "--path", self.path]);
        words.extend(["--size".to_owned(), bytes]);
        if self.deflate {
            words.extend(["--text", "--deflate"].map(str::to_owned));
        }
        words.extend(["--connections".to_owned(), connections]);
        words.extend(["--depth".to_owned(), depth]);
        words
    }
}

impl Storm {
    fn arguments(&self, port: u16) -> Vec<String> {
        let [port, connections] =
            [usize::from(port), self.connections].map(|number| number.to_string());
        let mut words = words(&["--websocket", "--port", &port, "--path", "/ws"]);
        words.extend(["--connections".to_owned(), connections]);
        if self.hold {
            words.push("--hold".to_owned());
        }
        words
    }
}

impl Handshakes {
    fn arguments(&self, port: u16) -> Vec<String> {
        let [port, connections] =
            [usize::from(port), self.connections].map(|number| number.to_string());
        let mut words = words(&["--tls", "--port", &port, "--connections", &connections]);
        if self.resume {
            words.push("--resume".to_owned());
        }
        words
    }
}

fn run(
    places: &Places,
    running: &Running,
    measurement: Measurement,
    words: &[&str],
    arguments: &[String],
) -> Result<Sample, BenchError> {
    let pids: Vec<String> = running.pids().iter().map(u32::to_string).collect();
    let mut command = process::launcher(places, machine::processors().1);
    command
        .arg(places.generator())
        .args(words)
        .args(arguments)
        .args(["--pids", &pids.join(",")])
        .args(["--warm-ms", &measurement.warm.as_millis().to_string()])
        .args(["--window-ms", &measurement.window.as_millis().to_string()]);
    if measurement.counters {
        command.arg("--counters");
    }
    let text = process::run_to_end(&mut command).map_err(|error| match error {
        // Which load it was is known; the paths and numbers in its command line say nothing more.
        BenchError::Failed { output, .. } => BenchError::Load { output },
        other => other,
    })?;
    serde_json::from_str(&text).map_err(|source| BenchError::Report { text, source })
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_without_counters_is_read() {
        let text = r#"{"requests":2,"requests_total":3,"seconds":0.1,"cpu_us":7.5,"server_share":0.9,
            "generator_share":0.5,"p50_us":null,"p99_us":9.0,"user_instructions":null,
            "kernel_instructions":null,"first":{"answer_bytes":34,"head":"x"},"storm":null,"open":{"answered":1,"refused":2,"reset":3,"other":4}}"#;
        let sample: Sample = serde_json::from_str(text).unwrap();
        assert_eq!(
            (sample.requests, sample.p99_us, sample.user_instructions),
            (2, Some(9.0), None)
        );
        assert_eq!(sample.open.map(|open| open.reset), Some(3));
    }

    #[test]
    fn arguments_say_the_whole_load() {
        let load = Load::Requests(Requests {
            path: "/upload",
            tls: true,
            http2: true,
            body_bytes: Some(4096),
            browser: true,
            range: Some("bytes=0-1"),
            api_key: true,
            origin: Origin::Itself,
            connections: 8,
            depth: 2,
            expected: "uploaded",
            content_bytes: 2,
        });
        let line = load.arguments(81).join(" ");
        assert_eq!(
            line,
            "--port 81 --path /upload --tls --http2 --body 4096 --browser --range bytes=0-1 \
             --api-key --connections 8 --depth 2"
        );
    }
    #[test]
    fn arguments_of_websocket_loads_say_all() {
        let messages = Messages {
            path: "/ws",
            bytes: 32,
            deflate: true,
            connections: 64,
            depth: 1,
        };
        assert_eq!(
            Load::Echo(messages).arguments(81).join(" "),
            "--websocket --port 81 --path /ws --size 32 --text --deflate --connections 64 --depth 1"
        );
        let storm = Storm {
            connections: 10_000,
            hold: true,
        };
        let handshakes = Handshakes {
            connections: 64,
            resume: true,
        };
        assert_eq!(
            Load::Handshakes(handshakes).arguments(81).join(" "),
            "--tls --port 81 --connections 64 --resume"
        );
        assert_eq!(
            Load::Storm(storm)
                .with_connections_at_most(500)
                .arguments(81)
                .join(" "),
            "--websocket --port 81 --path /ws --connections 500 --hold"
        );
    }
}
