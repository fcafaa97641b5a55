//! Runs the tests in `filetests/`, a directory for each kind. `RUNWELL_BLESS=1` writes today's
//! outcomes into the files.

use runwell_testkit::filetest::{self, kinds};
use std::path::{Path, PathBuf};

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("filetests")
}

fn run(kind: &str) {
    let dir = dir().join(kind);
    for file in filetest::files(&dir).expect("a directory for each kind") {
        let text = std::fs::read_to_string(&file).expect("a text");
        let header = format!("test: {kind}");
        assert!(text.lines().next().is_some_and(|l| l.ends_with(&header)), "{}", file.display());
    }
    match filetest::run_all(&dir, filetest::bless()) {
        Ok(count) => assert!(count > 0, "no test of kind {kind}"),
        Err(failures) => panic!("{failures}RUNWELL_BLESS=1 accepts what is found"),
    }
}

macro_rules! kinds {
    ($($kind:ident)*) => {
        $(#[test]
        fn $kind() {
            run(stringify!($kind));
        })*

        #[test]
        fn every_kind_is_run() {
            assert_eq!(kinds::KINDS, [$(stringify!($kind)),*]);
            let entries = std::fs::read_dir(dir()).expect("the tests");
            for entry in entries {
                let name = entry.expect("an entry").file_name();
                assert!(kinds::KINDS.iter().any(|&kind| name == kind), "{name:?} is run by nobody");
            }
        }
    };
}

kinds! { wasm opt verify eval vcode regalloc asm }

/// A directory of this test's own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let dir = std::env::temp_dir().join(format!("runwell-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        Scratch(dir)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const ADD: &str = "\
; test: eval
; run: f0(2:i32, 3:i32)
; run: f0(-1:i32, 1:i32)
func 0 sig0 (i32, i32) -> (i32) {
b0:
  v0: i32 = param
  v1: i32 = param
  v2: i32 = add.i32 v0, v1
  return v2
}
";

#[test]
fn another_outcome_is_reported_and_blessed() {
    let scratch = Scratch::new("filetests");
    let right = "; ----\nf0(2:i32, 3:i32): 5:i32\nf0(-1:i32, 1:i32): 0:i32\n";
    let wrong = "; ----\nf0(2:i32, 3:i32): 6:i32\nf0(-1:i32, 1:i32): 0:i32\n";
    let path = scratch.file("wrong.ir", &format!("{ADD}{wrong}"));
    scratch.file("right.ir", &format!("{ADD}{right}"));
    let report = filetest::run_all(&scratch.0, false).expect_err("a difference");
    assert_eq!(
        report,
        "1 of 2 tests failed\n\nwrong.ir:\n- f0(2:i32, 3:i32): 6:i32\n\
         + f0(2:i32, 3:i32): 5:i32\n  f0(-1:i32, 1:i32): 0:i32\n\n"
    );
    assert_eq!(filetest::run_all(&scratch.0, true), Ok(2));
    assert_eq!(std::fs::read_to_string(path).expect("a text"), format!("{ADD}{right}"));
    assert_eq!(filetest::run_all(&scratch.0, false), Ok(2));
}

#[test]
fn what_is_no_test_is_refused() {
    let scratch = Scratch::new("filetests-bad");
    for (number, (text, wanted)) in [
        ("func 0 sig0 () -> () {\n}\n", "the first line is not `; test: KIND`"),
        ("; test: evil\n", "there is no kind `evil`"),
        ("; test: wasm\n", "`wasm` wants the other kind of input"),
        ("; test: eval\nfunc 0\n", "2:7: expected a signature"),
        ("; test: eval\n; run: f0(\n", "is not NAME(ARGUMENTS)"),
        ("; test: eval\n; run: f0()\n", "there is no function `f0`"),
        ("; test: eval\nfunc 0 sig0 () -> () {\n}\n", "refused by the verifier: there is no block"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = scratch.file(&format!("{number}.ir"), text);
        // Blessing does not make a test of it.
        for bless in [false, true] {
            let error = filetest::run_file(&path, bless).expect_err(wanted);
            assert!(error.contains(wanted), "{error}");
        }
        assert_eq!(std::fs::read_to_string(&path).expect("a text"), text);
    }
}
