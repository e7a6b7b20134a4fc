//! The component against a backend made for tests: no sockets, every answer at hand.

mod backend;
mod lifecycle;
mod mounts;
mod requests;
mod responses;
