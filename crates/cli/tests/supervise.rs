//! A supervised server as its users meet it: it is killed, replaced, reloaded and stopped, and clients at real
//! ports see as little of that as can be.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[allow(dead_code, reason = "other tests use the rest of it")]
mod program;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use program::{Program, free_port, start};

/// Each loop that the system offers.
fn loops() -> Vec<&'static str> {
    let mut loops = vec!["poll"];
    match start(&["--io", "uring"]) {
        Ok(_) => loops.push("uring"),
        Err(output) => assert!(output.contains("io_uring"), "{output}"),
    }
    loops
}

fn supervised(port: u16, io: &str) -> Program {
    let url = format!("http://127.0.0.1:{port}/");
    let flags = [
        "--supervise",
        "--io",
        io,
        "--io-threads",
        "3",
        "--listen",
        &url,
    ];
    let program = start(&flags).unwrap();
    serving(&program, 1);
    program
}

/// The process ids of those that have served so far, when there are so many.
fn serving(program: &Program, count: usize) -> Vec<u32> {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        let output = program.output();
        let ids: Vec<u32> = output
            .lines()
            .filter_map(|line| line.strip_prefix("supervisor: process "))
            .filter_map(|line| line.split_once(" serves, ")?.0.parse().ok())
            .collect();
        if ids.len() >= count {
            return ids;
        }
        assert!(Instant::now() < patience, "{output}");
        thread::yield_now();
    }
}

fn signal(id: u32, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &id.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

fn is_alive(id: u32) -> bool {
    let sent = Command::new("kill")
        .args(["-s", "0", &id.to_string()])
        .output();
    sent.unwrap().status.success()
}

/// What has become of requests, each on a connection of its own.
#[derive(Debug, Default)]
struct Outcomes {
    served: AtomicU64,
    /// The connection broke before its answer.
    lost: AtomicU64,
    /// There was no connection.
    refused: AtomicU64,
}

impl Outcomes {
    fn ask(&self, port: u16) {
        let Ok(mut connection) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return;
        };
        connection
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let request = b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
        let mut answer = Vec::new();
        let asked = connection.write_all(request);
        let read = asked.and_then(|()| connection.read_to_end(&mut answer));
        if let Err(error) = &read {
            // Whoever gets nothing for so long was forgotten.
            assert!(!matches!(
                error.kind(),
                ErrorKind::WouldBlock | ErrorKind::TimedOut
            ));
        }
        let is_whole = answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"Hello, World!");
        let count = if is_whole { &self.served } else { &self.lost };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Waits until `more` requests have been served than now.
    fn wait_for(&self, more: u64) {
        let enough = self.served() + more;
        let patience = Instant::now() + Duration::from_secs(60);
        while self.served() < enough {
            assert!(Instant::now() < patience, "{self:?}");
            thread::yield_now();
        }
    }
}

/// Has clients ask one request after the other while something else is done.
fn under_load(port: u16, done: impl FnOnce(&Outcomes)) -> Outcomes {
    let outcomes = Outcomes::default();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    outcomes.ask(port);
                }
            });
        }
        // Clients end however this ends.
        struct End<'a>(&'a AtomicBool);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _end = End(&over);
        done(&outcomes);
    });
    outcomes
}

const CLIENTS: u64 = 8;

/// Those of the server that accept connections.
const THREADS: u64 = 3;

#[test]
fn a_server_that_is_killed_loses_only_what_it_had_begun() {
    for io in loops() {
        let port = free_port();
        let program = supervised(port, io);
        let kills = 3;
        let outcomes = under_load(port, |outcomes| {
            for kill in 1..=kills {
                outcomes.wait_for(50);
                signal(*serving(&program, kill).last().unwrap(), "KILL");
                serving(&program, kill + 1);
                outcomes.wait_for(50);
            }
        });
        assert_eq!(outcomes.refused.load(Ordering::Relaxed), 0, "{outcomes:?}");
        // Each client has one connection at a time, and the threads of a process that is killed end one after the
        // other: it may meet each of them.
        let lost = outcomes.lost.load(Ordering::Relaxed);
        assert!(lost <= CLIENTS * THREADS * kills as u64, "{outcomes:?}");
        let output = program.output();
        assert!(output.contains("was ended by signal 9"), "{output}");
        program.signal("TERM");
        assert_eq!(program.wait(), Some(0), "{}", program.output());
    }
}

#[test]
fn a_program_that_is_replaced_loses_nothing() {
    for io in loops() {
        let port = free_port();
        let program = supervised(port, io);
        let outcomes = under_load(port, |outcomes| {
            for upgrade in 1..=3 {
                outcomes.wait_for(50);
                program.signal("USR2");
                let ids = serving(&program, upgrade + 1);
                outcomes.wait_for(50);
                // The next is started when the one before has ended, so that all of that is under load.
                let patience = Instant::now() + Duration::from_secs(60);
                while is_alive(ids[upgrade - 1]) {
                    assert!(Instant::now() < patience, "{}", program.output());
                    thread::yield_now();
                }
            }
        });
        assert_eq!(outcomes.refused.load(Ordering::Relaxed), 0, "{outcomes:?}");
        assert_eq!(outcomes.lost.load(Ordering::Relaxed), 0, "{outcomes:?}");
        program.signal("INT");
        assert_eq!(program.wait(), Some(0), "{}", program.output());
    }
}

#[test]
fn a_unix_socket_is_kept_as_well_and_goes_with_the_supervisor() {
    let program = start(&["--supervise"]).unwrap();
    let id = serving(&program, 1)[0];
    signal(id, "KILL");
    // Whoever connects now waits for the next.
    assert_eq!(program.get("/hello").status, 200);
    serving(&program, 2);
    let socket = program.socket().to_owned();
    assert!(socket.exists());
    program.signal("TERM");
    assert_eq!(program.wait(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_first_start_that_fails_ends_the_supervisor() {
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://127.0.0.1:{}/", taken.local_addr().unwrap().port());
    let output = start(&["--supervise", "--listen", &url]).unwrap_err();
    assert!(
        output.contains("in use by") && output.contains("(exit code 1)"),
        "{output}"
    );
    let output = start(&["--supervise", "--queue-length", "0"]).unwrap_err();
    assert!(
        output.contains("--queue-length") && output.contains("(exit code 2)"),
        "{output}"
    );
}

#[test]
fn a_server_ends_with_its_supervisor() {
    let program = start(&["--supervise"]).unwrap();
    serving(&program, 1);
    program.signal("KILL");
    assert_eq!(program.wait(), None);
    // All has been heard, so whoever could say something is gone.
    assert!(
        program.output().contains("the supervisor has ended"),
        "{}",
        program.output()
    );
}

/// Puts a settings file in place at once: the server looks by itself whether it has changed.
fn put(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, file).unwrap();
}

fn write(file: &Path, ports: &[u16]) {
    let urls: Vec<_> = ports
        .iter()
        .map(|port| format!("\"http://127.0.0.1:{port}/\""))
        .collect();
    put(file, &format!("bindings = [{}]\n", urls.join(", ")));
}

#[test]
fn what_a_reload_opens_is_kept_and_what_it_closes_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("site.toml");
    let (first, second) = (free_port(), free_port());
    write(&file, &[first]);
    // The helper's socket would take the place of the file's bindings.
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command
        .args(["serve", "--supervise", "--error-log", "off"])
        .arg(&file);
    let program = program::watch(command, folder);
    program.output_until("Ctrl-C stops it.");
    let ids = serving(&program, 1);
    write(&file, &[second]);
    program.signal("HUP");
    assert!(
        program
            .output_until("is in effect")
            .contains("is in effect")
    );
    // Threads of both processes close what they have of it.
    let patience = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, first)).is_ok() {
        assert!(Instant::now() < patience, "{}", program.output());
    }
    signal(ids[0], "KILL");
    let outcomes = Outcomes::default();
    outcomes.ask(second);
    assert_eq!(outcomes.served(), 1, "{outcomes:?} {}", program.output());
    let ids = serving(&program, 2);
    // Settings that are refused when it has to be started again: clients wait until they are right.
    put(&file, "bindings = [80]\n");
    signal(ids[1], "KILL");
    let output = program.output_until("its settings are refused");
    assert!(output.contains("site.toml, line 1"), "{output}");
    thread::scope(|scope| {
        scope.spawn(|| outcomes.ask(second));
        write(&file, &[second]);
        program.signal("HUP");
    });
    assert_eq!(outcomes.served(), 2, "{outcomes:?} {}", program.output());
    program.signal("TERM");
    assert_eq!(program.wait(), Some(0));
}
