//! The executable meaning of the IR.
//!
//! [`run`] interprets functions with a stack of its own, without recursion. What is outside of a
//! function, memories, tables, globals, other functions and the runtime's helpers, is asked of an
//! [`Env`]. It is the oracle that optimiser and back end are tested against; it is not fast and does
//! not try to be.

pub mod scalar;

use crate::entity::{EdgeRef, Value};
use crate::function::{Function, Inst};
use crate::op::{Op, Shape};
use runwell_abi::call::{NARROW_RESULTS, TRANSFER_CELLS};
use runwell_abi::{LibCall, TrapCode, Type};

/// What surrounds functions. Values are bits, zero-extended; references are numbers that the
/// environment gives out, 0 when null.
pub trait Env {
    /// Function `index`, unless it is imported.
    fn function(&self, index: u32) -> Option<std::rc::Rc<Function>>;
    /// Calls imported function `index`.
    ///
    /// # Errors
    /// When it traps.
    fn call_import(&mut self, index: u32, args: &[u64]) -> Result<Vec<u64>, TrapCode>;
    /// The function that `reference` refers to, when its type is that of type `ty`.
    ///
    /// # Errors
    /// [`TrapCode::IndirectCallToNull`] or [`TrapCode::BadSignature`].
    fn callee(&mut self, reference: u64, ty: u32) -> Result<u32, TrapCode>;
    /// Reads `bytes` bytes of a memory at `addr + offset`, little-endian.
    ///
    /// # Errors
    /// When they are not all inside.
    fn load(&mut self, mem: u16, addr: u64, offset: u32, bytes: u32) -> Result<u64, TrapCode>;
    /// Writes the low `bytes` bytes of `value`.
    ///
    /// # Errors
    /// When they are not all inside; nothing is written then.
    fn store(
        &mut self,
        mem: u16,
        addr: u64,
        offset: u32,
        bytes: u32,
        value: u64,
    ) -> Result<(), TrapCode>;
    /// Size of a memory in pages.
    fn mem_size(&mut self, mem: u16) -> u64;
    /// Value of a global.
    fn global_get(&mut self, index: u32) -> u64;
    /// Sets a global.
    ///
    /// # Errors
    /// Where the environment wants the run to end there.
    fn global_set(&mut self, index: u32, value: u64) -> Result<(), TrapCode>;
    /// Element of a table.
    ///
    /// # Errors
    /// When there is none.
    fn table_get(&mut self, table: u16, index: u64) -> Result<u64, TrapCode>;
    /// Sets an element of a table.
    ///
    /// # Errors
    /// When there is none.
    fn table_set(&mut self, table: u16, index: u64, value: u64) -> Result<(), TrapCode>;
    /// Length of a table.
    fn table_size(&mut self, table: u16) -> u64;
    /// A reference to a function.
    fn ref_func(&mut self, index: u32) -> u64;
    /// Calls a helper of the runtime, with arguments as its declaration says.
    ///
    /// # Errors
    /// When it traps.
    fn libcall(&mut self, helper: LibCall, args: &[u64]) -> Result<u64, TrapCode>;
    /// Function `index` is entered, besides `frames` others.
    ///
    /// # Errors
    /// [`TrapCode::StackOverflow`] where that is too deep.
    fn enter(&mut self, index: u32, frames: usize) -> Result<(), TrapCode> {
        let _ = index;
        if frames < MAX_FRAMES { Ok(()) } else { Err(TrapCode::StackOverflow) }
    }
    /// Function `index` is left, by a return or by a tail call.
    ///
    /// # Errors
    /// Where the environment wants the run to end there.
    fn leave(&mut self, index: u32) -> Result<(), TrapCode> {
        let _ = index;
        Ok(())
    }
    /// A loop begins another turn.
    ///
    /// # Errors
    /// Where the environment wants the run to end there.
    fn turn(&mut self) -> Result<(), TrapCode> {
        Ok(())
    }
    /// [`Env::call_import`] by a tail call of the only frame: its results are those of the run. An
    /// environment may as well note the call, give no results, and make it when the run has ended.
    ///
    /// # Errors
    /// When it traps.
    fn tail_call_import(&mut self, index: u32, args: &[u64]) -> Result<Vec<u64>, TrapCode> {
        self.call_import(index, args)
    }
}

/// Why evaluation stopped early.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Stop {
    /// A trap.
    Trap(TrapCode),
    /// The steps are used up.
    Steps,
}

impl From<TrapCode> for Stop {
    fn from(code: TrapCode) -> Stop {
        Stop::Trap(code)
    }
}

/// The most frames before [`TrapCode::StackOverflow`], unless an environment says otherwise.
pub const MAX_FRAMES: usize = 1 << 12;

struct Frame {
    func: std::rc::Rc<Function>,
    values: Vec<u64>,
    slots: Vec<u64>,
    homes: Vec<u64>,
    /// Index of the next instruction.
    at: usize,
}

impl Frame {
    fn new(func: std::rc::Rc<Function>, args: &[u64]) -> Frame {
        let mut values = vec![0; func.insts.len()];
        // The entry does without those that nobody uses.
        let params = func.blocks[0].params as usize;
        for (value, param) in values.iter_mut().zip(&func.insts[..params]) {
            *value = args[param.c as usize];
        }
        let slots = vec![0; func.slots.len()];
        let homes = vec![0; func.homes as usize];
        Frame { values, slots, homes, at: params, func }
    }

    fn value(&self, value: Value) -> u64 {
        match self.func.as_const(value) {
            Some(constant) => constant.bits as u64,
            None => self.values[value.index()],
        }
    }

    fn list(&self, inst: &Inst) -> Vec<u64> {
        self.func.list(inst).iter().map(|&v| self.value(Value(v))).collect()
    }

    /// Follows an edge: all arguments are read before any parameter is written. True if it leads back.
    fn take(&mut self, edge: EdgeRef) -> bool {
        let args: Vec<u64> = self.func.edge_args(edge).map(|v| self.value(v)).collect();
        let block = self.func.edge_target(edge);
        let first = self.func.blocks[block.index()].first as usize;
        self.values[first..first + args.len()].copy_from_slice(&args);
        let back = first < self.at;
        self.at = first + args.len();
        back
    }
}

/// What one instruction leads to.
enum Next {
    Step,
    /// A step by an edge that leads back.
    Turn,
    Call(u32, Vec<u64>),
    TailCall(u32, Vec<u64>),
    Return(Vec<u64>),
}

/// Runs function `index` with `args`, for at most `steps` instructions.
///
/// # Errors
/// When it traps or the steps are used up.
///
/// # Panics
/// When a function breaks an invariant of the IR.
pub fn run(env: &mut dyn Env, index: u32, args: &[u64], mut steps: u64) -> Result<Vec<u64>, Stop> {
    let Some(func) = env.function(index) else { return Ok(env.call_import(index, args)?) };
    env.enter(index, 0)?;
    let mut frames = vec![Frame::new(func, args)];
    let mut transfer = Transfer::default();
    loop {
        steps = steps.checked_sub(1).ok_or(Stop::Steps)?;
        let frame = frames.last_mut().expect("there is a frame until the last one returns");
        let (callee, args) = match step(env, frame, &mut transfer)? {
            Next::Step => continue,
            Next::Turn => {
                env.turn()?;
                continue;
            }
            Next::Call(callee, args) => (callee, args),
            Next::TailCall(callee, args) => {
                env.leave(frame.func.index)?;
                frames.pop();
                (callee, args)
            }
            Next::Return(results) => {
                env.leave(frame.func.index)?;
                frames.pop();
                match frames.last_mut() {
                    Some(caller) => resume(caller, &results, &mut transfer),
                    None => return Ok(results),
                }
                continue;
            }
        };
        match env.function(callee) {
            Some(func) => {
                env.enter(callee, frames.len())?;
                frames.push(Frame::new(func, &args));
            }
            None => match frames.last_mut() {
                Some(caller) => {
                    let results = env.call_import(callee, &args)?;
                    resume(caller, &results, &mut transfer);
                }
                None => return Ok(env.tail_call_import(callee, &args)?),
            },
        }
    }
}

/// The transfer buffer, as far as it is in use: there may be many runs inside of each other.
#[derive(Default)]
struct Transfer(Vec<u64>);

impl Transfer {
    /// The first cells.
    fn first(&mut self, count: usize) -> &mut [u64] {
        assert!(count <= TRANSFER_CELLS, "no type has as many values");
        if self.0.len() < count {
            self.0.resize(count, 0);
        }
        &mut self.0[..count]
    }
}

/// Puts the results of a call where it and the instructions after it make them, or wide ones into the
/// transfer buffer.
fn resume(caller: &mut Frame, results: &[u64], transfer: &mut Transfer) {
    let call = caller.at - 1;
    if results.len() > NARROW_RESULTS {
        return transfer.first(results.len()).copy_from_slice(results);
    }
    caller.values[call..call + results.len()].copy_from_slice(results);
    caller.at += results.len().saturating_sub(1);
}

/// Copies between homes and the transfer buffer.
fn move_homes(frame: &mut Frame, inst: &Inst, transfer: &mut Transfer) {
    let (from, count) = (inst.c as usize, usize::from(inst.aux));
    match inst.op {
        Op::HomeMove => frame.homes.copy_within(from..from + count, inst.a as usize),
        Op::HomePass => {
            transfer.first(count).copy_from_slice(&frame.homes[from..from + count]);
        }
        _ => frame.homes[from..from + count].copy_from_slice(transfer.first(count)),
    }
}

fn step(env: &mut dyn Env, frame: &mut Frame, transfer: &mut Transfer) -> Result<Next, Stop> {
    let at = frame.at;
    frame.at += 1;
    let func = frame.func.clone();
    let inst = &func.insts[at];
    let (a, b) = (inst.va(), inst.vb());
    let set = |frame: &mut Frame, value: u64| frame.values[at] = value;
    match inst.op.info().shape {
        Shape::Nullary => {
            let value = match inst.op {
                Op::GlobalGet => env.global_get(inst.c),
                Op::RefFunc => env.ref_func(inst.c),
                Op::SlotLoad => frame.slots[inst.c as usize],
                Op::HomeLoad => frame.homes[inst.c as usize],
                Op::HomeMove | Op::HomePass | Op::HomeTake => {
                    move_homes(frame, inst, transfer);
                    return Ok(Next::Step);
                }
                Op::MemSize => env.mem_size(inst.aux),
                Op::TableSize => env.table_size(inst.aux),
                _ => return Ok(Next::Step),
            };
            set(frame, value);
        }
        Shape::Unary => {
            let value = frame.value(a);
            match inst.op {
                Op::GlobalSet => env.global_set(inst.c, value)?,
                Op::SlotStore => frame.slots[inst.c as usize] = value,
                Op::HomeStore => frame.homes[inst.c as usize] = value,
                Op::HomeSelect => {
                    let chosen = frame.homes[inst.c as usize + usize::from(value as u32 == 0)];
                    set(frame, chosen);
                }
                Op::HomeShift => {
                    let end = value as u32 as usize;
                    frame.homes.copy_within(end - usize::from(inst.aux)..end, inst.c as usize);
                }
                Op::TableGet => {
                    let element = env.table_get(inst.aux, value)?;
                    set(frame, element);
                }
                Op::TrapIf if value as u32 != 0 => return Err(trap(inst).into()),
                // What is charged is the business of whoever runs a whole module.
                Op::TrapIf | Op::FuelFor => {}
                _ => {
                    let result = scalar::unary(inst.op, inst.ty, func.value_type(a), value)?;
                    set(frame, result);
                }
            }
        }
        Shape::Binary => {
            let (x, y) = (frame.value(a), frame.value(b));
            if inst.op == Op::TableSet {
                env.table_set(inst.aux, x, y)?;
            } else {
                let result = scalar::binary(inst.op, inst.ty, x, y)?;
                set(frame, result);
            }
        }
        Shape::Select => {
            let chosen = if frame.value(a) as u32 != 0 { b } else { inst.vc() };
            let value = frame.value(chosen);
            set(frame, value);
        }
        Shape::Load => {
            let bytes = inst.op.access_bytes(inst.ty);
            let raw = env.load(inst.aux, frame.value(a), inst.c, bytes)?;
            set(frame, extend(inst, raw));
        }
        Shape::Store => {
            let bytes = inst.op.access_bytes(inst.ty);
            env.store(inst.aux, frame.value(a), inst.c, bytes, frame.value(b))?;
        }
        Shape::Call => return call(env, frame, inst, transfer),
        Shape::LibCall => {
            let helper = LibCall::ALL[usize::from(inst.call_aux())];
            let args = frame.list(inst);
            let result = env.libcall(helper, &args)?;
            set(frame, if inst.ty == Type::I32 { result & 0xffff_ffff } else { result });
        }
        Shape::CallResult => {}
        Shape::Jump => return Ok(turn(frame, EdgeRef(inst.a))),
        Shape::BrIf => {
            let edge = if frame.value(a) as u32 != 0 { inst.b } else { inst.c };
            return Ok(turn(frame, EdgeRef(edge)));
        }
        Shape::BrTable => {
            let index = frame.value(a) as usize;
            let entries = func.table_entries(inst);
            let entry = entries.get(index).or(entries.last()).copied().unwrap_or(0);
            let edge = func.table_edges(inst).nth(entry as usize);
            return Ok(turn(frame, edge.expect("an entry names an edge")));
        }
        Shape::Return => {
            let types = &func.signature().results;
            let results = match inst.b {
                0 => transfer.first(types.len()).to_vec(),
                _ => frame.list(inst),
            };
            return Ok(Next::Return(results));
        }
        Shape::Trap => return Err(trap(inst).into()),
    }
    Ok(Next::Step)
}

fn call(
    env: &mut dyn Env,
    frame: &Frame,
    inst: &Inst,
    transfer: &mut Transfer,
) -> Result<Next, Stop> {
    let mut args = frame.list(inst);
    let params = frame.func.sigs[frame.func.call_sig(inst).index()].params.len();
    let direct = matches!(inst.op, Op::Call | Op::ReturnCall);
    if args.len() < params + usize::from(!direct) {
        args.extend(&*transfer.first(params));
    }
    let callee = match inst.op {
        Op::Call | Op::ReturnCall => inst.c,
        Op::CallIndirect | Op::ReturnCallIndirect => {
            let reference = env.table_get(inst.call_aux(), args.remove(0))?;
            env.callee(reference, inst.c)?
        }
        _ => {
            let reference = args.remove(0);
            if reference == 0 {
                return Err(Stop::Trap(TrapCode::NullReference));
            }
            env.callee(reference, inst.c)?
        }
    };
    let tail = inst.op.is_return_call();
    Ok(if tail { Next::TailCall(callee, args) } else { Next::Call(callee, args) })
}

fn turn(frame: &mut Frame, edge: EdgeRef) -> Next {
    if frame.take(edge) { Next::Turn } else { Next::Step }
}

fn trap(inst: &Inst) -> TrapCode {
    TrapCode::from_u8(inst.aux as u8).expect("a trap code")
}

fn extend(inst: &Inst, raw: u64) -> u64 {
    let value = match inst.op {
        Op::Load8S => i64::from(raw as i8) as u64,
        Op::Load16S => i64::from(raw as i16) as u64,
        Op::Load32S => i64::from(raw as i32) as u64,
        _ => raw,
    };
    if inst.ty.bytes() == 4 { value & 0xffff_ffff } else { value }
}
