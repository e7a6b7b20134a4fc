//! The workloads of WebSocket: what each asks, its load, its servers and its targets.

use super::load::{Load, Messages, Storm};
use super::server::Server;
use super::target::{Claim, Target};
use super::workload::{Id, IdleWorkload, Unit, Workload, on_poll, ours};

/// The workloads, in order.
pub(crate) const WORKLOADS: [Workload; 10] = [
    Workload {
        id: Id::W8,
        label: "W8 32 B",
        title: "echo of binary messages of 32 bytes, 64 connections",
        unit: MESSAGE,
        load: Load::Echo(SMALL),
        servers: &ALL,
        targets: &ONE_IN_FLIGHT,
    },
    Workload {
        id: Id::W8,
        label: "W8 4 KiB",
        title: "the same with messages of 4 KiB",
        unit: MESSAGE,
        load: Load::Echo(LARGE),
        servers: &ALL,
        targets: &ONE_IN_FLIGHT,
    },
    Workload {
        id: Id::W8,
        label: "W8 32 B × 16",
        title: "echo of 32 bytes, 16 messages in flight on each connection",
        unit: MESSAGE,
        load: Load::Echo(Messages { depth: 16, ..SMALL }),
        servers: &ALL,
        targets: &SIXTEEN_IN_FLIGHT,
    },
    Workload {
        id: Id::W8,
        label: "W8 4 KiB × 16",
        title: "echo of 4 KiB, 16 messages in flight on each connection",
        unit: MESSAGE,
        load: Load::Echo(Messages { depth: 16, ..LARGE }),
        servers: &ALL,
        targets: &SIXTEEN_IN_FLIGHT,
    },
    Workload {
        id: Id::W8,
        label: "W8 32 B deflate",
        title: "echo of text of 32 bytes, compressed without context both ways, 64 connections",
        unit: MESSAGE,
        load: Load::Echo(Messages {
            deflate: true,
            ..SMALL
        }),
        servers: &COMPRESSING,
        targets: &[],
    },
    Workload {
        id: Id::W8,
        label: "W8 4 KiB deflate",
        title: "echo of text of 4 KiB, compressed without context both ways, 64 connections",
        unit: MESSAGE,
        load: Load::Echo(Messages {
            deflate: true,
            ..LARGE
        }),
        servers: &COMPRESSING,
        targets: &[],
    },
    Workload {
        id: Id::W9,
        label: "W9 × 1",
        title: "broadcast of 128 bytes from one connection to 5,000, one message in flight",
        unit: DELIVERY,
        load: Load::Broadcast(NEWS),
        servers: &ALL,
        targets: &[
            ours(Claim::AtMostTimes(1.0, Server::BareUring)),
            on_poll(Claim::AtMostTimes(1.0, Server::BarePoll)),
        ],
    },
    Workload {
        id: Id::W9,
        label: "W9 × 8",
        title: "the same, 8 messages in flight",
        unit: DELIVERY,
        load: Load::Broadcast(Messages { depth: 8, ..NEWS }),
        servers: &ALL,
        targets: &[ours(Claim::AtMostTimes(0.75, Server::Bun))],
    },
    Workload {
        id: Id::Storm,
        label: "storm, closed",
        title: "10,000 handshakes as fast as they come, each connection closed as soon as it stands",
        unit: HANDSHAKE,
        load: Load::Storm(Storm {
            connections: 10_000,
            hold: false,
        }),
        servers: &ALL,
        targets: &STORM,
    },
    Workload {
        id: Id::Storm,
        label: "storm, held",
        title: "10,000 handshakes as fast as they come, all connections held",
        unit: HANDSHAKE,
        load: Load::Storm(Storm {
            connections: 10_000,
            hold: true,
        }),
        servers: &ALL,
        targets: &STORM,
    },
];

/// W10: our server with its heartbeat on.
pub(crate) const IDLE: IdleWorkload = IdleWorkload {
    label: "W10",
    title: "resident memory of an idle connection",
    after: "the handshake",
    load: Load::Echo(Messages {
        connections: 10_000,
        ..SMALL
    }),
    servers: &ALL,
    bytes_max: 768.0,
};

const ALL: [Server; 8] = [
    Server::BareUring,
    Server::TidegateUring,
    Server::BarePoll,
    Server::TidegatePoll,
    Server::Bun,
    Server::FastWebSockets,
    Server::Tungstenite,
    Server::Node,
];

/// The others have no permessage-deflate.
const COMPRESSING: [Server; 4] = [
    Server::TidegateUring,
    Server::TidegatePoll,
    Server::Bun,
    Server::Node,
];

const ONE_IN_FLIGHT: [Target; 4] = [
    ours(Claim::AtMostTimes(1.05, Server::BareUring)),
    ours(Claim::AtMostTimes(1.0, Server::Bun)),
    ours(Claim::AtMostTimes(1.0, Server::FastWebSockets)),
    on_poll(Claim::AtMostTimes(1.05, Server::BarePoll)),
];

const SIXTEEN_IN_FLIGHT: [Target; 3] = [
    ours(Claim::AtMostTimes(1.1, Server::BareUring)),
    ours(Claim::AtMostTimes(0.5, Server::Bun)),
    on_poll(Claim::AtMostTimes(1.1, Server::BarePoll)),
];

const STORM: [Target; 2] = [
    ours(Claim::AtMostTimes(1.0, Server::Bun)),
    ours(Claim::AtMostTimes(1.0, Server::Tungstenite)),
];

const SMALL: Messages = Messages {
    path: "/ws",
    bytes: 32,
    deflate: false,
    connections: 64,
    depth: 1,
};

const LARGE: Messages = Messages {
    bytes: 4096,
    ..SMALL
};

const NEWS: Messages = Messages {
    path: "/broadcast",
    bytes: 128,
    connections: 5000,
    ..SMALL
};

const MESSAGE: Unit = Unit {
    one: "message",
    many: "messages",
};

const DELIVERY: Unit = Unit {
    one: "delivery",
    many: "deliveries",
};

const HANDSHAKE: Unit = Unit {
    one: "handshake",
    many: "handshakes",
};
