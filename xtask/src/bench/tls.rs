//! The workloads over TLS: what each asks, its load, its servers and its targets.
//!
//! HTTP/1.1 only; what HTTP/2 costs over TLS is in `http2`.

use super::load::{Handshakes, Load, Requests};
use super::server::Server;
use super::target::{Claim, Target};
use super::workload::{HELLO, Id, IdleWorkload, REQUEST, Unit, Workload, ours};

/// The workloads, in order.
pub(crate) const WORKLOADS: [Workload; 5] = [
    Workload {
        id: Id::W6,
        label: "W6 keep-alive",
        title: "GET of a short text over TLS 1.3, keep-alive, 64 connections",
        unit: REQUEST,
        load: Load::Requests(HELLO_TLS),
        servers: &[
            Server::TidegateUring,
            Server::TidegatePoll,
            Server::Hyper,
            Server::Nginx,
            Server::H2o,
            Server::Haproxy,
        ],
        targets: &[
            ours(Claim::OtherAtLeastTimes(1.2, Server::Hyper)),
            ours(Claim::OtherAtLeastTimes(1.5, Server::Nginx)),
        ],
    },
    Workload {
        id: Id::W6,
        label: "W6 full",
        title: "full handshakes of TLS 1.3, each on a new connection, 64 under way",
        unit: HANDSHAKE,
        load: Load::Handshakes(FULL),
        servers: &SHAKING_HANDS,
        targets: &[
            ours(Claim::AtMostTimes(1.03, Server::Rustls)),
            ours(Claim::OtherAtLeastTimes(1.6, Server::Nginx)),
        ],
    },
    Workload {
        id: Id::W6,
        label: "W6 resumed",
        title: "the same, each with the ticket of another",
        unit: HANDSHAKE,
        load: Load::Handshakes(Handshakes {
            resume: true,
            ..FULL
        }),
        servers: &SHAKING_HANDS,
        targets: &[ours(Claim::AtMostTimes(1.03, Server::Rustls))],
    },
    Workload {
        id: Id::W7,
        label: "W7 download, HTTP/1",
        title: "GET of 10 MiB over TLS 1.3 with HTTP/1.1, 4 connections",
        unit: DOWNLOAD,
        load: Load::Requests(Requests {
            tls: true,
            ..DOWNLOAD_OF_10_MIB
        }),
        servers: &[
            Server::TidegateUring,
            Server::TidegatePoll,
            Server::Hyper,
            Server::Nginx,
            Server::H2o,
        ],
        targets: &NO_MORE_THAN_NGINX,
    },
    Workload {
        id: Id::W7,
        label: "W7 upload, HTTP/1",
        title: "POST of 10 MiB over TLS 1.3 with HTTP/1.1, 4 connections",
        unit: UPLOAD,
        load: Load::Requests(Requests {
            tls: true,
            ..UPLOAD_OF_10_MIB
        }),
        servers: &[
            Server::TidegateUring,
            Server::TidegatePoll,
            Server::Hyper,
            Server::Nginx,
            Server::H2o,
        ],
        targets: &NO_MORE_THAN_NGINX,
    },
];

/// haproxy is not asked, for the reason it is not in HTTP/1.1.
pub(crate) const IDLE: IdleWorkload = IdleWorkload {
    label: "W10 TLS",
    title: "resident memory of an idle connection with TLS and HTTP/1.1",
    after: "one request",
    load: Load::Requests(Requests {
        connections: 10_000,
        ..HELLO_TLS
    }),
    servers: &[
        Server::TidegateUring,
        Server::TidegatePoll,
        Server::Hyper,
        Server::Nginx,
        Server::H2o,
    ],
    bytes_max: 4096.0,
};

/// All on X25519; nghttpd has only P-256.
const SHAKING_HANDS: [Server; 7] = [
    Server::Rustls,
    Server::TidegateUring,
    Server::TidegatePoll,
    Server::Hyper,
    Server::Nginx,
    Server::H2o,
    Server::Haproxy,
];

/// In processor time, which is the same per request as per byte.
pub(crate) const NO_MORE_THAN_NGINX: [Target; 1] = [ours(Claim::AtMostTimes(1.0, Server::Nginx))];

const HELLO_TLS: Requests = Requests { tls: true, ..HELLO };

pub(crate) const DOWNLOAD_OF_10_MIB: Requests = Requests {
    path: "/download",
    connections: 4,
    expected: "download",
    content_bytes: bench_answers::DOWNLOAD_BYTES,
    ..HELLO
};

pub(crate) const UPLOAD_OF_10_MIB: Requests = Requests {
    path: "/upload",
    body_bytes: Some(10 << 20),
    connections: 4,
    expected: "uploaded",
    content_bytes: bench_answers::UPLOADED.len(),
    ..HELLO
};

const FULL: Handshakes = Handshakes {
    connections: 64,
    resume: false,
};

const HANDSHAKE: Unit = Unit {
    one: "handshake",
    many: "handshakes",
};

pub(crate) const DOWNLOAD: Unit = Unit {
    one: "10 MiB",
    many: "downloads",
};

pub(crate) const UPLOAD: Unit = Unit {
    one: "10 MiB",
    many: "uploads",
};
