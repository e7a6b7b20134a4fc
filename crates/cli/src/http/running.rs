//! What is asked of a server that runs, by its administration.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use tidegate::{AdministrationClient, AdministrationClientError, ErrorCode, UpstreamTls};

use super::grammar::{Action, Call};
use super::{Failure, YES, state, with_causes};

/// Which server that runs is asked.
#[derive(Args, Debug, Default)]
pub(super) struct Running {
    /// For what only a server that runs knows: URL of its administration, such as
    /// http://localhost:9180/tidegate/; without it, of the one that runs on this machine
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    url: Option<String>,

    /// File with the administration's token; without it, where a server of this user has it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    token_file: Option<PathBuf>,

    /// File with the certificates (PEM) that an https administration has to be vouched for by
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    tls_ca: Option<PathBuf>,
}

/// What of a server that runs is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Question {
    ServiceState,
    CacheState,
    DeleteCache,
    FlushLogBuffer,
}

impl Running {
    /// What a command prints when it was done.
    pub(super) fn answer(&self, question: Question, call: &Call) -> Result<String, Failure> {
        debug_assert!(matches!(call.command.action, Action::Ask(_)));
        match question {
            Question::ServiceState => {
                let view = match call.value("view") {
                    None => state::View::Session,
                    Some(_) => match call.one_of("view", &["session", "requestq", "client"])? {
                        "session" => state::View::Session,
                        "requestq" => state::View::RequestQueue,
                        _ => {
                            return Err(Failure::unsupported(
                                "view=client: connections are shown by `tidegate top`",
                            ));
                        }
                    },
                };
                let is_verbose = call.switch("verbose", YES)?.unwrap_or(true);
                let state = self.client()?.service_state().map_err(failure)?;
                Ok(state::service(&state, view, is_verbose))
            }
            Question::CacheState => {
                let cached = self.client()?.cached(call.value("url")).map_err(failure)?;
                match cached.is_empty() && call.value("url").is_some() {
                    true => Err(Failure::new(
                        ErrorCode::FileNotFound,
                        "nothing in the cache has this URL or is below it",
                    )),
                    false => Ok(state::cache(&cached)),
                }
            }
            Question::DeleteCache => {
                let is_recursive = call.switch("recursive", YES)?.unwrap_or(false);
                if is_recursive && call.value("url").is_none() {
                    return Err(Failure::parameter(
                        "recursive=yes is for a URL; without one, everything is deleted",
                    ));
                }
                let client = self.client()?;
                let count = client.flush_cache(call.value("url"), is_recursive);
                match (count.map_err(failure)?, call.value("url")) {
                    (0, Some(url)) if !is_recursive => Err(Failure::new(
                        ErrorCode::FileNotFound,
                        format_args!("{url} is not in the cache"),
                    )),
                    _ => Ok(call.command.success.to_owned()),
                }
            }
            Question::FlushLogBuffer => {
                self.client()?.flush_logs().map_err(failure)?;
                Ok(call.command.success.to_owned())
            }
        }
    }

    fn client(&self) -> Result<AdministrationClient, Failure> {
        let token_file = self.token_file.as_deref();
        let client = match &self.url {
            Some(url) => AdministrationClient::new(url, token_file),
            None => AdministrationClient::find(token_file),
        };
        let mut tls = UpstreamTls::default();
        tls.ca.clone_from(&self.tls_ca);
        Ok(client.map_err(failure)?.with_tls(tls))
    }
}

fn failure(error: AdministrationClientError) -> Failure {
    let code = match &error {
        AdministrationClientError::Url(_) | AdministrationClientError::Tls(_) => {
            ErrorCode::InvalidParameter
        }
        AdministrationClientError::Refused { status, .. } => match status {
            401 | 403 => ErrorCode::AccessDenied,
            _ => ErrorCode::InvalidParameter,
        },
        AdministrationClientError::Token(_) | AdministrationClientError::Folder { .. } => {
            ErrorCode::AccessDenied
        }
        _ => ErrorCode::ServiceNotActive,
    };
    Failure::new(code, with_causes(&error))
}
