//! The component against a backend made for tests: no sockets, every answer at hand.

mod admission;
mod backend;
mod cors;
mod fields;
mod files;
mod http2;
mod lane;
mod lifecycle;
mod mounts;
mod requests;
mod responses;
mod sites;
mod streams;
mod tls;
mod watchdog;
