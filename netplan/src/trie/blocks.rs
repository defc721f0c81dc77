//! The blocks of a trie in order of address.

use super::search::block_at;
use super::slots::{STRIDE, run_at, slot_mask};
use super::{Block, NONE, Trie};

/// The allocations of a trie, or its maximal free blocks, in order of address.
#[derive(Clone, Debug)]
pub(crate) struct Blocks<'a> {
    trie: &'a Trie,
    kind: Kind,
    stack: Vec<Frame>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Allocated,
    /// Only in subtrees with a free block of this length or a shorter one.
    Free(u32),
}

/// A node, and its slots that are still to be visited.
#[derive(Clone, Copy, Debug)]
struct Frame {
    id: u32,
    base: u32,
    prefix: u128,
    pending: u64,
}

impl Trie {
    /// All allocations.
    pub(crate) fn allocated(&self) -> Blocks<'_> {
        Blocks::new(self, Kind::Allocated)
    }

    /// All maximal free blocks that hold a block of this length, and perhaps some that do not.
    pub(crate) fn free(&self, len: u32) -> Blocks<'_> {
        Blocks::new(self, Kind::Free(len))
    }
}

impl<'a> Blocks<'a> {
    fn new(trie: &'a Trie, kind: Kind) -> Self {
        let mut blocks = Self {
            trie,
            kind,
            stack: Vec::new(),
        };
        blocks.push(0, 0, 0);
        if let Some(root) = blocks.stack.last_mut() {
            root.pending &= trie.root_slots;
        }
        blocks
    }

    fn push(&mut self, id: u32, base: u32, prefix: u128) {
        let node = &self.trie.nodes[id as usize];
        let pending = match self.kind {
            Kind::Allocated => !node.free,
            Kind::Free(len) if node.best > len => 0,
            Kind::Free(_) => node.free | node.open,
        };
        self.stack.push(Frame {
            id,
            base,
            prefix,
            pending,
        });
    }
}

impl Iterator for Blocks<'_> {
    type Item = Block;

    fn next(&mut self) -> Option<Block> {
        loop {
            let frame = self.stack.last_mut()?;
            if frame.pending == 0 {
                self.stack.pop();
                continue;
            }
            let Frame {
                id,
                base,
                prefix,
                pending,
            } = *frame;
            let slot = pending.trailing_zeros();
            let child = self.trie.child(id, slot);
            if child != NONE {
                frame.pending &= pending - 1;
                self.push(child, base + STRIDE, prefix << STRIDE | u128::from(slot));
                continue;
            }
            let block = match self.kind {
                Kind::Allocated => self.trie.head_over(id, base, prefix, slot)?,
                Kind::Free(_) => {
                    let below = run_at(self.trie.nodes[id as usize].free, slot);
                    block_at(prefix, base, slot, below)
                }
            };
            frame.pending &= !slot_mask(slot, block.len - base);
            return Some(block);
        }
    }
}
