//! The workloads of content: files, ranges, cached answers, forwarding.
//!
//! What large transfers do to memory is in `transfer`.

use super::load::{Load, Origin, Requests};
use super::server::Server;
use super::target::{Claim, Target};
use super::workload::{HELLO, Id, REQUEST, Workload, ours};

/// The workloads, in order.
pub(crate) const WORKLOADS: [Workload; 6] = [
    Workload {
        id: Id::W5,
        label: "W5 1 KiB",
        title: "GET of a file of 1 KiB, keep-alive, 64 connections",
        unit: REQUEST,
        load: Load::Requests(Requests {
            path: "/files/1k.bin",
            expected: "part:0:1024",
            content_bytes: 1024,
            ..FILE
        }),
        servers: &SERVING_FILES,
        targets: &SMALL_FILES,
    },
    Workload {
        id: Id::W5,
        label: "W5 range",
        title: "GET of 1 KiB in the middle of a file of 100 KiB, 64 connections",
        unit: REQUEST,
        load: Load::Requests(Requests {
            path: "/files/100k.bin",
            range: Some("bytes=50000-51023"),
            expected: "part:50000:1024",
            content_bytes: 1024,
            ..FILE
        }),
        servers: &SERVING_FILES,
        targets: &SMALL_FILES,
    },
    Workload {
        id: Id::W5,
        label: "W5 100 KiB",
        title: "GET of a file of 100 KiB, 64 connections",
        unit: REQUEST,
        load: Load::Requests(Requests {
            path: "/files/100k.bin",
            expected: "part:0:102400",
            content_bytes: 100 << 10,
            ..FILE
        }),
        servers: &SERVING_FILES,
        targets: &[ours(Claim::AtMostTimes(0.9, Server::Nginx))],
    },
    Workload {
        id: Id::W5,
        label: "W5 10 MiB",
        title: "GET of a file of 10 MiB, 4 connections",
        unit: REQUEST,
        load: Load::Requests(Requests {
            path: "/files/10m.bin",
            connections: 4,
            expected: "download",
            content_bytes: bench_answers::DOWNLOAD_BYTES,
            ..FILE
        }),
        servers: &SERVING_FILES,
        targets: &[ours(Claim::AtMostTimes(1.0, Server::Nginx))],
    },
    Workload {
        id: Id::Cached,
        label: "cached",
        title: "GET of a short text from the response cache, keep-alive, 64 connections",
        unit: REQUEST,
        load: Load::Requests(Requests {
            path: "/cached",
            origin: Origin::Cache,
            ..HELLO
        }),
        servers: &[
            Server::TidegateUring,
            Server::TidegatePoll,
            Server::TidegateHandler,
            Server::Nginx,
            Server::Haproxy,
        ],
        targets: &[ours(Claim::AtMostTimes(1.05, Server::TidegateHandler))],
    },
    Workload {
        id: Id::Forward,
        label: "forwarding",
        title: "GET of 1 KiB that another server answers, keep-alive both ways, 64 connections",
        unit: REQUEST,
        load: Load::Requests(Requests {
            path: "/json",
            expected: "json",
            content_bytes: 1024,
            origin: Origin::Upstream,
            ..HELLO
        }),
        servers: &[
            Server::TidegateUring,
            Server::TidegatePoll,
            Server::Nginx,
            Server::Haproxy,
            Server::H2o,
            Server::Caddy,
        ],
        targets: &[
            ours(Claim::AtMostTimes(1.0, Server::Nginx)),
            ours(Claim::AtMostTimes(1.0, Server::Haproxy)),
        ],
    },
];

const FILE: Requests = Requests {
    origin: Origin::Files,
    ..HELLO
};

/// haproxy serves no files.
const SERVING_FILES: [Server; 5] = [
    Server::TidegateUring,
    Server::TidegatePoll,
    Server::Nginx,
    Server::H2o,
    Server::Caddy,
];

const SMALL_FILES: [Target; 2] = [
    ours(Claim::OtherAtLeastTimes(1.5, Server::H2o)),
    ours(Claim::OtherAtLeastTimes(2.0, Server::Nginx)),
];
