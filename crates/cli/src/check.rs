//! `tidegate check`: whether a settings file can be served, without serving it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueHint};

use crate::console::{print, say};
use crate::serve;

/// Says whether a settings file can be served.
///
/// All is done that `serve` does, but for listening: the file is read, certificates are loaded, folders are
/// opened. What is wrong is told with its line and key. An address that is in use is not found out.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Settings file (TOML)
    #[arg(value_name = "SITE.toml", value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

/// Does what the command line asks for.
pub(crate) fn run(options: &Options) -> ExitCode {
    match serve::check(&options.file) {
        Ok(report) => {
            print(format_args!(
                "{} can be served\n{report}",
                options.file.display()
            ));
            ExitCode::SUCCESS
        }
        Err(message) => {
            say(format_args!("error: {message}"));
            ExitCode::from(2)
        }
    }
}
