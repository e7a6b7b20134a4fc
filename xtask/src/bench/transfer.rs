//! What large transfers do to the server's memory: 1 GiB down, forwarded, and up to the disk.
//!
//! Each is made once on a small file first, so that what a server takes for its first transfer is not
//! counted. The figure is the highest resident memory during the transfer, less what was resident before.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use super::error::BenchError;
use super::options::Options;
use super::places::Places;
use super::process::{self, Running};
use super::server::{Duty, Server};
use super::target::{Limit, Verdict};

/// One transfer of one server.
#[derive(Debug)]
pub(crate) struct TransferRow {
    pub(crate) what: &'static str,
    pub(crate) server: Server,
    pub(crate) mebibytes_before: f64,
    pub(crate) mebibytes_grown: f64,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct TransferOutcome {
    pub(crate) rows: Vec<TransferRow>,
    /// What could not be measured, and why.
    pub(crate) left_out: Vec<String>,
}

/// Makes all transfers, each in a fresh process.
pub(crate) fn run(places: &Places, options: &Options) -> TransferOutcome {
    let mut outcome = TransferOutcome::default();
    let servers = SERVERS
        .into_iter()
        .filter(|server| options.measures(*server));
    for server in servers {
        for transfer in TRANSFERS {
            eprintln!("bench: 1 GiB {}, {}", transfer.name(), server.name());
            match measure(places, server, transfer) {
                Ok(row) => outcome.rows.push(row),
                Err(error) => {
                    let text = format!("{}, {}: {error}", transfer.name(), server.name());
                    eprintln!("bench: {text}");
                    outcome.left_out.push(text);
                }
            }
        }
    }
    outcome
}

impl TransferOutcome {
    /// Our results beside the target.
    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        TRANSFERS
            .into_iter()
            .map(|transfer| {
                let ours = self.rows.iter().filter(|row| {
                    row.what == transfer.name()
                        && matches!(row.server, Server::TidegateUring | Server::TidegatePoll)
                });
                Verdict {
                    what: format!("MiB grown, 1 GiB {}, worse loop", transfer.name()),
                    limit: Limit::AtMost(GROWN_MEBIBYTES_MAX),
                    result: ours.map(|row| row.mebibytes_grown).reduce(f64::max),
                    quiet: None,
                }
            })
            .collect()
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Transfer {
    Download,
    Forwarded,
    Upload,
}

impl Transfer {
    fn name(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Forwarded => "forwarded",
            Self::Upload => "upload",
        }
    }
}

fn measure(places: &Places, server: Server, transfer: Transfer) -> Result<TransferRow, BenchError> {
    prepare(places, transfer)?;
    let port = process::free_port()?;
    let mut upstream = None;
    let duty = match transfer {
        Transfer::Download => Duty::Files,
        Transfer::Forwarded => {
            let port = process::free_port()?;
            let words = Server::TidegateUring.command(places, port, Duty::Files)?;
            upstream = Some(Running::start_beside_load(
                places, "upstream", port, &words,
            )?);
            Duty::Forward(port)
        }
        Transfer::Upload => Duty::Uploads,
    };
    let words = server.command(places, port, duty)?;
    let running = Running::start(places, server.name(), port, &words)?;
    transfer.make(places, port, "10m.bin", SMALL)?;
    let pids = running.pids();
    let before = process::resident_bytes(&pids)?;
    process::forget_peaks(&pids)?;
    transfer.make(places, port, "1g.bin", LARGE)?;
    let peak = process::peak_bytes(&pids)?;
    drop(running);
    drop(upstream);
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    Ok(TransferRow {
        what: transfer.name(),
        server,
        mebibytes_before: mebibytes(before),
        mebibytes_grown: mebibytes(peak.saturating_sub(before)),
    })
}

/// Makes the file that is sent, or the folder for those that are taken in.
fn prepare(places: &Places, transfer: Transfer) -> Result<(), BenchError> {
    if transfer == Transfer::Upload {
        let folder = places.uploads();
        return fs::create_dir_all(&folder).map_err(BenchError::file(&folder));
    }
    let path = places.www().join("1g.bin");
    File::create(&path)
        .and_then(|file| file.set_len(LARGE))
        .map_err(BenchError::file(&path))
}

impl Transfer {
    /// Makes it once, and sees that all of it has come.
    fn make(self, places: &Places, port: u16, name: &str, bytes: u64) -> Result<(), BenchError> {
        if self != Self::Upload {
            return exchange(port, &get(name), bytes).map_err(failed);
        }
        send(port, name, bytes).map_err(failed)?;
        let path = places.uploads().join(name);
        let stored = fs::metadata(&path).map_err(BenchError::file(&path))?.len();
        fs::remove_file(&path).map_err(BenchError::file(&path))?;
        match stored == bytes {
            true => Ok(()),
            false => Err(failed(io::Error::other(format!(
                "{stored} of {bytes} bytes were stored"
            )))),
        }
    }
}

/// Sends a file of zeros, which the server must say that it has made.
fn send(port: u16, name: &str, bytes: u64) -> io::Result<()> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let head = format!(
        "PUT /uploads/{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {bytes}\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(head.as_bytes())?;
    io::copy(&mut io::repeat(0).take(bytes), &mut connection)?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    match answer.starts_with("HTTP/1.1 201") {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "the answer begins with {:?}",
            answer.lines().next().unwrap_or_default()
        ))),
    }
}

fn get(name: &str) -> String {
    format!("GET /files/{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
}

/// Makes one transfer to here, and sees that all of it has come.
fn exchange(port: u16, request: &str, bytes: u64) -> io::Result<()> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.write_all(request.as_bytes())?;
    let mut piece = vec![0; PIECE];
    let mut head = Vec::new();
    let mut received = 0;
    loop {
        let count = connection.read(&mut piece)?;
        if count == 0 {
            break;
        }
        if head.len() < HEAD_SEEN {
            head.extend_from_slice(&piece[..count.min(HEAD_SEEN)]);
        }
        received += count as u64;
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    match text.starts_with("HTTP/1.1 200") && received > bytes {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "{received} bytes came, beginning with {:?}",
            text.lines().next().unwrap_or_default()
        ))),
    }
}

fn failed(error: io::Error) -> BenchError {
    BenchError::Load {
        output: error.to_string(),
    }
}

const TRANSFERS: [Transfer; 3] = [Transfer::Download, Transfer::Forwarded, Transfer::Upload];

/// nginx, to see what others need.
const SERVERS: [Server; 3] = [Server::TidegateUring, Server::TidegatePoll, Server::Nginx];

const LARGE: u64 = 1 << 30;
const SMALL: u64 = bench_answers::DOWNLOAD_BYTES as u64;
const PIECE: usize = 256 << 10;
const HEAD_SEEN: usize = 1024;
const GROWN_MEBIBYTES_MAX: f64 = 4.0;
