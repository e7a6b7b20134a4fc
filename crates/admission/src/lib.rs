//! Who may come in, and how often: the rules of the component's admission.
//!
//! Plain values: addresses, names, keys and times are arguments, and nothing here knows of sockets or
//! requests. What is kept (users, API keys, bans, allowances) is kept in files that survive a kill at any moment.
#![forbid(unsafe_code)]

pub mod api_keys;
pub mod authorization;
mod hex;
pub mod jwt;
mod keyed_hash;
mod random;
mod replace;
pub mod sessions;
mod stamp;
pub mod users;
