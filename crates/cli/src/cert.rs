//! `tidegate cert`: certificates for development.
//!
//! Certificates that others trust come from an authority; obtaining them is another program's matter.

mod self_signed;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use self::self_signed::SelfSigned;

/// Makes certificates.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    SelfSigned(SelfSigned),
}

/// Does what the command line asks for.
pub(crate) fn run(options: &Options) -> ExitCode {
    match &options.command {
        Command::SelfSigned(options) => self_signed::run(options),
    }
}
