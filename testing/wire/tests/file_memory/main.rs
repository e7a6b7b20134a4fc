//! What a download makes the process hold does not depend on its length.
//!
//! A program of its own with one test, so that nothing else takes memory meanwhile; its clients look at
//! what they receive and drop it.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

use tidegate_driver::Io;
use tidegate_wire::{
    Certificate, Client, Http2, Offer, Server, parts_of, setting, sparse_file, uring,
};

const LENGTH: u64 = 1 << 30;

/// What comes first, so that all buffers are there that any download needs.
const BEFORE: u64 = 32 << 20;

/// How much more may be resident.
const MOST: u64 = 4 << 20;

/// How a file is asked for.
#[derive(Clone, Copy, Debug)]
enum Way {
    Http1,
    Http2,
}

#[test]
fn a_long_file_takes_no_more_memory_than_a_short_one() {
    let file = sparse_file(LENGTH);
    for (at, io) in uring().into_iter().chain([Io::Poll]).enumerate() {
        // What is encrypted is made in the same way for both loops.
        for is_secure in [false, true].into_iter().take(2 - at) {
            let server = match is_secure {
                false => Server::start(io),
                true => Server::start_secure(io),
            };
            if is_secure {
                server.bind("0.0.0.0", &Certificate::new("localhost"));
            }
            server.serve("localhost/", parts_of(&file));
            for way in [Way::Http1, Way::Http2] {
                let wire = |protocols| match is_secure {
                    false => server.client(),
                    true => Client::connect_secure(server.port, &Offer::of(protocols)).unwrap(),
                };
                let mut download: Box<dyn FnMut(u64) -> u64> = match way {
                    Way::Http1 => {
                        let mut client = wire(&[]);
                        Box::new(move |length| download(&mut client, length))
                    }
                    Way::Http2 => {
                        let window = [(setting::INITIAL_WINDOW_SIZE, 0x7FFF_FFFF)];
                        let mut peer = Http2::begin(wire(&["h2"]), &window).wide();
                        peer.settle();
                        Box::new(move |length| download_stream(&mut peer, length))
                    }
                };
                download(BEFORE);
                let before = resident();
                let most = download(LENGTH).saturating_sub(before);
                println!("{io:?}, {way:?}, secure {is_secure}: {} KiB", most / 1024);
                assert!(
                    most < MOST,
                    "{io:?}, {way:?}, secure {is_secure}: {most} bytes more"
                );
            }
        }
    }
}

/// Downloads, and says how much was resident at most.
fn download(client: &mut Client, length: u64) -> u64 {
    client.send(format!(
        "GET /0/{length} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    ));
    client.response_head();
    receive(length, || {
        client.receive().expect("the content is whole").len()
    })
}

fn download_stream(peer: &mut Http2, length: u64) -> u64 {
    let stream = peer.request("GET", &format!("/0/{length}"), &[], true);
    receive(length, || {
        peer.step();
        peer.take_content(stream).len()
    })
}

fn receive(length: u64, mut more: impl FnMut() -> usize) -> u64 {
    let mut most = 0;
    let (mut received, mut look_at) = (0, 0);
    while received < length {
        received += more() as u64;
        if received >= look_at {
            look_at = received + (4 << 20);
            most = most.max(resident());
        }
    }
    assert_eq!(received, length);
    most
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<u64>().unwrap() * 1024
}
