//! `tidegate completions`: what a shell completes after `tidegate`.

use std::io;
use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;

/// Prints what a shell needs to complete this program's command line.
///
/// For bash: `tidegate completions bash > ~/.local/share/bash-completion/completions/tidegate`
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The shell
    shell: Shell,
}

/// Does what the command line asks for.
pub(crate) fn run(options: &Options) -> ExitCode {
    let mut command = crate::command();
    clap_complete::generate(options.shell, &mut command, "tidegate", &mut io::stdout());
    ExitCode::SUCCESS
}
