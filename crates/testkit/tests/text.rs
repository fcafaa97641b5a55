//! The text form of the IR, on functions made from generated modules.

use runwell_ir::{Function, parse, print, same, verify};
use runwell_testkit::{Rng, generate};
use runwell_wasm::{Limits, Parsed, Translator};

/// Calls `f` on each function of `count` generated modules.
fn for_each_function(count: u64, mut f: impl FnMut(u64, &Function)) {
    let mut translator = Translator::new();
    for seed in 0..count {
        let mut rng = Rng(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let len = 300 + (rng.next_u64() % 6000) as usize;
        let Some(wasm) = generate::module(&rng.bytes(len)) else { continue };
        let parsed = Parsed::parse(&wasm, &Limits::default()).expect("a valid module");
        for own in 0..parsed.info.bodies.len() {
            let func = translator.translate(&parsed.info, &parsed.validation, &wasm, own);
            f(seed, func.expect("a supported function"));
        }
    }
}

#[test]
fn what_is_printed_is_read_back() {
    let (mut functions, mut loops, mut copies) = (0, 0, 0);
    for_each_function(1200, |seed, func| {
        verify::verify(func).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let text = print::function(func);
        let back = parse::function(&text)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}, in\n{text}"));
        if let Some(difference) = same::difference(func, &back) {
            panic!("seed {seed}: {difference}, in\n{text}");
        }
        verify::verify(&back).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(print::function(&back), text, "seed {seed}");
        let plain = print::without_offsets(func);
        assert_eq!(print::without_offsets(&parse::function(&plain).expect("a function")), plain);
        functions += 1;
        loops += func.loops.len();
        copies += func.insts.iter().filter(|inst| inst.op == runwell_ir::Op::Copy).count();
    });
    assert!(functions > 500 && loops > 100 && copies > 10, "{functions} {loops} {copies}");
}

/// Other bytes in a text: refused or not, but nothing panics, neither here nor in the verifier.
#[test]
fn damaged_text_does_no_harm() {
    const PIECES: [&str; 16] = [
        "v1",
        "b0",
        "b99",
        "l7",
        ":i32",
        ":f64",
        "4294967295",
        "-1",
        "(",
        ")",
        "\n",
        "call ",
        "sig3",
        "0x",
        "ÿ",
        "copy.i64",
    ];
    let (mut refused, mut read, mut invalid) = (0, 0, 0);
    let mut rng = Rng(7);
    for_each_function(400, |_, func| {
        let text = print::function(func);
        if text.len() > 6000 {
            return;
        }
        for _ in 0..6 {
            let mut damaged = text.clone();
            for _ in 0..1 + rng.next_u64() % 2 {
                let mut at = rng.next_u64() as usize % damaged.len();
                let mut end = (at + rng.next_u64() as usize % 4).min(damaged.len());
                let mut piece = PIECES[rng.next_u64() as usize % PIECES.len()];
                // Another number leaves the form intact more often.
                let digit =
                    damaged.get(at..).and_then(|rest| rest.find(|c: char| c.is_ascii_digit()));
                if let (Some(digit), 0..3) = (digit, rng.next_u64() % 4) {
                    at += digit;
                    end = at + 1;
                    piece = ["0", "1", "2", "3", "7"][rng.next_u64() as usize % 5];
                }
                if damaged.is_char_boundary(at) && damaged.is_char_boundary(end) {
                    damaged.replace_range(at..end, piece);
                }
            }
            match parse::functions(&damaged) {
                Ok(funcs) => {
                    read += 1;
                    for func in funcs {
                        invalid += usize::from(verify::verify(&func).is_err());
                        let again = print::function(&func);
                        let back = parse::function(&again)
                            .unwrap_or_else(|error| panic!("{error}, in\n{again}"));
                        assert_eq!(print::function(&back), again);
                    }
                }
                Err(error) => {
                    refused += 1;
                    let lines = damaged.lines().count() as u32;
                    assert!((1..=lines + 1).contains(&error.line), "{error}");
                }
            }
        }
    });
    assert!(refused > 300 && read > 20 && invalid > 5, "{refused} {read} {invalid}");
}
