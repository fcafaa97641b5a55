//! `runwell quote` and `--compile-budget`, as a person meets them.

mod common;

use common::{Person, gives};

#[test]
fn a_quote_says_what_compiling_costs_at_the_most() {
    let person = Person::new();
    person.write("seven.wat", gives(7));
    let done = person.run(&["quote", "seven.wat"]);
    assert!(done.code == Some(0) && done.err.is_empty(), "{done:?}");
    for words in ["1 functions", "work, steps", "machine code, bytes", "memory, bytes", "estimate"]
    {
        assert!(done.out.contains(words), "{words}: {}", done.out);
    }
    assert!(!done.out.contains("actual"));
    let done = person.run(&["quote", "--check", "--functions", "seven.wat"]);
    assert!(done.code == Some(0), "{done:?}");
    assert!(done.out.contains("actual") && done.out.contains("function"), "{}", done.out);
    let done =
        person.run(&["quote", "--check", "--json", "--functions=1", "--fuel=1", "seven.wat"]);
    assert!(done.code == Some(0), "{done:?}");
    for key in ["\"version\":", "\"work\":", "\"work_ratio\":", "\"actual\":{", "\"largest\":[{"] {
        assert!(done.out.contains(key), "{key}: {}", done.out);
    }
}

#[test]
fn what_is_over_the_budget_is_refused() {
    let person = Person::new();
    person.write("seven.wat", gives(7));
    for command in ["compile", "run"] {
        let done = person.run(&[command, "--compile-budget=work=10", "seven.wat"]);
        assert_eq!(done.code, Some(4), "{done:?}");
        assert!(done.err.contains("quoted compile work is at most 10"), "{}", done.err);
        let done = person.run(&[command, "--compile-budget=work=1m,memory=1g", "seven.wat"]);
        assert_eq!(done.code, Some(0), "{done:?}");
    }
    // Compiled modules that lie in the cache are held to it as well.
    let done = person.run(&["run", "--compile-budget=code=1", "seven.wat"]);
    assert!(done.code == Some(4) && done.err.contains("quoted bytes of machine code"), "{done:?}");
    let done = person.run(&["run", "--compile-budget=steps=1", "seven.wat"]);
    assert_eq!(done.code, Some(2), "{done:?}");
}
