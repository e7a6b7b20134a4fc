//! Running a client to its end, within a limit of time.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::error::ClientError;

/// Runs a program with `input` on its standard input. It must end well within `limit`.
pub(crate) fn run(
    command: Command,
    input: Vec<u8>,
    limit: Duration,
) -> Result<Output, ClientError> {
    let program = describe(&command);
    let output = run_to_end(command, input, limit)?;
    if output.status.success() {
        return Ok(output);
    }
    Err(ClientError::Failed {
        program,
        status: output.status,
        output: last_part(&output),
    })
}

/// As [`run`], for a program whose failure is an answer.
pub(crate) fn run_to_end(
    mut command: Command,
    input: Vec<u8>,
    limit: Duration,
) -> Result<Output, ClientError> {
    let program = describe(&command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| ClientError::Start {
            program: program.clone(),
            source,
        })?;
    let id = child.id();
    if let Some(mut stdin) = child.stdin.take() {
        // A thread: a program that writes while it reads would otherwise wait for us for ever.
        thread::spawn(move || {
            // A program may end without having read all; whether that is right its status tells.
            let _ = stdin.write_all(&input);
        });
    }
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(child.wait_with_output()));
    match end.recv_timeout(limit) {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(source)) => Err(ClientError::Start { program, source }),
        Err(_) => {
            signal(id, "KILL");
            let output = end.recv().ok().and_then(Result::ok);
            let output = output.as_ref().map(last_part).unwrap_or_default();
            Err(ClientError::TooLate {
                what: format!("{program} ends\n{output}"),
                after: limit,
            })
        }
    }
}

/// Sends a signal to a process that we started.
pub(crate) fn signal(id: u32, name: &str) {
    // Fails only for a process that has ended already.
    let _ = Command::new("kill")
        .args([&format!("-{name}"), &id.to_string()])
        .stderr(Stdio::null())
        .status();
}

/// Standard output as text.
pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned()),
    );
    let mut text = words.join(" ");
    text.truncate(text.floor_char_boundary(300));
    text
}

/// What it wrote, unless that is not for reading.
fn last_part(output: &Output) -> String {
    let mut text = String::from_utf8(output.stdout.clone()).unwrap_or_default();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    let begin = text.ceil_char_boundary(text.len().saturating_sub(3_000));
    text[begin..].to_owned()
}
