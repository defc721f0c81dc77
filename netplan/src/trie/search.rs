//! Questions to the trie that change nothing.

use super::slots::{Number, STRIDE, aligned_runs, maximal_runs, slot_mask, slot_of};
use super::{Block, NONE, Trie, narrow};

/// Which way a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Towards higher addresses.
    Up,
    /// Towards lower addresses.
    Down,
}

impl Direction {
    /// The slots that are not before `bound`.
    fn slots_from(self, bound: u32) -> u64 {
        match self {
            Self::Up => u64::MAX << bound,
            Self::Down => u64::MAX >> (63 - bound),
        }
    }

    /// The first of these slots; there is one.
    fn first(self, slots: u64) -> u32 {
        match self {
            Self::Up => slots.trailing_zeros(),
            Self::Down => 63 - slots.leading_zeros(),
        }
    }

    /// The first block inside a larger one that is `bits` shorter.
    fn first_inside<N: Number>(self, number: N, bits: u32) -> N {
        match self {
            Self::Up => number << bits,
            Self::Down => number << bits | N::ones(bits),
        }
    }
}

/// What one search is for.
struct Search {
    len: u32,
    direction: Direction,
}

impl Trie {
    /// The first free block of this length from block number `bound` on, itself included; from
    /// the end of the pool without one.
    pub(crate) fn find(&self, len: u32, direction: Direction, bound: Option<u128>) -> Option<u128> {
        let search = Search { len, direction };
        if len <= u64::BITS {
            let bound = bound.and_then(|number| narrow(number, len));
            self.find_below(&search, (0, 0, 0_u64), bound)
                .map(u128::from)
        } else {
            self.find_below(&search, (0, 0, 0_u128), bound)
        }
    }

    /// The search below one node, given as index, base and prefix; `bound` lies in the node.
    fn find_below<N: Number>(
        &self,
        search: &Search,
        (id, base, prefix): (u32, u32, N),
        bound: Option<N>,
    ) -> Option<N> {
        let Search { len, direction } = *search;
        let node = &self.nodes[id as usize];
        if node.best > len {
            return None;
        }
        let bound_slot = bound.map(|number| slot_of(number, len, base));
        let behind = bound_slot.map_or(u64::MAX, |slot| direction.slots_from(slot));
        if len <= base + STRIDE {
            let below = len - base;
            let runs = aligned_runs(node.free, STRIDE - below) & behind;
            return (runs != 0)
                .then(|| prefix << below | N::from(direction.first(runs) >> (STRIDE - below)));
        }
        let mut candidates = (node.free | node.open) & behind;
        while candidates != 0 {
            let slot = direction.first(candidates);
            candidates &= !(1 << slot);
            let prefix = prefix << STRIDE | N::from(slot);
            let bound = bound.filter(|_| bound_slot == Some(slot));
            if node.free >> slot & 1 == 1 {
                let first = direction.first_inside(prefix, len - base - STRIDE);
                return Some(bound.unwrap_or(first));
            }
            let child = (self.child(id, slot), base + STRIDE, prefix);
            let found = self.find_below(search, child, bound);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// The smallest free block that is no part of a larger one and holds a block of this length;
    /// the lowest of its size.
    ///
    /// Looks at every node with a block that is large enough, until one fits exactly.
    pub(crate) fn find_tightest(&self, len: u32) -> Option<Block> {
        let mut found = None;
        self.tightest_below(len, (0, 0, 0), &mut found);
        found
    }

    fn tightest_below(
        &self,
        len: u32,
        (id, base, prefix): (u32, u32, u128),
        found: &mut Option<Block>,
    ) {
        let at_least = |found: &Option<Block>, len| found.is_some_and(|block| block.len >= len);
        let node = &self.nodes[id as usize];
        if node.best > len || at_least(found, len) {
            return;
        }
        // Blocks of children are smaller than those of the node, so they come first.
        let mut open = if len > base + STRIDE { node.open } else { 0 };
        while open != 0 {
            let slot = open.trailing_zeros();
            open &= open - 1;
            let child = self.child(id, slot);
            let prefix = prefix << STRIDE | u128::from(slot);
            self.tightest_below(len, (child, base + STRIDE, prefix), found);
        }
        for below in (0..=STRIDE.min(len - base)).rev() {
            if at_least(found, base + below) {
                return;
            }
            let runs = maximal_runs(node.free, STRIDE - below);
            if runs != 0 {
                *found = Some(block_at(prefix, base, runs.trailing_zeros(), below));
                return;
            }
        }
    }

    /// The first allocation that shares an address with the block.
    pub(crate) fn overlap(&self, Block { number, len }: Block) -> Option<Block> {
        let (mut id, mut base, mut prefix) = (0_u32, 0_u32, 0_u128);
        while len > base + STRIDE {
            let slot = slot_of(number, len, base);
            if self.nodes[id as usize].free >> slot & 1 == 1 {
                return None;
            }
            match self.child(id, slot) {
                NONE => return self.head_over(id, base, prefix, slot),
                child => id = child,
            }
            prefix = prefix << STRIDE | u128::from(slot);
            base += STRIDE;
        }
        let mut taken = slot_mask(slot_of(number, len, base), len - base);
        loop {
            taken &= !self.nodes[id as usize].free;
            if taken == 0 {
                return None;
            }
            let slot = taken.trailing_zeros();
            match self.child(id, slot) {
                NONE => return self.head_over(id, base, prefix, slot),
                child => id = child,
            }
            prefix = prefix << STRIDE | u128::from(slot);
            base += STRIDE;
            taken = u64::MAX;
        }
    }

    /// The allocation headed in this node that covers the slot.
    pub(super) fn head_over(&self, id: u32, base: u32, prefix: u128, slot: u32) -> Option<Block> {
        let (first, below) = self.nodes[id as usize].heads.over(slot)?;
        Some(block_at(prefix, base, first, below))
    }
}

/// The block that begins at a slot of the node, `below` bits under its prefix.
pub(super) fn block_at(prefix: u128, base: u32, slot: u32, below: u32) -> Block {
    Block {
        number: prefix << below | u128::from(slot >> (STRIDE - below)),
        len: base + below,
    }
}
