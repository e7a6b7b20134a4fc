//! The Autobahn suite: all its cases, and those with small messages through a proxy that cuts them up.
//!
//! Those about compression take minutes: each configuration runs its share of them.

use std::time::Duration;

use crate::error::ClientError;
use crate::python::script_at;
use crate::splitting::{Cut, Splitter};
use crate::suite::{Bench, Case, Share};

/// The script chooses the cases and judges them.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "the suite",
        run: suite,
    },
    Case {
        name: "byte by byte",
        run: |bench| cut(bench, Cut::EachByte),
    },
    Case {
        name: "cut anywhere",
        run: |bench| cut(bench, Cut::Anywhere),
    },
];

fn suite(bench: &Bench<'_>) -> Result<(), ClientError> {
    let Share { index, count } = bench.share;
    let words = ["share", &index.to_string(), &count.to_string()];
    run(bench, &bench.server.url(""), &words)
}

fn cut(bench: &Bench<'_>, cut: Cut) -> Result<(), ClientError> {
    let splitter = Splitter::start(bench.server.port(), cut)?;
    run(bench, &splitter.url(""), &["split"])
}

fn run(bench: &Bench<'_>, url: &str, words: &[&str]) -> Result<(), ClientError> {
    let words = [&[url], words].concat();
    let told = script_at(bench, "autobahn.py", &words, LIMIT)?;
    bench.tell(told.trim_end());
    Ok(())
}

/// Several times what the whole suite takes.
const LIMIT: Duration = Duration::from_secs(1_200);
