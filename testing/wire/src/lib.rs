//! The rig of the wire tests: a server on a free port, clients that send exactly the bytes they are
//! given, and a reader of the server's error log.
//!
//! The tests are in `tests/wire`, one file for each rule; names begin with the case's id where
//! http-server-api §14 has one. Every test runs on both loops; where the kernel forbids io_uring, that
//! half says so and passes. Nothing sleeps where something can be awaited: see [`PATIENCE`].
//!
//! Cases that need what a single process does not have are not here, because the embedded backend has
//! one process, one account and no handles that others could open:
//!
//! | Cases | Need |
//! | --- | --- |
//! | R01–R12 | accounts, and reservations that outlive the process |
//! | Q09 | receives into buffers that can be too small |
//! | Q11–Q14, Q18, Q19 | queues opened by other processes |
//! | Q15, Q16 | handles that are shut down one by one; controllers that wait for demand |
//! | T11–T15 | bandwidth limits, request logs, administration |
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a rig for tests fails by panicking")]

mod application;
mod client;
mod error_log;
mod files;
mod http2;
mod lane;
mod response;
mod server;
mod tls;

use std::time::{Duration, Instant};

use tidegate_driver::Io;

pub use application::{
    Gate, Held, Pieces, Seen, answer, answering, blocked, echo, held, label, seen,
};
pub use client::{Client, End};
pub use error_log::{ErrorLine, ErrorLines};
pub use files::{content, file, let_go, parts_of, pieces_of, sparse_file};
pub use http2::{
    Answer, Arrival, Fields, Frame, GoAway, Http2, PREFACE, code, flag, frame, kind, setting,
};
pub use lane::{
    Elsewhere, Lanes, NoLane, Told, UPGRADE, Upgrade, counting_lanes, echo_bytes, either, upgrading,
};
pub use response::Response;
pub use server::{Place, Server, free_port};
pub use tls::{Certificate, Offer, Refusal, Secure};

/// How long anything awaited may take. Far longer than it ever does: a test that waits this long has
/// failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The io_uring loop, where this system lets us use it; else says why not.
pub fn uring() -> Option<Io> {
    match tidegate_os::uring_available() {
        Ok(()) => Some(Io::Uring),
        Err(reason) => {
            println!("skipped: {reason}");
            None
        }
    }
}

/// Waits until `condition` holds, and fails with `what` if it never does.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Makes tests of functions that take an [`Io`]: one for each loop.
#[macro_export]
macro_rules! on_both_loops {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn uring() {
                if let Some(io) = $crate::uring() {
                    super::$name(io);
                }
            }

            #[test]
            fn poll() {
                super::$name(tidegate_driver::Io::Poll);
            }
        }
    )+};
}

/// Makes tests of functions that take an [`Io`] and an
/// [`OperatingMode`](tidegate_httpapi::OperatingMode): one for each pair.
#[macro_export]
macro_rules! on_both_loops_in_both_modes {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use tidegate_httpapi::OperatingMode::{Classic, HighPerf};

            #[test]
            fn uring_classic() {
                if let Some(io) = $crate::uring() {
                    super::$name(io, Classic);
                }
            }

            #[test]
            fn uring_high_perf() {
                if let Some(io) = $crate::uring() {
                    super::$name(io, HighPerf);
                }
            }

            #[test]
            fn poll_classic() {
                super::$name(tidegate_driver::Io::Poll, Classic);
            }

            #[test]
            fn poll_high_perf() {
                super::$name(tidegate_driver::Io::Poll, HighPerf);
            }
        }
    )+};
}
