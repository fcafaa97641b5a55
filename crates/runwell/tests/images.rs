//! Compiled modules as bytes: they run as compiled, and what was touched does not run at all.

use runwell::*;

const GUEST: &str = r#"
(module $guest
    (import "host" "add" (func $add (param i64 i64) (result i64)))
    (memory (export "memory") 1)
    (data (i32.const 100) "\01\02\03\04\05\06\07\08")
    (table 2 funcref) (elem (i32.const 0) $twice $trap)
    (type $unary (func (param i64) (result i64)))
    (func $twice (type $unary) (call $add (local.get 0) (local.get 0)))
    (func $trap (type $unary) unreachable)
    (func (export "run") (param i32) (result i64)
        (call_indirect (type $unary)
            (i64.load (i32.const 100)) (local.get 0))))"#;

fn engine() -> Engine {
    Engine::new(Config::new().image_key([3; 32])).unwrap()
}

/// What the guest does, traps and backtrace included.
fn behaviour(module: &Module) -> String {
    let engine = module.engine();
    let mut linker = Linker::new(engine);
    linker.func_wrap("host", "add", |a: i64, b: i64| a.wrapping_add(b)).unwrap();
    let mut store = Store::new(engine, ());
    let instance = linker.instantiate(&mut store, module).unwrap();
    let run = instance.get_typed_func::<i32, i64>(&mut store, "run").unwrap();
    let outcome = |result: Result<i64>| match result {
        Ok(value) => value.to_string(),
        Err(error) => format!("{error:#}"),
    };
    [0, 1, 2].map(|i| outcome(run.call(&mut store, i))).join("\n")
}

#[test]
fn an_image_runs_as_the_module_it_was_made_of() {
    let engine = engine();
    let module = Module::new(&engine, GUEST).unwrap();
    let image = module.serialize().unwrap();
    assert_eq!(image, engine.precompile_module(GUEST.as_bytes()).unwrap());
    assert_eq!(Engine::detect_precompiled(&image), Some(Precompiled::Module));
    assert_eq!(Engine::detect_precompiled(b"\0asm\x01\0\0\0"), None);
    let again = Module::deserialize(&engine, &image).unwrap();
    assert_eq!(again.name(), Some("guest"));
    assert_eq!(again.serialize().unwrap(), image);
    let expected = behaviour(&module);
    assert!(expected.starts_with(&(2 * 0x0807_0605_0403_0201u64).to_string()), "{expected}");
    assert!(expected.contains("unreachable") && expected.contains("out of bounds table"));
    assert_eq!(behaviour(&again), expected);

    let path = std::env::temp_dir().join(format!("runwell-image-{}", std::process::id()));
    std::fs::write(&path, &image).unwrap();
    let found = Engine::detect_precompiled_file(&path).unwrap();
    let from_file = Module::deserialize_file(&engine, &path);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(found, Some(Precompiled::Module));
    assert_eq!(behaviour(&from_file.unwrap()), expected);
    assert!(Module::deserialize_file(&engine, &path).is_err());
}

#[test]
fn an_image_that_is_refused_can_be_compiled_again() {
    let image = engine().precompile_module(GUEST.as_bytes()).unwrap();
    let expected = behaviour(&Module::new(&engine(), GUEST).unwrap());
    let other_key = Engine::new(Config::new().image_key([4; 32])).unwrap();
    let checked = Engine::new(Config::new().image_key([3; 32]).guarded_memories(false)).unwrap();
    let mut damaged = image.clone();
    *damaged.last_mut().unwrap() ^= 0x10;
    for (engine, image, refused) in [
        (&engine(), &image, None),
        (&engine(), &damaged, Some(ImageError::Damaged)),
        (&other_key, &image, Some(ImageError::Key)),
        (&checked, &image, Some(ImageError::Options)),
    ] {
        let (module, why) = Module::from_image(engine, image).unwrap();
        assert_eq!(why, refused);
        assert_eq!(behaviour(&module), expected);
        let strict = Module::deserialize(engine, image);
        assert_eq!(strict.err().and_then(|error| error.downcast::<ImageError>().ok()), refused);
    }
    let error = Module::from_image(&engine(), b"something else").unwrap_err();
    assert_eq!(error.downcast_ref::<ImageError>(), Some(&ImageError::NotAnImage));
}

#[test]
fn a_hundred_thousand_damaged_images_are_refused_or_run_as_compiled() {
    let engine = engine();
    let image = engine.precompile_module(GUEST.as_bytes()).unwrap();
    let expected = behaviour(&Module::deserialize(&engine, &image).unwrap());
    // xorshift64*, so that a failure is found again.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = |below: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as usize % below
    };
    let mut refused = 0;
    for round in 0..100_000 {
        let mut bytes = image.clone();
        for _ in 0..1 + random(4) {
            let at = random(bytes.len());
            bytes[at] ^= 1 << random(8);
        }
        match round % 16 {
            14 => bytes.truncate(random(bytes.len())),
            15 => bytes.extend((0..1 + random(64)).map(|i| i as u8)),
            _ => {}
        }
        match Module::deserialize(&engine, &bytes) {
            Err(_) => refused += 1,
            Ok(module) => assert_eq!(behaviour(&module), expected, "round {round}"),
        }
    }
    // A flip may be undone by the next one, which leaves the image as it was.
    assert!(refused > 99_000, "{refused}");
}
