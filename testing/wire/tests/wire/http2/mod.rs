//! HTTP/2: frames at a real port. RFC 9113; http-server-api §§11, 15.

mod content;
mod floods;
mod flow;
mod messages;
mod opening;
mod requests;
mod resets;
mod rules;
mod stalls;
mod stopping;
mod timers;
mod tunnel_ends;
mod tunnels;

use tidegate_httpapi::FieldBlock;
use tidegate_wire::{Fields, Http2};

/// The connection still serves.
fn lives(peer: &mut Http2) {
    peer.settle();
    assert_eq!(peer.goaways, []);
    assert_ne!(peer.get("/").status(), 0);
}

fn block(fields: &[(&str, &str)]) -> FieldBlock {
    let mut block = FieldBlock::new();
    for (name, value) in fields {
        block.append(name, value).unwrap();
    }
    block
}

pub(crate) fn fields(fields: &[(&str, &str)]) -> Fields {
    let fields = fields.iter();
    fields
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// Bytes no two of which are alike in short distance.
fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at % 251) as u8 ^ (at / 251) as u8)
        .collect()
}
