//! Changes that keep most modules valid: parts are repeated, nested and moved whole.
//!
//! A *slice* of a body goes from one place to a later one of the same height of the operand stack and
//! the same nesting, so it can stand twice in a row. A slice inside of another one splits it in three,
//! and the outer two can be repeated together, as in the pumping lemma: that is how nests grow.

use super::genome::{Body, EXPORTS, FUNCS, Genome, Point, TYPES, leb, read_leb};
use super::heights::points;
use super::merge::merge;
use runwell_testkit::Rng;
use std::rc::Rc;

/// How far a slice reaches at the most, in operators.
const REACH: usize = 4000;
/// Declared locals at the most, parameters left out.
const MOST_LOCALS: u32 = 49_000;

/// Short sequences of operators that change neither the stack nor anything else in most modules; they
/// name the first parameter of type `i32` that the families' functions have.
const IDIOMS: &[&[u8]] = &[
    &[0x20, 0x00, 0x0d, 0x00],
    &[0x20, 0x00, 0x0d, 0x01],
    &[0x20, 0x00, 0x21, 0x03],
    &[0x20, 0x03, 0x21, 0x04],
    &[0x20, 0x03, 0x20, 0x04, 0x6a, 0x21, 0x03],
    &[0x20, 0x00, 0x28, 0x02, 0x00, 0x24, 0x00],
    &[0x20, 0x00, 0x20, 0x03, 0x36, 0x02, 0x00],
    &[0x23, 0x00, 0x24, 0x00],
    &[0x20, 0x02, 0xaa, 0x24, 0x00],
    &[0x20, 0x01, 0x20, 0x01, 0x7f, 0x21, 0x01],
    &[0x20, 0x00, 0x20, 0x03, 0x20, 0x00, 0x1b, 0x21, 0x03],
    &[0x41, 0x07, 0x21, 0x03],
    &[0x02, 0x40, 0x20, 0x00, 0x0e, 0x03, 0x00, 0x00, 0x00, 0x00, 0x0b],
    &[0x10, 0x00],
    &[0x20, 0x00, 0x40, 0x00, 0x24, 0x00],
    // Through a table, out of the function and not; elements; sizes.
    &[0x41, 0x00, 0x11, 0x00, 0x00],
    &[0x20, 0x00, 0x04, 0x40, 0x12, 0x00, 0x0b],
    &[0x20, 0x00, 0x04, 0x40, 0x41, 0x00, 0x13, 0x00, 0x00, 0x0b],
    &[0x20, 0x00, 0x25, 0x00, 0x1a],
    &[0x20, 0x00, 0xd0, 0x70, 0x26, 0x00],
    &[0xd0, 0x70, 0x20, 0x00, 0xfc, 0x0f, 0x00, 0x24, 0x00],
    &[0x20, 0x00, 0x20, 0x00, 0x20, 0x00, 0xfc, 0x0a, 0x00, 0x00],
    &[0x20, 0x00, 0x20, 0x00, 0x20, 0x00, 0xfc, 0x0b, 0x00],
    &[0xfc, 0x10, 0x00, 0x24, 0x00],
    &[0x3f, 0x00, 0x24, 0x00],
    &[0x20, 0x01, 0x22, 0x01, 0x42, 0x3f, 0x89, 0x24, 0x01],
    &[0x00],
    &[0x0c, 0x00],
    &[0x0f],
    &[0x01],
];

/// What goes around a slice.
const WRAPS: &[(&[u8], &[u8])] = &[
    (&[0x02, 0x40], &[0x0b]),
    (&[0x03, 0x40], &[0x0b]),
    (&[0x03, 0x40], &[0x20, 0x00, 0x0d, 0x00, 0x0b]),
    (&[0x20, 0x00, 0x04, 0x40], &[0x0b]),
    (&[0x20, 0x00, 0x04, 0x40], &[0x05, 0x01, 0x0b]),
    (&[0x02, 0x40, 0x20, 0x00, 0x0d, 0x00], &[0x0b]),
];

/// Types of locals.
const TYPES_OF_LOCALS: [u8; 5] = [0x7f, 0x7e, 0x7d, 0x7c, 0x70];

/// A module with what is known of its bodies.
pub(super) struct Parent {
    pub(super) genome: Genome,
    pub(super) points: Vec<Vec<Point>>,
    pub(super) module: Rc<[u8]>,
}

impl Parent {
    /// None if the module is certainly not valid.
    pub(super) fn of(module: Rc<[u8]>) -> Option<Parent> {
        let genome = Genome::parse(&module)?;
        let points = points(&module)?;
        Some(Parent { genome, points, module })
    }
}

fn below(rng: &mut Rng, n: usize) -> usize {
    rng.below(n.max(1) as u64) as usize
}

/// A child of `parent` of at most about `most` bytes, which may be invalid. `other` gives parts to it.
pub(super) fn child(rng: &mut Rng, parent: &Parent, other: &Parent, most: usize) -> Option<Genome> {
    if rng.one_in(8) {
        return Genome::parse(&merge(&parent.module, &other.module)?).filter(|g| g.size() <= most);
    }
    let mut genome = parent.genome.clone();
    if parent.points.is_empty() || rng.one_in(6) {
        sections(rng, &mut genome, most);
        return Some(genome);
    }
    // Large bodies more often: that is where things happen.
    let pick = |rng: &mut Rng, points: &[Vec<Point>]| {
        let tries: Vec<usize> = (0..3).map(|_| below(rng, points.len())).collect();
        tries.into_iter().max_by_key(|&at| points[at].len()).unwrap_or(0)
    };
    let at = pick(rng, &parent.points);
    let points = &parent.points[at];
    let left = most.saturating_sub(genome.size());
    let kind = rng.below(16);
    match kind {
        0..=3 => pump(rng, &mut genome.bodies[at], points, left)?,
        4..=6 => pump_both(rng, &mut genome.bodies[at], points, left)?,
        7 => wrap(rng, &mut genome.bodies[at], points)?,
        8 | 9 => insert(rng, &mut genome.bodies[at], points),
        10 => {
            let (from, to) = slice(rng, points, 0, points.len() - 1)?;
            genome.bodies[at].ops.drain(points[from].at..points[to].at);
        }
        11 if !other.points.is_empty() => {
            let donor = pick(rng, &other.points);
            splice(rng, &mut genome, (at, points), other, donor)?;
        }
        12 => immediate(rng, &mut genome.bodies[at], points),
        13 => opcode(rng, &mut genome.bodies[at], points),
        14 => locals(rng, &mut genome.bodies[at]),
        _ => {
            let body = genome.bodies[at].clone();
            let ty = genome.items[usize::from(FUNCS)][at].clone();
            let times = 1 + below(rng, (left / body.size()).min(500));
            for _ in 0..times {
                genome.bodies.push(body.clone());
                genome.items[usize::from(FUNCS)].push(ty.clone());
            }
        }
    }
    if kind < 15 && rng.one_in(2) {
        twins(&mut genome, at, &parent.genome.bodies[at], most);
    }
    Some(genome)
}

/// Changes all functions that were the same as number `at` in the same way. The last functions go where
/// that makes the module larger than `most` bytes.
fn twins(genome: &mut Genome, at: usize, old: &Body, most: usize) {
    let new = genome.bodies[at].clone();
    let types = &genome.items[usize::from(FUNCS)];
    for (body, ty) in genome.bodies.iter_mut().zip(types) {
        if *ty == types[at] && body.ops == old.ops && body.locals == old.locals {
            *body = new.clone();
        }
    }
    let mut size = genome.size();
    while size > most && genome.bodies.len() > at + 1 {
        let Some(body) = genome.bodies.pop() else { break };
        genome.items[usize::from(FUNCS)].pop();
        size -= body.ops.len().min(size);
    }
}

/// Functions of a family whose module is small, as many as there is room for: what each function may have
/// besides what its bytes allow it, it may have each time.
pub(super) fn packed(mut genome: Genome, size: usize) -> Option<Genome> {
    let largest = (0..genome.bodies.len()).max_by_key(|&at| genome.bodies[at].ops.len())?;
    let body = genome.bodies[largest].clone();
    let ty = genome.items[usize::from(FUNCS)].get(largest)?.clone();
    let times = size.saturating_sub(genome.size()) / body.size();
    genome.bodies.extend(std::iter::repeat_n(body, times));
    genome.items[usize::from(FUNCS)].extend(std::iter::repeat_n(ty, times));
    Some(genome)
}

/// A slice between two places: what it starts and ends at.
fn slice(rng: &mut Rng, points: &[Point], first: usize, last: usize) -> Option<(usize, usize)> {
    if last <= first {
        return None;
    }
    for _ in 0..4 {
        let from = first + below(rng, last - first);
        let start = points[from];
        let mut ends = Vec::new();
        for (to, point) in
            points.iter().enumerate().take((last + 1).min(from + REACH)).skip(from + 1)
        {
            if point.depth < start.depth {
                break;
            }
            if point.depth == start.depth && point.height == start.height {
                ends.push(to);
            }
        }
        // The shortest, the longest and any other are all of use.
        let to = match rng.below(4) {
            0 => ends.first(),
            1 => ends.last(),
            _ => ends.get(below(rng, ends.len())),
        };
        if let Some(&to) = to {
            return Some((from, to));
        }
    }
    None
}

/// How often something of `size` bytes is repeated where `left` bytes are left.
fn times(rng: &mut Rng, size: usize, left: usize) -> usize {
    let most = left / size.max(1);
    match rng.below(3) {
        0 => 1,
        1 => 1 + below(rng, most.min(8)),
        _ => most,
    }
}

/// Repeats a slice.
fn pump(rng: &mut Rng, body: &mut Body, points: &[Point], left: usize) -> Option<()> {
    let (from, to) = slice(rng, points, 0, points.len() - 2)?;
    let part = body.ops[points[from].at..points[to].at].to_vec();
    let copies = part.repeat(times(rng, part.len(), left));
    body.ops.splice(points[to].at..points[to].at, copies);
    Some(())
}

/// Repeats what is in front of a slice inside of a slice, and as often what is behind it.
fn pump_both(rng: &mut Rng, body: &mut Body, points: &[Point], left: usize) -> Option<()> {
    let (from, to) = slice(rng, points, 0, points.len() - 2)?;
    let (inner, end) = slice(rng, points, from, to)?;
    let at = |place: usize| points[place].at;
    let (front, back) =
        (body.ops[at(from)..at(inner)].to_vec(), body.ops[at(end)..at(to)].to_vec());
    let times = times(rng, front.len() + back.len(), left);
    body.ops.splice(at(end)..at(end), back.repeat(times));
    body.ops.splice(at(inner)..at(inner), front.repeat(times));
    Some(())
}

fn wrap(rng: &mut Rng, body: &mut Body, points: &[Point]) -> Option<()> {
    let (from, to) = slice(rng, points, 0, points.len() - 2)?;
    let (front, back) = rng.pick(WRAPS);
    body.ops.splice(points[to].at..points[to].at, back.iter().copied());
    body.ops.splice(points[from].at..points[from].at, front.iter().copied());
    Some(())
}

fn insert(rng: &mut Rng, body: &mut Body, points: &[Point]) {
    let at = points[below(rng, points.len() - 1)].at;
    let mut idiom = rng.pick(IDIOMS).to_vec();
    // Another local or another label, now and then.
    if rng.one_in(2) && idiom.len() > 1 {
        let byte = 1 + below(rng, idiom.len() - 1);
        idiom[byte] = rng.below(12) as u8;
    }
    body.ops.splice(at..at, idiom);
}

/// Puts a slice of another body into this one, with locals of its own.
fn splice(
    rng: &mut Rng,
    genome: &mut Genome,
    (at, points): (usize, &[Point]),
    other: &Parent,
    donor: usize,
) -> Option<()> {
    let theirs = &other.points[donor];
    let (from, to) = slice(rng, theirs, 0, theirs.len() - 2)?;
    let given = &other.genome.bodies[donor];
    let own: u32 = genome.bodies[at].locals.iter().map(|run| run.0).sum();
    let base = genome.params(at).len() as u32 + own;
    let mut ops = Vec::new();
    for pair in theirs[from..=to].windows(2) {
        let op = &given.ops[pair[0].at..pair[1].at];
        match op {
            // Accesses of locals.
            [0x20..=0x22, index @ ..] => {
                ops.push(op[0]);
                leb(&mut ops, read_leb(index)?.0.checked_add(base)?);
            }
            _ => ops.extend_from_slice(op),
        }
    }
    let place = points[below(rng, points.len() - 1)].at;
    let body = &mut genome.bodies[at];
    body.ops.splice(place..place, ops);
    body.locals.extend(other.genome.params(donor).into_iter().map(|ty| (1, ty)));
    body.locals.extend(given.locals.iter().cloned());
    Some(())
}

/// Another last byte for an operator that has more than one.
fn immediate(rng: &mut Rng, body: &mut Body, points: &[Point]) {
    for _ in 0..8 {
        let op = below(rng, points.len() - 1);
        let (start, end) = (points[op].at, points[op + 1].at);
        if end - start < 2 {
            continue;
        }
        let byte = &mut body.ops[end - 1];
        *byte = match rng.below(4) {
            0 => byte.wrapping_add(1) & 0x7f,
            1 => byte.wrapping_sub(1) & 0x7f,
            2 => 0,
            _ => rng.below(128) as u8,
        };
        return;
    }
}

/// Another operator in the place of one.
fn opcode(rng: &mut Rng, body: &mut Body, points: &[Point]) {
    for _ in 0..8 {
        let op = below(rng, points.len() - 1);
        let (start, end) = (points[op].at, points[op + 1].at);
        let byte = body.ops[start];
        body.ops[start] = match byte {
            // Arithmetic and comparisons, accesses, blocks.
            0x45..=0xc4 => 0x45 + rng.below(0x80) as u8,
            0x28..=0x3e => 0x28 + rng.below(0x17) as u8,
            0x02 | 0x03 => 0x05 - byte,
            0x20..=0x22 => 0x20 + rng.below(3) as u8,
            0x0c | 0x0d => 0x19 - byte,
            0xfc | 0xfd if end - start > 1 => {
                body.ops[start + 1] = body.ops[start + 1].wrapping_add(1) & 0x7f;
                byte
            }
            _ => continue,
        };
        return;
    }
}

fn locals(rng: &mut Rng, body: &mut Body) {
    let ty = vec![*rng.pick(&TYPES_OF_LOCALS)];
    let count = match rng.below(3) {
        0 => 1,
        1 => 1 + rng.below(100) as u32,
        _ => 1 + rng.below(u64::from(MOST_LOCALS)) as u32,
    };
    match body.locals.last_mut() {
        Some(run) if rng.one_in(2) => run.0 = count,
        _ => body.locals.push((count, ty)),
    }
}

/// Repeats or leaves out items of sections.
fn sections(rng: &mut Rng, genome: &mut Genome, most: usize) {
    let left = most.saturating_sub(genome.size());
    // Types, tables, memories, globals, exports, elements, data, custom sections.
    let number = *rng.pick(&[TYPES, 4, 5, 6, EXPORTS, 9, 11, 0]);
    let items = match number {
        0 => &mut genome.customs,
        number => &mut genome.items[usize::from(number)],
    };
    if items.is_empty() {
        return;
    }
    let at = below(rng, items.len());
    if rng.one_in(4) {
        items.truncate(at + 1);
        return;
    }
    let item = items[at].clone();
    for i in 0..times(rng, item.len() + 2, left) {
        let mut item = item.clone();
        if number == EXPORTS {
            // Another name: longer by two bytes of a number.
            let Some((len, start)) = read_leb(&item) else { return };
            let mut named = Vec::new();
            leb(&mut named, len + 4);
            named.extend_from_slice(&item[start..start + len as usize]);
            named.extend_from_slice(format!("{:04x}", i & 0xffff).as_bytes());
            named.extend_from_slice(&item[start + len as usize..]);
            item = named;
        }
        items.push(item);
    }
}

/// A larger module of about `size` bytes of the same kind: parts are repeated until it is that large.
pub(super) fn grow(rng: &mut Rng, parent: &Parent, size: usize) -> Option<Genome> {
    let mut genome = parent.genome.clone();
    let left = size.saturating_sub(genome.size());
    let at = below(rng, parent.points.len());
    let points = parent.points.get(at)?;
    let all = points.len().saturating_sub(2);
    let mut ops = genome.bodies[at].ops.clone();
    let bytes = |from: usize, to: usize| points[from].at..points[to].at;
    match rng.below(4) {
        0 => {
            let (from, to) = slice(rng, points, 0, all)?;
            let part = ops[bytes(from, to)].to_vec();
            ops.splice(points[to].at..points[to].at, part.repeat(left / part.len().max(1)));
        }
        1 | 2 => {
            let (from, to) = slice(rng, points, 0, all)?;
            let (inner, end) = slice(rng, points, from, to)?;
            let (front, back) = (ops[bytes(from, inner)].to_vec(), ops[bytes(end, to)].to_vec());
            let times = left / (front.len() + back.len()).max(1);
            ops.splice(points[end].at..points[end].at, back.repeat(times));
            ops.splice(points[inner].at..points[inner].at, front.repeat(times));
        }
        _ => {
            let body = genome.bodies[at].clone();
            let ty = genome.items[usize::from(FUNCS)][at].clone();
            let times = left / body.size();
            genome.bodies.extend(std::iter::repeat_n(body, times));
            genome.items[usize::from(FUNCS)].extend(std::iter::repeat_n(ty, times));
        }
    }
    genome.bodies[at].ops = ops;
    Some(genome)
}

/// A smaller module that may still be as bad: a part is left out. `step` counts up.
pub(super) fn without(rng: &mut Rng, parent: &Parent, step: usize) -> Option<Genome> {
    let mut genome = parent.genome.clone();
    match step % 4 {
        0 if genome.bodies.len() > 1 => {
            // The last functions: the indices of the others stay.
            let gone = 1 + below(rng, genome.bodies.len() / 2);
            let left = genome.bodies.len() - gone;
            genome.bodies.truncate(left);
            genome.items[usize::from(FUNCS)].truncate(left);
        }
        1 => {
            let filled: Vec<usize> = (1..13)
                .filter(|&number| !matches!(number, 1..=3 | 10) && !genome.items[number].is_empty())
                .collect();
            if filled.is_empty() {
                genome.customs.pop();
            } else {
                let items = &mut genome.items[*rng.pick(&filled)];
                let left = below(rng, items.len());
                items.truncate(left);
            }
        }
        _ => {
            let at = below(rng, parent.points.len());
            let points = parent.points.get(at)?;
            let (from, to) = slice(rng, points, 0, points.len().saturating_sub(2))?;
            genome.bodies[at].ops.drain(points[from].at..points[to].at);
        }
    }
    Some(genome)
}
