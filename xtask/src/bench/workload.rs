//! The workloads: what each asks, its load, its servers and its targets.

use super::load::Load;
use super::server::Server;
use super::target::{Claim, Target};

/// A workload's number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Id {
    W1,
    W2,
    W3,
    W4,
    W10,
    W11,
}

impl Id {
    const ALL: [Self; 6] = [Self::W1, Self::W2, Self::W3, Self::W4, Self::W10, Self::W11];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::W1 => "W1",
            Self::W2 => "W2",
            Self::W3 => "W3",
            Self::W4 => "W4",
            Self::W10 => "W10",
            Self::W11 => "W11",
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

/// A closed loop of equal requests, put on several servers in turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) id: Id,
    pub(crate) title: &'static str,
    pub(crate) load: Load,
    /// The content of a server with the benchmarks' routes, in the generator's words.
    pub(crate) expected: &'static str,
    pub(crate) content_bytes: usize,
    pub(crate) servers: &'static [Server],
    pub(crate) targets: &'static [Target],
}

/// The workloads that are a closed loop, in order.
pub(crate) const CLOSED: [Workload; 4] = [
    Workload {
        id: Id::W1,
        title: "GET of a short text, keep-alive, 64 connections",
        load: HELLO,
        expected: "hello",
        content_bytes: 13,
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
        title: "the same, pipelined 16 deep",
        load: Load { depth: 16, ..HELLO },
        expected: "hello",
        content_bytes: 13,
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
        title: "GET with the ten header fields of a browser, answer of 1 KiB, 64 connections",
        load: Load {
            path: "/json",
            browser: true,
            ..HELLO
        },
        expected: "json",
        content_bytes: 1024,
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
        title: "POST of 4 KiB, which the server reads whole, short answer, 64 connections",
        load: Load {
            path: "/upload",
            body_bytes: Some(4096),
            ..HELLO
        },
        expected: "uploaded",
        content_bytes: 2,
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
pub(crate) const IDLE_SERVERS: [Server; 11] = [
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
];

/// The request of W1, which the others vary.
pub(crate) const HELLO: Load = Load {
    path: "/hello",
    body_bytes: None,
    browser: false,
    connections: 64,
    depth: 1,
};

/// Content of the answer to [`HELLO`].
pub(crate) const HELLO_BYTES: usize = 13;

/// Where there are no counters, only this can be counted; see `callgrind`.
const fn on_poll(claim: Claim) -> Target {
    Target {
        ours: Server::TidegatePoll,
        claim,
    }
}

const fn ours(claim: Claim) -> Target {
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
        for workload in CLOSED {
            for target in workload.targets {
                assert!(workload.servers.contains(&target.ours));
                if let Claim::AtMostTimes(_, other) | Claim::OtherAtLeastTimes(_, other) =
                    target.claim
                {
                    assert!(
                        workload.servers.contains(&other),
                        "{} {other:?}",
                        workload.id.name()
                    );
                }
            }
        }
    }

    #[test]
    fn contents_are_as_long_as_said() {
        assert_eq!(bench_answers::HELLO.len(), HELLO_BYTES);
        assert_eq!(bench_answers::UPLOADED.len(), CLOSED[3].content_bytes);
    }
}
