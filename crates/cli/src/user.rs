//! `tidegate user`: the file of users that `authentication.users_file` names.
//!
//! A password comes from the terminal, unseen, or is the first line of the standard input; it is never on the command
//! line, which everybody on the machine can read.

use std::error::Error;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueHint};
use tidegate::users::{DigestSecrets, HashingCost, PasswordHash, User, UsersFile, check_name};

use crate::console::{fail, print, say};

/// Adds, removes and lists users.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(Add),
    Remove(Remove),
    List(List),
}

/// Adds a user, or gives one another password.
///
/// The password is asked for, or is the first line of the standard input.
#[derive(Args, Debug)]
struct Add {
    /// The user's name
    #[arg(value_name = "NAME")]
    name: String,

    /// The file; it is made where it is missing
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,

    /// Keep what Digest needs, too: within the realm it is as good as the password
    #[arg(long)]
    digest: bool,

    /// With --digest: for clients that know nothing but MD5 as well
    #[arg(long, requires = "digest")]
    md5: bool,

    /// With --digest: the realm, as `authentication.realm` has it
    #[arg(long, value_name = "TEXT", default_value = "tidegate")]
    realm: String,
}

/// Removes users.
#[derive(Args, Debug)]
struct Remove {
    /// The users' names
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,

    /// The file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

/// Lists users' names.
#[derive(Args, Debug)]
struct List {
    /// The file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

/// Does what the command line asks for.
pub(crate) fn run(options: &Options) -> ExitCode {
    let done = match &options.command {
        Command::Add(add) => add.run(),
        Command::Remove(remove) => remove.run(),
        Command::List(list) => list.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&*error),
    }
}

impl Add {
    fn run(&self) -> Result<(), Box<dyn Error>> {
        check_name(&self.name)?;
        let password = password()?;
        let user = User {
            name: self.name.clone(),
            password: PasswordHash::of(&password, HashingCost::default()),
            digests: match self.digest {
                true => DigestSecrets::compute(&self.name, &self.realm, &password, self.md5),
                false => DigestSecrets::default(),
            },
        };
        let before = UsersFile::change(&self.file, |file| file.set(user))?;
        let what = match before {
            Some(_) => "has another password now",
            None => "is added",
        };
        say(format_args!("{} {what}", self.name));
        Ok(())
    }
}

impl Remove {
    fn run(&self) -> Result<(), Box<dyn Error>> {
        // What is missing is not made for this.
        UsersFile::read(&self.file)?;
        let unknown = UsersFile::change(&self.file, |file| {
            let unknown = self.names.iter().filter(|name| !file.remove(name));
            unknown.cloned().collect::<Vec<_>>()
        })?;
        match unknown.is_empty() {
            true => Ok(()),
            false => Err(format!("there is no user {}", unknown.join(", ")).into()),
        }
    }
}

impl List {
    fn run(&self) -> Result<(), Box<dyn Error>> {
        for user in UsersFile::read(&self.file)?.users() {
            print(&user.name);
        }
        Ok(())
    }
}

fn password() -> Result<String, Box<dyn Error>> {
    let password = if io::stdin().is_terminal() {
        let password = rpassword::prompt_password("Password: ")?;
        if rpassword::prompt_password("Again: ")? != password {
            return Err("the two are not the same".into());
        }
        password
    } else {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    // RFC 7617 §2: no client could send it.
    match password.is_empty() || password.chars().any(char::is_control) {
        true => Err("a password must not be empty or have control characters".into()),
        false => Ok(password),
    }
}
