//! The workloads of HTTP/2: what each asks, its load, its servers and its targets.

use super::load::{Load, Requests};
use super::server::Server;
use super::target::{Claim, Target};
use super::tls::{DOWNLOAD, DOWNLOAD_OF_10_MIB, NO_MORE_THAN_NGINX, UPLOAD, UPLOAD_OF_10_MIB};
use super::workload::{HELLO, Id, IdleWorkload, REQUEST, Workload, ours};

/// The workloads, in order.
pub(crate) const WORKLOADS: [Workload; 6] = [
    Workload {
        id: Id::W7,
        label: "W7 cleartext",
        title: "GET of a short text, 8 connections with 32 streams each",
        unit: REQUEST,
        load: Load::Requests(SHORT),
        servers: &ALL,
        targets: &SMALL_ANSWERS,
    },
    Workload {
        id: Id::W7,
        label: "W7 TLS",
        title: "the same over TLS 1.3",
        unit: REQUEST,
        load: Load::Requests(Requests { tls: true, ..SHORT }),
        servers: &ALL,
        targets: &SMALL_ANSWERS,
    },
    Workload {
        id: Id::W7,
        label: "W7 1 KiB, cleartext",
        title: "GET with the ten header fields of a browser, answer of 1 KiB, 8 × 32 streams",
        unit: REQUEST,
        load: Load::Requests(BROWSER),
        servers: &ALL,
        targets: &SMALL_ANSWERS,
    },
    Workload {
        id: Id::W7,
        label: "W7 1 KiB, TLS",
        title: "the same over TLS 1.3",
        unit: REQUEST,
        load: Load::Requests(Requests {
            tls: true,
            ..BROWSER
        }),
        servers: &ALL,
        targets: &SMALL_ANSWERS,
    },
    Workload {
        id: Id::W7,
        label: "W7 download, HTTP/2",
        title: "GET of 10 MiB over TLS 1.3, 4 connections with one stream each",
        unit: DOWNLOAD,
        load: Load::Requests(Requests {
            tls: true,
            http2: true,
            ..DOWNLOAD_OF_10_MIB
        }),
        // haproxy has no answers of this size.
        servers: &[
            Server::TidegateUring,
            Server::TidegatePoll,
            Server::Hyper,
            Server::Nginx,
            Server::H2o,
            Server::Nghttpd,
        ],
        targets: &NO_MORE_THAN_NGINX,
    },
    Workload {
        id: Id::W7,
        label: "W7 upload, HTTP/2",
        title: "POST of 10 MiB over TLS 1.3, 4 connections with one stream each",
        unit: UPLOAD,
        load: Load::Requests(Requests {
            tls: true,
            http2: true,
            ..UPLOAD_OF_10_MIB
        }),
        // haproxy answers before it has read.
        servers: &[
            Server::TidegateUring,
            Server::TidegatePoll,
            Server::Hyper,
            Server::Nginx,
            Server::H2o,
            Server::Nghttpd,
        ],
        targets: &NO_MORE_THAN_NGINX,
    },
];

/// haproxy is not asked, for the reason it is not in HTTP/1.1.
pub(crate) const IDLE: IdleWorkload = IdleWorkload {
    label: "W10 HTTP/2",
    title: "resident memory of an idle connection with TLS and HTTP/2",
    after: "one request",
    load: Load::Requests(Requests {
        tls: true,
        connections: 10_000,
        depth: 1,
        ..SHORT
    }),
    servers: &[
        Server::TidegateUring,
        Server::TidegatePoll,
        Server::Hyper,
        Server::Nginx,
        Server::H2o,
        Server::Nghttpd,
    ],
    bytes_max: 6144.0,
};

const ALL: [Server; 7] = [
    Server::TidegateUring,
    Server::TidegatePoll,
    Server::Hyper,
    Server::Nginx,
    Server::H2o,
    Server::Haproxy,
    Server::Nghttpd,
];

const SMALL_ANSWERS: [Target; 2] = [
    ours(Claim::OtherAtLeastTimes(1.1, Server::H2o)),
    ours(Claim::OtherAtLeastTimes(3.0, Server::Hyper)),
];

const SHORT: Requests = Requests {
    http2: true,
    connections: 8,
    depth: 32,
    ..HELLO
};

const BROWSER: Requests = Requests {
    path: "/json",
    browser: true,
    expected: "json",
    content_bytes: 1024,
    ..SHORT
};
