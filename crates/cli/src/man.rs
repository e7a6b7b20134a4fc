//! `tidegate man`: the manual's pages.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueHint};

use crate::console::say;

/// Writes the manual's pages, one for each command.
///
/// `tidegate man /usr/local/share/man/man1` has `man tidegate-serve` find them.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Folder to write them into; made if it is not there
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    directory: PathBuf,
}

/// Does what the command line asks for.
pub(crate) fn run(options: &Options) -> ExitCode {
    let directory = &options.directory;
    let written = fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(crate::command(), directory));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!(
                "error: cannot write into {}: {error}",
                directory.display()
            ));
            ExitCode::FAILURE
        }
    }
}
