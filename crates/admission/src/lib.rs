//! Who may come in, and how often: the rules of the component's admission.
//!
//! Plain values: addresses, names, keys and times are arguments, and nothing here knows of sockets or
//! requests. What is kept (users, API keys, bans, allowances) is kept in files that survive a kill at any moment.
#![forbid(unsafe_code)]

pub mod address_list;
pub mod administrator;
pub mod api_keys;
pub mod authorization;
pub mod ban;
pub mod bots;
pub mod country;
pub mod flood;
mod hex;
#[cfg(feature = "jwt")]
pub mod jwt;
mod keyed_hash;
pub mod patterns;
mod random;
pub mod rate;
pub mod replace;
pub mod sessions;
mod slots;
pub mod snapshot;
mod stamp;
pub mod table;
pub mod users;
