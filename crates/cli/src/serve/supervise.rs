//! `tidegate serve --supervise`: a process that keeps the listening sockets and has another one serve.
//!
//! The server opens its sockets itself and stores them here, as it would with systemd. When it crashes, the next
//! one adopts them; until it accepts, clients wait. It reads no settings: what is served, and what is wrong with
//! that, is the server's matter.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use tidegate::service::{ChildProcess, ChildSignal, Notifier, Supervision, Told};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::fail;
use crate::console::say;
use crate::signals::{Signal, Signals};

/// Supervises until it is asked to stop.
pub(super) fn run() -> ExitCode {
    // Before anything else is opened.
    let supervision = match Supervision::begin() {
        Ok(supervision) => supervision,
        Err(error) => return fail(format!("cannot supervise: {error}")),
    };
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => return fail(format!("cannot tell which program this is: {error}")),
    };
    let manager = match Notifier::from_environment() {
        Ok(manager) => manager,
        Err(error) => return fail(error.to_string()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(format!("cannot wait for signals: {error}")),
    };
    let entered = runtime.enter();
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return fail(format!("cannot wait for signals: {error}")),
    };
    drop(entered);
    let (sender, told) = unbounded_channel();
    let mut supervisor = Supervisor {
        supervision,
        program,
        arguments: arguments(env::args_os()),
        manager,
        sender,
        current: None,
        successor: None,
        leaving: Vec::new(),
        retry_at: None,
        crashes: 0,
        has_served: false,
        is_stopping: false,
        outcome: ExitCode::SUCCESS,
    };
    runtime.block_on(supervisor.supervise(signals, told))
}

/// The server's own: all but what makes this a supervisor.
fn arguments(of_this: impl Iterator<Item = OsString>) -> Vec<OsString> {
    of_this.skip(1).filter(|one| one != FLAG).collect()
}

const FLAG: &str = "--supervise";

struct Supervisor {
    supervision: Supervision,
    program: PathBuf,
    arguments: Vec<OsString>,
    /// The service manager above this process.
    manager: Option<Notifier>,
    sender: UnboundedSender<(u64, Told)>,
    /// The server.
    current: Option<Server>,
    /// Is to take its place when it serves.
    successor: Option<Server>,
    /// End their requests.
    leaving: Vec<Server>,
    /// When to try again after a crash.
    retry_at: Option<Instant>,
    /// Crashes one soon after the other.
    crashes: u32,
    has_served: bool,
    is_stopping: bool,
    outcome: ExitCode,
}

/// A process that serves, or did.
struct Server {
    process: ChildProcess,
    begun: Instant,
    is_ready: bool,
}

impl Supervisor {
    async fn supervise(
        &mut self,
        mut signals: Signals,
        mut told: UnboundedReceiver<(u64, Told)>,
    ) -> ExitCode {
        match self.start() {
            Ok(server) => self.current = Some(server),
            Err(error) => return fail(format!("cannot start a server: {error}")),
        }
        loop {
            if self.is_over() {
                return self.outcome;
            }
            let retry_at = self.retry_at;
            let retry = async {
                match retry_at {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                signal = signals.next() => self.asked(signal),
                Some((number, told)) = told.recv() => match told {
                    Told::Lines(lines) => self.hear(number, &lines),
                    Told::Ended => self.ended(number),
                },
                () = retry => self.replace(),
            }
        }
    }

    /// Whether nothing is left to be supervised.
    fn is_over(&self) -> bool {
        let is_empty =
            self.current.is_none() && self.successor.is_none() && self.leaving.is_empty();
        is_empty && self.retry_at.is_none()
    }

    fn start(&mut self) -> io::Result<Server> {
        let sender = self.sender.clone();
        let tell = move |number, told| {
            // Nobody listens any more when the supervisor ends.
            let _ = sender.send((number, told));
        };
        let process = self
            .supervision
            .start(&self.program, &self.arguments, tell)?;
        Ok(Server {
            process,
            begun: Instant::now(),
            is_ready: false,
        })
    }

    /// Starts a server in place of one that has crashed.
    fn replace(&mut self) {
        self.retry_at = None;
        match self.start() {
            Ok(server) => self.current = Some(server),
            Err(error) => {
                self.retry_at = Some(Instant::now() + PAUSE_MAX);
                say(format_args!(
                    "supervisor: cannot start a server: {error}; the next attempt is in {} s",
                    PAUSE_MAX.as_secs()
                ));
            }
        }
    }

    fn asked(&mut self, signal: Signal) {
        match signal {
            Signal::Stop => self.stop(),
            Signal::Hangup if self.retry_at.is_some() => self.replace(),
            Signal::Hangup => {
                if let Some(server) = &self.current {
                    server.process.signal(ChildSignal::Reload);
                }
            }
            Signal::Upgrade => self.upgrade(),
        }
    }

    /// Asks all to stop; asked again, they stop at once.
    fn stop(&mut self) {
        self.is_stopping = true;
        self.retry_at = None;
        self.tell_manager("STOPPING=1\n");
        let all = self.current.iter().chain(&self.successor);
        for server in all.chain(&self.leaving) {
            server.process.signal(ChildSignal::Stop);
        }
    }

    /// Starts the program anew, in place of a server that goes on until that serves.
    fn upgrade(&mut self) {
        let serves = self.current.as_ref().is_some_and(|server| server.is_ready);
        if self.is_stopping || !serves || self.successor.is_some() {
            return say("supervisor: SIGUSR2: not now, while a server is being started or stopped");
        }
        match self.start() {
            Ok(server) => {
                say(format_args!(
                    "supervisor: SIGUSR2: process {} is to take over",
                    server.process.id()
                ));
                self.successor = Some(server);
            }
            Err(error) => say(format_args!(
                "supervisor: SIGUSR2: cannot start another server, the old one goes on: {error}"
            )),
        }
    }

    fn hear(&mut self, number: u64, lines: &str) {
        let is_ready = lines.lines().any(|line| line == "READY=1");
        let is = |server: &Option<Server>| {
            let server = server.as_ref();
            server.is_some_and(|server| server.process.number() == number)
        };
        if is_ready
            && is(&self.successor)
            && let Some(old) = std::mem::replace(&mut self.current, self.successor.take())
        {
            say(format_args!(
                "supervisor: process {} ends its requests",
                old.process.id()
            ));
            old.process.signal(ChildSignal::Stop);
            self.leaving.push(old);
        }
        if !is(&self.current) {
            return;
        }
        if is_ready
            && let Some(server) = &mut self.current
            && !std::mem::replace(&mut server.is_ready, true)
        {
            self.has_served = true;
            say(format_args!(
                "supervisor: process {} serves, {} sockets are kept",
                server.process.id(),
                self.supervision.socket_count()
            ));
        }
        self.tell_manager(lines);
    }

    fn ended(&mut self, number: u64) {
        let is = |server: &mut Server| server.process.number() == number;
        if let Some(server) = self.successor.take_if(is) {
            let id = server.process.id();
            let how = how_ended(server.process.reap());
            return say(format_args!(
                "supervisor: process {id} {how} before it served; the old one goes on"
            ));
        }
        if let Some(place) = self.leaving.iter_mut().position(is) {
            let server = self.leaving.remove(place);
            let id = server.process.id();
            return match server.process.reap() {
                Ok(status) if status.success() => {}
                status => say(format_args!(
                    "supervisor: process {id} {}",
                    how_ended(status)
                )),
            };
        }
        if let Some(server) = self.current.take_if(is) {
            let (id, lived) = (server.process.id(), server.begun.elapsed());
            self.current_ended(id, lived, server.process.reap());
        }
    }

    fn current_ended(&mut self, id: u32, lived: Duration, status: io::Result<ExitStatus>) {
        let code = status.as_ref().ok().and_then(|status| status.code());
        if self.is_stopping || !self.has_served || code == Some(0) {
            // It has said why itself, unless it was not let.
            if code.is_none() {
                say(format_args!(
                    "supervisor: process {id} {}",
                    how_ended(status)
                ));
            }
            self.outcome = match code.and_then(|code| u8::try_from(code).ok()) {
                Some(code) => ExitCode::from(code),
                None => ExitCode::FAILURE,
            };
            return;
        }
        let kept = format!(
            "{} sockets are kept, and clients wait",
            self.supervision.socket_count()
        );
        if let Some(successor) = self.successor.take() {
            say(format_args!(
                "supervisor: process {id} {}; {kept} for process {}",
                how_ended(status),
                successor.process.id()
            ));
            return self.current = Some(successor);
        }
        self.crashes = match lived < STABLE_AFTER {
            true => self.crashes + 1,
            false => 1,
        };
        let pause = match code {
            // What it has refused does not change by itself.
            Some(SETTINGS_REFUSED) => PAUSE_MAX,
            _ => pause(self.crashes),
        };
        let refused = match code {
            Some(SETTINGS_REFUSED) => ": its settings are refused, see above",
            _ => "",
        };
        say(format_args!(
            "supervisor: process {id} {}{refused}; {kept}; the next is started in {} s, or at SIGHUP",
            how_ended(status),
            pause.as_secs_f64()
        ));
        self.retry_at = Some(Instant::now() + pause);
    }

    fn tell_manager(&self, lines: &str) {
        if let Some(manager) = &self.manager {
            // One that is gone wants to know nothing.
            let _ = manager.tell(lines);
        }
    }
}

/// The first attempt comes at once; of those that follow soon, each waits twice as long as the last.
fn pause(crashes: u32) -> Duration {
    match crashes.checked_sub(2) {
        None => Duration::ZERO,
        Some(doubled) => PAUSE_MIN
            .saturating_mul(2_u32.saturating_pow(doubled))
            .min(PAUSE_MAX),
    }
}

fn how_ended(status: io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("has ended with exit code {code}"),
            (None, Some(signal)) => format!("was ended by signal {signal}"),
            (None, None) => "has ended".to_owned(),
        },
        Err(error) => format!("has ended in a way that is not known: {error}"),
    }
}

/// A server that has lived for so long has not crashed by its start.
const STABLE_AFTER: Duration = Duration::from_secs(10);

const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The exit code for settings that may not be.
const SETTINGS_REFUSED: i32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_an_end() {
        let milliseconds: Vec<_> = [1, 2, 3, 4, 10, 11, u32::MAX]
            .map(|crashes| pause(crashes).as_millis())
            .into();
        assert_eq!(milliseconds, [0, 100, 200, 400, 25_600, 30_000, 30_000]);
    }

    #[test]
    fn a_server_is_no_supervisor() {
        let line = ["tidegate", "serve", "--supervise", "site.toml"];
        let rest = arguments(line.into_iter().map(OsString::from));
        assert_eq!(rest, ["serve", "site.toml"]);
    }
}
