//! What `--help` shows besides the flags: colours, examples, exit codes.

use anstyle::{AnsiColor, Style};
use clap::builder::Styles;

const TITLE: Style = AnsiColor::Green.on_default().bold();
const LITERAL: Style = AnsiColor::Cyan.on_default().bold();

/// Colours, where the output is a terminal and `NO_COLOR` is not set.
pub(super) const STYLES: Styles = Styles::styled()
    .header(TITLE)
    .usage(TITLE)
    .literal(LITERAL)
    .placeholder(AnsiColor::Cyan.on_default())
    .error(AnsiColor::Red.on_default().bold())
    .valid(LITERAL)
    .invalid(AnsiColor::Yellow.on_default().bold());

/// Examples, each a command and what it does.
fn examples(list: &[(&str, &str)]) -> String {
    let mut text = format!("{TITLE}Examples:{TITLE:#}");
    for (command, what) in list {
        text += &format!("\n  {what}:\n    {LITERAL}{command}{LITERAL:#}");
    }
    text
}

/// Below the list of commands.
pub(super) fn main() -> String {
    let examples = examples(&[
        ("runwell app.wasm one two", "Run a program; short for `runwell run app.wasm one two`"),
        ("runwell run --dir data::/data app.wasm", "Let it see a directory"),
        ("runwell compile app.wasm -o app.image", "Compile now, and run it later"),
        ("runwell help run", "All that can be said about running"),
    ]);
    format!(
        "{examples}\n\n{TITLE}Exit codes:{TITLE:#}\n  \
         The guest's own, or 0. Besides:\n    \
         2  the command line is wrong\n    \
         3  the input is no valid module\n    \
         4  the module uses what is not implemented or is over a limit\n    \
         5  imports are missing or do not fit\n   \
         70  a bug in runwell\n   \
         74  a file cannot be read or written\n  \
         134  the guest trapped\n  \
         141  the reader of the guest's output is gone\n\n\
         Options can also stand in a file runwell.toml in the current directory."
    )
}

pub(super) fn run() -> String {
    examples(&[
        ("runwell run app.wasm one two --three", "What follows the module goes to the program"),
        ("runwell run --dir data::/data --env LANG=C app.wasm", "A directory and a variable"),
        ("runwell run --invoke fib fib.wat 30", "Call an export; prints its results"),
        ("runwell run --invoke f m.wat -- -0x10 nan:0x4000 inf null", "Values of all types"),
        ("runwell run --fuel 1000000 --timeout 2.5 app.wasm", "Stop a program that goes on"),
        ("runwell run --real --record app.log app.wasm", "Write down what the host answers"),
        ("runwell run --preload env=lib.wasm app.wasm", "A module that imports from another"),
    ])
}

pub(super) fn replay() -> String {
    examples(&[
        ("runwell replay app.log", "What `run --record` wrote, once more and without the host"),
        (
            "runwell replay app.log --until-fuel 1000000 --memory 0x400+64",
            "Stop on the way, and look at a memory",
        ),
    ])
}

pub(super) fn compile() -> String {
    examples(&[
        ("runwell compile app.wasm -o app.image", "What `runwell app.image` then runs"),
        ("runwell compile app.wasm --stats=text", "What each pass of the compiler cost"),
        ("cat app.wat | runwell compile - -o - > app.image", "Through pipes"),
    ])
}

pub(super) fn completions() -> String {
    examples(&[
        ("source <(runwell completions bash)", "For this shell"),
        ("runwell completions fish > ~/.config/fish/completions/runwell.fish", "For all that come"),
    ])
}
