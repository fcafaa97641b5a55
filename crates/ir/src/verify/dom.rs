//! Dominance: which blocks every path to a block goes through.
//!
//! # Complexity
//! O(log blocks) for each edge, and constant for each question afterwards. Predecessors on other edges
//! than backwards come first, so one pass in the order of the blocks is exact (Cooper, Harvey and
//! Kennedy 2001). Where two paths meet, the nearest common dominator is found by pointers that jump
//! ever farther up (Myers 1983), since chains of dominators are as long as functions.

/// A tree that grows from the root; parents have smaller numbers than their children.
pub(super) struct Growing {
    /// Immediate dominator of each block; the entry is its own.
    parent: Vec<u32>,
    depth: Vec<u32>,
    jump: Vec<u32>,
}

const UNREACHED: u32 = u32::MAX;

impl Growing {
    /// Of so many blocks, of which the first is the root.
    pub(super) fn new(blocks: usize) -> Growing {
        let mut parent = vec![UNREACHED; blocks];
        parent[0] = 0;
        Growing { parent, depth: vec![0; blocks], jump: vec![0; blocks] }
    }

    /// The blocks in front of `block` have been seen with all their edges: its place is known. False if
    /// none of them leads to it.
    pub(super) fn settle(&mut self, block: u32) -> bool {
        let parent = self.parent[block as usize];
        if parent == UNREACHED {
            return false;
        }
        if block > 0 {
            let (parent, block) = (parent as usize, block as usize);
            let far = self.jump[parent] as usize;
            let farther = self.jump[far] as usize;
            let even =
                self.depth[parent] - self.depth[far] == self.depth[far] - self.depth[farther];
            self.depth[block] = self.depth[parent] + 1;
            self.jump[block] = if even { farther } else { parent } as u32;
        }
        true
    }

    /// There is an edge from a settled block to one behind it.
    pub(super) fn edge(&mut self, source: u32, target: u32) {
        self.parent[target as usize] = match self.parent[target as usize] {
            UNREACHED => source,
            other => self.meet(other, source),
        };
    }

    /// The nearest block that dominates two settled ones.
    fn meet(&self, a: u32, b: u32) -> u32 {
        let (mut a, mut b) = (a as usize, b as usize);
        if self.depth[a] < self.depth[b] {
            std::mem::swap(&mut a, &mut b);
        }
        while self.depth[a] > self.depth[b] {
            let far = self.jump[a] as usize;
            a = if self.depth[far] >= self.depth[b] { far } else { self.parent[a] as usize };
        }
        // From the same depth, jumps lead to the same depth.
        while a != b {
            let step = if self.jump[a] == self.jump[b] { &self.parent } else { &self.jump };
            (a, b) = (step[a] as usize, step[b] as usize);
        }
        a as u32
    }

    /// The finished tree.
    pub(super) fn finish(self) -> Dominators {
        let blocks = self.parent.len();
        let mut size = vec![1u32; blocks];
        for block in (1..blocks).rev() {
            size[self.parent[block] as usize] += size[block];
        }
        // A tree in preorder: what a block dominates is a range that starts with it.
        let mut first = vec![0u32; blocks];
        let mut next = vec![1u32; blocks];
        for block in 1..blocks {
            let parent = self.parent[block] as usize;
            first[block] = next[parent];
            next[parent] += size[block];
            next[block] = first[block] + 1;
        }
        Dominators { first, size }
    }
}

/// What dominates what.
pub(super) struct Dominators {
    /// Place of each block in preorder.
    first: Vec<u32>,
    /// How many blocks it dominates, itself included.
    size: Vec<u32>,
}

impl Dominators {
    /// True if every path to `block` goes through `over`.
    pub(super) fn dominates(&self, over: u32, block: u32) -> bool {
        let (first, size) = (self.first[over as usize], self.size[over as usize]);
        (first..first + size).contains(&self.first[block as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every path from the entry by brute force: reachability without a block.
    fn dominates(edges: &[(u32, u32)], over: u32, block: u32) -> bool {
        let mut reached = vec![over != 0];
        for target in 1..=block {
            let from = edges.iter().filter(|edge| edge.1 == target);
            let any = from.map(|edge| edge.0).any(|source| reached[source as usize]);
            reached.push(any && target != over);
        }
        !reached[block as usize]
    }

    #[test]
    fn trees_are_what_paths_say() {
        let mut state = 7u32;
        let mut below = |n: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % n
        };
        for round in 0..60 {
            let blocks = 2 + below(40);
            let mut edges = Vec::new();
            for target in 1..blocks {
                for _ in 0..1 + below(3) {
                    // Long chains in some rounds, wide trees in others.
                    let reach = if round % 2 == 0 { target.min(3) } else { target };
                    edges.push((target - 1 - below(reach), target));
                }
            }
            let mut tree = Growing::new(blocks as usize);
            for source in 0..blocks {
                assert!(tree.settle(source));
                edges.iter().filter(|edge| edge.0 == source).for_each(|e| tree.edge(e.0, e.1));
            }
            let tree = tree.finish();
            for over in 0..blocks {
                for block in 0..blocks {
                    let expected = dominates(&edges, over, block);
                    assert_eq!(tree.dominates(over, block), expected, "{over} {block} {edges:?}");
                }
            }
        }
    }

    #[test]
    fn a_long_chain_with_an_edge_to_the_end_of_each_block() {
        let blocks = 200_000;
        let mut tree = Growing::new(blocks as usize);
        for source in 0..blocks - 1 {
            assert!(tree.settle(source));
            tree.edge(source, source + 1);
            tree.edge(source, blocks - 1);
        }
        assert!(tree.settle(blocks - 1));
        let tree = tree.finish();
        assert!(tree.dominates(0, blocks - 1) && tree.dominates(5, blocks - 2));
        assert!(!tree.dominates(5, blocks - 1) && tree.dominates(blocks - 1, blocks - 1));
    }
}
