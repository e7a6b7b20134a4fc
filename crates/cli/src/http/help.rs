//! What `tidegate http help` and `?` say.

use std::fmt::Write as _;

use super::grammar::Command;

/// Help about some commands: a list, or all of one.
pub(super) fn text(commands: Vec<&'static Command>) -> String {
    // Writing to a text does not fail.
    if let [command] = commands[..] {
        let mut text = format!(
            "{}\n\nUsage: tidegate http {}",
            command.summary,
            name(command)
        );
        for parameter in command.parameters {
            let _ = write!(text, "\n         [{parameter}=]VALUE");
        }
        text.push_str(
            "\n\nParameters stand by their names in any order, or without them in this one.",
        );
        return text;
    }
    let mut text = String::from("The following commands are available:\n");
    for command in commands {
        let _ = write!(text, "\n{:<22} {}", name(command), command.summary);
    }
    text.push_str(
        "\nexec FILE              Does the commands of a file, a line each; - is the input.",
    );
    text
}

fn name(command: &Command) -> String {
    format!("{} {}", command.verb, command.noun)
        .trim_end()
        .to_owned()
}
