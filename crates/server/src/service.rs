//! Being a service: what a service manager hands to the program, what it is told, and being supervised.
//!
//! The service manager is systemd, or anything that speaks its protocols (`sd_listen_fds(3)`, `sd_notify(3)`);
//! [`Supervision`] does. Sockets that it hands over are used in place of ones that the server would open, and
//! where it stores sockets (`$FDSTORE`), those that the server opens are stored there: they stay open while the
//! server is started anew, and clients wait instead of being refused. The program `tidegate` does all of it:
//! `tidegate serve` as a service, `tidegate serve --supervise` as its supervisor.
//!
//! ```no_run
//! use tidegate::Server;
//! use tidegate::service::{Handover, Notifier};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // First of all: before the program opens anything itself.
//!     let handover = Handover::take()?;
//!     let server = Server::builder()
//!         .port(8080)
//!         .listeners(handover.listeners)
//!         .on_startup(|_| {
//!             if let Ok(Some(manager)) = Notifier::from_environment() {
//!                 let _ = manager.tell("READY=1\n");
//!             }
//!         })
//!         .build()?;
//!     Ok(server.run()?)
//! }
//! ```

#[cfg(unix)]
pub use tidegate_os::{ChildProcess, ChildSignal, Supervision, SupervisionError, Told};
pub use tidegate_os::{
    Handover, HandoverError, KeptListeners, Lifeline, Notifier, raise_open_files_max,
    service_watchdog,
};
