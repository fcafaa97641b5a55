//! The host's part of a replay: does what the recording says, and calls guests.

use super::event::{Event, Import, Outcome, Value};
use super::hooks::{self, Mode};
use super::player::{Player, describe_outcome, ends};
use super::replay::{Ending, Stop};
use crate::externs::Extern;
use crate::fuel::{Answer, Ran, Suspend};
use crate::func::{EMPTY, Func, HostFunc};
use crate::state::refs::RefId;
use crate::store::StoreOpaque;
use crate::transfer::Transfer;
use crate::types::FuncType;
use crate::{Error, Global, Memory, Module, Result, Table};
use runwell_vm::Reason;
use std::sync::Arc;

/// The recording of a store that is played.
pub(crate) fn player(store: &mut StoreOpaque) -> &mut Player {
    match store.tape.as_mut().map(|tape| &mut tape.mode) {
        Some(Mode::Played(player)) => player,
        _ => unreachable!("only a store that is played gets here, and it is for good"),
    }
}

/// The host's part outside of all calls.
pub(crate) fn run(store: &mut StoreOpaque) -> Result<Ending> {
    loop {
        match player(store).next()? {
            Event::End { hash, note } => {
                let fuel = store.fuel_left().filter(|_| player(store).metered);
                let found = store.state_hash_with(fuel);
                let player = player(store);
                if found != hash {
                    return Err(player.differs(format!("state {hash}"), format!("state {found}")));
                }
                let outcome = player.outcome.take();
                return Ok(Ending::Complete { hash, note, outcome });
            }
            event => act(store, event)?,
        }
    }
}

/// The host's part of a call of a host function of type `ty`: the bits of its results.
pub(crate) fn host_side(store: &mut StoreOpaque, ty: &FuncType) -> Result<Vec<u128>> {
    loop {
        match player(store).next()? {
            Event::HostDone(Outcome::Values(values)) => {
                let bits = bits(store, &values, ty.results());
                let bits = bits.ok_or_else(|| player(store).damaged("results of other types"))?;
                enter(store)?;
                return Ok(bits);
            }
            Event::HostDone(Outcome::Trap(trap)) => {
                enter(store)?;
                return Err(Error::new(trap));
            }
            Event::HostDone(Outcome::Error(message)) => {
                enter(store)?;
                return Err(Error::msg(message));
            }
            Event::HostDone(Outcome::Suspend) => {
                enter(store)?;
                // What was asked for is the host's affair.
                return Err(Suspend::new(()).into());
            }
            event => act(store, event)?,
        }
    }
}

fn enter(store: &mut StoreOpaque) -> Result<()> {
    let entered = store.with_tape(|tape, store| match &mut tape.mode {
        Mode::Played(player) => player.enter_guest(store, None),
        Mode::Observed { .. } => Ok(()),
    });
    entered.unwrap_or(Ok(()))
}

/// The bits of values, if they are of these types.
fn bits(
    store: &StoreOpaque,
    values: &[Value],
    types: impl ExactSizeIterator<Item = crate::ValType>,
) -> Option<Vec<u128>> {
    let fits = types.len() == values.len();
    let bits = || values.iter().zip(types).map(|(value, ty)| value.bits(store, ty)).collect();
    if fits { bits() } else { None }
}

/// Does one thing that the host did.
fn act(store: &mut StoreOpaque, event: Event) -> Result<()> {
    const NOTHING: &str = "something that was not made before";
    match event {
        Event::Module(wasm) => {
            let expected = &player(store).expected;
            let hash = blake3::hash(&wasm);
            if expected.as_ref().is_some_and(|all| !all.contains(hash.as_bytes())) {
                return Err(Error::msg("the recording is of another module"));
            }
            let module = Module::from_binary(store.engine(), &wasm)?;
            player(store).modules.push(module);
        }
        // What cannot be had now could not be had then: limits are the same and so are the answers.
        Event::NewMemory(ty) => drop(store.add_memory(&ty)),
        Event::NewTable(ty, init) => {
            let bits = init.bits(store, (*ty.element()).into());
            let bits = bits.ok_or_else(|| player(store).damaged(NOTHING))?;
            drop(store.add_table(&ty, bits as u64));
        }
        Event::NewGlobal(ty, value) => {
            let bits = value.bits(store, *ty.content());
            let bits = bits.ok_or_else(|| player(store).damaged(NOTHING))?;
            store.add_global(ty, bits);
        }
        Event::NewHostFunc(ty) => {
            let host = HostFunc::dynamic(store.engine(), ty, |_: crate::Caller<'_, ()>, _, _| {
                Err(Error::msg("a recorded function was called"))
            });
            store.add_host_func(&Arc::new(host));
            player(store).names.push(None);
        }
        Event::NewObject => _ = store.externs.insert(Box::new(())),
        Event::Limited => {
            player(store).limited = true;
            store.ask_from_guests();
        }
        Event::Instantiate { module, imports } => instantiate(store, module, &imports)?,
        Event::MemoryGrow { memory, delta } => {
            if memory as usize >= store.memories.len() {
                return Err(player(store).damaged(NOTHING));
            }
            drop(store.grow_memory(memory, delta));
        }
        Event::MemoryWrite { memory, at, bytes } => {
            let written = store.memories.get(memory as usize).map(|raw| raw.write(at, &bytes));
            if !matches!(written, Some(Ok(()))) {
                return Err(player(store).damaged("a write outside of a memory"));
            }
        }
        Event::TableGrow { table, delta, init } => {
            let bits = element(store, table, init)?;
            drop(store.grow_table(table, delta, bits));
        }
        Event::TableFill { table, at, value, len } => {
            let bits = element(store, table, value)?;
            _ = store.tables[table as usize].raw.fill(at, bits, len);
        }
        Event::TableCopy { to, at, table, from, len } => {
            let raw = |table: u32| store.tables.get(table as usize);
            let (Some(to), Some(source)) = (raw(to), raw(table)) else {
                return Err(player(store).damaged(NOTHING));
            };
            if to.element != source.element {
                return Err(player(store).damaged("a copy between tables of two types"));
            }
            _ = to.raw.copy_from(at, &source.raw, from, len);
        }
        Event::GlobalSet { global, value } => {
            let found = store.globals.get(global as usize);
            let bits = found.and_then(|global| {
                let mutable = global.ty.mutability() == crate::Mutability::Var;
                if mutable { value.bits(store, *global.ty.content()) } else { None }
            });
            let bits = bits.ok_or_else(|| player(store).damaged(NOTHING))?;
            // SAFETY: the cell lives as long as the store, which is borrowed mutably, and the bits are of
            // its type.
            unsafe { store.globals[global as usize].cell.write(bits) };
        }
        Event::SetFuel(fuel) => {
            if player(store).metered {
                store.runtime.set_fuel(fuel);
            }
        }
        // To a question that is not asked here: whether there may be one more instance.
        Event::Answer(_) => {}
        Event::Invoke { func, ref args, resumable } => {
            let call = |store: &StoreOpaque| {
                let def = func.bits(store).filter(|&bits| bits != 0)?;
                // SAFETY: these are the bits of a function of this store.
                let func = unsafe { Func::from_raw(store, def) }?;
                let bits = bits(store, args, func.ty_in(store).params())?;
                Some((func, bits))
            };
            let Some((callee, bits)) = call(store) else {
                return Err(player(store).damaged(NOTHING));
            };
            // For the hook, which compares it with what happens.
            player(store).log.put_back(event);
            invoke(store, callee, &bits, resumable)?;
        }
        Event::Resume { ref answer } => {
            let Some((ty, stopped)) = player(store).suspended.take() else {
                return Err(player(store).damaged("nothing is suspended"));
            };
            let answer = match stopped.request {
                None => answer.is_empty().then_some(None),
                Some(request) => bits(store, answer, request.ty.results())
                    .map(|bits| Some(Answer { ty: request.ty, bits })),
            };
            let answer = answer.ok_or_else(|| player(store).damaged("an answer of other types"))?;
            player(store).log.put_back(event);
            resume(store, ty, answer)?;
        }
        Event::Cancel => {
            player(store).suspended = None;
            store.runtime.drop_suspended();
        }
        Event::Panicked => {
            player(store).stopped = Some(Stop::Panicked);
            return Err(Stop::Panicked.into());
        }
        Event::Start(_)
        | Event::End { .. }
        | Event::Instantiated(_)
        | Event::Done { .. }
        | Event::HostCall { .. }
        | Event::HostDone(_)
        | Event::Suspended { .. } => {
            return Err(player(store).damaged("something out of turn"));
        }
    }
    Ok(())
}

fn element(store: &mut StoreOpaque, table: u32, value: Value) -> Result<u64> {
    let found = store.tables.get(table as usize);
    let bits = found.and_then(|table| value.bits(store, table.element.into()));
    bits.map(|bits| bits as u64).ok_or_else(|| player(store).damaged("no element of the table"))
}

/// Calls a function as the host did. Only what ends the replay is an error.
fn invoke(store: &mut StoreOpaque, func: Func, bits: &[u128], resumable: bool) -> Result<()> {
    let mut regs = EMPTY;
    let ty = func.ty_in(store);
    let cells = store.runtime.cells();
    // SAFETY: the buffer is this store's, and the call comes after the last argument.
    let mut args = unsafe { Transfer::args(&mut regs, cells, ty.params().len()) };
    ty.params().zip(bits).for_each(|(ty, &bits)| args.put(ty.machine(), bits));
    // SAFETY: the arguments are those of its type.
    let result = unsafe { hooks::invoke(&func, store, &mut regs, resumable) };
    ran(store, ty, result)
}

/// Goes on with the suspended call as the host did.
fn resume(store: &mut StoreOpaque, ty: FuncType, answer: Option<Answer>) -> Result<()> {
    let waits = if answer.is_some() { Reason::Host } else { Reason::Fuel };
    if store.runtime.suspended() != Some(waits) {
        return Err(player(store).damaged("nothing is suspended"));
    }
    // SAFETY: nothing else of the store has run since it was suspended, and the answer is of the types that
    // it waits for.
    let result = unsafe { hooks::resume(store, &ty, answer.as_ref(), &mut { EMPTY }) };
    ran(store, ty, result)
}

/// Keeps a call that is suspended. The error is one that ends the replay, and none of the guest's.
fn ran(store: &mut StoreOpaque, ty: FuncType, result: Result<Ran>) -> Result<()> {
    match result {
        Err(error) if player(store).stopped.is_some() || ends(&error) => Err(error),
        Ok(Ran::Suspended(stopped)) => {
            player(store).suspended = Some((ty, stopped));
            Ok(())
        }
        _ => Ok(()),
    }
}

fn instantiate(store: &mut StoreOpaque, module: u32, imports: &[Import]) -> Result<()> {
    let Some(module) = player(store).modules.get(module as usize).cloned() else {
        return Err(player(store).damaged("a module that is not there"));
    };
    let mut externs = Vec::with_capacity(imports.len());
    for (at, import) in imports.iter().enumerate() {
        let (opaque, found) = (&*store, *import);
        let there = |index: u32, len: usize| (index as usize) < len;
        let found = match found {
            Import::Func(id) => id
                .bits(opaque)
                // SAFETY: these are the bits of a function of this store, or null.
                .and_then(|bits| unsafe { Func::from_raw(opaque, bits) })
                .map(Extern::Func),
            Import::Memory(index) => there(index, opaque.memories.len())
                .then(|| Extern::Memory(Memory::from_index(opaque, index))),
            Import::Table(index) => there(index, opaque.tables.len())
                .then(|| Extern::Table(Table::from_index(opaque, index))),
            Import::Global(index) => there(index, opaque.globals.len())
                .then(|| Extern::Global(Global::from_index(opaque, index))),
        };
        externs.push(found.ok_or_else(|| player(store).damaged("an import that is not there"))?);
        if let Import::Func(RefId::Host(number)) = import
            && at < module.inner().info.imports.len()
        {
            let import = module.inner().import(at);
            let name = format!("{}::{}", import.module(), import.name());
            player(store).names[*number as usize].get_or_insert(name);
        }
    }
    let result = crate::instance::instantiate_checked(store, &module, &externs);
    let result = match result {
        Ok(()) => Outcome::Values(Vec::new()),
        Err(error) if player(store).stopped.is_some() || ends(&error) => return Err(error),
        Err(error) => Outcome::of_error(&error),
    };
    match player(store).next()? {
        Event::Instantiated(recorded) if recorded == result => Ok(()),
        Event::Instantiated(recorded) => {
            let (expected, found) = (describe_outcome(&recorded), describe_outcome(&result));
            Err(player(store).differs(expected, found))
        }
        _ => Err(player(store).damaged("an instantiation without end")),
    }
}
