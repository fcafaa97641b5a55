//! Validation of operators that take and give a thousand values: each fault in them, in code that is
//! reached and in code that is not, gets the same answer as from the library's validator.

mod common;

use common::verdict::compare;
use runwell_wasm::{ErrorKind, Limits, Parsed, Translator};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ElementSection, Elements, Function, FunctionSection,
    GlobalSection, GlobalType, InstructionSink, MemorySection, MemoryType, Module, RefType,
    TableSection, TableType, TypeSection, ValType,
};

/// Width of the types.
const WIDTH: usize = 1000;
/// Where a fault is made.
const PLACES: [usize; 7] = [0, 1, 31, 64, 500, 998, 999];

/// Types by number.
const SAME: u32 = 0;
const TAKES: u32 = 1;
const GIVES: u32 = 2;
const MAIN: u32 = 3;
const OTHER: u32 = 4;
const ALIKE: u32 = 5;

/// Functions by number: the first three are of the types of the same number.
const TAKES_OTHER: u32 = 3;

const TYPES: [ValType; 6] =
    [ValType::I32, ValType::I64, ValType::F32, ValType::F64, ValType::FUNCREF, ValType::EXTERNREF];

fn list() -> Vec<ValType> {
    (0..WIDTH).map(|i| TYPES[i * 7 % 11 % 6]).collect()
}

/// A module with a last function of type [`MAIN`], `i32 -> list`, and this body.
fn module(body: impl FnOnce(&mut InstructionSink<'_>)) -> Vec<u8> {
    module_with(None, body)
}

/// As [`module`], with a memory of this page size, which is a proposal that is off.
fn module_with(
    page_size_log2: Option<u32>,
    body: impl FnOnce(&mut InstructionSink<'_>),
) -> Vec<u8> {
    let list = list();
    let mut types = TypeSection::new();
    types.ty().function(list.clone(), list.clone());
    types.ty().function(list.clone(), []);
    types.ty().function([], list.clone());
    types.ty().function([ValType::I32], list.clone());
    types.ty().function(list[1..].to_vec(), list[..WIDTH - 1].to_vec());
    types.ty().function(list.clone(), list);
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    for ty in [SAME, TAKES, GIVES, OTHER] {
        functions.function(ty);
        let mut function = Function::new([]);
        function.instructions().unreachable().end();
        code.function(&function);
    }
    functions.function(MAIN);
    let mut function = Function::new([]);
    body(&mut function.instructions());
    function.instructions().end();
    code.function(&function);
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: 1,
        maximum: None,
        shared: false,
    });
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2,
    });
    let mut globals = GlobalSection::new();
    let ty = GlobalType { val_type: ValType::I64, mutable: true, shared: false };
    globals.global(ty, &ConstExpr::i64_const(0));
    let mut elements = ElementSection::new();
    elements.declared(Elements::Functions([0].as_slice().into()));
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&tables).section(&memories);
    module.section(&globals).section(&elements).section(&code);
    module.finish()
}

fn give(f: &mut InstructionSink<'_>, ty: ValType) {
    match ty {
        ValType::I32 => f.i32_const(1),
        ValType::I64 => f.i64_const(1),
        ValType::F32 => f.f32_const(1.0.into()),
        ValType::F64 => f.f64_const(1.0.into()),
        // For the library its type is a subtype.
        ValType::FUNCREF => f.ref_func(0),
        _ => f.ref_null(wasm_encoder::HeapType::EXTERN),
    };
}

/// What lies on the stack before the operator.
#[derive(Copy, Clone, Debug)]
enum Operands {
    /// What is asked for.
    Right,
    /// Another type at this place.
    Wrong(usize),
    /// Fewer: those from this place on.
    From(usize),
    /// Fewer, and another type at the second place.
    FromWrong(usize, usize),
    /// One of unknown type at this place, which only unreachable code has.
    Unknown(usize),
    /// One of unknown type at the first place, another type at the second.
    UnknownWrong(usize, usize),
    /// One more below.
    Below,
    /// One more on top.
    Above,
}

fn operands(f: &mut InstructionSink<'_>, operands: Operands) {
    let list = list();
    let (from, wrong, unknown) = match operands {
        Operands::Right => (0, None, None),
        Operands::Wrong(at) => (0, Some(at), None),
        Operands::From(at) => (at, None, None),
        Operands::FromWrong(from, at) => (from, Some(at), None),
        Operands::Unknown(at) => (at, None, Some(at)),
        Operands::UnknownWrong(at, wrong) => (at, Some(wrong), Some(at)),
        Operands::Below => {
            f.i32_const(0);
            (0, None, None)
        }
        Operands::Above => (0, None, None),
    };
    for (at, &ty) in list.iter().enumerate().skip(from) {
        if Some(at) == unknown {
            // On an empty stack this selects between operands of unknown type.
            f.select();
        } else if Some(at) == wrong {
            let other = TYPES.iter().find(|&&other| other != ty && other != ValType::I32);
            give(f, *other.unwrap());
        } else {
            give(f, ty);
        }
    }
    if let Operands::Above = operands {
        f.f32_const(1.0.into());
    }
}

/// Operators, and what they are called.
type Use = (&'static str, fn(&mut InstructionSink<'_>));

/// Ways to use operands of all types of the list; each leaves the stack to whatever follows.
const USES: [Use; 20] = [
    ("call", |f| {
        f.call(SAME);
    }),
    ("call and drop", |f| {
        f.call(TAKES);
    }),
    ("two calls", |f| {
        f.call(SAME).call(SAME).call(TAKES).call(GIVES);
    }),
    ("a call of fewer", |f| {
        f.call(TAKES_OTHER);
    }),
    ("call_indirect", |f| {
        f.local_get(0).call_indirect(0, SAME);
    }),
    ("return_call", |f| {
        f.return_call(SAME);
    }),
    ("return_call of other results", |f| {
        f.return_call(TAKES_OTHER);
    }),
    ("return_call_indirect", |f| {
        f.local_get(0).return_call_indirect(0, ALIKE);
    }),
    ("return", |f| {
        f.return_();
    }),
    ("block", |f| {
        f.block(BlockType::FunctionType(SAME)).end();
    }),
    ("block with a call", |f| {
        f.block(BlockType::FunctionType(SAME)).call(TAKES).call(GIVES).end();
    }),
    ("loop", |f| {
        f.loop_(BlockType::FunctionType(SAME)).local_get(0).br_if(0).end();
    }),
    ("if", |f| {
        f.local_get(0).if_(BlockType::FunctionType(SAME)).end();
    }),
    ("if that cannot be left out", |f| {
        f.local_get(0).if_(BlockType::FunctionType(OTHER)).end();
    }),
    ("if with else", |f| {
        f.local_get(0).if_(BlockType::FunctionType(SAME)).unreachable().else_().call(SAME).end();
    }),
    ("br", |f| {
        f.br(0);
    }),
    ("br_if", |f| {
        f.local_get(0).br_if(0);
    }),
    ("br_table", |f| {
        f.local_get(0).br_table([0, 0, 0], 0);
    }),
    ("br_table to labels of their own", |f| {
        f.block(BlockType::FunctionType(SAME)).block(BlockType::FunctionType(ALIKE));
        f.local_get(0).br_table([0, 1, 2, 0], 1);
        f.end().end();
    }),
    ("br_table to labels of two widths", |f| {
        f.block(BlockType::FunctionType(SAME)).loop_(BlockType::FunctionType(OTHER));
        f.local_get(0).br_table([1, 1, 2], 0);
        f.end().end();
    }),
];

fn all_operands() -> Vec<Operands> {
    let mut all = vec![Operands::Right, Operands::Below, Operands::Above];
    for at in PLACES {
        all.extend([Operands::Wrong(at), Operands::From(at), Operands::Unknown(at)]);
        let other = (at * 3 + 400) % WIDTH;
        all.extend([Operands::FromWrong(at, other), Operands::UnknownWrong(at, other)]);
    }
    all.push(Operands::From(WIDTH));
    all
}

#[test]
fn faults_of_wide_operators() {
    let (mut valid, mut looked_at) = (0, 0);
    let mut translator = Translator::new();
    for (name, use_them) in USES {
        for unreachable in [false, true] {
            for some in all_operands() {
                let wasm = module(|f| {
                    if unreachable {
                        f.unreachable();
                    }
                    operands(f, some);
                    use_them(f);
                });
                let parsed = Parsed::parse(&wasm, &Limits::default()).unwrap();
                let own = parsed.info.bodies.len() - 1;
                let ok = compare(&mut translator, &parsed, &wasm, own)
                    .unwrap_or_else(|what| panic!("{name}, {unreachable}, {some:?}: {what}"));
                looked_at += 1;
                valid += u32::from(ok);
            }
        }
    }
    assert!(valid > looked_at / 5 && valid < looked_at / 2, "{valid} of {looked_at} are valid");
}

#[test]
fn unknown_operands_are_known_once_they_have_been_used() {
    let mut translator = Translator::new();
    // What takes the operands for those of the list and gives them back.
    let known: [fn(&mut InstructionSink<'_>); 6] = [
        |_| {},
        |f| {
            f.local_get(0).br_if(0);
        },
        |f| {
            f.block(BlockType::FunctionType(SAME)).end();
        },
        |f| {
            f.loop_(BlockType::FunctionType(SAME)).end();
        },
        |f| {
            f.local_get(0).if_(BlockType::FunctionType(SAME)).end();
        },
        |f| {
            f.call(SAME);
        },
    ];
    for (number, known) in known.into_iter().enumerate() {
        for right in [true, false] {
            let wasm = module(|f| {
                f.unreachable().select();
                list().iter().skip(1).for_each(|&ty| give(f, ty));
                known(f);
                (1..WIDTH).for_each(|_| {
                    f.drop();
                });
                // The first of the list is an `i32`.
                if right {
                    f.i32_eqz().drop();
                } else {
                    f.i64_eqz().drop();
                }
                operands(f, Operands::Right);
            });
            let parsed = Parsed::parse(&wasm, &Limits::default()).unwrap();
            let own = parsed.info.bodies.len() - 1;
            let valid = compare(&mut translator, &parsed, &wasm, own);
            assert_eq!(valid, Ok(right || number == 0), "{number}");
        }
    }
}

/// The error for a body of [`module`].
fn refusal(body: impl FnOnce(&mut InstructionSink<'_>)) -> runwell_wasm::Result<()> {
    let wasm = module(body);
    let parsed = Parsed::parse(&wasm, &Limits::default()).unwrap();
    let own = parsed.info.bodies.len() - 1;
    Translator::new().validate(&parsed.info, &parsed.validation, &wasm, own)
}

#[test]
fn operands_do_not_pile_up_without_bound() {
    let fits = Limits::operands(0) as usize / WIDTH;
    for before in [0, 1000] {
        let pile = |calls: usize| {
            refusal(|f| {
                (0..before).for_each(|_| {
                    f.nop();
                });
                (0..calls).for_each(|_| {
                    f.call(GIVES);
                });
                f.unreachable();
            })
        };
        // The bound grows by a byte for each in front; a call is two bytes long.
        let fits = fits + usize::from(before > 0);
        assert_eq!(pile(fits), Ok(()));
        let error = pile(fits + 1).unwrap_err();
        let ErrorKind::Limit { what, limit, offset, func } = error.kind() else {
            panic!("{error}")
        };
        assert_eq!(*what, "height of the operand stack");
        let head = module(|_| {}).len() as u64 - 1;
        let passed = *limit - Limits::OPERANDS_BASE;
        assert_eq!(passed, 1 + before + 2 * fits as u64, "{head}");
        assert!(*offset > 0 && *func == Some(4));
    }
    // Ends of constructs and second arms in unreachable code give values, too.
    for ty in [GIVES, SAME] {
        let open = BlockType::FunctionType(ty);
        let error = refusal(|f| {
            f.unreachable();
            (0..100).for_each(|_| {
                f.block(open).unreachable().end();
                f.i32_const(0).if_(open).unreachable().else_().unreachable().end();
            });
        });
        // Those that take what they give do not pile up.
        assert_eq!(error.is_err(), ty == GIVES, "{error:?}");
    }
}

#[test]
fn a_second_look_does_not_go_through_everything() {
    let body = |calls: usize| {
        refusal(|f| {
            f.v128_const(0).drop();
            f.call(GIVES);
            (0..calls).for_each(|_| {
                f.call(SAME);
            });
            // Too few operands: the body is invalid whatever the proposals.
            f.call(TAKES).drop();
        })
        .unwrap_err()
    };
    assert!(matches!(body(0).kind(), ErrorKind::Invalid { .. }), "{}", body(0));
    let error = body(300_000);
    let ErrorKind::Unsupported { proposal, .. } = error.kind() else { panic!("{error}") };
    assert_eq!(*proposal, "simd");
    // The same with a module that is refused before its bodies.
    let parse = |calls: usize| {
        let wasm = module_with(Some(0), |f| {
            f.call(GIVES);
            (0..calls).for_each(|_| {
                f.call(SAME);
            });
            f.drop();
        });
        Parsed::parse(&wasm, &Limits::default()).unwrap_err()
    };
    assert!(matches!(parse(0).kind(), ErrorKind::Invalid { .. }), "{}", parse(0));
    let error = parse(300_000);
    let ErrorKind::Unsupported { proposal, .. } = error.kind() else { panic!("{error}") };
    assert_eq!(*proposal, "custom-page-sizes");
}

#[test]
fn a_list_costs_steps_by_its_length() {
    let steps = |calls: usize| {
        let wasm = module(|f| {
            f.call(GIVES);
            (0..calls).for_each(|_| {
                f.call(SAME);
            });
        });
        let parsed = Parsed::parse(&wasm, &Limits::default()).unwrap();
        let own = parsed.info.bodies.len() - 1;
        let mut translator = Translator::new();
        translator.validate(&parsed.info, &parsed.validation, &wasm, own).unwrap();
        translator.work().total()
    };
    // The scan takes a step per byte, the walk one, the types of a call 15 before it and 15 after.
    assert_eq!((steps(1100) - steps(100)) / 1000, 2 + 1 + 30);
}
