//! The program under a service manager that speaks systemd's protocols: what it is told, and sockets that it hands
//! over.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[allow(dead_code, reason = "other tests use the rest of it")]
mod program;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use program::{Program, free_port, start_by, watch};

/// What a service manager is told.
struct Manager(UnixDatagram);

impl Manager {
    fn new(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        Self(socket)
    }

    fn message(&self) -> String {
        let mut bytes = [0; 4096];
        let count = self.0.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    /// The next message that has this line; all before it are left out.
    fn message_with(&self, line: &str) -> String {
        loop {
            let message = self.message();
            if message.lines().any(|found| found == line) {
                return message;
            }
        }
    }
}

fn tidegate() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tidegate"))
}

#[test]
fn a_service_manager_is_told_of_start_reload_and_stop() {
    for supervise in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = Manager::new(&path);
        let mut command = tidegate();
        command.env("NOTIFY_SOCKET", &path);
        let flags: &[&str] = if supervise { &["--supervise"] } else { &[] };
        let program = start_by(command, flags).unwrap();
        let ready = manager.message_with("READY=1");
        assert!(ready.contains("\nSTATUS=serving at unix:"), "{ready}");
        program.signal("HUP");
        let reloading = manager.message_with("RELOADING=1");
        let at = reloading
            .lines()
            .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
        assert!(at.unwrap().parse::<u64>().unwrap() > 0, "{reloading}");
        manager.message_with("READY=1");
        program.signal("TERM");
        manager.message_with("STOPPING=1");
        assert_eq!(program.wait(), Some(0));
    }
}

#[test]
fn the_watchdog_is_told_while_the_server_answers() {
    for supervise in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = Manager::new(&path);
        let mut command = tidegate();
        command
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "200000");
        let flags: &[&str] = if supervise { &["--supervise"] } else { &[] };
        let program = start_by(command, flags).unwrap();
        for _ in 0..3 {
            assert_eq!(manager.message_with("WATCHDOG=1"), "WATCHDOG=1\n");
        }
        drop(program);
    }
    // It is another process of the service that is to tell.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = Manager::new(&path);
    let mut command = tidegate();
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "1000")
        .env("WATCHDOG_PID", "1");
    let program = start_by(command, &[]).unwrap();
    manager.message_with("READY=1");
    program.signal("TERM");
    assert!(manager.message().starts_with("STOPPING=1\n"));
    assert_eq!(program.wait(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn an_abstract_address_is_told_as_well() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::SocketAddr;

    let name = format!("tidegate-test-{}-{}", std::process::id(), free_port());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = UnixDatagram::bind_addr(&address).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut command = tidegate();
    command.env("NOTIFY_SOCKET", format!("@{name}"));
    let _program = start_by(command, &[]).unwrap();
    Manager(manager).message_with("READY=1");
}

#[test]
fn what_says_nothing_is_refused() {
    let cases = [
        ("NOTIFY_SOCKET", "/nowhere/at/all", "NOTIFY_SOCKET"),
        ("WATCHDOG_USEC", "soon", "WATCHDOG_USEC is `soon`"),
        ("LISTEN_PID", "me", "LISTEN_PID is `me`"),
    ];
    for (name, value, told) in cases {
        let mut command = tidegate();
        command.env(name, value);
        let output = start_by(command, &[]).unwrap_err();
        assert!(
            output.contains(told) && output.contains("(exit code 1)"),
            "{output}"
        );
    }
}

/// The program behind a socket activator, which hands these over; `None` where the system has none.
fn activated(sockets: &[&str], flags: &[&str]) -> Option<Program> {
    let mut command = Command::new("systemd-socket-activate");
    if command.arg("--version").output().is_err() {
        eprintln!("not tested: this system has no systemd-socket-activate");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("systemd-socket-activate");
    for socket in sockets {
        command.args(["-l", socket]);
    }
    command
        .arg(env!("CARGO_BIN_EXE_tidegate"))
        .args(["serve", "--error-log", "off"])
        .args(flags);
    Some(watch(command, folder))
}

fn answer(mut connection: impl Read + Write) -> String {
    let request = b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    connection.write_all(request).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

/// Waits until the activator listens, and connects.
fn connect(port: u16, program: &Program) -> TcpStream {
    let output = program.output_until("Listening on");
    assert!(output.contains("Listening on"), "{output}");
    loop {
        if let Ok(connection) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            return connection;
        }
    }
}

#[test]
fn sockets_that_are_handed_over_are_served() {
    for io in ["poll", "auto"] {
        let (port, own) = (free_port(), free_port());
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("site.sock");
        let (tcp, unix) = (format!("127.0.0.1:{port}"), socket.display().to_string());
        let urls = [
            format!("http://{tcp}/"),
            format!("unix:{unix}"),
            format!("http://127.0.0.1:{own}/"),
        ];
        let mut flags = vec!["--io", io, "--io-threads", "3"];
        for url in &urls {
            flags.extend(["--listen", url]);
        }
        let Some(program) = activated(&[&tcp, &unix], &flags) else {
            return;
        };
        // The first connection has the program started, and waits for it.
        assert!(answer(connect(port, &program)).ends_with("Hello, World!"));
        for _ in 0..20 {
            let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            assert!(answer(connection).ends_with("Hello, World!"));
        }
        assert!(answer(UnixStream::connect(&socket).unwrap()).ends_with("Hello, World!"));
        // What was not handed over is opened as usual.
        let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, own)).unwrap();
        assert!(answer(connection).ends_with("Hello, World!"));
        program.signal("TERM");
        assert_eq!(program.wait(), Some(0), "{}", program.output());
        // Its file is the service manager's.
        assert!(socket.exists());
    }
}

#[test]
fn a_socket_that_no_binding_needs_is_refused_by_its_name() {
    let (port, other) = (free_port(), free_port());
    let url = format!("http://127.0.0.1:{port}/");
    let sockets = [format!("127.0.0.1:{port}"), format!("127.0.0.1:{other}")];
    let sockets: Vec<&str> = sockets.iter().map(String::as_str).collect();
    let Some(program) = activated(&sockets, &["--listen", &url]) else {
        return;
    };
    drop(connect(port, &program));
    let output = program.output_until("to do");
    assert!(output.contains(&format!("(127.0.0.1:{other})")), "{output}");
    assert!(output.contains("socket unit"), "{output}");
    assert_eq!(program.wait(), Some(1));
}

#[test]
fn a_binding_that_was_taken_out_gets_its_socket_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("site.toml");
    let (kept, taken_out) = (free_port(), free_port());
    let write = |ports: &[u16]| {
        let urls: Vec<_> = ports
            .iter()
            .map(|port| format!("\"http://127.0.0.1:{port}/\""))
            .collect();
        fs::write(&file, format!("bindings = [{}]\n", urls.join(", "))).unwrap();
    };
    write(&[kept, taken_out]);
    let sockets = [kept, taken_out].map(|port| format!("127.0.0.1:{port}"));
    let Some(program) = activated(&[&sockets[0], &sockets[1]], &[file.to_str().unwrap()]) else {
        return;
    };
    assert!(answer(connect(taken_out, &program)).ends_with("Hello, World!"));
    write(&[kept]);
    program.signal("HUP");
    program.output_until("is in effect");
    // The service manager has it open, so whoever comes waits.
    let waiting = TcpStream::connect((Ipv4Addr::LOCALHOST, taken_out)).unwrap();
    write(&[kept, taken_out]);
    program.signal("HUP");
    // If the listener that was being closed still took it, it was told that nothing is served here.
    let has_waited = answer(waiting).ends_with("Hello, World!");
    assert!(has_waited || answer(connect(taken_out, &program)).ends_with("Hello, World!"));
    program.signal("TERM");
    assert_eq!(program.wait(), Some(0), "{}", program.output());
}

#[test]
fn the_units_are_such_as_systemd_reads() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        return eprintln!("not tested: this system has no systemd-analyze");
    }
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd");
    let folder = tempfile::tempdir().unwrap();
    let mut verify = Command::new("systemd-analyze");
    verify.arg("verify");
    for unit in ["tidegate.service", "tidegate.socket"] {
        let text = fs::read_to_string(units.join(unit)).unwrap();
        let text = text.replace("/usr/bin/tidegate", env!("CARGO_BIN_EXE_tidegate"));
        let file = folder.path().join(unit);
        fs::write(&file, text).unwrap();
        verify.arg(file);
    }
    let output = verify.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.is_empty(), "{told}");
}
