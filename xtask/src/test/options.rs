//! The words after `cargo xtask test`.

use super::error::StepError;
use super::step::Step;

/// What is to be run, and how.
pub(crate) struct Options {
    /// The steps, in the order they run.
    pub(crate) steps: Vec<Step>,
    /// Whether what is missing may be installed.
    pub(crate) install: bool,
    /// A step that is not run for want of something that could be installed is a failure. So it is in
    /// automatic runs, where nobody would see that it is not run any more.
    pub(crate) strict: bool,
    /// Requests of the soak, when not the usual number.
    pub(crate) soak_requests: Option<u64>,
    /// WebSocket connections of the soak, when not the usual number.
    pub(crate) soak_connections: Option<u64>,
}

impl Options {
    pub(crate) fn parse(words: &[String]) -> Result<Self, StepError> {
        let mut steps = Vec::new();
        let mut fast = false;
        let mut options = Self {
            steps: Vec::new(),
            install: true,
            strict: std::env::var("CI").is_ok_and(|value| value == "true"),
            soak_requests: None,
            soak_connections: None,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--fast" => fast = true,
                "--no-install" => options.install = false,
                "--only" => {
                    let name = words.next().ok_or_else(|| StepError::Word(word.clone()))?;
                    steps.extend(named(name)?);
                }
                "--soak-requests" => options.soak_requests = Some(number(word, words.next())?),
                "--soak-connections" => {
                    options.soak_connections = Some(number(word, words.next())?);
                }
                _ => return Err(StepError::Word(word.clone())),
            }
        }
        options.steps = Step::ALL
            .into_iter()
            .filter(|step| steps.is_empty() || steps.contains(step))
            .filter(|step| !fast || step.is_fast())
            .collect();
        Ok(options)
    }
}

fn number(flag: &str, value: Option<&String>) -> Result<u64, StepError> {
    value
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| StepError::Word(flag.to_owned()))
}

/// The step of that name, or all the clients.
fn named(name: &str) -> Result<Vec<Step>, StepError> {
    let named: Vec<Step> = Step::ALL
        .into_iter()
        .filter(|step| step.name() == name || (name == "clients" && step.is_client()))
        .collect();
    if named.is_empty() {
        return Err(StepError::Word(name.to_owned()));
    }
    Ok(named)
}

/// How the command is used.
pub(crate) const USAGE: &str = "usage: cargo xtask test [--fast] [--only STEP]… [--no-install] \
     [--soak-requests N] [--soak-connections N]\n\
     steps: walls format clippy docs tests doc-tests ring fuzz\n\
     clients, all or one: curl nghttp2 openssl wget python node websocket java autobahn browser wrk \
     nginx haproxy slow soak";
