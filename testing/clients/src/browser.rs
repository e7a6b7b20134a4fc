//! Chromium on the demonstration page, as a person would use it.

use std::time::Duration;

use crate::node::script;
use crate::suite::Case;

/// One script opens the page and tries everything on it.
pub(crate) const CASES: &[Case] = &[Case {
    name: "demonstration page",
    run: |bench| script(bench, "with_chromium.mjs", Duration::from_secs(120)),
}];
