//! Builds what later steps need while earlier ones run.
//!
//! Tests on a port and clients wait more than they work. Here is what the processors do meanwhile: nothing but
//! calls of cargo, at the lowest priority, so that nobody who waits for an answer waits for these. The steps make
//! the same calls again and find the work done; what there is to tell, cargo tells again. So nothing depends on
//! this, and it judges nothing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread::Scope;

use super::fuzz;
use super::step::{self, Step};

/// What is built ahead.
pub(crate) struct Ahead {
    /// Dropped when the tests have been built.
    waits: Option<Sender<()>>,
}

impl Ahead {
    /// Begins with what these steps need, if there are clients among them; else there is nobody to wait for.
    pub(crate) fn begin<'scope>(
        scope: &'scope Scope<'scope, '_>,
        root: &'scope Path,
        steps: &'scope [Step],
    ) -> Self {
        if cfg!(not(unix)) || !steps.iter().any(|step| step.is_client()) {
            return Self { waits: None };
        }
        let (sender, tests_are_built) = mpsc::channel::<()>();
        scope.spawn(move || {
            // The first step's work cannot be done before it.
            let later = steps.get(1..).unwrap_or_default();
            if later.iter().any(|step| step.is_client()) {
                make(step::clients(cargo(), root));
            }
            if later.contains(&Step::Fuzz) {
                make(fuzz::build(cargo(), root));
            }
            // These would keep the tests waiting for their folder. Nothing is ever sent.
            let _ = tests_are_built.recv();
            if later.contains(&Step::Clippy) {
                make(step::clippy(cargo(), root));
            }
            if later.contains(&Step::Docs) {
                make(step::docs(cargo(), root));
            }
        });
        Self {
            waits: Some(sender),
        }
    }

    /// A step begins, or there are no more.
    pub(crate) fn note(&mut self, step: Option<Step>) {
        if step.is_none_or(Step::is_client) {
            self.waits = None;
        }
    }
}

/// A cargo that has the processors when nobody else wants them.
fn cargo() -> Command {
    let cargo = step::cargo();
    let mut nice = Command::new("nice");
    nice.args(["-n", "19"]).arg(cargo.get_program());
    nice
}

/// Whatever comes of it, the step will see.
fn make(mut command: Command) {
    let _ = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}
