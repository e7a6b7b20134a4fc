//! The workloads: what each asks, its load, its servers and its targets.
//!
//! Here are those of HTTP/1.1; those of WebSocket are in `websocket`, those over TLS in `tls`, those of
//! HTTP/2 in `http2`, those of files, the response cache and forwarding in `content`, and those of keys and limits
//! in `admission`.

use super::load::{Load, Origin, Requests};
use super::server::Server;
use super::target::{Claim, Target};

/// A workload's number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Id {
    W1,
    W2,
    W3,
    W4,
    W5,
    W6,
    W7,
    W8,
    W9,
    W10,
    W11,
    Storm,
    Cached,
    Forward,
    Admission,
}

impl Id {
    const ALL: [Self; 15] = [
        Self::W1,
        Self::W2,
        Self::W3,
        Self::W4,
        Self::W5,
        Self::W6,
        Self::W7,
        Self::W8,
        Self::W9,
        Self::W10,
        Self::W11,
        Self::Storm,
        Self::Cached,
        Self::Forward,
        Self::Admission,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::W1 => "W1",
            Self::W2 => "W2",
            Self::W3 => "W3",
            Self::W4 => "W4",
            Self::W5 => "W5",
            Self::W6 => "W6",
            Self::W7 => "W7",
            Self::W8 => "W8",
            Self::W9 => "W9",
            Self::W10 => "W10",
            Self::W11 => "W11",
            Self::Storm => "storm",
            Self::Cached => "cached",
            Self::Forward => "forward",
            Self::Admission => "admission",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|id| id.name().eq_ignore_ascii_case(name))
    }

    /// All names, with commas between them.
    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

/// A load that is put on several servers in turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) id: Id,
    /// What tables call it: a number may have several loads.
    pub(crate) label: &'static str,
    pub(crate) title: &'static str,
    pub(crate) unit: Unit,
    pub(crate) load: Load,
    pub(crate) servers: &'static [Server],
    pub(crate) targets: &'static [Target],
}

/// What a load counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    pub(crate) one: &'static str,
    pub(crate) many: &'static str,
}

/// Connections held idle on one server after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdleWorkload {
    /// What tables call it.
    pub(crate) label: &'static str,
    pub(crate) title: &'static str,
    /// What each connection has done before.
    pub(crate) after: &'static str,
    pub(crate) load: Load,
    pub(crate) servers: &'static [Server],
    /// The target for ours.
    pub(crate) bytes_max: f64,
}

/// The workloads of HTTP/1.1 that are a closed loop, in order.
pub(crate) const HTTP1: [Workload; 4] = [
    Workload {
        id: Id::W1,
        label: "W1",
        title: "GET of a short text, keep-alive, 64 connections",
        unit: REQUEST,
        load: Load::Requests(HELLO),
        servers: &[
            Server::BareUring,
            Server::TidegateUring,
            Server::Program,
            Server::BarePoll,
            Server::TidegatePoll,
            Server::TidegateClassic,
            Server::Hyper,
            Server::Axum,
            Server::Actix,
            Server::May,
            Server::Bun,
            Server::Nginx,
            Server::H2o,
            Server::Haproxy,
        ],
        targets: &[
            ours(Claim::AtMostTimes(1.06, Server::BareUring)),
            ours(Claim::AtMostTimes(0.92, Server::Bun)),
            ours(Claim::OtherAtLeastTimes(1.25, Server::Hyper)),
            ours(Claim::UserInstructionsAtMost(1000.0)),
            on_poll(Claim::UserInstructionsAtMost(1000.0)),
            Target {
                ours: Server::TidegateClassic,
                claim: Claim::AtMostTimes(2.0, Server::TidegateUring),
            },
            on_poll(Claim::AtMostTimes(1.08, Server::BarePoll)),
        ],
    },
    Workload {
        id: Id::W2,
        label: "W2",
        title: "the same, pipelined 16 deep",
        unit: REQUEST,
        load: Load::Requests(Requests { depth: 16, ..HELLO }),
        servers: &[
            Server::BareUring,
            Server::TidegateUring,
            Server::BarePoll,
            Server::TidegatePoll,
            Server::Hyper,
            Server::Axum,
            Server::Actix,
            Server::May,
            Server::Bun,
            Server::Nginx,
            Server::H2o,
            Server::Haproxy,
        ],
        targets: &[
            ours(Claim::AtMostTimes(1.35, Server::BareUring)),
            ours(Claim::OtherAtLeastTimes(1.2, Server::May)),
            ours(Claim::OtherAtLeastTimes(2.5, Server::Hyper)),
            ours(Claim::UserInstructionsAtMost(750.0)),
            on_poll(Claim::UserInstructionsAtMost(750.0)),
            on_poll(Claim::AtMostTimes(1.08, Server::BarePoll)),
        ],
    },
    Workload {
        id: Id::W3,
        label: "W3",
        title: "GET with the ten header fields of a browser, answer of 1 KiB, 64 connections",
        unit: REQUEST,
        load: Load::Requests(Requests {
            path: "/json",
            browser: true,
            expected: "json",
            content_bytes: 1024,
            ..HELLO
        }),
        servers: &[
            Server::BareUring,
            Server::TidegateUring,
            Server::BarePoll,
            Server::TidegatePoll,
            Server::Hyper,
            Server::Axum,
            Server::Actix,
            Server::May,
            Server::Bun,
            Server::Nginx,
            Server::H2o,
            Server::Haproxy,
        ],
        targets: &[
            ours(Claim::OtherAtLeastTimes(1.5, Server::Hyper)),
            ours(Claim::UserInstructionsAtMost(2000.0)),
            on_poll(Claim::UserInstructionsAtMost(2000.0)),
        ],
    },
    Workload {
        id: Id::W4,
        label: "W4",
        title: "POST of 4 KiB, which the server reads whole, short answer, 64 connections",
        unit: REQUEST,
        load: Load::Requests(Requests {
            path: "/upload",
            body_bytes: Some(4096),
            expected: "uploaded",
            content_bytes: 2,
            ..HELLO
        }),
        servers: &[
            Server::BareUring,
            Server::TidegateUring,
            Server::Hyper,
            Server::Axum,
            Server::Actix,
            Server::May,
            Server::Bun,
        ],
        targets: &[
            ours(Claim::AtMostTimes(1.05, Server::BareUring)),
            ours(Claim::OtherAtLeastTimes(1.3, Server::Hyper)),
        ],
    },
];

/// Who is asked for the memory of an idle connection. haproxy is not: its connection limit counts
/// two descriptors for each, more than the usual hard limit leaves for 10,000.
pub(crate) const HTTP1_IDLE: IdleWorkload = IdleWorkload {
    label: "W10",
    title: "resident memory of an idle connection",
    after: "one request",
    load: Load::Requests(Requests {
        connections: 10_000,
        ..HELLO
    }),
    servers: &[
        Server::BareUring,
        Server::TidegateUring,
        Server::BarePoll,
        Server::TidegatePoll,
        Server::Hyper,
        Server::Axum,
        Server::Actix,
        Server::May,
        Server::Bun,
        Server::Nginx,
        Server::H2o,
    ],
    bytes_max: 512.0,
};

/// The request of W1, which the others vary.
pub(crate) const HELLO: Requests = Requests {
    path: "/hello",
    tls: false,
    http2: false,
    body_bytes: None,
    browser: false,
    range: None,
    api_key: false,
    origin: Origin::Itself,
    connections: 64,
    depth: 1,
    expected: "hello",
    content_bytes: 13,
};

pub(crate) const REQUEST: Unit = Unit {
    one: "request",
    many: "requests",
};

/// Where there are no counters, only this can be counted; see `callgrind`.
pub(crate) const fn on_poll(claim: Claim) -> Target {
    Target {
        ours: Server::TidegatePoll,
        claim,
    }
}

pub(crate) const fn ours(claim: Claim) -> Target {
    Target {
        ours: Server::TidegateUring,
        claim,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_is_found_by_its_name() {
        for id in Id::ALL {
            assert_eq!(Id::from_name(&id.name().to_lowercase()), Some(id));
        }
    }

    #[test]
    fn targets_are_about_servers_of_their_workload() {
        let workloads = HTTP1
            .iter()
            .chain(&super::super::websocket::WORKLOADS)
            .chain(&super::super::content::WORKLOADS)
            .chain(&super::super::admission::WORKLOADS)
            .chain(&super::super::tls::WORKLOADS)
            .chain(&super::super::http2::WORKLOADS);
        for workload in workloads {
            for target in workload.targets {
                assert!(workload.servers.contains(&target.ours));
                if let Claim::AtMostTimes(_, other)
                | Claim::AtMostMore(_, other)
                | Claim::OtherAtLeastTimes(_, other) = target.claim
                {
                    assert!(
                        workload.servers.contains(&other),
                        "{} {other:?}",
                        workload.label
                    );
                }
            }
        }
    }

    #[test]
    fn contents_are_as_long_as_said() {
        for workload in HTTP1 {
            let Load::Requests(requests) = workload.load else {
                panic!("{} sends no requests", workload.label);
            };
            let content_bytes = match requests.expected {
                "hello" => bench_answers::HELLO.len(),
                "json" => bench_answers::json().len(),
                "uploaded" => bench_answers::UPLOADED.len(),
                other => panic!("{other}"),
            };
            assert_eq!(content_bytes, requests.content_bytes);
        }
    }
}
