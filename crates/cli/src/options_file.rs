//! Options that stand in a file, `runwell.toml`.
//!
//! ```toml
//! jobs = 2                        # of every command that has such a flag
//!
//! [run]                           # of `runwell run` alone
//! dir = ["data::/data"]           # a flag that may be repeated
//! env = { LANG = "C" }            # NAME=VALUE
//! stats = "text"
//! no-guards = true                # a flag without a value
//! ```
//!
//! Keys are the names of flags, and mean what the flags would mean in front of those on the command
//! line: of a flag that is given twice the last one holds, and what may be repeated adds up.
//!
//! The file is the one that `--config` names, or else `runwell.toml` in the current directory. Nobody
//! has said that they trust the latter: whoever unpacks an archive and runs a module in it has such a
//! file, too. So it may give a guest nothing from outside of that directory, and write no files.

use crate::args::{self, Options};
use crate::fail::{Code, Failure, near};
use clap::{ArgAction, CommandFactory, Parser};
use runwell::Result;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The file in the current directory.
const NAME: &str = "runwell.toml";

/// What a file that nobody named may set: nothing that opens the host to the guest.
const HARMLESS: [&str; 18] = [
    "argv0",
    "charge-compilation",
    "charge-instantiation",
    "clock-rate",
    "dir",
    "env",
    "fuel",
    "hash",
    "invoke",
    "jobs",
    "json",
    "max-wasm-stack",
    "no-cache",
    "no-guards",
    "preload",
    "stats",
    "timeout",
    "verify",
];

/// A file of options that is in effect.
#[derive(Clone, Debug)]
pub(crate) struct OptionsFile {
    /// Its name.
    pub(crate) path: PathBuf,
    /// Named by `--config`.
    named: bool,
    /// What it sets, in its order.
    settings: Vec<Setting>,
}

/// One flag that a file sets.
#[derive(Clone, Debug)]
struct Setting {
    /// For this command only.
    command: Option<String>,
    /// As on the command line.
    flag: String,
    /// Name of the flag alone.
    key: String,
    /// Where in the file it is.
    at: usize,
}

impl OptionsFile {
    /// The flags it sets for a command, as on the command line.
    pub(crate) fn flags<'a>(&'a self, command: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        let own = move |setting: &&Setting| match &setting.command {
            Some(only) => only == command,
            None => long_flags(command).contains(&setting.key),
        };
        self.settings.iter().filter(own).map(|setting| &*setting.flag)
    }
}

/// Reads the command line and the file of options, if there is one. Ends the process for a wrong
/// command line, and after `--help` and the like.
pub(crate) fn parse(mut line: Vec<OsString>) -> Result<Options> {
    let options = Options::parse_from(&line);
    let Some(file) = find(options.config.as_deref(), options.no_config)? else {
        return Ok(options);
    };
    let Some(at) = args::command_at(&line) else { return Ok(options) };
    let command = line[at].to_string_lossy().into_owned();
    let flags: Vec<OsString> = file.flags(&command).map(OsString::from).collect();
    line.splice(at + 1..at + 1, flags);
    let mut options = Options::try_parse_from(&line).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        Failure::error(Code::Usage, format!("{}: {first}", file.path.display()))
    })?;
    options.file = Some(file);
    Ok(options)
}

/// The file of options that is to be read, read.
fn find(named: Option<&Path>, none: bool) -> Result<Option<OptionsFile>> {
    let path = named.unwrap_or(Path::new(NAME));
    if none || (named.is_none() && !path.is_file()) {
        return Ok(None);
    }
    let fail = |code, what: String| Failure::error(code, format!("{}: {what}", path.display()));
    let text = fs::read_to_string(path)
        .map_err(|error| fail(Code::Io, format!("cannot be read: {error}")))?;
    let file = read(&text, path, named.is_some())
        .map_err(|(line, what)| fail(Code::Usage, format!("line {line}: {what}")))?;
    Ok(Some(file))
}

/// What is wrong, and in which line.
type Wrong = (usize, String);

fn read(text: &str, path: &Path, named: bool) -> Result<OptionsFile, Wrong> {
    let line = |at: usize| 1 + text[..at.min(text.len())].matches('\n').count();
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        (line(at), error.message().to_string())
    })?;
    let mut file = OptionsFile { path: path.to_path_buf(), named, settings: Vec::new() };
    for (key, value) in table.get_ref() {
        let wrong = |what: String| (line(key.span().start), what);
        match value.get_ref() {
            DeValue::Table(table) if is_command(key.get_ref()) => {
                for (inner, value) in table {
                    let command = Some(key.get_ref().to_string());
                    file.set(command, inner.get_ref(), value)
                        .map_err(|what| (line(inner.span().start), what))?;
                }
            }
            _ => file.set(None, key.get_ref(), value).map_err(wrong)?,
        }
    }
    // Of a flag that is set twice the later one holds, so what is for one command alone comes last.
    file.settings.sort_by_key(|setting| setting.at);
    Ok(file)
}

impl OptionsFile {
    /// Adds the flags that one line stands for.
    fn set(
        &mut self,
        command: Option<String>,
        key: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), String> {
        let commands = match &command {
            Some(command) => vec![command.clone()],
            None => args::commands(),
        };
        let at = value.span().start;
        let Some(takes_value) = commands.iter().find_map(|command| takes_value(command, key))
        else {
            return Err(unknown(command.as_deref(), key, &commands));
        };
        let values = match (takes_value, value.get_ref()) {
            (false, DeValue::Boolean(true)) => vec![None],
            (false, DeValue::Boolean(false)) => return Ok(()),
            (false, _) => return Err(format!("`{key}` is true or false")),
            (true, DeValue::Array(values)) => {
                values.iter().map(|v| scalar(key, v).map(Some)).collect::<Result<_, _>>()?
            }
            (true, DeValue::Table(table)) if key == "env" || key == "preload" => table
                .iter()
                .map(|(name, value)| {
                    Ok(Some(format!("{}={}", name.get_ref(), scalar(key, value)?)))
                })
                .collect::<Result<_, String>>()?,
            (true, _) => vec![Some(scalar(key, value)?)],
        };
        for value in values {
            if !self.named {
                harmless(key, value.as_deref())?;
            }
            let flag = match value {
                Some(value) => format!("--{key}={value}"),
                None => format!("--{key}"),
            };
            let (command, key) = (command.clone(), key.to_string());
            self.settings.push(Setting { command, flag, key, at });
        }
        Ok(())
    }
}

/// A single value as it would stand on the command line.
fn scalar(key: &str, value: &Spanned<DeValue<'_>>) -> Result<String, String> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_string()),
        DeValue::Float(number) => Ok(number.as_str().to_string()),
        DeValue::Boolean(value) => Ok(value.to_string()),
        _ => Err(format!("the value of `{key}` is neither text nor a number")),
    }
}

/// Refuses what a file that was only found may not do.
fn harmless(key: &str, value: Option<&str>) -> Result<(), String> {
    let hint = format!("name the file with `--config {NAME}` if you trust it");
    if !HARMLESS.contains(&key) {
        return Err(format!("`{key}` is not taken from a file that was only found here; {hint}"));
    }
    let value = value.unwrap_or_default();
    match key {
        "dir" => {
            let host = value.split_once("::").map_or(value, |(host, _)| host);
            let here = fs::canonicalize(".").map_err(|error| error.to_string())?;
            // What does not exist is complained about when it is opened.
            if fs::canonicalize(host).is_ok_and(|host| !host.starts_with(here)) {
                return Err(format!("`{host}` is outside of this directory; {hint}"));
            }
            Ok(())
        }
        "env" if !value.contains('=') => {
            Err(format!("`{value}` would pass a variable of the host; {hint}"))
        }
        _ => Ok(()),
    }
}

fn unknown(command: Option<&str>, key: &str, commands: &[String]) -> String {
    let mut known: Vec<String> = commands.iter().flat_map(|name| long_flags(name)).collect();
    if command.is_none() {
        known.extend(args::commands());
    }
    known.sort_unstable();
    known.dedup();
    let whose = command.map_or_else(String::new, |name| format!(" of `runwell {name}`"));
    match near(key, known.iter().map(|name| &**name)) {
        Some(near) => format!("there is no option `{key}`{whose}; did you mean `{near}`?"),
        None => format!("there is no option `{key}`{whose}; `runwell help run` lists them"),
    }
}

fn is_command(name: &str) -> bool {
    Options::command().find_subcommand(name).is_some()
}

/// Names of the flags of a command that may stand in a file.
fn long_flags(command: &str) -> Vec<String> {
    let all = Options::command();
    let Some(command) = all.find_subcommand(command) else { return Vec::new() };
    let flags = command.get_arguments().filter(|arg| !arg.is_hide_set());
    flags.filter_map(|arg| arg.get_long()).map(str::to_string).collect()
}

/// Whether a flag of a command is followed by a value; `None` if there is no such flag.
fn takes_value(command: &str, flag: &str) -> Option<bool> {
    let all = Options::command();
    let mut flags = all.find_subcommand(command)?.get_arguments();
    let arg = flags.find(|arg| !arg.is_hide_set() && arg.get_long() == Some(flag))?;
    Some(!matches!(arg.get_action(), ArgAction::SetTrue))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(text: &str, command: &str) -> Vec<String> {
        let file = read(text, Path::new("test.toml"), true).expect("a file of options");
        file.flags(command).map(str::to_string).collect()
    }

    #[test]
    fn keys_are_flags() {
        let text = "jobs = 2\nverify = false\nno-guards = true\n\
                    [run]\ndir = ['a::/b', 'c']\nenv = { A = 'x y', B = 1 }\ntimeout = 1.5\n\
                    [compile]\nstats = 'json'\n";
        let run = ["--jobs=2", "--no-guards", "--dir=a::/b", "--dir=c", "--env=A=x y", "--env=B=1"];
        let mut found = flags(text, "run");
        assert_eq!(found.pop().as_deref(), Some("--timeout=1.5"));
        assert_eq!(found, run);
        assert_eq!(flags(text, "compile"), ["--jobs=2", "--no-guards", "--stats=json"]);
        assert_eq!(flags(text, "bombs"), [""; 0]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line, what) in [
            ("\nfule = 3", 2, "`fule`; did you mean `fuel`?"),
            ("[run]\n\nstat = 'text'", 3, "of `runwell run`; did you mean `stats`?"),
            ("[rum]\nfuel = 1", 1, "did you mean `run`?"),
            ("verify = 1", 1, "`verify` is true or false"),
            ("fuel = 1979-05-27", 1, "neither text nor a number"),
            ("fuel = [[1]]", 1, "neither text nor a number"),
            ("fuel = 1\nfuel = 2", 2, "duplicate key"),
            ("fuel", 1, ""),
            ("[run]\nfile = 'x'", 2, "there is no option `file`"),
            ("[bombs]\nmeasure = true", 2, "there is no option `measure`"),
        ] {
            let (at, message) = read(text, Path::new("t"), true).expect_err(text);
            assert!(at == line && message.contains(what), "{text}: {at}: {message}");
        }
    }

    #[test]
    fn a_file_that_was_only_found_opens_nothing() {
        for text in [
            "[run]\ndir = '/'",
            "[run]\ndir = '..'",
            "[run]\ndir = 'src/../..::/x'",
            "[run]\nenv = 'HOME'",
            "[run]\ninherit-env = true",
            "[run]\nreal = true",
            "image-key = 'key'",
            "[compile]\noutput = 'x'",
            "[run]\nrecord = 'x'",
        ] {
            let found = read(text, Path::new("t"), false).expect_err(text);
            assert!(found.1.contains("--config"), "{found:?}");
            assert!(read(text, Path::new("t"), true).is_ok(), "{text}");
        }
        let harmless = "fuel = 3\n[run]\ndir = ['src', '.::/']\nenv = { HOME = '/' }";
        assert!(read(harmless, Path::new("t"), false).is_ok());
    }
}
