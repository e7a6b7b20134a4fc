//! What API keys and rate limits add to the smallest request.

use super::load::{Load, Requests};
use super::server::Server;
use super::target::Claim;
use super::workload::{HELLO, Id, REQUEST, Workload, ours};

/// The workloads, in order.
pub(crate) const WORKLOADS: [Workload; 2] = [
    Workload {
        id: Id::Admission,
        label: "key and limit",
        title: "GET of a short text with an API key and a rate limit for each key, 64 connections",
        unit: REQUEST,
        load: Load::Requests(Requests {
            api_key: true,
            ..HELLO
        }),
        servers: &SERVERS,
        targets: &[ours(Claim::AtMostMore(0.5, Server::TidegateHandler))],
    },
    // The same under a magnifier: the calls to the system are shared.
    Workload {
        id: Id::Admission,
        label: "key and limit, 16",
        title: "the same, pipelined 16 deep",
        unit: REQUEST,
        load: Load::Requests(Requests {
            api_key: true,
            depth: 16,
            ..HELLO
        }),
        servers: &SERVERS,
        targets: &[],
    },
];

/// The last asks for no key and counts nothing.
const SERVERS: [Server; 3] = [
    Server::TidegateUring,
    Server::TidegatePoll,
    Server::TidegateHandler,
];
