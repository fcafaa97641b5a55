//! Files of options, help, settings and completions as a person meets them.

mod common;

use common::{Person, gives};

#[test]
fn options_stand_in_a_file() {
    let person = Person::new();
    person.write("seven.wat", gives(7));
    person.write("runwell.toml", "[run]\ninvoke = 'get'\n[compile]\nstats = 'json'\n");
    person.run(&["seven.wat"]).prints("7\n");
    person.run(&["run", "seven.wat"]).prints("7\n");
    person.run(&["run", "--no-config", "seven.wat"]).prints("");
    let stats = person.run(&["compile", "seven.wat"]);
    assert!(stats.out.starts_with("{\"bytes\":"), "{stats:?}");
    // The command line has the last word.
    let stats = person.run(&["compile", "--stats=text", "seven.wat"]);
    assert!(stats.out.contains("functions"), "{stats:?}");
    // And may name another file, wherever it stands.
    person.write("other.toml", "[run]\ninvoke = 'got'\n");
    let missing = "there is no exported function `got`";
    person.run(&["run", "--config=other.toml", "seven.wat"]).fails(2, &[missing]);
    person.run(&["--config", "other.toml", "run", "seven.wat"]).fails(2, &[missing]);
    person.run(&["--config", "other.toml", "seven.wat"]).fails(2, &[missing]);
    person.run(&["--config=none.toml", "seven.wat"]).fails(74, &["none.toml: cannot be read"]);
}

#[test]
fn what_is_wrong_in_a_file_is_said() {
    let person = Person::new();
    person.write("seven.wat", gives(7));
    for (text, said) in [
        (
            "\n[run]\nfule = 3",
            "runwell.toml: line 3: there is no option `fule` of `runwell run`; did you mean `fuel`?",
        ),
        ("fuel = 'much'", "runwell.toml: invalid value 'much' for '--fuel"),
        ("fuel", "runwell.toml: line 1: "),
        ("[run]\ndir = '/'", "`/` is outside of this directory; name the file with `--config"),
        ("[run]\nreal = true", "not taken from a file that was only found here"),
    ] {
        person.write("runwell.toml", text);
        person.run(&["seven.wat"]).fails(2, &["error: ", said]);
        person.run(&["--no-config", "seven.wat"]).prints("");
    }
    person.run(&["--config=runwell.toml", "seven.wat"]).prints("");
}

#[test]
fn settings_are_those_in_effect() {
    let person = Person::new();
    person.write("runwell.toml", "fuel = 123\n[run]\nhash = true\n");
    let done = person.run(&["settings"]);
    let said = |text: &str| assert!(done.out.contains(text), "no `{text}` in {done:?}");
    said("x86-64");
    said("/.cache/runwell/modules\n");
    said("/.local/share/runwell/image.key\n");
    said("runwell run");
    said("--fuel=123 --hash\n");
    said("memory64");
    said("fuel schedule\n  version        2\n");
    let json = person.run(&["settings", "--json", "--no-cache"]);
    assert!(json.out.starts_with("{\"engine\":{\"version\":"), "{json:?}");
    assert!(json.out.contains("\"fuel\":\"123\"") && json.out.contains("\"cache\":\"none\""));
    assert_eq!(json.out.lines().count(), 1);
    assert!(!person.path(".cache").exists() && !person.path(".local").exists(), "only looked at");
}

#[test]
fn shells_get_completions() {
    let person = Person::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = person.run(&["completions", shell]);
        assert_eq!((done.code, &*done.err), (Some(0), ""));
        assert!(done.out.contains("no-cache") && done.out.contains("settings"), "{shell}");
    }
    person.run(&["completions", "csh"]).fails(2, &["possible values", "bash"]);
}

#[test]
fn help_has_examples_and_no_colours_in_pipes() {
    let person = Person::new();
    for args in [&["--help"][..], &["run", "--help"], &["help", "compile"], &["completions", "-h"]]
    {
        let done = person.run(args);
        assert!(done.out.contains("Examples:") && !done.out.contains('\x1b'), "{done:?}");
    }
    assert!(person.run(&["-V"]).out.starts_with("runwell 0."));
    let main = person.run(&["--help"]);
    for code in ["Exit codes:", "134  the guest trapped", "File of options:"] {
        assert!(main.out.contains(code), "{main:?}");
    }
}
