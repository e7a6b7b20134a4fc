//! Runs the guide's snippets: `build.rs` makes documentation tests of the pages, and here is what visits them.
//!
//! Each test is a process of its own, in a folder of its own.
#![forbid(unsafe_code)]
// What fails here fails a test.
#![allow(clippy::unwrap_used)]

#[path = "../../free_port.rs"]
mod free_port;
mod site;
mod websocket;

use std::collections::HashMap;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tidegate::{Error, Server, ServerBuilder};

pub use site::{Answer, Site, Stream};
pub use websocket::Socket;

/// The guide's pages, each with its tests.
pub mod pages {
    include!(concat!(env!("OUT_DIR"), "/pages.rs"));
}

/// What programs of the guide get besides what they name.
pub mod prelude {
    pub use super::{BuildQuietly, Visit, port};
}

/// Makes a server that leaves nothing behind where the test is run.
pub trait BuildQuietly {
    /// As [`ServerBuilder::build`], without the HTTPERR log.
    ///
    /// # Errors
    ///
    /// As [`ServerBuilder::build`].
    fn build_quietly(self) -> Result<Server, Error>;
}

impl BuildQuietly for ServerBuilder {
    fn build_quietly(self) -> Result<Server, Error> {
        let server = self.build()?;
        server.configure(|settings| settings.error_log.enabled = false)?;
        Ok(server)
    }
}

/// Starts a server, asks it something, and stops it.
pub trait Visit {
    /// In place of [`Server::run`].
    ///
    /// # Errors
    ///
    /// As [`Server::run`].
    fn visit(&self, check: impl FnOnce(&Site)) -> Result<(), Error>;

    /// In place of [`Server::wait_stopped`].
    fn visit_started(&self, check: impl FnOnce(&Site));
}

impl Visit for Server {
    fn visit(&self, check: impl FnOnce(&Site)) -> Result<(), Error> {
        self.start()?;
        self.wait_started()?;
        self.visit_started(check);
        Ok(())
    }

    fn visit_started(&self, check: impl FnOnce(&Site)) {
        self.wait_started().unwrap();
        check(&Site::new(port(8080)));
        self.stop();
        self.wait_stopped();
    }
}

/// A free port, always the same in place of the same `named`.
pub fn port(named: u16) -> u16 {
    static PORTS: Mutex<Option<HashMap<u16, u16>>> = Mutex::new(None);
    let mut ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
    let ports = ports.get_or_insert_default();
    *ports.entry(named).or_insert_with(free_port::free_port)
}

/// The first of so many free ports that nobody else gets from here.
pub fn free_ports(count: u16) -> u16 {
    free_port::free_ports(count)
}

/// A text with [`port`]s in place of those that it names.
pub fn moved(text: &str) -> &'static str {
    let mut made = String::new();
    for (index, part) in text.split(':').enumerate() {
        let end = part.find(|character: char| !character.is_ascii_digit());
        let (number, rest) = part.split_at(end.unwrap_or(part.len()));
        if index > 0 {
            made.push(':');
        }
        match number.parse() {
            Ok(number) if index > 0 => made += &port(number).to_string(),
            _ => made += number,
        }
        made += rest;
    }
    // A test ends soon.
    made.leak()
}

/// The first line with this in it that a file of the folder gets.
pub fn wait_for_line(folder: &str, part: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        let texts = files.filter_map(|file| fs::read_to_string(file.path()).ok());
        let found = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
        if let Some(line) = found.into_iter().find(|line| line.contains(part)) {
            return line;
        }
        assert!(Instant::now() < deadline, "no line with {part} in {folder}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Goes to a new folder, in which there is what the guide's programs use. It is gone when it is dropped.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::env::set_current_dir(folder.path()).unwrap();
    for (names, files) in [
        ("localhost", ["site.crt", "site.key"]),
        ("shop.example.com", ["shop.crt", "shop.key"]),
    ] {
        let made = rcgen::generate_simple_self_signed([names.to_owned()]).unwrap();
        fs::write(files[0], made.cert.pem()).unwrap();
        fs::write(files[1], made.signing_key.serialize_pem()).unwrap();
    }
    fs::create_dir("public").unwrap();
    fs::write("public/index.html", "<!doctype html><title>Home</title>").unwrap();
    fs::write("test.pdf", "0123456789").unwrap();
    folder
}
