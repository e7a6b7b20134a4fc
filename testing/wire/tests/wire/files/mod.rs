//! Content made of pieces, of memory and of files: sent by the system where it can, read where its bytes
//! are needed, over cleartext and TLS, on HTTP/1.1 and HTTP/2.

mod ends;
mod http2;
mod http2_ends;
mod transfers;

use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;

use tidegate_driver::Io;
use tidegate_httpapi::{FilePart, Piece};
use tidegate_wire::{Certificate, Client, Http2, Offer, Server, setting};

/// A server, and how to reach it.
struct Reached {
    server: Server,
    is_secure: bool,
}

impl Reached {
    /// Without TLS and with it.
    fn both(io: Io) -> [Self; 2] {
        [false, true].map(|is_secure| {
            let server = match is_secure {
                false => Server::start(io),
                true => Server::start_secure(io),
            };
            if is_secure {
                server.bind("0.0.0.0", &Certificate::new("localhost"));
            }
            Self { server, is_secure }
        })
    }

    /// A connection for HTTP/1.
    fn client(&self) -> Client {
        self.secured(self.server.client(), &[])
    }

    /// One that receives little at a time.
    fn narrow(&self) -> Client {
        self.secured(Client::connect_narrow(self.server.port), &[])
    }

    /// A connection for HTTP/2, with windows for anything.
    fn http2(&self) -> Http2 {
        Http2::begin(self.wire(), &[(setting::INITIAL_WINDOW_SIZE, 0x7FFF_FFFF)]).wide()
    }

    fn wire(&self) -> Client {
        self.secured(self.server.client(), &["h2"])
    }

    fn secured(&self, client: Client, protocols: &'static [&'static str]) -> Client {
        match self.is_secure {
            false => client,
            true => client
                .secured(&Offer::of(protocols))
                .expect("hands are shaken"),
        }
    }
}

/// Offsets and lengths around all that makes a difference.
const PARTS: [(usize, usize); 16] = [
    (0, 0),
    (0, 1),
    (0, 16_383),
    (0, 16_384),
    (0, 16_385),
    (0, 32_767),
    (0, 32_768),
    (0, 32_769),
    (0, LENGTH),
    (1, LENGTH - 1),
    (LENGTH - 1, 1),
    (LENGTH, 0),
    (4_095, 65_538),
    (1 << 20, 524_288),
    (12_345, 524_289),
    (0, 131_072),
];

const LENGTH: usize = 10 << 20;

/// The part of a file that a path asks for, see `parts_of`.
fn path(offset: usize, length: usize) -> String {
    format!("/{offset}/{length}")
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// Pieces of all kinds and lengths, and what they are.
fn mixed(file: &Arc<File>, content: &[u8]) -> (Vec<Piece>, Vec<u8>) {
    let mut pieces = Vec::new();
    let mut whole = Vec::new();
    let lengths = [
        5, 0, 100, 20_000, 1, 300_000, 16_384, 70_000, 0, 1_000_000, 3,
    ];
    for (at, length) in lengths.into_iter().enumerate() {
        let offset = 7 * at;
        let part = FilePart::new(Arc::clone(file), offset as u64, length as u64);
        pieces.push(part.into());
        whole.extend_from_slice(&content[offset..offset + length]);
        let bytes = &content[length / 2..length];
        pieces.push(Piece::Bytes(bytes.to_vec().into()));
        whole.extend_from_slice(bytes);
    }
    (pieces, whole)
}

/// A file of which the system cannot tell whether it is in memory, and its content: made by the system as
/// it is read, in small pieces. Shorter than it might be, because it may grow.
fn strange_file() -> Option<(Arc<File>, Vec<u8>)> {
    let mut file = File::open("/proc/kallsyms").ok()?;
    let mut content = vec![0; 200_000];
    file.read_exact(&mut content).ok()?;
    Some((Arc::new(file), content))
}
