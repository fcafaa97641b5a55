//! The shares of the compiler's budgets that the functions of real programs use.
//!
//! Budgets are there for hostile modules. A real function that comes near one would be compiled worse
//! than it could be, or be refused, so none may use more than a quarter, and none may take a pass's cheaper
//! way; the step fails otherwise.

use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::corpus;
use crate::corpus_test::{build, start};
use crate::process::finish;
use crate::quote;

/// The most of a budget that a real function may use.
const MOST: f64 = 0.25;

const LIMIT: Duration = Duration::from_secs(300);

/// The function that uses most of a budget.
struct Worst {
    budget: String,
    share: f64,
    module: String,
    function: String,
}

/// `cargo xtask budgets [--fast] [--runwell CMD] [FILTER]`
pub(crate) fn command(args: &[String]) -> Result {
    let (mut runwell, mut filter, mut fast) = (None, String::new(), false);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--fast" => fast = true,
            "--runwell" => {
                let command = args.next().ok_or("budgets: --runwell needs a value")?;
                runwell = Some(command.split_whitespace().map(String::from).collect());
            }
            other if other.starts_with('-') => return Err(format!("budgets: no option `{other}`")),
            other => filter = other.into(),
        }
    }
    corpus::make("")?;
    let runwell = match runwell {
        Some(command) => command,
        None => vec![build()?.display().to_string()],
    };
    let files = quote::modules(fast, &filter)?;

    let mut worst: Vec<Worst> = Vec::new();
    let mut fallbacks: Vec<(String, u64)> = Vec::new();
    for path in &files {
        let stats = stats(&runwell, path)?;
        let module = path.file_stem().unwrap_or_default().display().to_string();
        for entry in list(&stats, "budgets") {
            let text = |key| field(entry, key).unwrap_or_default();
            let (budget, share) = (text("budget"), text("share").parse().unwrap_or(f64::INFINITY));
            let function = match text("name").as_str() {
                "null" => text("function"),
                name => name.to_string(),
            };
            let new = Worst { budget, share, module: module.clone(), function };
            match worst.iter_mut().find(|old| old.budget == new.budget) {
                Some(old) if old.share >= new.share => {}
                Some(old) => *old = new,
                None => worst.push(new),
            }
        }
        for entry in list(&stats, "fallbacks") {
            let name = field(entry, "fallback").unwrap_or_default();
            let count = field(entry, "functions").and_then(|n| n.parse().ok()).unwrap_or(0);
            match fallbacks.iter_mut().find(|(old, _)| *old == name) {
                Some((_, sum)) => *sum += count,
                None => fallbacks.push((name, count)),
            }
        }
    }
    println!("{} modules\n\n{:<10} {:>8}  most in function", files.len(), "budget", "share");
    for Worst { budget, share, module, function } in &worst {
        println!("{budget:<10} {:>7.2}%  {function} of {module}", 100.0 * share);
    }
    println!("\n{:<18} {:>10}", "fallback", "functions");
    for (name, functions) in &fallbacks {
        println!("{name:<18} {functions:>10}");
    }
    if worst.is_empty() {
        return Err("budgets: nothing was compiled".into());
    }
    let over: Vec<&str> =
        worst.iter().filter(|w| w.share > MOST).map(|w| w.budget.as_str()).collect();
    let taken: Vec<&str> =
        fallbacks.iter().filter(|(_, n)| *n > 0).map(|(name, _)| name.as_str()).collect();
    let percent = 100.0 * MOST;
    match (over.is_empty(), taken.is_empty()) {
        (true, true) => Ok(()),
        (false, _) => Err(format!(
            "budgets: a real function uses more than {percent} % of: {}",
            over.join(", ")
        )),
        (true, false) => Err(format!("budgets: real functions fall back: {}", taken.join(", "))),
    }
}

/// What `runwell compile --stats=json` prints.
fn stats(runwell: &[String], path: &Path) -> Result<String> {
    let done = finish(start(runwell)?.arg("compile").arg(path).arg("--stats=json"), LIMIT)?;
    if done.code != 0 {
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        return Err(format!("budgets: {}: exit code {}; {said}", path.display(), done.code));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// The objects of a list in our own JSON, which has neither nested ones in them nor braces in keys.
fn list<'a>(json: &'a str, key: &str) -> Vec<&'a str> {
    let Some(at) = json.find(&format!("\"{key}\":[")) else { return Vec::new() };
    let mut rest = &json[at..];
    let mut objects = Vec::new();
    while let Some(start) = rest.find(['{', ']']).filter(|&at| rest[at..].starts_with('{')) {
        let mut quoted = false;
        let mut escaped = false;
        let end = rest[start..].find(|c| {
            let inside = quoted;
            match c {
                '"' if !escaped => quoted = !quoted,
                _ => {}
            }
            escaped = c == '\\' && !escaped;
            c == '}' && !inside
        });
        let Some(end) = end else { break };
        objects.push(&rest[start..=start + end]);
        rest = &rest[start + end + 1..];
    }
    objects
}

/// A field of such an object: a number or `null` as it stands, a string without its quotes.
fn field(object: &str, key: &str) -> Option<String> {
    let key = format!("\"{key}\":");
    let value = &object[object.find(&key)? + key.len()..];
    let mut out = String::new();
    let Some(text) = value.strip_prefix('"') else {
        return Some(value.split([',', '}']).next()?.to_string());
    };
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some(out),
            '\\' => out.push(chars.next()?),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_command_prints() {
        let json = r#"{"bytes":1,"budgets":[{"budget":"scan","function":3,"name":"a\"},b","share":0.1},{"budget":"code","name":null,"share":2}],"fallbacks":[]}"#;
        let budgets = list(json, "budgets");
        assert_eq!(budgets.len(), 2);
        assert_eq!(field(budgets[0], "name").unwrap(), "a\"},b");
        assert_eq!(field(budgets[0], "share").unwrap(), "0.1");
        assert_eq!(field(budgets[1], "name").unwrap(), "null");
        assert_eq!(field(budgets[1], "share").unwrap(), "2");
        assert!(list(json, "fallbacks").is_empty() && list(json, "nothing").is_empty());
    }
}
