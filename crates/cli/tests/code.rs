//! What shows code to people and to tools: `objdump`, `explore`, `--profile`, `-g`.

mod common;

use common::{Done, Person};
use std::fs;
use std::process::Stdio;

const FIB: &str = r#"(module $guest
    (memory 1)
    (func $fib (export "fib") (param i32) (result i32)
        (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
            (else (i32.add
                (call $fib (i32.sub (local.get 0) (i32.const 1)))
                (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
    (func $odd (param i32 i32) (result i32)
        (i32.div_s (i32.load (local.get 0)) (call $fib (local.get 1)))))"#;

#[test]
fn objdump_shows_all_code() {
    let person = Person::new();
    person.write("fib.wat", FIB);
    let all = person.run(&["objdump", "fib.wat"]);
    assert_eq!((all.code, &*all.err), (Some(0), ""));
    let first = all.out.lines().next().unwrap();
    assert!(first.starts_with("fib.wat: x86-64, 2 functions, "), "{first}");
    for text in ["<fib>: function 0, ", "<odd>: function 1, ", " <fib>", " idiv "] {
        assert!(all.out.contains(text), "no `{text}` in {}", all.out);
    }
    assert!(all.out.contains("; may trap: integer divide by zero"), "{}", all.out);
    // Every byte of each function is there.
    let figure = |line: &str| -> usize {
        let word = line.split(" bytes, frame").next().unwrap().rsplit(' ').next().unwrap();
        word.parse().unwrap()
    };
    for part in all.out.split("\n\n").skip(1) {
        let (title, lines) = part.split_once('\n').unwrap();
        let bytes = lines.lines().map(|line| {
            let after = &line[11..];
            after.split(' ').take_while(|word| word.len() == 2).count()
        });
        assert_eq!(bytes.sum::<usize>(), figure(title), "{part}");
    }
    let one = person.run(&["objdump", "--func=odd", "fib.wat"]);
    assert!(one.out.contains("<odd>: function 1") && !one.out.contains("<fib>: function 0"));
    assert!(one.out.contains(" <fib>"), "{}", one.out);
    let traps = person.run(&["objdump", "--traps", "--func", "1", "fib.wat"]);
    for text in ["integer divide by zero", "out of bounds memory access", "  odd\n"] {
        assert!(traps.out.contains(text) && !traps.out.contains("  fib\n"), "{}", traps.out);
    }
    // An image has the same code.
    person.run(&["compile", "fib.wat", "-o", "image"]).prints("");
    let image = person.run(&["objdump", "image"]);
    assert_eq!(image.out.split_once('\n').unwrap().1, all.out.split_once('\n').unwrap().1);
    person.run(&["objdump", "--func=fob", "fib.wat"]).fails(2, &["did you mean `fib`?"]);
    person.run(&["objdump", "--func=2", "fib.wat"]).fails(2, &["no function `2`"]);
}

#[test]
fn terminals_do_not_obey_names() {
    let person = Person::new();
    person.write("evil.wat", "(module (func (export \"\\1b]0;x\\07\") unreachable))");
    let inspected = person.run(&["inspect", "--func=0", "evil.wat"]);
    assert!(!inspected.out.contains('\x1b') && inspected.out.contains("(\\u{1b}]0;x\\u{7})"));
    let done = person.run(&["objdump", "evil.wat"]);
    assert!(!done.out.contains('\x1b') && done.out.contains("<\\u{1b}]0;x\\u{7}>"), "{done:?}");
    let trap = person.run(&["run", "--invoke=\x1b]0;x\x07", "evil.wat"]);
    assert!(trap.code == Some(134) && !trap.err.contains('\x1b'), "{trap:?}");
}

#[test]
fn explore_writes_a_page() {
    let person = Person::new();
    person.write("fib.wat", FIB);
    person.run(&["explore", "fib.wat", "-o", "fib.html"]).prints("");
    let page = fs::read_to_string(person.path("fib.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    assert!(page.contains("\"file\":\"fib.wat\"") && page.contains("[0,\"fib\","));
    assert!(
        page.contains("id=\"piece0\">") && !page.contains("/*STYLE") && !page.contains("/*META")
    );
    assert!(!page.contains("http://") && !page.contains("https://"), "self-contained");
    assert!(page.contains(r#"["Wasm","IR","machine code"]"#));
    let stages = person.run(&["explore", "--stages", "fib.wat", "-o", "-"]);
    assert!(stages.out.contains(r#"["Wasm","IR","selected","allocated","machine code"]"#));
    let one = person.run(&["explore", "--func", "odd", "fib.wat", "-o", "-"]);
    assert!(one.out.contains("\"odd\"") && !one.out.contains("\"fib\""));
    person.run(&["explore", "--func", "fob", "fib.wat", "-o", "x"]).fails(2, &["`fob`"]);
    assert!(!person.path("x").exists());
    person.write("empty.wat", "(module)");
    assert!(person.run(&["explore", "empty.wat", "-o-"]).out.contains("\"funcs\":[]"));
    person.write("wrong.wat", "(module (func (result i32) nop))");
    person.run(&["explore", "wrong.wat", "-o", "x"]).fails(3, &["wrong.wat"]);
}

/// Runs with `flag`; gives the number of the process.
fn profiled(person: &Person, flag: &str) -> u32 {
    let mut command = person.command(&["run", "--no-cache", flag, "--invoke=fib", "fib.wat", "9"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let process = child.id();
    Done::from(child.wait_with_output().unwrap()).prints("34\n");
    process
}

#[test]
fn perf_gets_a_map() {
    let person = Person::new();
    person.write("fib.wat", FIB);
    let path = format!("/tmp/perf-{}.map", profiled(&person, "--profile=perfmap"));
    let map = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let lines: Vec<Vec<&str>> = map.lines().map(|line| line.split(' ').collect()).collect();
    let names: Vec<&str> = lines.iter().map(|line| line[2]).collect();
    assert_eq!(names, ["fib", "odd"]);
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
    assert!(number(lines[0][0]) + number(lines[0][1]) <= number(lines[1][0]));
}

#[test]
fn perf_gets_a_dump() {
    let person = Person::new();
    person.write("fib.wat", FIB);
    let process = profiled(&person, "--profile=jitdump");
    let dump = fs::read(person.path(&format!("jit-{process}.dump"))).unwrap();
    let word = |at: usize| u32::from_le_bytes(dump[at..at + 4].try_into().unwrap());
    let long = |at: usize| u64::from_le_bytes(dump[at..at + 8].try_into().unwrap());
    assert_eq!([word(0), word(4), word(8), word(12)], [0x4a69_5444, 1, 40, 62]);
    assert_eq!(word(20), process);
    let (mut at, mut kinds, mut names) = (40, Vec::new(), Vec::new());
    let mut described = 0;
    while at < dump.len() {
        let (kind, len) = (word(at), word(at + 4) as usize);
        kinds.push(kind);
        if kind == 2 {
            described = long(at + 16);
            assert!(long(at + 24) > 0, "positions");
        } else {
            assert_eq!(word(at + 16), process);
            assert_eq!(long(at + 24), described, "positions are of the code behind them");
            let size = long(at + 40) as usize;
            assert_eq!(long(at + 48), names.len() as u64);
            let name = &dump[at + 56..at + len - size - 1];
            names.push(String::from_utf8(name.to_vec()).unwrap());
            assert_eq!(dump[at + len - size - 1], 0);
        }
        at += len;
    }
    assert_eq!(at, dump.len());
    assert_eq!((kinds, names), (vec![2, 0, 2, 0], vec!["fib".to_string(), "odd".to_string()]));
}

#[test]
fn what_debuggers_are_told_changes_nothing() {
    let person = Person::new();
    person.write("fib.wat", FIB);
    person.run(&["run", "-g", "--invoke=fib", "fib.wat", "9"]).prints("34\n");
}

#[test]
fn a_profile_that_cannot_be_written_is_an_error() {
    let person = Person::new();
    let file = person.write("fib.wat", FIB);
    let args = ["run", "--profile=jitdump", "--invoke=fib", file.to_str().unwrap(), "9"];
    let mut command = person.command(&args);
    // Nobody may make files there.
    command.current_dir("/proc");
    Done::of(command).fails(74, &["profilers cannot be told"]);
}
