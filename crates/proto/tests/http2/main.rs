//! What a client sends on an HTTP/2 connection, rule by rule and in every split, and what it gets.

mod content;
mod control;
mod floods;
mod go_away;
mod heads;
mod interleaving;
mod opening;
mod priorities;
mod sending;
mod splits;
mod states;
mod support;
mod windows;
