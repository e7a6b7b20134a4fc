//! The program `tidegate`.
//!
//! One file for each command. The server is the component's (package `tidegate`); here are the
//! command line, the settings file, the demonstration site, signals, and messages to a person.
#![forbid(unsafe_code)]

mod apikey;
mod cert;
mod check;
mod completions;
mod console;
mod firewall;
mod http;
mod man;
mod reference;
mod serve;
mod settings_file;
#[cfg(unix)]
#[path = "signals/unix.rs"]
mod signals;
#[cfg(not(unix))]
#[path = "signals/other.rs"]
mod signals;
mod site;
mod top;
mod user;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// An HTTP server after the model of the Windows HTTP Server API.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Options>),
    Check(check::Options),
    Cert(cert::Options),
    User(user::Options),
    Apikey(apikey::Options),
    Completions(completions::Options),
    Man(man::Options),
    Reference(reference::Options),
    Firewall(firewall::Options),
    Top(top::Options),
    Http(http::Options),
}

fn main() -> ExitCode {
    let matches = command().get_matches();
    match Program::from_arg_matches(&matches).map(|program| program.command) {
        Ok(Command::Serve(options)) => serve::run(*options),
        Ok(Command::Check(options)) => check::run(&options),
        Ok(Command::Cert(options)) => cert::run(&options),
        Ok(Command::Completions(options)) => completions::run(&options),
        Ok(Command::Man(options)) => man::run(&options),
        Ok(Command::Reference(options)) => reference::run(&options),
        Ok(Command::User(options)) => user::run(&options),
        Ok(Command::Apikey(options)) => apikey::run(&options),
        Ok(Command::Firewall(options)) => firewall::run(&options),
        Ok(Command::Top(options)) => top::run(&options),
        Ok(Command::Http(options)) => http::run(&options),
        Err(error) => error.exit(),
    }
}

/// The command line, with the settings' defaults in its help.
fn command() -> clap::Command {
    Program::command().mut_subcommand("serve", serve::show_defaults)
}

const EXIT_CODES: &str = "\
Exit codes: 0 stopped as asked, 1 failed while starting or running, 2 wrong command line or settings \
file.";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::command;

    /// Commands of the guide and the README are ones that the program takes.
    #[test]
    fn the_guides_commands_are_commands() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let guide = fs::read_dir(root.join("crates/server/guide")).unwrap();
        let mut pages: Vec<_> = guide.map(|entry| entry.unwrap().path()).collect();
        pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
        pages.push(root.join("README.md"));
        let mut taken = 0;
        for page in pages {
            let text = fs::read_to_string(&page).unwrap();
            let blocks = text.split("```sh\n").skip(1);
            let lines = blocks.flat_map(|block| block.split("```").next().unwrap_or("").lines());
            for line in lines {
                let said = line.split(" #").next().unwrap_or_default();
                let said = said.split(" > ").next().unwrap_or_default().trim();
                let run = said
                    .split_once("cargo run --release -- ")
                    .map(|(_, words)| words);
                let Some(words) = said.strip_prefix("tidegate ").or(run) else {
                    continue;
                };
                let words = std::iter::once("tidegate").chain(words.split_whitespace());
                if let Err(error) = command().try_get_matches_from(words) {
                    panic!("{}: {said}\n{error}", page.display());
                }
                taken += 1;
            }
        }
        assert!(taken > 10, "only {taken} commands were found");
    }
}
