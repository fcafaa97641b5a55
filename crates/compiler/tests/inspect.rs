//! What `inspect` says of functions, and of what is none.

use runwell_abi::target::{Arch, Features, Target};
use runwell_compiler::{
    Error, InspectError, Inspection, Options, Section, Which, WhichError, inspect,
};
use runwell_wasm::{ExternKind, Limits, Parsed};

fn options() -> Options {
    Options::new(Target { arch: Arch::X64, features: Features::default() })
}

fn binary(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("a module")
}

fn look(bytes: &[u8], which: Which<'_>) -> Result<Inspection, InspectError> {
    inspect(bytes, which, &options())
}

fn which_error(bytes: &[u8], which: Which<'_>) -> WhichError {
    match look(bytes, which) {
        Err(InspectError::Which(error)) => error,
        other => panic!("{which:?}: {other:?}"),
    }
}

/// Checks that a listing shows every byte of the code in order and that its Wasm offsets lie in the
/// body. Returns the texts of its instructions.
fn check_listing(inspection: &Inspection) -> Vec<String> {
    let machine = &inspection.sections[3].text;
    let mut lines = machine.lines();
    let summary = lines.next().expect("a summary");
    let figures: Vec<usize> =
        summary.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    let &[code, data, _frame] = &figures[..] else { panic!("{summary}") };
    let head = lines.next().expect("a heading");
    let columns = ["offset", "bytes", "instruction"].map(|name| head.find(name).expect(name));
    let bytes_at = columns[1];
    let mut texts = Vec::new();
    let mut next = 0;
    let mut offsets = 0;
    for line in lines {
        let mut words = line[..bytes_at].split_whitespace().rev();
        let offset = usize::from_str_radix(words.next().expect("an offset"), 16).expect(line);
        assert_eq!(offset, next, "{line}");
        if let Some(src) = words.next() {
            let src = src.strip_prefix("0x").expect("a Wasm offset");
            let src = u32::from_str_radix(src, 16).expect(line);
            assert!(inspection.body.contains(&src), "{src:#x} is not in {:x?}", inspection.body);
            offsets += 1;
        }
        let is_data = offset >= code;
        let end = if is_data { line.len() } else { columns[2] };
        let bytes = line[bytes_at..end].split_whitespace();
        next +=
            bytes.inspect(|byte| assert!(u8::from_str_radix(byte, 16).is_ok(), "{line}")).count();
        if !is_data {
            assert!(!line.contains("(bad)") && !line.contains("out of the function"), "{line}");
            texts.push(line[columns[2]..].to_string());
        }
    }
    assert_eq!(next, code + data);
    assert!(offsets > 0, "no Wasm offsets in\n{machine}");
    texts
}

#[test]
fn examples() {
    let examples = [
        include_str!("../../../examples/fib.wat"),
        include_str!("../../../examples/hello.wat"),
        include_str!("../../../examples/mandelbrot.wat"),
    ];
    for text in examples {
        let bytes = binary(text);
        let parsed = Parsed::parse(&bytes, &Limits::default()).expect("valid");
        let imported = parsed.info.imported_funcs();
        let funcs = parsed.info.funcs.len() as u32;
        assert!(funcs > imported);
        for func in imported..funcs {
            let inspection = look(&bytes, Which::Index(func)).expect("inspected");
            assert_eq!(inspection.func, func);
            assert_eq!(inspection.body, parsed.info.bodies[(func - imported) as usize]);
            let titles: Vec<&str> = inspection.sections.iter().map(|s| s.title).collect();
            assert_eq!(
                titles,
                [
                    "IR after translation",
                    "machine instructions",
                    "after register allocation",
                    "machine code"
                ]
            );
            let [ir, selected, allocated, _] = [0, 1, 2, 3].map(|at| &inspection.sections[at].text);
            assert!(ir.starts_with(&format!("func {func} ")) && ir.contains("return"), "{ir}");
            assert!(selected.contains("b0(") && selected.contains('%'), "{selected}");
            let places = allocated.matches('%').zip(allocated.match_indices('=')).count();
            assert!(places > 0 && !allocated.contains("=?"), "{allocated}");
            let blocks = |text: &str| text.lines().filter(|l| !l.starts_with(' ')).count();
            assert_eq!(blocks(selected), blocks(allocated));
            let instructions = check_listing(&inspection);
            let last = |name: &str| instructions.iter().any(|text| text.starts_with(name));
            assert!(last("ret") || last("jmp"), "{instructions:?}");
            for Section { title, text, offsets } in &inspection.sections {
                assert_eq!(text.lines().count(), offsets.len(), "{title}");
                let body = &inspection.body;
                assert!(offsets.iter().all(|&from| from == 0 || body.contains(&from)), "{title}");
                assert!(offsets.iter().any(|&from| from != 0), "{title}");
            }
            // Inspecting shows what compiling makes, and the same each time.
            assert_eq!(look(&bytes, Which::Index(func)), Ok(inspection));
        }
    }
}

fn machine(inspection: &Inspection) -> &str {
    let Section { text, .. } = &inspection.sections[3];
    text
}

#[test]
fn listings_name_traps_calls_and_data() {
    let bytes = binary(
        "(module (memory 1) (func $f (param i32) (result i32) local.get 0)
           (func $div (param i32 i32) (result i32)
             local.get 0 local.get 1 i32.div_s call $f)
           (func $read (param i32) (result f64)
             local.get 0 f64.load offset=16 f64.const 1.5 f64.mul)
           (func $tail (param i32) (result i32) local.get 0 return_call $f)
           (func $table (param i32) (result i32)
             (block (block (block (block (block (block (block (block (block
               (br_table 0 1 2 3 4 5 6 7 8 (local.get 0)))
               (return (i32.const 10))) (return (i32.const 21))) (return (i32.const 33)))
               (return (i32.const 44))) (return (i32.const 59))) (return (i32.const 61)))
               (return (i32.const 72))) (return (i32.const 88)))
             i32.const 3))",
    );
    let text = |name: &str| {
        let inspection = look(&bytes, Which::Name(name)).expect("inspected");
        check_listing(&inspection);
        assert_eq!(inspection.name.as_deref(), Some(name));
        machine(&inspection).to_string()
    };
    let div = text("div");
    assert!(div.contains("call function 0\n"), "{div}");
    // That it may overflow as well is found out when it traps.
    assert!(div.contains("idiv esi  ; traps: integer divide by zero\n"), "{div}");
    assert!(div.contains("ud2  ; traps: call stack exhausted\n"), "{div}");
    let read = text("read");
    assert!(read.contains("+0x10]  ; traps: out of bounds memory access\n"), "{read}");
    assert!(read.contains("00 00 00 00 00 00 f8 3f"), "the constant 1.5 in {read}");
    assert!(text("tail").contains("jmp function 0\n"));
    let table = text("table");
    assert!(!table.contains(" 0 of constants and tables"), "{table}");
}

#[test]
fn offsets_are_those_of_the_operators() {
    let bytes = binary(
        "(module (func (param i32 i32) (result i32)
           local.get 0 local.get 1 i32.div_u))",
    );
    let divide = bytes.iter().rposition(|&byte| byte == 0x6e).expect("the operator");
    let inspection = look(&bytes, Which::Index(0)).expect("inspected");
    let listing = machine(&inspection);
    // From the operator's offset up to the next one's.
    let at = format!(" {divide:#x} ");
    let from = listing.lines().skip_while(|line| !line.contains(&at));
    let has_offset = |line: &&str| line.trim_start().starts_with("0x");
    let mut lines = from.enumerate().take_while(|(n, line)| *n == 0 || !has_offset(line));
    assert!(lines.any(|(_, line)| line.contains(" div ")), "{at} in {listing}");
}

#[test]
fn finds_functions_by_name() {
    let bytes = binary(
        "(module (import \"m\" \"imported\" (func $imported))
           (func $inner (export \"outer\") (nop))
           (func (export \"7\") (nop))
           (func (export \"anonymous\") (nop)))",
    );
    let find = |name| look(&bytes, Which::Name(name)).expect("inspected").func;
    assert_eq!(find("outer"), 1);
    assert_eq!(find("inner"), 1);
    assert_eq!(find("$inner"), 1);
    assert_eq!(find("7"), 2);
    let anonymous = look(&bytes, Which::Index(3)).expect("inspected");
    assert_eq!(anonymous.name.as_deref(), Some("anonymous"));
}

#[test]
fn says_why_there_is_nothing_to_see() {
    let bytes = binary(
        "(module (import \"env\" \"log\" (func $log))
           (memory (export \"memory\") 1)
           (func $a (export \"first\")) (func $b))",
    );
    assert_eq!(
        which_error(&bytes, Which::Name("memory")),
        WhichError::Name {
            name: "memory".into(),
            exported: Some(ExternKind::Memory),
            suggestions: vec!["first".into(), "a".into(), "b".into()],
        }
    );
    let cases = [
        (Which::Name("memory"), "`memory` is no function but a memory"),
        (Which::Name("none"), "there is no function `none`; there is `first`, `a`, `b`"),
        (Which::Name(""), "there is no function ``; there is `first`, `a`, `b`"),
        (Which::Name("$"), "there is no function `$`; there is `first`, `a`, `b`"),
        (Which::Index(3), "there is no function 3: the last one is 2"),
        (Which::Index(u32::MAX), "there is no function 4294967295: the last one is 2"),
        (
            Which::Index(0),
            "function 0 is imported (`log` from `env`), its code is not in this module",
        ),
        (
            Which::Name("log"),
            "function 0 is imported (`log` from `env`), its code is not in this module",
        ),
    ];
    for (which, message) in cases {
        assert_eq!(which_error(&bytes, which).to_string(), message);
    }
    let none = binary("(module)");
    let message = which_error(&none, Which::Index(0)).to_string();
    assert_eq!(message, "there is no function 0: the module has none");
    assert_eq!(which_error(&none, Which::Name("f")).to_string(), "there is no function `f`");
}

#[test]
fn refuses_names_of_several_functions() {
    let mut bytes = binary("(module (func (export \"y\")) (func) (func (export \"x\")))");
    // No text has two functions of one name, so the name section comes by hand: both the first and
    // the second are "x".
    let functions = [2, 0, 1, b'x', 1, 1, b'x'];
    let mut section = vec![4, b'n', b'a', b'm', b'e', 1, functions.len() as u8];
    section.extend(functions);
    bytes.extend([0, section.len() as u8]);
    bytes.extend(section);
    let error = which_error(&bytes, Which::Name("x"));
    assert_eq!(error, WhichError::Ambiguous { name: "x".into(), funcs: vec![0, 1, 2] });
    assert_eq!(
        error.to_string(),
        "several functions are named `x`: 0, 1, 2; give the index of one"
    );
    assert_eq!(look(&bytes, Which::Index(1)).expect("inspected").func, 1);
}

#[test]
fn passes_on_errors_of_the_compiler() {
    let compile_error = |bytes: &[u8], which| match look(bytes, which) {
        Err(InspectError::Compile(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(compile_error(b"", Which::Index(0)), Error::Invalid { .. }));
    assert!(matches!(compile_error(b"\0asm\x0d\0\x01\0", Which::Index(0)), Error::Component));
    let mixed = binary("(module (func $good) (func $bad (result i32)))");
    let error = compile_error(&mixed, Which::Name("bad"));
    assert_eq!(error.func(), Some(1), "{error}");
    // Another function's fault does not keep this one from being looked at.
    assert_eq!(look(&mixed, Which::Name("good")).expect("inspected").func, 0);
}

/// A tail call out of the instance anywhere makes every call restore its context: the listing shows
/// the code as it is compiled, not as if the function were alone.
#[test]
fn shows_the_code_of_the_whole_module() {
    let body = "(func $callee) (func $caller call $callee call $callee)";
    let alone = binary(&format!("(module (memory 1) {body})"));
    let leaving = binary(&format!(
        "(module (memory 1) (table 1 funcref) {body}
           (func (param i32) (return_call_indirect (local.get 0))))"
    ));
    let size = |bytes: &[u8]| {
        let inspection = look(bytes, Which::Name("caller")).expect("inspected");
        check_listing(&inspection).len()
    };
    assert!(size(&leaving) > size(&alone));
}

/// Images do not say where the instructions of a function end; a listing finds out.
#[test]
fn linked_code_ends_where_constants_begin() {
    let bytes = binary(
        r#"(module
            (func (export "floats") (param f64) (result f64)
                (f64.mul (f64.add (local.get 0) (f64.const 1.5)) (f64.const 2.5)))
            (func (export "table") (param i32) (result i32)
                (block (block (block (block (block
                    (br_table 0 1 2 3 4 (local.get 0)))
                    (return (i32.const 10))) (return (i32.const 21))) (return (i32.const 32)))
                    (return (i32.const 43)))
                (i32.const 54))
            (func (export "plain") (param i32) (result i32) (call 1 (local.get 0))))"#,
    );
    let image = runwell_compiler::compile(&bytes, &options()).expect("a module").image;
    for (index, range) in image.funcs.iter().enumerate() {
        let machine =
            look(&bytes, Which::Index(index as u32)).expect("a function").sections[3].text.clone();
        let expected: usize =
            machine.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a figure");
        let code = &image.text[range.start as usize..range.end as usize];
        let lines = runwell_compiler::disassemble(code, range.start, &|_| None);
        let shown: u32 = lines.iter().map(|line| line.len).sum();
        assert_eq!(shown as usize, code.len());
        // Constants are aligned; what fills the gap is written as instructions that trap.
        let instructions =
            lines.iter().filter(|line| line.text.as_ref().is_some_and(|text| text != "int3"));
        let found: u32 = instructions.map(|line| line.len).sum();
        assert_eq!(found as usize, expected, "function {index}: {lines:?}");
    }
}
