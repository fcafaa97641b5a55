//! Functions of the host that guests call, and the host's data that they share.
//!
//! `cargo run --example host_functions -p runwell`

use runwell::{Caller, Engine, FuncType, Linker, Module, Result, Store, Val, ValType, bail};

/// What the host keeps beside its instances.
#[derive(Default)]
struct Account {
    balance: i64,
}

fn main() -> Result<()> {
    let engine = Engine::default();
    let mut linker = Linker::<Account>::new(&engine);

    // The type follows from the closure; the caller gives access to the store's data.
    linker.func_wrap("bank", "deposit", |mut caller: Caller<'_, Account>, amount: i64| {
        caller.data_mut().balance += amount;
        caller.data().balance
    })?;
    // An error ends the guest, and comes out of the call that started it.
    linker.func_wrap("bank", "withdraw", |mut caller: Caller<'_, Account>, amount: i64| {
        if amount > caller.data().balance {
            bail!("{amount} is more than the {} there are", caller.data().balance);
        }
        caller.data_mut().balance -= amount;
        Ok(())
    })?;
    // A type that is known at run time only.
    let ty = FuncType::new(&engine, [ValType::I64, ValType::F64], [ValType::I64]);
    linker.func_new("bank", "interest", ty, |_, params, results| {
        let (amount, rate) = (params[0].unwrap_i64(), params[1].unwrap_f64());
        results[0] = Val::I64((amount as f64 * rate) as i64);
        Ok(())
    })?;

    let module = Module::new(
        &engine,
        r#"(module
            (import "bank" "deposit" (func $deposit (param i64) (result i64)))
            (import "bank" "withdraw" (func $withdraw (param i64)))
            (import "bank" "interest" (func $interest (param i64 f64) (result i64)))
            (func (export "year") (param i64) (result i64)
                (call $deposit
                    (call $interest (call $deposit (local.get 0)) (f64.const 0.05))))
            (func (export "spend") (param i64)
                (call $withdraw (local.get 0))))"#,
    )?;
    let mut store = Store::new(&engine, Account::default());
    let instance = linker.instantiate(&mut store, &module)?;
    let year = instance.get_typed_func::<i64, i64>(&mut store, "year")?;
    println!("after a year: {}", year.call(&mut store, 1000)?);

    let spend = instance.get_typed_func::<i64, ()>(&mut store, "spend")?;
    spend.call(&mut store, 50)?;
    match spend.call(&mut store, 5000) {
        Ok(()) => bail!("more was spent than there was"),
        Err(error) => println!("refused: {}", error.root_cause()),
    }
    println!("left: {}", store.data().balance);
    Ok(())
}
