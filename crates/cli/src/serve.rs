//! `tidegate serve`: serves until it is asked to stop.
//!
//! Settings come from the file and the flags; the server is the component's, the site is `site`'s.
//! Here is what a person is told, and the order of things from start to end.

mod options;
mod reload;
mod report;
mod service;
#[cfg(unix)]
mod supervise;
#[cfg(not(unix))]
#[path = "serve/supervise_other.rs"]
mod supervise;

use std::io::IsTerminal as _;
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::thread;

use clap::error::ErrorKind;
use tidegate::service::KeptListeners;
use tidegate::{Binding, BindingError, Error, Server, Settings, SslError};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

pub(crate) use self::options::{Options, show_defaults};
use self::reload::Source;
use self::service::Service;
use crate::console::say;
use crate::http;
use crate::settings_file;
use crate::signals::{Signal, Signals};
use crate::site::{self, Site};

/// Does what the command line asks for.
pub(crate) fn run(options: Options) -> ExitCode {
    if options.supervise {
        return supervise::run();
    }
    let taken = Service::take();
    let mut source = Source::new(options);
    let options = source.options();
    match settings(options).and_then(|settings| start_log(options).map(|()| settings)) {
        Ok(settings) => match taken {
            Ok(taken) => {
                source.watch_store(settings.store.clone());
                serve(source, settings, taken)
            }
            Err(message) => fail(message),
        },
        Err(message) => refuse(message),
    }
}

/// Makes all that serving a file takes, but does not listen. Says what would be served.
///
/// # Errors
///
/// Why it could not be, for a person.
pub(crate) fn check(file: &Path) -> Result<String, String> {
    let settings = settings(&Options::of_file(file))?;
    let (server, _) = build(settings, KeptListeners::default()).map_err(|error| explain(&error))?;
    server.check().map_err(|error| explain(&error))?;
    Ok(report::served(&server.settings()))
}

/// Ends the program as for a wrong command line.
fn refuse(message: String) -> ! {
    let mut program = crate::command();
    // This is what tells the command the whole of its name.
    program.build();
    let command = match program.find_subcommand_mut("serve") {
        Some(serve) => serve,
        None => &mut program,
    };
    command.error(ErrorKind::ValueValidation, message).exit()
}

/// The file's settings with the flags in their places.
fn settings(options: &Options) -> Result<Settings, String> {
    let mut settings = match &options.file {
        Some(file) => settings_file::read(file).map_err(|error| with_causes(&error))?,
        None => Settings::default(),
    };
    options.apply(&mut settings)?;
    if settings.store.is_none() && !options.names_store() {
        settings.store = http::default_store();
    }
    settings.store.take_if(|file| file.as_os_str() == "none");
    if settings.host.is_none() && settings.port.is_none() && settings.bindings.is_empty() {
        settings.bindings = default_bindings(&settings)?;
    }
    if options.file.is_none() {
        // Whoever has a file says there what pages of other origins may do, what is forwarded, and how clients
        // may connect.
        settings.cors = site::cors_rules(&settings);
        settings.websocket.fallback.server_sent_events.enabled = true;
        if options::is_demonstration(&settings) {
            settings.forward = site::forward_rules(&settings);
        }
    }
    Ok(settings)
}

/// The site's own address, by name and by number, since prefixes go by what the client asked for; over
/// TLS as well when there is a certificate, and over TLS alone when the file asks for that.
fn default_bindings(settings: &Settings) -> Result<Vec<Binding>, String> {
    let hosts = ["localhost", "127.0.0.1"];
    let mut bindings = Vec::new();
    if !settings.ssl.enabled {
        bindings.extend(hosts.map(|host| Binding::new(host, 8080, "/")));
    }
    if settings.ssl.enabled || settings.ssl.options.certificate.is_some() {
        bindings.extend(hosts.map(|host| Binding::https(host, 8443, "/")));
    }
    let bindings: Result<_, _> = bindings.into_iter().collect();
    bindings.map_err(|error: BindingError| with_causes(&error))
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(&format!(": {error}"));
        cause = error.source();
    }
    message
}

/// Logs to the error output: by the flag, else by `RUST_LOG`, else what one should know.
fn start_log(options: &Options) -> Result<(), String> {
    let variable = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let (source, wanted) = match &options.log {
        Some(flag) => ("--log", flag.as_str()),
        None if variable.trim().is_empty() => ("--log", LOG_DEFAULT),
        None => (EnvFilter::DEFAULT_ENV, variable.as_str()),
    };
    let filter = EnvFilter::try_new(wanted)
        .map_err(|error| format!("{source}: `{wanted}` is no log filter: {error}"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}

/// Warnings, and which event loop `auto` has come to.
const LOG_DEFAULT: &str = "warn,tidegate_driver::embedded=info";

/// The server, and whether it serves the demonstration site.
fn build(settings: Settings, listeners: KeptListeners) -> Result<(Server, bool), Error> {
    let is_demonstration = options::is_demonstration(&settings);
    let mut builder = Server::builder().settings(settings).listeners(listeners);
    if is_demonstration {
        builder = builder
            .events(Site)
            .register_protocol(site::chat_protocol());
    }
    Ok((builder.build()?, is_demonstration))
}

fn serve(
    mut source: Source,
    settings: Settings,
    (mut service, listeners): (Service, KeptListeners),
) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(format!("cannot wait for signals: {error}")),
    };
    let entered = runtime.enter();
    // Before the start, so that a stop which is asked for meanwhile is not lost.
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return fail(format!("cannot wait for signals: {error}")),
    };
    drop(entered);
    let (server, is_demonstration) = match build(settings, listeners) {
        Ok(built) => built,
        Err(error) => return fail(explain(&error)),
    };
    if let Err(error) = server.start().and_then(|()| server.wait_started()) {
        return fail(explain(&error));
    }
    say(report::started(&server, is_demonstration));
    service.started(&server);
    runtime.block_on(async {
        match wait_for_stop(&server, &mut source, &mut signals, &mut service).await {
            Stop::Asked => {}
            Stop::Orphaned => say("the supervisor has ended"),
            Stop::Ended => return fail("the server has stopped by itself; see the log".to_owned()),
        }
        service.stopping();
        stop(&server, &mut signals).await
    })
}

/// Why the server is to end.
enum Stop {
    Asked,
    /// Its supervisor is no more.
    Orphaned,
    /// It has ended already.
    Ended,
}

fn fail(message: String) -> ExitCode {
    say(format_args!("error: {message}"));
    ExitCode::FAILURE
}

/// Why it did not start. What the component says of its settings is said of flags.
fn explain(error: &Error) -> String {
    match error {
        Error::Ssl(missing @ SslError::CertificateMissing { .. }) => format!(
            "{missing}\n  to do: name one with --tls-cert, --tls-pkcs12 or --tls-directory, or in the settings \
             file;\n         `tidegate cert self-signed localhost` makes one for development"
        ),
        error => format!("{error:?}"),
    }
}

/// Looks after the settings file meanwhile.
async fn wait_for_stop(
    server: &Server,
    source: &mut Source,
    signals: &mut Signals,
    service: &mut Service,
) -> Stop {
    let mut orphaned = pin!(service.supervisor_ended());
    let mut ended = pin!(ended(server));
    // Each is told apart from a sender that was dropped since there is nothing to wait for.
    let (mut may_be_orphaned, mut may_end) = (true, true);
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Stop => return Stop::Asked,
                Signal::Hangup => {
                    service.reloading();
                    say(format_args!("SIGHUP: {}", source.reload(server)));
                    service.reloaded(server);
                }
                Signal::Upgrade => say("SIGUSR2 is for a supervisor: `tidegate serve --supervise`"),
            },
            () = source.changed() => {
                service.reloading();
                say(source.reload(server));
                service.reloaded(server);
            }
            told = &mut orphaned, if may_be_orphaned => match told {
                Ok(()) => return Stop::Orphaned,
                Err(_) => may_be_orphaned = false,
            },
            told = &mut ended, if may_end => match told {
                Ok(()) => return Stop::Ended,
                Err(_) => may_end = false,
            },
        }
    }
}

/// Comes when the server has stopped, which it does by itself when its watchdog gives up.
fn ended(server: &Server) -> oneshot::Receiver<()> {
    let (done, stopped) = oneshot::channel();
    let waiting = server.clone();
    let waiter = thread::Builder::new().spawn(move || {
        waiting.wait_stopped();
        let _ = done.send(());
    });
    if let Err(error) = waiter {
        say(format_args!(
            "an end of the server will not be noticed: {error}"
        ));
    }
    stopped
}

/// Lets what is in progress end, unless it is asked for a second time.
async fn stop(server: &Server, signals: &mut Signals) -> ExitCode {
    say(report::stopping(server));
    let (done, stopped) = oneshot::channel();
    server.stop();
    let waiting = server.clone();
    let waiter = thread::Builder::new().spawn(move || {
        waiting.wait_stopped();
        // Nobody listens any more after a second request to stop.
        let _ = done.send(());
    });
    if let Err(error) = waiter {
        return fail(format!("cannot wait for requests in progress: {error}"));
    }
    tokio::select! {
        _ = stopped => {
            say("stopped");
            ExitCode::SUCCESS
        }
        () = signals.stop() => {
            let connections = server.connection_count();
            fail(format!("ended at once, as asked; {} cut", report::connections(connections)))
        }
    }
}
