//! The command line of the load generator.

use std::time::Duration;

use crate::error::GeneratorError;

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Each connection sends again as soon as it has its answers.
    Closed(Options),
    /// Requests are sent at a rate of their own, whatever the server does.
    Open(Options),
    /// Connections that are held after one request or handshake each, until standard input ends.
    Idle(Options),
    /// One connection sends messages, and all the others wait for them.
    Broadcast(Options),
    /// Handshakes of WebSocket as fast as they can be asked for.
    Storm(Options),
    /// Handshakes of TLS, each on a connection of its own, one after the other on each of a few places.
    Handshakes(Options),
    /// Print the request and end.
    Request(Options),
    /// Run another program, pinned.
    Launch(Plan),
}

/// The load, and the server it is put on.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// `--port`: where the server listens, on 127.0.0.1.
    pub(crate) port: u16,
    /// `--path`: the request target.
    pub(crate) path: String,
    /// `--body`: send POST with a body of so many bytes; GET without it.
    pub(crate) body_bytes: Option<usize>,
    /// `--browser`: send the header section of a browser.
    pub(crate) browser: bool,
    /// `--range`: ask for a range, such as `bytes=0-99`, which the answer must be: 206.
    pub(crate) range: Option<String>,
    /// `--api-key`: send the API key that our server knows. HTTP/1 only.
    pub(crate) api_key: bool,
    /// `--expect`: the content that the first answer must have.
    pub(crate) expected: Expected,
    /// `--websocket`: send messages in frames rather than requests.
    pub(crate) websocket: bool,
    /// `--tls`: everything over TLS.
    pub(crate) tls: bool,
    /// `--resume`: keep the tickets of TLS, and come back with them.
    pub(crate) resume: bool,
    /// `--http2`: HTTP/2, by ALPN over TLS and by prior knowledge else.
    pub(crate) http2: bool,
    /// `--size`: bytes of a message, default 32.
    pub(crate) size: usize,
    /// `--text`: the messages are text; binary without it.
    pub(crate) text: bool,
    /// `--deflate`: agree on permessage-deflate, and compress every message.
    pub(crate) deflate: bool,
    /// `--hold`: the connections of a storm stay until all are there.
    pub(crate) hold: bool,
    /// `--connections`, default 64. Of a broadcast: the receivers.
    pub(crate) connections: usize,
    /// `--depth`: requests or messages sent at once on a connection, or streams open on it, default 1.
    pub(crate) depth: usize,
    /// `--warm-ms`: load before the window opens, default 100.
    pub(crate) warm: Duration,
    /// `--window-ms`: length of the measuring window, default 400.
    pub(crate) window: Duration,
    /// `--pids`: processes of the server, with a comma between them.
    pub(crate) pids: Vec<u32>,
    /// `--counters`: read instruction counters. They cost the server time at each context switch.
    pub(crate) counters: bool,
    /// `--rate`: requests per second, for `open`.
    pub(crate) rate: f64,
}

/// The content that the first answer must have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Expected {
    /// Any content with a length: the bare responder's, and that of programs with routes of their own.
    Any,
    /// `bench_answers::HELLO`.
    Hello,
    /// `bench_answers::json()`.
    Json,
    /// `bench_answers::UPLOADED`.
    Uploaded,
    /// `bench_answers::download()`.
    Download,
    /// So many bytes of it, from there on.
    Part {
        /// Where they begin.
        start: usize,
        /// How many.
        length: usize,
    },
}

/// A program to run, and where.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The processor it is pinned to.
    pub(crate) cpu: usize,
    /// The program and its arguments; not empty.
    pub(crate) program: Vec<String>,
}

impl Command {
    /// Reads the words after the program's own name.
    pub(crate) fn parse(words: &[String]) -> Result<Self, GeneratorError> {
        let (name, flags) = words
            .split_first()
            .ok_or_else(|| GeneratorError::Argument {
                word: String::new(),
                expected: COMMANDS,
            })?;
        match name.as_str() {
            "closed" => Options::parse(flags).map(Self::Closed),
            "open" => Options::parse(flags).map(Self::Open),
            "idle" => Options::parse(flags).map(Self::Idle),
            "broadcast" => Options::parse(flags).map(Self::Broadcast),
            "storm" => Options::parse(flags).map(Self::Storm),
            "handshakes" => Options::parse(flags).map(Self::Handshakes),
            "request" => Options::parse(flags).map(Self::Request),
            "launch" => Plan::parse(flags).map(Self::Launch),
            _ => Err(GeneratorError::Argument {
                word: name.clone(),
                expected: COMMANDS,
            }),
        }
    }
}

impl Options {
    fn parse(words: &[String]) -> Result<Self, GeneratorError> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(flag) = words.next() {
            let mut value = || {
                words.next().ok_or_else(|| GeneratorError::Argument {
                    word: flag.clone(),
                    expected: "a value after it",
                })
            };
            match flag.as_str() {
                "--port" => options.port = number(value()?)?,
                "--path" => options.path = value()?.clone(),
                "--body" => options.body_bytes = Some(number(value()?)?),
                "--browser" => options.browser = true,
                "--range" => options.range = Some(value()?.clone()),
                "--api-key" => options.api_key = true,
                "--expect" => options.expected = Expected::parse(value()?)?,
                "--websocket" => options.websocket = true,
                "--tls" => options.tls = true,
                "--resume" => options.resume = true,
                "--http2" => options.http2 = true,
                "--size" => options.size = number(value()?)?,
                "--text" => options.text = true,
                "--deflate" => options.deflate = true,
                "--hold" => options.hold = true,
                "--connections" => options.connections = number(value()?)?,
                "--depth" => options.depth = number(value()?)?,
                "--warm-ms" => options.warm = Duration::from_millis(number(value()?)?),
                "--window-ms" => options.window = Duration::from_millis(number(value()?)?),
                "--pids" => {
                    options.pids = value()?.split(',').map(number).collect::<Result<_, _>>()?
                }
                "--counters" => options.counters = true,
                "--rate" => options.rate = number(value()?)?,
                _ => {
                    return Err(GeneratorError::Argument {
                        word: flag.clone(),
                        expected: FLAGS,
                    });
                }
            }
        }
        Ok(options)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            path: "/hello".to_owned(),
            body_bytes: None,
            browser: false,
            range: None,
            api_key: false,
            expected: Expected::Any,
            websocket: false,
            tls: false,
            resume: false,
            http2: false,
            size: 32,
            text: false,
            deflate: false,
            hold: false,
            connections: 64,
            depth: 1,
            warm: Duration::from_millis(100),
            window: Duration::from_millis(400),
            pids: Vec::new(),
            counters: false,
            rate: 1000.0,
        }
    }
}

impl Expected {
    fn parse(word: &str) -> Result<Self, GeneratorError> {
        match word {
            "any" => Ok(Self::Any),
            "hello" => Ok(Self::Hello),
            "json" => Ok(Self::Json),
            "uploaded" => Ok(Self::Uploaded),
            "download" => Ok(Self::Download),
            _ => Self::parse_part(word).ok_or_else(|| GeneratorError::Argument {
                word: word.to_owned(),
                expected: "any, hello, json, uploaded, download or part:START:LENGTH",
            }),
        }
    }

    fn parse_part(word: &str) -> Option<Self> {
        let (start, length) = word.strip_prefix("part:")?.split_once(':')?;
        let (start, length) = (start.parse().ok()?, length.parse().ok()?);
        Some(Self::Part { start, length })
    }

    /// Whether `content` is this content.
    pub(crate) fn is(self, content: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Hello => content == bench_answers::HELLO.as_bytes(),
            Self::Json => content == bench_answers::json().as_bytes(),
            Self::Uploaded => content == bench_answers::UPLOADED.as_bytes(),
            Self::Download => content == bench_answers::download(),
            Self::Part { start, length } => bench_answers::download()
                .get(start..start + length)
                .is_some_and(|part| content == part),
        }
    }
}

impl Plan {
    fn parse(words: &[String]) -> Result<Self, GeneratorError> {
        match words {
            [flag, cpu, dashes, program @ ..]
                if flag == "--cpu" && dashes == "--" && !program.is_empty() =>
            {
                Ok(Self {
                    cpu: number(cpu)?,
                    program: program.to_vec(),
                })
            }
            _ => Err(GeneratorError::Argument {
                word: words.join(" "),
                expected: "--cpu N -- PROGRAM [ARGUMENT]…",
            }),
        }
    }
}

fn number<T: std::str::FromStr>(word: impl AsRef<str>) -> Result<T, GeneratorError> {
    let word = word.as_ref();
    word.parse().map_err(|_| GeneratorError::Argument {
        word: word.to_owned(),
        expected: "a number in range",
    })
}

const COMMANDS: &str = "closed, open, idle, broadcast, storm, handshakes, request or launch";
const FLAGS: &str = "--port, --path, --body, --browser, --range, --api-key, --expect, --websocket, --tls, --resume, \
                     --http2, --size, --text, --deflate, --hold, --connections, --depth, --warm-ms, --window-ms, --pids, \
                     --counters or --rate";

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn all_flags_of_a_load_are_read() {
        let line = "closed --port 81 --path /json --body 4096 --browser --expect json \
                    --connections 8 --depth 16 --warm-ms 5 --window-ms 6 --pids 3,4 --counters --rate 2.5";
        let Ok(Command::Closed(options)) = Command::parse(&words(line)) else {
            panic!("not a closed loop");
        };
        assert_eq!((options.port, options.path.as_str()), (81, "/json"));
        assert_eq!((options.body_bytes, options.browser), (Some(4096), true));
        assert_eq!(options.expected, Expected::Json);
        assert_eq!((options.connections, options.depth), (8, 16));
        assert_eq!(options.warm, Duration::from_millis(5));
        assert_eq!(options.window, Duration::from_millis(6));
        assert_eq!((options.pids, options.counters), (vec![3, 4], true));
        assert!((options.rate - 2.5).abs() < 1e-9);
    }

    #[test]
    fn flags_of_a_websocket_load_are_read() {
        let line = "storm --websocket --size 128 --text --deflate --hold";
        let Ok(Command::Storm(options)) = Command::parse(&words(line)) else {
            panic!("not a storm");
        };
        assert_eq!((options.websocket, options.size), (true, 128));
        assert!(options.text && options.deflate && options.hold);
    }

    #[test]
    fn flags_of_tls_and_http2_are_read() {
        let Ok(Command::Handshakes(options)) = Command::parse(&words(
            "handshakes --tls --resume --http2 --expect download",
        )) else {
            panic!("not handshakes");
        };
        assert!(options.tls && options.resume && options.http2);
        assert_eq!(options.expected, Expected::Download);
    }

    #[test]
    fn a_part_of_the_download_may_be_expected() {
        let line = "closed --range bytes=8-15 --expect part:8:8";
        let Ok(Command::Closed(options)) = Command::parse(&words(line)) else {
            panic!("not a closed loop");
        };
        assert_eq!(options.range.as_deref(), Some("bytes=8-15"));
        assert!(options.expected.is(&bench_answers::download()[8..16]));
        assert!(!options.expected.is(&bench_answers::download()[..8]));
        assert!(Command::parse(&words("closed --expect part:8")).is_err());
    }

    #[test]
    fn unknown_flag_missing_value_and_bad_number_are_refused() {
        for line in [
            "closed --prot 1",
            "closed --port",
            "closed --port 70000",
            "shut",
            "",
        ] {
            assert!(Command::parse(&words(line)).is_err(), "{line:?}");
        }
    }

    #[test]
    fn launch_needs_a_program() {
        let Ok(Command::Launch(plan)) = Command::parse(&words("launch --cpu 1 -- echo a")) else {
            panic!("not a launch");
        };
        assert_eq!((plan.cpu, plan.program), (1, words("echo a")));
        assert!(Command::parse(&words("launch --cpu 1 --")).is_err());
    }
}
