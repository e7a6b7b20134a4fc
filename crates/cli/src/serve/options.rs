//! The flags of `tidegate serve`, and how they fill the server's settings.
//!
//! A flag is named like the setting it sets; defaults, ranges and their checks are the settings' own.
//! Certificates are in `tls`.

mod tls;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueHint};
use tidegate::{
    Binding, FilesSettings, Io, LimitError, OperatingMode, Settings, Timeouts, Verbosity503,
};

use self::tls::TlsOptions;

/// Serves HTTP on the URL prefixes it is given.
///
/// What is served is the demonstration site: a page that shows the server at work, and the routes it
/// uses (/hello, /echo, /inspect, /status/CODE, /bytes/N, /file, /stream, /delay/MS, /block/MS, /tide.wav, /upload,
/// /forward); or, with --root, the files of a folder. A settings file says how the server runs and where it listens, and may
/// have several folders; what answers by itself is written in Rust with the package `tidegate`.
///
/// A flag takes the place of the same setting of the file. Times are seconds, whole or with a fraction.
#[derive(Args, Debug, Default)]
pub(crate) struct Options {
    /// Settings file (TOML). Its keys are those of the package's `Settings`
    #[arg(value_name = "SITE.toml", value_hint = ValueHint::FilePath)]
    pub(super) file: Option<PathBuf>,

    /// Serve this URL prefix, such as http://localhost:8080/, https://+:443/api/ or
    /// unix:/run/site.sock; may be given several times, and replaces all bindings of the file
    ///
    /// Without any, http://localhost:8080/ and http://127.0.0.1:8080/ are served, and with a certificate
    /// the same hosts by https on port 8443 as well.
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    listen: Vec<String>,

    /// Serve the files of this folder instead of the demonstration site: at /, with index.html for a
    /// folder, conditions, ranges and compression. `[[files]]` in a settings file has more to choose from
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    root: Option<PathBuf>,

    /// The settings of the whole service to heed, which `tidegate http` keeps: reservations, certificates, addresses
    /// to listen on, timeouts; none heeds nothing. Without it `store` of the settings file, TIDEGATE_STORE, else
    /// /var/lib/tidegate/http.toml for the superuser and the user's state folder for others
    #[arg(long, value_name = "FILE|none", value_hint = ValueHint::FilePath)]
    store: Option<PathBuf>,
    /// Have another process serve, keep its listening sockets, and start the next one when it crashes;
    /// SIGUSR2 starts the program anew and loses no request
    ///
    /// While nobody serves, clients wait instead of being refused. SIGTERM and SIGHUP are passed on. A process
    /// that crashes again soon is started after a pause, up to 30 seconds.
    #[arg(long)]
    pub(super) supervise: bool,

    #[command(flatten)]
    tls: TlsOptions,

    /// Where requests are handled: on handler threads from a queue, or on the thread that read them
    #[arg(long, value_name = "MODE", value_parser = operating_mode(), help_heading = MODE)]
    mode: Option<OperatingMode>,

    /// Handler threads
    #[arg(long, value_name = "N", help_heading = MODE)]
    thread_pool_size: Option<u32>,

    /// Most requests that wait for a handler; one more is answered with 503
    #[arg(long, value_name = "N", help_heading = MODE)]
    queue_length: Option<u32>,

    /// high-perf: this times the handler threads may be answered later at once
    #[arg(long, value_name = "N", help_heading = MODE)]
    accepts_per_worker: Option<u32>,

    /// high-perf: handle each request as it is read, not after the batch it came in
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    #[arg(require_equals = true, help_heading = MODE)]
    skip_completion_on_success: Option<bool>,

    /// Event loop: io_uring, readiness (epoll and the like), or the first of them to be had
    #[arg(long, value_name = "LOOP", value_parser = io(), help_heading = DRIVER)]
    io: Option<Io>,

    /// Threads that read and write; without it, one for each processor
    #[arg(long, value_name = "N", help_heading = DRIVER)]
    io_threads: Option<u32>,

    /// Most connections at once; 0 leaves it to the system
    #[arg(long, value_name = "N", help_heading = LIMITS)]
    max_connections: Option<u32>,

    /// What all connections are sent together, per second; 0 is unlimited
    #[arg(long, value_name = "BYTES", help_heading = LIMITS)]
    max_bandwidth: Option<u32>,

    /// What is received from all connections together, per second; 0 is unlimited
    #[arg(long, value_name = "BYTES", help_heading = LIMITS)]
    max_bandwidth_in: Option<u32>,

    /// Longest content of a request; 0 is unlimited
    #[arg(long, value_name = "BYTES", help_heading = LIMITS)]
    max_request_body_size: Option<u64>,

    /// How the server's own 503 looks: basic resets the connection
    #[arg(long, value_name = "HOW", value_parser = verbosity_503(), help_heading = LIMITS)]
    verbosity_503: Option<Verbosity503>,

    /// Connections that the system holds until they are accepted, for each listener
    #[arg(long, value_name = "N", help_heading = DRIVER)]
    listen_backlog: Option<u32>,

    /// Receive buffer
    #[arg(long, value_name = "BYTES", help_heading = DRIVER)]
    read_buffer_size: Option<u32>,

    /// Longest time for a request's head to arrive
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = TIMEOUTS)]
    timeout_header_wait: Option<Duration>,

    /// Longest pause while content arrives
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = TIMEOUTS)]
    timeout_entity_body: Option<Duration>,

    /// Longest time to drain content nobody reads
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = TIMEOUTS)]
    timeout_drain_entity_body: Option<Duration>,

    /// Longest wait in the request queue
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = TIMEOUTS)]
    timeout_request_queue: Option<Duration>,

    /// Longest idle time between two requests of a connection
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = TIMEOUTS)]
    timeout_idle_connection: Option<Duration>,

    /// Slowest average at which a peer may take a response, in bytes per second
    #[arg(long, value_name = "RATE", help_heading = TIMEOUTS)]
    min_send_rate: Option<u32>,

    /// How long all goes on when the server is to stop, but for being ready (`[health]`)
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = TIMEOUTS)]
    shutdown_delay: Option<Duration>,

    /// How long requests in progress may take when the server stops
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = TIMEOUTS)]
    shutdown_deadline: Option<Duration>,

    /// Serve the administration: a page with live charts, and what `tidegate top` shows, for whoever has the
    /// token in its file. At http://localhost:9180/tidegate/, or at this URL
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "")]
    #[arg(require_equals = true, value_hint = ValueHint::Url, help_heading = ADMINISTRATION)]
    administration: Option<String>,

    /// File with the administration's token, which is made when it is missing
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(help_heading = ADMINISTRATION)]
    administration_token_file: Option<PathBuf>,

    /// Folder in which the folder HTTPERR is made, with a line for each request or connection that the
    /// server itself ended; or `off`. Without it, the folder is where the system or the user keeps logs
    #[arg(long, value_name = "DIR|off", value_hint = ValueHint::DirPath, help_heading = LOGS)]
    error_log: Option<PathBuf>,

    /// What the program logs: error, warn, info, debug, trace, or a filter as in RUST_LOG, which is
    /// used when this is not given
    #[arg(long, value_name = "LEVEL", help_heading = LOGS)]
    pub(super) log: Option<String>,
}

impl Options {
    /// A settings file, and no flags.
    pub(super) fn of_file(file: &Path) -> Self {
        Self {
            file: Some(file.to_owned()),
            ..Self::default()
        }
    }

    /// Puts the flags that were given into `settings`.
    ///
    /// # Errors
    ///
    /// A flag's value may not be; the message names the flag.
    pub(super) fn apply(&self, settings: &mut Settings) -> Result<(), String> {
        if !self.listen.is_empty() {
            settings.host = None;
            settings.port = None;
            settings.bindings.clear();
            for url in &self.listen {
                settings.bindings.push(binding(url)?);
            }
        }
        self.tls.apply(settings)?;
        settings.store = match &self.store {
            Some(none) if none.as_os_str() == "none" => None,
            Some(file) => Some(file.clone()),
            None => settings.store.take(),
        };
        if let Some(root) = &self.root {
            let mut site = FilesSettings::new(root);
            // What else the file says of the site at / holds for this folder.
            if let Some(place) = settings.files.iter().position(is_everything) {
                site = settings.files.remove(place);
                site.root.clone_from(root);
            }
            settings.files.push(site);
        }
        let tune = &mut settings.fine_tune;
        set(&mut tune.operating_mode, self.mode);
        set(&mut tune.queue_length, self.queue_length);
        set(&mut tune.accepts_per_worker, self.accepts_per_worker);
        set(
            &mut tune.skip_completion_on_success,
            self.skip_completion_on_success,
        );
        set(&mut settings.thread_pool_size, self.thread_pool_size);
        set(&mut settings.io, self.io);
        set(&mut settings.io_threads, self.io_threads.map(Some));
        set(&mut settings.max_connections, self.max_connections);
        set(&mut settings.max_bandwidth, self.max_bandwidth);
        set(&mut settings.max_bandwidth_in, self.max_bandwidth_in);
        set(
            &mut settings.max_request_body_size,
            self.max_request_body_size,
        );
        set(&mut settings.verbosity_503, self.verbosity_503);
        set(&mut settings.listen_backlog, self.listen_backlog);
        set(&mut settings.read_buffer_size, self.read_buffer_size);
        set(&mut settings.shutdown_delay, self.shutdown_delay);
        set(&mut settings.shutdown_deadline, self.shutdown_deadline);
        let administration = &mut settings.administration;
        if let Some(url) = &self.administration {
            administration.enabled = true;
            if !url.is_empty() {
                administration.url.clone_from(url);
            }
        }
        let token_file = self.administration_token_file.clone();
        set(&mut administration.token_file, token_file.map(Some));
        self.apply_timeouts(&mut settings.timeouts);
        match &self.error_log {
            Some(off) if off.as_os_str() == "off" => settings.error_log.enabled = false,
            Some(directory) => {
                settings.error_log.enabled = true;
                settings.error_log.directory = Some(directory.clone());
            }
            None => {}
        }
        settings.check().map_err(|error| flag_out_of_range(&error))
    }

    /// Whether a flag says which store is heeded, or that none is.
    pub(super) fn names_store(&self) -> bool {
        self.store.is_some()
    }

    /// One flag suffices to put the timeouts into effect. Those of a file that does not enable them
    /// stay out of it.
    fn apply_timeouts(&self, timeouts: &mut Timeouts) {
        let flags = [
            self.timeout_header_wait,
            self.timeout_entity_body,
            self.timeout_drain_entity_body,
            self.timeout_request_queue,
            self.timeout_idle_connection,
        ];
        if flags.iter().all(Option::is_none) && self.min_send_rate.is_none() {
            return;
        }
        if !timeouts.enabled {
            *timeouts = Timeouts::default();
            timeouts.enabled = true;
        }
        set(&mut timeouts.header_wait, self.timeout_header_wait);
        set(&mut timeouts.entity_body, self.timeout_entity_body);
        set(
            &mut timeouts.drain_entity_body,
            self.timeout_drain_entity_body,
        );
        set(&mut timeouts.request_queue, self.timeout_request_queue);
        set(&mut timeouts.idle_connection, self.timeout_idle_connection);
        set(&mut timeouts.min_send_rate, self.min_send_rate);
    }
}

/// Whether these settings leave paths to the demonstration site. Where a folder has every path, nobody asked
/// for its WebSockets either.
pub(super) fn is_demonstration(settings: &Settings) -> bool {
    !settings
        .files
        .iter()
        .any(|site| is_everything(site) && !site.fallthrough)
}

/// Whether a site is at and under `/`, so that every path is one of its.
fn is_everything(site: &FilesSettings) -> bool {
    site.path.trim_matches('/').is_empty()
}

/// Ends each flag's help with its default. The settings know it; a flag that is not given leaves the
/// file's, so clap must not.
pub(crate) fn show_defaults(mut command: clap::Command) -> clap::Command {
    let settings = Settings::default();
    let (tune, timeouts) = (&settings.fine_tune, &settings.timeouts);
    let seconds = |time: Duration| time.as_secs_f64().to_string();
    let defaults = [
        (
            "mode",
            word(tune.operating_mode == OperatingMode::Classic, "classic"),
        ),
        ("thread_pool_size", settings.thread_pool_size.to_string()),
        ("queue_length", tune.queue_length.to_string()),
        ("accepts_per_worker", tune.accepts_per_worker.to_string()),
        (
            "skip_completion_on_success",
            tune.skip_completion_on_success.to_string(),
        ),
        ("io", word(settings.io == Io::Auto, "auto")),
        ("max_connections", settings.max_connections.to_string()),
        ("max_bandwidth", settings.max_bandwidth.to_string()),
        ("max_bandwidth_in", settings.max_bandwidth_in.to_string()),
        (
            "max_request_body_size",
            settings.max_request_body_size.to_string(),
        ),
        (
            "verbosity_503",
            word(settings.verbosity_503 == Verbosity503::Basic, "basic"),
        ),
        ("listen_backlog", settings.listen_backlog.to_string()),
        ("read_buffer_size", settings.read_buffer_size.to_string()),
        ("timeout_header_wait", seconds(timeouts.header_wait)),
        ("timeout_entity_body", seconds(timeouts.entity_body)),
        (
            "timeout_drain_entity_body",
            seconds(timeouts.drain_entity_body),
        ),
        ("timeout_request_queue", seconds(timeouts.request_queue)),
        ("timeout_idle_connection", seconds(timeouts.idle_connection)),
        ("min_send_rate", timeouts.min_send_rate.to_string()),
        ("shutdown_delay", seconds(settings.shutdown_delay)),
        ("shutdown_deadline", seconds(settings.shutdown_deadline)),
    ];
    for (flag, default) in defaults {
        command = command.mut_arg(flag, |arg| {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            arg.help(format!("{help} [default: {default}]"))
        });
    }
    command
}

/// The word of a default, which a test holds to the settings'.
fn word(is_default: bool, word: &str) -> String {
    debug_assert!(is_default, "{word} is no longer the default");
    word.to_owned()
}

fn set<T>(place: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *place = value;
    }
}

fn binding(url: &str) -> Result<Binding, String> {
    url.parse().map_err(|error: tidegate::BindingError| {
        let mut message = format!("--listen: {error}");
        if let Some(cause) = std::error::Error::source(&error) {
            message.push_str(&format!(": {cause}"));
        }
        message.push_str(
            "\n  to do: write it as http://host:port/path/, https://host:port/path/ or unix:/path",
        );
        message
    })
}

/// The file's settings have been checked before, so a flag is at fault.
fn flag_out_of_range(error: &LimitError) -> String {
    let setting = error.name.rsplit('.').next().unwrap_or_default();
    format!(
        "--{} is {}, allowed are {} to {}",
        setting.replace('_', "-"),
        error.value,
        error.range.start(),
        error.range.end()
    )
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "it is no number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn operating_mode() -> impl TypedValueParser<Value = OperatingMode> {
    PossibleValuesParser::new(["classic", "high-perf"]).map(|word| match &*word {
        "high-perf" => OperatingMode::HighPerf,
        _ => OperatingMode::Classic,
    })
}

fn io() -> impl TypedValueParser<Value = Io> {
    PossibleValuesParser::new(["auto", "uring", "poll"]).map(|word| match &*word {
        "uring" => Io::Uring,
        "poll" => Io::Poll,
        _ => Io::Auto,
    })
}

fn verbosity_503() -> impl TypedValueParser<Value = Verbosity503> {
    PossibleValuesParser::new(["basic", "limited", "full"]).map(|word| match &*word {
        "limited" => Verbosity503::Limited,
        "full" => Verbosity503::Full,
        _ => Verbosity503::Basic,
    })
}

const MODE: &str = "Operating mode";
const DRIVER: &str = "Driver";
const LIMITS: &str = "Limits";
const TIMEOUTS: &str = "Timeouts";
const ADMINISTRATION: &str = "Administration";
const LOGS: &str = "Logs";

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn apply(flags: &[&str], mut settings: Settings) -> Result<Settings, String> {
        let line = ["serve"].iter().chain(flags);
        let options = Line::try_parse_from(line)
            .map_err(|error| error.to_string())?
            .options;
        options.apply(&mut settings).map(|()| settings)
    }

    #[test]
    fn help_ends_with_the_default() {
        let help = show_defaults(Line::command())
            .render_long_help()
            .to_string();
        assert!(help.contains("for a handler; one more is answered with 503 [default: 1000]"));
        assert!(help.contains("[default: classic]"), "{help}");
    }

    #[test]
    fn no_flag_changes_nothing() {
        assert_eq!(apply(&[], Settings::default()), Ok(Settings::default()));
    }

    #[test]
    fn each_flag_sets_its_setting() {
        let flags = "--mode high-perf --thread-pool-size 2 --queue-length 3 --accepts-per-worker 4 \
             --skip-completion-on-success --io poll --io-threads 5 --max-connections 6 \
             --max-bandwidth 2048 --max-bandwidth-in 4096 \
             --max-request-body-size 7 --verbosity-503 full --listen-backlog 8 \
             --read-buffer-size 4096 --timeout-header-wait 1 --timeout-entity-body 2 \
             --timeout-drain-entity-body 3 --timeout-request-queue 4 --timeout-idle-connection 5.5 \
             --min-send-rate 9 --shutdown-delay 0.25 --shutdown-deadline 0.5 --error-log logs \
             --administration=http://localhost:1/a/ --administration-token-file token";
        let flags: Vec<_> = flags.split_whitespace().collect();
        let settings = apply(&flags, Settings::default()).unwrap();
        let mut wanted = Settings::default();
        wanted.fine_tune.operating_mode = OperatingMode::HighPerf;
        wanted.thread_pool_size = 2;
        wanted.fine_tune.queue_length = 3;
        wanted.fine_tune.accepts_per_worker = 4;
        wanted.fine_tune.skip_completion_on_success = true;
        wanted.io = Io::Poll;
        wanted.io_threads = Some(5);
        wanted.max_connections = 6;
        wanted.max_bandwidth = 2048;
        wanted.max_bandwidth_in = 4096;
        wanted.max_request_body_size = 7;
        wanted.verbosity_503 = Verbosity503::Full;
        wanted.listen_backlog = 8;
        wanted.read_buffer_size = 4096;
        wanted.timeouts = Timeouts {
            enabled: true,
            header_wait: Duration::from_secs(1),
            entity_body: Duration::from_secs(2),
            drain_entity_body: Duration::from_secs(3),
            request_queue: Duration::from_secs(4),
            idle_connection: Duration::from_millis(5500),
            min_send_rate: 9,
        };
        wanted.shutdown_delay = Duration::from_millis(250);
        wanted.shutdown_deadline = Duration::from_millis(500);
        wanted.error_log.directory = Some("logs".into());
        wanted.administration.enabled = true;
        wanted.administration.url = "http://localhost:1/a/".to_owned();
        wanted.administration.token_file = Some("token".into());
        assert_eq!(settings, wanted);
    }

    #[test]
    fn listen_replaces_the_files_bindings() {
        let mut file = Settings::default();
        file.port = Some(1);
        file.bindings.push("http://+:2/".parse().unwrap());
        let flags = ["--listen", "http://+:80/a/", "--listen", "unix:/run/a.sock"];
        let settings = apply(&flags, file).unwrap();
        assert_eq!((settings.host, settings.port), (None, None));
        let texts: Vec<_> = settings.bindings.iter().map(Binding::to_string).collect();
        assert_eq!(texts, ["http://+:80/a/", "unix:/run/a.sock:/"]);
    }

    #[test]
    fn root_is_the_site_at_the_root() {
        let settings = apply(&["--root", "public"], Settings::default()).unwrap();
        assert_eq!(settings.files, [FilesSettings::new("public")]);
        let mut file = Settings::default();
        let mut docs = FilesSettings::new("docs");
        docs.path = "/docs".to_owned();
        let mut all = FilesSettings::new("all");
        all.listing = true;
        file.files = vec![all.clone(), docs.clone()];
        let settings = apply(&["--root=public"], file).unwrap();
        all.root = "public".into();
        assert_eq!(settings.files, [docs, all]);
    }

    #[test]
    fn a_timeout_flag_leaves_a_files_disabled_timeouts_out() {
        let mut file = Settings::default();
        file.timeouts.entity_body = Duration::from_secs(1);
        let settings = apply(&["--timeout-header-wait=7"], file).unwrap();
        assert!(settings.timeouts.enabled);
        assert_eq!(settings.timeouts.header_wait, Duration::from_secs(7));
        assert_eq!(settings.timeouts.entity_body, Duration::from_secs(120));
    }

    #[test]
    fn switches_can_be_turned_off() {
        let mut file = Settings::default();
        file.fine_tune.skip_completion_on_success = true;
        let flags = ["--skip-completion-on-success=false", "--error-log=off"];
        let settings = apply(&flags, file).unwrap();
        assert!(!settings.fine_tune.skip_completion_on_success);
        assert!(!settings.error_log.enabled);
    }

    #[test]
    fn a_number_out_of_range_names_its_flag() {
        let cases = [
            (
                "--queue-length=0",
                "--queue-length is 0, allowed are 1 to 65535",
            ),
            (
                "--io-threads=257",
                "--io-threads is 257, allowed are 1 to 256",
            ),
            (
                "--listen-backlog=0",
                "--listen-backlog is 0, allowed are 1 to 65535",
            ),
        ];
        for (flag, message) in cases {
            assert_eq!(apply(&[flag], Settings::default()).unwrap_err(), message);
        }
    }

    #[test]
    fn what_is_no_value_is_refused_by_its_flag() {
        let flags = [
            "--mode=fast",
            "--io=iocp",
            "--io-threads=many",
            "--timeout-header-wait=-1",
            "--shutdown-deadline=soon",
            "--listen=localhost:80",
        ];
        for flag in flags {
            let message = apply(&[flag], Settings::default()).unwrap_err();
            let name = flag.split('=').next().unwrap();
            assert!(message.contains(name), "{message}");
        }
    }
}
