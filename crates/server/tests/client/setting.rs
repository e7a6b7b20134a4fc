//! The settings that tests of the component run in: both operating modes, each event loop there is.

use tidegate::{ErrorLog, FineTune, Io, OperatingMode, Server, ServerBuilder, Settings};

use super::free_port;

/// Runs a test in each setting: both modes, both loops where there are two.
pub(crate) fn in_each_setting(test: impl Fn(ServerBuilder, u16)) {
    for (io, operating_mode) in all_settings() {
        let port = free_port();
        println!("{io:?}, {operating_mode:?}");
        test(builder(io, operating_mode, port), port);
    }
}

/// Each loop in each mode.
pub(crate) fn all_settings() -> Vec<(Io, OperatingMode)> {
    let mut loops = vec![Io::Poll];
    if has_uring() {
        loops.push(Io::Uring);
    }
    let modes = [OperatingMode::Classic, OperatingMode::HighPerf];
    loops
        .into_iter()
        .flat_map(|io| modes.map(|mode| (io, mode)))
        .collect()
}

/// A server in this setting on this port.
pub(crate) fn builder(io: Io, operating_mode: OperatingMode, port: u16) -> ServerBuilder {
    let mut settings = Settings::default();
    settings.io = io;
    settings.io_threads = Some(1);
    settings.thread_pool_size = 4;
    settings.fine_tune = FineTune {
        operating_mode,
        ..FineTune::default()
    };
    let mut log = ErrorLog::default();
    log.enabled = false;
    Server::builder()
        .settings(settings)
        .error_log(log)
        .host("127.0.0.1")
        .port(port)
}

/// Whether the system offers io_uring.
fn has_uring() -> bool {
    let server = builder(Io::Uring, OperatingMode::Classic, free_port())
        .build()
        .unwrap();
    server.start().unwrap();
    server.wait_started().is_ok()
}

pub(crate) fn start(builder: ServerBuilder) -> Server {
    let server = builder.build().unwrap();
    server.start().unwrap();
    server.wait_started().unwrap();
    server
}

pub(crate) fn stop(server: Server) {
    server.stop();
    server.wait_stopped();
}
