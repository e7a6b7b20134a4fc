//! `tidegate top`: what a server is doing, in a terminal, from its administration.
//!
//! What is seen is `view`'s matter, how a terminal is taken and given back `screen`'s.

mod screen;
mod view;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::{Args, ValueHint};
use tidegate::{AdministrationClient, AdministrationClientError, UpstreamTls};

use self::screen::{Screen, Wanted};
use self::view::Seen;
use crate::console::{fail, print};

/// Shows what a server is doing: requests, latency, queue, connections, cache, WebSockets, URLs.
///
/// It asks the administration of a server that runs, which `tidegate serve --administration` switches on; without
/// --url, of the one that runs on this machine. In a terminal it draws once a second until q or Ctrl-C is pressed;
/// elsewhere it writes plain text.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// URL of the administration, such as http://localhost:9180/tidegate/
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    url: Option<String>,

    /// File with its token; without it, where a server of this user has it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    token_file: Option<PathBuf>,

    /// File with the certificates (PEM) that an https server has to be vouched for by; without it, those that
    /// the system trusts
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    tls_ca: Option<PathBuf>,

    /// Print once, as plain text
    #[arg(long)]
    once: bool,

    /// Print a link that signs a browser in to the administration's page, once and within an hour
    #[arg(long, conflicts_with = "once")]
    link: bool,
}

/// Does what the command line asks for.
pub(crate) fn run(options: &Options) -> ExitCode {
    match act(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&*error),
    }
}

fn act(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let client = client(options)?;
    if options.link {
        print(client.sign_in_link()?);
        return Ok(());
    }
    let mut seen = Seen::default();
    // Whoever cannot be asked at all is told of, instead of an empty screen.
    seen.ask(&client)?;
    if options.once {
        print(seen.plain());
        return Ok(());
    }
    match io::stdout().is_terminal() {
        true => draw(&client, &mut seen),
        false => write(&client, &mut seen),
    }
    .map_err(Into::into)
}

fn client(options: &Options) -> Result<AdministrationClient, AdministrationClientError> {
    let token_file = options.token_file.as_deref();
    let client = match &options.url {
        Some(url) => AdministrationClient::new(url, token_file)?,
        None => AdministrationClient::find(token_file)?,
    };
    let mut tls = UpstreamTls::default();
    tls.ca.clone_from(&options.tls_ca);
    Ok(client.with_tls(tls))
}

/// Draws until somebody wants to quit.
fn draw(client: &AdministrationClient, seen: &mut Seen) -> io::Result<()> {
    let mut screen = Screen::open()?;
    loop {
        let (columns, rows) = screen.size();
        screen.show(&seen.lines(columns, rows))?;
        match screen.wait(INTERVAL)? {
            Wanted::Quit => return Ok(()),
            Wanted::Redraw => continue,
            Wanted::Nothing => {}
        }
        // A server that is being started anew will be there again.
        seen.ask_again(client);
    }
}

/// Writes plain text until nobody reads it.
fn write(client: &AdministrationClient, seen: &mut Seen) -> io::Result<()> {
    let mut out = io::stdout();
    loop {
        match writeln!(out, "{}\n", seen.plain()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
        thread::sleep(INTERVAL);
        seen.ask_again(client);
    }
}

const INTERVAL: Duration = Duration::from_secs(1);
