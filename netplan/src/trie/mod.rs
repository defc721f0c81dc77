//! The free index and the registry of a pool in one structure: a trie of 64-way nodes.
//!
//! A node at `base` covers the relative prefix lengths `base + 1 ..= base + 6` (the root also 0).
//! One of its 64 slots is free, belongs to an allocation that is headed in this node, or has a
//! child node. `best` is the relative length of the largest free block below the node, so a
//! search never enters a subtree in vain. A child that becomes wholly free is taken away, so free
//! blocks never reach over nodes, and what can be seen depends on the set of allocations only.
//!
//! Nothing here needs more than `core` and `alloc`.

mod blocks;
mod search;
mod slots;

pub(crate) use blocks::Blocks;
pub(crate) use search::Direction;
use slots::{Heads, Number, STRIDE, aligned_runs, has_run, largest_run, slot_mask, slot_of};

/// No node, and no array of children.
const NONE: u32 = u32::MAX;
/// `Node::best` of a node without any free block.
const FULL: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Node {
    /// Slots in which nothing is allocated.
    free: u64,
    /// Slots whose child has a free block.
    open: u64,
    heads: Heads,
    /// Index of this node's array of children, or `NONE`.
    children: u32,
    /// Index of the node above, or `NONE`.
    parent: u32,
    /// The slot of the node above that this node stands for.
    parent_slot: u32,
    /// Relative length of the largest free block below, or `FULL`.
    best: u32,
}

/// A node as it is put into a free slot.
const EMPTY: Node = Node {
    free: u64::MAX,
    open: 0,
    heads: Heads::NONE,
    children: NONE,
    parent: NONE,
    parent_slot: 0,
    best: FULL,
};

/// A block: its length relative to the root, and its number among the blocks of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) number: u128,
    pub(crate) len: u32,
}

/// A free index and registry of blocks; lengths count from the root.
#[derive(Clone, Debug)]
pub(crate) struct Trie {
    /// The slots of the root that belong to the pool.
    root_slots: u64,
    nodes: Vec<Node>,
    spare_nodes: Vec<u32>,
    children: Vec<[u32; 64]>,
    spare_children: Vec<u32>,
    len: usize,
}

impl Trie {
    /// A trie whose first `skip` bits are the root's but not the pool's: the pool is the lowest
    /// `64 >> skip` slots of the root. So the caller decides where the levels begin, and with
    /// them which prefix length fills a last-level node.
    pub(crate) fn new(skip: u32) -> Self {
        let root_slots = slot_mask(0, skip);
        Self {
            root_slots,
            nodes: vec![Node {
                free: root_slots,
                best: skip,
                ..EMPTY
            }],
            spare_nodes: Vec::new(),
            children: Vec::new(),
            spare_children: Vec::new(),
            len: 0,
        }
    }

    /// The number of allocations.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The length of the largest free block.
    pub(crate) fn best(&self) -> Option<u32> {
        let best = self.nodes[0].best;
        (best != FULL).then_some(best)
    }

    /// Allocates the lowest free block of this length, of at most 64 bits, and returns its number.
    #[inline]
    pub(crate) fn allocate_lowest(&mut self, len: u32) -> Option<u64> {
        self.lowest(len)
    }

    /// Allocates the lowest free block of any length and returns its number.
    #[inline(never)]
    pub(crate) fn allocate_lowest_wide(&mut self, len: u32) -> Option<u128> {
        self.lowest(len)
    }

    #[inline]
    fn lowest<N: Number>(&mut self, len: u32) -> Option<N> {
        if self.nodes[0].best > len {
            return None;
        }
        let (mut id, mut base, mut prefix) = (0_u32, 0_u32, N::from(0));
        while len > base + STRIDE {
            let (slot, child) = self.first_fitting(id, len);
            prefix = prefix << STRIDE | N::from(slot);
            id = match child {
                NONE => self.add_child(id, slot),
                child => child,
            };
            base += STRIDE;
        }
        let below = len - base;
        let runs = aligned_runs(self.nodes[id as usize].free, STRIDE - below);
        let slot = runs.trailing_zeros();
        self.take(id, base, slot, below);
        Some(prefix << below | N::from(slot >> (STRIDE - below)))
    }

    /// The lowest slot, and its child if it has one, with a free block of a length that lies
    /// below this node; its `best` says that there is one.
    #[inline]
    fn first_fitting(&self, id: u32, len: u32) -> (u32, u32) {
        let node = &self.nodes[id as usize];
        let mut candidates = node.free | node.open;
        loop {
            let slot = candidates.trailing_zeros();
            if node.free >> slot & 1 == 1 {
                return (slot, NONE);
            }
            let child = self.child(id, slot);
            if self.nodes[child as usize].best <= len {
                return (slot, child);
            }
            candidates &= candidates - 1;
        }
    }

    /// Allocates exactly this block; `false` when any of it is taken, and nothing has changed.
    pub(crate) fn claim(&mut self, Block { number, len }: Block) -> bool {
        match narrow(number, len) {
            Some(number) => self.claim_number(number, len),
            None => self.claim_number(number, len),
        }
    }

    fn claim_number<N: Number>(&mut self, number: N, len: u32) -> bool {
        let (mut id, mut base) = (0_u32, 0_u32);
        while len > base + STRIDE {
            let slot = slot_of(number, len, base);
            // From the first free slot on everything below is free: no claim fails half-way.
            id = if self.nodes[id as usize].free >> slot & 1 == 1 {
                self.add_child(id, slot)
            } else {
                match self.child(id, slot) {
                    NONE => return false,
                    child => child,
                }
            };
            base += STRIDE;
        }
        let (slot, below) = (slot_of(number, len, base), len - base);
        let mask = slot_mask(slot, below);
        if self.nodes[id as usize].free & mask != mask {
            return false;
        }
        self.take(id, base, slot, below);
        true
    }

    /// Gives back exactly this block; `false` when it is not one that was allocated.
    pub(crate) fn release(&mut self, Block { number, len }: Block) -> bool {
        match narrow(number, len) {
            Some(number) => self.release_number(number, len),
            None => self.release_number(number, len),
        }
    }

    fn release_number<N: Number>(&mut self, number: N, len: u32) -> bool {
        let (mut id, mut base) = (0_u32, 0_u32);
        while len > base + STRIDE {
            id = self.child(id, slot_of(number, len, base));
            if id == NONE {
                return false;
            }
            base += STRIDE;
        }
        let (slot, below) = (slot_of(number, len, base), len - base);
        let node = &mut self.nodes[id as usize];
        if !node.heads.remove(slot, below) {
            return false;
        }
        node.free |= slot_mask(slot, below);
        self.len -= 1;
        self.refresh_released(id, base);
        true
    }

    #[inline]
    fn take(&mut self, id: u32, base: u32, slot: u32, below: u32) {
        self.len += 1;
        let node = &mut self.nodes[id as usize];
        node.free &= !slot_mask(slot, below);
        node.heads.insert(slot, below);
        // The usual case: another run is left that is as long as the longest was.
        let order = (base + STRIDE).checked_sub(node.best);
        if order.is_none_or(|order| !has_run(node.free, order)) {
            self.refresh_taken(id, base);
        }
    }

    #[inline]
    fn child(&self, id: u32, slot: u32) -> u32 {
        match self.nodes[id as usize].children {
            NONE => NONE,
            array => self.children[array as usize][slot as usize],
        }
    }

    /// Puts an empty node into a free slot; `refresh_taken` sets `open` and `best` afterwards.
    fn add_child(&mut self, id: u32, slot: u32) -> u32 {
        if self.nodes[id as usize].children == NONE {
            let array = self.spare_children.pop().unwrap_or_else(|| {
                self.children.push([NONE; 64]);
                index(self.children.len() - 1)
            });
            self.nodes[id as usize].children = array;
        }
        let child = self.spare_nodes.pop().unwrap_or_else(|| {
            self.nodes.push(EMPTY);
            index(self.nodes.len() - 1)
        });
        self.nodes[child as usize] = Node {
            parent: id,
            parent_slot: slot,
            ..EMPTY
        };
        let node = &mut self.nodes[id as usize];
        node.free &= !(1 << slot);
        self.children[node.children as usize][slot as usize] = child;
        child
    }

    /// Takes a wholly free child away, and returns its parent: the slot is free then.
    fn remove_child(&mut self, child: u32) -> u32 {
        let Node {
            children,
            parent,
            parent_slot,
            ..
        } = self.nodes[child as usize];
        if children != NONE {
            // A node without allocations has no children either: the array is all `NONE`.
            self.spare_children.push(children);
        }
        self.spare_nodes.push(child);
        let node = &mut self.nodes[parent as usize];
        node.free |= 1 << parent_slot;
        node.open &= !(1 << parent_slot);
        self.children[node.children as usize][parent_slot as usize] = NONE;
        parent
    }

    /// Brings `best` and `open` up to date from a node that has less free slots to the root.
    ///
    /// A node that was just made changes from full to what it has now, so it is not missed.
    #[inline(never)]
    fn refresh_taken(&mut self, mut id: u32, mut base: u32) {
        loop {
            let node = &self.nodes[id as usize];
            let (old, parent, bit) = (node.best, node.parent, 1_u64 << node.parent_slot);
            let best = match largest_run(node.free) {
                Some(below) => base + below,
                None => self.best_child(id, old.max(base + STRIDE + 1)),
            };
            if best == old {
                return;
            }
            self.nodes[id as usize].best = best;
            if parent == NONE {
                return;
            }
            let above = &mut self.nodes[parent as usize];
            if best == FULL {
                above.open &= !bit;
            } else {
                above.open |= bit;
            }
            (id, base) = (parent, base - STRIDE);
        }
    }

    /// The best of all children, of which none is better than `limit`.
    fn best_child(&self, id: u32, limit: u32) -> u32 {
        let mut open = self.nodes[id as usize].open;
        let mut best = FULL;
        while open != 0 && best > limit {
            let child = self.child(id, open.trailing_zeros());
            best = best.min(self.nodes[child as usize].best);
            open &= open - 1;
        }
        best
    }

    /// Takes away nodes that have become free, then brings `best` and `open` up to date from a
    /// node that has more free slots to the root: nothing gets worse on the way.
    fn refresh_released(&mut self, mut id: u32, mut base: u32) {
        while self.nodes[id as usize].free == u64::MAX && self.nodes[id as usize].parent != NONE {
            (id, base) = (self.remove_child(id), base - STRIDE);
        }
        let Some(below) = largest_run(self.nodes[id as usize].free) else {
            return;
        };
        let best = base + below;
        loop {
            let node = &mut self.nodes[id as usize];
            if node.best <= best {
                return;
            }
            node.best = best;
            if node.parent == NONE {
                return;
            }
            let (parent, bit) = (node.parent, 1_u64 << node.parent_slot);
            self.nodes[parent as usize].open |= bit;
            id = parent;
        }
    }
}

/// The number in 64 bits, if the length says that it fits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a block number has no more bits than its length"
)]
#[inline]
fn narrow(number: u128, len: u32) -> Option<u64> {
    (len <= u64::BITS).then_some(number as u64)
}

/// Arena indices are 32 bits wide: 2^32 nodes would be 200 GB.
fn index(len: usize) -> u32 {
    u32::try_from(len).expect("fewer than 2^32 nodes fit into memory")
}
