//! The free index and the registry of a pool in one structure: a trie of 64-way nodes.
//!
//! A node at `base` covers the relative prefix lengths `base + 1 ..= base + 6` (the root also 0).
//! One of its 64 slots is free, belongs to an allocation that is headed in this node, or has a
//! child node. `best` is the relative length of the largest free block below the node, so a
//! search never enters a subtree in vain.

use std::ops::{BitAnd, BitOr, Shl, Shr};

/// The bits behind a node's prefix that its slots tell apart.
const STRIDE: u32 = 6;
/// No node, and no array of children.
const NONE: u32 = u32::MAX;
/// `Node::best` of a node without any free block.
const FULL: u8 = u8::MAX;
/// The most levels a path can have: 128 bits in strides of 6.
const MAX_LEVELS: usize = 22;

/// An offset inside a pool; `u32` for IPv4, `u128` for IPv6.
pub(crate) trait Bits:
    Copy
    + Ord
    + From<u8>
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + Shl<u32, Output = Self>
    + Shr<u32, Output = Self>
{
    /// The lowest six bits, as a slot number.
    fn slot(self) -> u32;
}

impl Bits for u32 {
    fn slot(self) -> u32 {
        self & 63
    }
}

impl Bits for u128 {
    fn slot(self) -> u32 {
        (self & 63) as u32
    }
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// Slots in which nothing is allocated.
    free: u64,
    /// Slots whose child has a free block.
    open: u64,
    /// Heads of allocations, numbered as in a heap: `(1 << j) + (slot >> (6 - j))`.
    heads: [u64; 2],
    /// Index of this node's array of children, or `NONE`.
    children: u32,
    /// Relative length of the largest free block below, or `FULL`.
    best: u8,
}

/// A free index and registry over `span_bits` bits; blocks are (offset, relative length).
#[derive(Clone, Debug)]
pub(crate) struct Trie<B> {
    span_bits: u32,
    /// The slots of the root that belong to the pool.
    root_slots: u64,
    nodes: Vec<Node>,
    spare_nodes: Vec<u32>,
    children: Vec<[u32; 64]>,
    spare_children: Vec<u32>,
    len: usize,
    offset: std::marker::PhantomData<B>,
}

/// A block: offset from the start of the pool, and length relative to the pool's own.
pub(crate) type Block<B> = (B, u32);

/// The way from the root to a node: each node and the slot that was taken in it.
struct Path {
    steps: [(u32, u32); MAX_LEVELS],
    len: usize,
}

impl Path {
    fn new() -> Self {
        Self {
            steps: [(NONE, 0); MAX_LEVELS],
            len: 0,
        }
    }

    fn push(&mut self, node: u32, slot: u32) {
        self.steps[self.len] = (node, slot);
        self.len += 1;
    }
}

/// By order: the slots at which an aligned run of `1 << order` slots can begin.
const ALIGNED: [u64; 7] = [
    u64::MAX,
    0x5555_5555_5555_5555,
    0x1111_1111_1111_1111,
    0x0101_0101_0101_0101,
    0x0001_0001_0001_0001,
    0x0000_0001_0000_0001,
    1,
];

/// The lowest slot of each free aligned run of `1 << order` slots.
fn aligned_runs(free: u64, order: u32) -> u64 {
    let mut runs = free;
    for step in 0..order {
        runs &= runs >> (1_u32 << step);
    }
    runs & ALIGNED[order as usize]
}

/// How many bits below a node's prefix its largest free run of slots begins; `None` without one.
fn largest_run(free: u64) -> Option<u8> {
    if free == 0 {
        return None;
    }
    let (mut runs, mut below) = (free, 6);
    while below > 0 {
        let order = 6 - u32::from(below);
        runs = runs & runs >> (1_u32 << order) & ALIGNED[order as usize + 1];
        if runs == 0 {
            break;
        }
        below -= 1;
    }
    Some(below)
}

/// The slots of the block that begins at `slot`, `below` bits under the node's prefix.
fn slot_mask(slot: u32, below: u32) -> u64 {
    (u64::MAX >> (64 - (64 >> below))) << slot
}

fn head_index(slot: u32, below: u32) -> (usize, u64) {
    let index = (1_u32 << below) + (slot >> (STRIDE - below));
    ((index >> 6) as usize, 1 << (index & 63))
}

impl<B: Bits> Trie<B> {
    /// A trie over `span_bits`, of which the first `skip` are the root's but not the pool's: the
    /// pool is the lowest `64 >> skip` slots of the root. So the caller decides where the levels
    /// begin, and with them which prefix length fills a last-level node.
    pub(crate) fn new(span_bits: u32, skip: u32) -> Self {
        let (free, best) = (slot_mask(0, skip), skip.to_le_bytes()[0]);
        Self {
            span_bits,
            root_slots: free,
            nodes: vec![Node {
                free,
                best,
                ..EMPTY
            }],
            spare_nodes: Vec::new(),
            children: Vec::new(),
            spare_children: Vec::new(),
            len: 0,
            offset: std::marker::PhantomData,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The relative length of the largest free block.
    pub(crate) fn best(&self) -> Option<u32> {
        let best = self.nodes[0].best;
        (best != FULL).then_some(u32::from(best))
    }

    /// Allocates the lowest free block of this relative length.
    pub(crate) fn allocate_lowest(&mut self, len: u32) -> Option<B> {
        if u32::from(self.nodes[0].best) > len || len > self.span_bits {
            return None;
        }
        let mut path = Path::new();
        let (mut id, mut base, mut offset) = (0_u32, 0_u32, B::from(0));
        while len > base + STRIDE {
            let node = &self.nodes[id as usize];
            let mut candidates = node.free | node.open;
            let (slot, child) = loop {
                let slot = candidates.trailing_zeros();
                if node.free >> slot & 1 == 1 {
                    break (slot, NONE);
                }
                let child = self.child(id, slot);
                if u32::from(self.nodes[child as usize].best) <= len {
                    break (slot, child);
                }
                candidates &= candidates - 1;
            };
            path.push(id, slot);
            offset = offset | self.slot_offset(slot, base);
            id = if child == NONE {
                self.add_child(id, slot)
            } else {
                child
            };
            base += STRIDE;
        }
        let order = STRIDE - (len - base);
        let slot = aligned_runs(self.nodes[id as usize].free, order).trailing_zeros();
        offset = offset | self.slot_offset(slot, base);
        self.take(id, slot, len - base);
        self.refresh(&path, id, base);
        Some(offset)
    }

    /// Allocates exactly this block; `false` when any of it is taken, and nothing has changed.
    pub(crate) fn claim(&mut self, block: Block<B>) -> bool {
        let (offset, len) = block;
        let mut path = Path::new();
        let (mut id, mut base) = (0_u32, 0_u32);
        while len > base + STRIDE {
            let slot = self.slot_at(offset, base);
            path.push(id, slot);
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
        let slot = self.slot_at(offset, base);
        let mask = slot_mask(slot, len - base);
        if self.nodes[id as usize].free & mask != mask {
            return false;
        }
        self.take(id, slot, len - base);
        self.refresh(&path, id, base);
        true
    }

    /// Gives back exactly this block; `false` when it is not one that was allocated.
    pub(crate) fn release(&mut self, block: Block<B>) -> bool {
        let (offset, len) = block;
        let mut path = Path::new();
        let (mut id, mut base) = (0_u32, 0_u32);
        while len > base + STRIDE {
            let slot = self.slot_at(offset, base);
            path.push(id, slot);
            id = self.child(id, slot);
            if id == NONE {
                return false;
            }
            base += STRIDE;
        }
        let slot = self.slot_at(offset, base);
        let (word, bit) = head_index(slot, len - base);
        let node = &mut self.nodes[id as usize];
        if node.heads[word] & bit == 0 {
            return false;
        }
        node.heads[word] &= !bit;
        node.free |= slot_mask(slot, len - base);
        self.len -= 1;
        while self.nodes[id as usize].free == u64::MAX && path.len > 0 {
            path.len -= 1;
            let (parent, slot) = path.steps[path.len];
            self.remove_child(parent, slot, id);
            (id, base) = (parent, base - STRIDE);
        }
        self.refresh(&path, id, base);
        true
    }

    /// The lowest free block of this length at or behind `bound`, which is aligned to it.
    pub(crate) fn find_from(&self, len: u32, bound: B) -> Option<B> {
        self.find_below(0, 0, B::from(0), len, bound)
    }

    fn find_below(&self, id: u32, base: u32, start: B, len: u32, bound: B) -> Option<B> {
        let node = &self.nodes[id as usize];
        if u32::from(node.best) > len {
            return None;
        }
        let first = if bound > start {
            self.slot_at(bound, base)
        } else {
            0
        };
        let behind = u64::MAX << first;
        if len <= base + STRIDE {
            let runs = aligned_runs(node.free, STRIDE - (len - base)) & behind;
            return (runs != 0).then(|| start | self.slot_offset(runs.trailing_zeros(), base));
        }
        let mut candidates = (node.free | node.open) & behind;
        while candidates != 0 {
            let slot = candidates.trailing_zeros();
            candidates &= candidates - 1;
            let slot_start = start | self.slot_offset(slot, base);
            let bound = bound.max(slot_start);
            if node.free >> slot & 1 == 1 {
                return Some(bound);
            }
            let child = self.child(id, slot);
            let found = self.find_below(child, base + STRIDE, slot_start, len, bound);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// The first allocation that shares an address with the block.
    pub(crate) fn overlap(&self, block: Block<B>) -> Option<Block<B>> {
        let (offset, len) = block;
        let (mut id, mut base, mut start) = (0_u32, 0_u32, B::from(0));
        while len > base + STRIDE {
            let slot = self.slot_at(offset, base);
            if self.nodes[id as usize].free >> slot & 1 == 1 {
                return None;
            }
            match self.child(id, slot) {
                NONE => return self.head_over(id, base, start, slot),
                child => id = child,
            }
            start = start | self.slot_offset(slot, base);
            base += STRIDE;
        }
        let mask = slot_mask(self.slot_at(offset, base), len - base);
        let taken = mask & !self.nodes[id as usize].free;
        if taken == 0 {
            return None;
        }
        let slot = taken.trailing_zeros();
        match self.child(id, slot) {
            NONE => self.head_over(id, base, start, slot),
            child => self.first_below(child, base + STRIDE, start | self.slot_offset(slot, base)),
        }
    }

    /// Every allocation in order of address.
    pub(crate) fn for_each(&self, visit: &mut impl FnMut(Block<B>)) {
        self.visit_below(0, 0, B::from(0), visit);
    }

    fn visit_below(&self, id: u32, base: u32, start: B, visit: &mut impl FnMut(Block<B>)) {
        let mut taken = !self.nodes[id as usize].free;
        if id == 0 {
            taken &= self.root_slots;
        }
        while taken != 0 {
            let slot = taken.trailing_zeros();
            match self.child(id, slot) {
                NONE => {
                    let Some((offset, len)) = self.head_over(id, base, start, slot) else {
                        return;
                    };
                    visit((offset, len));
                    taken &= !slot_mask(slot, len - base);
                }
                child => {
                    let slot_start = start | self.slot_offset(slot, base);
                    self.visit_below(child, base + STRIDE, slot_start, visit);
                    taken &= taken - 1;
                }
            }
        }
    }

    fn first_below(&self, mut id: u32, mut base: u32, mut start: B) -> Option<Block<B>> {
        loop {
            let slot = (!self.nodes[id as usize].free).trailing_zeros();
            match self.child(id, slot) {
                NONE => return self.head_over(id, base, start, slot),
                child => id = child,
            }
            start = start | self.slot_offset(slot, base);
            base += STRIDE;
        }
    }

    /// The allocation headed in this node that covers the slot.
    fn head_over(&self, id: u32, base: u32, start: B, slot: u32) -> Option<Block<B>> {
        let heads = self.nodes[id as usize].heads;
        (0..=STRIDE).find_map(|below| {
            let (word, bit) = head_index(slot, below);
            let first = slot & !((64 >> below) - 1);
            (heads[word] & bit != 0).then(|| (start | self.slot_offset(first, base), base + below))
        })
    }

    /// Where a slot begins; the last level may have fewer bits than the stride.
    fn slot_offset(&self, slot: u32, base: u32) -> B {
        // A slot number is below 64, so the conversion keeps all of it.
        let slot = B::from(slot.to_le_bytes()[0]);
        match self.span_bits.checked_sub(base + STRIDE) {
            Some(shift) => slot << shift,
            None => slot >> (base + STRIDE - self.span_bits),
        }
    }

    fn slot_at(&self, offset: B, base: u32) -> u32 {
        match self.span_bits.checked_sub(base + STRIDE) {
            Some(shift) => (offset >> shift).slot(),
            None => (offset << (base + STRIDE - self.span_bits)).slot(),
        }
    }

    fn take(&mut self, id: u32, slot: u32, below: u32) {
        let (word, bit) = head_index(slot, below);
        let node = &mut self.nodes[id as usize];
        node.free &= !slot_mask(slot, below);
        node.heads[word] |= bit;
        self.len += 1;
    }

    fn child(&self, id: u32, slot: u32) -> u32 {
        match self.nodes[id as usize].children {
            NONE => NONE,
            array => self.children[array as usize][slot as usize],
        }
    }

    /// Puts an empty node into a free slot; `refresh` sets `open` and `best` afterwards.
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
        let node = &mut self.nodes[id as usize];
        node.free &= !(1 << slot);
        self.children[node.children as usize][slot as usize] = child;
        child
    }

    /// Takes a wholly free child away; its slot is free then.
    fn remove_child(&mut self, id: u32, slot: u32, child: u32) {
        let array = self.nodes[child as usize].children;
        if array != NONE {
            self.spare_children.push(array);
        }
        self.nodes[child as usize] = EMPTY;
        self.spare_nodes.push(child);
        let node = &mut self.nodes[id as usize];
        node.free |= 1 << slot;
        node.open &= !(1 << slot);
        self.children[node.children as usize][slot as usize] = NONE;
    }

    /// Brings `best` and `open` up to date from a changed node to the root.
    fn refresh(&mut self, path: &Path, id: u32, base: u32) {
        let (mut id, mut base) = (id, base);
        let mut level = path.len;
        loop {
            let best = self.best_of(id, base);
            let unchanged = self.nodes[id as usize].best == best;
            self.nodes[id as usize].best = best;
            let Some(above) = level.checked_sub(1) else {
                return;
            };
            let (parent, slot) = path.steps[above];
            let bit = 1_u64 << slot;
            let open = if best == FULL { 0 } else { bit };
            // A child that was just made is new to its parent even when its `best` is unchanged.
            if unchanged && self.nodes[parent as usize].open & bit == open {
                return;
            }
            let node = &mut self.nodes[parent as usize];
            node.open = node.open & !bit | open;
            (id, base, level) = (parent, base - STRIDE, above);
        }
    }

    fn best_of(&self, id: u32, base: u32) -> u8 {
        let node = &self.nodes[id as usize];
        let base = base.to_le_bytes()[0];
        if let Some(below) = largest_run(node.free) {
            return base + below;
        }
        // Without a free slot the best block is a child's, and none can beat `base + 7`.
        let mut best = FULL;
        let mut open = node.open;
        while open != 0 && best > base + 7 {
            best = best.min(self.nodes[self.child(id, open.trailing_zeros()) as usize].best);
            open &= open - 1;
        }
        best
    }
}

/// A node as it is put into a free slot; `best` tells `refresh` that it is new.
const EMPTY: Node = Node {
    free: u64::MAX,
    open: 0,
    heads: [0; 2],
    children: NONE,
    best: FULL,
};

/// Arena indices are 32 bits wide: 2^32 nodes would be 170 GB.
fn index(len: usize) -> u32 {
    u32::try_from(len).expect("fewer than 2^32 nodes fit into memory")
}
