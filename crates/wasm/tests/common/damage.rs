//! Bodies with small faults, of which some are none.

use super::noise;
use wasmparser as wp;
use wasmparser::{Operator, Parser, Payload};

/// A module whose bodies are to be damaged, taken apart.
pub(crate) struct Pool<'w> {
    wasm: &'w [u8],
    /// The code section, with its head.
    section: std::ops::Range<usize>,
    bodies: Vec<Body<'w>>,
    types: u32,
}

struct Body<'w> {
    locals: &'w [u8],
    operators: Vec<&'w [u8]>,
}

/// Operators that may come up nowhere else, some of proposals that are off.
const STRANGE: [&[u8]; 30] = [
    &[0x00],
    &[0x01],
    &[0x0b],
    &[0x05],
    &[0x0f],
    &[0x0c, 0],
    &[0x0c, 1],
    &[0x0d, 0],
    &[0x0e, 2, 0, 1, 0],
    &[0x0e, 0, 0],
    &[0x1a],
    &[0x1b],
    &[0x1c, 1, 0x7f],
    &[0x1c, 1, 0x70],
    &[0x1c, 0],
    &[0x1c, 2, 0x7f, 0x7f],
    &[0x1c, 1, 0x7b],
    &[0xd0, 0x70],
    &[0xd0, 0x6f],
    &[0xd0, 0x6e],
    &[0xd0, 0],
    &[0xd1],
    &[0xd2, 0],
    &[0x02, 0x7b],
    &[0x06, 0x40],
    &[0x14, 0],
    &[0xfd, 0x0c, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
    &[0xfe, 0x10, 2, 0],
    &[0xfc, 0x13],
    &[0xfb, 0x1c],
];

impl<'w> Pool<'w> {
    /// Takes a valid module apart.
    pub(crate) fn new(wasm: &'w [u8]) -> Pool<'w> {
        let mut pool = Pool { wasm, section: 0..0, bodies: Vec::new(), types: 0 };
        let mut end = 8;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.unwrap() {
                Payload::CodeSectionStart { unchecked_range, .. } => {
                    pool.section = end..unchecked_range.end as usize;
                }
                Payload::CodeSectionEntry(body) => pool.bodies.push(Body::new(wasm, &body)),
                Payload::TypeSection(types) => {
                    pool.types = types.count();
                    end = types.range().end as usize;
                }
                other => {
                    if let Some((_, range)) = other.as_section() {
                        end = range.end as usize;
                    }
                }
            }
        }
        pool
    }

    /// The module with another body of own function number `own`.
    fn with(&self, own: usize, body: &[u8]) -> Vec<u8> {
        let mut code = Vec::new();
        leb(&mut code, self.bodies.len());
        for (index, other) in self.bodies.iter().enumerate() {
            if index == own {
                leb(&mut code, body.len());
                code.extend(body);
            } else {
                let operators = other.operators.concat();
                leb(&mut code, other.locals.len() + operators.len());
                code.extend(other.locals);
                code.extend(operators);
            }
        }
        let mut wasm = self.wasm[..self.section.start].to_vec();
        wasm.push(10);
        leb(&mut wasm, code.len());
        wasm.extend(code);
        wasm.extend(&self.wasm[self.section.end..]);
        wasm
    }
}

impl<'w> Body<'w> {
    fn new(wasm: &'w [u8], body: &wp::FunctionBody<'w>) -> Body<'w> {
        let range = body.range();
        let reader = body.get_operators_reader().unwrap();
        let start = reader.original_position() as usize;
        let locals = &wasm[range.start as usize..start];
        let mut starts: Vec<usize> = reader
            .into_iter_with_offsets()
            .map(|operator: wp::Result<(Operator<'_>, u64)>| operator.unwrap().1 as usize)
            .collect();
        starts.push(range.end as usize);
        let operators = starts.windows(2).map(|at| &wasm[at[0]..at[1]]).collect();
        Body { locals, operators }
    }
}

fn leb(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A few faults, as a seed has it.
pub(crate) struct Damage<'p, 'w> {
    pool: &'p Pool<'w>,
    noise: Vec<u8>,
    at: usize,
}

impl<'p, 'w> Damage<'p, 'w> {
    pub(crate) fn new(pool: &'p Pool<'w>, seed: u64) -> Damage<'p, 'w> {
        Damage { pool, noise: noise(seed, 400), at: 16 }
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        let bytes = [self.noise[self.at % 400], self.noise[(self.at + 1) % 400]];
        self.at += 2;
        usize::from(u16::from_le_bytes(bytes)) % end.max(1)
    }

    /// The module with one damaged body, and which it is.
    pub(crate) fn body(&mut self) -> Option<(Vec<u8>, usize)> {
        let pool = self.pool;
        let own = self.below(pool.bodies.len());
        let body = pool.bodies.get(own)?;
        let mut operators: Vec<Vec<u8>> = body.operators.iter().map(|op| op.to_vec()).collect();
        let mut locals = body.locals.to_vec();
        for _ in 0..=self.below(3) {
            self.operator(&mut operators);
        }
        let mut bytes = operators.concat();
        if self.below(8) == 0 {
            for _ in 0..=self.below(3) {
                let (at, byte) = (self.below(bytes.len()), self.below(256) as u8);
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
        }
        if self.below(16) == 0 {
            let at = self.below(locals.len());
            locals[at] = self.below(256) as u8;
        }
        if self.below(32) == 0 {
            bytes.truncate(self.below(bytes.len()));
        }
        locals.extend(bytes);
        Some((pool.with(own, &locals), own))
    }

    /// An operator from somewhere.
    fn any(&mut self) -> Vec<u8> {
        if self.below(3) == 0 {
            return STRANGE[self.below(STRANGE.len())].to_vec();
        }
        let body = self.below(self.pool.bodies.len());
        let operators = &self.pool.bodies[body].operators;
        operators[self.below(operators.len())].to_vec()
    }

    /// Damages a list of operators in one place.
    fn operator(&mut self, operators: &mut Vec<Vec<u8>>) {
        let at = self.below(operators.len());
        let Some(operator) = operators.get(at) else { return };
        match self.below(8) {
            0 => operators[at] = self.any(),
            1 => {
                operators.remove(at);
            }
            2 => {
                let operator = self.any();
                operators.insert(at, operator);
            }
            3 => operators.insert(at, operator.clone()),
            4 => {
                let other = self.below(operators.len());
                operators.swap(at, other);
            }
            5 => {
                // Nothing behind it is reached.
                let operator = [&[0x00][..], &[0x0c, 0], &[0x0f]][self.below(3)].to_vec();
                operators.insert(at, operator);
            }
            6 => {
                // The type of a construct, when there is one.
                let blocks = |operator: &Vec<u8>| matches!(operator[0], 2..=4);
                let constructs = operators.iter().filter(|operator| blocks(operator)).count();
                let which = self.below(constructs);
                let found = operators.iter_mut().filter(|operator| blocks(operator)).nth(which);
                let index = self.below(self.pool.types as usize + 1) as u8;
                let types = [0x40, 0x7f, 0x7e, 0x7d, 0x7c, 0x70, 0x6f, 0x7b, index, index, index];
                if let Some(found) = found {
                    found.truncate(1);
                    found.push(types[self.below(types.len())]);
                }
            }
            _ => {
                // An immediate, most of the time.
                let place = self.below(operator.len());
                let byte = if self.below(2) == 0 { self.below(4) } else { self.below(256) } as u8;
                let place = place.max(usize::from(operator.len() > 1));
                operators[at][place] = byte;
            }
        }
    }
}
